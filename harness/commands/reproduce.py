# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Run experiments on the emulated cluster (or on real machines), then plot and compare.

Results go to results/<run>/; open results/<run>/index.html. An interrupted run resumes when the
same command is given again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from harness import console, packages
from harness.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", nargs="*", metavar="ID", help="figures, e.g. H1 T4 (default: all)")
    parser.add_argument(
        "--scale",
        choices=("smoke", "quick", "full"),
        default="quick",
        help="smoke: one figure, a minute; quick: all, about 25 minutes; full: more points, hours",
    )
    parser.add_argument(
        "--inventory", type=Path, metavar="FILE", help="Ansible inventory of real machines"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of all randomness (default: 1)")
    parser.add_argument("--fresh", action="store_true", help="do not resume an interrupted run")


def main(args: argparse.Namespace) -> int:
    if args.seed < 1 or args.seed > 1_000_000:
        raise UserError(f"--seed must lie between 1 and 1000000, not {args.seed}")
    from experiments import engine
    from experiments.backends import Emulated, Inventory
    from experiments.model import Scale

    scale = Scale(args.scale)
    figures = engine.choose(args.ids, scale)
    if args.inventory and not args.inventory.exists():
        raise UserError("the inventory does not exist", args.inventory, "see ansible/README.md")
    groups = ["build", "plot", "ansible"]
    packages.ensure(groups if args.inventory else [*groups, "kernel", "qemu-build", "vm"])
    backend = Inventory(args.inventory) if args.inventory else Emulated()
    run = engine.reproduce(figures, scale, backend, args.seed, args.fresh)
    return _finish(run, scale)


def _finish(run, scale) -> int:
    """Plots, report, table; figures that failed do not keep the others from being shown."""
    from experiments import compare, registry
    from plots import cli as plots_cli
    from plots import paper, table

    catalogue = [registry.describe(f, scale) for f in registry.figures().values()]
    with console.step("plots and report"):
        problems = plots_cli.draw_run(run.directory, catalogue=catalogue)
    rows, unread = compare.rows_of(run)
    print(table.table(rows, paper.default()))
    for problem in [*problems, *unread]:
        console.warn(str(problem))
    failed = {i: s for i, s in run.meta["figures"].items() if s["status"] == "failed"}
    for figure, state in failed.items():
        error = state["error"]
        console.info(f"FAILED {figure}: {error['message']}")
        if error.get("output"):
            console.info(error["output"])
    console.info(f"results: {run.directory}")
    console.info(f"report:  {run.directory / 'index.html'}")
    return 1 if failed or problems or unread else 0
