# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""run_epoch() with stand-ins for QEMU and the switch: every way in which it can end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import CommandFailed, UserError
from testbed.cluster import processes, virtual

SWITCH = """#!/usr/bin/python3
import json, os, sys, time
from pathlib import Path
a = sys.argv
file, stats = (Path(a[a.index(o) + 1]) for o in ("--file", "--stats"))
config = json.loads(Path(a[a.index("--config") + 1]).read_text())
if config.get("bad"):
    sys.exit("torswitch: switch.json: bad: is not a field")
file.write_bytes(b"x")
print("a word before", flush=True)
print(json.dumps({"event": "ready"}), flush=True)
print(json.dumps({"event": "progress", "virtual_ms": 3.0}), flush=True)
while len(list(stats.parent.glob("done*"))) < config["ports"]:
    time.sleep(0.01)
stats.write_text(json.dumps(
    {"epochs": [{"virtual_ns": 7_000_000, "real_s": 0.5}], "reproducible": True}))
file.unlink()
for f in stats.parent.glob("done*"):
    f.unlink()
"""

# Does what the timetable's first step says, where the agent would.
QEMU = """#!/usr/bin/python3
import json, os, re, signal, sys, time
from pathlib import Path
line = " ".join(sys.argv)
node = int(re.search(r"etran.node=(\\d+)", line)[1])
console = Path(re.search(r"file:(\\S+)", line)[1])
share = Path(re.search(r"path=([^, ]*node\\d+),", line)[1])
table = json.loads(re.search(rb'\\{.*\\}', Path(sys.argv[sys.argv.index("-initrd") + 1])
                   .read_bytes(), re.DOTALL)[0])
act = table["steps"][0]["argv"][0]
def say(text):
    with console.open("a") as f:
        f.write(text + "\\r\\n")
def leave():
    (console.parent / f"done{node}").touch()
    sys.exit(0)
step = {**table["steps"][0], "state": "ok", "reason": "", "start_ns": 1, "end_ns": 9 - node,
        "exit_status": 0, "signal": None, "critical": True,
        "stdout": {"file": "o", "bytes": 0, "truncated": False}, "stderr": None}
status = 0
if act == "fail":
    step |= {"state": "failed", "exit_status": 3, "reason": "ended with exit status 3"}
    (share / "o").write_text("something\\nwent wrong\\n")
    status = 1
elif act == "die":
    say("booting")
    os.kill(os.getpid(), signal.SIGKILL)
elif act == "broken":
    sys.exit("qemu: vtnet: port 0 cannot report: port 1 has died")
elif act == "panic":
    say("[    1.0] Kernel panic - not syncing: Attempted to kill init!")
    time.sleep(1000)
elif act == "agent":
    say("etran-agent: timetable: steps[0].id: is missing")
    say("etran-node: done status=2")
    leave()
elif act == "hang":
    say("working")
    time.sleep(1000)
elif act == "refuse":
    sys.exit("qemu: -netdev vtnet: Invalid parameter")
if act != "silent":
    (share / "agent.json").write_text(json.dumps({"state": "x", "steps": [step]}))
say(f"etran-node: done status={status}")
leave()
"""


@pytest.fixture
def bench(tmp_path, monkeypatch):
    """A launcher with stand-ins; bench.run(act of node 0, act of node 1)."""
    for name, text in (("torswitch", SWITCH), ("qemu", QEMU)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("ETRAN_BIN", str(tmp_path))
    monkeypatch.setattr(virtual, "BLAME_S", 0.3)
    (tmp_path / "image").write_bytes(b"\0" * 512)
    before = leftovers()
    out = tmp_path / "out"

    def run(*acts: str, config: dict | None = None, **options):
        nodes = [
            {"node": n, "nodes": len(acts), "mode": "virtual", "end_ns": 2, "steps": [step(act)]}
            for n, act in enumerate(acts)
        ]
        return virtual.run_epoch(
            tmp_path / "image",
            SimpleNamespace(vmlinux=tmp_path / "vmlinux"),
            SimpleNamespace(binary=tmp_path / "qemu", share=tmp_path),
            nodes,
            config or {},
            out,
            1,
            **{"timeout_s": 60, **options},
        )

    yield SimpleNamespace(run=run, out=out, folder=tmp_path)
    assert leftovers() == before
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if mentions(p, tmp_path)]


def step(act: str) -> dict:
    return {"id": "s", "argv": [act], "at_ns": 0}


def mentions(cmdline: Path, folder: Path) -> bool:
    try:
        words = cmdline.read_bytes()
    except OSError:
        return False
    return str(folder).encode() in words and cmdline.parent.name != str(os.getpid())


def leftovers() -> set[Path]:
    return {*Path("/dev/shm").glob("etran-*"), *Path(tempfile.gettempdir()).glob("etran-vt-*")}


