"""What a caller gives `Localizer`: taken, or refused in one sentence before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest

from posetalk.errors import PosetalkError
from posetalk.locate.localizer import Localizer
from posetalk.skeleton import Keypoint, load_skeleton, parse_keypoints
from posetalk.types import Box, Poses

NOISE = np.random.default_rng(0).integers(0, 255, (80, 120, 3), dtype=np.uint8)
BOX = Box(10, 10, 40, 60)
NOSE = ["nose"]


@pytest.fixture(scope="module")
def looking(tiny_model: Path) -> Localizer:
    found = Localizer.from_pretrained(tiny_model, device="cpu")
    found._engine.trained_keypoints = NOSE  # by which a person without a box is found
    return found


ASKED = {
    "a keypoint's name": ("chin", ["chin"]),
    "a keypoint": ("left heel: the back of the left foot", ["left heel"]),
    "one object": (Keypoint("chin"), ["chin"]),
    "a built-in": ("lsp14", list(load_skeleton("lsp14").names)),
    "a skeleton": (load_skeleton("lsp14"), list(load_skeleton("lsp14").names)),
    "a generator": ((name for name in ("chin", "nose")), ["chin", "nose"]),
    "a word like none": ("tongue", ["tongue"]),
}


@pytest.mark.parametrize(("asked", "names"), ASKED.values(), ids=ASKED)
def test_what_can_be_asked(asked: object, names: list[str]) -> None:
    assert [point.name for point in parse_keypoints(asked)] == names  # type: ignore[arg-type]


REFUSED = {
    "coco-17": ("coco-17", "no skeleton 'coco-17'; did you mean coco17"),
    "capitals": ("COCO 17", "did you mean coco17"),
    "another number": ("coco18", "did you mean coco17"),
    "no number": ("mpii", "did you mean mpii16"),
    "no file": ("gone.toml", "cannot read the skeleton"),
    "a skeleton in a list": (["coco17", "chin"], "'coco17' is a skeleton among single keypoints"),
    "nothing": ([], "no keypoints to look for"),
    "empty": ("", "a keypoint needs a name"),
    "blank in a list": ([" "], "a keypoint needs a name"),
    "a number": (17, "not 17"),
    "numbers": ([1, 2], "a keypoint is a Keypoint or a string"),
    "half a character": (["left \udce9"], "no text; write it in UTF-8"),
    "a book": (
        ["chin: " + "the lowest point of the face " * 200],
        r"'chin' is described in \d+ tokens.*takes 2048",
    ),
    "a long name": (["x" * 3000], r"described in \d+ tokens"),
}


@pytest.mark.parametrize(("asked", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_asked(asked: object, says: str, looking: Localizer) -> None:
    read: list[int] = []
    pictures = ((read.append(1), (NOISE, None))[1] for _ in range(3))
    for ask in (
        lambda: looking.set_image(NOISE).locate([BOX], asked),
        lambda: looking.locate_all(pictures, asked),
    ):  # type: ignore[arg-type]
        with pytest.raises(PosetalkError, match=says) as caught:
            ask()
        assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)
    assert not read  # refused before anything is read


@pytest.mark.parametrize(
    "boxes",
    [BOX, [BOX], BOX.xywh, list(BOX.xywh), [BOX.xywh], np.array(BOX.xywh), np.float32([BOX.xywh]), (b for b in [BOX])],
    ids=["Box", "boxes", "tuple", "list", "tuples", "array", "float32", "generator"],
)  # fmt: skip
def test_one_box_or_a_list_of_them(boxes: object, looking: Localizer) -> None:
    (found,) = looking.locate_all([(NOISE, boxes)], NOSE)  # type: ignore[list-item]
    assert isinstance(found, Poses) and found.boxes == (BOX,)
    if not hasattr(boxes, "__next__"):
        assert looking.set_image(NOISE).locate(boxes, NOSE).boxes == (BOX,)  # type: ignore[arg-type]


BOXES = {
    "nan": ((float("nan"), 0, 1, 1), "not finite"),
    "no area": ((0, 0, 0, 1), "no area"),
    "three": ([(1, 2, 3)], "four numbers"),
    "flat": ((1, 2, 3), "four numbers"),
    "words": ("10,20,30,40", "four numbers"),
    "a number": (5, "four numbers"),
    "nothing in it": ([None], "four numbers"),
    "outside": ((500, 0, 10, 10), "lies outside the image of 120 x 80 px"),
    "huge": ((0, 0, 1e200, 1e200), "far too large"),
    "tiny": ((5, 5, 1e-9, 1e-9), "positive side"),
}


@pytest.mark.parametrize(("boxes", "says"), BOXES.values(), ids=BOXES)
def test_a_wrong_box_is_one_sentence_and_the_other_pictures_go_on(
    boxes: object, says: str, looking: Localizer
) -> None:
    with pytest.raises(PosetalkError, match=says):
        looking.set_image(NOISE).locate(boxes, NOSE)  # type: ignore[arg-type]
    first, wrong, last = looking.locate_all([(NOISE, BOX), (NOISE, boxes), (NOISE, BOX)], NOSE)  # type: ignore[list-item]
    assert isinstance(wrong, PosetalkError) and isinstance(first, Poses) and isinstance(last, Poses)


def test_arrays_of_grey_and_rgba(looking: Localizer) -> None:
    grey = NOISE[..., 0]
    three = looking.set_image(np.repeat(grey[..., None], 3, 2)).locate(BOX, NOSE)
    solid = np.concatenate([NOISE, np.full((80, 120, 1), 255, np.uint8)], 2)
    for array, same in (
        (grey, three),
        (grey[..., None], three),
        (solid, looking.set_image(NOISE).locate(BOX, NOSE)),
    ):
        np.testing.assert_array_equal(looking.set_image(array).locate(BOX, NOSE).xy, same.xy)
    looking.set_image(NOISE[:, ::-1, ::-1]).locate(BOX, NOSE)  # another order in memory
    for wrong in (NOISE / 255, NOISE.astype(np.int64), NOISE[..., :2], NOISE[None]):
        with pytest.raises(PosetalkError, match=r"the array has shape .*give \(height, width, 3\) uint8 RGB"):
            looking.set_image(wrong)


def test_numpy_numbers_are_numbers() -> None:
    assert Localizer.from_pretrained(batch_size=np.int64(4)).batch_size == 4


OPTIONS = {
    "batch 0": ({"batch_size": 0}, "batch_size is the number of people at a time, 1 or more, not 0"),
    "batch half": ({"batch_size": 0.5}, "not 0.5"),
    "readout": ({"readout": "foo"}, "no readout 'foo'; choose digits or point"),
    "decoding": ({"decoding": "foo"}, "no decoding 'foo'; choose greedy or expected"),
    "no point": ({"readout": "point"}, "no readout 'point'"),
    "device": ({"device": "foo"}, "the device 'foo' cannot be used"),
    "a device that is not there": ({"device": "cuda:77"}, "the device 'cuda:77' cannot be used"),
    "a device and a map": ({"device": "cpu", "device_map": "auto"}, "one device or by a device_map"),
    "dtype": ({"dtype": "int4"}, "there is no dtype 'int4' of weights; choose float32, bfloat16 or float16"),
    "a device without numbers": ({"device": "meta"}, "the device 'meta' cannot be used"),
}


@pytest.mark.parametrize(("options", "says"), OPTIONS.values(), ids=OPTIONS)
def test_wrong_options(options: dict[str, object], says: str, tiny_model: Path) -> None:
    with pytest.raises(PosetalkError, match=says) as caught:
        Localizer.from_pretrained(tiny_model, **options)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value)


@pytest.mark.parametrize("readout", ["digits", "point"])
def test_dtype_and_device_change_the_last_decimals_alone(readout: Any, tmp_path: Path) -> None:
    exact, auto, coarse = (
        Localizer.from_pretrained(readout=readout, **options).set_image(NOISE).locate(BOX, "coco17")  # type: ignore[arg-type]
        for options in ({"engine": "torch"}, {"device": "auto"}, {"dtype": "bfloat16"})
    )
    np.testing.assert_array_equal(auto.xy, exact.xy)
    moved = np.median(np.abs(coarse.xy - exact.xy))  # in noise, one place may be as good as another far away
    assert 0 < moved < 0.1 * max(BOX.w, BOX.h)


@pytest.mark.parametrize("preset", ["posellm-7b", "locllm-7b"])
def test_a_preset_is_no_model(preset: str) -> None:
    with pytest.raises(PosetalkError, match=f"{preset} is a recipe without weights.*train --preset {preset}"):
        Localizer.from_pretrained(preset)


def test_a_misspelt_name_is_told_the_near_ones(looking: Localizer) -> None:
    found = looking.set_image(NOISE).locate(BOX, ["left heel", "right heel", "chin"])
    for ask in (lambda: found["left heal"], lambda: load_skeleton("coco17")["left ancle"]):
        for kind in (KeyError, PosetalkError):
            with pytest.raises(kind, match=r"did you mean 'left (heel|ankle)'") as caught:
                ask()
            assert not str(caught.value).startswith(("'", '"'))
    with pytest.raises(KeyError, match="no keypoint 0 was asked for; there are: left heel"):
        found[0]  # type: ignore[index]


def in_threads(work: Callable[[int], object], count: int) -> list[object]:
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(work, range(count)))


def test_threads_get_their_own_answers(looking: Localizer) -> None:
    rng = np.random.default_rng(5)
    pictures = [rng.integers(0, 255, (60 + 7 * n, 90, 3), dtype=np.uint8) for n in range(4)]
    alone = [looking.set_image(picture).locate(None, NOSE, whole_image=True) for picture in pictures]
    start = Barrier(4)

    def work(n: int) -> list[Poses]:
        start.wait()
        found = []
        for _ in range(4):
            looking.set_image(pictures[n])
            found += [
                looking.locate(None, NOSE, whole_image=True),
                *looking.locate_all([(pictures[n], None)], NOSE, whole_image=True),
            ]  # type: ignore[list-item]
        return found

    for n, answers in enumerate(in_threads(work, 4)):
        for one in answers:  # type: ignore[attr-defined]
            np.testing.assert_allclose(one.xy, alone[n].xy, atol=1e-6)


def test_a_thread_without_a_picture_asks_about_that_of_the_maker(looking: Localizer) -> None:
    expected = looking.set_image(NOISE).locate(BOX, NOSE)
    for found in in_threads(lambda _: looking.locate(BOX, NOSE), 3):
        np.testing.assert_allclose(found.xy, expected.xy, atol=1e-6)  # type: ignore[attr-defined]

    def other(_: int) -> object:
        return looking.set_image(NOISE[:50]).image.shape

    assert in_threads(other, 1) == [(50, 120, 3)] and looking.image.shape == (80, 120, 3)


@pytest.mark.parametrize("name", ["left_knee", "lft knee", "Left Knee", "letf ankle", "right sholder"])
def test_a_name_that_is_nearly_a_known_one_is_asked_back(name: str, tiny_model: Path) -> None:
    localizer = Localizer.from_pretrained(tiny_model)
    with pytest.raises(PosetalkError, match=r"did you mean (left|right) (knee|ankle|shoulder)"):
        localizer.questions([name])
    assert localizer.questions(
        [f"{name}: where the shin begins", "left heel", "chin", "middle of the left forearm"]
    )
