# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""One module per figure, each with one FIGURE.

To add a figure: a module here, its name in experiments/registry.py, its family's drawing in
plots/, the paper's numbers in results/paper.json.
"""
