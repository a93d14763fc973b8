# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The real kernels in stock QEMU. Builds them first when they are not cached (minutes)."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from harness import proc
from kernel import build, kconfig, vm

pytestmark = pytest.mark.vm

HELLO = Path(__file__).with_name("testdata") / "hello"
MEMORY_MB = {"release": 256, "debug": 1024}

# Warnings that are right and harmless in a machine like this. Add one only with its reason.
BENIGN = (
    # QEMU's "pc" machine has no memory-mapped PCI configuration space.
    r"acpi PNP0A03:00: fail to add MMCONFIG information",
    # The test module is not part of the kernel tree, on purpose.
    r"hello: loading out-of-tree module taints kernel\.",
)


@pytest.fixture(scope="module", autouse=True)
def needs_qemu():
    if reason := vm.why_not():
        pytest.skip(reason)


@pytest.fixture(scope="module", params=kconfig.FLAVOURS)
def kernel(request) -> build.KernelBuild:
    return build.build(request.param)


@pytest.fixture(scope="module")
def release() -> build.KernelBuild:
    return build.build("release")


def complaints(lines: list[str]) -> list[str]:
    """Kernel messages of level warning and worse in the output of `dmesg -r`, less the benign."""
    found = [line for line in lines if re.match(r"<(\d+)>", line)]
    assert found, "the kernel log is empty"
    bad = [line for line in found if int(re.match(r"<(\d+)>", line)[1]) & 7 <= 4]
    return [line for line in bad if not any(re.search(known, line) for known in BENIGN)]


def fields(lines: list[str]) -> dict[str, str]:
    """Lines of the form `@name value` as a dictionary."""
    return dict(line[1:].split(" ", 1) for line in lines if re.match(r"@\w+ ", line))


SURVEY = """
echo "@release $(uname -r)"
echo "@btf $(wc -c < /sys/kernel/btf/vmlinux)"
echo "@clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
echo "@jit $(cat /proc/sys/net/core/bpf_jit_enable)"
echo "@congestion $(cat /proc/sys/net/ipv4/tcp_available_congestion_control)"
echo "@cc $(cat /proc/sys/net/ipv4/tcp_congestion_control)"
echo "@filesystems $(awk '{print $NF}' /proc/filesystems | tr '\\n' ' ')"
echo "@protocols $(awk '{print $1}' /proc/net/protocols | tr '\\n' ' ')"
echo "@config $(zcat /proc/config.gz | grep -c '^CONFIG_')"
echo "@uptime $(cat /proc/uptime)"
insmod /hello.ko && rmmod hello
echo "@kmemleak $(test -e /sys/kernel/debug/kmemleak && echo yes || echo no)"
echo "@lockdep $(test -e /proc/lockdep && echo yes || echo no)"
dmesg -r
"""


def test_boot__survey(kernel, tmp_path):
    """Each flavour comes up without a complaint, is what it says, and takes an outside module."""
    module = build_hello(kernel, tmp_path)
    image = vm.initramfs(tmp_path, SURVEY, {"hello.ko": module})
    lines = vm.run(kernel.vmlinux, image, memory_mb=MEMORY_MB[kernel.flavour])
    seen = fields(lines)
    assert seen["release"] == kernel.release
    assert "-etran" in kernel.release
    assert int(seen["btf"]) > 1_000_000
    assert seen["clock"].startswith("tsc")  # "tsc-early" within the first second
    assert seen["jit"] == "1"
    assert {"cubic", "dctcp", "bbr"} <= set(seen["congestion"].split())
    assert seen["cc"] == "cubic"
    assert {"9p", "overlay", "tmpfs", "ext4", "cgroup2", "bpf"} <= set(seen["filesystems"].split())
    assert {"XDP", "TCP", "TCPv6", "UDP", "PACKET"} <= set(seen["protocols"].split())
    assert int(seen["config"]) > 500
    log = "\n".join(lines)
    assert "etran hello: lo has mtu 65536" in log
    assert "etran hello: bye" in log
    checking = "yes" if kernel.flavour == "debug" else "no"
    assert (seen["kmemleak"], seen["lockdep"]) == (checking, checking)
    assert ("KernelAddressSanitizer initialized" in log) == (kernel.flavour == "debug")
    assert complaints(lines) == []


