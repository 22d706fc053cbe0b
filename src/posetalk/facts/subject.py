"""Whether a verb in a sentence is said of a person: a bus stands too."""

from __future__ import annotations

import re

from posetalk.resources import resource_toml

_FILE = resource_toml("facts/lexicon.toml")
_PEOPLE, _THINGS, _BARE = (frozenset(_FILE[name].split()) for name in ("people", "things", "bare"))
# Nouns for one person, who can have a position from left to right: no pronouns, parts of bodies or groups.
PERSONS = _PEOPLE - frozenset(_FILE["nobody_in_particular"].split())
_AUXILIARY = re.compile(
    r"(?:\b(?:is|are|was|were|has|have|been|being|also|both|all|still|now|just|then|each|not|never|who|simply|"
    r"calmly|does|do|did|seen|already|\w+n't)\b\s*)+$"
)
_FINITE = re.compile(r"\w+[^s\W]s\b|stood|sat\b|lay\b|knelt", re.IGNORECASE)
_ARTICLE = r"(?:a|an|the|his|her|their|its)"
_DETERMINER = re.compile(rf"{_ARTICLE}|this|each|every|another|some|several|many|our|my")
_WHERE = (
    r"(?:in|on|with|of|at|by|near|from|under|behind|beside|over|inside|against|wearing|holding|next to|in front of|"
    r"beneath|along|around|between|above|below|atop)"
)
_PLACED = re.compile(
    rf"(?<=[\w,] )\b{_WHERE}\b(?: {_ARTICLE})?(?: (?!(?:{_WHERE}|that|which|who)\b)[\w'-]+){{1,3}},? ?$"
)
_WORKER = re.compile(r"\w{2,}(?:er|or|ist|man|men|woman|women|ian|boy|girl)s?$")


def of_a_person(before: str, verb: str) -> bool:
    """Whether the subject of a verb is a person, judged by the last noun before the verb.

    Args:
        before: The text before the verb.
        verb: The verb and the words that a rule matched with it. A finite verb may be separated from its subject, as in
            "a woman with a kite is standing".

    Returns:
        True for a person, and also where there is no noun at all.
    """
    text = before.lower()
    subject = _AUXILIARY.sub("", text)
    if _FINITE.match(verb) or re.search(r"\b(?:is|are|was|were)\b", text[len(subject) :]):
        while (shorter := _PLACED.sub("", subject)) != subject:
            subject = shorter
    if re.search(r"\b(?:his|her|their) ?$", subject):
        return True  # somebody's back
    later_words: list[str] = []
    for word in reversed(re.findall(r"[a-z]+", subject)):
        if word in _PEOPLE:
            return True
        if word in _THINGS:
            return False
        if _WORKER.match(word):
            return True
        if _DETERMINER.fullmatch(word) and any(w not in _BARE for w in later_words):
            return False  # a noun that nobody knows
        later_words.append(word)
    return True
