# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The image that emulated nodes boot for a measurement: provisioned by Ansible, then frozen."""

from __future__ import annotations

from pathlib import Path

from harness import build, provision
from testbed.cluster import image


def prepare(kernel, programs: dict[str, Path]) -> Path:
    """Path of the image; from the cache when kernel, roles and programs are unchanged."""

    def provisioner(inventory: Path, log: Path) -> None:
        provision.provision(inventory, build.BIN, kernel.release, {}, log)

    return image.prepare(kernel, programs, provisioner)
