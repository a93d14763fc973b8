# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Names, order and appearance of systems and metrics: one place for plots, tables and the report.

To add a system, add it to SYSTEMS: colour, marker and dash are fixed per system, so that it looks
the same in every figure. Colours come from the Okabe-Ito palette, which readers with any common
colour vision tell apart; marker and dash repeat the distinction for black-and-white print.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class System:
    label: str
    colour: str
    marker: str
    dash: str | tuple[float, tuple[float, ...]]


@dataclass(frozen=True)
class Metric:
    label: str
    unit: str
    better: str  # "lower" | "higher"


# In the order in which systems stand in legends, bars and tables.
SYSTEMS: dict[str, System] = {
    "linux-tcp": System("Linux TCP", "#7a7a7a", "o", "-"),
    "linux-dctcp": System("Linux DCTCP", "#e69f00", "s", "-"),
    "netchannel": System("NetChannel", "#56b4e9", "v", (0, (5, 1.5))),
    "etran-tcp": System("eTran TCP", "#0072b2", "D", "-"),
    "tas": System("TAS", "#cc79a7", "^", (0, (3, 1.2))),
    "linux-homa": System("Linux Homa", "#009e73", "P", "-"),
    "etran-homa": System("eTran Homa", "#d55e00", "X", "-"),
    "raw-xdp": System("raw AF_XDP", "#000000", "*", (0, (1, 1.5))),
    # Not transports: the two sides of the calibration, and the two counts of lines of code.
    "native": System("native", "#7a7a7a", "o", "-"),
    "virtual": System("virtual time", "#0072b2", "D", "-"),
    "etran": System("eTran (authors)", "#7a7a7a", "o", "-"),
    "artifact": System("this artifact", "#0072b2", "D", "-"),
}

METRICS: dict[str, Metric] = {
    "p50": Metric("P50", "us", "lower"),
    "p99": Metric("P99", "us", "lower"),
    "p999": Metric("P99.9", "us", "lower"),
    "throughput": Metric("Throughput", "requests/s", "higher"),
    "goodput": Metric("Goodput", "Gbit/s", "higher"),
    "slowdown_p50": Metric("P50 slowdown", "x", "lower"),
    "slowdown_p99": Metric("P99 slowdown", "x", "lower"),
    "queue_p50": Metric("Queue P50", "kB", "lower"),
    "queue_p99": Metric("Queue P99", "kB", "lower"),
    "queue_max": Metric("Queue maximum", "kB", "lower"),
    "cost": Metric("Cost", "ns", "lower"),
    "lines": Metric("Lines of code", "lines", "lower"),
    "proposed": Metric("Proposed", "year", "lower"),
    "landed": Metric("Landed in the kernel", "year", "lower"),
}

UNITS = {"us": "µs", "x": "×", "Gbit/s": "Gbit/s", "requests/s": "requests/s"}
_SPARE = ("#332288", "#88ccee", "#44aa99", "#999933", "#882255", "#661100")


def system(name: str) -> System:
    """The system's looks; a name nobody registered gets stable ones of its own."""
    if name in SYSTEMS:
        return SYSTEMS[name]
    return System(name, _SPARE[sum(name.encode()) % len(_SPARE)], "h", "-")


def label(name: str) -> str:
    return system(name).label


def metric(name: str) -> Metric:
    return METRICS.get(name, Metric(name.replace("_", " "), "", "lower"))


def ordered(names: object) -> list[str]:
    """Names without repetition: known systems in their order, then the others by name."""
    order = list(SYSTEMS)
    return sorted(set(names), key=lambda n: (order.index(n) if n in order else len(order), n))


def unit(name: str) -> str:
    return UNITS.get(name, name)


def number(value: float | None, digits: int = 3) -> str:
    """A value for people: three significant digits, 2.90 M instead of 2900000."""
    if value is None:
        return "–"
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    for limit, divisor, suffix in ((1e9, 1e9, " G"), (1e6, 1e6, " M"), (1e4, 1e3, " k")):
        if size >= limit * 0.9995:
            return _digits(value / divisor, digits) + suffix
    return _digits(value, digits)


def plain(value: float) -> str:
    """A value with the digits it was given with (ticks, published numbers): 1.5 M, 4.8."""
    for limit, divisor, suffix in ((1e9, 1e9, " G"), (1e6, 1e6, " M"), (1e4, 1e3, " k")):
        if abs(value) >= limit:
            return f"{value / divisor:.6g}{suffix}"
    return f"{value:.6g}"


def _digits(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    # Rounded first: 9.996 has two digits before its point once only three are shown.
    value = float(f"{value:.{digits - 1}e}")
    whole = math.floor(math.log10(abs(value))) + 1
    if whole >= digits and value == round(value):
        return f"{value:.0f}"
    return f"{value:.{max(digits - whole, 0)}f}"


def size(value: float) -> str:
    """A message size as short as an axis needs it: 64, 1.4K, 1M; powers of two count in 1024."""
    for scale, suffix in ((2**20, "M"), (2**10, "K")):
        if value >= scale and value % scale == 0:
            return f"{value // scale:.0f}{suffix}"
    for scale, suffix in ((10**6, "M"), (10**3, "K")):
        if value >= scale:
            short = value / scale
            return (
                f"{short:.0f}{suffix}"
                if short >= 9.95
                else f"{short:.1f}".rstrip("0").rstrip(".") + suffix
            )
    return f"{value:g}"


def sized(value: float, name: str) -> str:
    """A size with its unit: 64 B, 1 KB, 1K connections."""
    text = size(value)
    if name in ("B", "bytes"):
        return f"{text[:-1]} {text[-1]}B" if text[-1].isalpha() else f"{text} B"
    return f"{text} {name}".strip()


def span(low: float, high: float) -> str:
    """Two measured ends, or one value where they are equal."""
    return number(low) if low == high else f"{number(low)}–{number(high)}"
