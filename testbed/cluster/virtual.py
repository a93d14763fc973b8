# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""One epoch in virtual time: all nodes boot the frozen image, run their timetables, leave records.

Everything that can influence a result is an argument of run_epoch() (and is written down in
out_dir), so equal arguments give equal bytes. Nothing that is started outlives the call: machines
and switch are ended on every way out, and die with the launcher should it be killed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import CommandFailed, UserError
from testbed.cluster import cpio, machine, paths, processes
from testbed.cluster.machine import Machine
from testbed.cluster.processes import Process

# How the agent ends; see testbed/README.md.
AGENT_STEP_FAILED, AGENT_INTERRUPTED = 1, 4
SHM = Path("/dev/shm")
SPIN = 1000
# What the switch gets to write its statistics once the last machine has gone.
SWITCH_GRACE_S = 10.0
# How long the others may take to be blamed when one machine breaks an epoch for all.
BLAME_S = 1.0

# Called about once a second in the epoch with the virtual time reached and to reach, in ms.
Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class NodeResult:
    """What one node left. folder: its output files; record: agent.json."""

    node: int
    folder: Path
    record: dict


@dataclass(frozen=True)
class EpochResult:
    nodes: list[NodeResult]
    switch: dict  # statistics as torswitch writes them
    virtual_s: float  # length of the epoch on the nodes' clock
    wall_s: float  # of the host, from boot to results
    epoch_s: float  # of the host, for the epoch alone
    reproducible: bool  # nothing from outside reached a node in the epoch

    def digest(self) -> str:
        """A hash over everything that the nodes recorded: equal for equal runs."""
        total = hashlib.sha256()
        for node in self.nodes:
            for path in sorted(p for p in node.folder.rglob("*") if p.is_file()):
                name = f"node{node.node}/{path.relative_to(node.folder)}".encode()
                data = path.read_bytes()
                total.update(b"%d %s %d " % (len(name), name, len(data)) + data)
        return total.hexdigest()[:16]


def run_epoch(
    image: Path,
    kernel,
    qemu,
    nodes: Sequence[dict],
    switch_config: dict,
    out_dir: Path,
    seed: int,
    *,
    ns_per_insn: float = 0.4,
    memory_mib: int = 256,
    pcap: Path | None = None,
    queue_trace: Path | None = None,
    timeout_s: float | None = None,
    progress: Progress | None = None,
) -> EpochResult:
    """Run one epoch and return what the nodes recorded.

    image: image.prepare(). kernel: kernel.build.KernelBuild. qemu: testbed.qemu.build.QemuBuild.
    nodes: one timetable per node. switch_config: switch.json without "ports". out_dir: takes
    node<i>/ (outputs, agent.json), consoles, commands and the switch's files; created, and
    what an earlier run left under these names is replaced. seed: of the guests' random numbers.
    timeout_s: wall-clock limit; None = generous.

    CommandFailed: a critical step failed (command, exit status, output). UserError: a machine died,
    a node or the switch could not do its part, the time was up.
    """
    count = len(nodes)
    machine.check_nodes(count)
    for node, timetable in enumerate(nodes):
        _check_timetable(timetable, node, count)
    began = time.monotonic()
    deadline = began + (timeout_s or _generous(nodes))
    _sweep()
    with contextlib.ExitStack() as stack:
        try:
            scratch = Path(stack.enter_context(_scratch()))
            network = SHM / scratch.name
            stack.callback(network.unlink, missing_ok=True)
            out_dir.mkdir(parents=True, exist_ok=True)
            out_dir = out_dir.resolve()
            initrds = _write_inputs(image, nodes, scratch, out_dir)
            switch = _Switch(network, count, switch_config, out_dir, pcap, queue_trace)
            machines = [
                Machine(
                    node,
                    machine.virtual_command(
                        name="etran-epoch",
                        qemu=qemu,
                        node=node,
                        nodes=count,
                        kernel=kernel.vmlinux,
                        initrd=initrds[node],
                        network=network,
                        results=out_dir / f"node{node}",
                        nic_stats=out_dir / f"node{node}.nic.json",
                        console=out_dir / f"node{node}.console",
                        seed=_node_seed(seed, node),
                        ns_per_insn=ns_per_insn,
                        memory_mib=memory_mib,
                    ),
                    out_dir / f"node{node}.console",
                    out_dir / f"node{node}.qemu",
                )
                for node in range(count)
            ]
            commands = {f"node{m.node}": m.command for m in machines} | {"switch": switch.command}
            (out_dir / "commands.json").write_text(json.dumps(commands, indent=1) + "\n")
        except OSError as error:
            raise UserError(
                f"cannot prepare the epoch: {error.strerror}",
                error.filename or out_dir,
                "is a disk full? /tmp, /dev/shm and the results folder need about "
                f"{count * (image.stat().st_size >> 20) + 50} MiB together",
            ) from error

        def end_all() -> None:
            started = [switch.child, *(m.child for m in machines)]
            processes.end_children(child for child in started if child)

        stack.callback(end_all)
        switch.start(deadline)
        for one in machines:
            one.start(dies_with_us=True)
        _Watch(machines, switch, deadline, _length_ns(nodes) / 1e6, progress).until_done()
        stats = switch.finish()
    return EpochResult(
        [_node_result(out_dir, n) for n in range(count)],
        stats,
        virtual_s=stats["epochs"][-1]["virtual_ns"] / 1e9,
        wall_s=time.monotonic() - began,
        epoch_s=stats["epochs"][-1]["real_s"],
        reproducible=stats["reproducible"],
    )


