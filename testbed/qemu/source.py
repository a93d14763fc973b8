# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""QEMU's source: fetched as Debian's source package, unpacked, our series applied.

apt is used with a configuration, package lists and a cache of its own, so nothing of the user's
set-up is changed, no root rights are needed, and the host may run another Debian release than
the one whose QEMU this is. Signatures are checked by apt against Debian's archive keys.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from harness import cache, proc
from harness.errors import CommandFailed, UserError

# To go to another version: these two lines, then README.md, "Another version of QEMU".
RELEASE = "bookworm"
UPSTREAM = "7.2"

PACKAGE = "qemu"
KIND = "qemu-source"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR = "http://deb.debian.org/debian"
# A Debian mirror instead of MIRROR, or of what the host's own apt uses.
MIRROR_VARIABLE = "ETRAN_DEBIAN_MIRROR"
# A .dsc file with the files that belong to it beside it: nothing is downloaded.
DSC_VARIABLE = "ETRAN_QEMU_DSC"
PATCHES = Path(__file__).with_name("patches")


def fetch(rebuild: bool = False) -> Path:
    """The .dsc of the source package; its other files are in the same folder."""
    if chosen := os.environ.get(DSC_VARIABLE):
        dsc = Path(chosen).resolve()
        if not dsc.is_file():
            raise UserError(f"{DSC_VARIABLE} names no file", dsc, "a qemu_7.2*.dsc")
        return dsc
    entry = cache.get(
        KIND,
        _key(),
        _download,
        label=f"QEMU source ({RELEASE})",
        estimate_s=15,
        rebuild=rebuild,
    )
    return _dsc_in(entry)


def fetched() -> Path | None:
    """What fetch() would return, if nothing has to be downloaded for it."""
    if os.environ.get(DSC_VARIABLE):
        return fetch()
    entry = cache.peek(KIND, _key())
    return _dsc_in(entry) if entry else None


