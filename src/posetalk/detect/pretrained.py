"""Detectors of transformers: a folder or a hub id of a model for object detection."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import AutoImageProcessor, AutoModelForObjectDetection

from posetalk.detect.coco_categories import category_id
from posetalk.errors import PosetalkError
from posetalk.images.opening import Pixels
from posetalk.model.files import load_part
from posetalk.types import Floats

LABEL = "person"


class _Network:
    """A model for object detection, on CUDA if there is one. classes: their names by number."""

    min_score = 0.5  # what these models' own examples use

    def __init__(self, name: str) -> None:
        self._processor: Any = load_part(AutoImageProcessor, name, "detector")
        model: Any = load_part(AutoModelForObjectDetection, name, "detector")
        self.classes: dict[int, str] = {number: str(label) for number, label in model.config.id2label.items()}
        self._model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()

    def found(self, image: Pixels, min_score: float) -> tuple[Floats, Floats, Floats]:
        """Boxes as left, top, right, bottom px of an image (n, 4), their scores (n,) and numbers of classes (n,)."""
        inputs = self._processor(images=image, return_tensors="pt", input_data_format="channels_last")
        with torch.no_grad():
            outputs = self._model(**inputs.to(self._model.device))
        (found,) = self._processor.post_process_object_detection(
            outputs, threshold=min_score, target_sizes=[image.shape[:2]]
        )
        boxes, scores, labels = (found[key].double().cpu().numpy() for key in ("boxes", "scores", "labels"))
        return boxes, scores, labels

    def some_classes(self) -> str:
        return ", ".join(list(self.classes.values())[:5])


class PretrainedDetector(_Network):
    """Finds people with a model for object detection.

    Args:
        name: A folder or hub id that `AutoModelForObjectDetection` and `AutoImageProcessor` know.

    Raises:
        PosetalkError: There is no such model; it has no class that is called person.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._person = [number for number, label in self.classes.items() if label.strip().lower() == LABEL]
        if not self._person:
            raise PosetalkError(
                f"{name} finds no people: none of its classes is called {LABEL} ({self.some_classes()} ...)"
            )

    def __call__(self, image: Pixels, min_score: float) -> tuple[Floats, Floats]:
        """Boxes as left, top, right, bottom px of an image (n, 4), and their scores (n,)."""
        boxes, scores, labels = self.found(image, min_score)
        people = np.isin(labels, self._person)
        return boxes[people], scores[people]


class PretrainedThings(_Network):
    """Finds things of COCO's categories, people left out, with a model for object detection.

    Args:
        name: As for `PretrainedDetector`.

    Raises:
        PosetalkError: There is no such model; it has no class of COCO's beside people.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        person = category_id(LABEL)
        self._ids = {
            number: found
            for number, label in self.classes.items()
            if (found := category_id(label)) is not None and found != person
        }
        if not self._ids:
            raise PosetalkError(
                f"{name} finds no things: none of its classes is one of COCO's ({self.some_classes()} ...)"
            )

    def __call__(self, image: Pixels, min_score: float) -> tuple[Floats, Floats, list[int]]:
        """Boxes as left, top, right, bottom px of an image (n, 4), their scores (n,) and COCO's category ids."""
        boxes, scores, labels = self.found(image, min_score)
        things = np.isin(labels, list(self._ids))
        return boxes[things], scores[things], [self._ids[int(label)] for label in labels[things]]
