// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
/* BPF_MAP_TYPE_PKT_QUEUE: order, functions for programs, timers, accounting, teardown. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kit.h"

struct fixture {
	struct bpf_object *object;
	struct queue_vars *vars;
	struct umem *umem;
	struct xsk xsk;
	int link, tap;
};

static void setup_queue(struct fixture *f, const char *program)
{
	struct xsk_opts opts = xsk_defaults();

	f->object = object_load("queue");
	f->vars = object_vars(f->object);
	f->vars->interval = 10000;
	f->vars->batch = 1;
	f->umem = umem_new(512);
	f->tap = tap_open(setup.peer);
	xsk_open(&f->xsk, f->umem, &opts);
	f->link = OK(link_queue(program_fd(f->object, program), setup.ifindex, 0,
				BPF_XDP_EGRESS));
}

static void put(struct fixture *f, int first, int count, uint32_t len)
{
	for (int i = 0; i < count; i++) {
		uint64_t addr = (uint64_t)((first + i) % 512) * CHUNK;

		frame_write(f->umem, addr, first + i, len);
		CHECK(tx_put(&f->xsk, addr, len, 0));
	}
	WAIT(2000, !ring_used(&f->xsk.tx), kick_always(&f->xsk); usleep(100));
}

static int complete(struct fixture *f)
{
	uint64_t addr;
	int n = 0;

	while (comp_get(&f->xsk, &addr))
		n++;
	return n;
}

static uint32_t waiting(struct fixture *f, uint32_t key)
{
	uint32_t count;

	OK(bpf_map_lookup_elem(map_fd(f->object, "queue"), &key, &count));
	return count;
}

/* A frame in a queue has not completed; what is sent, arrives in the order of the queue. */
TEST(queue__holds_until_sent)
{
	struct fixture f;
	uint64_t tags[64];
	int seen = 0, done = 0;

	setup_queue(&f, "to_queue_0");
	put(&f, 0, 40, 100);
	EQ(f.vars->queued, 40);
	EQ(waiting(&f, 0), 40);
	usleep(20000);
	EQ(complete(&f), 0);
	EQ(tap_read(f.tap, tags, 64, NULL), 0);
	EQ(run_program(f.object, "is_empty"), 2);
	EQ(run_program(f.object, "release_one"), 1);
	WAIT(1000, complete(&f) == 1);
	EQ(run_program(f.object, "release_all"), 39);
	EQ(run_program(f.object, "is_empty"), 3);
	EQ(waiting(&f, 0), 0);
	WAIT(1000, done == 39 && seen == 40, {
		int n = tap_read(f.tap, tags, 64, NULL);

		for (int i = 0; i < n; i++)
			EQ(tags[i], seen + i);
		seen += n;
		done += complete(&f);
	});
	EQ(f.vars->errors, 0);
	CHECK(f.vars->umem_of_last);
	close(f.link);
	xsk_close(&f.xsk);
}

/* Frames complete in the order in which they leave, not in that of their descriptors. */
TEST(queue__completion_out_of_order)
{
	struct fixture f;
	uint64_t tags[64], addr;
	int done = 0;

	setup_queue(&f, "to_queue");
	f.vars->queue_every = 2; /* even tags wait, odd ones pass */
	put(&f, 0, 40, 100);
	WAIT(1000, done == 20, while (comp_get(&f.xsk, &addr)) {
		EQ(addr / CHUNK % 2, 1);
		done++;
	});
	EQ(run_program(f.object, "release_all"), 20);
	WAIT(1000, done == 40, while (comp_get(&f.xsk, &addr)) {
		EQ(addr / CHUNK % 2, 0);
		done++;
	});
	WAIT(1000, (done += tap_read(f.tap, tags, 64, NULL)) == 80);
	close(f.link);
	xsk_close(&f.xsk);
}

