"""The output of LLaVA's frozen vision encoder for the images of a run, computed once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import PeftModel
from PIL import Image
from transformers import LlavaForConditionalGeneration, TrainingArguments
from transformers.modeling_outputs import BaseModelOutputWithPooling

from posetalk.errors import PosetalkError
from posetalk.images.opening import read_image
from posetalk.train.feature_cache import FeatureCache


class VisionFeatureCache:
    """The vision encoder's outputs in a folder (`train.feature_cache`), which the model takes in place of pixels."""

    def __init__(self, folder: str, model: Any, processor: Any) -> None:
        """Raises PosetalkError: a model that is not built as LLaVA-1.5, with one image size and one encoder layer."""
        base = model.get_base_model() if isinstance(model, PeftModel) else model
        self._image_processor = processor.image_processor
        self._layer = getattr(base.config, "vision_feature_layer", None)
        if (
            not isinstance(base, LlavaForConditionalGeneration)
            or not isinstance(self._layer, int)
            or "image_sizes" in self._image_processor.model_input_names  # Pixtral's, of which each is another
        ):
            raise PosetalkError(
                "features are kept of models built as LLaVA-1.5 alone, with one layer of the encoder and images of "
                f"one size, and this {type(base).__name__} is another; leave feature_cache out"
            )
        self._vision_encoder = base.model.vision_tower
        self._features = FeatureCache(
            folder, self._vision_encoder, f"{self._layer} {self._image_processor.to_json_string()}"
        )

    def fill(self, images: Iterable[Path], arguments: TrainingArguments) -> None:
        """Compute the images that are not there yet. Raises PosetalkError: an image that cannot be read."""
        self._features.fill([(image, None) for image in images], self._vision_features, arguments)

    def replace_vision_encoder(self) -> None:
        """From here on the model takes what `read` gives; its weights, and what is saved of them, stay as they are."""
        self._vision_encoder.forward = self._cached_output

    def read(self, images: Sequence[Path]) -> torch.Tensor:
        """In place of pixel_values: (n, tokens, width) float32."""
        rows = [self._features.read(image)["tokens"] for image in images]
        return torch.from_numpy(np.stack(rows)).float()

    def _vision_features(self, views: Sequence[tuple[Path, None]]) -> dict[str, torch.Tensor]:
        decoded = [Image.fromarray(read_image(image)) for image, _ in views]
        pixels = self._image_processor(decoded, return_tensors="pt")["pixel_values"].to(
            self._vision_encoder.device
        )
        output = self._vision_encoder(pixels.to(self._vision_encoder.dtype), output_hidden_states=True)
        return {"tokens": output.hidden_states[self._layer]}

    def _cached_output(self, tokens: torch.Tensor, **_: Any) -> BaseModelOutputWithPooling:
        hidden_states: Any = {self._layer: tokens}
        return BaseModelOutputWithPooling(last_hidden_state=tokens, hidden_states=hidden_states)
