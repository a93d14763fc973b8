# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The results folder: one folder per run, written so that a crash never leaves half a file.

    results/<run>/run.json                    settings, machine, versions, state of every figure
    results/<run>/<figure>/rep<k>/            one repetition: raw outputs, node records, unit.json
    results/<run>/<figure>/data.json          rows and series, what plots and compare read
    results/<run>/<figure>/record.json        every command of every repetition and how it ended
    results/<run>/plots/, index.html          drawn from the above
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"
SAMPLE = "sample"  # the committed run
VERSION = 1


def results_root() -> Path:
    """$ETRAN_RESULTS, else results/ of the checkout."""
    return Path(os.environ.get("ETRAN_RESULTS") or RESULTS)


def write_json(path: Path, value: object) -> None:
    """Write or replace a file in one step."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w") as file:
                json.dump(value, file, indent=1)
                file.write("\n")
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise disk_error(error, path) from error


def disk_error(error: OSError, path: Path) -> UserError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "free some space and run the same command again: it resumes"
        return UserError("the disk is full; what was finished is kept", path, hint)
    return UserError(f"cannot write: {error.strerror}", path)


def read_json(path: Path) -> dict:
    """A JSON object; UserError names the file and the place when it is damaged."""
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError("file not found", path) from None
    except OSError as error:
        raise UserError(f"cannot read: {error.strerror}", path) from error
    except ValueError as error:
        hint = "the file is damaged; the other results are not touched. Remove it or run again"
        raise UserError(f"not valid JSON: {error}", path, hint) from error
    if not isinstance(value, dict) or value.get("version") != VERSION:
        raise UserError(f"not a file of version {VERSION}", path)
    return value


class Run:
    """One run's folder. Only the process that holds lock() writes to it."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.meta: dict = {}

    @property
    def name(self) -> str:
        return self.directory.name

    @classmethod
    def create(cls, scale: str, meta: dict) -> "Run":
        stamp = time.strftime("%Y%m%d-%H%M%S")
        for suffix in ("", *(f"-{n}" for n in range(2, 100))):
            directory = results_root() / f"{stamp}-{scale}{suffix}"
            try:
                directory.mkdir(parents=True)
                break
            except FileExistsError:
                continue
            except OSError as error:
                raise disk_error(error, directory) from error
        else:
            raise UserError("cannot find a free name for the run", results_root())
        run = cls(directory)
        run.meta = {"version": VERSION, "run": run.name, **meta}
        run.save()
        return run

    @classmethod
    def load(cls, directory: Path) -> "Run":
        run = cls(directory)
        run.meta = read_json(directory / "run.json")
        return run

    def save(self) -> None:
        write_json(self.directory / "run.json", self.meta)

    def figure_dir(self, figure: str) -> Path:
        return self.directory / figure

    def unit_dir(self, figure: str, repetition: int) -> Path:
        return self.directory / figure / f"rep{repetition}"

    def data(self, figure: str) -> dict:
        return read_json(self.figure_dir(figure) / "data.json")

    @contextmanager
    def lock(self) -> Iterator[None]:
        with (self.directory / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError("another process is writing this run", self.directory) from None
            yield


def runs(problems: list[UserError] | None = None) -> list[Run]:
    """All runs but the sample, newest first. Unreadable ones are left out and reported."""
    found = []
    for path in results_root().glob("*/run.json"):
        if path.parent.name == SAMPLE:
            continue
        try:
            found.append(Run.load(path.parent))
        except UserError as error:
            if problems is not None:
                problems.append(error)
    return sorted(found, key=lambda r: (r.meta.get("created", ""), r.name), reverse=True)


def find(name: str) -> Run:
    """A run by name or path; `latest` is the newest."""
    if name == "latest":
        newest = runs()
        if not newest:
            hint = "`./run reproduce --scale smoke` makes one"
            raise UserError("there is no run yet", results_root(), hint)
        return newest[0]
    for directory in (results_root() / name, Path(name), RESULTS / name):
        if (directory / "run.json").is_file():
            return Run.load(directory)
    have = ", ".join(r.name for r in runs()) or "none"
    raise UserError(f"there is no run {name!r}", results_root(), f"runs: {have}, {SAMPLE}")
