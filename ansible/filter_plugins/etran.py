# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Filters of the playbooks."""

from __future__ import annotations

import re

import tomllib

from ansible.errors import AnsibleFilterError


def from_toml(text: str) -> dict:
    """The table that a TOML text describes."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise AnsibleFilterError(f"from_toml: {error}") from None


def package_names(table: dict, groups: list[str]) -> list[str]:
    """Names in some groups of harness/packages.toml, sorted, each once."""
    names: set[str] = set()
    for group in groups:
        if group not in table:
            raise AnsibleFilterError(f"package_names: the package table has no group {group!r}")
        names |= {name for name in table[group] if not name.startswith("_")}
    return sorted(names)


def not_installed(listing: str, wanted: list[str]) -> list[str]:
    """Those of the wanted packages that are not in a listing of `package status` lines."""
    have = {line.split()[0] for line in listing.splitlines() if line.split()[1:] == ["installed"]}
    return [name for name in wanted if name not in have]


def grub_entries(config: str) -> dict[str, str]:
    """Kernel release -> identifier of its (non-recovery) menu entry, in the order of a grub.cfg.

    An entry inside submenus is named as grub-reboot wants it: `submenu>entry`.
    """
    entries: dict[str, str] = {}
    opened: list[str | None] = []  # identifiers of submenus; None: any other block
    for line in config.splitlines():
        named = re.match(r"\s*(menuentry|submenu)\s.*menuentry_id_option\s+'([^']+)'.*\{\s*$", line)
        if named:
            kind, ident = named.groups()
            if release := re.fullmatch(r"gnulinux-(.+)-advanced-.*", ident):
                path = [i for i in opened if i] + [ident]
                if kind == "menuentry":
                    entries.setdefault(release[1], ">".join(path))
            opened.append(ident if kind == "submenu" else None)
        elif re.match(r"[^#]*\{\s*$", line):
            opened.append(None)
        elif re.match(r"\s*\}", line) and opened:
            opened.pop()
    return entries


def grub_fallback(entries: dict[str, str], running: str, new: str) -> str:
    """Where to boot when the new kernel fails; empty: nowhere.

    The running kernel; when that is being replaced, the distribution's newest, or else any other.
    """
    if running != new and running in entries:
        return entries[running]
    others = [release for release in entries if release != new]
    return entries[min(others, key=lambda release: "etran" in release)] if others else ""


def nic_words(settings: dict | None) -> str:
    """`{"rx-usecs": 5, "adaptive-rx": false}` as ethtool's words: `rx-usecs 5 adaptive-rx off`."""
    words = []
    for name, value in (settings or {}).items():
        value = {True: "on", False: "off"}[value] if isinstance(value, bool) else value
        if not re.fullmatch(r"[\w.-]+", str(name)) or not re.fullmatch(r"[\w.-]+", str(value)):
            raise AnsibleFilterError(f"nic_words: {name!r}: {value!r} is not a word and a value")
        words += [str(name), str(value)]
    return " ".join(words)


def tree_entries(names: list[str], dest: str, src: str, mode: str) -> list[dict]:
    """Files of install_tree, one per name; `{}` in dest and src stands for the name."""
    return [{"dest": dest.format(n), "src": src.format(n), "mode": mode} for n in names]


class FilterModule:
    def filters(self) -> dict:
        return {
            "from_toml": from_toml,
            "package_names": package_names,
            "not_installed": not_installed,
            "grub_entries": grub_entries,
            "grub_fallback": grub_fallback,
            "nic_words": nic_words,
            "tree_entries": tree_entries,
        }
