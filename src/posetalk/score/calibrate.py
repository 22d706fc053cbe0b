"""Make a model's scores mean what they say, on labelled people it has not learned from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from huggingface_hub import EvalResult
from rich.progress import track
from torch import Tensor
from torch.nn import functional as F

from posetalk.atomic_files import whole_folder
from posetalk.errors import PosetalkError
from posetalk.hub.card import model_data, save_card, shown_path
from posetalk.images.affine import square_of
from posetalk.images.opening import cut, normalise, read_image
from posetalk.locate.decode import heat_maps, prefill, read, settle
from posetalk.locate.localizer import oks_scale
from posetalk.locate.predictions import scored_people
from posetalk.model.files import conversation, crop_settings, load, named_weights, save
from posetalk.model.posellm import PoseLLM
from posetalk.score.calibration import reliability
from posetalk.score.metrics import tell_visible
from posetalk.score.oks import similarity
from posetalk.skeleton import Skeleton
from posetalk.types import Floats, PoseSet

NOT_TOLD = "for the labels do not tell seen keypoints from hidden ones"
TEMPERATURES = tuple(float(t) for t in np.geomspace(0.4, 3.0, 41))


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """What was found: the heat map's temperature, factor and offset of the visible logit, and the errors it made.

    visible_line: None where the labels do not tell seen keypoints from hidden ones; the model's own was kept.

    error_before, error_after: expected calibration error of scores on the people that were used.
    """

    people: int
    temperature: float
    visible_line: tuple[float, float] | None
    error_before: float
    error_after: float


def calibrate(name: str | Path, truth: PoseSet, points: Skeleton, out: Path) -> CalibrationResult:
    """Write the model `name` (with the readout `point`) to the folder `out`, calibrated on the people of `truth`.

    The temperature of the heat maps is the one whose scores are nearest, in mean square, to the similarities that the
    answers had; the line of the visible logit is fitted by logistic regression, or kept as it was where the labels do
    not tell seen keypoints from hidden ones. Errors: a model without `point`, no people.
    """
    with whole_folder(out) as part:
        return _calibrate(name, truth, points, part, out.name)


def _calibrate(
    name: str | Path, truth: PoseSet, points: Skeleton, out: Path, title: str
) -> CalibrationResult:
    start = named_weights(name)
    model, tokenizer = load(name)
    if not model.config.cells:
        raise PosetalkError(f"{name} has no readout 'point', whose heat maps could be calibrated")
    line_before = model.point.visible_line.clone()
    model.point.forget_calibration()
    looked = _look(model, tokenizer, truth, points)

    def scores(temperature: float) -> tuple[Floats, Floats]:
        found = settle(looked.heat.float() / temperature, looked.visible, looked.scale.float())
        alike = similarity(found.xy.numpy(), looked.places.numpy(), looked.area.numpy(), points.sigmas)
        there = looked.labelled.numpy()
        return found.score.numpy()[there], alike[there]

    def miss(temperature: float) -> float:
        score, alike = scores(temperature)
        return float(((score - alike) ** 2).mean())

    if not looked.labelled.any():
        raise PosetalkError(
            f"no labelled keypoint of {truth.source} lies in its person's box; look at the labels"
        )
    misses = [miss(t) for t in track(TEMPERATURES, description="calibrating")]
    temperature = TEMPERATURES[int(np.argmin(misses))]
    told = tell_visible(person for _, person in scored_people(truth))
    line = _line(looked.visible.flatten(), looked.seen.float().flatten()) if told else None
    with torch.no_grad():
        model.point.temperature.fill_(temperature)
        model.point.visible_line.copy_(torch.tensor(line) if line else line_before)
    save(model, tokenizer, out)
    before, after = (reliability(*scores(t))[1] or 0.0 for t in (1.0, temperature))
    names, data_name = model.config.keypoints, shown_path(str(truth.source))
    card = [
        "# Model card",
        "",
        f"{shown_path(start)}, calibrated with posetalk on {len(looked.heat)} people of {data_name}; its "
        "weights are the same.",
        "",
        f"- Keypoints it has learned: {', '.join(names) if names else 'not known'}",
        "",
        "The licences of that model and of the data hold.",
    ]
    if line is None:
        card.insert(5, f"- Of visible: as it was, {NOT_TOLD}")
    error = EvalResult(
        "keypoint-detection",
        "calibration",
        f"{data_name}, the people it was calibrated on",
        "expected_calibration_error",
        round(after, 4),
        metric_name="expected calibration error of the scores",
    )
    data = model_data(model.config.vision, model.config.text, name=title, results=[error])
    save_card(out, data, card)
    return CalibrationResult(len(looked.heat), temperature, line, before, after)


class _Looked(NamedTuple):
    """What was seen of n people: lengths in crop sides."""

    heat: Tensor  # (n, k, S * S) logits
    visible: Tensor  # (n, k) logits
    places: Tensor  # (n, k, 2), labelled
    labelled: Tensor  # (n, k)
    seen: Tensor  # (n, k), labelled as visible
    scale: Tensor  # (n, k), OKS's s as far as the box tells
    area: Tensor  # (n,), OKS's


@torch.no_grad()
def _look(model: PoseLLM, tokenizer: Any, truth: PoseSet, points: Skeleton) -> _Looked:
    talk, crop = conversation(model.config, tokenizer), crop_settings(model.config)
    questions = read(model, talk, points.keypoints)
    rows: list[list[Tensor]] = []
    skipped: dict[str, None] = {}
    for image, person in track(scored_people(truth), description="looking"):
        box = truth.cropped(person.box, crop.padding)
        square = square_of(box, crop.size, crop.padding)
        try:
            picture = read_image(image.path)
        except PosetalkError as error:
            skipped[str(error)] = None
            continue
        pixels = torch.from_numpy(normalise(cut(picture, square), crop.pixels))
        heat, visible = heat_maps(model, prefill(model, talk, pixels[None]), questions)
        places = square.normalise(person.keypoints)
        labels = (
            places,
            ((places >= 0) & (places < 1)).all(1) & person.labelled,
            person.visible > 1,
            oks_scale([box], points.keypoints)[0] / square.side,
            person.area / square.side**2,
        )
        rows.append([heat[0].half(), visible[0], *(torch.from_numpy(np.asarray(label)) for label in labels)])
    if not rows:
        why = f" ({next(iter(skipped))})" if skipped else ""
        raise PosetalkError(f"{truth.source} has no labelled people to calibrate on{why}")
    for sentence in skipped:
        print(f"skipped: {sentence}")
    return _Looked(*(torch.stack(list(column)) for column in zip(*rows, strict=True)))


def _line(logit: Tensor, seen: Tensor) -> tuple[float, float]:
    """Factor and offset of the logits (n,) under which `seen` (n,) is likeliest."""
    line = torch.tensor([1.0, 0.0], requires_grad=True)
    search = torch.optim.LBFGS([line], max_iter=100)

    def miss() -> Tensor:
        search.zero_grad()
        loss = F.binary_cross_entropy_with_logits(logit * line[0] + line[1], seen)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    search.step(miss)  # type: ignore[no-untyped-call]
    factor, offset = line.tolist()
    return factor, offset
