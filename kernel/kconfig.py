# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Configuration fragments: reading them, merging them, and checking that the result obeys them.

A fragment holds what Kconfig itself writes: `CONFIG_X=value` or `# CONFIG_X is not set`, and any
other comment. To add a fragment, write config/<name>.config and name it in FRAGMENTS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness import proc
from harness.errors import UserError

FOLDER = Path(__file__).with_name("config")
FRAGMENTS = ("base", "net", "bpf", "virtio", "mlx5", "server", "userio")
# A flavour is one more fragment, merged last: it may overrule the others.
FLAVOURS = ("release", "debug")

_SET = re.compile(r"CONFIG_(\w+)=(y|m|n|-?\d+|0x[0-9a-fA-F]+|\"[^\"]*\")$")
_UNSET = re.compile(r"# CONFIG_(\w+) is not set$")
_NEARLY = re.compile(r"#?\s*CONFIG_\w+\s*(=|is not)|#?\s*CONFIG_\w+$")


@dataclass(frozen=True)
class Option:
    """One request of a fragment. `value` is as Kconfig writes it; "n" for `is not set`."""

    name: str
    value: str
    where: str  # file:line

    def __str__(self) -> str:
        if self.value == "n":
            return f"# CONFIG_{self.name} is not set"
        return f"CONFIG_{self.name}={self.value}"


def parse(text: str, label: str) -> list[Option]:
    """Options of a fragment or a .config in order. A line that only looks like one is an error."""
    options: list[Option] = []
    seen: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.rstrip()
        where = f"{label}:{number}"
        if match := _SET.match(line):
            option = Option(match[1], match[2], where)
        elif match := _UNSET.match(line):
            option = Option(match[1], "n", where)
        elif not line or (line.startswith("#") and not _NEARLY.match(line)):
            continue
        else:
            raise UserError(
                f"not a configuration line: {line!r}",
                where,
                "write CONFIG_NAME=value or `# CONFIG_NAME is not set`, without trailing text",
            )
        if first := seen.get(option.name):
            raise UserError(
                f"CONFIG_{option.name} is given twice", where, f"it is already at {first}"
            )
        seen[option.name] = where
        options.append(option)
    return options


def files(flavour: str, folder: Path = FOLDER) -> list[Path]:
    """The fragments of a flavour in the order in which they are merged."""
    if flavour not in FLAVOURS:
        raise UserError(
            f"there is no kernel flavour {flavour!r}", hint="choose " + " or ".join(FLAVOURS)
        )
    return [folder / f"{name}.config" for name in (*FRAGMENTS, flavour)]


def requested(flavour: str, folder: Path = FOLDER) -> list[Option]:
    """What all fragments of a flavour ask for, sorted by name; the flavour's own wish wins.

    Two common fragments that name the same option are an error: nobody could tell which one to
    edit.
    """
    *common, last = files(flavour, folder)
    merged: dict[str, Option] = {}
    for path in [*common, last]:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"cannot read a configuration fragment: {error.strerror}", path
            ) from error
        for option in parse(text, path.name):
            first = merged.get(option.name)
            if first and path != last:
                raise UserError(
                    f"CONFIG_{option.name} is given by two fragments",
                    option.where,
                    f"keep one of it and {first.where}",
                )
            merged[option.name] = option
    return sorted(merged.values(), key=lambda option: option.name)


def check(wanted: list[Option], text: str, label: str) -> None:
    """UserError that lists each wanted option which the finished configuration does not have."""
    have = {option.name: option.value for option in parse(text, label)}
    lost = [option for option in wanted if have.get(option.name, "n") != option.value]
    if not lost:
        return
    lines = []
    for option in lost:
        got = have.get(option.name)
        became = f"became {got}" if got is not None else "is not offered (no such option?)"
        lines.append(f"  {option.where}: {option} {became}")
    raise UserError(
        f"{len(lost)} configuration option(s) did not survive Kconfig:\n" + "\n".join(lines),
        label,
        "their dependencies are missing or the option has gone: see `depends on` in the Kconfig"
        " file that defines it, add what it needs to the same fragment, or drop it",
    )


def configure(tree: Path, flavour: str, log: Path) -> None:
    """Write tree/.config: allnoconfig, all fragments of the flavour, then the check."""
    wanted = requested(flavour)
    merge = ["scripts/kconfig/merge_config.sh", "-Q", "-n", *files(flavour)]
    proc.run(merge, cwd=tree, env={"KCONFIG_CONFIG": ".config", "ARCH": "x86"}, log=log)
    result = tree / ".config"
    check(wanted, result.read_text(encoding="utf-8"), result.name)
