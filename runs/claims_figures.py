"""How much the claims checker understands, and whether it raises false alarms.

    python runs/claims_figures.py
    python runs/claims_figures.py --annotations person_keypoints_val2017.json --captions captions_val2017.json
    python runs/claims_figures.py --named coco_people/annotations/captions_val2017.json

Phrases (tests/facts/phrases.toml): understood is one of which exactly the expected claims are found. Sentences about
people whose facts are given (tests/facts/known_people.toml): a sentence is contradicted where one of its claims is.
Human captions with facts from labels: the first 1,000 captions, in the order of the images' ids, that make a claim.
Captions that name a posture, limb, action or held thing (tests/facts/caption_ids.toml): how many make a claim.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from posetalk.facts.body import Body
from posetalk.facts.claims import Claim, check_claim, find_claims
from posetalk.facts.fact import Fact, Facts
from posetalk.facts.scene import Scene, ScenePerson, scene_facts
from posetalk.formats.captions import read_captions
from posetalk.formats.coco import read_coco
from posetalk.types import Box

DATA = Path(__file__).parent.parent / "tests/facts"
NOBODY = Body.from_keypoints(np.zeros((0, 2)), np.zeros(0), ())


def read(name: str) -> dict[str, Any]:
    return tomllib.loads((DATA / name).read_text(encoding="utf-8"))


def written(claim: Claim) -> str:
    """A claim's key, with `not` before what is denied."""
    return ("" if claim.value else "not ") + claim.key


def expected(keys: list[str]) -> set[str]:
    """The keys of a row of phrases.toml, `both` written out."""
    found = set()
    for key in keys:
        start = "not " if key.startswith("not ") else ""
        name = key.removeprefix("not ")
        if name.startswith("both "):
            found |= {f"{start}{side}{name.removeprefix('both')}" for side in ("left", "right")}
        else:
            found.add(key)
    return found


def phrases() -> Iterator[tuple[str, str, set[str], set[str]]]:
    """Style, phrase, expected and found claims of each phrase."""
    for style, rows in read("phrases.toml").items():
        for text, keys in rows:
            yield style, text, expected(keys), {written(claim) for claim in find_claims(text)}


def made_scene(people: list[dict[str, list[str]]]) -> Scene:
    """A scene of people whose facts are given, from left to right."""
    members, of_scene = [], []
    for number, person in enumerate(people, 1):
        facts = []
        for value, keys in ((True, person["is"]), (False, person["not"])):
            for key in keys:
                part, _, predicate = key.removeprefix("not ").partition(": ")
                fact = Fact(part, predicate, value != key.startswith("not "))
                facts.append(fact)
                of_scene.append(Fact(f"person {number}, {part}", predicate, fact.value))
        box = Box(300 * number, 10, 100, 300)
        members.append(ScenePerson(f"person {number}", box, NOBODY, Facts(facts)))
    if len(members) == 2:
        of_scene.append(Fact("person 1, person 2", "first on the left", True))
    return Scene(1, tuple(members), 0, (), Facts(of_scene))


def verdict(text: str, scene: Scene) -> str:
    """`contradicts` where one claim of a text is, `agrees` where one is and none is contradicted, or `cannot tell`."""
    found = {check_claim(claim, scene) for claim in find_claims(text)}
    return next((one for one in ("contradicts", "agrees") if one in found), "cannot tell")


def sentences() -> Counter[tuple[bool, str]]:
    """How many sentences of known_people.toml are true or not and have which verdict."""
    found: Counter[tuple[bool, str]] = Counter()
    for row in read("known_people.toml")["scene"]:
        scene = made_scene(row["people"])
        for truth in (True, False):
            found.update((truth, verdict(text, scene)) for text in row[str(truth).lower()])
    return found


def human(annotations: Path, captions: Path, most: int) -> Iterator[tuple[int, str, str]]:
    """Image, caption and verdict of the first captions that make a claim, against facts from labels."""
    people, texts = read_coco(annotations, annotations.parent), read_captions(captions)[0]
    count = 0
    for image in sorted(people.images, key=lambda image: image.id):
        said = [text for text in texts.get(image.id, ()) if find_claims(text)]
        if not said:
            continue
        scene = scene_facts(image, people.keypoint_names)
        for text in said:
            if count == most:
                return
            count += 1
            yield image.id, text, verdict(text, scene)


def named(captions: Path) -> tuple[int, int]:
    """How many captions name a posture, limb, action or held thing, and how many of these make a claim."""
    none = set(read("caption_ids.toml")["names_none"])
    records = json.loads(captions.read_text(encoding="utf-8"))["annotations"]
    said = [bool(find_claims(record["caption"])) for record in records if record["id"] not in none]
    return len(said), sum(said)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--annotations", type=Path, help="COCO keypoints of the captions' images")
    parser.add_argument("--captions", type=Path, help="COCO captions")
    parser.add_argument("--named", type=Path, help="the captions that caption_ids.toml is about")
    parser.add_argument("--most", type=int, default=1000, help="captions that are checked (default: 1000)")
    parser.add_argument("--show", action="store_true", help="print the phrases that are not understood")
    given = parser.parse_args()
    styles: dict[str, list[bool]] = {}
    for style, text, wanted, found in phrases():
        styles.setdefault(style, []).append(wanted == found)
        if given.show and wanted != found:
            print(f"{text}\n    missing {sorted(wanted - found)}, too many {sorted(found - wanted)}")
    for style, right in styles.items():
        print(f"phrases, {style}: {sum(right)} of {len(right)} understood")
    found = sentences()
    right, wrong = found[False, "contradicts"], found[True, "contradicts"]
    print(
        f"sentences: {right} of {right + wrong} contradicted ones are false; {right} of 100 false are found"
    )
    print(f"sentences: {found[True, 'agrees']} of 100 true ones are agreed with")
    if given.annotations and given.captions:
        verdicts: Counter[str] = Counter()
        for image, text, what in human(given.annotations, given.captions, given.most):
            verdicts[what] += 1
            if what == "contradicts":
                print(f"{image}: {text}")
        print(f"human captions with a claim: {verdicts.total()}, {dict(verdicts)}")
    if given.named:
        print("captions that name something: {}, with a claim {}".format(*named(given.named)))


if __name__ == "__main__":
    main()
