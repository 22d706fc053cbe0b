"""Ask a model on this machine or behind a server. Every answer is saved at once and no question is asked twice."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from posetalk.bench.answers.review import ModelAnswer, read_answers, write_answers
from posetalk.bench.questions.openset import OpenSet
from posetalk.errors import PosetalkError, shown
from posetalk.formats.paths import find_image
from posetalk.inputs import content_of
from posetalk.llm.client import ServerSettings
from posetalk.llm.ledger import Ledger
from posetalk.llm.pricing import Price
from posetalk.llm.request import ChatRequest, ImagePart
from posetalk.llm.request_state import REFUSED, UNASKED, RunReport, results
from posetalk.llm.runner import generate
from posetalk.messages import progress
from posetalk.write.questions.lines import LONGEST, plain
from posetalk.write.questions.questions import Question, stable_hash
from posetalk.write.samples.sample import Turns

Only = Literal["closed", "open"]
CLOSED_MAX_TOKENS, OPEN_MAX_TOKENS = 32, 400  # longest answer in tokens, the same for every model
BATCH_SIZE = 8
ANSWERS = "answers"
_NOT_IN_FILE_NAMES = re.compile(r"[^\w.-]")
_NAME_BYTES = 120  # of a model's name in a file name; file systems allow 255 in all

AnswerFunction = Callable[[Sequence[tuple[Path, str]], int], list[str]]
"""Takes (image file, question) pairs and the longest answer in tokens, and returns an answer for each pair in order;
`tune.chat.Chat.answer` is one."""


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question as a model gets it.

    Attributes:
        id: Id of the question.
        image: File of the image.
        prompt: Text of the request, choices included.
        max_tokens: Longest answer, in tokens.
    """

    id: str
    image: Path
    prompt: str
    max_tokens: int


@dataclass(slots=True)
class AnswerCounts:
    """What became of the questions that a model was asked.

    Attributes:
        new: Answers of this run.
        known: Answers of earlier runs.
        skipped: A sentence for each question, or group of questions, without an answer.
        model: Name of the model in the report.
        run_report: State of the requests to a server; None for a model on this machine.
    """

    new: int = 0
    known: int = 0
    skipped: list[str] = field(default_factory=list)
    model: str = ""
    run_report: RunReport | None = None


