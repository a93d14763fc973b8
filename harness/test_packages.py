# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""harness.packages: the table, and refusing to install."""

import pytest

from harness import packages
from harness.errors import UserError


def test_table__every_package_has_a_reason():
    for group, entries in packages.table().items():
        assert entries["_title"], group
        assert all(isinstance(why, str) and why for why in entries.values()), group


def test_missing__unknown_group():
    with pytest.raises(UserError, match="nonsense"):
        packages.missing(["nonsense"])


def test_missing__finds_what_is_not_there(monkeypatch):
    monkeypatch.setattr(
        packages,
        "table",
        lambda: {"g": {"_title": "t", "base-files": "a", "no-such-package-x": "because"}},
    )
    assert packages.missing(["g"]) == {"no-such-package-x": "because"}


def test_ensure__refuses_with_names_reasons_and_command(monkeypatch):
    monkeypatch.setattr(packages, "missing", lambda groups: {"xyz-dev": "needed for tests"})
    monkeypatch.setattr(packages, "refuse_install", True)
    with pytest.raises(UserError) as caught:
        packages.ensure(["any"])
    text = str(caught.value)
    assert "xyz-dev" in text and "needed for tests" in text and "apt-get install" in text
