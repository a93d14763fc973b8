# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The cluster workloads H5 to H8: slowdown against message size with every node client and server.

Slowdown of an RPC = its time / (15 us + length x 8 / 25 Gbit/s): the base time that HomaModule's
own scripts use for xl170 nodes, with the length counted once although request and response both
have it. The same base serves every system, so ratios between systems do not depend on it.

Emulated nodes of these figures are faster than an xl170's core (see CLUSTER). Of the 15 us, 6 us
are the four crossings of a 1.5 us link, and 9 us are software, which shrinks like an instruction.
"""

from __future__ import annotations

from experiments.commands import rpc_node
from experiments.extract import Histogram, Merged, Session, quantile_row
from experiments.model import CORES, NS_PER_INSN, Figure, Point, Scale, Settings, Window
from experiments.systems import RPC

BASE_NETWORK_NS = 6_000
BASE_SOFTWARE_NS = 9_000
LINK_GBPS = 25
BUCKET = 0.1  # share of the messages in one step of the curve
MILLI = 1000  # slowdowns are kept in thousandths, so that a histogram of integers serves

# One core ten times as fast as in the other figures (0.4 ns per instruction) stands for the ten
# cores of an xl170: it does as much work per second, and the load is one for ten cores.
CLUSTER = Settings(ns_per_insn=NS_PER_INSN / CORES, memory_mib=384)


def base_ns(size: int, real: bool) -> float:
    software = BASE_SOFTWARE_NS if real else BASE_SOFTWARE_NS / CORES
    return BASE_NETWORK_NS + software + size * 8 / LINK_GBPS


def buckets(merged: Merged, real: bool) -> list[dict]:
    """Steps of at least BUCKET of all messages: upper size, cumulative share, both histograms."""
    sizes: dict[int, list[dict]] = {}
    for result in merged.results:
        for entry in result["by_size"]:
            sizes.setdefault(entry["bytes"], []).append(entry)
    steps: list[dict] = []
    pending: list[int] = []
    begin = 0.0
    for size in sorted(sizes):
        pending.append(size)
        end = sizes[size][0]["fraction_below"] + sizes[size][0]["fraction"]
        if end - begin < BUCKET - 1e-9 and size != max(sizes):
            continue
        if end - begin < BUCKET / 2 and steps:  # what is left over goes to the last step
            pending = steps.pop()["sizes"] + pending
        times = Histogram.of(e for s in pending for e in sizes[s])
        scaled = Histogram.merged(
            ([round(v / base_ns(s, real) * MILLI), c] for e in sizes[s] for v, c in e["hdr"])
            for s in pending
        )
        scaled.missing = times.missing
        steps.append({"sizes": pending, "end": end, "times": times, "slowdowns": scaled})
        pending, begin = [], end
    return steps


def rows(session: Session):
    for merged in session.blocks:
        for step in buckets(merged, session.plan.real):
            at = {"system": merged.block.system.id, "x": step["sizes"][-1]}
            for name, q in (("p50", 0.50), ("p99", 0.99)):
                yield at | {"metric": name, "unit": "us"} | quantile_row(step["times"], q)
                # quantile_us() divides by 1000, which here turns thousandths into ones
                yield (
                    at
                    | {"metric": f"slowdown_{name}", "unit": "x"}
                    | quantile_row(step["slowdowns"], q)
                )
        at = {"system": merged.block.system.id, "x": None, "samples": merged.operations}
        yield {**at, "metric": "goodput", "unit": "Gbit/s", "value": merged.total("goodput")}


def series(session: Session):
    for merged in session.blocks:
        steps = buckets(merged, session.plan.real)
        for name, q in (("p50", 0.50), ("p99", 0.99)):
            yield {
                "kind": "slowdown",
                "metric": f"slowdown_{name}",
                "system": merged.block.system.id,
                "x": None,
                "xs": [s["end"] for s in steps],
                "ys": [s["slowdowns"].quantile_us(q) for s in steps],
                "labels": [s["sizes"][-1] for s in steps],
                "rep": session.plan.repetition,
            }


def cluster_figure(
    figure: str, workload: str, link_gbps: float, measure_ms: dict[Scale, float], notes=()
) -> Figure:
    """One workload at one load. link_gbps: what each node's link carries in each direction."""

    def commands(system, cluster):
        nodes = range(len(cluster.addresses))
        for node in nodes:
            load = ("--workload", workload, "--gbps", link_gbps / 2, "--connections", 8)
            yield rpc_node(system, cluster, node, nodes, *load)

    return Figure(
        id=figure,
        title=f"Slowdown, workload {workload.upper()} at {link_gbps:g} Gbit/s",
        family="slowdown",
        x_label="message size",
        x_unit="B",
        systems=RPC,
        nodes={Scale.SMOKE: 3, Scale.QUICK: 4, Scale.FULL: 10},
        points=lambda scale, nodes: [
            Point(
                link_gbps,
                f"{link_gbps:g} Gbit/s",
                Window(measure_ms[scale], warmup_ms=5, connect_ms=20, drain_ms=40),
                commands,
            )
        ],
        repetitions={Scale.SMOKE: 2, Scale.QUICK: 5, Scale.FULL: 5},
        rows=rows,
        series=series,
        settings=CLUSTER,
        notes=(
            f"Every node is client and server; requests and responses have the same size, so each"
            f" client offers {link_gbps / 2:g} Gbit/s of requests. The load is the one that"
            " HomaModule's scripts use on 25 Gbit/s; the paper's own is not stated.",
            "An emulated node has one core, ten times as fast as in the other figures: together"
            " what an xl170's ten cores can do. So the software's share of a message's time is a"
            " tenth, and that of the 15 us in the base time as well.",
            *notes,
        ),
    )
