"""Text about people, written from facts."""

from __future__ import annotations

from posetalk.serve.bodies import Json, WriteRequest
from posetalk.serve.scenes import PosedScene
from posetalk.write.from_facts.writer import write
from posetalk.write.questions.short import ShortQuestions
from posetalk.write.samples.sample import Turns
from posetalk.write.screening.rules import gives_away

MAX_SHORT = 8  # questions with short answers


def write_turns(posed: PosedScene, request: WriteRequest) -> list[Json]:
    """Questions and answers in turn; none where too little is known of the people."""
    if request.kind == "short":
        turns = _short(posed, request.seed)
    elif not posed.scene.people:
        turns = ()
    else:
        quotable = [text for text in request.captions if not gives_away(text)]
        turns = write(posed.scene, quotable, request.kind, request.seed, posed.unlabelled) or ()
    return [
        {"role": role, "text": text}
        for pair in turns
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]


def _short(posed: PosedScene, seed: int) -> Turns:
    questions = ShortQuestions(seed).asked(posed.annotated, posed.scene)
    asked = [question for question in questions if not question.choices][:MAX_SHORT]
    return tuple((one.text, one.answer[:1].upper() + one.answer[1:]) for one in asked)
