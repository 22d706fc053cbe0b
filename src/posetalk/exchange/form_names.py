"""The names of the formats; imports nothing, as the command line reads it at every start."""

from __future__ import annotations

from typing import Literal

FormName = Literal[
    "coco",
    "wholebody",
    "halpe",
    "crowdpose",
    "ochuman",
    "aic",
    "posetrack",
    "yolo",
    "openpose",
    "alphapose",
    "mediapipe",
    "label-studio",
    "cvat",
    "fiftyone",
]
