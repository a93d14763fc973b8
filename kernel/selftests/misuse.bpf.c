/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) The eTran artifact authors */
/* Programs that the verifier must refuse, each for the reason in its test (misuse_test.c). */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include "kfuncs.bpf.h"
#include "sockets.bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PKT_QUEUE);
	__uint(max_entries, 4);
	__uint(map_extra, 16);
	__type(key, __u32);
	__type(value, __u32);
} queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} devices SEC(".maps");

__u64 sink;

SEC("xdp")
int leak(struct xdp_md *ctx)
{
	struct bpf_pkt *pkt = bpf_pkt_queue_dequeue(&queue, 0);

	return pkt ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int unchecked(struct xdp_md *ctx)
{
	bpf_pkt_send(bpf_pkt_queue_dequeue(&queue, 0));
	return 0;
}

SEC("xdp")
int send_twice(struct xdp_md *ctx)
{
	struct bpf_pkt *pkt = bpf_pkt_queue_dequeue(&queue, 0);

	if (pkt) {
		bpf_pkt_send(pkt);
		bpf_pkt_send(pkt);
	}
	return 0;
}

SEC("xdp")
int drop_after_enqueue(struct xdp_md *ctx)
{
	struct bpf_pkt *pkt = bpf_pkt_queue_dequeue(&queue, 0);

	if (pkt) {
		bpf_pkt_queue_enqueue(&queue, 1, pkt, 0);
		bpf_pkt_drop(pkt);
	}
	return 0;
}

SEC("xdp")
int dynptr_after_send(struct xdp_md *ctx)
{
	struct bpf_pkt *pkt = bpf_pkt_queue_dequeue(&queue, 0);
	struct bpf_dynptr data;
	char buffer[8];
	__u64 *value;

	if (!pkt)
		return 0;
	bpf_dynptr_from_pkt(pkt, 0, &data);
	bpf_pkt_send(pkt);
	value = bpf_dynptr_slice(&data, 0, buffer, 8);
	if (value)
		sink = *value;
	return 0;
}

SEC("xdp")
int slice_after_send(struct xdp_md *ctx)
{
	struct bpf_pkt *pkt = bpf_pkt_queue_dequeue(&queue, 0);
	struct bpf_dynptr data;
	char buffer[8];
	__u64 *value;

	if (!pkt)
		return 0;
	bpf_dynptr_from_pkt(pkt, 0, &data);
	value = bpf_dynptr_slice_rdwr(&data, 0, buffer, 8);
	bpf_pkt_send(pkt);
	if (value)
		*value = 1;
	return 0;
}

SEC("xdp")
int clone_after_drop(struct xdp_md *ctx)
{
	struct bpf_pkt *pkt = bpf_pkt_queue_dequeue(&queue, 0);
	struct bpf_dynptr data, clone;
	char buffer[8];
	__u64 *value;

	if (!pkt)
		return 0;
	bpf_dynptr_from_pkt(pkt, 0, &data);
	bpf_dynptr_clone(&data, &clone);
	bpf_pkt_drop(pkt);
	value = bpf_dynptr_slice(&clone, 0, buffer, 8);
	if (value)
		sink = *value;
	return 0;
}

SEC("xdp")
int slice_beyond_its_size(struct xdp_md *ctx)
{
	struct bpf_pkt *pkt = bpf_pkt_queue_dequeue(&queue, 0);
	struct bpf_dynptr data;
	char buffer[8];
	__u64 *value;

	if (!pkt)
		return 0;
	bpf_dynptr_from_pkt(pkt, 0, &data);
	value = bpf_dynptr_slice(&data, 0, buffer, 8);
	if (value)
		sink = value[1];
	bpf_pkt_drop(pkt);
	return 0;
}

SEC("xdp")
int write_to_readonly_slice(struct xdp_md *ctx)
{
	struct bpf_pkt *pkt = bpf_pkt_queue_dequeue(&queue, 0);
	struct bpf_dynptr data;
	char buffer[8];
	__u64 *value;

	if (!pkt)
		return 0;
	bpf_dynptr_from_pkt(pkt, 0, &data);
	value = bpf_dynptr_slice(&data, 0, buffer, 8);
	if (value)
		*value = 1;
	bpf_pkt_drop(pkt);
	return 0;
}

SEC("xdp")
int dequeue_from_array(struct xdp_md *ctx)
{
	struct bpf_pkt *pkt = bpf_pkt_queue_dequeue(&array, 0);

	if (pkt)
		bpf_pkt_drop(pkt);
	return 0;
}

SEC("xdp")
int dequeue_from_map_value(struct xdp_md *ctx)
{
	__u32 key = 0;
	void *value = bpf_map_lookup_elem(&array, &key);
	struct bpf_pkt *pkt;

	if (!value)
		return 0;
	pkt = bpf_pkt_queue_dequeue(value, 0);
	if (pkt)
		bpf_pkt_drop(pkt);
	return 0;
}

SEC("xdp")
int lookup_in_queue(struct xdp_md *ctx)
{
	__u32 key = 0, *count = bpf_map_lookup_elem(&queue, &key);

	return count ? *count : 0;
}

SEC("xdp")
int write_into_pkt(struct xdp_md *ctx)
{
	struct bpf_pkt *pkt = bpf_pkt_queue_dequeue(&queue, 0);

	if (!pkt)
		return 0;
	pkt->len = 65535;
	bpf_pkt_drop(pkt);
	return 0;
}

SEC("xdp")
int send_a_number(struct xdp_md *ctx)
{
	bpf_pkt_send((struct bpf_pkt *)(long)ctx->rx_queue_index);
	return 0;
}

SEC("xdp")
int dynptr_of_context(struct xdp_md *ctx)
{
	struct bpf_dynptr data;

	bpf_dynptr_from_pkt((struct bpf_pkt *)ctx, 0, &data);
	return 0;
}

SEC("xdp/egress")
int egress_to_device_map(struct xdp_md *ctx)
{
	return bpf_redirect_map(&devices, 0, 0);
}

SEC("xdp/egress")
int egress_to_device(struct xdp_md *ctx)
{
	return bpf_redirect(1, 0);
}

SEC("xdp/gen")
int gen_to_socket(struct xdp_md *ctx)
{
	return bpf_redirect_map(&sockets, 0, 0);
}

SEC("xdp/egress")
int write_umem_id(struct xdp_md *ctx)
{
	ctx->umem_id = 1;
	return XDP_TX;
}

SEC("xdp")
int direct_data_after_adjust(struct xdp_md *ctx)
{
	__u64 *data = (void *)(long)ctx->data;

	if ((void *)(data + 1) > (void *)(long)ctx->data_end)
		return 0;
	bpf_xdp_adjust_tail(ctx, 8);
	sink = *data;
	return 0;
}

/* All the above is about the mistake only: this must be accepted. */
SEC("xdp")
int correct(struct xdp_md *ctx)
{
	struct bpf_pkt *pkt = bpf_pkt_queue_dequeue(&queue, 0);
	struct bpf_dynptr data, clone;
	char buffer[8];
	__u64 *value;

	if (!pkt)
		return 0;
	if (bpf_dynptr_from_pkt(pkt, 0, &data) || bpf_dynptr_clone(&data, &clone)) {
		bpf_pkt_drop(pkt);
		return 0;
	}
	value = bpf_dynptr_slice_rdwr(&clone, 0, buffer, 8);
	if (value)
		(*value)++;
	sink = bpf_dynptr_size(&data);
	if (sink & 1)
		bpf_pkt_queue_enqueue(&queue, 1, pkt, BPF_F_PKT_HEAD);
	else
		bpf_pkt_send(pkt);
	return 0;
}
