"""How many questions a conversation has, and for how many images each kind is written."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from posetalk.write.samples.sample import Kind


@dataclass(frozen=True, slots=True)
class Preset:
    """Limits of a run.

    Attributes:
        questions: The largest number of questions of a conversation.
        images: The largest number of images of each kind; a kind that is not in it has all images.
    """

    questions: int = 5
    images: Mapping[Kind, int] = field(default_factory=dict)

    def select(self, image_ids: Collection[int], kind: Kind, seed: int) -> frozenset[int]:
        """The ids for a kind: all, or as many as the preset has, drawn by the seed whatever their order."""
        limit = self.images.get(kind)
        if limit is None or limit >= len(image_ids):
            return frozenset(image_ids)

        def rank(image_id: int) -> bytes:
            return hashlib.sha256(f"{seed} {kind} {image_id}".encode()).digest()

        return frozenset(sorted(image_ids, key=rank)[:limit])


# llava-pose: 112,980 questions of conversations, five an image (as in the samples that the authors show: 22,596
# images), 45,174 descriptions, 42,174 of reasoning. Their sum is the 200,328 of the abstract of arXiv 2506.21317; the
# three numbers themselves are likely and not verified.
PRESETS = {
    "every-picture": Preset(),
    "llava-pose": Preset(5, {"conversation": 22_596, "detail": 45_174, "reasoning": 42_174}),
}
