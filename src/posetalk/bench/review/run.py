"""Have a person look at the keys of a benchmark, and keep what was said."""

from __future__ import annotations

from pathlib import Path

from posetalk.bench.folder import read_benchmark
from posetalk.bench.review.keys import apply_review
from posetalk.bench.review.page import write_review_page
from posetalk.errors import PosetalkError
from posetalk.write.questions.questions import stable_hash

PAGE = "review.html"


def make_review_page(
    folder: str | Path, images: str | Path, *, limit: int | None = None
) -> tuple[Path, int, list[str]]:
    """Write review.html, on which a person confirms or strikes the key of each closed question.

    Args:
        folder: Folder of the benchmark.
        images: Folder of the photos.
        limit: Largest number of questions, drawn as `bench answer` draws them; None for all.

    Returns:
        The page, the number of its questions, and sentences on questions that it has not.

    Raises:
        PosetalkError: The folder has no benchmark, no photo can be shown, or the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise PosetalkError(f"a limit of {limit} leaves no question; give at least 1")
    folder = Path(folder)
    benchmark = read_benchmark(folder)
    questions = sorted(benchmark.closed.questions, key=lambda q: stable_hash("limit", q.id))[:limit]
    count, notes = write_review_page(questions, benchmark.review, Path(images), folder / PAGE)
    return folder / PAGE, count, notes


def take_review(folder: str | Path, file: str | Path) -> list[str]:
    """Take the verdicts that the page gave into keys.jsonl; reports then use the confirmed keys.

    Args:
        folder: Folder of the benchmark.
        file: The downloaded file.

    Returns:
        Sentences on what the folder has now.

    Raises:
        PosetalkError: The folder has no benchmark, or the file cannot be read or is of another one.
    """
    return apply_review(Path(folder), Path(file), read_benchmark(folder).closed.questions)
