"""The figures of the claims checker, recomputed by runs/claims_figures.py from the files beside this one."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import pytest

FIGURES = runpy.run_path(str(Path(__file__).parents[2] / "runs/claims_figures.py"))
DATA = Path(os.environ.get("POSETALK_DATA", ""))


def test_phrases_of_models_are_understood() -> None:
    rows = list(FIGURES["phrases"]())
    assert len(rows) == 150
    assert sum(wanted == found for _, _, wanted, found in rows) >= 0.9 * len(rows)


def test_what_is_contradicted_is_false() -> None:
    found = FIGURES["sentences"]()
    assert found.total() == 200
    right, wrong = found[False, "contradicts"], found[True, "contradicts"]
    assert right >= 0.97 * (right + wrong)
    assert right >= 80 and found[True, "agrees"] >= 80 and found[False, "agrees"] <= 3


@pytest.mark.realdata
def test_human_captions_are_not_contradicted() -> None:
    folder = DATA / "coco_val2017_text"
    names = folder / "person_keypoints_val2017.json", folder / "captions_val2017.json"
    verdicts = [what for _, _, what in FIGURES["human"](*names, 1000)]
    assert len(verdicts) == 1000 and verdicts.count("contradicts") == 0 and verdicts.count("agrees") > 20


@pytest.mark.realdata
def test_captions_that_name_something_make_claims() -> None:
    named, claiming = FIGURES["named"](DATA / "coco_people/annotations/captions_val2017.json")
    assert named == 273 and claiming >= 0.75 * named
