# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Lays the points and systems of one repetition out on the clock that all nodes share.

One block per (point, system), in an order that rotates the systems from point to point and from
repetition to repetition, so that neither always runs in the other's wake:

    prepare | servers start | clients start, connect | warm-up | window | drain | settle
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.model import MS, Cluster, Figure, Point, Scale, Step, System

VERSION = 1
# Unix time at T0 on emulated nodes: fixed, so that a run's every input is.
VIRTUAL_T0_NS = 1_800_000_000 * 1_000_000_000

PREPARE_NS = 8 * MS  # the system's settings
SERVER_LEAD_NS = 10 * MS  # servers listen before clients start
STOP_NS = 10 * MS  # servers write their results and go
SETTLE_NS = 5 * MS
CONTEXT_ENV = {"LC_ALL": "C"}


@dataclass(frozen=True)
class Block:
    """One (point, system) of a session. Times are ns after T0."""

    index: int
    point: Point
    system: System
    begin_ns: int
    start_ns: int  # first request
    window_ns: tuple[int, int]  # the measured part
    end_ns: int
    clients: tuple[tuple[int, str], ...]  # (node, result file)
    servers: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Plan:
    """One repetition of a figure: what every node does and where each result will be."""

    figure: Figure
    scale: Scale
    repetition: int
    seed: int
    steps: tuple[Step, ...]
    blocks: tuple[Block, ...]
    end_ns: int
    real: bool = False  # for real machines

    def timetable(self, node: int, nodes: int, mode: str, t0_ns: int) -> dict:
        """The JSON that etran-agent runs on one node."""
        return {
            "version": VERSION,
            "node": node,
            "nodes": nodes,
            "mode": mode,
            "t0_ns": t0_ns,
            "lead_ns": 5 * MS,
            "steps": [
                {
                    "id": s.id,
                    "at_ns": s.at_ns,
                    "argv": [_absolute(word, t0_ns) for word in s.argv],
                    "env": {**CONTEXT_ENV, **s.env},
                    "stop_at_ns": s.stop_at_ns,
                    "timeout_ns": s.timeout_ns,
                    "stdout": f"{s.id}.out",
                    "stderr": f"{s.id}.err",
                    "critical": True,
                }
                for s in self.steps
                if s.node == node
            ],
            "end_ns": self.end_ns,
        }


def _absolute(word: str, t0_ns: int) -> str:
    """Replace `@<ns>` (a time after T0) by Unix time."""
    return str(t0_ns + int(word[1:])) if word.startswith("@") and word[1:].isdigit() else word


def _rotated(systems: Sequence[System], by: int) -> list[System]:
    by %= len(systems)
    return [*systems[by:], *systems[:by]]


def plan(
    figure: Figure,
    scale: Scale,
    systems: Sequence[System],
    cluster: Cluster,
    repetition: int,
    seed: int,
) -> Plan:
    steps: list[Step] = []
    blocks: list[Block] = []
    now = 0
    for number, point in enumerate(figure.points(scale, len(cluster.addresses))):
        for system in _rotated(systems, number + repetition):
            block, block_steps = _block(len(blocks), point, system, cluster, now, seed)
            blocks.append(block)
            steps += block_steps
            now = block.end_ns
    steps.sort(key=lambda s: s.at_ns)
    return Plan(figure, scale, repetition, seed, tuple(steps), tuple(blocks), now, cluster.real)


def _block(
    index: int, point: Point, system: System, cluster: Cluster, begin: int, seed: int
) -> tuple[Block, list[Step]]:
    w = point.window.scaled(cluster.real)
    slow = 20 if cluster.real else 1  # processes of real machines start at their own pace
    servers_at = begin + PREPARE_NS * slow
    clients_at = servers_at + SERVER_LEAD_NS * slow
    start = clients_at + int(w.connect_ms * MS)
    first = start + int(w.warmup_ms * MS)
    last = first + int(w.measure_ms * MS)
    drained = last + int(w.drain_ms * MS)
    stopped = drained + STOP_NS * slow
    end = stopped + SETTLE_NS * slow

    steps = [
        Step(
            node=node,
            id=f"b{index:03d}.prepare{k}",
            at_ns=begin,
            argv=argv,
            timeout_ns=servers_at - begin,
        )
        for node in range(len(cluster.addresses))
        for k, argv in enumerate(system.prepare)
    ]
    clients, servers = [], []
    for command in point.commands(system, cluster):
        file = f"b{index:03d}.{command.name}.json"
        common = ("--json", f"{{out}}/{file}", "--seed", str(seed * 1000 + command.node + 1))
        ident = f"b{index:03d}.{command.name}"
        if command.role == "server":
            servers.append((command.node, file))
            steps.append(
                Step(
                    command.node,
                    ident,
                    servers_at,
                    (*command.argv, *common),
                    stopped - servers_at,
                    drained,
                    dict(system.env),
                )
            )
        else:
            clients.append((command.node, file))
            timing = (
                *("--start-at-ns", f"@{start}"),
                *("--warmup-us", str(int(w.warmup_ms * 1000))),
                *("--duration-us", str(int(w.measure_ms * 1000))),
            )
            for option, share in command.within_drain:
                timing += (option, str(int(w.drain_ms * 1000 * share)))
            steps.append(
                Step(
                    command.node,
                    ident,
                    clients_at,
                    (*command.argv, *common, *timing),
                    stopped - clients_at,
                    None,
                    dict(system.env),
                )
            )
    block = Block(
        index, point, system, begin, start, (first, last), end, tuple(clients), tuple(servers)
    )
    return block, steps
