# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Ansible from Python: check an inventory, provision its nodes, run timetables on them.

The playbooks are in ansible/ and work without this module; here their results become values and
errors that name the node, the task, the command and what it said.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from harness import proc
from harness.errors import CommandFailed, UserError

ANSIBLE = Path(__file__).resolve().parent.parent / "ansible"
GROUP = "cluster"
# Values of inventories/cloudlab that are there to be replaced.
PLACEHOLDERS = {
    "cloudlab_experiment": "EXPERIMENT",
    "cloudlab_project": "PROJECT",
    "ansible_user": "USER",
}
# With a kernel to install: two minutes of copying, and servers take minutes to reboot.
PROVISION_TIMEOUT_S = 3600
# The report of every role on what it leaves out on emulated nodes.
REPORT_TASK = "Report hardware-only steps as skipped"


class TaskFailed(CommandFailed):
    """A task that failed on a node. `status` is that of the task's command, if it was one."""

    def __init__(self, event: dict, argv: list[str], others: list[str], log: object):
        self.host, self.task = event["host"], f"{event['role']}: {event['task']}".removeprefix(": ")
        command = event.get("cmd") or argv
        words = command if isinstance(command, list) else [str(command)]
        parts = (event.get("msg"), event.get("stdout"), event.get("stderr"))
        output = "\n".join(str(p).strip() for p in parts if p)
        hint = f"also failed on {', '.join(others)}" if others else None
        super().__init__(words, event.get("rc", 1), output, hint, log)
        if event["state"] == "unreachable":
            self.what = f"{self.host} cannot be reached (task `{self.task}`)"
            self.hint = "try: ansible -i INVENTORY -m ping " + self.host
        elif event.get("cmd"):
            self.what = f"{self.host}: task `{self.task}` failed: {self.what}"
        else:
            self.what = f"{self.host}: task `{self.task}` failed"


# ---- inventories --------------------------------------------------------------------------------


