"""The rules of screen.toml: words that must not be in a sample, and where they are harmless."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from posetalk.llm.fault import Fault, Reason
from posetalk.write.screening.english import FILE, YES, asked, yes_or_no


@dataclass(frozen=True, slots=True)
class _ScreenRule:
    """A rule. meanings: the pattern of each wording; any: all of them in one. screen.toml explains the other fields."""

    reason: Reason
    says: str
    of: Literal["both", "answer", "stated"]
    any: re.Pattern[str]
    meanings: tuple[re.Pattern[str], ...]
    but: re.Pattern[str] | None
    captions: bool

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> _ScreenRule:
        words, but = row["words"], row.get("but", [])
        return cls(
            row["reason"],
            row["says"],
            row["of"],
            re.compile("|".join(words), re.IGNORECASE),
            tuple(re.compile(word_pattern, re.IGNORECASE) for word_pattern in words),
            re.compile("|".join(but), re.IGNORECASE) if but else None,
            row.get("captions", False),
        )


_CONTEXT, _WORDS_BEFORE, _WORDS_AFTER = (
    40,
    re.compile(r"(?:\S+\s+){0,2}\S*\Z"),
    re.compile(r"\A\S*(?:\s+\S+){0,2}"),
)
_NEGATION_REACH = 200  # characters that a negation reaches, within its sentence
_RULES = [_ScreenRule.of_row(row) for row in FILE["rule"]]
_NEGATION = re.compile(
    r"\b(?:not|no|never|neither|nor|without|cannot|whether|if|unclear|unknown|impossible)\b"
    r"|\bhard to (?:tell|say|know)\b|n['’]t\b",
    re.IGNORECASE,
)
_SAYS_NO = re.compile(r"\A\s*no,", re.IGNORECASE)  # "No, they are friends" denies something else


def broken(question: str, answer: str, turn_number: str, captions: Sequence[str] | None) -> Iterator[Fault]:
    """One fault for each rule that the question or the answer breaks, with the first words that break it.

    turn_number: the turn's number for the words of the fault, ` 2`, or nothing. captions: see `screen.faults_of`.
    """
    states = not yes_or_no(asked(question)) or YES.match(answer)  # a question that no answers states nothing
    for rule in _RULES:
        if rule.captions and captions is None:
            continue
        texts = [("answer", answer)]
        if rule.of == "both" or (rule.of == "stated" and states):
            texts.insert(0, ("question", question))
        for what, text in texts:
            excerpt = _first_match(rule, text, captions or ())
            if excerpt:
                yield Fault(rule.reason, f'the {what}{turn_number} {rule.says} ("{excerpt}")')


def gives_away(text: str) -> bool:
    """Whether a text, such as a caption, has words that no sample may have, so that it must not be quoted."""
    return any(rule.reason in ("leak", "unreadable") and _first_match(rule, text, ()) for rule in _RULES)


def _first_match(rule: _ScreenRule, text: str, captions: Sequence[str]) -> str | None:
    """The first words that break a rule, with the words around them."""
    exceptions = rule.but.finditer(text) if rule.but else iter(())
    exception = next(exceptions, None)
    for match in rule.any.finditer(text):
        while exception and exception.end() <= match.start():
            exception = next(exceptions, None)
        if exception and exception.start() < match.end():
            continue
        if rule.reason == "guess" and (_denied(text, match.start()) or _supported(rule, match[0], captions)):
            continue
        before, after = text[max(0, match.start() - _CONTEXT) : match.start()], text[match.end() :][:_CONTEXT]
        excerpt = f"{_WORDS_BEFORE.findall(before)[0]}{match[0]}{_WORDS_AFTER.findall(after)[0]}"
        return " ".join(excerpt.split())
    return None


def _denied(text: str, position: int) -> bool:
    """Whether a guess is negated: "nobody can tell whether they are friends", "no sign of fear"."""
    start = max(0, position - _NEGATION_REACH)
    start = max(start, *(text.rfind(stop, start, position) + 1 for stop in ".!?;"))
    return _NEGATION.search(_SAYS_NO.sub("", text[start:position])) is not None


def _supported(rule: _ScreenRule, words: str, captions: Sequence[str]) -> bool:
    """Whether a caption has words of the same meaning."""
    meanings = [meaning for meaning in rule.meanings if meaning.search(words)]
    return any(meaning.search(caption) for meaning in meanings for caption in captions)
