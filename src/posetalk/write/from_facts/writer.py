"""The writer that needs no model: conversations, descriptions and reasoning from facts and captions."""

from __future__ import annotations

import random
from collections.abc import Sequence

from posetalk.facts.caption import read_caption
from posetalk.facts.claims import check_claim, find_claims
from posetalk.facts.posture import POSTURES
from posetalk.facts.scene import Scene
from posetalk.resources import resource_toml
from posetalk.types import Box
from posetalk.write.from_facts.comparisons import comparisons
from posetalk.write.from_facts.conversation import TURNS, write_conversation
from posetalk.write.from_facts.described import Described, described_people
from posetalk.write.from_facts.phrases import Statement
from posetalk.write.from_facts.reasons import write_reasoning
from posetalk.write.from_facts.sentences import caption_sentence, sentences_of
from posetalk.write.from_facts.speaker import pair_sentences
from posetalk.write.samples.sample import Kind, Turns
from posetalk.write.screening.english import foreign

STATEMENTS = 12  # most statements about each of several people
FEWEST = 2  # fewest statements of a description
SHORTEST = 20  # words of one
REASONS = 2  # most questions of a conversation that need reasoning
OPENED, REASONED = 0.8, 0.7  # shares of conversations that begin with a caption and end with reasoning

_DESCRIBE: list[str] = resource_toml("write/from_facts/reasons.toml")["describe"]


def write(
    scene: Scene, captions: Sequence[str], kind: Kind, seed: int = 0, unlabelled: Sequence[Box] = ()
) -> Turns | None:
    """Write questions and answers about one image from its facts and captions.

    The same seed, image and kind give the same words, whatever else is written. The main person is always in it.

    Args:
        scene: The facts of the image.
        captions: The captions of the image that may be quoted.
        kind: conversation, detail or reasoning; `short` depends on other images, see `ShortQuestions`.
        seed: The seed of the wording.
        unlabelled: The boxes of the people without keypoints, px, so that people can be named by their place.

    Returns:
        Pairs of question and answer; None if too little is known of the people.
    """
    rng = random.Random(f"{seed} {scene.image_id} {kind}")
    described, names = described_people(scene, captions, unlabelled, rng)
    if not described:
        return None
    left_out = {subject.name for subject in names} - {one.subject.name for one in described}
    relations = [
        sentence
        for sentence in pair_sentences(scene, names, rng)
        if not any(name in sentence.lower() for name in left_out)
    ]
    relations += comparisons(described, rng)
    match kind:
        case "conversation":
            opening = " ".join(_opening(scene, captions, rng)) if rng.random() < OPENED else ""
            turns = write_conversation(described, relations, opening, rng)
            reasoned = write_reasoning(described, scene, rng, REASONS) if rng.random() < REASONED else None
            turns = turns and (*turns, *(reasoned or ())[: TURNS + 2 - len(turns)])
            return turns if turns and len(turns) > 1 else None
        case "detail":
            return _detail(scene, captions, described, relations, rng)
        case "reasoning":
            return write_reasoning(described, scene, rng)
    return None


def _detail(
    scene: Scene,
    captions: Sequence[str],
    described: Sequence[Described],
    relations: list[str],
    rng: random.Random,
) -> Turns | None:
    sentences = _opening(scene, captions, rng)
    count = 0
    for one in described:
        true = one.true
        if len(described) > 1 and len(true) > STATEMENTS:
            true = _sampled(true, STATEMENTS, rng)
        count += sum(one.region != "around" for one in true)
        if any(one.region != "around" for one in true):
            sentences += sentences_of(true, rng, by_name=True)
    sentences += relations[:5]
    text = " ".join(sentences)
    if count < FEWEST or len(text.split()) < SHORTEST:
        return None
    return ((rng.choice(_DESCRIBE), text),)


def _opening(scene: Scene, captions: Sequence[str], rng: random.Random) -> list[str]:
    """A caption that the facts do not contradict, since some captions belong to another image; or nothing."""
    for caption in rng.sample(list(captions), len(captions)):
        text = caption_sentence(caption)
        if text and read_caption(text).people and not foreign(text) and _agrees(text, scene):
            return [text]
    return []


def _agrees(text: str, scene: Scene) -> bool:
    """Whether the facts do not contradict a caption, and it names no posture but one that is known of somebody."""
    claims = find_claims(text)
    postures = {claim.key for claim in claims if claim.value and claim.key.removeprefix("body: ") in POSTURES}
    known = {fact.key for person in scene.people for fact in person.facts.true if fact.predicate in POSTURES}
    if postures and known and len(scene.people) == 1 and not postures & known:
        return False
    return all(check_claim(claim, scene) != "contradicts" for claim in claims)


def _sampled(statements: list[Statement], count: int, rng: random.Random) -> list[Statement]:
    """So many statements in their order, with all that say what is done."""
    done = [one for one in statements if one.key.startswith("action")][:count]
    rest = [one for one in statements if one not in done]
    chosen = done + rng.sample(rest, min(count - len(done), len(rest)))
    return [one for one in statements if one in chosen]
