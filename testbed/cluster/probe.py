# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Can this machine run guests with KVM? Only a guest that has run proves it: there are hosts whose
/dev/kvm opens and whose guests then stand still."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path

from harness import cache, console
from testbed.cluster import cpio, machine, processes

BUSYBOX = Path("/bin/busybox")
TIMEOUT_S = 15
MARK = b"etran-probe: ok"
INIT = b"""#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs dev /dev
echo 'etran-probe: ok' >/dev/console
/bin/busybox poweroff -f
"""


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def kvm_works(kernel: Path) -> tuple[bool, str]:
    """Whether KVM runs a guest, and how we know. Remembered until the machine is rebooted."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        exists = os.path.exists("/dev/kvm")
        return False, "/dev/kvm may not be opened" if exists else "there is no /dev/kvm"
    memory = cache.root() / "kvm-probe.json"
    try:
        known = json.loads(memory.read_text())
        if known["boot_id"] == _boot_id():
            return bool(known["works"]), str(known["why"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    with console.step("trying whether KVM works here", 3):
        works, why = _probe(kernel)
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        part = memory.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps({"boot_id": _boot_id(), "works": works, "why": why}))
        part.replace(memory)
    except OSError:
        pass  # asked again next time
    return works, why


def _probe(kernel: Path) -> tuple[bool, str]:
    with tempfile.TemporaryDirectory(prefix="etran-probe-") as name:
        folder = Path(name)
        entries = {
            "/init": cpio.File(INIT, 0o755),
            "/bin/busybox": cpio.File(BUSYBOX, 0o755),
            "/proc": cpio.Folder(),
            "/dev/console": cpio.Device("c", 5, 1),
        }
        cpio.write_file(folder / "probe.cpio", entries)
        console_file, output = folder / "console", folder / "output"
        console_file.touch()
        command = [
            *(machine.STOCK_QEMU, "-M", machine.MACHINE, "-accel", "kvm", "-cpu", "host"),
            *("-m", "128", "-nodefaults", "-display", "none", "-no-reboot"),
            *("-serial", f"file:{console_file}"),
            *("-kernel", str(kernel), "-initrd", str(folder / "probe.cpio")),
            *("-append", "console=ttyS0 quiet panic=-1"),
        ]
        child = processes.start(command, output, dies_with_us=True)
        try:
            deadline = time.monotonic() + TIMEOUT_S
            while child.poll() is None and time.monotonic() < deadline:
                if MARK in console_file.read_bytes():
                    break
                time.sleep(processes.POLL_S)
            if MARK in console_file.read_bytes():
                return True, "a probe guest ran"
            if child.poll() is not None:
                words = processes.tail(output).splitlines() or [f"status {child.returncode}"]
                return False, f"KVM does not run a probe guest: {words[0]}"
            return False, f"/dev/kvm opens, but a probe guest did not boot within {TIMEOUT_S} s"
        finally:
            processes.end_children([child])
