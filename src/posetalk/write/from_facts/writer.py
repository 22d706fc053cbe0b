"""The writer that needs no model: conversations, descriptions and reasoning from facts and captions."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from posetalk.facts.claims import check_claim, find_claims
from posetalk.facts.scene import Scene, ScenePerson
from posetalk.resources import resource_toml
from posetalk.write.from_facts.conservative import conservatively_true
from posetalk.write.from_facts.phrases import Statement, statements
from posetalk.write.from_facts.sentences import caption_sentence, sentences_of
from posetalk.write.from_facts.speaker import Subject, lower, relation_sentences, subjects
from posetalk.write.samples.sample import Kind, Turns

TURNS = 5  # most questions of a conversation
PEOPLE = 3  # most people who are described one by one, the largest
STATEMENTS = 7  # most statements about each of several people
FACTS_PER_QUESTION = 3  # fewest facts for each question of a conversation
ADDITIONS = 3  # most facts that an answer of a conversation adds


@dataclass(frozen=True, slots=True)
class _ReasonRule:
    """A row of reasons.toml. when: facts that must be true of a person; answer: the answers to each of `ask`."""

    when: tuple[str, ...]
    ask: tuple[str, ...]
    answer: tuple[list[str], ...]


_FILE = resource_toml("write/from_facts/reasons.toml")
_RULES = [
    _ReasonRule(tuple(r["when"]), tuple(q["ask"] for q in r["say"]), tuple(q["answer"] for q in r["say"]))
    for r in _FILE["reason"]
]
_DESCRIBE: list[str] = _FILE["describe"]
_Described = list[tuple[ScenePerson, Subject, list[Statement]]]


def write(scene: Scene, captions: Sequence[str], kind: Kind, seed: int = 0) -> Turns | None:
    """Write questions and answers about one image from its facts and captions.

    The same seed, image and kind give the same words, whatever else is written.

    Args:
        scene: The facts of the image.
        captions: The captions of the image that may be quoted.
        kind: conversation, detail or reasoning.
        seed: The seed of the wording.

    Returns:
        Pairs of question and answer; None if too little is known of the people.
    """
    rng = random.Random(f"{seed} {scene.image_id} {kind}")
    person_subjects = subjects(scene, captions)
    with_unique_name = [i for i, subject in enumerate(person_subjects) if subject.unique]
    shown = sorted(with_unique_name, key=lambda i: -scene.people[i].box.area)[:PEOPLE]
    restricted_people = [(i, conservatively_true(scene.people[i], captions)) for i in sorted(shown)]
    described = [
        (person, person_subjects[i], statements(person, person_subjects[i], rng))
        for i, person in restricted_people
    ]
    relations = _relations_of_described(
        relation_sentences(scene, person_subjects, rng),
        [subject.name for i, subject in enumerate(person_subjects) if i not in shown],
    )
    match kind:
        case "conversation":
            return _conversation(described, relations, rng)
        case "detail":
            return _detail(scene, _captions_of_noun(captions, person_subjects), described, relations, rng)
        case "reasoning":
            return _reasoning(described, rng)


def _relations_of_described(sentences: list[str], left_out: list[str]) -> list[str]:
    """The relations of the people who are described, with at most one that only compares sizes."""
    relations = [sentence for sentence in sentences if not any(name in sentence.lower() for name in left_out)]
    about_size = [sentence for sentence in relations if " much larger than " in sentence]
    return [sentence for sentence in relations if sentence not in about_size[1:]]


def _captions_of_noun(captions: Sequence[str], person_subjects: list[Subject]) -> Sequence[str]:
    """The captions that use the same noun as the name of the only person; all captions where it has none."""
    noun = person_subjects[0].name.removeprefix("the ") if len(person_subjects) == 1 else "person"
    return [text for text in captions if noun == "person" or noun in re.findall(r"[a-z]+", text.lower())]


def _conversation(described: _Described, relations: list[str], rng: random.Random) -> Turns | None:
    """One person after the other, with as many questions answered by no as by yes.

    No fact is told twice, so there are only as many questions as there are facts for.
    """
    pools = [
        [statement for statement in person_statements if statement.true or statement.has("no")]
        for _, _, person_statements in described
    ]
    facts = sum(statement.true and not statement.about_visibility for pool in pools for statement in pool)
    max_questions = min(TURNS - bool(relations), facts // FACTS_PER_QUESTION)
    if not max_questions or max_questions + bool(relations) < 2:
        return None
    questions = _yes_no_questions(pools, max_questions // 2, rng)
    used_parts = {(i, statement.part) for i, statement in questions}
    open_questions = [
        (i, statement)
        for i, pool in enumerate(pools)
        for statement in pool
        if statement.true and statement.has("ask") and (i, statement.part) not in used_parts
    ]
    rng.shuffle(open_questions)
    open_questions.sort(key=lambda pair: pair[1].region != "body")
    for i, statement in open_questions:
        if len(questions) < max_questions and not _is_mentioned(i, statement, questions):
            questions.append((i, statement))
    if len(questions) + bool(relations) < 2:
        return None
    yes_no_ids = {id(statement) for _, statement in questions[: len(used_parts)]}
    rng.shuffle(questions)
    people = list(range(len(described)))
    rng.shuffle(people)
    questions.sort(key=lambda pair: (people.index(pair[0]), pair[1].region != "body"))
    additions, remaining = _additions(questions, pools, rng)
    turns: list[tuple[str, str]] = []
    previous = -1
    for (i, statement), added_statements in zip(questions, additions, strict=True):
        form = "check" if id(statement) in yes_no_ids else "ask"
        question = statement.draw(form, rng, by_name=i != previous or rng.random() < 0.4)
        if question in [earlier for earlier, _ in turns]:  # the same question about another person
            question = statement.draw(form, rng, by_name=True)
        if form == "ask":
            answer = statement.draw("say", rng, by_name=rng.random() < 0.5)
        else:
            answer = (
                f"Yes, {lower(statement.draw('say', rng))}" if statement.true else statement.draw("no", rng)
            )
        turns.append((question, " ".join([answer, *sentences_of(added_statements, rng)])))
        previous = i
    if relations:
        sentences = [
            sentence
            for person_statements in remaining
            for sentence in sentences_of(person_statements[:2], rng, by_name=True)
        ]
        turns.append((rng.choice(_FILE["relate"]), " ".join([*relations[:3], *sentences[:2]])))
    return tuple(turns)


def _yes_no_questions(
    pools: list[list[Statement]], pairs: int, rng: random.Random
) -> list[tuple[int, Statement]]:
    """Yes-or-no questions about different parts, as many with the answer yes as with no; at most two of each."""
    candidates: dict[bool, list[tuple[int, Statement]]] = {}
    for true in (True, False):
        of_value = [
            (i, statement)
            for i, pool in enumerate(pools)
            for statement in pool
            if statement.true is true and statement.has("check")
        ]
        rng.shuffle(of_value)
        kinds = sorted({statement.kind for _, statement in of_value})
        rng.shuffle(kinds)  # each kind of question is equally likely, however many statements it has
        candidates[true] = sorted(of_value, key=lambda pair: kinds.index(pair[1].kind))
    questions: list[tuple[int, Statement]] = []
    for _ in range(min(pairs, rng.choice((1, 1, 2)))):
        pair: list[tuple[int, Statement]] = []
        for true in (False, True):
            for i, statement in candidates[true]:
                same = any(statement.kind == other.kind for _, other in questions + pair)
                if not same and not _is_mentioned(i, statement, questions + pair):
                    pair.append((i, statement))
                    break
        if len(pair) == 2:
            questions += pair
    return questions


def _is_mentioned(i: int, statement: Statement, mentioned: Sequence[tuple[int, Statement]]) -> bool:
    """Whether the part of the person's body was mentioned already; "both elbows" mentions each elbow."""
    joint = statement.part.split()[-1]
    return any(
        j == i
        and (other.part in (statement.part, f"{joint}s") or statement.part == f"{other.part.split()[-1]}s")
        for j, other in mentioned
    )


