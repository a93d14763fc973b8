# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Fragments, series, cache key: without building anything. Booting: test_boot.py."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness import cache
from harness.errors import CommandFailed, UserError
from kernel import build, cli, kconfig, source

# --- kconfig ---------------------------------------------------------------------------------


def test_parse__values_and_comments():
    text = '# a comment\n\nCONFIG_A=y\nCONFIG_B=m\nCONFIG_C=12\nCONFIG_D="x y"\nCONFIG_E=0x1f\n'
    options = kconfig.parse(text + "# CONFIG_F is not set\n", "f.config")
    assert [(o.name, o.value) for o in options] == [
        ("A", "y"),
        ("B", "m"),
        ("C", "12"),
        ("D", '"x y"'),
        ("E", "0x1f"),
        ("F", "n"),
    ]
    assert options[0].where == "f.config:3"
    assert str(options[5]) == "# CONFIG_F is not set"


@pytest.mark.parametrize(
    "line",
    [
        "CONFIG_A",
        "CONFIG_A=yes",
        "CONFIG_A=y # why",
        "CONFIG_A = y",
        "A=y",
        "#CONFIG_A=y",
        "# CONFIG_A=y",
        "# CONFIG_A is not  set",
    ],
)
def test_parse__refuses_what_kconfig_would_ignore(line):
    with pytest.raises(UserError) as caught:
        kconfig.parse("CONFIG_OK=y\n" + line + "\n", "f.config")
    assert caught.value.where == "f.config:2"


def test_parse__refuses_the_same_option_twice():
    with pytest.raises(UserError, match="given twice"):
        kconfig.parse("CONFIG_A=y\n# CONFIG_A is not set\n", "f.config")


@pytest.fixture
def fragments(tmp_path: Path) -> Path:
    """A folder of empty fragments, for tests to fill."""
    for name in (*kconfig.FRAGMENTS, *kconfig.FLAVOURS):
        (tmp_path / f"{name}.config").write_text("")
    return tmp_path


def test_requested__flavour_overrules(fragments):
    (fragments / "base.config").write_text("CONFIG_B=y\nCONFIG_A=y\n")
    (fragments / "debug.config").write_text("# CONFIG_A is not set\n")
    assert list(map(str, kconfig.requested("debug", fragments))) == [
        "# CONFIG_A is not set",
        "CONFIG_B=y",
    ]
    assert len(kconfig.requested("release", fragments)) == 2


def test_requested__refuses_two_homes_for_an_option(fragments):
    (fragments / "base.config").write_text("CONFIG_A=y\n")
    (fragments / "net.config").write_text("\nCONFIG_A=y\n")
    with pytest.raises(UserError, match="two fragments") as caught:
        kconfig.requested("release", fragments)
    assert caught.value.where == "net.config:2"
    assert "base.config:1" in caught.value.hint


def test_requested__names_a_missing_fragment(fragments):
    (fragments / "net.config").unlink()
    with pytest.raises(UserError, match="cannot read"):
        kconfig.requested("release", fragments)


def test_requested__refuses_an_unknown_flavour():
    with pytest.raises(UserError, match="no kernel flavour 'fast'"):
        kconfig.requested("fast")


@pytest.mark.parametrize("flavour", kconfig.FLAVOURS)
def test_requested__project_fragments_are_sound(flavour):
    options = kconfig.requested(flavour)
    assert {"BPF_SYSCALL", "DEBUG_INFO_BTF", "XDP_SOCKETS", "MODULES"} <= {o.name for o in options}


def test_check__accepts_what_was_asked_for():
    wanted = kconfig.parse("CONFIG_A=y\n# CONFIG_B is not set\n# CONFIG_C is not set\n", "f")
    kconfig.check(wanted, "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_D=y\n", ".config")


def test_check__lists_every_lost_option_with_its_place():
    wanted = kconfig.parse(
        "CONFIG_A=y\nCONFIG_GONE=y\n# CONFIG_B is not set\nCONFIG_N=64\nCONFIG_K=y\n", "f.config"
    )
    with pytest.raises(UserError) as caught:
        kconfig.check(wanted, "CONFIG_A=m\nCONFIG_B=y\nCONFIG_N=8\nCONFIG_K=y\n", ".config")
    text = str(caught.value)
    assert "4 configuration option(s)" in text
    assert "f.config:1: CONFIG_A=y became m" in text
    assert "f.config:2: CONFIG_GONE=y is not offered" in text
    assert "f.config:3: # CONFIG_B is not set became y" in text
    assert "f.config:4: CONFIG_N=64 became 8" in text
    assert "CONFIG_K" not in text


# --- series ----------------------------------------------------------------------------------


@pytest.fixture
def patches(tmp_path: Path) -> Path:
    """A series of two patches that apply to a tree with one file `hello`."""
    folder = tmp_path / "patches"
    folder.mkdir()
    (folder / "series").write_text("# comment\n\n0001-a.patch\n0002-b.patch  # why\n")
    (folder / "0001-a.patch").write_text(_patch("one", "two"))
    (folder / "0002-b.patch").write_text(_patch("two", "three"))
    return folder


