"""Whatever a server does, each job ends right or with its reason, and what was answered is never asked again."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from tests.llm.server import Body, Server, asked, echo, error, running, said

from posetalk.errors import PosetalkError
from posetalk.llm.answer import RequestError, completion_of, estimate_tokens
from posetalk.llm.client import Client, ServerSettings, request_body, request_key
from posetalk.llm.fault import Fault, Rejected
from posetalk.llm.ledger import Ledger
from posetalk.llm.pricing import Price, estimate, price_of
from posetalk.llm.rate_limits import RateLimiter, Reservation, SlidingWindow
from posetalk.llm.request import ChatRequest
from posetalk.llm.request_state import Outcome, RunReport, results
from posetalk.llm.runner import MAX_FAILURES_IN_A_ROW, generate
from posetalk.write.samples.sample import Turns

SECRET = "sk-very-secret-0123456789"


def make(number: int, max_tokens: int = 64) -> ChatRequest:
    messages = ({"role": "system", "content": "write"}, {"role": "user", "content": f"picture {number}"})
    return ChatRequest(
        f"{number}-detail", number, f"{number}.jpg", "detail", messages, {"type": "object"}, max_tokens
    )


def jobs(number: int, max_tokens: int = 64) -> Iterator[ChatRequest]:
    return (make(i, max_tokens) for i in range(number))


def accept(job: ChatRequest, reply: str) -> Turns:
    """Everything but what is bad."""
    if "bad" in reply:
        raise Rejected((Fault("leak", "it is bad"), Fault("length", "it is long")))
    return (("What is there?", reply),)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as found:
        yield found


def settings(server: Server, **more: Any) -> ServerSettings:
    given = {"model": "m", "base_url": server.url, "retry_delay": 0.01, "timeout": 5.0, "concurrency": 8}
    return ServerSettings(**given | more)


def outcomes(number: int, ledger: Ledger, given: ServerSettings) -> list[Outcome]:
    found = list(results(jobs(number), ledger, given, accept))
    assert [job.id for job, _ in found] == [job.id for job in jobs(number)]
    return [outcome for _, outcome in found]


def test_every_job_is_answered_once_and_never_asked_again(ledger: Ledger) -> None:
    with running(echo) as server:
        given = settings(server)
        report = generate(jobs(40), ledger, given, accept, total=40)
        assert report.done == 40 and not report.rejected and not report.failed and not report.stopped
        assert len(server.seen) == 40 and set(server.paid.values()) == {1}
        assert report.totals == ledger.totals() and report.totals.tokens_out == 40 * 20
        again = generate(jobs(40), ledger, given.model_copy(update={"base_url": server.url + "/"}), accept)
        assert again.done == 40 and len(server.seen) == 40
        for outcome, job in zip(outcomes(40, ledger, given), jobs(40), strict=True):
            assert outcome.turns == (("What is there?", f"on {job.messages[-1]['content']}"),)


def test_what_is_sent_is_what_the_interface_knows(ledger: Ledger) -> None:
    with running(echo) as server:
        generate(jobs(1), ledger, settings(server, temperature=0.5, seed=7), accept)
        form = {"name": "detail", "schema": {"type": "object"}, "strict": True}
        assert server.seen == [
            {
                "model": "m",
                "messages": list(make(0).messages),
                "max_tokens": 64,
                "temperature": 0.5,
                "seed": 7,
                "response_format": {"type": "json_schema", "json_schema": form},
            }
        ]


def test_as_many_are_in_flight_as_allowed_and_no_more(ledger: Ledger) -> None:
    with running(lambda body, _: said("x", delay=0.05)) as server:
        generate(jobs(60), ledger, settings(server, concurrency=12), accept)
        assert server.most == 12


def test_jobs_are_taken_as_there_is_room(ledger: Ledger) -> None:
    ahead = 0

    def counted() -> Iterator[ChatRequest]:
        nonlocal ahead
        for number, job in enumerate(jobs(200)):
            ahead = max(ahead, number - len(server.seen))
            yield job

    with running(echo) as server:
        assert generate(counted(), ledger, settings(server, concurrency=4), accept).done == 200
    assert ahead <= 2 * 4


# A server that is not well. Each: what it does with the first requests for a job, and what is counted.

HOSTILE: dict[str, Any] = {
    "429": lambda n: error(429, headers={"Retry-After": "0.02"}) if n < 2 else None,
    "429 with a date": lambda n: (
        error(429, headers={"Retry-After": formatdate(time.time())}) if n < 1 else None
    ),
    "429 with nonsense": lambda n: error(429, headers={"Retry-After": "soon"}) if n < 1 else None,
    "500": lambda n: error(500) if n < 2 else None,
    "503 in HTML": lambda n: said("", status=503) if n < 1 else None,
    "garbage": lambda n: type(said(""))(b"\xff\x00<html>{") if n < 1 else None,
    "another JSON": lambda n: type(said(""))(b'{"choices": []}') if n < 1 else None,
    "a number": lambda n: type(said(""))(b"17") if n < 1 else None,
    "deep": lambda n: type(said(""))(b"[" * 100_000) if n < 1 else None,
    "half an answer": lambda n: said("x" * 500, cut=300) if n < 2 else None,
    "not even a status": lambda n: said("x", cut=0) if n < 2 else None,
    "nothing, ever": lambda n: said("x", hang=True) if n < 1 else None,
    "a byte now and then": lambda n: said("x", drip=0.1) if n < 1 else None,
    "cut off": lambda n: said("bad, and too lo", "length") if n < 1 else None,
    "refused": lambda n: said(None, refusal="I cannot") if n < 1 else None,
    "filtered": lambda n: said("", "content_filter") if n < 1 else None,
    "bad": lambda n: said("bad") if n < 1 else None,
    "broken characters": lambda n: (
        type(said(""))(b'{"choices": [{"message": {"content": "bad \\ud800"}, "finish_reason": "stop"}]}')
        if n < 1
        else None
    ),
}
ASKED_ANEW = ("cut off", "refused", "filtered", "bad", "broken characters")  # the others are sent again


@pytest.mark.parametrize("name", HOSTILE)
def test_a_server_that_gets_well_is_asked_until_every_job_is_right(name: str, ledger: Ledger) -> None:
    came: dict[int, int] = {}

    def script(body: Body, _: int) -> Any:
        number = asked(body)
        came[number] = came.get(number, -1) + 1
        return HOSTILE[name](came[number]) or echo(body, 0)

    with running(script) as server:
        given = settings(server, timeout=0.3)
        report = generate(jobs(6), ledger, given, accept)
        assert report.done == 6 and not report.rejected and not report.failed
        anew = name in ASKED_ANEW
        replies = [f"on picture {i}" + ", asked anew" * anew for i in range(6)]
        assert [outcome.reply for outcome in outcomes(6, ledger, given)] == replies
        assert report.totals.answers == 6 * (1 + anew)  # all that was paid is in the ledger
        if anew:
            assert "That cannot be used: " in server.seen[-1]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (error(429, "slower"), "too many requests: the server answered 429: slower"),
        (error(500, "oh"), "error 500: the server answered 500: oh"),
        (type(said(""))(b"<html>"), "unusable answer: what the server sent is no JSON"),
        (type(said(""))(b'{"choices": 3}'), "unusable answer: what the server sent is no chat completion"),
        (said("x" * 500, cut=300), "connection cut: the connection was cut"),
        (said("x", hang=True), "timeout: no whole answer in 0.2 s"),
        (said("x", drip=0.05), "timeout: no whole answer in 0.2 s"),
        (error(413, "too long"), "refused with 413: the server answered 413: too long"),
        (said(None, refusal="I will not"), "refused by the model: I will not"),
        (
            said("cut of", "length"),
            Fault("length", "the reply was cut off after 64 tokens, it has to be shorter"),
        ),
        (said("bad"), Fault("leak", "it is bad")),
    ],
    ids=lambda value: value.replace(" ", "-")[:30] if isinstance(value, str) else "",
)
def test_a_job_that_never_comes_right_is_listed_with_its_reason(
    act: Any, words: str | Fault, ledger: Ledger
) -> None:
    with running(lambda body, n: act if asked(body) % 3 == 0 else echo(body, n)) as server:
        given, begun = settings(server, max_retries=2, timeout=0.2), time.monotonic()
        report = generate(jobs(9), ledger, given, accept)
        assert time.monotonic() - begun < 8  # dripping, an answer takes longer
        found = outcomes(9, ledger, given)
        assert report.done == 6 and report.rejected.total() + report.failed.total() == 3
        for number, outcome in enumerate(found):
            if number % 3:
                assert outcome.reply == f"on picture {number}"
            elif isinstance(words, Fault):
                assert outcome.faults[0] == words and not outcome.turns
            else:
                assert outcome.failure == words and not outcome.turns
        tries = [asked(body) for body in server.seen].count(0)
        assert tries == (1 if "413" in str(words) else 3)
    if not isinstance(words, Fault) and "model" not in words:  # not paid: asked again in the next run
        with running(echo) as server:
            assert generate(jobs(9), ledger, settings(server), accept).done == 9
            assert len(server.seen) == 3


def test_all_at_once(ledger: Ledger) -> None:
    """All that a server may do wrong, at random, in one run."""
    acts = [HOSTILE[name] for name in HOSTILE if name not in ASKED_ANEW]

    def script(body: Body, n: int) -> Any:
        act = acts[(asked(body) * 7 + n) % len(acts)](0) if n < 2 else None
        return act or echo(body, n)

    with running(script) as server:
        given = settings(server, concurrency=16, timeout=0.3)
        assert generate(jobs(80), ledger, given, accept).done == 80
        assert [o.reply for o in outcomes(80, ledger, given)] == [f"on picture {i}" for i in range(80)]
        assert ledger.totals().answers == 80


def test_retry_after_is_kept_by_all(ledger: Ledger) -> None:
    def script(body: Body, n: int) -> Any:
        return error(429, headers={"Retry-After": "0.6"}) if not server.seen else echo(body, n)

    with running(script) as server:
        assert generate(jobs(9), ledger, settings(server, concurrency=1), accept).done == 9
        assert server.times[1] - server.times[0] > 0.55


def test_back_off_grows(ledger: Ledger) -> None:
    with running(lambda body, n: error(500) if n < 4 else echo(body, n)) as server:
        assert generate(jobs(1), ledger, settings(server, retry_delay=0.1), accept).done == 1
        gaps = [b - a for a, b in zip(server.times, server.times[1:], strict=False)]
        for number, gap in enumerate(gaps):
            assert 0.05 * 2**number <= gap < 0.1 * 2**number + 0.15


def test_a_server_that_takes_no_schema_is_asked_without(ledger: Ledger) -> None:
    def script(body: Body, n: int) -> Any:
        return error(400, "response_format is unknown") if "response_format" in body else echo(body, n)

    with running(script) as server:
        assert generate(jobs(30), ledger, settings(server, concurrency=2), accept).done == 30
        assert sum("response_format" in body for body in server.seen) <= 2  # those that were first


def test_a_request_that_is_too_long_is_not_taken_for_a_schema_refused(ledger: Ledger) -> None:
    def script(body: Body, n: int) -> Any:
        return error(400, "too long") if asked(body) == 3 else echo(body, n)

    with running(script) as server:
        report = generate(jobs(9), ledger, settings(server, concurrency=1), accept)
        assert report.done == 8 and report.failed == {"refused with 400": 1}
        assert all("response_format" in body for body in server.seen)


def test_two_jobs_with_the_same_words_are_paid_once(ledger: Ledger) -> None:
    with running(lambda body, n: said("x", delay=0.05)) as server:
        twins = [make(1)] * 5
        assert generate(twins, ledger, settings(server), accept).done == 5
        assert len(server.seen) == 1


def test_answers_are_judged_anew_without_being_asked_for(ledger: Ledger) -> None:
    def strict(job: ChatRequest, reply: str) -> Turns:
        raise Rejected((Fault("guess", "all is guessed"),))

    with running(echo) as server:
        given = settings(server, max_revisions=0)
        generate(jobs(5), ledger, given, accept)
        assert all(o.turns for o in outcomes(5, ledger, given))
        ledger.judge_by("other rules")
        assert all(o.faults for _, o in results(jobs(5), ledger, given, strict))
        assert len(server.seen) == 5


# What ends a run.


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (error(401, f"wrong key {SECRET}"), "refuses the key"),
        (error(403, f"not with {SECRET}"), "refuses the key"),
        (error(404, "no such model"), "knows no model 'm' (404: no such model)"),
        (error(402, "no money"), "wants to be paid first (402: no money)"),
        (error(429, "over", "insufficient_quota"), "wants to be paid first (429: over)"),
    ],
    ids=["401", "403", "404", "402", "quota"],
)
def test_what_no_request_can_survive_ends_the_run_and_loses_nothing(
    act: Any, words: str, ledger: Ledger
) -> None:
    with running(lambda body, n: echo(body, n) if asked(body) < 20 else act) as server:
        with pytest.raises(PosetalkError, match=re.escape(words)):
            generate(jobs(500), ledger, settings(server), accept)
        assert len(server.seen) < 60
        assert ledger.totals().answers == sum(server.paid.values()) == 20
        given = settings(server)
        assert [bool(o.turns) for o in outcomes(22, ledger, given)] == [True] * 20 + [False] * 2
        assert outcomes(30, ledger, given)[-1].failure == "not asked yet"


def test_a_server_that_is_not_there_is_said_at_once(ledger: Ledger) -> None:
    with running(echo) as server:
        given = settings(server, retry_delay=10)
    with pytest.raises(PosetalkError, match="cannot reach http://127"):
        generate(jobs(5), ledger, given, accept)


def test_a_server_that_answers_nothing_any_more_ends_the_run(ledger: Ledger) -> None:
    with running(lambda body, n: echo(body, n) if asked(body) < 5 else error(500)) as server:
        with pytest.raises(
            PosetalkError, match=rf"{MAX_FAILURES_IN_A_ROW} requests .* the server answered 500"
        ):
            generate(jobs(500), ledger, settings(server, max_retries=1, concurrency=2), accept)
        assert len(server.seen) < 2 * MAX_FAILURES_IN_A_ROW + 20 and ledger.totals().answers == 5


@pytest.mark.parametrize("where", ["jobs", "accept"])
def test_a_mistake_of_the_callers_is_raised_after_what_is_in_flight_has_come_in(
    where: str, ledger: Ledger
) -> None:
    def broken() -> Iterator[ChatRequest]:
        yield from jobs(6)
        if where == "jobs":
            raise PosetalkError("picture 6 has no size")

    def judge(job: ChatRequest, reply: str) -> Turns:
        if where == "accept" and job.image_id == 0:
            raise ZeroDivisionError
        return accept(job, reply)

    def script(body: Body, n: int) -> Any:
        return said("x", delay=0.3 if asked(body) else 0)

    with running(script) as server:
        with pytest.raises((PosetalkError, ZeroDivisionError)):
            generate(broken(), ledger, settings(server), judge)
        assert ledger.totals().answers == sum(server.paid.values()) >= 4


SCRIPT = """
import sys
from posetalk.llm.runner import generate
from posetalk.llm.ledger import Ledger
from posetalk.llm.client import ServerSettings
from tests.llm.test_runner import accept, jobs
with Ledger(sys.argv[2]) as ledger:
    settings = ServerSettings(model="m", base_url=sys.argv[1], concurrency=4, retry_delay=30)
    report = generate(jobs(400), ledger, settings, accept)
    print(report.stopped)
