"""Detectors of transformers: a folder or a hub id of a model for object detection."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import AutoImageProcessor, AutoModelForObjectDetection

from posetalk.errors import PosetalkError
from posetalk.images.opening import Pixels
from posetalk.model.files import load_part
from posetalk.types import Floats

LABEL = "person"


class PretrainedDetector:
    """Finds people with a model for object detection, on CUDA if there is one.

    Args:
        name: A folder or hub id that `AutoModelForObjectDetection` and `AutoImageProcessor` know.

    Raises:
        PosetalkError: There is no such model; it has no class that is called person.
    """

    min_score = 0.5  # what these models' own examples use

    def __init__(self, name: str) -> None:
        self._processor: Any = load_part(AutoImageProcessor, name, "detector")
        model: Any = load_part(AutoModelForObjectDetection, name, "detector")
        classes = model.config.id2label
        self._person = [number for number, label in classes.items() if str(label).strip().lower() == LABEL]
        if not self._person:
            some = ", ".join(str(label) for label in list(classes.values())[:5])
            raise PosetalkError(f"{name} finds no people: none of its classes is called {LABEL} ({some} ...)")
        self._model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()

    def __call__(self, image: Pixels, min_score: float) -> tuple[Floats, Floats]:
        """Boxes as left, top, right, bottom px of an image (n, 4), and their scores (n,)."""
        inputs = self._processor(images=image, return_tensors="pt", input_data_format="channels_last")
        with torch.no_grad():
            outputs = self._model(**inputs.to(self._model.device))
        (found,) = self._processor.post_process_object_detection(
            outputs, threshold=min_score, target_sizes=[image.shape[:2]]
        )
        boxes, scores, labels = (found[key].double().cpu().numpy() for key in ("boxes", "scores", "labels"))
        people = np.isin(labels, self._person)
        return boxes[people], scores[people]