def _check_yaml(inventory: Path) -> None:
    """Ansible only warns of YAML errors and goes on with the hosts it understood: look first."""
    files = [inventory] if inventory.is_file() else sorted(inventory.rglob("*"))
    for file in files:
        if file.suffix not in (".yml", ".yaml"):
            continue
        try:
            yaml.safe_load(file.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{file}:{mark.line + 1}" if mark else file
            why = getattr(error, "problem", None) or "not YAML"
            raise UserError(f"the inventory is not valid YAML: {why}", where) from error
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot read the inventory: {error}", file) from error


def hosts(inventory: Path) -> list[dict]:
    """The variables of the nodes of group `cluster`, in node order, after checking them.

    Each has at least name, node_index (0..N-1), data_address and emulated. UserError says what is
    wrong with the inventory; no node is contacted.
    """
    inventory = Path(inventory)
    if not inventory.exists():
        raise UserError(
            "there is no such inventory", inventory, f"see {ANSIBLE.name}/README.md for its form"
        )
    _check_yaml(inventory)
    argv = ["ansible-inventory", "--list", "-i", inventory.resolve()]
    try:
        listing = json.loads(proc.run(argv, cwd=ANSIBLE, env=_environment()).stdout)
    except CommandFailed as error:
        error.hint = f"the inventory {inventory} cannot be used as it is"
        raise
    if GROUP not in _groups(listing):
        raise UserError(
            f"the inventory has no group `{GROUP}`",
            inventory,
            f"see {ANSIBLE.name}/inventories/cloudlab/hosts.yml for an example",
        )
    variables = listing.get("_meta", {}).get("hostvars", {})
    nodes = [{"emulated": False, **variables.get(n, {}), "name": n} for n in _members(listing)]
    if not nodes:
        raise UserError(f"group `{GROUP}` of the inventory has no hosts", inventory)
    for node in nodes:
        _check_node(node, inventory)
    for key in ("node_index", "data_address"):
        seen: dict[object, str] = {}
        for node in nodes:
            if other := seen.get(node[key]):
                raise UserError(
                    f"{other} and {node['name']} have the same {key}, {node[key]}", inventory
                )
            seen[node[key]] = node["name"]
    nodes.sort(key=lambda node: node["node_index"])
    for index, node in enumerate(nodes):
        if node["node_index"] != index:
            raise UserError(
                f"no node has node_index {index} ({node['name']} has {node['node_index']})",
                inventory,
                "number the nodes 0, 1, 2, ... without gaps",
            )
    return nodes


def _groups(listing: dict) -> set[str]:
    """Ansible leaves groups without hosts out of the list, but not out of their parents."""
    return set(listing) | {c for g in listing.values() for c in g.get("children", [])}


def _members(listing: dict) -> list[str]:
    """Hosts of the group and of the groups in it, each once."""
    names: dict[str, None] = {}
    pending = [GROUP]
    while pending:
        group = listing.get(pending.pop(0), {})
        names.update(dict.fromkeys(group.get("hosts", [])))
        pending += group.get("children", [])
    return list(names)


def _check_node(node: dict, inventory: Path) -> None:
    name = node["name"]
    for key, placeholder in PLACEHOLDERS.items():
        if node.get(key) == placeholder and (key == "ansible_user" or _templated(node)):
            raise UserError(
                f"{key} still has the placeholder {placeholder}",
                inventory,
                f"fill it in, in group_vars/{GROUP}.yml beside the inventory's hosts",
            )
    index = node.get("node_index")
    if type(index) is not int or index < 0:
        raise UserError(f"{name}: node_index must be a number from 0, not {index!r}", inventory)
    try:
        ipaddress.IPv4Address(node.get("data_address"))
    except ValueError:
        raise UserError(
            f"{name}: data_address must be an IPv4 address, not {node.get('data_address')!r}",
            inventory,
        ) from None
    if not isinstance(node["emulated"], bool):
        raise UserError(f"{name}: emulated must be true or false", inventory)


def _templated(node: dict) -> bool:
    return "cloudlab_" in str(node.get("ansible_host", ""))


# ---- playbooks ----------------------------------------------------------------------------------


def _environment() -> dict[str, str]:
    return {
        "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
        "PYTHONWARNINGS": "ignore",
        "LC_ALL": "C.UTF-8",
    }


@contextlib.contextmanager
def _private_connections() -> Iterator[dict[str, str]]:
    """SSH connections that are shared by all tasks of one playbook, and end with it."""
    with tempfile.TemporaryDirectory(prefix="etran-ssh-") as folder:
        try:
            yield {"ANSIBLE_SSH_CONTROL_PATH_DIR": folder}
        finally:
            for socket in Path(folder).iterdir():
                with contextlib.suppress(OSError, subprocess.SubprocessError):
                    subprocess.run(
                        ["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "node"],
                        check=False,
                        capture_output=True,
                        timeout=10,
                    )


def _events(path: Path) -> list[dict]:
    """What the callback plugin wrote; the last line is short when Ansible was killed."""
    events = []
    with contextlib.suppress(FileNotFoundError):
        for line in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                events.append(json.loads(line))
    return events


def _play(
    playbook: str,
    inventory: Path,
    variables: dict,
    log: Path | None,
    timeout: float,
    *,
    limit: list[str] | None = None,
    check: bool = False,
) -> dict:
    """Run a playbook; what provision() returns, or TaskFailed for the first failure."""
    with tempfile.TemporaryDirectory(prefix="etran-ansible-") as tmp, _private_connections() as ssh:
        events = Path(tmp) / "events"
        # On the command line: the log then shows a command that can be repeated by hand.
        argv = ["ansible-playbook", "-i", str(inventory.resolve()), "-e", json.dumps(variables)]
        argv += ["--limit", ",".join(limit)] if limit else []
        argv += ["--check", "--diff"] if check else []
        argv += [str(ANSIBLE / playbook)]
        env = {
            **_environment(),
            **ssh,
            "ANSIBLE_CALLBACKS_ENABLED": "etran_events",
            "ETRAN_EVENTS": str(events),
        }
        began = time.monotonic()
        try:
            done = proc.run(argv, cwd=ANSIBLE, env=env, log=log, timeout=timeout, check=False)
        except CommandFailed as error:  # only the time-out
            last = next((e["task"] for e in reversed(_events(events)) if "task" in e), "the first")
            error.hint = f"the last task that ended was `{last}`"
            raise
        found = _events(events)
    bad = [e for e in found if e.get("state") in ("failed", "unreachable")]
    if done.status != 0:
        if not bad:
            raise CommandFailed(argv, done.status, done.stdout + done.stderr, log=log)
        others = sorted({e["host"] for e in bad} - {bad[0]["host"]})
        raise TaskFailed(bad[0], argv, others, log)
    return _summary(found, time.monotonic() - began)


def _summary(events: list[dict], seconds: float) -> dict:
    tasks: dict[str, float] = {}
    steps: list[str] = []
    skipped: list[str] = []
    counts = ("ok", "changed", "failed", "skipped", "unreachable")
    stats: dict[str, dict] = {}
    for event in events:
        if event["event"] == "stats":
            stats = event["hosts"]
            continue
        title = f"{event['role']}: {event['task']}".removeprefix(": ")
        tasks[title] = max(tasks.get(title, 0), event["seconds"])
        if event["state"] == "skipped" and title not in skipped:
            skipped.append(title)
        if event["task"] == REPORT_TASK and isinstance(event.get("msg"), list):
            steps += [line for line in event["msg"] if line not in steps]
    return {
        "hosts": {
            name: {key: row.get("failures" if key == "failed" else key, 0) for key in counts}
            for name, row in stats.items()
        },
        "skipped": steps,
        "skipped_tasks": skipped,
        "tasks": tasks,
        "seconds": round(seconds, 2),
    }


def provision(
    inventory: Path,
    build_bin: Path,
    kernel_release: str = "",
    extra: dict | None = None,
    log: Path | None = None,
    *,
    check: bool = False,
    timeout_s: float = PROVISION_TIMEOUT_S,
) -> dict:
    """Bring every node of the inventory into the state that the roles describe; repeatable.

    build_bin: folder of the built programs. kernel_release: expected `uname -r`; installing it on
    real machines takes extra["kernel_dir"]. extra: further variables of the roles. check: change
    nothing, report what would change.

    Returns {"hosts": {name: {ok, changed, failed, skipped, unreachable}}, "skipped": [hardware-only
    steps with the reason], "skipped_tasks": [...], "tasks": {title: seconds}, "seconds": ...}.
    UserError: the inventory is wrong. TaskFailed: a node or a command failed, nothing was run after
    it. Not thread safe for one inventory: two at a time would disturb each other's nodes.
    """
    hosts(inventory)
    variables = {
        "deploy_build_bin": str(Path(build_bin).resolve()),
        "kernel_release": kernel_release,
        **(extra or {}),
    }
    return _play("site.yml", Path(inventory), variables, log, timeout_s, check=check)


def run_timetables(
    inventory: Path,
    timetables: list[dict],
    out_dir: Path,
    timeout_s: float,
    log: Path | None = None,
    extra: dict | None = None,
) -> dict:
    """Run one timetable per node (node 0 first) on provisioned machines, and fetch what it leaves.

    All timetables have the same t0_ns, far enough ahead for Ansible to have started the agents
    (about 10 s), or none, and then the role agrees on one. Outputs go to out_dir/node-<index>/,
    also those of a run that failed. Returns what provision() returns.
    """
    nodes = hosts(inventory)
    if len(timetables) > len(nodes):
        raise UserError(
            f"the run needs {len(timetables)} nodes, the inventory has {len(nodes)}", inventory
        )
    out_dir = Path(out_dir)
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the output folder: {error.strerror}", out_dir) from error
    with tempfile.TemporaryDirectory(prefix="etran-timetables-") as folder:
        for timetable in timetables:
            path = Path(folder) / f"node-{timetable['node']}.json"
            path.write_text(json.dumps(timetable), encoding="utf-8")
        variables = {
            "run_timetables_dir": folder,
            "run_id": f"{time.time_ns():x}-{os.getpid()}",
            "collect_dir": str(out_dir.resolve()),
            **(extra or {}),
        }
        names = [node["name"] for node in nodes[: len(timetables)]]
        return _play("run.yml", Path(inventory), variables, log, timeout_s, limit=names)
