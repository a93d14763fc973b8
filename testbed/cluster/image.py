# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The frozen image: what provisioned nodes hold, as one RAM disk that boots the same everywhere.

Provisioning needs real time, SSH and the host's files; a measurement must have none of them. So a
few nodes are provisioned in real time, what that has written is collected from their overlays, and
packed with a closed list of programs. Who a node is, it learns from the kernel command line; hence
all nodes must have come out the same, which is checked.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import cache, console, proc
from harness.errors import CommandFailed, UserError
from testbed.cluster import cpio, elf, paths, real
from testbed.cluster.real import PERSISTED, Cluster

KIND = "image"
# Raise when an image's contents change without a change of its inputs.
FORMAT = 1
# Two nodes show whether provisioning depends on the node; more would only take longer.
PROVISIONED_NODES = 2

# Written by every node's init, or scratch: not missed in the image.
EXPECTED = (
    *("etc/hostname", "etc/hosts", "etc/resolv.conf", "etc/shadow", "etc/mtab"),
    *("lib/modules", "usr/lib/modules", "var", "tmp", "root", "home", "run"),
)

# Programs of the host that are in every image, beside busybox. To add one: here, its Debian
# package in harness/packages.toml (group node), and its configuration files in _base().
# The shell is not busybox's: that one prefers its own `ip` and `sysctl` to the programs here.
SYSTEM_PROGRAMS = (
    "/usr/bin/dash",
    *("/usr/bin/ip", "/usr/sbin/tc", "/usr/bin/ss", "/usr/sbin/ethtool", "/usr/sbin/sysctl"),
    "/usr/bin/memcached",
)
PROGRAM_FOLDER = "opt/etran/bin"

_PASSWD = b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"
_GROUP = b"root:x:0:\nnogroup:x:65534:\n"
_NSSWITCH = b"passwd: files\ngroup: files\nhosts: files\n"

Provision = Callable[[Path, Path], None]


@dataclass(frozen=True)
class Collected:
    """One path of the overlay of a provisioned node."""

    mode: int
    data: bytes = b""
    link: str | None = None
    folder: bool = False

    def describe(self) -> str:
        if self.folder:
            return f"folder, mode {self.mode:o}"
        if self.link is not None:
            return f"link to {self.link}"
        what = hashlib.sha256(self.data).hexdigest()[:12]
        return f"{len(self.data)} bytes, mode {self.mode:o}, {what}"

    def entry(self) -> cpio.Entry:
        if self.folder:
            return cpio.Folder(self.mode)
        return cpio.Link(self.link) if self.link is not None else cpio.File(self.data, self.mode)


def prepare(
    kernel,
    programs: Mapping[str, Path],
    provision: Provision | None,
    *,
    modules: Sequence[str] = (),
    rebuild: bool = False,
) -> Path:
    """The image for a kernel (kernel.build.KernelBuild); from the cache if nothing has changed.

    programs: what a node runs, by name; they count as inputs, and those that provisioning does not
    install itself are put into /opt/etran/bin. provision(inventory, log): provisions the nodes of
    an Ansible inventory; None leaves the node unprovisioned (tests). modules: kernel modules to
    include with what they depend on. Beside the image lies image.json with its contents.
    """
    host = _host_files()
    items: list[str | Path] = [
        f"format {FORMAT}",
        kernel.key,
        json.dumps([PERSISTED, list(modules), provision is not None]),
        *(paths.GUEST / name for name in ("init-measure", "init-real")),
    ]
    for name, path in sorted(programs.items()):
        if not path.is_file():
            raise UserError(f"the program {name} has not been built", path)
        items += [f"program {name}", path]
    for guest, path in sorted(host.items()):
        items += [f"host {guest}", path]
    if provision:
        items += [paths.ROOT / "ansible", paths.ROOT / "harness/packages.toml"]
        items += sorted(paths.ROOT.glob("baselines/*/sysctl.conf"))

    def build(folder: Path, log: Path) -> None:
        collected = _provisioned(kernel, provision, log) if provision else {}
        entries = _assemble(kernel, programs, host, collected, modules)
        cpio.write_file(folder / "image.cpio", entries)
        (folder / "image.json").write_text(_manifest(entries))

    entry = cache.get(
        KIND,
        cache.digest(*items),
        build,
        label="node image",
        estimate_s=40 if provision else 2,
        rebuild=rebuild,
    )
    return entry / "image.cpio"