def _additions(
    questions: Sequence[tuple[int, Statement]], pools: list[list[Statement]], rng: random.Random
) -> tuple[list[list[Statement]], list[list[Statement]]]:
    """The statements that each answer adds about the same person, and those that remain of each person.

    After a no the first addition is what is true instead. Others are about the same part of the body if there are any.
    The answers get one addition each in turn, so that all get some.
    """
    mentioned = list(questions)
    remaining = []
    for pool in pools:
        true = [statement for statement in pool if statement.true and not statement.about_visibility]
        remaining.append(rng.sample(true, len(true)))
    additions: list[list[Statement]] = [[] for _ in questions]
    for round_number in range(ADDITIONS):
        for index, (i, statement) in enumerate(questions):
            if round_number == ADDITIONS - 1 and rng.random() < 0.5:
                continue
            unused = [other for other in remaining[i] if not _is_mentioned(i, other, mentioned)]
            if round_number == 0 and not statement.true:
                # what is true instead is added even if the part was mentioned
                unused = [
                    other
                    for other in remaining[i]
                    if other.part == statement.part and (i, other) not in mentioned
                ] or unused
            unused.sort(key=lambda other: (other.part != statement.part, other.region != statement.region))
            if unused:
                additions[index].append(unused[0])
                mentioned.append((i, unused[0]))
    return additions, [
        [other for other in person_remaining if not _is_mentioned(i, other, mentioned)]
        for i, person_remaining in enumerate(remaining)
    ]


