"""The text that describes an image to a language model that does not see it: numbers in 0 to 1, joints by name, facts.

Boxes are left, top, right, bottom and points are x, y, as shares of the image's width and height with three decimals
(origin top left). Boxes are cut at the image's edge, and a joint beyond it counts as not labelled. People are in the
order of their scene, from the left; then those without labelled keypoints, then crowds.
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
from posetalk.write.from_facts.names import subjects
from posetalk.write.from_facts.speaker import Subject, relation_sentences
from posetalk.write.from_facts.sure import is_sure

PEOPLE = 6  # at most so many are described with joints and facts, the largest
# Facts that are stated in another way: hidden joints are marked, people are named from the left, and what is carried is
# at a hand.
_NOT_LISTED = ("hidden", "first on the left", "carried")


class Frame:
    """Divides coordinates by the image's size. Raises PosetalkError when the labels do not say the size."""

    def __init__(self, image: PoseImage) -> None:
        if not image.width or not image.height:
            raise PosetalkError(
                f"the labels do not say how large image {image.id} ({image.path.name}) is; "
                "give its width and height in the annotation file"
            )
        self.width, self.height = image.width, image.height

    def box(self, box: Box) -> str:
        """A box as text: `[0.101, 0.200, 0.402, 0.911]`."""
        sizes = (self.width, self.height) * 2
        shares = (max(0.0, min(1.0, value / size)) for value, size in zip(box.xyxy, sizes, strict=True))
        return f"[{', '.join(f'{value:.3f}' for value in shares)}]"

    def point(self, xy: Floats | None) -> str | None:
        """A point as text, `0.512, 0.231`; None if it is not known or outside the image."""
        if xy is None or not (0 <= xy[0] <= self.width and 0 <= xy[1] <= self.height):
            return None
        return f"{xy[0] / self.width:.3f}, {xy[1] / self.height:.3f}"


def paper(image: PoseImage, scene: Scene, names: Sequence[str], things: Iterable[Thing] = ()) -> str:
    """Describe people and objects by numbers alone, as LLaVA-Pose's prompts do.

    A person is a box and a list of x, y, visibility: 0 not labelled (x and y are then 0), 1 labelled but hidden, 2
    labelled and visible.

    Args:
        image: The labelled image.
        scene: The scene of the image.
        names: The names of the keypoints, in the order of the list.
        things: The objects to describe.

    Returns:
        Lines of text, with coordinates as in the module's description.

    Raises:
        PosetalkError: When the labels do not say the image's size.

    Source:
        arXiv 2506.21317, section 3, tables 2 and 3.
    """
    frame = Frame(image)
    lines = []
    for person in scene.people:
        triples = (_triple(frame, person, name) for name in names)
        lines += [f"person: {frame.box(person.box)}", f"keypoints: [{', '.join(triples)}]"]
    lines += [f"person: {frame.box(box)}\nkeypoints: not labelled" for box in _unlabelled(image)]
    lines += [f"crowd of people: {frame.box(box)}" for box in _crowds(image)]
    lines += [f"{thing.name}: {frame.box(thing.box)}" for thing in _sorted_things(things)]
    return "\n".join(lines)


def grounded(image: PoseImage, scene: Scene, captions: Sequence[str], joints: bool = True) -> str:
    """Describe an image by captions, joints by name, and facts: those that are surely true (`is_sure`), true, surely
    false, and not known.

    Of more than PEOPLE people the largest are described and the others counted. A person's name in quotation marks is
    what the text may call them.

    Args:
        image: The labelled image.
        scene: The scene of the image.
        captions: The image's captions.
        joints: Give the joints of each person, and say which are not labelled.

    Returns:
        Lines of text, with coordinates as in the module's description.

    Raises:
        PosetalkError: When the labels do not say the image's size.
    """
    frame, person_subjects = Frame(image), subjects(scene, captions)
    lines = [f"caption: {caption}" for caption in captions]
    shown = sorted(range(len(person_subjects)), key=lambda i: -scene.people[i].box.area)[:PEOPLE]
    lines.append(f"people: {_count(image, scene, len(shown))}")
    for i in sorted(shown):
        lines += _person(frame, conservatively_true(scene.people[i]), person_subjects[i], joints)
    described = replace(scene, people=tuple(scene.people[i] for i in sorted(shown)))
    described_subjects = [person_subjects[i] for i in sorted(shown)]
    lines += [f"so: {sentence}" for sentence in relation_sentences(described, described_subjects)]
    lines += [f"not so: {sentence}" for sentence in _false_relations(described, described_subjects)]
    for name, same_name in groupby(_sorted_things(scene.things), key=lambda thing: thing.name):
        lines.append(f"object: {name} {', '.join(frame.box(thing.box) for thing in same_name)}")
    return "\n".join(lines)