"""


def start(server: Server, path: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, server.url, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def wait_for(server: Server, requests: int) -> None:
    until = time.monotonic() + 20
    while len(server.seen) < requests and time.monotonic() < until:
        time.sleep(0.01)


def test_the_first_interrupt_lets_what_is_in_flight_come_in(tmp_path: Path) -> None:
    def script(body: Body, n: int) -> Any:
        # one job waits for half a minute before it is sent again; it must not hold the end up
        return error(500) if asked(body) == 1 else said("x", delay=0.4)

    with running(script) as server:
        run = start(server, tmp_path / "ledger.sqlite")
        wait_for(server, 10)
        run.send_signal(signal.SIGINT)
        begun = time.monotonic()
        out, err = run.communicate(timeout=15)
        assert run.returncode == 0 and out == "interrupted\n" and "Traceback" not in err
        assert "answers are waited for" in err and time.monotonic() - begun < 5
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            assert ledger.totals().answers == sum(server.paid.values()) == len(server.seen) - 1
            assert ledger.in_flight == 0  # a clean end


def test_the_second_interrupt_stops_at_once_and_keeps_what_came_in(tmp_path: Path) -> None:
    with running(lambda body, n: said("x", delay=0.01 if asked(body) < 20 else 60)) as server:
        run = start(server, tmp_path / "ledger.sqlite")
        wait_for(server, 24)
        time.sleep(0.2)
        for _ in range(2):
            run.send_signal(signal.SIGINT)
            time.sleep(0.3)
        run.communicate(timeout=10)
        assert run.returncode != 0
        with Ledger(tmp_path / "ledger.sqlite") as ledger:
            assert ledger.totals().answers == 20 and ledger.in_flight == 4


# Limits.


def test_a_window_holds_its_limit_in_any_minute() -> None:
    window, now, spent = SlidingWindow(100), 0.0, []
    for amount in [30, 30, 30, 30, 5, 5, 90, 200, 1, 50, 50]:
        while wait := window.wait(amount, now):
            now += wait
        window.spend(amount, now)
        spent.append((now, amount))
        for start, _ in spent:
            inside = [a for at, a in spent if start <= at < start + SlidingWindow.SECONDS]
            assert sum(inside) <= 100 or inside == [200]  # what is larger than the limit goes alone
    assert now == pytest.approx(300)


def test_a_window_is_corrected_when_the_truth_is_known() -> None:
    window = SlidingWindow(100)
    first = window.spend(90, 0.0)
    assert window.wait(50, 1.0) == 59.0
    window.correct(first, 20)
    assert window.wait(50, 1.0) == 0
    window.spend(50, 1.0)
    assert window.wait(50, 60.5) == 0  # the first is out
    window.correct(first, 99)  # too late to matter
    assert window.wait(50, 60.5) == 0


@pytest.mark.parametrize("limit", [{"requests_per_minute": 30}, {"tokens_per_minute": 30 * 120}])
def test_no_more_is_asked_in_a_minute_than_allowed(
    limit: dict[str, int], ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the client's clock: how long a request is under way is not its doing."""
    sent, most = [], []
    begin = RateLimiter.begin

    def seen(limiter: RateLimiter, request: ChatRequest) -> Reservation:
        reservation = begin(limiter, request)
        now = limiter.clock()
        sent.append(now)
        for window in (limiter.requests, limiter.tokens):
            spent = sum(entry.amount for entry in window._entries if entry.time > now - 1.0)
            most.append(spent - (window.limit or 0))
        return reservation

    monkeypatch.setattr(SlidingWindow, "SECONDS", 1.0)
    monkeypatch.setattr(RateLimiter, "begin", seen)
    with running(echo) as server:
        assert generate(jobs(75), ledger, settings(server, **limit), accept).done == 75
    assert len(sent) == 75 and max(most) <= 0
    assert sent[-1] - sent[0] > 1  # 75 answers of 120 tokens do not fit into two windows
    if "requests_per_minute" in limit:
        assert all(sum(at <= other < at + 0.99 for other in sent) <= 30 for at in sent)


