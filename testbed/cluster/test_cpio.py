# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
from __future__ import annotations

import io
import shutil
import subprocess

import pytest

from harness.errors import UserError
from testbed.cluster import cpio

ENTRIES = {
    "/init": cpio.File(b"#!/bin/sh\n", 0o755),
    "etc/a-b": cpio.File(b"x"),
    "etc/a/b": cpio.File(b"odd"),
    "/bin": cpio.Link("usr/bin"),
    "/dev/console": cpio.Device("c", 5, 1),
    "/tmp": cpio.Folder(0o1777),
}


def packed(entries):
    out = io.BytesIO()
    cpio.write(out, entries)
    return out.getvalue()


def test_write__same_bytes_whatever_the_order_and_the_files_times(tmp_path):
    (tmp_path / "init").write_bytes(b"#!/bin/sh\n")
    shuffled = dict(reversed(ENTRIES.items()))
    shuffled["/init"] = cpio.File(tmp_path / "init", 0o755)
    first = packed(shuffled)
    (tmp_path / "init").touch()
    assert first == packed(shuffled) == packed(ENTRIES)


def test_write__folders_come_first_and_are_added():
    names = list(cpio.complete(ENTRIES))
    assert names == [
        "bin",
        "dev",
        "dev/console",
        "etc",
        "etc/a",
        "etc/a/b",
        "etc/a-b",
        "init",
        "tmp",
    ]


@pytest.mark.skipif(not shutil.which("cpio"), reason="the cpio program is not installed")
def test_write__cpio_reads_it():
    def cpio_says(*options):
        run = subprocess.run(
            ["cpio", "--quiet", *options], input=packed(ENTRIES), capture_output=True, check=True
        )
        return run.stdout.decode().splitlines()

    names = cpio_says("-t")
    assert names == list(cpio.complete(ENTRIES))
    lines = dict(zip(names, cpio_says("-tvn")))
    assert lines["bin"].endswith(" bin -> usr/bin")
    assert lines["init"].startswith("-rwxr-xr-x")
    assert lines["tmp"].startswith("drwxrwxrwt")
    assert lines["dev/console"].startswith("crw-------") and "5,   1" in lines["dev/console"]
    assert "Jan  1  1970" in lines["etc/a/b"]


@pytest.mark.skipif(not shutil.which("cpio"), reason="the cpio program is not installed")
def test_write__contents_survive(tmp_path):
    big = bytes(range(256)) * 9001
    (tmp_path / "big").write_bytes(big)
    data = packed({"a/big": cpio.File(tmp_path / "big"), "a/empty": cpio.File(b"")})
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["cpio", "--quiet", "-id"], input=data, cwd=out, check=True)
    assert (out / "a/big").read_bytes() == big
    assert (out / "a/empty").read_bytes() == b""


def test_write__two_archives_can_follow_each_other():
    data = packed({"a": cpio.File(b"1")}) + packed({"b": cpio.File(b"2")})
    assert len(data) % 4 == 0
    assert data.count(b"TRAILER!!!") == 2


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/", "", "a\0b"])
def test_write__refuses_names_outside_the_image(name):
    with pytest.raises(UserError):
        packed({name: cpio.File(b"")})


def test_write__refuses_a_file_below_a_file():
    with pytest.raises(UserError, match="not a folder"):
        packed({"a": cpio.File(b""), "a/b": cpio.File(b"")})
