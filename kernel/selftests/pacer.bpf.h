/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) The eTran artifact authors */
/* What a map of timers holds. */
#ifndef PACER_BPF_H
#define PACER_BPF_H

#define CLOCK_MONOTONIC 1

struct pacer {
	struct bpf_timer timer;
};

#endif
