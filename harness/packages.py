# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Debian packages: which part needs which (packages.toml), what is missing, installing it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import tomllib

from harness import console, proc
from harness.errors import CommandFailed, UserError

TABLE = Path(__file__).with_name("packages.toml")

# Set by `./run --no-install`: say what is missing instead of installing it.
refuse_install = False


def table() -> dict[str, dict[str, str]]:
    """group -> package -> reason; the key _title holds the group's own name."""
    with TABLE.open("rb") as file:
        return tomllib.load(file)


def missing(groups: list[str]) -> dict[str, str]:
    """Packages of the groups that are not installed, with the reason each is wanted."""
    known = table()
    for group in groups:
        if group not in known:
            raise UserError(f"there is no package group {group!r}", TABLE)
    wanted = {p: why for g in groups for p, why in known[g].items() if p != "_title"}
    if not shutil.which("dpkg-query"):
        raise UserError("this is not a Debian system: dpkg-query was not found")
    listing = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *sorted(wanted)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    have = {line.split()[0] for line in listing.splitlines() if line.endswith(" installed")}
    return {p: why for p, why in wanted.items() if p not in have}


def ensure(groups: list[str]) -> None:
    """Install what is missing, after saying what and why; UserError when that is not possible."""
    absent = missing(groups)
    if not absent:
        return
    width = max(map(len, absent))
    listing = "\n".join(f"  {p:<{width}}  {why}" for p, why in sorted(absent.items()))
    command = "apt-get install --no-install-recommends " + " ".join(sorted(absent))
    if refuse_install:
        raise UserError(
            f"{len(absent)} Debian packages are missing (--no-install was given):\n{listing}",
            hint=f"as root: {command}",
        )
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if prefix and not shutil.which("sudo"):
        raise UserError(
            f"{len(absent)} Debian packages are missing and only root can install them:\n{listing}",
            hint=f"as root: {command}",
        )
    console.info(f"Installing {len(absent)} Debian packages:\n{listing}")
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1", "apt-get"]
    apt += ["-q", "-o", "DPkg::Lock::Timeout=300"]
    try:
        with console.step("packages", estimate_s=20 + 3 * len(absent)):
            proc.run([*apt, "update"])
            proc.run([*apt, "install", "-y", "--no-install-recommends", *sorted(absent)])
    except CommandFailed as error:
        error.hint = f"mend apt, or install by hand as root: {command}"
        raise
