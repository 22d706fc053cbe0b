"""Whom a text speaks of, `the third person from the left`, and who of a scene that is."""

from __future__ import annotations

import re
from bisect import bisect_right

from posetalk.facts.ordinals import ORDINAL, ordinal_number
from posetalk.facts.scene import Scene, ScenePerson, people_in_order
from posetalk.facts.subject import PERSONS

_ANY = "person|people|individuals?|figures?"  # who may be anybody; "the man on the left" is so among the men
_NOUN = "|".join(sorted(PERSONS, key=len, reverse=True))
_SOMEBODY = rf"(?:[\w'-]+ ){{0,2}}?(?:{_NOUN})"
_ARTICLES = "(?:a|an|the|this|that|these|those|some|several|one|two|three)"
_ON_THE = r"(?:on|at|to) the (?:far |extreme )?"
_MENTION = re.compile(
    rf"\bperson (?P<number>\d{{1,9}})\b"
    rf"|\bthe most clearly visible person\b(?P<visible>)"
    rf"|\b(?:the|a) (?P<nth>{ORDINAL}) (?:(?P<clearly>clearly visible )?(?P<counted>(?:[\w'-]+ )?(?:{_NOUN}|one))\b"
    rf"(?: (?:counted )?from the (?P<side>left|right))?|from the (?P<end>left|right))\b"
    rf"|\bthe (?P<most>left|right)-?most (?P<outer>(?:[\w'-]+ )?(?:{_NOUN}|one))\b"
    rf"|\b(?:the|a|an) (?P<noun>{_SOMEBODY}) (?:{_ON_THE}(?P<at>left|right)\b(?! of (?!the (?:picture|image|photo)))"
    r"|in the (?P<middle>middle|cent(?:er|re))\b(?! of (?!the (?:picture|image|photo))))"
    rf"|\b(?P<behind>(?:{_ARTICLES} )?{_SOMEBODY} in the (?:far )?(?:background|distance)"
    rf"|(?<!\w )in the (?:far )?(?:background|distance),? (?:(?:there )?(?:is|are) )?(?:\w+ )?{_SOMEBODY}"
    rf"|no (?!(?:{_ANY})\b)(?:[\w'-]+ )?(?:{_NOUN})|bystanders?|onlookers?|spectators?|audience|crowd|passers?-?by)\b"
    rf"|\b(?P<other>(?:another|other) (?:[\w'-]+ )?(?:{_NOUN})|the others?)\b"
    rf"|\b(?P<all>everyone|everybody|(?:all|both|each|every)(?: of)?(?: the| these| those)?(?: two| three| four| \d+)?"
    rf" (?:{_ANY}|them)|they (?:are |were )?(?:all|both))\b"
    rf"|\b(?P<none>nobody|no one|no (?:{_ANY})|neither person"
    rf"|(?:none|neither) of (?:them|the (?:two |three |four )?(?:{_ANY})))\b"
    # "is a man" says what somebody is, and names nobody
    rf"|(?<!\bis )(?<!\bas )\b(?P<plain>{_ARTICLES} {_SOMEBODY})\b",
    re.IGNORECASE,
)
_END = re.compile(r"[.!?]")


class Mentions:
    """The people that a text names, sentence by sentence."""

    def __init__(self, text: str) -> None:
        ends = [(match.end(), None) for match in _END.finditer(text)]
        mentions = [(match.end(), match) for match in _MENTION.finditer(text)]
        self._ends: list[int] = []
        self._who: list[str | None] = []
        who: str | None = None
        for end, match in sorted([*ends, *mentions], key=lambda pair: pair[0]):
            who = None if match is None else _reference(match, who)
            self._ends.append(end)
            self._who.append(who)

    def before(self, position: int) -> str | None:
        """Who was named last before a place in the same sentence.

        `person 2`; `place 3` from the left, `place -1` the last; `visible 2`, among the clearly visible; `left`,
        `right`, `middle`, with a noun (`left man`) where it is not of all people; `all`, `none`; `one`, somebody in
        particular whom nobody can pick out, `one of 3` where there must be as many; `unlabelled`, who has no keypoints
        as a rule. None: nobody, or somebody.
        """
        count = bisect_right(self._ends, position)
        return self._who[count - 1] if count else None


def people_meant(who: str, scene: Scene) -> tuple[ScenePerson, ...]:
    """The people of a scene of whom one is meant (of `all` and `none`: all); nobody where it may be somebody else.

    With people in the image who have no keypoints nobody can count from the left, but for the clearly visible.
    """
    people = scene.people
    kind, _, number = who.partition(" ")
    if kind == "person":
        return tuple(person for person in people if person.name == who)
    if kind == "visible":
        return _person_at(int(number), scene)
    if kind in ("all", "none"):
        return people
    if scene.others or kind == "unlabelled":
        return ()
    if kind == "place":
        return _person_at(int(number), scene)
    if kind == "one" and number:
        return people if int(number.removeprefix("of ")) <= len(people) else ()
    is_unambiguous = (
        2 <= len(people) <= (2 if number else 3)
    )  # of more than three people, two may be on the left
    if kind in ("left", "right") and is_unambiguous:
        return _person_at(1 if kind == "left" else -1, scene)
    if kind == "middle" and len(people) == 3 and not number:
        return _person_at(2, scene)
    return people


def _person_at(number: int, scene: Scene) -> tuple[ScenePerson, ...]:
    people = scene.people
    if not 1 <= abs(number) <= len(people):
        return ()
    person = people[number - 1 if number > 0 else number]
    return (person,) if person.name in people_in_order(scene) else people


def _reference(match: re.Match[str], who: str | None) -> str | None:
    """Who is spoken of after a mention. who: before it."""
    groups = {name: words.lower() for name, words in match.groupdict().items() if words is not None}
    if "number" in groups:
        return f"person {int(groups['number'])}"
    if "visible" in groups:
        return "visible 1"
    if "nth" in groups:
        number, side = ordinal_number(groups["nth"]), groups.get("side") or groups.get("end")
        if "clearly" in groups and side == "left":
            return f"visible {number}"
        if side and _may_be_anybody(groups.get("counted", "person")):
            return f"place {number if side == 'left' else -number}"
        return f"one of {number}"
    if "most" in groups:
        return f"place {1 if groups['most'] == 'left' else -1}" if _may_be_anybody(groups["outer"]) else "one"
    if "noun" in groups:
        side = groups.get("at") or "middle"
        return side if _may_be_anybody(groups["noun"]) else f"{side} {groups['noun'].split()[-1]}"
    for name, meaning in (("behind", "unlabelled"), ("other", "one"), ("all", "all"), ("none", "none")):
        if name in groups:
            return meaning
    # somebody else's name may be what the next words are about, or not
    return None if who in (None, "unlabelled") else "one"


def _may_be_anybody(noun: str) -> bool:
    return re.fullmatch(_ANY, noun) is not None
