/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) The eTran artifact authors */
/* Programs of gen_test.c: a producer that makes as many frames as others have ordered. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "frame.bpf.h"
#include "kfuncs.bpf.h"
#include "pacer.bpf.h"
#include "vars.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PKT_QUEUE);
	__uint(max_entries, 1);
	__uint(map_extra, 64);
	__type(key, __u32);
	__type(value, __u32);
} queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pacer);
} timers SEC(".maps");

struct gen_vars vars;

SEC("xdp/gen")
int produce(struct xdp_md *ctx)
{
	struct frame *frame;

	__sync_fetch_and_add(&vars.calls, 1);
	vars.seen_umem = ctx->umem_id;
	vars.seen_queue = ctx->rx_queue_index;
	if (!vars.endless && vars.made >= vars.ordered)
		return XDP_ABORTED;
	if (bpf_xdp_adjust_tail(ctx, 64)) {
		vars.errors++;
		return XDP_ABORTED;
	}
	frame = (void *)(long)ctx->data;
	if ((void *)(frame + 1) > (void *)(long)ctx->data_end) {
		vars.errors++;
		return XDP_ABORTED;
	}
	/* What the page held before must not be seen. */
	for (int i = 26; i < 64; i++) {
		__u8 *byte = (void *)(long)ctx->data + i;

		if ((void *)(byte + 1) > (void *)(long)ctx->data_end)
			break;
		if (*byte)
			vars.dirty++;
		*byte = vars.made + i;
	}
	__builtin_memset(frame->dst, 0xff, 6);
	__builtin_memset(frame->src, 0x02, 6);
	frame->type = __builtin_bswap16(0x88b5);
	frame->magic = FRAME_MAGIC;
	frame->tag = vars.made;
	vars.made++;
	if (vars.drop_first && vars.made <= vars.drop_first)
		return XDP_DROP;
	if (vars.to_queue)
		return bpf_redirect_map(&queue, 0, 0);
	return XDP_TX;
}

SEC("xdp")
int order_on_receive(struct xdp_md *ctx)
{
	if (!frame_of(ctx))
		return XDP_PASS;
	vars.ordered += vars.per_frame;
	if (bpf_xdp_gen_arm(ctx))
		vars.errors++;
	return XDP_DROP;
}

SEC("xdp/egress")
int order_on_egress(struct xdp_md *ctx)
{
	vars.ordered += vars.per_frame;
	if (bpf_xdp_gen_arm(ctx))
		vars.errors++;
	return XDP_DROP;
}

static int callback(void *map, __u32 *key, struct pacer *pacer)
{
	vars.ordered += vars.per_frame;
	if (bpf_xdp_gen_arm_link(vars.link_id))
		vars.errors++;
	return 0;
}

SEC("xdp")
int start(struct xdp_md *ctx)
{
	__u32 key = 0;
	struct pacer *pacer = bpf_map_lookup_elem(&timers, &key);

	if (!pacer || bpf_timer_init(&pacer->timer, &timers, CLOCK_MONOTONIC) ||
	    bpf_timer_set_callback(&pacer->timer, callback))
		return 1;
	return bpf_timer_start(&pacer->timer, 100000, 0);
}

SEC("xdp")
int send_queued(struct xdp_md *ctx)
{
	struct bpf_pkt *pkt;
	int count = 0;

	for (int i = 0; i < 64; i++) {
		pkt = bpf_pkt_queue_dequeue(&queue, 0);
		if (!pkt)
			break;
		bpf_pkt_send(pkt);
		count++;
	}
	return count;
}
