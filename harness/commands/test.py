# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Run the tests: unit, python, lint and vm, or the suites named.

  unit    C++ unit tests and micro-benchmarks that only have to run (ctest)
  python  Python tests that need no virtual machine (pytest)
  lint    formatters and linters over the whole tree
  vm      tests in virtual machines: kernel, cluster, provisioning, a figure end to end (pytest)
  kernel  selftests of the kernel series in small machines, zero copy and copy mode
  debug   the kernel with KASAN, lockdep, kmemleak and UBSAN, in a virtual machine
  asan    the unit suite with address and undefined-behaviour sanitizers
  tsan    the unit suite with the thread sanitizer

The last line is `N passed, N failed, N skipped`; the exit status is 1 when anything failed.
"""

from __future__ import annotations

import argparse

from harness import console, packages, suites


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(suites.SUITES)}")
    parser.add_argument("-k", dest="match", metavar="EXPR", help="only tests whose name matches")
    parser.add_argument("-v", "--verbose", action="store_true", help="show all output")


def main(args: argparse.Namespace) -> int:
    chosen = suites.pick(args.suites)
    packages.ensure(sorted({g for s in chosen for g in s.packages}))
    total = suites.Tally()
    failures: list[str] = []
    for suite in chosen:
        with console.step(f"{suite.name} tests", suite.estimate_s):
            tally = suite.run(args.match, args.verbose)
        console.info(f"   {suite.name}: {tally}")
        failures += [f"{suite.name}: {name}" for name in tally.failures]
        total += tally
    for name, reason in total.skips:
        print(f"skipped: {name}: {reason}")
    for name in failures:
        print(f"FAILED: {name}")
    if total.passed + total.failed == 0:
        print("FAILED: no test ran")
        failures.append("no test ran")
    print(total)
    return 1 if failures or total.failed else 0
