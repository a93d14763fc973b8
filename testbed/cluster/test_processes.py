# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.errors import UserError
from testbed.cluster import processes
from testbed.cluster.processes import Process


@pytest.fixture
def sleeper(tmp_path):
    """Starts `sleep` under the name of one of our programs, with one more word."""
    children = []

    def start(word: str, name: str = "torswitch") -> subprocess.Popen:
        # The name of the program is argv[0]; the kernel runs /bin/sleep.
        child = subprocess.Popen(
            [name, "-c", "import time; time.sleep(1000)", word], executable="/usr/bin/python3"
        )
        children.append(child)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:  # until exec has happened
            if Path(f"/proc/{child.pid}/cmdline").read_bytes().startswith(name.encode()):
                break
        return child

    yield start
    for child in children:
        child.kill()
        child.wait()


def test_of__ourselves_and_nobody():
    us = Process.of(os.getpid())
    assert us and us.alive()
    assert not Process(us.pid, us.started + 1).alive()
    assert Process.of(2**22 + 1) is None


def test_of__a_zombie_is_nobody():
    child = subprocess.Popen(["true"])
    deadline = time.monotonic() + 20
    while Process.of(child.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert Process.of(child.pid) is None
    child.wait()


def test_of_folder__finds_ours_and_only_ours(tmp_path, sleeper):
    folder = tmp_path / "cluster"
    ours = [
        sleeper(f"{folder}/net"),
        sleeper(f"file:{folder}/node0.console", "/usr/bin/qemu-system-x86_64"),
        sleeper(f"id=x,path={folder}/x,readonly=on", "qemu-system-x86_64"),
    ]
    sleeper(f"{folder}2/net")  # another cluster, whose name begins the same
    sleeper(f"/elsewhere{folder}/net")
    sleeper(f"{folder}/node0.console", "tail")  # somebody reads a console
    assert {p.pid for p in processes.of_folder(folder)} == {c.pid for c in ours}


def test_end__kills_what_ignores_sigterm(tmp_path):
    script = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True)"
    child = subprocess.Popen(
        [sys.executable, "-c", script + "; time.sleep(1000)"], stdout=subprocess.PIPE
    )
    child.stdout.readline()
    processes.end([Process.of(child.pid)], grace_s=0.1)
    assert child.wait(20) == -signal.SIGKILL


def test_end__never_touches_another_process_with_the_number(sleeper, tmp_path):
    child = sleeper("x")
    processes.end([Process(child.pid, 1)])
    assert child.poll() is None


def test_start__dies_with_its_launcher(tmp_path):
    script = (
        "import sys; from pathlib import Path; from testbed.cluster import processes; "
        "c = processes.start(['sleep', '1000'], Path(sys.argv[1]), dies_with_us=True); "
        "print(c.pid, flush=True); sys.stdin.read()"
    )
    launcher = subprocess.Popen(
        ["/usr/bin/python3", "-c", script, str(tmp_path / "log")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    child = Process.of(int(launcher.stdout.readline()))
    deadline = time.monotonic() + 20
    comm = Path(f"/proc/{child.pid}/comm")
    while comm.read_text() != "sleep\n" and time.monotonic() < deadline:
        time.sleep(0.01)
    launcher.kill()
    launcher.wait()
    while child.alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not child.alive()


def test_start__no_such_program(tmp_path):
    with pytest.raises(UserError, match="cannot run /nonexistent"):
        processes.start(["/nonexistent"], tmp_path / "log", dies_with_us=False)


def test_tail__strips_terminal_codes(tmp_path):
    path = tmp_path / "console"
    path.write_bytes(b"\x1bc\x1b[?7l\x1b[2JSeaBIOS\r\nline 2\r\nline 3\r\n\xff\n")
    assert processes.tail(path) == "SeaBIOS\nline 2\nline 3\n\ufffd"
    assert processes.tail(path, 1) == "\ufffd"
    assert processes.tail(tmp_path / "none") == ""
