"""What the people of an image are called: as somebody who looks at it would, by captions and boxes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from posetalk.facts.body import SIDES
from posetalk.facts.ordinals import ordinal
from posetalk.facts.scene import Scene, ScenePerson, people_in_order
from posetalk.types import Box
from posetalk.write.from_facts.speaker import FORMS, Subject

# Words of captions for one person, with the pronoun that each allows.
NOUNS = {
    "man": "he", "woman": "she", "boy": "he", "girl": "she", "lady": "she", "guy": "he", "child": "they",
    "baby": "they", "toddler": "they", "skier": "they", "surfer": "they", "snowboarder": "they",
    "skateboarder": "they", "player": "they", "batter": "they", "catcher": "they", "pitcher": "they", "rider": "they",
    "cyclist": "they", "person": "they",
}  # fmt: skip
_PLURALS = {
    "men": "man", "women": "woman", "boys": "boy", "girls": "girl", "children": "child", "kids": "child",
    "skiers": "skier", "surfers": "surfer", "snowboarders": "snowboarder", "skateboarders": "skateboarder",
    "players": "player", "riders": "rider", "cyclists": "cyclist",
}  # fmt: skip
_SEVERAL = frozenset({*_PLURALS, "people", "couple", "group", "guys", "ladies", "crowd", "family", "team"})
MIN_CAPTIONS = 2  # captions that must share a word
MIN_AREA_RATIO = 1.6  # of two boxes, from which one person is called the larger
FOREGROUND = 2.5  # times the area of the next largest box, from which people stand out from all others
NOTABLE = 0.12  # times the area of the largest box, from which somebody is not overlooked
LABELLED = 7  # fewest joints of somebody who is named by being at an end
ALONE = 5.0  # times the area of the next largest box, from which somebody needs no place
_COUNTS = ({"two", "couple", "pair", "both"}, {"three"}, {"four"})
_PLACES = {2: ("on the left", "on the right"), 3: ("on the left", "in the middle", "on the right")}
_WEARS = re.compile(
    r"(?:in|wearing) (?:a |an |the )?(\w+ (?:shirt|jacket|coat|sweater|suit|dress|hat|vest|wetsuit|helmet))"
)


def subjects(scene: Scene, captions: Sequence[str], unlabelled: Sequence[Box] = ()) -> list[Subject]:
    """Name each person of a scene. Gender and occupation are only said where captions agree on them.

    Of up to four people who are all labelled each is named by place. Otherwise up to three who stand out by their size
    are; a place from left to right is then among these, as a viewer sees it, whether they are labelled or not. Where
    all are about equally large, those at the far left and right are named.

    Args:
        scene: The scene.
        captions: The captions of the image; none for names that say nothing of gender, occupation or clothes.
        unlabelled: The boxes of the people without keypoints, px. Where they are fewer than `scene.others`, at most
            one person is named.

    Returns:
        A subject for each of `scene.people`, in their order; not unique where nobody could tell who is meant.
    """
    people = scene.people
    nouns = [_noun(person) if captions else "person" for person in people]
    if len(people) == 1 and not scene.others:
        return [Subject(f"the {nouns[0]}", FORMS[_pronoun(people[0], nouns[0])])]
    alike = _plural_noun(
        [re.findall(r"[a-z]+", caption.lower()) for caption in captions], len(people) + scene.others
    )
    nouns = [alike if noun == "person" else noun for noun in nouns]
    boxes = [person.box for person in people] + list(unlabelled)
    # a fourth person may be hidden by the others, and is then counted by nobody
    areas = [person.box.area for person in people]
    clear = all(len(p.body.points) >= LABELLED and p.box.area >= 0.2 * max(areas) for p in people)
    if not scene.others and (len(people) <= 3 or (len(people) == 4 and clear)):
        names = _by_place(scene, nouns)
        order = sorted(range(len(people)), key=lambda i: -people[i].box.area)
        first, second = (people[i].box.area for i in order[:2])
        if nouns[order[0]] not in ("person", alike) and first >= ALONE * second:
            names[order[0]] = f"the {nouns[order[0]]}"
        names |= _one_before_the_other(scene, nouns) if not names else {}
    else:
        names = _in_front(scene, nouns, boxes, bool(captions)) or _at_the_ends(scene, nouns, boxes)
    return [
        Subject(names[i], FORMS[_pronoun(person, nouns[i])])
        if i in names
        else Subject("one of the people", FORMS["they"], unique=False)
        for i, person in enumerate(people)
    ]


def _noun(person: ScenePerson) -> str:
    """The noun that most captions use for a person; `person` where they do not agree on a gender."""
    counts = Counter(mention.noun for mention in person.mentions if mention.noun in NOUNS)
    if {"he", "she"} <= {NOUNS[noun] for noun in counts}:
        return "person"
    gendered = sum(count for noun, count in counts.items() if NOUNS[noun] != "they")
    common = [
        noun
        for noun, count in counts.most_common()
        if count >= MIN_CAPTIONS or (NOUNS[noun] != "they" and gendered >= MIN_CAPTIONS)
    ]
    return common[0] if common else "person"


def _pronoun(person: ScenePerson, noun: str) -> str:
    """The pronoun of the noun; of a surfer whom two captions call a man, his."""
    if NOUNS[noun] != "they" or noun in ("person", "child", "baby", "toddler"):
        return NOUNS[noun]
    said = Counter(NOUNS.get(mention.noun, "they") for mention in person.mentions)
    for pronoun, other in (("he", "she"), ("she", "he")):
        if said[pronoun] >= MIN_CAPTIONS and not said[other]:
            return pronoun
    return "they"


def _plural_noun(words: list[list[str]], people: int) -> str:
    """What all people are called alike: `man` where captions say "two men", and there are two, and no other noun."""
    said = [set(caption) for caption in words]
    if people > len(_COUNTS) + 1 or not any(_COUNTS[people - 2] & caption for caption in said):
        return "person"
    counts = {plural: sum(plural in caption for caption in said) for plural in _PLURALS}
    plural = max(counts, key=lambda name: counts[name])
    noun = _PLURALS[plural]
    others = {
        other
        for caption in said
        for word in caption
        if (other := _PLURALS.get(word, word)) in NOUNS and other not in (noun, "person")
    }
    gendered = {NOUNS[other] for other in others} - {"they"}
    if counts[plural] < MIN_CAPTIONS or (noun != "person" and gendered - {NOUNS[noun]}):
        return "person"
    return "person" if NOUNS[noun] != "they" and {"child", "baby", "toddler"} & others else noun


def _by_place(scene: Scene, nouns: Sequence[str]) -> dict[int, str]:
    """Names of two to four people of whom all are labelled."""
    placed, people = people_in_order(scene), scene.people
    sizes = _names_by_size(scene) if len(people) == 2 else []
    names = {}
    for i, person in enumerate(people):
        if person.name in placed and len(people) <= 3:
            names[i] = f"the {nouns[i]} {_PLACES[len(people)][i]}"
        elif person.name in placed:
            names[i] = f"the {ordinal(i + 1)} person from the left"
        elif sizes:
            names[i] = sizes[i]
    return names


def _names_by_size(scene: Scene) -> list[str]:
    """Names of two people by their size; none where they look about equally large."""
    first, second = (person.box.area for person in scene.people)
    if max(first, second) < MIN_AREA_RATIO * min(first, second):
        return []
    names = ["the larger of the two people", "the smaller of the two people"]
    return names if first > second else names[::-1]


def _one_before_the_other(scene: Scene, nouns: Sequence[str]) -> dict[int, str]:
    """Names of two people at the same place: who has the feet lower in the image stands in front."""
    if len(scene.people) != 2:
        return {}
    feet = [
        max((float(p[1]) for side in SIDES if (p := person.body[f"{side} ankle"]) is not None), default=None)
        for person in scene.people
    ]
    size = min(person.body.size or 0.0 for person in scene.people)
    if feet[0] is None or feet[1] is None or not size or abs(feet[0] - feet[1]) < 0.1 * size:
        return {}
    front = 0 if feet[0] > feet[1] else 1
    return {front: f"the {nouns[front]} in front", 1 - front: f"the {nouns[1 - front]} behind"}


def _at_the_ends(scene: Scene, nouns: Sequence[str], boxes: Sequence[Box]) -> dict[int, str]:
    """Names of the outermost of several people who look about equally large, others aside who look much smaller."""
    count = len(scene.people)
    if len(boxes) < count + scene.others:
        return {}
    largest = max(box.area for box in boxes)
    order = sorted(
        (i for i, box in enumerate(boxes) if box.area >= NOTABLE * largest), key=lambda i: boxes[i].center[0]
    )
    if len(order) < 2:
        return {}
    names = {}
    for i, following, place in ((order[0], order[1], "left"), (order[-1], order[-2], "right")):
        gap = abs(boxes[following].center[0] - boxes[i].center[0])
        well_labelled = i < count and len(scene.people[i].body.points) >= LABELLED
        if well_labelled and gap >= 0.3 * (boxes[i].w + boxes[following].w) / 2:
            names[i] = f"the {nouns[i]} on the far {place}"
    return names


def _standing_out(areas: list[float]) -> list[int]:
    """The indices of one to three people who are all at least FOREGROUND times as large as anybody else."""
    order = sorted(range(len(areas)), key=lambda i: -areas[i])
    for count in range(1, min(3, len(order)) + 1):
        following = areas[order[count]] if count < len(order) else 0.0
        if areas[order[count - 1]] >= FOREGROUND * following:
            return order[:count]
    return []


def _in_front(scene: Scene, nouns: Sequence[str], boxes: Sequence[Box], described: bool) -> dict[int, str]:
    """Names of the people who stand out, alone or by their place; of no others."""
    areas = [box.area for box in boxes]
    front = _standing_out(areas)
    count = len(scene.people)
    if not front:
        largest = max(range(len(areas)), key=lambda i: areas[i])
        second = sorted(areas)[-2]
        return (
            {largest: f"the {nouns[largest]} closest to the camera"}
            if areas[largest] >= MIN_AREA_RATIO * second and largest < count
            else {}
        )
    if len(front) == 1:
        i = front[0]
        if i >= count:
            return {}
        looks = _looks(scene.people[i]) if described and nouns[i] != "person" else ""
        return {i: f"the {nouns[i]} {looks or 'in the foreground'}"}
    order = sorted(front, key=lambda i: boxes[i].center[0])
    apart = [
        boxes[j].center[0] - boxes[i].center[0] >= 0.3 * (boxes[i].w + boxes[j].w) / 2
        for i, j in pairwise(order)
    ]  # as of the fact `first on the left`
    if len(boxes) < count + scene.others or not all(apart):
        return {}
    # somebody who is smaller, but not overlooked, is further left or right: "on the left" would be that person
    rest = [box for j, box in enumerate(boxes) if j not in front and box.area >= 0.03 * max(areas)]
    low, high = boxes[order[0]].center[0], boxes[order[-1]].center[0]
    where = " in the foreground" if any(not low < box.center[0] < high for box in rest) else ""
    return {
        i: f"the {nouns[i]}{where} {place}".replace(
            "in the foreground in the middle", "in the middle of the foreground"
        )
        for i, place in zip(order, _PLACES[len(order)], strict=True)
        if i < count
    }


def _looks(person: ScenePerson) -> str:
    """What a person wears, in the words of the captions: `in the red shirt`."""
    for mention in person.mentions:
        match = _WEARS.fullmatch(mention.looks)
        if match:
            return f"in the {match[1]}"
    return ""
