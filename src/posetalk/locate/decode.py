"""Reading coordinates out of the language model: the picture once, all questions in one row, six digits each.

A crop's prefix (`Image: ` and its tokens) is computed once and kept as keys and values. All questions of a person then
stand behind it in one row, each seeing the prefix and itself (the block mask of training), so nothing is copied and
nothing padded. The constant parts of an answer are written, not asked for; of each digit only the ten digits'
probabilities are looked at. A full prompt per keypoint through `generate` gives the same digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from posetalk.model.posellm import PoseLLM, additive
from posetalk.prompt.conversation import Conversation

KeyValues = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Answers for P people and K questions, in 0..1 of the crop.

    xy:    (P, K, 2) the coordinates.
    std:   (P, K, 2) the spread of the digits' distribution; None for greedy decoding.
    score: (P, K) mean over the six digits of the chosen digit's probability (LocLLM's confidence without the
           constant tokens, which are always near 1).
    """

    xy: Tensor
    std: Tensor | None
    score: Tensor


@torch.no_grad()
def prefill(model: PoseLLM, talk: Conversation, pixels: Tensor) -> KeyValues:
    """The prefix of P crops (P, 3, S, S): keys and values of each layer, (P, heads, prefix, width) each."""
    ids = torch.tensor([talk.prefix], device=pixels.device).expand(len(pixels), -1)
    cache = DynamicCache()
    model.model(input_ids=ids, pixel_values=pixels, past_key_values=cache, use_cache=True)
    return [(layer.keys, layer.values) for layer in cache.layers]


