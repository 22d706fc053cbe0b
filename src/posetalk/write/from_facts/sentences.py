"""Statements joined into sentences in several ways, and captions made into sentences."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

from posetalk.write.from_facts.phrases import Statement
from posetalk.write.from_facts.speaker import lower, upper

_ORDER = ("action", "place", "body", "head", "arms", "legs", "around")
_WHOLE = _ORDER[:3]
# How many statements may be attached to one: often one or two.
_ATTACHED = (0, 1, 1, 2, 2, 2, 3)
_ABSOLUTE = re.compile(r"(?:his|her|their|both|one|the) ")  # may follow a comma without "with"
_POSTURES = ("body: standing", "body: sitting", "body: lying", "body: squatting", "body: kneeling")
_LIMB = re.compile(r"\b((?:left |right )?)(arm|elbow|hand|forearm|knee|leg|thigh|shin|foot)s?\b")
_JOINED = re.compile(r"[,;:]| and | while ")
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
    r"\b(?:empty|nobody|no one|no people|without people|i|you|my|your|unknown|something|intriguing|"
    r"interesting|unusual|random|various things|at the moment|photo of the day|copyright)\b",
    re.IGNORECASE,
)


def sentences_of(statements: Sequence[Statement], rng: random.Random, by_name: bool = False) -> list[str]:
    """Sentences about one person, what is done first; by_name: the first has the person's name.

    Most sentences say several things: what is done, where, and how the body does it; what two sides of the body do; or
    all of one limb.
    """
    head = [statement for statement in statements if statement.region in _WHOLE]
    head.sort(key=lambda statement: _ORDER.index(statement.region))
    limbs = [statement for statement in statements if statement.region not in _WHOLE]
    rng.shuffle(limbs)
    texts: list[str] = []
    while head:
        main = head.pop(0)
        attached = []
        if main.region == "action" or main.key in _POSTURES:
            for place in [one for one in head + limbs if one.has("at") and _fits(main, one)][:2]:
                (head if place in head else limbs).remove(place)
                attached.append(place)
        for _ in range(rng.choice(_ATTACHED)):
            fitting = [one for one in head + limbs if one.has("with") or one.has("ing")]
            # the rest of a limb that is named already follows in a sentence of its own
            fitting = [
                one for one in fitting if not one.limb or one.limb not in [other.limb for other in attached]
            ]
            if not fitting:
                break
            others = [one for one in fitting if main.region == "action" and one.region != "action"]
            near = [one for one in fitting if one.region == main.region] if main.region == "body" else []
            attached.append(rng.choice((others or near or fitting)[:4]))
            (head if attached[-1] in head else limbs).remove(attached[-1])
        texts += _composed(main, attached, rng, by_name and not texts)
    regions = [name for name in _ORDER if any(one.region == name for one in limbs)]
    if rng.random() < 0.3:
        regions.reverse()
    for region in regions:
        texts += limb_sentences([one for one in limbs if one.region == region], rng, by_name and not texts)
    return _paired(texts, statements[0].subject.forms["he"] if statements else "", rng)


def _paired(texts: list[str], pronoun: str, rng: random.Random) -> list[str]:
    """Short sentences about one person that follow each other, joined; the pronoun is said once."""
    joined: list[str] = []
    for text in texts:
        if joined and all(len(one.split()) < 9 and not _JOINED.search(one) for one in (joined[-1], text)):
            same = text.startswith(f"{upper(pronoun)} ")
            if same and joined[-1].startswith(f"{upper(pronoun)} ") and rng.random() < 0.8:
                joined[-1] = f"{joined[-1].removesuffix('.')} and {text.split(' ', 1)[1]}"
                continue
            both = all(one.startswith(("His ", "Her ", "Their ")) for one in (joined[-1], text))
            if both and rng.random() < 0.8:
                joined[-1] = f"{joined[-1].removesuffix('.')} and {lower(text)}"
                continue
        joined.append(text)
    return joined


def limb_sentences(statements: Sequence[Statement], rng: random.Random, by_name: bool = False) -> list[str]:
    """Sentences about arms, legs or head: each limb with all that is said of it, and one side set against the other."""
    texts: list[str] = []
    left = [one for one in statements if one.limb.startswith("left")]
    right = [one for one in statements if one.limb.startswith("right")]
    rest = [one for one in statements if one not in left and one not in right]
    states = [next((one for one in side if one.has("state")), None) for side in (left, right)]
    if states[0] and states[1] and states[0].kind != states[1].kind and rng.random() < 0.8:
        sides = [(states[0], left), (states[1], right)]
        rng.shuffle(sides)
        (first, of_first), (second, of_second) = sides
        noun = first.region.removesuffix("s")
        clauses = [_with_own(one, group, rng) for one, group in ((first, of_first), (second, of_second))]
        join = rng.choice((" while ", " and ", ", whereas ", ", while "))
        if " with " in clauses[0]:
            join = rng.choice((", while ", ", and ", ", whereas "))
        side, other = (one.fields["side"] for one in (first, second))
        text = f"{{His}} {side} {noun} is {clauses[0]}{join}the {other} one is {clauses[1]}."
        texts.append(first.subject.fill(text, by_name))
        left, right = [], []
    for group in (left, right, rest) if rng.random() < 0.5 else (rest, left, right):
        while group:
            main = group.pop(0)
            own = [
                one for one in group if one.has("own") and one.limb == main.limb and one.part != main.part
            ][: rng.choice(_ATTACHED)]
            if rng.random() < 0.2 or not main.limb:
                own = [one for one in group if one.has("with")][: rng.choice((0, 1, 1, 2))]
                texts += _composed(main, own, rng, by_name and not texts)
            else:
                body = main.draw("say", rng, by_name and not texts).removesuffix(".")
                phrases = {one.key: one.draw("own", rng) for one in own}
                own = _not_named(body, own, phrases)
                if own and not re.search(r",| and | with ", body):
                    body += f" with {listed([phrases[one.key] for one in own])}"
                else:
                    own = []
                texts.append(_reasoned(f"{body}.", own[-1] if own else main, rng))
            group = [one for one in group if one not in own]
    return texts


def _with_own(state: Statement, group: Sequence[Statement], rng: random.Random) -> str:
    """What a limb is, with what else is said of it: `bent with the hand at chest height`."""
    own = [one for one in group if one is not state and one.has("own")]
    text, phrases = state.draw("state", rng), {one.key: one.draw("own", rng) for one in own}
    own = _not_named(text, own, phrases)[:2]
    return text + (f" with {listed([phrases[one.key] for one in own])}" if own else "")


def _names_twice(body: str, phrases: Sequence[str]) -> bool:
    """Whether the same limb is named twice: `his right elbow ... his right elbow`, `his right arm ... both arms`."""
    seen: list[tuple[str, str]] = []
    for text in (body, *phrases):
        named = [(side.strip(), noun) for side, noun in _LIMB.findall(text)]
        if any(
            noun == other and (side == earlier or not side or not earlier)
            for side, noun in named
            for earlier, other in seen
        ):
            return True
        seen += named
    return False


def _not_named(text: str, own: Sequence[Statement], phrases: Mapping[str, str]) -> list[Statement]:
    """The statements whose part is named neither in a text nor by one before."""
    kept: list[Statement] = []
    for one in own:
        noun = phrases[one.key].split()[1].rstrip("s")
        if not re.search(rf"\b{noun}s?\b", " ".join([text, *(phrases[other.key] for other in kept)])):
            kept.append(one)
    return kept


def answered(
    statement: Statement, added: Sequence[Statement], rng: random.Random, by_name: bool = False
) -> list[str]:
    """The answer to a question about one statement: a sentence of it and of what is added, or several."""
    joined: list[Statement] = []
    for one in added:
        fits = (one.has("with") or one.has("ing")) and one.limb not in [
            x.limb for x in (*joined, statement) if x.limb
        ]
        if fits and statement.region != "around":
            joined.append(one)
    joined = joined[: rng.choice(_ATTACHED)]
    rest = [one for one in added if one not in joined]
    return [*_composed(statement, joined, rng, by_name), *sentences_of(rest, rng)]


def denied(statement: Statement, added: Sequence[Statement], rng: random.Random) -> list[str]:
    """The answer no, with what is so instead."""
    text = statement.draw("no", rng).removesuffix(".")
    limb = [one for one in added if one.limb and one.limb == statement.limb and one.has("with")]
    phrases = [one.draw("with", rng) for one in limb[:2]]
    if not phrases or not all(map(_ABSOLUTE.match, phrases)):
        return [f"{text}.", *sentences_of(added, rng)]
    rest = [one for one in added if one not in limb[:2]]
    return [
        f"{text}: {lower(statement.subject.fill('{he} {has}'))} {listed(phrases)}.",
        *sentences_of(rest, rng),
    ]


def _reasoned(text: str, told: Statement, rng: random.Random) -> str:
    """The sentence with what follows from its last part, now and then; what a pose does for an action mostly."""
    if not told.has("so") or rng.random() < 0.5:
        return text
    so = told.draw("so", rng)
    comma = "," if so.startswith("which") else ""
    return f"{text.removesuffix('.')}{comma} {so}."


def _fits(action: Statement, place: Statement) -> bool:
    """Whether a place may follow what is done: not what is held, and nothing that names the place already."""
    said = action.forms["ing"][0]
    if place.part == "picture":
        return not said.startswith(("looking", "wearing")) and " on " not in said
    return (
        not said.startswith(("holding", "looking", "wearing"))
        and place.forms["at"][0].split()[-1] not in said
    )


def _composed(main: Statement, attached: list[Statement], rng: random.Random, by_name: bool) -> list[str]:
    """One sentence of a statement and of those attached to it; two where they cannot be joined."""
    text = main.draw("say", rng, by_name)
    places = [one for one in attached if one.has("at")]
    attached = [one for one in attached if one not in places]
    if places:
        text = text.removesuffix(".")
        if re.search(r",| and | with ", text):
            return [f"{text}.", *(one.draw("say", rng) for one in [*places, *attached])]
        text = " ".join([text, *(one.draw("at", rng) for one in places)]) + "."
    if not attached:
        return [_reasoned(text, main, rng)]
    body = text.removesuffix(".")
    of_person = body.lower().startswith((f"{main.subject.forms['he']} ", f"{main.subject.name} ".lower()))
    own = main.limb and all(
        one.has("own") and one.limb == main.limb and one.part != main.part for one in attached
    )
    own = own and len(_not_named(body, attached, {one.key: one.forms["own"][0] for one in attached})) == len(
        attached
    )
    phrases = [one.draw("own" if own else "with", rng) for one in attached if own or one.has("with")]
    if not own and _names_twice(body, phrases):
        return [text, *(one.draw("say", rng) for one in attached)]
    with_all = len(phrases) == len(attached)
    is_plain = not re.search(r",| and | with ", body)
    ways = []
    if with_all and is_plain:
        together = own or main.region == "action" or main.key in _POSTURES
        joined = f"{body}{'' if together else ','} with {listed(phrases)}."
        ways += [
            _reasoned(joined, attached[-1], rng) if len(attached) == 1 or main.region == "action" else joined
        ] * 2
        if own:
            return [rng.choice(ways)]
        if all(_ABSOLUTE.match(phrase) for phrase in phrases):
            ways += [f"{body}, {listed(phrases)}."]
        alike = together or all(one.region == main.region for one in attached)
        if of_person and not by_name and len(phrases) < 3 and alike:
            ways.append(f"With {listed(phrases)}, {lower(text)}")
    first, rest = attached[0], attached[1:]
    if of_person and is_plain and first.has("ing") and all(one.has("with") for one in rest):
        doing, more = first.draw("ing", rng), [one.draw("with", rng) for one in rest]
        if " with " not in doing and (not more or first.region == "action"):
            ways.append(f"{body}, {doing}{f' with {listed(more)}' if more else ''}.")
            if first.region in ("action", "body") and (not by_name or main.subject.name in body.lower()):
                ways.append(f"{upper(doing)}{f' with {listed(more)}' if more else ''}, {lower(body)}.")
    if len(attached) == 1 and is_plain and first.region == main.region:
        ways.append(f"{body}{rng.choice((' and ', ', while ', '; '))}{lower(first.draw('say', rng))}")
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
