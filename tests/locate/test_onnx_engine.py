"""The bundled model in ONNX Runtime against the same model in torch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.test_extras import CORE, without
from transformers import AutoTokenizer

from posetalk import Box, Localizer, Poses, PosetalkError
from posetalk.locate import decode
from posetalk.locate.onnx_engine import settle
from posetalk.model.files import load, save
from posetalk.model.fingerprint import write_sums
from posetalk.prompt.file_tokenizer import FileTokenizer
from posetalk.resources import BUNDLED
from posetalk.skeleton import load_skeleton, parse_keypoints

DATA = Path(os.environ.get("POSETALK_DATA", "absent")) / "coco_people"
SENTENCES = ["navel: the belly button, in the middle of the belly", "left heel: the back of the left foot"]
POINTS = (*load_skeleton("coco17").keypoints, *parse_keypoints(SENTENCES))
PHOTOS = 24
NOISE = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
BOXES = [Box(10, 20, 100, 200), Box(150, 30, 90, 250), Box(-20, 100, 200, 150)]


@pytest.fixture(scope="module")
def engines() -> dict[str, Localizer]:
    return {name: Localizer.from_pretrained(engine=name) for name in ("onnx", "torch")}  # type: ignore[arg-type]


def assert_equal(found: Poses, expected: Poses) -> None:
    assert np.abs(found.xy - expected.xy).max() < 1e-3
    assert np.abs(found.score - expected.score).max() < 1e-4
    assert found.std is not None and expected.std is not None
    assert np.abs(found.std - expected.std).max() < 1e-2
    assert np.array_equal(found.visible, expected.visible)  # type: ignore[arg-type]


@pytest.mark.realdata
def test_real_people_get_the_same_answers(engines: dict[str, Localizer]) -> None:
    labels = json.loads((DATA / "annotations" / "person_keypoints_val2017.json").read_text())
    boxes: dict[int, list[list[float]]] = defaultdict(list)
    for person in labels["annotations"]:
        boxes[person["image_id"]].append(person["bbox"])
    images = labels["images"][:PHOTOS]
    assert sum(len(boxes[image["id"]]) for image in images) > PHOTOS
    for image in images:
        answers = [
            engines[name].set_image(DATA / "val2017" / image["file_name"]).locate(boxes[image["id"]], POINTS)
            for name in ("onnx", "torch")
        ]
        assert_equal(*answers)


def test_opened_images_and_their_heat_maps(engines: dict[str, Localizer]) -> None:
    """Images of several callers, encoded together, get the answers that each gets alone; maps are of both engines."""
    maps = []
    for localizer in engines.values():
        localizer.flip_test = False
        images = [NOISE, np.ascontiguousarray(NOISE[:, ::-1])]
        opened = [localizer.open(image, BOXES[: n + 1]) for n, image in enumerate(images)]
        localizer.encode(opened)
        for n, (image, pixels) in enumerate(zip(opened, images, strict=True)):
            together = localizer.locate_opened(image, POINTS[: n + 3])
            assert_equal(together, localizer.set_image(pixels).locate(BOXES[: n + 1], POINTS[: n + 3]))
        heat = localizer.heat_map(opened[0], BOXES[0], POINTS[1])
        assert heat.values.sum() == pytest.approx(1, abs=1e-5) and heat.side == 1.25 * 200
        assert (heat.x, heat.y) == (60 - heat.side / 2, 120 - heat.side / 2)
        maps.append(heat.values)
    assert np.abs(maps[0] - maps[1]).max() < 1e-5


@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize("people", [1, 2, 3])
@pytest.mark.parametrize("asked", [1, 6, len(POINTS)])
def test_any_number_of_people_and_questions(
    engines: dict[str, Localizer], flip_test: bool, people: int, asked: int
) -> None:
    answers = []
    for localizer in engines.values():
        localizer.flip_test, localizer.batch_size = flip_test, 2
        answers.append(localizer.set_image(NOISE).locate(BOXES[:people], POINTS[:asked]))
    assert_equal(*answers)


def test_a_crop_is_encoded_once(engines: dict[str, Localizer], monkeypatch: pytest.MonkeyPatch) -> None:
    localizer, calls = engines["onnx"], []
    encode = localizer._engine.encode
    monkeypatch.setattr(
        localizer._engine,
        "encode",
        lambda pixels, points: calls.append(len(pixels)) or encode(pixels, points=points),
    )
    localizer.flip_test, localizer.batch_size = False, 8
    localizer.set_image(NOISE)
    alone = localizer.locate(BOXES[:1], POINTS[:3])
    both = localizer.locate(BOXES[:2], POINTS)
    assert calls == [1, 1] and np.abs(both.xy[0, :3] - alone.xy[0]).max() < 1e-3


def test_threads_share_it(engines: dict[str, Localizer]) -> None:
    localizer = engines["onnx"]
    images = [np.roll(NOISE, 40 * n, 1) for n in range(4)]
    expected = [localizer.set_image(image).locate(BOXES, POINTS).xy for image in images]
    found: dict[int, np.ndarray] = {}

    def work(n: int) -> None:
        localizer.set_image(images[n])
        for _ in range(3):
            found[n] = localizer.locate(BOXES, POINTS).xy

    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(np.abs(found[n] - expected[n]).max() < 1e-3 for n in range(4))


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
def test_every_sentence_has_transformers_tokens(text: str) -> None:
    words = theirs()(text, add_special_tokens=False)["input_ids"]
    assert ours()(text, add_special_tokens=False)["input_ids"] == words
    skipped = {"skip_special_tokens": True}
    assert ours().decode(words, **skipped) == theirs().decode(words, **skipped)


@cache
def theirs() -> Any:
    return AutoTokenizer.from_pretrained(BUNDLED)


@cache
def ours() -> FileTokenizer:
    return FileTokenizer(BUNDLED)


def test_prompts_are_the_same(engines: dict[str, Localizer]) -> None:
    one, other = (localizer.conversation for localizer in engines.values())
    assert one.prefix == other.prefix and one.answer == other.answer
    assert [one.question(point) for point in POINTS] == [other.question(point) for point in POINTS]
    assert one.question_token == other.question_token
    assert ours().unk_token_id == theirs().unk_token_id and ours().bos_token_id == theirs().bos_token_id
    assert ours().convert_tokens_to_ids("no such token") == theirs().convert_tokens_to_ids("no such token")


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 30), st.floats(0.005, 0.3))
def test_heat_maps_give_places_that_are_as_good(seed: int, sharpness: float, scale: float) -> None:
    draw = np.random.default_rng(seed)
    logits = (draw.normal(size=(2, 3, 256)) * sharpness).astype(np.float32)
    visible = draw.normal(size=(2, 3)).astype(np.float32)
    scales = np.full((2, 3), scale, np.float32)
    found = settle(logits, visible, scales)
    expected = decode.settle(*(torch.from_numpy(array) for array in (logits, visible, scales)))
    assert np.abs(found.score - expected.score.numpy()).max() < 1e-5
    assert expected.visible is not None and np.abs(found.visible - expected.visible.numpy()).max() < 1e-6


def test_it_is_chosen_where_nothing_needs_torch() -> None:
    assert Localizer.from_pretrained().engine == "onnx"
    assert Localizer.from_pretrained(BUNDLED, device="cpu", dtype="float32", threads=1).engine == "onnx"
    assert Localizer.from_pretrained(device=torch.device("cpu"), dtype=torch.float32).engine == "onnx"
    assert Localizer.from_pretrained(readout="digits").engine == "torch"
    assert Localizer.from_pretrained(dtype="bfloat16").engine == "torch"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"engine": "onnx", "readout": "digits"}, "'point' alone; use engine='torch'"),
        ({"engine": "onnx", "device": "cuda"}, "on the CPU in float32"),
        ({"engine": "onnx", "dtype": "bfloat16"}, "on the CPU in float32"),
        ({"engine": "onnx", "score": "locllm"}, "is of digits"),
        ({"engine": "jax"}, "there is no engine 'jax'"),
        ({"engine": "onnx", "name": "absent"}, "has no ONNX form"),
    ],
)
def test_what_it_cannot_do_is_refused(options: dict[str, str], sentence: str) -> None:
    with pytest.raises(PosetalkError, match=sentence):
        Localizer.from_pretrained(**options)  # type: ignore[arg-type]


def test_the_network_itself_is_torchs(engines: dict[str, Localizer]) -> None:
    assert engines["torch"].model.config.cells
    with pytest.raises(PosetalkError, match="engine='torch'"):
        _ = engines["onnx"].model


@pytest.mark.parametrize("name", ["model.safetensors", "point.onnx", "tokenizer.json", "config.json"])
def test_damaged_files_are_told(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(BUNDLED, folder)
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = b"\xff" * 64
    (folder / name).write_bytes(data)
    with pytest.raises(PosetalkError, match=r"get the model again|may be damaged"):
        Localizer.from_pretrained(folder, engine="onnx")


@pytest.mark.parametrize("sums", [True, False])
def test_graphs_of_other_weights_are_not_run(tmp_path: Path, sums: bool) -> None:
    folder, file = tmp_path / "model", tmp_path / "model" / "model.safetensors"
    shutil.copytree(BUNDLED, folder)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    if sums:
        write_sums(folder)
    else:
        (folder / "SHA256SUMS").unlink()
    with pytest.raises(PosetalkError, match="made for other weights"):
        Localizer.from_pretrained(folder)
    Localizer.from_pretrained(folder, engine="torch")


def test_a_saved_model_has_no_graphs_of_another(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(BUNDLED, folder)
    save(*load("bundled"), folder)
    assert not list(folder.glob("*.onnx")) and Localizer.from_pretrained(folder).engine == "torch"


def test_it_works_where_torch_is_not_installed(tmp_path: Path) -> None:
    Image.fromarray(NOISE).save(tmp_path / "noise.png")
    code = f"""
from posetalk import Localizer
localizer = Localizer.from_pretrained().set_image("noise.png")
print(localizer.locate([{BOXES[0].xywh}], ["left heel: the back of the left foot"]).xy.round(2).tolist())
"""
    expected = Localizer.from_pretrained(engine="torch").set_image(NOISE).locate(BOXES[:1], SENTENCES[1:])
    assert np.abs(np.array(json.loads(without(CORE, code, tmp_path))) - expected.xy).max() < 0.02


def test_nothing_is_told_to_the_maker_of_onnx_runtime(tmp_path: Path) -> None:
    """Its telemetry keeps an id of the machine in the home before it sends anything. In CI it is off by itself."""
    code = "import numpy, posetalk; posetalk.Detector()(numpy.zeros((64, 64, 3), numpy.uint8))"
    kept = {
        name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ
    }
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        env={**kept, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")},
    )
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
