# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The emulated cluster: machines, the switch between them, and what runs inside them."""