TEST(queue__at_the_head)
{
	struct fixture f;
	uint64_t tags[64];
	int seen = 0;

	setup_queue(&f, "to_queue_0");
	f.vars->head = 1;
	put(&f, 0, 20, 100);
	EQ(run_program(f.object, "release_all"), 20);
	WAIT(1000, seen == 20, {
		int n = tap_read(f.tap, tags, 64, NULL);

		for (int i = 0; i < n; i++)
			EQ(tags[i], 19 - seen - i);
		seen += n;
	});
	close(f.link);
	xsk_close(&f.xsk);
}

/* Look at the first frame through a dynptr and put it back; change it; drop it. */
TEST(queue__look_change_drop)
{
	struct fixture f;
	uint64_t tags[64];
	int seen = 0;

	setup_queue(&f, "to_queue_0");
	put(&f, 0, 3, 100);
	f.vars->rewrite = 3;
	for (int i = 0; i < 5; i++) {
		EQ(run_program(f.object, "release_one"), 0);
		EQ(f.vars->release_tags[0], 0);
		EQ(waiting(&f, 0), 3);
	}
	EQ(complete(&f), 0);
	f.vars->rewrite = 4;
	EQ(run_program(f.object, "release_one"), 1);
	WAIT(1000, complete(&f) == 1);
	f.vars->rewrite = 2;
	EQ(run_program(f.object, "release_all"), 2);
	WAIT(1000, seen == 2, seen += tap_read(f.tap, tags + seen, 64, NULL));
	EQ(tags[0], 257);
	EQ(tags[1], 258);
	EQ(f.vars->errors, 0);
	close(f.link);
	xsk_close(&f.xsk);
}

TEST(queue__full_or_no_such_queue_drops)
{
	struct fixture f;
	int done = 0;

	/* One completion each, at once: the map has room for 512 frames. */
	setup_queue(&f, "to_queue_beyond");
	put(&f, 0, 30, 100);
	WAIT(1000, done == 30, done += complete(&f));
	close(f.link);
	f.link = OK(link_queue(program_fd(f.object, "to_queue_0"), setup.ifindex, 0,
			       BPF_XDP_EGRESS));
	put(&f, 0, 500, 100);
	put(&f, 500, 100, 100);
	done = 0;
	WAIT(2000, done == 88, done += complete(&f));
	EQ(waiting(&f, 0), 512);
	EQ(run_program(f.object, "release_all"), 512);
	WAIT(2000, done == 600, done += complete(&f));
	close(f.link);
	xsk_close(&f.xsk);
}

/* bpf(BPF_MAP_DELETE_ELEM): drop all frames of a queue */
TEST(queue__purge_from_user_space)
{
	struct fixture f;
	uint32_t key = 0, next, count = 0;
	int done = 0, map;

	setup_queue(&f, "to_queue_0");
	map = map_fd(f.object, "queue");
	put(&f, 0, 100, 100);
	OK(bpf_map_delete_elem(map, &key));
	WAIT(1000, done == 100, done += complete(&f));
	EQ(waiting(&f, 0), 0);
	/* Keys are 0 ... 3 and then it ends. */
	for (int err = bpf_map_get_next_key(map, NULL, &next); !err;
	     err = bpf_map_get_next_key(map, &next, &next))
		EQ(next, count++);
	EQ(count, 4);
	CHECK(bpf_map_update_elem(map, &key, &count, BPF_ANY) < 0);
	close(f.link);
	xsk_close(&f.xsk);
}

/* A program on egress that takes one and puts one */
TEST(queue__from_egress_itself)
{
	struct fixture f;
	int done = 0;

	setup_queue(&f, "swap");
	for (int i = 0; i < 300; i++) {
		put(&f, i, 1, 100);
		done += complete(&f);
	}
	WAIT(1000, done == 299, done += complete(&f));
	EQ(run_program(f.object, "release_all"), 1);
	WAIT(1000, done == 300, done += complete(&f));
	close(f.link);
	xsk_close(&f.xsk);
}

