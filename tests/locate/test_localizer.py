"""How people and questions are grouped changes no answer; whole answers are those of plain generation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from posetalk.errors import PosetalkError
from posetalk.images.affine import square_of
from posetalk.images.opening import cut, normalise
from posetalk.locate.decode import decode, prefill, read
from posetalk.locate.localizer import Localizer
from posetalk.model.files import conversation, load
from posetalk.prompt import coordinate
from posetalk.skeleton import Keypoint, load_skeleton
from posetalk.train.losses import forward_with_loss
from posetalk.train.packing import collate, pack
from posetalk.train.target import Target
from posetalk.types import Box

POINTS = load_skeleton("coco17").keypoints
NOISE = np.random.default_rng(0).integers(0, 255, (80, 120, 3), dtype=np.uint8)
NARROW = NOISE[:, :10]
BOXES = [(10, 10, 40, 60), (50, 5, 30, 70), (0, 0, 120, 80), (60, 20, 56, 56), (-10, 30, 40, 40)]
GRID = torch.arange(1000, dtype=torch.float64) / 1000


@pytest.fixture(scope="module")
def sharp(tiny_model: Path):
    """Random weights whose digits are far from equally likely and differ from question to question."""
    model, tokenizer = load(tiny_model)
    with torch.no_grad():
        model.lm_head.weight.mul_(20)
        for weight in model.model.language_model.layers.parameters():
            if weight.ndim == 2:
                weight.mul_(8)
    return model, tokenizer


@pytest.fixture(scope="module")
def flat(tiny_model: Path):
    """Random weights as they are: every digit is about as likely as the next."""
    return load(tiny_model)


@pytest.fixture(scope="module")
def learned(tiny_model: Path):
    """A network that learned to say [0.123,0.456] on a picture of noise and on the narrow strip of `NOISE`."""
    model, tokenizer = load(tiny_model)
    torch.manual_seed(0)
    talk = conversation(model.config, tokenizer)
    pixels = np.random.default_rng(3).standard_normal((3, 56, 56)).astype(np.float32)
    strip = normalise(cut(NARROW, square_of(Box(0, 0, 10, 80), 56)), "clip")
    packed = pack(talk, [Target(p, (0.123, 0.456), True) for p in POINTS[:2]])
    batch = collate([(pixels, packed), (strip, packed)], pad=0)
    batch.pop("truth")
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(120):
        loss = forward_with_loss(model, batch).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.05
    model.config.keypoints = [p.name for p in POINTS[:2]]
    return model.eval(), tokenizer


def localizer(parts, **options: object) -> Localizer:
    return Localizer(*parts, **options).set_image(NOISE)  # type: ignore[arg-type]


def same(a: object, b: object) -> None:
    for name in ("xy", "score", "std"):
        np.testing.assert_allclose(getattr(a, name), getattr(b, name), atol=2e-3, err_msg=name)


def test_without_a_box_it_looks_twice(sharp) -> None:
    found = localizer(sharp).locate(None, POINTS, whole_image=True)
    first = localizer(sharp).locate([Box(0, 0, 120, 80)], POINTS)
    near = Box.around(first.xy[0], 1.25)
    assert found.boxes == (near,) and near != first.boxes[0]
    same(found, localizer(sharp).locate([near], POINTS))


def test_a_second_look_outside_the_picture_is_not_taken(learned) -> None:
    # In the square around this narrow picture 0.123 of the side lies left of the picture.
    looking = Localizer(*learned, decoding="greedy").set_image(NARROW)
    found, whole = (
        looking.locate(None, POINTS[:1], whole_image=True),
        looking.locate([Box(0, 0, 10, 80)], POINTS[:1]),
    )
    assert (whole.xy[..., 0] < -1).all() and found.boxes == whole.boxes
    np.testing.assert_allclose(found.xy, whole.xy, atol=2e-3)


@pytest.mark.parametrize("decoding", ["greedy", "expected"])
def test_flip_answers_a_symmetric_picture_symmetrically(sharp, decoding: str) -> None:
    half = NOISE[:56, :28]
    picture = np.concatenate([half, half[:, ::-1]], 1)
    names = load_skeleton("coco17").names
    order = list(load_skeleton("coco17").flip_order)
    box = [Box(0, 0, 56, 56)]  # one crop pixel a pixel, so that the crop is symmetric to the bit
    plain, flipped = (
        Localizer(*sharp, decoding=decoding, flip_test=flip).set_image(picture).locate(box, POINTS).xy[0]  # type: ignore[arg-type]
        for flip in (False, True)
    )
    np.testing.assert_allclose(flipped[order] * (-1, 1) + (55, 0), flipped, atol=1e-3)
    assert flipped[names.index("nose"), 0] == pytest.approx(27.5, abs=1e-3)
    assert np.abs(plain[order] * (-1, 1) + (55, 0) - plain).max() > 1  # the plain look does not


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_number_of_people_at_a_time_changes_no_answer(sharp, batch: int) -> None:
    alone = [localizer(sharp).locate([box], POINTS[:4]) for box in BOXES]
    together = localizer(sharp, batch_size=batch).locate(BOXES, POINTS[:4])
    for i, one in enumerate(alone):
        np.testing.assert_allclose(together.xy[i], one.xy[0], atol=2e-3)


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_many_pictures_at_a_time_are_answered_as_one_by_one(sharp, tmp_path: Path, batch: int) -> None:
    rng = np.random.default_rng(1)
    pictures = [rng.integers(0, 255, (60 + 5 * i, 90, 3), dtype=np.uint8) for i in range(6)]
    boxes = [BOXES[:2], None, [], BOXES, None, BOXES[1:2]]
    asked: list[tuple[object, object]] = list(zip(pictures, boxes, strict=True))
    asked.insert(1, (tmp_path / "missing.jpg", None))
    asked.insert(4, (pictures[0], [Box(500, 0, 10, 10)]))
    looking = Localizer(*sharp, batch_size=batch)
    found = list(looking.locate_all(asked, POINTS[:4], whole_image=True))  # type: ignore[arg-type]
    wrong = [str(one) for one in found if isinstance(one, PosetalkError)]
    assert [type(one) for one in (found[1], found[4])] == [PosetalkError] * 2 and len(wrong) == 2
    assert "there is no image" in wrong[0] and "lies outside the image of 90 x 60 px" in wrong[1]
    del found[4], found[1]
    for picture, wanted, one in zip(pictures, boxes, found, strict=True):
        alone = Localizer(*sharp).set_image(picture).locate(wanted, POINTS[:4], whole_image=True)
        assert len(one.boxes) == len(alone.boxes)
        np.testing.assert_allclose([b.xywh for b in one.boxes], [b.xywh for b in alone.boxes], atol=5e-3)
        np.testing.assert_allclose(one.xy, alone.xy, atol=5e-3)


def test_a_stream_of_pictures_is_read_a_little_ahead(sharp) -> None:
    opened = []

    def pictures():
        for i in range(100):
            opened.append(i)
            yield NOISE, BOXES[:1]

    answers = Localizer(*sharp, batch_size=2).locate_all(pictures(), POINTS[:1])
    for _ in range(10):
        next(answers)
    assert len(opened) < 30
    answers.close()
    assert len(opened) < 30


@pytest.mark.parametrize("decoding", ["greedy", "expected"])
def test_order_and_company_of_questions_change_no_answer(sharp, decoding: str) -> None:
    looking = localizer(sharp, decoding=decoding)
    whole = looking.locate(BOXES[:2], POINTS)
    backwards = looking.locate(BOXES[:2], POINTS[::-1])
    np.testing.assert_allclose(backwards.xy[:, ::-1], whole.xy, atol=2e-3)
    parts = [looking.locate(BOXES[:2], points) for points in (POINTS[:1], POINTS[1:6], POINTS[6:])]
    np.testing.assert_allclose(np.concatenate([p.xy for p in parts], 1), whole.xy, atol=2e-3)
    np.testing.assert_allclose(np.concatenate([p.score for p in parts], 1), whole.score, atol=1e-4)
    assert len(np.unique(whole.xy.reshape(-1, 2).round(1), axis=0)) > 10


def test_generation_writes_the_text_that_decoding_finds(learned) -> None:
    model, tokenizer = learned
    talk = conversation(model.config, tokenizer)
    pixels = torch.from_numpy(np.random.default_rng(3).standard_normal((1, 3, 56, 56)).astype(np.float32))
    prompt = torch.tensor([[*talk.prefix, *talk.question(POINTS[0])]])
    with torch.no_grad():
        out = model.generate(
            input_ids=prompt, attention_mask=torch.ones_like(prompt), pixel_values=pixels, do_sample=False,
            max_new_tokens=30, pad_token_id=1, eos_token_id=1,
        )  # fmt: skip
    found = decode(model, talk, prefill(model, talk, pixels), read(model, talk, POINTS[:1]))
    text = tokenizer.decode(out[0, prompt.shape[1] :], skip_special_tokens=True).strip()
    assert text == coordinate.write(*found.xy[0, 0].tolist()) == "[0.123,0.456]"
    assert out[0, -1] == 1  # and ends by itself


def joint(parts, pixels: torch.Tensor, start: list[int]) -> torch.Tensor:
    """(1000,) probability of each coordinate after `start`, from plain forward passes over all prefixes."""
    model, tokenizer = parts
    digits = conversation(model.config, tokenizer).answer.digits
    rows = [[*start, digits[n // 10], digits[n % 10]] for n in range(100)]
    with torch.no_grad():
        pictures = pixels.expand(100, -1, -1, -1)
        logits = model(input_ids=torch.tensor(rows), pixel_values=pictures, logits_to_keep=3).logits
    p = logits.double()[..., list(digits)].softmax(-1)
    values = [coordinate.digits(v / 1000) for v in range(1000)]
    return torch.stack([p[v // 10, [0, 1, 2], d].prod() for v, d in enumerate(values)])


@pytest.mark.parametrize("name", ["flat", "sharp", "learned"])
def test_all_branches_are_the_sum_over_all_values_of_y(name: str, request: pytest.FixtureRequest) -> None:
    parts = request.getfixturevalue(name)
    model, tokenizer = parts
    talk = conversation(model.config, tokenizer)
    pixels = torch.from_numpy(np.random.default_rng(4).standard_normal((1, 3, 56, 56)).astype(np.float32))
    point = Keypoint("left heel", "the back of the left foot")
    prefix = prefill(model, talk, pixels)
    found, few = (decode(model, talk, prefix, read(model, talk, [point]), branches=n) for n in (100, 3))
    start = [*talk.prefix, *talk.question(point), *talk.answer.open]
    across = joint(parts, pixels, start)
    likeliest = coordinate.digits(int(across.argmax()) / 1000)
    down = joint(parts, pixels, [*start, *(talk.answer.digits[d] for d in likeliest), *talk.answer.middle])
    assert found.std is not None
    for axis, p in enumerate((across, down)):
        mean = float((p * GRID).sum())
        std = float(((p * GRID**2).sum() - mean**2).sqrt())
        assert float(found.xy[0, 0, axis]) == pytest.approx(mean, abs=1e-5)
        assert float(found.std[0, 0, axis]) == pytest.approx(std, abs=1e-5)
    if name != "sharp":  # whose y hangs on x, and three branches may take another x
        torch.testing.assert_close(few.xy, found.xy, atol=0.01, rtol=0)
