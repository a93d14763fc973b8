# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""The systems that are compared.

To add a system: a folder under baselines/ (or etran/) with what it needs on a node, one entry
here, a colour in plots/style.py; if it is not reached by a transport of the generators yet, see
workloads/transport/.
"""

from __future__ import annotations

from experiments.model import System


def _sysctl(system: str) -> tuple[tuple[str, ...], ...]:
    return (("sysctl", "-q", "-p", f"/opt/etran/baselines/{system}/sysctl.conf"),)


SYSTEMS: dict[str, System] = {
    s.id: s
    for s in (
        System("linux-tcp", "Linux TCP (CUBIC)", "tcp", _sysctl("linux-tcp")),
        System("linux-dctcp", "Linux DCTCP", "tcp", _sysctl("linux-dctcp")),
        System("etran-tcp", "eTran TCP (DCTCP)", "tcp", available=False),
        System("tas", "TAS", "tcp", available=False),
        System("netchannel", "NetChannel", "tcp", available=False),
        System("linux-homa", "Linux Homa", "homa", available=False),
        System("etran-homa", "eTran Homa", "homa", available=False),
        System("raw-xdp", "raw AF_XDP echo", "raw-xdp", available=False),
    )
}

LINUX = ("linux-tcp", "linux-dctcp")
# Figures of the Homa part also run as RPC over TCP: the baseline that every transport faces.
RPC = (*LINUX, "linux-homa", "etran-homa")
CALIBRATED = ("linux-tcp",)  # the calibration measures the node, not a transport
TCP = (*LINUX, "etran-tcp", "tas", "netchannel")


def pending(ids: tuple[str, ...]) -> list[str]:
    """Those of the systems that cannot be run yet."""
    return [i for i in ids if not SYSTEMS[i].available]


def available(ids: tuple[str, ...]) -> list[System]:
    return [SYSTEMS[i] for i in ids if SYSTEMS[i].available]
