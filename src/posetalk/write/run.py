"""Every picture of an annotation file -> conversations in LLaVA's JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posetalk.errors import PosetalkError
from posetalk.facts.scene import scene_of
from posetalk.read.objects import Thing
from posetalk.types import PoseImage, PoseSet
from posetalk.write.facts_writer import write
from posetalk.write.sample import Kind, Turns

# Words that give away what the text was made from; people now and then use them in captions, which are then not quoted.
LEAK = re.compile(
    r"\b(?:key ?points?|captions?|bounding box(?:es)?|coordinates?|annotations?)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Written:
    """How many of each kind were written, and of how many pictures too little is known."""

    counts: dict[Kind, int]
    passed_over: int


def write_file(
    data: PoseSet,
    captions: Mapping[int, Sequence[str]],
    things: Mapping[int, Sequence[Thing]],
    out: Path,
    kinds: Sequence[Kind],
    seed: int = 0,
    track: Callable[[Sequence[PoseImage]], Iterable[PoseImage]] = iter,
) -> Written:
    """Write LLaVA's JSON list: id, image, conversations (human and gpt in turn, `<image>` in the first question).

    The file is written as it is made, so memory does not grow with it, and takes its name when it is whole. Errors: a
    file that cannot be written, nothing known of anybody.
    """
    counts: dict[Kind, int] = dict.fromkeys(kinds, 0)
    passed_over = 0
    part = out.with_name(f"{out.name}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write("[")
            for image in track([image for image in data.images if image.people]):
                quoted = [text for text in captions.get(image.id, ()) if not LEAK.search(text)]
                scene = scene_of(image, data.keypoint_names, things.get(image.id, ()))
                before = sum(counts.values())
                for kind in kinds:
                    turns = write(scene, quoted, kind, seed)
                    if turns is not None:
                        file.write(",\n" if sum(counts.values()) else "\n")
                        file.write(json.dumps(_llava(image, kind, turns), ensure_ascii=False))
                        counts[kind] += 1
                passed_over += sum(counts.values()) == before
            file.write("\n]\n")
        if not sum(counts.values()):
            raise PosetalkError(
                f"too little is known of the people of {data.source} to write anything of them"
            )
        part.replace(out)
    except OSError as error:
        raise PosetalkError(f"cannot write {out}: {error.strerror}; choose another place") from None
    finally:
        part.unlink(missing_ok=True)
    return Written(counts, passed_over)


def _llava(image: PoseImage, kind: Kind, turns: Turns) -> dict[str, Any]:
    conversations = []
    for number, (question, answer) in enumerate(turns):
        mark = "<image>\n" if number == 0 else ""
        conversations += [{"from": "human", "value": mark + question}, {"from": "gpt", "value": answer}]
    return {"id": f"{image.id}-{kind}", "image": image.path.name, "conversations": conversations}
