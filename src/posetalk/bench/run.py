"""Run a benchmark in a folder: build its questions, have models answer, have a judge score, report.

Files: closed.jsonl and blind.jsonl, the questions with one right answer; questions.jsonl, references.jsonl and
context.jsonl, the open questions, if there are captions; answers/MODEL.jsonl and reviews/MODEL.jsonl; ledger.sqlite,
all answers of servers; report.json and report.html; run.toml, the settings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from posetalk.bench.answers.answer import (
    ANSWERS,
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
from posetalk.bench.answers.judge import Pair, accept, pairs_of, requests_of, reviews_of
from posetalk.bench.answers.review import ModelAnswer, read_answers, read_reviews, write_reviews
from posetalk.bench.questions.build import CLOSED, ClosedSet, build_closed, read_closed
from posetalk.bench.questions.lines import plain
from posetalk.bench.questions.openset import QUESTIONS, OpenSet, build_open, read_open
from posetalk.bench.questions.source import BuildSettings, annotated_images, images_with_files
from posetalk.bench.report.page import write_page
from posetalk.bench.report.report import BenchReport, ModelResults, make_report
from posetalk.errors import PosetalkError, need
from posetalk.llm.client import ServerSettings
from posetalk.llm.ledger import Ledger
from posetalk.llm.pricing import Price, estimate
from posetalk.llm.request_state import RunReport, results
from posetalk.llm.runner import generate
from posetalk.lock import only_run
from posetalk.model.fingerprint import model_of
from posetalk.settings import Dtype
from posetalk.tune.settings import MADE

REVIEWS, LEDGER = "reviews", "ledger.sqlite"


@dataclass(frozen=True, slots=True)
class BenchSet:
    """The questions of a benchmark.

    Attributes:
        closed: Questions with one right answer.
        open_set: Open questions with references; None where the benchmark has none.
    """

    closed: ClosedSet
    open_set: OpenSet | None


@dataclass(frozen=True, slots=True)
class JudgeResult:
    """What a judge did.

    Attributes:
        notes: Sentences: reviews of each model, tokens and cost; of a dry run, requests and estimated cost.
        scored: Number of reviews with scores; None for a dry run.
        run_report: State of the requests.
    """

    notes: list[str]
    scored: int | None = None
    run_report: RunReport = field(default_factory=RunReport)


def build_benchmark(settings: BuildSettings, folder: str | Path, *, rebuild: bool = True) -> list[str]:
    """Build the questions of a benchmark from annotated images.

    Needs no model and no optional package. The same settings and files give the same questions.

    Args:
        settings: Annotations, captions, images, limits and seed.
        folder: Folder of the benchmark; it is created where it is missing.
        rebuild: Build the questions also where the folder has some.

    Returns:
        Sentences on what was built; those about records and images that were left out begin with `skipped: `.

    Raises:
        PosetalkError: The annotations cannot be read or give no questions, all images are in `training_data`, or the
            folder has a benchmark with other settings or, without `rebuild`, from files that changed.
    """
    folder = Path(folder)
    rebuild = rebuild or not (folder / CLOSED).exists()
    with settings.claim(folder, anew=rebuild):
        return _build(settings, folder) if rebuild else []


def _build(settings: BuildSettings, folder: Path) -> list[str]:
    images, keypoint_names, reader_notes = annotated_images(settings)
    skipped: dict[str, None] = {}
    training_data = [Path(path) for path in settings.training_data]
    closed = build_closed(
        images_with_files(images, settings, skipped),
        keypoint_names,
        training_data=training_data,
        seed=settings.seed,
        max_per_answer=settings.max_per_answer,
    )
    notes = [f"{len(closed.questions):,} questions with one right answer", *closed.notes]
    open_set = None
    if settings.captions:
        open_set = build_open(
            images_with_files(images, settings, skipped),
            keypoint_names,
            training_data=training_data,
            seed=settings.seed,
            max_images=settings.max_images,
        )
        notes += [f"{len(open_set.questions):,} open questions", *open_set.notes]
    else:
        notes.append("no open questions: they need captions (--captions)")
    closed.save(folder)
    if open_set:
        open_set.save(folder)
    notes += [*reader_notes(), *(f"skipped: {sentence}" for sentence in skipped)]
    return list(dict.fromkeys(notes))


def read_benchmark(folder: str | Path) -> BenchSet:
    """Read the questions of a benchmark.

    Args:
        folder: Folder of the benchmark.

    Raises:
        PosetalkError: The folder has no benchmark, or a file cannot be read.
    """
    folder = Path(folder)
    if not (folder / CLOSED).exists():
        raise PosetalkError(f"{folder} has no benchmark ({CLOSED}); make one: posetalk bench build")
    return BenchSet(read_closed(folder), read_open(folder) if (folder / QUESTIONS).exists() else None)


def load_questions(
    folder: str | Path, images: str | Path, *, only: Only | None = None, limit: int | None = None
) -> tuple[list[AskedQuestion], list[str]]:
    """Load the questions of a benchmark as a model is asked them.

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
    closed = () if only == "open" else benchmark.closed.questions
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
    before_load: Callable[[], object] | None = None,
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
        before_load: Called before a model on this machine is loaded.

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
        before_load = before_load or (lambda: None)
        weights = _model_folder(model, before_load)
        answer = _lazy_model(model, before_load, device, dtype)
        counts = answer_benchmark_locally(questions, answer, folder, report_name, weights, batch_size)
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


