"""Attention for packed rows: of the pairs of tokens, only those that see each other are computed.

A row is a picture and many questions, each of which sees the picture and itself. Under a mask over the whole row most
pairs are computed to be thrown away; here the picture's tokens attend as ever, and each question to the picture and
itself, as one batch of short rows.
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
from transformers.models.llama.modeling_llama import repeat_kv

NAME = "posetalk_block"


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """prefix: tokens that everyone sees. index, valid: (B, K, L) where a question's tokens stand, and which of the L
    there are. seen: (B * K, 1, L, prefix + L) what each sees."""

    prefix: int
    index: Tensor
    valid: Tensor
    seen: Tensor


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
    own = (longest[:, None] >= longest) & valid[:, :, None, :]
    seen = torch.cat([torch.ones_like(own[..., :1]).expand(*own.shape[:3], prefix), own], -1)
    return Blocks(prefix, index, valid, seen.flatten(0, 1)[:, None])


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
        out: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return out
    end, groups = blocks.prefix, query.shape[1] // key.shape[1]
    rows = torch.arange(len(query), device=query.device)[:, None, None]

    def own(of: Tensor) -> Tensor:
        """(B, heads, T, width) -> the questions' tokens as rows of their own, (B * K, heads, L, width)."""
        rows_of_own: Tensor = of.transpose(1, 2)[rows, blocks.index].flatten(0, 1)
        return rows_of_own.transpose(1, 2)

    def with_prefix(of: Tensor) -> Tensor:
        shared = of[:, None, :, :end].expand(-1, blocks.index.shape[1], -1, -1, -1).flatten(0, 1)
        both: Tensor = repeat_kv(torch.cat([shared, own(of)], 2), groups)
        return both

    first = F.scaled_dot_product_attention(
        query[:, :, :end],
        repeat_kv(key[:, :, :end], groups),
        repeat_kv(value[:, :, :end], groups),
        is_causal=True,
        dropout_p=dropout,
        scale=scaling,
    )
    asked = F.scaled_dot_product_attention(
        own(query), with_prefix(key), with_prefix(value), blocks.seen, dropout_p=dropout, scale=scaling
    )
    whole = torch.zeros_like(query.transpose(1, 2))
    whole[:, :end] = first.transpose(1, 2)
    places = (rows.expand_as(blocks.index)[blocks.valid], blocks.index[blocks.valid])
    found = asked.transpose(1, 2).reshape(*blocks.index.shape, *whole.shape[2:])
    return whole.index_put(places, found[blocks.valid]), None


AttentionInterface.register(NAME, attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
