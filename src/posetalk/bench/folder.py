"""The folder of a benchmark.

Files: closed.jsonl and blind.jsonl, the questions with one right answer; questions.jsonl, references.jsonl and
context.jsonl, the open questions, if there are captions; keys.jsonl and review.html, what a person said of the right
answers, and the page for it; answers/MODEL.jsonl and reviews/MODEL.jsonl; ledger.sqlite,
all answers of servers; report.json and report.html; run.toml, the settings.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from posetalk.bench.answers.answer import ANSWERS
from posetalk.bench.answers.review import ModelAnswer, read_answers, read_reviews
from posetalk.bench.questions.build import CLOSED, ClosedSet, read_closed
from posetalk.bench.questions.openset import QUESTIONS, OpenSet, read_open
from posetalk.bench.report.report import ModelResults
from posetalk.bench.review.keys import KeyReview, read_review
from posetalk.errors import PosetalkError

REVIEWS = "reviews"


@dataclass(frozen=True, slots=True)
class BenchSet:
    """The questions of a benchmark.

    Attributes:
        closed: Questions with one right answer.
        open_set: Open questions with references; None where the benchmark has none.
        review: What a person said of the right answers.
    """

    closed: ClosedSet
    open_set: OpenSet | None
    review: KeyReview


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
    closed = read_closed(folder)
    open_set = read_open(folder) if (folder / QUESTIONS).exists() else None
    return BenchSet(closed, open_set, read_review(folder, closed.questions))


def answers_by_file(folder: Path) -> list[tuple[Path, dict[str, ModelAnswer]]]:
    """Every file of answers that is not empty."""
    files = sorted((folder / ANSWERS).glob("*.jsonl"))
    return [(path, read_answers(path)) for path in files if path.stat().st_size]


def read_models(folder: Path) -> list[ModelResults]:
    """Results of all models of a benchmark.

    Raises:
        PosetalkError: A file cannot be read, or reviews belong to answers that were replaced.
    """
    reviews_by_name = {path.stem: read_reviews(path) for path in sorted((folder / REVIEWS).glob("*.jsonl"))}
    models = []
    for path, answers in answers_by_file(folder):
        reviews = reviews_by_name.pop(path.stem, [])
        for review in reviews:
            if review.question in answers and answers[review.question].id != review.candidate:
                raise PosetalkError(
                    f"{folder / REVIEWS / path.name} is of answers that were replaced since; judge again"
                )
        models.append(ModelResults(next(iter(answers.values())).model, answers, reviews))
    return models + [ModelResults(name, {}, reviews) for name, reviews in reviews_by_name.items()]
