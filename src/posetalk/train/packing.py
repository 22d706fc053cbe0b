"""One image and many questions in one sequence.

`block`: every question sees the image and itself alone, its positions restart after the image, so a packed sequence
computes exactly what separate single-question sequences would, at the price of one image.
`chain`: LocLLM's way, up to five questions in a row, each seeing the answers before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from posetalk.prompt import coordinate
from posetalk.prompt.conversation import Conversation
from posetalk.settings import Readout
from posetalk.train.feature_cache import VisionFeatures
from posetalk.train.losses import IGNORE
from posetalk.train.target import Target

Packing = Literal["block", "chain"]
CHAIN = 5  # LocLLM: `self.num_joints = 5` conversation rounds for COCO


@dataclass(frozen=True, slots=True)
class PackedSequence:
    """One sequence of T tokens with K questions.

    input_ids, position_ids, segments: T each. labels: T, -100 where nothing is learned; for `point` a label stands at
    each question's end, where it is only counted. truth: T of 5 numbers, see `losses.forward_with_loss`.
    questions: token ids of each question; ends: where each ends; points: x, y in 0..1 and visible, NaN where unknown.
    once: each question is one token, to be read apart from the image.
    """

    input_ids: list[int]
    labels: list[int]
    position_ids: list[int]
    segments: list[int]
    truth: list[tuple[float, ...]]
    questions: list[tuple[int, ...]]
    ends: list[int]
    points: list[tuple[float, float, float]]
    once: bool


UNKNOWN = float("nan")
NO_DIGIT: tuple[float, ...] = (UNKNOWN,) * 5
NO_POINT = (UNKNOWN,) * 3


def pack(
    conversation: Conversation,
    targets: Sequence[Target],
    packing: Packing = "block",
    readout: Readout = "digits",
    learn_digits: bool = False,
) -> PackedSequence:
    """The questions for `targets` in one row; answers follow those with known `xy` where digits are learned."""
    start = len(conversation.prefix)
    row = PackedSequence(
        list(conversation.prefix), [IGNORE] * start, list(range(start)), [0] * start, [NO_DIGIT] * start, [], [], [],
        once=conversation.question_token is not None,
    )  # fmt: skip
    for number, target in enumerate(targets, 1):
        words = conversation.question(target.keypoint, first=packing == "block" or number == 1)
        question = words if conversation.question_token is None else (conversation.question_token,)
        answer: tuple[int, ...] = ()
        if target.xy is not None and (readout == "digits" or learn_digits):
            answer = conversation.answer.ids(*target.xy)
        size = len(question) + len(answer)
        row.input_ids.extend((*question, *answer))
        row.labels.extend([IGNORE] * len(question))
        if readout == "point" and not learn_digits:
            row.labels[-1] = question[-1]
        row.labels.extend(answer)
        row.ends.append(len(row.truth) + len(question) - 1)
        row.truth.extend([NO_DIGIT] * len(question))
        if answer and target.xy is not None:
            row.truth.extend(_truth(conversation, *target.xy))
        visible = UNKNOWN if target.visible is None else float(target.visible)
        row.questions.append(words)
        row.points.append((*(target.xy or (UNKNOWN, UNKNOWN)), visible))
        if packing == "block":
            row.position_ids.extend(range(start, start + size))
            row.segments.extend([number] * size)
        else:
            row.position_ids.extend(range(len(row.position_ids), len(row.position_ids) + size))
            row.segments.extend([0] * size)
    return row


def _truth(conversation: Conversation, x: float, y: float) -> list[tuple[float, ...]]:
    rows: list[tuple[float, ...]] = [NO_DIGIT] * len(conversation.answer.ids(x, y))
    for half, value in enumerate((x, y)):
        prefix = 0.0
        for decimal, digit in enumerate(coordinate.digits(value)):
            rows[conversation.answer.digit_slots[half * 3 + decimal]] = (float(decimal), prefix, value, x, y)
            prefix += digit * 0.1 ** (decimal + 1)
    return rows


def collate(
    examples: Sequence[tuple[np.ndarray | VisionFeatures, PackedSequence]],
    pad: int,
    readout: Readout = "digits",
) -> dict[str, Any]:
    """Images (3, S, S), or the vision encoder's output for them, and sequences -> a batch padded on the right."""
    length = max(len(p.input_ids) for _, p in examples)

    def rows(name: str, filler: Any, dtype: torch.dtype) -> torch.Tensor:
        return torch.tensor(
            [getattr(p, name) + [filler] * (length - len(p.input_ids)) for _, p in examples], dtype=dtype
        )

    batch = _stacked([image for image, _ in examples]) | {
        "input_ids": rows("input_ids", pad, torch.long),
        "labels": rows("labels", IGNORE, torch.long),
        "position_ids": rows("position_ids", 0, torch.long),
        "segments": rows("segments", -1, torch.long),
        "truth": rows("truth", NO_DIGIT, torch.float32),
    }
    packed = [p for _, p in examples]
    if readout == "point":
        most_questions = max(len(p.ends) for p in packed)
        batch["ends"] = torch.tensor([p.ends + [0] * (most_questions - len(p.ends)) for p in packed])
        batch["points"] = torch.tensor(
            [p.points + [NO_POINT] * (most_questions - len(p.points)) for p in packed], dtype=torch.float32
        )
    if packed[0].once:
        unique = list(dict.fromkeys(q for p in packed for q in p.questions))
        index = {question: i for i, question in enumerate(unique)}
        longest = max(map(len, unique))
        batch["questions"] = torch.tensor([[*q, *[pad] * (longest - len(q))] for q in unique])
        batch["lengths"] = torch.tensor([len(q) for q in unique])
        batch["question_index"] = torch.tensor([index[q] for p in packed for q in p.questions])
    return batch


def _stacked(views: Sequence[np.ndarray | VisionFeatures]) -> dict[str, torch.Tensor]:
    cached = [view for view in views if isinstance(view, VisionFeatures)]
    if not cached:
        pixels = [view for view in views if not isinstance(view, VisionFeatures)]
        return {"pixel_values": torch.from_numpy(np.stack(pixels))}
    batch = {"features": torch.from_numpy(np.stack([view.tokens for view in cached])).float()}
    fine = [view.fine for view in cached if view.fine is not None]
    if fine:
        batch["fine"] = torch.from_numpy(np.stack(fine)).float()
    return batch
