# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""A cluster in real time: for provisioning, functional tests and interactive use; never for timing.

Every node sees the host's root file system, read-only, under a tmpfs of its own. It is managed by
SSH through QEMU's user network (which reaches nothing else) with keys made for this one cluster;
the data network is the switch model on the real clock. The machines outlive the launcher.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import console, proc
from harness.errors import CommandFailed, UserError
from testbed.cluster import cpio, machine, paths, probe, processes, qmp, state
from testbed.cluster.machine import Machine
from testbed.cluster.processes import Process

BOOT_TIMEOUT_S = 300
MEMORY_MIB = 512
# What provisioning may leave on a node, by folder. Nodes start with these empty, whatever the host
# has in them, and an image is made of them (image.py). To let a role persist something elsewhere:
# add its folder here.
PERSISTED = (
    "etc/etran",
    "etc/modprobe.d",
    "etc/modules-load.d",
    "etc/security/limits.d",
    "etc/sysctl.d",
    "opt/etran",
)
SSHD_CONFIG = """\
Port 22
HostKey /run/etran/ssh/host_key
AuthorizedKeysFile /run/etran/ssh/authorized_keys
PidFile /run/etran/sshd.pid
AllowUsers root
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
UseDNS no
PrintMotd no
PrintLastLog no
X11Forwarding no
MaxStartups 100
MaxSessions 100
KexAlgorithms curve25519-sha256
Subsystem sftp internal-sftp
SetEnv PATH=/opt/etran/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/run/etran/bin
"""


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up. Everything that outlives this object is in `folder`."""

    name: str
    folder: Path
    nodes: int
    accel: str
    ports: tuple[int, ...]  # of SSH on 127.0.0.1, by node

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory.yml"

    def ssh_options(self) -> list[str]:
        options = (
            *("BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=yes"),
            *(f"UserKnownHostsFile={self.folder}/known_hosts", "GlobalKnownHostsFile=none"),
            *("ConnectTimeout=60", "LogLevel=ERROR"),
        )
        words = ["-F", "none", "-i", str(self.folder / "key")]
        return words + [word for option in options for word in ("-o", option)]

    def ssh_command(self, node: int, *words: str, tty: bool = False) -> list[str]:
        if not 0 <= node < self.nodes:
            raise UserError(
                f"cluster {self.name!r} has no node {node}", hint=f"it has 0 to {self.nodes - 1}"
            )
        command = ["ssh", *self.ssh_options(), *(["-t"] if tty else [])]
        return [*command, "-p", str(self.ports[node]), "root@127.0.0.1", *words]

    def ssh(self, node: int, *words: str, timeout: float = 120) -> str:
        """Run a command on a node and return its output; CommandFailed when it fails."""
        return proc.run(self.ssh_command(node, *words), timeout=timeout).stdout

    def down(self) -> None:
        remove(self.name)


def find(name: str = state.DEFAULT) -> Cluster:
    """A cluster that is up; UserError when it is not, or not quite."""
    known = state.read(name)
    if known is None:
        others = [n for n in state.names() if n != name]
        raise UserError(
            f"there is no cluster {name!r}",
            hint="start it with `./run cluster up`"
            + (f"; there is: {', '.join(others)}" if others else ""),
        )
    if known.get("phase") != "up":
        raise UserError(
            f"cluster {name!r} did not come up whole", state.folder_of(name), "`./run cluster down`"
        )
    ports = tuple(node["ssh_port"] for node in known["nodes"])
    return Cluster(name, state.folder_of(name), len(ports), known["accel"], ports)


def status(name: str = state.DEFAULT) -> dict:
    """What `./run cluster status --json` prints about one cluster."""
    cluster, known = find(name), state.read(name) or {}
    return {
        "name": name,
        "folder": str(cluster.folder),
        "accel": cluster.accel,
        "kernel": known["kernel"],
        "inventory": str(cluster.inventory),
        "switch": _alive(known["switch"]),
        "nodes": [
            {
                "node": n["node"],
                "running": _alive(n),
                "pid": n["pid"],
                "ssh_port": n["ssh_port"],
                "data_address": machine.data_address(n["node"]),
                "console": str(cluster.folder / f"node{n['node']}.console"),
            }
            for n in known["nodes"]
        ],
    }


def _alive(entry: dict) -> bool:
    return Process(entry["pid"], entry["started"]).alive()


def remove(name: str) -> bool:
    """Take a cluster down, whole or in part, also one whose launcher was killed; False = none."""
    folder = state.folder_of(name)
    with state.locked(name):
        if not folder.exists():
            return bool(state.remove(name))
        for control in sorted(folder.glob("node*.qmp")):
            qmp.quit_machine(control)
        state.remove(name)
        return True


@contextlib.contextmanager
def temporary(purpose: str, nodes: int, kernel, **options: object) -> Iterator[Cluster]:
    """A cluster for the length of a with block."""
    state.sweep()
    name = f"{purpose}-{os.getpid()}"
    try:
        yield up(name, nodes, kernel, temporary_one=True, **options)
    finally:
        remove(name)


def up(
    name: str,
    nodes: int,
    kernel,
    *,
    memory_mib: int = MEMORY_MIB,
    cpus: int | None = None,
    ssh_port: int = 0,
    temporary_one: bool = False,
) -> Cluster:
    """Start a cluster and wait until every node takes SSH connections.

    kernel: kernel.build.KernelBuild, or anything with vmlinux, modules (or None) and release.
    ssh_port: node i listens on 127.0.0.1:ssh_port+i; 0 = any free ports. On failure nothing is
    left.
    """
    machine.check_nodes(nodes)
    if not os.access("/usr/sbin/sshd", os.X_OK):
        raise UserError(
            "sshd is missing: the nodes run the host's",
            "/usr/sbin/sshd",
            "install the Debian package openssh-server",
        )
    if ssh_port:
        _check_ports(ssh_port, nodes)
    folder = state.folder_of(name)
    with state.locked(name):
        if folder.exists():
            if processes.of_folder(folder):
                raise UserError(
                    f"cluster {name!r} is already up",
                    folder,
                    "take it down with `./run cluster down`, or choose another --name",
                )
            console.warn(f"removing what was left of cluster {name!r}")
            state.remove(name)
        try:
            folder.mkdir(mode=0o700)
            return _up(name, folder, nodes, kernel, memory_mib, cpus, ssh_port, temporary_one)
        except OSError as error:
            state.remove(name)
            raise state.no_room(error, folder) from error
        except BaseException:
            state.remove(name)
            raise


def _up(name, folder, nodes, kernel, memory_mib, cpus, ssh_port, temporary_one) -> Cluster:
    known: dict = {"version": 1, "name": name, "phase": "starting", "kernel": kernel.release}
    if temporary_one:
        owner = Process.of(os.getpid())
        known["owner"] = {"pid": owner.pid, "started": owner.started}
    state.write(name, known)
    kvm, why = probe.kvm_works(kernel.vmlinux)
    accel = "kvm" if kvm else "tcg"
    console.info(f"   {nodes} machines, {'KVM' if kvm else f'emulated: {why}'}")
    cpus = cpus or (2 if kvm or (os.cpu_count() or 1) >= 2 * nodes else 1)

    _make_keys(folder)
    initrd = folder / "init.cpio"
    cpio.write_file(initrd, _initramfs(folder))
    switch = _start_switch(folder, nodes)
    known["switch"] = _entry(switch.pid)
    # QEMU as root would show root's files; nobody sees what everybody may see.
    run_as = "nobody" if os.geteuid() == 0 and _user_exists("nobody") else None
    modules = _modules(kernel)
    machines = []
    for node in range(nodes):
        with _data_socket(folder / "net", node) as link:
            command = machine.real_command(
                name=f"etran-{name}",
                node=node,
                nodes=nodes,
                kernel=kernel.vmlinux,
                initrd=initrd,
                modules=modules,
                console=folder / f"node{node}.console",
                qmp=folder / f"node{node}.qmp",
                data_fd=link.fileno(),
                ssh_port=ssh_port and ssh_port + node,
                memory_mib=memory_mib,
                cpus=cpus,
                kvm=kvm,
                run_as=run_as,
            )
            one = Machine(
                node, command, folder / f"node{node}.console", folder / f"node{node}.qemu"
            )
            one.start(dies_with_us=False, pass_fds=(link.fileno(),))
            machines.append(one)
    with console.step(f"booting {nodes} nodes", 4 + 3 * nodes):
        machine.await_lines(machines, machine.READY, BOOT_TIMEOUT_S)
    ports = tuple(_ssh_port_of(one, folder) for one in machines)
    cluster = Cluster(name, folder, nodes, accel, ports)
    _write_access(cluster)
    known["accel"] = accel
    known["nodes"] = [
        {"node": m.node, "ssh_port": port, **_entry(m.pid)} for m, port in zip(machines, ports)
    ]
    known["phase"] = "up"
    state.write(name, known)
    return cluster


def _entry(pid: int) -> dict:
    process = Process.of(pid)
    return {"pid": pid, "started": process.started if process else 0}


def _user_exists(name: str) -> bool:
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False


def _modules(kernel) -> Path | None:
    if not kernel.modules:
        return None
    tree = Path(kernel.modules) / "lib/modules" / kernel.release
    return tree if tree.is_dir() else None


def _check_ports(first: int, nodes: int) -> None:
    """QEMU would say it too, but only after the other machines have booted."""
    if not 1024 <= first <= 65536 - nodes:
        raise UserError(f"port {first} is not usable for {nodes} nodes", "--ssh-port")
    for port in range(first, first + nodes):
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", port))
            except OSError as error:
                raise UserError(
                    f"port {port} on 127.0.0.1 cannot be used: {error.strerror}",
                    "--ssh-port",
                    "leave the option out, and free ports are found",
                ) from error


def _make_keys(folder: Path) -> None:
    for file in ("key", "host_key"):
        proc.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "etran", "-f", folder / file]
        )


def _initramfs(folder: Path) -> dict[str, cpio.Entry]:
    return {
        "/init": cpio.File(paths.GUEST / "init-real", 0o755),
        "/bin/busybox": cpio.File(paths.busybox(), 0o755),
        "/dev/console": cpio.Device("c", 5, 1),
        "/dev/null": cpio.Device("c", 1, 3, 0o666),
        "/etran/persisted": cpio.File("".join(f"{p}\n" for p in PERSISTED).encode()),
        "/etran/ssh/sshd_config": cpio.File(SSHD_CONFIG.encode()),
        "/etran/ssh/host_key": cpio.File(folder / "host_key", 0o600),
        "/etran/ssh/authorized_keys": cpio.File(folder / "key.pub", 0o600),
    }


def _start_switch(folder: Path, nodes: int) -> subprocess.Popen:
    net, output = folder / "net", folder / "switch.log"
    net.mkdir(mode=0o700)
    command = [str(paths.tool("torswitch")), "real", "--dir", str(net), "--ports", str(nodes)]
    child = processes.start(command, output, dies_with_us=False)
    deadline = time.monotonic() + 20
    while '"ready"' not in processes.tail(output):
        if child.poll() is not None or time.monotonic() > deadline:
            raise CommandFailed(command, child.poll(), processes.tail(output), log=output)
        time.sleep(processes.POLL_S / 5)
    return child


@contextlib.contextmanager
def _data_socket(net: Path, node: int) -> Iterator[socket.socket]:
    """The machine's end of its cable. We connect it, as QEMU drops the rights to."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        link.bind(str(net / f"port{node}.vm"))
        link.connect(str(net / f"port{node}.sw"))
        yield link