def test_the_money_is_not_overspent_and_the_run_ends_cleanly(ledger: Ledger) -> None:
    price = Price(1000.0, 1000.0)  # 100 + 20 tokens: 0.12 dollars an answer
    with running(echo) as server:
        given = settings(server, max_cost_usd=2.0)
        report = generate(jobs(100), ledger, given, accept, price)
        assert "limit of $2.00" in report.stopped
        # a request is sent only if it would fit, were it to write all of its 64 tokens: 0.164 dollars
        assert 1.8 < ledger.totals().dollars <= 2.0
        assert report.totals.dollars == pytest.approx(ledger.totals().dollars)
        more = generate(jobs(100), ledger, settings(server, max_cost_usd=4.0), accept, price)
        assert 3.8 < more.totals.dollars <= 4.0  # the limit is the ledger's, not a run's
        assert ledger.totals().answers == sum(server.paid.values())
        with pytest.raises(PosetalkError, match="no price of 'm' is known"):
            generate(jobs(1), ledger, given, accept)


def test_a_request_in_flight_is_reckoned_at_its_worst() -> None:
    given = ServerSettings(model="m", base_url="http://a/v1", max_cost_usd=1.0)
    limits, job = RateLimiter(given, Price(0, 1e6 / 100), 0.0), make(0, max_tokens=60)  # 0.6 dollars at most
    assert limits.wait(job) == 0
    slip = limits.begin(job)
    assert limits.wait(job) == 0.05  # it may turn out cheaper
    assert limits.end(slip, completion_of(json.loads(said("x").body))) == pytest.approx(0.2)
    limits.end(limits.begin(job), None)
    assert limits.spent == pytest.approx(0.2) and limits.wait(job) == 0
    limits.end(limits.begin(job), completion_of(json.loads(said("x").body)))
    limits.spent += 0.1
    assert limits.wait(job) is None


