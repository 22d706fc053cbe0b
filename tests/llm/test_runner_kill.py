"""Killed at 25 random moments and resumed each time, a run ends like one that was left alone, and is paid once.

    python -m tests.llm.test_runner_kill ADDRESS FOLDER

is the run that is killed: it forks, so that what is imported is imported once, and kills the child.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.llm.server import Body, asked, echo, error, running, said
from tests.llm.test_runner import accept, jobs, make

from posetalk.llm.client import ServerSettings, request_key
from posetalk.llm.ledger import Ledger
from posetalk.llm.request import ChatRequest
from posetalk.llm.request_state import results
from posetalk.llm.runner import generate
from posetalk.write.samples.sample import Turns

JOBS, KILLS, AT_ONCE = 700, 25, 8


def script(body: Body, came: int) -> Any:
    """Some are not accepted at first, some never, some are sent again after an error, all take a while."""
    number, anew = asked(body), len(body["messages"]) > 2
    if number % 11 == 5 and came == 0:
        return error(500)
    if (number % 7 == 3 and not anew) or number % 50 == 49:
        return said(f"bad {number}", delay=0.03)
    found = echo(body, came)
    return type(found)(found.body, delay=0.02 + 0.03 * (number % 5) / 5)


def given(url: str) -> ServerSettings:
    return ServerSettings(model="m", base_url=url, concurrency=AT_ONCE, retry_delay=0.02, max_revisions=1)


def answered(path: Path) -> list[str]:
    """What is paid and kept."""
    sql = sqlite3.connect(path)
    try:
        return [found for (found,) in sql.execute("SELECT key FROM requests WHERE state = 'answered'")]
    except sqlite3.OperationalError:  # killed before there was a table
        return []
    finally:
        sql.close()


def ended(path: Path, settings: ServerSettings) -> str:
    """What came of all jobs."""
    with Ledger(path) as ledger:
        lines = "\n".join(f"{job.id} {found}" for job, found in results(jobs(JOBS), ledger, settings, accept))
    return f"{lines.count('turns=((')} {hashlib.sha256(lines.encode()).hexdigest()}"


def child(path: Path, settings: ServerSettings, pipe: int) -> None:
    def told(job: ChatRequest, reply: str) -> Turns:
        os.write(pipe, b".")
        return accept(job, reply)

    sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123
    with Ledger(path) as ledger:
        generate(jobs(JOBS), ledger, settings, told)
    os._exit(0)


def answers(url: str) -> Counter[str]:
    """What the server answered, once it has sent all that it was about to."""
    while True:
        with urllib.request.urlopen(url.replace("/v1", "/paid")) as reply:
            found = json.load(reply)
        if not found["now"]:
            return Counter(found["paid"])
        time.sleep(0.02)


def killed(url: str, folder: Path) -> None:
    """Print, as JSON, of each round how it ended, what the server answered in it, and what is then in the ledger."""
    settings, draw, rounds = given(url), random.Random(0), []
    path, before = folder / "ledger.sqlite", Counter[str]()
    generate((), Ledger(folder / "warm.sqlite"), settings, accept)  # imports what is imported late
    for number in range(KILLS + 1):
        judged, pipe = os.pipe()
        if (process := os.fork()) == 0:
            child(path, settings, pipe)
        os.close(pipe)
        if number < KILLS:
            if number % 5:  # the others are killed while they open the ledger, or soon after
                for _ in range(draw.randint(1, 30)):
                    os.read(judged, 1)
            time.sleep(draw.uniform(0.0, 0.1 if number % 5 == 0 else 0.02))
            os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        os.close(judged)
        paid = answers(url)
        new = [request_key(replace(make(0), messages=json.loads(name)), settings) for name in paid - before]
        rounds.append({"status": status, "paid": new, "answered": answered(path)})
        assert len(new) == (paid - before).total()  # none twice in a round
        before = paid
    print(json.dumps({"rounds": rounds, "ended": ended(path, settings)}))


def test_killed_at_25_moments(tmp_path: Path) -> None:
    with running(script) as server:  # undisturbed
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            generate(jobs(JOBS), ledger, given(server.url), accept)
        whole, once = ended(tmp_path / "ledger.sqlite", given(server.url)), server.paid
    assert set(once.values()) == {1} and int(whole.split()[0]) == JOBS - JOBS // 50
    folder = tmp_path / "killed"
    folder.mkdir()
    with running(script) as server:
        command = [sys.executable, "-m", "tests.llm.test_runner_kill", server.url, str(folder)]
        run = subprocess.run(
            command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True
        )
        found, paid = json.loads(run.stdout), server.paid
    rounds = found["rounds"]
    assert [r["status"] for r in rounds] == [signal.SIGKILL] * KILLS + [0]
    assert sum(bool(r["paid"]) for r in rounds) >= KILLS * 4 // 5  # killed at work, not before
    # nothing is lost, and the end is the same
    assert found["ended"] == whole and set(paid) == set(once)
    kept: set[str] = set()
    lost = 0
    for r in rounds:
        assert kept <= set(r["answered"])
        assert not kept & set(r["paid"])  # what was kept is never asked for again
        # what was answered and is not kept was in the hands of the run's workers, one each, when it was killed
        in_flight = set(r["paid"]) - set(r["answered"])
        assert len(in_flight) <= (2 * AT_ONCE if r["status"] else 0)
        lost += len(in_flight)
        kept = set(r["answered"])
    assert len(kept) == len(once) and paid.total() - len(once) == lost


if __name__ == "__main__":
    killed(sys.argv[1], Path(sys.argv[2]))
