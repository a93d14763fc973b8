# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Building the QEMU that runs in virtual time, and finding a built one.

It is a cache entry of kind "qemu", keyed by Debian's version of the source, the patch series, our
sources (src/, and the parts of ../switch that run inside a machine), the configuration and the
firmware. An entry holds

    qemu-system-x86_64
    share/          firmware, for -L: part of what the guests execute, hence of every result
    qemu.json       where it comes from

Thread: callers in several processes may build at the same time; the cache lets one of them work.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from harness import cache, packages, proc
from harness.errors import CommandFailed, UserError
from testbed.qemu import source

KIND = "qemu"
# Raise when the contents of an entry change without a change of its inputs.
FORMAT = 1
# Processor seconds of a build without ccache on the reference machine, for the estimate.
CPU_SECONDS = 400

HERE = Path(__file__).resolve().parent
SWITCH = HERE.parent / "switch"
# To let another file into QEMU: here. It lands in net/vtnet/, all .c files are compiled.
SOURCES = (
    *(HERE / "src" / name for name in ("vtnet.c", "vtnet_clock.c", "vtnet_nic.c")),
    *(HERE / "src" / name for name in ("vtnet_control.h", "vtnet_int.h")),
    *(HERE / "src" / name for name in ("nic_offload.c", "nic_offload.h")),
    *(SWITCH / f"tor_{part}.c" for part in ("buffer", "config", "fault", "fdb", "model", "packet")),
    *(SWITCH / f"tor_{part}.h" for part in ("block", "fault", "model", "packet")),
    *(SWITCH / f"vt_{part}.c" for part in ("clock", "core", "net", "sync")),
    *(SWITCH / f"vt_{part}.h" for part in ("core", "net", "ring", "shm", "vm")),
)

# Devices of the machine: Kconfig symbols, under this name for configure.
DEVICES = HERE / "src/devices.mak"

# Nothing that a node in virtual time does not have: no display, no disk formats, no user network.
CONFIGURE = (
    "--target-list=x86_64-softmmu",
    "--without-default-features",
    "--without-default-devices",
    "--with-devices-x86_64=etran",
    "--enable-system",
    "--enable-tcg",
    "--enable-virtfs",  # 9p, with the two below: results leave through a shared folder
    "--enable-attr",
    "--enable-cap-ng",
    "--enable-fdt=system",  # the x86 machines do not link without
    "--enable-trace-backends=nop",
    "--disable-werror",
    "--meson=/usr/bin/meson",
)

# As Debian packages it; only what a machine without display and disk reads.
FIRMWARE = {
    "bios-256k.bin": "/usr/share/seabios/bios-256k.bin",
    "kvmvapic.bin": "/usr/share/qemu/kvmvapic.bin",
    "linuxboot_dma.bin": "/usr/share/qemu/linuxboot_dma.bin",
    "pvh.bin": "/usr/share/qemu/pvh.bin",
}


@dataclass(frozen=True)
class _Inputs:
    """All that a build is made from, read once: what is built is what the key says."""

    dsc: Path
    version: str
    patches: dict[str, bytes]  # in the order of the series
    sources: dict[str, bytes]
    firmware: dict[str, bytes]

    @classmethod
    def read(cls, dsc: Path) -> "_Inputs":
        for name, path in FIRMWARE.items():
            if not Path(path).is_file():
                raise UserError(
                    f"the firmware {name} is missing",
                    path,
                    "install the Debian packages seabios and qemu-system-data",
                )
        return cls(
            dsc,
            source.version(dsc),
            {p.name: p.read_bytes() for p in source.series()},
            {p.name: p.read_bytes() for p in sorted((DEVICES, *SOURCES))},
            {name: Path(path).read_bytes() for name, path in sorted(FIRMWARE.items())},
        )

    def key(self) -> str:
        items: list[str | bytes] = [f"format {FORMAT}", self.version, *CONFIGURE]
        for files in (self.patches, self.sources, self.firmware):
            for name, data in files.items():
                items += [name, data]
        return cache.digest(*items)


