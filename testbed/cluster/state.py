# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Where clusters in real time keep their state: one folder each, state.json written atomically.

A folder lives as long as its cluster. Temporary clusters (provisioning) note the launcher that
owns them, so that a later launcher can clear up after one that was killed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from harness import console
from harness.errors import UserError
from testbed.cluster import processes
from testbed.cluster.processes import Process

DEFAULT = "default"
STATE = "state.json"
# sockaddr_un.sun_path, less the longest name of a socket in the folder.
MAX_PATH = 107 - len("/net/port10.sw")


def base() -> Path:
    """$XDG_RUNTIME_DIR/etran, else /tmp/etran-<uid>; ours alone, as others must not plant files."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK):
        folder = Path(runtime) / "etran"
    else:
        folder = Path(tempfile.gettempdir()) / f"etran-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError as error:
        raise UserError(f"cannot keep the cluster's state: {error.strerror}", folder) from error
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise UserError(
            "the folder for the cluster's state belongs to someone else",
            folder,
            "remove it, or set XDG_RUNTIME_DIR to a folder of your own",
        )
    return folder


def folder_of(name: str) -> Path:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", name):
        raise UserError(
            f"{name!r} cannot be a cluster's name", "--name", "use up to 32 letters, digits, . _ -"
        )
    folder = base() / name
    if len(os.fsencode(folder)) > MAX_PATH:
        raise UserError(
            "the path is too long for the sockets in it", folder, "set XDG_RUNTIME_DIR or TMPDIR"
        )
    return folder


def names() -> list[str]:
    return sorted(p.name for p in base().iterdir() if p.is_dir())


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """One launcher at a time per cluster."""
    path = folder_of(name).with_name(f".{name}.lock")
    while True:
        handle = path.open("w")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            raise UserError(
                f"another launcher is working on cluster {name!r}", path, "wait until it is through"
            ) from None
        # Not if the one before us has just deleted it.
        if path.exists() and path.stat().st_ino == os.fstat(handle.fileno()).st_ino:
            break
        handle.close()
    with handle:
        yield
        if not folder_of(name).exists():
            path.unlink(missing_ok=True)


def read(name: str) -> dict | None:
    """The state of a cluster; None when there is none. A damaged file counts as an empty one:
    what runs is found by other means (remove())."""
    try:
        text = (folder_of(name) / STATE).read_text()
    except FileNotFoundError:
        return None
    try:
        loaded = json.loads(text)
        return loaded if isinstance(loaded, dict) else {}
    except ValueError:
        return {}


def write(name: str, state: dict) -> None:
    path = folder_of(name) / STATE
    part = path.with_suffix(".part")
    try:
        part.write_text(json.dumps(state, indent=1) + "\n")
        os.replace(part, path)
    except OSError as error:
        raise no_room(error, path) from error


def no_room(error: OSError, path: Path) -> UserError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UserError("no space is left for the cluster's files", path, "free some space")
    return UserError(f"cannot write the cluster's files: {error.strerror}", path)


def remove(name: str) -> int:
    """End every machine and switch of a cluster and delete its folder; how many were ended.

    Works without state.json: processes are known by the files in the folder that they name.
    """
    folder = folder_of(name)
    running = processes.of_folder(folder)
    processes.end(running)
    shutil.rmtree(folder, ignore_errors=True)
    return len(running)


def sweep() -> None:
    """Clear up temporary clusters whose launcher is gone."""
    for name in names():
        owner = (read(name) or {}).get("owner")
        if not owner:
            continue
        if not Process(owner["pid"], owner["started"]).alive():
            console.warn(f"clearing up cluster {name!r}, whose launcher was killed")
            remove(name)