def _model_folder(model: str | Path, before_load: Callable[[], object]) -> Path:
    """The folder of a model; `small` and `tiny` are built first. That of a hub id does not exist."""
    if str(model) not in MADE:
        return Path(model)
    need("torch", "model")
    from posetalk.tune.small import made

    before_load()
    return made(str(model))


def _lazy_model(
    model: str | Path, before_load: Callable[[], object], device: str | None, dtype: Dtype | None
) -> AnswerFunction:
    """The answer function of a model that is loaded at the first call."""
    answer: AnswerFunction | None = None

    def load_and_answer(batch: Sequence[tuple[Path, str]], max_tokens: int) -> list[str]:
        nonlocal answer
        if answer is None:
            need("torch", "model")
            from posetalk.tune.chat import Chat

            before_load()
            answer = Chat.from_pretrained(model, device=device, dtype=dtype).answer
        return answer(batch, max_tokens)

    return load_and_answer


def judge_benchmark(
    folder: str | Path, settings: ServerSettings, price: Price | None = None, *, dry_run: bool = False
) -> JudgeResult:
    """Have a judge score all open answers beside the references, in both orders, into reviews/MODEL.jsonl.

    Answers that were judged before are not sent again; the ledger keeps every reply.

    Args:
        folder: Folder of the benchmark.
        settings: The server and the model that judges.
        price: Price of tokens; needed where `settings.max_cost_usd` is set.
        dry_run: Count requests and estimate their cost; send nothing.

    Returns:
        Sentences on the reviews of each model, the number of reviews with scores, and the state of the requests.

    Raises:
        PosetalkError: There are no open answers, or the server cannot be reached or refuses. Reviews until then are
            saved.
    """
    folder = Path(folder)
    open_set = read_benchmark(folder).open_set
    pairs_by_file = _pairs(folder, open_set) if open_set else {}
    if open_set is None or not pairs_by_file:
        raise PosetalkError(f"{folder} has no answers to open questions; have a model answer them first")
    all_pairs = [pair for pairs in pairs_by_file.values() for pair in pairs]
    contexts = open_set.contexts
    if dry_run:
        with Ledger.copy_of(folder / LEDGER) as ledger:
            return JudgeResult([str(estimate(requests_of(all_pairs, contexts), settings, price, ledger))])
    with Ledger(folder / LEDGER, [folder / REVIEWS / path.name for path in pairs_by_file]) as ledger:
        notes, scored = [], 0
        try:
            report = generate(
                requests_of(all_pairs, contexts), ledger, settings, accept, price, len(all_pairs)
            )
        finally:
            for path, pairs in pairs_by_file.items():
                outcomes = [
                    outcome for _, outcome in results(requests_of(pairs, contexts), ledger, settings, accept)
                ]
                reviews = reviews_of(pairs, outcomes, settings.model)
                if reviews:
                    write_reviews(reviews, folder / REVIEWS / path.name)
                failed = sum(review.scores is None for review in reviews)
                scored += len(reviews) - failed
                notes.append(
                    f"{pairs[0].answer.model}: {len(reviews) - failed:,} of {len(pairs):,} reviews have scores, "
                    f"{failed:,} failed"
                )
    return JudgeResult([*notes, usage_summary(report)], scored, report)


