# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Command lines of the workload generators, as experiments use them."""

from __future__ import annotations

from collections.abc import Iterable

from experiments.model import BIN, PORT, Cluster, Command, System

# Half of the time after the window is for requests that are still under way, a quarter for the
# peers' requests (a packet lost at the end may take Linux 200 ms), the rest for writing results.
DRAIN = (("--drain-us", 0.5),)
LINGER = (("--linger-us", 0.25),)


def _rpc(system: System, role: str, *words: object) -> tuple[str, ...]:
    return (f"{BIN}/rpcbench", role, "--transport", system.transport, *map(str, words))


def rpc_server(system: System, cluster: Cluster, node: int, *options: object) -> Command:
    argv = _rpc(system, "server", "--listen", cluster.endpoint(node), *options)
    return Command(node, "server", argv, f"server{node}")


def rpc_client(
    system: System, cluster: Cluster, node: int, servers: Iterable[int], *options: object
) -> Command:
    peers = ",".join(cluster.endpoint(s) for s in servers)
    return Command(
        node,
        "client",
        _rpc(system, "client", "--server", peers, *options),
        f"client{node}",
        DRAIN,
    )


def rpc_node(
    system: System, cluster: Cluster, node: int, nodes: Iterable[int], *options: object
) -> Command:
    """Client and server in one process; every other node is a peer."""
    peers = ",".join(cluster.endpoint(s) for s in nodes if s != node)
    words = ("--listen", cluster.endpoint(node), "--server", peers, *options)
    return Command(node, "client", _rpc(system, "node", *words), f"node{node}", DRAIN + LINGER)


def echo_server(system: System, cluster: Cluster, node: int, *options: object) -> Command:
    argv = (f"{BIN}/echobench", "server", "--transport", system.transport)
    argv += ("--listen", cluster.endpoint(node), *map(str, options))
    return Command(node, "server", argv, f"server{node}")


def echo_client(
    system: System, cluster: Cluster, node: int, server: int, *options: object
) -> Command:
    argv = (f"{BIN}/echobench", "client", "--transport", system.transport)
    argv += ("--server", cluster.endpoint(server), *map(str, options))
    return Command(node, "client", argv, f"client{node}", DRAIN)


def kv_server(system: System, cluster: Cluster, node: int, *options: object) -> Command:
    argv = (f"{BIN}/kvbench", "server", "--listen", cluster.endpoint(node), *map(str, options))
    return Command(node, "server", argv, f"server{node}")


def kv_client(
    system: System, cluster: Cluster, node: int, server: int, *options: object
) -> Command:
    argv = (f"{BIN}/kvbench", "client", "--server", cluster.endpoint(server), *map(str, options))
    return Command(node, "client", argv, f"client{node}", DRAIN)


__all__ = [
    "PORT",
    "echo_client",
    "echo_server",
    "kv_client",
    "kv_server",
    "rpc_client",
    "rpc_node",
    "rpc_server",
]
