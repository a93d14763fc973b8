# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest

from harness.errors import UserError
from testbed.cluster import cli, real, state
from testbed.cluster.processes import Process


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def make(name: str, **contents) -> None:
    state.folder_of(name).mkdir()
    state.write(name, contents)


def test_base__is_private():
    assert state.base().stat().st_mode & 0o777 == 0o700


def test_base__in_tmp_without_a_runtime_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    assert state.base() == tmp_path / f"etran-{os.getuid()}"


def test_base__planted_by_someone_else(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "etran").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="belongs to someone else"):
        state.base()


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 33, "a b", "a,b"])
def test_folder_of__bad_names(name):
    with pytest.raises(UserError, match="cannot be a cluster's name"):
        state.folder_of(name)


def test_folder_of__too_long_for_sockets(tmp_path, monkeypatch):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    with pytest.raises(UserError, match="too long"):
        state.folder_of("default")


def test_write__replaces_whole_files():
    make("a", x=1)
    state.write("a", {"x": 2})
    assert state.read("a") == {"x": 2}
    assert [p.name for p in state.folder_of("a").iterdir()] == ["state.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_read__damaged_is_empty_not_fatal(text):
    make("a")
    (state.folder_of("a") / "state.json").write_text(text)
    assert state.read("a") == {}
    with pytest.raises(UserError, match="did not come up whole"):
        real.find("a")


def test_read__none():
    assert state.read("a") is None


def test_write__full_disk(monkeypatch):
    make("a")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="no space is left"):
        state.write("a", {})


def test_locked__one_at_a_time():
    with state.locked("a"):
        with pytest.raises(UserError, match="another launcher"):
            with state.locked("a"):
                pass
    with state.locked("a"):
        pass
    assert list(state.base().iterdir()) == []


def test_find__says_what_there_is():
    make("other", phase="up")
    with pytest.raises(UserError, match="no cluster 'default'") as caught:
        real.find()
    assert "other" in caught.value.hint


def test_remove__none_is_no_error():
    assert real.remove("a") is False
    assert list(state.base().iterdir()) == []


def test_sweep__only_those_whose_owner_is_gone():
    us = Process.of(os.getpid())
    make("mine-1", owner={"pid": us.pid, "started": us.started})
    make("dead-1", owner={"pid": us.pid, "started": us.started - 1})
    make("default", phase="up")
    state.sweep()
    assert state.names() == ["default", "mine-1"]


def test_up__already_up(monkeypatch):
    make("default")
    monkeypatch.setattr("testbed.cluster.processes.of_folder", lambda _: [object()])
    monkeypatch.setattr(os, "access", lambda *_: True)
    with pytest.raises(UserError, match="already up"):
        real.up("default", 2, SimpleNamespace())


def test_up__nodes_out_of_range():
    with pytest.raises(UserError, match="2 to 10 nodes, not 11"):
        real.up("default", 11, SimpleNamespace())


def test_up__no_sshd(monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, _: path != "/usr/sbin/sshd")
    with pytest.raises(UserError, match="openssh-server"):
        real.up("default", 2, SimpleNamespace())


def test_up__port_in_use(monkeypatch):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} on 127.0.0.1 cannot be used"):
            real._check_ports(port - 1, 2)


def test_write_access__inventory_for_ansible(tmp_path):
    import yaml

    folder = state.base() / "x"
    folder.mkdir()
    (folder / "host_key.pub").write_text("ssh-ed25519 AAAA etran\n")
    cluster = real.Cluster("x", folder, 2, "tcg", (4001, 4002))
    real._write_access(cluster)
    hosts = yaml.safe_load(cluster.inventory.read_text())["cluster"]["hosts"]
    assert list(hosts) == ["node-0", "node-1"]
    one = hosts["node-1"]
    assert one["node_index"] == 1 and one["data_address"] == "10.0.0.2"
    assert one["ansible_port"] == 4002 and one["emulated"] is True
    assert one["data_interface"] == "eth0" and one["ansible_pipelining"] is True
    assert "StrictHostKeyChecking=yes" in one["ansible_ssh_common_args"]
    assert (folder / "known_hosts").read_text().splitlines()[1] == (
        "[127.0.0.1]:4002 ssh-ed25519 AAAA"
    )


def test_ssh_command__no_such_node():
    cluster = real.Cluster("x", state.base(), 2, "tcg", (4001, 4002))
    with pytest.raises(UserError, match="no node 2"):
        cluster.ssh_command(2)


def arguments(*words: str):
    import argparse

    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return parser.parse_args(words)


def test_cli__ssh_takes_the_rest_of_the_line():
    args = arguments("ssh", "--name", "x", "node1", "ls", "-l", "--name")
    assert (args.name, args.node, args.words) == ("x", "node1", ["ls", "-l", "--name"])


def test_cli__status_of_nothing(capsys):
    assert cli.main(arguments("status")) == 0
    assert "no cluster is up" in capsys.readouterr().out
    assert cli.main(arguments("status", "--json")) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_cli__status_of_a_broken_one(capsys):
    make("broken")
    assert cli.main(arguments("status", "--json")) == 0
    assert "did not come up" in json.loads(capsys.readouterr().out)[0]["error"]


@pytest.mark.parametrize("words", [("status", "--name", "x"), ("down",), ("ssh", "0", "true")])
def test_cli__no_such_cluster(words):
    with pytest.raises(UserError, match="no cluster"):
        cli.main(arguments(*words))


def test_cli__down_clears_what_is_left():
    make("default")
    assert cli.main(arguments("down")) == 0
    assert state.names() == []


@pytest.mark.parametrize("words", [("up", "--nodes", "1"), ("epoch", "x", "--nodes", "12")])
def test_cli__nodes_out_of_range(words):
    with pytest.raises(UserError, match="2 to 10"):
        cli.main(arguments(*words))


def test_cli__script_missing(tmp_path):
    with pytest.raises(UserError, match="cannot read the script"):
        cli.main(arguments("epoch", str(tmp_path / "none")))


def test_cli__not_a_node():
    with pytest.raises(UserError, match="not a node"):
        cli.main(arguments("ssh", "first"))
