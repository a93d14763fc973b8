# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Our numbers beside the paper's, over the newest run of each figure (or of one run)."""

from __future__ import annotations

import argparse
import json

from harness import console


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="figures (default: all)")
    parser.add_argument("--run", help="only this run (a name, a path, `latest` or `sample`)")
    parser.add_argument("--json", action="store_true", help="one flat list of rows")


def main(args: argparse.Namespace) -> int:
    from experiments import compare

    rows, problems = compare.newest(args.ids, args.run)
    if args.json:
        print(json.dumps(rows, indent=1))
    else:
        from plots import paper, table

        print(table.table(rows, paper.default()))
    for problem in problems:
        console.warn(str(problem))
    return 2 if problems else 0
