# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The network backend in real machines: reproducible, fast enough, robust, and like a NIC."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time

import pytest

from harness.errors import UserError
from testbed.cluster import paths
from testbed.qemu import build, machines
from testbed.qemu.machines import Network

# What both machines of most tests do around their own part.
JOIN = "vtguest join eth0 || exit 1\n"
# Servers end with their client; a pause keeps the last ACKs inside the epoch.
LEAVE = "usleep 2000\nvtguest leave eth0 || exit 1\n"

# A verified stream in segments of 1448 B into one core of 2.5 instructions per ns, which is the
# bottleneck; and into a core four times as fast, where the wire is (23.5 Gbit/s of payload).
STREAM_MBPS = 9_000
FAST_CORE_MBPS = 18_000

COUNTERS = """
counter() { # GROUP NAME: a value of /proc/net/netstat or /proc/net/snmp
    cat /proc/net/netstat /proc/net/snmp | awk -v group="$1:" -v name="$2" '
        $1 != group { next }
        !seen++ { for (i = 2; i <= NF; i++) if ($i == name) column = i; next }
        { print $column }'
}
"""


@pytest.fixture(scope="module")
def qemu() -> build.QemuBuild:
    found = build.lookup()
    if not found:
        pytest.skip("QEMU with virtual time is not built: `./run cluster` builds it")
    return found


@pytest.fixture(scope="module")
def machine_parts(qemu, tmp_path_factory) -> tuple:
    """(qemu, bzimage, guest program): what Network() needs."""
    from kernel import build as kernel_build

    kernel = kernel_build.lookup("release")
    if not kernel:
        pytest.skip("the release kernel is not built: `./run kernel` builds it")
    try:
        paths.tool("torswitch")
        paths.busybox()
    except UserError as error:
        pytest.skip(error.what)
    return qemu, kernel.bzimage, machines.build_guest(tmp_path_factory.mktemp("guest"))


