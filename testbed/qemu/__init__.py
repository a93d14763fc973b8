# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""QEMU with synchronised virtual time: Debian's QEMU, our patches, our network backend."""
