# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The test suites behind `./run test`. To add one: a function here and an entry in SUITES."""

from __future__ import annotations

import os
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from harness import build, console, lint, proc
from harness.build import ROOT
from harness.errors import UserError

SHOWN_LINES = 60  # of a failing test's output


@dataclass
class Tally:
    """How many tests ended how; `str()` is the closing line."""

    passed: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)
    skips: list[tuple[str, str]] = field(default_factory=list)

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.passed + other.passed,
            self.failed + other.failed,
            self.failures + other.failures,
            self.skips + other.skips,
        )

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {len(self.skips)} skipped"


@dataclass(frozen=True)
class Suite:
    """run(match, verbose) -> Tally; packages: groups of harness/packages.toml."""

    name: str
    packages: tuple[str, ...]
    estimate_s: float
    run: Callable[[str | None, bool], Tally]


def junit(path: Path) -> Tally:
    """Counts of a JUnit file; the output of each failing test is shown."""
    try:
        cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    except (OSError, ElementTree.ParseError) as error:
        raise UserError(f"the test runner left no usable report: {error}", path) from error
    tally = Tally()
    for case in cases:
        name = ".".join(filter(None, (case.get("classname"), case.get("name"))))
        bad = [e for e in case if e.tag in ("failure", "error")]
        skip = case.find("skipped")
        if bad:
            tally.failed += 1
            tally.failures.append(name)
            text = "\n".join((e.get("message") or "") + "\n" + (e.text or "") for e in bad)
            text += "\n" + (case.findtext("system-out") or "")
            console.info(f"--- {name}")
            console.info("\n".join(text.strip().splitlines()[-SHOWN_LINES:]))
        elif skip is not None or case.get("status") == "notrun":
            reason = (skip.get("message") if skip is not None else None) or "not run"
            tally.skips.append((name, reason))
        else:
            tally.passed += 1
    return tally


def _ctest(match: str | None, verbose: bool, sanitize: str = "") -> Tally:
    directory = ROOT / f"build-{sanitize.split(',')[0]}" if sanitize else build.BUILD
    build.build(directory, tests=True, sanitize=sanitize)
    report = directory / "ctest.xml"
    report.unlink(missing_ok=True)
    words = ["ctest", "--test-dir", directory, "--output-junit", report, "--output-on-failure"]
    words += ["-j", str(len(os.sched_getaffinity(0)))] + (["-R", match] if match else [])
    env = {"TSAN_OPTIONS": "halt_on_error=1", "ASAN_OPTIONS": "detect_leaks=1"}
    done = proc.run(words, check=False, env=env, log=directory / "ctest.log")
    if verbose:
        console.info(done.stdout)
    return junit(report)


def _pytest(match: str | None, verbose: bool, marks: str) -> Tally:
    """pytest in a process of its own; its output is passed on as it comes."""
    with tempfile.TemporaryDirectory(prefix="etran-test-") as scratch:
        report = Path(scratch) / "junit.xml"
        words = ["/usr/bin/python3", "-m", "pytest", "-m", marks, f"--junitxml={report}"]
        words += ["-q", "-p", "no:cacheprovider", f"--rootdir={ROOT}"]
        words += ["-k", match] if match else []
        words += ["-s"] if verbose else []
        env = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
        log = build.BUILD / f"pytest-{marks.replace(' ', '-')}.log"
        log.unlink(missing_ok=True)
        done = proc.run(words, cwd=ROOT, env=env, check=False, log=log)
        if verbose or done.status not in (0, 1, 5):
            sys.stderr.write(done.stdout)
        if done.status == 5:  # nothing was selected
            return Tally()
        return junit(report)


def _python(match: str | None, verbose: bool) -> Tally:
    return _pytest(match, verbose, "not vm")


def _vm(match: str | None, verbose: bool) -> Tally:
    # What the tests share is built first, so that it shows its own progress.
    from kernel import build as kernel_build
    from testbed.qemu import build as qemu_build

    kernel_build.build("release")
    qemu_build.build()
    build.programs()
    return _pytest(match or "not debug and not kernel_selftests", verbose, "vm")


def _debug(match: str | None, verbose: bool) -> Tally:
    from kernel import build as kernel_build

    kernel_build.build("debug")
    return _pytest(match or "debug", verbose, "vm")


def _kernel(match: str | None, verbose: bool) -> Tally:
    from kernel import build as kernel_build

    kernel_build.build("release")
    return _pytest(
        f"kernel_selftests and ({match})" if match else "kernel_selftests", verbose, "vm"
    )


def _lint(match: str | None, verbose: bool) -> Tally:
    tally = Tally()
    for check in lint.checks():
        if match and match not in check.name:
            continue
        problems = check.run()
        if problems:
            tally.failed += 1
            tally.failures.append(f"{check.name} ({check.fix})")
            console.info(f"--- {check.name}\n" + "\n".join(problems.splitlines()[-SHOWN_LINES:]))
        else:
            tally.passed += 1
            if verbose:
                console.info(f"   {check.name}: clean")
    return tally


SUITES: dict[str, Suite] = {
    s.name: s
    for s in (
        Suite("unit", ("build", "test"), 120, _ctest),
        Suite("python", ("build", "test", "plot", "ansible", "vm"), 60, _python),
        Suite("lint", ("build", "test", "lint"), 120, _lint),
        Suite("vm", ("build", "test", "plot", "ansible", "vm", "kernel", "qemu-build"), 900, _vm),
        Suite("kernel", ("build", "test", "vm", "kernel", "kernel-test"), 600, _kernel),
        Suite("debug", ("build", "test", "vm", "kernel"), 900, _debug),
        Suite(
            "asan",
            ("build", "test"),
            180,
            lambda match, verbose: _ctest(match, verbose, "address,undefined"),
        ),
        Suite(
            "tsan", ("build", "test"), 180, lambda match, verbose: _ctest(match, verbose, "thread")
        ),
    )
}


# What `./run test` without a name runs. The sanitizer builds repeat the unit suite, the debug
# kernel takes another ten minutes to build: both are asked for by name.
DEFAULT = ("unit", "python", "lint", "vm")


def pick(names: Iterable[str]) -> list[Suite]:
    unknown = [n for n in names if n not in SUITES]
    if unknown:
        raise UserError(f"unknown suite: {', '.join(unknown)}", hint=f"known: {', '.join(SUITES)}")
    return [SUITES[n] for n in names or DEFAULT]
