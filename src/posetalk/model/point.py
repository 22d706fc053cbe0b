"""The readout `point`: a question's last hidden state points into the image, in one pass and without decoding.

The question gives a query, every cell of the image a key, and their products are the logits of a heat map. Its
nearest relatives are KptLLM (NeurIPS 2024), which reads a keypoint off a language model's hidden state by a dot product
with image features, and Segment Anything's mask decoder, whose output tokens are multiplied with an upscaled image.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

KEY_SIZE = 64  # length of queries and keys
FINE_KERNEL = 5  # cells a fine key looks around, along x and y


class PointHead(nn.Module):
    """Hidden states of image tokens and of questions -> heat maps, and whether the keypoint can be seen.

    width: of the language model; cells: each image token is cut into cells x cells; fine: channels of the vision
    encoder's fine maps, 0 where it has none.
    """

    temperature: Tensor
    visible_line: Tensor

    def __init__(self, width: int, cells: int, fine: int) -> None:
        super().__init__()
        self.cells = cells
        self.norm = nn.LayerNorm(width)
        self.coarse = nn.Linear(width, cells * cells * KEY_SIZE)
        if fine:
            self.fine = nn.Conv2d(fine, KEY_SIZE, 1)
            self.around = nn.Sequential(
                nn.GELU(),
                nn.Conv2d(KEY_SIZE, KEY_SIZE, FINE_KERNEL, padding=FINE_KERNEL // 2, groups=KEY_SIZE),
                nn.Conv2d(KEY_SIZE, KEY_SIZE, 1),
            )
        self.query = nn.Linear(width, KEY_SIZE)
        self.visible = nn.Linear(width, 1)
        # Set by calibration: what the heat map's logits are divided by; factor and offset of the visible logit.
        self.register_buffer("temperature", torch.ones(()))
        self.register_buffer("visible_line", torch.tensor([1.0, 0.0]))

    def forget_calibration(self) -> None:
        """Set it to neutral: training changes the weights that it was measured with."""
        self.temperature.fill_(1.0)
        self.visible_line.copy_(torch.tensor([1.0, 0.0]))

    def keys(self, hidden: Tensor, fine: Tensor | None) -> Tensor:
        """Image tokens' hidden states (B, n, width), fine maps (B, C, h, w) or None -> (B, S * S, SIZE), row by row.

        S is sqrt(n) * cells: the side of the heat map.
        """
        hidden = hidden.to(self.query.weight.dtype)
        side, cells = math.isqrt(hidden.shape[1]), self.cells
        keys = self.coarse(self.norm(hidden)).view(-1, side, side, KEY_SIZE, cells, cells)
        keys = (
            keys.permute(0, 1, 4, 2, 5, 3)
            .reshape(-1, side * cells, side * cells, KEY_SIZE)
            .permute(0, 3, 1, 2)
        )
        if fine is not None:
            # Channels last, in memory: convolutions run twice as fast, and the keys need no transposing at the end.
            fine_keys = self.fine(fine.contiguous(memory_format=torch.channels_last))
            fine_keys = fine_keys + self.around(fine_keys)
            if fine_keys.shape[-1] != keys.shape[-1]:
                fine_keys = F.interpolate(fine_keys, keys.shape[-2:], mode="bilinear", align_corners=False)
            keys = keys + fine_keys
        out: Tensor = keys.permute(0, 2, 3, 1).flatten(1, 2)
        return out

    def forward(self, hidden: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states at the ends of questions (B, K, width) -> heat logits (B, K, S * S), visible logits (B, K)."""
        question = self.norm(hidden.to(self.query.weight.dtype))
        heat = self.query(question) @ keys.transpose(-1, -2) / math.sqrt(KEY_SIZE)
        factor, offset = self.visible_line
        return heat / self.temperature, self.visible(question)[..., 0] * factor + offset