def test_estimates(tmp_path: Path) -> None:
    given = ServerSettings(model="gpt-4o")
    told = sum(len(m["content"]) for m in make(1).messages)
    found = estimate(jobs(10), given, Price(2.0, 10.0))
    assert (found.requests, found.tokens_in, found.tokens_out) == (10, 10 * estimate_tokens("x" * told), 640)
    assert found.dollars == pytest.approx((found.tokens_in * 2 + 640 * 10) / 1e6)
    assert "no price is known" in str(estimate(jobs(10), given, None))
    with running(echo) as server, Ledger(tmp_path / "ledger.sqlite") as ledger:
        given = settings(server)
        generate(jobs(4), ledger, given, accept)
        assert estimate(jobs(10), given, None, ledger).requests == 6


def test_prices_are_a_table_that_may_be_edited(tmp_path: Path) -> None:
    assert price_of("gpt-4o") and price_of("no such model") is None
    table = tmp_path / "prices.toml"
    table.write_text(
        '[models]\nmine = { in = 1, out = 2.5 }\nworse = { in = "much" }\nnan = { in = nan, out = 1 }'
    )
    assert price_of("mine", table) == Price(1, 2.5)
    for model in ("worse", "nan"):
        with pytest.raises(PosetalkError, match=f"the price of '{model}' is not"):
            price_of(model, table)
    with pytest.raises(PosetalkError, match="cannot read"):
        price_of("mine", tmp_path / "none.toml")


