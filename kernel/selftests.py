# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Building the kernel's selftests and running them in a small machine.

The programs are one static binary (selftests/*_test.c) and one BPF object per selftests/*.bpf.c.
Two devices are tested: two virtio NICs on one hub (AF_XDP zero copy), and a veth pair (copy mode).
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from harness import cache, packages, proc
from kernel import build, vm

FOLDER = Path(__file__).with_name("selftests")
CLANG = "clang-19"
UAPI = ("linux/bpf.h", "linux/if_xdp.h")
# Programs of the host that the machine's script uses.
TOOLS = ("ip",)
# Lines that no kernel may print while the tests run.
REPORTS = re.compile(
    r"BUG:|WARNING:|KASAN|UBSAN|kmemleak: \d+ new|possible (recursive|circular)|"
    r"suspicious RCU|INFO: (rcu|task)|inconsistent lock state|Oops|general protection|Call Trace|"
    r"unreferenced object|Bad page|refcount_t"
)


@dataclass
class Programs:
    binary: Path
    objects: list[Path]


def example(out: Path, headers: Path) -> dict[str, Path]:
    """Compile the example of README.md as its reader would; name in the machine -> file."""
    text = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r"`(hello[.\w]*)`:\n\n((?:    .*\n|\n)+)", text))
    lines = [line[4:] for name in ("hello.bpf.c", "hello.c") for line in blocks[name].splitlines()]
    assert len([line for line in lines if line]) <= 30, "the README promises 30 lines"
    for name, block in blocks.items():
        (out / name).write_text(re.sub(r"^    ", "", block, flags=re.M))
    words = [CLANG, "-g", "-O2", "-target", "bpf", "-I", headers]
    proc.run([*words, "-c", out / "hello.bpf.c", "-o", out / "hello.bpf.o"])
    words = ["gcc", "-static", "-isystem", headers, out / "hello.c", "-o", out / "hello"]
    proc.run([*words, "-lbpf", "-lelf", "-lz", "-lpthread"])
    return {"hello": out / "hello", "hello.bpf.o": out / "hello.bpf.o"}


@dataclass
class Outcome:
    """What one run of the machine gave."""

    passed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)  # name -> why
    values: dict[str, float] = field(default_factory=dict)
    reports: list[str] = field(default_factory=list)  # complaints of the kernel


def compile_programs(kernel: Path, headers: Path, out: Path) -> Programs:
    """Compile against the types in `kernel` (vmlinux) and the uapi in `headers` into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    dump = ["/usr/sbin/bpftool", "btf", "dump", "file", kernel, "format", "c"]
    (out / "vmlinux.h").write_text(proc.run(dump).stdout)
    objects = []
    for source in sorted(FOLDER.glob("*.bpf.c")):
        objects.append(out / source.name.replace(".bpf.c", ".bpf.o"))
        words = [CLANG, "-g", "-O2", "-target", "bpf", "-mcpu=v3", "-Wall", "-Werror"]
        words += ["-D__TARGET_ARCH_x86", "-I", out, "-I", FOLDER]
        proc.run([*words, "-c", source, "-o", objects[-1]])
    sources = [FOLDER / "kit.c", *sorted(FOLDER.glob("*_test.c"))]
    words = ["gcc", "-O2", "-g", "-Wall", "-Werror", "-static", "-std=gnu11", "-I", FOLDER]
    words += ["-isystem", headers, *sources, "-o", out / "selftests"]
    proc.run([*words, "-lbpf", "-lelf", "-lz", "-lpthread"])
    proc.run(["strip", out / "selftests"])
    return Programs(out / "selftests", objects)


def _host_tool(name: str) -> dict[str, Path]:
    path = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    files = {f"sbin/{name}": Path(path).resolve()}
    for line in proc.run(["ldd", path]).stdout.splitlines():
        if found := re.search(r"(/\S+) \(0x", line):
            files[found.group(1)] = Path(found.group(1)).resolve()
    return files


_SCRIPT = """
export PATH=/sbin:/bin
mount -t bpf bpf /sys/fs/bpf 2>/dev/null
echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6
echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
/sbin/ip link add va type veth peer name vb
/sbin/ip link set lo up
for i in va vb eth0 eth1; do /sbin/ip link set $i up; done
sleep 1
ulimit -l unlimited
%(before)s
/selftests %(arguments)s
echo "# exit $?"
%(after)s
dmesg -r | sed -n 's/^<[0-4]>/kernel: /p'
"""

_KMEMLEAK = """
if [ -e /sys/kernel/debug/kmemleak ]; then
    sleep 6; echo scan > /sys/kernel/debug/kmemleak; sleep 1
    echo scan > /sys/kernel/debug/kmemleak
    sed 's/^/kernel: /' /sys/kernel/debug/kmemleak
fi
"""


def machine(
    kernel: Path,
    programs: Programs,
    scratch: Path,
    mode: str,
    *,
    before: str = "",
    after: str = "",
    more: dict[str, Path] | None = None,
    match: str = "",
    memory_mb: int = 512,
    cpus: int = 1,
    timeout: float = 900,
) -> Outcome:
    """Boot `kernel` and run the tests whose name begins with `match` in mode "zc" or "copy".

    `before` is shell code that runs first, `more` are files for the machine.
    """
    devices = {"zc": "eth0 eth1", "copy": "va vb"}[mode]
    files = {"selftests": programs.binary}
    files |= {f"bpf/{path.name}": path for path in programs.objects}
    files |= more or {}
    for tool in TOOLS:
        files |= _host_tool(tool)
    script = _SCRIPT % {
        "arguments": f"{mode} {devices} {match}",
        "before": before,
        "after": after + _KMEMLEAK,
    }
    extra = []
    for n in range(2):
        extra += ["-netdev", f"hubport,id=h{n},hubid=0"]
        # Zero copy needs a device that uses the DMA API.
        nic = f"virtio-net-pci,netdev=h{n},mac=52:54:00:00:00:0{n + 1},romfile="
        extra += ["-device", f"{nic},iommu_platform=on,disable-legacy=on"]
    image = vm.initramfs(scratch, script, files)
    lines = vm.run(
        kernel,
        image,
        memory_mb=memory_mb,
        cpus=cpus,
        extra=extra,
        append="net.ifnames=0",
        timeout=timeout,
    )
    return parse(lines)


def parse(lines: list[str]) -> Outcome:
    outcome = Outcome()
    remarks: list[str] = []
    ended = False
    for line in lines:
        if match := re.match(r"(ok|not ok|skip) (\S+) ([\d.]+)$", line):
            verdict, name, _ = match.groups()
            if verdict == "ok":
                outcome.passed.append(name)
            elif verdict == "skip":
                outcome.skipped.append(name)
            else:
                outcome.failed[name] = "\n".join(remarks)
            remarks = []
        elif match := re.match(r"# value (\S+) (\S+)$", line):
            outcome.values[match[1]] = float(match[2])
        elif line in ("# exit 0", "# exit 1"):
            ended = True
        elif line.startswith("kernel: "):
            outcome.reports.append(line)
        else:
            remarks.append(line)
    if not ended:
        outcome.failed["the test program itself"] = "\n".join(remarks[-40:])
    outcome.reports = [r for r in outcome.reports if REPORTS.search(r)]
    return outcome


def programs(flavour: str) -> tuple[build.KernelBuild, Programs]:
    """The kernel of `flavour` and the tests compiled for it."""
    packages.ensure(["kernel-test", "vm"])
    kernel = build.build(flavour)
    out = cache.root() / "kernel-selftests" / flavour
    headers = out / "include"
    shutil.rmtree(out, ignore_errors=True)
    _install_uapi(kernel.headers, headers)
    return kernel, compile_programs(kernel.vmlinux, headers, out)


def _install_uapi(source: Path, target: Path) -> None:
    """The headers that the series changes, as user space gets them; Debian has the others."""
    (target.parent / "scripts").mkdir(parents=True)
    (target / "linux").mkdir(parents=True)
    unifdef = target.parent / "scripts/unifdef"  # where headers_install.sh looks for it
    proc.run(["gcc", "-O1", "-o", unifdef, source / "scripts/unifdef.c"])
    for name in UAPI:
        words = ["sh", source / "scripts/headers_install.sh", source / "include/uapi" / name]
        proc.run([*words, target / name], cwd=target.parent)
