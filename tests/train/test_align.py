"""Connectors aligned with the names of keypoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from posetalk.model.files import build, conversation, crop_settings
from posetalk.settings import AugmentSettings, DataSettings, ModelSettings, TrainSettings
from posetalk.skeleton import Keypoint, Skeleton
from posetalk.train.align import align
from posetalk.train.examples import TrainingExample, Views
from posetalk.types import Box, Person, frozen_array

STILL = AugmentSettings(scale=0, rotation=0, flip=0, shift=0)
TWO = Skeleton("two", (Keypoint("left hand", mirror="nose"), Keypoint("nose", mirror="left hand")))


def test_aligned_connectors_say_the_name_where_the_keypoint_is(
    tiny_settings: ModelSettings, tmp_path: Path
) -> None:
    spots = [(12, 12), (44, 44)]
    people = []
    for number in range(8):
        picture = np.zeros((56, 56, 3), np.uint8)
        xy = [spots[(number + i) % 2] for i in range(2)]
        for (x, y), colour in zip(xy, ((255, 0, 0), (0, 0, 255)), strict=True):
            picture[y - 7 : y + 7, x - 7 : x + 7] = colour
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
        person = Person(number, Box(0, 0, 56, 56), frozen_array(xy), frozen_array([2, 2]), 3000.0)
        people.append(TrainingExample(tmp_path / f"{number}.png", person, TWO))
    torch.manual_seed(0)
    model, tokenizer = build(tiny_settings)
    data = DataSettings(annotations="a", images="b")
    settings = TrainSettings(data=(data,), start="x", augmentation=STILL)
    talk, crop = conversation(model.config, tokenizer), crop_settings(model.config)
    views = Views(people, talk, crop, settings, 64)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    first = align(model, tokenizer, views, 1)
    last = align(model, tokenizer, views, 60)
    assert last < first - 0.5
    changed = {k.split(".")[1] for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed == {"multi_modal_projector"}
    assert all(p.grad is None for p in model.parameters())
