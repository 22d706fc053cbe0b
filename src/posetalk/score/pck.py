"""The share of keypoints found near enough: PCKh of MPII, PCK of LSP. Shares are 0..1, not per cent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from posetalk.types import Floats, Person

# Places in MPII's order. The usual MPII mean (the HRNet evaluation) leaves out pelvis and thorax; LocLLM's
# leaves out upper neck and head top as well, which keeps the 12 joints that COCO has too.
MPII_LEFT_OUT = (6, 7)
MPII_LEFT_OUT_12 = (6, 7, 8, 9)
# Places in LSP's order: neck and head top, which COCO does not have.
LSP_LEFT_OUT_12 = (12, 13)
_LSP_RIGHT_HIP, _LSP_LEFT_HIP, _LSP_RIGHT_SHOULDER, _LSP_LEFT_SHOULDER = 2, 3, 8, 9
_MPII_UPPER_NECK, _MPII_HEAD_TOP = 8, 9


def within(pred: npt.ArrayLike, truth: npt.ArrayLike, length: npt.ArrayLike, share: float) -> Floats:
    """1 where a keypoint is at most `share` of the person's `length` away from its label, else 0: (n, k).

    pred, truth: (n, k, 2) px; length: (n,) px. A keypoint without answer (nan) is not within.
    """
    distance = np.linalg.norm(np.asarray(pred, np.float64) - np.asarray(truth, np.float64), axis=-1)
    return np.asarray(distance <= share * np.asarray(length, np.float64)[:, None], dtype=np.float64)


def counts(
    hits: npt.ArrayLike, labelled: npt.ArrayLike, left_out: Sequence[int] = ()
) -> tuple[Floats, Floats]:
    """Each person's hits and labelled keypoints, without the keypoints `left_out`: (n,), (n,).

    Sum of hits over sum of labels is the mean over keypoints weighted by how often each is labelled, which
    is what HRNet's MPII evaluation calls Mean.
    """
    counted = np.array(labelled, dtype=np.float64)
    counted[:, list(left_out)] = 0
    return (np.asarray(hits) * counted).sum(1), counted.sum(1)


def head_lengths(people: Sequence[Person]) -> tuple[Floats, bool]:
    """What PCKh measures with, px: (n,), nan for people without; and whether it is MPII's own length.

    MPII's is 0.6 of the diagonal of the head box, as `Person.head_size` holds it. Where no person has one
    (labels without head boxes) the distance from upper neck to head top stands in.
    """
    head_sizes = np.array([p.head_size if p.head_size else np.nan for p in people], dtype=np.float64)
    if np.isfinite(head_sizes).any() or not len(head_sizes):
        return head_sizes, True
    return _length(people, ((_MPII_UPPER_NECK, _MPII_HEAD_TOP),)), False


def torso_lengths(people: Sequence[Person]) -> Floats:
    """Left shoulder to right hip in px, or the other diagonal where one of these is not labelled: (n,).

    nan for people who have neither.
    """
    return _length(people, ((_LSP_LEFT_SHOULDER, _LSP_RIGHT_HIP), (_LSP_RIGHT_SHOULDER, _LSP_LEFT_HIP)))


def _length(people: Sequence[Person], pairs: Sequence[tuple[int, int]]) -> Floats:
    """For each person the length of the first pair with both ends labelled and apart."""
    lengths = np.full(len(people), np.nan)
    for i, person in enumerate(people):
        for a, b in pairs:
            length = float(np.linalg.norm(person.keypoints[a] - person.keypoints[b]))
            if person.labelled[a] and person.labelled[b] and length > 0:
                lengths[i] = length
                break
    return lengths
