"""How far the claims can be relied upon: sentences written and judged by eye, held against the facts.

    python runs/claims_sentences.py --annotations coco_people/annotations/person_keypoints_val2017.json \
        --annotations coco_people/annotations/person_keypoints_train2017.json --objects ... (the same, optional)

Of tests/facts/sentences.toml: pictures with even ids, on which rules were mended; with odd ids, which were only counted
until the rules were finished; and others that were looked at after that. A sentence is contradicted where one of its
claims is, and agreed with where one is and none is contradicted. Precision: of the sentences that are contradicted, how
many are false. Recall: of the false ones, how many are contradicted.
"""

from __future__ import annotations

import argparse
import math
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path

from posetalk.facts.claims import ClaimVerdict, check_claim, find_claims
from posetalk.facts.scene import Scene, scene_facts
from posetalk.facts.who import people_meant
from posetalk.formats.coco import read_coco
from posetalk.formats.objects import Thing, read_objects

SENTENCES = Path(__file__).parent.parent / "tests/facts/sentences.toml"
VERDICTS: tuple[ClaimVerdict, ...] = ("agrees", "cannot tell", "contradicts")


def verdict(sentence: str, who: int, scene: Scene) -> ClaimVerdict:
    """What the facts say of a sentence; who: the person meant where it does not name one clearly; 0: nobody."""
    found = set()
    for claim in find_claims(sentence):
        if who and claim.number is None and (claim.who is None or len(people_meant(claim.who, scene)) != 1):
            claim = replace(claim, who=f"person {who}")
        found.add(check_claim(claim, scene))
    for one in ("contradicts", "agrees"):
        if one in found:
            return one
    return "cannot tell"


def wilson(right: int, all_: int) -> str:
    """A share with its 95 % interval (Wilson)."""
    if not all_:
        return "none"
    z, p = 1.96, right / all_
    middle, wide = p + z * z / (2 * all_), z * math.sqrt(p * (1 - p) / all_ + z * z / (4 * all_**2))
    low, high = (
        max(0.0, (middle - wide) / (1 + z * z / all_)),
        min(1.0, (middle + wide) / (1 + z * z / all_)),
    )
    return f"{right} of {all_} = {p:.3f} ({low:.2f} to {high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--annotations", type=Path, action="append", required=True)
    parser.add_argument("--objects", type=Path, action="append", default=[])
    parser.add_argument(
        "--show", choices=("even", "odd", "fresh"), help="print the sentences of one part, judged"
    )
    given = parser.parse_args()
    scenes: dict[int, Scene] = {}
    things: dict[int, tuple[Thing, ...]] = {}
    for path in given.objects:
        things |= read_objects(path)[0]
    for path in given.annotations:
        data = read_coco(path, path.parent)
        for image in data.images:
            scenes[image.id] = scene_facts(image, data.keypoint_names, things.get(image.id, ()))
    file = tomllib.loads(SENTENCES.read_text(encoding="utf-8"))
    parts = {
        half: [row for row in file["said"] if row[0] % 2 == odd] for half, odd in (("even", 0), ("odd", 1))
    }
    for half, rows in (parts | {"fresh": file["fresh"]}).items():
        judged = [(row, verdict(row[4], row[1], scenes[row[0]])) for row in rows]
        print(f"{half}: {len(rows)} sentences about {len({row[0] for row in rows})} pictures")
        for truth in (True, False):
            counts = Counter(v for row, v in judged if row[2] is truth)
            print(f"  {str(truth).lower():5}", *(f"{counts[v]} {v}" for v in VERDICTS), sep="  ")
        false = [v for row, v in judged if not row[2]]
        hits = false.count("contradicts")
        print(f"  precision of contradicts {wilson(hits, sum(v == 'contradicts' for _, v in judged))}")
        print(f"  recall {wilson(hits, len(false))}")
        for kind in sorted({row[3] for row in rows} - {""}):
            of = [v for row, v in judged if row[3] == kind]
            print(f"    {kind}: {of.count('contradicts')} of {len(of)}")
        if given.show == half:
            for row, found in judged:
                claims = [("" if c.value else "not ") + c.key for c in find_claims(row[4])]
                print(f"  {found:11} {str(row[2]).lower():5} {row[0]} {row[1]} {row[4]} {claims}")


if __name__ == "__main__":
    main()
