# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""T6: distribution of the round-trip time of a TCP ping-pong, by message size."""

from experiments.commands import echo_client, echo_server
from experiments.extract import P50, P99, P999, latency_cdfs
from experiments.model import Figure, Point, Scale, Window
from experiments.systems import TCP

SIZES = {
    Scale.SMOKE: (64,),
    Scale.QUICK: (64, 512, 1448),
    Scale.FULL: (1, 64, 128, 256, 512, 1024, 1448),
}
MEASURE_MS = {Scale.SMOKE: 30, Scale.QUICK: 100, Scale.FULL: 400}


def commands(size):
    def at(system, cluster):
        yield echo_server(system, cluster, 0)
        options = ("--connections", 1, "--outstanding", 1)
        yield echo_client(system, cluster, 1, 0, "--size", size, *options)

    return at


FIGURE = Figure(
    id="T6",
    title="TCP ping-pong latency",
    family="latency",
    x_label="message size",
    x_unit="B",
    systems=TCP,
    nodes={Scale.SMOKE: 2, Scale.QUICK: 2, Scale.FULL: 2},
    points=lambda scale, nodes: [
        Point(size, f"{size} B", Window(MEASURE_MS[scale]), commands(size)) for size in SIZES[scale]
    ],
    metrics=(P50, P99, P999),
    series=latency_cdfs,
    log_x=True,
    notes=("One connection, one message outstanding, both sides idle otherwise.",),
)
