# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Building the kernel and finding a built one.

A kernel is a cache entry of kind "kernel", keyed by source version, patch series, configuration
fragments (comments aside) and flavour. An entry holds

    bzImage           for boot loaders
    vmlinux           stripped ELF with PVH entry (QEMU -kernel) and BTF (vmlinux.h)
    vmlinux.debug     the same with symbols and DWARF, for gdb, addr2line and decode_stacktrace.sh
    System.map, config, kernel.json
    modules/lib/modules/<release>/    for images
    headers/          for out-of-tree modules: make -C <headers> M=$PWD modules

Thread: callers in several processes may build at the same time; the cache lets one of them work.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import re
import resource
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from harness import cache, packages, proc
from harness.errors import CommandFailed, UserError
from kernel import kconfig, source

KIND = "kernel"
# Raise when the contents of an entry change without a change of its inputs.
FORMAT = 1
# Part of the image, hence fixed: the same inputs give the same bytes on every machine.
IDENTITY = {
    "KBUILD_BUILD_TIMESTAMP": "Thu Jan 1 00:00:00 UTC 2026",
    "KBUILD_BUILD_USER": "etran",
    "KBUILD_BUILD_HOST": "etran",
    "KBUILD_BUILD_VERSION": "1",
}
# What the object files say they were compiled in, instead of a temporary folder.
SOURCE_PREFIX = "/usr/src/linux-etran"
# Where variables live at each instruction is a third of the debug information and a tenth of the
# build. BTF and the machine code are the same without; only gdb's `print` misses it, and for that
# there is the debug flavour.
COMPILER_FLAGS = {"release": ["-fno-var-tracking"], "debug": []}
# Processor seconds of a build without ccache on the reference machine, for the estimate.
CPU_SECONDS = {"release": 620, "debug": 900}
# Parts of the kernel's own header package that no module build reads.
UNNEEDED_HEADERS = (
    "include/drm",
    "include/dt-bindings",
    "include/media",
    "include/soc",
    "include/sound",
    "scripts/coccinelle",
    "scripts/gdb",
    "scripts/selinux",
    "scripts/tracing",
)


@dataclass(frozen=True)
class KernelBuild:
    """A kernel in the cache; all paths are inside `dir` and stay valid until a rebuild."""

    dir: Path
    flavour: str
    key: str
    release: str  # uname -r

    @property
    def bzimage(self) -> Path:
        return self.dir / "bzImage"

    @property
    def vmlinux(self) -> Path:
        return self.dir / "vmlinux"

    @property
    def btf(self) -> Path:
        """An ELF file with the kernel's .BTF section, as bpftool and libbpf read it."""
        return self.vmlinux

    @property
    def debug(self) -> Path:
        return self.dir / "vmlinux.debug"

    @property
    def modules(self) -> Path:
        """The folder lib/modules/<release>."""
        return self.dir / "modules" / "lib" / "modules" / self.release

    @property
    def headers(self) -> Path:
        return self.dir / "headers"

    @property
    def config(self) -> Path:
        return self.dir / "config"

    @property
    def info(self) -> dict:
        """kernel.json: version, source, compiler, patches, and what the build cost."""
        return json.loads((self.dir / "kernel.json").read_text(encoding="utf-8"))


def key(flavour: str) -> str:
    """The cache key of what build(flavour) would give now."""
    options = "\n".join(map(str, kconfig.requested(flavour)))
    series = [part for p in source.series() for part in (p.name, p.read_bytes())]
    flags = " ".join(COMPILER_FLAGS[flavour])
    origin = source.find().identity
    return cache.digest(f"format {FORMAT}", origin, flavour, flags, options, *series)


def _load(entry: Path, flavour: str, name: str) -> KernelBuild:
    info = json.loads((entry / "kernel.json").read_text(encoding="utf-8"))
    return KernelBuild(entry, flavour, name, info["release"])


def lookup(flavour: str = "release") -> KernelBuild | None:
    """The cached kernel if it is there and whole. Never builds, installs nothing."""
    kconfig.files(flavour)  # an unknown flavour is an error, not "absent"
    try:
        name = key(flavour)
    except UserError:
        return None
    entry = cache.peek(KIND, name)
    return _load(entry, flavour, name) if entry else None


def build(flavour: str = "release", rebuild: bool = False) -> KernelBuild:
    """The cached kernel, built first if need be (minutes). UserError when that is not possible."""
    kconfig.files(flavour)
    if platform.machine() != "x86_64":
        raise UserError(f"the kernel is built on and for x86_64, this is {platform.machine()}")
    if not rebuild and (found := lookup(flavour)):
        return found
    packages.ensure(["kernel"])
    name = key(flavour)
    estimate = CPU_SECONDS[flavour] / _jobs()
    entry = cache.get(
        KIND,
        name,
        functools.partial(_build, flavour),
        label=f"{flavour} kernel",
        estimate_s=estimate,
        rebuild=rebuild,
    )
    return _load(entry, flavour, name)