def test_answers_without_a_count_are_estimated_and_said_to_be(ledger: Ledger) -> None:
    with running(lambda body, n: said("x" * 40, usage={})) as server:
        report = generate(jobs(3), ledger, settings(server), accept)
        assert report.totals.tokens_out == 30 and report.totals.estimated == 3
        assert "estimated for 3 answers" in str(report)


# A reply that was not accepted, and no answer to what was asked then.


@pytest.mark.parametrize(
    ("first", "faults", "reply"),
    [
        (said("bad"), (Fault("leak", "it is bad"), Fault("length", "it is long")), "bad"),
        (
            said("half", "length"),
            (Fault("length", "the reply was cut off after 64 tokens, it has to be shorter"),),
            "half",
        ),
        (said(None, refusal="I cannot"), (Fault("failed", "refused by the model: I cannot"),), "I cannot"),
    ],
)  # fmt: skip
def test_a_reply_without_its_next_one_is_kept(first: Any, faults: Any, reply: str, ledger: Ledger) -> None:
    def script(body: Body, n: int) -> Any:
        return first if len(body["messages"]) == 2 else error(413, "too long")

    with running(script) as server:
        given = settings(server)
        report = generate(jobs(1), ledger, given, accept)
        failure = "refused with 413: the server answered 413: too long"
        assert outcomes(1, ledger, given) == [Outcome(faults=faults, failure=failure, reply=reply)]
        assert report.failed == {"refused with 413": 1} and not report.rejected
    with Ledger(ledger.path.with_name("other.sqlite")) as other:
        other.answer([(request_key(make(0), given), "0-detail", completion_of(json.loads(first.body)), 0.0)])
        assert outcomes(1, other, given) == [Outcome(faults=faults, failure="not asked yet", reply=reply)]


