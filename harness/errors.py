# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Errors that are the user's to act on: printed without a traceback, exit status 2."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


class UserError(Exception):
    """Something the user can mend.

    what: one sentence saying what is wrong; where: the file, option or command; hint: what to do.
    """

    def __init__(self, what: str, where: object = None, hint: str | None = None):
        super().__init__(what)
        self.what = what
        self.where = None if where is None else str(where)
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.hint:
            lines.append(f"  hint:  {self.hint}")
        return "\n".join(lines)


class CommandFailed(UserError):
    """A command that ended badly: its words, its exit status and the end of what it printed."""

    def __init__(
        self,
        argv: Sequence[str],
        status: int | None,
        output: str = "",
        hint: str | None = None,
        log: object = None,
    ):
        self.argv = [str(a) for a in argv]
        self.status = status
        self.output = output
        ended = (
            "did not end in time"
            if status is None
            else f"was killed by signal {-status}"
            if status < 0
            else f"ended with exit status {status}"
        )
        super().__init__(f"command {ended}: {shlex.join(self.argv)}", log, hint)

    def __str__(self) -> str:
        text = super().__str__()
        tail = "\n".join(self.output.rstrip().splitlines()[-30:])
        if tail:
            text += "\n  its output ended with:\n" + "\n".join(
                "    | " + line for line in tail.splitlines()
            )
        return text
