# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""One declaration per figure (figures/) over a small library: what to run, how, what comes out."""