def _patch(old: str, new: str) -> str:
    return f"--- a/hello\n+++ b/hello\n@@ -1 +1 @@\n-{old}\n+{new}\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "hello").write_text("one\n")
    (folder / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 99\n")
    return folder


def test_series__order_and_comments(patches):
    assert [p.name for p in source.series(patches)] == ["0001-a.patch", "0002-b.patch"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0001-a.patch\n0002-b.patch\n0003-c.patch\n", "does not exist: 0003-c.patch"),
        ("0001-a.patch\n0002-b.patch\n0001-a.patch\n", "stands twice"),
        ("0001-a.patch\n", "does not name: 0002-b.patch"),
        ("../0001-a.patch\n", "not the name of a patch"),
        ("0001-a.diff\n", "not the name of a patch"),
    ],
)
def test_series__refuses(patches, text, message):
    (patches / "series").write_text(text)
    with pytest.raises(UserError, match=message):
        source.series(patches)


def test_series__refuses_a_folder_without_one(tmp_path):
    with pytest.raises(UserError, match="cannot read the patch series"):
        source.series(tmp_path)


def test_series__project_patches_say_who_and_why():
    for patch in source.series():
        text = patch.read_text(encoding="utf-8")
        head, _, _ = text.partition("\n---\n")
        assert "\nSubject: [PATCH" in head, patch
        assert "\nSigned-off-by: " in head, patch
        body = head.partition("\n\n")[2].split("Signed-off-by:")[0]
        assert len(body.split()) > 20, f"{patch} does not say why"


def test_apply__in_order(patches, tree, tmp_path):
    source.apply(tree, source.series(patches), tmp_path / "log")
    assert (tree / "hello").read_text() == "three\n"
    assert sorted(p.name for p in tree.iterdir()) == ["Makefile", "hello"]


def test_apply__names_the_bad_patch(patches, tree, tmp_path):
    (patches / "0002-b.patch").write_text(_patch("something else", "three"))
    with pytest.raises(UserError) as caught:
        source.apply(tree, source.series(patches), tmp_path / "log")
    assert "patch 2 of 2 does not apply to Linux 6.12.99" in caught.value.what
    assert "hello" in caught.value.what
    assert caught.value.where.endswith("0002-b.patch")
    assert "git am" in caught.value.hint


def test_apply__takes_no_fuzz(patches, tree, tmp_path):
    context = "@@ -1,3 +1,3 @@\n other\n-one\n+two\n last\n"
    (patches / "0001-a.patch").write_text("--- a/hello\n+++ b/hello\n" + context)
    (tree / "hello").write_text("first\none\nlast\n")
    with pytest.raises(UserError, match="patch 1 of 2"):
        source.apply(tree, source.series(patches), tmp_path / "log")


def test_version__refuses_a_strange_makefile(tree):
    (tree / "Makefile").write_text("all:\n")
    with pytest.raises(UserError, match="no VERSION"):
        source.version(tree)


def test_unpack__refuses_another_kernel(tree, tmp_path):
    (tree / "Makefile").write_text("VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 7\n")
    tarball = Path(shutil.make_archive(str(tmp_path / "linux"), "tar", tmp_path, "tree"))
    with pytest.raises(UserError, match="this is Linux 6.1.7"):
        source.unpack(source.Source(tarball, "test"), tmp_path / "out", tmp_path / "log")


def test_find__variable(tmp_path, monkeypatch):
    tarball = tmp_path / "linux-6.12.99.tar.xz"
    monkeypatch.setenv(source.VARIABLE, str(tarball))
    with pytest.raises(UserError, match="names no file"):
        source.find()
    tarball.write_bytes(b"x")
    first = source.find()
    assert first.tarball == tarball
    tarball.write_bytes(b"y")
    assert source.find().identity != first.identity


# --- key, lookup, build with a stand-in for the real builder ------------------------------------


@pytest.fixture
def project(monkeypatch, tmp_path, patches, fragments):
    """kernel.build over a small series, empty fragments, an invented source, a cache of its own."""
    monkeypatch.setenv("ETRAN_CACHE", str(tmp_path / "cache"))
    tarball = tmp_path / "linux-6.12.99.tar.xz"
    tarball.write_bytes(b"x")
    monkeypatch.setenv(source.VARIABLE, str(tarball))
    monkeypatch.setattr(source.series, "__defaults__", (patches,))
    monkeypatch.setattr(kconfig.requested, "__defaults__", (fragments,))
    monkeypatch.setattr(build.packages, "ensure", lambda groups: None)
    built = []

    def builder(flavour: str, out: Path, log: Path) -> None:
        built.append(flavour)
        for name in ("bzImage", "vmlinux", "vmlinux.debug", "System.map", "config"):
            (out / name).write_text(name)
        info = {"release": "6.12.99-etran", "seconds": 1.0, "cpu_seconds": 2.0}
        (out / "kernel.json").write_text(json.dumps(info))

    monkeypatch.setattr(build, "_build", builder)
    return built


