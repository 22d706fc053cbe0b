"""The screening of one sample: leaks, claims that the facts deny, guesses, answers that miss the question, damage.

It is for English, and by rules, so that a fault can be named and counted; what no rule covers passes. Each sample is
screened by itself; duplicates.py compares it with earlier ones.
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

# Words in a row that are the prompt's own, RARE of them neither common nor of the body: anybody may write "the person
# on the left and the person".
ECHO, RARE = 8, 3
# Characters of a question or an answer (twice as many as the longest may have) and of a sample that are read.
MOST, MOST_OF_ALL = 10_000, 50_000
REPEATS = 6  # sentences from which an answer of which more than half is repeated is a fault

_LENGTHS: dict[str, list[int]] = FILE["length"]
_WH = re.compile(r"^(?:what|where|which|who|whose|how|why|when)\b", re.IGNORECASE)
_WHY = re.compile(r"^why (?:is|are|does|do|has|have)\b", re.IGNORECASE)
_HOW_MANY = re.compile(r"^how many\b", re.IGNORECASE)
_VERDICT = re.compile(r"^(?:yes|no)\b(?=[,.;:!]|$)", re.IGNORECASE)
# Other ways to answer than yes and no: "Not quite", "They are not: ...", "It could.", "Hard to tell".
_OTHER_ANSWERS = re.compile(
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
def rules_fingerprint() -> str:
    """SHA-256, in hexadecimal digits, of the code that decides verdicts: facts, reading of replies, rules."""
    folder = files("posetalk")
    names = [f"facts/{path.name}" for path in (folder / "facts").iterdir()]
    names += [f"write/screening/{name}" for name in ("english.py", "rules.py", "screen.py", "screen.toml")]
    names += ["write/from_model/reply.py", "write/from_model/labels.py", "llm/spoken.py"]
    names += ["write/from_model/second_reader.py", "write/from_model/prompts/verify.md"]
    digest = sha256()
    for name in sorted(name for name in names if name.endswith((".py", ".toml", ".md"))):
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()


def faults_of(
    sample: Sample,
    scene: Scene | None,
    prompt_text: str = "",
    captions: Sequence[str] | None = None,
    fewest: int = FEWEST,
) -> tuple[Fault, ...]:
    """Find all that is wrong with a sample by itself.

    Args:
        sample: The sample.
        scene: The facts of its image; None if they are not known, and then no claim is checked.
        prompt_text: The prompt's own words, without the captions. An answer may not repeat ECHO of them in a row, and
            nor may a question, unless the prompt gave it in full.
        captions: The image's captions, which support a gender, an occupation or a feeling; None if they are not known,
            and then only what no image shows counts as a guess.
        fewest: The smallest number of questions of a conversation; 1 for conversations that are cut into records of
            one question, as LLaVA-Pose's are.

    Returns:
        The faults, each with a reason and a sentence; empty if the sample may be used.
    """
    length = sum(len(text) for turn in sample.turns for text in turn)
    if length > MOST_OF_ALL:
        words = f"the questions and answers have {length:,} characters, no more than {MOST_OF_ALL:,} are read"
        return (Fault("length", words),)
    faults = list(_turns(sample, fewest))
    for number, (question, answer) in enumerate(sample.turns, 1):
        if not question.strip() or not answer.strip():
            continue  # a fault of _turns
        turn_number = "" if len(sample.turns) == 1 else f" {number}"
        if too_long := list(_too_long(question, answer, turn_number)):
            faults += too_long
            continue
        faults += broken(question, answer, turn_number, captions)
        faults += _echoes(question, answer, turn_number, prompt_text)
        if scene is not None:
            faults += _contradicted(question, answer, turn_number, scene)
        faults += _mismatch(question, answer, turn_number)
        faults += _length(sample.kind, question, answer, turn_number)
    return tuple(faults)


def supported_by_facts(sample: Sample, scene: Scene) -> bool:
    """Whether the facts support every answer: each makes a claim that they agree with, or says a right yes or no."""
    return bool(sample.turns) and all(
        _supported(question, answer, scene) for question, answer in sample.turns
    )


def _supported(question: str, answer: str, scene: Scene) -> bool:
    verdicts = [check_claim(claim, scene) for claim in find_claims(answer)]
    if (
        question.strip()
        and yes_or_no(question_itself := asked(question))
        and (YES.match(answer) or NO.match(answer))
    ):
        means = "agrees" if YES.match(answer) else "contradicts"
        verdicts += ["agrees" for claim in find_claims(question_itself) if check_claim(claim, scene) == means]
    return "agrees" in verdicts


def _turns(sample: Sample, fewest: int) -> Iterator[Fault]:
    """Faults of the number of turns, of empty texts, and of questions that ask nothing or are repeated."""
    turns = sample.turns
    if not turns:
        yield Fault("turns", "there is no question and no answer")
    elif sample.kind == "conversation" and len(turns) < fewest:
        yield Fault("turns", f"a conversation has at least {fewest} questions, this one has {len(turns)}")
    elif sample.kind in ("detail", "reasoning") and len(turns) > 1:
        yield Fault("turns", f"there is one question to ask, not {len(turns)}")
    earlier: set[tuple[str, ...]] = set()
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
        if words(question) in earlier:
            yield Fault("duplicate", f'question {number} was asked before ("{part(question)}")')
        earlier.add(words(question))


def _echoes(question: str, answer: str, turn_number: str, prompt_text: str) -> Iterator[Fault]:
    prompt_runs = _prompt_runs(prompt_text)
    for what, text in (("question", question), ("answer", answer)):
        runs = _runs_of(text)
        copied_question = what == "question" and all(run in prompt_runs for run in runs)
        echoed = next((run for run in runs if run in prompt_runs), None)
        if echoed and not copied_question:
            yield Fault("leak", f'the {what}{turn_number} repeats its orders ("{" ".join(echoed)}")')


def _runs_of(text: str) -> list[tuple[str, ...]]:
    all_words = words(text)
    rare = [word not in COMMON for word in all_words]
    return [
        all_words[i : i + ECHO] for i in range(len(all_words) - ECHO + 1) if sum(rare[i : i + ECHO]) >= RARE
    ]


@lru_cache(maxsize=64)
def _prompt_runs(prompt_text: str) -> frozenset[tuple[str, ...]]:
    return frozenset(_runs_of(prompt_text))


def _contradicted(question: str, answer: str, turn_number: str, scene: Scene) -> Iterator[Fault]:
    """Claims of the answer, of a question that it affirms or that asks why, and a no to what is true."""
    question_itself, claims = asked(question), find_claims(answer)
    if _WHY.match(question_itself) or (yes_or_no(question_itself) and YES.match(answer)):
        claims = find_claims(question_itself) + claims
    for claim in claims:
        if check_claim(claim, scene) == "contradicts":
            state = "so" if claim.value else "not so"
            yield Fault(
                "contradicted",
                f'the answer{turn_number} says that "{claim.text}" is {state}; it is the other way',
            )
    only_person = len(scene.people) == 1 and scene.others == 0  # else somebody else may be meant
    denied = (
        _claim_put(question_itself)
        if only_person and yes_or_no(question_itself) and NO.match(answer)
        else None
    )
    if denied is not None and denied.number is None and check_claim(denied, scene) == "agrees":
        yield Fault("contradicted", f'the answer{turn_number} denies "{denied.text}", which is so')


def _claim_put(question: str) -> Claim | None:
    """The claim of a yes-or-no question that has one claim, at its end."""
    claims = find_claims(question)
    ending = question.rstrip(" ?").lower().removesuffix(" down").removesuffix(" up")
    return claims[0] if len(claims) == 1 and ending.endswith(claims[0].text.lower()) else None


def _mismatch(question: str, answer: str, turn_number: str) -> Iterator[Fault]:
    """The first reason why the answer does not answer the question, and repetition within the answer."""
    question_itself, answer_sentences = asked(question), [words(sentence) for sentence in sentences(answer)]
    first_word = "".join(words(answer)[:1])
    fault = ""
    if not first_word or foreign(answer):
        fault = "is not in English"
    elif words(answer) == words(question):
        fault = "repeats the question"
    elif all(sentence.rstrip("\"'”’)]").endswith("?") for sentence in sentences(answer)):
        fault = "is a question itself"
    elif _WH.match(question_itself) and _VERDICT.match(answer):
        fault = f"says {first_word} to a question that is not one of yes or no"
    elif _HOW_MANY.match(question_itself) and not _NUMBER.search(answer):
        fault = "names no number"
    elif (
        yes_or_no(question_itself) and not _OTHER_ANSWERS.match(answer) and not share(question_itself, answer)
    ):
        fault = "says neither yes nor no"
    elif yes_or_no(question_itself) and _VERDICT.match(answer) and (claim := _claim_put(question_itself)):
        yes = bool(YES.match(answer))
        if any(
            other.key == claim.key and (other.value == claim.value) != yes for other in find_claims(answer)
        ):
            fault = f"says {first_word} and then the opposite"
    if fault:
        yield Fault("mismatch", f'the answer{turn_number} {fault} ("{part(answer)}")')
    if len(answer_sentences) >= REPEATS and len(set(answer_sentences)) * 2 < len(answer_sentences):
        yield Fault(
            "duplicate",
            f'the answer{turn_number} says the same again and again ("{part(sentences(answer)[-1])}")',
        )


def _too_long(question: str, answer: str, turn_number: str) -> Iterator[Fault]:
    """Texts that are too long to be screened."""
    for what, text in (("question", question), ("answer", answer)):
        if len(text) > MOST:
            yield Fault(
                "length",
                f"the {what}{turn_number} is too long: {len(text):,} characters, at most {MOST:,} are read",
            )


def _length(kind: Kind, question: str, answer: str, turn_number: str) -> Iterator[Fault]:
    """Lengths in words, and answers that are cut off."""
    for what, text, key in (("question", question, "question"), ("answer", answer, kind)):
        fewest, most = _LENGTHS[key]
        count = len(words(text))
        if not fewest <= count <= most:
            how = "short" if count < fewest else "long"
            yield Fault(
                "length",
                f"the {what}{turn_number} is too {how}: {count} words, where {fewest} to {most} are asked for",
            )
    if kind != "short" and cut_off(answer, strict=kind != "conversation"):
        yield Fault("length", f'the answer{turn_number} is cut off ("... {" ".join(answer.split()[-4:])}")')
