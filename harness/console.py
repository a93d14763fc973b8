# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""What the user sees while something runs. Everything goes to stderr: stdout belongs to results."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

_lock = threading.Lock()


def is_tty() -> bool:
    return sys.stderr.isatty()


def _line(text: str) -> None:
    with _lock:
        if is_tty():
            sys.stderr.write("\r\033[K")
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def info(msg: str) -> None:
    _line(msg)


def warn(msg: str) -> None:
    _line(f"warning: {msg}")


def duration(seconds: float) -> str:
    """A duration for people: 4.2 s, 3 m 05 s, 1 h 02 m."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} m"


@contextlib.contextmanager
def step(title: str, estimate_s: float | None = None) -> Iterator[None]:
    """Announce a piece of work, show that it lives (on a terminal), say how long it took."""
    about = f" (about {duration(estimate_s)})" if estimate_s else ""
    _line(f"-- {title}{about}")
    began = time.monotonic()
    done = threading.Event()

    def tick() -> None:
        while not done.wait(1.0):
            gone = time.monotonic() - began
            left = f", about {duration(max(estimate_s - gone, 0))} left" if estimate_s else ""
            with _lock:
                sys.stderr.write(f"\r\033[K   {title}: {duration(gone)}{left}")
                sys.stderr.flush()

    ticker = threading.Thread(target=tick, daemon=True)
    if is_tty():
        ticker.start()
    ok = False
    try:
        yield
        ok = True
    finally:
        done.set()
        if ticker.is_alive():
            ticker.join()
        gone = time.monotonic() - began
        if gone >= 1 or not ok:
            _line(f"   {title}: {'done' if ok else 'NOT done'} after {duration(gone)}")
