"""Pages of single people, predictions beside labels: the best and the worst, and the worst by one cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from posetalk.draw import draw_pair, font
from posetalk.errors import PosetalkError
from posetalk.images.opening import read_image
from posetalk.locate.predictions import Prediction
from posetalk.types import Floats, Person, PoseImage, Poses

PANE = (232, 290)  # px, each half of a case
CASES_PER_ROW, CASES_PER_KIND = 3, 6  # cases in a row; cases of each kind
MIN_LARGE = 12  # so many large people, and the page shows only such
_GAP, _CAPTION, _HEADING = 18, 44, 62
_FAINT = 0.05  # the score that keypoints are drawn with which a case is not about
_SIDES = "found on the left, labelled on the right"


@dataclass(frozen=True, slots=True, eq=False)
class QualitativeCase:
    """A person with the prediction for them and its OKS; `about`: what the case shows, the similarity of each keypoint
    that it is about by index, the least similar first. Empty: all keypoints."""

    image: PoseImage
    person: Person
    prediction: Prediction
    oks: float
    about: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class _Section:
    title: str
    note: str
    cases: Sequence[QualitativeCase]

    @property
    def rows(self) -> int:
        return -(-len(self.cases) // CASES_PER_ROW)


def draw_qualitative_cases(
    cases: Sequence[QualitativeCase], limbs: Sequence[tuple[int, int]]
) -> tuple[Image.Image, list[str]]:
    """The page (prediction left, truth right), and a sentence for each image that could not be read.

    cases: the best first; the first six and the last six are drawn, nobody twice.
    """
    best = cases[:CASES_PER_KIND]
    worst = cases[CASES_PER_KIND:][-CASES_PER_KIND:][::-1]
    return _draw_page([_Section("Best", _SIDES, best), _Section("Worst", _SIDES, worst)], limbs)


def draw_cause(
    cause: str, cases: Sequence[QualitativeCase], limbs: Sequence[tuple[int, int]]
) -> tuple[Image.Image, list[str]]:
    """The page of the people who lost most by one cause, the worst first, and a sentence for each image not read.

    The keypoints of that cause are drawn strongly, with a dashed ring, and the others faintly.
    """
    note = f"{_SIDES}; ringed: the keypoints of this cause"
    return _draw_page([_Section(cause.capitalize(), note, cases[:CASES_PER_KIND])], limbs)


def _draw_page(
    sections: Sequence[_Section], limbs: Sequence[tuple[int, int]]
) -> tuple[Image.Image, list[str]]:
    sections = [section for section in sections if section.cases]
    notes: list[str] = []
    tile_w, tile_h = 2 * PANE[0] + 3, PANE[1] + _CAPTION
    width = CASES_PER_ROW * (tile_w + _GAP) + _GAP
    height = sum(_HEADING + section.rows * (tile_h + _GAP) for section in sections)
    page = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(page)
    y = 0
    for section in sections:
        pen.text((_GAP, y + 16), section.title, fill="#12141a", font=font(28))
        note_x = _GAP + 24 + int(font(28).getlength(section.title))
        pen.text((note_x, y + 27), section.note, fill="#6a7080", font=font(16))
        y += _HEADING
        for number, case in enumerate(section.cases):
            x = _GAP + number % CASES_PER_ROW * (tile_w + _GAP)
            top = y + number // CASES_PER_ROW * (tile_h + _GAP)
            try:
                page.paste(Image.fromarray(_tile(case, limbs)), (x, top))
            except PosetalkError as error:
                notes.append(f"not drawn: {error}")
                pen.rectangle((x, top, x + tile_w - 1, top + PANE[1] - 1), fill="#e8eaf0")
                pen.text((x + 14, top + 14), "the image cannot be read", fill="#6a7080", font=font(16))
            pen.text((x, top + PANE[1] + 4), _headline(case, tile_w), fill="#12141a", font=font(18))
            caption = (
                f"{case.prediction.file_name}, person {case.person.id}, boxes: {case.prediction.box_source}"
            )
            pen.text((x, top + PANE[1] + 26), _fitting(caption, tile_w), fill="#6a7080", font=font(13))
        y += section.rows * (tile_h + _GAP)
    return page, notes


def _tile(
    case: QualitativeCase, limbs: Sequence[tuple[int, int]]
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    prediction, person = case.prediction.to_keypoints(), case.person
    labelled = person.labelled
    truth = Poses(
        xy=np.where(labelled[:, None], person.keypoints, np.nan)[None],
        score=np.ones((1, len(prediction.names))),
        names=prediction.names,
        boxes=(person.box,),
        visible=(person.visible > 1)[None],
    )
    if case.about:
        shown = np.isin(np.arange(len(labelled)), [j for j, _ in case.about])
        prediction, truth = (_emphasised(prediction.xy, truth, shown), _emphasised(truth.xy, truth, shown))
    return draw_pair(read_image(case.image.path), prediction, truth, limbs, pane=PANE)


def _emphasised(xy: Floats, truth: Poses, shown: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Poses:
    """The places `xy` of the labelled keypoints, those `shown` with a ring and the others faint."""
    labelled = np.isfinite(truth.xy).all(-1, keepdims=True)
    return Poses(
        xy=np.where(labelled, xy, np.nan),
        score=np.where(shown, 1.0, _FAINT)[None],
        names=truth.names,
        boxes=truth.boxes,
        trained=tuple(bool(value) for value in ~shown),  # draw rings what a model was not trained on
    )


def _headline(case: QualitativeCase, width: int) -> str:
    """The OKS, and as many of the keypoints that the case is about as fit, in px."""
    text = f"OKS {case.oks:.2f}"
    parts = [f"{case.prediction.names[j]} {value:.2f}" for j, value in case.about]
    for number, part in enumerate(parts):
        longer = f"{text}{', ' if number else ': '}{part}"
        rest = f" and {len(parts) - number - 1} more" if number < len(parts) - 1 else ""
        if font(18).getlength(longer + rest) > width:
            return f"{text} and {len(parts) - number} more"
        text = longer
    return text


def _fitting(text: str, width: int) -> str:
    """As much of the end of the text as fits, in px."""
    short = text
    while font(13).getlength(short) > width and len(short) > 8:
        short = "…" + short[9:] if short.startswith("…") else "…" + short[8:]
    return short
