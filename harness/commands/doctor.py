# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""What works on this machine, and why not. Looks only: installs, builds and starts nothing."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

from harness import cache, packages
from harness.errors import UserError

GIB = 2**30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="a list of {check, ok, detail, hint}")


def _row(check: str, ok: bool | None, detail: str, hint: str = "") -> dict:
    """ok None: neither good nor bad, for information."""
    return {"check": check, "ok": ok, "detail": detail, "hint": hint}


def _system() -> Iterator[dict]:
    release = Path("/etc/debian_version")
    version = release.read_text().strip() if release.exists() else "not Debian"
    yield _row(
        "system",
        version.startswith("12") and platform.machine() == "x86_64",
        f"Debian {version}, {platform.machine()}",
        "made for Debian 12 on x86-64",
    )
    cores = len(os.sched_getaffinity(0))
    yield _row("cores", cores >= 2, f"{cores}", "at least 2 keep the stated times")
    memory = int(Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]) / 2**20
    yield _row("memory", memory >= 8, f"{memory:.1f} GiB free", "ten nodes need 8 GiB")
    yield _row(
        "root",
        os.geteuid() == 0 or bool(shutil.which("sudo")),
        f"uid {os.geteuid()}",
        "only needed to install packages",
    )


def _space() -> Iterator[dict]:
    for name, path, need in (
        ("cache", cache.root(), 12),
        ("results", Path(os.environ.get("ETRAN_RESULTS") or "."), 1),
        ("/dev/shm", Path("/dev/shm"), 1),
        ("/tmp", Path("/tmp"), 1),
    ):
        existing = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
        free = shutil.disk_usage(existing).free / GIB
        good = free >= need and os.access(existing, os.W_OK)
        yield _row(
            f"space for {name}",
            good,
            f"{free:.0f} GiB free at {existing}",
            f"{need} GiB are wanted, writable",
        )


def _packages() -> Iterator[dict]:
    for group, entries in packages.table().items():
        absent = packages.missing([group])
        yield _row(
            f"packages: {entries['_title']}",
            None if absent else True,
            "missing: " + ", ".join(sorted(absent)) if absent else "all installed",
            "installed when needed (as root)" if absent else "",
        )


def _built() -> Iterator[dict]:
    try:
        from kernel import build as kernel_build

        for flavour in ("release", "debug"):
            found = kernel_build.lookup(flavour)
            detail = f"{found.release} at {found.dir}" if found else "not built yet (6 minutes)"
            yield _row(f"kernel, {flavour}", True if found else None, detail)
    except UserError as error:
        yield _row("kernel", None, str(error.what), error.hint or "")
    try:
        from testbed.qemu import build as qemu_build

        found = qemu_build.lookup()
        detail = f"{found.version} at {found.dir}" if found else "not built yet (5 minutes)"
        yield _row("QEMU with virtual time", True if found else None, detail)
    except UserError as error:
        yield _row("QEMU with virtual time", None, str(error.what), error.hint or "")


def _virtualisation() -> Iterator[dict]:
    kvm = Path("/dev/kvm")
    if not kvm.exists():
        detail = "no /dev/kvm"
    elif not os.access(kvm, os.R_OK | os.W_OK):
        detail = "/dev/kvm is there but not for this user"
    else:
        detail = "/dev/kvm opens; a probe boot decides at `./run cluster up`"
    yield _row("KVM", None, detail, "not needed: every figure runs in virtual time without it")


def examine() -> list[dict]:
    parts = (_system, _space, _packages, _built, _virtualisation)
    return [row for part in parts for row in part()]


def main(args: argparse.Namespace) -> int:
    rows = examine()
    if args.json:
        print(json.dumps(rows, indent=1))
    else:
        for row in rows:
            mark = {True: "ok  ", False: "BAD ", None: "-   "}[row["ok"]]
            hint = f"  ({row['hint']})" if row["hint"] and row["ok"] is not True else ""
            print(f"{mark} {row['check']:<34} {row['detail']}{hint}")
    return 1 if any(row["ok"] is False for row in rows) else 0
