// SPDX-License-Identifier: MIT
// Copyright (c) The eTran artifact authors
/* bpf_rbtree_lower_bound, root, left, right against a sorted array */
#include <string.h>

#include <bpf/libbpf.h>

#include "kit.h"

TEST(tree__agrees_with_a_sorted_array)
{
	struct bpf_object *object = object_load("tree");
	struct tree_vars *vars = object_vars(object);
	uint64_t model[400], seed = 1;
	int count = 0;

	for (int step = 0; step < 1500; step++) {
		int at = 0;

		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		vars->op = seed >> 60 & 3;
		vars->key = (seed >> 33) % 1000;
		if (vars->op == TREE_ADD && count == 400)
			continue;
		EQ(run_program(object, "act"), 0);
		while (at < count && model[at] < vars->key)
			at++;
		switch (vars->op) {
		case TREE_ADD:
			memmove(model + at + 1, model + at, (count - at) * sizeof(*model));
			model[at] = vars->key;
			count++;
			break;
		case TREE_LOWER_BOUND:
			EQ(vars->status, at < count);
			if (at < count)
				EQ(vars->found, model[at]);
			break;
		case TREE_REMOVE:
			EQ(vars->status, at < count);
			if (at < count) {
				EQ(vars->found, model[at]);
				count--;
				memmove(model + at, model + at + 1, (count - at) * sizeof(*model));
			}
			break;
		case TREE_LARGEST:
			EQ(vars->status, count > 0);
			if (count)
				EQ(vars->found, model[count - 1]);
			CHECK(vars->depth <= 18);
			break;
		}
	}
}
