// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
/*
 * Instructions per frame. In a machine with one processor QEMU counts instructions and takes each
 * for a nanosecond, so that differences of times are differences of instructions.
 */
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kit.h"

#define FRAMES 4096
#define BATCH 32

/* Time per frame from the first descriptor to the last completion, in batches of 32 */
static double cost(struct xsk *xsk, struct bpf_object *object, const char *release)
{
	uint64_t began = now_ns(), addr;
	int done = 0;

	for (int sent = 0; sent < FRAMES; sent += BATCH) {
		for (int i = 0; i < BATCH; i++)
			CHECK(tx_put(xsk, (uint64_t)i * CHUNK, 64, 0));
		kick(xsk);
		if (release)
			run_program(object, release);
		WAIT(1000, done == sent + BATCH, done += comp_get(xsk, &addr));
	}
	return (double)(now_ns() - began) / FRAMES;
}

TEST(bench__instructions_per_frame)
{
	struct bpf_object *egress = object_load("egress"), *queue = object_load("queue");
	struct umem *umem = umem_new(64);
	struct xsk_opts opts = xsk_defaults();
	double none, pass, drop, held;
	struct xsk xsk;
	int link;

	xsk_open(&xsk, umem, &opts);
	for (int i = 0; i < BATCH; i++)
		frame_write(umem, (uint64_t)i * CHUNK, i, 64);
	cost(&xsk, NULL, NULL);
	none = cost(&xsk, NULL, NULL);
	report("instructions_no_program", none);

	link = OK(link_queue(program_fd(egress, "pass"), setup.ifindex, 0, BPF_XDP_EGRESS));
	cost(&xsk, NULL, NULL);
	pass = cost(&xsk, NULL, NULL);
	report("instructions_empty_program", pass);
	report("instructions_added_by_empty_program", pass - none);
	OK(bpf_link_update(link, program_fd(egress, "drop"), NULL));
	drop = cost(&xsk, NULL, NULL);
	report("instructions_drop", drop);
	OK(bpf_link_update(link, program_fd(queue, "to_queue_0"), NULL));
	cost(&xsk, queue, "release_batch");
	held = cost(&xsk, queue, "release_batch");
	report("instructions_queue_and_send", held);
	report("instructions_added_by_queue_and_send", held - none);
	close(link);
	xsk_close(&xsk);
}
