# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Archives for initial RAM disks (cpio "newc", as the kernel unpacks it).

Written by ourselves because the bytes must depend on nothing but the contents: sorted names, time
zero, owner root, device nodes without being root.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from harness.errors import UserError


@dataclass(frozen=True)
class File:
    """A regular file. `data`: its bytes, or the host's file that holds them."""

    data: bytes | Path
    mode: int = 0o644


@dataclass(frozen=True)
class Folder:
    mode: int = 0o755


@dataclass(frozen=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(frozen=True)
class Device:
    """A device node; kind is "c" or "b"."""

    kind: str
    major: int
    minor: int
    mode: int = 0o600


Entry = File | Folder | Link | Device


def name_of(path: str) -> str:
    """The name in the archive: relative, without . and .. parts."""
    pure = PurePosixPath("/", path)
    if ".." in pure.parts or pure == PurePosixPath("/") or "\0" in path:
        raise UserError(f"{path!r} cannot be a name in an image")
    return str(pure.relative_to("/"))


def complete(entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """The entries by archive name in archive order, with the folders that lead to them."""
    wanted = {name_of(path): entry for path, entry in entries.items()}
    for name in list(wanted):
        for parent in PurePosixPath(name).parents:
            if str(parent) == ".":
                continue
            above = wanted.setdefault(str(parent), Folder())
            if not isinstance(above, Folder):
                raise UserError(f"/{name} is below /{parent}, which is not a folder in the image")
    # By parts, so that a folder comes before everything in it, whatever its name.
    return dict(sorted(wanted.items(), key=lambda item: PurePosixPath(item[0]).parts))


def _header(name: str, number: int, mode: int, size: int, major: int = 0, minor: int = 0) -> bytes:
    links = 2 if stat.S_ISDIR(mode) else 1
    encoded = name.encode(errors="surrogateescape") + b"\0"
    # inode, mode, uid, gid, links, mtime, size, file system (2), device (2), name, checksum
    fields = (number, mode, 0, 0, links, 0, size, 0, 0, major, minor, len(encoded), 0)
    head = b"070701" + b"".join(b"%08X" % value for value in fields) + encoded
    return head + bytes(-len(head) % 4)


def _chunks(data: bytes | Path, size: int) -> Iterator[bytes]:
    if isinstance(data, bytes):
        yield data
        return
    left = size
    with data.open("rb") as file:
        while left and (chunk := file.read(min(left, 1 << 20))):
            left -= len(chunk)
            yield chunk
    if left:
        raise UserError("a file became shorter while it was packed", data, "run it again")


def write(out: BinaryIO, entries: Mapping[str, Entry]) -> None:
    """Write one archive. Several may stand behind each other in one RAM disk: the last wins."""
    for number, (name, entry) in enumerate(complete(entries).items(), start=1):
        if isinstance(entry, Folder):
            out.write(_header(name, number, stat.S_IFDIR | entry.mode, 0))
        elif isinstance(entry, Device):
            kind = {"c": stat.S_IFCHR, "b": stat.S_IFBLK}[entry.kind]
            out.write(_header(name, number, kind | entry.mode, 0, entry.major, entry.minor))
        else:
            if isinstance(entry, Link):
                data: bytes | Path = entry.target.encode()
                mode = stat.S_IFLNK | 0o777
            else:
                data, mode = entry.data, stat.S_IFREG | entry.mode
            size = len(data) if isinstance(data, bytes) else data.stat().st_size
            if size >= 1 << 32:
                raise UserError("is too large for an image (4 GiB)", name)
            out.write(_header(name, number, mode, size))
            for chunk in _chunks(data, size):
                out.write(chunk)
            out.write(bytes(-size % 4))
    out.write(_header("TRAILER!!!", 0, 0, 0))


def write_file(path: Path, entries: Mapping[str, Entry]) -> None:
    with path.open("wb") as out:
        write(out, entries)