class _Row:
    """The growing row of P people: a prefix, K questions, and the answers' branches."""

    def __init__(self, model: PoseLLM, prefix: KeyValues) -> None:
        self.model, self.cache = model, DynamicCache()
        for index, (keys, values) in enumerate(prefix):
            self.cache.update(keys, values, index)
        self.people, self.length = prefix[0][0].shape[0], prefix[0][0].shape[2]
        self.device = prefix[0][0].device

    def read(self, tokens: Tensor, seen: Tensor, positions: Tensor) -> Tensor:
        """Append tokens (P, n), each seeing `seen` (P, n, length + n) at `positions` (P, n) -> hidden (P, n, width)."""
        out = self.model.model(
            input_ids=tokens,
            attention_mask=additive(seen.unsqueeze(1), self.model.dtype),
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
        )
        self.length += tokens.shape[1]
        hidden: Tensor = out.last_hidden_state
        return hidden

    def ask(self, questions: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor, Tensor]:
        """Append all questions -> hidden at each end (P, K, width), what it sees (P, K, length), its position."""
        sizes = [len(q) for q in questions]
        total, start = sum(sizes), self.length
        owner = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)).to(self.device)
        own = (owner[:, None] == owner[None, :]).tril()
        seen = torch.cat([torch.ones(total, start, dtype=torch.bool, device=self.device), own], 1)
        positions = torch.cat([torch.arange(start, start + n) for n in sizes]).to(self.device)
        tokens = torch.tensor([t for q in questions for t in q], device=self.device)
        hidden = self.read(
            tokens.expand(self.people, -1),
            seen.expand(self.people, -1, -1),
            positions.expand(self.people, -1),
        )
        ends = torch.tensor(sizes, device=self.device).cumsum(0) - 1
        return (
            hidden[:, ends],
            seen[ends].expand(self.people, -1, -1),
            positions[ends].expand(self.people, -1),
        )

    def extend(self, tokens: Tensor, seen: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Continue n branches by m tokens each, (P, n, m) -> the same triple as `ask`, for the branches' new ends."""
        people, branches, size = tokens.shape
        new = torch.eye(branches, dtype=torch.bool, device=self.device)[:, None, :, None]
        new = new & torch.ones(size, size, dtype=torch.bool, device=self.device).tril()[None, :, None, :]
        new = new.reshape(branches * size, branches * size)
        before = seen.repeat_interleave(size, dim=1)
        seen = torch.cat([before, new.expand(people, -1, -1)], 2)
        places = positions[..., None] + 1 + torch.arange(size, device=self.device)
        hidden = self.read(tokens.reshape(people, -1), seen, places.reshape(people, -1))
        ends = torch.arange(size - 1, branches * size, size, device=self.device)
        return hidden[:, ends], seen[:, ends], places[..., -1]


@torch.no_grad()
def decode(
    model: PoseLLM,
    talk: Conversation,
    prefix: KeyValues,
    questions: Sequence[Sequence[int]],
    branches: int = 1,
) -> Found:
    """Ask `questions` (token ids up to `Answer:`) of every person of a prefix.

    branches: 1 for greedy decoding. Above, the digits' tree is followed along the likeliest `branches` values of each
    place, and the answer is the mean of the distribution: what is not followed counts with the middle of its interval.
    """
    answer, row = talk.answer, _Row(model, prefix)
    digits = torch.tensor(answer.digits, device=row.device)
    head = model.get_output_embeddings().weight[digits]
    end = row.ask([[*q, *answer.open] for q in questions])
    first, end = _coordinate(row, end, head, digits, branches)
    link = torch.tensor(answer.middle, device=row.device).expand(*first.last.shape, -1)
    end = row.extend(torch.cat([first.last[..., None], link], 2), end[1], end[2])
    second, _ = _coordinate(row, end, head, digits, branches)
    return Found(
        xy=torch.stack([first.value, second.value], -1),
        std=torch.stack([first.std, second.std], -1) if branches > 1 else None,
        score=(first.score + second.score) / 2,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Coordinate:
    value: Tensor  # (P, K)
    std: Tensor  # (P, K)
    score: Tensor  # (P, K)
    last: Tensor  # (P, K) token id of the last digit of the best branch


_End = tuple[Tensor, Tensor, Tensor]


def _coordinate(
    row: _Row, end: _End, head: Tensor, digits: Tensor, branches: int
) -> tuple[_Coordinate, _End]:
    """One coordinate from the ends of K questions; also the end of each question's best branch before its last digit.

    A branch is a prefix of digits with its probability. At each place the children of all branches (width x 10) are
    ranked; the best go on, the others count as the middle of their interval.
    """
    hidden, seen, positions = end
    people, asked = hidden.shape[:2]
    grid = torch.arange(10, device=row.device, dtype=torch.float64)
    weight = torch.ones(people, asked, 1, device=row.device, dtype=torch.float64)
    number = torch.zeros_like(weight)
    sure = torch.zeros_like(weight)
    mean = torch.zeros(people, asked, device=row.device, dtype=torch.float64)
    square = torch.zeros_like(mean)
    for place in range(3):
        width = weight.shape[2]
        step = 0.1 ** (place + 1)
        p = (hidden.double() @ head.double().T).softmax(-1).view(people, asked, width, 10)
        children = (weight[..., None] * p).flatten(2)
        numbers = (number[..., None] + step * grid).flatten(2)
        sures = (sure[..., None] + p).flatten(2)
        keep = 1 if place == 2 else min(branches, children.shape[2])
        best = children.topk(keep, dim=2).indices
        middle = 0.0 if place == 2 else step / 2 - 0.0005  # intervals are sets of thousandths
        dropped = torch.ones_like(children, dtype=torch.bool)
        if place < 2:
            dropped.scatter_(2, best, False)
        share, centre = children * dropped, numbers + middle
        mean = mean + (share * centre).sum(2)
        square = square + (share * (centre**2 + (step**2 - 1e-6) / 12 * (place < 2))).sum(2)
        weight, number, sure = (t.gather(2, best) for t in (children, numbers, sures))
        parent, chosen = best // 10, digits[best % 10]
        base = torch.arange(asked, device=row.device)[None, :, None] * width
        index = (base + parent).flatten(1)
        seen = seen.gather(1, index[..., None].expand(-1, -1, seen.shape[2]))
        positions = positions.gather(1, index)
        if place < 2:
            hidden, seen, positions = row.extend(chosen.flatten(1)[..., None], seen, positions)
    value = mean if branches > 1 else number[..., 0]
    std = (square - mean**2).clamp_min(0).sqrt()
    return _Coordinate(value, std, sure[..., 0] / 3, chosen[..., 0]), (hidden, seen, positions)
