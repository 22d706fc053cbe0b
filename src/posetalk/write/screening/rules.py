"""The rules of screen.toml: words that must not be in a sample, and where they are harmless."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from posetalk.llm.fault import Fault, Reason
from posetalk.write.screening.english import FILE, YES, asked, yes_or_no


@dataclass(frozen=True, slots=True)
class _Rule:
    """meanings: a pattern each; any: all of them in one. The other fields are explained in screen.toml."""

    reason: Reason
    says: str
    of: Literal["both", "answer", "stated"]
    any: re.Pattern[str]
    meanings: tuple[re.Pattern[str], ...]
    but: re.Pattern[str] | None
    captions: bool

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> _Rule:
        words, but = row["words"], row.get("but", [])
        return cls(
            row["reason"],
            row["says"],
            row["of"],
            re.compile("|".join(words), re.IGNORECASE),
            tuple(re.compile(one, re.IGNORECASE) for one in words),
            re.compile("|".join(but), re.IGNORECASE) if but else None,
            row.get("captions", False),
        )


_NEAR, _BEFORE, _AFTER = 40, re.compile(r"(?:\S+\s+){0,2}\S*\Z"), re.compile(r"\A\S*(?:\s+\S+){0,2}")
_REACH = 200  # characters that a negation reaches, within its sentence
_RULES = [_Rule.of_row(row) for row in FILE["rule"]]
_NOT_KNOWN = re.compile(
    r"\b(?:not|no|never|neither|nor|without|cannot|whether|if|unclear|unknown|impossible)\b"
    r"|\bhard to (?:tell|say|know)\b|n['’]t\b",
    re.IGNORECASE,
)
_SAYS_NO = re.compile(r"\A\s*no,", re.IGNORECASE)  # "No, they are friends" denies something else


def broken(question: str, answer: str, which: str, captions: Sequence[str] | None) -> Iterator[Fault]:
    """One fault for each rule that the question breaks, and for each that the answer does, with the first such words.

    which: the turn's number for the words of the fault, ` 2`, or nothing. captions: see `screen.faults_of`.
    """
    stated = not yes_or_no(asked(question)) or YES.match(answer)  # a question that no answers states nothing
    for rule in _RULES:
        if rule.captions and captions is None:
            continue
        texts = [("answer", answer)]
        if rule.of == "both" or (rule.of == "stated" and stated):
            texts.insert(0, ("question", question))
        for what, text in texts:
            found = _first(rule, text, captions or ())
            if found:
                yield Fault(rule.reason, f'the {what}{which} {rule.says} ("{found}")')


def gives_away(text: str) -> bool:
    """Whether a text, a caption say, has words that no sample may have: it is then not to be quoted."""
    return any(rule.reason in ("leak", "unreadable") and _first(rule, text, ()) for rule in _RULES)


def _first(rule: _Rule, text: str, captions: Sequence[str]) -> str | None:
    """The first words that break a rule, with their neighbours."""
    harmless = rule.but.finditer(text) if rule.but else iter(())
    near = next(harmless, None)
    for match in rule.any.finditer(text):
        while near and near.end() <= match.start():
            near = next(harmless, None)
        if near and near.start() < match.end():
            continue
        if rule.reason == "guess" and (_denied(text, match.start()) or _borne_out(rule, match[0], captions)):
            continue
        before, after = text[max(0, match.start() - _NEAR) : match.start()], text[match.end() :][:_NEAR]
        around = f"{_BEFORE.findall(before)[0]}{match[0]}{_AFTER.findall(after)[0]}"
        return " ".join(around.split())
    return None


def _denied(text: str, place: int) -> bool:
    """Whether a guess is not made: "nobody can tell whether they are friends", "no sign of fear"."""
    start = max(0, place - _REACH)
    start = max(start, *(text.rfind(mark, start, place) + 1 for mark in ".!?;"))
    return _NOT_KNOWN.search(_SAYS_NO.sub("", text[start:place])) is not None


def _borne_out(rule: _Rule, words: str, captions: Sequence[str]) -> bool:
    """Whether a caption has words of the same meaning."""
    meant = [meaning for meaning in rule.meanings if meaning.search(words)]
    return any(meaning.search(caption) for meaning in meant for caption in captions)
