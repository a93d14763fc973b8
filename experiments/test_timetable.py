# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""experiments.timetable: every figure's plan is sound at every scale."""

import pytest

from experiments import registry, systems, timetable
from experiments.model import MS, Cluster, Scale

RUNNABLE = [f for f in registry.figures().values() if registry.runnable(f) and f.compute is None]


def plan_of(figure, scale, repetition=0, real=False):
    cluster = Cluster(tuple(f"10.0.0.{n + 1}" for n in range(figure.nodes[scale])), real)
    tested = systems.available(figure.systems)
    return timetable.plan(figure, scale, tested, cluster, repetition, seed=7)


@pytest.mark.parametrize("real", [False, True], ids=["virtual", "real"])
@pytest.mark.parametrize("scale", list(Scale))
@pytest.mark.parametrize("figure", RUNNABLE, ids=lambda f: f.id)
def test_plan__is_sound(figure, scale, real):
    plan = plan_of(figure, scale, real=real)
    assert plan.blocks and plan.steps
    points = figure.points(scale, figure.nodes[scale])
    tested = systems.available(figure.systems)
    assert len(plan.blocks) == len(points) * len(tested)
    for before, after in zip(plan.blocks, plan.blocks[1:]):
        assert before.end_ns <= after.begin_ns
    for block in plan.blocks:
        assert block.clients, "nothing is measured"
        first, last = block.window_ns
        assert block.begin_ns < block.start_ns <= first < last < block.end_ns
        # whatever serves is up before what asks, and stays until after the window
        ours = [s for s in plan.steps if s.id.startswith(f"b{block.index:03d}.")]
        stops = [s.stop_at_ns for s in ours if s.stop_at_ns is not None]
        assert all(s > last for s in stops)
        assert all(s.at_ns + s.timeout_ns <= block.end_ns for s in ours)
    for node in range(figure.nodes[scale]):
        table = plan.timetable(node, figure.nodes[scale], "virtual", 1000)
        idents = [s["id"] for s in table["steps"]]
        assert len(idents) == len(set(idents))
        assert all(not w.startswith("@") for s in table["steps"] for w in s["argv"])


def test_plan__systems_alternate():
    figure = next(f for f in RUNNABLE if f.id == "T6")
    leaders = {plan_of(figure, Scale.QUICK, rep).blocks[0].system.id for rep in range(2)}
    assert len(leaders) == 2, "the first system of a session must change between repetitions"


def test_plan__same_inputs_same_plan():
    figure = RUNNABLE[0]
    one, two = (plan_of(figure, Scale.QUICK).timetable(0, 2, "virtual", 5) for _ in range(2))
    assert one == two


def test_timetable__start_is_absolute():
    plan = plan_of(next(f for f in RUNNABLE if f.id == "H1"), Scale.SMOKE)
    t0 = 10**18
    client = next(s for s in plan.timetable(1, 2, "virtual", t0)["steps"] if "client" in s["id"])
    start = int(client["argv"][client["argv"].index("--start-at-ns") + 1])
    assert start == t0 + plan.blocks[0].start_ns
    assert client["at_ns"] + MS < plan.blocks[0].start_ns
