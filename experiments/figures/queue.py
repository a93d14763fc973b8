# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""queue: depth of the switch queue in front of one receiver that several senders fill."""

import csv

from experiments.commands import echo_client, echo_server
from experiments.extract import GOODPUT
from experiments.model import CORES, NS_PER_INSN, Figure, Point, Scale, Settings, Window
from experiments.systems import LINUX
from harness.errors import UserError

MEASURE_MS = {Scale.SMOKE: 5, Scale.QUICK: 10, Scale.FULL: 60}
WARMUP_MS = 5
# A core of 0.4 ns per instruction receives 11 Gbit/s at most, and no queue would ever form in front
# of it: here nodes are ten times as fast, so that the link is the bottleneck.
SETTINGS = Settings(ns_per_insn=NS_PER_INSN / CORES, queue_trace=True, buffer_bytes=500_000)
SIZE = 65536
SHOWN = 1500  # points of a drawn series


def commands(system, cluster):
    senders = range(1, len(cluster.addresses))
    yield echo_server(system, cluster, 0)
    for node in senders:
        options = ("--size", SIZE, "--stream", "--connections", 2)
        yield echo_client(system, cluster, node, 0, *options)


def trace(session):
    """(ns after T0, bytes queued for node 0) of the whole session."""
    path = session.directory / "queue.csv"
    try:
        with path.open() as file:
            return [
                (int(r["time_ns"]) - session.zero_ns, int(r["depth_bytes"]))
                for r in csv.DictReader(file)
                if r["port"] == "0"
            ]
    except (OSError, KeyError, ValueError) as error:
        raise UserError(f"the switch's queue trace cannot be read: {error}", path) from error


def windows(session):
    samples = trace(session)
    for merged in session.blocks:
        first, last = merged.block.window_ns
        yield merged, [(t - first, d) for t, d in samples if first <= t < last]


def rows(session):
    for merged, samples in windows(session):
        depths = sorted(d for _, d in samples)
        at = {"system": merged.block.system.id, "x": merged.block.point.x}
        for metric, q in (("queue_p50", 0.5), ("queue_p99", 0.99)):
            value = depths[int(q * (len(depths) - 1))] / 1000 if depths else None
            yield {**at, "metric": metric, "unit": "kB", "value": value, "samples": len(depths)}
        value, samples_taken = GOODPUT.take(merged)
        yield {
            **at,
            "metric": "goodput",
            "unit": "Gbit/s",
            "value": value,
            "samples": samples_taken,
        }


def series(session):
    for merged, samples in windows(session):
        stride = max(1, len(samples) // SHOWN)
        yield {
            "kind": "timeseries",
            "system": merged.block.system.id,
            "x": merged.block.point.x,
            "xs": [t / 1000 for t, _ in samples[::stride]],
            "ys": [d / 1000 for _, d in samples[::stride]],
            "x_label": "time in the window (us)",
            "y_label": "switch queue (kB)",
            "rep": session.plan.repetition,
        }


FIGURE = Figure(
    id="queue",
    title="Switch queue under incast",
    family="switch_queue",
    x_label="senders",
    x_unit="nodes",
    systems=LINUX,
    nodes={Scale.SMOKE: 3, Scale.QUICK: 4, Scale.FULL: 6},
    points=lambda scale, nodes: [
        Point(nodes - 1, f"{nodes - 1} senders", Window(MEASURE_MS[scale], WARMUP_MS), commands)
    ],
    rows=rows,
    series=series,
    settings=SETTINGS,
    notes=(
        "Every sender streams over two connections. The port's share of the buffer is 500 kB, the"
        " marking threshold K 83 kB. Nodes run at 0.04 ns per instruction, so that the link and not"
        " the receiver's core is the bottleneck.",
    ),
)