def _person(frame: Frame, person: ScenePerson, subject: Subject, joints: bool) -> list[str]:
    body = person.body
    points = {name: frame.point(xy) for name, xy in body.points.items()}
    placed = [
        f"{name} ({point}{', hidden' if name in body.hidden else ''})"
        for name, point in points.items()
        if point is not None
    ]
    missing = sorted(body.missing | {name for name, point in points.items() if point is None})
    sure, true, false, unknown = _sorted_facts(person.facts)
    lines = [f'{person.name}, called "{subject.name}": box {frame.box(person.box)}']
    if joints:
        lines.append(f"  joints: {', '.join(placed) or 'none'}")
    for title, entries in (
        ("not labelled", missing if joints else []),
        ("sure", sure),
        ("so", true),
        ("not so", false),
        ("not known", unknown),
    ):
        if entries:
            lines.append(f"  {title}: {'; '.join(entries)}")
    return lines


def _sorted_facts(facts: Facts) -> tuple[list[str], list[str], list[str], list[str]]:
    """A phrase for each part of the body: sure facts, other true ones, false ones, and parts that nothing is known of.

    False facts are left out where one of the same part is true: a straight elbow is not bent. Each false one says "not"
    again, because a small model takes the entries of a long list to be true.
    """
    parts: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.predicate not in _NOT_LISTED:
            parts.setdefault(_part(fact), []).append(fact)
    sure_parts: list[str] = []
    true_parts: list[str] = []
    false_parts: list[str] = []
    unknown: list[str] = []
    for part, part_facts in parts.items():
        false = [_phrase(fact) for fact in part_facts if fact.value is False]
        true = [fact for fact in part_facts if fact.value]
        for entries, is_wanted in ((sure_parts, True), (true_parts, False)):
            phrases = [_phrase(fact) for fact in true if is_sure(fact) is is_wanted]
            entries += [f"{part} {', '.join(phrases)}"] if phrases else []
        if true:
            continue
        if false:
            false_parts.append(f"{part} {', '.join(f'not {phrase}' for phrase in false)}")
        else:
            unknown.append(part)
    return sure_parts, true_parts, false_parts, unknown


def _part(fact: Fact) -> str:
    if fact.part != "body":
        return fact.part
    return "facing" if fact.predicate.startswith("facing") else "posture"


def _phrase(fact: Fact) -> str:
    """The words of a fact. They say whose left is meant: the image's for facing, the person's own for all else."""
    if fact.part == "body":
        direction = fact.predicate.removeprefix("facing ")
        return f"the picture's {direction}" if direction in SIDES else direction
    return fact.predicate.replace("to the ", "to their own ") if fact.part == "head" else fact.predicate


def _false_relations(scene: Scene, person_subjects: Sequence[Subject]) -> list[str]:
    """What is surely false of two people, and of people and objects; of more people the list would be too long."""
    if len(person_subjects) > 2:
        return []
    names = {person.name: subject.name for person, subject in zip(scene.people, person_subjects, strict=True)}
    relations = []
    for fact in scene.facts:
        first, _, second = fact.part.partition(", ")
        if fact.value is False and first in names and fact.predicate not in _NOT_LISTED:
            relations.append(_relation(names[first], names.get(second, f"the {second}"), fact.predicate))
    return relations


def _relation(first: str, second: str, predicate: str) -> str:
    match predicate:
        case "first is nearer":
            return f"{first} is nearer than {second}"
        case "second is nearer":
            return f"{second} is nearer than {first}"
        case "facing each other" | "facing apart" | "touching":
            return f"{first} and {second} are {predicate}"
        case "sat on" | "ridden":
            return f"{second} is {predicate} by {first}"
        case _:
            return f"{second} is {predicate} of {first}"


def _count(image: PoseImage, scene: Scene, shown: int) -> str:
    """How many people there are, and how many of them are not described."""
    people = len(scene.people) + scene.others
    parts = [str(people)]
    if len(scene.people) > shown:
        parts.append(f"the {shown} largest are described")
    if scene.others:
        parts.append(f"of {scene.others} the body is not known")
    if _crowds(image):
        parts.append("and a crowd that nobody counted")
    return ", ".join(parts)


def _triple(frame: Frame, person: ScenePerson, name: str) -> str:
    point = frame.point(person.body[name])
    if point is None:
        return "[0.000, 0.000, 0]"
    return f"[{point}, {1 if name in person.body.hidden else 2}]"


def _unlabelled(image: PoseImage) -> list[Box]:
    """People without any labelled keypoint, from the left."""
    people = [person for person in image.people if not person.is_crowd and not person.labelled.any()]
    return [person.box for person in sorted(people, key=lambda person: (person.box.center, person.id))]


def _crowds(image: PoseImage) -> list[Box]:
    return sorted((person.box for person in image.people if person.is_crowd), key=lambda box: box.center)


def _sorted_things(things: Iterable[Thing]) -> list[Thing]:
    return sorted(things, key=lambda thing: (thing.name, thing.box.center))
