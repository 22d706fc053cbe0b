"""Statements joined into sentences in several ways, and captions made into sentences."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from posetalk.write.from_facts.phrases import Statement
from posetalk.write.from_facts.speaker import lower, upper

_ORDER = ("body", "head", "arms", "legs", "view")
_OPENINGS = {
    "arms": ("As for the arms, {}", "Of the arms the following can be seen: {}", "{}", "{}", "{}"),
    "legs": ("Further down, {}", "Lower down, {}", "{}", "{}", "{}"),
    "view": ("Not everything is in sight: {}", "{}", "{}"),
    "head": ("{}",),
    "body": ("{}",),
}
# A caption without a verb of its own: "a man riding a wave".
_CAPTION_TEMPLATES = (
    "The picture shows {}.",
    "This is a picture of {}.",
    "In the picture there is {}.",
    "Here is {}.",
)
_FRAGMENT = re.compile(
    r"(?:a|an|one|the) (?:(?!\w+(?:s|ed) )\w+ ){1,3}?"
    r"(?!(?:building|ceiling|clothing|evening|king|morning|ring|string|something|wedding|wing|living|dining)\b)\w+ing\b",
    re.IGNORECASE,
)
_FINITE = re.compile(
    r"\b(?:is|are|was|were|has|have|had|can|will|that|who|which|as|while|sits?|stands?|lies|lays|holds?|rides?|plays?|"
    r"walks?|runs?|looks?|poses?|jumps?|eats?|swings?|hits?|throws?|catch(?:es)?|flies|fly|skis|surfs?|smiles?|"
    r"watch(?:es)?|waits?|talks?|uses?|wears?|takes?|makes?|gets?|goes|does|leans?|carries|reaches|prepares?)\b",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z ,'\-]+")
_NOBODY = re.compile(
    r"\b(?:empty|nobody|no one|no people|without people|i|you|my|your|unknown)\b", re.IGNORECASE
)


def sentences_of(statements: Sequence[Statement], rng: random.Random, by_name: bool = False) -> list[str]:
    """Sentences about one person, from the whole body down; by_name: the first has the person's name.

    Two statements about the same region are at random joined into one sentence.
    """
    texts: list[str] = []
    for region in _ORDER:
        remaining = [statement for statement in statements if statement.region == region]
        rng.shuffle(remaining) if region != "body" else None
        opening = rng.choice(_OPENINGS[region]) if texts and by_name else "{}"
        while remaining:
            statement = remaining.pop(0)
            second = remaining.pop(0) if remaining and rng.random() < 0.65 else None
            text = _joined(statement, second, rng, by_name and not texts)
            if text.startswith("With "):
                opening = "{}"
            texts.append(upper(opening.format(lower(text) if opening != "{}" else text)))
            opening = "{}"
    return texts


def _joined(first: Statement, second: Statement | None, rng: random.Random, by_name: bool) -> str:
    """One statement as a sentence, or two as one: joined by a conjunction or by "with"."""
    text = first.draw("say", rng, by_name)
    if second is None:
        return text
    body = text.removesuffix(".")
    joinable = " and " not in body and "," not in body
    if first.about_visibility:
        return (
            f"{body}, and {lower(second.draw('say', rng))}"
            if joinable
            else f"{text} {second.draw('say', rng)}"
        )
    if joinable and second.has("with") and rng.random() < 0.4:
        return f"{body}, with {second.draw('with', rng)}."
    if first.has("with") and not by_name and rng.random() < 0.25:
        main_clause = second.draw("say", rng)
        if main_clause.split()[0].lower() == first.subject.forms["he"]:  # else the first has no subject
            return f"With {first.draw('with', rng)}, {lower(main_clause)}"
    if joinable:
        return f"{body}{rng.choice((', and ', ', while ', '; ', ', and '))}{lower(second.draw('say', rng))}"
    return f"{text} {second.draw('say', rng)}"


def caption_sentence(caption: str) -> str:
    """A caption as a sentence; empty where it has unusual characters, is in capitals, or says that nobody is there."""
    text = " ".join(caption.split()).rstrip(".! ,")
    if len(text.split()) < 4 or not _PLAIN.fullmatch(text) or _NOBODY.search(text) or text.isupper():
        return ""
    if _FRAGMENT.match(text) and not _FINITE.search(text):
        template = _CAPTION_TEMPLATES[
            sum(map(ord, text)) % len(_CAPTION_TEMPLATES)
        ]  # by the caption, which so always has the same form
        return template.format(lower(text))
    return upper(text) + "."
