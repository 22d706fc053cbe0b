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
    error_text,
    failure_of,
    without_key,
)
from posetalk.llm.client import KEY_VARIABLE, ServerSettings, request_body
from posetalk.llm.ledger import Ledger
from posetalk.llm.pricing import Price
from posetalk.llm.request import ChatRequest
from posetalk.llm.request_state import Accept, PendingRequest, pending_or_outcome
from posetalk.llm.wire import MAX_BYTES

# OpenAI's limits for one file (Batch guide, 2025); vLLM has none.
MAX_FILE_LINES = 50_000
MAX_FILE_BYTES = 200_000_000
ANSWERS_PER_COMMIT = 500


def write_batch(
    requests: Iterable[ChatRequest], ledger: Ledger, settings: ServerSettings, accept: Accept, out: Path
) -> list[Path]:
    """Write what is to be sent next for each request that has no outcome, one line each.

    Called after `read_batch` it writes revisions, and what an earlier batch left without an answer.

    Args:
        requests: All requests of the run.
        ledger: Its key of a request is the line's custom_id.
        settings: The model and how it is asked.
        accept: Judges replies that have no verdict yet.
        out: The file. Where one may not hold all lines, others with -2, -3, ... in their names follow; each takes its
            name when it is whole.

    Returns:
        The files; none where nothing is to be sent.

    Raises:
        PosetalkError: a file cannot be written.
    """
    files: list[Path] = []
    numbers, keys = count(2), set[str]()
    lines = size = 0
    with ExitStack() as open_file:  # the file that is being written, see whole_file
        for request in requests:
            pending = pending_or_outcome(request, ledger, settings, accept)
            if not isinstance(pending, PendingRequest) or pending.key in keys:
                continue
            keys.add(pending.key)
            ledger.set_state([(pending.key, request.id)], "waiting")
            try:
                body = request_body(pending.request, settings, settings.structured_output)
            except PosetalkError as error:  # of the image
                ledger.fail(pending.key, f"cannot be sent: {error}")
                continue
            row = {
                "custom_id": pending.key,
                "method": "POST",
                "url": "/v1/chat/completions",
                "body": body,
            }
            line = json.dumps(row) + "\n"
            if not files or lines == MAX_FILE_LINES or size + len(line) > MAX_FILE_BYTES:
                open_file.close()
                files.append(out.with_name(f"{out.stem}-{next(numbers)}{out.suffix}") if files else out)
                part = open_file.enter_context(whole_file(files[-1]))
                file = open_file.enter_context(part.open("w", encoding="ascii"))
                lines = size = 0
            file.write(line)
            lines, size = lines + 1, size + len(line)
    return files


@dataclass(slots=True)
class BatchReport:
    """What a file of results held, in lines.

    Attributes:
        answered: New in the ledger.
        known: Answered before, in this file or ever; the first answer stays.
        failed: With an error.
        foreign: Of requests that the ledger does not know.
        unreadable: No result at all.
        first: The first error or unreadable line, in words.
        waiting: Requests of the ledger, of this batch or others, that have no answer yet.
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
    """Store the results of a batch in the ledger. They may be in any order.

    Replies are judged later, by `request_state.results`, `generate` or `write_batch`. A line that holds no result is
    counted and raises nothing.

    Args:
        path: OpenAI's output or error file, or vLLM's output.
        ledger: The ledger that the batch was written from.
        price: Of the model, if it is known.

    Raises:
        PosetalkError: the file cannot be read.
    """
    report = BatchReport()
    answers: list[tuple[str, str, Completion, float]] = []
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for number, line in enumerate(_lines(file), 1):
                if line.strip():
                    answer = _answer_of(line, f"line {number}", ledger, price, report)
                    answers += [answer] if answer else []
                if len(answers) == ANSWERS_PER_COMMIT:
                    _store(answers, ledger, report)
        _store(answers, ledger, report)
    except OSError as error:
        raise PosetalkError(f"cannot read {path}: {error.strerror}; is it the batch's output?") from None
    report.waiting = ledger.waiting()
    return report


def _lines(file: TextIO) -> Iterator[str]:
    """Line by line; of a line longer than any answer only the beginning, which is no JSON."""
    while line := file.readline(MAX_BYTES):
        rest = line
        while len(rest) == MAX_BYTES and not rest.endswith("\n"):
            rest = file.readline(MAX_BYTES)
        yield line


def _store(answers: list[tuple[str, str, Completion, float]], ledger: Ledger, report: BatchReport) -> None:
    new = ledger.answer(answers) if answers else 0
    report.answered += new
    report.known += len(answers) - new
    answers.clear()


def _answer_of(
    line: str, where: str, ledger: Ledger, price: Price | None, report: BatchReport
) -> tuple[str, str, Completion, float] | None:
    """The answer in a line; None where there is none, which is counted in `report`."""
    try:
        row = json.loads(line)
        key, response, error = row["custom_id"], row.get("response") or {}, row.get("error")
        status, body = response.get("status_code", 200), response.get("body")
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
        failure = Failure(status or 0, "", error_text(error or body)) if error or status != 200 else None
        if failure := failure or failure_of(body):
            message = without_key(failure.message, os.environ.get(KEY_VARIABLE, "").strip())
            how = failure.status or "with an error"
            raise RequestError("failed in the batch", f"the server answered {how}: {message}")
        answer = completion_of(body)
    except RequestError as failed:
        report.failed += 1
        report.first = report.first or f"{where}: {failed.message}"
        ledger.fail(key, f"{failed.reason}: {failed.message}")
        return None
    dollars = price.of(answer.tokens_in, answer.tokens_out) if price else 0.0
    return key, known.request_id, answer, dollars