# ---- before --------------------------------------------------------------------------------------


def _length_ns(nodes: Sequence[dict]) -> int:
    return max(n.get("lead_ns", 0) + n.get("end_ns", 0) for n in nodes)


def _generous(nodes: Sequence[dict]) -> float:
    """Boot and slow-down as measured on two slow cores, several times over."""
    return 300 + 60 * len(nodes) + 1000 * len(nodes) * _length_ns(nodes) / 1e9


@contextlib.contextmanager
def _scratch() -> Iterator[str]:
    """A temporary folder whose name says whose it is; see _sweep()."""
    us = Process.of(os.getpid())
    with tempfile.TemporaryDirectory(prefix=f"etran-vt-{us.pid}-{us.started}-") as folder:
        yield folder


def _sweep() -> None:
    """Remove what launchers left that were killed; their machines died with them."""
    for path in (*SHM.glob("etran-vt-*"), *Path(tempfile.gettempdir()).glob("etran-vt-*")):
        owner = re.match(r"etran-vt-(\d+)-(\d+)-", path.name)
        if not owner or Process(int(owner[1]), int(owner[2])).alive():
            continue
        with contextlib.suppress(OSError):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _write_inputs(image: Path, nodes: Sequence[dict], scratch: Path, out_dir: Path) -> list[Path]:
    """Make room for the results; the RAM disk of each node: the image and, behind it, what is its
    own."""
    initrds = []
    base = image.read_bytes()
    for node, timetable in enumerate(nodes):
        for name in ("", ".console", ".qemu", ".nic.json"):
            old = out_dir / f"node{node}{name}"
            shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
        (out_dir / f"node{node}").mkdir()
        text = json.dumps(timetable, indent=1) + "\n"
        (out_dir / f"node{node}.timetable.json").write_text(text)
        initrds.append(scratch / f"node{node}.cpio")
        with initrds[-1].open("wb") as file:
            file.write(base)
            cpio.write(file, {"etran/timetable.json": cpio.File(text.encode())})
    return initrds


def _node_seed(seed: int, node: int) -> int:
    """Different on every node, so that two nodes do not choose the same port numbers."""
    word = hashlib.sha256(f"etran {seed} {node}".encode()).digest()
    return int.from_bytes(word[:4], "big") | 1


