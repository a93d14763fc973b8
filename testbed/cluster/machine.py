# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""One virtual machine: its command line, its console, its end.

The devices are the same in both kinds of time and sit in the same PCI slots, so that what
provisioning finds out about a node (names, queues, interrupts) holds in a measurement.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from harness.errors import CommandFailed, UserError
from testbed.cluster import processes

STOCK_QEMU = "qemu-system-x86_64"
# ERMS and FSRM turn kernel copies into `rep movsb`, one emulated instruction per byte: an order of
# magnitude slower than on a real core, relative to everything else.
CPU = "max,-erms,-fsrm"
MACHINE = "pc"
# What a PAUSE takes (140 cycles of a Skylake core at 3.5 GHz). Boot spins away 0.15 s in it.
PAUSE_NS = 40
# The TSC counts nanoseconds of virtual time; measuring it at boot would only add an error.
VIRTUAL_KERNEL = "tsc=reliable tsc_early_khz=1000000 no_timer_check"
MIN_NODES, MAX_NODES = 2, 10

# Lines that the guests' init scripts write to the console.
READY = re.compile(r"etran-node: ready")
DONE = re.compile(r"etran-node: done status=(\d+)")
FAILED = re.compile(r"etran-node: FAILED: (.*)")
PANIC = re.compile(r"Kernel panic - not syncing: (.*)")


def data_mac(node: int) -> str:
    return f"52:54:00:00:00:{node + 1:02x}"


def management_mac(node: int) -> str:
    return f"52:54:00:00:01:{node + 1:02x}"


def data_address(node: int) -> str:
    return f"10.0.0.{node + 1}"


def check_nodes(nodes: int) -> None:
    if not MIN_NODES <= nodes <= MAX_NODES:
        raise UserError(f"a cluster has {MIN_NODES} to {MAX_NODES} nodes, not {nodes}", "--nodes")


def share(tag: str, path: Path | str, slot: str, *, writable: bool = False) -> list[str]:
    """A folder of the host as a 9p share. Rights are those of QEMU's user."""
    if "," in str(path):
        raise UserError("a folder with a comma in its name cannot be shared with a machine", path)
    options = f"local,id={tag},path={path},security_model=none,multidevs=remap"
    return [
        *("-fsdev", options + ("" if writable else ",readonly=on")),
        *("-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag},addr={slot}"),
    ]


def _common(name: str, node: int, nodes: int, memory_mib: int, console: Path) -> list[str]:
    return [
        *("-name", f"{name}-node{node}"),
        *("-M", MACHINE),
        *("-m", str(memory_mib)),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-serial", f"file:{console}"),
    ]


def _boot(kernel: Path, initrd: Path, node: int, nodes: int, extra: str) -> list[str]:
    line = f"console=ttyS0 quiet panic=-1 etran.node={node} etran.nodes={nodes} {extra}"
    return ["-kernel", str(kernel), "-initrd", str(initrd), "-append", line.strip()]


def real_command(
    *,
    name: str,
    node: int,
    nodes: int,
    kernel: Path,
    initrd: Path,
    modules: Path | None,
    console: Path,
    qmp: Path,
    data_fd: int,
    ssh_port: int,
    memory_mib: int,
    cpus: int,
    kvm: bool,
    run_as: str | None,
) -> list[str]:
    """A node in real time: stock QEMU, the host's root over 9p, SSH on 127.0.0.1:ssh_port (0: any
    free port), data network on the connected datagram socket data_fd."""
    accel = (
        ["-accel", "kvm", "-cpu", "host"]
        if kvm
        else ["-accel", "tcg,thread=multi,tb-size=96", "-cpu", CPU]
    )
    return [
        STOCK_QEMU,
        *_common(name, node, nodes, memory_mib, console),
        *accel,
        *("-smp", str(cpus)),
        *("-qmp", f"unix:{qmp},server=on,wait=off"),
        *("-netdev", f"dgram,id=data,local.type=fd,local.str={data_fd}"),
        *("-device", f"virtio-net-pci,netdev=data,mac={data_mac(node)},romfile=,addr=4"),
        *(
            "-netdev",
            f"user,id=mgmt,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:{ssh_port}-10.0.2.15:22",
        ),
        *("-device", f"virtio-net-pci,netdev=mgmt,mac={management_mac(node)},romfile=,addr=5"),
        *share("root", "/", "6"),
        *(share("modules", modules, "7") if modules else []),
        *("-device", "virtio-rng-pci,addr=8"),
        *(["-runas", run_as] if run_as else []),
        *_boot(kernel, initrd, node, nodes, "etran.modules=1" if modules else ""),
    ]


