"""Predictions against labels: every number of a report."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from posetalk.errors import PosetalkError
from posetalk.formats.visible_flags import has_visible_flags
from posetalk.locate.predictions import GROUND_TRUTH, MODEL, Prediction, readable, scored_people
from posetalk.score.bootstrap import interval, resample
from posetalk.score.calibration import reliability
from posetalk.score.cases import best_first, worst_by_cause
from posetalk.score.causes import causes
from posetalk.score.metrics import (
    Labels,
    Metrics,
    Protocol,
    keypoint_rows,
    keypoint_similarity,
    metrics_of,
    ratio,
)
from posetalk.score.oks import CROWD_SIGMAS, coco_ap, crowd_ap
from posetalk.score.pck import head_lengths, torso_lengths
from posetalk.score.report import EvaluationReport
from posetalk.skeleton import Skeleton
from posetalk.types import Box, Floats, PoseSet, frozen_array

COCO_VAL2017_IMAGES = 2346  # images of val2017 with a labelled person


def evaluate(
    truth: PoseSet,
    predictions: Sequence[Prediction],
    skeleton: Skeleton,
    *,
    box_source: str = GROUND_TRUTH,
    seen: Collection[str] | None = None,
    compare: Mapping[str, Sequence[Prediction]] | None = None,
) -> EvaluationReport:
    """Score predictions against labels, beside a baseline: every keypoint at its average position in the same box.

    On labelled boxes a person without prediction scores 0. On a detector's boxes there are AP and AR only.

    Args:
        truth: the labelled people; keypoints in pixels of the full image, origin top left.
        predictions: at most one for each person of `truth`, or any number of a detector's boxes.
        skeleton: the keypoints of `truth`, in order; mpii16 is scored with PCKh, lsp14 with PCK, others with OKS.
        box_source: where the predictions' boxes are from: `ground truth` (the labels) or the name of a detector's.
        seen: the keypoints the model was trained on; the others are reported apart. None: all.
        compare: others' predictions for the same people in the same boxes, by name.

    Returns:
        The numbers, their intervals and the people for the page of qualitative cases.

    Raises:
        PosetalkError: keypoint names that differ from the truth's, people the truth does not have, a person predicted
            twice, a box source other than the predictions', boxes that a model found itself, PCKh or PCK on a
            detector's boxes.

    Source:
        AP and OKS: cocodataset.org, keypoints evaluation. AP of easy, medium and hard images: CrowdPose. PCKh:
        Andriluka et al., CVPR 2014. PCK: Yang and Ramanan, TPAMI 2013.
    """
    compare = dict(compare or {})
    for other in (predictions, *compare.values()):
        _check(truth, other, skeleton, box_source)
    protocol = protocol_of(skeleton)
    if protocol != "oks" and box_source != GROUND_TRUTH:
        raise PosetalkError(f"{truth.name} is scored on its own boxes; leave the detector's boxes out")
    labels = Labels.of(truth, skeleton)
    average = average_position(truth, predictions, skeleton, box_source)
    numbers: dict[str, float | None] = {}
    baseline: dict[str, float | None] = {}
    if protocol == "oks":
        numbers |= _average_precision(truth, predictions, skeleton)
        baseline |= _average_precision(truth, average, skeleton)
    others = {
        name: _average_precision(truth, other, skeleton) if protocol == "oks" else {}
        for name, other in compare.items()
    }
    report = EvaluationReport(
        data=truth.name,
        protocol=protocol,
        images=len(truth.images),
        images_with_people=len({image.id for image, _ in labels.people}),
        people=len(labels.people),
        people_large=int(labels.large.sum()),
        missing=None,
        box_source=box_source,
        numbers=numbers,
        baseline=baseline,
        compared=others,
        notes=tuple(_notes(labels, protocol, box_source)),
        skipped=truth.skipped,
        limbs=skeleton.limbs,
    )
    if box_source != GROUND_TRUTH:
        unknown: dict[str, float | None] = {"mean_oks": None, "mean_oks_large": None}
        return replace(report, numbers=numbers | unknown, baseline=baseline | unknown)
    xy, baseline_xy = labels.predicted_xy(predictions), labels.predicted_xy(average)
    our_metrics, baseline_metrics = (
        metrics_of(labels, positions, protocol, seen) for positions in (xy, baseline_xy)
    )
    other_metrics = {
        name: metrics_of(labels, labels.predicted_xy(other), protocol, seen)
        for name, other in compare.items()
    }
    scores, visible = labels.predicted_scores(predictions)
    labelled = (labels.labelled > 0) & np.isfinite(xy[..., 0])
    bins, error = reliability(scores[labelled], keypoint_similarity(labels, xy)[labelled])
    return replace(
        report,
        missing=int(np.isnan(xy[:, :1, 0]).sum()),
        numbers=numbers | {name: ratio(*pair) for name, pair in our_metrics.items()},
        baseline=baseline | {name: ratio(*pair) for name, pair in baseline_metrics.items()},
        compared={
            name: others[name] | {n: ratio(*pair) for n, pair in metrics.items()}
            for name, metrics in other_metrics.items()
        },
        intervals=_intervals(our_metrics, {"baseline": baseline_metrics, **other_metrics}),
        reliability=bins,
        calibration_error=error,
        notes=(*report.notes, *_visible_notes(labels, visible), *_neighbour_notes(labels)),
        visible=_visible(labels, visible),
        per_keypoint=keypoint_rows(labels, xy, baseline_xy, seen),
        causes=causes(labels, xy),
        qualitative_cases=best_first(labels, xy, predictions),
        cause_cases=worst_by_cause(labels, xy, predictions),
    )


def _average_precision(
    truth: PoseSet, predictions: Sequence[Prediction], skeleton: Skeleton
) -> dict[str, float | None]:
    """COCO's numbers; of labels with a crowd index CrowdPose's own, with its sigmas."""
    if all(image.crowd_index is None for image in truth.images):
        return coco_ap(truth, predictions, skeleton.sigmas)
    pairs = zip(skeleton.names, skeleton.sigmas, strict=True)
    sigmas = [CROWD_SIGMAS.get(name, sigma) for name, sigma in pairs]
    return coco_ap(truth, predictions, sigmas) | crowd_ap(truth, predictions, sigmas)


def protocol_of(skeleton: Skeleton) -> Protocol:
    match skeleton.name:
        case "mpii16":
            return "pckh"
        case "lsp14":
            return "pck"
        case _:
            return "oks"


def average_position(
    truth: PoseSet, predictions: Sequence[Prediction], skeleton: Skeleton, box_source: str = GROUND_TRUTH
) -> list[Prediction]:
    """The baseline: each keypoint at its average place in the same box, the box's middle where unknown.

    Its boxes are the labelled ones, or a detector's, which then are those of `predictions`.
    """
    position = np.array([p.place or (0.5, 0.5) for p in skeleton.keypoints])

    def at(box: Box) -> Floats:
        xy = position * (box.w, box.h) + (box.x, box.y)
        return frozen_array(np.concatenate([xy, np.ones((len(position), 1))], axis=1))

    if box_source != GROUND_TRUTH:
        return [replace(p, keypoints=at(p.box), std=None) for p in predictions]
    return [
        Prediction(i.id, p.id, readable(i.name), p.box, GROUND_TRUTH, skeleton.names, at(p.box))
        for i, p in scored_people(truth)
    ]


def _check(truth: PoseSet, predictions: Sequence[Prediction], skeleton: Skeleton, box_source: str) -> None:
    if skeleton.names != truth.keypoint_names:
        raise PosetalkError(
            f"{truth.name} labels other keypoints ({', '.join(truth.keypoint_names)}) than the skeleton "
            f"{skeleton.name}; score it with its own"
        )
    known = {(image.id, person.id) for image, person in scored_people(truth)}
    seen_keys: set[tuple[int, int]] = set()
    for p in predictions:
        person = f"person {p.person_id} of image {p.image_id}"
        if p.names != skeleton.names:
            raise PosetalkError(f"the prediction for {person} has other keypoints than {truth.name}")
        if p.box_source == MODEL:
            raise PosetalkError(
                f"the prediction for {person} was made in a box that the model found itself (posetalk locate); "
                "score what posetalk evaluate made, in labelled boxes or a detector's"
            )
        if p.box_source != box_source:
            raise PosetalkError(
                f"the prediction for {person} was made in boxes of {p.box_source!r}, not {box_source!r}; "
                "score each source of boxes on its own"
            )
        if p.key in seen_keys:
            raise PosetalkError(f"{person} is predicted twice")
        if box_source == GROUND_TRUTH and p.key not in known:
            raise PosetalkError(f"there is a prediction for {person}, whom {truth.name} does not have")
        seen_keys.add(p.key)


def _notes(labels: Labels, protocol: Protocol, box_source: str) -> list[str]:
    notes = []
    images = len({image.id for image, _ in labels.people})
    if protocol == "oks" and images < COCO_VAL2017_IMAGES:
        notes.append(
            f"measured on {len(labels.people)} people of {images} images: this is not COCO val AP, "
            f"which is over the {COCO_VAL2017_IMAGES:,} images of val2017 with people"
        )
    if box_source != GROUND_TRUTH:
        notes.append("mean_oks needs people matched to labels: it is given on ground-truth boxes only")
    if protocol == "pckh":
        lengths, own = head_lengths(labels.persons)
        if not own:
            notes.append(
                "the labels have no head boxes: PCKh is measured with the distance from upper neck to head "
                "top and does not compare with published PCKh"
            )
        notes += _left_out_note(lengths, "head size")
    if protocol == "pck":
        notes += _left_out_note(torso_lengths(labels.persons), "labelled torso diagonal")
    if any(p.place is None for p in labels.skeleton.keypoints):
        notes.append("the baseline puts keypoints without an average place in the middle of the box")
    return notes


def _left_out_note(lengths: Floats, what: str) -> list[str]:
    count = int(np.isnan(lengths).sum())
    return [f"{count} of {len(lengths)} people have no {what} and are left out"] if count else []


def _intervals(ours: Metrics, others: Mapping[str, Metrics]) -> dict[str, tuple[float, float]]:
    """Of each number, and of its lead over each of the others on the same draws of people."""
    names = list(ours)
    pairs = [ours[n] for n in names] + [other[n] for other in others.values() for n in names]
    numerators, denominators = (np.stack([pair[side] for pair in pairs], axis=1) for side in (0, 1))
    values = resample(numerators, denominators)
    intervals = {}
    for j, name in enumerate(names):
        intervals[name] = interval(values[:, j])
        for i, other in enumerate(others, 1):
            intervals[f"{name}_over_{other}"] = interval(values[:, j] - values[:, i * len(names) + j])
    return {name: pair for name, pair in intervals.items() if pair is not None}


def _visible(labels: Labels, predicted: Floats) -> tuple[float, float] | None:
    """Of all keypoints the share told rightly to be seen or not, and the share that can be seen; None: not told, by the
    model or by the labels."""
    known = np.isfinite(predicted)
    if not known.any() or not has_visible_flags(labels.persons):
        return None
    truth = np.array([p.visible > 1 for p in labels.persons])
    return float((predicted[known] == truth[known]).mean()), float(truth[known].mean())


def _visible_notes(labels: Labels, predicted: Floats) -> list[str]:
    if not np.isfinite(predicted).any() or has_visible_flags(labels.persons):
        return []
    return [
        "the labels do not tell seen keypoints from hidden ones: whether visible is told rightly is not known"
    ]


def _neighbour_notes(labels: Labels) -> list[str]:
    images = [image.id for image, _ in labels.people]
    if not images or len(set(images)) < len(images):
        return []
    return [
        "one person is labelled in each image: among the causes a neighbour's joint counts as miss, not swap"
    ]
