# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Processes that may outlive the launcher: known by pid and start time, ended for certain.

A process number alone says nothing once its process has ended and the number is given out again;
so it is never trusted without the start time, and signals go through a pidfd.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import console
from harness.errors import UserError

# Programs that a cluster consists of; nothing else is ever looked for or signalled.
PROGRAMS = ("qemu-system-x86_64", "torswitch")
POLL_S = 0.05


@dataclass(frozen=True)
class Process:
    pid: int
    started: int  # clock ticks after boot, field 22 of /proc/PID/stat

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """The running process with this number; None when there is none (or only its zombie)."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = stat.rpartition(")")[2].split()  # the name before may contain anything
        return None if fields[0] in "ZX" else cls(pid, int(fields[19]))

    def alive(self) -> bool:
        return Process.of(self.pid) == self

    def send(self, number: signal.Signals) -> None:
        """Signal exactly this process, or nobody."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.alive():  # after the pidfd: from here on the number cannot change hands
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)


def end(processes: Iterable[Process], grace_s: float = 2.0) -> None:
    """SIGTERM, then SIGKILL for those that are still there; returns when all are gone."""
    left = [p for p in processes if p.alive()]
    for number, patience in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 10.0)):
        for process in left:
            process.send(number)
        deadline = time.monotonic() + patience
        while left and time.monotonic() < deadline:
            left = [p for p in left if p.alive()]
            if left:
                time.sleep(POLL_S / 2)
    for process in left:  # in an uninterruptible sleep
        console.warn(f"process {process.pid} does not end")


def of_folder(folder: Path) -> list[Process]:
    """Machines and switches whose command line names a file in `folder`: also those that a
    launcher started and did not live to write down."""
    mark = re.compile(rb"(^|[=:,])" + re.escape(os.fsencode(folder)) + rb"/")
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.path.basename(words[0]).decode(errors="replace") not in PROGRAMS:
            continue
        if any(mark.search(word) for word in words[1:]):
            process = Process.of(int(entry.name))
            if process:
                found.append(process)
    return found


def start(
    argv: Sequence[str], output: Path, *, dies_with_us: bool, pass_fds: Sequence[int] = ()
) -> subprocess.Popen:
    """Start a program in a session of its own, its output appended to a file.

    dies_with_us: the kernel kills it when this thread ends, even by SIGKILL. Without it, the
    program outlives us.
    """
    words = [str(a) for a in argv]
    if dies_with_us:
        words = ["setpriv", "--pdeathsig", "KILL", *words]
    with output.open("ab") as sink:
        try:
            return subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        except OSError as error:
            raise UserError(
                f"cannot run {words[0]}: {error.strerror}",
                error.filename,
                "`./run doctor` says which packages are missing",
            ) from error


def end_children(children: Iterable[subprocess.Popen], grace_s: float = 1.0) -> None:
    """End what start() started here, and collect it."""
    children = list(children)
    end((p for c in children if c.poll() is None and (p := Process.of(c.pid))), grace_s)
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(5)


def tail(path: Path, lines: int = 25) -> str:
    """The end of a text file that another process writes; "" when there is none."""
    try:
        text = path.read_bytes()[-20000:].decode(errors="replace")
    except OSError:
        return ""
    # Consoles hold carriage returns and the firmware's escape sequences.
    text = re.sub(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1bc|\r", "", text)
    return "\n".join(text.rstrip().splitlines()[-lines:])
