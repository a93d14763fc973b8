# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The playbooks on two emulated nodes, called as `./run` calls them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from harness import build, provision
from kernel import build as kernel_build
from testbed.cluster import real

pytestmark = pytest.mark.vm

HERE = Path(__file__).resolve().parent
SECOND_NS = 1_000_000_000
# Until the agents of two nodes have started, on a slow and busy host.
LEAD = {"run_lead_s": 45}
# Everything the roles write, with mode, owner and contents.
FINGERPRINT = (
    "find /etc/etran /etc/sysctl.d /etc/security/limits.d /opt/etran -type f -exec "
    "stat -c '%n %a %u:%g %s' {} + -exec sha256sum {} + | sort"
)


@pytest.fixture(scope="module")
def kernel():
    return kernel_build.build("release")


@pytest.fixture(scope="module")
def cluster(kernel):
    build.programs()
    with real.temporary("ansible-test", 2, kernel) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def provisioned(cluster, kernel, tmp_path_factory):
    """The first run: (cluster, what it returned)."""
    log = tmp_path_factory.mktemp("first") / "log"
    return cluster, provision.provision(cluster.inventory, build.BIN, kernel.release, {}, log)


def fingerprints(cluster) -> list[str]:
    return [cluster.ssh(node, FINGERPRINT) for node in range(cluster.nodes)]


def test_provision__first_run_changes_both_nodes(provisioned):
    cluster, result = provisioned
    assert set(result["hosts"]) == {"node-0", "node-1"}
    for counts in result["hosts"].values():
        assert counts["failed"] == counts["unreachable"] == 0
        assert counts["changed"] > 0
    assert any(step.startswith("kernel installation: skipped, ") for step in result["skipped"])
    assert any(step.startswith("CPU governor, ") for step in result["skipped"])
    assert "kernel: Reboot" in result["skipped_tasks"]


def test_provision__persists_and_applies(provisioned):
    cluster, _ = provisioned
    assert cluster.ssh(0, "sysctl -n net.core.rmem_max").strip() == "16777216"
    assert cluster.ssh(0, "cat /sys/class/net/eth0/mtu").strip() == "1500"
    for name in build.NODE_PROGRAMS:
        assert cluster.ssh(0, f"stat -c %a /opt/etran/bin/{name}").strip() == "755"
    # As at the next boot.
    assert "nic eth0: mtu 1500" in cluster.ssh(0, "/etc/etran/boot")
    for system in ("linux-tcp", "linux-dctcp"):
        cluster.ssh(0, f"sysctl -q -p /opt/etran/baselines/{system}/sysctl.conf")
    assert cluster.ssh(0, "sysctl -n net.ipv4.tcp_congestion_control").strip() == "dctcp"
    first, second = fingerprints(cluster)
    assert first == second


def test_provision__second_run_changes_nothing(provisioned, kernel):
    cluster, _ = provisioned
    before = fingerprints(cluster)
    result = provision.provision(cluster.inventory, build.BIN, kernel.release)
    assert [counts["changed"] for counts in result["hosts"].values()] == [0, 0]
    assert fingerprints(cluster) == before


def test_provision__mends_one_node_only(provisioned, kernel):
    cluster, _ = provisioned
    before = fingerprints(cluster)
    damage = "rm /opt/etran/bin/rpcbench; echo x >>/etc/etran/nic.conf; touch /opt/etran/bin/old"
    cluster.ssh(1, damage)
    result = provision.provision(cluster.inventory, build.BIN, kernel.release)
    assert result["hosts"]["node-0"]["changed"] == 0
    assert result["hosts"]["node-1"]["changed"] > 0
    assert fingerprints(cluster) == before


