"""Models answer, on this machine or behind a server: what is answered is on the disk, and is not asked again."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from posetalk.bench.answers.review import ModelAnswer, read_answers, write_answers
from posetalk.bench.questions.lines import LONGEST, plain
from posetalk.bench.questions.openset import OpenSet
from posetalk.bench.questions.questions import Question, drawn
from posetalk.errors import PosetalkError, shown
from posetalk.formats.paths import find_image
from posetalk.inputs import content_of
from posetalk.llm.client import ServerSettings
from posetalk.llm.ledger import Ledger
from posetalk.llm.pricing import Price
from posetalk.llm.request import ChatRequest, ImagePart
from posetalk.llm.request_state import UNASKED, RunReport, results
from posetalk.llm.runner import generate
from posetalk.write.samples.sample import Turns

Only = Literal["closed", "open"]
CLOSED_WORDS, OPEN_WORDS = 32, 400  # tokens of an answer, at most: the same for every model
BATCH = 8
ANSWERS = "answers"
_STRANGE = re.compile(r"[^\w.-]")
_NAME = 120  # bytes of a file's name that are a model's; file systems take 255

Speak = Callable[[Sequence[tuple[Path, str]], int], list[str]]
"""Answers to questions about photos, in their order, each of so many tokens at most; `tune.chat.Chat.answer`."""


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question as a model gets it. id: of the question; max_tokens: tokens of the answer, at most."""

    id: str
    image: Path
    prompt: str
    max_tokens: int


@dataclass(slots=True)
class AnswerCounts:
    """new: answers of this run; known: of earlier ones. skipped: a sentence for each question left without."""

    new: int = 0
    known: int = 0
    skipped: list[str] = field(default_factory=list)


def asked_questions(
    closed: Sequence[Question], opened: OpenSet | None, images: Path, limit: int | None = None
) -> tuple[list[AskedQuestion], list[str]]:
    """What a model is asked, and a sentence where photos are missing. limit: questions of each set, drawn by their
    ids; open ones of the same pictures. Errors: no photo of any question, a limit below 1."""
    if limit is not None and limit < 1:
        raise PosetalkError(f"a limit of {limit} leaves no question; give at least 1")
    some = sorted(closed, key=lambda q: drawn("limit", q.id))[:limit]
    more = sorted(opened.questions if opened else (), key=lambda q: (drawn("limit", q.image), q.id))[:limit]
    there = {name: find_image(images, name) for name in [q.image for q in some] + [q.image for q in more]}
    found = [AskedQuestion(q.id, path, q.prompt, CLOSED_WORDS) for q in some if (path := there[q.image])]
    found += [AskedQuestion(q.id, path, q.text, OPEN_WORDS) for q in more if (path := there[q.image])]
    if not found:
        raise PosetalkError(f"{images} has no photo of these questions; give the folder of the photos")
    gone = [ascii(name)[1:-1] for name, path in sorted(there.items()) if path is None]
    missing = len(some) + len(more) - len(found)
    said = f"{missing:,} questions are not asked: {images} has no {', '.join(gone[:3])}"
    return found, [said + (f" and {len(gone) - 3:,} more photos" if len(gone) > 3 else "")] if gone else []


def file_of(folder: Path, model: str) -> Path:
    """Where the answers of a model are; `_` is for all but letters, digits and `._-` of its name.

    Where that is too long, or the file is another model's, `a/b` and `a_b` say, a digest of the name comes behind it.
    """
    name = _STRANGE.sub("_", model)
    digest = hashlib.blake2b(plain(model).encode(), digest_size=4).hexdigest()
    short = name.encode()[:_NAME].decode(errors="ignore")
    path, other = (folder / ANSWERS / f"{stem}.jsonl" for stem in (name, f"{short}-{digest}"))
    return other if short != name or other.exists() or _owner(path) not in (None, model) else path


