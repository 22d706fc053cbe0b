"""Facts against what people wrote: pictures of one person whose captions agree on a posture.

    python runs/facts_captions.py --annotations person_keypoints_val2017.json --captions captions_val2017.json

A picture says a posture where at least three of its captions have a word for it, with a person as its subject nearby.
Thresholds were chosen on pictures with even ids (--half even); what is reported is of odd ones. Precision: of pictures
whose captions agree on one posture and whose facts say one, how many say the same. Recall: of pictures whose captions
agree on a posture, how many have it as a fact.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from pathlib import Path

from posetalk.facts.scene import scene_facts
from posetalk.formats.captions import read_captions
from posetalk.formats.coco import read_coco

PEOPLE = (
    "man|woman|person|boy|girl|child|kid|baby|toddler|lady|guy|player|batter|catcher|skier|surfer|snowboarder|skateboarder|"
    "someone|he|she|rider|adult|teenager|gentleman|male|female|individual|chef|worker|officer|couple|people"
)
WORDS = {
    "standing": r"stand|stands|standing|stood",
    "sitting": r"sit|sits|sitting|seated|sat",
    "lying": r"lay|lays|laying|lying|lies|sleeping|asleep",
    "squatting": r"squat|squats|squatting|crouch|crouches|crouching|crouched",
    "kneeling": r"kneel|kneels|kneeling|knelt",
    "bending over": r"bend|bends|bending|bent",
}
# The person comes before the word, with no other noun that could be standing or lying right before it.
SAYS = {
    posture: re.compile(rf"\b({PEOPLE})\b(?:(?!\b(that|which|with a|and a)\b).){{0,60}}\b({words})\b")
    for posture, words in WORDS.items()
}


def said(captions: tuple[str, ...]) -> list[str]:
    """The postures that at least three captions agree on."""
    texts = [caption.lower() for caption in captions]
    return [p for p, pattern in SAYS.items() if sum(bool(pattern.search(t)) for t in texts) >= 3]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--half", choices=("odd", "even"), default="odd")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    captions, _ = read_captions(given.captions)
    people = read_coco(given.annotations, given.annotations.parent)
    pairs = []
    for image in people.images:
        if len(image.people) == 1 and image.id % 2 == (given.half == "odd"):
            agreed = said(captions.get(image.id, ()))
            (person,) = scene_facts(image, people.keypoint_names).people  # the captions are not read
            stated = [p for p in WORDS if person.facts.value(f"body: {p}")]
            if len(agreed) == 1:
                pairs.append((agreed[0], stated[0] if stated else None, image.id))
    rows = {}
    print(f"{len(pairs)} pictures of one person, {given.half} ids, whose captions agree on one posture")
    for posture in WORDS:
        stated_, there = [p for p in pairs if p[1] == posture], [p for p in pairs if p[0] == posture]
        right = sum(p[0] == posture for p in stated_)
        others = Counter(p[0] for p in stated_ if p[0] != posture)
        rows[posture] = {"right": right, "stated": len(stated_), "agreed": len(there), "others": dict(others)}
        print(
            f"{posture:13} precision {right}/{len(stated_)}   recall {right}/{len(there)}"
            + (
                f"   captions said {dict(others)}: {[p[2] for p in stated_ if p[0] != posture]}"
                if others
                else ""
            )
        )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