def _check_timetable(timetable: dict, node: int, nodes: int) -> None:
    """What the agent cannot know; everything else it checks itself."""
    for key, want in (("node", node), ("nodes", nodes), ("mode", "virtual")):
        if timetable.get(key) != want:
            raise UserError(
                f"the timetable of node {node} has {key} {timetable.get(key)!r} instead of {want!r}"
            )


class _Switch:
    """The switch program of one epoch."""

    def __init__(self, network, ports, config, out_dir, pcap, queue_trace):
        self.stats = out_dir / "switch-stats.json"
        self.log = out_dir / "switch.log"
        settings = out_dir / "switch.json"
        settings.write_text(json.dumps({**config, "ports": ports}, indent=1) + "\n")
        for old in (self.stats, self.log):
            old.unlink(missing_ok=True)
        self.command = [
            *(str(paths.tool("torswitch")), "virtual", "--file", str(network)),
            *("--ports", str(ports), "--config", str(settings), "--stats", str(self.stats)),
            # A machine that waits spins for a moment if no other one needs its core.
            *(["--spin", str(SPIN)] if ports <= len(os.sched_getaffinity(0)) else []),
            *(["--pcap", str(pcap)] if pcap else []),
            *(["--queue-trace", str(queue_trace)] if queue_trace else []),
        ]
        self.child: subprocess.Popen | None = None
        self._read = 0
        self._unread: list[dict] = []

    def start(self, deadline: float) -> None:
        """Returns when machines can attach."""
        self.child = processes.start(self.command, self.log, dies_with_us=True)
        while not self._ready():
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise self.failure()
            time.sleep(processes.POLL_S / 5)

    def _ready(self) -> bool:
        """The first event says that the file can be attached to."""
        self._unread = self.events()
        return bool(self._unread)

    def events(self) -> list[dict]:
        """What it has said since the last call: one JSON object per line, among other words."""
        new, self._unread = self._unread, []
        with self.log.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._read += len(line)
                with contextlib.suppress(ValueError):
                    event = json.loads(line)
                    if isinstance(event, dict) and "event" in event:
                        new.append(event)
        return new

    def failure(self) -> CommandFailed:
        status = self.child.poll() if self.child else None
        return CommandFailed(self.command, status, processes.tail(self.log), log=self.log)

    def said(self) -> str:
        return processes.tail(self.log, 5)

    def finish(self) -> dict:
        """Wait for its end and read its statistics."""
        try:
            self.child.wait(SWITCH_GRACE_S)
        except subprocess.TimeoutExpired:
            raise CommandFailed(self.command, None, self.said(), log=self.log) from None
        if self.child.returncode:
            raise self.failure()
        try:
            return json.loads(self.stats.read_text())
        except (OSError, ValueError) as error:
            raise UserError(f"the switch left no usable statistics: {error}", self.stats) from error


# ---- during --------------------------------------------------------------------------------------


