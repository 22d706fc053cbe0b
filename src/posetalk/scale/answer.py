"""`posetalk bench answer` over shards of questions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from posetalk.atomic_files import write_text
from posetalk.bench.answers.answer import (
    BATCH_SIZE,
    AnswerCounts,
    AnswerFunction,
    AskedQuestion,
    Only,
    answer_by_server,
    answer_here,
    file_of,
    known_answers,
    pending_questions,
)
from posetalk.bench.answers.review import read_answers, write_answers
from posetalk.bench.answers.run import lazy_model, load_questions, local_model_name, model_folder
from posetalk.inputs import absolute_model
from posetalk.llm.client import ServerSettings
from posetalk.llm.ledger import LEDGER, Ledger
from posetalk.llm.pricing import Price
from posetalk.llm.request_state import RunReport
from posetalk.lock import only_run
from posetalk.messages import track
from posetalk.model.fingerprint import model_of
from posetalk.scale.cluster import Cluster
from posetalk.scale.ledgers import add_report, join_ledgers, share
from posetalk.scale.shards import cut, remove_from, shard_folders
from posetalk.settings import Dtype
from posetalk.write.questions.lines import plain

QUESTIONS, ANSWERS = "questions.jsonl", "answers.jsonl"


def answer_shards(
    cluster: Cluster,
    folder: str | Path,
    images: str | Path,
    model: str | Path,
    *,
    shard_size: int,
    name: str | None = None,
    server: ServerSettings | None = None,
    price: Price | None = None,
    only: Only | None = None,
    limit: int | None = None,
    batch_size: int = BATCH_SIZE,
    device: str | None = None,
    dtype: Dtype | None = None,
) -> AnswerCounts:
    """Have many workers answer the questions of a benchmark, as `answer_benchmark` does on one machine; see there.

    The shards lie beside the answers, in answers/MODEL.run, and are removed when their answers are joined. A limit on
    cost is that of the whole run, of which each shard gets its share.

    Args:
        cluster: Whose workers do it. They see the benchmark and the images by the same paths.
        folder: Folder of the benchmark.
        images: As of `answer_benchmark`, like all others.
        model: As of `answer_benchmark`.
        shard_size: The number of questions of a shard.

    Raises:
        PosetalkError: As `answer_benchmark`, or as `Cluster.each`.
    """
    folder = Path(folder).absolute()
    questions, notes = load_questions(folder, Path(images).resolve(), only=only, limit=limit)
    work: Callable[..., AnswerCounts]
    given: tuple[Any, ...]
    if server is None:
        local = absolute_model(str(model))
        report_name, weights = plain(name or local_model_name(model)), model_of(model_folder(model))
        served, work = "", _answer_here
        given = (report_name, local, weights, batch_size, device, dtype)
    else:
        report_name, weights = plain(name or str(model)), ""
        served, work, given = str(model), _ask, ()
    file = file_of(folder, report_name)
    out = file.with_suffix(".run")
    with only_run(file):
        known = known_answers(file, report_name, questions, weights, served)
        pending = pending_questions(questions, known)
        counts = AnswerCounts(known=len(questions) - len(pending), model=report_name, skipped=notes)
        count = cut(out, pending, shard_size, _write_questions)
        if server is not None:
            counts.run_report = RunReport()
            _, totals = join_ledgers(out, folder / LEDGER)
            server = server.model_copy(update={"model": served})
            if server.max_cost_usd is not None:
                left = max(0.0, server.max_cost_usd - totals.dollars) / max(1, count)
                server = server.model_copy(update={"max_cost_usd": left})
            given = (report_name, share(server, cluster.size()), price, folder / LEDGER)
        remove_from(out, count)
        for done in track(cluster.each(work, shard_folders(out, count), *given), "shards", count):
            counts.skipped += done.value.skipped
            if counts.run_report is not None and done.value.run_report is not None:
                add_report(counts.run_report, done.value.run_report)
        if counts.run_report is not None:
            _, counts.run_report.totals = join_ledgers(out, folder / LEDGER)
        for shard in shard_folders(out, count):
            answers = read_answers(shard / ANSWERS) if (shard / ANSWERS).exists() else {}
            counts.new += len(answers.keys() - known.keys())
            known |= answers
        if known:
            write_answers(known.values(), file)
        shutil.rmtree(out, ignore_errors=True)
    return counts


def _answer_here(
    shard: Path, name: str, model: str, weights: str, batch_size: int, device: str | None, dtype: Dtype | None
) -> AnswerCounts:
    with only_run(shard):
        return answer_here(
            list(_questions(shard)),
            _model(model, device, dtype),
            shard / ANSWERS,
            name,
            weights=weights,
            batch_size=batch_size,
        )


def _ask(shard: Path, name: str, server: ServerSettings, price: Price | None, known: Path) -> AnswerCounts:
    with only_run(shard), Ledger(shard / LEDGER, known=known) as ledger:
        counts, report = answer_by_server(
            list(_questions(shard)), ledger, server, shard / ANSWERS, name, price
        )
    counts.run_report = report
    return counts


@lru_cache(maxsize=1)
def _model(model: str, device: str | None, dtype: Dtype | None) -> AnswerFunction:
    """The model of this process, loaded once."""
    return lazy_model(model, device, dtype)


def _questions(shard: Path) -> Iterator[AskedQuestion]:
    for line in (shard / QUESTIONS).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield AskedQuestion(row["id"], Path(row["image"]), row["prompt"], row["max_tokens"])


def _write_questions(shard: Path, questions: list[AskedQuestion]) -> None:
    rows = [
        {"id": q.id, "image": str(q.image), "prompt": q.prompt, "max_tokens": q.max_tokens} for q in questions
    ]
    write_text(shard / QUESTIONS, "".join(json.dumps(row) + "\n" for row in rows))
