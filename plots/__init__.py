# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Figures, comparison tables and the report, all made from stored results alone."""
