/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) The eTran artifact authors */
/* Programs of egress_test.c: the verdict is in the frame's tag, or in a variable. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "frame.bpf.h"
#include "sockets.bpf.h"
#include "vars.h"

char LICENSE[] SEC("license") = "GPL";

struct egress_vars vars;

SEC("xdp/egress")
int pass(struct xdp_md *ctx)
{
	return XDP_TX;
}

SEC("xdp/egress")
int drop(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("xdp/egress")
int aborted(struct xdp_md *ctx)
{
	return XDP_ABORTED;
}

SEC("xdp/egress")
int not_a_verdict(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp/egress")
int look(struct xdp_md *ctx)
{
	__sync_fetch_and_add(&vars.runs, 1);
	vars.seen_queue = ctx->rx_queue_index;
	vars.seen_ifindex = ctx->ingress_ifindex;
	vars.seen_umem = ctx->umem_id;
	return XDP_TX;
}

SEC("xdp/egress")
int choose(struct xdp_md *ctx)
{
	struct frame *frame = frame_of(ctx);

	vars.runs++;
	if (!frame)
		return XDP_DROP;
	if (vars.drop_every && frame->tag % vars.drop_every == 0) {
		vars.dropped++;
		return XDP_DROP;
	}
	if (vars.redirect_every && frame->tag % vars.redirect_every == 0)
		return bpf_redirect_map(&sockets, 0, XDP_DROP);
	return XDP_TX;
}

/* 16 bytes more at the head, the old header moved there, 4 bytes less at the tail, and the 8
 * bytes that the application had put before the packet as the new tag
 */
SEC("xdp/egress")
int reshape(struct xdp_md *ctx)
{
	struct frame *frame;
	__u64 *meta;

	if (bpf_xdp_adjust_meta(ctx, -8)) {
		vars.errors |= 1;
		return XDP_DROP;
	}
	meta = (void *)(long)ctx->data_meta;
	frame = frame_of(ctx);
	if (!frame || (void *)(meta + 1) > (void *)(long)ctx->data) {
		vars.errors |= 2;
		return XDP_DROP;
	}
	frame->tag = *meta;
	if (bpf_xdp_adjust_meta(ctx, 8) || bpf_xdp_adjust_tail(ctx, -4) ||
	    bpf_xdp_adjust_head(ctx, 8) || bpf_xdp_adjust_head(ctx, -8)) {
		vars.errors |= 4;
		return XDP_DROP;
	}
	/* Out of the chunk: must fail */
	if (!bpf_xdp_adjust_head(ctx, -4096) || !bpf_xdp_adjust_tail(ctx, 4096)) {
		vars.errors |= 8;
		return XDP_DROP;
	}
	return XDP_TX;
}

SEC("xdp/egress")
int to_socket(struct xdp_md *ctx)
{
	return bpf_redirect_map(&sockets, 0, XDP_DROP);
}
