# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""Fetching and building QEMU, without doing either for real."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UserError
from testbed.qemu import build, source

DSC = "Format: 3.0 (quilt)\nSource: qemu\nVersion: 1:7.2+dfsg-7+deb12u18\n"


@pytest.fixture
def dsc(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "qemu.dsc"
    path.write_text(DSC)
    monkeypatch.setenv(source.DSC_VARIABLE, str(path))
    return path


@pytest.fixture
def firmware(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "bios"
    path.write_bytes(b"boot")
    monkeypatch.setattr(build, "FIRMWARE", {"bios.bin": str(path)})
    return path


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ETRAN_CACHE", str(tmp_path / "cache"))


def test_fetch__chosen_file_needs_no_network(dsc):
    assert source.fetch() == source.fetched() == dsc


def test_fetch__chosen_file_is_missing(monkeypatch, tmp_path):
    monkeypatch.setenv(source.DSC_VARIABLE, str(tmp_path / "none.dsc"))
    with pytest.raises(UserError, match="names no file"):
        source.fetch()


def test_version__accepts_only_what_the_series_is_for(dsc):
    assert source.version(dsc) == "1:7.2+dfsg-7+deb12u18"
    for other in ("1:7.20+dfsg-1", "1:7.2.1+dfsg-1", "1:10.0.2+ds-1"):
        dsc.write_text(DSC.replace("1:7.2+dfsg-7+deb12u18", other))
        with pytest.raises(UserError, match="the series is for 7.2"):
            source.version(dsc)
    dsc.write_text("nothing")
    with pytest.raises(UserError, match="not the description"):
        source.version(dsc)


def test_series__is_complete():
    names = [p.name for p in source.series()]
    assert names == sorted(names) and len(names) >= 5


def test_series__disagreeing_with_the_folder(tmp_path):
    (tmp_path / "series").write_text("# comment\n1.patch # why\n")
    with pytest.raises(UserError, match="1.patch, which does not exist"):
        source.series(tmp_path)
    (tmp_path / "1.patch").touch()
    assert source.series(tmp_path) == [tmp_path / "1.patch"]
    (tmp_path / "2.patch").touch()
    with pytest.raises(UserError, match="2.patch: not in the series"):
        source.series(tmp_path)


PATCH = b"""--- a/dir/file
+++ b/dir/file
@@ -1,3 +1,3 @@
 one
-two
+TWO
 three
"""


def test_apply__changes_the_tree(tmp_path):
    tree = tmp_path / "tree"
    (tree / "dir").mkdir(parents=True)
    (tree / "dir/file").write_text("one\ntwo\nthree\n")
    source.apply({"1.patch": PATCH}, tree, tmp_path / "log")
    assert (tree / "dir/file").read_text() == "one\nTWO\nthree\n"


@pytest.mark.parametrize(
    "text, words",
    [("one\n2\nthree\n", r"dir/file: Hunk #1 FAILED at 1"), (None, r"can't find file|dir/file")],
)
def test_apply__misfit_names_patch_file_and_hunk(tmp_path, text, words):
    tree = tmp_path / "tree"
    (tree / "dir").mkdir(parents=True)
    if text:
        (tree / "dir/file").write_text(text)
    with pytest.raises(UserError, match=words) as error:
        source.apply({"7.patch": PATCH}, tree, tmp_path / "log")
    assert "7.patch does not apply" in str(error.value)


def test_mirror__chosen_one_wins(monkeypatch):
    monkeypatch.setenv(source.MIRROR_VARIABLE, "http://mirror/debian")
    assert source._mirror() == "http://mirror/debian"
    monkeypatch.delenv(source.MIRROR_VARIABLE)
    assert source._mirror().startswith("http")


def test_private_apt__leaves_the_hosts_configuration_alone(tmp_path, monkeypatch):
    monkeypatch.setenv(source.MIRROR_VARIABLE, "http://mirror/debian")
    text = source._private_apt(tmp_path).read_text()
    for setting in ("Dir::Etc::sourcelist", "Dir::State::lists", "Dir::Cache"):
        assert f'{setting} "{tmp_path}' in text
    assert "Post-Invoke" not in text
    listing = (tmp_path / "sources.list").read_text()
    assert listing.startswith("deb-src [signed-by=") and " http://mirror/debian " in listing


def test_download__without_network_says_what_to_do(tmp_path, monkeypatch, empty_cache):
    if not source.KEYRING.is_file():
        pytest.skip("debian-archive-keyring is not installed")
    monkeypatch.delenv(source.DSC_VARIABLE, raising=False)
    monkeypatch.setenv(source.MIRROR_VARIABLE, "http://127.0.0.1:9/debian")
    with pytest.raises(UserError) as error:
        source.fetch()
    assert "http://127.0.0.1:9/debian" in str(error.value)
    assert source.DSC_VARIABLE in str(error.value)
    assert source.fetched() is None


def test_lookup__finds_nothing_in_an_empty_cache(dsc, firmware, empty_cache):
    assert build.lookup() is None
    assert build.status()["built"] is False


def test_key__covers_every_input(dsc, firmware, tmp_path, monkeypatch):
    keys = [build._Inputs.read(dsc).key()]

    def changed() -> bool:
        keys.append(build._Inputs.read(dsc).key())
        return len(set(keys)) == len(keys)

    firmware.write_bytes(b"other")
    assert changed()
    dsc.write_text(DSC.replace("u18", "u19"))
    assert changed()
    mine = tmp_path / "new.c"
    mine.write_text("int x;")
    monkeypatch.setattr(build, "SOURCES", (*build.SOURCES, mine))
    assert changed()
    mine.write_text("int y;")
    assert changed()
    monkeypatch.setattr(build, "CONFIGURE", (*build.CONFIGURE, "--enable-x"))
    assert changed()


def test_key__missing_firmware_is_explained(dsc, monkeypatch, tmp_path):
    monkeypatch.setattr(build, "FIRMWARE", {"bios.bin": str(tmp_path / "none")})
    with pytest.raises(UserError, match="firmware bios.bin is missing"):
        build._Inputs.read(dsc)
    assert build.lookup() is None


def test_build__puts_everything_into_the_entry(dsc, firmware, empty_cache, monkeypatch):
    """With a compiler that only writes a file."""
    calls = []

    def run(argv, *, cwd=None, **_):
        words = [str(w) for w in argv]
        calls.append(words[0])
        if words[0] == "strip":
            Path(words[words.index("-o") + 1]).write_text("binary")

    def unpack(_dsc, tree, _log):
        (tree / "net").mkdir(parents=True)
        (tree / "configs/devices/x86_64-softmmu").mkdir(parents=True)

    monkeypatch.setattr(build.packages, "ensure", lambda groups: None)
    monkeypatch.setattr(build.proc, "run", run)
    monkeypatch.setattr(build.source, "unpack", unpack)
    monkeypatch.setattr(build.source, "apply", lambda *_: None)
    found = build.build()
    assert calls[:3] == ["../configure", "ninja", "strip"]
    assert found == build.lookup() and found.version == "1:7.2+dfsg-7+deb12u18"
    assert found.binary.read_text() == "binary"
    assert (found.share / "bios.bin").read_bytes() == b"boot"
    assert not (found.dir / "tree").exists()
    del calls[:]
    assert build.build() == found and not calls, "the second time from the cache"
    found.binary.write_text("damage")
    assert build.lookup() is None
    assert build.build().binary.read_text() == "binary"
