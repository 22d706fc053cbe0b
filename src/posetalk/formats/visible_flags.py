"""Whether labels tell keypoints that are hidden from those that can be seen."""

from __future__ import annotations

from collections.abc import Iterable

from posetalk.types import Person


def has_visible_flags(people: Iterable[Person]) -> bool:
    """Whether labels tell keypoints that are hidden from those that can be seen: flags 1 and 2 both occur.

    MPII and LSPET say of a keypoint only whether it is labelled.
    """
    flags: set[float] = set()
    for person in people:
        flags.update(person.visible.tolist())
    return flags >= {1, 2}
