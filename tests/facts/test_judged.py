"""What was said of people in real photos, against judgements made by looking at them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from runs.facts_judged import count_trunks, count_uses, count_verdicts, scenes_of


@pytest.mark.realdata
def test_facts_of_people_who_were_looked_at() -> None:
    scenes = scenes_of(Path(os.environ["POSETALK_DATA"]))
    counts, found = count_verdicts(scenes)
    of = {
        verdict: sum(n for (_, v), n in counts.items() if v == verdict)
        for verdict in ("right", "wrong", "misleading", "not judged")
    }
    decided = of["right"] + of["wrong"] + of["misleading"]
    assert decided > 700 and of["not judged"] < 0.05 * decided
    assert of["right"] + of["misleading"] >= 0.97 * decided and of["right"] >= 0.93 * decided
    assert found[True] >= 0.6 * found.total()
    uses = count_uses(scenes)
    assert uses.total() == 52 and uses[True] >= 0.8 * uses.total()
    trunks = count_trunks(scenes)
    assert trunks.total() == 100 and trunks["right"] >= 0.95 * (trunks["right"] + trunks["wrong"])
