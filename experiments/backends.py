# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Where a session runs: the emulated cluster in virtual time, or real machines of an inventory."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Protocol

from experiments import extract
from experiments.model import Cluster, Settings
from experiments.timetable import VIRTUAL_T0_NS, Plan
from harness import console
from harness.errors import UserError

MAX_EMULATED = 10


class Backend(Protocol):
    """prepare() once, then run() per session. describe() goes into run.json."""

    real: bool

    def prepare(self) -> None:
        ...

    def describe(self) -> dict:
        ...

    def cluster(self, nodes: int) -> Cluster:
        ...

    def run(self, plan: Plan, settings: Settings, out: Path) -> dict:
        ...


class Emulated:
    """Virtual machines in synchronised virtual time (testbed/)."""

    real = False

    def __init__(self) -> None:
        self.kernel = self.qemu = self.image = None

    def prepare(self) -> None:
        from harness import build, image
        from kernel import build as kernel_build
        from testbed.qemu import build as qemu_build

        self.kernel = kernel_build.build("release")
        self.qemu = qemu_build.build()
        programs = build.programs()
        self.image = image.prepare(self.kernel, programs)

    def describe(self) -> dict:
        return {
            "time_mode": "virtual",
            "kernel": self.kernel.release,
            "kernel_key": self.kernel.key,
            "qemu": self.qemu.version,
            "qemu_key": self.qemu.key,
            "image_key": self.image.parent.name,
        }

    def cluster(self, nodes: int) -> Cluster:
        if not 2 <= nodes <= MAX_EMULATED:
            raise UserError(f"an emulated cluster has 2 to {MAX_EMULATED} nodes, not {nodes}")
        return Cluster(tuple(f"10.0.0.{n + 1}" for n in range(nodes)))

    def run(self, plan: Plan, settings: Settings, out: Path) -> dict:
        from testbed.cluster import virtual

        nodes = plan.figure.nodes[plan.scale]
        timetables = [plan.timetable(n, nodes, "virtual", VIRTUAL_T0_NS) for n in range(nodes)]
        began = time.monotonic()
        result = virtual.run_epoch(
            image=self.image,
            kernel=self.kernel,
            qemu=self.qemu,
            nodes=timetables,
            switch_config={
                "rate_mbps": settings.rate_mbps,
                "latency_ns": settings.latency_ns,
                "ecn_k_bytes": settings.ecn_k_bytes,
                "buffer_bytes": settings.buffer_bytes,
                "seed": plan.seed,
            },
            out_dir=out,
            seed=plan.seed,
            ns_per_insn=settings.ns_per_insn,
            memory_mib=settings.memory_mib,
            queue_trace=out / "queue.csv" if settings.queue_trace else None,
            pcap=out / "switch.pcap" if settings.pcap else None,
        )
        return {
            "virtual_s": result.virtual_s,
            "seconds": round(time.monotonic() - began, 2),
            "zero_ns": timetables[0]["lead_ns"],
        }


class Inventory:
    """Real machines, reached by Ansible; their clocks must agree to within a few milliseconds."""

    real = True
    START_IN_S = 40  # Ansible's start-up and the deployment of the timetables

    def __init__(self, path: Path):
        self.path = path
        self.hosts: list[dict] = []

    def prepare(self) -> None:
        from harness import build, provision
        from kernel import build as kernel_build

        self.hosts = provision.hosts(self.path)
        kernel = kernel_build.build("release")
        build.programs()
        with console.step(f"provisioning {len(self.hosts)} machines", 300):
            provision.provision(
                self.path, build.BIN, kernel.release, {"kernel_dir": str(kernel.dir)}
            )

    def describe(self) -> dict:
        return {"time_mode": "wallclock", "inventory": str(self.path)}

    def cluster(self, nodes: int) -> Cluster:
        if nodes > len(self.hosts):
            raise UserError(
                f"the figure needs {nodes} nodes, the inventory has {len(self.hosts)}", self.path
            )
        return Cluster(tuple(h["data_address"] for h in self.hosts[:nodes]), real=True)

    def run(self, plan: Plan, settings: Settings, out: Path) -> dict:
        from harness import provision

        del settings  # the network is what it is
        nodes = plan.figure.nodes[plan.scale]
        t0 = time.time_ns() + self.START_IN_S * 1_000_000_000
        timetables = [plan.timetable(n, nodes, "wallclock", t0) for n in range(nodes)]
        began = time.monotonic()
        limit = self.START_IN_S + plan.end_ns / 1e9 + 60
        provision.run_timetables(self.path, timetables, out, limit)
        for node in range(nodes):
            (out / f"node-{node}").rename(extract.node_dir(out, node))
        return {"virtual_s": None, "seconds": round(time.monotonic() - began, 2), "zero_ns": 0}


def settings_dict(settings: Settings, backend: Backend) -> dict:
    """The settings a plot's footer and the report state."""
    if backend.real:
        return {"time_mode": "wallclock"}
    return {"time_mode": "virtual", **dataclasses.asdict(settings)}