def test_key__changes_with_every_input(project, patches, fragments, tmp_path):
    keys = [build.key("release"), build.key("debug")]
    (patches / "0002-b.patch").write_text(_patch("two", "four"))
    keys.append(build.key("release"))
    (patches / "0002-b.patch").rename(patches / "0002-c.patch")
    (patches / "series").write_text("0001-a.patch\n0002-c.patch\n")
    keys.append(build.key("release"))
    (patches / "series").write_text("0002-c.patch\n0001-a.patch\n")
    keys.append(build.key("release"))
    (fragments / "net.config").write_text("CONFIG_A=y\n")
    keys.append(build.key("release"))
    (fragments / "net.config").write_text("CONFIG_A=m\n")
    keys.append(build.key("release"))
    (tmp_path / "linux-6.12.99.tar.xz").write_bytes(b"z")
    keys.append(build.key("release"))
    assert len(set(keys)) == len(keys)


def test_key__ignores_comments_and_the_other_flavour(project, patches, fragments):
    before = build.key("release")
    (fragments / "net.config").write_text("# a better reason\n")
    (fragments / "debug.config").write_text("CONFIG_A=y\n")
    (patches / "series").write_text("0001-a.patch\n# now b\n0002-b.patch\n")
    assert build.key("release") == before


def test_build__once(project):
    assert build.lookup("release") is None
    first = build.build("release")
    again = build.build("release")
    assert project == ["release"]
    assert first == again == build.lookup("release")
    assert first.release == "6.12.99-etran"
    assert first.modules.match("modules/lib/modules/6.12.99-etran")
    assert first.btf.read_text() == "vmlinux"
    assert build.lookup("debug") is None


def test_build__again_when_asked_or_corrupt(project):
    kernel = build.build("release")
    build.build("release", rebuild=True)
    assert project == ["release"] * 2
    kernel.bzimage.write_text("something else")
    assert build.lookup("release") is None
    assert "corrupt" in build.status()[0]["problem"]
    build.build("release")
    assert project == ["release"] * 3
    assert kernel.bzimage.read_text() == "bzImage"


def test_build__failure_leaves_nothing(project, monkeypatch):
    def fail(flavour: str, out: Path, log: Path) -> None:
        (out / "tree").mkdir()
        (out / "tree/half").write_text("x")
        raise CommandFailed(["make"], 2, "line\nerror: no", log=log)

    monkeypatch.setattr(build, "_build", fail)
    with pytest.raises(CommandFailed) as caught:
        build.build("release")
    assert "error: no" in str(caught.value)
    assert caught.value.where.endswith(f"kernel-{build.key('release')}.log")
    assert [p.name for p in (cache.root() / build.KIND).iterdir() if p.is_dir()] == []


def test_lookup__without_source_is_none(project, monkeypatch, tmp_path):
    monkeypatch.setenv(source.VARIABLE, str(tmp_path / "absent"))
    assert build.lookup("release") is None
    assert "names no file" in build.status()[0]["problem"]


def test_make__explains_a_full_disk(project, monkeypatch, tmp_path):
    def full(argv, **options):
        raise CommandFailed(argv, 2, "as: x.o: No space left on device")

    monkeypatch.setattr(build.proc, "run", full)
    with pytest.raises(CommandFailed) as caught:
        build._make(tmp_path, "release", tmp_path / "log", "bzImage")
    assert "disk is full" in caught.value.hint


def test_first_error__among_the_output_of_other_jobs():
    output = "  CC a.o\nnet/x.c:3:1: error: no\n  CC b.o\nmake[2]: *** [x] Error 1\n"
    assert "net/x.c:3:1: error: no" in build._first_error(output)
    assert "log" in build._first_error("  CC lib/error.o\n")


# --- command line ----------------------------------------------------------------------------


def _main(*words: str) -> int:
    import argparse

    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return cli.main(parser.parse_args(words))


def test_cli__status_builds_nothing(project, capsys):
    assert _main("--status", "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(r["flavour"], r["built"]) for r in rows] == [("release", False), ("debug", False)]
    assert _main("--status") == 0
    assert "not built" in capsys.readouterr().out
    assert project == []


def test_cli__build_and_path(project, capsys):
    assert _main("--flavour", "all") == 0
    assert project == ["release", "debug"]
    capsys.readouterr()
    assert _main("--path") == 0
    assert capsys.readouterr().out == f"{build.lookup('release').dir}\n"
    assert _main("--json") == 0
    assert json.loads(capsys.readouterr().out)[0]["release"] == "6.12.99-etran"
    assert _main("--status") == 0
    assert "Linux 6.12.99-etran" in capsys.readouterr().out