def report_benchmark(folder: str | Path, images: str | Path | None = None) -> tuple[BenchReport, list[str]]:
    """Report on all models of a benchmark, into report.json and report.html.

    Closed questions that no model answered are left out. Of the others a missing answer counts as wrong.

    Args:
        folder: Folder of the benchmark.
        images: Folder of the images, which the page shows; None for a page without images.

    Returns:
        The numbers, and sentences on questions left out and on images that cannot be read.

    Raises:
        PosetalkError: There is nothing to report, a file cannot be read, or reviews belong to answers that were
            replaced.
    """
    folder = Path(folder)
    benchmark, models = read_benchmark(folder), read_models(folder)
    questions, notes = benchmark.closed.questions, []
    closed = [question for question in questions if any(question.id in model.answers for model in models)]
    if closed and len(closed) < len(questions):
        notes.append(
            f"{len(questions) - len(closed):,} of {len(questions):,} questions were answered by no model and are left "
            "out"
        )
    solved = {question.id: benchmark.closed.solved[question.id] for question in closed}
    report = make_report(models, closed, solved, benchmark.open_set)
    report.save(folder)
    page = folder / "report.html"
    images = Path(images) if images is not None else None
    notes += write_page(report, page, models, closed, benchmark.open_set, images)
    return report, notes


def read_models(folder: Path) -> list[ModelResults]:
    """Results of all models of a benchmark.

    Raises:
        PosetalkError: A file cannot be read, or reviews belong to answers that were replaced.
    """
    reviews_by_name = {path.stem: read_reviews(path) for path in sorted((folder / REVIEWS).glob("*.jsonl"))}
    models = []
    for path, answers in _answers(folder):
        reviews = reviews_by_name.pop(path.stem, [])
        for review in reviews:
            if review.question in answers and answers[review.question].id != review.candidate:
                raise PosetalkError(
                    f"{folder / REVIEWS / path.name} is of answers that were replaced since; judge again"
                )
        models.append(ModelResults(next(iter(answers.values())).model, answers, reviews))
    return models + [ModelResults(name, {}, reviews) for name, reviews in reviews_by_name.items()]


def usage_summary(report: RunReport) -> str:
    """A sentence on tokens and cost of all answers in the ledger, and on why the run ended early, if it did."""
    totals = report.totals
    sentence = f"{totals.tokens_in:,} tokens read, {totals.tokens_out:,} written"
    if totals.estimated:
        sentence += f" (estimated for {totals.estimated:,} answers)"
    if totals.dollars:
        sentence += f", ${totals.dollars:,.2f}"
    if report.stopped:
        sentence += f"; stopped: {report.stopped}; the same command goes on from there"
    return f"the ledger's answers: {sentence}"


def _pairs(folder: Path, open_set: OpenSet) -> dict[Path, list[Pair]]:
    """File of answers -> pairs to be judged; only files that have some."""
    pairs_by_file = {path: pairs_of(open_set, answers) for path, answers in _answers(folder)}
    return {path: pairs for path, pairs in pairs_by_file.items() if pairs}


def _answers(folder: Path) -> list[tuple[Path, dict[str, ModelAnswer]]]:
    """Every file of answers that is not empty."""
    files = sorted((folder / ANSWERS).glob("*.jsonl"))
    return [(path, read_answers(path)) for path in files if path.stat().st_size]
