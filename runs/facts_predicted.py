"""Facts from poses that a model predicted, against facts from the labels of people.

    posetalk label coco_people/val2017 --out coco --min-keypoint-score 0
    posetalk label lspet/held-out --out lspet --min-keypoint-score 0
    python -m runs.facts_predicted --coco coco/labels.json person_keypoints_val2017.json instances_val2017.json \
        --lspet lspet/labels.json joints.mat

People of both are matched by their boxes (intersection over union of at least 0.5; LSPET labels no boxes: those of its
joints with the sides times 1.2). `labels` is how many facts the labels give, true and false ones: of everybody whom
people labelled, whether the model found them or not. `precision`: of the predicted facts about which the labels say
something, how many say the same. `coverage`: of the labels' facts, how many are predicted and the same. What is hidden
is left out. The lowest score of a keypoint, the margin (standard deviations that joints move by) and the share of draws
that must agree were chosen on images with even ids: the largest coverage with a precision of at least --least, or else
the best precision. Images with odd ids are what is reported.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from runs.label_scores import overlap

from posetalk.facts.fact import Facts
from posetalk.facts.scene import Scene, scene_facts
from posetalk.facts.spread import agreed, exact, moved_images, without_hidden
from posetalk.formats.coco import read_coco
from posetalk.formats.lsp import read_lsp
from posetalk.formats.objects import Thing, read_objects
from posetalk.types import Person, PoseImage

SCORES, MARGINS, SHARES = (0.5, 0.7), (0.25, 0.5, 1.0), (0.5, 0.8, 1.0)
FIRST, LAST = 8501, 9000  # LSPET's held-out images
KINDS = {
    "posture": r"body: (?!facing)",
    "trunk": r"trunk: ",
    "facing": r"body: facing",
    "head": r"head: ",
    "elbows, knees": r"\w+ (?:elbow|knee): (?!hidden)",
    "hands": r"\w+ hand: ",
    "arms": r"(?:arms|\w+ arm): ",
    "feet, legs": r"(?:feet|legs|\w+ foot): ",
    "two people": r"person \d+, person \d+: ",
    "objects": r"person \d+, (?!person)",
}


Choice = tuple[float, ...]  # score, margin, share


@dataclass(frozen=True)
class Pair:
    """A labelled image, the predicted people who are among its labelled ones (with their ids), and its objects."""

    labelled: PoseImage
    predicted: PoseImage
    names: tuple[str, ...]
    predicted_names: tuple[str, ...]
    things: Sequence[Thing]


@dataclass
class Count:
    labels: int = 0
    right: int = 0
    wrong: int = 0
    unchecked: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(
            self.labels + other.labels,
            self.right + other.right,
            self.wrong + other.wrong,
            self.unchecked + other.unchecked,
        )

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.wrong)

    @property
    def coverage(self) -> float:
        return self.right / max(1, self.labels)


def matched(labelled: PoseImage, found: Sequence[Person]) -> tuple[Person, ...]:
    """The predicted people who are labelled ones, with the ids of these; nobody is taken twice."""
    people = [p for p in labelled.people if p.labelled.any() and not p.is_crowd]
    table = sorted(((overlap(a.box, b.box), i, j) for i, a in enumerate(people) for j, b in enumerate(found)))
    of: dict[int, int] = {}
    for share, i, j in reversed(table):
        if share >= 0.5 and i not in of and j not in of.values():
            of[i] = j
    return tuple(replace(found[j], id=people[i].id) for i, j in sorted(of.items()))


def pairs_of(
    labels: Sequence[PoseImage],
    names: tuple[str, ...],
    predicted: Path,
    things: Mapping[int, Sequence[Thing]],
    ids: Mapping[int, int],
) -> list[Pair]:
    data = read_coco(predicted, predicted.parent)
    people = {ids.get(image.id, image.id): image.people for image in data.images}
    return [
        Pair(
            image,
            replace(image, people=matched(image, people.get(image.id, ()))),
            names,
            data.keypoint_names,
            things.get(image.id, ()),
        )
        for image in labels
    ]


def kept(image: PoseImage, score: float) -> PoseImage:
    """Keypoints below a score are not labelled."""
    people = (
        replace(p, visible=np.where(p.scores >= score, p.visible, 0))
        for p in image.people
        if p.scores is not None
    )
    return replace(image, people=tuple(p for p in people if p.labelled.any()))


def facts_by_person(scene: Scene, image: PoseImage) -> dict[tuple[str, ...], bool]:
    """Known facts by key and the ids of the people they are about."""
    order = sorted((p for p in image.people if p.labelled.any()), key=lambda p: (p.box.center, p.id))
    ids = {f"person {number}": str(p.id) for number, p in enumerate(order, 1)}
    found = {}
    for person in scene.people:
        for fact in person.facts:
            if fact.value is not None:
                found[fact.key, ids[person.name]] = fact.value
    for fact in scene.facts:
        if fact.value is not None and fact.part != "picture":
            who = tuple(ids[part] for part in fact.part.split(", ") if part in ids)
            found[re.sub(r"person \d+", "person 0", fact.key), *who] = fact.value
    return found


def kind_of(key: str) -> str | None:
    return next((kind for kind, pattern in KINDS.items() if re.match(pattern, key)), None)


def compared(
    labels: Mapping[tuple[str, ...], bool], predicted: Mapping[tuple[str, ...], bool]
) -> dict[str, tuple[Count, Count]]:
    """By kind: of true facts, and of all."""
    counts = {kind: (Count(), Count()) for kind in KINDS}
    for key in {*labels, *predicted}:
        kind = kind_of(key[0])
        if kind is None:
            continue
        true, said = labels.get(key), predicted.get(key)
        for count, counted in zip(counts[kind], (True in (true, said), True), strict=True):
            if counted:
                # of true facts: those that the labels call true, and those that are predicted to be
                count.labels += true is not None and (true or count is counts[kind][1])
                if said is not None and (said or count is counts[kind][1]):
                    count.right += said is true
                    count.wrong += true is not None and said is not true
                    count.unchecked += true is None
    return counts


def summed(parts: Sequence[dict[str, tuple[Count, Count]]]) -> dict[str, tuple[Count, Count]]:
    total = {kind: (Count(), Count()) for kind in KINDS}
    for part in parts:
        for kind, (true, every) in part.items():
            total[kind] = (total[kind][0] + true, total[kind][1] + every)
    return total


def of_all(counts: Mapping[str, tuple[Count, Count]]) -> tuple[Count, Count]:
    return (
        sum((true for true, _ in counts.values()), Count()),
        sum((every for _, every in counts.values()), Count()),
    )


def tried(
    pairs: Sequence[Pair],
    scores: Sequence[float] = SCORES,
    margins: Sequence[float] = (0.0, *MARGINS),
    shares: Sequence[float] = SHARES,
) -> Iterator[tuple[Choice, dict[str, tuple[Count, Count]]]]:
    """Each choice of score, margin and share with its counts; margin 0 is without the spread."""
    truth = [
        facts_by_person(scene_facts(pair.labelled, pair.names, pair.things), pair.labelled) for pair in pairs
    ]
    for score in scores:
        images = [kept(without_hidden(pair.predicted), score) for pair in pairs]
        plain = [
            scene_facts(exact(image), pair.predicted_names, pair.things)
            for image, pair in zip(images, pairs, strict=True)
        ]
        for margin in margins:
            drawn = [
                [scene_facts(one, pair.predicted_names, pair.things) for one in moved_images(image, margin)]
                if margin
                else []
                for image, pair in zip(images, pairs, strict=True)
            ]
            for share in shares if margin else shares[:1]:
                yield (
                    (score, margin, share),
                    summed(
                        [
                            compared(labels, facts_by_person(_agreed(scene, others, share), image))
                            for labels, scene, others, image in zip(truth, plain, drawn, images, strict=True)
                        ]
                    ),
                )


def _agreed(scene: Scene, drawn: Sequence[Scene], share: float) -> Scene:
    def of(facts: Facts, others: Sequence[Facts]) -> Facts:
        return agreed(facts, others, share)

    people = tuple(
        replace(person, facts=of(person.facts, [other.people[n].facts for other in drawn]))
        for n, person in enumerate(scene.people)
    )
    return replace(scene, people=people, facts=of(scene.facts, [other.facts for other in drawn]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--coco", type=Path, nargs=3, required=True)
    parser.add_argument("--lspet", type=Path, nargs=2, required=True)
    parser.add_argument("--least", type=float, default=0.95)
    parser.add_argument("--chosen", type=float, nargs=3, help="score, margin and share, in place of choosing")
    given = parser.parse_args()
    predicted, labels, instances = given.coco
    people = read_coco(labels, labels.parent)
    things, _ = read_objects(instances)
    sets = {"COCO": pairs_of(people.images, people.keypoint_names, predicted, things, {})}
    predicted, joints = given.lspet
    people = read_lsp(joints, joints.parent, first=FIRST, last=LAST)
    names = {image.id: image.name for image in read_coco(predicted, predicted.parent).images}
    ids = {image_id: int(Path(name).stem.removeprefix("im")) for image_id, name in names.items()}
    sets["LSPET"] = pairs_of(people.images, people.keypoint_names, predicted, {}, ids)
    halves = {
        even: {name: [p for p in pairs if (p.labelled.id % 2 == 0) == even] for name, pairs in sets.items()}
        for even in (True, False)
    }
    chosen = tuple(given.chosen) if given.chosen else choose(halves[True], given.least)
    print(f"\nchosen: score {chosen[0]}, margin {chosen[1]}, share {chosen[2]}")
    report(halves[False], chosen)


def choose(sets: Mapping[str, Sequence[Pair]], least: float) -> Choice:
    """The choice with the largest coverage of true facts whose precision is at least `least`."""
    found = []
    print("chosen on even ids\n| set | score | margin | share | precision | coverage | of true facts | |")
    print("|---|---|---|---|---|---|---|---|")
    for name, pairs in sets.items():
        for choice, counts in tried(pairs):
            true, every = of_all(counts)
            found.append((name, choice, true, every))
            row = " | ".join(f"{n:g}" for n in choice)
            print(
                f"| {name} | {row} | {every.precision:.3f} | {every.coverage:.3f} "
                f"| {true.precision:.3f} | {true.coverage:.3f} |"
            )
    rows = {
        choice: sum((true for _, other, true, _ in found if other == choice), Count())
        for _, choice, _, _ in found
    }
    good = {choice: count for choice, count in rows.items() if count.precision >= least}
    if good:
        return max(good, key=lambda choice: good[choice].coverage)
    return max(rows, key=lambda choice: rows[choice].precision)


def report(sets: Mapping[str, Sequence[Pair]], chosen: Choice) -> None:
    for name, pairs in sets.items():
        everybody = sum(p.labelled.any() and not p.is_crowd for pair in pairs for p in pair.labelled.people)
        there = sum(len(pair.predicted.people) for pair in pairs)
        print(f"\n{name}, odd ids: {there} of {everybody} labelled people found")
        print("| kind | labels, true | precision | coverage | labels, all | precision | coverage |")
        print("|---|---|---|---|---|---|---|")
        for choice in (chosen, (0.5, 0.0, 1.0)):
            (_, counts), *_ = tried(pairs, choice[:1], choice[1:2], choice[2:])
            if choice == chosen:
                for kind, row in counts.items():
                    print_row(kind, row)
            print_row("all" if choice == chosen else "all, without the spread (score 0.5)", of_all(counts))


def print_row(kind: str, row: tuple[Count, Count]) -> None:
    def of(count: Count) -> str:
        sure = f"{count.precision:.3f} ({count.right}/{count.right + count.wrong})"
        return f"{count.labels} | {sure if count.right + count.wrong else '-'} | {count.coverage:.3f}"

    if row[1].labels:
        print(f"| {kind} | {of(row[0])} | {of(row[1])} |")


if __name__ == "__main__":
    main()
