#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Files of a role, compared and installed on a node in one round trip; see the action plugin."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import stat
import tarfile
import tempfile

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: install_tree
short_description: Install a list of files in one round trip
description:
  - Compares files with what is wanted (contents, mode, owner) and writes those that differ, each
    atomically. Missing folders are made with mode 0755.
  - The copy module needs two round trips for each file, which on an emulated processor are
    seconds; this one needs one for any number of files when they are right already, and two
    plus one transfer of only what differs when they are not.
options:
  files:
    description: What to install. Either O(files[].content) or O(files[].src) per entry; a folder
      as src stands for all files and symbolic links in it.
    type: list
    elements: dict
    required: true
    suboptions:
      dest: {description: Absolute path on the node., type: path, required: true}
      src: {description: File or folder on the control machine., type: path}
      content: {description: Contents as text., type: str}
      mode: {description: "Mode, as text; default: that of src, 0644 for content.", type: str}
  purge:
    description: Folders on the node in which nothing but the listed files stays. Their
      subfolders are not looked into.
    type: list
    elements: path
    default: []
"""
RETURN = r"""
changed_files: {description: Files written (in check mode, that would be)., type: list}
removed_files: {description: Files removed by purge (in check mode, that would be)., type: list}
"""

# Owner of everything installed; the tests, which are not root, install for themselves.
OWNER = (0, 0) if os.geteuid() == 0 else (os.geteuid(), os.getegid())


def differs(entry: dict) -> bool:
    """Whether the file on this node is not what the entry wants."""
    try:
        status = os.lstat(entry["dest"])
    except (FileNotFoundError, NotADirectoryError):
        return True
    if (status.st_uid, status.st_gid) != OWNER:
        return True
    if entry.get("link") is not None:
        return not stat.S_ISLNK(status.st_mode) or os.readlink(entry["dest"]) != entry["link"]
    if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) != entry["mode"]:
        return True
    if status.st_size != entry["size"]:
        return True
    digest = hashlib.sha256()
    with open(entry["dest"], "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest() != entry["sha256"]


def text_of(path: str, limit: int = 1 << 16) -> str:
    """The old contents for --diff; empty when there are none or they are not text."""
    try:
        with open(path, "rb") as file:
            return file.read(limit).decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def write(entry: dict, data: bytes) -> None:
    """Replace one file, so that whoever opens it sees the old or the new one, never a part."""
    folder = os.path.dirname(entry["dest"])
    os.makedirs(folder, mode=0o755, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=".install-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            if entry.get("link") is None:
                file.write(data)
        if entry.get("link") is not None:
            os.unlink(temporary)
            os.symlink(entry["link"], temporary)
        else:
            os.chmod(temporary, entry["mode"])
        os.chown(temporary, *OWNER, follow_symlinks=False)
        os.replace(temporary, entry["dest"])
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def stale(folders: list[str], wanted: set[str]) -> list[str]:
    """Files in the folders that no entry wants."""
    found = []
    for folder in folders:
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as items:
            for item in items:
                if item.path not in wanted and not item.is_dir(follow_symlinks=False):
                    found.append(item.path)
    return sorted(found)


def install(module: AnsibleModule) -> dict:
    files = module.params["manifest"]
    wrong = [entry for entry in files if differs(entry)]
    remove = stale(module.params["purge"], {entry["dest"] for entry in files})
    result = {
        "changed": bool(wrong or remove),
        "changed_files": [entry["dest"] for entry in wrong],
        "removed_files": remove,
    }
    if module._diff:
        result["diff"] = [
            {
                "before_header": entry["dest"],
                "after_header": entry["dest"],
                "before": text_of(entry["dest"]),
                "after": base64.b64decode(entry["content"]).decode(),
            }
            for entry in wrong
            if entry.get("content") is not None
        ] + [{"prepared": f"removed: {path}\n"} for path in remove]
    if module.check_mode:
        return result

    archive = module.params["archive"]
    absent = [e for e in wrong if e.get("content") is None and e.get("link") is None]
    if absent and not archive:
        # Nothing was written yet: the action plugin comes back with these.
        return {**result, "changed": False, "need": [entry["dest"] for entry in absent]}
    with tarfile.open(archive) if archive else contextlib.nullcontext() as tar:
        for entry in wrong:
            if entry.get("content") is not None:
                data = base64.b64decode(entry["content"])
            elif entry.get("link") is not None:
                data = b""
            else:
                member = tar.extractfile(entry["dest"])
                data = member.read() if member else b""
                if hashlib.sha256(data).hexdigest() != entry["sha256"]:
                    module.fail_json(msg=f"{entry['dest']} was damaged on its way", **result)
            write(entry, data)
    for path in remove:
        os.unlink(path)
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "manifest": {"type": "list", "elements": "dict", "required": True},
            "purge": {"type": "list", "elements": "path", "default": []},
            "archive": {"type": "path"},
        },
        supports_check_mode=True,
    )
    try:
        result = install(module)
    except OSError as error:
        module.fail_json(msg=f"cannot install {error.filename}: {error.strerror}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
