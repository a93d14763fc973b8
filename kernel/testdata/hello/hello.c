// SPDX-License-Identifier: GPL-2.0-only
/* Copyright (c) The eTran artifact authors */
/* The smallest out-of-tree module: proves that the installed headers are enough to build one. */

#include <linux/module.h>
#include <linux/netdevice.h>

static int __init hello_init(void)
{
	struct net_device *lo = dev_get_by_name(&init_net, "lo");

	/* Uses a structure whose layout depends on the configuration, and an exported symbol. */
	pr_info("etran hello: %s has mtu %u\n", lo->name, lo->mtu);
	dev_put(lo);
	return 0;
}

static void __exit hello_exit(void)
{
	pr_info("etran hello: bye\n");
}

module_init(hello_init);
module_exit(hello_exit);
MODULE_DESCRIPTION("Test of out-of-tree module builds");
MODULE_LICENSE("GPL");
