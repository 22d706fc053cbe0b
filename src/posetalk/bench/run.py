"""A benchmark's folder: build it, have models answer, have a judge score, report.

closed.jsonl, blind.jsonl: the judge-free set. questions, references, context.jsonl: the open one, where there are
captions. answers/MODEL.jsonl, reviews/MODEL.jsonl: a file a model. ledger.sqlite: every answer of a server.
report.json, report.html; run.toml: what it was built from.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from posetalk.bench.answers.answer import (
    ANSWERS,
    BATCH,
    AnswerCounts,
    AskedQuestion,
    Only,
    Speak,
    answer_by_server,
    answer_here,
    asked_questions,
    file_of,
)
from posetalk.bench.answers.judge import Pair, accept, jobs_of, pairs_of, reviews_of
from posetalk.bench.answers.review import ModelAnswer, read_answers, read_reviews, write_reviews
from posetalk.bench.questions.build import CLOSED, ClosedSet, build_closed, read_closed
from posetalk.bench.questions.openset import QUESTIONS, OpenSet, build_open, read_open
from posetalk.bench.questions.source import BuildSettings, pictures_of, with_photos
from posetalk.bench.report.page import write_page
from posetalk.bench.report.report import BenchReport, ModelResults, report
from posetalk.errors import PosetalkError
from posetalk.llm.client import ServerSettings
from posetalk.llm.ledger import Ledger
from posetalk.llm.pricing import Price, estimate
from posetalk.llm.request_state import RunReport as Asking
from posetalk.llm.request_state import results
from posetalk.llm.runner import generate
from posetalk.lock import only_run
from posetalk.model.fingerprint import weights_fingerprint

REVIEWS, LEDGER = "reviews", "ledger.sqlite"


@dataclass(frozen=True, slots=True)
class BenchSet:
    """The questions of a folder. opened: None where it has none."""

    closed: ClosedSet
    opened: OpenSet | None


def build_folder(settings: BuildSettings, out: Path, anew: bool = True) -> list[str]:
    """Write the questions; gives back what to tell, records that were skipped among it. anew: also where they are.

    Errors: as the readers', `build_closed` and `build_open`; the folder has a benchmark of other settings.
    """
    with settings.claim(out):
        return [] if not anew and (out / CLOSED).exists() else _build(settings, out)


def _build(settings: BuildSettings, out: Path) -> list[str]:
    pictures, names, told = pictures_of(settings)
    left_out: dict[str, None] = {}
    training = [Path(path) for path in settings.training_data]
    some = with_photos(pictures, settings, left_out)
    closed = build_closed(some, names, training=training, seed=settings.seed, each=settings.max_per_answer)
    notes = [f"{len(closed.questions):,} questions with one right answer", *closed.notes]
    opened = None
    if settings.captions:
        some = with_photos(pictures, settings, left_out)
        opened = build_open(some, names, training=training, seed=settings.seed, most=settings.max_images)
        notes += [f"{len(opened.questions):,} open questions", *opened.notes]
    else:
        notes.append("no open questions: they need captions (--captions)")
    closed.save(out)
    if opened:
        opened.save(out)
    notes += [*told(), *(f"skipped: {sentence}" for sentence in left_out)]
    return list(dict.fromkeys(notes))


def read_set(folder: Path) -> BenchSet:
    """Errors: a folder without a benchmark, files that cannot be read."""
    if not (folder / CLOSED).exists():
        raise PosetalkError(f"{folder} has no benchmark ({CLOSED}); make one: posetalk bench build")
    return BenchSet(read_closed(folder), read_open(folder) if (folder / QUESTIONS).exists() else None)


def asked_in(
    folder: Path, images: Path, only: Only | None = None, limit: int | None = None
) -> tuple[list[AskedQuestion], list[str]]:
    """What a model is asked of a folder's questions; as `asked_questions`. Errors: also no questions of that sort."""
    found = read_set(folder)
    if only == "open" and found.opened is None:
        raise PosetalkError(f"{folder} has no open questions; build it with --captions")
    closed = () if only == "open" else found.closed.questions
    return asked_questions(closed, None if only == "closed" else found.opened, images, limit)


@dataclass(frozen=True, slots=True)
class JudgeResult:
    """told: what to tell. scored: reviews with scores; None where nothing was to be asked."""

    told: list[str]
    scored: int | None = None
    asking: Asking = field(default_factory=Asking)


def answer_local(
    asked: list[AskedQuestion], speak: Speak, folder: Path, model: str, weights: Path, batch: int = BATCH
) -> AnswerCounts:
    """As `answer_here`, into the folder. weights: the folder of the model."""
    file = file_of(folder, model)
    with only_run(file):
        return answer_here(asked, speak, file, model, weights=weights_fingerprint(weights), batch=batch)


