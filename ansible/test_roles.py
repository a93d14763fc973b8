# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Playbooks, plugins and boot scripts, without nodes; test_nodes.py goes on with virtual ones."""

from __future__ import annotations

import importlib.util
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TUNING = HERE / "roles/tuning/files"
SHELLS = [["sh"], ["busybox", "sh"]]


def load(path: str):
    """A plugin, which is a file that belongs to no package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem + "_plugin", HERE / path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def ansible(*argv: object, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [str(a) for a in argv],
        cwd=HERE,
        env={**os.environ, "ANSIBLE_CONFIG": str(HERE / "ansible.cfg"), "NO_COLOR": "1", **env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def filters():
    return load("filter_plugins/etran.py")


# ---- playbooks and inventories ------------------------------------------------------------------


@pytest.mark.parametrize("playbook", ["site.yml", "run.yml"])
def test_playbook__syntax_with_the_cloudlab_inventory(playbook):
    done = ansible("ansible-playbook", "--syntax-check", "-i", "inventories/cloudlab", playbook)
    assert done.returncode == 0, done.stdout + done.stderr


def test_inventory__ten_nodes_numbered_from_zero():
    text = (HERE / "inventories/cloudlab/hosts.yml").read_text()
    nodes = yaml.safe_load(text)["cluster"]["hosts"]
    assert list(nodes) == [f"node-{i}" for i in range(10)]
    assert [n["node_index"] for n in nodes.values()] == list(range(10))
    assert len({n["data_address"] for n in nodes.values()}) == 10


def test_readme__documents_every_variable():
    readme = (HERE / "README.md").read_text()
    names = []
    for file in sorted(HERE.glob("roles/*/defaults/main.yml")):
        names += list(yaml.safe_load(file.read_text()) or {})
    names += list(yaml.safe_load((HERE / "group_vars/all.yml").read_text()))
    assert [n for n in names if f"`{n}`" not in readme] == []


def test_baselines__set_the_same_keys():
    """Otherwise what is measured would depend on which system ran before."""
    systems = yaml.safe_load((HERE / "roles/deploy/defaults/main.yml").read_text())[
        "deploy_systems"
    ]
    keys = {}
    for system in systems:
        lines = (ROOT / "baselines" / system / "sysctl.conf").read_text().splitlines()
        pairs = [line.split(" = ") for line in lines if line and not line.startswith("#")]
        keys[system] = [key for key, _ in pairs]
    assert len(set(map(tuple, keys.values()))) == 1, keys


def test_deploy__programs_are_those_of_the_build():
    from harness import build

    role = yaml.safe_load((HERE / "roles/deploy/defaults/main.yml").read_text())
    assert set(role["deploy_programs"]) == set(build.NODE_PROGRAMS)


def test_tuning__leaves_congestion_control_alone():
    tuning = yaml.safe_load((HERE / "roles/tuning/defaults/main.yml").read_text())
    of_systems = {"net.ipv4.tcp_congestion_control", "net.ipv4.tcp_ecn", "net.core.default_qdisc"}
    assert not of_systems & (set(tuning["tuning_sysctl"]) | set(tuning["tuning_sysctl_hardware"]))


# ---- filters ------------------------------------------------------------------------------------


def test_from_toml__table_and_error(filters):
    assert filters.from_toml('[a]\nb = "c"') == {"a": {"b": "c"}}
    with pytest.raises(Exception, match="from_toml"):
        filters.from_toml("[a")


def test_package_names__of_the_projects_table(filters):
    table = filters.from_toml((ROOT / "harness/packages.toml").read_text())
    names = filters.package_names(table, ["node"])
    assert "ethtool" in names and "_title" not in names and names == sorted(set(names))
    with pytest.raises(Exception, match="no group 'nonsense'"):
        filters.package_names(table, ["node", "nonsense"])


def test_package_names__every_group_of_the_role_exists(filters):
    table = filters.from_toml((ROOT / "harness/packages.toml").read_text())
    role = yaml.safe_load((HERE / "roles/packages/defaults/main.yml").read_text())
    groups = role["packages_groups"] + role["packages_hardware_groups"]
    assert [g for g in groups if g not in table] == []


def test_not_installed__removed_but_configured_counts_as_missing(filters):
    listing = "ethtool installed\nmemcached config-files\nprocps not-installed\n"
    wanted = ["ethtool", "memcached", "procps", "unheard-of"]
    assert filters.not_installed(listing, wanted) == wanted[1:]
    assert filters.not_installed("", ["a"]) == ["a"]


def menu_entry(ident: str, indent: str = "") -> str:
    line = f"menuentry 'Some Linux' --class gnu $menuentry_id_option '{ident}' {{"
    return f"{indent}{line}\n{indent}\tlinux /boot/x root=UUID=77\n{indent}}}\n"


GRUB = "".join(
    (
        'function gfxmode {\n\tset gfxpayload="${1}"\n}\n',
        menu_entry("gnulinux-simple-77"),
        "submenu 'Advanced options' $menuentry_id_option 'gnulinux-advanced-77' {\n",
        menu_entry("gnulinux-6.12.9-etran-advanced-77", "\t"),
        menu_entry("gnulinux-6.12.9-etran-recovery-77", "\t"),
        menu_entry("gnulinux-6.1.0-9-amd64-advanced-77", "\t"),
        "}\n",
        menu_entry("gnulinux-6.12.8-etran-advanced-77"),
    )
)


def test_grub_entries__inside_and_outside_submenus(filters):
    assert filters.grub_entries(GRUB) == {
        "6.12.9-etran": "gnulinux-advanced-77>gnulinux-6.12.9-etran-advanced-77",
        "6.1.0-9-amd64": "gnulinux-advanced-77>gnulinux-6.1.0-9-amd64-advanced-77",
        "6.12.8-etran": "gnulinux-6.12.8-etran-advanced-77",
    }
    assert filters.grub_entries("") == {}


def test_grub_fallback__running_then_distribution_then_any(filters):
    entries = {"2-etran": "new", "1-etran": "older", "6.1-amd64": "debian"}
    assert filters.grub_fallback(entries, "1-etran", "2-etran") == "older"
    assert filters.grub_fallback(entries, "2-etran", "2-etran") == "debian"
    assert filters.grub_fallback({"2-etran": "new", "1-etran": "older"}, "?", "2-etran") == "older"
    assert filters.grub_fallback({"2-etran": "new"}, "2-etran", "2-etran") == ""


def test_nic_words__booleans_numbers_and_nonsense(filters):
    assert filters.nic_words({"adaptive-rx": False, "gro": True, "rx-usecs": 5}) == (
        "adaptive-rx off gro on rx-usecs 5"
    )
    assert filters.nic_words({}) == filters.nic_words(None) == ""
    with pytest.raises(Exception, match="nic_words"):
        filters.nic_words({"rx": '5"; reboot; "'})


# ---- install_tree -------------------------------------------------------------------------------


def install(files: list, *more: str, purge: list | None = None) -> subprocess.CompletedProcess:
    task = {"install_tree": {"files": files, "purge": purge or []}, "register": "it"}
    play = [{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]
    path = Path(files[0]["dest"]).parent / ".." / "play.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(play))
    argv = ["ansible-playbook", "-i", "localhost,", "-c", "local", *more, path]
    return ansible(*argv, ANSIBLE_INVENTORY_UNPARSED_FAILED="false")


def changed(done: subprocess.CompletedProcess) -> bool:
    assert done.returncode == 0, done.stdout + done.stderr
    return "changed=1" in done.stdout


@pytest.fixture
def tree(tmp_path):
    """A large file, which travels in an archive, a small one, a text, a folder with a link."""
    source = tmp_path / "source"
    (source / "folder/deep").mkdir(parents=True)
    (source / "large").write_bytes(bytes(range(256)) * 4096)
    (source / "small").write_text("#!/bin/sh\n")
    (source / "small").chmod(0o755)
    (source / "folder/deep/leaf").write_text("leaf")
    (source / "folder/link").symlink_to("deep/leaf")
    target = tmp_path / "target"
    return [
        {"dest": f"{target}/bin/large", "src": f"{source}/large", "mode": "0600"},
        {"dest": f"{target}/bin/small", "src": f"{source}/small"},
        {"dest": f"{target}/bin/text", "content": "one = 1\n"},
        {"dest": f"{target}/folder", "src": f"{source}/folder"},
    ]


def test_install_tree__installs_then_changes_nothing(tree, tmp_path):
    bin_dir = tmp_path / "target/bin"
    assert changed(install(tree))
    assert (bin_dir / "large").read_bytes() == (tmp_path / "source/large").read_bytes()
    assert stat.S_IMODE((bin_dir / "large").stat().st_mode) == 0o600
    assert stat.S_IMODE((bin_dir / "small").stat().st_mode) == 0o755
    assert (bin_dir / "text").read_text() == "one = 1\n"
    assert (tmp_path / "target/folder/link").read_text() == "leaf"
    assert not changed(install(tree))


def test_install_tree__mends_contents_mode_and_type(tree, tmp_path):
    bin_dir = tmp_path / "target/bin"
    install(tree)
    for damage in (
        lambda: (bin_dir / "large").write_bytes(b"\0" * 256 * 4096),  # the same size
        lambda: (bin_dir / "text").chmod(0o666),
        lambda: ((bin_dir / "small").unlink(), (bin_dir / "small").symlink_to("/bin/sh")),
        lambda: (tmp_path / "target/folder/link").unlink(),
    ):
        damage()
        assert changed(install(tree))
        assert not changed(install(tree))
    assert not (bin_dir / "small").is_symlink()
    assert not list(bin_dir.glob(".install-*"))


def test_install_tree__check_mode_reports_and_writes_nothing(tree, tmp_path):
    done = install(tree, "--check", "--diff")
    assert changed(done) and "+one = 1" in done.stdout
    assert not (tmp_path / "target/bin/text").exists()


def test_install_tree__purge_removes_only_what_is_not_listed(tree, tmp_path):
    bin_dir = tmp_path / "target/bin"
    install(tree)
    (bin_dir / "old").write_text("")
    (bin_dir / "folder").mkdir()
    (bin_dir / "folder/kept").write_text("")
    assert changed(install(tree, purge=[str(bin_dir)]))
    assert not (bin_dir / "old").exists() and (bin_dir / "folder/kept").exists()
    assert not changed(install(tree, purge=[str(bin_dir)]))


@pytest.mark.parametrize(
    "entry, message",
    [
        ({"dest": "relative", "content": ""}, "not an absolute path"),
        ({"dest": "/x", "content": "", "src": "/y"}, "either src or content"),
        ({"dest": "/x", "content": "", "mode": "rwx"}, "not an octal number"),
        ({"dest": "/x", "content": "", "owner": "me"}, "unknown key 'owner'"),
        ({"dest": "/x", "src": "/does/not/exist"}, "/does/not/exist does not exist"),
    ],
)
def test_install_tree__bad_entry(entry, message, tmp_path):
    done = install([{"dest": f"{tmp_path}/a/b", "content": ""}, entry])
    assert done.returncode != 0 and message in done.stdout.replace("''", "'")
    assert not (tmp_path / "a/b").exists()


# ---- boot scripts -------------------------------------------------------------------------------

# A NIC that knows rings up to 1024, rx-usecs only, no pause; ethtool's own words.
ETHTOOL = r"""#!/bin/sh
echo "ethtool $*" >>"$LOG"
flag=$1; shift 2
case "$flag $*" in
"-G rx 512 tx 4096") echo "netlink error: requested ring size exceeds maximum" >&2; exit 1 ;;
"-G rx 512") exit 0 ;;
"-G tx 4096") echo "netlink error: requested ring size exceeds maximum" >&2; exit 1 ;;
"-C rx-usecs 5") echo "rx-usecs unmodified, ignoring" >&2; exit 80 ;;
"-K gro on lro off") exit 0 ;;
*) echo "netlink error: Operation not supported" >&2; exit 1 ;;
esac
"""
IP = '#!/bin/sh\necho "ip $*" >>"$LOG"\n[ "$4" = data9 ] && exit 1\nexit 0\n'
SYSCTL = r"""#!/bin/sh
echo "sysctl $*" >>"$LOG"
case $3 in invented.*) echo "no such key" >&2; exit 1 ;; esac
"""
NIC_CONF = """NIC="{nic}"
NIC_MTU="1500"
NIC_CHANNELS=""
NIC_RINGS="rx 512 tx 4096"
NIC_COALESCE="rx-usecs 5"
NIC_FEATURES="gro on lro off"
NIC_PAUSE="autoneg off"
NIC_PRIVATE_FLAGS=""
"""


@pytest.fixture
def node(tmp_path):
    """An /etc and a PATH with pretended tools; returns run(shell, script, **env)."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in (("ethtool", ETHTOOL), ("ip", IP), ("sysctl", SYSCTL)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    etc = tmp_path / "etc"
    (etc / "etran/boot.d").mkdir(parents=True)
    (etc / "sysctl.d").mkdir()
    (etc / "etran/nic.conf").write_text(NIC_CONF.format(nic="data0"))

    # Debian's busybox prefers its applets to what is in the PATH: only functions keep it from
    # setting this very machine's parameters.
    pretend = "".join(f'{t}() {{ "{tools}/{t}" "$@"; }}\n' for t in ("ip", "sysctl", "ethtool"))

    def run(shell: list[str], script: Path, **env: str) -> subprocess.CompletedProcess:
        path = f"{tools}:{os.environ['PATH']}"
        return subprocess.run(
            [*shell, "-c", f'{pretend}. "$0"', str(script)],
            env={"PATH": path, "LOG": str(tmp_path / "log"), "ETRAN_ETC": str(etc), **env},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    run.etc, run.log = etc, tmp_path / "log"
    return run


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_nic__skips_with_a_reason_what_the_device_refuses(node, shell):
    done = node(shell, TUNING / "10-nic.sh")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "nic data0: mtu 1500",
        "nic data0: rings rx 512",
        "nic data0: rings tx 4096: skipped (requested ring size exceeds maximum)",
        "nic data0: coalescing rx-usecs 5 (as it was)",
        "nic data0: features gro on lro off",
        "nic data0: pause autoneg off: skipped (Operation not supported)",
    ]
    # All at once first: a driver that restarts its queues does so once.
    assert node.log.read_text().splitlines()[2] == "ethtool -G data0 rx 512 tx 4096"


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_nic__absent_interface_is_an_error(node, shell):
    done = node(shell, TUNING / "10-nic.sh", ETRAN_DATA_INTERFACE="data9")
    assert done.returncode == 1
    assert "nic data9: there is no such interface" in done.stderr


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_boot__applies_everything_and_reports_failures(node, shell):
    # Invented names: were the pretended sysctl bypassed, nothing would happen to this machine.
    conf = "# comment\n\nsome.key = 16777216\ninvented.key = 1\nsome.words = 1 2 3\n"
    (node.etc / "sysctl.d/90-etran.conf").write_text(conf)
    (node.etc / "etran/boot.d/10-bad.sh").write_text("exit 3\n")
    (node.etc / "etran/boot.d/20-good.sh").write_text("echo good\n")
    done = node(shell, TUNING / "boot.sh")
    assert done.returncode == 1
    assert done.stdout.splitlines() == ["sysctl: invented.key skipped (no such key)", "good"]
    assert "10-bad.sh failed" in done.stderr
    assert node.log.read_text().splitlines() == [
        "sysctl -q -w some.key=16777216",
        "sysctl -q -w invented.key=1",
        "sysctl -q -w some.words=1 2 3",
    ]


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_cpu__governor_turbo_and_idle_states(node, shell, tmp_path):
    cpus = tmp_path / "sys/devices/system/cpu"
    for cpu in range(2):
        (cpus / f"cpu{cpu}/cpufreq").mkdir(parents=True)
        (cpus / f"cpu{cpu}/cpufreq/scaling_governor").write_text("powersave\n")
        for state, latency in enumerate((0, 2, 133)):
            folder = cpus / f"cpu{cpu}/cpuidle/state{state}"
            folder.mkdir(parents=True)
            (folder / "latency").write_text(f"{latency}\n")
            (folder / "disable").write_text("0\n")
    (cpus / "intel_pstate").mkdir()
    (cpus / "intel_pstate/no_turbo").write_text("0\n")
    conf = 'CPU_GOVERNOR="performance"\nCPU_TURBO="off"\nCPU_IDLE_LATENCY_US="2"\n'
    (node.etc / "etran/cpu.conf").write_text(conf)
    done = node(shell, TUNING / "20-cpu.sh", ETRAN_SYS=str(tmp_path / "sys"))
    assert done.returncode == 0, done.stderr
    assert (cpus / "cpu1/cpufreq/scaling_governor").read_text() == "performance\n"
    assert (cpus / "intel_pstate/no_turbo").read_text() == "1\n"
    states = [(cpus / f"cpu0/cpuidle/state{s}/disable").read_text().strip() for s in range(3)]
    assert states == ["0", "0", "1"]
    assert "2 of 6 idle states disabled" in done.stdout


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_cpu__machine_without_any_of_it(node, shell, tmp_path):
    (tmp_path / "sys/devices/system/cpu").mkdir(parents=True)
    conf = 'CPU_GOVERNOR="performance"\nCPU_TURBO="off"\nCPU_IDLE_LATENCY_US="2"\n'
    (node.etc / "etran/cpu.conf").write_text(conf)
    done = node(shell, TUNING / "20-cpu.sh", ETRAN_SYS=str(tmp_path / "sys"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("skipped") == 3


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_irq__queue_i_to_processor_i(node, shell, tmp_path):
    pci = tmp_path / "sys/devices/pci/0000:03:00.1"
    names = {40: "mlx5_async0@pci:0000:03:00.1", 41: "mlx5_comp0@pci:0000:03:00.1"}
    names |= {42: "mlx5_comp1@pci:0000:03:00.1", 43: "mlx5_comp12@pci:0000:03:00.1"}
    names |= {44: "eth0-TxRx-1"}
    (pci / "msi_irqs").mkdir(parents=True)
    (tmp_path / "sys/class/net/data0").mkdir(parents=True)
    (tmp_path / "sys/class/net/data0/device").symlink_to(pci)
    proc = tmp_path / "proc"
    lines = ["           CPU0       CPU1"]
    for irq, name in names.items():
        (pci / f"msi_irqs/{irq}").write_text("msix\n")
        (proc / f"irq/{irq}").mkdir(parents=True)
        (proc / f"irq/{irq}/smp_affinity_list").write_text("0-9\n")
        lines.append(f"  {irq}:          1          2   IR-PCI-MSI 1 edge      {name}")
    (proc / "interrupts").write_text("\n".join(lines) + "\n")
    (proc / "cpuinfo").write_text("".join(f"processor\t: {i}\n\n" for i in range(10)))
    (node.etc / "etran/cpu.conf").write_text('IRQ_AFFINITY="on"\n')
    done = node(shell, TUNING / "30-irq.sh", ETRAN_SYS=str(tmp_path / "sys"), ETRAN_PROC=str(proc))
    assert done.returncode == 0, done.stderr
    placed = {i: (proc / f"irq/{i}/smp_affinity_list").read_text().strip() for i in names}
    assert placed == {40: "0-9", 41: "0", 42: "1", 43: "2", 44: "1"}
    assert "4 queues of data0 on 10 processors" in done.stdout
