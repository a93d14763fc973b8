# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The cache of things that take minutes to build (kernel, QEMU, node images), by content hash.

An entry is <root>/<kind>/<key>/ with a MANIFEST.json of every file's size, time and SHA-256. It is
built in a temporary folder and renamed, so an interrupted build leaves nothing that looks whole.
An entry whose files no longer match is reported and built again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import console
from harness.errors import UserError

MANIFEST = "MANIFEST.json"


def root() -> Path:
    """$ETRAN_CACHE, else etran/ under the user's cache directory."""
    if chosen := os.environ.get("ETRAN_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "etran"


def digest(*items: str | bytes | Path) -> str:
    """16 hex digits over strings, bytes, and the contents of files and folders (with names)."""
    total = hashlib.sha256()

    def add(tag: bytes, data: bytes) -> None:
        total.update(tag + len(data).to_bytes(8, "big") + data)

    for item in items:
        if isinstance(item, str):
            add(b"s", item.encode())
        elif isinstance(item, bytes):
            add(b"b", item)
        elif item.is_dir():
            for file in sorted(p for p in item.rglob("*") if p.is_file()):
                if "__pycache__" in file.parts:
                    continue
                add(b"n", str(file.relative_to(item)).encode())
                add(b"f", file.read_bytes())
        else:
            add(b"f", item.read_bytes())
    return total.hexdigest()[:16]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(entry: Path) -> Iterator[Path]:
    for path in sorted(entry.rglob("*")):
        if path.is_file() and not path.is_symlink() and path != entry / MANIFEST:
            yield path


def _seal(entry: Path) -> None:
    files = {}
    for path in _files(entry):
        status = path.stat()
        files[str(path.relative_to(entry))] = {
            "size": status.st_size,
            "mtime_ns": status.st_mtime_ns,
            "sha256": _sha256(path),
        }
    (entry / MANIFEST).write_text(json.dumps({"version": 1, "files": files}, indent=0))


def problem(entry: Path) -> str | None:
    """Why an entry cannot be trusted, or None. Only files whose size or time changed are hashed."""
    try:
        manifest = json.loads((entry / MANIFEST).read_text())["files"]
    except FileNotFoundError:
        return "its manifest is missing"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"its manifest cannot be read ({error})"
    for name, want in manifest.items():
        path = entry / name
        try:
            status = path.stat()
        except OSError:
            return f"{name} is missing"
        if status.st_size != want["size"]:
            return f"{name} has {status.st_size} bytes instead of {want['size']}"
        if status.st_mtime_ns != want["mtime_ns"] and _sha256(path) != want["sha256"]:
            return f"the contents of {name} have changed"
    return None


def peek(kind: str, key: str) -> Path | None:
    """The entry when it is there and whole; never builds."""
    entry = root() / kind / key
    return entry if entry.is_dir() and problem(entry) is None else None


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.info(f"   waiting for another build of {path.stem}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def get(
    kind: str,
    key: str,
    builder: Callable[[Path, Path], None],
    *,
    label: str,
    estimate_s: float | None = None,
    rebuild: bool = False,
) -> Path:
    """The entry, built by builder(tmpdir, log) when it is missing, corrupt or `rebuild` is set.

    The log of the last build of the kind stays at <root>/logs/<kind>-<key>.log.
    """
    base = root() / kind
    entry = base / key
    log = root() / "logs" / f"{kind}-{key}.log"
    try:
        base.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        with _locked(base / f".{key}.lock"):
            if entry.is_dir():
                why = problem(entry)
                if why is None and not rebuild:
                    return entry
                if why is not None:
                    console.warn(f"cached {label} at {entry} is corrupt: {why}; building it again")
                shutil.rmtree(entry)
            for stale in base.glob(f".{key}.tmp*"):  # left by a build that was killed
                shutil.rmtree(stale, ignore_errors=True)
            tmp = Path(tempfile.mkdtemp(prefix=f".{key}.tmp", dir=base))
            tmp.chmod(0o755)
            log.unlink(missing_ok=True)
            try:
                with console.step(label, estimate_s):
                    builder(tmp, log)
                _seal(tmp)
                tmp.rename(entry)
            except BaseException:
                shutil.rmtree(tmp, ignore_errors=True)
                raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"the disk is full while preparing {label}",
                error.filename or base,
                "free some space, or set ETRAN_CACHE to a folder on another disk",
            ) from error
        if error.errno in (errno.EACCES, errno.EROFS):
            raise UserError(
                f"cannot write to the cache: {error.strerror}",
                error.filename or base,
                "set ETRAN_CACHE to a folder that you may write to",
            ) from error
        raise
    return entry
