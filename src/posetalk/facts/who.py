"""Which people a text refers to (`the third person from the left`), and who of a scene that is."""

from __future__ import annotations

import re
from bisect import bisect_right

from posetalk.facts.ordinals import ORDINAL, ordinal_number
from posetalk.facts.scene import Scene, ScenePerson, people_in_order
from posetalk.facts.subject import PERSONS

_ANY = (
    "person|people|individuals?|figures?"  # any person; "the man on the left" is leftmost among the men only
)
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
    # "is a man" describes somebody and refers to nobody
    rf"|(?<!\bis )(?<!\bas )\b(?P<plain>{_ARTICLES} {_SOMEBODY})\b",
    re.IGNORECASE,
)
_END = re.compile(r"[.!?]")


class Mentions:
    """The references to people in a text, by position; each sentence starts without one."""

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
        """The last reference before a position (in characters) in the same sentence.

        Returns:
            One of
            `person 2`: the person of that name;
            `place 3`, `place -1`: the third from the left, the rightmost;
            `visible 2`: the second from the left of the clearly visible people;
            `left`, `right`, `middle`: on that side, with a noun (`left man`) if only among some of the people;
            `all`, `none`;
            `one`: a particular person who cannot be identified, `one of 3` if there must be at least three people;
            `unlabelled`: people in the background and the like, who usually have no keypoints;
            None: no reference, or an indefinite one ("a man").
        """
        count = bisect_right(self._ends, position)
        return self._who[count - 1] if count else None


def people_meant(who: str, scene: Scene) -> tuple[ScenePerson, ...]:
    """The people of a scene to whom a reference may apply.

    Args:
        who: A reference as `Mentions.before` returns it.
        scene: The scene.

    Returns:
        The candidates, of whom one is meant (all of them for `all` and `none`). Empty if it may be somebody without
        keypoints: positions from the left are only known if all people are labelled, or among the clearly visible.
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
    # of more than three people, two may be on the left
    is_unambiguous = 2 <= len(people) <= (2 if number else 3)
    if kind in ("left", "right") and is_unambiguous:
        return _person_at(1 if kind == "left" else -1, scene)
    if kind == "middle" and len(people) == 3 and not number:
        return _person_at(2, scene)
    return people


def _person_at(number: int, scene: Scene) -> tuple[ScenePerson, ...]:
    """The person of that number from the left (below 0 from the right); all people if the order is not certain."""
    people = scene.people
    if not 1 <= abs(number) <= len(people):
        return ()
    person = people[number - 1 if number > 0 else number]
    return (person,) if person.name in people_in_order(scene) else people


def _reference(match: re.Match[str], who: str | None) -> str | None:
    """The reference after a mention; `who` is the one before it."""
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
    # the next words may be about this person or about the one before
    return None if who in (None, "unlabelled") else "one"


def _may_be_anybody(noun: str) -> bool:
    return re.fullmatch(_ANY, noun) is not None
