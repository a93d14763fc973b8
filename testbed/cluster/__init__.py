# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Launches clusters of virtual machines, in real and in virtual time. See testbed/README.md."""