def virtual_command(
    *,
    name: str,
    qemu,
    node: int,
    nodes: int,
    kernel: Path,
    initrd: Path,
    network: Path,
    results: Path,
    nic_stats: Path,
    console: Path,
    seed: int,
    ns_per_insn: float,
    memory_mib: int,
) -> list[str]:
    """A node in virtual time: every input of the machine is on this line or in its RAM disk.

    qemu: testbed.qemu.build.QemuBuild, whose README has the reasons for the options.
    """
    rate = Fraction(ns_per_insn).limit_denominator(1000)
    if not 0 < rate <= 1000:
        raise UserError(f"{ns_per_insn} is not a usable time per instruction (ns)")
    speed = f"ns-num={rate.numerator},ns-den={rate.denominator},pause={round(PAUSE_NS / rate)}"
    return [
        *(str(qemu.binary), "-L", str(qemu.share)),
        *_common(name, node, nodes, memory_mib, console),
        *("-accel", "tcg,thread=single,tb-size=128"),
        *("-icount", f"shift=0,sleep=off,{speed}"),
        *("-rtc", "base=2026-01-01,clock=vm"),
        *("-seed", str(seed)),
        *("-cpu", CPU),
        *("-netdev", f"vtnet,id=data,path={network},port={node},stats={nic_stats}"),
        # What is sent leaves when a timer of the guest's clock fires, not when the host gets to it.
        *(
            "-device",
            f"virtio-net-pci,netdev=data,mac={data_mac(node)},romfile=,addr=4,"
            "ioeventfd=off,tx=timer,x-txtimer=500,guest_tso4=off,guest_tso6=off,guest_ecn=off,"
            "rx_queue_size=1024,tx_queue_size=1024",
        ),
        # Mounted by the agent when the epoch is over.
        *share("results", results, "9", writable=True),
        *_boot(kernel, initrd, node, nodes, VIRTUAL_KERNEL),
    ]


@dataclass
class Machine:
    """A machine that this process starts. console: its serial port; output: QEMU's own words."""

    node: int
    command: list[str]
    console: Path
    output: Path
    child: subprocess.Popen | None = field(default=None, repr=False)
    _read: int = 0
    _partial: str = ""

    def start(self, *, dies_with_us: bool, pass_fds: Sequence[int] = ()) -> None:
        self.console.write_bytes(b"")
        self.child = processes.start(
            self.command, self.output, dies_with_us=dies_with_us, pass_fds=pass_fds
        )

    @property
    def pid(self) -> int:
        assert self.child is not None
        return self.child.pid

    def status(self) -> int | None:
        """QEMU's exit status, None while it runs."""
        assert self.child is not None
        return self.child.poll()

    def new_lines(self) -> list[str]:
        """What came over the console since the last call, whole lines only."""
        with self.console.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        self._read += len(data)
        text = self._partial + data.decode(errors="replace").replace("\r", "")
        *lines, self._partial = text.split("\n")
        return lines

    def failure(self, what: str) -> UserError:
        """An error about this machine with all that is known."""
        status = self.status()
        said = processes.tail(self.output)
        text = processes.tail(self.console)
        both = "\n".join(
            part for part in (said and f"QEMU said:\n{said}", text and f"console:\n{text}") if part
        )
        if status not in (None, 0) and not text:
            return CommandFailed(self.command, status, said, f"node{self.node} {what}", self.output)
        ended = "" if status is None else f" (QEMU has ended with status {status})"
        body = "\n".join("    | " + line for line in both.splitlines())
        return UserError(f"node{self.node} {what}{ended}\n{body}", self.console)


def await_lines(
    machines: Sequence[Machine], pattern: re.Pattern[str], timeout_s: float
) -> dict[int, re.Match[str]]:
    """Wait until every console has shown the pattern. UserError names the node that failed first:
    by a line of its own init, a kernel panic, its process's end, or the time-out."""
    found: dict[int, re.Match[str]] = {}
    deadline = time.monotonic() + timeout_s
    while True:
        for machine in machines:
            if machine.node in found:
                continue
            ended = machine.status() is not None  # before reading: no line can come after it
            for line in machine.new_lines():
                if match := pattern.search(line):
                    found[machine.node] = match
                elif match := FAILED.search(line) or PANIC.search(line):
                    raise machine.failure(f"stopped while booting: {match[1]}")
            if ended and machine.node not in found:
                raise machine.failure("ended before it was ready")
        waiting = [m for m in machines if m.node not in found]
        if not waiting:
            return found
        if time.monotonic() > deadline:
            raise waiting[0].failure(
                f"was not ready after {timeout_s:.0f} s"
                + (f", nor were {len(waiting) - 1} others" if len(waiting) > 1 else "")
            )
        time.sleep(processes.POLL_S)
