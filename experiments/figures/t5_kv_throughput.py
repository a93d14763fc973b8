# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""T5: key-value requests per second of one server node."""

from experiments.commands import kv_client, kv_server
from experiments.extract import P50, P99, THROUGHPUT
from experiments.model import Figure, Point, Scale, Window
from experiments.systems import TCP

MEASURE_MS = {Scale.SMOKE: 10, Scale.QUICK: 20, Scale.FULL: 100}
KEYS = {Scale.SMOKE: 1000, Scale.QUICK: 1000, Scale.FULL: 10_000}  # storing them takes time
CONNECT_MS = {Scale.SMOKE: 30, Scale.QUICK: 50, Scale.FULL: 150}
CONNECTIONS = {
    Scale.SMOKE: (32,),
    Scale.QUICK: (8, 64, 256),
    Scale.FULL: (8, 32, 64, 128, 256, 512),
}


def store(scale):
    """The store of the paper's key-value benchmark: key and value sizes, share of reads."""
    return (
        *("--keys", KEYS[scale], "--key-bytes", 32, "--value-bytes", 64),
        *("--get-share", 0.9, "--distribution", "zipf"),
    )


def commands(scale, connections):
    def at(system, cluster):
        clients = range(1, len(cluster.addresses))
        yield kv_server(system, cluster, 0)
        each = connections // len(clients)
        for node in clients:
            options = (*store(scale), "--connections", each, "--outstanding", 1)
            preload = () if node == clients[0] else ("--no-preload",)
            yield kv_client(system, cluster, node, 0, *options, *preload)

    return at


FIGURE = Figure(
    id="T5",
    title="Key-value throughput",
    family="throughput_bars",
    x_label="connections",
    x_unit="",
    systems=TCP,
    nodes={Scale.SMOKE: 2, Scale.QUICK: 3, Scale.FULL: 6},
    points=lambda scale, nodes: [
        Point(
            n, f"{n}", Window(MEASURE_MS[scale], connect_ms=CONNECT_MS[scale]), commands(scale, n)
        )
        for n in CONNECTIONS[scale]
    ],
    metrics=(THROUGHPUT, P50, P99),
    log_x=True,
    notes=("Keys of 32 B, values of 64 B, 90 % GET, Zipf 0.99; closed loop.",),
)