/* Frames that were received wait, too, and leave through the queue that they came by. */
TEST(queue__received_frames)
{
	struct bpf_object *object = object_load("queue");
	struct queue_vars *vars = object_vars(object);
	int tap = tap_open(setup.peer), seen = 0;
	uint64_t tags[64];

	xdp_attach(program_fd(object, "rx_to_queue"), setup.ifindex, true);
	usleep(20000);
	for (int i = 0; i < 20; i++)
		tap_send(tap, setup.peer_ifindex, i, 100);
	WAIT(2000, vars->queued == 20, usleep(1000));
	vars->rewrite = 2;
	EQ(run_program(object, "release_all"), 20);
	WAIT(2000, seen == 20, {
		int n = tap_read(tap, tags, 64, NULL);

		for (int i = 0; i < n; i++)
			EQ(tags[i], 256 + seen + i);
		seen += n;
	});
	/* Some are left when program, map and device go. */
	for (int i = 0; i < 20; i++)
		tap_send(tap, setup.peer_ifindex, i, 100);
	WAIT(2000, vars->queued == 40, usleep(1000));
	xdp_detach(setup.ifindex, true);
}

static void timer_sends(const char *start, int count, uint64_t interval)
{
	struct fixture f;
	int done = 0, seen = 0;
	uint64_t tags[64], began;
	uint64_t sum = 0, worst = 0, median = 0;

	setup_queue(&f, "to_queue_0");
	put(&f, 0, count, 100);
	f.vars->interval = interval;
	began = now_ns();
	EQ(run_program(f.object, start), 0);
	WAIT(20000, done == count && seen == count, done += complete(&f);
	     seen += tap_read(f.tap, tags, 64, NULL); usleep(1000));
	EQ(f.vars->errors, 0);
	/* One frame per callback and queue, hence not before count * interval */
	CHECK(now_ns() - began >= (uint64_t)(count - 1) * interval);
	for (int i = 0; i < 64; i++)
		sum += f.vars->late[i];
	for (uint64_t i = 0, n = 0; i < 64; i++) {
		n += f.vars->late[i];
		if (n * 2 >= sum && !median)
			median = i + 1;
		if (f.vars->late[i])
			worst = i;
	}
	printf("# callbacks %llu, late by: median < %llu us, worst < %llu us%s\n",
	       (unsigned long long)sum, (unsigned long long)median,
	       (unsigned long long)worst + 1, worst == 63 ? " (or more)" : "");
	report(strcmp(start, "start_pacer") ? "timer_softirq_late_us_median" :
					      "timer_pacer_late_us_median",
	       median);
	close(f.link);
	xsk_close(&f.xsk);
}

TEST(queue__timer_in_softirq_sends)
{
	timer_sends("start_softirq", 300, 20000);
}

TEST(queue__timer_in_pacer_sends)
{
	timer_sends("start_pacer", 300, 20000);
}

TEST(queue__pacer_needs_a_map_with_a_thread)
{
	struct bpf_object *object = object_load("queue");
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_PACER);

	EQ(run_program(object, "start_pacer_without_thread"), -EINVAL);
	/* and a thread needs a map that can have timers */
	CHECK(bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "x", 8, 8, 8, &opts) < 0);
}

/* The map goes away while its timers are running: softirq and thread. */
TEST(queue__timers_end_with_their_map)
{
	for (int round = 0; round < 10; round++) {
		struct fixture f;

		setup_queue(&f, "to_queue_0");
		f.vars->interval = 3000;
		put(&f, 0, 200, 100);
		EQ(run_program(f.object, round & 1 ? "start_pacer" : "start_softirq"), 0);
		usleep(round * 300);
		bpf_object__close(f.object);
		close(f.link);
		xsk_close(&f.xsk);
		umem_free(f.umem);
		close(f.tap);
	}
}

