# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The kernel source: finding it, unpacking it, applying the patch series."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness import cache, proc
from harness.errors import CommandFailed, UserError

PACKAGE = "linux-source-6.12"
TARBALL = Path("/usr/src/linux-source-6.12.tar.xz")
# Another tarball, for example linux-6.12.y.tar.xz of kernel.org.
VARIABLE = "ETRAN_KERNEL_SOURCE"
PATCHES = Path(__file__).with_name("patches")


@dataclass(frozen=True)
class Source:
    """Where the source comes from. `identity` is part of the cache key."""

    tarball: Path
    identity: str  # "linux-source-6.12 6.12.117-1~deb12u1", or the tarball's name and digest


def find() -> Source:
    """The tarball that $ETRAN_KERNEL_SOURCE names, else Debian's. UserError when it is missing."""
    if chosen := os.environ.get(VARIABLE):
        tarball = Path(chosen).resolve()
        if not tarball.is_file():
            raise UserError(f"{VARIABLE} names no file", tarball, "a linux-6.12.y tarball")
        return Source(tarball, f"{tarball.name} {cache.digest(tarball)}")
    query = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", PACKAGE]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=False).stdout.split()
    except FileNotFoundError:
        answer = []
    if len(answer) != 2 or answer[0] != "installed" or not TARBALL.is_file():
        raise UserError(
            f"the kernel source is missing: Debian's package {PACKAGE} is not installed",
            TARBALL,
            f"apt-get install {PACKAGE}, or set {VARIABLE} to a linux-6.12.y tarball",
        )
    return Source(TARBALL, f"{PACKAGE} {answer[1]}")


def unpack(source: Source, tree: Path, log: Path) -> None:
    """Unpack into the new folder `tree`, without the tarball's own top folder."""
    tree.mkdir()
    proc.run(
        ["tar", "--extract", "--strip-components=1", "--file", source.tarball, "--directory", tree],
        log=log,
        nice=True,
    )
    makefile = tree / "Makefile"
    if not makefile.is_file():
        raise UserError("this tarball holds no kernel source", source.tarball)
    if version(tree)[:2] != (6, 12):
        found = ".".join(map(str, version(tree)))
        raise UserError(f"this is Linux {found}, the series is for 6.12.y", source.tarball)


def version(tree: Path) -> tuple[int, int, int]:
    """VERSION, PATCHLEVEL, SUBLEVEL of the top Makefile."""
    text = (tree / "Makefile").read_text(encoding="utf-8")
    found = {}
    for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL"):
        match = re.search(rf"^{name} = (\d+)$", text, re.MULTILINE)
        if not match:
            raise UserError(f"no {name} in the kernel's Makefile", tree / "Makefile")
        found[name] = int(match[1])
    return found["VERSION"], found["PATCHLEVEL"], found["SUBLEVEL"]


def series(folder: Path = PATCHES) -> list[Path]:
    """The patches in the order of folder/series: each file named once, each name a file."""
    path = folder / "series"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"cannot read the patch series: {error.strerror}", path) from error
    patches: list[Path] = []
    for number, raw in enumerate(lines, 1):
        name = raw.split("#", 1)[0].strip()
        if not name:
            continue
        where = f"{path}:{number}"
        if "/" in name or not name.endswith(".patch"):
            raise UserError(f"not the name of a patch: {name!r}", where, "one *.patch per line")
        patch = folder / name
        if patch in patches:
            raise UserError(f"{name} stands twice in the series", where)
        if not patch.is_file():
            raise UserError(f"the series names a patch that does not exist: {name}", where)
        patches.append(patch)
    if forgotten := sorted(set(folder.glob("*.patch")) - set(patches)):
        names = ", ".join(patch.name for patch in forgotten)
        raise UserError(f"patches that the series does not name: {names}", path, "add or remove")
    return patches


def apply(tree: Path, patches: list[Path], log: Path) -> None:
    """Apply in order, without fuzz: what is built is exactly what was reviewed."""
    for number, patch in enumerate(patches, 1):
        options = ["-p1", "--fuzz=0", "--batch", "--forward", "--no-backup-if-mismatch"]
        try:
            proc.run(["patch", *options, "-i", patch.resolve()], cwd=tree, log=log)
        except CommandFailed as error:
            found = ".".join(map(str, version(tree))) if (tree / "Makefile").is_file() else "?"
            raise UserError(
                f"patch {number} of {len(patches)} does not apply to Linux {found}:\n"
                + "\n".join(f"  | {line}" for line in error.output.rstrip().splitlines()[-15:]),
                patch,
                "rebase it (git am in a tree of that version, git format-patch back),"
                " or mend the order in the series",
            ) from error
