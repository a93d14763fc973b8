# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""T2: echo throughput against message size with 100 connections, 64 requests outstanding each."""

from experiments.commands import echo_client, echo_server
from experiments.extract import GOODPUT, THROUGHPUT
from experiments.model import Figure, Point, Scale, Window
from experiments.systems import TCP

SIZES = {
    Scale.SMOKE: (1024,),
    Scale.QUICK: (64, 256, 1024, 2048),
    Scale.FULL: (32, 64, 128, 256, 512, 1024, 2048, 4096),
}
CONNECTIONS = 100
OUTSTANDING = 64
MEASURE_MS = {Scale.SMOKE: 10, Scale.QUICK: 15, Scale.FULL: 60}


def commands(size):
    def at(system, cluster):
        clients = range(1, len(cluster.addresses))
        yield echo_server(system, cluster, 0)
        each = CONNECTIONS // len(clients)
        for node in clients:
            options = ("--connections", each, "--outstanding", OUTSTANDING)
            yield echo_client(system, cluster, node, 0, "--size", size, *options)

    return at


FIGURE = Figure(
    id="T2",
    title="Small messages over 100 connections",
    family="size_sweep",
    x_label="message size",
    x_unit="B",
    systems=TCP,
    nodes={Scale.SMOKE: 2, Scale.QUICK: 3, Scale.FULL: 6},
    points=lambda scale, nodes: [
        Point(
            size,
            f"{size} B",
            Window(MEASURE_MS[scale], warmup_ms=10, connect_ms=40),
            commands(size),
        )
        for size in SIZES[scale]
    ],
    metrics=(THROUGHPUT, GOODPUT),
    log_x=True,
    notes=(
        "100 connections in total to one server node, 64 requests outstanding on each.",
        "The paper's five clients have five threads each; an emulated node has one core and one"
        " thread.",
    ),
)
