# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.errors import UserError
from testbed.cluster import elf, image
from testbed.cluster.image import Collected

BUSYBOX = Path("/bin/busybox")
needs_programs = pytest.mark.skipif(
    not (BUSYBOX.exists() and all(Path(p).exists() for p in image.SYSTEM_PROGRAMS)),
    reason="the Debian packages of the groups vm and node are not installed",
)


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, link: str = ""):
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.linkname = kind, mode, link
    return info


def test_read_archive__files_links_folders_and_whiteouts():
    found = image.read_archive(
        tar(
            (member("etc/etran", tarfile.DIRTYPE, 0o755), b""),
            (member("etc/etran/a", mode=0o600), b"1"),
            (member("etc/etran/b", tarfile.SYMTYPE, link="a"), b""),
            (member("etc/etran/c", tarfile.LNKTYPE, link="etc/etran/a"), b""),
            (member("etc/etran/gone", tarfile.CHRTYPE), b""),
        )
    )
    assert found == {
        "etc/etran": Collected(0o755, folder=True),
        "etc/etran/a": Collected(0o600, b"1"),
        "etc/etran/b": Collected(0o777, link="a"),
        "etc/etran/c": Collected(0o600, b"1"),
    }


def test_read_archive__refuses_a_fifo_and_escapes():
    with pytest.raises(UserError, match="cannot be frozen"):
        image.read_archive(tar((member("etc/etran/f", tarfile.FIFOTYPE), b"")))
    with pytest.raises(UserError, match="cannot be a name"):
        image.read_archive(tar((member("../etc/passwd"), b"")))


def test_check_agreement__equal():
    image.check_agreement([{"a": Collected(0o644, b"1")}] * 3)


def test_check_agreement__names_what_differs():
    first = {"etc/x": Collected(0o644, b"1"), "etc/y": Collected(0o644, b"2")}
    other = {"etc/x": Collected(0o644, b"10"), "etc/z": Collected(0o755, folder=True)}
    with pytest.raises(UserError) as caught:
        image.check_agreement([first, first, other])
    lines = caught.value.what.splitlines()[1:]
    assert [line.split(":")[0].strip() for line in lines] == ["/etc/x", "/etc/y", "/etc/z"]
    assert "node0 1 bytes" in lines[0] and "node2 2 bytes" in lines[0]
    assert lines[1].endswith("node2 missing")


def test_check_agreement__many_differences_are_cut():
    nodes = [{f"f{i}": Collected(0o644, bytes([n]) * 5) for i in range(30)} for n in range(2)]
    with pytest.raises(UserError, match="and 20 more"):
        image.check_agreement(nodes)


def test_libraries__of_a_dynamic_program():
    names = {p.name for p in elf.libraries([Path("/usr/bin/env")])}
    assert "libc.so.6" in names and any(n.startswith("ld-linux") for n in names)


def test_libraries__static_programs_and_scripts_need_none(tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    assert elf.libraries([script, *([BUSYBOX] if BUSYBOX.exists() else [])]) == set()


def test_libraries__missing_one_is_named(tmp_path):
    if not shutil.which("gcc"):
        pytest.skip("gcc is not installed")
    (tmp_path / "l.c").write_text("int f(void) { return 0; }\n")
    (tmp_path / "m.c").write_text("int f(void); int main(void) { return f(); }\n")
    lib = tmp_path / "libgone.so"
    subprocess.run(["gcc", "-shared", "-o", lib, tmp_path / "l.c"], check=True)
    program = tmp_path / "m"
    subprocess.run(["gcc", "-o", program, tmp_path / "m.c", lib], check=True)
    lib.rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="libgone.so"):
        elf.libraries([program])


def fake_kernel(tmp_path: Path) -> SimpleNamespace:
    """Modules only: c needs b needs a."""
    tree = tmp_path / "modules/lib/modules/6.12"
    tree.mkdir(parents=True)
    (tree / "modules.dep").write_text("x/a.ko:\nx/my-b.ko: x/a.ko\nx/c.ko: x/my-b.ko x/a.ko\n")
    (tree / "x").mkdir()
    for name in ("a", "my-b", "c"):
        (tree / f"x/{name}.ko").write_text(name)
    return SimpleNamespace(key="k", release="6.12", modules=tmp_path / "modules")


def test_modules__with_what_they_need_and_nothing_else(tmp_path):
    entries = image._modules(fake_kernel(tmp_path), ["my_b"])
    base = "usr/lib/modules/6.12"
    assert sorted(entries) == [f"{base}/modules.dep", f"{base}/x/a.ko", f"{base}/x/my-b.ko"]
    assert entries[f"{base}/modules.dep"].data == b"x/a.ko:\nx/my-b.ko: x/a.ko\n"


def test_modules__unknown(tmp_path):
    with pytest.raises(UserError, match="no module 'zfs'"):
        image._modules(fake_kernel(tmp_path), ["zfs"])


@needs_programs
def test_prepare__same_inputs_same_bytes(tmp_path, monkeypatch):
    kernel = SimpleNamespace(key="k", release="6.12", modules=None)
    images = []
    for name in ("one", "two"):
        monkeypatch.setenv("ETRAN_CACHE", str(tmp_path / name))
        images.append(image.prepare(kernel, {"env": Path("/usr/bin/env")}, None))
    assert images[0].read_bytes() == images[1].read_bytes()
    assert images[0].parent.name == images[1].parent.name
    other = SimpleNamespace(key="l", release="6.12", modules=None)
    again = image.prepare(other, {"env": Path("/usr/bin/env")}, None)
    assert again.parent.name != images[1].parent.name


@needs_programs
@pytest.mark.skipif(not shutil.which("cpio"), reason="the cpio program is not installed")
def test_prepare__image_is_closed_under_libraries(tmp_path, monkeypatch):
    monkeypatch.setenv("ETRAN_CACHE", str(tmp_path))
    kernel = SimpleNamespace(key="k", release="6.12", modules=None)
    frozen = image.prepare(kernel, {"env": Path("/usr/bin/env")}, None)
    listed = subprocess.run(
        ["cpio", "--quiet", "-t"], stdin=frozen.open("rb"), capture_output=True, check=True
    ).stdout.decode()
    names = set(listed.splitlines())
    contents = json.loads((frozen.parent / "image.json").read_text())["contents"]
    assert {row["path"].lstrip("/") for row in contents} == names
    assert {"init", "opt/etran/bin/env", "usr/bin/ip", "usr/bin/sh", "dev/console"} <= names
    assert {"usr/lib64/ld-linux-x86-64.so.2", "usr/lib/x86_64-linux-gnu/libc.so.6"} <= names
    kinds = {row["path"]: row for row in contents}
    assert kinds["/usr/bin/sh"]["target"] == "dash"
    assert kinds["/usr/bin/ip"]["kind"] == "file"  # not busybox's


@needs_programs
def test_prepare__a_changed_program_is_another_image(tmp_path, monkeypatch):
    monkeypatch.setenv("ETRAN_CACHE", str(tmp_path / "cache"))
    kernel = SimpleNamespace(key="k", release="6.12", modules=None)
    program = tmp_path / "p"
    shutil.copy("/usr/bin/env", program)
    first = image.prepare(kernel, {"p": program}, None)
    shutil.copy("/usr/bin/true", program)
    assert image.prepare(kernel, {"p": program}, None) != first
