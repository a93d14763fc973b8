// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
/* The example of kernel/README.md runs beside this and drops what we send. */
#include <unistd.h>

#include "kit.h"

TEST(hello__drops_what_is_sent)
{
	struct umem *umem = umem_new(64);
	struct xsk_opts opts = xsk_defaults();
	int tap = tap_open(setup.peer), done = 0;
	uint64_t tags[8], addr;
	struct xsk xsk;

	if (access("/run/hello", F_OK))
		skip("the example is not running");
	xsk_open(&xsk, umem, &opts);
	for (int i = 0; i < 5; i++) {
		frame_write(umem, i * CHUNK, i, 64);
		CHECK(tx_put(&xsk, i * CHUNK, 64, 0));
	}
	WAIT(2000, done == 5, kick(&xsk); done += comp_get(&xsk, &addr));
	usleep(20000);
	EQ(tap_read(tap, tags, 8, NULL), 0);
	xsk_close(&xsk);
}
