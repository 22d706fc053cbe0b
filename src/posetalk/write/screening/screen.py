"""What is wrong with a written sample: leaks, claims that the facts deny, guesses, answers beside the question, damage.

English, and by rules, so that a fault can be named and counted; what the rules do not know passes. One sample is looked
at by itself; what was written before it is the business of duplicates.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from hashlib import sha256
from importlib.resources import files

from posetalk.facts.claims import Claim, check_claim, find_claims
from posetalk.facts.scene import Scene
from posetalk.llm.fault import Fault
from posetalk.write.from_model.reply import FEWEST
from posetalk.write.samples.sample import Kind, Sample
from posetalk.write.screening.english import (
    COMMON,
    FILE,
    NO,
    YES,
    asked,
    asks,
    cut_off,
    foreign,
    part,
    sentences,
    share,
    words,
    yes_or_no,
)
from posetalk.write.screening.rules import broken

# Words in a row that are the prompt's own, OWN of them neither common nor of the body: "the person on the left and the
# person" is anybody's.
ECHO, OWN = 8, 3
# Characters of a question or an answer, twice as many as the longest may have, and of a sample, that are looked at.
MOST, MOST_OF_ALL = 10_000, 50_000
CIRCLES = 6  # sentences from which more than half said again means a model that goes round in circles

_LENGTH: dict[str, list[int]] = FILE["length"]
_WH = re.compile(r"^(?:what|where|which|who|whose|how|why|when)\b", re.IGNORECASE)
_WHY = re.compile(r"^why (?:is|are|does|do|has|have)\b", re.IGNORECASE)
_HOW_MANY = re.compile(r"^how many\b", re.IGNORECASE)
_VERDICT = re.compile(r"^(?:yes|no)\b(?=[,.;:!]|$)", re.IGNORECASE)
# Other ways to answer than yes and no: "Not quite", "They are not: ...", "It could.", "Hard to tell".
_OTHERWISE = re.compile(
    r"^(?:yes|yeah|indeed|correct|no|nope|not|neither|both|only|partly|partially|hardly|barely|almost|nearly|mostly|"
    r"nobody|none|nothing|certainly|definitely|absolutely|probably|possibly|perhaps|maybe|likely|unlikely|of course|"
    r"hard to|impossible|unclear|there (?:is|are)|it depends|(?:it|that) (?:is|can|could|would|does|has|seems?|"
    r"appears?|looks?|may|might|will)|(?:\w+ ){1,4}(?:is|are|was|does|do|did|has|have|can|could|would|will|should)"
    r"(?: not|n['’]t)?[.,:;])",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|no|none|nobody|zero|both|single|"
    r"several|many|few|couple|pair|group|crowd|only|alone|an?)\b",
    re.IGNORECASE,
)


@cache
def rules() -> str:
    """What verdicts hang on, SHA-256 in hexadecimal digits: the facts, the reading of a reply, the rules."""
    folder = files("posetalk")
    names = [f"facts/{one.name}" for one in (folder / "facts").iterdir()]
    names += [f"write/screening/{name}" for name in ("english.py", "rules.py", "screen.py", "screen.toml")]
    names += ["write/from_model/reply.py", "llm/spoken.py"]
    digest = sha256()
    for name in sorted(name for name in names if name.endswith((".py", ".toml"))):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def faults_of(
    sample: Sample,
    scene: Scene | None,
    told: str = "",
    captions: Sequence[str] | None = None,
    fewest: int = FEWEST,
) -> tuple[Fault, ...]:
    """All that is wrong with a sample by itself; nothing where it can be used.

    scene: the facts of its picture; None where there are none, and then no claim is checked. told: the prompt's own
    words without the captions: an answer may not repeat ECHO of them in a row, nor may a question, unless it was given
    whole. captions: what bears out a gender, an occupation, a feeling; None where they are not at hand, and then only
    what no picture shows is a guess.
    fewest: questions of a conversation; 1 where conversations come cut into records of one, as LLaVA-Pose's do.
    """
    length = sum(len(text) for turn in sample.turns for text in turn)
    if length > MOST_OF_ALL:
        words = f"the questions and answers have {length:,} characters, no more than {MOST_OF_ALL:,} are read"
        return (Fault("length", words),)
    faults = list(_shape(sample, fewest))
    for number, (question, answer) in enumerate(sample.turns, 1):
        if not question.strip() or not answer.strip():
            continue  # said by _shape
        which = "" if len(sample.turns) == 1 else f" {number}"
        if too_long := list(_endless(question, answer, which)):
            faults += too_long
            continue
        faults += broken(question, answer, which, captions)
        faults += _echoes(question, answer, which, told)
        if scene is not None:
            faults += _contradicted(question, answer, which, scene)
        faults += _beside(question, answer, which)
        faults += _measured(sample.kind, question, answer, which)
    return tuple(faults)


def borne_out(sample: Sample, scene: Scene) -> bool:
    """Whether the facts bear out every answer: each claims something that they agree with, if only by a yes or a no."""
    return bool(sample.turns) and all(_agreed(question, answer, scene) for question, answer in sample.turns)


def _agreed(question: str, answer: str, scene: Scene) -> bool:
    verdicts = [check_claim(claim, scene) for claim in find_claims(answer)]
    if question.strip() and yes_or_no(last := asked(question)) and (YES.match(answer) or NO.match(answer)):
        means = "agrees" if YES.match(answer) else "contradicts"
        verdicts += ["agrees" for claim in find_claims(last) if check_claim(claim, scene) == means]
    return "agrees" in verdicts


def _shape(sample: Sample, fewest: int) -> Iterator[Fault]:
    """As many turns as the kind has, all of them filled, questions that ask, and each once."""
    turns = sample.turns
    if not turns:
        yield Fault("turns", "there is no question and no answer")
    elif sample.kind == "conversation" and len(turns) < fewest:
        yield Fault("turns", f"a conversation has at least {fewest} questions, this one has {len(turns)}")
    elif sample.kind != "conversation" and len(turns) > 1:
        yield Fault("turns", f"there is one question to ask, not {len(turns)}")
    before: set[tuple[str, ...]] = set()
    for number, (question, answer) in enumerate(turns, 1):
        for what, text in (("question", question), ("answer", answer)):
            if not text.strip():
                yield Fault("turns", f"{what} {number} is empty")
        if not question.strip():
            continue
        if not asks(question):
            swapped = answer.rstrip().endswith("?")
            says = "answers and the answer asks" if swapped else f'asks nothing ("{part(question)}")'
            yield Fault("turns", f"question {number} {says}")
        if words(question) in before:
            yield Fault("duplicate", f'question {number} was asked before ("{part(question)}")')
        before.add(words(question))


def _echoes(question: str, answer: str, which: str, told: str) -> Iterator[Fault]:
    own = _runs(told)
    for what, text in (("question", question), ("answer", answer)):
        runs = _runs_of(text)
        given = what == "question" and all(run in own for run in runs)
        echoed = next((run for run in runs if run in own), None)
        if echoed and not given:
            yield Fault("leak", f'the {what}{which} repeats its orders ("{" ".join(echoed)}")')


def _runs_of(text: str) -> list[tuple[str, ...]]:
    found = words(text)
    rare = [word not in COMMON for word in found]
    return [found[i : i + ECHO] for i in range(len(found) - ECHO + 1) if sum(rare[i : i + ECHO]) >= OWN]


@lru_cache(maxsize=64)
def _runs(told: str) -> frozenset[tuple[str, ...]]:
    return frozenset(_runs_of(told))


def _contradicted(question: str, answer: str, which: str, scene: Scene) -> Iterator[Fault]:
    """Claims of the answer, of a question it says yes to, and of one that asks why; and a bare no to what is so."""
    last, claims = asked(question), find_claims(answer)
    if _WHY.match(last) or (yes_or_no(last) and YES.match(answer)):
        claims = find_claims(last) + claims
    for claim in claims:
        if check_claim(claim, scene) == "contradicts":
            so = "so" if claim.value else "not so"
            yield Fault(
                "contradicted", f'the answer{which} says that "{claim.text}" is {so}; it is the other way'
            )
    alone = len(scene.people) == 1 and scene.others == 0  # else somebody else may be meant
    put = _put(last) if alone and yes_or_no(last) and NO.match(answer) else None
    if put is not None and put.number is None and check_claim(put, scene) == "agrees":
        yield Fault("contradicted", f'the answer{which} denies "{put.text}", which is so')


def _put(question: str) -> Claim | None:
    """The claim that a yes-or-no question puts, where it is its only one and stands at its end."""
    claims = find_claims(question)
    rest = question.rstrip(" ?").lower().removesuffix(" down").removesuffix(" up")
    return claims[0] if len(claims) == 1 and rest.endswith(claims[0].text.lower()) else None


def _beside(question: str, answer: str, which: str) -> Iterator[Fault]:
    """Whether the answer is one to the question; the first thing that is wrong with it."""
    last, said = asked(question), [words(one) for one in sentences(answer)]
    first = "".join(words(answer)[:1])
    fault = ""
    if not first or foreign(answer):
        fault = "is not in English"
    elif words(answer) == words(question):
        fault = "repeats the question"
    elif all(one.rstrip("\"'”’)]").endswith("?") for one in sentences(answer)):
        fault = "is a question itself"
    elif _WH.match(last) and _VERDICT.match(answer):
        fault = f"says {first} to a question that is not one of yes or no"
    elif _HOW_MANY.match(last) and not _NUMBER.search(answer):
        fault = "names no number"
    elif yes_or_no(last) and not _OTHERWISE.match(answer) and not share(last, answer):
        fault = "says neither yes nor no"
    elif yes_or_no(last) and _VERDICT.match(answer) and (put := _put(last)):
        yes = bool(YES.match(answer))
        if any(c.key == put.key and (c.value == put.value) != yes for c in find_claims(answer)):
            fault = f"says {first} and then the opposite"
    if fault:
        yield Fault("mismatch", f'the answer{which} {fault} ("{part(answer)}")')
    if len(said) >= CIRCLES and len(set(said)) * 2 < len(said):
        yield Fault(
            "duplicate", f'the answer{which} says the same again and again ("{part(sentences(answer)[-1])}")'
        )


def _endless(question: str, answer: str, which: str) -> Iterator[Fault]:
    """Texts that nobody reads to their end, these rules neither."""
    for what, text in (("question", question), ("answer", answer)):
        if len(text) > MOST:
            yield Fault(
                "length",
                f"the {what}{which} is too long: {len(text):,} characters, at most {MOST:,} are read",
            )


def _measured(kind: Kind, question: str, answer: str, which: str) -> Iterator[Fault]:
    """Lengths in words, and whether the answer comes to its end."""
    for what, text, key in (("question", question, "question"), ("answer", answer, kind)):
        least, most = _LENGTH[key]
        count = len(words(text))
        if not least <= count <= most:
            how = "short" if count < least else "long"
            yield Fault(
                "length",
                f"the {what}{which} is too {how}: {count} words, where {least} to {most} are asked for",
            )
    if cut_off(answer, strict=kind != "conversation"):
        yield Fault("length", f'the answer{which} is cut off ("... {" ".join(answer.split()[-4:])}")')
