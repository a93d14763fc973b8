# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""experiments.registry: the list is complete and honest."""

import pytest

from experiments import registry
from experiments.model import Scale
from experiments.systems import SYSTEMS
from harness.errors import UserError

WANTED = {*(f"H{n}" for n in range(1, 9)), *(f"T{n}" for n in range(1, 7))}
WANTED |= {"B1", "B2", "queue", "calibration"}


def test_figures__all_there():
    assert set(registry.figures()) == WANTED


@pytest.mark.parametrize("figure", registry.figures().values(), ids=lambda f: f.id)
def test_figures__declarations(figure):
    assert all(s in SYSTEMS for s in (*figure.systems, *figure.waits_for))
    told = registry.describe(figure, Scale.QUICK)
    assert {"id", "title", "systems", "pending", "minutes"} <= set(told)
    assert (told["minutes"] > 0) == registry.runnable(figure)


def test_describe__what_does_not_exist_is_pending():
    told = registry.describe(registry.figures()["H1"], Scale.QUICK)
    assert "linux-tcp" in told["systems"] and "linux-tcp" not in told["pending"]
    absent = [s for s in told["systems"] if not SYSTEMS[s].available]
    assert told["pending"] == sorted(absent)


def test_smoke__one_figure_with_two_systems():
    chosen = [f for f in registry.figures().values() if f.in_smoke]
    assert len(chosen) == 1
    assert sum(SYSTEMS[s].available for s in chosen[0].systems) >= 2


def test_pick__any_case_and_unknown():
    assert [f.id for f in registry.pick(["h1", "QUEUE", "H1"])] == ["H1", "queue"]
    with pytest.raises(UserError, match="X9"):
        registry.pick(["H1", "X9"])
