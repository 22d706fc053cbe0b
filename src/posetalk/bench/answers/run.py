"""Have a model answer the questions of a benchmark: one on this machine, or one on a server."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from posetalk.bench.answers.answer import (
    BATCH_SIZE,
    AnswerCounts,
    AnswerFunction,
    AskedQuestion,
    Only,
    answer_by_server,
    answer_here,
    asked_questions,
    file_of,
)
from posetalk.bench.folder import REVIEWS, read_benchmark
from posetalk.errors import PosetalkError, need
from posetalk.llm.client import ServerSettings
from posetalk.llm.ledger import LEDGER, Ledger
from posetalk.llm.pricing import Price
from posetalk.llm.request_state import RunReport
from posetalk.lock import only_run
from posetalk.model.fingerprint import model_of
from posetalk.settings import Dtype
from posetalk.tune.settings import MADE
from posetalk.write.questions.lines import plain


def load_questions(
    folder: str | Path, images: str | Path, *, only: Only | None = None, limit: int | None = None
) -> tuple[list[AskedQuestion], list[str]]:
    """Load the questions of a benchmark as a model is asked them; those whose key a person struck are left out.

    Args:
        folder: Folder of the benchmark.
        images: Folder of the images.
        only: `closed` for the questions with one right answer, `open` for the open ones; None for both.
        limit: Largest number of questions of each sort; None for all.

    Returns:
        The questions, and a sentence about those whose image is missing.

    Raises:
        PosetalkError: The folder has no benchmark or no open questions, no image exists, or the limit is below 1.
    """
    benchmark = read_benchmark(folder)
    if only == "open" and benchmark.open_set is None:
        raise PosetalkError(f"{folder} has no open questions; build it with --captions")
    closed = (
        [q for q in benchmark.closed.questions if not benchmark.review.struck(q)] if only != "open" else []
    )
    return asked_questions(closed, None if only == "closed" else benchmark.open_set, Path(images), limit)


def answer_benchmark(
    folder: str | Path,
    images: str | Path,
    model: str | Path,
    *,
    name: str | None = None,
    server: ServerSettings | None = None,
    price: Price | None = None,
    only: Only | None = None,
    limit: int | None = None,
    batch_size: int = BATCH_SIZE,
    device: str | None = None,
    dtype: Dtype | None = None,
) -> AnswerCounts:
    """Have a model answer the questions of a benchmark, into answers/NAME.jsonl.

    Questions that have an answer are not asked again, so that a stopped run can be continued with the same call. A
    model on this machine is loaded only if there is a question to ask. A server is sent the images; Ctrl-C then waits
    for the requests in flight and returns with `run_report.interrupted` set.

    Args:
        folder: Folder of the benchmark.
        images: Folder of the images.
        model: Folder or hub id of a vision-language model, `small` or `tiny`; with `server`, its name there.
        name: Name of the model in the report; None for the name of its folder, or for `model`.
        server: The server to ask, in place of a model on this machine; `model` replaces the model of these settings.
        price: Price of the server's tokens; needed where `server.max_cost_usd` is set.
        only: `closed` for the questions with one right answer, `open` for the open ones; None for both.
        limit: Largest number of questions of each sort; None for all.
        batch_size: Questions per batch on this machine.
        device: As `Chat.from_pretrained`, for a model on this machine.
        dtype: As `Chat.from_pretrained`, for a model on this machine.

    Returns:
        Numbers of new and known answers, sentences on questions without one, the name of the model, and for a server
        the state of the requests.

    Raises:
        PosetalkError: The folder has no such questions, no image exists, the model cannot be loaded, the server cannot
            be reached or refuses, or the file holds answers of another model or about other images.
    """
    questions, notes = load_questions(folder, images, only=only, limit=limit)
    if server is not None:
        server = server.model_copy(update={"model": str(model)})
        report_name = plain(name or server.model)
        counts, report = answer_benchmark_by_server(questions, server, folder, report_name, price)
        counts.run_report = report
    else:
        if batch_size < 1:
            raise PosetalkError(f"--batch-size {batch_size} asks nothing; give at least 1")
        report_name = plain(name or local_model_name(model))
        weights = model_folder(model)
        counts = answer_benchmark_locally(
            questions, lazy_model(model, device, dtype), folder, report_name, weights, batch_size
        )
    counts.skipped[:0] = notes
    return counts


def answer_benchmark_locally(
    questions: Sequence[AskedQuestion],
    answer: AnswerFunction,
    folder: str | Path,
    model: str,
    weights: str | Path,
    batch_size: int = BATCH_SIZE,
) -> AnswerCounts:
    """Have a loaded model answer questions of a benchmark, into answers/MODEL.jsonl.

    Args:
        questions: The questions, of `load_questions`.
        answer: Takes a batch of (image file, question) pairs and the longest answer in tokens, and returns the answers
            in the same order; `Chat.answer` is one.
        folder: Folder of the benchmark.
        model: Name of the model in the report.
        weights: Folder of the model, whose fingerprint is saved with the answers.
        batch_size: Questions per batch.

    Returns:
        Numbers of new and known answers, and sentences on questions without one.

    Raises:
        PosetalkError: The file holds answers of another model or about other images, or cannot be written.
    """
    file = file_of(Path(folder), model)
    with only_run(file):
        return answer_here(
            questions, answer, file, model, weights=model_of(Path(weights)), batch_size=batch_size
        )


def answer_benchmark_by_server(
    questions: Sequence[AskedQuestion],
    settings: ServerSettings,
    folder: str | Path,
    model: str,
    price: Price | None = None,
) -> tuple[AnswerCounts, RunReport]:
    """Have a model on a server answer questions of a benchmark, into answers/MODEL.jsonl.

    Args:
        questions: The questions, of `load_questions`.
        settings: The server and its model.
        folder: Folder of the benchmark.
        model: Name of the model in the report.
        price: Price of tokens; needed where `settings.max_cost_usd` is set.

    Returns:
        Numbers of new and known answers with sentences on questions without one, and the state of the requests.

    Raises:
        PosetalkError: The server cannot be reached or refuses, or the file holds answers of another model or about
            other images. Answers of the run until then are saved.
    """
    folder = Path(folder)
    with Ledger(folder / LEDGER, (folder / REVIEWS).glob("*.jsonl")) as ledger:
        return answer_by_server(questions, ledger, settings, file_of(folder, model), model, price)


def local_model_name(model: str | Path) -> str:
    """The default name of a model on this machine: that of its folder, or its hub id.

    Raises:
        PosetalkError: `model` is neither a folder, nor `small` or `tiny`, nor in the form of a hub id.
    """
    if Path(model).is_dir():
        return Path(model).resolve().name
    model = str(model)
    if model not in MADE and not re.fullmatch(r"[\w-]+/[\w.-]+", model):
        raise PosetalkError(f"there is no folder {model}; give a model's, or --base-url for one on a server")
    return model


def model_folder(model: str | Path) -> Path:
    """The folder of a model; `small` and `tiny` are built first. That of a hub id does not exist."""
    if str(model) not in MADE:
        return Path(model)
    need("torch", "model")
    from posetalk.tune.small import made

    return made(str(model))


def lazy_model(model: str | Path, device: str | None, dtype: Dtype | None) -> AnswerFunction:
    """The answer function of a model that is loaded at the first call."""
    answer: AnswerFunction | None = None

    def load_and_answer(batch: Sequence[tuple[Path, str]], max_tokens: int) -> list[str]:
        nonlocal answer
        if answer is None:
            need("torch", "model")
            from posetalk.tune.chat import Chat

            answer = Chat.from_pretrained(model, device=device, dtype=dtype).answer
        return answer(batch, max_tokens)

    return load_and_answer