# ---- what provisioning wrote ---------------------------------------------------------------------


def _provisioned(kernel, provision: Provision, log: Path) -> dict[str, Collected]:
    with real.temporary("provision", PROVISIONED_NODES, kernel) as cluster:
        with console.step("provisioning", 25):
            provision(cluster.inventory, log)
        found = [collect(cluster, node) for node in range(cluster.nodes)]
        _look_for_strays(cluster)
    check_agreement(found)
    return found[0]


def _fetch(cluster: Cluster, node: int, script: str) -> bytes:
    command = cluster.ssh_command(node, script)
    try:
        done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    except subprocess.TimeoutExpired as error:
        raise CommandFailed(command, None) from error
    if done.returncode:
        raise CommandFailed(command, done.returncode, done.stderr.decode(errors="replace"))
    return done.stdout


def collect(cluster: Cluster, node: int) -> dict[str, Collected]:
    """The PERSISTED folders of a node, by path."""
    script = (
        "cd /run/etran/overlay/upper && "
        f"tar -cf - --sort=name --ignore-failed-read $(ls -d {' '.join(PERSISTED)} 2>/dev/null)"
    )
    return read_archive(_fetch(cluster, node, script))


def read_archive(data: bytes) -> dict[str, Collected]:
    """A tar archive by path, without what overlayfs uses for deleted files."""
    found: dict[str, Collected] = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            name = cpio.name_of(member.name)
            if member.isdir():
                found[name] = Collected(member.mode, folder=True)
            elif member.issym():
                found[name] = Collected(0o777, link=member.linkname)
            elif member.isfile():
                found[name] = Collected(member.mode, archive.extractfile(member).read())
            elif member.islnk():
                found[name] = found[cpio.name_of(member.linkname)]
            elif not member.ischr():
                raise UserError("provisioning left a file that cannot be frozen", f"/{name}")
    return found


def check_agreement(nodes: Sequence[Mapping[str, Collected]]) -> None:
    """UserError naming the paths in which nodes differ."""
    differences = []
    for number, other in enumerate(nodes[1:], start=1):
        for path in sorted(nodes[0].keys() | other.keys()):
            ours, theirs = nodes[0].get(path), other.get(path)
            if ours != theirs:
                said = [one.describe() if one else "missing" for one in (ours, theirs)]
                differences.append(f"  /{path}: node0 {said[0]}; node{number} {said[1]}")
    if differences:
        more = f"\n  and {len(differences) - 10} more" if len(differences) > 10 else ""
        raise UserError(
            "provisioning left the nodes different from each other, but they boot one image:\n"
            + "\n".join(differences[:10])
            + more,
            "ansible/roles",
            "files must not depend on the node; boot scripts can ask its hostname and address",
        )


def _look_for_strays(cluster: Cluster) -> None:
    """Warn of what provisioning wrote and no image will have."""
    listing = _fetch(
        cluster, 0, r"cd /run/etran/overlay/upper && find . ! -type d ! -type c"
    ).decode(errors="replace")
    known = (*PERSISTED, *EXPECTED)
    strays = [
        name
        for line in listing.splitlines()
        if (name := line.removeprefix("./"))
        and not any(name == k or name.startswith(k + "/") for k in known)
    ]
    if strays:
        console.warn(
            f"provisioning wrote {len(strays)} files that are not part of the node image, such as "
            f"/{strays[0]} (testbed/cluster/real.py, PERSISTED)"
        )


# ---- the image -----------------------------------------------------------------------------------


def _in_image(path: str | Path) -> str:
    """/bin, /sbin and /lib* are links in the image, as on the host."""
    text = str(path).lstrip("/")
    return f"usr/{text}" if text.split("/")[0] in ("bin", "sbin", "lib", "lib64") else text


def _host_files() -> dict[str, Path]:
    """Programs of the host and all libraries they need, by path in the image."""
    files = {"usr/bin/busybox": paths.busybox()}
    programs = []
    for name in SYSTEM_PROGRAMS:
        # `tc` and others moved between /sbin and /usr/sbin.
        found = Path(name) if Path(name).exists() else shutil.which(Path(name).name)
        if not found:
            raise UserError(
                f"{name} is missing: every node image contains it",
                hint="`./run doctor` says which packages are missing",
            )
        programs.append(Path(found))
    for path in (*programs, *elf.libraries(programs)):
        files[_in_image(path)] = path
    return files


