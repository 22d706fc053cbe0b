"""What captions say that people do: whom they mean, how many say it, and the facts that follow."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from posetalk.facts.caption import CaptionReading, Doing, Mention, read_caption
from posetalk.facts.fact import Fact
from posetalk.facts.things import MOUNTS
from posetalk.resources import resource_toml
from posetalk.types import Box

_FILE = resource_toml("facts/captions.toml")
_MASS = frozenset(_FILE["mass"].split())
_PREPOSITIONS = frozenset(_FILE["prepositions"].split())
_ON = frozenset(["on", "onto", "in", "at"])
# Area of the largest person's box, in the next one's, from which captions of one person mean the largest.
MAIN_AREA = 3.0
ENOUGH = 2  # captions that say the same


@dataclass(frozen=True, slots=True)
class _Action:
    """A row of captions.toml: its predicate, and for each way to say it the verb and the word that must follow."""

    does: str
    says: tuple[tuple[str, str, str], ...]
    relation: str
    posture: bool


def _says(text: str) -> tuple[str, str, str]:
    """Verb, preposition and thing of `sit on *`, `ride wave`, `stand`; each may be empty."""
    verb, _, rest = text.partition(" ")
    first, _, more = rest.partition(" ")
    return (verb, first, more) if more and (first in _PREPOSITIONS) else (verb, "", rest)


_ACTIONS: dict[str, list[tuple[_Action, str, str]]] = defaultdict(list)
for _row in _FILE["action"]:
    _made = _Action(
        _row["does"], tuple(map(_says, _row["say"])), _row.get("relation", ""), _row.get("posture", False)
    )
    for _verb, _first, _thing in _made.says:
        _ACTIONS[_verb].append((_made, _first, _thing))
_ALONE = frozenset(row["does"] for row in _FILE["action"] if "*" not in row["does"])  # no one thing is named
POSTURE_WORDS = frozenset(row["does"] for row in _FILE["action"] if row.get("posture"))


MOVES = frozenset(_FILE["moves"])
_SPORTS = frozenset(_FILE["sports"].split())


@dataclass(frozen=True, slots=True)
class Told:
    """What captions say of nobody in particular.

    anybody:   Posture -> how many captions say it of somebody in the image.
    everybody: Posture -> how many say it of all the people they speak of: "a group of people sitting at a table".
    moving:    One entry for each caption in which somebody moves, or does a sport.
    """

    anybody: Counter[str] = field(default_factory=Counter)
    everybody: Counter[str] = field(default_factory=Counter)
    moving: list[bool] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Said:
    """What the captions of an image say of one person.

    captions: How many captions the image has.
    actions:  Predicate -> how many captions say it: `running`, `holding a surfboard`.
    postures: Posture -> how many captions say it.
    things:   (thing, relation) -> how many captions say it: `("horse", "ridden")`.
    mentions: The words for the person, one for each caption that means this person.
    told:     What they say of nobody in particular.
    """

    captions: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    postures: Counter[str] = field(default_factory=Counter)
    things: Counter[tuple[str, str]] = field(default_factory=Counter)
    mentions: list[Mention] = field(default_factory=list)
    told: Told = field(default_factory=Told)

    def enough(self, count: int) -> bool:
        """Whether so many captions are believed without other evidence."""
        return count >= min(ENOUGH, max(1, self.captions))

    def evidence(self, count: int) -> tuple[str, ...]:
        """`captions 3 of 5`."""
        return (f"captions {count} of {self.captions}",) if count else ()

    def facts(self) -> Iterator[Fact]:
        """The facts of actions that enough captions say."""
        for predicate, count in sorted(self.actions.items(), key=lambda pair: (-pair[1], pair[0])):
            if self.enough(count):
                yield Fact("action", predicate, True, (), self.evidence(count))


def said_of_people(
    captions: Sequence[str],
    boxes: Mapping[str, Box],
    others: int,
    using: Mapping[str, frozenset[str]],
) -> dict[str, Said]:
    """What captions say of each person.

    Args:
        captions: The captions of the image.
        boxes: The labelled people's boxes by name, from left to right, px.
        others: The number of people without labelled keypoints.
        using: COCO's name of a thing -> the people who certainly ride or hold one, by boxes.

    Returns:
        For each person what is said of him or her: captions of which somebody else may be meant do not count.
    """
    readings = [read_caption(text) for text in captions]
    told = _told(readings)
    said = {name: Said(len(captions), told=told) for name in boxes}
    main = _main(readings, boxes)
    counted = not others and _counted(readings, len(boxes))
    for reading in readings:
        met: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for doing in reading.doings:
            for name in _meant(doing.who, doing, reading, boxes, others, using, main):
                met[name] |= set(_meanings(doing))
            if counted and doing.who.number == len(boxes):
                for name in boxes:
                    met[name] |= set(_each_does(doing))
        for mention in reading.people:
            for name in _meant(mention, None, reading, boxes, others, using, main):
                said[name].mentions.append(mention)
        for name, meanings in met.items():
            for kind, what in meanings:
                if kind == "action":
                    said[name].actions[what] += 1
                elif kind == "posture":
                    said[name].postures[what] += 1
                else:
                    said[name].things[what, kind] += 1
    # "two women ride bikes" may mean one of two labelled and one who is not: alone it makes nothing true
    count = len(boxes)
    shared = {
        (what, kind)
        for reading in readings
        for doing in reading.doings
        if doing.who.number == count > 1 and not others
        for kind, what in _meanings(doing)
        if kind not in ("action", "posture")
    }
    for of_person in said.values():
        for pair in shared:
            of_person.things[pair] = max(of_person.things[pair], 1)
    return said


def _counted(readings: Sequence[CaptionReading], people: int) -> bool:
    """Whether captions mean all the people, and no others: at least half give their number, and none another one."""
    numbers = [{m.number for m in reading.people if m.number > 1} for reading in readings]
    return people > 1 and set().union(*numbers) == {people} and 2 * sum(map(bool, numbers)) >= len(readings)


def _each_does(doing: Doing) -> Iterator[tuple[str, str]]:
    """What each of several people does who together do it: "ride horses", but not "hold an umbrella"."""
    for kind, what in _meanings(doing):
        if kind == "action" and what in _ALONE:
            yield kind, what
        elif kind == "ridden" and (one := what.removesuffix("s")) in MOUNTS:
            yield kind, one


def _told(readings: Sequence[CaptionReading]) -> Told:
    """What captions say of anybody, and of everybody they speak of."""
    told = Told()
    for reading in readings:
        meanings = {(doing.who.number, *pair) for doing in reading.doings for pair in _meanings(doing)}
        postures = {what for _, kind, what in meanings if kind == "posture"}
        together = all(mention.number != 1 for mention in reading.people)
        told.anybody.update(postures)
        told.everybody.update(postures if together and len(reading.people) == 1 else ())
        if any(what in MOVES or kind == "ridden" for _, kind, what in meanings) or any(
            mention.noun in _SPORTS for mention in reading.people
        ):
            told.moving.append(True)
    return told


def _main(readings: Sequence[CaptionReading], boxes: Mapping[str, Box]) -> str | None:
    """The person who is so much larger than the others that captions of one person mean this one."""
    by_area = sorted(boxes, key=lambda name: -boxes[name].area)
    if len(by_area) < 2:
        return by_area[0] if by_area else None
    first, second = (boxes[name].area for name in by_area[:2])
    of_one = sum(_one(reading) is not None for reading in readings)
    return by_area[0] if first >= MAIN_AREA * second and 2 * of_one > len(readings) else None


def _one(reading: CaptionReading) -> Mention | None:
    """The person of a caption that speaks of one alone, or of one and of uncounted others."""
    ones = [mention for mention in reading.people if mention.number == 1]
    counted = any(mention.number > 1 for mention in reading.people)
    return ones[0] if len(ones) == 1 and not counted else None


def _meant(
    who: Mention,
    doing: Doing | None,
    reading: CaptionReading,
    boxes: Mapping[str, Box],
    others: int,
    using: Mapping[str, frozenset[str]],
    main: str | None,
) -> Iterable[str]:
    """The names of the people whom words mean; none where it may be somebody else."""
    if who.number != 1:
        return ()
    if len(boxes) == 1 and not others:
        return (
            boxes
            if _one(reading) is who or len({m.noun for m in reading.people if m.number == 1}) == 1
            else ()
        )
    if who.place and not others and 2 <= len(boxes) <= 3:
        return [list(boxes)[0 if who.place == "left" else -1]]
    users = using.get(doing.thing if doing else "", frozenset())
    if doing is not None and len(users) == 1 and _rides_or_holds(doing):
        return users
    return [main] if main and _one(reading) is who else ()


def _rides_or_holds(doing: Doing) -> bool:
    return any(kind in ("ridden", "carried") for kind, _ in _meanings(doing))


def _meanings(doing: Doing) -> Iterator[tuple[str, str]]:
    """The actions, postures and relations to things that somebody's doing means."""
    for action, first, thing in _ACTIONS.get(doing.verb, ()):
        if first and first != doing.first and not (first in _ON and doing.first in _ON and action.posture):
            continue
        if thing == "*":
            if not doing.thing or (not first and doing.first in _PREPOSITIONS):
                continue
            named = doing.thing
        elif thing and thing not in doing.nouns:
            continue
        else:
            named = thing
        if action.posture:
            yield "posture", action.does
            continue
        if action.does:
            yield "action", action.does.replace("*", with_article(named)) if named else action.does
        if action.relation and named:
            yield action.relation, named


def with_article(noun: str) -> str:
    """A noun with `a` or `an`; without for a plural or a substance. COCO's `sports ball` is `a ball`."""
    noun = noun.removeprefix("sports ")
    if noun in _MASS or (noun.endswith("s") and not noun.endswith(("ss", "us"))):
        return noun
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def with_captions(facts: dict[str, Fact], said: Mapping[str, Said]) -> dict[str, Fact]:
    """The facts with what captions say of things that people hold, ride or sit on.

    Enough captions make a fact true that the boxes do not deny; where both say it, the fact has both kinds of evidence.
    """
    joined = dict(facts)
    for name, of_person in said.items():
        for (thing, relation), count in of_person.things.items():
            part = f"{name}, {thing}"
            key = f"{part}: {relation}"
            earlier = joined.get(key)
            # a box that fits without being enough has its evidence, but no value
            if earlier is not None and (earlier.value or (earlier.value is None and earlier.evidence)):
                joined[key] = replace(
                    earlier, value=True, evidence=(*earlier.evidence, *of_person.evidence(count))
                )
            elif of_person.enough(count):
                value = None if earlier is not None and earlier.value is False else True
                joined[key] = Fact(part, relation, value, (), of_person.evidence(count) if value else ())
    return joined
