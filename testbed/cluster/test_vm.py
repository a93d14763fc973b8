# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Real machines, in both kinds of time. Durations are printed, not asserted."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from harness import proc
from harness.errors import CommandFailed, UserError
from testbed.cluster import cli, image, paths, processes, real, state, virtual

pytestmark = pytest.mark.vm
MS = 1_000_000


@pytest.fixture(scope="module", autouse=True)
def needs():
    """What `./run test` installs before it comes here."""
    for program in ("qemu-system-x86_64", "/usr/sbin/sshd", "ssh-keygen", "/usr/bin/memcached"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (groups vm and node of packages.toml)")


@pytest.fixture(scope="module")
def kernel():
    from kernel import build

    return build.build("release")


@pytest.fixture(scope="module")
def qemu():
    from testbed.qemu import build

    return build.build()


@pytest.fixture(scope="module")
def programs() -> dict[str, Path]:
    from harness import build

    return build.programs()


@pytest.fixture(autouse=True)
def own_folder(monkeypatch):
    """Clusters of a test live in a folder of their own, and leave nothing in it or elsewhere."""
    folder = Path(tempfile.mkdtemp(prefix="etran-t-"))  # short, for the sockets
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield folder
    for name in state.names():
        state.remove(name)
    assert list(state.base().iterdir()) == []
    shutil.rmtree(folder)


def machines_of(folder: Path) -> list:
    return processes.of_folder(folder)


def resident_mib(folder: Path) -> float:
    pages = [Path(f"/proc/{p.pid}/statm").read_text().split()[1] for p in machines_of(folder)]
    return sum(map(int, pages)) * os.sysconf("SC_PAGE_SIZE") / 2**20


# ---- real time -----------------------------------------------------------------------------------


def test_real__two_nodes_from_up_to_down(kernel, programs, capsys):
    began = time.monotonic()
    cluster = real.up("default", 2, kernel)
    print(f"two nodes are up after {time.monotonic() - began:.1f} s ({cluster.accel})")
    assert cluster.ssh(1, "hostname").strip() == "node1"
    assert cluster.ssh(0, "uname", "-r").strip() == kernel.release
    # The data network, by name.
    assert "1 packets received" in cluster.ssh(0, "busybox ping -c 1 -w 60 node1")
    # The host's files are there, cannot be changed, and those of people are not.
    assert cluster.ssh(0, f"head -c 2 {Path(__file__).resolve()}; true") in ("# ", "")
    marker = f"/etc/etran-test-{os.getpid()}"
    cluster.ssh(0, f"echo x > {marker}")
    assert not Path(marker).exists()
    assert cluster.ssh(1, f"ls {marker} || true") == ""
    assert cluster.ssh(0, "ls -A /root /home /opt/etran /etc/sysctl.d").split() == [
        *("/etc/sysctl.d:", "/home:", "/opt/etran:", "/root:")
    ]
    assert set(cluster.ssh(0, "cut -d: -f2 /etc/shadow").split()) == {"*"}
    # The management network leads nowhere.
    with pytest.raises(CommandFailed):
        cluster.ssh(0, "busybox nc -w 3 10.0.2.2 22 < /dev/null")

    told = real.status()
    assert [n["running"] for n in told["nodes"]] == [True, True] and told["switch"]
    with pytest.raises(UserError, match="already up"):
        real.up("default", 2, kernel)
    victim = next(n for n in told["nodes"] if n["node"] == 1)
    os.kill(victim["pid"], signal.SIGKILL)
    deadline = time.monotonic() + 60
    while real.status()["nodes"][1]["running"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [n["running"] for n in real.status()["nodes"]] == [True, False]
    folder = cluster.folder
    assert cli.main(arguments("down")) == 0
    assert machines_of(folder) == [] and not folder.exists()


def arguments(*words: str):
    import argparse

    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return parser.parse_args(words)


def test_real__ten_nodes_answer_ansible(kernel, programs):
    if not shutil.which("ansible"):
        pytest.skip("ansible is not installed")
    began = time.monotonic()
    with real.temporary("ping", 10, kernel) as cluster:
        booted = time.monotonic() - began
        words = ["ansible", "-i", cluster.inventory, "cluster", "-f", "10", "-m", "ping"]
        said = proc.run(words, env={"ANSIBLE_NOCOLOR": "1"}, timeout=600).stdout
        ready = time.monotonic() - began
        memory = resident_mib(cluster.folder)
        print(f"ten nodes: up after {booted:.1f} s, answered after {ready:.1f} s, {memory:.0f} MiB")
    assert said.count("SUCCESS") == 10
    assert memory < 8192
    assert state.names() == []


def test_real__port_in_use(kernel, programs):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match="cannot be used"):
            real.up("default", 2, kernel, ssh_port=port)
    assert state.names() == []


def test_real__launcher_killed_while_booting(kernel, programs, own_folder):
    script = (
        "import sys; from pathlib import Path; from types import SimpleNamespace as S; "
        "from testbed.cluster import real; "
        f"k = S(vmlinux=Path({str(kernel.vmlinux)!r}), modules=None, release='x'); "
        "real.up('default', 3, k)"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", script], cwd=paths.ROOT, env={**os.environ, "PYTHONPATH": "."}
    )
    folder = own_folder / "etran/default"
    deadline = time.monotonic() + 60
    while len(machines_of(folder)) < 4 and time.monotonic() < deadline:
        assert launcher.poll() is None
        time.sleep(0.02)
    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    assert len(machines_of(folder)) == 4  # they do not depend on it
    with pytest.raises(UserError, match="did not come up whole"):
        real.find()
    assert cli.main(arguments("down")) == 0
    assert machines_of(folder) == [] and state.names() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only a launcher that is root has rights to give up")
def test_real__root_of_a_node_reads_what_everybody_may_read(kernel, programs):
    folder = Path(tempfile.mkdtemp(prefix="etran-secret-"))
    folder.chmod(0o755)
    try:
        for name, mode in (("private", 0o600), ("public", 0o644)):
            (folder / name).write_text(name)
            (folder / name).chmod(mode)
        with real.temporary("secret", 2, kernel) as cluster:
            # Without the cover over the host's temporary files.
            assert cluster.ssh(0, f"umount /tmp && cat {folder}/public") == "public"
            with pytest.raises(CommandFailed, match="Permission denied"):
                cluster.ssh(0, f"cat {folder}/private")
            with pytest.raises(CommandFailed, match="Permission denied"):
                cluster.ssh(0, "cd / && umount -l /root && ls /root")
    finally:
        shutil.rmtree(folder)


# ---- freezing ------------------------------------------------------------------------------------


def ansible(inventory: Path, hosts: str, module: str, words: str) -> None:
    if not shutil.which("ansible"):
        pytest.skip("ansible is not installed")
    command = ["ansible", "-i", inventory, hosts, "-m", module, "-a", words]
    proc.run(command, env={"ANSIBLE_NOCOLOR": "1"}, timeout=600)


def test_image__holds_what_provisioning_wrote(kernel, programs, tmp_path, monkeypatch):
    monkeypatch.setenv("ETRAN_CACHE", str(tmp_path))
    calls = []

    def provision(inventory: Path, log: Path) -> None:
        calls.append(log)
        ansible(inventory, "cluster", "file", "path=/etc/etran/boot.d state=directory")
        words = "dest=/etc/etran/boot.d/10-x.sh mode=0755 content='echo {0}\n'"
        ansible(inventory, "cluster", "copy", words.format("hello"))

    agent = {"etran-agent": programs["etran-agent"]}
    frozen = image.prepare(kernel, agent, provision)
    contents = json.loads((frozen.parent / "image.json").read_text())["contents"]
    kinds = {row["path"]: row for row in contents}
    assert kinds["/etc/etran/boot.d/10-x.sh"]["kind"] == "file"
    assert kinds["/opt/etran/bin/etran-agent"]["kind"] == "file"
    assert image.prepare(kernel, agent, provision) == frozen
    assert len(calls) == 1, "the second time, no node was provisioned"

    def unequal(inventory: Path, log: Path) -> None:
        words = "dest=/etc/etran/who content='{{ inventory_hostname }}'"
        ansible(inventory, "cluster", "copy", words)

    with pytest.raises(UserError, match="/etc/etran/who"):
        image.prepare(kernel, agent, unequal, rebuild=True)
    assert state.names() == []


# ---- virtual time --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frozen(kernel, programs) -> Path:
    return image.prepare(kernel, {"etran-agent": programs["etran-agent"]}, None)


@pytest.fixture
def epoch(kernel, qemu, frozen, tmp_path):
    """epoch(timetables): one epoch in tmp_path/out; checks that nothing stays behind."""
    before = leftovers()

    def run(nodes: list[dict], **options) -> virtual.EpochResult:
        return virtual.run_epoch(frozen, kernel, qemu, nodes, {}, tmp_path / "out", 1, **options)

    yield run
    assert leftovers() == before
    assert machines_of(tmp_path) == []


def leftovers() -> set[Path]:
    return {*Path("/dev/shm").glob("etran-vt-*"), *Path(tempfile.gettempdir()).glob("etran-vt-*")}


def scripts(text: str, nodes: int = 2, end_ms: int = 50) -> list[dict]:
    return [cli.script_timetable(text, n, nodes, end_ms * MS) for n in range(nodes)]


@contextlib.contextmanager
def busy_host():
    hogs = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(os.cpu_count())]
    try:
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


