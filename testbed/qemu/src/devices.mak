# SPDX-License-Identifier: GPL-2.0-or-later
# Copyright (c) The eTran artifact authors
#
# Devices of a node in virtual time; what they need is selected by QEMU's Kconfig.
CONFIG_I440FX=y
CONFIG_HPET=y
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_NET=y
CONFIG_VIRTIO_9P=y
CONFIG_FSDEV_9P=y
