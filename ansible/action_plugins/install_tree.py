# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Control side of install_tree: reads the files, sends only what the node says it needs.

First it sends a manifest: path, mode and SHA-256 of every file, with the contents of the small
ones. When large ones differ, the node asks for them, and they follow in one archive. What the
options mean is documented in library/install_tree.py.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import stat
import tarfile
import tempfile
from pathlib import Path

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.text.converters import to_text
from ansible.plugins.action import ActionBase

# Files up to this size travel with the manifest.
INLINE_BYTES = 16 << 10
OPTIONS = {"files", "purge"}
ENTRY = {"dest", "src", "content", "mode"}


def _mode(text: object, default: int) -> int:
    if text is None:
        return default
    try:
        return int(str(text), 8)
    except ValueError:
        raise AnsibleActionFail(f"install_tree: mode {text!r} is not an octal number") from None


def _entry(dest: str, data: bytes, mode: int) -> dict:
    entry = {
        "dest": dest,
        "mode": mode,
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    if len(data) <= INLINE_BYTES:
        entry["content"] = base64.b64encode(data).decode()
    return entry


def expand(files: list[dict]) -> tuple[list[dict], dict[str, Path]]:
    """The manifest, and for each large file where it is on this machine."""
    manifest: list[dict] = []
    sources: dict[str, Path] = {}

    def add_file(dest: str, path: Path, mode: object) -> None:
        if path.is_symlink():
            manifest.append({"dest": dest, "link": os.readlink(path)})
            return
        default = 0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644
        manifest.append(_entry(dest, path.read_bytes(), _mode(mode, default)))
        sources[dest] = path

    for item in files:
        if unknown := set(item) - ENTRY:
            raise AnsibleActionFail(f"install_tree: unknown key {sorted(unknown)[0]!r} in files")
        dest = str(item.get("dest", ""))
        if not dest.startswith("/"):
            raise AnsibleActionFail(f"install_tree: dest {dest!r} is not an absolute path")
        if ("src" in item) == ("content" in item):
            raise AnsibleActionFail(f"install_tree: {dest} needs either src or content")
        if "content" in item:
            data = to_text(item["content"]).encode()
            manifest.append(_entry(dest, data, _mode(item.get("mode"), 0o644)))
            continue
        src = Path(str(item["src"]))
        if src.is_dir():
            for path in sorted(src.rglob("*")):
                if path.is_symlink() or path.is_file():
                    add_file(f"{dest}/{path.relative_to(src)}", path, item.get("mode"))
        elif src.is_file():
            add_file(dest, src, item.get("mode"))
        else:
            raise AnsibleActionFail(f"install_tree: {src} does not exist on the control machine")
    return manifest, sources


def pack(need: list[str], sources: dict[str, Path], into: str) -> None:
    """One archive of the files the node asked for, each under its path on the node."""
    with tarfile.open(into, "w:gz", compresslevel=1) as tar:
        for dest in need:
            data = sources[dest].read_bytes()
            info = tarfile.TarInfo(dest)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


class ActionModule(ActionBase):
    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        args = self._task.args
        if unknown := set(args) - OPTIONS:
            raise AnsibleActionFail(f"install_tree: unknown option {sorted(unknown)[0]!r}")
        files = args.get("files")
        if not isinstance(files, list):
            raise AnsibleActionFail("install_tree: files must be a list")
        try:
            manifest, sources = expand(files)
        except OSError as error:
            raise AnsibleActionFail(f"install_tree: cannot read {error.filename}: {error.strerror}")
        words = {"manifest": manifest, "purge": args.get("purge", []), "archive": None}

        answer = self._ask(words, task_vars)
        if need := answer.pop("need", None):
            folder = self._make_tmp_path()
            try:
                with tempfile.NamedTemporaryFile(suffix=".tar.gz") as archive:
                    pack(need, sources, archive.name)
                    remote = self._connection._shell.join_path(folder, "files.tar.gz")
                    self._transfer_file(archive.name, remote)
                self._fixup_perms2((folder, remote))
                answer = self._ask({**words, "archive": remote}, task_vars)
            finally:
                self._remove_tmp_path(folder)
        result.update(answer)
        return result

    def _ask(self, words: dict, task_vars: dict) -> dict:
        return self._execute_module(
            module_name="install_tree", module_args=words, task_vars=task_vars
        )
