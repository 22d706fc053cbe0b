"""How many questions a conversation has, and of how many pictures each kind is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from posetalk.write.samples.sample import Kind


@dataclass(frozen=True, slots=True)
class Preset:
    """questions: of a conversation, at most. pictures: of a kind, at most; a kind that is not named has all of them."""

    questions: int = 5
    pictures: Mapping[Kind, int] = field(default_factory=dict)

    def chosen(self, image_ids: Collection[int], kind: Kind, seed: int) -> frozenset[int]:
        """The pictures for a kind: all, or as many as the preset has, drawn by the seed whatever their order."""
        most = self.pictures.get(kind)
        if most is None or most >= len(image_ids):
            return frozenset(image_ids)
        return frozenset(sorted(image_ids, key=lambda image_id: _rank(image_id, kind, seed))[:most])


def _rank(image_id: int, kind: Kind, seed: int) -> bytes:
    return hashlib.sha256(f"{seed} {kind} {image_id}".encode()).digest()


# llava-pose: 112,980 questions of conversations, five a picture (as in the samples that the authors show: 22,596
# pictures), 45,174 descriptions, 42,174 of reasoning. Their sum is the 200,328 of the abstract; the three numbers
# themselves are likely and not verified.
PRESETS = {
    "every-picture": Preset(),
    "llava-pose": Preset(5, {"conversation": 22_596, "detail": 45_174, "reasoning": 42_174}),
}
