/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) The eTran artifact authors */
/* The variable `vars` of each BPF object, as the programs and their tests see it. */
#ifndef ETRAN_SELFTESTS_VARS_H
#define ETRAN_SELFTESTS_VARS_H

struct egress_vars {
	/* Set by the test: every n-th frame is dropped or redirected; 0: none */
	__u32 drop_every, redirect_every;
	/* Read by the test */
	__u64 runs, dropped;
	__u32 seen_umem, seen_queue, seen_ifindex, errors;
};

#define LATE_SLOTS 64

struct queue_vars {
	/* Set by the test */
	__u64 interval; /* ns between callbacks of a timer; 0: one callback */
	__u32 batch;	/* frames per callback and queue */
	__u32 drop_every, queue_every, head, rewrite;
	/* Read by the test */
	__u32 umem_of_last, callback_cpu;
	__u64 runs, dropped, queued, sent, callbacks, errors;
	__u64 due, late[LATE_SLOTS]; /* callbacks by lateness in us */
	__u64 release_tags[16];
};

struct gen_vars {
	/* Set by the test */
	__u32 per_frame, link_id, endless, to_queue, drop_first;
	/* Read by the test */
	__u32 seen_umem, seen_queue;
	__u64 ordered, made, calls, errors, dirty;
};

enum tree_op { TREE_ADD, TREE_LOWER_BOUND, TREE_REMOVE, TREE_LARGEST };

struct tree_vars {
	__u32 op;
	__u64 key;
	__u64 found;
	__u32 status, depth;
};

#endif
