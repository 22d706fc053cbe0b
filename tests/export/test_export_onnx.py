"""An exported network answers what `Localizer` answers, and says of itself all that is needed to use it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from tests.export.crops import BOXES, FEET, PHOTO, crops_of, run
from tests.model.architectures import tiny_parts

from posetalk.cli import main
from posetalk.errors import PosetalkError
from posetalk.export import run as exporting
from posetalk.export.network import PoseNetwork
from posetalk.export.precision import store
from posetalk.export.run import export_onnx
from posetalk.locate.localizer import Localizer
from posetalk.model.files import build, save
from posetalk.settings import CropSettings
from posetalk.skeleton import Keypoint, load_skeleton

SENTENCE = ["left thumb: the tip of the left hand's thumb"]


@pytest.fixture(scope="module")
def localizer() -> Localizer:
    return Localizer.from_pretrained("bundled", engine="torch", device="cpu")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of two layers with random weights."""
    folder = tmp_path_factory.mktemp("small")
    save(*build(tiny_parts(folder, "siglip", "llama", readout="point", reading="once")), folder / "model")
    return folder / "model"


def check(network: Path, localizer: Localizer, keypoints: object, people: int) -> None:
    """Same crops, same answers: places and deviations within 1e-3 px of the crop, scores within 1e-4."""
    boxes = BOXES[:people]
    squares, crops, sizes = crops_of(PHOTO, boxes, localizer.crop)
    found = run(network, crops, sizes)
    expected = localizer.set_image(PHOTO).locate(boxes, keypoints)  # type: ignore[arg-type]
    assert found["xy"].shape == expected.xy.shape == (people, len(expected.names), 2)
    for person, square in enumerate(squares):
        scale = square.side / square.size
        np.testing.assert_allclose(found["xy"][person], square.to_crop(expected.xy[person]), atol=1e-3)
        np.testing.assert_allclose(found["std"][person], expected.std[person] / scale, atol=1e-3)
    np.testing.assert_allclose(found["score"], expected.score, atol=1e-4)
    assert ((found["visible"] > 0.5) == expected.visible).all()


@pytest.mark.parametrize("people", [1, 3, 8])
def test_six_keypoints_of_a_file(feet: Path, localizer: Localizer, people: int) -> None:
    check(feet / "fp32.onnx", localizer, feet / "feet.toml", people)


def test_a_built_in_skeleton(coco17: Path, localizer: Localizer) -> None:
    check(coco17, localizer, "coco17", 3)


def test_a_sentence(localizer: Localizer, tmp_path: Path) -> None:
    check(export_onnx(tmp_path / "a.onnx", SENTENCE), localizer, SENTENCE, 3)


@pytest.mark.parametrize(
    ("vision", "text", "reading"),
    [("registers", "qwen3", "once"), ("siglip", "llama", "inline"), ("dinov3 convnext", "smollm3", "inline")],
)
def test_other_architectures_and_questions_behind_the_image(
    vision: str, text: str, reading: str, tmp_path: Path
) -> None:
    model, tokenizer = build(tiny_parts(tmp_path, vision, text, readout="point", reading=reading))
    with torch.no_grad():  # random weights whose heat maps differ from person to person
        model.point.query.weight.mul_(20)
    save(model, tokenizer, tmp_path / "model")
    points = ["nose", "left heel: the back of the left foot", "chin"]
    network = export_onnx(tmp_path / "a.onnx", points, model=tmp_path / "model")
    check(network, Localizer(model, tokenizer, readout="point"), points, 3)


def test_half_precision_is_that_of_the_bundled_weights(feet: Path, tmp_path: Path) -> None:
    model, half = onnx.load(feet / "fp32.onnx"), tmp_path / "half.onnx"
    store(model, "fp16")
    half.write_bytes(model.SerializeToString())
    size, whole = half.stat().st_size, (feet / "fp32.onnx").stat().st_size
    assert size < 0.55 * whole
    _, crops, sizes = crops_of(PHOTO, BOXES[:2], CropSettings(size=256, padding=1.25))
    exact, halved = (run(network, crops, sizes) for network in (feet / "fp32.onnx", half))
    for name in exact:
        np.testing.assert_allclose(halved[name], exact[name], atol=1e-4)


def test_eight_bits_stay_close(feet: Path) -> None:
    assert (feet / "int8.onnx").stat().st_size < 0.33 * (feet / "fp32.onnx").stat().st_size
    _, crops, sizes = crops_of(PHOTO, BOXES, CropSettings(size=256, padding=1.25))
    exact, rounded = (run(feet / f"{name}.onnx", crops, sizes) for name in ("fp32", "int8"))
    away = np.linalg.norm(exact["xy"] - rounded["xy"], axis=-1)
    assert 0 < np.median(away) < 1 and np.median(abs(exact["score"] - rounded["score"])) < 0.01