SCRIPT = """
hostname; date; ip -br address show eth0; ip neigh
for i in 1 2 3 4 5; do ping -c 2 -i 0.001 10.0.0.1 & ping -c 2 -i 0.001 10.0.0.2 & wait; done
dd if=/dev/urandom bs=16 count=1 2>/dev/null | od -A n -t x1
cat /proc/interrupts /proc/net/snmp /proc/uptime
"""


def test_epoch__repeats_to_the_bit(epoch, tmp_path):
    first = epoch(scripts(SCRIPT))
    said = (tmp_path / "out/node1/script.out").read_text()
    assert said.startswith("node1\n") and "10.0.0.2/24" in said and "PERMANENT" in said
    assert all(n.record["steps"][0]["state"] == "ok" for n in first.nodes)
    with busy_host():
        second = epoch(scripts(SCRIPT))
    print(f"epoch of 55 ms: {first.epoch_s:.2f} s, {second.epoch_s:.2f} s on a busy host")
    assert first.reproducible and second.reproducible
    assert [n.record for n in first.nodes] == [n.record for n in second.nodes]
    assert first.digest() == second.digest()
    assert first.virtual_s == second.virtual_s


def test_epoch__steps_start_at_the_same_time_on_all_nodes(epoch):
    result = epoch(scripts("cat /proc/uptime", 3))
    starts = [n.record["steps"][0]["start_ns"] for n in result.nodes]
    assert max(starts) - min(starts) < 20_000
    assert all(0 <= s < 200_000 for s in starts)


