# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Where things are in the source tree and in its build."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
GUEST = ROOT / "testbed/guest"
BUSYBOX = Path("/bin/busybox")


def tool(name: str) -> Path:
    """A program of the C++ build: from $ETRAN_BIN, else build/bin of the source tree."""
    folder = Path(os.environ.get("ETRAN_BIN") or ROOT / "build/bin")
    path = folder / name
    if not os.access(path, os.X_OK):
        raise UserError(
            f"the program {name} has not been built",
            path,
            "cmake -S . -B build -G Ninja && cmake --build build",
        )
    return path


def busybox() -> Path:
    if not BUSYBOX.is_file():
        raise UserError("busybox is missing", BUSYBOX, "install the Debian package busybox-static")
    return BUSYBOX
