"""Object keypoint similarity and COCO's average precision (cocodataset.org, keypoints evaluation)."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from hotcoco import COCO, COCOeval

from posetalk.errors import PosetalkError
from posetalk.locate.predictions import Prediction
from posetalk.locate.similarity import similarity
from posetalk.types import Floats, PoseSet

COCO_NUMBERS = ("AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL")

# The sigma that CrowdPose's own evaluation takes where this project's skeleton has another one.
CROWD_SIGMAS = {"head top": 0.079}
# CrowdPose's bins of its crowd index: below 0.2, below 0.8, and above, as its own evaluation has them.
# https://github.com/Jeff-sjtu/CrowdPose; the paper (arXiv 1812.00324) draws the first line at 0.1.
CROWD_BINS = {"AP_easy": (-np.inf, 0.2), "AP_medium": (0.2, 0.8), "AP_hard": (0.8, np.inf)}


def oks(
    pred: npt.ArrayLike,
    truth: npt.ArrayLike,
    visible: npt.ArrayLike,
    area: npt.ArrayLike,
    sigmas: Sequence[float],
) -> Floats:
    """The mean similarity over each person's labelled keypoints: (n,); nan where none is labelled.

    pred, truth: (n, k, 2) px; visible: (n, k), labelled where > 0; area: (n,) px^2; sigmas: k constants.
    """
    labelled = np.asarray(visible) > 0
    total = (similarity(pred, truth, area, sigmas) * labelled).sum(1)
    count = labelled.sum(1)
    mean: Floats = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return mean


def coco_ap(
    truth: PoseSet, predictions: Sequence[Prediction], sigmas: Sequence[float]
) -> dict[str, float | None]:
    """COCO's ten numbers (`COCO_NUMBERS`) over the images of `truth`; None where it has nobody of that size.

    At most 20 people an image, the best first; crowds and people without labels excuse what falls on them.

    Raises:
        PosetalkError: a prediction for an image that `truth` does not have, or with another number of keypoints.
    """
    known = {image.id for image in truth.images}
    for p in predictions:
        if p.image_id not in known:
            raise PosetalkError(f"a prediction is for image {p.image_id}, which {truth.name} does not have")
        if len(p.names) != len(sigmas):
            raise PosetalkError(f"a prediction has {len(p.names)} keypoints and the skeleton {len(sigmas)}")
    if not truth.images:
        return dict.fromkeys(COCO_NUMBERS)
    labels = COCO(_as_coco(truth))
    run = COCOeval(labels, labels.load_res([p.to_coco() for p in predictions]), "keypoints")
    run.params.kpt_oks_sigmas = list(sigmas)
    run.params.cat_ids = [1]  # also where nobody is labelled
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # other sigmas than COCO's are meant
        run.evaluate()
        run.accumulate()
        run.summarize()
    # -1 is COCO's mark for "no such people"
    return {
        name: None if value < 0 else float(value) for name, value in zip(COCO_NUMBERS, run.stats, strict=True)
    }


def crowd_ap(
    truth: PoseSet, predictions: Sequence[Prediction], sigmas: Sequence[float]
) -> dict[str, float | None]:
    """CrowdPose's AP of easy, medium and hard images (`CROWD_BINS`); empty for labels without a crowd index.

    None where no image of that kind has people. Raises as `coco_ap`.
    """
    numbers: dict[str, float | None] = {}
    if all(image.crowd_index is None for image in truth.images):
        return numbers
    for name, (low, high) in CROWD_BINS.items():
        images = [i for i in truth.images if i.crowd_index is not None and low <= i.crowd_index < high]
        ids = {image.id for image in images}
        part = replace(truth, images=tuple(images))
        numbers[name] = coco_ap(part, [p for p in predictions if p.image_id in ids], sigmas)["AP"]
    return numbers


def _as_coco(truth: PoseSet) -> dict[str, object]:
    annotations = []
    # ids are given anew from 1: files that join several sets repeat them
    for number, (image, person) in enumerate(truth.people(), 1):
        labelled = person.labelled
        triples = np.concatenate([person.keypoints, person.visible[:, None]], axis=1)
        annotations.append(
            {
                "id": number,
                "image_id": image.id,
                "category_id": 1,
                "keypoints": triples.reshape(-1).tolist(),
                "num_keypoints": int(labelled.sum()),
                "bbox": list(person.box.xywh),
                "area": person.area,
                "iscrowd": int(person.is_crowd),
            }
        )
    return {
        "images": [{"id": image.id} for image in truth.images],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}],
    }
