# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""`./run kernel`: build the kernel, or say what is built."""

from __future__ import annotations

import argparse
import json

from harness import console
from kernel import build, kconfig, tree


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--flavour",
        choices=[*kconfig.FLAVOURS, "all"],
        default="release",
        help="release: measurements; debug: KASAN, lockdep, kmemleak, UBSAN (default: release)",
    )
    parser.add_argument("--rebuild", action="store_true", help="build even if it is cached")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--status", action="store_true", help="say what is built; build nothing")
    what.add_argument(
        "--path", action="store_true", help="print only the folder of the kernel (after building)"
    )
    what.add_argument(
        "--tree",
        metavar="DIR",
        help="make DIR a git tree of the source with the series as commits, to work on patches",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def main(args: argparse.Namespace) -> int:
    if args.status:
        rows = build.status()
        print(json.dumps(rows, indent=2) if args.json else _table(rows))
        return 0
    flavours = kconfig.FLAVOURS if args.flavour == "all" else [args.flavour]
    if args.tree:
        tree.create(args.tree, flavours[0])
        return 0
    kernels = [build.build(flavour, rebuild=args.rebuild) for flavour in flavours]
    if args.path:
        print("\n".join(str(kernel.dir) for kernel in kernels))
    elif args.json:
        wanted = {kernel.flavour for kernel in kernels}
        print(json.dumps([r for r in build.status() if r["flavour"] in wanted], indent=2))
    else:
        for kernel in kernels:
            console.info(f"{kernel.flavour}: Linux {kernel.release} in {kernel.dir}")
    return 0


def _table(rows: list[dict]) -> str:
    lines = []
    for row in rows:
        if row["built"]:
            size = f"{row['size_bytes'] / 1e6:.0f} MB"
            cost = f"built in {console.duration(row['seconds'])}"
            text = f"Linux {row['release']}, {size}, {cost}\n          {row['dir']}"
        else:
            text = row["problem"] or "not built (./run kernel --flavour " + row["flavour"] + ")"
        lines.append(f"{row['flavour']:<8}  {text}")
    return "\n".join(lines)
