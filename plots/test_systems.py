# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
import pytest

from plots import systems


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0"),
        (9.996, "10.0"),
        (0.0973, "0.0973"),
        (15.36, "15.4"),
        (999.6, "1000"),
        (9999, "10.0 k"),
        (2.9e6, "2.90 M"),
        (-3.0, "-3.00"),
        (None, "–"),
        (float("inf"), "inf"),
    ],
)
def test_number__three_digits(value, text):
    assert systems.number(value) == text


@pytest.mark.parametrize(
    "value, text",
    [(64, "64"), (1000, "1K"), (1024, "1K"), (1430, "1.4K"), (65536, "64K"), (10**6, "1M")]
    + [(6387, "6.4K"), (120373, "120K"), (2**20, "1M"), (9960, "10K"), (1, "1"), (999, "999")],
)
def test_size__short(value, text):
    assert systems.size(value) == text


def test_sized__joins_the_prefix_with_the_unit():
    assert systems.sized(1024, "B") == "1 KB"
    assert systems.sized(64, "bytes") == "64 B"
    assert systems.sized(1000, "connections") == "1K connections"


def test_plain__keeps_the_digits_of_the_source():
    assert [systems.plain(v) for v in (4.8, 2.9e6, 58920, 500)] == [
        "4.8",
        "2.9 M",
        "58.92 k",
        "500",
    ]


def test_system__looks_are_distinct():
    looks = [systems.SYSTEMS[n] for n in list(systems.SYSTEMS)[:8]]
    assert len({s.colour for s in looks}) == len({s.marker for s in looks}) == 8


def test_system__unknown_gets_a_stable_look():
    assert systems.system("quic") == systems.system("quic")
    assert systems.ordered(["quic", "tas", "linux-tcp"]) == ["linux-tcp", "tas", "quic"]