def status() -> list[dict]:
    """One object per flavour, for people (`./run kernel --status`) and for `./run doctor`."""
    rows = []
    for flavour in kconfig.FLAVOURS:
        row: dict = {"flavour": flavour, "built": False, "key": None, "problem": None}
        rows.append(row)
        try:
            row["key"] = key(flavour)
        except UserError as error:
            row["problem"] = error.what
            continue
        entry = cache.root() / KIND / row["key"]
        if not entry.is_dir():
            continue
        if why := cache.problem(entry):
            row["problem"] = f"the cached kernel is corrupt and will be built again: {why}"
            continue
        found = _load(entry, flavour, row["key"])
        size = sum(p.lstat().st_size for p in entry.rglob("*") if not p.is_dir())
        row.update(built=True, dir=str(entry), size_bytes=size, **found.info)
    return rows


def _jobs() -> int:
    return len(os.sched_getaffinity(0))


def _make_words(tree: Path, flavour: str) -> list[str]:
    """Words of every make command: reproducible output, ccache when it is installed."""
    words = [f"{name}={value}" for name, value in IDENTITY.items()]
    prefix = f"-fdebug-prefix-map={tree}={SOURCE_PREFIX}"
    words += ["KCFLAGS=" + " ".join([*COMPILER_FLAGS[flavour], prefix]), f"KAFLAGS={prefix}"]
    if shutil.which("ccache"):
        words += ["CC=ccache gcc", "HOSTCC=ccache gcc"]
    return words


# ccache: find objects of an earlier build although the folder is a new one each time, and take the
# dependencies from the compiler instead of running the preprocessor first (saves 1/8 of a build).
_ENVIRONMENT = {"CCACHE_NOHASHDIR": "1", "CCACHE_DEPEND": "1"}
# Nothing of the caller's own kernel work may leak in.
_ENVIRONMENT |= {"LC_ALL": "C", "MAKEFLAGS": "", "LOCALVERSION": "", "ARCH": "x86"}


def _make(tree: Path, flavour: str, log: Path, *targets: object) -> None:
    argv = ["make", f"-j{_jobs()}", *_make_words(tree, flavour), *targets]
    try:
        proc.run(argv, cwd=tree, env=_ENVIRONMENT, log=log, nice=True)
    except CommandFailed as error:
        if "No space left on device" in error.output:
            error.hint = "the disk is full: a build takes 4 GB; ETRAN_CACHE chooses another disk"
        else:
            error.hint = _first_error(error.output)
        raise


def _first_error(output: str) -> str:
    """With several jobs the cause is seldom in the last lines: point at the first complaint."""
    for number, line in enumerate(output.splitlines(), 1):
        if re.search(r"\b(fatal )?error\b[: ]|: undefined reference|No rule to make target", line):
            return f"the first error: {line.strip()}"
    return "the cause is further up in the log"


def prepare(tree: Path, flavour: str, log: Path) -> source.Source:
    """Source, series and configuration in the new folder `tree`."""
    origin = source.find()
    source.unpack(origin, tree, log)
    source.apply(tree, source.series(), log)
    kconfig.configure(tree, flavour, log)
    return origin


def _build(flavour: str, out: Path, log: Path) -> None:
    """Builder for harness.cache: fill `out`. The source tree lives in it and goes at the end."""
    began = time.monotonic(), _cpu_seconds()
    tree = out / "tree"
    origin = prepare(tree, flavour, log)
    _make(tree, flavour, log, "bzImage", "modules")
    release = (tree / "include/config/kernel.release").read_text(encoding="ascii").strip()

    (tree / "arch/x86/boot/bzImage").rename(out / "bzImage")
    for name, saved in (("System.map", "System.map"), (".config", "config")):
        shutil.copyfile(tree / name, out / saved)
    proc.run(["strip", "--strip-all", "-o", out / "vmlinux", tree / "vmlinux"], log=log)
    compress = ["objcopy", "--compress-debug-sections=zlib"]
    proc.run([*compress, tree / "vmlinux", out / "vmlinux.debug"], log=log, nice=True)
    install = [f"INSTALL_MOD_PATH={out / 'modules'}", "INSTALL_MOD_STRIP=1"]
    _make(tree, flavour, log, "modules_install", *install)
    # Points to the tree that is about to go.
    (out / "modules/lib/modules" / release / "build").unlink(missing_ok=True)
    script = "$(srctree)/scripts/package/install-extmod-build"
    _make(tree, flavour, log, "run-command", f"KBUILD_RUN_COMMAND={script} {out / 'headers'}")
    _finish_headers(tree, out / "headers")
    version_text = [line for line in (out / "config").open() if "CONFIG_CC_VERSION_TEXT" in line]
    proc.run(["rm", "-rf", tree], log=log)  # 90,000 files: several times faster than Python

    info = {
        "release": release,
        "source": origin.identity,
        "patches": [patch.name for patch in source.series()],
        "compiler": version_text[0].split('"')[1],
        "seconds": round(time.monotonic() - began[0], 1),
        "cpu_seconds": round(_cpu_seconds() - began[1], 1),
        "jobs": _jobs(),
    }
    (out / "kernel.json").write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _finish_headers(tree: Path, headers: Path) -> None:
    """Complete what the kernel's own packaging considers enough for external modules."""
    shutil.copyfile(tree / ".config", headers / ".config")
    for name in UNNEEDED_HEADERS:
        shutil.rmtree(headers / name, ignore_errors=True)
    # With BTF in reach a module's own types become visible to tracers, and it may offer kfuncs.
    (headers / "vmlinux").symlink_to("../vmlinux")
