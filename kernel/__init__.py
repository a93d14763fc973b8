# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The Linux kernel of the artifact: source, patch series, configuration, build."""
