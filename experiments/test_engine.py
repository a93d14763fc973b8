# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""experiments.engine: resume, failures, what is left on disk. The backend writes canned results;
the real one is exercised by the vm tests."""

import json

import pytest

from experiments import engine, registry, store
from experiments.extract import node_dir
from experiments.model import Cluster, Scale
from harness.errors import CommandFailed

H1 = registry.figures()["H1"]
B2 = registry.figures()["B2"]


class Canned:
    """Writes a result for every client; on_run(plan) may raise instead."""

    real = False

    def __init__(self, on_run=lambda plan: None):
        self.on_run = on_run
        self.sessions = []

    def prepare(self):
        pass

    def describe(self):
        return {"time_mode": "virtual", "kernel": "k", "qemu": "q"}

    def cluster(self, nodes):
        return Cluster(tuple(f"10.0.0.{n + 1}" for n in range(nodes)))

    def run(self, plan, settings, out):
        self.on_run(plan)
        self.sessions.append(plan.repetition)
        for block in plan.blocks:
            for node, name in block.clients:
                node_dir(out, node).mkdir(exist_ok=True)
                value = 10_000 + 1000 * plan.repetition
                result = {
                    "version": 1,
                    "ops": 20_000,
                    "throughput": 1.0,
                    "goodput": 1.0,
                    "errors": 0,
                    "latency": [{"name": "all", "count": 20_000, "hdr": [[value, 20_000]]}],
                    "sample_hash": f"{plan.seed:016x}",
                }
                (node_dir(out, node) / name).write_text(json.dumps(result))
        return {"virtual_s": 1.0, "seconds": 0.1, "zero_ns": 0}


@pytest.fixture(autouse=True)
def private_results(tmp_path, monkeypatch):
    monkeypatch.setenv("ETRAN_RESULTS", str(tmp_path))


def reproduce(backend, figures=(H1,), fresh=False):
    return engine.reproduce(list(figures), Scale.QUICK, backend, 1, fresh)


def test_reproduce__median_and_spread_over_repetitions():
    run = reproduce(Canned())
    rows = {(r["system"], r["metric"]): r for r in run.data("H1")["rows"]}
    row = rows["linux-tcp", "p50"]
    assert (row["value"], row["spread"], row["n"], row["samples"]) == (12.0, 4.0, 5, 20_000)
    assert row["valid"] and row["run"] == run.name


def test_reproduce__same_seed_same_hash():
    one, two = reproduce(Canned(), fresh=True), reproduce(Canned(), fresh=True)
    assert one.name != two.name
    assert one.data("H1")["sample_hash"] == two.data("H1")["sample_hash"]


def test_reproduce__interrupted_run_resumes_where_it_was():
    def interrupt(plan):
        if plan.repetition == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reproduce(Canned(interrupt))
    (run,) = store.runs()
    left = sorted(p.name for p in run.figure_dir("H1").iterdir())
    assert left == ["rep0", "rep1", "rep2"], "a half-written repetition was left"
    second = Canned()
    again = reproduce(second)
    assert again.name == run.name and second.sessions == [3, 4]
    assert again.meta["status"] == "done"


def test_reproduce__fresh_does_not_resume():
    def interrupt(plan):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reproduce(Canned(interrupt))
    second = Canned()
    reproduce(second, fresh=True)
    assert second.sessions == [0, 1, 2, 3, 4]


def test_reproduce__failed_command_ends_its_figure_only():
    def fail(plan):
        if plan.figure is H1:
            raise CommandFailed(["rpcbench", "client"], 3, "no route to host")

    run = reproduce(Canned(fail), (H1, B2))
    state = run.meta["figures"]
    assert run.meta["status"] == "failed"
    assert state["H1"]["status"] == "failed" and state["B2"]["status"] == "done"
    error = state["H1"]["error"]
    assert error["command"] == ["rpcbench", "client"] and error["exit_status"] == 3
    assert "no route to host" in error["output"]
    assert (run.figure_dir("H1") / "rep0.failed").is_dir()


def test_reproduce__failed_run_resumes_with_what_was_finished():
    def fail(plan):
        if plan.repetition == 2:
            raise CommandFailed(["rpcbench", "client"], 3, "no space left")

    run = reproduce(Canned(fail), (H1, B2))
    assert run.meta["status"] == "failed"
    second = Canned()
    again = reproduce(second, (H1, B2))
    assert again.name == run.name and second.sessions == [2, 3, 4]
    assert again.meta["status"] == "done" and again.meta["figures"]["H1"]["error"] is None


def test_reproduce__pending_is_listed_not_hidden():
    run = reproduce(Canned())
    assert run.meta["figures"]["B1"]["status"] == "pending"
    assert run.meta["figures"]["H2"]["status"] == "not run"
