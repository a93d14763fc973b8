# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The smallest possible machine for testing a kernel: stock QEMU, busybox, one script, no network.

Not the cluster: see testbed/ for that.
"""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import proc
from harness.errors import CommandFailed, UserError

QEMU = "qemu-system-x86_64"
BUSYBOX = Path("/bin/busybox")

# With one processor the guest's time is the instructions it has executed: a busy host cannot upset
# its calibration loops and watchdogs, and a boot repeats exactly. With more QEMU is too slow at it.
ICOUNT = ["-icount", "shift=0,sleep=off"]

BEGIN, END = "=== begin", "=== end"

_INIT = f"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /tmp /run
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mount -t tmpfs tmpfs /run
mount -t debugfs debugfs /sys/kernel/debug
echo "{BEGIN}"
. /test.sh
echo "{END}"
poweroff -f
"""


def why_not() -> str | None:
    """Why no machine can be started here, or None."""
    if not shutil.which(QEMU):
        return f"{QEMU} is not installed (Debian package qemu-system-x86)"
    if not BUSYBOX.is_file():
        return f"{BUSYBOX} is not installed (Debian package busybox-static)"
    if not shutil.which("cpio"):
        return "cpio is not installed"
    return None


def initramfs(
    folder: Path, script: str, files: Mapping[str, Path] | None = None, compress: str | None = None
) -> Path:
    """Pack busybox, /test.sh and `files` (name in the image -> file) into a new file in `folder`.

    compress: None, "gzip" or "zstd".
    """
    root = folder / "root"
    shutil.rmtree(root, ignore_errors=True)
    (root / "bin").mkdir(parents=True)
    shutil.copy(BUSYBOX, root / "bin/busybox")
    (root / "init").write_text(_INIT)
    (root / "init").chmod(0o755)
    (root / "test.sh").write_text(script)
    for name, path in (files or {}).items():
        target = root / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    names = sorted(str(p.relative_to(root)) for p in root.rglob("*"))
    image = folder / "initramfs.cpio"
    words = ["cpio", "--quiet", "--create", "--format=newc", "--reproducible", "-F", image]
    proc.run(words, cwd=root, input="".join(name + "\n" for name in names))
    if compress == "gzip":
        packed = image.with_suffix(".cpio.gz")
        packed.write_bytes(gzip.compress(image.read_bytes(), 1, mtime=0))
        return packed
    if compress == "zstd":
        packed = image.with_suffix(".cpio.zst")
        proc.run(["zstd", "-q", "-f", image, "-o", packed])
        return packed
    return image


def run(
    kernel: Path,
    image: Path,
    *,
    memory_mb: int = 256,
    cpus: int = 1,
    append: str = "",
    extra: Sequence[str] = (),
    timeout: float = 300,
) -> list[str]:
    """Boot, run /test.sh, and return the lines that it printed.

    UserError with the end of the console when the machine stops or hangs before it is through.
    """
    argv = [QEMU, "-M", "pc", "-accel", "tcg", *(ICOUNT if cpus == 1 else [])]
    argv += ["-cpu", "max,-erms,-fsrm", "-m", str(memory_mb)]
    argv += ["-smp", str(cpus), "-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio"]
    argv += ["-kernel", str(kernel), "-initrd", str(image), *extra]
    argv += ["-append", f"console=ttyS0 quiet panic=-1 tsc=reliable {append}".strip()]
    try:
        done = proc.run(argv, timeout=timeout, nice=True)
        console = done.stdout
    except CommandFailed as error:
        if error.status is not None:
            raise
        console = error.output
    # The firmware's escape sequences may stand before the marks.
    lines = console.replace("\r", "").splitlines()
    begin = [n for n, line in enumerate(lines) if line.endswith(BEGIN)]
    end = [n for n, line in enumerate(lines) if line.endswith(END)]
    if len(begin) != 1 or len(end) != 1:
        tail = "\n".join(f"  | {line}" for line in lines[-40:])
        raise UserError(
            f"the machine did not come through its script; its console:\n{tail}", kernel
        )
    return lines[begin[0] + 1 : end[0]]
