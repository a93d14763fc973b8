# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""QEMU's control socket (QMP): one command per connection."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

TIMEOUT_S = 10.0


class QmpError(Exception):
    """The machine does not answer, or refuses."""


def command(path: Path, execute: str, **arguments: object) -> object:
    """Run one QMP command and return its result."""
    request = {"execute": execute, "arguments": arguments}
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
            link.settimeout(TIMEOUT_S)
            link.connect(str(path))
            stream = link.makefile("rw", encoding="utf-8")
            stream.readline()  # greeting
            for message in ({"execute": "qmp_capabilities"}, request):
                stream.write(json.dumps(message) + "\n")
                stream.flush()
                answer = _answer(stream)
            return answer
    except (OSError, ValueError) as error:
        raise QmpError(f"{path}: {error}") from error


def _answer(stream) -> object:
    for line in stream:
        message = json.loads(line)
        if "return" in message:
            return message["return"]
        if "error" in message:
            raise QmpError(message["error"].get("desc", "refused"))
        # Anything else is an event.
    raise QmpError("the connection was closed")


def quit_machine(path: Path) -> None:
    """Ask a machine to end; it does so at once, without the guest's help."""
    try:
        command(path, "quit")
    except QmpError:
        pass  # it may be gone before it answers; the caller looks at the process


def forwarded_port(path: Path) -> int:
    """Host port that QEMU's user network forwards to the guest."""
    said = str(command(path, "human-monitor-command", **{"command-line": "info usernet"}))
    found = re.search(r"TCP\[HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s", said)
    if not found:
        raise QmpError(f"no forwarded port in:\n{said}")
    return int(found[1])
