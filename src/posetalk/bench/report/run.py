"""Report on all models of a benchmark."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from posetalk.bench.folder import read_benchmark, read_models
from posetalk.bench.report.page import write_page
from posetalk.bench.report.report import BenchReport, make_report


def report_benchmark(folder: str | Path, images: str | Path | None = None) -> tuple[BenchReport, list[str]]:
    """Report on all models of a benchmark, into report.json and report.html.

    Where a person confirmed keys, the closed questions are those; else all but those whose key was struck. Questions
    that no model answered are left out. Of the others a missing answer counts as wrong.

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
    questions = benchmark.review.kept(benchmark.closed.questions)
    keys = benchmark.review.sentences(benchmark.closed.questions)
    notes = [*keys]
    closed = [question for question in questions if any(question.id in model.answers for model in models)]
    if closed and len(closed) < len(questions):
        notes.append(
            f"{len(questions) - len(closed):,} of {len(questions):,} questions were answered by no model and are left "
            "out"
        )
    solved = {question.id: benchmark.closed.solved[question.id] for question in closed}
    report = replace(make_report(models, closed, solved, benchmark.open_set), keys="; ".join(keys))
    report.save(folder)
    page = folder / "report.html"
    images = Path(images) if images is not None else None
    notes += write_page(report, page, models, closed, benchmark.open_set, images)
    return report, notes
