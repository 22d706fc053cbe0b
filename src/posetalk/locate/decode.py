"""Decode coordinates with the language model: each crop is encoded once, all its questions in one sequence.

The keys and values of a crop's prefix (`Image: ` and the image tokens) are computed once. All questions of a person
follow it in one sequence, where each attends to the prefix and to itself (the block mask of training), so nothing is
copied or padded. `heat_maps` reads the answers from the hidden states at the questions' ends, in that one pass.
`decode` generates six digits: the constant parts of an answer are inserted, and of each digit only the probabilities of
the ten digits are compared. A full prompt per keypoint through `generate` gives the same digits.
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

REFINEMENT_STEPS = 3  # of `settle`


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """P encoded crops.

    Attributes:
        layers: Keys and values of each layer, (P, heads, prefix length, width) each.
        cells: (P, S * S, d) keys of the heat maps' cells, for a model with the readout `point`.
    """

    layers: tuple[tuple[Tensor, Tensor], ...]
    cells: Tensor | None

    def __getitem__(self, rows: slice) -> Prefix:
        cells = None if self.cells is None else self.cells[rows]
        return Prefix(tuple((k[rows], v[rows]) for k, v in self.layers), cells)

    @classmethod
    def concat(cls, parts: Sequence[Prefix]) -> Prefix:
        layers = zip(*(part.layers for part in parts), strict=True)
        cells = [part.cells for part in parts if part.cells is not None]
        return cls(
            tuple((torch.cat([k for k, _ in layer]), torch.cat([v for _, v in layer])) for layer in layers),
            torch.cat(cells) if cells else None,
        )


@dataclass(frozen=True, slots=True, eq=False)
class DecodedKeypoints:
    """Answers for P people and K questions.

    Attributes:
        xy: (P, K, 2) coordinates in 0..1 of the crop, origin top left.
        std: (P, K, 2) standard deviations of the answers' distributions, in crop sides; None for greedy digits.
        score: (P, K) for `point` the expected OKS; for digits the mean probability of the six digits (for LocLLM's
            confidence see `Localizer`).
        visible: (P, K) probability that the keypoint is visible; None for digits.
    """

    xy: Tensor
    std: Tensor | None
    score: Tensor
    visible: Tensor | None = None


@torch.no_grad()
def prefill(model: PoseLLM, conversation: Conversation, pixels: Tensor, cells: bool = True) -> Prefix:
    """Encode P crops (P, 3, S, S). Without `cells` only `decode` can use the result."""
    ids = torch.tensor([conversation.prefix], device=pixels.device).expand(len(pixels), -1)
    cache = DynamicCache()
    image = model.model.get_image_features(pixels)
    output = model.model(inputs_embeds=model.model.embed(ids, image), past_key_values=cache, use_cache=True)
    keys = None
    if cells and model.config.cells:
        is_image = ids[0] == model.config.image_token_id
        keys = model.point.keys(output.last_hidden_state[:, is_image], image.fine)
    return Prefix(tuple((layer.keys, layer.values) for layer in cache.layers), keys)


@torch.no_grad()
def read(model: PoseLLM, conversation: Conversation, keypoints: Sequence[Keypoint]) -> list[Tensor]:
    """The embeddings of each question: (n, width), or (1, width) where questions are encoded to one token."""
    questions = [conversation.question(keypoint) for keypoint in keypoints]
    device = model.device
    if conversation.question_token is None:
        token_embeddings = model.get_input_embeddings()
        return [token_embeddings(torch.tensor(question, device=device)) for question in questions]
    lengths = torch.tensor([len(question) for question in questions], device=device)
    rows = [torch.tensor(question, device=device) for question in questions]
    return list(model.model.read(pad_sequence(rows, batch_first=True), lengths)[:, None])


class _Row:
    """The growing sequences of P people: a prefix, K questions, and the branches of their answers."""

    def __init__(self, model: PoseLLM, prefix: Prefix) -> None:
        self.model, self.cache = model, DynamicCache()
        self.token_embeddings = model.get_input_embeddings()
        for index, (keys, values) in enumerate(prefix.layers):
            self.cache.update(keys, values, index)
        first_keys = prefix.layers[0][0]
        self.people, self.length, self.device = first_keys.shape[0], first_keys.shape[2], first_keys.device

    def read(self, embeddings: Tensor, mask: Tensor, positions: Tensor) -> Tensor:
        """Append tokens and return their hidden states (P, n, width).

        Args:
            embeddings: (P, n, width).
            mask: (P, n, length + n) what each attends to.
            positions: (P, n) position ids.
        """
        output = self.model.model(
            inputs_embeds=embeddings,
            attention_mask=additive(mask.unsqueeze(1), embeddings.dtype),
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
        )
        self.length += embeddings.shape[1]
        hidden: Tensor = output.last_hidden_state.to(self.device)  # layers may lie on several devices
        return hidden

    def ask(self, questions: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Append all questions, (n, width) each.

        Returns:
            Of the last token of each question: hidden states (P, K, width), mask of what it attends to, position.
        """
        lengths = [len(question) for question in questions]
        n_tokens, start = sum(lengths), self.length
        question_index = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths)).to(
            self.device
        )
        same_question = (question_index[:, None] == question_index[None, :]).tril()
        mask = torch.cat(
            [torch.ones(n_tokens, start, dtype=torch.bool, device=self.device), same_question], 1
        )
        positions = torch.cat([torch.arange(start, start + n) for n in lengths]).to(self.device)
        hidden = self.read(
            torch.cat(list(questions)).expand(self.people, -1, -1),
            mask.expand(self.people, -1, -1),
            positions.expand(self.people, -1),
        )
        ends = torch.tensor(lengths, device=self.device).cumsum(0) - 1
        return (
            hidden[:, ends],
            mask[ends].expand(self.people, -1, -1),
            positions[ends].expand(self.people, -1),
        )

    def extend(self, tokens: Tensor, mask: Tensor, positions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Append m tokens to each of n branches, (P, n, m); returns the same as `ask`, for the branches' new ends."""
        people, branches, length = tokens.shape
        branch_mask = torch.eye(branches, dtype=torch.bool, device=self.device)[:, None, :, None]
        causal = torch.ones(length, length, dtype=torch.bool, device=self.device).tril()
        branch_mask = (branch_mask & causal[None, :, None, :]).reshape(branches * length, branches * length)
        earlier = mask.repeat_interleave(length, dim=1)
        mask = torch.cat([earlier, branch_mask.expand(people, -1, -1)], 2)
        new_positions = positions[..., None] + 1 + torch.arange(length, device=self.device)
        embeddings = self.token_embeddings(tokens.reshape(people, -1))
        hidden = self.read(embeddings, mask, new_positions.reshape(people, -1))
        ends = torch.arange(length - 1, branches * length, length, device=self.device)
        return hidden[:, ends], mask[:, ends], new_positions[..., -1]


@torch.no_grad()
def decode(
    model: PoseLLM,
    conversation: Conversation,
    prefix: Prefix,
    questions: Sequence[Tensor],
    branches: int = 1,
) -> DecodedKeypoints:
    """Generate the coordinates of every keypoint of every person as digits.

    Args:
        model: The model.
        conversation: Its prompt.
        prefix: P encoded crops.
        questions: K questions, from `read`.
        branches: 1 for greedy decoding. Above 1, the most probable `branches` values are followed from digit to digit,
            and the answer is the mean of the distribution; a value that is not followed counts as the middle of its
            interval.
    """
    answer, row = conversation.answer, _Row(model, prefix)
    digits = torch.tensor(answer.digits, device=row.device)
    head = model.get_output_embeddings().weight[list(answer.digits)].to(row.device)
    opening = row.token_embeddings(torch.tensor(answer.open, device=row.device))
    end = row.ask([torch.cat([question, opening]) for question in questions])
    first, end = _coordinate(row, end, head, digits, branches)
    link = torch.tensor(answer.middle, device=row.device).expand(*first.last_digit.shape, -1)
    end = row.extend(torch.cat([first.last_digit[..., None], link], 2), end[1], end[2])
    second, _ = _coordinate(row, end, head, digits, branches)
    return DecodedKeypoints(
        xy=torch.stack([first.value, second.value], -1),
        std=torch.stack([first.std, second.std], -1) if branches > 1 else None,
        score=(first.score + second.score) / 2,
    )


@torch.no_grad()
def heat_maps(model: PoseLLM, prefix: Prefix, questions: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Logits of the heat maps (P, K, S * S) and of visibility (P, K), for P encoded crops and K `questions`."""
    assert prefix.cells is not None
    hidden, _, _ = _Row(model, prefix).ask(questions)
    logits, visible = model.point(hidden, prefix.cells)
    return logits.to(hidden.device).float(), visible.to(hidden.device).float()


def settle(logits: Tensor, visible: Tensor, scale: Tensor) -> DecodedKeypoints:
    """Turn heat maps into coordinates: the point with the highest expected OKS, which is also its score.

    Args:
        logits: (P, K, S * S) of the cells.
        visible: (P, K) logits of visibility.
        scale: (P, K) the s of OKS, exp(-d^2 / (2 s^2)), in crop sides.
    """
    side = math.isqrt(logits.shape[-1])
    probability = logits.softmax(-1).view(*logits.shape[:-1], side, side)
    centres = (torch.arange(side, device=logits.device) + 0.5) / side
    # exp(-d^2 / 2 s^2) is a product over x and y: two matrix products give the expectation at every cell.
    kernel = (-(((centres[:, None] - centres) / scale[..., None, None]) ** 2) / 2).exp()
    expected = (kernel @ probability @ kernel).flatten(-2)
    best_cell = expected.argmax(-1)
    x, y = centres[best_cell % side], centres[best_cell // side]
    for step in range(REFINEMENT_STEPS + 1):  # mean shift, from the best cell to the maximum between cells
        kernel_x, kernel_y = (
            (-(((centres - v[..., None]) / scale[..., None]) ** 2) / 2).exp() for v in (x, y)
        )
        weighted = kernel_y[..., :, None] * probability * kernel_x[..., None, :]
        score = weighted.sum((-2, -1))
        if step < REFINEMENT_STEPS:
            total = score.clamp_min(1e-12)
            x, y = (weighted.sum(-2) * centres).sum(-1) / total, (weighted.sum(-1) * centres).sum(-1) / total
    p_x, p_y = probability.sum(-2), probability.sum(-1)
    std = [(((centres - v[..., None]) ** 2) * p).sum(-1).sqrt() for v, p in ((x, p_x), (y, p_y))]
    return DecodedKeypoints(torch.stack([x, y], -1), torch.stack(std, -1), score, visible.sigmoid())


@dataclass(frozen=True, slots=True, eq=False)
class _Coordinate:
    value: Tensor  # (P, K)
    std: Tensor  # (P, K)
    score: Tensor  # (P, K)
    last_digit: Tensor  # (P, K) token id of the last digit of the best branch


_End = tuple[Tensor, Tensor, Tensor]


def _coordinate(
    row: _Row, end: _End, head: Tensor, digits: Tensor, branches: int
) -> tuple[_Coordinate, _End]:
    """Generate one coordinate of K questions; also returns the end of each best branch, before its last digit.

    A branch is the digits so far, with their probability. At each digit the children of all branches (width x 10) are
    ranked; the best are continued, the others count as the middle of their interval.
    """
    hidden, mask, positions = end
    people, questions = hidden.shape[:2]
    exact = torch.float32 if row.device.type == "mps" else torch.float64  # which Apple's GPUs do not have
    grid = torch.arange(10, device=row.device, dtype=exact)
    weight = torch.ones(people, questions, 1, device=row.device, dtype=exact)
    prefix_value = torch.zeros_like(weight)
    probability_sum = torch.zeros_like(weight)
    mean = torch.zeros(people, questions, device=row.device, dtype=exact)
    mean_square = torch.zeros_like(mean)
    for digit in range(3):
        width = weight.shape[2]
        step = 0.1 ** (digit + 1)
        p = (hidden.to(exact) @ head.to(exact).T).softmax(-1).view(people, questions, width, 10)
        children = (weight[..., None] * p).flatten(2)
        values = (prefix_value[..., None] + step * grid).flatten(2)
        probability_sums = (probability_sum[..., None] + p).flatten(2)
        n_best = 1 if digit == 2 else min(branches, children.shape[2])
        best = children.topk(n_best, dim=2).indices
        half_interval = 0.0 if digit == 2 else step / 2 - 0.0005  # intervals are sets of thousandths
        dropped = torch.ones_like(children, dtype=torch.bool)
        if digit < 2:
            dropped.scatter_(2, best, False)
        dropped_weight, centre = children * dropped, values + half_interval
        mean = mean + (dropped_weight * centre).sum(2)
        variance = (step**2 - 1e-6) / 12 if digit < 2 else 0.0  # of an interval
        mean_square = mean_square + (dropped_weight * (centre**2 + variance)).sum(2)
        weight, prefix_value, probability_sum = (
            t.gather(2, best) for t in (children, values, probability_sums)
        )
        parent, tokens = best // 10, digits[best % 10]
        offset = torch.arange(questions, device=row.device)[None, :, None] * width
        index = (offset + parent).flatten(1)
        mask = mask.gather(1, index[..., None].expand(-1, -1, mask.shape[2]))
        positions = positions.gather(1, index)
        if digit < 2:
            hidden, mask, positions = row.extend(tokens.flatten(1)[..., None], mask, positions)
    value = mean if branches > 1 else prefix_value[..., 0]
    std = (mean_square - mean**2).clamp_min(0).sqrt()
    return _Coordinate(value, std, probability_sum[..., 0] / 3, tokens[..., 0]), (
        hidden,
        mask,
        positions,
    )