def _ssh_port_of(one: Machine, folder: Path) -> int:
    try:
        return qmp.forwarded_port(folder / f"node{one.node}.qmp")
    except qmp.QmpError as error:
        raise one.failure(f"does not say its SSH port ({error})") from error


def _write_access(cluster: Cluster) -> None:
    """known_hosts and Ansible's inventory."""
    kind, key = (cluster.folder / "host_key.pub").read_text().split()[:2]
    (cluster.folder / "known_hosts").write_text(
        "".join(f"[127.0.0.1]:{port} {kind} {key}\n" for port in cluster.ports)
    )
    # Host variables throughout: they win over the group variables of another inventory that is
    # given beside this one.
    common = {
        "ansible_user": "root",
        "ansible_host": "127.0.0.1",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_pipelining": True,
        "ansible_ssh_private_key_file": str(cluster.folder / "key"),
        "ansible_ssh_common_args": shlex.join(cluster.ssh_options()),
        "ansible_control_path_dir": str(cluster.folder / "cp"),
        "emulated": True,
        "data_interface": "eth0",
    }
    hosts = {
        f"node-{i}": {
            "ansible_port": port,
            "node_index": i,
            "data_address": machine.data_address(i),
            **common,
        }
        for i, port in enumerate(cluster.ports)
    }
    inventory = {"cluster": {"hosts": hosts}}
    # JSON is YAML.
    text = "# Written by the launcher.\n" + json.dumps(inventory, indent=2) + "\n"
    cluster.inventory.write_text(text)


def ssh_to(cluster: Cluster, node: int, words: Sequence[str]) -> int:
    """Interactive: ssh takes over the terminal; its exit status."""
    return subprocess.call(cluster.ssh_command(node, *words, tty=not words))