def answer_remote(
    asked: list[AskedQuestion], settings: ServerSettings, folder: Path, model: str, price: Price | None = None
) -> tuple[AnswerCounts, Asking]:
    """As `answer_by_server`, into the folder."""
    with Ledger(folder / LEDGER, (folder / REVIEWS).glob("*.jsonl")) as ledger:
        return answer_by_server(asked, ledger, settings, file_of(folder, model), model, price)


def judge_folder(
    folder: Path, settings: ServerSettings, price: Price | None = None, dry_run: bool = False
) -> JudgeResult:
    """Have every open answer scored in both orders.

    The files of reviews are written anew from the ledger, in which what was asked before is not asked again. dry_run:
    only count and price. Errors: no open answers; as `generate`, after the files were written.
    """
    opened = read_set(folder).opened
    models = _pairs(folder, opened) if opened else {}
    if opened is None or not models:
        raise PosetalkError(f"{folder} has no answers to open questions; have a model answer them first")
    every = [pair for pairs in models.values() for pair in pairs]
    contexts = opened.contexts
    if dry_run:
        with Ledger.copy_of(folder / LEDGER) as ledger:
            return JudgeResult([str(estimate(jobs_of(every, contexts), settings, price, ledger))])
    reviewed = [folder / REVIEWS / path.name for path in models]
    with Ledger(folder / LEDGER, reviewed) as ledger:
        told, scored = [], 0
        try:
            asking = generate(jobs_of(every, contexts), ledger, settings, accept, price, len(every))
        finally:
            for path, pairs in models.items():
                found = results(jobs_of(pairs, contexts), ledger, settings, accept)
                reviews = reviews_of(pairs, [outcome for _, outcome in found], settings.model)
                if reviews:
                    write_reviews(reviews, folder / REVIEWS / path.name)
                failed = sum(review.scores is None for review in reviews)
                scored += len(reviews) - failed
                told.append(
                    f"{pairs[0].answer.model}: {len(reviews) - failed:,} of {len(pairs):,} reviews have scores, "
                    f"{failed:,} failed"
                )
    return JudgeResult([*told, spent(asking)], scored, asking)


def report_folder(folder: Path, images: Path | None = None) -> tuple[BenchReport, list[str]]:
    """Write report.json and report.html; gives back the numbers, and what to tell.

    Questions that no model answered are left out; of the others a missing answer counts as wrong. Errors: nothing to
    report; files that cannot be read; reviews of answers that were replaced.
    """
    found, models = read_set(folder), models_of(folder)
    every, notes = found.closed.questions, []
    closed = [q for q in every if any(q.id in model.answers for model in models)]
    if closed and len(closed) < len(every):
        notes.append(
            f"{len(every) - len(closed):,} of {len(every):,} questions were answered by no model and are left out"
        )
    solved = {q.id: found.closed.solved[q.id] for q in closed}
    numbers = report(models, closed, solved, found.opened)
    numbers.save(folder)
    notes += write_page(numbers, folder / "report.html", models, closed, found.opened, images)
    return numbers, notes


def models_of(folder: Path) -> list[ModelResults]:
    """Every model that has answers or reviews. Errors: files that cannot be read, reviews of other answers."""
    reviewed = {path.stem: read_reviews(path) for path in sorted((folder / REVIEWS).glob("*.jsonl"))}
    found = []
    for path, answers in _answers(folder):
        reviews = reviewed.pop(path.stem, [])
        for review in reviews:
            if review.question in answers and answers[review.question].id != review.candidate:
                raise PosetalkError(
                    f"{folder / REVIEWS / path.name} is of answers that were replaced since; judge again"
                )
        found.append(ModelResults(next(iter(answers.values())).model, answers, reviews))
    return found + [ModelResults(name, {}, reviews) for name, reviews in reviewed.items()]


def spent(asking: Asking) -> str:
    """What the ledger's answers took in all, and why the run ended early, if it did."""
    totals = asking.totals
    words = f"{totals.tokens_in:,} tokens read, {totals.tokens_out:,} written"
    if totals.estimated:
        words += f" (estimated for {totals.estimated:,} answers)"
    if totals.dollars:
        words += f", ${totals.dollars:,.2f}"
    if asking.stopped:
        words += f"; stopped: {asking.stopped}; the same command goes on from there"
    return f"the ledger's answers: {words}"


def _pairs(folder: Path, opened: OpenSet) -> dict[Path, list[Pair]]:
    """What is to be judged of each file of answers."""
    found = {path: pairs_of(opened, answers) for path, answers in _answers(folder)}
    return {path: pairs for path, pairs in found.items() if pairs}


def _answers(folder: Path) -> list[tuple[Path, dict[str, ModelAnswer]]]:
    """Of each model that has given any."""
    files = sorted((folder / ANSWERS).glob("*.jsonl"))
    return [(path, read_answers(path)) for path in files if path.stat().st_size]
