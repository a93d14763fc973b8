# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Made-up results for the tests of this folder: realistic in shape, measured by nobody."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

SETTINGS = {
    "time_mode": "virtual",
    "ns_per_insn": 0.4,
    "latency_ns": 1500,
    "rate_mbps": 25000,
    "ecn_k_bytes": 83000,
    "nodes": 2,
    "repetitions": 5,
    "window_us": 50000,
    "scale": "quick",
}
W4 = (315, 376, 502, 561, 662, 960, 6387, 49408, 120373, 1000000)
LINUX = ("linux-tcp", "linux-dctcp")
ALL_TCP = (*LINUX, "etran-tcp", "tas")

# How many times faster each system is than Linux TCP in this invented world.
SPEED = {
    "linux-tcp": 1.0,
    "linux-dctcp": 0.97,
    "etran-tcp": 3.1,
    "tas": 4.4,
    "linux-homa": 1.2,
    "etran-homa": 2.2,
}


def row(figure: str, system: str, metric: str, x: object, unit: str, value: float | None, **more):
    made = {
        "figure": figure,
        "system": system,
        "metric": metric,
        "x": x,
        "unit": unit,
        "value": value,
        "spread": None if value is None else value * 0.06,
        "n": 5,
        "paper": None,
        "valid": True,
        "run": "sample",
        "samples": 9800,
    }
    return {**made, **more}


def data(figure: str, title: str, rows: list, series: list | None = None, **more) -> dict:
    made = {"version": 1, "figure": figure, "title": title, "x_label": "", "x_unit": ""}
    made |= {"settings": dict(SETTINGS), "rows": rows}
    if series is not None:
        made["series"] = series
    return {**made, **more}


def latency(figure: str, title: str, systems: tuple[str, ...], x: int) -> dict:
    rows, series = [], []
    for system in systems:
        base = 19.0 / SPEED[system] ** 0.5
        for metric, factor, spread in (("p50", 1, 0.01), ("p99", 1.45, 0.08), ("p999", 2.2, 0.2)):
            value = round(base * factor, 2)
            made = row(figure, system, metric, x, "us", value, spread=value * spread)
            rows.append(made)
        for rep in range(5):
            random_ = random.Random(f"{system}{rep}")
            samples = sorted(base * (0.97 + random_.lognormvariate(-3.3, 1.3)) for _ in range(2000))
            steps = [i / 200 for i in range(200)] + [0.996, 0.997, 0.998, 0.999, 0.9995]
            xs = [round(samples[int(s * 2000)], 3) for s in steps]
            series.append(
                {"kind": "cdf", "system": system, "x": x, "xs": xs, "ys": steps, "rep": rep}
                | {"x_label": "RTT (us)", "y_label": "fraction"}
            )
    return data(figure, title, rows, series, x_label="Message size", x_unit="bytes")


def rates(figure: str, title: str, systems, xs, unit="requests/s", top=2.1e5, **more) -> dict:
    metric = "goodput" if unit == "Gbit/s" else "throughput"
    rows = []
    for system in systems:
        for at, x in enumerate(xs):
            value = top * SPEED[system] ** 0.6 / (1 + 0.15 * at)
            rows.append(row(figure, system, metric, x, unit, value))
    return data(figure, title, rows, **more)


def sweep(figure: str, title: str, systems, xs) -> dict:
    rows = []
    for system in systems:
        for x in xs:
            value = min(23.4, 1.9e5 * SPEED[system] * x * 8 / 1e9 / (1 + x / 20000))
            rows.append(row(figure, system, "goodput", x, "Gbit/s", value))
    return data(figure, title, rows, x_label="Message size", x_unit="bytes")


def connections() -> dict:
    rows = []
    for system in ALL_TCP:
        for x in (1, 10, 100, 1000):
            value = 2.4e5 * SPEED[system] * x / (x + 12) / (1 + x / (2500 * SPEED[system]))
            rows.append(row("T3", system, "throughput", x, "requests/s", value))
    return data("T3", "Throughput against connections", rows, x_label="Connections")


def kv(loads: tuple[float, ...] = (20000, 60000, 100000, 140000, 180000)) -> dict:
    rows = []
    for system in ALL_TCP:
        for x in loads:
            used = min(x / (190000 * SPEED[system] ** 0.7), 0.985)
            p50 = 21 / SPEED[system] ** 0.8 * (1 + 0.4 * used / (1 - used))
            rows.append(row("T4", system, "p50", x, "us", p50))
            rows.append(row("T4", system, "p99", x, "us", p50 * (1.8 + 2 * used)))
    more = {"x_label": "Offered load", "x_unit": "requests/s"}
    return data("T4", "Key-value store: request latency", rows, **more)


