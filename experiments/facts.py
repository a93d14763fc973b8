# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""What a run's record says about where it was made: machine, operating system, git revision."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from pathlib import Path

from experiments.store import ROOT


def machine() -> dict:
    cpu = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory_kib = int(Path("/proc/meminfo").read_text().split()[1])
    release = dict(
        line.split("=", 1)
        for line in Path("/etc/os-release").read_text().splitlines()
        if "=" in line
    )
    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_kib / 2**20, 1),
        "os": release.get("PRETTY_NAME", "").strip('"'),
        "host_kernel": platform.release(),
        "python": platform.python_version(),
    }


def git() -> dict:
    """Revision of the checkout; `dirty` when files differ from it, then `changes` is a hash of how;
    revision None without git."""

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    revision = ask("rev-parse", "HEAD")
    if not revision:
        return {"revision": None, "dirty": None, "changes": None}
    differs = ask("diff", "HEAD") or ""
    new = (ask("ls-files", "--others", "--exclude-standard") or "").split("\n")
    known = hashlib.sha256(differs.encode())
    for path in filter(Path.is_file, (ROOT / name for name in new if name)):
        known.update(path.read_bytes())
    dirty = bool(differs or any(new))
    return {
        "revision": revision,
        "dirty": dirty,
        "changes": known.hexdigest()[:16] if dirty else None,
    }