def test_run_epoch__results_and_record(bench):
    told = []
    result = bench.run("ok", "ok", progress=lambda *numbers: told.append(numbers))
    assert [n.node for n in result.nodes] == [0, 1]
    assert result.nodes[1].record["steps"][0]["state"] == "ok"
    assert (result.virtual_s, result.epoch_s, result.reproducible) == (0.007, 0.5, True)
    assert result.switch["epochs"]
    commands = json.loads((bench.out / "commands.json").read_text())
    assert list(commands) == ["node0", "node1", "switch"]
    assert json.loads((bench.out / "switch.json").read_text()) == {"ports": 2}
    assert json.loads((bench.out / "node1.timetable.json").read_text())["node"] == 1
    assert "etran-node: done" in (bench.out / "node0.console").read_text()
    assert told == [(3.0, 2e-6)]


def test_run_epoch__digest_depends_on_the_records(bench):
    first = bench.run("ok", "ok").digest()
    assert bench.run("ok", "ok").digest() == first
    assert bench.run("ok", "okay").digest() != first


def test_run_epoch__old_results_are_replaced(bench):
    bench.run("ok", "ok")
    (bench.out / "node0/stale").write_text("x")
    bench.run("ok", "ok")
    assert not (bench.out / "node0/stale").exists()


def test_run_epoch__failed_step_of_the_earliest_node(bench):
    with pytest.raises(CommandFailed) as caught:
        bench.run("fail", "fail")
    assert caught.value.argv == ["fail"] and caught.value.status == 3
    text = str(caught.value)
    assert "node1: step s ended with exit status 3" in text  # end_ns 8, node 0 has 9
    assert "| went wrong" in text


def test_run_epoch__killed_machine_is_the_one_that_is_blamed(bench):
    with pytest.raises(UserError, match=r"node1 was killed by signal 9") as caught:
        bench.run("broken", "die")
    assert "booting" in str(caught.value)


def test_run_epoch__panic(bench):
    with pytest.raises(UserError, match="node0 stopped: Attempted to kill init!"):
        bench.run("panic", "hang")


def test_run_epoch__agent_cannot(bench):
    with pytest.raises(UserError, match="etran-agent ended with status 2") as caught:
        bench.run("agent", "ok")
    assert "steps[0].id: is missing" in str(caught.value)


def test_run_epoch__qemu_refuses(bench):
    with pytest.raises(CommandFailed, match="exit status 1") as caught:
        bench.run("refuse", "hang")
    assert "Invalid parameter" in str(caught.value)


def test_run_epoch__no_record(bench):
    with pytest.raises(UserError, match="no usable record"):
        bench.run("silent", "ok")


def test_run_epoch__time_out(bench):
    with pytest.raises(UserError, match="node1 was not done after"):
        bench.run("ok", "hang", timeout_s=3)


def test_run_epoch__switch_refuses_its_configuration(bench):
    with pytest.raises(CommandFailed, match="bad: is not a field"):
        bench.run("ok", "ok", config={"bad": 1})


def test_run_epoch__interrupt(bench):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.run("hang", "hang", progress=interrupt)


def test_run_epoch__wrong_timetable(bench):
    with pytest.raises(UserError, match="timetable of node 0 has mode 'wallclock'"):
        virtual._check_timetable({"node": 0, "nodes": 2, "mode": "wallclock"}, 0, 2)


def test_run_epoch__not_built(bench, monkeypatch):
    monkeypatch.setenv("ETRAN_BIN", str(bench.folder / "none"))
    with pytest.raises(UserError, match="torswitch has not been built"):
        bench.run("ok", "ok")


def test_run_epoch__full_disk(bench, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(virtual.cpio, "write", full)
    with pytest.raises(UserError, match="No space left"):
        bench.run("ok", "ok")


def test_run_epoch__launcher_killed(bench):
    """Machines die with it, and the next launcher clears up its files."""
    script = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from pathlib import Path
from types import SimpleNamespace as S
from testbed.cluster import virtual
step = {{"id": "s", "argv": ["hang"], "at_ns": 0}}
nodes = [dict(node=n, nodes=2, mode="virtual", end_ns=1, steps=[step]) for n in range(2)]
f = Path({str(bench.folder)!r})
qemu = S(binary=f / "qemu", share=f)
virtual.run_epoch(f / "image", S(vmlinux=f), qemu, nodes, {{}}, f / "out", 1)
"""
    before = leftovers()
    launcher = subprocess.Popen([sys.executable, "-c", script])
    deadline = time.monotonic() + 30
    consoles = [bench.out / f"node{n}.console" for n in range(2)]
    while time.monotonic() < deadline:
        if all(c.exists() and "working" in c.read_text() for c in consoles):
            break
        time.sleep(0.05)
    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    assert leftovers() > before
    while time.monotonic() < deadline:
        if not any(mentions(p, bench.folder) for p in Path("/proc").glob("[0-9]*/cmdline")):
            break
        time.sleep(0.05)
    virtual._sweep()
    assert leftovers() == before


def test_node_seed__differs_by_node_and_seed():
    seeds = {virtual._node_seed(s, n) for s in range(5) for n in range(10)}
    assert len(seeds) == 50 and all(0 < s < 2**32 for s in seeds)


def test_processes__tail_is_what_errors_show(tmp_path):
    (tmp_path / "x").write_text("\n".join(map(str, range(100))))
    assert processes.tail(tmp_path / "x", 2) == "98\n99"
