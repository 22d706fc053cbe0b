"""The text of questions and answers: words, sentences, the kind of a question, whether it is English.

The lists of words are those of screen.toml.
"""

from __future__ import annotations

import re
from typing import Any

from posetalk.resources import resource_toml

FILE: dict[str, Any] = resource_toml("write/screening/screen.toml")
_ASKS, _BODY, _ENGLISH, _OPEN, _PEOPLE = (
    frozenset(FILE["words"][name].split()) for name in ("asks", "body", "english", "open", "people")
)
COMMON = _ENGLISH | _BODY | _PEOPLE
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_CLAUSE = re.compile(r"[.!,;:\n]")
_SENTENCE = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+")
_ENDED = re.compile(r"(?<!\.\.)[.!?:][\"'”’)\]]*$")
_UNFINISHED = ("..", "…", ",", ";", "-", "–", "—", "(", "&", "/")
# "Can you describe ..." asks for a description, not for a yes.
_YES_OR_NO = re.compile(
    r"^(?!\w+ you\b)(?:is|are|was|were|does|do|did|has|have|had|can|could|will|would|should|may|might|must)"
    r"(?:n['’]t)?\b",
    re.IGNORECASE,
)
YES = re.compile(r"^(?:yes|yeah|indeed|correct)\b", re.IGNORECASE)
NO = re.compile(r"^no\b(?! one\b)", re.IGNORECASE)
# A text is foreign if more than this share of its letters are of another script, or, from MIN_WORDS words on, fewer of
# its words are common ones.
FOREIGN, MIN_WORDS = 0.1, 8


def words(text: str) -> tuple[str, ...]:
    """The words in lower case, without punctuation."""
    return tuple(_WORD.findall(text.lower()))


def sentences(text: str) -> list[str]:
    """The sentences of a text, each with its punctuation."""
    return [sentence for sentence in _SENTENCE.split(text.strip()) if sentence]


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Where each sentence begins and ends, quotation marks and brackets after it included."""
    spans, start = list[tuple[int, int]](), len(text) - len(text.lstrip())
    for gap in _SENTENCE.finditer(text.rstrip()):
        end = gap.start() + len(gap[0].rstrip())
        if end > start:
            spans.append((start, end))
        start = gap.end()
    return [*spans, (start, len(text.rstrip()))] if start < len(text.rstrip()) else spans


def part(text: str, max_words: int = 8) -> str:
    """The first words of a text, to name it by."""
    all_words = text.split()
    return " ".join(all_words[:max_words]) + (" ..." if len(all_words) > max_words else "")


def asks(question: str) -> bool:
    """Whether a text asks or requests something, at its start or after a comma."""
    return "?" in question or any(
        not _ASKS.isdisjoint(words(clause)[:1]) for clause in _CLAUSE.split(question)
    )


def asked(question: str) -> str:
    """The last sentence, which is the question itself."""
    return (sentences(question) or [""])[-1]


def yes_or_no(question: str) -> bool:
    """Whether a question wants a yes or a no; "standing or sitting" does not."""
    return bool(_YES_OR_NO.match(question)) and " or " not in question.lower()


def share(question: str, answer: str) -> bool:
    """Whether both are about the body, or share a word that is neither a common one nor names people."""
    question_words, answer_words = set(words(question)), set(words(answer))
    if question_words & _BODY and answer_words & _BODY:
        return True
    stems = [
        {word[:4] for word in word_set - _PEOPLE - _ENGLISH if len(word) > 2}
        for word_set in (question_words, answer_words)
    ]
    return bool(stems[0] & stems[1])


def foreign(text: str) -> bool:
    """Whether many letters are of another script, or hardly any word is a common English one."""
    letters = [letter for letter in text if letter.isalpha()]
    all_words = words(text)
    if sum(letter > "\u024f" for letter in letters) > FOREIGN * len(letters):
        return True
    return len(all_words) >= MIN_WORDS and sum(word in COMMON for word in all_words) < FOREIGN * len(
        all_words
    )


def cut_off(text: str, strict: bool) -> bool:
    """Whether a text ends within a sentence. One sentence without its full stop passes unless `strict`."""
    text, all_words = text.rstrip(), words(text)
    if not all_words or _ENDED.search(text):
        return False
    return strict or len(sentences(text)) > 1 or all_words[-1] in _OPEN or text.endswith(_UNFINISHED)
