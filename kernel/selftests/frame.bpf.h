/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) The eTran artifact authors */
/* The tests' frame for programs; the same as struct frame in kit.h. */
#ifndef FRAME_BPF_H
#define FRAME_BPF_H

#define FRAME_MAGIC 0x65747261

struct frame {
	__u8 dst[6], src[6];
	__u16 type;
	__u32 magic;
	__u64 tag;
} __attribute__((packed));

_Static_assert(sizeof(struct frame) == 26, "kit.h has the same");

static __always_inline struct frame *frame_of(struct xdp_md *ctx)
{
	struct frame *frame = (void *)(long)ctx->data;

	if ((void *)(frame + 1) > (void *)(long)ctx->data_end || frame->magic != FRAME_MAGIC)
		return NULL;
	return frame;
}

#endif
