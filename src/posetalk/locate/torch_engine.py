"""A PoseLLM in torch: any model, any device, both readouts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from posetalk.locate.decode import DecodedKeypoints, Prefix, decode, heat_maps, prefill, read, settle
from posetalk.locate.engine import Answers
from posetalk.model.files import conversation, crop_settings, load
from posetalk.model.machine import inference_dtype, placed
from posetalk.model.parts import context_size
from posetalk.model.posellm import PoseLLM
from posetalk.settings import Dtype, Readout
from posetalk.skeleton import Keypoint
from posetalk.types import Floats


class TorchEngine:
    """Runs a PoseLLM in torch, see `Engine`.

    Args:
        model: The network.
        tokenizer: Its tokenizer.
    """

    name = "torch"

    def __init__(self, model: PoseLLM, tokenizer: Any) -> None:
        self.model = model.eval()
        self.conversation = conversation(model.config, tokenizer, model.question_tokenizer)
        self.crop = crop_settings(model.config)
        self.readout: Readout = model.config.readout
        self.points = bool(model.config.cells)
        self.source = str(model.config._name_or_path)
        self.trained_keypoints: tuple[str, ...] = tuple(model.config.keypoints or ())
        self.synonyms: tuple[str, ...] = tuple(model.config.synonyms or ())
        self.context = context_size(model.config.text_config)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        device: str | torch.device | None,
        device_map: Any,
        dtype: Dtype | torch.dtype | None,
        threads: int | None,
    ) -> Self:
        """Load a model, see `Localizer.from_pretrained`."""
        if threads is not None:
            torch.set_num_threads(threads)
        target, device_map = placed(device, device_map)
        model, tokenizer = load(name, inference_dtype(dtype, target), device_map=device_map)
        return cls(model if device_map is not None else model.to(target), tokenizer)

    def encode(self, pixels: npt.NDArray[np.float32], *, points: bool) -> Prefix:
        """See `Engine`."""
        return prefill(
            self.model, self.conversation, torch.from_numpy(pixels).to(self.model.device), cells=points
        )

    def read(self, keypoints: Sequence[Keypoint]) -> list[Tensor]:
        """See `Engine`."""
        return read(self.model, self.conversation, keypoints)

    def point(self, crops: Prefix, questions: Sequence[Tensor], scale: Floats) -> Answers:
        """See `Engine`."""
        heat, visible = heat_maps(self.model, crops, questions)
        return _answers(settle(heat, visible, torch.from_numpy(scale).to(heat.device, torch.float32)))

    def heat(self, crops: Prefix, questions: Sequence[Tensor]) -> Floats:
        """See `Engine`."""
        heat = heat_maps(self.model, crops, questions)[0].float().softmax(-1)
        side = math.isqrt(heat.shape[-1])
        return _array(heat.reshape(*heat.shape[:-1], side, side))

    def digits(self, crops: Prefix, questions: Sequence[Tensor], branches: int) -> Answers:
        """See `Engine`."""
        return _answers(decode(self.model, self.conversation, crops, questions, branches))


def _answers(decoded: DecodedKeypoints) -> Answers:
    xy, score = _array(decoded.xy), _array(decoded.score)
    std = None if decoded.std is None else _array(decoded.std)
    return Answers(xy, std, score, None if decoded.visible is None else _array(decoded.visible))


def _array(tensor: Tensor) -> Floats:
    out: Floats = tensor.cpu().double().numpy()
    return out
