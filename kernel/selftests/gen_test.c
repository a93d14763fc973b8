// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
/* XDP_GEN: who can arm it, what it sends, its budget, teardown. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kit.h"

static int collect(int tap, int count)
{
	uint64_t tags[64];
	int seen = 0;

	WAIT(3000, seen == count, {
		int n = tap_read(tap, tags, 64, NULL);

		for (int i = 0; i < n; i++)
			EQ(tags[i], seen + i);
		seen += n;
	});
	usleep(20000);
	return seen + tap_read(tap, tags, 64, NULL);
}

TEST(gen__at_the_end_of_a_poll)
{
	struct bpf_object *object = object_load("gen");
	struct gen_vars *vars = object_vars(object);
	int tap = tap_open(setup.peer), link;

	link = OK(link_queue(program_fd(object, "produce"), setup.ifindex, 0, BPF_XDP_GEN));
	xdp_attach(program_fd(object, "order_on_receive"), setup.ifindex, true);
	usleep(20000);
	EQ(vars->calls, 0);
	vars->per_frame = 2;
	for (int i = 0; i < 30; i++)
		tap_send(tap, setup.peer_ifindex, i, 100);
	EQ(collect(tap, 60), 60);
	EQ(vars->errors, 0);
	EQ(vars->dirty, 0);
	EQ(vars->seen_queue, 0);
	EQ(vars->seen_umem, 0); /* nobody owns the queue */
	/* Idle again: no calls. */
	uint64_t calls = vars->calls;
	usleep(50000);
	EQ(vars->calls, calls);
	xdp_detach(setup.ifindex, true);
	close(link);
}

TEST(gen__from_egress)
{
	struct bpf_object *object = object_load("gen");
	struct gen_vars *vars = object_vars(object);
	struct umem *umem = umem_new(64);
	struct xsk_opts opts = xsk_defaults();
	int tap = tap_open(setup.peer), link, egress, done = 0;
	struct xsk xsk;
	uint64_t addr;

	xsk_open(&xsk, umem, &opts);
	vars->per_frame = 1;
	link = OK(link_queue(program_fd(object, "produce"), setup.ifindex, 0, BPF_XDP_GEN));
	egress = OK(link_queue(program_fd(object, "order_on_egress"), setup.ifindex, 0,
			       BPF_XDP_EGRESS));
	for (int i = 0; i < 20; i++) {
		frame_write(umem, i * CHUNK, i, 100);
		CHECK(tx_put(&xsk, i * CHUNK, 100, 0));
	}
	WAIT(2000, done == 20, kick(&xsk); done += comp_get(&xsk, &addr));
	EQ(collect(tap, 20), 20);
	CHECK(vars->seen_umem); /* the owner of the queue */
	EQ(vars->errors, 0);
	close(egress);
	close(link);
	xsk_close(&xsk);
}

TEST(gen__from_a_timer)
{
	struct bpf_object *object = object_load("gen");
	struct gen_vars *vars = object_vars(object);
	int tap = tap_open(setup.peer), link;

	link = OK(link_queue(program_fd(object, "produce"), setup.ifindex, 0, BPF_XDP_GEN));
	vars->link_id = link_id(link);
	vars->per_frame = 10;
	EQ(run_program(object, "start"), 0);
	EQ(collect(tap, 10), 10);
	EQ(vars->errors, 0);
	close(link);
}

TEST(gen__arming_without_a_producer_is_an_error)
{
	struct bpf_object *object = object_load("gen");
	struct gen_vars *vars = object_vars(object);

	vars->link_id = 0x7fffffff;
	EQ(run_program(object, "start"), 0);
	WAIT(1000, vars->errors == 1, usleep(1000));
}

/* One order of many: several runs of at most 64 frames, none is lost */
TEST(gen__budget)
{
	struct bpf_object *object = object_load("gen");
	struct gen_vars *vars = object_vars(object);
	int tap = tap_open(setup.peer), link, egress;
	struct umem *umem = umem_new(64);
	struct xsk_opts opts = xsk_defaults();
	uint64_t end, addr;
	struct xsk xsk;

	link = OK(link_queue(program_fd(object, "produce"), setup.ifindex, 0, BPF_XDP_GEN));
	vars->link_id = link_id(link);
	vars->per_frame = 200;
	EQ(run_program(object, "start"), 0);
	EQ(collect(tap, 200), 200);
	EQ(vars->calls, 201);
	/* A producer that never ends does not stop the machine: drops count, too. */
	xsk_open(&xsk, umem, &opts);
	egress = OK(link_queue(program_fd(object, "order_on_egress"), setup.ifindex, 0,
			       BPF_XDP_EGRESS));
	vars->drop_first = 1 << 30;
	vars->endless = 1;
	frame_write(umem, 0, 0, 100);
	CHECK(tx_put(&xsk, 0, 100, 0));
	WAIT(2000, comp_get(&xsk, &addr), kick(&xsk));
	end = now_ns() + 30000000;
	while (now_ns() < end)
		;
	CHECK(vars->calls > 201 + 64);
	vars->endless = 0;
	close(egress);
	close(link);
	xsk_close(&xsk);
}

TEST(gen__into_a_queue)
{
	struct bpf_object *object = object_load("gen");
	struct gen_vars *vars = object_vars(object);
	int tap = tap_open(setup.peer), link;

	link = OK(link_queue(program_fd(object, "produce"), setup.ifindex, 0, BPF_XDP_GEN));
	vars->link_id = link_id(link);
	vars->to_queue = 1;
	vars->per_frame = 100; /* the map has room for 64 */
	EQ(run_program(object, "start"), 0);
	WAIT(1000, vars->made == 100, usleep(1000));
	EQ(run_program(object, "send_queued"), 64);
	EQ(collect(tap, 64), 64);
	/* And some that are still there when everything goes. */
	vars->ordered = vars->made = 0;
	close(link);
}

TEST(gen__attachment_rules)
{
	struct bpf_object *object = object_load("gen");
	int produce = program_fd(object, "produce"), link;

	link = OK(link_queue(produce, setup.ifindex, 0, BPF_XDP_GEN));
	EQ(link_queue(produce, setup.ifindex, 0, BPF_XDP_GEN), -EBUSY);
	EQ(link_queue(produce, setup.ifindex, 0, BPF_XDP_EGRESS), -EINVAL);
	EQ(link_queue(produce, setup.ifindex, 4000, BPF_XDP_GEN), -EINVAL);
	close(link);
	link = OK(link_queue(produce, setup.ifindex, 0, BPF_XDP_GEN));
	close(link);
}

TEST(gen__teardown_under_traffic)
{
	for (int round = 0; round < 12; round++) {
		struct bpf_object *object = object_load("gen");
		struct gen_vars *vars = object_vars(object);
			int link;

		link = OK(link_queue(program_fd(object, "produce"), setup.ifindex, 0,
				     BPF_XDP_GEN));
		vars->link_id = link_id(link);
		vars->endless = round & 1;
		vars->to_queue = round & 2;
		vars->per_frame = 1000;
		EQ(run_program(object, "start"), 0);
		usleep(90 + 10 * round);
		if (round % 3 == 0)
			link_up(setup.device, false);
		if (round & 4)
			bpf_object__close(object);
		close(link);
		if (!(round & 4))
			bpf_object__close(object);
		link_up(setup.device, true);
	}
}