def test_boot__several_processors(kernel, tmp_path):
    """Time runs with the host's clock here, so only damage counts, not what is late."""
    script = """
    echo "@cpus $(nproc)"
    for i in 1 2 3 4 5 6 7 8; do (head -c 1000000 /dev/urandom | gzip | wc -c) & done
    wait
    dmesg -r
    """
    image = vm.initramfs(tmp_path, script)
    lines = vm.run(kernel.vmlinux, image, memory_mb=MEMORY_MB[kernel.flavour], cpus=2)
    assert fields(lines)["cpus"] == "2"
    broken = r"BUG|Oops|WARNING: |Call Trace|KASAN: |UBSAN: |possible (recursive|circular|irq)"
    assert [line for line in lines if re.search(broken, line)] == []


@pytest.mark.parametrize("compress", ["gzip", "zstd"])
def test_boot__bzimage_and_packed_initramfs(release, tmp_path, compress):
    image = vm.initramfs(tmp_path, 'echo "@release $(uname -r)"\n', compress=compress)
    lines = vm.run(release.bzimage, image, memory_mb=256)
    assert fields(lines)["release"] == release.release


def test_boot__emulated_node_devices(release, tmp_path):
    """What a node of the emulated cluster is made of: 9p root below an overlay, NIC, disk, rng."""
    share = tmp_path / "share"
    share.mkdir()
    (share / "hello").write_text("from the host")
    disk = tmp_path / "disk"
    disk.write_bytes(b"etran disk".ljust(1 << 20, b"\0"))
    script = """
    mkdir -p /run/low /run/up /run/work /run/all
    mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,cache=loose,ro root /run/low
    mount -t tmpfs tmpfs /run/up
    mkdir /run/up/upper /run/up/work
    mount -t overlay -o lowerdir=/run/low,upperdir=/run/up/upper,workdir=/run/up/work o /run/all
    echo "@hello $(cat /run/all/hello)"
    echo changed > /run/all/hello
    echo "@changed $(cat /run/all/hello)"
    echo "@mac $(cat /sys/class/net/eth0/address)"
    echo "@disk $(head -c 10 /dev/vda)"
    echo "@rng $(cat /sys/class/misc/hw_random/rng_current)"
    echo "@console $(ls /dev/hvc0)"
    dmesg -r
    """
    extra = ["-fsdev", f"local,id=r,path={share},security_model=none,readonly=on,multidevs=remap"]
    extra += ["-device", "virtio-9p-pci,fsdev=r,mount_tag=root"]
    extra += ["-netdev", "user,id=n,restrict=on"]
    extra += ["-device", "virtio-net-pci,netdev=n,mac=52:54:00:00:00:01,romfile="]
    extra += ["-drive", f"file={disk},format=raw,if=none,id=d", "-device", "virtio-blk-pci,drive=d"]
    extra += ["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]
    extra += ["-chardev", "null,id=c", "-device", "virtconsole,chardev=c"]
    image = vm.initramfs(tmp_path, script)
    lines = vm.run(release.vmlinux, image, memory_mb=256, extra=extra)
    assert fields(lines) == {
        "hello": "from the host",
        "changed": "changed",
        "mac": "52:54:00:00:00:01",
        "disk": "etran disk",
        "rng": "virtio_rng.0",
        "console": "/dev/hvc0",
    }
    assert (share / "hello").read_text() == "from the host"
    assert complaints(lines) == []


def build_hello(kernel: build.KernelBuild, folder: Path) -> Path:
    """Copy the test module, build it against the headers, return hello.ko."""
    module = folder / "hello"
    shutil.copytree(HELLO, module)
    proc.run(["make", "-C", kernel.headers, f"M={module}", "modules"], env={"MAKEFLAGS": ""})
    return module / "hello.ko"


def test_headers__can_be_moved_and_are_only_read(release, tmp_path):
    """A copy elsewhere builds the same module, without a write permission on anything."""
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(release.headers, elsewhere / "headers", symlinks=True)
    shutil.copy(release.vmlinux, elsewhere / "vmlinux")
    before = {p: p.lstat().st_mtime_ns for p in elsewhere.rglob("*")}
    module = tmp_path / "hello"
    shutil.copytree(HELLO, module)
    headers = elsewhere / "headers"
    done = proc.run(["make", "-C", headers, f"M={module}", "modules"], env={"MAKEFLAGS": ""})
    assert "warning" not in (done.stdout + done.stderr).lower()
    assert {p: p.lstat().st_mtime_ns for p in elsewhere.rglob("*")} == before
    vermagic = proc.run(["modinfo", "-F", "vermagic", module / "hello.ko"]).stdout
    assert vermagic.startswith(release.release + " SMP")
    sections = proc.run(["readelf", "-S", "-W", module / "hello.ko"]).stdout
    assert ".BTF" in sections
