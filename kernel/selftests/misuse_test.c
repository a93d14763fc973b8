// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
/* What the verifier must refuse, and why. */
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kit.h"

static void refused(const char *program, const char *why)
{
	char *log = object_refused("misuse", program);

	if (!log)
		FAIL("%s was accepted", program);
	if (!strstr(log, why)) {
		size_t length = strlen(log);

		FAIL("%s was refused, but not with '%s':\n%s", program, why,
		     log + (length > 1500 ? length - 1500 : 0));
	}
}

TEST(misuse__the_correct_program_is_accepted)
{
	char *log = object_refused("misuse", "correct");

	if (log)
		FAIL("refused:\n%s", log);
}

#define REFUSED(program, why)                                                     \
	TEST(misuse__##program)                                                   \
	{                                                                         \
		refused(#program, why);                                           \
	}

REFUSED(leak, "Unreleased reference")
REFUSED(unchecked, "ossibly NULL pointer passed to trusted arg")
REFUSED(send_twice, "pointer type STRUCT bpf_pkt must point to")
REFUSED(drop_after_enqueue, "pointer type STRUCT bpf_pkt must point to")
REFUSED(dynptr_after_send, "Expected an initialized dynptr")
REFUSED(slice_after_send, "invalid mem access 'scalar'")
REFUSED(clone_after_drop, "Expected an initialized dynptr")
REFUSED(slice_beyond_its_size, "invalid access to memory")
REFUSED(write_to_readonly_slice, "cannot write into rdonly_")
REFUSED(dequeue_from_array, "must be a map of type pkt_queue")
REFUSED(dequeue_from_map_value, "must be a map of type pkt_queue")
REFUSED(lookup_in_queue, "cannot pass map_type")
REFUSED(write_into_pkt, "Permission denied")
REFUSED(send_a_number, "pointer type STRUCT bpf_pkt must point to")
REFUSED(dynptr_of_context, "R1")
REFUSED(egress_to_device_map, "cannot pass map_type")
REFUSED(egress_to_device, "cannot use helper bpf_redirect")
REFUSED(gen_to_socket, "cannot pass map_type")
REFUSED(write_umem_id, "invalid bpf_context access")
REFUSED(direct_data_after_adjust, "invalid mem access 'scalar'")