# The key.


def test_the_key_is_in_no_file_log_or_error(tmp_path: Path) -> None:
    """A server that repeats the key in answers and errors, all logs switched on, a traceback."""

    def script(body: Body, n: int) -> Any:
        if asked(body) == 7:
            return error(500, f"you sent {SECRET}" + "." * 280 + SECRET)
        return said(f"{SECRET} is the key") if asked(body) < 12 else error(401, SECRET)

    code = "import logging; logging.basicConfig(level=0)\n" + SCRIPT.replace(
        "retry_delay=30", "retry_delay=0.01, max_retries=1"
    )
    with running(script) as server:
        found = subprocess.run(
            [sys.executable, "-X", "dev", "-c", code, server.url, str(tmp_path / "ledger.sqlite")],
            capture_output=True,
            text=True,
            env=os.environ | {"OPENAI_API_KEY": SECRET, "OPENAI_LOG": "debug", "PYTHONWARNINGS": "default"},
        )
        assert server.tokens[0] == f"Bearer {SECRET}"
    assert "refuses the key (401); set OPENAI_API_KEY" in found.stderr and "DEBUG" in found.stderr
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert sum(b"*** is the key" in content for content in written) == 1
    for content in [*written, found.stdout.encode(), found.stderr.encode()]:
        assert SECRET.encode() not in content and SECRET[:12].encode() not in content


