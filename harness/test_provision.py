# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Inventories and errors; ansible/test_nodes.py has the rest, with nodes."""

from __future__ import annotations

import shutil

import pytest

from harness import provision
from harness.errors import UserError

TWO = """\
cluster:
  hosts:
    b: {node_index: 1, data_address: 10.0.0.2}
    a: {node_index: 0, data_address: 10.0.0.1, emulated: true}
"""


@pytest.fixture
def inventory(tmp_path):
    def write(text: str):
        path = tmp_path / "inventory.yml"
        path.write_text(text)
        return path

    return write


def test_hosts__in_node_order_with_defaults(inventory):
    found = provision.hosts(inventory(TWO))
    assert [node["name"] for node in found] == ["a", "b"]
    assert [node["emulated"] for node in found] == [True, False]
    assert [node["data_address"] for node in found] == ["10.0.0.1", "10.0.0.2"]


def test_hosts__through_a_child_group(inventory):
    text = TWO.replace("cluster:", "rack:") + "cluster:\n  children: {rack: {}}\n"
    assert [node["name"] for node in provision.hosts(inventory(text))] == ["a", "b"]


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("cluster:", "servers:", "no group `cluster`"),
        ("node_index: 1", "node_index: 0", "b and a have the same node_index, 0"),
        ("10.0.0.2", "10.0.0.1", "same data_address, 10.0.0.1"),
        ("node_index: 1", "node_index: 2", "no node has node_index 1"),
        ("node_index: 1", "node_index: '1'", "b: node_index must be a number"),
        ("node_index: 1, ", "", "b: node_index must be a number from 0, not None"),
        ("10.0.0.2", "10.0.0.256", "b: data_address must be an IPv4 address"),
        ("emulated: true", "emulated: perhaps", "a: emulated must be true or false"),
        ("10.0.0.2", "10.0.0.2, ansible_user: USER", "ansible_user still has the placeholder"),
    ],
)
def test_hosts__says_what_is_wrong(inventory, old, new, message):
    assert old in TWO
    path = inventory(TWO.replace(old, new, 1))
    with pytest.raises(UserError) as failure:
        provision.hosts(path)
    assert message in str(failure.value) and str(path) in str(failure.value)


def test_hosts__missing_file(tmp_path):
    with pytest.raises(UserError, match="no such inventory"):
        provision.hosts(tmp_path / "nothing")


def test_hosts__bad_yaml_with_its_line(inventory):
    path = inventory(TWO + "  vars: {a: b\n")
    with pytest.raises(UserError, match="not valid YAML") as failure:
        provision.hosts(path)
    assert failure.value.where.startswith(f"{path}:")


def test_hosts__cloudlab_as_it_comes_and_filled_in(tmp_path):
    folder = tmp_path / "cloudlab"
    shutil.copytree(provision.ANSIBLE / "inventories/cloudlab", folder)
    with pytest.raises(UserError, match="cloudlab_experiment still has the placeholder EXPERIMENT"):
        provision.hosts(folder)
    names = folder / "group_vars/cluster.yml"
    text = names.read_text()
    for placeholder in provision.PLACEHOLDERS.values():
        text = text.replace(f": {placeholder}\n", ": mine\n")
    names.write_text(text)
    assert len(provision.hosts(folder)) == 10


def test_run_timetables__more_nodes_than_hosts(inventory, tmp_path):
    with pytest.raises(UserError, match="needs 3 nodes, the inventory has 2"):
        provision.run_timetables(inventory(TWO), [{}] * 3, tmp_path / "out", 1)


def event(**fields) -> dict:
    base = {"event": "result", "host": "a", "role": "run", "task": "Run it", "state": "failed"}
    return {**base, "seconds": 0.5, **fields}


def test_task_failed__names_node_task_command_and_output():
    words = event(cmd=["agent", "--out", "x y"], rc=3, stdout="said", stderr="complained")
    text = str(provision.TaskFailed(words, ["ansible-playbook"], ["b"], "/log"))
    for part in ("a: task `run: Run it` failed", "status 3: agent --out 'x y'", "said"):
        assert part in text
    assert "complained" in text and "also failed on b" in text and "/log" in text


def test_task_failed__unreachable():
    words = event(state="unreachable", msg="No route to host")
    text = str(provision.TaskFailed(words, ["ansible-playbook"], [], None))
    assert text.startswith("a cannot be reached") and "No route to host" in text


def test_summary__counts_reports_and_longest_times():
    events = [
        event(state="ok", seconds=1.0),
        event(host="b", state="changed", seconds=3.0),
        event(task="Only there", state="skipped"),
        event(task=provision.REPORT_TASK, state="ok", msg=["x: skipped, because"]),
        event(host="b", task=provision.REPORT_TASK, state="ok", msg=["x: skipped, because"]),
        {
            "event": "stats",
            "hosts": {"a": {"ok": 2, "changed": 0, "failures": 1, "skipped": 1, "unreachable": 0}},
        },
    ]
    result = provision._summary(events, 4.0)
    expected = {"ok": 2, "changed": 0, "failed": 1, "skipped": 1, "unreachable": 0}
    assert result["hosts"] == {"a": expected}
    assert result["skipped"] == ["x: skipped, because"]
    assert result["skipped_tasks"] == ["run: Only there"]
    assert result["tasks"]["run: Run it"] == 3.0
