"""Sentences one after the other: joined in several ways, and captions made sentences."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from posetalk.write.from_facts.phrases import Statement
from posetalk.write.from_facts.speaker import lower, upper

_ORDER = ("body", "head", "arms", "legs", "view")
_LEADS = {
    "arms": ("As for the arms, {}", "Of the arms the following can be seen: {}", "{}", "{}", "{}"),
    "legs": ("Further down, {}", "Lower down, {}", "{}", "{}", "{}"),
    "view": ("Not everything is in sight: {}", "{}", "{}"),
    "head": ("{}",),
    "body": ("{}",),
}
# A caption without a verb of its own: "a man riding a wave".
_PICTURE = ("The picture shows {}.", "This is a picture of {}.", "In the picture there is {}.", "Here is {}.")
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


def woven(some: Sequence[Statement], rng: random.Random, by_name: bool = False) -> list[str]:
    """Sentences about one person, from the whole body down; by_name: the first has the person's name.

    Two things of a part of the body are now and then made one sentence.
    """
    found: list[str] = []
    for region in _ORDER:
        items = [one for one in some if one.region == region]
        rng.shuffle(items) if region != "body" else None
        lead = rng.choice(_LEADS[region]) if found and by_name else "{}"
        while items:
            one = items.pop(0)
            two = items.pop(0) if items and rng.random() < 0.65 else None
            text = _two(one, two, rng, by_name and not found)
            if text.startswith("With "):
                lead = "{}"
            found.append(upper(lead.format(lower(text) if lead != "{}" else text)))
            lead = "{}"
    return found


def _two(one: Statement, two: Statement | None, rng: random.Random, by_name: bool) -> str:
    """One sentence, or two in one: joined by a word, or the second after "with"."""
    text = one.draw("say", rng, by_name)
    if two is None:
        return text
    body = text.removesuffix(".")
    joinable = " and " not in body and "," not in body
    if one.view:
        return f"{body}, and {lower(two.draw('say', rng))}" if joinable else f"{text} {two.draw('say', rng)}"
    if joinable and two.has("with") and rng.random() < 0.4:
        return f"{body}, with {two.draw('with', rng)}."
    if one.has("with") and not by_name and rng.random() < 0.25:
        second = two.draw("say", rng)
        if second.split()[0].lower() == one.subject.forms["he"]:  # else the first hangs in the air
            return f"With {one.draw('with', rng)}, {lower(second)}"
    if joinable:
        return f"{body}{rng.choice((', and ', ', while ', '; ', ', and '))}{lower(two.draw('say', rng))}"
    return f"{text} {two.draw('say', rng)}"


def caption_sentence(caption: str) -> str:
    """A caption as a sentence; nothing where it has odd marks, shouts, or says that nobody is there."""
    text = " ".join(caption.split()).rstrip(".! ,")
    if len(text.split()) < 4 or not _PLAIN.fullmatch(text) or _NOBODY.search(text) or text.isupper():
        return ""
    if _FRAGMENT.match(text) and not _FINITE.search(text):
        form = _PICTURE[sum(map(ord, text)) % len(_PICTURE)]  # by the caption, so that it has one form
        return form.format(lower(text))
    return upper(text) + "."