# ---- without machines ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words, complaint",
    [
        ([], "needs -icount with sleep=off"),
        (["-icount", "shift=0"], "needs -icount with sleep=off"),
        (["-icount", "shift=auto"], "needs -icount with sleep=off"),
        (["-icount", "shift=0,sleep=off"], "No such file or directory"),
        (["-icount", "shift=0,sleep=off,ns-num=0"], "ns-num and ns-den must be"),
        (["-icount", "shift=auto,ns-num=2"], "need a fixed shift"),
        (["-icount", "shift=0,sleep=off,pause=0"], "pause must be"),
    ],
)
def test_command_line__bad_option_is_explained(qemu, words, complaint, tmp_path):
    done = subprocess.run(
        [
            *(qemu.binary, "-L", qemu.share, "-M", "pc", "-nodefaults", "-display", "none"),
            *("-accel", "tcg,thread=single", "-S"),
            *("-netdev", f"vtnet,id=d,path={tmp_path}/none,port=0"),
            *words,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert complaint in done.stderr


def test_command_line__queues_are_bounded(qemu, tmp_path):
    done = subprocess.run(
        [
            *(qemu.binary, "-L", qemu.share, "-M", "pc", "-nodefaults", "-display", "none"),
            *("-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"),
            *("-netdev", f"vtnet,id=d,path={tmp_path}/none,port=0,queues=9"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "queues=9 is not in 1..8" in done.stderr


# ---- in machines ---------------------------------------------------------------------------------

# Latency, throughput, then many short epochs.
SERVER = f"""
vtguest query eth0
{JOIN}
vtguest echo-server 7000 64
vtguest sink 7001
{LEAVE}
for i in 1 2 3 4 5; do
    {JOIN}
    vtguest echo-server 7000 64
    {LEAVE}
done
"""
CLIENT = f"""
vtguest query eth0
{JOIN}
vtguest echo-client 10.0.0.1 7000 64 2000
usleep 3000
vtguest stream 10.0.0.1 7001 20000000
{LEAVE}
for i in 1 2 3 4 5; do
    {JOIN}
    vtguest echo-client 10.0.0.1 7000 64 20
    {LEAVE}
done
"""


@pytest.mark.vm
def test_two_machines__every_sample_repeats_on_a_busy_host(machine_parts, tmp_path):
    runs = []
    for name, hogs in (("quiet", 0), ("busy", (os.cpu_count() or 1) + 1)):
        with machines.busy_host(hogs), Network(
            tmp_path / name, *machine_parts, [SERVER, CLIENT]
        ) as n:
            assert n.statuses() == [0, 0], n.said(0) + n.said(1)
            runs.append((n, n.switch_stats()))
    (quiet, switch), (busy, _) = runs
    assert quiet.results() == busy.results()
    assert len(quiet.results()) == 2 * (1 + 12) + 6 + 2

    echo = quiet.result(1, "echo")
    assert 10_000 < int(echo["p50"]) < 25_000
    sink, stream = quiet.result(0, "sink"), quiet.result(1, "stream")
    assert sink["bytes"] == stream["bytes"] == "20000000"
    assert sink["bad"] == stream["bad"] == "0"
    assert int(sink["mbps"]) > STREAM_MBPS

    server, client = quiet.nic_stats(0), quiet.nic_stats(1)
    for stats in (server, client):
        assert stats["joins"] == stats["leaves"] == 6
        assert stats["host_wakes"] == stats["tx_lost"] == stats["rx_csum_bad"] == 0
        assert stats["rx_no_buffer"] == 0 and not any(stats["tx_refused"].values())
    assert client["tx_frames"] > 5 * client["tx_packets"], "segments are made by the NIC"
    assert client["mac_busy"] > 0, "the wire is what holds back the sender"
    assert server["rx_csum_good"] > 13_000, "checksums inserted by one NIC hold at the other"
    assert len(switch["epochs"]) == 6


@pytest.mark.vm
def test_fast_cores__fill_the_wire(machine_parts, tmp_path):
    server = f"{JOIN}\nvtguest sink 7001\n{LEAVE}"
    client = f"{JOIN}\nusleep 3000\nvtguest stream 10.0.0.1 7001 20000000\n{LEAVE}"
    with Network(tmp_path / "n", *machine_parts, [server, client], rate=(1, 10)) as n:
        assert n.statuses() == [0, 0], n.said(0) + n.said(1)
    assert n.result(1, "stream")["bad"] == "0"
    assert FAST_CORE_MBPS < int(n.result(0, "sink")["mbps"]) < 23_600


@pytest.mark.vm
def test_segmentation__serves_other_protocols(machine_parts, tmp_path):
    """Homa's way: protocol 146 behind a header laid out like TCP's."""
    receiver = f"{JOIN}\nvtguest segments-receive\n{LEAVE}"
    sender = f"{JOIN}\nusleep 3000\nvtguest segments-send eth0 10.0.0.2 10.0.0.1\n{LEAVE}"
    with Network(tmp_path / "n", *machine_parts, [receiver, sender]) as n:
        assert n.statuses() == [0, 0], n.said(0) + n.said(1)
    assert n.result(0, "segments") == {"frames": "15", "bytes": "20001"}
    assert n.nic_stats(1)["tx_packets"] == 1 and n.nic_stats(1)["tx_frames"] == 15


@pytest.mark.vm
def test_three_machines__faults_and_marks_are_visible(machine_parts, tmp_path):
    """Two senders into one port: marks at the queue; on one of the paths, loss and corruption."""
    sender = f"""
{COUNTERS}
echo 1 >/proc/sys/net/ipv4/tcp_ecn
{JOIN}
vtguest stream 10.0.0.1 700$PORT 4000000
echo "RESULT counters retransmitted=$(counter Tcp RetransSegs)"
{LEAVE}
"""
    receiver = f"""
{COUNTERS}
echo 1 >/proc/sys/net/ipv4/tcp_ecn
{JOIN}
vtguest sink 7001 &
vtguest sink 7002
wait
echo "RESULT counters marked=$(counter IpExt InCEPkts) bad=$(counter Tcp InCsumErrors)"
{LEAVE}
"""
    config = {
        "ecn_k_bytes": 30_000,
        "seed": 3,
        "faults": [
            {"port": 2, "kind": "loss", "p": 0.005},
            {"port": 2, "kind": "corrupt", "p": 0.005},
        ],
    }
    with Network(tmp_path / "n", *machine_parts, [receiver, sender, sender], config=config) as n:
        assert n.statuses() == [0, 0, 0], [n.said(i) for i in range(3)]
    for port in (1, 2):
        assert n.result(port, "stream")["bad"] == "0"
    assert int(n.result(0, "counters")["marked"]) > 0
    assert int(n.result(2, "counters")["retransmitted"]) > 0
    bad = sum(n.nic_stats(port)["rx_csum_bad"] for port in range(3))
    assert bad > 0, "the NIC passes corrupt frames on unverified"
    assert int(n.result(0, "counters")["bad"]) > 0, "and the stack finds them"


@pytest.mark.vm
def test_queues__all_carry_traffic(machine_parts, tmp_path):
    interrupts = """
grep -E 'virtio.*-(input|output)' /proc/interrupts | awk '{ print "RESULT irq " $NF "=" $2 }'
"""
    server = f"""
vtguest channels eth0 2
{JOIN}
for port in 1 2 3 4 5 6 7 8; do vtguest echo-server 700$port 64 & done
wait
{interrupts}
{LEAVE}
"""
    client = f"""
vtguest channels eth0 2
{JOIN}
usleep 3000
for port in 1 2 3 4 5 6 7 8; do vtguest echo-client 10.0.0.1 700$port 64 50; done
{interrupts}
{LEAVE}
"""
    with Network(
        tmp_path / "n", *machine_parts, [server, client], netdev=",queues=2", device=",mq=on"
    ) as n:
        assert n.statuses() == [0, 0], n.said(0) + n.said(1)
    for port in (0, 1):
        assert n.result(port, "channels") == {"combined": "2", "max": "2"}
        lines = [line for line in n.results() if line.startswith(f"{port}: RESULT irq")]
        inputs = [int(line.rpartition("=")[2]) for line in lines if "input" in line]
        assert len(inputs) == 2 and min(inputs) > 20, lines


ENDLESS = f"""
{JOIN}
echo "INSIDE $PORT"
while :; do usleep 100; done
"""


@pytest.mark.vm
def test_killed_machine__ends_the_others_with_a_message(machine_parts, tmp_path):
    with Network(tmp_path / "n", *machine_parts, [ENDLESS] * 3) as n:
        for port in range(3):
            n.wait_for(port, f"INSIDE {port}")
        n.kill(1, signal.SIGKILL)
        assert n.statuses() == [1, -signal.SIGKILL, 1]
        for port in (0, 2):
            assert f"vtnet: port {port} cannot" in n.said(port)
            assert "port 1" in n.said(port)
        assert n.switch.wait(30) != 0
        assert not n.file.exists()


@pytest.mark.vm
def test_power_off_without_leave__ends_the_others_with_a_message(machine_parts, tmp_path):
    with Network(tmp_path / "n", *machine_parts, [ENDLESS, f"{JOIN}\nusleep 5000"]) as n:
        assert n.statuses() == [1, 0]
        assert "vtnet: port 0 cannot" in n.said(0)


@pytest.mark.vm
@pytest.mark.parametrize("others", ["absent", "inside"])
def test_sigterm__works_while_waiting(machine_parts, tmp_path, others):
    """Waiting in join for a machine that never comes; and at the limit, for a stopped one."""
    if others == "absent":
        with Network(
            tmp_path / "n", *machine_parts, ["echo JOINING\n" + ENDLESS] * 2, absent=[1]
        ) as n:
            n.wait_for(0, "JOINING")
            time.sleep(0.2)  # into the wait; earlier is fine too
            n.kill(0, signal.SIGTERM)
            assert n.statuses() == [0]
    else:
        with Network(tmp_path / "n", *machine_parts, [ENDLESS] * 2) as n:
            for port in (0, 1):
                n.wait_for(port, f"INSIDE {port}")
            n.kill(1, signal.SIGSTOP)
            n.kill(0, signal.SIGTERM)
            n.machines[0].wait(machines.LIMIT_S)
            n.kill(1, signal.SIGCONT)
            assert n.statuses() == [0, 1]
        assert not n.file.exists()


@pytest.mark.vm
def test_monitor__works_while_waiting(machine_parts, tmp_path):
    with Network(tmp_path / "n", *machine_parts, ["echo JOINING\n" + ENDLESS] * 2, absent=[1]) as n:
        n.wait_for(0, "JOINING")
        with n.monitor(0) as execute:
            for _ in range(20):
                for command in ("stop", "query-status", "cont", "query-status"):
                    assert "return" in execute(command)
            with contextlib.suppress(ConnectionError):
                execute("quit")
        assert n.statuses() == [0]


@pytest.mark.vm
def test_monitor__stopping_a_machine_harms_nothing(machine_parts, tmp_path):
    """Not reproducible, but no frame and no byte may be lost or made up."""
    server = f"{JOIN}\nvtguest sink 7001\n{LEAVE}"
    client = f"{JOIN}\nusleep 3000\nvtguest stream 10.0.0.1 7001 20000000\n{LEAVE}"
    with Network(tmp_path / "n", *machine_parts, [server, client]) as n:
        n.wait_for(1, "RESULT join")
        with n.monitor(1) as execute:
            with contextlib.suppress(ConnectionError):  # it may be done sooner
                for _ in range(30):
                    execute("stop")
                    execute("cont")
        assert n.statuses() == [0, 0], n.said(0) + n.said(1)
    assert n.result(1, "stream") == {"bytes": "20000000", "bad": "0"}
