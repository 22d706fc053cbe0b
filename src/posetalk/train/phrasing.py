"""How a keypoint is called in one question: one of its names, one of its descriptions, and as people type."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from posetalk.skeleton import Keypoint

DESCRIPTION_ALONE = (
    0.25  # of the questions without description, those that ask by a description in place of a name
)
SIDES = frozenset(
    {"left", "right"}
)  # words that are never misspelt: they would mean nothing, or the other side
SHORTEST = 4  # letters of a word that is misspelt


def phrased(keypoint: Keypoint, name_only: bool, rng: np.random.Generator) -> Keypoint:
    """The keypoint under one of its names and with one of its descriptions, all equally likely.

    Nothing is drawn for a keypoint that has one of each.
    """
    sentence = "" if name_only else keypoint.sentence
    if not keypoint.synonyms and not keypoint.paraphrases:
        return replace(keypoint, sentence=sentence) if name_only else keypoint
    names = (keypoint.name, *keypoint.synonyms)
    sentences = tuple(s for s in (keypoint.sentence, *keypoint.paraphrases) if s)
    name = names[rng.integers(len(names))]
    if sentences:
        drawn = sentences[rng.integers(len(sentences))]
        if not name_only:
            sentence = drawn
        elif rng.random() < DESCRIPTION_ALONE:
            name = drawn
    return replace(keypoint, name=name, sentence=sentence, synonyms=(), paraphrases=())


def mistyped(keypoint: Keypoint, share: float, rng: np.random.Generator) -> Keypoint:
    """With a chance of `share` the keypoint as people type it: in capitals, without hyphens and apostrophes, with an
    article, with the side behind, or with a slip of the finger in its name."""
    if not share or rng.random() >= share:
        return keypoint
    name, sentence = keypoint.name, keypoint.sentence
    how = rng.integers(6)
    if how == 0:
        return replace(keypoint, name=name.upper(), sentence=sentence.upper())
    if how == 1:
        return replace(keypoint, name=name.capitalize(), sentence=sentence.capitalize())
    if how == 2:
        name, sentence = (re.sub("['’-]", "", text) for text in (name, sentence))
        return replace(keypoint, name=name, sentence=sentence)
    if how == 3 and name.split()[0] not in ("the", "where", "what"):
        return replace(keypoint, name=f"the {name}")
    side, _, rest = name.partition(" ")
    if how == 4 and side in SIDES and rest:
        return replace(
            keypoint, name=(f"{rest} ({side})", f"{rest}, {side}", f"{rest} {side}")[rng.integers(3)]
        )
    return replace(keypoint, name=_slip(name, rng))


def _slip(text: str, rng: np.random.Generator) -> str:
    """One word with two letters swapped, one left out or one doubled; its first letter stays."""
    words = text.split(" ")
    long = [i for i, word in enumerate(words) if len(word) >= SHORTEST and word.lower() not in SIDES]
    if not long:
        return text
    index = long[rng.integers(len(long))]
    word, at = words[index], int(rng.integers(1, len(words[index]) - 1))
    middle = (word[at + 1] + word[at], word[at + 1], word[at] * 2 + word[at + 1])[rng.integers(3)]
    words[index] = word[:at] + middle + word[at + 2 :]
    return " ".join(words)