def test_no_key_is_needed_for_a_server_of_ones_own(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with running(echo) as server:
        assert generate(jobs(1), ledger, settings(server), accept).done == 1
        assert server.tokens == ["Bearer none"]
    with pytest.raises(PosetalkError, match="set OPENAI_API_KEY in the environment"):
        generate(jobs(1), ledger, ServerSettings(model="m"), accept)
    monkeypatch.setenv("OPENAI_API_KEY", "schlüssel")
    with pytest.raises(PosetalkError, match="holds characters that no key has"):
        generate(jobs(1), ledger, ServerSettings(model="m"), accept)


@pytest.mark.parametrize("url", ["http://me:secret@host/v1", "http://host/v1?key=secret", "localhost:8000"])
def test_an_address_with_a_password_is_refused(url: str) -> None:
    with pytest.raises(PosetalkError, match="base_url"):
        ServerSettings.check({"model": "m", "base_url": url}, "settings.toml")


def test_the_newer_name_of_the_limit_is_for_openai_alone() -> None:

    ours = request_body(make(1), ServerSettings(model="m", base_url="http://a/v1"), False)
    theirs = request_body(make(1), ServerSettings(model="m"), False)
    assert ours["max_tokens"] == theirs["max_completion_tokens"] == 64
    assert "max_tokens" not in theirs and "max_completion_tokens" not in ours


def test_messages_that_cannot_be_sent_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(echo) as server:

        async def ask() -> None:
            client = Client(settings(server))
            try:
                broken = ({"role": "user", "content": "half a \ud800 pair"},)
                await client.send(ChatRequest("1", 1, "1.jpg", "detail", broken, {}))
            finally:
                await client.close()

        with pytest.raises(RequestError, match="broken characters"):
            asyncio.run(ask())


def test_a_report_reads_well() -> None:
    report = RunReport(done=1200)
    for reason in ("leak", "leak", "length"):
        report.add(Outcome(faults=(Fault(reason, "x"),)))  # type: ignore[arg-type]
    report.add(Outcome(failure="timeout: no whole answer in 3 s"))
    assert str(report) == (
        "1,200 written; 3 rejected (2 leak, 1 length); 1 failed (1 timeout); 0 tokens read, 0 written"
    )


def test_no_log_is_switched_on() -> None:
    assert not logging.getLogger("openai").handlers
