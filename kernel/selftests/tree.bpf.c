/* SPDX-License-Identifier: GPL-2.0-only */
/* Copyright (c) The eTran artifact authors */
/* An ordered tree against the model in tree_test.c */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "vars.h"

char LICENSE[] SEC("license") = "GPL";

extern void *bpf_obj_new_impl(__u64 local_type_id, void *meta) __ksym;
extern void bpf_obj_drop_impl(void *p, void *meta) __ksym;
extern int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node,
			       _Bool(less)(struct bpf_rb_node *a, const struct bpf_rb_node *b),
			       void *meta, __u64 off) __ksym;
extern struct bpf_rb_node *bpf_rbtree_remove(struct bpf_rb_root *root,
					     struct bpf_rb_node *node) __ksym;
extern struct bpf_rb_node *bpf_rbtree_root(struct bpf_rb_root *root) __ksym;
extern struct bpf_rb_node *bpf_rbtree_left(struct bpf_rb_root *root,
					   struct bpf_rb_node *node) __ksym;
extern struct bpf_rb_node *bpf_rbtree_right(struct bpf_rb_root *root,
					    struct bpf_rb_node *node) __ksym;
extern struct bpf_rb_node *
bpf_rbtree_lower_bound(struct bpf_rb_root *root, __u64 key,
		       _Bool(less)(struct bpf_rb_node *node, __u64 key)) __ksym;

#define contains(name, node)                                                      \
	__attribute__((btf_decl_tag("contains:" #name ":" #node)))
#define private(name) SEC(".data." #name) __attribute__((aligned(8)))
#define node_of(p) ((struct entry *)((char *)(p) - __builtin_offsetof(struct entry, node)))

struct entry {
	__u64 key;
	struct bpf_rb_node node;
};

private(tree) struct bpf_spin_lock lock;
private(tree) struct bpf_rb_root tree contains(entry, node);

struct tree_vars vars;

static bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	return node_of(a)->key < node_of(b)->key;
}

static bool less_key(struct bpf_rb_node *node, __u64 wanted)
{
	return node_of(node)->key < wanted;
}

SEC("xdp")
int act(struct xdp_md *ctx)
{
	struct bpf_rb_node *node;
	struct entry *entry;

	vars.status = 0;
	if (vars.op == TREE_ADD) {
		entry = bpf_obj_new_impl(bpf_core_type_id_local(struct entry), NULL);
		if (!entry)
			return 1;
		entry->key = vars.key;
		bpf_spin_lock(&lock);
		bpf_rbtree_add_impl(&tree, &entry->node, less, NULL, 0);
		bpf_spin_unlock(&lock);
		vars.status = 1;
	} else if (vars.op == TREE_LOWER_BOUND) {
		bpf_spin_lock(&lock);
		node = bpf_rbtree_lower_bound(&tree, vars.key, less_key);
		if (node) {
			vars.found = node_of(node)->key;
			vars.status = 1;
		}
		bpf_spin_unlock(&lock);
	} else if (vars.op == TREE_REMOVE) {
		bpf_spin_lock(&lock);
		node = bpf_rbtree_lower_bound(&tree, vars.key, less_key);
		if (node)
			node = bpf_rbtree_remove(&tree, node);
		bpf_spin_unlock(&lock);
		if (node) {
			entry = node_of(node);
			vars.found = entry->key;
			vars.status = 1;
			bpf_obj_drop_impl(entry, NULL);
		}
	} else { /* the largest, by hand from the root; and that left < node */
		bpf_spin_lock(&lock);
		node = bpf_rbtree_root(&tree);
		vars.depth = 0;
		for (int i = 0; i < 32 && node; i++) {
			struct bpf_rb_node *left = bpf_rbtree_left(&tree, node), *right;

			if (left && node_of(left)->key > node_of(node)->key)
				vars.status = 2;
			vars.found = node_of(node)->key;
			vars.depth++;
			right = bpf_rbtree_right(&tree, node);
			if (!right)
				break;
			node = right;
		}
		if (vars.depth && vars.status != 2)
			vars.status = 1;
		bpf_spin_unlock(&lock);
	}
	return 0;
}
