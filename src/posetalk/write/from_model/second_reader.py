"""A second reader: a model that holds each sentence of a reply against captions, facts and, where it sees, the photo.

Each sentence is a request of its own, stored in the ledger like all others. Sentences that are not supported are
struck. Where more than half of a reply is, or where the rest does not pass the screening, the writer is asked again.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from posetalk.facts.scene import Scene
from posetalk.formats.annotated import AnnotatedImage
from posetalk.llm.client import ServerSettings
from posetalk.llm.fault import Fault, Rejected
from posetalk.llm.ledger import Ledger
from posetalk.llm.request import ChatRequest, Turns
from posetalk.llm.request_state import REFUSED, Outcome, results
from posetalk.llm.spoken import spoken
from posetalk.resources import resource_text
from posetalk.write.from_model.context import grounded
from posetalk.write.screening.english import part, sentence_spans

Verdict = Literal["supported", "not supported", "unreadable", "not read"]
MOST_STRUCK = 0.5  # share of the sentences of a reply that may be struck; of a worse one none is trusted
MAX_TOKENS = 200
SCHEMA = {
    "title": "verdict",
    "type": "object",
    "properties": {"why": {"type": "string"}, "supported": {"type": "string", "enum": ["yes", "no"]}},
    "required": ["why", "supported"],
    "additionalProperties": False,
}
_JSON = re.compile(r'"supported"\s*:\s*"?(yes|no|true|false)\b', re.IGNORECASE)
_SAYS = re.compile(r"\bsentence (?:is|was) (?P<no>not |un)?supported\b", re.IGNORECASE)
_BARE = re.compile(r"\W{0,20}(yes|no|supported|not supported|unsupported)\b", re.IGNORECASE)
_SHORT = 2  # words up to which a sentence ("No.") is read together with the next one
LabelsOf = Callable[[int], tuple[AnnotatedImage, Scene]]
Screen = Callable[[ChatRequest, Turns], tuple[Fault, ...]]


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of an answer: number of its turn, and where it begins and ends in the answer."""

    turn: int
    start: int
    end: int


@dataclass(slots=True)
class SecondReader:
    """Reads replies again by a model on a server.

    Attributes:
        settings: The server and the reader's model.
        labels_of: Image id -> the labelled image and its facts.
        screen: What is wrong with the turns of a job's reply by the rules.
        counts: Sentences by what was said of them, of the replies that `read` was last called with.
    """

    settings: ServerSettings
    labels_of: LabelsOf
    screen: Screen
    counts: Counter[str] = field(default_factory=Counter)

    def requests(self, outcomes: Iterable[tuple[ChatRequest, Outcome]]) -> Iterator[ChatRequest]:
        """The requests to the reader for all replies that passed the screening, a request for each sentence."""
        for job, outcome in outcomes:
            if outcome.turns:
                yield from (request for _, request in self._of_reply(job, outcome.turns))

    def read(
        self, outcomes: Iterable[tuple[ChatRequest, Outcome]], ledger: Ledger
    ) -> Iterator[tuple[ChatRequest, Outcome]]:
        """The outcomes with what the reader said, from the ledger alone.

        A reply that passed the screening keeps the sentences that are supported, or gets the fault `unsupported`; one
        that was not read to its end gets the fault `not asked`.
        """
        self.counts.clear()
        for job, outcome in outcomes:
            yield job, self._read(job, outcome, ledger) if outcome.turns else outcome

    def send_back(self, outcomes: Iterable[tuple[ChatRequest, Outcome]], ledger: Ledger) -> int:
        """Make the writer's next request for each reply that is not supported say why; returns how many there are."""
        count = 0
        for _, outcome in self.read(outcomes, ledger):
            if outcome.key and any(fault.reason == "unsupported" for fault in outcome.faults):
                ledger.judge(outcome.key, outcome.faults)
                count += 1
        return count

    def _of_reply(self, job: ChatRequest, turns: Turns) -> list[tuple[Sentence, ChatRequest]]:
        record, scene = self.labels_of(job.image_id)
        context = grounded(record.image, scene, record.captions, joints=False)
        requests = []
        for sentence in sentences_of(turns):
            question, answer = turns[sentence.turn]
            text = answer[sentence.start : sentence.end]
            name = f"{job.id}-{sentence.turn + 1}-{sentence.start}"
            request = verify_request(name, job, context, question, text)
            requests.append((sentence, request))
        return requests

    def _read(self, job: ChatRequest, outcome: Outcome, ledger: Ledger) -> Outcome:
        asked = self._of_reply(job, outcome.turns)
        answers = results((request for _, request in asked), ledger, self.settings, accept_verdict)
        struck, reasons = list[Sentence](), list[str]()
        unread = 0
        for (sentence, _), (_, said) in zip(asked, answers, strict=True):
            verdict, why = verdict_of(said)
            self.counts[verdict] += 1
            if verdict == "not read":
                unread += 1
            elif verdict != "supported":
                text = outcome.turns[sentence.turn][1][sentence.start : sentence.end]
                struck.append(sentence)
                reasons.append(
                    f'nothing supports "{part(text, 30)}"' + (f" ({part(why, 30)})" if why else "")
                )
        if unread:
            fault = Fault(
                "not asked", f"{unread} of {len(asked)} sentences were not read by {self.settings.model} yet"
            )
            return replace(outcome, turns=(), faults=(fault,))
        if not struck:
            return outcome
        turns = without(outcome.turns, struck)
        if len(struck) <= MOST_STRUCK * len(asked) and not self.screen(job, turns):
            return replace(outcome, turns=turns)
        return replace(outcome, turns=(), faults=tuple(Fault("unsupported", reason) for reason in reasons))


