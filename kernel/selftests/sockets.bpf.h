/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) The eTran artifact authors */
/* The map of sockets that programs redirect to. */
#ifndef SOCKETS_BPF_H
#define SOCKETS_BPF_H

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

#endif
