"""Requests as files for OpenAI's Batch and `vllm run-batch`, and their results into the same ledger."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TextIO

from posetalk.atomic_files import whole_file
from posetalk.errors import PosetalkError
from posetalk.llm.answer import (
    Completion,
    Failure,
    RequestError,
    completion_of,
    failure_of,
    without_key,
    words_of,
)
from posetalk.llm.client import KEY, ServerSettings, body
from posetalk.llm.ledger import Ledger
from posetalk.llm.pricing import Price
from posetalk.llm.request import ChatRequest
from posetalk.llm.request_state import Accept, PendingRequest, walk
from posetalk.llm.wire import MOST

# OpenAI's limits for one file (Batch guide, 2025); vLLM has none.
MOST_LINES = 50_000
MOST_BYTES = 200_000_000
AT_ONCE = 500  # lines that go into the ledger in one commit


def write_batch(
    jobs: Iterable[ChatRequest], ledger: Ledger, settings: ServerSettings, accept: Accept, out: Path
) -> list[Path]:
    """Write what is to be asked next of each job that is not settled, a line each; returns the files.

    They are `out` and, where one may not hold it all, `out` with -2, -3, ... in its name; each takes its name when it
    is whole. No file is written where nothing is to be asked. A custom_id is the ledger's key. Called after read_batch
    it writes what is asked anew, and what an earlier batch left without an answer. Errors: a file that cannot be
    written.
    """
    files: list[Path] = []
    numbers, keys = count(2), set[str]()
    lines = size = 0
    with ExitStack() as last:  # the file that is being written, see whole_file
        for job in jobs:
            found = walk(job, ledger, settings, accept)
            if not isinstance(found, PendingRequest) or found.key in keys:
                continue
            keys.add(found.key)
            line = _line(found, settings)
            if not files or lines == MOST_LINES or size + len(line) > MOST_BYTES:
                last.close()
                files.append(out.with_name(f"{out.stem}-{next(numbers)}{out.suffix}") if files else out)
                file = last.enter_context(
                    last.enter_context(whole_file(files[-1])).open("w", encoding="ascii")
                )
                lines = size = 0
            file.write(line)
            lines, size = lines + 1, size + len(line)
            ledger.mark([(found.key, job.id)], "waiting")
    return files


@dataclass(slots=True)
class BatchReport:
    """What a file of results held, in lines.

    answered: new in the ledger. known: answered before, in this file or ever; the first answer stays. failed: with an
    error. foreign: of requests that the ledger does not know. unreadable: no result at all. first: the first error or
    unreadable line, in words. waiting: requests of the ledger, of this batch or others, that have no answer yet.
    """

    answered: int = 0
    known: int = 0
    failed: int = 0
    foreign: int = 0
    unreadable: int = 0
    first: str = ""
    waiting: int = 0

    def __str__(self) -> str:
        parts = [f"{self.answered:,} new answers"]
        for number, words in (
            (self.known, "known before"),
            (self.failed, "errors"),
            (self.foreign, "of other ledgers"),
            (self.unreadable, "unreadable lines"),
            (self.waiting, "requests still without an answer"),
        ):
            if number:
                parts.append(f"{number:,} {words}")
        return ", ".join(parts) + (f"; {self.first}" if self.first else "")


def read_batch(path: Path, ledger: Ledger, price: Price | None = None) -> BatchReport:
    """Take the results of a batch (OpenAI's output or error file, vLLM's output) into the ledger, in any order.

    They are judged when they are asked for, by request_state.results, generate or write_batch. Errors: a file that
    cannot be read; single lines never are one.
    """
    report = BatchReport()
    found: list[tuple[str, str, Completion, float]] = []
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(_lines(file), 1):
                if line.strip():
                    answer = _read(line, f"line {number}", ledger, price, report)
                    found += [answer] if answer else []
                if len(found) == AT_ONCE:
                    _keep(found, ledger, report)
        _keep(found, ledger, report)
    except OSError as error:
        raise PosetalkError(f"cannot read {path}: {error.strerror}; is it the batch's output?") from None
    report.waiting = ledger.waiting()
    return report


def _lines(file: TextIO) -> Iterator[str]:
    """Line by line; of one that is longer than any answer, the beginning, which is no JSON."""
    while line := file.readline(MOST):
        rest = line
        while len(rest) == MOST and not rest.endswith("\n"):
            rest = file.readline(MOST)
        yield line


def _line(request: PendingRequest, settings: ServerSettings) -> str:
    row = {
        "custom_id": request.key,
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": body(request.job, settings, settings.structured_output),
    }
    return json.dumps(row) + "\n"


def _keep(found: list[tuple[str, str, Completion, float]], ledger: Ledger, report: BatchReport) -> None:
    new = ledger.answer(found) if found else 0
    report.answered += new
    report.known += len(found) - new
    found.clear()


def _read(
    line: str, where: str, ledger: Ledger, price: Price | None, report: BatchReport
) -> tuple[str, str, Completion, float] | None:
    """The answer of a line; None where there is none, which is counted."""
    try:
        row = json.loads(line)
        key, response, error = row["custom_id"], row.get("response") or {}, row.get("error")
        status, inside = response.get("status_code", 200), response.get("body")
        if not isinstance(key, str) or not isinstance(status, int | None):
            raise TypeError
        known = ledger.row(key)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        report.unreadable += 1
        report.first = report.first or f"{where} is no result of a batch"
        return None
    if known is None:
        report.foreign += 1
        return None
    try:
        failure = Failure(status or 0, "", words_of(error or inside)) if error or status != 200 else None
        if failure := failure or failure_of(inside):
            words = without_key(failure.words, os.environ.get(KEY, "").strip())
            how = failure.status or "with an error"
            raise RequestError("failed in the batch", f"the server answered {how}: {words}")
        answer = completion_of(inside)
    except RequestError as trouble:
        report.failed += 1
        report.first = report.first or f"{where}: {trouble.words}"
        ledger.fail(key, f"{trouble.reason}: {trouble.words}")
        return None
    dollars = price.of(answer.tokens_in, answer.tokens_out) if price else 0.0
    return key, known.job, answer, dollars
