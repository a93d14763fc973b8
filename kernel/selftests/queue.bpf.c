/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) The eTran artifact authors */
/* Programs of queue_test.c: frames wait in a PKT_QUEUE until a timer or another program sends them. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "frame.bpf.h"
#include "kfuncs.bpf.h"
#include "pacer.bpf.h"
#include "vars.h"

char LICENSE[] SEC("license") = "GPL";

#define BUCKETS 4

struct {
	__uint(type, BPF_MAP_TYPE_PKT_QUEUE);
	__uint(max_entries, BUCKETS);
	__uint(map_extra, 512);
	__type(key, __u32);
	__type(value, __u32);
} queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct pacer);
} timers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_PACER);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct pacer);
} paced SEC(".maps");

struct queue_vars vars;

SEC("xdp/egress")
int to_queue(struct xdp_md *ctx)
{
	struct frame *frame = frame_of(ctx);
	__u32 key;

	vars.runs++;
	if (!frame)
		return XDP_DROP;
	if (vars.drop_every && frame->tag % vars.drop_every == 0) {
		vars.dropped++;
		return XDP_DROP;
	}
	if (vars.queue_every && frame->tag % vars.queue_every)
		return XDP_TX;
	key = frame->tag % BUCKETS;
	vars.queued++;
	return bpf_redirect_map(&queue, key, vars.head ? BPF_F_PKT_HEAD : 0);
}

SEC("xdp/egress")
int to_queue_0(struct xdp_md *ctx)
{
	vars.queued++;
	return bpf_redirect_map(&queue, 0, vars.head ? BPF_F_PKT_HEAD : 0);
}

SEC("xdp/egress")
int to_queue_beyond(struct xdp_md *ctx)
{
	return bpf_redirect_map(&queue, BUCKETS, XDP_DROP);
}

/* From a ring into a queue and out again in one program */
SEC("xdp/egress")
int swap(struct xdp_md *ctx)
{
	struct bpf_pkt *pkt = bpf_pkt_queue_dequeue(&queue, 0);

	if (pkt) {
		vars.sent++;
		bpf_pkt_send(pkt);
	}
	return bpf_redirect_map(&queue, 0, 0);
}

/* Received frames wait as well */
SEC("xdp")
int rx_to_queue(struct xdp_md *ctx)
{
	if (!frame_of(ctx))
		return XDP_PASS;
	vars.queued++;
	return bpf_redirect_map(&queue, 0, 0);
}

static __always_inline int release(__u32 key)
{
	struct bpf_pkt *pkt = bpf_pkt_queue_dequeue(&queue, key);
	struct bpf_dynptr data;
	struct frame *frame;
	char buffer[sizeof(struct frame)];

	if (!pkt)
		return 0;
	vars.umem_of_last = bpf_pkt_umem_id(pkt);
	if (vars.rewrite) {
		if (bpf_dynptr_from_pkt(pkt, 0, &data)) {
			vars.errors++;
			bpf_pkt_drop(pkt);
			return 1;
		}
		frame = bpf_dynptr_slice_rdwr(&data, 0, buffer, sizeof(buffer));
		if (!frame || frame->magic != FRAME_MAGIC) {
			vars.errors++;
			bpf_pkt_drop(pkt);
			return 1;
		}
		vars.release_tags[vars.sent % 16] = frame->tag;
		if (vars.rewrite == 2)
			frame->tag += 256; /* the pattern of the payload stays right */
		if (vars.rewrite == 3) {
			/* Look only, and put it back */
			if (bpf_pkt_queue_enqueue(&queue, key, pkt, BPF_F_PKT_HEAD))
				vars.errors++;
			return 0;
		}
		if (vars.rewrite == 4) {
			bpf_pkt_drop(pkt);
			vars.dropped++;
			return 1;
		}
	}
	vars.sent++;
	bpf_pkt_send(pkt);
	return 1;
}

static long release_turn(__u32 index, void *unused)
{
	release(index % BUCKETS);
	return 0;
}

static int callback(void *map, __u32 *key, struct pacer *pacer)
{
	__u64 now = bpf_ktime_get_ns(), late = (now - vars.due) / 1000;

	vars.callbacks++;
	vars.callback_cpu = bpf_get_smp_processor_id();
	if (late >= LATE_SLOTS)
		late = LATE_SLOTS - 1;
	vars.late[late]++;
	bpf_loop(vars.batch * BUCKETS, release_turn, NULL, 0);
	if (vars.interval) {
		vars.due += vars.interval;
		if (vars.due < now)
			vars.due = now + vars.interval;
		bpf_timer_start(&pacer->timer, vars.due, BPF_F_TIMER_ABS);
	}
	return 0;
}

static __always_inline int start(void *map, struct pacer *pacer, __u64 flags)
{
	if (!pacer || bpf_timer_init(&pacer->timer, map, CLOCK_MONOTONIC | flags) ||
	    bpf_timer_set_callback(&pacer->timer, callback)) {
		vars.errors++;
		return 1;
	}
	vars.due = bpf_ktime_get_ns() + vars.interval;
	return bpf_timer_start(&pacer->timer, vars.due, BPF_F_TIMER_ABS);
}

/* Run by the tests through BPF_PROG_TEST_RUN */
SEC("xdp")
int start_softirq(struct xdp_md *ctx)
{
	__u32 key = 0;

	return start(&timers, bpf_map_lookup_elem(&timers, &key), 0);
}

SEC("xdp")
int start_pacer(struct xdp_md *ctx)
{
	__u32 key = 0;

	return start(&paced, bpf_map_lookup_elem(&paced, &key), BPF_F_TIMER_PACER);
}

/* A map without the flag has no thread */
SEC("xdp")
int start_pacer_without_thread(struct xdp_md *ctx)
{
	__u32 key = 1;
	struct pacer *pacer = bpf_map_lookup_elem(&timers, &key);

	return pacer ? bpf_timer_init(&pacer->timer, &timers,
				      CLOCK_MONOTONIC | BPF_F_TIMER_PACER)
		     : 0;
}

/* 600 of each queue, one queue after the other */
static long release_next(__u32 index, int *count)
{
	*count += release(index / 600);
	return 0;
}

SEC("xdp")
int release_all(struct xdp_md *ctx)
{
	int count = 0;

	bpf_loop(BUCKETS * 600, release_next, &count, 0);
	return count;
}

static long release_0(__u32 index, void *unused)
{
	release(0);
	return 0;
}

SEC("xdp")
int release_batch(struct xdp_md *ctx)
{
	return bpf_loop(32, release_0, NULL, 0);
}

SEC("xdp")
int release_one(struct xdp_md *ctx)
{
	return release(0);
}

SEC("xdp")
int is_empty(struct xdp_md *ctx)
{
	return bpf_pkt_queue_empty(&queue, 0) | bpf_pkt_queue_empty(&queue, BUCKETS) << 1;
}
