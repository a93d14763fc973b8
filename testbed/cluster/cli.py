# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""An emulated cluster to log in to (real time), or one script run on all nodes in virtual time.

  ./run cluster up --nodes 4      boot and provision; stays up until `cluster down`
  ./run cluster ssh 0             log in to node 0
  ./run cluster ssh 0 ping node1  run a command there
  ./run cluster status            addresses, ports, consoles
  ./run cluster epoch FILE        run a shell script on all nodes in one epoch of virtual time

Nothing measured on a cluster in real time says anything about performance.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from harness import console, packages
from harness.errors import UserError
from testbed.cluster import machine, real, state, virtual

T0_NS = 1_800_000_000 * 1_000_000_000
MS = 1_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def add(name: str, run, summary: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=summary, description=summary)
        sub.set_defaults(act=run)
        return sub

    def add_name(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--name", default=state.DEFAULT, help="of the cluster (default: default)")

    def add_nodes(sub: argparse.ArgumentParser) -> None:
        span = f"{machine.MIN_NODES} to {machine.MAX_NODES}"
        sub.add_argument("--nodes", type=int, default=2, metavar="N", help=f"{span} (default: 2)")
        sub.add_argument("--flavour", choices=("release", "debug"), default="release")
        sub.add_argument(
            "--no-provision", action="store_true", help="leave out what Ansible would set up"
        )

    up = add("up", _up, "start a cluster in real time")
    add_nodes(up)
    add_name(up)
    up.add_argument(
        "--ssh-port",
        type=int,
        default=0,
        metavar="PORT",
        help="of node 0 (default: any free ports)",
    )
    up.add_argument("--memory", type=int, default=real.MEMORY_MIB, metavar="MIB", help="per node")
    up.add_argument("--cpus", type=int, default=None, help="per node (default: as the host allows)")

    down = add("down", _down, "end a cluster, also one whose launcher was killed")
    add_name(down)
    down.add_argument("--all", action="store_true", help="every cluster of this user")

    ssh = add("ssh", _ssh, "log in to a node, or run a command on it")
    add_name(ssh)
    ssh.add_argument("node", help="0, 1, ... or node0, node1, ...")
    ssh.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")

    status = add("status", _status, "the clusters that are up")
    status.add_argument("--name", default=None, help="only this one")
    status.add_argument("--json", action="store_true", help="a list of clusters")

    epoch = add("epoch", _epoch, "run a shell script on all nodes in one epoch of virtual time")
    epoch.add_argument("script", type=Path, help="for sh; hostname says on which node it runs")
    add_nodes(epoch)
    epoch.add_argument("--seed", type=int, default=1)
    epoch.add_argument(
        "--end-ms",
        type=float,
        default=1000,
        help="virtual time that the script has (default: 1000)",
    )
    epoch.add_argument("--ns-per-insn", type=float, default=0.4, help="default: 0.4")
    epoch.add_argument("--latency-ns", type=int, default=None, help="of one link")
    epoch.add_argument("--rate-mbps", type=int, default=None, help="of every port")
    epoch.add_argument("--pcap", type=Path, default=None, help="record all frames")
    epoch.add_argument("--out", type=Path, default=None, help="keep all records in this folder")


def main(args: argparse.Namespace) -> int:
    return args.act(args)


def _kernel(flavour: str):
    from kernel import build as kernel_build

    return kernel_build.build(flavour)


def _up(args: argparse.Namespace) -> int:
    from harness import build

    machine.check_nodes(args.nodes)
    if args.memory < 192 or args.cpus is not None and not 1 <= args.cpus <= 8:
        raise UserError("a node needs at least 192 MiB, and has 1 to 8 processors")
    packages.ensure(["vm"] if args.no_provision else ["vm", "ansible"])
    kernel = _kernel(args.flavour)
    if args.no_provision:
        build.build(targets=("torswitch",), tests=(build.BUILD / "test").exists())
    else:
        build.programs()
    cluster = real.up(
        args.name,
        args.nodes,
        kernel,
        memory_mib=args.memory,
        cpus=args.cpus,
        ssh_port=args.ssh_port,
    )
    try:
        if not args.no_provision:
            from harness import provision

            with console.step("provisioning", 10 + 5 * args.nodes):
                log = cluster.folder / "provision.log"
                provision.provision(cluster.inventory, build.BIN, kernel.release, {}, log)
    except BaseException as error:
        cluster.down()
        if isinstance(error, UserError) and not error.hint:
            error.hint = "the cluster was ended; --no-provision leaves the nodes to you"
        raise
    name = "" if args.name == state.DEFAULT else f" --name {args.name}"
    console.info(
        f"{args.nodes} nodes are up. Log in: ./run cluster ssh{name} 0\n"
        f"Ansible inventory: {cluster.inventory}\n"
        f"End it: ./run cluster down{name}"
    )
    return 0


def _down(args: argparse.Namespace) -> int:
    names = state.names() if args.all else [args.name]
    found = [name for name in names if real.remove(name)]
    if not found and not args.all:
        real.find(args.name)  # says that there is none, and what there is
    for name in found:
        console.info(f"cluster {name!r} is down")
    return 0


def _ssh(args: argparse.Namespace) -> int:
    digits = args.node.removeprefix("node").removeprefix("-")
    if not digits.isdigit():
        raise UserError(f"{args.node!r} is not a node", hint="for example 0, or node0")
    words = args.words[1:] if args.words[:1] == ["--"] else args.words
    return real.ssh_to(real.find(args.name), int(digits), words)


def _status(args: argparse.Namespace) -> int:
    names = [args.name] if args.name else state.names()
    found = []
    for name in names:
        try:
            found.append(real.status(name))
        except UserError as error:
            if args.name:
                raise
            found.append({"name": name, "error": str(error.what), "nodes": []})
    if args.json:
        print(json.dumps(found, indent=1))
        return 0
    if not found:
        print("no cluster is up")
    for one in found:
        if "error" in one:
            print(f"{one['name']}: {one['error']}")
            continue
        speed = "KVM" if one["accel"] == "kvm" else "emulated processors"
        print(f"{one['name']}: {len(one['nodes'])} nodes, Linux {one['kernel']}, {speed}")
        for node in one["nodes"]:
            running = "running" if node["running"] else "NOT running"
            print(
                f"  node{node['node']}  {running}  {node['data_address']}  "
                f"ssh 127.0.0.1:{node['ssh_port']}  console {node['console']}"
            )
        if not one["switch"]:
            print("  the switch is NOT running")
        print(f"  inventory {one['inventory']}")
    return 0


def _epoch(args: argparse.Namespace) -> int:
    machine.check_nodes(args.nodes)
    try:
        script = args.script.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the script: {error}", args.script) from error
    end_ns = int(args.end_ms * MS)
    if not MS <= end_ns <= 3_600_000 * MS:
        raise UserError("the script must have between 1 ms and one hour", "--end-ms")
    packages.ensure(["vm"] if args.no_provision else ["vm", "ansible"])
    from harness import build
    from testbed.cluster import image
    from testbed.qemu import build as qemu_build

    kernel, qemu = _kernel(args.flavour), qemu_build.build()
    programs = build.programs()
    if args.no_provision:
        frozen = image.prepare(kernel, programs, None)
    else:
        from harness import image as provisioned

        frozen = provisioned.prepare(kernel, programs)
    config = {"seed": args.seed}
    config |= {"latency_ns": args.latency_ns} if args.latency_ns is not None else {}
    config |= {"rate_mbps": args.rate_mbps} if args.rate_mbps is not None else {}
    out = args.out or Path(tempfile.mkdtemp(prefix="etran-epoch-"))
    try:
        with console.step(f"one epoch on {args.nodes} nodes"):
            result = virtual.run_epoch(
                frozen,
                kernel,
                qemu,
                [script_timetable(script, n, args.nodes, end_ns) for n in range(args.nodes)],
                config,
                out,
                args.seed,
                ns_per_insn=args.ns_per_insn,
                pcap=args.pcap,
            )
        return _print_outputs(result)
    finally:
        if not args.out:
            shutil.rmtree(out, ignore_errors=True)


def script_timetable(script: str, node: int, nodes: int, end_ns: int) -> dict:
    """A timetable that runs one shell script; its failure is reported, not an error."""
    step = {
        "id": "script",
        "at_ns": 0,
        "argv": ["sh", "-c", script],
        "env": {"LC_ALL": "C"},
        "stop_at_ns": None,
        "timeout_ns": None,
        "stdout": "script.out",
        "stderr": "script.out",
        "critical": False,
    }
    return {
        "version": 1,
        "node": node,
        "nodes": nodes,
        "mode": "virtual",
        "t0_ns": T0_NS,
        "lead_ns": 5 * MS,
        "steps": [step],
        "end_ns": end_ns,
    }


def _print_outputs(result: virtual.EpochResult) -> int:
    bad = 0
    for node in result.nodes:
        step = node.record["steps"][0]
        well = step["state"] == "ok"
        bad += not well
        took = f", {(step['end_ns'] - step['start_ns']) / MS:.3f} ms" if step["end_ns"] else ""
        print(
            f"== node{node.node}: {step['state']}{took}" + ("" if well else f": {step['reason']}")
        )
        text = (node.folder / "script.out").read_bytes().decode(errors="replace")
        print(text, end="" if text.endswith("\n") or not text else "\n")
    print(
        f"== {result.virtual_s * 1000:.3f} ms of virtual time in {result.wall_s:.1f} s "
        f"(the epoch {result.epoch_s:.1f} s), record {result.digest()}"
    )
    return 1 if bad else 0