def _assemble(kernel, programs, host, collected, modules) -> dict[str, cpio.Entry]:
    entries: dict[str, cpio.Entry] = dict(_base())
    entries |= {name: cpio.File(path, 0o755) for name, path in host.items()}
    entries |= {path: one.entry() for path, one in collected.items()}
    with tempfile.TemporaryDirectory(prefix="etran-image-") as scratch:
        ours = []
        for name, path in sorted(programs.items()):
            guest = f"{PROGRAM_FOLDER}/{name}"
            if guest not in entries:
                # As the deploy role does it: debug information is no use on a node.
                stripped = Path(scratch) / f"program-{name}"
                proc.run(["strip", "--strip-unneeded", "-o", stripped, path])
                entries[guest] = cpio.File(stripped.read_bytes(), 0o755)
        for number, entry in enumerate(entries.values()):
            if isinstance(entry, cpio.File) and isinstance(entry.data, bytes):
                if entry.data.startswith(b"\x7fELF"):
                    copy = Path(scratch) / f"elf-{number}"
                    copy.write_bytes(entry.data)
                    ours.append(copy)
        for path in elf.libraries(ours):
            entries.setdefault(_in_image(path), cpio.File(path, 0o755))
    entries |= _modules(kernel, modules)
    present = {os.path.basename(name) for name in entries if "bin/" in name}
    for applet in proc.run([paths.busybox(), "--list"]).stdout.split():
        if applet not in present:
            entries[f"usr/bin/{applet}"] = cpio.Link("busybox")
    return entries


def _base() -> dict[str, cpio.Entry]:
    folders = ("dev", "mnt", "opt", "proc", "root", "run", "sys", "usr/sbin", "var/log", "var/run")
    entries: dict[str, cpio.Entry] = {name: cpio.Folder() for name in folders}
    entries |= {name: cpio.Link(f"usr/{name}") for name in ("bin", "sbin", "lib", "lib64")}
    entries |= {
        "tmp": cpio.Folder(0o1777),
        "usr/bin/sh": cpio.Link("dash"),
        "init": cpio.File(paths.GUEST / "init-measure", 0o755),
        "dev/console": cpio.Device("c", 5, 1),
        "dev/null": cpio.Device("c", 1, 3, 0o666),
        "etc/passwd": cpio.File(_PASSWD),
        "etc/group": cpio.File(_GROUP),
        "etc/nsswitch.conf": cpio.File(_NSSWITCH),
    }
    return entries


def _modules(kernel, wanted: Sequence[str]) -> dict[str, cpio.Entry]:
    """Kernel modules and those they depend on, with the index that modprobe reads."""
    if not wanted:
        return {}
    tree = Path(kernel.modules) / "lib/modules" / kernel.release
    needs = {}
    for line in (tree / "modules.dep").read_text().splitlines():
        path, _, rest = line.partition(":")
        needs[path] = rest.split()
    by_name = {Path(p).name.split(".")[0].replace("-", "_"): p for p in needs}
    chosen: set[str] = set()
    for name in wanted:
        path = by_name.get(name.replace("-", "_"))
        if path is None:
            raise UserError(f"the kernel has no module {name!r}", tree, "is it built in?")
        chosen |= {path, *needs[path]}
    base = f"usr/lib/modules/{kernel.release}"
    index = "".join(f"{p}:{''.join(' ' + n for n in needs[p])}\n" for p in sorted(chosen))
    entries: dict[str, cpio.Entry] = {f"{base}/modules.dep": cpio.File(index.encode())}
    return entries | {f"{base}/{p}": cpio.File(tree / p) for p in sorted(chosen)}


def _manifest(entries: Mapping[str, cpio.Entry]) -> str:
    rows = []
    for name, entry in cpio.complete(entries).items():
        row: dict[str, object] = {"path": f"/{name}", "kind": type(entry).__name__.lower()}
        if isinstance(entry, cpio.File):
            data = entry.data if isinstance(entry.data, bytes) else entry.data.read_bytes()
            row |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        elif isinstance(entry, cpio.Link):
            row["target"] = entry.target
        rows.append(row)
    return json.dumps({"version": 1, "contents": rows}, indent=0) + "\n"
