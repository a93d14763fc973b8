# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Which shared libraries a program needs: as the host's own loader resolves them."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from pathlib import Path

from harness import proc
from harness.errors import UserError

_PT_INTERP = 3
# Loaded at run time, without being named by any program: thread cancellation needs it.
ALWAYS = Path("/lib/x86_64-linux-gnu/libgcc_s.so.1")


def interpreter(path: Path) -> str | None:
    """The loader that an ELF program asks for; None for static programs, libraries and others."""
    with path.open("rb") as file:
        head = file.read(64)
        if len(head) < 64 or head[:6] != b"\x7fELF\x02\x01":
            return None
        (offset,) = struct.unpack_from("<Q", head, 32)
        size, count = struct.unpack_from("<HH", head, 54)
        for number in range(count):
            file.seek(offset + number * size)
            kind, _, start, _, _, length = struct.unpack("<IIQQQQ", file.read(40))
            if kind == _PT_INTERP:
                file.seek(start)
                return file.read(length).rstrip(b"\0").decode()
    return None


def libraries(programs: Iterable[Path]) -> set[Path]:
    """Loader and libraries of dynamic programs, with the paths at which they are looked for."""
    found: set[Path] = set()
    for program in programs:
        loader = interpreter(program)
        if loader is None:
            continue
        found.add(Path(loader))
        # The loader only lists; nothing of the program is executed.
        listing = proc.run([loader, "--list", program]).stdout
        missing = re.findall(r"^\s*(\S+) => not found", listing, re.MULTILINE)
        if missing:
            raise UserError(
                f"a program needs libraries that this machine does not have: {', '.join(missing)}",
                program,
            )
        found.update(Path(p) for p in re.findall(r"=> (/\S+)", listing))
    if found and ALWAYS.exists():
        found.add(ALWAYS)
    return found
