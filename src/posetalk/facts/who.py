"""Whom a text speaks of, `the third person from the left`, and who of a scene that is."""

from __future__ import annotations

import re
from bisect import bisect_right

from posetalk.facts.ordinals import ORDINAL, ordinal_number
from posetalk.facts.scene import Scene, ScenePerson, people_in_order
from posetalk.facts.subject import PERSONS

_ANY = "person|people|individuals?|figures?"  # who may be anybody; "the man on the left" is so among the men
_NOUN = "|".join(sorted(PERSONS, key=len, reverse=True))
_SOME = rf"(?:[\w'-]+ ){{0,2}}?(?:{_NOUN})"
_ONE = "(?:a|an|the|this|that|these|those|some|several|one|two|three)"
_AT = r"(?:on|at|to) the (?:far |extreme )?"
_MENTION = re.compile(
    rf"\bperson (?P<number>\d{{1,9}})\b"
    rf"|\bthe most clearly visible person\b(?P<visible>)"
    rf"|\b(?:the|a) (?P<nth>{ORDINAL}) (?:(?P<clearly>clearly visible )?(?P<counted>(?:[\w'-]+ )?(?:{_NOUN}|one))\b"
    rf"(?: (?:counted )?from the (?P<side>left|right))?|from the (?P<end>left|right))\b"
    rf"|\bthe (?P<most>left|right)-?most (?P<outer>(?:[\w'-]+ )?(?:{_NOUN}|one))\b"
    rf"|\b(?:the|a|an) (?P<noun>{_SOME}) (?:{_AT}(?P<at>left|right)\b(?! of (?!the (?:picture|image|photo)))"
    r"|in the (?P<middle>middle|cent(?:er|re))\b(?! of (?!the (?:picture|image|photo))))"
    rf"|\b(?P<behind>(?:{_ONE} )?{_SOME} in the (?:far )?(?:background|distance)"
    rf"|(?<!\w )in the (?:far )?(?:background|distance),? (?:(?:there )?(?:is|are) )?(?:\w+ )?{_SOME}"
    rf"|no (?!(?:{_ANY})\b)(?:[\w'-]+ )?(?:{_NOUN})|bystanders?|onlookers?|spectators?|audience|crowd|passers?-?by)\b"
    rf"|\b(?P<other>(?:another|other) (?:[\w'-]+ )?(?:{_NOUN})|the others?)\b"
    rf"|\b(?P<all>everyone|everybody|(?:all|both|each|every)(?: of)?(?: the| these| those)?(?: two| three| four| \d+)?"
    rf" (?:{_ANY}|them)|they (?:are |were )?(?:all|both))\b"
    rf"|\b(?P<none>nobody|no one|no (?:{_ANY})|neither person"
    rf"|(?:none|neither) of (?:them|the (?:two |three |four )?(?:{_ANY})))\b"
    # "is a man" says what somebody is, and names nobody
    rf"|(?<!\bis )(?<!\bas )\b(?P<plain>{_ONE} {_SOME})\b",
    re.IGNORECASE,
)
_END = re.compile(r"[.!?]")


class Mentions:
    """The people that a text names, sentence by sentence."""

    def __init__(self, text: str) -> None:
        marks = [(match.end(), None) for match in _END.finditer(text)]
        found = [(match.end(), match) for match in _MENTION.finditer(text)]
        self._ends: list[int] = []
        self._who: list[str | None] = []
        who: str | None = None
        for end, match in sorted([*marks, *found], key=lambda one: one[0]):
            who = None if match is None else _after(match, who)
            self._ends.append(end)
            self._who.append(who)

    def before(self, place: int) -> str | None:
        """Who was named last before a place in the same sentence.

        `person 2`; `place 3` from the left, `place -1` the last; `visible 2`, among the clearly visible; `left`,
        `right`, `middle`, with a noun (`left man`) where it is not of all people; `all`, `none`; `one`, somebody in
        particular whom nobody can pick out, `one of 3` where there must be as many; `unlabelled`, who has no keypoints
        as a rule. None: nobody, or somebody.
        """
        known = bisect_right(self._ends, place)
        return self._who[known - 1] if known else None


def people_meant(who: str, scene: Scene) -> tuple[ScenePerson, ...]:
    """The people of a scene of whom one is meant (of `all` and `none`: all); nobody where it may be somebody else.

    With people in the picture who have no keypoints nobody can count from the left, but for the clearly visible.
    """
    people = scene.people
    kind, _, of = who.partition(" ")
    if kind == "person":
        return tuple(figure for figure in people if figure.name == who)
    if kind == "visible":
        return _at(int(of), scene)
    if kind in ("all", "none"):
        return people
    if scene.others or kind == "unlabelled":
        return ()
    if kind == "place":
        return _at(int(of), scene)
    if kind == "one" and of:
        return people if int(of.removeprefix("of ")) <= len(people) else ()
    few = 2 <= len(people) <= (2 if of else 3)  # of more than three people, two may be on the left
    if kind in ("left", "right") and few:
        return _at(1 if kind == "left" else -1, scene)
    if kind == "middle" and len(people) == 3 and not of:
        return _at(2, scene)
    return people


def _at(number: int, scene: Scene) -> tuple[ScenePerson, ...]:
    people = scene.people
    if not 1 <= abs(number) <= len(people):
        return ()
    figure = people[number - 1 if number > 0 else number]
    return (figure,) if figure.name in people_in_order(scene) else people


def _after(match: re.Match[str], who: str | None) -> str | None:
    """Who is spoken of after a mention. who: before it."""
    found = {name: words.lower() for name, words in match.groupdict().items() if words is not None}
    if "number" in found:
        return f"person {int(found['number'])}"
    if "visible" in found:
        return "visible 1"
    if "nth" in found:
        number, side = ordinal_number(found["nth"]), found.get("side") or found.get("end")
        if "clearly" in found and side == "left":
            return f"visible {number}"
        if side and _is_any(found.get("counted", "person")):
            return f"place {number if side == 'left' else -number}"
        return f"one of {number}"
    if "most" in found:
        return f"place {1 if found['most'] == 'left' else -1}" if _is_any(found["outer"]) else "one"
    if "noun" in found:
        at = found.get("at") or "middle"
        return at if _is_any(found["noun"]) else f"{at} {found['noun'].split()[-1]}"
    for name, meaning in (("behind", "unlabelled"), ("other", "one"), ("all", "all"), ("none", "none")):
        if name in found:
            return meaning
    # somebody else's name may be what the next words are about, or not
    return None if who in (None, "unlabelled") else "one"


def _is_any(noun: str) -> bool:
    return re.fullmatch(_ANY, noun) is not None