def test_epoch__failed_command_is_reported_with_its_output(epoch):
    nodes = scripts("echo fine; true")
    nodes[1]["steps"][0] |= {"critical": True, "argv": ["sh", "-c", "echo no luck >&2; exit 3"]}
    with pytest.raises(CommandFailed) as caught:
        epoch(nodes)
    assert caught.value.status == 3
    text = str(caught.value)
    assert "node1: step script" in text and "no luck" in text


def test_epoch__failed_command_ends_it_at_once(epoch):
    nodes = scripts("true", end_ms=3_600_000)
    nodes[1]["steps"][0] |= {"critical": True, "argv": ["no-such-program"]}
    with pytest.raises(CommandFailed, match="node1: step script"):
        epoch(nodes, timeout_s=60)


def test_epoch__timetable_is_refused(epoch):
    nodes = scripts("true")
    nodes[0]["steps"][0]["argv"] = []
    with pytest.raises(UserError, match=r"node0 etran-agent ended with status 2") as caught:
        epoch(nodes)
    assert "steps[0].argv" in str(caught.value)


def test_epoch__killed_machine(epoch, tmp_path):
    """The others notice at once, and the error names the one that was killed."""

    def kill(*_) -> None:
        for process in machines_of(tmp_path):
            words = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            if b"etran-epoch-node1" in words:
                process.send(signal.SIGKILL)

    nodes = scripts("while :; do :; done", end_ms=20_000)
    with pytest.raises(UserError, match="node1 was killed by signal 9"):
        epoch(nodes, progress=kill)


def test_epoch__interrupted(epoch):
    def interrupt(*_) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        epoch(scripts("while :; do :; done", end_ms=20_000), progress=interrupt)


def test_epoch__time_out(epoch):
    with pytest.raises(UserError, match="was not done after"):
        epoch(scripts("while :; do :; done", end_ms=3_600_000), timeout_s=20)


def test_epoch__capture_of_all_frames(epoch, tmp_path):
    pcap = tmp_path / "all.pcap"
    epoch(scripts("ping -c 1 10.0.0.1; ping -c 1 10.0.0.2"), pcap=pcap)
    data = pcap.read_bytes()
    assert data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") and len(data) > 24
