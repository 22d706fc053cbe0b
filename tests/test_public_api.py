"""What `import posetalk` gives: every name typed, documented, and used as a stranger would."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import skimage

import posetalk

SCRIPT = Path(__file__).parent / "user_script.py"
TUTORIALS = Path(__file__).parent.parent / "docs" / "tutorials"
FUNCTIONS = [name for name in posetalk.__all__ if inspect.isfunction(getattr(posetalk, name))]


def test_both_halves_are_there() -> None:
    assert {"Detector", "Localizer", "train_model", "evaluate_model", "calibrate", "convert"} <= set(
        posetalk.__all__
    )
    assert {"pose_facts", "check_text", "write_dataset", "screen_dataset"} <= set(posetalk.__all__)
    assert {"export_dataset", "tune_model", "Chat", "answer_benchmark"} <= set(posetalk.__all__)
    assert {"judge_benchmark", "report_benchmark", "push_to_hub"} <= set(posetalk.__all__)
    lower = [name.lower() for name in posetalk.__all__]
    assert len(lower) == len(set(lower))  # no two names that differ in case alone
    for (
        name
    ) in posetalk.__all__:  # a function of the name of a part would be hidden by it, once it is imported
        assert not (Path(posetalk.__file__).parent / name).is_dir(), name


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_typed_and_documented(name: str) -> None:
    function = getattr(posetalk, name)
    signature, text = inspect.signature(function), inspect.getdoc(function) or ""
    assert signature.return_annotation is not signature.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not parameter.empty, parameter.name
        assert f"{parameter.name}:" in text, f"{parameter.name} is not described"
    assert "Args:" in text or not signature.parameters
    assert "Returns:" in text or "Yields:" in text or signature.return_annotation in (None, "None")


@pytest.mark.parametrize("name", [name for name in posetalk.__all__ if name not in FUNCTIONS])
def test_classes_are_documented(name: str) -> None:
    kind = getattr(posetalk, name)
    if inspect.isclass(kind):
        assert kind.__doc__ and not kind.__doc__.startswith(f"{name}(")


def test_a_users_script_runs(tmp_path: Path) -> None:
    photo = Path(skimage.__path__[0]) / "data" / "camera.png"
    files = [str(TUTORIALS / name) for name in ("people.json", "captions.json")]
    run = [sys.executable, str(SCRIPT), str(photo), *files, str(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
