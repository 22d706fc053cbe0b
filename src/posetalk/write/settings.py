"""The settings of a data set that is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from posetalk.inputs import LocalPath
from posetalk.settings import Settings
from posetalk.write.from_model.presets import PRESETS, Preset
from posetalk.write.from_model.recipe import Recipe
from posetalk.write.samples.sample import Kind


class WriteSettings(Settings):
    """What decides the samples of a folder. A run that is resumed must have the same settings."""

    renamed: ClassVar[Mapping[str, str]] = {
        "pictures": "max_images",
    }

    writer: str
    """`facts`, or the name of a model."""
    annotations: LocalPath
    """COCO's person keypoints."""
    captions: LocalPath
    """COCO's captions of the same images."""
    objects: LocalPath | None = None
    """COCO's instances of the same images."""
    kinds: tuple[Kind, ...]
    """What is written: conversation, detail, reasoning, and by the facts writer short."""
    benchmarks: tuple[LocalPath, ...] = ()
    """Folders or files of benchmarks, whose images are left out."""
    recipe: Recipe | None = None
    """The prompts that a model is given: `grounded` or `paper`; None for the facts writer."""
    show_images: bool = False
    """Whether a model gets the photos too, with the facts of recipe `grounded`."""
    image_side: int = Field(default=1024, ge=64)
    """Longest side of a photo that is sent, in px; a larger one is made smaller."""
    verify: str | None = None
    """Name of the model that holds each sentence against captions, facts and photo; None for none."""
    preset: Literal["every-picture", "llava-pose"] = "every-picture"
    """How many images of each kind: all, or as many as LLaVA-Pose."""
    max_images: int | None = None
    """At most so many images of each kind, drawn by the seed; None for as many as the preset says."""
    seed: int = 0
    """Seed of the wording and the choice."""

    def image_limits(self) -> Preset:
        """The preset, with `max_images` in place of its own numbers where that is given."""
        preset = PRESETS[self.preset]
        if self.max_images is None:
            return preset
        return Preset(preset.questions, dict.fromkeys(self.kinds, self.max_images))
