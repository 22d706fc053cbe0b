"""One picture and many questions in one sequence.

`block`: every question sees the picture and itself alone, its positions restart after the picture, so a packed sequence
computes exactly what separate single-question sequences would, at the price of one picture.
`chain`: LocLLM's way, up to five questions in a row, each seeing the answers before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from posetalk.model.posellm import IGNORE
from posetalk.prompt import coordinate
from posetalk.prompt.conversation import Conversation
from posetalk.skeleton import Keypoint

Packing = Literal["block", "chain"]
CHAIN = 5  # LocLLM: `self.num_joints = 5` conversation rounds for COCO


@dataclass(frozen=True, slots=True)
class Packed:
    """One sequence of T tokens: ids, labels (-100 where nothing is learned), positions, segments, truth (T, 5)."""

    input_ids: list[int]
    labels: list[int]
    position_ids: list[int]
    segments: list[int]
    truth: list[tuple[float, ...]]


NO_DIGIT: tuple[float, ...] = (float("nan"),) * 5


def pack(
    talk: Conversation, keypoints: Sequence[Keypoint], places: Sequence[tuple[float, float]], packing: Packing
) -> Packed:
    """The questions for `keypoints` with their answers `places` (x, y in 0..1 of the crop)."""
    start = len(talk.prefix)
    ids, labels = list(talk.prefix), [IGNORE] * start
    positions, segments, truth = list(range(start)), [0] * start, [NO_DIGIT] * start
    for number, (keypoint, (x, y)) in enumerate(zip(keypoints, places, strict=True), 1):
        question = talk.question(keypoint, first=packing == "block" or number == 1)
        answer = talk.answer.ids(x, y)
        size = len(question) + len(answer)
        ids += [*question, *answer]
        labels += [IGNORE] * len(question) + list(answer)
        truth += [NO_DIGIT] * len(question) + _truth(talk, x, y)
        if packing == "block":
            positions += range(start, start + size)
            segments += [number] * size
        else:
            positions += range(len(positions), len(positions) + size)
            segments += [0] * size
    return Packed(ids, labels, positions, segments, truth)


def _truth(talk: Conversation, x: float, y: float) -> list[tuple[float, ...]]:
    rows: list[tuple[float, ...]] = [NO_DIGIT] * len(talk.answer.ids(x, y))
    for half, value in enumerate((x, y)):
        prefix = 0.0
        for place, digit in enumerate(coordinate.digits(value)):
            rows[talk.answer.digit_slots[half * 3 + place]] = (float(place), prefix, value, x, y)
            prefix += digit * 0.1 ** (place + 1)
    return rows


def collate(examples: Sequence[tuple[np.ndarray, Packed]], pad: int) -> dict[str, Any]:
    """Pictures (3, S, S) and sequences -> a batch padded on the right."""
    length = max(len(p.input_ids) for _, p in examples)

    def rows(name: str, filler: Any, dtype: torch.dtype) -> torch.Tensor:
        return torch.tensor(
            [getattr(p, name) + [filler] * (length - len(p.input_ids)) for _, p in examples], dtype=dtype
        )

    return {
        "pixel_values": torch.from_numpy(np.stack([pixels for pixels, _ in examples])),
        "input_ids": rows("input_ids", pad, torch.long),
        "labels": rows("labels", IGNORE, torch.long),
        "position_ids": rows("position_ids", 0, torch.long),
        "segments": rows("segments", -1, torch.long),
        "truth": rows("truth", NO_DIGIT, torch.float32),
    }
