"""What a language model is told of a picture that it does not see: numbers in 0 to 1, joints by name, facts.

Boxes are left, top, right, bottom and points are x, y, as shares of the picture's width and height with three decimals;
boxes are cut at the picture's edge, and a joint beyond it counts as not labelled. People are in the order of their
scene, from the left; then those without labelled keypoints, then crowds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from posetalk.errors import PosetalkError
from posetalk.facts.body import SIDES
from posetalk.facts.fact import Fact, Facts
from posetalk.facts.scene import Scene, ScenePerson
from posetalk.formats.objects import Thing
from posetalk.types import Box, Floats, PoseImage
from posetalk.write.from_facts.conservative import conservatively_true
from posetalk.write.from_facts.speaker import Subject, relation_between, subjects

PEOPLE = 6  # described with joints and facts, at most; the largest
# Facts that are told in another way: joints are marked as hidden, people are named from the left, and what is carried
# is at a hand.
_ELSEWHERE = ("hidden", "first on the left", "carried")


class Frame:
    """A picture's size, by which its coordinates are divided. Errors: a picture whose size is not known."""

    def __init__(self, image: PoseImage) -> None:
        if not image.width or not image.height:
            raise PosetalkError(
                f"the labels do not say how large image {image.id} ({image.path.name}) is; "
                "give its width and height in the annotation file"
            )
        self.width, self.height = image.width, image.height

    def box(self, box: Box) -> str:
        """`[0.101, 0.200, 0.402, 0.911]`."""
        sizes = (self.width, self.height) * 2
        cut = (max(0.0, min(1.0, v / size)) for v, size in zip(box.xyxy, sizes, strict=True))
        return f"[{', '.join(f'{v:.3f}' for v in cut)}]"

    def point(self, xy: Floats | None) -> str | None:
        """`0.512, 0.231`; None where the point is not known or outside the picture."""
        if xy is None or not (0 <= xy[0] <= self.width and 0 <= xy[1] <= self.height):
            return None
        return f"{xy[0] / self.width:.3f}, {xy[1] / self.height:.3f}"


def paper(image: PoseImage, scene: Scene, names: Sequence[str], things: Iterable[Thing] = ()) -> str:
    """People and objects as LLaVA-Pose's prompts state them (section 3, tables 2 and 3): nothing but numbers.

    A person is a box and a list of x, y, visibility in the order of `names`: 0 not labelled (x and y are then 0), 1
    labelled but hidden, 2 labelled and visible.
    """
    frame = Frame(image)
    lines = []
    for figure in scene.people:
        triples = (_triple(frame, figure, name) for name in names)
        lines += [f"person: {frame.box(figure.box)}", f"keypoints: [{', '.join(triples)}]"]
    lines += [f"person: {frame.box(box)}\nkeypoints: not labelled" for box in _bare(image)]
    lines += [f"crowd of people: {frame.box(box)}" for box in _crowds(image)]
    lines += [f"{thing.name}: {frame.box(thing.box)}" for thing in _sorted(things)]
    return "\n".join(lines)


def grounded(image: PoseImage, scene: Scene, captions: Sequence[str]) -> str:
    """Captions, and each person with joints by name, what is so, what is surely not so and what is not known.

    Of more than PEOPLE the largest are described, and the others counted; a person's name in quotation marks is what
    the text may call them.
    """
    frame, named = Frame(image), subjects(scene, captions)
    lines = [f"caption: {caption}" for caption in captions]
    shown = sorted(range(len(named)), key=lambda i: -scene.people[i].box.area)[:PEOPLE]
    lines.append(f"people: {_count(image, scene, len(shown))}")
    for i in sorted(shown):
        lines += _person(frame, conservatively_true(scene.people[i], captions), named[i])
    told = replace(scene, people=tuple(scene.people[i] for i in sorted(shown)))
    called = [named[i] for i in sorted(shown)]
    lines += [f"so: {sentence}" for sentence in relation_between(told, called)]
    lines += [f"not so: {sentence}" for sentence in _apart(told, called)]
    for name, some in groupby(_sorted(scene.things), key=lambda thing: thing.name):
        lines.append(f"object: {name} {', '.join(frame.box(thing.box) for thing in some)}")
    return "\n".join(lines)