def _owner(path: Path) -> str | None:
    """The model that the first answer in a file is of."""
    try:
        with path.open(encoding="utf-8") as file:
            return str(json.loads(file.readline(LONGEST))["model_id"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # there is none, or it is cut off, or said to be unreadable later


def known_of(
    path: Path, model: str, asked: Iterable[AskedQuestion], weights: str = "", served: str = ""
) -> dict[str, ModelAnswer]:
    """The answers that are there already, by question; half a line, left by a death, is cut off.

    served: the model's name on its server. Errors: answers of another model, of other weights (`model.fingerprint`), of
    another model of a server, about photos that were changed since, or to questions that read otherwise now.
    """
    if not path.exists() or not _mended(path):
        return {}
    found = read_answers(path)
    questions = {one.id: one for one in asked}
    other = "give the model another name (--name), or delete the file"
    for answer in found.values():
        if answer.model != model:
            raise PosetalkError(f"{path} has answers of {answer.model}, not of {model}; {other}")
        if answer.metadata.get("weights", "") != weights or answer.metadata.get("served", served) != served:
            raise PosetalkError(f"{path} has answers of another model of the name {model}; {other}")
        one = questions.get(answer.question)
        if one and answer.metadata.get("photo", held := _held(one.image)) != held:
            raise PosetalkError(f"{path} has answers about another photo than {one.image} is now; {other}")
        if one and answer.prompt != one.prompt:
            raise PosetalkError(
                f"{path} answers {answer.question} as it read before the benchmark was built anew; delete the file"
            )
    return found


def answer_here(
    asked: Sequence[AskedQuestion],
    speak: Speak,
    path: Path,
    model: str,
    *,
    weights: str = "",
    batch: int = BATCH,
) -> AnswerCounts:
    """A model on this machine answers what its file does not have, batch by batch of questions of like length.

    Each batch is in the file, synced, before the next begins. Errors: as `known_of`, a file that cannot be written; of
    a photo that cannot be read the questions are skipped.
    """
    known = known_of(path, model, asked, weights)
    todo = sorted((q for q in asked if q.id not in known), key=lambda q: (q.max_tokens, len(q.prompt), q.id))
    found = AnswerCounts(known=len(asked) - len(todo))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="replace") as file, _bar() as bar:
            task = bar.add_task(f"{shown(model)} answers", total=len(todo))
            for some in _batches(todo, batch):
                for one, text in _said(speak, some, found.skipped):
                    row = _answer(one, text, model, weights).row()
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    found.new += 1
                file.flush()
                os.fsync(file.fileno())
                bar.advance(task, len(some))
    except OSError as error:
        raise PosetalkError(
            f"cannot write {path}: {error.strerror}; what was answered is kept, make room and go on"
        ) from None
    return found


def answer_by_server(
    asked: Sequence[AskedQuestion],
    ledger: Ledger,
    settings: ServerSettings,
    path: Path,
    model: str,
    price: Price | None = None,
) -> tuple[AnswerCounts, RunReport]:
    """A model behind a server answers; every answer is in the ledger first, and in the file at the end.

    An answer that is refused or cut off is one all the same. Errors: as `known_of` and `generate`; what was answered
    is in the file.
    """
    known = known_of(path, model, asked, served=settings.model)
    todo = [one for one in asked if one.id not in known]
    once = settings.model_copy(update={"max_revisions": 0})
    found, report = AnswerCounts(known=len(asked) - len(todo)), RunReport()
    photos = _photos(todo, found.skipped)
    todo = [one for one in todo if one.image in photos]
    try:
        report = generate(_jobs(todo, photos), ledger, once, _accept, price, len(todo))
    finally:
        unasked = 0
        for one, (_, outcome) in zip(todo, results(_jobs(todo, photos), ledger, once, _accept), strict=True):
            if not outcome.reply.strip() and any(fault.reason == "length" for fault in outcome.faults):
                found.skipped.append(f"{one.id}: cut off before a word was said; raise --max-tokens")
            elif outcome.turns or outcome.faults or outcome.reply:
                known[one.id] = _answer(one, outcome.reply, model, served=settings.model)
                found.new += 1
            elif outcome.failure == UNASKED:
                unasked += 1
            else:
                found.skipped.append(f"{one.id}: {outcome.failure}")
        if unasked:
            found.skipped.append(f"{unasked:,} questions that were not asked any more")
        if known:
            write_answers(known.values(), path)
    return found, report


def _mended(path: Path) -> bool:
    """Whether there is a whole line; what stands behind the last is cut off."""
    try:
        data = path.read_bytes()
        end = data.rfind(b"\n") + 1
        if end < len(data):
            os.truncate(path, end)
    except OSError as error:
        raise PosetalkError(f"cannot read and mend {path}: {error.strerror}; look at it") from None
    return bool(data[:end].strip())


def _batches(asked: Sequence[AskedQuestion], size: int) -> Iterator[Sequence[AskedQuestion]]:
    """Of the same number of words each."""
    for words in sorted({one.max_tokens for one in asked}):
        some = [one for one in asked if one.max_tokens == words]
        yield from (some[start : start + size] for start in range(0, len(some), size))


def _said(speak: Speak, some: Sequence[AskedQuestion], skipped: list[str]) -> list[tuple[AskedQuestion, str]]:
    try:
        texts = speak([(one.image, one.prompt) for one in some], some[0].max_tokens)
    except PosetalkError as error:
        if len(some) > 1:  # one of the photos is at fault
            return [pair for one in some for pair in _said(speak, [one], skipped)]
        skipped.append(f"{some[0].id}: {error}")
        return []
    return list(zip(some, texts, strict=True))


def _answer(one: AskedQuestion, text: str, model: str, weights: str = "", served: str = "") -> ModelAnswer:
    # by what was said: a review is of these words and of no later ones
    name = hashlib.blake2b(json.dumps([model, one.id, text]).encode(), digest_size=8).hexdigest()
    made_by = {"weights": weights, "served": served, "photo": _held(one.image)}
    return ModelAnswer(
        one.id, one.prompt, text, name, model, {key: value for key, value in made_by.items() if value}
    )


def _held(photo: Path) -> str:
    """What tells the photo from another in its place; nothing of one that is gone."""
    try:
        return content_of(photo).digest[:16]
    except OSError:
        return ""


def _photos(asked: Iterable[AskedQuestion], skipped: list[str]) -> dict[Path, ImagePart]:
    """What can be sent; of a file that is no picture a sentence in `skipped`."""
    found: dict[Path, ImagePart] = {}
    for path in {one.image: None for one in asked}:
        try:
            found[path] = ImagePart.of(path)
        except PosetalkError as error:
            skipped.append(f"the questions about {path.name} are not asked: {error}")
    return found


def _jobs(asked: Iterable[AskedQuestion], photos: Mapping[Path, ImagePart]) -> Iterator[ChatRequest]:
    for one in asked:
        message = {"role": "user", "content": one.prompt}
        yield ChatRequest(
            one.id, 0, one.image.name, "conversation", (message,), {}, one.max_tokens, photos[one.image]
        )


def _accept(job: ChatRequest, reply: str) -> Turns:
    return ((job.messages[0]["content"], reply),)


def _bar() -> Progress:
    name = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))
