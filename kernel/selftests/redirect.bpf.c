/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) The eTran artifact authors */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "sockets.bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("xdp")
int to_socket(struct xdp_md *ctx)
{
	return bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_PASS);
}
