"""What LLaVA's frozen tower sees in the pictures of a run, looked at once."""

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
    """A folder of what the tower sees (`train.feature_cache`), which the model then takes in place of pixels."""

    def __init__(self, folder: str, model: Any, processor: Any) -> None:
        """Errors: a model that is not built as LLaVA-1.5, with one size of pictures and one layer of the tower."""
        whole = model.get_base_model() if isinstance(model, PeftModel) else model
        self._images = processor.image_processor
        self._layer = getattr(whole.config, "vision_feature_layer", None)
        if (
            not isinstance(whole, LlavaForConditionalGeneration)
            or not isinstance(self._layer, int)
            or "image_sizes" in self._images.model_input_names  # Pixtral's, of which each is another
        ):
            raise PosetalkError(
                "features are kept of models built as LLaVA-1.5 alone, with one layer of the tower and pictures of "
                f"one size, and this {type(whole).__name__} is another; leave features out"
            )
        self._tower = whole.model.vision_tower
        self._features = FeatureCache(folder, self._tower, f"{self._layer} {self._images.to_json_string()}")

    def fill(self, pictures: Iterable[Path], arguments: TrainingArguments) -> None:
        """Look at the pictures that are not there yet. Errors: a picture that cannot be read."""
        self._features.fill([(picture, None) for picture in pictures], self._look, arguments)

    def replace_tower(self) -> None:
        """From here on the model takes what `read` gives; its weights, and what is saved of it, stay as they are."""
        self._tower.forward = self._given

    def read(self, pictures: Sequence[Path]) -> torch.Tensor:
        """In place of pixel_values: (n, tokens, width) float32."""
        rows = [self._features.read(picture)["tokens"] for picture in pictures]
        return torch.from_numpy(np.stack(rows)).float()

    def _look(self, views: Sequence[tuple[Path, None]]) -> dict[str, torch.Tensor]:
        images = [Image.fromarray(read_image(picture)) for picture, _ in views]
        pixels = self._images(images, return_tensors="pt")["pixel_values"].to(self._tower.device)
        seen = self._tower(pixels.to(self._tower.dtype), output_hidden_states=True)
        return {"tokens": seen.hidden_states[self._layer]}

    def _given(self, tokens: torch.Tensor, **_: Any) -> BaseModelOutputWithPooling:
        found: Any = {self._layer: tokens}
        return BaseModelOutputWithPooling(last_hidden_state=tokens, hidden_states=found)
