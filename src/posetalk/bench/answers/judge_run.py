"""Have a judge score the open answers of a benchmark."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from posetalk.bench.answers.judge import Pair, accept, pairs_of, requests_of, reviews_of
from posetalk.bench.answers.review import write_reviews
from posetalk.bench.folder import REVIEWS, answers_by_file, read_benchmark
from posetalk.bench.questions.openset import OpenSet
from posetalk.errors import PosetalkError
from posetalk.llm.client import ServerSettings
from posetalk.llm.ledger import LEDGER, Ledger
from posetalk.llm.pricing import Price, estimate
from posetalk.llm.request_state import RunReport, results
from posetalk.llm.runner import generate


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
    pairs_by_file = {path: pairs_of(open_set, answers) for path, answers in answers_by_file(folder)}
    return {path: pairs for path, pairs in pairs_by_file.items() if pairs}
