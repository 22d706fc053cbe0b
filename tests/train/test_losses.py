"""The losses: of digits, of heat maps, of attention."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from posetalk.model.files import conversation, load
from posetalk.prompt.conversation import Conversation
from posetalk.skeleton import Keypoint
from posetalk.train.losses import (
    GUIDED_LAYERS,
    LossSettings,
    attention_loss,
    digit_targets,
    forward_with_loss,
    gaussian,
    point_loss,
    token_targets,
)
from posetalk.train.packing import collate, pack
from posetalk.train.target import Target

NAN = float("nan")


def test_a_target_is_a_gaussian_around_its_place() -> None:
    share = gaussian(torch.tensor([[0.3, 0.8]]), 10, 0.1).view(10, 10)
    assert share.sum().item() == pytest.approx(1)
    centres = (torch.arange(10) + 0.5) / 10
    assert float((share.sum(0) * centres).sum()) == pytest.approx(0.3, abs=0.02)
    assert float((share.sum(1) * centres).sum()) == pytest.approx(0.8, abs=0.02)


def test_the_loss_leaves_out_what_is_not_known() -> None:
    heat, visible = torch.zeros(1, 3, 16), torch.zeros(1, 3)
    nothing = torch.full((1, 3, 3), NAN)
    assert point_loss(heat, visible, nothing, 0.1) == 0
    one = nothing.clone()
    one[0, 1, :2] = 0.5
    assert float(point_loss(heat, visible, one, 0.1)) == pytest.approx(np.log(16))
    one[0, 1, 2] = 1
    assert float(point_loss(heat, visible, one, 0.1)) == pytest.approx(np.log(16) + np.log(2) / 4)


@pytest.mark.parametrize("value", [0.0, 0.05, 0.4145, 0.999])
def test_soft_targets_peak_at_the_label(value: float) -> None:
    place, prefix = torch.tensor([0.0]), torch.tensor([0.0])
    wide, narrow = (digit_targets(place, prefix, torch.tensor([value]), s) for s in (0.02, 1e-4))
    assert float(wide.sum()) == pytest.approx(1)
    assert int(narrow.argmax()) == int(value * 10)
    assert float(narrow.max()) > 0.99 or value in (0.0,)


@pytest.mark.parametrize("place", [(0.1, 0.1), (0.9, 0.4), (0.6, 0.99)])
def test_token_targets_are_a_distribution_that_peaks_at_the_token_under_the_keypoint(
    place: tuple[float, float],
) -> None:
    (row,) = token_targets(torch.tensor([place]), 16)
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
        losses.append(float(attention_loss([attention] * GUIDED_LAYERS, image, truth)))
    assert min(losses) == losses[1]  # top right of two by two
    nowhere, free = torch.full((1, 3, 6, 6), 0.02), torch.full((1, 3, 6, 6), 0.02)
    free[0, 1:, 4, 1] = 0.9  # heads between every third are left alone
    assert (
        float(attention_loss([free], image, truth))
        == float(attention_loss([nowhere], image, truth))
        > losses[1]
    )


def test_guided_packed_questions_equal_separate_ones(tiny_model: Path) -> None:
    model, tokenizer = load(tiny_model)
    model.set_attn_implementation("eager")
    guided = LossSettings(attention_loss_weight=0.7)
    talk: Conversation = conversation(model.config, tokenizer)
    points, places = [Keypoint("nose"), Keypoint("left wrist")], [(0.2, 0.3), (0.7, 0.6)]
    pixels = np.random.default_rng(0).normal(size=(3, 56, 56)).astype(np.float32)

    def loss(chosen: list[int], settings: LossSettings = guided) -> torch.Tensor:
        packed = pack(talk, [Target(points[i], places[i], True) for i in chosen])
        return forward_with_loss(model, collate([(pixels, packed)], 0), settings, 1).loss

    together, apart = loss([0, 1]), loss([0]) + loss([1])
    torch.testing.assert_close(together, apart, rtol=1e-5, atol=1e-4)
    assert abs((loss([0, 1], LossSettings()) - together).item()) > 1
