// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
/* AF_XDP transmission without any program: what every later test builds on. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "kit.h"

/* Send `total` frames of `len` bytes; every descriptor completes once and every frame arrives. */
static void send_all(struct xsk *xsk, int tap, uint32_t total, uint32_t len)
{
	uint32_t window = xsk->tx.size < xsk->umem->chunks ? xsk->tx.size : xsk->umem->chunks;
	uint32_t sent = 0, done = 0, seen = 0, got_len = 0;
	uint8_t *busy = calloc(xsk->umem->chunks, 1);
	uint64_t addr, tags[64];

	if (window > 256)
		window = 256;
	WAIT(30000, done == total && (tap < 0 || seen == total),
	     /* A frame that nobody takes at the other end is lost there. */
	     while (sent < total && sent - done < window && (tap < 0 || sent - seen < 64)) {
		     uint64_t chunk = sent % window;

		     if (busy[chunk])
			     break;
		     frame_write(xsk->umem, chunk * CHUNK, sent, len);
		     if (!tx_put(xsk, chunk * CHUNK, len, 0))
			     break;
		     busy[chunk] = 1;
		     sent++;
	     }
	     if (done < total)
		     kick(xsk);
	     while (comp_get(xsk, &addr)) {
		     CHECK(addr % CHUNK == 0 && addr / CHUNK < window && busy[addr / CHUNK]);
		     busy[addr / CHUNK] = 0;
		     done++;
	     }
	     if (tap >= 0) {
		     int n = tap_read(tap, tags, 64, &got_len);

		     for (int i = 0; i < n; i++)
			     EQ(tags[i], seen + i);
		     if (n)
			     EQ(got_len, len);
		     seen += n;
	     });
	EQ(ring_used(&xsk->comp), 0);
	free(busy);
}

TEST(xsk_tx__every_frame_arrives_and_completes_once)
{
	struct umem *umem = umem_new(512);
	struct xsk_opts opts = xsk_defaults();
	int tap = tap_open(setup.peer);
	struct xsk xsk;

	xsk_open(&xsk, umem, &opts);
	send_all(&xsk, tap, 5000, 64);
	send_all(&xsk, tap, 1000, 1514);
	EQ(tx_invalid(&xsk), 0);
	xsk_close(&xsk);
}

TEST(xsk_tx__small_rings)
{
	struct umem *umem = umem_new(64);
	struct xsk_opts opts = xsk_defaults();
	int tap = tap_open(setup.peer);
	struct xsk xsk;

	opts.ring = 8;
	xsk_open(&xsk, umem, &opts);
	send_all(&xsk, tap, 1000, 100);
	xsk_close(&xsk);
}