def _person(frame: Frame, figure: ScenePerson, subject: Subject) -> list[str]:
    body = figure.body
    places = {name: frame.point(xy) for name, xy in body.points.items()}
    seen = [
        f"{name} ({place}{', hidden' if name in body.hidden else ''})"
        for name, place in places.items()
        if place is not None
    ]
    missing = sorted(body.missing | {name for name, place in places.items() if place is None})
    so, not_so, unknown = _sorted_facts(figure.facts)
    lines = [
        f'{figure.name}, called "{subject.name}": box {frame.box(figure.box)}',
        f"  joints: {', '.join(seen) or 'none'}",
    ]
    for title, words in (("not labelled", missing), ("so", so), ("not so", not_so), ("not known", unknown)):
        if words:
            lines.append(f"  {title}: {'; '.join(words)}")
    return lines


def _sorted_facts(facts: Facts) -> tuple[list[str], list[str], list[str]]:
    """What is so, what is surely not so, and of which parts of the body nothing is known: a piece of text each part.

    What is not so is left out where something of the same part is: a straight elbow is not bent. Each piece of it says
    "not" again: a small model takes a long list for what is so.
    """
    parts: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.predicate not in _ELSEWHERE:
            parts.setdefault(_part(fact), []).append(fact)
    so: list[str] = []
    not_so: list[str] = []
    unknown: list[str] = []
    for part, some in parts.items():
        true, false = ([_says(fact) for fact in some if fact.value is value] for value in (True, False))
        if true:
            so.append(f"{part} {', '.join(true)}")
        elif false:
            not_so.append(f"{part} {', '.join(f'not {says}' for says in false)}")
        else:
            unknown.append(part)
    return so, not_so, unknown


def _part(fact: Fact) -> str:
    if fact.part != "body":
        return fact.part
    return "facing" if fact.predicate.startswith("facing") else "posture"


def _says(fact: Fact) -> str:
    """What a fact says, and whose left is meant: facing is said of the picture, all else of the body."""
    if fact.part == "body":
        says = fact.predicate.removeprefix("facing ")
        return f"the picture's {says}" if says in SIDES else says
    return fact.predicate.replace("to the ", "to their own ") if fact.part == "head" else fact.predicate


def _apart(scene: Scene, named: Sequence[Subject]) -> list[str]:
    """What is surely not so between two people, and between people and objects; among many it would be endless."""
    if len(named) > 2:
        return []
    called = {figure.name: subject.name for figure, subject in zip(scene.people, named, strict=True)}
    found = []
    for fact in scene.facts:
        first, _, second = fact.part.partition(", ")
        if fact.value is False and first in called and fact.predicate not in _ELSEWHERE:
            found.append(_relation(called[first], called.get(second, f"the {second}"), fact.predicate))
    return found


def _relation(first: str, second: str, says: str) -> str:
    match says:
        case "first is nearer":
            return f"{first} is nearer than {second}"
        case "second is nearer":
            return f"{second} is nearer than {first}"
        case "facing each other" | "facing apart" | "touching":
            return f"{first} and {second} are {says}"
        case "sat on" | "ridden":
            return f"{second} is {says} by {first}"
        case _:
            return f"{second} is {says} of {first}"


def _count(image: PoseImage, scene: Scene, shown: int) -> str:
    """How many there are, and of whom nothing more is told."""
    people = len(scene.people) + scene.others
    words = [str(people)]
    if len(scene.people) > shown:
        words.append(f"the {shown} largest are described")
    if scene.others:
        words.append(f"of {scene.others} the body is not known")
    if _crowds(image):
        words.append("and a crowd that nobody counted")
    return ", ".join(words)


def _triple(frame: Frame, figure: ScenePerson, name: str) -> str:
    place = frame.point(figure.body[name])
    if place is None:
        return "[0.000, 0.000, 0]"
    return f"[{place}, {1 if name in figure.body.hidden else 2}]"


def _bare(image: PoseImage) -> list[Box]:
    """People without any labelled keypoint, from the left."""
    bare = [p for p in image.people if not p.is_crowd and not p.labelled.any()]
    return [p.box for p in sorted(bare, key=lambda p: (p.box.center, p.id))]


def _crowds(image: PoseImage) -> list[Box]:
    return sorted((p.box for p in image.people if p.is_crowd), key=lambda box: box.center)


def _sorted(things: Iterable[Thing]) -> list[Thing]:
    return sorted(things, key=lambda thing: (thing.name, thing.box.center))
