"""The facts of one person.

Left and right are the person's own, except in `facing left` and `facing right`, which are directions in the image.
Angles and distances are measured in the image. A fact is only stated where perspective alone cannot explain it: a limb
is straight where its parts are not foreshortened, a hand is at the hip where both coincide in the image and the elbow
points outward.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from posetalk.errors import PosetalkError
from posetalk.facts.body import FULL, Body, both, judge
from posetalk.facts.body import OTHER as OTHER
from posetalk.facts.fact import Fact, Facts, make_fact
from posetalk.facts.head import facing_facts, head_facts
from posetalk.facts.layout import layout_facts
from posetalk.facts.limbs import limb_facts
from posetalk.facts.posture import POSTURES, UNSUPPORTED, Support, posture_facts
from posetalk.facts.spread import agreed, moved_points


def pose_facts(
    keypoints: npt.ArrayLike,
    names: Sequence[str],
    visible: npt.ArrayLike | None = None,
    std: npt.ArrayLike | None = None,
) -> Facts:
    """What is true of one person's pose: posture, facing, head, arms, hands, legs, and which joints are hidden.

    Args:
        keypoints: (k, 2) px of the full image, xy, origin top left; or (k, 3) with COCO's flag as third column. Where
            no flags are given, a row with a NaN is a keypoint without a label, and all others are visible.
        names: The k names, such as `left shoulder` or `left_shoulder`. COCO's names are understood; other keypoints
            only get a `hidden` fact.
        visible: (k,) COCO flags: 0 not labelled, 1 labelled but hidden, 2 visible. Booleans as in `Poses.visible` are
            understood too: True visible, False hidden.
        std: (k, 2) standard deviation along x and y, px, of predicted keypoints, as `Poses.std[i]`. Only what holds
            within this spread is known, of keypoints that are not hidden; the evidence says that they are predicted.

    Returns:
        The facts, in a fixed order; None is the value of those that the keypoints do not decide. Left and right are the
        person's own.

    Raises:
        PosetalkError: Shapes that do not agree, flags given twice or not 0, 1 or 2, a name twice, a labelled
            keypoint that is not finite, or a spread that is not, or below 0.
    """
    names = [name.replace("_", " ").lower() for name in names]
    if len(set(names)) < len(names):
        raise PosetalkError("two keypoints have the same name; give each name once")
    try:
        points = np.array(keypoints, dtype=np.float64)
    except (TypeError, ValueError):
        raise PosetalkError("the keypoints are not an array of numbers; give (k, 2) px") from None
    if points.ndim != 2 or points.shape[0] != len(names) or points.shape[1] not in (2, 3):
        raise PosetalkError(
            f"the keypoints have the shape {points.shape}; for {len(names)} names give ({len(names)}, 2) px, "
            f"or ({len(names)}, 3) with COCO's flags"
        )
    if points.shape[1] == 3:
        if visible is not None:
            raise PosetalkError("the flags are given twice, in the keypoints and as visible; leave one out")
        visible = points[:, 2]
        points = points[:, :2]
    if visible is None:
        flags = np.where(np.isfinite(points).all(1), 2.0, 0.0)
    else:
        flags = np.asarray(visible)
        flags = np.where(flags, 2.0, 1.0) if flags.dtype == bool else flags.astype(np.float64)
    if flags.shape != (len(names),) or not np.isin(flags, (0, 1, 2)).all():
        raise PosetalkError(f"visible is not {len(names)} flags of 0, 1 or 2 (not labelled, hidden, visible)")
    if not np.isfinite(points[flags > 0]).all():
        raise PosetalkError("a labelled keypoint is not finite; give it the flag 0")
    if std is None:
        return body_facts(Body.from_keypoints(points, flags, names))
    flags = np.where(flags == 1, 0, flags)
    spread = np.where(flags[:, None] > 0, np.asarray(std, dtype=np.float64), 0)
    if spread.shape != points.shape or not (np.isfinite(spread) & (spread >= 0)).all():
        raise PosetalkError(f"the spread is not ({len(names)}, 2) px of 0 or more")
    facts = body_facts(Body.from_keypoints(points, flags, names))
    moved = [body_facts(Body.from_keypoints(xy, flags, names)) for xy in moved_points(points, spread)]
    return agreed(facts, moved)


def body_facts(body: Body, support: Support = UNSUPPORTED) -> Facts:
    """All facts of one person; see `pose_facts`.

    Args:
        body: The joints.
        support: What captions and objects say of the posture.
    """
    parts = (_trunk, facing_facts, head_facts, limb_facts, _visibility)
    found = [*posture_facts(body, support), *(fact for part in parts for fact in part(body))]
    of_body = [fact.predicate for fact in found if fact.value and fact.part == "body"]
    posture = next((predicate for predicate in of_body if predicate in POSTURES), "")
    facing = next(
        (p.removeprefix("facing ") for p in of_body if p.startswith("facing ") and "roughly" not in p), ""
    )
    return Facts([*found, *layout_facts(body, posture, facing)])


def _trunk(body: Body) -> Iterator[Fact]:
    """From both shoulders and both hips: the line of one side alone leans where the body is only turned.

    A trunk that looks short leans to the camera or away from it, by an angle that the image does not show.
    """
    whole = body.middle("shoulder") is not None and body.middle("hip") is not None
    lean = body.lean if whole else None
    full, most = (True if body.trunk_share >= share else None for share in (FULL, 0.6))
    upright = None if body.is_bowed else judge(lean, 12, 22)
    yield make_fact("trunk", "upright", _true_if(upright, full), lean=lean)
    yield make_fact(
        "trunk", "leaning", _true_if(both(judge(lean, 22, 12), judge(lean, 55, 65)), most), lean=lean
    )
    yield make_fact(
        "trunk", "level", _true_if(both(judge(lean, 70, 55), judge(lean, 110, 125)), most), lean=lean
    )
    yield make_fact("trunk", "upside down", _true_if(judge(lean, 130, 60), most), lean=lean)


def _true_if(value: bool | None, condition: bool | None) -> bool | None:
    """The value, but true only under a condition."""
    return value if value is not True or condition else None


def _visibility(body: Body) -> Iterator[Fact]:
    """Which joints are hidden; unknown for a joint without a label, which may be outside the image or occluded."""
    for name in sorted({*body.points, *body.missing}):
        hidden = None if name in body.missing else name in body.hidden
        yield make_fact(name, "hidden", hidden)
