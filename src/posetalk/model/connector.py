"""From image tokens to word embeddings: the one part in which LocLLM and PoseLLM differ."""

from __future__ import annotations

from torch import Tensor, nn


class LinearConnector(nn.Module):
    """LocLLM's connector: one linear layer, (..., vision width) -> (..., text width).

    PoseLLM's, two layers with a GELU between, is LLaVA-1.5's own projector class in transformers.
    """

    def __init__(self, vision_width: int, text_width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(vision_width, text_width)

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.linear(features)
        return out
