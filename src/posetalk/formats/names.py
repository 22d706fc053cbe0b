"""Keypoint names of other programs as ours, and which keypoints of two skeletons are the same."""

from __future__ import annotations

import re
from collections.abc import Sequence

from posetalk.skeleton import BUILT_IN, Keypoint, Skeleton, load_skeleton, swap_sides

# Names of CrowdPose, Halpe, OpenPose, PoseTrack and MediaPipe for keypoints that are called otherwise here.
_OURS = {
    "head": "head top",
    "top head": "head top",
    "head bottom": "upper neck",
    "hip": "pelvis",
    "mid hip": "pelvis",
    "midhip": "pelvis",
}
_OURS_OF_SIDE = {
    "{} eye inner": "inner corner of the {} eye",
    "{} eye outer": "outer corner of the {} eye",
    "mouth {}": "{} corner of the mouth",
    "{} pinky": "{} little finger knuckle",
    "{} index": "{} index finger knuckle",
    "{} thumb": "{} thumb knuckle",
}
_OURS |= {
    theirs.format(side): ours.format(side)
    for side in ("left", "right")
    for theirs, ours in _OURS_OF_SIDE.items()
}


def plain_name(name: str) -> str:
    """A name with blanks for `_` and `-`, in lower case: `left shoulder` of `Left_Shoulder`."""
    return " ".join(re.split(r"[\s_-]+", name.strip().lower()))


def our_name(name: str) -> str:
    """What a keypoint of another program is called here: `head top` of `top_head`."""
    plain = plain_name(name)
    return _OURS.get(plain, plain)


def built_in_with(names: Sequence[str]) -> Skeleton | None:
    """The built-in skeleton with exactly these keypoints in this order; None if there is none."""
    ours = [our_name(name) for name in names]
    return next((s for s in map(load_skeleton, BUILT_IN) if [our_name(n) for n in s.names] == ours), None)


def skeleton_named(names: Sequence[str], limbs: Sequence[tuple[int, int]] = ()) -> Skeleton:
    """The skeleton with these keypoints: the built-in one, or one without descriptions.

    Raises:
        PosetalkError: No names, an empty name, a name twice, a limb that joins no two keypoints.
    """
    if built_in := built_in_with(names):
        return built_in
    plain = [plain_name(name) for name in names]
    points = tuple(Keypoint(n, mirror=m if (m := swap_sides(n)) in plain else n) for n in plain)
    return Skeleton("own", points, tuple(limbs))


def partners(source: Skeleton, target: Skeleton) -> list[int | None]:
    """For each keypoint of `target` the index of the one with the same name in `source`, None where there is none."""
    index = {our_name(name): i for i, name in enumerate(source.names)}
    return [index.get(our_name(name)) for name in target.names]
