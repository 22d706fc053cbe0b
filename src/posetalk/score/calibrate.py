"""Make a model's scores mean what they say, on labelled people it has not learned from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from huggingface_hub import EvalResult
from torch import Tensor
from torch.nn import functional as F

from posetalk.atomic_files import whole_folder
from posetalk.errors import PosetalkError
from posetalk.formats.visible_flags import has_visible_flags
from posetalk.hub.card import model_data, save_card, shown_path
from posetalk.images.affine import crop_square
from posetalk.images.opening import cut, normalise, read_image
from posetalk.locate.decode import heat_maps, prefill, read, settle
from posetalk.locate.localizer import oks_scale
from posetalk.locate.predictions import scored_people
from posetalk.locate.similarity import similarity
from posetalk.messages import log, track
from posetalk.model.files import conversation, crop_settings, load, named_weights, save
from posetalk.model.posellm import PoseLLM
from posetalk.score.calibration import reliability
from posetalk.skeleton import Skeleton
from posetalk.types import Floats, PoseSet

NO_VISIBILITY_LABELS = "for the labels do not tell seen keypoints from hidden ones"
TEMPERATURES = tuple(float(t) for t in np.geomspace(0.4, 3.0, 41))


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """What calibration fitted.

    Args:
        people: how many people it was fitted on.
        temperature: what the heat maps' logits are divided by.
        visible_line: factor and offset of the visible logit; None where the labels do not tell visible keypoints from
            hidden ones, and the model's own were kept.
        error_before, error_after: expected calibration error of the scores on the same people, in 0..1.
    """

    people: int
    temperature: float
    visible_line: tuple[float, float] | None
    error_before: float
    error_after: float


def calibrate(name: str | Path, truth: PoseSet, points: Skeleton, out: str | Path) -> CalibrationResult:
    """Make scores mean what they say: a score of 0.8 becomes an expected similarity (OKS) of 0.8.

    The temperature is the one whose scores are nearest, in mean square, to the similarities that the predictions have.
    The visible logit is fitted by logistic regression. Coordinates stay as they are.

    Args:
        name: a model with the readout `point`: `bundled`, a folder, or a hub id.
        truth: labelled people that the model has not learned from and is not tested on.
        points: the keypoints of `truth`, in order.
        out: a new folder for the calibrated model.

    Returns:
        What was fitted, and the calibration error before and after.

    Raises:
        PosetalkError: a model without `point`, no labelled people, `out` is not empty.

    Source:
        Temperature scaling: Guo et al., ICML 2017, section 4.2.
    """
    with whole_folder(Path(out)) as part:
        return _calibrate(name, truth, points, part, Path(out).name)


def _calibrate(
    name: str | Path, truth: PoseSet, points: Skeleton, out: Path, title: str
) -> CalibrationResult:
    start = named_weights(name)
    model, tokenizer = load(name)
    if not model.config.cells:
        raise PosetalkError(f"{name} has no readout 'point', whose heat maps could be calibrated")
    line_before = model.point.visible_line.clone()
    model.point.forget_calibration()
    predicted = _predict(model, tokenizer, truth, points)

    def scores(temperature: float) -> tuple[Floats, Floats]:
        answer = settle(predicted.heat.float() / temperature, predicted.visible, predicted.scale.float())
        similarities = similarity(
            answer.xy.numpy(), predicted.xy.numpy(), predicted.area.numpy(), points.sigmas
        )
        labelled = predicted.labelled.numpy()
        return answer.score.numpy()[labelled], similarities[labelled]

    def error(temperature: float) -> float:
        score, similarities = scores(temperature)
        return float(((score - similarities) ** 2).mean())

    if not predicted.labelled.any():
        raise PosetalkError(
            f"no labelled keypoint of {truth.source} lies in its person's box; look at the labels"
        )
    errors = [error(t) for t in track(TEMPERATURES, "calibrating")]
    temperature = TEMPERATURES[int(np.argmin(errors))]
    knows_visible = has_visible_flags(person for _, person in scored_people(truth))
    visible_line = (
        _fit_visible(predicted.visible.flatten(), predicted.visible_labels.float().flatten())
        if knows_visible
        else None
    )
    with torch.no_grad():
        model.point.temperature.fill_(temperature)
        model.point.visible_line.copy_(torch.tensor(visible_line) if visible_line else line_before)
    save(model, tokenizer, out)
    before, after = (reliability(*scores(t))[1] or 0.0 for t in (1.0, temperature))
    learned, data_name = model.config.keypoints, shown_path(str(truth.source))
    card = [
        "# Model card",
        "",
        f"{shown_path(start)}, calibrated with posetalk on {len(predicted.heat)} people of {data_name}; its "
        "weights are the same.",
        "",
        f"- Keypoints it has learned: {', '.join(learned) if learned else 'not known'}",
        "",
        "The licences of that model and of the data hold.",
    ]
    if visible_line is None:
        card.insert(5, f"- Of visible: as it was, {NO_VISIBILITY_LABELS}")
    calibration = EvalResult(
        "keypoint-detection",
        "calibration",
        f"{data_name}, the people it was calibrated on",
        "expected_calibration_error",
        round(after, 4),
        metric_name="expected calibration error of the scores",
    )
    data = model_data(model.config.vision, model.config.text, name=title, results=[calibration])
    save_card(out, data, card)
    return CalibrationResult(len(predicted.heat), temperature, visible_line, before, after)


class _Predicted(NamedTuple):
    """Predictions and labels of n people; lengths in crop sides."""

    heat: Tensor  # (n, k, S * S) logits
    visible: Tensor  # (n, k) logits
    xy: Tensor  # (n, k, 2), labelled
    labelled: Tensor  # (n, k)
    visible_labels: Tensor  # (n, k), labelled as visible
    scale: Tensor  # (n, k), OKS's s as far as the box tells
    area: Tensor  # (n,), OKS's


@torch.no_grad()
def _predict(model: PoseLLM, tokenizer: Any, truth: PoseSet, points: Skeleton) -> _Predicted:
    talk, crop = conversation(model.config, tokenizer, model.question_tokenizer), crop_settings(model.config)
    if truth.name != "coco":
        crop = crop.model_copy(update={"clip_box": False})
    questions = read(model, talk, points.keypoints)
    rows: list[list[Tensor]] = []
    skipped: dict[str, None] = {}
    for image, person in track(scored_people(truth), "looking"):
        box = truth.cropped(person.box, crop.padding)
        try:
            image_pixels = read_image(image.path)
            height, width = image_pixels.shape[:2]
            square = crop_square(box, crop, width, height)
        except PosetalkError as error:
            skipped[str(error)] = None
            continue
        pixels = torch.from_numpy(normalise(cut(image_pixels, square), crop.pixels))
        heat, visible = heat_maps(model, prefill(model, talk, pixels[None]), questions)
        xy = square.normalise(person.keypoints)
        labels = (
            xy,
            ((xy >= 0) & (xy < 1)).all(1) & person.labelled,
            person.visible > 1,
            oks_scale([box], points.keypoints)[0] / square.side,
            person.area / square.side**2,
        )
        rows.append([heat[0].half(), visible[0], *(torch.from_numpy(np.asarray(label)) for label in labels)])
    if not rows:
        why = f" ({next(iter(skipped))})" if skipped else ""
        raise PosetalkError(f"{truth.source} has no labelled people to calibrate on{why}")
    for sentence in skipped:
        log.warning("skipped: %s", sentence)
    return _Predicted(*(torch.stack(list(column)) for column in zip(*rows, strict=True)))


def _fit_visible(logit: Tensor, visible: Tensor) -> tuple[float, float]:
    """Factor and offset of the logits (n,) under which the labels `visible` (n,) are likeliest."""
    line = torch.tensor([1.0, 0.0], requires_grad=True)
    optimizer = torch.optim.LBFGS([line], max_iter=100)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(logit * line[0] + line[1], visible)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    factor, offset = line.tolist()
    return factor, offset
