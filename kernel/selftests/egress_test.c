// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
/* XDP_EGRESS: verdicts, context, attachment, accounting, teardown. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kit.h"

/* Send `count` frames with tags 1... and wait for the completions. */
static void send_some(struct xsk *xsk, int first, int count, uint32_t len)
{
	int sent = 0, done = 0;
	uint64_t addr;

	WAIT(10000, done == count,
	     while (sent < count && sent - done < 64) {
		     uint64_t at = (uint64_t)((first + sent) % 256) * CHUNK + 512;

		     frame_write(xsk->umem, at, first + sent, len);
		     if (!tx_put(xsk, at, len, 0))
			     break;
		     sent++;
	     }
	     kick(xsk);
	     while (comp_get(xsk, &addr)) {
		     EQ(addr, (uint64_t)(addr / CHUNK) * CHUNK + 512);
		     done++;
	     });
}

static int tap_all(int tap, int expected)
{
	uint64_t tags[64];
	int seen = 0;

	if (expected)
		WAIT(3000, seen >= expected, seen += tap_read(tap, tags, 64, NULL));
	usleep(20000);
	return seen + tap_read(tap, tags, 64, NULL);
}

static void verdict_is(const char *program, int arrive)
{
	struct bpf_object *object = object_load("egress");
	struct umem *umem = umem_new(256);
	struct xsk_opts opts = xsk_defaults();
	int tap = tap_open(setup.peer), link;
	struct xsk xsk;

	link = OK(link_queue(program_fd(object, program), setup.ifindex, 0, BPF_XDP_EGRESS));
	xsk_open(&xsk, umem, &opts);
	send_some(&xsk, 1, 60, 100);
	EQ(tap_all(tap, arrive ? 60 : 0), arrive ? 60 : 0);
	close(link);
	/* Without the link the program is gone at once. */
	send_some(&xsk, 1, 60, 100);
	EQ(tap_all(tap, 60), 60);
	xsk_close(&xsk);
}

TEST(egress__tx_sends)
{
	verdict_is("pass", 1);
}

TEST(egress__drop_completes_and_sends_nothing)
{
	verdict_is("drop", 0);
}

TEST(egress__aborted_drops)
{
	verdict_is("aborted", 0);
}

TEST(egress__any_other_value_drops)
{
	verdict_is("not_a_verdict", 0);
}

TEST(egress__context)
{
	struct bpf_object *object = object_load("egress");
	struct egress_vars *vars = object_vars(object);
	struct umem *umem = umem_new(256);
	struct xsk_opts opts = xsk_defaults();
	struct xdp_options2 {
		uint32_t flags, umem_id;
	} options = {};
	socklen_t length = sizeof(options);
	struct xsk xsk;
	int link;

	xsk_open(&xsk, umem, &opts);
	link = OK(link_queue(program_fd(object, "look"), setup.ifindex, 0, BPF_XDP_EGRESS));
	send_some(&xsk, 1, 10, 100);
	EQ(vars->runs, 10);
	EQ(vars->seen_queue, 0);
	EQ(vars->seen_ifindex, setup.ifindex);
	OK(getsockopt(xsk.fd, SOL_XDP, XDP_OPTIONS, &options, &length));
	EQ(length, 8);
	CHECK(options.umem_id != 0);
	EQ(vars->seen_umem, options.umem_id);
	/* The length of before the field was there still works. */
	length = 4;
	OK(getsockopt(xsk.fd, SOL_XDP, XDP_OPTIONS, &options, &length));
	EQ(length, 4);
	close(link);
	xsk_close(&xsk);
}

