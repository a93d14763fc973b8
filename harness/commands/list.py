# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The experiments: what each compares, what it is waiting for, how long it takes."""

from __future__ import annotations

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="machine-readable")
    parser.add_argument("--scale", choices=("smoke", "quick", "full"), default="quick")


def main(args: argparse.Namespace) -> int:
    from experiments import registry
    from experiments.model import Scale

    scale = Scale(args.scale)
    described = [registry.describe(f, scale) for f in registry.figures().values()]
    if args.json:
        print(json.dumps(described, indent=1))
        return 0
    for figure in described:
        ready = [s for s in figure["systems"] if s not in figure["pending"]]
        state = f"{figure['minutes']:.1f} min" if figure["runnable"] else "-"
        print(f"{figure['id']:<12} {state:>8}  {figure['title']}")
        if ready:
            print(f"{'':<23}runs:    {', '.join(ready)}")
        if figure["pending"]:
            print(f"{'':<23}pending: {', '.join(figure['pending'])}")
    return 0