@dataclass(frozen=True)
class QemuBuild:
    """A QEMU in the cache; all paths are inside `dir` and stay valid until a rebuild."""

    dir: Path
    binary: Path
    share: Path  # firmware: the machines need -L <share>
    key: str
    version: str  # Debian's, of the source; the key tells the rest


def build(rebuild: bool = False) -> QemuBuild:
    """The QEMU of this tree, fetched and built if need be (about 4 minutes on two cores)."""
    packages.ensure(["qemu-build"])
    inputs = _Inputs.read(source.fetch(rebuild))
    cpus = len(os.sched_getaffinity(0))
    entry = cache.get(
        KIND,
        inputs.key(),
        lambda target, log: _build(inputs, target, log, cpus),
        label=f"QEMU {source.UPSTREAM} with virtual time",
        estimate_s=15 + CPU_SECONDS / cpus,
        rebuild=rebuild,
    )
    return _found(entry)


def lookup() -> QemuBuild | None:
    """The QEMU of this tree if it is in the cache and whole; never downloads or builds."""
    dsc = source.fetched()
    try:
        entry = dsc and cache.peek(KIND, _Inputs.read(dsc).key())
    except UserError:  # no firmware, so nothing was built either
        return None
    return _found(entry) if entry else None


def status() -> dict:
    """For `./run doctor`."""
    found = lookup()
    return {
        "upstream": source.UPSTREAM,
        "built": found is not None,
        "version": found.version if found else None,
        "key": found.key if found else None,
        "path": str(found.binary) if found else None,
    }


def _found(entry: Path) -> QemuBuild:
    about = json.loads((entry / "qemu.json").read_text())
    return QemuBuild(
        dir=entry,
        binary=entry / "qemu-system-x86_64",
        share=entry / "share",
        key=about["key"],
        version=about["version"],
    )


def _build(inputs: _Inputs, target: Path, log: Path, cpus: int) -> None:
    tree = target / "tree"
    source.unpack(inputs.dsc, tree, log)
    source.apply(inputs.patches, tree, log)
    _add_sources(inputs, tree)
    objects = tree / "build"
    objects.mkdir()
    # QEMU's configure takes the first python3 of PATH; Debian's is the one that knows meson.
    environment = {
        "PATH": "/usr/bin:/bin:/usr/sbin:/sbin",
        "CCACHE_BASEDIR": str(tree),
        "CCACHE_NOHASHDIR": "1",
    }
    compiler = "ccache gcc" if shutil.which("ccache") else "gcc"
    try:
        words = ["../configure", f"--cc={compiler}", f"--host-cc={compiler}", *CONFIGURE]
        proc.run(words, cwd=objects, env=environment, log=log, nice=True)
        words = ["ninja", f"-j{cpus}", "qemu-system-x86_64"]
        proc.run(words, cwd=objects, env=environment, log=log, nice=True)
        binary = target / "qemu-system-x86_64"
        # The symbol table stays, for profilers and back-traces.
        proc.run(["strip", "--strip-debug", "-o", binary, objects / binary.name], log=log)
        proc.run([binary, "--version"], log=log)
    except CommandFailed as error:
        error.hint = "QEMU did not build; the first error in the log is the one to look at"
        raise
    share = target / "share"
    share.mkdir()
    for name, data in inputs.firmware.items():
        (share / name).write_bytes(data)
    about = {
        "version": inputs.version,
        "key": inputs.key(),
        "configure": list(CONFIGURE),
        "patches": list(inputs.patches),
    }
    (target / "qemu.json").write_text(json.dumps(about, indent=1) + "\n")
    shutil.rmtree(tree)


def _add_sources(inputs: _Inputs, tree: Path) -> None:
    folder = tree / "net/vtnet"
    folder.mkdir()
    for name, data in inputs.sources.items():
        (folder / name).write_bytes(data)
    (folder / DEVICES.name).rename(tree / "configs/devices/x86_64-softmmu/etran.mak")
    names = "".join(f"  '{name}',\n" for name in inputs.sources if name.endswith(".c"))
    (folder / "meson.build").write_text(f"softmmu_ss.add(files(\n{names}))\n")
