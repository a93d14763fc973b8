# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Formatters and linters over every file that git knows (or would add). To add one: checks()."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness import build
from harness.build import ROOT

C_SUFFIXES = (".c", ".h", ".cc")
# Patched into QEMU's tree, whose style they follow and whose headers they need.
QEMU_SOURCES = "testbed/qemu/src/"
SPDX_BY_NAME = re.compile(r"SPDX-License-Identifier: (MIT|GPL-2\.0-only|GPL-2\.0-or-later)")
SPDX_SUFFIXES = (".c", ".h", ".cc", ".py", ".sh", ".cmake", ".yml", ".toml", ".config", ".j2")


@dataclass(frozen=True)
class Check:
    """run() returns the complaints, or an empty string."""

    name: str
    run: Callable[[], str]
    fix: str


def tracked() -> list[str]:
    """Files of the checkout; outside git (a source archive), every file not under build*/."""
    done = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        names = done.stdout.splitlines()
    else:
        names = [str(p.relative_to(ROOT)) for p in ROOT.rglob("*") if p.is_file()]
        names = [n for n in names if not n.startswith(("build", ".git/"))]
    return sorted(n for n in names if (ROOT / n).is_file())


def _shebang(name: str) -> str:
    with (ROOT / name).open("rb") as file:
        first = file.readline(80)
    return first.decode(errors="replace") if first.startswith(b"#!") else ""


def _files(*suffixes: str) -> list[str]:
    return [n for n in tracked() if n.endswith(suffixes)]


def _python() -> list[str]:
    return sorted({*_files(".py"), *(n for n in tracked() if "python3" in _shebang(n))})


def _shell() -> list[str]:
    return sorted(
        {*_files(".sh"), *(n for n in tracked() if re.search(r"/(ba)?sh\b", _shebang(n)))}
    )


def _c() -> list[str]:
    """C and C++ in the project's own style; kernel code has the kernel's (checkpatch.pl)."""
    return [n for n in _files(*C_SUFFIXES) if not n.startswith("kernel/")]


def _tool(argv: list[str], files: list[str], cwd: Path = ROOT) -> str:
    if not files:
        return ""
    done = subprocess.run(
        [*argv, *files],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PATH": f"/usr/bin:{os.environ.get('PATH', '')}"},
    )
    out = (done.stdout + done.stderr).strip()
    return "" if done.returncode == 0 else out or f"{argv[0]} ended with {done.returncode}"


def _clang_tidy() -> str:
    build.configure()
    commands = json.loads((build.BUILD / "compile_commands.json").read_text())
    known = set(tracked())
    units = sorted(
        name
        for c in commands
        if (name := os.path.relpath(c["file"], ROOT)) in known and not name.endswith("_test.cc")
    )
    units = [u for u in dict.fromkeys(units) if not u.endswith("_bench.cc")]
    argv = ["clang-tidy", "-p", str(build.BUILD), "--quiet"]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return "\n".join(filter(None, pool.map(lambda unit: _tool(argv, [unit]), units)))


def _spdx() -> str:
    wanting = []
    for name in tracked():
        if not (name.endswith(SPDX_SUFFIXES) or _shebang(name)):
            continue
        head = "\n".join((ROOT / name).read_text(errors="replace").splitlines()[:6])
        if not SPDX_BY_NAME.search(head):
            wanting.append(f"{name}: no SPDX-License-Identifier in its first lines")
    return "\n".join(wanting)


def checks() -> list[Check]:
    c_files = [n for n in _c() if not n.startswith(QEMU_SOURCES)]
    return [
        Check(
            "clang-format",
            lambda: _tool(["clang-format", "--dry-run", "-Werror"], c_files),
            "clang-format -i FILE",
        ),
        Check("clang-tidy", _clang_tidy, "see .clang-tidy"),
        Check("black", lambda: _tool(["/usr/bin/black", "-q", "--check"], _python()), "black FILE"),
        Check("isort", lambda: _tool(["isort", "-q", "--check"], _python()), "isort FILE"),
        Check("flake8", lambda: _tool(["flake8"], _python()), "see setup.cfg"),
        Check("shellcheck", lambda: _tool(["shellcheck", "-x"], _shell()), "see its wiki page"),
        Check("shfmt", lambda: _tool(["shfmt", "-i", "4", "-d"], _shell()), "shfmt -i 4 -w FILE"),
        Check(
            "yamllint", lambda: _tool(["yamllint", "-s"], _files(".yml", ".yaml")), "see .yamllint"
        ),
        Check(
            "ansible-lint",
            lambda: _tool(["ansible-lint", "--offline", "-q"], ["ansible"]),
            "see .ansible-lint",
        ),
        Check("licences", _spdx, "add the SPDX line"),
    ]