/* Receive into the UMEM, also when the fill ring was empty for a while. */
TEST(xsk_rx__redirected_frames_arrive)
{
	bool native = setup.mode == MODE_ZC;
	struct umem *umem = umem_new(512);
	struct xsk_opts opts = xsk_defaults();
	int out = tap_open(setup.peer), seen = 0;
	struct bpf_object *object = object_load("redirect");
	int key = 0, map = map_fd(object, "sockets");
	struct xdp_desc desc;
	struct xsk xsk;

	xsk_open(&xsk, umem, &opts);
	OK(bpf_map_update_elem(map, &key, &xsk.fd, BPF_ANY));
	xdp_attach(program_fd(object, "to_socket"), setup.ifindex, native);
	for (int round = 0; round < 3; round++) {
		/* Fewer buffers than frames: the rest waits in the device or is lost. */
		for (int i = 0; i < 64; i++)
			CHECK(fill_put(&xsk, (i + 64 * round) * CHUNK));
		if (*xsk.fill.flags & XDP_RING_NEED_WAKEUP)
			recvfrom(xsk.fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
		for (int i = 0; i < 50; i++)
			tap_send(out, setup.peer_ifindex, i, 300);
		seen = 0;
		WAIT(3000, seen == 50, while (rx_get(&xsk, &desc)) {
			struct frame *frame = (void *)(umem->area + desc.addr);

			EQ(desc.len, 300);
			EQ(frame->magic, FRAME_MAGIC);
			EQ(frame->tag, seen++);
			fill_put(&xsk, desc.addr & ~(uint64_t)(CHUNK - 1));
		});
	}
	xdp_detach(setup.ifindex, native);
	xsk_close(&xsk);
}

/* When the kernel does not ask for a wakeup it must not need one. */
TEST(xsk_tx__need_wakeup_is_enough)
{
	struct umem *umem = umem_new(64);
	struct xsk_opts opts = xsk_defaults();
	uint64_t addr;
	struct xsk xsk;

	xsk_open(&xsk, umem, &opts);
	for (int i = 0; i < 2000; i++) {
		frame_write(umem, 0, i, 64);
		CHECK(tx_put(&xsk, 0, 64, 0));
		kick(&xsk); /* once: a lost wakeup hangs the test */
		WAIT(2000, comp_get(&xsk, &addr), usleep(10));
	}
	xsk_close(&xsk);
}

TEST(xsk_tx__completion_ring_full_is_backpressure)
{
	struct umem *umem = umem_new(64);
	struct xsk_opts opts = xsk_defaults();
	struct xsk xsk;
	uint64_t addr;
	int done = 0;

	opts.ring = 16;
	xsk_open(&xsk, umem, &opts);
	for (int i = 0; i < 16; i++) {
		frame_write(umem, i * CHUNK, i, 64);
		CHECK(tx_put(&xsk, i * CHUNK, 64, 0));
	}
	WAIT(1000, ring_used(&xsk.comp) == 16, kick_always(&xsk));
	for (int i = 16; i < 32; i++) {
		frame_write(umem, i * CHUNK, i, 64);
		CHECK(tx_put(&xsk, i * CHUNK, 64, 0));
	}
	for (int i = 0; i < 10; i++) {
		kick_always(&xsk);
		usleep(1000);
	}
	EQ(ring_used(&xsk.comp), 16);
	EQ(ring_used(&xsk.tx), 16);
	WAIT(1000, done == 32, kick_always(&xsk); done += comp_get(&xsk, &addr));
	xsk_close(&xsk);
}

/* Close with frames in flight, again and again: the queue must be reusable and complete. */
TEST(xsk_tx__close_under_traffic)
{
	struct umem *umem = umem_new(512);
	struct xsk_opts opts = xsk_defaults();
	struct xsk xsk;

	for (int round = 0; round < 20; round++) {
		xsk_open(&xsk, umem, &opts);
		for (int i = 0; i < 300; i++) {
			frame_write(umem, i * CHUNK, i, 1000);
			tx_put(&xsk, i * CHUNK, 1000, 0);
		}
		kick_always(&xsk);
		xsk_close(&xsk);
	}
	xsk_open(&xsk, umem, &opts);
	send_all(&xsk, -1, 500, 64);
	xsk_close(&xsk);
}

TEST(xsk_tx__device_down_and_up)
{
	struct umem *umem = umem_new(512);
	struct xsk_opts opts = xsk_defaults();
	struct xsk xsk;

	xsk_open(&xsk, umem, &opts);
	for (int round = 0; round < 5; round++) {
		int done = 0;
		uint64_t addr;

		for (int i = 0; i < 100; i++) {
			frame_write(umem, i * CHUNK, i, 500);
			CHECK(tx_put(&xsk, i * CHUNK, 500, 0));
		}
		kick_always(&xsk);
		link_up(setup.device, false);
		usleep(2000);
		kick_always(&xsk);
		link_up(setup.device, true);
		WAIT(5000, done == 100, kick_always(&xsk); done += comp_get(&xsk, &addr));
	}
	xsk_close(&xsk);
}

/* The stack shares the queue with AF_XDP and must lose nothing. */
TEST(xsk_tx__beside_the_stack)
{
	struct umem *umem = umem_new(512);
	struct xsk_opts opts = xsk_defaults();
	int tap = tap_open(setup.peer), out = tap_open(setup.device);
	int from_stack = 0, from_xsk = 0, done = 0;
	uint64_t tags[64], addr;
	struct xsk xsk;

	xsk_open(&xsk, umem, &opts);
	for (int i = 0; i < 200; i++) {
		frame_write(umem, i * CHUNK, i, 200);
		CHECK(tx_put(&xsk, i * CHUNK, 200, 0));
		kick(&xsk);
		tap_send(out, setup.ifindex, 1 << 20, 200);
	}
	WAIT(5000, done == 200 && from_stack == 200 && from_xsk == 200,
	     kick(&xsk);
	     while (comp_get(&xsk, &addr)) done++;
	     for (int n = tap_read(tap, tags, 64, NULL); n--;)
		     if (tags[n] == 1 << 20) from_stack++;
		     else from_xsk++;);
	xsk_close(&xsk);
}

TEST(xsk_tx__two_sockets_share_a_queue)
{
	struct umem *umem = umem_new(512);
	struct xsk_opts opts = xsk_defaults();
	int tap = tap_open(setup.peer), seen[2] = {}, done = 0;
	struct xsk xsk[2];
	uint64_t tags[64], addr;

	xsk_open(&xsk[0], umem, &opts);
	opts.shared = &xsk[0];
	opts.queue = UINT32_MAX;
	xsk_open(&xsk[1], umem, &opts);
	for (int i = 0; i < 200; i++)
		for (int s = 0; s < 2; s++) {
			uint64_t at = (i + s * 200) * CHUNK;

			frame_write(umem, at, s, 100);
			CHECK(tx_put(&xsk[s], at, 100, 0));
		}
	WAIT(5000, done == 400 && seen[0] == 200 && seen[1] == 200,
	     kick(&xsk[0]); kick(&xsk[1]);
	     while (comp_get(&xsk[0], &addr)) done++;
	     for (int n = tap_read(tap, tags, 64, NULL); n--;) seen[tags[n] & 1]++;);
	xsk_close(&xsk[1]);
	xsk_close(&xsk[0]);
}

/* Whatever stands in the descriptor, the kernel takes it once and gives it back once. */
TEST(xsk_tx__invalid_descriptors_complete_once)
{
	static const struct xdp_desc bad[] = {
		{.addr = 0, .len = 0},
		{.addr = 0, .len = CHUNK + 1},
		{.addr = CHUNK - 10, .len = 64},
		{.addr = 512ULL * CHUNK, .len = 64},
		{.addr = ~0ULL, .len = 64},
		{.addr = ~0ULL - CHUNK, .len = 0xffffffff},
		{.addr = 0, .len = 64, .options = 1 << 2},
		{.addr = 0, .len = 64, .options = 1 << 3},
		{.addr = 0, .len = 64, .options = 1U << 31},
		{.addr = 0, .len = 64, .options = ~3U},
	};
	enum { N = sizeof(bad) / sizeof(bad[0]) };
	struct umem *umem = umem_new(512);
	struct xsk_opts opts = xsk_defaults();
	int tap = tap_open(setup.peer), seen = 0;
	uint32_t counts[N + 1] = {}, done = 0;
	struct xsk xsk;
	uint64_t tags[64], addr;

	xsk_open(&xsk, umem, &opts);
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < N; i++) {
			frame_write(umem, 100 * CHUNK, 7, 64);
			CHECK(tx_put(&xsk, bad[i].addr, bad[i].len, bad[i].options));
			CHECK(tx_put(&xsk, 100 * CHUNK, 64, 0));
		}
		WAIT(2000, done == 2 * N * (round + 1), kick_always(&xsk); while (comp_get(&xsk, &addr)) {
			for (int i = 0; i < N; i++)
				if (addr == bad[i].addr) {
					counts[i]++;
					goto next;
				}
			EQ(addr, 100 * CHUNK);
			counts[N]++;
		next:
			done++;
		});
	}
	EQ(counts[N], 10 * N);
	EQ(tx_invalid(&xsk), 10 * N);
	WAIT(2000, seen == 10 * N, seen += tap_read(tap, tags, 64, NULL));
	xsk_close(&xsk);
}
