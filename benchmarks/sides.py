"""Four ways to ask a network where a person's keypoints are, from one crop.

All write the same text: of a constant part of the answer (`[0.`, `,0.`, `]`) its token, of a digit one of the ten. A
trained model does so by itself; random weights have to be told, on every side alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, LogitsProcessor, LogitsProcessorList

from posetalk.locate.decode import decode, heat_maps, prefill, settle
from posetalk.model.posellm import PoseLLM
from posetalk.prompt import coordinate
from posetalk.prompt.conversation import Conversation
from posetalk.skeleton import Keypoint


def tokens(talk: Conversation) -> int:
    """Of an answer such as `[0.123,0.456]` without the end: 13 with LLaMA's tokenizer, LocLLM's max_new_tokens."""
    return talk.answer.digit_slots[-1] + 2


class Template(LogitsProcessor):
    """Nothing but the answer's form may be written."""

    def __init__(self, talk: Conversation, start: int) -> None:
        constant = talk.answer.ids(0, 0)
        self.allowed = [
            list(talk.answer.digits) if place in talk.answer.digit_slots else [constant[place]]
            for place in range(tokens(talk))
        ]
        self.start = start

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        some = self.allowed[input_ids.shape[1] - self.start]
        return torch.full_like(scores, -torch.inf).index_copy_(
            1, torch.tensor(some, device=scores.device), scores[:, some]
        )


def prompts(talk: Conversation, keypoints: Sequence[Keypoint], pad: int) -> tuple[Tensor, Tensor]:
    """A full prompt a keypoint, padded on the left as LocLLM does: ids and attention mask (K, T)."""
    rows = [(*talk.prefix, *talk.question(keypoint)) for keypoint in keypoints]
    longest = max(map(len, rows))
    ids = torch.tensor([[pad] * (longest - len(row)) + list(row) for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


@torch.no_grad()
def reference(model: PoseLLM, talk: Conversation, pixels: Tensor, keypoints: Sequence[Keypoint]) -> Tensor:
    """LocLLM's evaluation loop: the crop (1, 3, S, S) copied once a keypoint, and seen again at each of 13 steps.

    Its forward encodes the pictures whenever it is handed them, and its `prepare_inputs_for_generation` hands them over
    at every step, where their tokens are not used any more. The head runs over every position of the prompt. Returns
    the answers' token ids (K, 13).
    """
    ids, mask = prompts(talk, keypoints, pad=0)
    pictures = pixels.expand(len(keypoints), -1, -1, -1).contiguous()
    cache, template = DynamicCache(), Template(talk, ids.shape[1])
    new, written = ids, ids
    positions = (mask.cumsum(1) - 1).clamp_min(0)
    for _ in range(tokens(talk)):
        image = model.model.get_image_features(pictures)
        words = model.model.embed(new, image)
        out = model.model(
            inputs_embeds=words,
            attention_mask=mask,
            position_ids=positions[:, -new.shape[1] :],
            past_key_values=cache,
            use_cache=True,
        )
        scores = template(written, model.lm_head(out.last_hidden_state).float()[:, -1])
        new = scores.argmax(1, keepdim=True)
        written = torch.cat([written, new], 1)
        mask = torch.cat([mask, torch.ones_like(new)], 1)
        positions = torch.cat([positions, positions[:, -1:] + 1], 1)
    return written[:, ids.shape[1] :]


@torch.no_grad()
def careful(model: PoseLLM, talk: Conversation, pixels: Tensor, keypoints: Sequence[Keypoint]) -> Tensor:
    """What a careful user of transformers writes: the picture seen once, `generate` over all prompts -> (K, 13)."""
    ids, mask = prompts(talk, keypoints, pad=0)
    image = model.model.get_image_features(pixels)
    image.pooler_output = image.pooler_output.expand(len(keypoints), -1, -1)
    out = model.generate(
        inputs_embeds=model.model.embed(ids, image),
        attention_mask=mask,
        do_sample=False,
        max_new_tokens=tokens(talk),
        logits_processor=LogitsProcessorList([Template(talk, 0)]),
        pad_token_id=0,
        eos_token_id=None,
    )
    written: Tensor = out
    return written


def digits(model: PoseLLM, talk: Conversation, pixels: Tensor, questions: Sequence[Tensor]) -> Tensor:
    """posetalk's `digits`, greedy: the picture once, all questions in one row. (P, 3, S, S) -> (P, K, 2) in 0..1."""
    return decode(model, talk, prefill(model, talk, pixels, cells=False), questions).xy


def point(model: PoseLLM, talk: Conversation, pixels: Tensor, questions: Sequence[Tensor]) -> Tensor:
    """posetalk's `point`: one token a question, whose reading is remembered, and no decoding. -> (P, K, 2) in 0..1."""
    heat, visible = heat_maps(model, prefill(model, talk, pixels), questions)
    return settle(heat, visible, torch.full(heat.shape[:2], 0.05, device=heat.device)).xy


def places(tokenizer: Any, written: Tensor) -> Tensor:
    """Answers as text, (K, 13) -> (K, 2) in 0..1."""
    return torch.tensor([coordinate.read(tokenizer.decode(row)) for row in written], dtype=torch.float64)