def asked_questions(
    closed: Sequence[Question], open_set: OpenSet | None, images: Path, limit: int | None = None
) -> tuple[list[AskedQuestion], list[str]]:
    """Select the questions for a model.

    Args:
        closed: Questions with one right answer.
        open_set: Open questions, if there are any.
        images: Folder of the images.
        limit: Largest number of questions of each set. They are sampled by a hash of their ids, open ones in groups of
            one image. None selects all.

    Returns:
        The questions whose image exists, and a sentence about those whose image is missing.

    Raises:
        PosetalkError: No image exists, or the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise PosetalkError(f"a limit of {limit} leaves no question; give at least 1")
    closed = sorted(closed, key=lambda q: stable_hash("limit", q.id))[:limit]
    open_questions = sorted(
        open_set.questions if open_set else (), key=lambda q: (stable_hash("limit", q.image), q.id)
    )[:limit]
    names = [q.image for q in closed] + [q.image for q in open_questions]
    paths = {name: find_image(images, name) for name in names}
    questions = [
        AskedQuestion(q.id, path, q.prompt, CLOSED_MAX_TOKENS) for q in closed if (path := paths[q.image])
    ]
    questions += [
        AskedQuestion(q.id, path, q.text, OPEN_MAX_TOKENS) for q in open_questions if (path := paths[q.image])
    ]
    if not questions:
        raise PosetalkError(f"{images} has no image of these questions; give the folder of the images")
    missing = [ascii(name)[1:-1] for name, path in sorted(paths.items()) if path is None]
    if not missing:
        return questions, []
    note = (
        f"{len(names) - len(questions):,} questions are not asked: {images} has no {', '.join(missing[:3])}"
    )
    return questions, [note + (f" and {len(missing) - 3:,} more images" if len(missing) > 3 else "")]


def file_of(folder: Path, model: str) -> Path:
    """The file of a model's answers.

    Letters, digits and `._-` of the name stay, everything else becomes `_`. A hash of the name follows where the name
    is too long or the file belongs to another model (`a/b` and `a_b`).
    """
    name = _NOT_IN_FILE_NAMES.sub("_", model)
    digest = hashlib.blake2b(plain(model).encode(), digest_size=4).hexdigest()
    short = name.encode()[:_NAME_BYTES].decode(errors="ignore")
    path, hashed = (folder / ANSWERS / f"{stem}.jsonl" for stem in (name, f"{short}-{digest}"))
    return hashed if short != name or hashed.exists() or _first_model(path) not in (None, model) else path


def pending_questions(
    questions: Iterable[AskedQuestion], known: Mapping[str, ModelAnswer]
) -> list[AskedQuestion]:
    """Those without an answer. What is alike in length stands together, so that batches are filled well."""
    return sorted(
        (q for q in questions if q.id not in known), key=lambda q: (q.max_tokens, len(q.prompt), q.id)
    )


def _first_model(path: Path) -> str | None:
    """The model of the first answer in a file; None where there is no file or it cannot be read."""
    try:
        with path.open(encoding="utf-8") as file:
            return str(json.loads(file.readline(LONGEST))["model_id"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None  # read_answers reports an unreadable file later


def known_answers(
    path: Path, model: str, questions: Iterable[AskedQuestion], weights: str = "", served: str = ""
) -> dict[str, ModelAnswer]:
    """Read the answers that a file has, and cut off an incomplete last line.

    Args:
        path: File of answers; it may be missing.
        model: Name of the model in the report.
        questions: The questions as they are asked now.
        weights: Fingerprint of the model's files (`model.fingerprint`).
        served: Name of the model on its server.

    Returns:
        Answers by the id of their question.

    Raises:
        PosetalkError: The answers are of another model, of other weights or of another model on a server, about images
            that changed, or to questions whose text changed.
    """
    if not path.exists() or not _cut_incomplete_line(path):
        return {}
    answers = read_answers(path)
    by_id = {question.id: question for question in questions}
    advice = "give the model another name (--name), or delete the file"
    for answer in answers.values():
        if answer.model != model:
            raise PosetalkError(f"{path} has answers of {answer.model}, not of {model}; {advice}")
        if answer.metadata.get("weights", "") != weights or answer.metadata.get("served", served) != served:
            raise PosetalkError(f"{path} has answers of another model of the name {model}; {advice}")
        question = by_id.get(answer.question)
        if question is None:
            continue
        fingerprint = _image_fingerprint(question.image)
        if answer.metadata.get("photo", fingerprint) != fingerprint:
            raise PosetalkError(
                f"{path} has answers about another image than {question.image} is now; {advice}"
            )
        if answer.prompt != question.prompt:
            raise PosetalkError(
                f"{path} answers {answer.question} as it read before the benchmark was built anew; delete the file"
            )
    return answers


def answer_here(
    questions: Sequence[AskedQuestion],
    answer: AnswerFunction,
    path: Path,
    model: str,
    *,
    weights: str = "",
    batch_size: int = BATCH_SIZE,
) -> AnswerCounts:
    """Have a model on this machine answer the questions that its file lacks, in batches of similar length.

    Each batch is written and synced before the next begins. Questions about an unreadable image are skipped.

    Args:
        questions: The questions.
        answer: Function that answers a batch.
        path: File of the answers; new ones are appended.
        model: Name of the model in the report.
        weights: Fingerprint of the model's files.
        batch_size: Questions per batch.

    Returns:
        Counts of new and known answers, and a sentence for each question without one.

    Raises:
        PosetalkError: As `known_answers`, or the file cannot be written.
    """
    known = known_answers(path, model, questions, weights)
    pending = pending_questions(questions, known)
    counts = AnswerCounts(known=len(questions) - len(pending), model=model)
    name = TextColumn("{task.description}", markup=False)
    columns = (name, BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="replace") as file, progress(*columns) as bar:
            task = bar.add_task(f"{shown(model)} answers", total=len(pending))
            for batch in _batches(pending, batch_size):
                for question, text in _answer_batch(answer, batch, counts.skipped):
                    row = _model_answer(question, text, model, weights).row()
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    counts.new += 1
                file.flush()
                os.fsync(file.fileno())
                bar.advance(task, len(batch))
    except OSError as error:
        raise PosetalkError(
            f"cannot write {path}: {error.strerror}; what was answered is kept, make room and go on"
        ) from None
    return counts


def answer_by_server(
    questions: Sequence[AskedQuestion],
    ledger: Ledger,
    settings: ServerSettings,
    path: Path,
    model: str,
    price: Price | None = None,
) -> tuple[AnswerCounts, RunReport]:
    """Have a model behind a server answer the questions that its file lacks.

    Every answer is stored in the ledger first and written to the file at the end, also when the run fails. A refusal or
    a truncated reply counts as an answer.

    Args:
        questions: The questions.
        ledger: Store of requests and answers.
        settings: The server and its model.
        path: File of the answers.
        model: Name of the model in the report.
        price: Price of tokens, for the limit in US dollars.

    Returns:
        Counts of answers, and the state of the requests.

    Raises:
        PosetalkError: As `known_answers` and `generate`.
    """
    known = known_answers(path, model, questions, served=settings.model)
    pending = [question for question in questions if question.id not in known]
    settings = settings.model_copy(update={"max_revisions": 0})
    counts, report = AnswerCounts(known=len(questions) - len(pending), model=model), RunReport()
    images = _image_parts(pending, counts.skipped)
    pending = [question for question in pending if question.image in images]
    try:
        report = generate(_requests(pending, images), ledger, settings, _accept, price, len(pending))
    finally:
        unasked = 0
        outcomes = results(_requests(pending, images), ledger, settings, _accept)
        for question, (_, outcome) in zip(pending, outcomes, strict=True):
            refused = outcome.failure.startswith(REFUSED)
            if not outcome.reply.strip() and any(fault.reason == "length" for fault in outcome.faults):
                counts.skipped.append(f"{question.id}: cut off before a word was said; raise --max-tokens")
            elif outcome.turns or outcome.faults or refused:
                known[question.id] = _model_answer(
                    question, outcome.reply, model, served=settings.model, refused=refused
                )
                counts.new += 1
            elif outcome.failure == UNASKED:
                unasked += 1
            else:
                counts.skipped.append(f"{question.id}: {outcome.failure}")
        if unasked:
            counts.skipped.append(f"{unasked:,} questions that were not asked any more")
        if known:
            write_answers(known.values(), path)
    return counts, report


def _cut_incomplete_line(path: Path) -> bool:
    """Cut off what follows the last line end; returns whether a complete line is left."""
    try:
        data = path.read_bytes()
        end = data.rfind(b"\n") + 1
        if end < len(data):
            os.truncate(path, end)
    except OSError as error:
        raise PosetalkError(f"cannot read and mend {path}: {error.strerror}; look at it") from None
    return bool(data[:end].strip())


def _batches(questions: Sequence[AskedQuestion], size: int) -> Iterator[Sequence[AskedQuestion]]:
    """Batches of questions with the same longest answer."""
    for max_tokens in sorted({question.max_tokens for question in questions}):
        group = [question for question in questions if question.max_tokens == max_tokens]
        yield from (group[start : start + size] for start in range(0, len(group), size))


def _answer_batch(
    answer: AnswerFunction, batch: Sequence[AskedQuestion], skipped: list[str]
) -> list[tuple[AskedQuestion, str]]:
    """Questions with their answers. A batch that fails is asked again question by question."""
    try:
        texts = answer([(question.image, question.prompt) for question in batch], batch[0].max_tokens)
    except PosetalkError as error:
        if len(batch) > 1:
            return [pair for question in batch for pair in _answer_batch(answer, [question], skipped)]
        skipped.append(f"{batch[0].id}: {error}")
        return []
    return list(zip(batch, texts, strict=True))


def _model_answer(
    question: AskedQuestion,
    text: str,
    model: str,
    weights: str = "",
    served: str = "",
    refused: bool = False,
) -> ModelAnswer:
    # the id depends on the text, so that a review belongs to this text alone
    name = hashlib.blake2b(json.dumps([model, question.id, text]).encode(), digest_size=8).hexdigest()
    metadata = {"weights": weights, "served": served, "photo": _image_fingerprint(question.image)}
    metadata["refused"] = "by the server" if refused else ""
    return ModelAnswer(
        question.id,
        question.prompt,
        text,
        name,
        model,
        {key: value for key, value in metadata.items() if value},
    )


def _image_fingerprint(image: Path) -> str:
    """Fingerprint of an image's content; empty for a missing file."""
    try:
        return content_of(image).digest[:16]
    except OSError:
        return ""


def _image_parts(questions: Iterable[AskedQuestion], skipped: list[str]) -> dict[Path, ImagePart]:
    """Images as parts of requests; a sentence in `skipped` for each file that is no image."""
    parts: dict[Path, ImagePart] = {}
    for path in {question.image: None for question in questions}:
        try:
            parts[path] = ImagePart.of(path)
        except PosetalkError as error:
            skipped.append(f"the questions about {path.name} are not asked: {error}")
    return parts


def _requests(questions: Iterable[AskedQuestion], images: Mapping[Path, ImagePart]) -> Iterator[ChatRequest]:
    for question in questions:
        message = {"role": "user", "content": question.prompt}
        yield ChatRequest(
            question.id,
            0,
            question.image.name,
            "conversation",
            (message,),
            {},
            question.max_tokens,
            images[question.image],
        )


def _accept(request: ChatRequest, reply: str) -> Turns:
    return ((request.messages[0]["content"], reply),)
