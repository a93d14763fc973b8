# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import CommandFailed, UserError
from testbed.cluster import machine

REAL = {
    "name": "etran-x",
    "node": 2,
    "nodes": 3,
    "kernel": Path("/k/vmlinux"),
    "initrd": Path("/s/init.cpio"),
    "modules": Path("/k/modules"),
    "console": Path("/s/node2.console"),
    "qmp": Path("/s/node2.qmp"),
    "data_fd": 7,
    "ssh_port": 0,
    "memory_mib": 512,
    "cpus": 1,
    "kvm": False,
    "run_as": "nobody",
}
VIRTUAL = {
    "name": "etran-epoch",
    "qemu": SimpleNamespace(binary=Path("/q/qemu"), share=Path("/q/share")),
    "node": 1,
    "nodes": 2,
    "kernel": Path("/k/vmlinux"),
    "initrd": Path("/s/node1.cpio"),
    "network": Path("/dev/shm/x"),
    "results": Path("/o/node1"),
    "nic_stats": Path("/o/node1.nic.json"),
    "console": Path("/o/node1.console"),
    "seed": 5,
    "ns_per_insn": 0.4,
    "memory_mib": 256,
}


def option(command: list[str], name: str) -> list[str]:
    return [command[i + 1] for i, word in enumerate(command) if word == name]


def devices(command: list[str]) -> dict[str, str]:
    return {d.split("mac=")[1].split(",")[0]: d for d in option(command, "-device") if "mac=" in d}


def test_real_command__isolates_and_drops_rights():
    command = machine.real_command(**REAL)
    assert command[0] == "qemu-system-x86_64"
    root, modules = option(command, "-fsdev")
    assert "path=/," in root and root.endswith("readonly=on")
    assert "path=/k/modules," in modules and modules.endswith("readonly=on")
    management = option(command, "-netdev")[1]
    assert "restrict=on" in management and "hostfwd=tcp:127.0.0.1:0-10.0.2.15:22" in management
    assert option(command, "-runas") == ["nobody"]
    assert option(command, "-accel") == ["tcg,thread=multi,tb-size=96"]
    assert option(command, "-append") == [
        "console=ttyS0 quiet panic=-1 etran.node=2 etran.nodes=3 etran.modules=1"
    ]


def test_real_command__kvm_and_no_modules():
    command = machine.real_command(**{**REAL, "kvm": True, "modules": None, "run_as": None})
    assert option(command, "-accel") == ["kvm"] and option(command, "-cpu") == ["host"]
    assert len(option(command, "-fsdev")) == 1
    assert "-runas" not in command
    assert "etran.modules" not in option(command, "-append")[0]


def test_virtual_command__nothing_depends_on_the_host():
    command = machine.virtual_command(**VIRTUAL)
    assert option(command, "-icount") == ["shift=0,sleep=off,ns-num=2,ns-den=5,pause=100"]
    assert option(command, "-rtc") == ["base=2026-01-01,clock=vm"]
    assert option(command, "-seed") == ["5"]
    assert option(command, "-cpu") == ["max,-erms,-fsrm"]
    assert option(command, "-netdev") == [
        "vtnet,id=data,path=/dev/shm/x,port=1,stats=/o/node1.nic.json"
    ]
    assert "-qmp" not in command and "-monitor" not in command
    (share,) = option(command, "-fsdev")
    assert "path=/o/node1," in share and "readonly" not in share
    nic = devices(command)["52:54:00:00:00:02"]
    assert "ioeventfd=off,tx=timer" in nic


def test_virtual_command__a_pause_takes_as_long_on_a_faster_core():
    command = machine.virtual_command(**{**VIRTUAL, "ns_per_insn": 0.04})
    assert option(command, "-icount") == ["shift=0,sleep=off,ns-num=1,ns-den=25,pause=1000"]


def test_commands__data_nic_is_the_same_device_in_both_kinds_of_time():
    both = machine.real_command(**{**REAL, "node": 1}), machine.virtual_command(**VIRTUAL)
    for command in both:
        assert "addr=4" in devices(command)["52:54:00:00:00:02"]


@pytest.mark.parametrize("ns", [0, -1, 1e-9, 5000])
def test_virtual_command__refuses_odd_rates(ns):
    with pytest.raises(UserError, match="per instruction"):
        machine.virtual_command(**{**VIRTUAL, "ns_per_insn": ns})


def test_share__refuses_a_comma():
    with pytest.raises(UserError, match="comma"):
        machine.share("x", "/a,b", "5")


@pytest.mark.parametrize("nodes", [-1, 0, 1, 11])
def test_check_nodes__out_of_range(nodes):
    with pytest.raises(UserError, match="2 to 10"):
        machine.check_nodes(nodes)


def started(tmp_path: Path, script: str, node: int = 0) -> machine.Machine:
    console = tmp_path / f"node{node}.console"
    command = [sys.executable, "-c", script, str(console)]
    one = machine.Machine(node, command, console, tmp_path / f"node{node}.qemu")
    one.start(dies_with_us=True)
    return one


WRITE = "import sys,time; f=open(sys.argv[1],'a'); "


def test_await_lines__every_console(tmp_path):
    ones = [
        started(tmp_path, WRITE + f"f.write('etran-node: done status={n}\\r\\n')", n)
        for n in range(2)
    ]
    found = machine.await_lines(ones, machine.DONE, 20)
    assert {n: m[1] for n, m in found.items()} == {0: "0", 1: "1"}


def test_await_lines__failure_line_names_the_node(tmp_path):
    one = started(
        tmp_path, WRITE + "f.write('etran-node: FAILED: no NIC\\n'); f.flush(); input()", 3
    )
    with pytest.raises(UserError, match="node3 stopped while booting: no NIC"):
        machine.await_lines([one], machine.READY, 20)


def test_await_lines__panic(tmp_path):
    text = "[    1.2] Kernel panic - not syncing: VFS: no root\\n"
    one = started(tmp_path, WRITE + f"f.write('{text}')")
    with pytest.raises(UserError, match="VFS: no root"):
        machine.await_lines([one], machine.READY, 20)


def test_await_lines__qemu_refuses(tmp_path):
    one = started(tmp_path, "import sys; sys.exit('qemu: no such option')")
    with pytest.raises(CommandFailed, match="no such option") as caught:
        machine.await_lines([one], machine.READY, 20)
    assert caught.value.status == 1


def test_await_lines__half_a_line_is_not_a_line(tmp_path):
    one = started(tmp_path, WRITE + "f.write('etran-node: ready')")
    one.child.wait()
    with pytest.raises(UserError, match="ended before it was ready"):
        machine.await_lines([one], machine.READY, 20)


def test_await_lines__time_out(tmp_path):
    one = started(tmp_path, WRITE + "f.write('booting\\n'); f.flush(); time.sleep(600)")
    try:
        with pytest.raises(UserError, match="not ready after 0 s"):
            machine.await_lines([one], machine.READY, 0)
    finally:
        one.child.kill()
        one.child.wait()
