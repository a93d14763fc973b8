/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) The eTran artifact authors */
/* The kernel series' functions for programs. */
#ifndef KFUNCS_BPF_H
#define KFUNCS_BPF_H

#ifndef BPF_F_PKT_HEAD
#define BPF_F_PKT_HEAD (1ULL << 4)
#endif

extern struct bpf_pkt *bpf_pkt_queue_dequeue(void *queue__map, __u32 key) __ksym;
extern int bpf_pkt_queue_enqueue(void *queue__map, __u32 key, struct bpf_pkt *pkt,
				 __u64 flags) __ksym;
extern _Bool bpf_pkt_queue_empty(void *queue__map, __u32 key) __ksym;
extern int bpf_pkt_send(struct bpf_pkt *pkt) __ksym;
extern void bpf_pkt_drop(struct bpf_pkt *pkt) __ksym;
extern __u32 bpf_pkt_umem_id(const struct bpf_pkt *pkt) __ksym;
extern int bpf_dynptr_from_pkt(struct bpf_pkt *pkt, __u64 flags, struct bpf_dynptr *ptr) __ksym;
extern void *bpf_dynptr_slice_rdwr(const struct bpf_dynptr *p, __u32 offset, void *buffer,
				   __u32 buffer__szk) __ksym;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *p, __u32 offset, void *buffer,
			      __u32 buffer__szk) __ksym;
extern __u32 bpf_dynptr_size(const struct bpf_dynptr *p) __ksym;
extern int bpf_dynptr_clone(const struct bpf_dynptr *p, struct bpf_dynptr *clone) __ksym;
extern int bpf_xdp_gen_arm(struct xdp_md *ctx) __ksym;
extern int bpf_xdp_gen_arm_link(__u32 link_id) __ksym;

#endif
