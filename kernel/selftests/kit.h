/* SPDX-License-Identifier: MIT */
/* Copyright (c) The eTran artifact authors */
/*
 * What the tests share: registration, checks, AF_XDP sockets written directly on the system calls.
 *
 * No library for AF_XDP on purpose: the tests must be able to write what no library would write
 * into the rings. Each test runs in a process of its own and ends it when a check fails, so that
 * the kernel cleans up after a failure as it does after a crash.
 */
#ifndef ETRAN_SELFTESTS_KIT_H
#define ETRAN_SELFTESTS_KIT_H

#include <linux/bpf.h>
#include <linux/if_xdp.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "vars.h"

/* --- Tests ---------------------------------------------------------------------------------- */

struct test {
	const char *name;
	void (*run)(void);
	const struct test *next;
};

void test_register(struct test *test);

#define TEST(id)                                                                  \
	static void test_##id(void);                                              \
	static struct test entry_##id = {.name = #id, .run = test_##id};          \
	__attribute__((constructor)) static void register_##id(void)              \
	{                                                                         \
		test_register(&entry_##id);                                       \
	}                                                                         \
	static void test_##id(void)

_Noreturn void fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
_Noreturn void skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A number for people and for the table in the documentation: "# name value". */
void report(const char *name, double value);

#define FAIL(...) fail(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(condition)                                                          \
	do {                                                                      \
		if (!(condition))                                                 \
			FAIL("%s", #condition);                                   \
	} while (0)
/* For calls that give -1 and errno, or a negative errno. */
#define OK(call)                                                                  \
	({                                                                        \
		long ok_ = (long)(call);                                          \
		if (ok_ < 0)                                                      \
			FAIL("%s: %ld, errno %m", #call, ok_);                    \
		ok_;                                                              \
	})
#define EQ(a, b)                                                                  \
	do {                                                                      \
		long long a_ = (long long)(a), b_ = (long long)(b);               \
		if (a_ != b_)                                                     \
			FAIL("%s is %lld, expected %s = %lld", #a, a_, #b, b_);   \
	} while (0)

uint64_t now_ns(void);
/* Repeat until the condition holds; after `ms` of guest time the test fails. */
#define WAIT(ms, condition, ...)                                                  \
	do {                                                                      \
		uint64_t end_ = now_ns() + (ms)*1000000ULL;                       \
		while (!(condition)) {                                            \
			__VA_ARGS__;                                              \
			if (now_ns() > end_)                                      \
				FAIL("not within %d ms: %s", (int)(ms), #condition); \
		}                                                                 \
	} while (0)

/* --- The machine: set on the command line ----------------------------------------------------- */

enum mode { MODE_ZC, MODE_COPY };

struct setup {
	const char *device; /* sends */
	const char *peer;   /* receives what `device` sends */
	int ifindex, peer_ifindex;
	enum mode mode;
};

extern struct setup setup;
int sysctl_write(const char *path, const char *text);
void link_up(const char *name, bool up);

/* --- AF_XDP ------------------------------------------------------------------------------------ */

#define CHUNK 4096
#define RING 1024

struct ring {
	uint32_t *producer, *consumer, *flags;
	void *entries;
	uint32_t size;
	void *map;
	size_t map_size;
};

struct umem {
	uint8_t *area;
	uint32_t chunks;
};

struct xsk {
	int fd;
	struct umem *umem;
	struct ring rx, tx, fill, comp;
};

struct xsk_opts {
	const char *device;
	uint32_t queue;
	uint32_t ring;		/* entries of each ring; 0: RING */
	uint32_t umem_flags, headroom;
	uint16_t bind_flags;	/* besides copy or zero copy and need_wakeup */
	bool no_tx, no_rx;
	enum mode mode;
	struct xsk *shared;	/* use the UMEM of this one, on its queue or another */
};

struct umem *umem_new(uint32_t chunks);
/* Options with everything default for the machine under test. */
struct xsk_opts xsk_defaults(void);
void xsk_open(struct xsk *xsk, struct umem *umem, const struct xsk_opts *opts);
/* The same, but an error of bind() is returned as negative errno. */
int xsk_try_open(struct xsk *xsk, struct umem *umem, const struct xsk_opts *opts);
void xsk_close(struct xsk *xsk);
void umem_free(struct umem *umem);

uint32_t ring_used(const struct ring *ring); /* as producer or consumer sees it */
bool tx_put(struct xsk *xsk, uint64_t addr, uint32_t len, uint32_t options);
bool fill_put(struct xsk *xsk, uint64_t addr);
bool comp_get(struct xsk *xsk, uint64_t *addr);
bool rx_get(struct xsk *xsk, struct xdp_desc *desc);
void kick(struct xsk *xsk);	 /* if the kernel asks for it */
void kick_always(struct xsk *xsk);
uint64_t tx_invalid(struct xsk *xsk);

/* A frame of the tests: Ethernet with our own type, a magic, a tag and a pattern. */
#define TEST_ETHERTYPE 0x88b5 /* for local experiments */
struct frame {
	uint8_t dst[6], src[6];
	uint16_t type;
	uint32_t magic;
	uint64_t tag;
} __attribute__((packed));
#define FRAME_MAGIC 0x65747261

void frame_write(struct umem *umem, uint64_t addr, uint64_t tag, uint32_t len);

/* The other end: a packet socket on a device that sees every frame of the tests. */
int tap_open(const char *device);
/* Number of frames taken; tags are appended to `tags` while there is room. */
int tap_read(int fd, uint64_t *tags, int room, uint32_t *len);
void tap_send(int fd, int ifindex, uint64_t tag, uint32_t len);

/* --- BPF ----------------------------------------------------------------------------------------- */

struct bpf_object;
struct bpf_program;
struct bpf_object *object_load(const char *name); /* /bpf/<name>.bpf.o */
/* The verifier's last words when it refused, or NULL when it did not. */
char *object_refused(const char *name, const char *program);
int program_fd(struct bpf_object *object, const char *name);
int map_fd(struct bpf_object *object, const char *name);
/* Run a program once on a frame of 64 bytes and return what it returned. */
int run_program(struct bpf_object *object, const char *name);
/* The variable `vars` of an object, shared with its programs; see vars.h. */
void *object_vars(struct bpf_object *object);
uint32_t link_id(int link_fd);
int link_queue(int prog_fd, int ifindex, uint32_t queue, uint32_t attach_type);
void xdp_attach(int prog_fd, int ifindex, bool native);
void xdp_detach(int ifindex, bool native);

#endif
