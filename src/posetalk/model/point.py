"""The readout `point`: a question's last hidden state points into the picture, in one pass and without decoding.

The question gives a query, every cell of the picture a key, and their products are the logits of a heat map. Its
nearest relatives are KptLLM (NeurIPS 2024), which reads a keypoint off a language model's hidden state by a dot product
with image features, and Segment Anything's mask decoder, whose output tokens are multiplied with an upscaled image.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIZE = 64  # length of queries and keys
REACH = 5  # cells a fine key looks around, along x and y


class PointHead(nn.Module):
    """Hidden states of image tokens and of questions -> heat maps, and whether the keypoint can be seen.

    width: of the language model; cells: each image token is cut into cells x cells; fine: channels of the tower's fine
    maps, 0 for a tower that has none.
    """

    temperature: Tensor
    visible_line: Tensor

    def __init__(self, width: int, cells: int, fine: int) -> None:
        super().__init__()
        self.cells = cells
        self.norm = nn.LayerNorm(width)
        self.coarse = nn.Linear(width, cells * cells * SIZE)
        if fine:
            self.fine = nn.Conv2d(fine, SIZE, 1)
            self.around = nn.Sequential(
                nn.GELU(),
                nn.Conv2d(SIZE, SIZE, REACH, padding=REACH // 2, groups=SIZE),
                nn.Conv2d(SIZE, SIZE, 1),
            )
        self.query = nn.Linear(width, SIZE)
        self.visible = nn.Linear(width, 1)
        # Set by calibration: what the heat map's logits are divided by; factor and offset of the visible logit.
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("visible_line", torch.tensor([1.0, 0.0]))

    def forget_calibration(self) -> None:
        """It holds for the weights that it was measured with: training begins without."""
        self.temperature.fill_(1.0)
        self.visible_line.copy_(torch.tensor([1.0, 0.0]))

    def keys(self, hidden: Tensor, fine: Tensor | None) -> Tensor:
        """Image tokens' hidden states (B, n, width), fine maps (B, C, h, w) or None -> (B, S * S, SIZE), row by row.

        S is sqrt(n) * cells: the side of the heat map.
        """
        side, cells = math.isqrt(hidden.shape[1]), self.cells
        keys = self.coarse(self.norm(hidden)).view(-1, side, side, SIZE, cells, cells)
        keys = (
            keys.permute(0, 1, 4, 2, 5, 3).reshape(-1, side * cells, side * cells, SIZE).permute(0, 3, 1, 2)
        )
        if fine is not None:
            # Channels last, in memory: convolutions run twice as fast, and the keys need no transposing at the end.
            near = self.fine(fine.contiguous(memory_format=torch.channels_last))
            near = near + self.around(near)
            if near.shape[-1] != keys.shape[-1]:
                near = F.interpolate(near, keys.shape[-2:], mode="bilinear", align_corners=False)
            keys = keys + near
        out: Tensor = keys.permute(0, 2, 3, 1).flatten(1, 2)
        return out

    def forward(self, hidden: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states at the ends of questions (B, K, width) -> heat logits (B, K, S * S), visible logits (B, K)."""
        asked = self.norm(hidden)
        heat = self.query(asked) @ keys.mT / math.sqrt(SIZE)
        factor, offset = self.visible_line
        return heat / self.temperature, self.visible(asked)[..., 0] * factor + offset
