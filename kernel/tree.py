# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""A git tree of the kernel for work on the patch series: one commit per patch."""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness import console, packages, proc
from harness.errors import CommandFailed, UserError
from kernel import kconfig, source


def create(folder: str | Path, flavour: str) -> None:
    """Unpack into the new folder, commit, apply the series with git am, configure.

    Export with `git format-patch --zero-commit --no-signature -o kernel/patches base`.
    """
    tree = Path(folder).resolve()
    if tree.exists():
        raise UserError("this exists already", tree, "give a folder that does not exist")
    packages.ensure(["kernel"])
    origin = source.find()
    patches = source.series()
    git = ["git", "-c", "user.name=etran", "-c", "user.email=etran@localhost", "-c", "gc.auto=0"]
    with tempfile.NamedTemporaryFile(prefix="etran-tree-", suffix=".log") as file:
        log = Path(file.name)
        with console.step(f"kernel tree in {tree}", estimate_s=60):
            source.unpack(origin, tree, log)
            proc.run([*git, "init", "--quiet", "--initial-branch=etran"], cwd=tree, log=log)
            proc.run([*git, "add", "--all", "--force"], cwd=tree, log=log)
            message = f"Linux ({origin.identity})"
            proc.run([*git, "commit", "--quiet", "--no-verify", "-m", message], cwd=tree, log=log)
            proc.run([*git, "tag", "base"], cwd=tree, log=log)
            if patches:
                try:
                    proc.run([*git, "am", "--quiet", *patches], cwd=tree, log=log)
                except CommandFailed as error:
                    error.hint = f"mend it there: cd {tree} && git am --show-current-patch=diff"
                    raise
            kconfig.configure(tree, flavour, log)
    console.info("make LOCALVERSION= -j$(nproc) builds it; changes go back with")
    console.info("  git format-patch --zero-commit --no-signature -o <project>/kernel/patches base")
