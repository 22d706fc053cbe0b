"""Labelled people as training sequences; every view is a pure function of (seed, number of the view)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from posetalk.errors import PosetalkError
from posetalk.formats.visible_flags import has_visible_flags
from posetalk.images.affine import Square, clip_box, square_of
from posetalk.images.augment import augment, half_body
from posetalk.images.opening import upright_size
from posetalk.images.photometric import photometric
from posetalk.prompt.conversation import Conversation
from posetalk.settings import CropSettings, Readout, TrainSettings
from posetalk.skeleton import Skeleton
from posetalk.train.feature_cache import FeatureCache, VisionFeatures, crop_pixels
from posetalk.train.interpolated import interpolated_keypoints
from posetalk.train.packing import CHAIN, PackedSequence, pack
from posetalk.train.phrasing import mistyped, phrased
from posetalk.train.target import Target, labelled_targets
from posetalk.types import Box, Person, PoseImage, PoseSet

_PLAIN = CropSettings()


@dataclass(frozen=True, slots=True, eq=False)
class TrainingExample:
    """A person to learn from: where the image is, the labels, whose keypoints they are, and whether the labels of the
    data set tell hidden keypoints from those that can be seen."""

    image: Path
    person: Person
    skeleton: Skeleton
    has_visible_flags: bool = True


def training_examples(
    data: PoseSet,
    skeleton: Skeleton,
    without_keypoints: Sequence[str] = (),
    crop: CropSettings = _PLAIN,
) -> list[TrainingExample]:
    """The people of a data set with at least one labelled keypoint that is not left out; crowds are left out.

    crop: the model's own; boxes that are padded already are not padded again, and COCO's are clipped where it says so.
    """
    if len(skeleton) != len(data.keypoint_names):
        raise PosetalkError(
            f"{data.source} labels {len(data.keypoint_names)} keypoints, but "
            f"the skeleton {skeleton.name} has {len(skeleton)}"
        )
    learned = np.array([name not in without_keypoints for name in skeleton.names])
    people = [(image, person) for image, person in data.people() if not person.is_crowd]
    visible_flags = has_visible_flags(person for _, person in people)
    return [
        TrainingExample(
            image.path, replace(person, box=_box(data, image, person, crop)), skeleton, visible_flags
        )
        for image, person in people
        if bool((person.labelled & learned).any())
    ]


def _box(data: PoseSet, image: PoseImage, person: Person, crop: CropSettings) -> Box:
    box = data.cropped(person.box, crop.padding)
    if not crop.clip_box or data.name != "coco":
        return box
    try:
        size = (image.width, image.height) if image.width and image.height else upright_size(image.path)
        return clip_box(box, *size)
    except PosetalkError:  # no image, or outside of it; whoever reads the examples says so
        return box


def view_targets(
    example: TrainingExample, square: Square, without_keypoints: Sequence[str] = ()
) -> list[Target]:
    """Every keypoint that is not left out; one without label, or outside the square, has no `xy` and is not visible.

    Where the data set does not tell hidden keypoints from visible ones, `visible` is None: nothing is learned of it.
    In a mirrored square a left wrist is a right one: each label is asked for under its mirror's name.
    """
    xy = square.normalise(example.person.keypoints)
    inside = ((xy >= 0) & (xy < 1)).all(axis=1) & example.person.labelled
    order = example.skeleton.flip_order if square.flip else range(len(example.skeleton))
    targets = []
    for index, source in enumerate(order):
        keypoint = example.skeleton.keypoints[source]
        if keypoint.name not in without_keypoints:
            target_xy = (float(xy[index, 0]), float(xy[index, 1])) if inside[index] else None
            visible = target_xy is not None and bool(example.person.visible[index] > 1)
            targets.append(Target(keypoint, target_xy, visible if example.has_visible_flags else None))
    return targets


class Views(Dataset[tuple[np.ndarray | VisionFeatures, PackedSequence]]):
    """All views of a run in order: epoch after epoch, each a new permutation, each view newly augmented.

    View number i depends on the seed and i alone, so a run continues after a kill with the views it would have seen,
    and every process of a distributed run can make any view. With `features` a view is the output of a frozen vision
    encoder, not pixels.
    """

    features: FeatureCache | None = None

    def __init__(
        self,
        people: Sequence[TrainingExample],
        conversation: Conversation,
        crop: CropSettings,
        settings: TrainSettings,
        views: int,
        readout: Readout = "digits",
    ) -> None:
        self.people, self.conversation, self.crop, self.settings, self.views = (
            people,
            conversation,
            crop,
            settings,
            views,
        )
        self.readout = readout

    def __len__(self) -> int:
        return self.views

    def __getitem__(self, number: int) -> tuple[np.ndarray | VisionFeatures, PackedSequence]:
        example, rng = self._example_and_rng(number)
        square, targets = self._square(example, rng)
        if self.features:
            arrays = self.features.read(example.image, square)
            return VisionFeatures(arrays["tokens"], arrays.get("fine")), self._packed(targets, rng)
        return self._pixels(number, example, square), self._packed(targets, rng)

    def _example_and_rng(self, number: int) -> tuple[TrainingExample, np.random.Generator]:
        epoch, index = divmod(number, len(self.people))
        order = np.random.default_rng((self.settings.seed, epoch)).permutation(len(self.people))
        return self.people[order[index]], np.random.default_rng((self.settings.seed, epoch, index))

    def crop_of(self, number: int) -> tuple[Path, Square]:
        """The image of view number i, and which square of it."""
        example, rng = self._example_and_rng(number)
        return example.image, self._square(example, rng)[0]

    def pixels_and_targets(self, number: int) -> tuple[np.ndarray, list[Target]]:
        """View number i as pixels (3, S, S) float32, and all keypoints in it."""
        example, rng = self._example_and_rng(number)
        square, targets = self._square(example, rng)
        return self._pixels(number, example, square), targets

    def _pixels(self, number: int, example: TrainingExample, square: Square) -> np.ndarray:
        augmentation = self.settings.augmentation
        if not augmentation.changes_pixels:
            return crop_pixels(example.image, square, self.crop)
        rng = np.random.default_rng((self.settings.seed, number, 1))
        return crop_pixels(
            example.image, square, self.crop, partial(photometric, settings=augmentation, rng=rng)
        )

    def _packed(self, targets: list[Target], rng: np.random.Generator) -> PackedSequence:
        settings = self.settings
        if self.readout == "digits":
            targets = labelled_targets(targets)  # there is no answer that says "nowhere"
        limit = settings.keypoints_per_view or len(targets)
        if settings.packing == "chain":
            limit = min(limit, CHAIN)
        if settings.packing == "chain" or limit < len(targets):
            targets = [targets[i] for i in rng.permutation(len(targets))[:limit]]
        name_only = rng.random(len(targets)) < settings.name_only_share
        between = interpolated_keypoints(labelled_targets(targets), settings.interpolated_keypoints, rng)
        targets = [
            replace(t, keypoint=phrased(t.keypoint, bool(drop), rng))
            for t, drop in zip(targets, name_only, strict=True)
        ]
        targets = [
            replace(t, keypoint=mistyped(t.keypoint, settings.text_noise_share, rng))
            for t in targets + between
        ]
        return pack(self.conversation, targets, settings.packing, self.readout, settings.learn_digits)

    def _square(self, example: TrainingExample, rng: np.random.Generator) -> tuple[Square, list[Target]]:
        settings = self.settings
        plain = square_of(example.person.box, self.crop.size, self.crop.padding)
        start = plain
        if settings.augmentation.half_body and rng.random() < settings.augmentation.half_body:
            start = square_of(half_body(example.person, rng), self.crop.size, self.crop.padding)
        square = augment(start, settings.augmentation, rng)
        targets = view_targets(example, square, settings.without_keypoints)
        if not labelled_targets(
            targets
        ):  # turned out of the image: the plain view, or the whole of what is labelled
            square = plain
            targets = view_targets(example, square, settings.without_keypoints)
        if not labelled_targets(targets):
            raise PosetalkError(
                f"person {example.person.id} in {example.image} has no labelled keypoint inside its box; fix the box"
            )
        return square, targets
