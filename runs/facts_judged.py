"""The facts of people whose photos were looked at: how many are right.

    python runs/facts_judged.py --data data

--data has coco_people and lspet. The judgements are in tests/facts/judged.toml.
"""

from __future__ import annotations

import argparse
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from posetalk.facts.layout import layout_facts
from posetalk.facts.posture import POSTURES
from posetalk.facts.scene import Scene, scene_facts
from posetalk.formats.annotated import AnnotatedImages
from posetalk.formats.lsp import read_lsp

JUDGED = Path(__file__).parents[1] / "tests" / "facts" / "judged.toml"
PLACES = (
    "on the left",
    "on the right",
    "in the middle",
    "filled from top to bottom",
    "above",
    "under the feet",
)
VERDICTS = ("right", "wrong", "misleading", "unclear")


Scenes = dict[tuple[str, int], Scene]


def scenes_of(data: Path) -> Scenes:
    """The scenes of the judged images, by their set, `coco` or `lspet`, and their id."""
    found: Scenes = {}
    judged = tomllib.loads(JUDGED.read_text())
    wanted = {(row["set"], row["image"]) for row in judged["person"]}
    wanted |= {("coco", row["image"]) for row in judged["use"]}
    wanted |= {
        ("lspet", image) for rows in judged["trunk"].values() for ids in rows.values() for image in ids
    }
    for split in ("train2017", "val2017"):
        folder = data / "coco_people" / "annotations"
        files = (folder / f"{kind}_{split}.json" for kind in ("person_keypoints", "captions", "instances"))
        images = AnnotatedImages(*files)
        for record in images:
            if ("coco", record.image.id) in wanted:
                found["coco", record.image.id] = scene_facts(
                    record.image, images.keypoint_names, record.things, record.captions
                )
    people = read_lsp(data / "lspet" / "joints.mat", data / "lspet" / "images")
    for image in people.images:
        if ("lspet", image.id) in wanted:
            found["lspet", image.id] = scene_facts(image, people.keypoint_names)
    return found


def count_uses(scenes: Scenes) -> Counter[bool]:
    """How many of the things that people obviously hold, ride or stand on are stated."""
    found: Counter[bool] = Counter()
    for row in tomllib.loads(JUDGED.read_text())["use"]:
        scene, name = scenes["coco", row["image"]], f"person {row['number']}"
        of_person = {fact.key for person in scene.people if person.name == name for fact in person.facts.true}
        of_things = {fact.key.removeprefix(f"{name}, ") for fact in scene.facts.true}
        found[not (of_person | of_things).isdisjoint(row["says"])] += 1
    return found


def count_trunks(scenes: Scenes) -> Counter[str]:
    """Of how trunks are said to be held, and of who is said to stand, by LSPET's labels alone: verdict -> how many."""
    judged = tomllib.loads(JUDGED.read_text())
    counts: Counter[str] = Counter()
    for key, rows in judged["trunk"].items():
        for verdict, images in rows.items():
            counts[verdict] += sum(
                scenes["lspet", image].people[0].facts.value(key) is True for image in images
            )
    for row in judged["person"]:
        key = "body: standing"
        if row["set"] == "lspet" and scenes["lspet", row["image"]].people[0].facts.value(key):
            counts[next(verdict for verdict in VERDICTS if key in row.get(verdict, ()))] += 1
    return counts


def count_verdicts(scenes: Scenes) -> tuple[Counter[tuple[str, str]], Counter[bool]]:
    """Of what is stated today: (set, verdict) -> how many, `not judged` for what is new; and obvious postures found."""
    counts: Counter[tuple[str, str]] = Counter()
    found: Counter[bool] = Counter()
    for row in tomllib.loads(JUDGED.read_text())["person"]:
        scene = scenes[row["set"], row["image"]]
        verdict_of = {key: verdict for verdict in VERDICTS for key in row.get(verdict, ())}
        later = _later(scene, row)
        for key in _stated(scene, row):
            if key in verdict_of or not later(key):
                counts[row["set"], verdict_of.get(key, "not judged")] += 1
        if "obvious" in row:
            facts = next(p.facts for p in scene.people if p.name == f"person {row['number']}")
            said = [posture for posture in POSTURES if facts.value(f"body: {posture}")]
            found[said == [row["obvious"]]] += 1
    return counts, found


def _stated(scene: Scene, row: dict[str, Any]) -> Iterator[str]:
    name = f"person {row['number']}"
    [person] = [person for person in scene.people if person.name == name]
    for fact in person.facts:
        skipped = fact.value is False and any(
            words in fact.key for words in ("hand: at", "below the hip", "bent", "straight")
        )
        if fact.value is not None and fact.predicate != "hidden" and not skipped:
            key = fact.key if fact.value else f"not {fact.key}"
            if row.get("only", key) == key:
                yield key
    for fact in scene.facts.true if "only" not in row else ():
        own, _, thing = fact.part.partition(", ")
        if (
            own == name
            and "person" not in thing
            and (fact.predicate != "carried" or "joints" not in fact.evidence)
        ):
            yield f"{thing}: {fact.predicate}"


def _later(scene: Scene, row: dict[str, Any]) -> Callable[[str], bool]:
    """Whether a key is of a kind that was added after the judging: how parts lie to each other, and places."""
    body = next(p.body for p in scene.people if p.name == f"person {row['number']}")
    keys = {
        fact.key
        for posture in ("", "standing")
        for facing in ("", "the camera", "away", "left", "right")
        for fact in layout_facts(body, posture, facing)
    }
    return lambda key: key in keys or key.partition(": ")[2] in PLACES


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    scenes = scenes_of(parser.parse_args().data)
    counts, found = count_verdicts(scenes)
    for name in ("coco", "lspet"):
        print(name, {verdict: counts[name, verdict] for verdict in (*VERDICTS, "not judged")})
    uses = count_uses(scenes)
    print("trunks and standing of lspet", dict(count_trunks(scenes)))
    print(f"obvious postures stated: {found[True]} of {found.total()}")
    print(f"obvious things in use stated: {uses[True]} of {uses.total()}")


if __name__ == "__main__":
    main()
