"""How far "contradicts" can be relied upon: real captions, and the same with the posture turned round.

    python runs/claims_captions.py --annotations person_keypoints_val2017.json --captions captions_val2017.json

Of pictures of one person, every caption that says a posture of a person. As people wrote it, it should not be
contradicted; with its posture word exchanged for one that cannot be true at the same time it should. The precision of
"contradicts" is that of both lots together, the recall that of the exchanged ones.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from pathlib import Path

from posetalk.facts.claims import check_claim, find_claims
from posetalk.facts.scene import scene_facts
from posetalk.formats.captions import read_captions
from posetalk.formats.coco import read_coco

# What is said -> what is said instead.
TURNED = {
    "standing": "lying",
    "sitting": "standing",
    "lying": "standing",
    "squatting": "lying",
    "kneeling": "standing",
    "bending over": "sitting",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument(
        "--show", action="store_true", help="print the captions that are contradicted as written"
    )
    given = parser.parse_args()
    captions, _ = read_captions(given.captions)
    people = read_coco(given.annotations, given.annotations.parent)
    found: dict[str, Counter[str]] = {"as written": Counter(), "turned round": Counter()}
    for image in people.images:
        if len(image.people) != 1:
            continue
        scene = scene_facts(image, people.keypoint_names)
        for caption in captions.get(image.id, ()):
            postures = [c for c in find_claims(caption) if c.value and c.key.removeprefix("body: ") in TURNED]
            if len(postures) != 1:
                continue
            [claim] = postures
            verdict = check_claim(claim, scene)
            found["as written"][verdict] += 1
            if given.show and verdict == "contradicts":
                print(f"{image.id}: {caption}")
            other = TURNED[claim.key.removeprefix("body: ")]
            text = re.sub(rf"\b{re.escape(claim.text)}\b", other, caption, count=1)
            turned = [c for c in find_claims(text) if c.key == f"body: {other}"]
            if turned:
                found["turned round"][check_claim(turned[0], scene)] += 1
    for name, verdicts in found.items():
        print(f"{name}: {sum(verdicts.values())} captions, {dict(verdicts)}")
    right, wrong = found["turned round"]["contradicts"], found["as written"]["contradicts"]
    print(f"precision of contradicts {right}/{right + wrong} = {right / max(1, right + wrong):.3f}")
    print(f"recall {right}/{sum(found['turned round'].values())}")


if __name__ == "__main__":
    main()