def test_check_mode__cloudlab_settings_change_nothing_and_report_skips(provisioned, kernel):
    cluster, _ = provisioned
    before = fingerprints(cluster)
    argv = ["ansible-playbook", "--check", "--diff", "-i", "inventories/cloudlab"]
    argv += ["-i", str(cluster.inventory), "--limit", "cluster[0:1]", "site.yml"]
    argv += ["-e", f"deploy_build_bin={build.BIN}", "-e", f"kernel_release={kernel.release}"]
    done = subprocess.run(
        argv,
        cwd=HERE,
        env={**os.environ, "ANSIBLE_CONFIG": str(HERE / "ansible.cfg"), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # The settings are CloudLab's, the nodes are not.
    assert '+NIC_CHANNELS="combined 20"' in done.stdout
    assert "kernel installation: skipped, an emulated node" in done.stdout
    reboot = done.stdout.split("TASK [kernel : Reboot]")[1].split("TASK")[0]
    assert "skipping: [node-0]" in reboot and "skipping: [node-1]" in reboot
    assert fingerprints(cluster) == before


def test_provision__wrong_kernel_names_node_and_both_releases(provisioned, kernel):
    cluster, _ = provisioned
    with pytest.raises(provision.TaskFailed) as failure:
        provision.provision(cluster.inventory, build.BIN, "1.2.3-other")
    assert failure.value.host in ("node-0", "node-1")
    assert f"runs {kernel.release} instead of 1.2.3-other" in str(failure.value)


def test_provision__missing_program_is_named(provisioned, kernel, tmp_path):
    cluster, _ = provisioned
    with pytest.raises(provision.TaskFailed, match="etran-agent does not exist"):
        provision.provision(cluster.inventory, tmp_path, kernel.release)


def test_provision__unreachable_node_is_named(provisioned, kernel, tmp_path):
    cluster, _ = provisioned
    inventory = yaml.safe_load(cluster.inventory.read_text())
    inventory["cluster"]["hosts"]["node-1"]["ansible_port"] = 1
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(inventory))
    with pytest.raises(provision.TaskFailed, match="node-1 cannot be reached") as failure:
        provision.provision(tmp_path / "inventory.yml", build.BIN, kernel.release)
    assert "Connection refused" in str(failure.value)


def timetable(node: int, command: str) -> dict:
    step = {
        "id": "step",
        "at_ns": 0,
        "argv": ["sh", "-c", command],
        "timeout_ns": 5 * SECOND_NS,
        "stdout": "step.out",
        "stderr": "step.err",
        "critical": True,
    }
    return {
        "version": 1,
        "node": node,
        "nodes": 2,
        "mode": "wallclock",
        "t0_ns": None,
        "lead_ns": 0,
        "steps": [step],
        "end_ns": 10 * SECOND_NS,
    }


def test_run_timetables__same_t0_and_outputs_of_all_nodes(provisioned, tmp_path):
    cluster, _ = provisioned
    tables = [timetable(node, f"echo node {node} at {{t0_ns}}") for node in range(2)]
    provision.run_timetables(cluster.inventory, tables, tmp_path, 600, extra=LEAD)
    records = [json.loads((tmp_path / f"node-{n}/agent.json").read_text()) for n in range(2)]
    assert records[0]["t0_ns"] == records[1]["t0_ns"]
    for node in range(2):
        output = (tmp_path / f"node-{node}/step.out").read_text()
        assert output == f"node {node} at {records[0]['t0_ns']}\n"
        assert cluster.ssh(node, "ls /var/lib/etran/runs").strip() == ""


def test_run_timetables__failing_step_is_named_and_outputs_are_kept(provisioned, tmp_path):
    cluster, _ = provisioned
    tables = [timetable(0, "echo fine"), timetable(1, "echo nonsense >&2; exit 7")]
    with pytest.raises(provision.TaskFailed) as failure:
        provision.run_timetables(cluster.inventory, tables, tmp_path, 600, extra=LEAD)
    assert failure.value.host == "node-1"
    assert failure.value.status == 1  # of the agent; that of the step is in its words
    assert "etran-agent" in " ".join(failure.value.argv)
    for words in ("step", "status 7", "nonsense"):
        assert words in failure.value.output
    assert (tmp_path / "node-0/step.out").read_text() == "fine\n"
    assert (tmp_path / "node-1/step.err").read_text() == "nonsense\n"