def slowdown(figure: str = "H7", systems=(*LINUX, "linux-homa", "etran-homa"), sizes=W4) -> dict:
    rows, series = [], []
    for system in systems:
        for i, size in enumerate(sizes):
            best = 15 + size * 8 / 25000
            grow = 1 + math.log10(size) / 6
            p50 = best * (1 + 1.1 / SPEED[system] * grow)
            tail = best * (2 + 26 / SPEED[system] ** 2.2 / (1 + i / 3))
            for metric, unit, value in (
                ("p50", "us", p50),
                ("p99", "us", tail),
                ("slowdown_p50", "x", p50 / best),
                ("slowdown_p99", "x", tail / best),
            ):
                rows.append(row(figure, system, metric, size, unit, value, samples=430 + 7 * i))
        series.append(
            {
                "kind": "slowdown",
                "system": system,
                "metric": "slowdown_p99",
                "xs": [(i + 1) / len(sizes) for i in range(len(sizes))],
                "ys": [r["value"] for r in rows if (r["system"], r["metric"]) == (system, "p99")],
                "labels": list(sizes),
            }
        )
    made = data(figure, "Slowdown of W4 at 80 % load", rows, series, x_label="Message size")
    made["settings"]["nodes"] = 10
    return made


def queue() -> dict:
    rows, series = [], []
    for system, mean, depth in (("linux-tcp", 820, 0.9), ("linux-dctcp", 78, 0.25)):
        xs = [i * 25 for i in range(800)]
        noise = random.Random(system)
        ys = [
            max(0.0, mean * (1 - depth * ((i % (160 if depth > 0.5 else 23)) / 160)))
            * noise.uniform(0.92, 1.06)
            * min(1, i / 40)
            for i in range(800)
        ]
        ys = [round(min(y, 1000), 1) for y in ys]
        series.append({"kind": "timeseries", "system": system, "xs": xs, "ys": ys, "rep": 0})
        for metric, at in (("queue_p50", 0.5), ("queue_p99", 0.99)):
            rows.append(row("queue", system, metric, None, "kB", sorted(ys)[int(at * 800)]))
    return data("queue", "Switch queue over time, four senders to one receiver", rows, series)


def calibration() -> dict:
    rows = []
    for name, native, virtual in (
        ("system call", 95, 118),
        ("copy 4 KB", 160, 420),
        ("context switch", 1150, 1420),
        ("timer", 1900, 2100),
        ("interrupt", 1300, 990),
        ("packet, transmit", 1250, 1650),
    ):
        rows.append(row("calibration", "native", "cost", name, "ns", native, samples=10000))
        rows.append(row("calibration", "virtual", "cost", name, "ns", virtual, spread=0))
    return data("calibration", "What primitive operations cost", rows)


def all_figures() -> dict[str, dict]:
    sizes = (64, 256, 1024, 2048, 4096, 16384, 65536)
    # The first slice of a real run has only the two Linux stacks: part of the figures keep to them.
    made = [
        latency("H1", "Latency of a 32 B RPC", LINUX, 32),
        rates("H2", "Single stream of 1 MB RPCs", LINUX, [1000000], "Gbit/s", 8.1)
        | {"x_label": "Message size", "x_unit": "bytes"},
        rates("H3", "RPC rate of one client", (*LINUX, "linux-homa", "etran-homa"), [100]),
        rates("H4", "RPC rate of one server", LINUX, [100], x_label="Message size", x_unit="B"),
        slowdown("H5"),
        slowdown("H6", LINUX),
        slowdown("H7"),
        slowdown("H8", LINUX, sizes=(1430, 22050, 44100, 66150, 195510, 1000000)),
        sweep("T1", "Single stream against message size", LINUX, sizes),
        sweep("T2", "Small messages, 100 connections", ALL_TCP, sizes),
        connections(),
        kv(),
        rates("T5", "Key-value store: throughput", LINUX, [1, 16, 64], x_label="Connections"),
        latency("T6", "Ping-pong latency of a 64 B message", ALL_TCP, 64),
        data("B1", "Lines of code", [row("B1", "artifact", "lines", "kernel", "lines", 3100)]),
        data("B2", "From proposal to the mainline kernel", []),
        queue(),
        calibration(),
    ]
    return {m["figure"]: m for m in made}


def write(folder: Path, figures: dict[str, dict] | None = None) -> Path:
    """A run on disk, as the engine leaves it; returns its folder."""
    figures = all_figures() if figures is None else figures
    status = {}
    for name, made in figures.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "data.json").write_text(json.dumps(made, indent=1) + "\n")
        (folder / name / "record.json").write_text("{}\n")
        status[name] = {
            "status": "done",
            "title": made["title"],
            "systems": sorted({r["system"] for r in made["rows"]}),
            "pending": ["etran-tcp", "tas"] if name.startswith("T") else [],
            "notes": ["Two nodes stand in for the paper's ten."] if name == "H7" else [],
            "error": None,
            "seconds": 41.2,
        }
    run = {
        "version": 1,
        "run": folder.name,
        "created": "2026-01-15T10:20:30Z",
        "scale": "quick",
        "settings": SETTINGS | {"seed": 1},
        "machine": {"cpu": "Example CPU <1>", "cores": 2, "memory_gib": 8},
        "kernel": "6.12.0-etran",
        "qemu": "7.2.0 (virtual time)",
        "git": {"revision": "0123456789abcdef", "dirty": True},
        "figures": status,
    }
    (folder / "run.json").write_text(json.dumps(run, indent=1) + "\n")
    return folder
