"""Labels with the keypoints of another skeleton, and in the order of doubt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from posetalk.errors import PosetalkError
from posetalk.exchange.labels import LabelSet
from posetalk.formats.names import partners
from posetalk.skeleton import Skeleton
from posetalk.types import Person, PoseImage, frozen_array


def fitted(labels: LabelSet, skeleton: Skeleton) -> tuple[LabelSet, list[str]]:
    """Labels with the keypoints of another skeleton, matched by name.

    Returns:
        The labels, and sentences on the keypoints that have no partner: those of the labels are dropped, those of
        `skeleton` are not labelled.
    """
    source = labels.skeleton
    found = partners(source, skeleton)
    if found == list(range(len(source))):
        return replace(labels, skeleton=skeleton), []
    if all(index is None for index in found):
        raise PosetalkError(f"no keypoint of {source.name} has the name of one of {skeleton.name}")
    lost = [name for index, name in enumerate(source.names) if index not in found]
    empty = [name for index, name in zip(found, skeleton.names, strict=True) if index is None]
    notes = []
    if lost:
        notes.append(f"{skeleton.name} has no {_listed(lost)}; left out ({len(lost)} of {len(source)})")
    if empty:
        notes.append(f"{source.name} has no {_listed(empty)}; not labelled ({len(empty)} of {len(skeleton)})")
    order = np.array([len(source) if index is None else index for index in found])

    def of(person: Person) -> Person:
        keypoints = np.vstack([person.keypoints, np.zeros((1, 2))])[order]
        visible = np.append(person.visible, 0)[order]
        scores = None if person.scores is None else frozen_array(np.append(person.scores, 0)[order])
        std = None if person.std is None else frozen_array(np.vstack([person.std, np.zeros((1, 2))])[order])
        return replace(
            person, keypoints=frozen_array(keypoints), visible=frozen_array(visible), scores=scores, std=std
        )

    images = tuple(replace(i, people=tuple(map(of, i.people))) for i in labels.data.images)
    data = replace(labels.data, images=images, keypoint_names=skeleton.names)
    return LabelSet(data, skeleton), notes


def _listed(names: Sequence[str], limit: int = 8) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def by_doubt(labels: LabelSet) -> LabelSet:
    """The images with the lowest mean score of their people's keypoints first; those without scores last.

    Raises:
        PosetalkError: Nobody has scores.
    """
    people = [person for _, person in labels.data.people()]
    if not any(person.scores is not None for person in people):
        raise PosetalkError("these labels have no scores to order them by; `posetalk label` writes some")

    def surety(image: PoseImage) -> float:
        scores = [float(p.scores.mean()) for p in image.people if p.scores is not None]
        return sum(scores) / len(scores) if scores else np.inf

    images = tuple(sorted(labels.data.images, key=surety))
    return replace(labels, data=replace(labels.data, images=images))
