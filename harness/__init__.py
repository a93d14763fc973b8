# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Command line, packages, caches and test runner behind the `run` script."""
