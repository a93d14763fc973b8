# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Running commands: one function, so that every command is recorded, bounded and killed alike."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import CommandFailed, UserError


@dataclass(frozen=True)
class Completed:
    """How a command ended. `stderr` is part of `stdout` when the command wrote to a log."""

    argv: list[str]
    status: int
    stdout: str
    stderr: str
    seconds: float


def run(
    argv: Sequence[object],
    *,
    cwd: Path | str | None = None,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    timeout: float | None = None,
    input: str | None = None,
    check: bool = True,
    nice: bool = False,
) -> Completed:
    """Run a command in a process group of its own; the whole group dies on time-out or Ctrl-C.

    env is added to the caller's environment. With `log`, the command line and its output are
    appended there as they come. Raises CommandFailed when check is set and the command fails,
    UserError when it cannot be started at all.
    """
    words = [str(a) for a in argv]
    if nice:
        words = ["nice", "-n", "10", *words]
    began = time.monotonic()
    start_at = 0
    sink = None
    try:
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            sink = log.open("a+", encoding="utf-8", errors="replace")
            sink.write(f"$ {shlex.join(words)}\n")
            sink.flush()
            start_at = sink.tell()
        try:
            child = subprocess.Popen(
                words,
                cwd=cwd,
                env={**os.environ, **env} if env else None,
                stdin=subprocess.PIPE if input is not None else subprocess.DEVNULL,
                stdout=sink or subprocess.PIPE,
                stderr=subprocess.STDOUT if sink else subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise UserError(
                f"cannot run {words[0]}: {error.strerror}",
                error.filename,
                "`./run doctor` says which packages are missing",
            ) from error
        except OSError as error:
            raise UserError(f"cannot run {words[0]}: {error.strerror}", cwd) from error
        try:
            out, err = child.communicate(input, timeout)
            status: int | None = child.returncode
        except subprocess.TimeoutExpired:
            kill_group(child)
            out, err = child.communicate()
            status = None
        except BaseException:
            kill_group(child)
            child.wait()
            raise
        if sink:
            sink.seek(start_at)
            out, err = sink.read(), ""
    finally:
        if sink:
            sink.close()
    if status is None or (check and status != 0):
        raise CommandFailed(words, status, (out or "") + (err or ""), log=log)
    return Completed(words, status, out or "", err or "", time.monotonic() - began)


def kill_group(child: subprocess.Popen, grace_s: float = 2.0) -> None:
    """End a child started with start_new_session and everything it started."""
    for sig in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, sig)
        except ProcessLookupError:
            return
        try:
            child.wait(grace_s)
            if sig == signal.SIGTERM:
                continue  # the leader is gone; make sure of the rest of the group
        except subprocess.TimeoutExpired:
            continue
