# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Builds the C++ programs of the checkout into build/ (or build-<sanitizer>/)."""

from __future__ import annotations

import os
from pathlib import Path

from harness import console, packages, proc

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
BIN = BUILD / "bin"

# Programs that a node runs, as the deploy role and the node image install them.
NODE_PROGRAMS = ("etran-agent", "rpcbench", "echobench", "kvbench", "primbench")


def configure(directory: Path = BUILD, tests: bool = True, sanitize: str = "") -> None:
    packages.ensure(["build", "test"] if tests else ["build"])
    proc.run(
        [
            *("cmake", "-S", ROOT, "-B", directory, "-G", "Ninja"),
            f"-DETRAN_TESTS={'ON' if tests else 'OFF'}",
            f"-DETRAN_SANITIZE={sanitize}",
        ],
        log=directory / "configure.log",
    )


def build(
    directory: Path = BUILD, targets: tuple[str, ...] = (), tests: bool = True, sanitize: str = ""
) -> None:
    """Incremental; raises CommandFailed with the compiler's words."""
    estimate = 90 if not directory.exists() else None
    with console.step("C++ programs", estimate):
        configure(directory, tests, sanitize)
        words = ["cmake", "--build", directory, "-j", str(len(os.sched_getaffinity(0)))]
        if targets:
            words += ["--target", *targets]
        proc.run(words, log=directory / "build.log")


def programs() -> dict[str, Path]:
    """Builds and returns what a node runs, by name. Keeps tests configured if they were."""
    tests = (BUILD / "test").exists()
    build(targets=(*NODE_PROGRAMS, "torswitch"), tests=tests)
    return {name: BIN / name for name in NODE_PROGRAMS}
