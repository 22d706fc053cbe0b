"""Labelled people as training sequences; every view is a pure function of (seed, number of the view)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from posetalk.errors import PosetalkError
from posetalk.images.affine import Square, square_of
from posetalk.images.augment import augment
from posetalk.prompt.conversation import Conversation
from posetalk.settings import CropSettings, Readout, TrainSettings
from posetalk.skeleton import Skeleton
from posetalk.train.feature_cache import FeatureCache, VisionFeatures, pixels_of
from posetalk.train.interpolated import interpolated_keypoints
from posetalk.train.packing import CHAIN, PackedSequence, pack
from posetalk.train.target import Target, placed
from posetalk.types import Person, PoseSet


@dataclass(frozen=True, slots=True, eq=False)
class TrainingExample:
    """A person to learn from: where the picture is, the labels, and whose keypoints they are."""

    image: Path
    person: Person
    skeleton: Skeleton


def examples(
    data: PoseSet, skeleton: Skeleton, without: Sequence[str] = (), padding: float = 1.0
) -> list[TrainingExample]:
    """The people of a data set with at least one labelled keypoint that is not left out; crowds are left out.

    padding: the model's own (CropSettings.padding); boxes that are padded already are not padded again.
    """
    if len(skeleton) != len(data.keypoint_names):
        raise PosetalkError(
            f"{data.source} labels {len(data.keypoint_names)} keypoints, but "
            f"the skeleton {skeleton.name} has {len(skeleton)}"
        )
    kept = np.array([name not in without for name in skeleton.names])
    return [
        TrainingExample(image.path, replace(person, box=data.cropped(person.box, padding)), skeleton)
        for image, person in data.people()
        if not person.is_crowd and bool((person.labelled & kept).any())
    ]


def targets(example: TrainingExample, square: Square, without: Sequence[str] = ()) -> list[Target]:
    """Every keypoint that is not left out; one without label, or outside the square, has no place and is not visible.

    In a mirrored square a left wrist is a right one: each label is asked for under its mirror's name.
    """
    places = square.normalise(example.person.keypoints)
    inside = ((places >= 0) & (places < 1)).all(axis=1) & example.person.labelled
    order = example.skeleton.flip_order if square.flip else range(len(example.skeleton))
    found = []
    for index, named in enumerate(order):
        keypoint = example.skeleton.keypoints[named]
        if keypoint.name not in without:
            place = (float(places[index, 0]), float(places[index, 1])) if inside[index] else None
            seen = place is not None and bool(example.person.visible[index] > 1)
            found.append(Target(keypoint, place, seen))
    return found


class Views(Dataset[tuple[np.ndarray | VisionFeatures, PackedSequence]]):
    """All views of a run in order: epoch after epoch, each a new permutation, each view newly augmented.

    View number i depends on the seed and i alone, so a run continues after a kill with the views it would have seen,
    and every process of a distributed run can make any view. With `features` the views come as a frozen tower has seen
    them.
    """

    features: FeatureCache | None = None

    def __init__(
        self,
        people: Sequence[TrainingExample],
        talk: Conversation,
        crop: CropSettings,
        settings: TrainSettings,
        views: int,
        readout: Readout = "digits",
    ) -> None:
        self.people, self.talk, self.crop, self.settings, self.views = people, talk, crop, settings, views
        self.readout = readout

    def __len__(self) -> int:
        return self.views

    def __getitem__(self, number: int) -> tuple[np.ndarray | VisionFeatures, PackedSequence]:
        example, rng = self._drawn(number)
        square, found = self._square(example, rng)
        if self.features:
            kept = self.features.read(example.image, square)
            return VisionFeatures(kept["tokens"], kept.get("fine")), self._packed(found, rng)
        return pixels_of(example.image, square, self.crop), self._packed(found, rng)

    def _drawn(self, number: int) -> tuple[TrainingExample, np.random.Generator]:
        epoch, place = divmod(number, len(self.people))
        order = np.random.default_rng((self.settings.seed, epoch)).permutation(len(self.people))
        return self.people[order[place]], np.random.default_rng((self.settings.seed, epoch, place))

    def place(self, number: int) -> tuple[Path, Square]:
        """The picture of view number i, and which square of it."""
        example, rng = self._drawn(number)
        return example.image, self._square(example, rng)[0]

    def seen(self, number: int) -> tuple[np.ndarray, list[Target]]:
        """View number i as pixels (3, S, S) float32 and all keypoints in it with their places."""
        example, rng = self._drawn(number)
        square, found = self._square(example, rng)
        return pixels_of(example.image, square, self.crop), found

    def _packed(self, found: list[Target], rng: np.random.Generator) -> PackedSequence:
        settings = self.settings
        if self.readout == "digits":
            found = placed(found)  # there is no answer that says "nowhere"
        limit = settings.keypoints_per_view or len(found)
        if settings.packing == "chain":
            limit = min(limit, CHAIN)
        if settings.packing == "chain" or limit < len(found):
            found = [found[i] for i in rng.permutation(len(found))[:limit]]
        bare = rng.random(len(found)) < settings.name_only_share
        found = [
            replace(t, keypoint=replace(t.keypoint, sentence="")) if b else t
            for t, b in zip(found, bare, strict=True)
        ]
        found += interpolated_keypoints(placed(found), settings.interpolated_keypoints, rng)
        return pack(self.talk, found, settings.packing, self.readout, settings.learn_digits)

    def _square(self, example: TrainingExample, rng: np.random.Generator) -> tuple[Square, list[Target]]:
        settings = self.settings
        plain = square_of(example.person.box, self.crop.size, self.crop.padding)
        square = augment(plain, settings.augmentation, rng)
        found = targets(example, square, settings.without_keypoints)
        if not placed(found):  # turned out of the picture: the plain view, or the whole of what is labelled
            square = plain
            found = targets(example, square, settings.without_keypoints)
        if not placed(found):
            raise PosetalkError(
                f"person {example.person.id} in {example.image} has no labelled keypoint inside its box; fix the box"
            )
        return square, found
