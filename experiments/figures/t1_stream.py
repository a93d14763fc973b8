# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""T1: one-way goodput of one TCP connection against the size of the application's messages."""

from experiments.commands import echo_client, echo_server
from experiments.extract import GOODPUT
from experiments.model import Figure, Point, Scale, Window
from experiments.systems import TCP

SIZES = {
    Scale.SMOKE: (1024, 65536),
    Scale.QUICK: (64, 256, 1024, 4096, 16384, 65536),
    Scale.FULL: (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 262144, 1048576),
}
MEASURE_MS = {Scale.SMOKE: 10, Scale.QUICK: 20, Scale.FULL: 100}


def commands(size):
    def at(system, cluster):
        yield echo_server(system, cluster, 0)
        yield echo_client(system, cluster, 1, 0, "--size", size, "--stream", "--connections", 1)

    return at


FIGURE = Figure(
    id="T1",
    title="Single-stream goodput against message size",
    family="size_sweep",
    x_label="message size",
    x_unit="B",
    systems=TCP,
    nodes={Scale.SMOKE: 2, Scale.QUICK: 2, Scale.FULL: 2},
    points=lambda scale, nodes: [
        Point(size, f"{size} B", Window(MEASURE_MS[scale]), commands(size)) for size in SIZES[scale]
    ],
    metrics=(GOODPUT,),
    log_x=True,
    notes=("One connection, one direction, one write per message.",),
)
