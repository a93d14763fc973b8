# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""What an experiment is made of. Pure data: nothing here starts anything.

A Figure has Points (x positions). At each point each System runs the same Commands on the nodes of
a Cluster. All points and systems of one repetition share one session (one boot of the emulated
nodes), laid out on a common clock by experiments.timetable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

MS = 1_000_000  # nanoseconds
BIN = "/opt/etran/bin"  # where the deploy role puts the programs on a node
PORT = 5000  # first port of the servers on a node

# An emulated core: 2.5 instructions per ns. Where one core stands for all of an xl170's, it is as
# many times as fast.
NS_PER_INSN = 0.4
CORES = 10


class Scale(str, Enum):
    """How much of an experiment runs. To add one: here, and in every Figure's tables."""

    SMOKE = "smoke"
    QUICK = "quick"
    FULL = "full"


@dataclass(frozen=True)
class System:
    """A system under test as the nodes see it.

    transport: name given to the generators' --transport; prepare: commands run on every node
    before each of the system's points, so that systems can alternate within one session.
    """

    id: str
    title: str
    transport: str
    prepare: tuple[tuple[str, ...], ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    available: bool = True


@dataclass(frozen=True)
class Cluster:
    """Data addresses of the nodes, in node order, and the kind of clock they run on."""

    addresses: tuple[str, ...]
    real: bool = False

    def endpoint(self, node: int, port: int = PORT) -> str:
        return f"{self.addresses[node]}:{port}"


@dataclass(frozen=True)
class Command:
    """One program on one node at one point.

    A server starts first and is ended by the timetable; a client starts later, is told when to
    begin, ends by itself and writes the result named `json`. within_drain: options whose values
    (us) are shares of the time after the window.
    """

    node: int
    role: str  # "server" | "client"
    argv: tuple[str, ...]
    name: str
    within_drain: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Window:
    """Durations of one point. The emulated ones are virtual time."""

    measure_ms: float
    warmup_ms: float = 5
    connect_ms: float = 15  # from the clients' start to the first request
    drain_ms: float = 20  # after the window: outstanding requests end, results are written
    real_factor: float = 100  # on real machines warm-up and window are this much longer

    def scaled(self, real: bool) -> "Window":
        if not real:
            return self
        return Window(
            self.measure_ms * self.real_factor,
            self.warmup_ms * self.real_factor,
            max(self.connect_ms, 2000),
            max(self.drain_ms, 3000),
            1,
        )


@dataclass(frozen=True)
class Point:
    """One x position. commands(system, cluster) gives what runs; clients end with client_args."""

    x: float
    label: str
    window: Window
    commands: Callable[[System, Cluster], Sequence[Command]]


@dataclass(frozen=True)
class Metric:
    """A value taken from the results of one point of one repetition.

    Either a `quantile` of all latencies, or take(results), which sees the merged client results
    (experiments.extract.Merged) and returns the value in `unit` and the number of samples behind
    it.
    """

    name: str
    unit: str
    take: Callable[["object"], tuple[float | None, int]] | None = None
    quantile: float | None = None


@dataclass(frozen=True)
class Settings:
    """The emulated network and nodes of a figure. One link's latency; a frame crosses two."""

    ns_per_insn: float = NS_PER_INSN
    latency_ns: int = 1500
    rate_mbps: int = 25000
    ecn_k_bytes: int = 83000
    buffer_bytes: int = 4_000_000
    memory_mib: int = 256
    queue_trace: bool = False
    pcap: bool = False


@dataclass(frozen=True, eq=False)
class Figure:
    """The declaration of one figure; see figures/h1_latency.py for the shortest example."""

    id: str
    title: str
    family: str  # which plot draws it: a module of plots/
    x_label: str
    x_unit: str
    systems: tuple[str, ...]
    nodes: dict[Scale, int]
    points: Callable[[Scale, int], Sequence[Point]]  # (scale, nodes)
    metrics: tuple[Metric, ...] = ()
    rows: Callable[
        ..., Sequence[dict]
    ] | None = None  # instead of metrics: (extract.Session) -> rows
    series: Callable[..., Sequence[dict]] | None = None  # (extract.Session) -> series for the plot
    compute: Callable[[Scale], dict] | None = None  # figures that need no cluster
    # Commands that also run on this machine, outside the cluster: (scale, folder of programs) ->
    # command lines; each writes <repetition>/host/<program>.json.
    on_host: Callable[..., Sequence[tuple[str, ...]]] | None = None
    repetitions: dict[Scale, int] = field(
        default_factory=lambda: {Scale.SMOKE: 2, Scale.QUICK: 5, Scale.FULL: 7}
    )
    settings: Settings = Settings()
    waits_for: tuple[str, ...] = ()  # systems without which there is nothing to run at all
    notes: tuple[str, ...] = ()
    log_x: bool = False
    in_smoke: bool = False


@dataclass(frozen=True)
class Step:
    """One line of a node's timetable; times are ns after T0."""

    node: int
    id: str
    at_ns: int
    argv: tuple[str, ...]
    timeout_ns: int
    stop_at_ns: int | None = None
    env: dict[str, str] = field(default_factory=dict)