TEST(egress__head_tail_and_metadata)
{
	struct bpf_object *object = object_load("egress");
	struct egress_vars *vars = object_vars(object);
	struct umem *umem = umem_new(256);
	struct xsk_opts opts = xsk_defaults();
	int tap = tap_open(setup.peer), link;
	uint64_t meta = 4711, tag = 0, addr;
	uint32_t len = 0;
	struct xsk xsk;

	xsk_open(&xsk, umem, &opts);
	link = OK(link_queue(program_fd(object, "reshape"), setup.ifindex, 0, BPF_XDP_EGRESS));
	/* The payload's pattern belongs to the tag that the program will set. */
	frame_write(umem, 1024, meta, 100);
	((struct frame *)(umem->area + 1024))->tag = 1;
	memcpy(umem->area + 1024 - 8, &meta, 8);
	CHECK(tx_put(&xsk, 1024, 100, 0));
	WAIT(1000, comp_get(&xsk, &addr), kick(&xsk));
	EQ(addr, 1024);
	EQ(vars->errors, 0);
	WAIT(1000, tap_read(tap, &tag, 1, &len));
	EQ(tag, meta);
	EQ(len, 96);
	close(link);
	xsk_close(&xsk);
}

/* Back to the receive ring of the socket's own queue, by copy. */
TEST(egress__redirect_to_socket)
{
	struct bpf_object *object = object_load("egress");
	struct umem *umem = umem_new(1024);
	struct xsk_opts opts = xsk_defaults();
	int tap = tap_open(setup.peer), link, key = 0, got = 0;
	struct xdp_desc desc;
	struct xsk xsk;

	xsk_open(&xsk, umem, &opts);
	OK(bpf_map_update_elem(map_fd(object, "sockets"), &key, &xsk.fd, BPF_ANY));
	link = OK(link_queue(program_fd(object, "to_socket"), setup.ifindex, 0, BPF_XDP_EGRESS));
	/* A driver in zero-copy mode takes as many as its ring has entries. */
	for (int i = 256; i < 1024; i++)
		CHECK(fill_put(&xsk, (uint64_t)i * CHUNK));
	recvfrom(xsk.fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
	send_some(&xsk, 1, 50, 200);
	WAIT(1000, got == 50, while (rx_get(&xsk, &desc)) {
		struct frame *frame = (void *)(umem->area + desc.addr);

		CHECK(desc.addr / CHUNK >= 256);
		EQ(desc.len, 200);
		EQ(frame->tag, ++got);
	});
	EQ(tap_all(tap, 0), 0);
	close(link);
	xsk_close(&xsk);
}

/* Without anywhere to go the frame is dropped, and completes. */
TEST(egress__redirect_to_nowhere)
{
	verdict_is("to_socket", 0);
}

TEST(egress__attachment_rules)
{
	struct bpf_object *object = object_load("egress");
	int pass = program_fd(object, "pass"), drop = program_fd(object, "drop"), link, twin;
	struct bpf_link_info info = {};
	uint32_t size = sizeof(info);
	struct xsk_opts opts = xsk_defaults();
	struct umem *umem = umem_new(64);
	struct xsk xsk;
	int err;

	link = OK(link_queue(pass, setup.ifindex, 0, BPF_XDP_EGRESS));
	EQ(link_queue(pass, setup.ifindex, 0, BPF_XDP_EGRESS), -EBUSY);
	EQ(link_queue(pass, setup.ifindex, 0, BPF_XDP), -EINVAL);
	EQ(link_queue(pass, setup.ifindex, 4000, BPF_XDP_EGRESS), -EINVAL);
	EQ(link_queue(pass, 99999, 0, BPF_XDP_EGRESS), -ENODEV);
	/* Not as an ordinary XDP program. */
	CHECK(bpf_xdp_attach(setup.ifindex, pass, XDP_FLAGS_DRV_MODE, NULL) < 0);
	CHECK(bpf_xdp_attach(setup.ifindex, pass, XDP_FLAGS_SKB_MODE, NULL) < 0);
	twin = program_fd(object_load("redirect"), "to_socket");
	EQ(link_queue(twin, setup.ifindex, 0, BPF_XDP_EGRESS), -EINVAL);
	OK(bpf_obj_get_info_by_fd(link, &info, &size));
	EQ(((uint32_t *)&info)[0], 15); /* BPF_LINK_TYPE_XDP_QUEUE */
	/* Replaced in place. */
	OK(bpf_link_update(link, drop, NULL));
	/* Packets of several buffers would pass the program in pieces. */
	opts.bind_flags = XDP_USE_SG;
	err = xsk_try_open(&xsk, umem, &opts);
	CHECK(err == -EOPNOTSUPP);
	close(xsk.fd);
	close(link);
	usleep(20000);
	if (setup.mode == MODE_COPY) {
		xsk_open(&xsk, umem, &opts);
		EQ(link_queue(pass, setup.ifindex, 0, BPF_XDP_EGRESS), -EOPNOTSUPP);
		xsk_close(&xsk);
	}
}

/* Somebody without rights who has been given the socket cannot attach or take away anything. */
TEST(egress__the_owner_of_the_socket_has_no_say)
{
	struct bpf_object *object = object_load("egress");
	int pass = program_fd(object, "pass"), drop = program_fd(object, "drop");
	struct umem *umem = umem_new(256);
	struct xsk_opts opts = xsk_defaults();
	int tap = tap_open(setup.peer), status;
	struct xsk xsk;
	pid_t pid;

	OK(link_queue(drop, setup.ifindex, 0, BPF_XDP_EGRESS));
	xsk_open(&xsk, umem, &opts);
	pid = OK(fork());
	if (!pid) {
		uint32_t id = 0;

		OK(setgid(65534));
		OK(setuid(65534));
		CHECK(link_queue(pass, setup.ifindex, 0, BPF_XDP_EGRESS) < 0);
		CHECK(bpf_link_get_next_id(0, &id) < 0);
		send_some(&xsk, 1, 20, 100);
		_exit(0);
	}
	OK(waitpid(pid, &status, 0));
	EQ(status, 0);
	EQ(tap_all(tap, 0), 0);
	xsk_close(&xsk);
}

/* A packet of several buffers does not get around the program. */
TEST(egress__packets_of_several_buffers_are_dropped)
{
	struct bpf_object *object = object_load("egress");
	struct umem *umem = umem_new(256);
	struct xsk_opts opts = xsk_defaults();
	int tap = tap_open(setup.peer), link, done = 0;
	struct xsk xsk;
	uint64_t addr;

	xsk_open(&xsk, umem, &opts);
	link = OK(link_queue(program_fd(object, "pass"), setup.ifindex, 0, BPF_XDP_EGRESS));
	for (int i = 0; i < 30; i++) {
		frame_write(umem, i * CHUNK, i, 100);
		CHECK(tx_put(&xsk, i * CHUNK, 100, i % 3 == 2 ? 0 : XDP_PKT_CONTD));
	}
	WAIT(2000, done == 30, kick_always(&xsk); while (comp_get(&xsk, &addr)) done++);
	EQ(tap_all(tap, 0), 0);
	/* Whole frames pass again. */
	send_some(&xsk, 1, 20, 100);
	EQ(tap_all(tap, 20), 20);
	close(link);
	xsk_close(&xsk);
}

/* Descriptors in = completions out, each address as often as it was put in. */
TEST(egress__accounting)
{
	enum { TOTAL = 20000, CHUNKS = 256 };
	struct bpf_object *object = object_load("egress");
	struct egress_vars *vars = object_vars(object);
	struct umem *umem = umem_new(CHUNKS + 256);
	struct xsk_opts opts = xsk_defaults();
	int link, key = 0, sent = 0, done = 0;
	uint8_t busy[CHUNKS] = {};
	struct xsk xsk;
	struct xdp_desc desc;
	uint64_t addr;

	xsk_open(&xsk, umem, &opts);
	OK(bpf_map_update_elem(map_fd(object, "sockets"), &key, &xsk.fd, BPF_ANY));
	for (int i = 0; i < 256; i++)
		CHECK(fill_put(&xsk, (uint64_t)(CHUNKS + i) * CHUNK));
	vars->drop_every = 3;
	vars->redirect_every = 7;
	link = OK(link_queue(program_fd(object, "choose"), setup.ifindex, 0, BPF_XDP_EGRESS));
	WAIT(60000, done == TOTAL,
	     while (sent < TOTAL && !busy[sent % CHUNKS]) {
		     int chunk = sent % CHUNKS;

		     frame_write(umem, chunk * CHUNK, sent, 64);
		     if (!tx_put(&xsk, chunk * CHUNK, 64, 0))
			     break;
		     busy[chunk] = 1;
		     sent++;
	     }
	     kick(&xsk);
	     while (comp_get(&xsk, &addr)) {
		     CHECK(addr % CHUNK == 0 && addr / CHUNK < CHUNKS && busy[addr / CHUNK]);
		     busy[addr / CHUNK] = 0;
		     done++;
	     }
	     while (rx_get(&xsk, &desc)) {
		     CHECK(desc.addr / CHUNK >= CHUNKS);
		     fill_put(&xsk, desc.addr & ~(uint64_t)(CHUNK - 1));
	     });
	EQ(vars->runs, TOTAL);
	usleep(10000);
	EQ(ring_used(&xsk.comp), 0);
	close(link);
	xsk_close(&xsk);
}

/* An application that fills its ring all the time while everything is dropped */
TEST(egress__endless_drops_do_not_hog_the_processor)
{
	struct bpf_object *object = object_load("egress");
	struct umem *umem = umem_new(256);
	struct xsk_opts opts = xsk_defaults();
	uint64_t end, addr;
	struct xsk xsk;
	int link;

	xsk_open(&xsk, umem, &opts);
	link = OK(link_queue(program_fd(object, "drop"), setup.ifindex, 0, BPF_XDP_EGRESS));
	end = now_ns() + 50000000;
	while (now_ns() < end) {
		while (tx_put(&xsk, 0, 64, 0))
			;
		kick(&xsk);
		while (comp_get(&xsk, &addr))
			;
	}
	close(link);
	xsk_close(&xsk);
}

/* Link, program, socket and device in any order, with frames under way */
TEST(egress__teardown_under_traffic)
{
	struct xsk_opts opts = xsk_defaults();

	for (int round = 0; round < 24; round++) {
		struct bpf_object *object = object_load("egress");
		struct egress_vars *vars = object_vars(object);
		struct umem *umem = umem_new(512);
		int link, key = 0;
		struct xsk xsk;

		vars->drop_every = 3;
		vars->redirect_every = 2;
		xsk_open(&xsk, umem, &opts);
		OK(bpf_map_update_elem(map_fd(object, "sockets"), &key, &xsk.fd, BPF_ANY));
		for (int i = 256; i < 512; i++)
			fill_put(&xsk, (uint64_t)i * CHUNK);
		link = OK(link_queue(program_fd(object, "choose"), setup.ifindex, 0,
				     BPF_XDP_EGRESS));
		for (int i = 0; i < 200; i++) {
			frame_write(umem, i * CHUNK, i, 200);
			tx_put(&xsk, i * CHUNK, 200, 0);
		}
		kick_always(&xsk);
		switch (round % 4) {
		case 0:
			close(link);
			xsk_close(&xsk);
			bpf_object__close(object);
			break;
		case 1:
			xsk_close(&xsk);
			close(link);
			bpf_object__close(object);
			break;
		case 2:
			bpf_object__close(object);
			link_up(setup.device, false);
			xsk_close(&xsk);
			close(link);
			link_up(setup.device, true);
			break;
		case 3:
			umem_free(umem);
			umem = NULL;
			kick_always(&xsk);
			xsk_close(&xsk);
			bpf_object__close(object);
			close(link);
			break;
		}
		if (umem)
			umem_free(umem);
	}
}
