"""Questions and statements about people, answered from facts."""

from __future__ import annotations

import re
from dataclasses import replace

from posetalk.errors import PosetalkError
from posetalk.facts.claims import Claim, check_claim, find_claims
from posetalk.facts.fact import Fact
from posetalk.facts.scene import ScenePerson
from posetalk.facts.who import people_meant
from posetalk.serve.bodies import AskRequest, Json
from posetalk.serve.scenes import PosedScene, row_of
from posetalk.write.questions.answer import QuestionAnswer, answer_of, is_open

NOT_KNOWN = "not known"
NOT_UNDERSTOOD = (
    "nothing is understood that facts can answer; ask in plain English about posture, limbs or objects, such as 'Are "
    "both arms raised?', and say whom you mean"
)
_ANSWERS = {"agrees": "yes", "contradicts": "no", "cannot tell": NOT_KNOWN}
_NEGATIVE = re.compile(r"^\s*\w+n['’]t\b", re.IGNORECASE)  # "isn't she sitting?" asks whether she is


def ask(posed: PosedScene, request: AskRequest) -> Json:
    """The answer to a question, or whether a statement is true.

    Raises:
        PosetalkError: neither or both are given; there is no such person.
    """
    if (request.question is None) == (request.statement is None):
        raise PosetalkError("ask needs a question or a statement, one of the two")
    person = posed.person(request.person)
    text = request.question or request.statement or ""
    if request.question and is_open(text):
        return _open(posed, answer_of(text, posed.annotated, posed.scene, person))
    claims = find_claims(text)
    if request.question and _NEGATIVE.match(text):
        claims = [replace(claim, value=not claim.value) for claim in claims]
    return _checked(posed, claims, person)


def _open(posed: PosedScene, found: QuestionAnswer | None) -> Json:
    if found is None:
        return {"answer": NOT_KNOWN, "because": [], "reason": NOT_UNDERSTOOD}
    facts = {("picture", fact.key): fact for fact in posed.scene.facts}
    facts |= {(person.name, fact.key): fact for person in posed.scene.people for fact in person.facts}
    because = [row_of(facts[key]) for key in dict.fromkeys(found.keys) if key in facts]
    if found.text is None:
        return {"answer": NOT_KNOWN, "because": because, "reason": "the keypoints do not tell"}
    return {"answer": found.text, "because": because}


def _checked(posed: PosedScene, claims: list[Claim], person: ScenePerson | None) -> Json:
    if not claims:
        return {
            "answer": NOT_KNOWN,
            "because": [],
            "reason": NOT_UNDERSTOOD,
        }
    if person is not None:
        claims = [
            claim
            if claim.number is not None or claim.who not in (None, "one")
            else replace(claim, who=person.name)
            for claim in claims
        ]
    verdicts = [check_claim(claim, posed.scene) for claim in claims]
    verdict = next((one for one in ("contradicts", "cannot tell") if one in verdicts), "agrees")
    because = [fact for claim in claims for fact in _behind(posed, claim)]
    answer: Json = {"answer": _ANSWERS[verdict], "because": [row_of(fact) for fact in dict.fromkeys(because)]}
    if verdict == "cannot tell":
        unclear = next(claim for claim, one in zip(claims, verdicts, strict=True) if one == "cannot tell")
        answer["reason"] = f"the keypoints do not tell {unclear.key!r}"
    return answer


def _behind(posed: PosedScene, claim: Claim) -> list[Fact]:
    """The facts that a claim was checked against."""
    scene = posed.scene
    if claim.number is not None:
        return [fact for fact in scene.facts if fact.part == "picture"]
    people = scene.people if claim.who is None else people_meant(claim.who, scene)
    keys = [claim.key]
    if claim.key.startswith("one "):
        keys = [side + claim.key.removeprefix("one") for side in ("left", "right")]
    facts = []
    for person in people:
        for key in keys:
            found = {fact.key: fact for fact in person.facts}
            found |= {
                fact.key.removeprefix(f"{person.name}, "): fact
                for fact in scene.facts
                if fact.key.startswith(f"{person.name}, ")
            }
            if (fact := found.get(key)) is not None:
                facts.append(fact)
    return facts
