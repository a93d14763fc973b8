# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""harness.cache: what is kept, what is noticed, what is left behind."""

import errno

import pytest

from harness import cache
from harness.errors import UserError


@pytest.fixture(autouse=True)
def private_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ETRAN_CACHE", str(tmp_path / "cache"))


def builder(text="hello"):
    calls = []

    def build(tmp, log):
        calls.append(tmp)
        log.write_text("building\n")
        (tmp / "sub").mkdir()
        (tmp / "sub" / "file").write_text(text)

    build.calls = calls
    return build


def test_get__builds_once():
    build = builder()
    first = cache.get("thing", "k1", build, label="a thing")
    assert cache.get("thing", "k1", build, label="a thing") == first
    assert len(build.calls) == 1
    assert (first / "sub" / "file").read_text() == "hello"


def test_get__rebuild_asked_for():
    build = builder()
    cache.get("thing", "k1", build, label="a thing")
    cache.get("thing", "k1", build, label="a thing", rebuild=True)
    assert len(build.calls) == 2


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "manifest", "no manifest"])
def test_get__corruption_is_noticed_and_mended(damage, capfd):
    build = builder()
    entry = cache.get("thing", "k1", build, label="a thing")
    victim = entry / "sub" / "file"
    if damage == "flip":
        victim.write_text("hellO")
    elif damage == "truncate":
        victim.write_text("")
    elif damage == "remove":
        victim.unlink()
    elif damage == "manifest":
        (entry / cache.MANIFEST).write_text("{")
    else:
        (entry / cache.MANIFEST).unlink()
    assert cache.peek("thing", "k1") is None
    cache.get("thing", "k1", build, label="a thing")
    assert len(build.calls) == 2
    assert victim.read_text() == "hello"
    assert "corrupt" in capfd.readouterr().err


@pytest.mark.parametrize("failure", [RuntimeError("x"), KeyboardInterrupt()])
def test_get__failed_build_leaves_nothing(failure):
    def broken(tmp, log):
        (tmp / "half").write_text("x")
        raise failure

    with pytest.raises(type(failure)):
        cache.get("thing", "k1", broken, label="a thing")
    left = [p for p in (cache.root() / "thing").iterdir() if not p.name.endswith(".lock")]
    assert left == []


def test_get__full_disk_says_so():
    def full(tmp, log):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp))

    with pytest.raises(UserError, match="disk is full"):
        cache.get("thing", "k1", full, label="a thing")


def test_get__leftovers_of_a_killed_build_are_removed():
    stale = cache.root() / "thing" / ".k1.tmpabc"
    stale.mkdir(parents=True)
    cache.get("thing", "k1", builder(), label="a thing")
    assert not stale.exists()


def test_digest__names_and_boundaries_count(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    for folder, name in ((a, "x"), (b, "y")):
        folder.mkdir()
        (folder / name).write_text("same")
    assert cache.digest(a) != cache.digest(b)
    assert cache.digest("ab", "c") != cache.digest("a", "bc")
    assert cache.digest("x") == cache.digest("x")
