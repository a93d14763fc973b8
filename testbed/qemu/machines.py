# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Small machines on a virtual-time network, for tests: busybox, vtguest and a job each."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from harness import proc
from testbed.cluster import cpio, paths, processes
from testbed.qemu.build import HERE, QemuBuild

LIMIT_S = 600.0  # host time; a busy host makes everything slow, never different


class Network:
    """A switch and its machines. Ended on leaving the `with` block, whatever happened.

    jobs: one shell script per port, run by testdata/init.sh. Results are lines "RESULT ...".
    netdev, device: more options for these; absent: ports without a machine; rate: ns per
    instruction.
    """

    def __init__(
        self,
        folder: Path,
        qemu: QemuBuild,
        bzimage: Path,
        guest: Path,
        jobs: Sequence[str],
        *,
        config: dict | None = None,
        netdev: str = "",
        device: str = "",
        absent: Sequence[int] = (),
        rate: tuple[int, int] = (2, 5),
    ):
        self.folder, self.qemu, self.bzimage = folder, qemu, bzimage
        self.ports = len(jobs)
        self.file = Path("/dev/shm") / f"etran-test-{os.getpid()}-{folder.name}"
        self.netdev, self.device, self.absent, self.rate = netdev, device, absent, rate
        folder.mkdir(parents=True, exist_ok=True)
        self.monitors = Path(tempfile.mkdtemp(prefix="etran-test-"))  # short: paths of sockets are
        (folder / "switch.json").write_text(json.dumps({"ports": self.ports, **(config or {})}))
        for port, job in enumerate(jobs):
            entries = {
                "init": cpio.File(HERE / "testdata/init.sh", 0o755),
                "job.sh": cpio.File(job.encode()),
                "bin/busybox": cpio.File(paths.busybox(), 0o755),
                "bin/vtguest": cpio.File(guest, 0o755),
                **{name: cpio.Folder() for name in ("dev", "proc", "sys")},
            }
            with (folder / f"{port}.cpio").open("wb") as file:
                cpio.write(file, entries)
        self.switch: subprocess.Popen | None = None
        self.machines: dict[int, subprocess.Popen] = {}

    def __enter__(self) -> "Network":
        words = [paths.tool("torswitch"), "virtual", "--epochs", "0", "--file", self.file]
        words += [
            "--config",
            self.folder / "switch.json",
            "--stats",
            self.folder / "switch-stats.json",
        ]
        self.switch = processes.start(
            [str(w) for w in words], self.folder / "switch.log", dies_with_us=True
        )
        self._until(lambda: self.file.exists() and self.file.stat().st_size, "the switch starts")
        for port in range(self.ports):
            if port not in self.absent:
                self.machines[port] = processes.start(
                    self._command(port), self.folder / f"{port}.qemu", dies_with_us=True
                )
        return self

    def __exit__(self, *_) -> None:
        for child in [*self.machines.values(), self.switch]:
            if child.poll() is None:
                child.terminate()
        for child in [*self.machines.values(), self.switch]:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(10)
            if child.poll() is None:
                child.kill()
                child.wait()
        self.file.unlink(missing_ok=True)
        shutil.rmtree(self.monitors)

    def _command(self, port: int) -> list[str]:
        network = f"vtnet,id=d,path={self.file},port={port},stats={self.folder}/{port}.json"
        device = f"virtio-net-pci,netdev=d,mac=52:54:00:00:00:{port + 1:02x},romfile="
        device += (
            ",ioeventfd=off,tx=timer,x-txtimer=500,guest_tso4=off,guest_tso6=off,guest_ecn=off"
        )
        device += ",rx_queue_size=1024,tx_queue_size=1024"
        num, den = self.rate
        kernel = "console=ttyS0 quiet panic=-1 tsc=reliable tsc_early_khz=1000000 no_timer_check"
        return [
            *(str(self.qemu.binary), "-L", str(self.qemu.share)),
            *("-M", "pc", "-nodefaults", "-nographic", "-no-reboot", "-m", "192"),
            *("-accel", "tcg,thread=single,tb-size=128"),
            *("-icount", f"shift=0,sleep=off,ns-num={num},ns-den={den},pause=100"),
            *("-rtc", "base=2026-01-01,clock=vm", "-seed", str(port + 1)),
            *("-cpu", "max,-erms,-fsrm"),
            *("-serial", f"file:{self.folder}/{port}.console"),
            *("-qmp", f"unix:{self.monitors}/{port},server=on,wait=off"),
            *("-netdev", network + self.netdev, "-device", device + self.device),
            *("-kernel", str(self.bzimage), "-initrd", str(self.folder / f"{port}.cpio")),
            *("-append", f"{kernel} port={port} ports={self.ports}"),
        ]

    def _until(self, done, what: str) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not done():
            assert time.monotonic() < deadline, f"timed out waiting until {what}"
            assert self.switch.poll() is None, processes.tail(self.folder / "switch.log")
            time.sleep(0.02)

    def console(self, port: int) -> str:
        path = self.folder / f"{port}.console"
        return path.read_text(errors="replace") if path.exists() else ""

    def said(self, port: int) -> str:
        """QEMU's own words."""
        return (self.folder / f"{port}.qemu").read_text(errors="replace")

    def wait_for(self, port: int, text: str) -> None:
        """Until the console of the machine shows `text`."""

        def there() -> bool:
            assert self.machines[port].poll() is None or text in self.console(port), self.said(port)
            return text in self.console(port)

        self._until(there, f"port {port} says {text!r}:\n{self.console(port)[-500:]}")

    def kill(self, port: int, number: signal.Signals) -> None:
        self.machines[port].send_signal(number)

    @contextlib.contextmanager
    def monitor(self, port: int) -> Iterator[Callable[[str], dict]]:
        """A function that gives QEMU's monitor a command and returns its answer.

        ConnectionError when the machine has ended.
        """
        path = self.monitors / str(port)
        self._until(path.exists, f"the monitor of port {port} is there")
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(LIMIT_S)
            link.connect(str(path))
            lines = link.makefile("rw")
            lines.readline()  # the greeting

            def execute(command: str) -> dict:
                lines.write(json.dumps({"execute": command}) + "\n")
                lines.flush()
                while line := lines.readline():
                    answer = json.loads(line)
                    if "event" not in answer:
                        return answer
                raise ConnectionResetError(f"port {port} has gone: {self.said(port)}")

            execute("qmp_capabilities")
            yield execute

    def statuses(self) -> list[int]:
        """Exit statuses of the machines, once all have ended."""
        deadline = time.monotonic() + LIMIT_S
        for child in self.machines.values():
            child.wait(max(0.1, deadline - time.monotonic()))
        return [child.returncode for child in self.machines.values()]

    def switch_stats(self) -> dict:
        assert self.switch.wait(30) == 0, processes.tail(self.folder / "switch.log")
        return json.loads((self.folder / "switch-stats.json").read_text())

    def nic_stats(self, port: int) -> dict:
        return json.loads((self.folder / f"{port}.json").read_text())

    def results(self) -> list[str]:
        """All RESULT lines, with the port they come from."""
        return [
            f"{port}: {line.strip()}"
            for port in sorted(self.machines)
            for line in self.console(port).splitlines()
            if line.startswith("RESULT")
        ]

    def result(self, port: int, command: str) -> dict[str, str]:
        """The values of the first line "RESULT command key=value ..." of a machine."""
        for line in self.console(port).splitlines():
            if line.startswith(f"RESULT {command} "):
                return dict(word.split("=", 1) for word in line.split()[2:])
        raise AssertionError(f"port {port} has no result {command}:\n{self.console(port)[-1000:]}")


def build_guest(folder: Path) -> Path:
    """testdata/vtguest.c as a static program."""
    binary = folder / "vtguest"
    words = ["gcc", "-std=c11", "-O2", "-Wall", "-static", f"-I{HERE}/src", "-o", binary]
    proc.run([*words, HERE / "testdata/vtguest.c"])
    return binary


@contextlib.contextmanager
def busy_host(processes_wanted: int) -> Iterator[None]:
    """Other work on every core, while the block lasts."""
    loop = "import os\np = os.getppid()\nwhile os.getppid() == p:\n    sum(range(100000))"
    hogs = [
        subprocess.Popen(["/usr/bin/python3", "-c", loop], stdin=subprocess.DEVNULL)
        for _ in range(processes_wanted)
    ]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