def _detail(
    scene: Scene, captions: Sequence[str], described: _Described, relations: list[str], rng: random.Random
) -> Turns | None:
    sentences = []
    for caption in rng.sample(list(captions), len(captions)):
        text = caption_sentence(caption)
        # the facts may contradict a caption: some captions belong to another image
        if text and all(check_claim(claim, scene) != "contradicts" for claim in find_claims(text)):
            sentences.append(text)
            break
    fact_count = 0
    for _, _, person_statements in described:
        true = [
            statement for statement in person_statements if statement.true and not statement.about_visibility
        ]
        # what is stated about a joint need not be said to be hidden
        parts = {statement.part.split()[-1].rstrip("s") for statement in true}
        hidden = [
            statement
            for statement in person_statements
            if statement.true
            and statement.about_visibility
            and statement.has("with")
            and statement.part.split()[-1].rstrip("s") not in parts
        ]
        true += rng.sample(hidden, min(len(hidden), 2))
        if len(described) > 1 and len(true) > STATEMENTS:
            sampled = set(rng.sample(range(1, len(true)), STATEMENTS - 1))
            true = [statement for index, statement in enumerate(true) if index == 0 or index in sampled]
        fact_count += len(true)
        sentences += sentences_of(true, rng, by_name=True)
    sentences += relations[:4]
    return ((rng.choice(_DESCRIBE), " ".join(sentences)),) if fact_count > 2 else None


def _reasoning(described: _Described, rng: random.Random) -> Turns | None:
    matches: dict[int, list[tuple[Subject, list[Statement], dict[str, str]]]] = {}
    for person, subject, person_statements in described:
        for number, rule in enumerate(_RULES):
            sided = "{side}" in "".join(rule.when)
            for side, other in (("left", "right"), ("right", "left"))[: 2 if sided else 1]:
                keys = [key.format(side=side, other=other) for key in rule.when]
                if all(
                    person.facts.value(key.removeprefix("not ")) is (not key.startswith("not "))
                    for key in keys
                ):
                    matches.setdefault(number, []).append(
                        (subject, person_statements, {"side": side, "other": other})
                    )
    if not matches:
        return None
    about_pose = [
        rule_number for rule_number in matches if not _RULES[rule_number].when[0].endswith("hidden")
    ]
    number = rng.choice(about_pose or list(matches))
    subject, person_statements, sides = rng.choice(matches[number])
    rule = _RULES[number]
    form_index = rng.randrange(len(rule.ask))
    answer = [subject.fill(rng.choice(rule.answer[form_index]), False, **sides)]
    premise_kinds = {
        key.removeprefix("not ").removeprefix("{side} ").removeprefix("{other} ") for key in rule.when
    }
    premise_kinds = {key.removeprefix("left ").removeprefix("right ") for key in premise_kinds}
    true = [statement for statement in person_statements if statement.true]
    new_statements = [statement for statement in true if statement.kind not in premise_kinds]
    evidence = (
        [statement for statement in new_statements if not statement.about_visibility]
        or new_statements
        or true
    )
    if evidence:
        rng.shuffle(evidence)
        evidence = sorted(evidence[:3], key=person_statements.index)
        opening, texts = rng.choice(_FILE["besides"]), sentences_of(evidence, rng)
        answer += [opening, lower(texts[0]) if opening.endswith(":") else texts[0], *texts[1:]]
    return ((subject.fill(rule.ask[form_index], True, **sides), " ".join(answer)),)