/* Random drops, queueing and sending; every descriptor completes once. */
static void accounting(int total, uint64_t seconds)
{
	enum { CHUNKS = 480 };
	uint8_t busy[CHUNKS] = {};
	struct fixture f;
	int sent = 0, done = 0;
	uint64_t addr;

	setup_queue(&f, "to_queue");
	f.vars->drop_every = 5;
	f.vars->queue_every = 2;
	f.vars->interval = 20000;
	f.vars->batch = 16;
	EQ(run_program(f.object, "start_softirq"), 0);
	WAIT(seconds * 1000, done == total,
	     while (sent < total && !busy[sent % CHUNKS]) {
		     int chunk = sent % CHUNKS;

		     frame_write(f.umem, chunk * CHUNK, sent, 60);
		     if (!tx_put(&f.xsk, chunk * CHUNK, 60, 0))
			     break;
		     busy[chunk] = 1;
		     sent++;
	     }
	     kick(&f.xsk);
	     while (comp_get(&f.xsk, &addr)) {
		     CHECK(addr % CHUNK == 0 && addr / CHUNK < CHUNKS && busy[addr / CHUNK]);
		     busy[addr / CHUNK] = 0;
		     done++;
	     });
	EQ(f.vars->runs, total);
	EQ(ring_used(&f.xsk.comp), 0);
	CHECK(f.vars->dropped && f.vars->sent);
	EQ(f.vars->errors, 0);
	close(f.link);
	xsk_close(&f.xsk);
}

TEST(queue__accounting)
{
	accounting(20000, 120);
}

/* Only when asked for by its whole name: takes minutes under emulation. */
TEST(million_frames_accounting)
{
	accounting(1000000, 3600);
}

/* Map, program, link, socket, device in any order, with frames waiting and moving */
TEST(queue__teardown_under_traffic)
{
	for (int round = 0; round < 24; round++) {
		struct fixture f;
		int order = round % 6;

		setup_queue(&f, "to_queue");
		f.vars->drop_every = 7;
		f.vars->queue_every = round % 3;
		f.vars->interval = 5000;
		put(&f, 0, 200, 200);
		if (round & 8)
			EQ(run_program(f.object, round & 16 ? "start_pacer" : "start_softirq"), 0);
		usleep(100 * (round % 5));
		if (order == 0 || order == 3)
			xsk_close(&f.xsk);
		if (order == 5) {
			link_up(setup.device, false);
			run_program(f.object, "release_all");
		}
		if (order != 1 && order != 4)
			bpf_object__close(f.object);
		if (order == 2 || order == 4)
			close(f.link);
		if (order == 1 || order == 2)
			xsk_close(&f.xsk);
		if (order == 1 || order == 4) {
			/* the socket is gone, its frames are still in the map */
			run_program(f.object, "release_all");
			bpf_object__close(f.object);
		}
		if (order == 4 || order == 5)
			xsk_close(&f.xsk);
		if (order != 2 && order != 4)
			close(f.link);
		if (order == 5)
			link_up(setup.device, true);
		umem_free(f.umem);
		close(f.tap);
	}
}

/* A frame whose socket has gone is dropped by whoever finds it; none is ever sent. */
TEST(queue__frames_of_a_closed_socket)
{
	struct fixture f;
	uint64_t tags[64];

	setup_queue(&f, "to_queue_0");
	put(&f, 0, 50, 100);
	EQ(waiting(&f, 0), 50);
	xsk_close(&f.xsk);
	umem_free(f.umem);
	usleep(100000); /* the pool goes by a work item */
	EQ(run_program(f.object, "release_all"), 0);
	EQ(waiting(&f, 0), 0);
	EQ(tap_read(f.tap, tags, 64, NULL), 0);
	close(f.link);
}

/* An application that hands in the same chunk again while the kernel holds it */
TEST(queue__the_same_chunk_twice)
{
	struct fixture f;
	int done = 0;

	setup_queue(&f, "to_queue_0");
	frame_write(f.umem, 0, 0, 100);
	for (int i = 0; i < 100; i++)
		CHECK(tx_put(&f.xsk, 0, 100, 0));
	WAIT(2000, !ring_used(&f.xsk.tx), kick_always(&f.xsk));
	EQ(waiting(&f, 0), 100);
	EQ(run_program(f.object, "release_all"), 100);
	WAIT(1000, done == 100, done += complete(&f));
	close(f.link);
	xsk_close(&f.xsk);
}
