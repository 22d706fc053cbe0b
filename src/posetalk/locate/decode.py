"""Reading coordinates out of the language model: the picture once, all questions in one row.

A crop's prefix (`Image: ` and its tokens) is computed once and kept as keys and values. All questions of a person then
stand behind it in one row, each seeing the prefix and itself (the block mask of training), so nothing is copied and
nothing padded. `heat_maps` answers from the hidden states at the questions' ends, in that one pass. `decode` has six
digits written: the constant parts of an answer are given, not asked for; of each digit only the ten digits'
probabilities are looked at. A full prompt per keypoint through `generate` gives the same digits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache

from posetalk.model.posellm import PoseLLM, additive
from posetalk.prompt.conversation import Conversation
from posetalk.skeleton import Keypoint

STEPS = 3  # of `point` from the best cell to the best place


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """P crops, seen once: keys and values of each layer, (P, heads, prefix, width) each.

    cells: (P, S * S, d) keys of the heat maps, for a model with the readout `point`.
    """

    layers: tuple[tuple[Tensor, Tensor], ...]
    cells: Tensor | None

    def __getitem__(self, rows: slice) -> Prefix:
        cells = None if self.cells is None else self.cells[rows]
        return Prefix(tuple((k[rows], v[rows]) for k, v in self.layers), cells)

    @classmethod
    def concat(cls, parts: Sequence[Prefix]) -> Prefix:
        """The crops of all parts."""
        layers = zip(*(part.layers for part in parts), strict=True)
        cells = [part.cells for part in parts if part.cells is not None]
        return cls(
            tuple((torch.cat([k for k, _ in layer]), torch.cat([v for _, v in layer])) for layer in layers),
            torch.cat(cells) if cells else None,
        )


@dataclass(frozen=True, slots=True, eq=False)
class DecodedKeypoints:
    """Answers for P people and K questions, in 0..1 of the crop.

    xy:      (P, K, 2) the coordinates.
    std:     (P, K, 2) the spread of the answer's distribution; None for greedy digits.
    score:   (P, K) for digits the mean over the six digits of the chosen digit's probability (LocLLM's confidence
             without the constant tokens, which are always near 1); for `point` the similarity to be expected.
    visible: (P, K) the chance that the keypoint can be seen; None for digits.
    """

    xy: Tensor
    std: Tensor | None
    score: Tensor
    visible: Tensor | None = None


@torch.no_grad()
def prefill(model: PoseLLM, talk: Conversation, pixels: Tensor, cells: bool = True) -> Prefix:
    """See P crops (P, 3, S, S); without cells nothing but `decode` can ask."""
    ids = torch.tensor([talk.prefix], device=pixels.device).expand(len(pixels), -1)
    cache = DynamicCache()
    image = model.model.get_image_features(pixels)
    out = model.model(inputs_embeds=model.model.embed(ids, image), past_key_values=cache, use_cache=True)
    keys = None
    if cells and model.config.cells:
        is_image = ids[0] == model.config.image_token_id
        keys = model.point.keys(out.last_hidden_state[:, is_image], image.fine)
    return Prefix(tuple((layer.keys, layer.values) for layer in cache.layers), keys)


@torch.no_grad()
def read(model: PoseLLM, talk: Conversation, keypoints: Sequence[Keypoint]) -> list[Tensor]:
    """What stands behind the picture for each question: (n, width) words, or one where it is read apart."""
    questions = [talk.question(keypoint) for keypoint in keypoints]
    device = model.device
    if talk.question_token is None:
        words = model.get_input_embeddings()
        return [words(torch.tensor(question, device=device)) for question in questions]
    lengths = torch.tensor([len(question) for question in questions], device=device)
    rows = [torch.tensor(question, device=device) for question in questions]
    return list(model.model.read(pad_sequence(rows, batch_first=True), lengths)[:, None])


class _Row:
    """The growing row of P people: a prefix, K questions, and the answers' branches."""

    def __init__(self, model: PoseLLM, prefix: Prefix) -> None:
        self.model, self.cache = model, DynamicCache()
        self.words = model.get_input_embeddings()
        for index, (keys, values) in enumerate(prefix.layers):
            self.cache.update(keys, values, index)
        first = prefix.layers[0][0]
        self.people, self.length, self.device = first.shape[0], first.shape[2], first.device

    def read(self, words: Tensor, seen: Tensor, positions: Tensor) -> Tensor:
        """Append words (P, n, width), each seeing `seen` (P, n, length + n) at `positions` (P, n) -> hidden states."""
        out = self.model.model(
            inputs_embeds=words,
            attention_mask=additive(seen.unsqueeze(1), self.model.dtype),
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
        )
        self.length += words.shape[1]
        hidden: Tensor = out.last_hidden_state
        return hidden

    def ask(self, questions: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Append all questions, (n, width) words each -> of each end: hidden (P, K, width), what it sees, position."""
        sizes = [len(q) for q in questions]
        total, start = sum(sizes), self.length
        owner = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)).to(self.device)
        own = (owner[:, None] == owner[None, :]).tril()
        seen = torch.cat([torch.ones(total, start, dtype=torch.bool, device=self.device), own], 1)
        positions = torch.cat([torch.arange(start, start + n) for n in sizes]).to(self.device)
        hidden = self.read(
            torch.cat(list(questions)).expand(self.people, -1, -1),
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
        hidden = self.read(self.words(tokens.reshape(people, -1)), seen, places.reshape(people, -1))
        ends = torch.arange(size - 1, branches * size, size, device=self.device)
        return hidden[:, ends], seen[:, ends], places[..., -1]


@torch.no_grad()
def decode(
    model: PoseLLM,
    talk: Conversation,
    prefix: Prefix,
    questions: Sequence[Tensor],
    branches: int = 1,
) -> DecodedKeypoints:
    """Ask `questions` (of `read`) of every person of a prefix, and have the coordinates written.

    branches: 1 for greedy decoding. Above, the digits' tree is followed along the likeliest `branches` values of each
    place, and the answer is the mean of the distribution: what is not followed counts with the middle of its interval.
    """
    answer, row = talk.answer, _Row(model, prefix)
    digits = torch.tensor(answer.digits, device=row.device)
    head = model.get_output_embeddings().weight[digits]
    opening = row.words(torch.tensor(answer.open, device=row.device))
    end = row.ask([torch.cat([question, opening]) for question in questions])
    first, end = _coordinate(row, end, head, digits, branches)
    link = torch.tensor(answer.middle, device=row.device).expand(*first.last.shape, -1)
    end = row.extend(torch.cat([first.last[..., None], link], 2), end[1], end[2])
    second, _ = _coordinate(row, end, head, digits, branches)
    return DecodedKeypoints(
        xy=torch.stack([first.value, second.value], -1),
        std=torch.stack([first.std, second.std], -1) if branches > 1 else None,
        score=(first.score + second.score) / 2,
    )


@torch.no_grad()
def heat_maps(model: PoseLLM, prefix: Prefix, questions: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Ask `questions` (of `read`) of every person of a prefix -> logits (P, K, S * S) and of `visible` (P, K)."""
    assert prefix.cells is not None
    hidden, _, _ = _Row(model, prefix).ask(questions)
    heat, visible = model.point(hidden, prefix.cells)
    return heat.float(), visible.float()


def settle(heat: Tensor, visible: Tensor, scale: Tensor) -> DecodedKeypoints:
    """Where heat maps (P, K, S * S) point.

    scale: (P, K) the s of OKS, exp(-d^2 / (2 s^2)), in crop sides. The answer is the place of which the heat map
    expects the highest similarity, and `score` is that similarity: where the map is sure, it is near 1.
    """
    side = math.isqrt(heat.shape[-1])
    share = heat.softmax(-1).view(*heat.shape[:-1], side, side)
    centres = (torch.arange(side, device=heat.device) + 0.5) / side
    # exp(-d^2 / 2 s^2) is a product over x and y: two matrix products give the expectation at every cell.
    kernel = (-(((centres[:, None] - centres) / scale[..., None, None]) ** 2) / 2).exp()
    expected = (kernel @ share @ kernel).flatten(-2)
    best = expected.argmax(-1)
    x, y = centres[best % side], centres[best // side]
    for step in range(STEPS + 1):  # between the cells: uphill, each step to the mean of what lies near
        near_x, near_y = ((-(((centres - v[..., None]) / scale[..., None]) ** 2) / 2).exp() for v in (x, y))
        near = near_y[..., :, None] * share * near_x[..., None, :]
        score = near.sum((-2, -1))
        if step < STEPS:
            total = score.clamp_min(1e-12)
            x, y = (near.sum(-2) * centres).sum(-1) / total, (near.sum(-1) * centres).sum(-1) / total
    across, down = share.sum(-2), share.sum(-1)
    spread = [(((centres - v[..., None]) ** 2) * p).sum(-1).sqrt() for v, p in ((x, across), (y, down))]
    return DecodedKeypoints(torch.stack([x, y], -1), torch.stack(spread, -1), score, visible.sigmoid())


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
