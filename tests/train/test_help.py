"""The two helping losses: connectors aligned with names, heads drawn to the keypoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from posetalk.model.files import build, conversation, crop_settings, load
from posetalk.model.posellm import GUIDED, guide_loss, near
from posetalk.prompt.conversation import Conversation
from posetalk.settings import AugmentSettings, DataSettings, ModelSettings, TrainSettings
from posetalk.skeleton import Keypoint, Skeleton
from posetalk.train.align import align
from posetalk.train.examples import TrainingExample, Views
from posetalk.train.packing import collate, pack
from posetalk.train.target import Target
from posetalk.types import Box, Person, frozen_array

STILL = AugmentSettings(scale=0, rotation=0, flip=0, shift=0)
TWO = Skeleton("two", (Keypoint("left hand", mirror="nose"), Keypoint("nose", mirror="left hand")))


@pytest.mark.parametrize("place", [(0.1, 0.1), (0.9, 0.4), (0.6, 0.99)])
def test_near_is_a_distribution_that_peaks_at_the_token_under_the_keypoint(
    place: tuple[float, float],
) -> None:
    (row,) = near(torch.tensor([place]), 16)
    assert float(row.sum()) == pytest.approx(1)
    assert divmod(int(row.argmax()), 4) == (int(place[1] * 4), int(place[0] * 4))


def test_the_guide_is_least_where_heads_look_at_the_keypoint() -> None:
    truth = torch.full((1, 6, 5), float("nan"))
    truth[0, 5] = torch.tensor([0, 0, 0.9, 0.9, 0.1])  # asked for by the token before it, in row 4
    image = torch.arange(4)
    losses = []
    for token in range(4):
        attention = torch.full((1, 3, 6, 6), 0.02)
        attention[0, :, 4, token] = 0.9
        losses.append(float(guide_loss([attention] * GUIDED, image, truth)))
    assert min(losses) == losses[1]  # top right of two by two
    nowhere, free = torch.full((1, 3, 6, 6), 0.02), torch.full((1, 3, 6, 6), 0.02)
    free[0, 1:, 4, 1] = 0.9  # heads between every third are left alone
    assert float(guide_loss([free], image, truth)) == float(guide_loss([nowhere], image, truth)) > losses[1]


def test_guided_packed_questions_equal_separate_ones(tiny_model: Path) -> None:
    model, tokenizer = load(tiny_model)
    model.set_attn_implementation("eager")
    model.guide = 0.7
    talk: Conversation = conversation(model.config, tokenizer)
    points, places = [Keypoint("nose"), Keypoint("left wrist")], [(0.2, 0.3), (0.7, 0.6)]
    pixels = np.random.default_rng(0).normal(size=(3, 56, 56)).astype(np.float32)

    def loss(chosen: list[int]) -> torch.Tensor:
        packed = pack(talk, [Target(points[i], places[i], True) for i in chosen])
        return model(**collate([(pixels, packed)], 0), num_items_in_batch=1).loss

    together, apart = loss([0, 1]), loss([0]) + loss([1])
    torch.testing.assert_close(together, apart, rtol=1e-5, atol=1e-4)
    model.guide = 0.0
    assert abs((loss([0, 1]) - together).item()) > 1


def test_aligned_connectors_say_the_name_where_the_keypoint_is(
    tiny_settings: ModelSettings, tmp_path: Path
) -> None:
    spots = [(12, 12), (44, 44)]
    people = []
    for number in range(8):
        picture = np.zeros((56, 56, 3), np.uint8)
        xy = [spots[(number + i) % 2] for i in range(2)]
        for (x, y), colour in zip(xy, ((255, 0, 0), (0, 0, 255)), strict=True):
            picture[y - 7 : y + 7, x - 7 : x + 7] = colour
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        person = Person(number, Box(0, 0, 56, 56), frozen_array(xy), frozen_array([2, 2]), 3000.0)
        people.append(TrainingExample(tmp_path / f"{number}.png", person, TWO))
    torch.manual_seed(0)
    model, tokenizer = build(tiny_settings)
    data = DataSettings(annotations="a", images="b")
    settings = TrainSettings(data=(data,), start="x", augmentation=STILL)
    talk, crop = conversation(model.config, tokenizer), crop_settings(model.config)
    views = Views(people, talk, crop, settings, 64)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    first = align(model, tokenizer, views, 1, iter)
    last = align(model, tokenizer, views, 60, iter)
    assert last < first - 0.5
    changed = {k.split(".")[1] for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"multi_modal_projector"}
    assert all(p.grad is None for p in model.parameters())
