"""What training minimises: answers as digits, heat maps of the readout `point`, and attention on the keypoint."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from posetalk.model.posellm import PoseLLMOutput

IGNORE = -100  # the label of a token whose prediction is not learned
GUIDED_LAYERS, HEAD_STRIDE = 2, 3  # the attention loss reads the last layers, and every third of their heads
TARGETS = ("labels", "truth", "points")  # what a batch holds for the loss alone


@dataclass(frozen=True, slots=True)
class LossSettings:
    """Which losses a run adds up; the settings of the same names are `TrainSettings`.

    Args:
        digit_ids: token ids of the digits 0 to 9; read where `digit_sigma` is above 0.
        digit_sigma: width of the Gaussian that digits are learned as, in units of the crop's side; 0: the right digit
            alone.
        attention_loss_weight: weight of `attention_loss`; 0 leaves it out.
        heatmap_sigma: width of the target of a heat map, in units of the crop's side.
        learn_digits: with the readout `point`, learn written answers beside the heat maps.
    """

    digit_ids: tuple[int, ...] = ()
    digit_sigma: float = 0.0
    attention_loss_weight: float = 0.0
    heatmap_sigma: float = 0.02
    learn_digits: bool = False


def forward_with_loss(
    model: Any,
    batch: Mapping[str, Any],
    settings: LossSettings = LossSettings(),
    num_items_in_batch: Tensor | int | None = None,
) -> PoseLLMOutput:
    """The model's output for a batch, with `loss` set.

    Args:
        model: a PoseLLM, or what peft or a distributed run wraps around one.
        batch: `collate`'s: the arguments of `PoseLLM.forward`, and of them apart the targets. labels: (B, T) token ids,
            -100 where no answer stands. truth: (B, T, 5) of digit tokens: which decimal, the number that the digits
            before it spell, the true value, and x, y of the keypoint in 0..1; NaN elsewhere; may be missing.
            points: (B, K, 3) x, y in 0..1 of the crop and visible (0 or 1), NaN where unknown, for the readout `point`.
        settings: which losses are added.
        num_items_in_batch: what the summed loss is divided by: the labels of a gradient step, over all processes. None:
            the labels of this batch.

    Returns:
        The output; its `loss` is a scalar.
    """
    labels, truth, points = (batch.get(name) for name in TARGETS)
    inputs = {name: value for name, value in batch.items() if name not in TARGETS}
    assert labels is not None
    answers = labels[:, 1:] != IGNORE  # (B, T - 1): the tokens whose next one is learned
    written = points is None or settings.learn_digits
    guided = written and settings.attention_loss_weight > 0 and truth is not None
    if written:
        inputs["logits_mask"] = F.pad(answers, (0, 1))
    if guided:
        inputs["output_attentions"] = True
    if points is None:
        inputs.pop("ends", None)
    out: PoseLLMOutput = model(**inputs)
    counted = answers.sum() if num_items_in_batch is None else num_items_in_batch
    losses: list[Tensor] = []
    if points is not None:
        assert out.heat is not None and out.visible is not None
        loss = point_loss(out.heat, out.visible, points, settings.heatmap_sigma)
        if written:  # `counted` are tokens of answers here: a keypoint weighs as much as an answer
            loss = loss * answers.sum() / (~points[..., 0].isnan()).sum().clamp_min(1)
        losses.append(loss)
    if written:
        assert out.logits is not None
        loss = F.cross_entropy(out.logits, labels[:, 1:][answers], reduction="none")
        if settings.digit_sigma > 0 and truth is not None:
            loss = _soften(loss, out.logits, truth[:, 1:][answers], settings.digit_ids, settings.digit_sigma)
        losses.append(loss.sum())
    if guided:
        assert out.attentions is not None and out.image_positions is not None and truth is not None
        loss = attention_loss(out.attentions[-GUIDED_LAYERS:], out.image_positions[0], truth)
        losses.append(settings.attention_loss_weight * loss)
    out.loss = sum(losses[1:], losses[0]) / counted
    return out


def point_loss(heat: Tensor, visible: Tensor, points: Tensor, sigma: float) -> Tensor:
    """Summed over the questions: cross-entropy of the heat map, and a quarter of that of `visible`.

    Args:
        heat: (B, K, S * S) logits.
        visible: (B, K) logits.
        points: (B, K, 3) x, y in 0..1 of the crop and visible (0 or 1), NaN where unknown.
        sigma: width of the heat map's target, in units of the crop's side.
    """
    labelled, known = ~points[..., 0].isnan(), ~points[..., 2].isnan()
    target = gaussian(points[labelled][:, :2], math.isqrt(heat.shape[-1]), sigma)
    heat_loss = -(target * heat[labelled].float().log_softmax(-1)).sum()
    visible_loss = F.binary_cross_entropy_with_logits(
        visible[known].float(), points[known][:, 2], reduction="sum"
    )
    return heat_loss + visible_loss / 4


def attention_loss(attentions: Sequence[Tensor], image_positions: Tensor, truth: Tensor) -> Tensor:
    """Summed over the digits asked for: how far heads look from the image token under the keypoint.

    The cross-entropy between a head's attention and a Gaussian around the keypoint, half a token wide. Every third head
    learns it, the others stay free.

    Args:
        attentions: (B, heads, T, T) of each layer.
        image_positions: (n,) places of the image tokens in a row, a square grid row by row.
        truth: (B, T, 5), see `forward_with_loss`.
    """
    batch, row = (~truth[:, 1:, 0].isnan()).nonzero().unbind(1)
    target = token_targets(truth[batch, row + 1, 3:], len(image_positions))
    losses = [
        -(
            target[:, None]
            * layer[batch, ::HEAD_STRIDE, row][..., image_positions].float().clamp_min(1e-9).log()
        ).sum(-1)
        for layer in attentions
    ]
    return torch.stack(losses).mean((0, 2)).sum()


def digit_targets(place: Tensor, prefix: Tensor, value: Tensor, sigma: float) -> Tensor:
    """What each of the ten digits should be given when the coordinate is Gaussian around its label.

    Args:
        place: (n,) 0, 1, 2 for tenths, hundredths, thousandths.
        prefix: (n,) the number that the digits before it spell.
        value: (n,) the true coordinate in 0..1.
        sigma: standard deviation of the Gaussian, in units of the crop's side.

    Returns:
        (n, 10); rows sum to 1.
    """
    width = 0.1 ** (place + 1)
    edges = prefix[:, None] + width[:, None] * torch.arange(11, device=place.device)
    below = torch.special.ndtr((edges - value[:, None]) / sigma)
    mass = below.diff(dim=1).clamp_min(1e-9)
    share: Tensor = mass / mass.sum(1, keepdim=True)
    return share


def token_targets(xy: Tensor, tokens: int) -> Tensor:
    """(n, 2) x, y in 0..1 -> (n, tokens): a Gaussian half a token wide over a square grid of tokens, rows sum to 1."""
    side = math.isqrt(tokens)
    return gaussian(xy, side, 0.5 / side)


def gaussian(xy: Tensor, side: int, sigma: float) -> Tensor:
    """(..., 2) x, y in 0..1 -> (..., side * side), row by row: a Gaussian around each point, rows sum to 1.

    sigma: in units of the square's side.
    """
    centres = (torch.arange(side, device=xy.device) + 0.5) / side
    x, y = ((-(((centres - xy[..., axis, None]) / sigma) ** 2) / 2).softmax(-1) for axis in (0, 1))
    return (y[..., :, None] * x[..., None, :]).flatten(-2)


def _soften(loss: Tensor, logits: Tensor, truth: Tensor, digit_ids: tuple[int, ...], sigma: float) -> Tensor:
    """The losses (n,) of answer tokens, with digits learned as `digit_targets` in place of the right digit alone."""
    rows = ~truth[:, 0].isnan()
    place, prefix, value = truth[rows, :3].double().unbind(1)
    target = digit_targets(place, prefix, value, sigma).to(logits.dtype)
    ten = logits.log_softmax(1)[rows][:, list(digit_ids)]
    return loss.masked_scatter(rows, -(target * ten).sum(1))
