"""Others' predictions beside a model's own: told apart by name, and none takes a column's or a source's."""

from __future__ import annotations

from pathlib import Path

import pytest

from posetalk.errors import PosetalkError
from posetalk.locate.predictions import GROUND_TRUTH, MODEL, Prediction, PredictionLog
from posetalk.score.run import _box_source, _others
from posetalk.types import Box, frozen_array


def test_runs_that_all_hold_a_predictions_file_are_told_apart(tmp_path: Path) -> None:
    files = [
        tmp_path / name
        for name in ("a/run/predictions.jsonl", "b/run/predictions.jsonl", "baseline.jsonl", "c.jsonl")
    ]
    for n, file in enumerate(files, 1):
        one = Prediction(n, 1, "a.jpg", Box(0, 0, 9, 9), GROUND_TRUTH, ("nose",), frozen_array([[1, 2, 0.5]]))
        with PredictionLog(file) as log:
            log.add([one])
    files[3].write_bytes(files[3].read_bytes() + b'{"image')
    found, told = _others(files)
    numbers = {name: some[0].image_id for name, some in found.items()}
    assert numbers == {"a/run/predictions": 1, "b/run/predictions": 2, f"{tmp_path.name}/baseline": 3, "c": 4}
    assert len(told) == 1 and "cut off" in told[0]
    with pytest.raises(PosetalkError, match="given twice"):
        _others([files[0], files[0]])


def test_a_file_of_boxes_passes_for_no_other_source() -> None:
    assert _box_source(Path("deep/detector.json")) == "detector.json"
    assert not {_box_source(Path(name)) for name in (MODEL, GROUND_TRUTH)} & {MODEL, GROUND_TRUTH}
