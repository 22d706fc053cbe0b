"""The guide's own recipe trains the bundled model further; what it had learned is never called unseen."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from PIL import Image
from skimage import data
from tests.hub.hub import faults_of

from posetalk.cli import main
from posetalk.errors import PosetalkError
from posetalk.hub.push import upload_of
from posetalk.model.adapters import set_trainable, trainable_parameters, with_default_tuning
from posetalk.model.files import build, load
from posetalk.model.fingerprint import weights_fingerprint
from posetalk.resources import BUNDLED
from posetalk.settings import DataSettings, ModelSettings, TrainSettings, Tuning
from posetalk.skeleton import Keypoint, Skeleton, load_skeleton
from posetalk.train.card import KnownKeypoints

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "train.md"
# The astronaut's face, shoulders and arms, by eye; the rest is outside of the photo.
SEEN = {
    "nose": (229, 110), "left eye": (245, 97), "right eye": (211, 97), "left ear": (267, 108),
    "right ear": (196, 108), "left shoulder": (325, 245), "right shoulder": (133, 263), "left elbow": (393, 420),
}  # fmt: skip


def recipe() -> dict[str, object]:
    """The first TOML of the guide that starts from the bundled model."""
    [text] = [
        t for t in re.findall(r"```toml\n(.*?)```", GUIDE.read_text(), re.DOTALL) if 'start = "bundled"' in t
    ]
    return tomllib.loads(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The guide's recipe for one person of a real photo, in COCO's form."""
    (tmp_path / "mine" / "photos").mkdir(parents=True)
    photo = data.astronaut()
    Image.fromarray(photo).save(tmp_path / "mine" / "photos" / "1.jpg")
    points = [(*SEEN.get(name, (0, 0)), 2 * (name in SEEN)) for name in load_skeleton("coco17").names]
    person = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "bbox": [40, 15, 420, 495],
        "area": 110_000,
        "iscrowd": 0,
    }
    labels = {
        "images": [{"id": 1, "file_name": "1.jpg", "width": 512, "height": 512}],
        "annotations": [person | {"keypoints": np.ravel(points).tolist(), "num_keypoints": len(SEEN)}],
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "mine" / "labels.json").write_text(json.dumps(labels))
    return tmp_path


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return int(stop.value.code or 0)


def test_the_guides_recipe_and_what_the_model_had_learned(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    few = {
        "batch_size": 2,
        "per_device_batch_size": 2,
        "num_workers": 0,
    }  # as the guide says, but for how much of it
    assert recipe().keys() == {"start", "max_steps", "batch_size", "per_device_batch_size", "data"}
    (folder / "mine.toml").write_text(tomli_w.dumps(recipe() | few))
    words = [
        "train",
        "mine.toml",
        "--out",
        "out",
        "--max-steps",
        2,
        "--without-keypoints",
        "left knee, right knee",
    ]
    assert run(*words) == 0
    mark = f"bundled (weights {weights_fingerprint(BUNDLED)})"
    warning = f"{mark} has learned left knee, right knee before"
    assert f"note: {warning}" in capsys.readouterr().out
    card = Path("out/README.md").read_text()
    assert f"- Started from: {mark}" in card and warning in card
    before, after = load("bundled")[0], load("out")[0]
    assert "- Keypoints (15)" in card and f"- Learned before ({len(before.config.keypoints)})" in card
    assert not re.search("language_model 0|connector 0|readout 0", card) and "vision_encoder 0" in card
    assert after.config.keypoints == before.config.keypoints and after.config.readout == "point"
    # connector, readout and language model have learned, the tower has not
    changed = {name for name, w in after.state_dict().items() if not w.equal(before.state_dict()[name])}
    assert {name.split(".")[1] for name in changed} >= {"multi_modal_projector", "language_model"}
    assert not any("vision_tower" in name for name in changed)

    # calibration keeps what is known, and where it came from
    given = ["--annotations", "mine/labels.json", "--images", "mine/photos"]
    assert run("calibrate", "out", "calibrated", *given) == 0
    assert load("calibrated")[0].config.keypoints == before.config.keypoints
    card = Path("calibrated/README.md").read_text()
    assert f"out (weights {weights_fingerprint(Path('out'))}), calibrated" in card and "left knee" in card
    for folder in ("out", "calibrated"):
        assert faults_of(Path(folder, "README.md").read_text(), "model") == []
        assert "model.safetensors" in upload_of(folder).files
    assert run("evaluate", "--model", "calibrated", *given, "--out", "report") == 0
    report = "".join(p.read_text() for p in Path("report").glob("report*") if p.suffix in (".json", ".md"))
    assert report and "unseen" not in report


KNEES = Skeleton("two", (Keypoint("left knee", mirror="nose"), Keypoint("nose", mirror="left knee")))


@pytest.mark.parametrize(
    ("start", "before", "without", "known", "again"),
    [
        (None, None, (), ["left knee", "nose"], ()),
        (None, None, ("nose",), ["left knee"], ()),
        (None, ["left knee"], (), ["left knee", "nose"], ()),  # of the class's default, not of a start
        ("x", ["chin"], (), ["chin", "left knee", "nose"], ()),
        ("x", ["chin"], ("nose",), ["chin", "left knee"], ()),
        ("x", ["chin", "nose"], ("nose",), ["chin", "nose", "left knee"], ("nose",)),
        ("x", [], ("nose",), ["left knee"], ()),
        ("x", None, ("nose",), None, ()),  # nobody knows: nothing is called unseen
    ],
)
def test_keypoints_along_a_models_history(
    start: str | None,
    before: list[str] | None,
    without: tuple[str, ...],
    known: list[str] | None,
    again: tuple[str, ...],
) -> None:
    data = DataSettings(annotations="a", images="b")
    settings = TrainSettings(data=(data,), start=start, without_keypoints=without)
    learned = KnownKeypoints.of(settings, before, [KNEES])
    assert (learned.known, learned.again) == (known, again)


def test_other_names_are_known_by_themselves() -> None:
    data = DataSettings(annotations="a", images="b")
    settings = TrainSettings(data=(data,), model=ModelSettings(), without_keypoints=("nose",))
    keypoints = (Keypoint("navel", synonyms=("belly button", "chin")), Keypoint("chin"))
    nose = Keypoint("nose", synonyms=("snout",))
    learned = KnownKeypoints.of(settings, None, [Skeleton("s", (*keypoints, nose), ())] * 2)
    assert (learned.names, learned.synonyms) == (("navel", "chin"), ("belly button",))


@pytest.mark.parametrize(
    ("given", "trained"),
    [
        ({}, {"language_model"}),  # LoRA where there are layers for it
        ({"tune_vision_encoder": "frozen"}, {"language_model"}),
        ({"tune_vision_encoder": "layers", "tune_language_model": "frozen"}, {"vision_encoder"}),
        ({"tune_language_model": "layers"}, {"language_model"}),
    ],
)
def test_what_is_tuned_of_a_saved_model_needs_no_towers_names(
    given: dict[str, Tuning], trained: set[str]
) -> None:
    model, _ = load("bundled")
    counts = trainable_parameters(set_trainable(model, with_default_tuning(model, ModelSettings(**given))))
    assert {name for name, count in counts.items() if count} == {"connector", "readout", *trained}


def test_a_network_from_nothing_needs_them() -> None:
    with pytest.raises(PosetalkError, match="name both, vision_encoder and language_model"):
        build(ModelSettings(vision_encoder="x"))
