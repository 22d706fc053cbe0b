"""The readout `point`, and questions that are read once: layout, packing, saving, learning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from posetalk.errors import PosetalkError
from posetalk.locate.decode import heat_maps, prefill, read, settle
from posetalk.locate.localizer import Localizer
from posetalk.model.adapters import set_trainable, trainable_parameters
from posetalk.model.files import build, conversation, load, save
from posetalk.model.point import PointHead
from posetalk.settings import ModelSettings
from posetalk.skeleton import Keypoint
from posetalk.train.losses import LossSettings, forward_with_loss
from posetalk.train.packing import collate, pack
from posetalk.train.target import Target
from posetalk.types import Box

POINTS = [Keypoint("nose", "the tip of the nose"), Keypoint("left heel"), Keypoint("chin", "below the mouth")]
FOUND = [
    Target(POINTS[0], (0.1, 0.25), True),
    Target(POINTS[1], None, False),
    Target(POINTS[2], (0.7, 0.6), None),
]
NAN = float("nan")


@pytest.fixture(scope="module", params=["inline", "once"])
def network(request: pytest.FixtureRequest, tiny_settings: ModelSettings):
    torch.manual_seed(0)
    settings = tiny_settings.model_copy(update={"readout": "point", "reading": request.param, "cells": 2})
    return *build(settings), settings


def pixels(people: int = 2) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((people, 3, 56, 56)).astype(np.float32)


def test_a_cell_of_the_heat_map_lies_where_its_token_and_its_part_of_it_do() -> None:
    head = PointHead(width=8, cells=2, fine=0)
    hidden = torch.randn(1, 9, 8, generator=torch.Generator().manual_seed(0))
    keys = head.keys(hidden, None)
    assert keys.shape == (1, 36, 64)
    wanted = head.coarse(head.norm(hidden)).view(1, 9, 64, 2, 2)  # token, channel, row and column inside
    for token, row, column in [(0, 0, 0), (4, 0, 1), (5, 1, 0), (8, 1, 1)]:
        y, x = token // 3 * 2 + row, token % 3 * 2 + column
        torch.testing.assert_close(keys[0, y * 6 + x], wanted[0, token, :, row, column])


def test_fine_maps_add_to_the_cells_they_cover_whatever_their_size() -> None:
    head = PointHead(width=8, cells=2, fine=3)
    hidden = torch.randn(1, 9, 8, generator=torch.Generator().manual_seed(0))
    for module in head.around:
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.zeros_(module.weight)
            torch.nn.init.zeros_(module.bias)
    fine = torch.zeros(1, 3, 6, 6)
    before = head.keys(hidden, fine)
    fine[0, 1, 4, 2] = 1
    changed = (head.keys(hidden, fine) - before).abs().sum(-1)[0].nonzero().flatten()
    assert changed.tolist() == [4 * 6 + 2]
    assert head.keys(hidden, torch.zeros(1, 3, 12, 12)).shape == before.shape


def test_packed_questions_equal_separate_ones(network) -> None:
    model, tokenizer, _ = network
    talk, pictures = conversation(model.config, tokenizer), pixels()
    model.eval()

    def loss(people: list[int], chosen: list[list[int]]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        model.zero_grad()
        rows = [
            (pictures[i], pack(talk, [FOUND[j] for j in c], readout="point"))
            for i, c in zip(people, chosen, strict=True)
        ]
        value = forward_with_loss(model, collate(rows, pad=0, readout="point"), num_items_in_batch=1).loss
        value.backward()
        return value.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    together, gradient = loss([0, 1], [[0, 1, 2], [2]])
    parts = [loss([i], [[j]]) for i, j in [(0, 0), (0, 1), (0, 2), (1, 2)]]
    torch.testing.assert_close(together, sum(p[0] for p in parts), rtol=1e-5, atol=1e-5)
    for name, value in gradient.items():
        other = sum(p[1].get(name, torch.zeros_like(value)) for p in parts)
        torch.testing.assert_close(value, other, rtol=1e-3, atol=1e-5, msg=name)


def test_the_digits_learn_beside_the_places(network) -> None:
    model, tokenizer, _ = network
    talk, rows = conversation(model.config, tokenizer), []
    for learn_digits in (False, True):
        packed = pack(talk, FOUND, readout="point", learn_digits=learn_digits)
        rows.append(collate([(pixels(1)[0], packed)], pad=0, readout="point"))
    plain, both = rows
    assert (plain["labels"] >= 0).sum() == 3  # a question each
    answer = len(talk.answer.ids(0, 0))
    assert (both["labels"] >= 0).sum() == 2 * answer  # nobody answers for what has no place
    with torch.no_grad():
        places = forward_with_loss(model, plain, num_items_in_batch=1).loss
        whole = forward_with_loss(model, both, LossSettings(learn_digits=True), 1).loss
        digits_alone = {k: v for k, v in both.items() if k not in ("ends", "points")}
        written = forward_with_loss(model, digits_alone, num_items_in_batch=1)
    # two places weigh as much as their answers' tokens
    torch.testing.assert_close(whole, places * answer + written.loss, rtol=1e-5, atol=1e-4)


def test_questions_read_in_a_batch_are_those_read_alone(tiny_settings: ModelSettings) -> None:
    torch.manual_seed(0)
    settings = tiny_settings.model_copy(update={"readout": "point", "reading": "once"})
    model, tokenizer = build(settings)
    talk = conversation(model.config, tokenizer)
    many = [Keypoint(f"part {'x' * (n % 7)}{n}", "somewhere" * (n % 3)) for n in range(40)]
    together = read(model.eval(), talk, many)
    for keypoint, question in zip(many, together, strict=True):
        assert question.shape == (1, 32)
        torch.testing.assert_close(question, read(model, talk, [keypoint])[0], rtol=1e-4, atol=1e-5)
    assert len({tuple(q.flatten().tolist()) for q in together}) == 40


def test_it_comes_back_from_its_folder_and_answers_both_ways(network, tmp_path: Path) -> None:
    model, tokenizer, settings = network
    with torch.no_grad():
        model.point.temperature.fill_(1.7)
    save(model, tokenizer, tmp_path / "saved")
    again, _ = load(tmp_path / "saved")
    assert (again.config.readout, again.config.reading) == ("point", settings.reading)
    assert float(again.point.temperature) == pytest.approx(1.7)
    picture = np.random.default_rng(1).integers(0, 255, (80, 60, 3), np.uint8)
    boxes = [Box(5, 5, 40, 60), Box(0, 0, 60, 80)]
    for readout in (None, "digits"):
        found, other = (
            Localizer(m, tokenizer, readout=readout).set_image(picture).locate(boxes, POINTS)
            for m in (model, again)
        )
        np.testing.assert_allclose(found.xy, other.xy, atol=1e-3)
        assert np.isfinite(found.xy).all() and found.xy.shape == (2, 3, 2)
        assert (found.visible is None) == (readout == "digits")
        assert ((found.score > 0) & (found.score <= 1)).all()
    model.point.temperature.fill_(1.0)


def test_a_model_of_digits_has_no_point(tiny_model: Path) -> None:
    with pytest.raises(PosetalkError, match="no readout 'point'"):
        Localizer.from_pretrained(tiny_model, readout="point")


def test_lora_saves_the_head_and_the_reader_beside_its_adapters(network, tmp_path: Path) -> None:
    model, tokenizer, settings = network
    torch.manual_seed(0)
    fresh, _ = build(settings)
    adapted = set_trainable(fresh, settings)
    assert trainable_parameters(adapted)["readout"] > 0
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if parameter.requires_grad:
                parameter.add_(torch.full_like(parameter, 0.01 if "lora" in name else 0.05))
    talk = conversation(fresh.config, tokenizer)
    save(adapted, tokenizer, tmp_path / "adapters", "adapters")
    adapted.eval()
    base = adapted.get_base_model()
    again, _ = load(tmp_path / "adapters")
    for some in (base, again):
        questions = read(some, talk, POINTS)
        heat, _ = heat_maps(some, prefill(some, talk, torch.from_numpy(pixels())), questions)
        if some is base:
            expected = heat
    torch.testing.assert_close(heat, expected, rtol=1e-3, atol=1e-4)
    del model


def test_it_points_where_the_expected_similarity_is_highest() -> None:
    side, rng = 16, np.random.default_rng(0)
    centres = (np.arange(side) + 0.5) / side
    heat = torch.from_numpy(rng.normal(0, 3, (1, 4, side * side))).float()
    scale = torch.tensor([[0.02, 0.1, 0.3, 0.05]])
    found = settle(heat, torch.zeros(1, 4), scale)
    share = heat.softmax(-1).view(4, side, side).numpy()
    fine = np.linspace(0, 1, 401)
    for k in range(4):
        s = float(scale[0, k])
        near = np.exp(-((fine[:, None] - centres) ** 2) / (2 * s * s))
        best = np.einsum("yi,ij,xj->yx", near, share[k], near).max()
        assert float(found.score[0, k]) == pytest.approx(best, rel=0.02)
        x, y = found.xy[0, k].tolist()
        mean = (share[k].sum(0) * centres).sum(), (share[k].sum(1) * centres).sum()
        if s == pytest.approx(0.3):  # so wide that nearly everything counts: near the mean
            assert np.hypot(x - mean[0], y - mean[1]) < 0.1
        spread = np.sqrt((share[k].sum(0) * (centres - x) ** 2).sum())
        assert float(found.std[0, k, 0]) == pytest.approx(spread, rel=1e-4)
    assert torch.equal(found.visible, torch.full((1, 4), 0.5))


def test_a_sure_heat_map_is_sure_and_a_flat_one_is_not() -> None:
    heat = torch.full((1, 2, 64 * 64), -20.0)
    heat[0, 0, 10 * 64 + 50] = 20
    found = settle(heat, torch.zeros(1, 2), torch.tensor([[0.05, 0.05]]))
    assert found.xy[0, 0].tolist() == pytest.approx([50.5 / 64, 10.5 / 64], abs=1e-4)
    assert float(found.score[0, 0]) > 0.99 and float(found.score[0, 1]) < 0.05


def test_it_learns_to_point(tiny_settings: ModelSettings) -> None:
    torch.manual_seed(4)
    settings = tiny_settings.model_copy(
        update={
            "readout": "point",
            "reading": "once",
            "tune_language_model": "layers",
            "tune_vision_encoder": "layers",
        }
    )
    model, tokenizer = build(settings)
    network = set_trainable(model, settings)
    talk = conversation(model.config, tokenizer)
    batch = []
    for x, y in [(0.25, 0.25), (0.75, 0.7), (0.3, 0.8), (0.7, 0.2)]:
        picture = np.zeros((3, 56, 56), np.float32)
        picture[0, int(y * 56) - 7 : int(y * 56) + 7, int(x * 56) - 7 : int(x * 56) + 7] = 3
        found = [Target(Keypoint("square"), (x, y), True), Target(Keypoint("mirror"), (1 - x, y), False)]
        batch.append((picture, pack(talk, found, readout="point")))
    rows = collate(batch, pad=0, readout="point")
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=3e-3)
    for _ in range(250):
        loss = forward_with_loss(network, rows).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    questions = read(model, talk, [Keypoint("square"), Keypoint("mirror")])
    heat, visible = heat_maps(model, prefill(model, talk, rows["pixel_values"]), questions)
    found = settle(heat, visible, torch.full((4, 2), 0.05))
    assert float((found.xy - rows["points"][..., :2]).norm(dim=-1).max()) < 0.1
    assert ((found.visible > 0.5) == torch.tensor([True, False])).all()