def sentences_of(turns: Turns) -> list[Sentence]:
    """The sentences of all answers; a "No." belongs to the sentence after it."""
    found = []
    for number, (_, answer) in enumerate(turns):
        start: int | None = None
        spans = sentence_spans(answer)
        for last, (begin, end) in enumerate(spans, 1):
            start = begin if start is None else start
            if len(answer[start:end].split()) > _SHORT or last == len(spans):
                found.append(Sentence(number, start, end))
                start = None
    return found


def without(turns: Turns, struck: Iterable[Sentence]) -> Turns:
    """The turns without some sentences, and without questions that are left with no answer."""
    answers = [answer for _, answer in turns]
    for sentence in sorted(struck, key=lambda one: -one.start):
        answer = answers[sentence.turn]
        before, after = answer[: sentence.start], answer[sentence.end :]
        gaps = before[len(before.rstrip()) :] + after[: len(after) - len(after.lstrip())]
        paragraph = "\n\n" if "\n" in gaps else " "
        answers[sentence.turn] = f"{before.rstrip()}{paragraph}{after.lstrip()}".strip()
    return tuple(
        (question, answer) for (question, _), answer in zip(turns, answers, strict=True) if answer.strip()
    )


def verify_request(name: str, job: ChatRequest, context: str, question: str, sentence: str) -> ChatRequest:
    """The request to read one sentence, with the photo of the job if it has one."""
    system, user = _prompt()
    values = {"{context}": context, "{question}": question, "{sentence}": sentence}
    text = re.sub("|".join(map(re.escape, values)), lambda match: values[match[0]], user)
    messages = ({"role": "system", "content": system}, {"role": "user", "content": text})
    return replace(
        job, id=name, kind="verify", messages=messages, schema=SCHEMA, max_tokens=MAX_TOKENS, image_at=None
    )


def accept_verdict(request: ChatRequest, reply: str) -> Turns:
    """Read a reply of the reader: JSON anywhere in it, else a yes or no at its beginning, else "the sentence is".

    Returns:
        One pair: `yes` or `no`, and why.

    Raises:
        Rejected: It says neither, or both.
    """
    text = spoken(reply)
    said = {word.lower() in ("yes", "true") for word in _JSON.findall(text)}
    if not said and (bare := _BARE.match(text)):
        said = {bare[1].lower() in ("yes", "supported")}
    if not said:
        said = {match["no"] is None for match in _SAYS.finditer(text)}
    if len(said) != 1:
        raise Rejected(
            (Fault("unreadable", "it is not the JSON that was asked for, with supported: yes or no"),)
        )
    return (("yes" if said.pop() else "no", _why(text)),)


def _why(text: str) -> str:
    """The reason in a reply; empty where there is none that can be read."""
    try:
        return str(json.loads(text[text.index("{") : text.rindex("}") + 1])["why"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def verdict_of(outcome: Outcome) -> tuple[Verdict, str]:
    """What the reader said of a sentence, and why; a refusal counts as a reply that cannot be read."""
    if outcome.turns:
        ((word, why),) = outcome.turns
        return ("supported" if word == "yes" else "not supported"), why
    if outcome.failure and not outcome.failure.startswith(REFUSED):
        return "not read", ""
    return "unreadable", ""


def _prompt() -> tuple[str, str]:
    _, system, user = re.split(
        r"^# (?:system|user)\n", resource_text("write/from_model/prompts/verify.md"), flags=re.M
    )
    return system.strip(), user.strip()