def test_the_file_says_what_it_is(feet: Path) -> None:
    model = onnx.load(feet / "int8.onnx")
    about = {entry.key: entry.value for entry in model.metadata_props}
    skeleton = load_skeleton(feet / "feet.toml")
    points = [{"name": p.name, "sentence": p.sentence, "sigma": p.sigma} for p in skeleton.keypoints]
    assert json.loads(about["keypoints"]) == points
    assert json.loads(about["limbs"]) == [list(limb) for limb in skeleton.limbs]
    assert json.loads(about["crop"]) == {"size": 256, "padding": 1.25, "clip_box": False}
    assert "1.25 times" in about["preprocessing"] and "side / size" in about["postprocessing"]
    assert about["precision"] == "int8" and about["model"] == "bundled"
    assert len(about["model_fingerprint"]) == 16 and "research" in about["license"]
    shapes = {
        value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {
        "image": ["people", 256, 256, 3],
        "box": ["people", 2],
        "xy": ["people", 6, 2],
        "score": ["people", 6],
        "std": ["people", 6, 2],
        "visible": ["people", 6],
    }
    assert {node.domain for node in model.graph.node} == {""}  # what every runtime has
    data = (feet / "int8.onnx").read_bytes()
    assert str(Path(exporting.__file__).parents[2]).encode() not in data


def test_the_command_is_the_function(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "feet.toml").write_text(FEET)
    by_function = export_onnx(tmp_path / "a.onnx", tmp_path / "feet.toml", model=small, precision="fp16")
    out = str(tmp_path / "b.onnx")
    options = ["--skeleton", str(tmp_path / "feet.toml"), "--model", str(small), "--precision", "fp16"]
    with pytest.raises(SystemExit) as stop:
        main(["export-onnx", *options, "--out", out])
    assert stop.value.code == 0 and Path(out).read_bytes() == by_function.read_bytes()
    assert "b.onnx: 6 keypoints, fp16, 0." in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main(["export-onnx", *options, "--ask", SENTENCE[0], "--out", out])
    assert stop.value.code == 0 and "7 keypoints" in capsys.readouterr().out


def test_clipped_boxes_are_described(tmp_path: Path) -> None:
    settings = tiny_parts(tmp_path, "siglip", "llama", readout="point")
    save(
        *build(settings.model_copy(update={"crop": CropSettings(size=64, clip_box=True)})), tmp_path / "model"
    )
    network = export_onnx(tmp_path / "a.onnx", SENTENCE, model=tmp_path / "model", limbs=[(0, 0)])
    about = {entry.key: entry.value for entry in onnx.load(network).metadata_props}
    assert "Clip the box" in about["preprocessing"] and json.loads(about["crop"])["clip_box"]
    assert about["model"] == "model" and about["limbs"] == "[[0, 0]]" and "see its card" in about["license"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"out": "feet.bin"}, "give a name that ends in .onnx"),
        ({"precision": "int4"}, "choose fp32, fp16, int8"),
        ({"keypoints": ["lft knee"]}, "did you mean left knee"),
        ({"keypoints": []}, "no keypoints to look for"),
        ({"model": "nowhere/at/all"}, "nowhere"),
        ({"out": "missing.onnx/a.onnx"}, "cannot write"),
    ],
)
def test_bad_input(options: dict[str, object], words: str, small: Path, tmp_path: Path) -> None:
    (tmp_path / "missing.onnx").touch()
    given = {"out": "a.onnx", "keypoints": SENTENCE, "model": small} | options
    given["out"] = tmp_path / str(given["out"])
    with pytest.raises(PosetalkError, match=words):
        export_onnx(**given)  # type: ignore[arg-type]
    assert {file.name for file in tmp_path.iterdir()} == {"missing.onnx"}


def test_digits_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(PosetalkError, match="answers with digits alone"):
        export_onnx(tmp_path / "a.onnx", SENTENCE, model=tiny_model)


def test_too_large_a_model_is_refused(small: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(exporting, "LIMIT", 100_000)
    with pytest.raises(PosetalkError, match="million weights, and an ONNX file holds 2 GB"):
        export_onnx(tmp_path / "a.onnx", SENTENCE, model=small)


def test_what_onnx_cannot_hold_is_refused(
    small: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    forward = PoseNetwork.forward

    def unknown(self: PoseNetwork, image: torch.Tensor, box: torch.Tensor) -> object:
        xy, score, std, visible = forward(self, image, box)
        return xy, torch.special.i0e(score), std, visible

    def of_two(self: PoseNetwork, image: torch.Tensor, box: torch.Tensor) -> object:
        xy, score, std, visible = forward(self, image, box)
        return xy, score * len(image), std, visible  # a constant, once it is traced

    for broken, words in ((unknown, "i0e"), (of_two, "for 1 people, scores differ by")):
        monkeypatch.setattr(PoseNetwork, "forward", broken)
        with pytest.raises(PosetalkError, match=f"has a part that ONNX cannot hold: .*{words}"):
            export_onnx(tmp_path / "a.onnx", [Keypoint("nose")], model=small)
    assert not (tmp_path / "a.onnx").exists()
    assert "graph(" not in capfd.readouterr().out
