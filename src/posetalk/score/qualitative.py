"""The page of the best and the worst people: predictions beside labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from posetalk.draw import draw_pair, font
from posetalk.errors import PosetalkError
from posetalk.images.opening import read_image
from posetalk.locate.predictions import Prediction
from posetalk.types import Person, PoseImage, Poses

PANE = (232, 290)  # px, each half of a case
CASES_PER_ROW, CASES_PER_KIND = 3, 6  # cases in a row; cases of each kind
MIN_LARGE = 12  # so many large people, and the page shows only such
_GAP, _CAPTION, _HEADING = 18, 44, 62


@dataclass(frozen=True, slots=True, eq=False)
class QualitativeCase:
    """A person with the prediction for them and its OKS."""

    image: PoseImage
    person: Person
    prediction: Prediction
    oks: float


def draw_qualitative_cases(
    cases: Sequence[QualitativeCase], limbs: Sequence[tuple[int, int]]
) -> tuple[Image.Image, list[str]]:
    """The page (prediction left, truth right), and a sentence for each image that could not be read.

    cases: the best first; the first six and the last six are drawn, nobody twice.
    """
    best = list(cases[:CASES_PER_KIND])
    worst = list(cases[CASES_PER_KIND:][-CASES_PER_KIND:][::-1])
    notes: list[str] = []
    sections = [(title, shown) for title, shown in (("Best", best), ("Worst", worst)) if shown]
    tile_w, tile_h = 2 * PANE[0] + 3, PANE[1] + _CAPTION
    width = CASES_PER_ROW * (tile_w + _GAP) + _GAP
    height = sum(_HEADING + -(-len(shown) // CASES_PER_ROW) * (tile_h + _GAP) for _, shown in sections)
    page = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(page)
    y = 0
    for title, shown in sections:
        pen.text((_GAP, y + 16), title, fill="#12141a", font=font(28))
        pen.text(
            (_GAP + 105, y + 27), "found on the left, labelled on the right", fill="#6a7080", font=font(16)
        )
        y += _HEADING
        for number, case in enumerate(shown):
            x = _GAP + number % CASES_PER_ROW * (tile_w + _GAP)
            top = y + number // CASES_PER_ROW * (tile_h + _GAP)
            try:
                page.paste(Image.fromarray(_tile(case, limbs)), (x, top))
            except PosetalkError as error:
                notes.append(f"not drawn: {error}")
                pen.rectangle((x, top, x + tile_w - 1, top + PANE[1] - 1), fill="#e8eaf0")
                pen.text((x + 14, top + 14), "the image cannot be read", fill="#6a7080", font=font(16))
            pen.text((x, top + PANE[1] + 4), f"OKS {case.oks:.2f}", fill="#12141a", font=font(18))
            caption = (
                f"{case.prediction.file_name}, person {case.person.id}, boxes: {case.prediction.box_source}"
            )
            pen.text((x, top + PANE[1] + 26), _fitting(caption, tile_w), fill="#6a7080", font=font(13))
        y += -(-len(shown) // CASES_PER_ROW) * (tile_h + _GAP)
    return page, notes


def _tile(
    case: QualitativeCase, limbs: Sequence[tuple[int, int]]
) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    prediction, person = case.prediction, case.person
    labelled = person.labelled
    truth = Poses(
        xy=np.where(labelled[:, None], person.keypoints, np.nan)[None],
        score=np.ones((1, len(prediction.names))),
        names=prediction.names,
        boxes=(person.box,),
        visible=(person.visible > 1)[None],
    )
    return draw_pair(read_image(case.image.path), prediction.to_keypoints(), truth, limbs, pane=PANE)


def _fitting(text: str, width: int) -> str:
    """As much of the end of the text as fits, in px."""
    short = text
    while font(13).getlength(short) > width and len(short) > 8:
        short = "…" + short[9:] if short.startswith("…") else "…" + short[8:]
    return short