def version(dsc: Path) -> str:
    """Debian's version number of the source package, such as 1:7.2+dfsg-7+deb12u18."""
    found = re.search(r"^Version: (\S+)$", dsc.read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise UserError("this is not the description of a source package", dsc)
    number = found[1].partition(":")[2]
    if not re.match(rf"{re.escape(UPSTREAM)}(?![0-9.])", number):
        raise UserError(f"this is QEMU {found[1]}, the series is for {UPSTREAM}", dsc)
    return found[1]


def series(folder: Path = PATCHES) -> list[Path]:
    """The patches in the order of the file `series`; UserError when they do not match."""
    listing = folder / "series"
    lines = (line.partition("#")[0].strip() for line in listing.read_text().splitlines())
    patches = [folder / line for line in lines if line]
    for patch in patches:
        if not patch.is_file():
            raise UserError(f"the series names {patch.name}, which does not exist", listing)
    if extra := {p.name for p in folder.glob("*.patch")} - {p.name for p in patches}:
        raise UserError(f"{', '.join(sorted(extra))}: not in the series", listing)
    return patches


def unpack(dsc: Path, tree: Path, log: Path) -> None:
    """Into the new folder `tree`, with Debian's own patches applied."""
    proc.run(["dpkg-source", "--no-check", "-x", dsc, tree], cwd=tree.parent, log=log, nice=True)


def apply(patches: Mapping[str, bytes], tree: Path, log: Path) -> None:
    """Apply patches (name -> text) in order; UserError naming patch, file and hunk on a misfit."""
    for name, text in patches.items():
        copy = tree.parent / name
        copy.write_bytes(text)
        words = ["patch", "-p1", "--batch", "--forward", "--fuzz=0", "-i", copy]
        done = proc.run(words, cwd=tree, log=log, check=False)
        if done.status != 0:
            raise UserError(
                f"{name} does not apply: {_misfit(done.stdout)}",
                PATCHES / name,
                f"the series was made for QEMU {UPSTREAM}; all of patch's words are in {log}",
            )
        copy.unlink()


def _misfit(output: str) -> str:
    """The first complaint of patch(1), with the file it is about."""
    file = "?"
    for line in output.splitlines():
        if found := re.match(r"(?:patching|checking) file '?(.+?)'?$", line):
            file = found[1]
        elif re.search(r"FAILED|can't find file|malformed|[Rr]eversed|No such file", line):
            return f"{file}: {line.strip()}"
    return "see the log"


def _key() -> str:
    return cache.digest(RELEASE, UPSTREAM)


def _dsc_in(entry: Path) -> Path:
    return next(entry.glob("*.dsc"))


# ---- apt -----------------------------------------------------------------------------------------


def _download(target: Path, log: Path) -> None:
    if not shutil.which("apt-get"):
        raise UserError(
            "apt-get was not found, so Debian's source package cannot be fetched",
            hint=f"set {DSC_VARIABLE} to a qemu_{UPSTREAM}*.dsc with its files beside it",
        )
    if not KEYRING.is_file():
        raise UserError(
            "Debian's archive keys are missing",
            KEYRING,
            "install the package debian-archive-keyring",
        )
    with tempfile.TemporaryDirectory(prefix="etran-apt-") as name:
        scratch = Path(name)
        environment = {"APT_CONFIG": str(_private_apt(scratch)), "LC_ALL": "C"}
        try:
            proc.run(
                ["apt-get", "-q", "--error-on=any", "update"], env=environment, log=log, timeout=600
            )
            chosen = _newest(environment, log)
            words = ["apt-get", "-q", "source", "--download-only", f"{PACKAGE}={chosen}"]
            proc.run(words, cwd=target, env=environment, log=log, timeout=1200)
        except CommandFailed as error:
            raise UserError(
                f"QEMU's source package could not be fetched from {_mirror()}:\n"
                + "\n".join(f"    | {line}" for line in error.output.splitlines()[-8:]),
                log,
                f"is there a network? {MIRROR_VARIABLE} names another Debian mirror; "
                f"{DSC_VARIABLE} a source package that is here already",
            ) from error


def _newest(environment: dict[str, str], log: Path) -> str:
    """The newest version of UPSTREAM that the mirror has."""
    shown = proc.run(
        ["apt-cache", "showsrc", "--only-source", PACKAGE], env=environment, log=log, check=False
    )
    pattern = rf"^Version: (\d+:{re.escape(UPSTREAM)}(?![0-9.])\S*)$"
    versions = re.findall(pattern, shown.stdout, re.MULTILINE)
    if not versions:
        raise UserError(
            f"{_mirror()} has no source package of QEMU {UPSTREAM} in {RELEASE}",
            log,
            f"{MIRROR_VARIABLE} names another Debian mirror",
        )
    best = versions[0]
    for candidate in versions[1:]:
        words = ["dpkg", "--compare-versions", candidate, "gt", best]
        if subprocess.run(words, check=False).returncode == 0:
            best = candidate
    return best


def _private_apt(scratch: Path) -> Path:
    """A configuration with lists and cache in `scratch`; proxies and the like are the host's."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True)
    sources = scratch / "sources.list"
    sources.write_text(f"deb-src [signed-by={KEYRING}] {_mirror()} {RELEASE} main\n")
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False)
    kept = [line for line in dump.stdout.splitlines() if line.startswith("Acquire::")]
    config = scratch / "apt.conf"
    config.write_text(
        "\n".join(
            [
                *kept,
                'Dir::Etc::main "/dev/null";',
                'Dir::Etc::parts "/dev/null";',
                'Dir::Etc::sourceparts "/dev/null";',
                f'Dir::Etc::sourcelist "{sources}";',
                f'Dir::State::lists "{scratch}/lists";',
                f'Dir::Cache "{scratch}/cache";',
                'APT::Sandbox::User "";',  # else root's apt wants to read our folder as _apt
                "",
            ]
        )
    )
    return config


def _mirror() -> str:
    """$ETRAN_DEBIAN_MIRROR, else the Debian mirror the host uses, else Debian's own."""
    if chosen := os.environ.get(MIRROR_VARIABLE):
        return chosen
    listings = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    for listing in listings:
        if listing.suffix not in (".list", ".sources") or not listing.is_file():
            continue
        text = re.sub(r"(?m)#.*$", "", listing.read_text(errors="replace"))
        if found := re.search(r"https?://\S+/debian/?(?=\s|$)", text):
            return found[0]
    return MIRROR
