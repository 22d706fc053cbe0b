"""The scored people as arrays, and each number as a ratio of sums over them (so that it can be resampled)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from posetalk.locate.predictions import Prediction, scored_people
from posetalk.locate.similarity import similarity
from posetalk.score.oks import oks
from posetalk.score.pck import (
    LSP_LEFT_OUT_12,
    MPII_LEFT_OUT,
    MPII_LEFT_OUT_12,
    counts,
    head_lengths,
    torso_lengths,
    within,
)
from posetalk.skeleton import Skeleton
from posetalk.types import Floats, Person, PoseImage, PoseSet

LARGE_KEYPOINTS, LARGE_SIDE = 8, 64.0  # "large" people: so many keypoints labelled, a box side so long (px)
NEAR = 0.1  # of the longer side of the box: the share in the table of keypoints

Protocol = Literal["oks", "pckh", "pck"]
# name of a number -> each person's numerator and denominator (n,); the number is the ratio of their sums
Metrics = dict[str, tuple[Floats, Floats]]


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """The n people of a set that are scored: xy (n, k, 2) px, labelled (n, k) 0 or 1, area (n,) px^2."""

    people: tuple[tuple[PoseImage, Person], ...]
    skeleton: Skeleton
    xy: Floats
    labelled: Floats
    area: Floats
    large: Floats

    @classmethod
    def of(cls, truth: PoseSet, skeleton: Skeleton) -> Labels:
        people = tuple(scored_people(truth))
        k = len(skeleton)
        labelled = np.array([p.labelled for _, p in people], np.float64).reshape(-1, k)
        sides = np.array([max(p.box.w, p.box.h) for _, p in people], np.float64)
        return cls(
            people=people,
            skeleton=skeleton,
            xy=np.array([p.keypoints for _, p in people], np.float64).reshape(-1, k, 2),
            labelled=labelled,
            area=np.array([p.area for _, p in people], np.float64),
            large=((labelled.sum(1) >= LARGE_KEYPOINTS) & (sides >= LARGE_SIDE)).astype(np.float64),
        )

    @property
    def persons(self) -> list[Person]:
        return [person for _, person in self.people]

    def predicted_xy(self, predictions: Sequence[Prediction]) -> Floats:
        """The predicted position of every keypoint: (n, k, 2) px; nan for a person without prediction."""
        by_key = {p.key: p for p in predictions}
        xy = np.full(self.xy.shape, np.nan)
        for i, (image, person) in enumerate(self.people):
            if (image.id, person.id) in by_key:
                xy[i] = by_key[image.id, person.id].keypoints[:, :2]
        return xy

    def predicted_scores(self, predictions: Sequence[Prediction]) -> tuple[Floats, Floats]:
        """The score of every keypoint, and whether it is said to be visible (1, 0): (n, k) each, nan where unknown."""
        by_key = {p.key: p for p in predictions}
        score, visible = (np.full(self.labelled.shape, np.nan) for _ in range(2))
        for i, (image, person) in enumerate(self.people):
            if prediction := by_key.get((image.id, person.id)):
                score[i] = prediction.keypoints[:, 2]
                if prediction.visible is not None:
                    visible[i] = prediction.visible
        return score, visible


@dataclass(frozen=True, slots=True)
class KeypointRow:
    """One keypoint over all people: mean similarity, share within 0.1 of the box's longer side, labels."""

    name: str
    seen: bool
    similarity: float | None
    near: float | None
    baseline_similarity: float | None
    baseline_near: float | None
    n: int


def metrics_of(labels: Labels, xy: Floats, protocol: Protocol, seen: Collection[str] | None) -> Metrics:
    """Every number of the protocol for the positions `xy`; with `seen`, seen and unseen keypoints apart too."""
    names = labels.skeleton.names
    parts: dict[str, Sequence[int]] = {}  # suffix -> keypoints left out
    if seen is not None and not set(names) <= set(seen):
        parts["_seen"] = [i for i, name in enumerate(names) if name not in seen]
        parts["_unseen"] = [i for i, name in enumerate(names) if name in seen]
    match protocol:
        case "oks":
            return _oks_metrics(labels, xy, parts)
        case "pckh":
            lengths, _ = head_lengths(labels.persons)
            named = {"": MPII_LEFT_OUT, "_12": MPII_LEFT_OUT_12, **parts}
            return {
                **_pck_metrics(labels, xy, lengths, "PCKh@0.5", 0.5, named),
                **_pck_metrics(labels, xy, lengths, "PCKh@0.1", 0.1, named),
            }
        case "pck":
            lengths = torso_lengths(labels.persons)
            return _pck_metrics(
                labels, xy, lengths, "PCK@0.2", 0.2, {"": (), "_12": LSP_LEFT_OUT_12, **parts}
            )


def _oks_metrics(labels: Labels, xy: Floats, parts: Mapping[str, Sequence[int]]) -> Metrics:
    def mean(left_out: Sequence[int], people: Floats | None = None) -> tuple[Floats, Floats]:
        labelled = labels.labelled.copy()
        labelled[:, left_out] = 0
        counted = np.asarray(labelled.sum(1) > 0, np.float64) if people is None else people
        value = oks(xy, labels.xy, labelled, labels.area, labels.skeleton.sigmas)
        return np.where((counted > 0) & np.isfinite(value), value, 0.0), counted

    numbers = {"mean_oks": mean([]), "mean_oks_large": mean([], labels.large)}
    return numbers | {f"mean_oks{suffix}": mean(left_out) for suffix, left_out in parts.items()}


def _pck_metrics(
    labels: Labels, xy: Floats, lengths: Floats, name: str, share: float, parts: Mapping[str, Sequence[int]]
) -> Metrics:
    labelled = labels.labelled * np.isfinite(lengths)[:, None]
    hits = within(xy, labels.xy, lengths, share)
    return {f"{name}{suffix}": counts(hits, labelled, left_out) for suffix, left_out in parts.items()}


def ratio(numerator: Floats, denominator: Floats) -> float | None:
    total = float(denominator.sum())
    return float(numerator.sum()) / total if total else None


def person_scores(labels: Labels, xy: Floats) -> Floats:
    """Each person's OKS, 0 without prediction: (n,). It orders the page of cases, whatever the protocol."""
    value: Floats = np.nan_to_num(oks(xy, labels.xy, labels.labelled, labels.area, labels.skeleton.sigmas))
    return value


def keypoint_similarity(labels: Labels, xy: Floats) -> Floats:
    """OKS's term of every keypoint: (n, k) in 0..1, 0 without prediction."""
    return np.asarray(np.nan_to_num(similarity(xy, labels.xy, labels.area, labels.skeleton.sigmas)))


def keypoint_rows(
    labels: Labels, ours: Floats, baseline: Floats, seen: Collection[str] | None
) -> tuple[KeypointRow, ...]:
    longer = np.array([max(p.box.w, p.box.h) for p in labels.persons], np.float64)
    tables = []
    for xy in (ours, baseline):
        tables += [
            keypoint_similarity(labels, xy) * labels.labelled,
            within(xy, labels.xy, longer, NEAR) * labels.labelled,
        ]
    rows = []
    for j, name in enumerate(labels.skeleton.names):
        means = [ratio(t[:, j], labels.labelled[:, j]) for t in tables]
        rows.append(
            KeypointRow(
                name=name,
                seen=seen is None or name in seen,
                similarity=means[0],
                near=means[1],
                baseline_similarity=means[2],
                baseline_near=means[3],
                n=int(labels.labelled[:, j].sum()),
            )
        )
    return tuple(rows)
