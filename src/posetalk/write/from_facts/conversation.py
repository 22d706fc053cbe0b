"""Conversations: questions about people, one after the other, and their answers."""

from __future__ import annotations

import random
from collections.abc import Sequence

from posetalk.resources import resource_toml
from posetalk.write.from_facts.described import Described
from posetalk.write.from_facts.phrases import Statement
from posetalk.write.from_facts.sentences import answered, denied
from posetalk.write.from_facts.speaker import lower
from posetalk.write.samples.sample import Turns

TURNS = 7  # most questions of a conversation
FACTS_PER_QUESTION = 2  # fewest facts for each question of a conversation
ADDITIONS = 4  # most facts that an answer of a conversation adds

_FILE = resource_toml("write/from_facts/reasons.toml")
_RELATE: list[str] = _FILE["relate"]
_HAPPENS: list[str] = _FILE["happens"]


def write_conversation(
    described: Sequence[Described], relations: list[str], opening: str, rng: random.Random
) -> Turns | None:
    """One person after the other, with as many questions answered by no as by yes.

    No fact is told twice, so there are only as many questions as there are facts for.
    """
    pools = [
        [statement for statement in one.statements if statement.true or statement.has("no")]
        for one in described
    ]
    facts = sum(statement.true for pool in pools for statement in pool)
    max_questions = min(TURNS - bool(relations), facts // FACTS_PER_QUESTION)
    if not max_questions:
        return None
    questions = _yes_no_questions(pools, max_questions // 2, rng)
    yes_no_ids = {id(statement) for _, statement in questions}
    used_parts = {(i, statement.part) for i, statement in questions}
    open_questions = [
        (i, statement)
        for i, pool in enumerate(pools)
        for statement in pool
        if statement.true and statement.has("ask") and (i, statement.part) not in used_parts
    ]
    rng.shuffle(open_questions)
    # what the main person does comes first, then whatever is known of the main person
    open_questions.sort(
        key=lambda pair: (pair[0] > 0, not pair[1].key.startswith("action"), pair[1].region != "body")
    )
    first, rest = open_questions[:2], open_questions[2:]
    rest.sort(key=lambda pair: pair[1].region != "body")
    for i, statement in first + rest:
        if len(questions) < max_questions and not _is_mentioned(i, statement, questions):
            questions.append((i, statement))
    if all(i > 0 for i, _ in questions):
        return None  # nothing about the main person
    rng.shuffle(questions)
    questions.sort(
        key=lambda pair: (pair[0], pair[1].region not in ("action", "place", "body") and rng.random() < 0.8)
    )
    additions = _additions(questions, pools, rng)
    turns: list[tuple[str, str]] = [(rng.choice(_HAPPENS), opening)] if opening else []
    previous = -1
    for (i, statement), added_statements in zip(questions, additions, strict=True):
        form = "check" if id(statement) in yes_no_ids else "ask"
        question = statement.draw(form, rng, by_name=i != previous or rng.random() < 0.4)
        if question in [earlier for earlier, _ in turns]:  # the same question about another person
            question = statement.draw(form, rng, by_name=True)
        if form == "ask":
            answers = answered(statement, added_statements, rng, by_name=rng.random() < 0.5)
        elif statement.true:
            answers = answered(statement, added_statements, rng)
            answers[0] = f"Yes, {lower(answers[0])}"
        else:
            answers = denied(statement, added_statements, rng)
        turns.append((question, " ".join(answers)))
        previous = i
    if relations:
        turns.append((rng.choice(_RELATE), " ".join(relations[:4])))
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
) -> list[list[Statement]]:
    """The statements that each answer adds about the same person.

    After a no the first addition is what is true instead. Others are about the same part of the body if there are any.
    The answers get one addition each in turn, so that all get some.
    """
    mentioned = list(questions)
    remaining = []
    for pool in pools:
        true = [statement for statement in pool if statement.true]
        remaining.append(rng.sample(true, len(true)))
    additions: list[list[Statement]] = [[] for _ in questions]
    for round_number in range(ADDITIONS):
        for index, (i, statement) in enumerate(questions):
            if round_number == ADDITIONS - 1 and rng.random() < 0.5:
                continue
            unused = [other for other in remaining[i] if not _is_mentioned(i, other, mentioned)]
            if (
                statement.region not in ("place", "around") or "filled" in statement.key
            ):  # what stands beside answers no question about a body
                unused = [other for other in unused if other.region != "around"]
            if round_number == 0 and not statement.true and statement.region in ("body", "head"):
                # what is true instead is added even if the part was mentioned; of a limb the no says it
                unused = [
                    other
                    for other in remaining[i]
                    if other.part == statement.part and (i, other) not in mentioned
                ] or unused
            unused.sort(key=lambda other: (other.part != statement.part, other.region != statement.region))
            if unused:
                additions[index].append(unused[0])
                mentioned.append((i, unused[0]))
    return additions
