"""The readout `point` as three networks that ONNX can hold: images, questions, and the places that questions point at.

They share the weights of a PoseLLM and compute what `locate.decode` computes, with shapes alone that a graph can leave
open: people P, questions K, tokens T and L.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from posetalk.model.posellm import PoseLLM

UNSEEN = -3e4  # added to attention scores; it is finite in float16 too


class ImageEncoder(nn.Module):
    """Encodes crops of people.

    Args:
        network: A PoseLLM with the readout `point`.
        prefix: Token ids of the prompt up to the end of the image, see `Conversation.prefix`.
    """

    ids: Tensor

    def __init__(self, network: PoseLLM, prefix: tuple[int, ...]) -> None:
        super().__init__()
        self.network = network
        ids = torch.tensor([prefix])
        self.register_buffer("ids", ids, persistent=False)
        where = (ids[0] == network.config.image_token_id).nonzero().flatten()
        self.start, self.end = int(where[0]), int(where[-1]) + 1

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Encode crops (P, 3, S, S), normalised as the model's crop settings say.

        Returns:
            Keys and values of every layer (P, layers, 2, heads, prefix length, width), and the keys of the heat map's
            cells (P, side * side, 64), row by row.
        """
        model = self.network.model
        image = model.get_image_features(pixels)
        known = self.ids.masked_fill(self.ids == self.network.config.image_token_id, 0)
        words = model.get_input_embeddings()(known).expand(pixels.shape[0], -1, -1)
        row = torch.cat([words[:, : self.start], image.pooler_output, words[:, self.end :]], 1)
        length = self.ids.shape[1]
        unseen = torch.full((1, 1, length, length), UNSEEN).triu(1)
        cache = DynamicCache()
        hidden = model.language_model(
            inputs_embeds=row,
            attention_mask=unseen,
            position_ids=torch.arange(length)[None],
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        layers = torch.stack([torch.stack([layer.keys, layer.values], 1) for layer in cache.layers], 1)
        return layers, self.network.point.keys(hidden[:, self.start : self.end], image.fine)


class QuestionReader(nn.Module):
    """Reads questions apart from the image, for a network whose `reading` is `once`."""

    def __init__(self, network: PoseLLM) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Token ids (K, L), padded on the right with any id, and how many count (K,) -> readings (K, width)."""
        model = self.network.model
        if model.question_encoder is not None:
            encoded: Tensor = model.question_reader(model.question_encoder.encode(ids, lengths))
            return encoded
        length = ids.shape[1]
        unseen = torch.full((1, 1, length, length), UNSEEN).triu(1)
        hidden = model.language_model(
            input_ids=ids,
            attention_mask=unseen,
            position_ids=torch.arange(length)[None],
            use_cache=False,
        ).last_hidden_state
        counts = (torch.arange(length)[None] < lengths[:, None]).to(hidden.dtype)[..., None]
        out: Tensor = model.question_reader((hidden * counts).sum(1) / counts.sum(1))
        return out


class KeypointPointer(nn.Module):
    """Points at the keypoints that are asked for."""

    def __init__(self, network: PoseLLM) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        layers: Tensor,
        cells: Tensor,
        questions: Tensor,
        unseen: Tensor,
        positions: Tensor,
        ends: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Ask every person every question.

        Args:
            layers: Of `ImageEncoder`.
            cells: Of `ImageEncoder`.
            questions: (T, width) embeddings of the questions' tokens, one after the other; T = K for readings.
            unseen: (T, prefix length + T) what is added to attention scores, see `question_rows`.
            positions: (T,) position ids.
            ends: (K,) where in T each question ends.

        Returns:
            Logits of the heat maps (P, K, side * side), row by row, and of `visible` (P, K).
        """
        cache = DynamicCache()
        for index in range(layers.shape[1]):
            cache.update(layers[:, index, 0], layers[:, index, 1], index)
        hidden = self.network.model.language_model(
            inputs_embeds=questions[None].expand(layers.shape[0], -1, -1),
            attention_mask=unseen[None, None],
            position_ids=positions[None],
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        heat, visible = self.network.point(hidden[:, ends], cells)
        return heat, visible


@contextmanager
def eager_attention(network: PoseLLM) -> Iterator[None]:
    """Attention written out as matrix products inside, which ONNX can hold."""
    config = network.model.language_model.config
    before = config._attn_implementation
    config._attn_implementation = "eager"
    try:
        yield
    finally:
        config._attn_implementation = before
