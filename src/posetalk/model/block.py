"""Attention for packed rows: of the pairs of tokens, only those that see each other are computed.

A row is an image and many questions, each of which sees the image and itself. Under a mask over the whole row most
pairs are computed to be thrown away; here the image's tokens attend as ever, and each question to the image and
itself. No key of the image is copied: the questions of a person are one matrix that is multiplied with all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "posetalk_block"


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """prefix: tokens that everyone sees, perhaps none. index: (B, K, L) where a question's tokens stand. unseen:
    (B, 1, K, 1, L, L) what of itself a question's token does not see. back: (B, T - prefix) which of the K * L a
    token behind the prefix is; None where they stand in that order."""

    prefix: int
    index: Tensor
    unseen: Tensor
    back: Tensor | None

    def to(self, device: torch.device) -> Blocks:
        """The same on another device."""
        back = None if self.back is None else self.back.to(device)
        return Blocks(self.prefix, self.index.to(device), self.unseen.to(device), back)


def blocks_of(segments: Tensor) -> Blocks | None:
    """(B, T) segments (see `block_mask`) -> their blocks; None where rows are of another form (one chain, say)."""
    questions = int(segments.max())
    prefix = int((segments[0] == 0).sum())
    if questions < 1 or not bool(((segments == 0).cumsum(1)[:, -1] == prefix).all()):
        return None
    numbers = torch.arange(1, questions + 1, device=segments.device)
    sizes = (segments[..., None] == numbers).sum(1)
    longest = torch.arange(int(sizes.max()), device=segments.device)
    valid = longest < sizes[..., None]
    starts = prefix + sizes.cumsum(1) - sizes
    index = (starts[..., None] + longest).where(valid, 0)
    if bool((segments.gather(1, index.flatten(1)).view_as(index) != numbers[:, None])[valid].any()):
        return None  # not one after the other
    unseen = ~((longest[:, None] >= longest) & valid[:, :, None, :])
    slots = torch.arange(valid[0].numel(), device=segments.device).view_as(valid[0])
    back = None
    if segments.shape[1] != prefix + slots.numel() or bool((index != prefix + slots)[valid].any()):
        back = torch.zeros_like(segments)
        back[valid.nonzero()[:, 0], index[valid]] = slots.expand_as(valid)[valid]
        back = back[:, prefix:]
    return Blocks(prefix, index, unseen[:, None, :, None], back)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    blocks: Blocks | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """transformers' interface: (B, heads, T, width) each -> (B, T, heads, width). Without blocks it is torch's own."""
    if blocks is None:
        plain: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return plain
    prefix, groups = blocks.prefix, key.shape[1]
    questions, longest = blocks.index.shape[1:]
    people = torch.arange(len(query), device=query.device)[:, None]

    def question_rows(states: Tensor) -> Tensor:
        """(B, heads, T, width) -> the questions' tokens, (B, groups, K, heads / groups * L, width)."""
        rows = states.transpose(1, 2)
        if blocks.back is None:
            rows = torch.unflatten(rows[:, prefix:], 1, (questions, longest))
        else:
            rows = rows[people[..., None], blocks.index]
        return torch.unflatten(rows, 3, (groups, -1)).permute(0, 3, 1, 4, 2, 5).flatten(3, 4)

    scale = query.shape[3] ** -0.5 if scaling is None else scaling
    own_query, shared_key, shared_value = (
        question_rows(query) * scale,
        key[:, :, :prefix],
        value[:, :, :prefix],
    )
    own_scores = torch.unflatten(own_query @ question_rows(key).mT, 3, (-1, longest))
    own_scores = own_scores.masked_fill(blocks.unseen, torch.finfo(own_scores.dtype).min).flatten(3, 4)
    shared_scores = torch.unflatten(own_query.flatten(2, 3) @ shared_key.mT, 2, (questions, -1))
    weights = torch.cat([shared_scores, own_scores], -1).softmax(-1, dtype=torch.float32).to(query.dtype)
    shared_scores, own_scores = torch.split(F.dropout(weights, dropout), [prefix, longest], -1)
    out = own_scores @ question_rows(value) + torch.unflatten(
        shared_scores.flatten(2, 3) @ shared_value, 2, (questions, -1)
    )
    out = torch.unflatten(out, 3, (-1, longest)).permute(0, 2, 4, 1, 3, 5).flatten(3, 4).flatten(1, 2)
    if blocks.back is not None:
        out = out[people, blocks.back]
    prefix_out = F.scaled_dot_product_attention(
        query[:, :, :prefix],
        shared_key,
        shared_value,
        is_causal=True,
        dropout_p=dropout,
        scale=scaling,
        enable_gqa=groups < query.shape[1],
    )
    return torch.cat([prefix_out.transpose(1, 2), out], 1), None


AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
