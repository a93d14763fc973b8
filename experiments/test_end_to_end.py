# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""`./run reproduce` as a user calls it, in virtual machines: results, repeatability, failures."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from harness.build import ROOT

pytestmark = pytest.mark.vm

LIMIT_S = 900  # of one call; only there so that a hang ends


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def call(results, *words, check=True):
    done = subprocess.run(
        [ROOT / "run", *words],
        env={**os.environ, "ETRAN_RESULTS": str(results)},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    if check:
        assert done.returncode == 0, done.stdout + done.stderr
    return done


def machines(results):
    """pids of the machines that a call with these results started: they inherit its environment."""
    mark = f"ETRAN_RESULTS={results}".encode()
    pids = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            program = (folder / "cmdline").read_bytes().split(b"\0")[0]
            if program.endswith(b"qemu-system-x86_64") and mark in (
                (folder / "environ").read_bytes().split(b"\0")
            ):
                pids.add(int(folder.name))
        except OSError:
            continue
    return pids


def shared_files():
    return {p.name for p in Path("/dev/shm").iterdir()}


@pytest.fixture
def hog():
    """A busy loop on every core of the host."""
    loop = "import time\nend = time.time() + 600\nwhile time.time() < end: pass"
    hogs = [
        subprocess.Popen(["/usr/bin/python3", "-c", loop])
        for _ in range(len(os.sched_getaffinity(0)))
    ]
    yield
    for one in hogs:
        one.kill()
        one.wait()


def only_run(results):
    (run,) = (p.parent for p in results.glob("*/run.json"))
    return run


def test_reproduce__smoke_writes_json_png_and_html(results):
    done = call(results, "reproduce", "--scale", "smoke")
    run = only_run(results)
    assert "linux-tcp" in done.stdout or "Linux TCP" in done.stdout
    for name in ("run.json", "index.html", "plots/H1.png", "plots/H1.pdf", "H1/data.json"):
        assert (run / name).stat().st_size > 500, name
    rows = json.loads(call(results, "compare", "--json").stdout)
    assert {r["system"] for r in rows} >= {"linux-tcp", "linux-dctcp"}
    for row in rows:
        if row["metric"] == "p50":
            assert 5 < row["value"] < 100 and row["valid"] and row["samples"] >= 500
    record = json.loads((run / "H1" / "record.json").read_text())
    steps = [s for u in record["units"] for n in u["nodes"] for s in n["steps"]]
    assert steps and all(s["state"] == "ok" and s["argv"] for s in steps)


def test_reproduce__same_numbers_again_on_a_busy_host(results, hog):
    hashes = []
    for name in ("one", "two"):
        call(results / name, "reproduce", "H1", "--scale", "smoke")
        run = only_run(results / name)
        data = json.loads((run / "H1" / "data.json").read_text())
        hashes.append((data["sample_hash"], [r["value"] for r in data["rows"]]))
    assert hashes[0] == hashes[1]


def test_reproduce__another_seed_gives_other_samples(results):
    hashes = set()
    for seed in ("1", "2"):
        call(results / seed, "reproduce", "H1", "--scale", "smoke", "--seed", seed)
        run = only_run(results / seed)
        hashes.add(json.loads((run / "H1" / "data.json").read_text())["sample_hash"])
    assert len(hashes) == 2


def start_and_wait_for_machines(results):
    child = subprocess.Popen(
        [ROOT / "run", "reproduce", "T6", "--scale", "quick"],
        env={**os.environ, "ETRAN_RESULTS": str(results)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    end = time.monotonic() + 120
    while not (found := machines(results)):
        assert time.monotonic() < end and child.poll() is None, "no machine was started"
        time.sleep(0.1)
    return child, found


def test_reproduce__interrupt_leaves_nothing_and_resumes(results):
    before = shared_files()
    child, _ = start_and_wait_for_machines(results)
    child.send_signal(signal.SIGINT)
    out, _ = child.communicate(timeout=60)
    assert child.returncode == 130, out
    assert not machines(results)
    assert shared_files() <= before
    run = only_run(results)
    assert not list((run / "T6").glob(".*")), "a half-written repetition was left"
    again = call(results, "reproduce", "T6", "--scale", "quick")
    assert "Resuming" in again.stderr
    assert only_run(results) == run


def test_reproduce__killed_machine_fails_the_figure_and_keeps_the_rest(results):
    before = shared_files()
    child, found = start_and_wait_for_machines(results)
    os.kill(min(found), signal.SIGKILL)
    out, _ = child.communicate(timeout=120)
    assert child.returncode == 1, out
    assert "FAILED T6" in out and "node" in out
    assert not machines(results)
    assert shared_files() <= before
    state = json.loads((only_run(results) / "run.json").read_text())["figures"]["T6"]
    assert state["status"] == "failed" and state["error"]["message"]
