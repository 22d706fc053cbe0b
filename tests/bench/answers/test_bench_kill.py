"""Killed at work, or stopped by Ctrl-C, `bench answer` and `bench judge` end like a run left alone, and pay once."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.bench.desk import PICTURES, bench, scored, spoken
from tests.llm.server import Act, Body, Server, running, said

from posetalk.cli import main

ALL = 6 * PICTURES  # open and closed questions, and as many reviews of the open ones in both orders
AT_ONCE = 2
# The requests of a run at which it is struck.
AT = ((signal.SIGKILL, 11), (signal.SIGINT, 9))


def answers(body: Body, _: int) -> Act:
    return said(f"m says of {body['messages'][0]['content'][1]['text']}", delay=0.01)


def judges(body: Body, _: int) -> Act:
    found = scored(body, 8, 4)
    return type(found)(found.body, delay=0.01)


def run(words: Sequence[str]) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(words))
    return int(str(end.value.code))


def kept(folder: Path) -> int:
    """Answers in the ledger."""
    sql = sqlite3.connect(folder / "ledger.sqlite")
    try:
        return int(sql.execute("SELECT count(*) FROM requests WHERE state = 'answered'").fetchone()[0])
    finally:
        sql.close()


def settle(server: Server) -> None:
    """Wait until what a dead process has sent is answered, and so counted."""
    seen = -1
    while server.now or len(server.seen) != seen:
        seen = len(server.seen)
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("what", "script", "file"),
    [("answer", answers, "answers/m.jsonl"), ("judge", judges, "reviews/m.jsonl")],
)
def test_struck_at_work_it_goes_on_and_pays_once(
    tmp_path: Path, what: str, script: Callable[[Body, int], Act], file: str
) -> None:
    spoken(bench(tmp_path / "one"))
    if what == "answer":
        shutil.rmtree(tmp_path / "one/bench/answers")
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    left: dict[str, int] = {}

    def struck(body: Body, came: int) -> Act:
        if left:
            left["requests"] -= 1
            if left["requests"] == 0:
                os.kill(left["process"], left["signal"])
        return script(body, came)

    def words(folder: Path, url: str) -> list[str]:
        found = ["bench", what, str(folder / "bench"), "--model", "m", "--base-url", url]
        return [
            *found,
            "--concurrency",
            str(AT_ONCE),
            *(["--images", str(folder / "photos")] * (what == "answer")),
        ]

    with running(script) as server:
        assert run(words(tmp_path / "one", server.url)) == 0
        assert server.paid.total() == ALL
    whole = (tmp_path / "one/bench" / file).read_text()
    assert whole.count("\n") == ALL
    folder, lost, before = tmp_path / "other", 0, 0
    with running(struck) as server:
        for sign, requests in AT:
            process = subprocess.Popen(
                [sys.executable, "-m", "posetalk", *words(folder, server.url)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            left.update(requests=requests, process=process.pid, signal=sign)
            _, told = process.communicate(timeout=90)
            left.clear()
            settle(server)
            if sign == signal.SIGINT:  # what is on its way is waited for
                assert process.returncode == 130 and "the same command goes on from there" in told
                assert kept(folder / "bench") - before == server.paid.total() - lost - before
            else:
                assert process.returncode == -sign
                assert before < kept(folder / "bench") < ALL
            in_flight = server.paid.total() - lost - kept(folder / "bench")
            assert 0 <= in_flight <= 2 * AT_ONCE
            lost, before = lost + in_flight, kept(folder / "bench")
        assert before < ALL  # struck at work, each time
        assert run(words(folder, server.url)) == 0
        assert (folder / "bench" / file).read_text() == whole
        # what was kept was never asked for again
        assert server.paid.total() == ALL + lost and len(server.paid) == ALL
        assert run(words(folder, server.url)) == 0 and server.paid.total() == ALL + lost
