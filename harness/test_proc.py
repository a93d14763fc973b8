# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""harness.proc: output, failures, time-outs, and that nothing survives them."""

import os
import sys
import time

import pytest

from harness import proc
from harness.errors import CommandFailed, UserError


def test_run__output_and_status():
    done = proc.run([sys.executable, "-c", "print('x'); import sys; print('y', file=sys.stderr)"])
    assert (done.status, done.stdout, done.stderr) == (0, "x\n", "y\n")


def test_run__log_holds_command_and_output(tmp_path):
    log = tmp_path / "a" / "log"
    proc.run(["echo", "one"], log=log)
    done = proc.run(["echo", "two words"], log=log)
    assert done.stdout == "two words\n"
    assert log.read_text() == "$ echo one\none\n$ echo 'two words'\ntwo words\n"


def test_run__failure_names_command_status_and_output():
    with pytest.raises(CommandFailed) as caught:
        proc.run(["sh", "-c", "echo before; exit 7"])
    assert caught.value.status == 7
    assert "sh -c" in str(caught.value) and "before" in str(caught.value)


def test_run__missing_program():
    with pytest.raises(UserError, match="cannot run"):
        proc.run(["/nonexistent/program"])


def test_run__timeout_kills_the_whole_group(tmp_path):
    pid_file = tmp_path / "pid"
    with pytest.raises(CommandFailed) as caught:
        proc.run(["sh", "-c", f"sleep 600 & echo $! > {pid_file}; wait"], timeout=0.5)
    assert caught.value.status is None
    child = int(pid_file.read_text())
    for _ in range(100):
        if not os.path.exists(f"/proc/{child}"):
            break
        state = open(f"/proc/{child}/stat").read().rsplit(")", 1)[1].split()[0]
        if state == "Z":
            break
        time.sleep(0.05)
    else:
        pytest.fail("the grandchild survived the time-out")
