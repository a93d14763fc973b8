# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Writes what happened, one JSON object per line, to the file named by ETRAN_EVENTS.

For programs (harness/provision.py); people read the ordinary output, which this leaves alone.
Objects: {"event": "result", host, role, task, state, seconds, ...} and, at the end,
{"event": "stats", "hosts": {name: counters}}.
"""

from __future__ import annotations

import json
import os
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: etran_events
type: notification
short_description: JSON lines of all results for the test bed's own harness
description: One JSON object per result, appended to a file.
options:
  path:
    description: The file.
    env: [{name: ETRAN_EVENTS}]
"""

# What a failing command leaves behind that its reader needs.
KEPT = ("msg", "cmd", "rc", "stdout", "stderr", "skip_reason", "changed_files", "removed_files")


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "etran_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        super().__init__()
        path = os.environ.get("ETRAN_EVENTS")
        self._file = open(path, "a", encoding="utf-8") if path else None
        self.disabled = self._file is None
        self._began: dict[str, float] = {}

    def _write(self, record: dict) -> None:
        self._file.write(json.dumps(record, default=str) + "\n")
        self._file.flush()

    def _result(self, result, state: str) -> None:
        task = result._task
        role = task._role.get_name() if task._role else ""
        record = {
            "event": "result",
            "host": result._host.get_name(),
            "role": role,
            "task": task.get_name(include_role_fqcn=False).removeprefix(f"{role} : "),
            "state": state,
            "seconds": round(time.monotonic() - self._began.get(task._uuid, time.monotonic()), 3),
        }
        values = result._result
        # Of a loop, the item that failed says why.
        values = next((r for r in values.get("results", []) if r.get("failed")), values)
        if not (task.no_log or values.get("_ansible_no_log")):
            record |= {key: values[key] for key in KEPT if key in values}
        self._write(record)

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._began[task._uuid] = time.monotonic()

    def v2_playbook_on_handler_task_start(self, task):
        self._began[task._uuid] = time.monotonic()

    def v2_runner_on_ok(self, result):
        self._result(result, "changed" if result._result.get("changed") else "ok")

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._result(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_skipped(self, result):
        self._result(result, "skipped")

    def v2_runner_on_unreachable(self, result):
        self._result(result, "unreachable")

    def v2_playbook_on_stats(self, stats):
        hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        self._write({"event": "stats", "hosts": hosts})
