"""Statements joined into sentences in several ways, and captions made into sentences."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from posetalk.write.from_facts.phrases import Statement
from posetalk.write.from_facts.speaker import lower, upper

_ORDER = ("action", "place", "body", "head", "arms", "legs")
_WHOLE = _ORDER[:3]
# How many statements may be attached to one: often one or two.
_ATTACHED = (0, 1, 1, 2, 2, 3)
_ABSOLUTE = re.compile(r"(?:his|her|their|both|one|the) ")  # may follow a comma without "with"
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
    """Sentences about one person, what is done first; by_name: the first has the person's name.

    Most sentences say several things: what is done and how the body does it, or what two parts of the body do.
    """
    head = [statement for statement in statements if statement.region in _WHOLE]
    head.sort(key=lambda statement: _ORDER.index(statement.region))
    limbs = [statement for statement in statements if statement.region not in _WHOLE]
    rng.shuffle(limbs)
    if rng.random() < 0.6:
        limbs.sort(key=lambda statement: _ORDER.index(statement.region))
    queue = head + limbs
    texts: list[str] = []
    while queue:
        main = queue.pop(0)
        attached = []
        for _ in range(rng.choice(_ATTACHED)):
            fitting = [statement for statement in queue if statement.has("with") or statement.has("ing")]
            if not fitting:
                break
            others = [one for one in fitting if main.region == "action" and one.region != "action"]
            attached.append(rng.choice((others or fitting)[:4]))
            queue.remove(attached[-1])
        texts += _composed(main, attached, rng, by_name and not texts)
    return texts


def answered(
    statement: Statement, added: Sequence[Statement], rng: random.Random, by_name: bool = False
) -> list[str]:
    """The answer to a question about one statement: a sentence of it and of what is added, or several."""
    joined = [one for one in added if one.has("with") or one.has("ing")][: rng.choice(_ATTACHED)]
    rest = [one for one in added if one not in joined]
    return [*_composed(statement, joined, rng, by_name), *sentences_of(rest, rng)]


def _composed(main: Statement, attached: list[Statement], rng: random.Random, by_name: bool) -> list[str]:
    """One sentence of a statement and of those attached to it; two where they cannot be joined."""
    text = main.draw("say", rng, by_name)
    if not attached:
        return [text]
    body = text.removesuffix(".")
    of_person = body.lower().startswith((f"{main.subject.forms['he']} ", f"{main.subject.name} ".lower()))
    phrases = [one.draw("with", rng) for one in attached if one.has("with")]
    with_all = len(phrases) == len(attached)
    is_plain = not re.search(r",| and | with ", body)
    ways = []
    if with_all and is_plain:
        ways += [f"{body}, with {listed(phrases)}.", f"{body}, with {listed(phrases)}."]
        if all(_ABSOLUTE.match(phrase) for phrase in phrases):
            ways += [f"{body}, {listed(phrases)}."] * 2
        if of_person and not by_name and len(phrases) < 3:
            ways.append(f"With {listed(phrases)}, {lower(text)}")
    first, rest = attached[0], attached[1:]
    if of_person and is_plain and first.has("ing") and all(one.has("with") for one in rest):
        doing, more = first.draw("ing", rng), [one.draw("with", rng) for one in rest]
        ways.append(f"{body}, {doing}{f', with {listed(more)}' if more else ''}.")
        if first.region in ("action", "body") and (not by_name or main.subject.name in body.lower()):
            ways.append(f"{upper(doing)}, {lower(body)}{f', with {listed(more)}' if more else ''}.")
    if len(attached) == 1 and is_plain:
        ways.append(f"{body}{rng.choice((', and ', ', while ', '; '))}{lower(first.draw('say', rng))}")
    if ways:
        return [rng.choice(ways)]
    return [text, *(sentence for one in attached for sentence in [one.draw("say", rng)])]


def listed(phrases: Sequence[str]) -> str:
    """Phrases as a list: `a, b and c`."""
    return " and ".join([", ".join(phrases[:-1]), phrases[-1]] if len(phrases) > 1 else phrases)


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