class _Watch:
    """Waits until every node is done, or says which one ruined it."""

    def __init__(self, machines, switch, deadline, total_ms, progress):
        self.machines: Sequence[Machine] = machines
        self.switch: _Switch = switch
        self.began, self.deadline = time.monotonic(), deadline
        self.total_ms = total_ms
        self.progress = progress
        self.statuses: dict[int, int] = {}
        self.troubles: dict[int, str] = {}

    def until_done(self) -> None:
        while True:
            ended = {m.node for m in self.machines if m.status() is not None}
            self._read_consoles()
            self._judge(ended)
            for event in self.switch.events():
                if self.progress and event["event"] == "progress":
                    self.progress(event["virtual_ms"], self.total_ms)
            if len(self.statuses) == len(self.machines) == len(ended):
                self._check_statuses()
                return
            if time.monotonic() > self.deadline:
                late = [
                    m for m in self.machines if m.node not in ended or m.node not in self.statuses
                ]
                gone = time.monotonic() - self.began
                raise late[0].failure(f"was not done after {gone:.0f} s; {self.switch.said()}")
            time.sleep(processes.POLL_S)

    def _read_consoles(self) -> None:
        for one in self.machines:
            for line in one.new_lines():
                if found := machine.DONE.search(line):
                    self.statuses[one.node] = int(found[1])
                elif found := machine.FAILED.search(line) or machine.PANIC.search(line):
                    self.troubles.setdefault(one.node, found[1])

    def _judge(self, ended: set[int]) -> None:
        """Raise when a node cannot succeed any more. When one dies, the network breaks and the
        others end as well: look for the one whose own fault it was."""
        if AGENT_STEP_FAILED in self.statuses.values():
            # That node has ended the epoch on purpose. Others may have failed before it.
            time.sleep(BLAME_S)
            self._read_consoles()
            self._check_statuses()
        fine = (0, AGENT_INTERRUPTED)

        def unable() -> list[Machine]:
            return [m for m in self.machines if self.statuses.get(m.node, 0) not in fine]

        def early() -> list[Machine]:
            gone = (m for m in self.machines if m.status() is not None)
            return [m for m in gone if m.node not in self.statuses]

        switch_failed = self.switch.child.poll() not in (None, 0)
        lost = [n for n in ended if n not in self.statuses]
        if not (lost or self.troubles or unable() or switch_failed):
            return
        time.sleep(BLAME_S)
        self._read_consoles()
        for node, why in sorted(self.troubles.items()):
            raise self.machines[node].failure(f"stopped: {why}")
        for one in unable():
            raise one.failure(f"etran-agent ended with status {self.statuses[one.node]}")
        suspects = early()
        killed = [m for m in suspects if m.status() < 0]
        for one in (*killed, *(m for m in suspects if not _only_follows(m))):
            status = one.status()
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            raise one.failure(f"{how} before it was done")
        if switch_failed or not suspects:
            raise self.switch.failure()
        raise suspects[0].failure("ended before it was done")

    def _check_statuses(self) -> None:
        """CommandFailed for the first critical step that failed on any node."""
        bad = [m for m in self.machines if self.statuses.get(m.node)]
        failed = []
        for one in bad:
            folder = one.console.with_name(f"node{one.node}")
            for step in _record(folder)["steps"]:
                if step["critical"] and step["state"] != "ok":
                    # Those that never ran have no end, and are consequences.
                    when = (step["end_ns"] is None, step["end_ns"] or 0, one.node)
                    failed.append((when, one.node, step, folder))
        if failed:
            _, node, step, folder = min(failed, key=lambda f: f[0])
            raise _step_failed(node, step, folder)
        for one in bad:
            raise one.failure(f"etran-agent ended with status {self.statuses[one.node]}")


def _only_follows(one: Machine) -> bool:
    """QEMU ended because the network was broken by somebody else."""
    return "vtnet:" in processes.tail(one.output)


def _step_failed(node: int, step: dict, folder: Path) -> CommandFailed:
    status = step["exit_status"]
    if step["signal"] is not None:
        status = -step["signal"]
    output = ""
    for stream in ("stderr", "stdout"):
        if step[stream]:
            output += processes.tail(folder / step[stream]["file"])
    error = CommandFailed(step["argv"], status, output, log=folder)
    command = shlex.join(step["argv"])
    error.what = f"node{node}: step {step['id']} {step['reason']}: {command}"
    return error


# ---- after ---------------------------------------------------------------------------------------


def _record(folder: Path) -> dict:
    path = folder / "agent.json"
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"the node left no usable record: {error}", path) from error


def _node_result(out_dir: Path, node: int) -> NodeResult:
    folder = out_dir / f"node{node}"
    return NodeResult(node, folder, _record(folder))
