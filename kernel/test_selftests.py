# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Runs the kernel's selftests in small machines: `./run test kernel`."""

from __future__ import annotations

import pytest

from kernel import build, selftests, vm
from kernel.kconfig import FLAVOURS

MODES = ("zc", "copy")
MEMORY_MB = {"release": 512, "debug": 1024}
TIMEOUT = {"release": 900, "debug": 3000}


def test_parse__counts_and_reasons() -> None:
    outcome = selftests.parse(
        ["ok a 0.1", "# why", "not ok b 0.2", "skip c 0.0", "# value v 3", "# exit 1"]
        + ["kernel: WARNING: x", "kernel: harmless"]
    )
    assert outcome.passed == ["a"] and outcome.skipped == ["c"]
    assert outcome.failed == {"b": "# why"}
    assert outcome.values == {"v": 3}
    assert outcome.reports == ["kernel: WARNING: x"]


def test_parse__a_program_that_did_not_end_is_a_failure() -> None:
    assert selftests.parse(["ok a 0.1", "dead"]).failed == {"the test program itself": "dead"}
    assert selftests.parse(["usage", "# exit 2"]).failed


def _run(flavour: str, mode: str, cpus: int, tmp_path) -> selftests.Outcome:
    if why := vm.why_not():
        pytest.skip(why)
    kernel, programs = selftests.programs(flavour)
    return selftests.machine(
        kernel.vmlinux,
        programs,
        tmp_path,
        mode,
        cpus=cpus,
        memory_mb=MEMORY_MB[flavour],
        timeout=TIMEOUT[flavour],
    )


@pytest.mark.vm
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("cpus", [1, 2])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_kernel_selftests(flavour: str, mode: str, cpus: int, tmp_path) -> None:
    """All selftests; on the debug flavour when that kernel is built (`./run kernel`)."""
    if flavour == "debug" and not build.lookup(flavour):
        pytest.skip("the debug kernel is not built: ./run kernel --flavour debug")
    outcome = _run(flavour, mode, cpus, tmp_path)
    for name, value in outcome.values.items():
        print(f"{name}: {value}")
    why = "\n".join(f"{name}\n{text}" for name, text in outcome.failed.items())
    assert not outcome.failed, why
    assert not outcome.reports, "\n".join(outcome.reports)
    assert outcome.passed


@pytest.mark.vm
def test_kernel_selftests_example_of_the_readme(tmp_path) -> None:
    """hello egress, taken from README.md, compiled, run, and seen to drop."""
    if why := vm.why_not():
        pytest.skip(why)
    kernel, programs = selftests.programs("release")
    files = selftests.example(programs.binary.parent, programs.binary.parent / "include")
    outcome = selftests.machine(
        kernel.vmlinux,
        programs,
        tmp_path,
        "copy",
        before="cd /; /hello va > /run/hello & sleep 3",
        after="sleep 2; tail -n 1 /run/hello | grep 'dropped 5$' || echo 'not ok hello_says 0.0'",
        more=files,
        match="hello",
    )
    assert not outcome.failed, outcome.failed
    assert outcome.passed == ["hello__drops_what_is_sent"]


@pytest.mark.vm
@pytest.mark.parametrize("mode", MODES)
def test_kernel_selftests_million(mode: str, tmp_path) -> None:
    """A million frames, dropped, queued, sent: as many completions."""
    if why := vm.why_not():
        pytest.skip(why)
    kernel, programs = selftests.programs("release")
    outcome = selftests.machine(
        kernel.vmlinux, programs, tmp_path, mode, match="million_", timeout=3600
    )
    assert not outcome.failed, outcome.failed
    assert outcome.passed == ["million_frames_accounting"]
