"""A small vision encoder: the body of MoveNet, a MobileNetV2 with a feature pyramid that was trained on people.

The sizes are those of MoveNet Thunder (Google, Apache-2.0), read from its published graph. There the batch
norm is folded into the convolutions: a convolution has a bias here, and nothing is normalised while training.
EfficientNet-Lite0, which was not trained on people, differs in its sizes alone (`EFFICIENTNET_LITE0`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

PATCH = 32  # pixels per token: five stages halve the image
STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of MobileNetV2's seven stages, after a first convolution of stride 2
LATERAL = (1, 2, 3)  # the stages whose output (1/4, 1/8, 1/16) enters the pyramid
EFFICIENTNET_LITE0: dict[str, Any] = {  # the table of its published code (Google, Apache-2.0)
    "stem_channels": 32,
    "stage_channels": (16, 24, 40, 80, 112, 192, 320),
    "stage_depths": (1, 2, 2, 3, 3, 4, 1),
    "stage_kernels": (3, 3, 5, 3, 5, 5, 3),
    "pyramid_channels": (),
}
EXPANSION = 6
CELLS = PATCH // 4  # the pyramid ends at 1/4, so a token covers CELLS x CELLS of its cells


class MoveNetConfig(PreTrainedConfig):
    """Sizes of the vision encoder. `hidden_size`, the length of one token, follows from the others and cannot be set.

    stage_channels, stage_depths, stage_kernels: of MobileNetV2's seven stages.
    pyramid_channels: at the top, then after each of its three separable convolutions (1/16, 1/8, 1/4); empty for a
        encoder without a pyramid, whose own stages' outputs stand for it.
    position_channels: a multiple of 4.
    heat_maps: how many of MoveNet's own keypoint maps (17, COCO's order) each token sums up, 0 for none.
    """

    model_type = "movenet_backbone"

    image_size: int = 256
    patch_size: int = PATCH
    num_channels: int = 3
    stem_channels: int = 56
    stage_channels: list[int] | tuple[int, ...] = (32, 40, 56, 112, 168, 280, 560)
    stage_depths: list[int] | tuple[int, ...] = (1, 2, 3, 4, 3, 3, 1)
    stage_kernels: list[int] | tuple[int, ...] = (3, 3, 3, 3, 3, 3, 3)
    head_channels: int = 1280
    pyramid_channels: list[int] | tuple[int, ...] = (64, 32, 24, 24)
    position_channels: int = 32
    heat_maps: int = 0
    heat_channels: int = 96
    hidden_size: int = 2848

    def __post_init__(self, **kwargs: object) -> None:
        self.hidden_size = self.feature_size + self.position_channels
        super().__post_init__(**kwargs)

    @property
    def feature_size(self) -> int:
        """Channels of a token that come from the image: the rest is its position."""
        finest = self.pyramid_channels[-1] if self.pyramid_channels else self.stage_channels[LATERAL[0]]
        return self.head_channels + CELLS**2 * finest + 3 * self.heat_maps

    @property
    def fine_channels(self) -> int:
        """Channels of `VisionOutput.fine`: the pyramid's and MoveNet's own keypoint maps."""
        if self.pyramid_channels:
            return self.pyramid_channels[-1] + self.heat_maps
        return sum(self.stage_channels[stage] for stage in LATERAL)


@dataclass
class VisionOutput(BaseModelOutputWithPooling):
    """What a vision encoder gives; `fine`, (B, C, h, w), is what it knows at a finer grid than its tokens'."""

    fine: Tensor | None = None


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding: at stride 2 the odd pixel is added right and below."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, bias: bool = True
    ):
        super().__init__(inputs, outputs, kernel, stride, groups=groups, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        if stride == 1:  # as much on each side: without a padded copy
            return F.conv2d(x, self.weight, self.bias, padding=kernel // 2, groups=self.groups)
        if kernel > 1:
            height, width = (
                max((-(-size // stride) - 1) * stride + kernel - size, 0)
                for size in (x.shape[-2], x.shape[-1])
            )
            x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return super().forward(x)


class InvertedResidual(nn.Module):
    """MobileNetV2's block (arXiv 1801.04381, section 3.3): widen, look around each channel, narrow, add."""

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int, kernel: int = 3):
        super().__init__()
        self.expand = SameConv(inputs, hidden) if hidden != inputs else None
        self.depthwise = SameConv(hidden, hidden, kernel, stride, groups=hidden)
        self.project = SameConv(hidden, outputs)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        wide = x if self.expand is None else F.relu6(self.expand(x), inplace=True)
        narrow: Tensor = self.project(F.relu6(self.depthwise(wide), inplace=True))
        return x + narrow if self.residual else narrow


class Separable(nn.Module):
    """A depthwise 3x3 and a pointwise convolution, then ReLU: smooths the sum of two levels."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.depthwise = SameConv(inputs, inputs, 3, groups=inputs, bias=False)
        self.pointwise = SameConv(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.pointwise(self.depthwise(x)), inplace=True)


class MoveNetModel(PreTrainedModel):
    """Image to tokens. See `forward`."""

    config_class = MoveNetConfig
    main_input_name = "pixel_values"
    _no_split_modules: ClassVar[list[str]] = ["InvertedResidual"]

    def __init__(self, config: MoveNetConfig):
        super().__init__(config)
        self.stem = SameConv(config.num_channels, config.stem_channels, 3, 2)
        stages, inputs = [], config.stem_channels
        for index, (outputs, depth, kernel) in enumerate(
            zip(config.stage_channels, config.stage_depths, config.stage_kernels, strict=True)
        ):
            blocks = []
            for n in range(depth):
                hidden = inputs * (EXPANSION if index else 1)  # the first stage does not widen
                stride = STRIDES[index] if n == 0 else 1
                blocks.append(InvertedResidual(inputs, hidden, outputs, stride, kernel))
                inputs = outputs
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.head = SameConv(inputs, config.head_channels)

        levels = config.pyramid_channels
        if levels:
            self.top = SameConv(config.head_channels, levels[0])
            self.laterals = nn.ModuleList(
                SameConv(config.stage_channels[stage], levels[n]) for n, stage in enumerate(reversed(LATERAL))
            )
            self.smooths = nn.ModuleList(Separable(a, b) for a, b in pairwise(levels))
        if config.heat_maps:
            self.heat = nn.Sequential(
                Separable(levels[-1], config.heat_channels), SameConv(config.heat_channels, config.heat_maps)
            )
        self.register_buffer("mean", torch.zeros(config.feature_size))
        self.register_buffer("std", torch.ones(config.feature_size))
        self.register_buffer("fine_mean", torch.zeros(config.fine_channels))
        self.register_buffer("fine_std", torch.ones(config.fine_channels))
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, MoveNetModel):
            for values, fill in (
                (module.mean, 0.0),
                (module.std, 1.0),
                (module.fine_mean, 0.0),
                (module.fine_std, 1.0),
            ):
                nn.init.constant_(values, fill)

    def maps(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) in [-1, 1] -> the last layer (B, 1280, S/32, S/32), the pyramid (B, 24, S/4, S/4).

        Without a pyramid the second is the outputs of the stages that would enter it, enlarged and one after the other.
        """
        # Depthwise convolutions run faster in this memory order; shapes and values stay.
        x = F.relu6(self.stem(pixel_values.contiguous(memory_format=torch.channels_last)), inplace=True)
        stage_outputs = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in LATERAL:
                stage_outputs.append(x)
        coarse = F.relu6(self.head(x), inplace=True)
        if not self.config.pyramid_channels:
            size = stage_outputs[0].shape[-2:]
            return coarse, torch.cat(
                [stage_outputs[0], *(_enlarged(stage_output, size) for stage_output in stage_outputs[1:])], 1
            )
        fine = self.top(coarse)
        for lateral, smooth, stage_output in zip(
            self.laterals, self.smooths, reversed(stage_outputs), strict=True
        ):
            fine = smooth(_enlarged(fine, stage_output.shape[-2:]) + lateral(stage_output))
        return coarse, fine

    def features(self, pixel_values: Tensor) -> tuple[Tensor, Tensor]:
        """Before standardisation: tokens (B, (S/32)^2, feature_size) and fine maps (B, C, S/4, S/4)."""
        coarse, fine = self.maps(pixel_values)
        finest = fine if self.config.pyramid_channels else fine[:, : self.config.stage_channels[LATERAL[0]]]
        parts = [coarse, F.pixel_unshuffle(finest, CELLS)]
        if self.config.heat_maps:
            heat = self.heat(fine)
            parts.append(self.peaks(heat))
            # Its logits fall to -120 where nothing is: below -10 they say the same.
            fine = torch.cat([fine, heat.clamp_min(-10)], 1)
        return torch.cat(parts, 1).flatten(2).transpose(1, 2), fine

    def peaks(self, heat: Tensor) -> Tensor:
        """(B, K, S/4, S/4) -> (B, 3K, S/32, S/32): each map's peak under a token, x and y of it in -1..1."""
        cells = torch.unflatten(F.pixel_unshuffle(heat, CELLS), 1, (-1, CELLS**2))
        share = cells.softmax(2)
        ramp = torch.linspace(-1, 1, CELLS, device=heat.device, dtype=heat.dtype)
        x, y = (
            torch.einsum("bkchw,c->bkhw", share, grid.reshape(-1))
            for grid in (ramp[None, :].expand(CELLS, -1), ramp[:, None].expand(-1, CELLS))
        )
        return torch.cat([cells.amax(2), x, y], 1)

    def forward(self, pixel_values: Tensor, **_: object) -> VisionOutput:
        """See an image as (S/32)^2 tokens.

        pixel_values: (B, 3, S, S), RGB in [-1, 1], S a multiple of 32. `last_hidden_state` is (B, (S/32)^2,
        hidden_size), row by row from the top left: the last layer's channels, the pyramid's 8x8 cells under
        this token (channel by channel, each row by row), the heat maps' peaks where there are any, all
        standardised by `mean` and `std`, and a code of the token's place. `hidden_states` holds the same
        tensor, where LLaVA looks for it. `fine` holds the pyramid and the heat maps, standardised.
        """
        rows, columns = pixel_values.shape[-2] // PATCH, pixel_values.shape[-1] // PATCH
        features, fine = self.features(pixel_values.to(self.dtype))
        features = (features - self.mean) / self.std
        position = position_code(rows, columns, self.config.position_channels).to(features)
        tokens = torch.cat([features, position.expand(features.shape[0], -1, -1)], -1)
        fine = (fine - self.fine_mean[:, None, None]) / self.fine_std[:, None, None]
        return VisionOutput(last_hidden_state=tokens, hidden_states=(tokens,), fine=fine)


def _enlarged(maps: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(maps, size, mode="bilinear", align_corners=False)


def position_code(rows: int, columns: int, channels: int) -> Tensor:
    """(rows * columns, channels): sqrt(2) sin and cos of pi k x and pi k y at token centres x, y in 0..1.

    k = 1..channels/4 half waves across the image: up to k = rows none is an alias of another. The factor
    gives each channel about the variance 1 of the standardised features.
    """
    waves = torch.pi * torch.arange(1, channels // 4 + 1)
    y, x = (((torch.arange(n) + 0.5) / n)[:, None] * waves for n in (rows, columns))
    x_code = torch.cat([x.sin(), x.cos()], 1)[None, :].expand(rows, -1, -1)
    y_code = torch.cat([y.sin(), y.cos()], 1)[:, None].expand(-1, columns, -1)
    return 2**0.5 * torch.cat([x_code, y_code], -1).flatten(0, 1)


AutoConfig.register(MoveNetConfig.model_type, MoveNetConfig, exist_ok=True)
AutoModel.register(MoveNetConfig, MoveNetModel, exist_ok=True)
