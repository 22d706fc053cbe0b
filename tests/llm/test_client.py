"""What servers do that a client must not fall for: redirects, bodies without end, odd limits, odd words."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.llm.server import Act, Body, Server, asked, echo, error, running, said
from tests.llm.test_runner import accept, jobs, make, outcomes, settings

from posetalk.errors import PosetalkError
from posetalk.llm.answer import Completion, RequestError
from posetalk.llm.client import Client, ServerSettings, request_key
from posetalk.llm.ledger import Ledger
from posetalk.llm.pricing import Price, estimate
from posetalk.llm.rate_limits import RateLimiter
from posetalk.llm.request import ChatRequest
from posetalk.llm.runner import generate

SECRET = "sk-very-secret-0123456789"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as found:
        yield found


def ask(
    server: Server, job: ChatRequest | None = None, times: int = 1, **more: Any
) -> list[Completion | RequestError]:
    """What one client gets for a job, asked so often."""

    async def run() -> list[Completion | RequestError]:
        client, found = Client(settings(server, **more)), list[Completion | RequestError]()
        try:
            for _ in range(times):
                after = found[-1] if found and isinstance(found[-1], RequestError) else None
                try:
                    found.append(await client.send(job or make(0), after))
                except RequestError as trouble:
                    found.append(trouble)
        finally:
            await client.close()
        return found

    return asyncio.run(run())


# Redirects.


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_key_goes_to_no_other_address(
    status: int, host: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with running(echo) as other:
        to = f"{other.url.replace('127.0.0.1', host)}/chat/completions?key={SECRET}"
        away = lambda *_: Act(b"", status, {"Location": to})  # noqa: E731
        with running(away) as server, pytest.raises(PosetalkError) as told:
            generate(jobs(9), ledger, settings(server, concurrency=1), accept)
        assert not other.seen and not other.tokens
    sentence = str(told.value)
    assert "the key goes to no address but the one that is given" in sentence
    assert f"sends all requests on to {to.split('?')[0]} ({status})" in sentence and SECRET not in sentence


@pytest.mark.parametrize("location", ["/v2/chat/completions", "", "http://[", "//evil:99999999/", "\ud800x"])
def test_a_redirect_to_anywhere_is_one_sentence(location: str) -> None:
    act = Act(b"", 307, {"Location": location.encode("utf-8", "replace").decode()})
    with running(lambda *_: act) as server:
        [found] = ask(server)
        assert isinstance(found, RequestError) and found.action == "stop" and len(server.seen) == 1
        assert "sends all requests on to" in found.message


# Bodies that are no answers.

ANSWER = said("x").body
BODIES: dict[str, tuple[Act, str]] = {
    "endless": (Act(b"x" * 65536, endless=True), "more than 8 MB"),
    "endless error": (Act(b"x" * 65536, 500, endless=True), "more than 8 MB"),
    "large": (said("x" * (9 << 20)), "more than 8 MB"),
    "bomb": (Act(gzip.compress(bytes(1 << 28), 9), headers={"Content-Encoding": "gzip"}), "more than 8 MB"),
    "error bomb": (
        Act(gzip.compress(bytes(1 << 28), 9), 503, {"Content-Encoding": "gzip"}),
        "more than 8 MB",
    ),
    "half": (Act(gzip.compress(ANSWER)[:-20], headers={"Content-Encoding": "gzip"}), "packed, and damaged"),
    "not packed": (Act(ANSWER, headers={"Content-Encoding": "gzip"}), "packed, and damaged"),
    "in another way": (Act(b"\x1b\x00", headers={"Content-Encoding": "br"}), "packs its answers"),
    "deep": (Act(b'{"choices": ' + b"[" * 100_000), "is no JSON"),
    "large number": (Act(b'{"choices": ' + b"9" * 10_000 + b"}"), "is no JSON"),
}


@pytest.mark.parametrize("name", BODIES)
def test_no_more_is_read_than_can_be_an_answer(name: str) -> None:
    act, words = BODIES[name]
    with running(lambda *_: act) as server:
        begun = time.monotonic()
        [found] = ask(server)
        assert isinstance(found, RequestError) and words in found.message and time.monotonic() - begun < 4


@pytest.mark.parametrize(("pack", "name"), [(gzip.compress, "gzip"), (zlib.compress, "deflate")])
def test_a_packed_answer_is_read_all_the_same(pack: Callable[[bytes], bytes], name: str) -> None:
    with running(lambda *_: Act(pack(ANSWER), headers={"Content-Encoding": name})) as server:
        [found] = ask(server)
        assert isinstance(found, Completion) and found.reply == "x"


def test_a_server_that_sends_without_end_is_given_up_and_the_others_go_on(ledger: Ledger) -> None:
    def script(body: Body, n: int) -> Act:
        return Act(b"x" * 65536, endless=True) if asked(body) == 1 else echo(body, n)

    with running(script) as server:
        assert generate(jobs(6), ledger, settings(server, max_retries=1), accept).done == 5
    assert "more than 8 MB" in outcomes(6, ledger, settings(server))[1].failure


# Errors that come with 200, and what servers say of keys.

IN_A_200: list[tuple[Any, str, int, str]] = [
    ({"error": {"code": 402, "message": "no credit left"}}, "stop", 402, "no credit left"),
    ({"error": {"code": "402", "message": "no credit left"}}, "stop", 402, "no credit left"),
    ({"error": {"code": 401, "message": "User not found."}}, "stop", 401, "User not found."),
    ({"error": {"code": 403, "message": "your region is shut"}}, "stop", 403, "your region is shut"),
    ({"error": {"code": 404, "message": "no endpoints"}}, "stop", 404, "no endpoints"),
    ({"error": {"code": 429, "message": "slower"}}, "retry", 429, "slower"),
    ({"error": {"code": 502, "message": "upstream is down"}}, "retry", 502, "upstream is down"),
    ({"error": {"code": 400, "message": "too long"}}, "give up", 400, "too long"),
    ({"error": {"code": 402, "message": "no credit left"}, "choices": []}, "stop", 402, "no credit left"),
    ({"error": {"code": 402, "message": "no credit left"}, "choices": None}, "stop", 402, "no credit left"),
    ({"error": {"type": "insufficient_quota", "message": "paid up?"}}, "stop", 402, "paid up?"),
    ({"error": {"type": "overloaded_error", "message": "Overloaded"}, "type": "error"}, "retry", 503, "Overloaded"),
    ([{"error": {"code": 429, "message": "slower", "status": "RESOURCE_EXHAUSTED"}}], "retry", 429, "slower"),
    ({"error": {"status": "RESOURCE_EXHAUSTED", "message": "slower"}}, "retry", 429, "slower"),
    ({"error": "Unexpected endpoint. Returning 200 anyway"}, "retry", 0, "Unexpected endpoint"),
    ({"object": "error", "message": "no such model", "code": 404}, "stop", 404, "no such model"),
    ({"object": "error", "message": "strange", "code": 40303}, "retry", 0, "strange"),
    ({"success": False, "errors": [{"code": 403, "message": "not for you"}]}, "stop", 403, "not for you"),
    ({"detail": "still loading", "status": 503}, "retry", 503, "still loading"),
    ({"choices": [{"error": {"code": 502, "message": "it died"}}]}, "retry", 502, "it died"),
    (
        {
            "choices": [
                {"finish_reason": "error", "message": {"content": "half"}, "error": {"code": 402, "message": "empty"}}
            ]
        },
        "stop", 402, "empty",
    ),
    ({"choices": [{"finish_reason": "error", "message": {"content": "half an"}}]}, "retry", 0, "failed"),
    (
        {
            "choices": [{"finish_reason": "error", "message": {"content": ""}}],
            "error": {"code": 403, "message": "shut"},
        },
        "stop", 403, "shut",
    ),
    ({"error": {"code": True, "message": ["a", {"b": 1}]}}, "retry", 0, "'b': 1"),
    ({"error": {"code": {"code": 402}, "message": None}}, "retry", 0, "402"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "action", "status", "words"), IN_A_200, ids=range(len(IN_A_200)))
def test_an_error_that_comes_as_an_answer_is_one(body: Any, action: str, status: int, words: str) -> None:
    with running(lambda *_: Act(json.dumps(body).encode(), headers={"Retry-After": "7"})) as server:
        [found] = ask(server, structured_output=False)
        assert isinstance(found, RequestError) and (found.action, found.status) == (action, status)
        assert words in found.message and "no chat completion" not in found.message
        assert found.retry_after == (7 if action == "retry" else 0)


@pytest.mark.parametrize(
    "more", [{"error": None}, {"error": {}}, {"error": {"code": 1}}, {"detail": "x"}, {"message": "x"}]
)
def test_what_stands_beside_an_answer_is_no_error(more: Any) -> None:
    body = json.loads(said("x").body) | more
    with running(lambda *_: Act(json.dumps(body).encode())) as server:
        [found] = ask(server)
        assert isinstance(found, Completion) and found.reply == "x"


def test_no_credit_in_a_200_ends_the_run_and_a_full_queue_does_not(ledger: Ledger) -> None:
    def script(body: Body, n: int) -> Act:
        busy = {"error": {"code": 429, "message": "slower"}}
        return Act(json.dumps(busy).encode()) if n == 0 else echo(body, n)

    with running(script) as server:
        assert generate(jobs(5), ledger, settings(server), accept).done == 5
    empty = {"error": {"code": 402, "message": "no credit left"}}
    with running(lambda *_: Act(json.dumps(empty).encode())) as server:
        with pytest.raises(PosetalkError, match=r"wants to be paid first \(402: no credit left\)"):
            generate(jobs(9), ledger, settings(server, concurrency=1), accept)
        assert len(server.seen) == 1


KEY_WORDS: list[tuple[str, str]] = [
    ("your country is not supported", "it says: your country is not supported"),
    (f"key {SECRET} may not do this", "it says: key *** may not do this"),
    (f"Bearer={SECRET}, no", "it says: *** no"),
    ("Incorrect key: sk-ve***************6789. See x", "it says: Incorrect key: *** See x"),
    ("Incorrect key: sk-v...6789. See x", "it says: Incorrect key: *** See x"),
    (f"it begins with {SECRET[:12]}", "it says: it begins with ***"),
    (f"it ends in {SECRET[-9:]}", "it says: it ends in ***"),
    ("an \x1b[2Jescape", "it says: an \\x1b[2Jescape"),
    (SECRET, "may use m"),
    ("long " * 200, "long"),
]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("in_a_200", [False, True])
@pytest.mark.parametrize(("words", "end"), KEY_WORDS, ids=range(len(KEY_WORDS)))
def test_why_a_key_is_refused_is_said_and_the_key_is_not(
    words: str, end: str, in_a_200: bool, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    body = {"error": {"message": words, "code": status}}
    with running(lambda *_: Act(json.dumps(body).encode(), 200 if in_a_200 else status)) as server:
        [found] = ask(server)
        assert isinstance(found, RequestError) and found.action == "stop" and found.message.endswith(end)
        assert f"refuses the key ({status}); set OPENAI_API_KEY" in found.message and len(found.message) < 500
        assert not any(SECRET[at : at + 8] in found.message for at in range(len(SECRET) - 7))


# Limits by another name, schemas that are not understood.

OLD, NEW = "max_tokens", "max_completion_tokens"
REFUSALS = [
    (OLD, {"error": {"message": f"Unsupported parameter: '{OLD}' is not supported with this model. Use '{NEW}'."}}),
    (OLD, {"error": {"message": f"Unsupported parameter: {OLD}", "code": "unsupported_parameter"}}),
    (OLD, {"detail": [{"loc": ["body", OLD], "msg": "Extra inputs are not permitted"}]}),
    (OLD, {"message": f"unknown field {OLD}"}),
]  # fmt: skip


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(("name", "body"), REFUSALS, ids=range(len(REFUSALS)))
def test_the_name_of_the_limit_is_the_servers(status: int, name: str, body: Any, ledger: Ledger) -> None:
    def script(given: Body, n: int) -> Act:
        return Act(json.dumps(body).encode(), status) if name in given else echo(given, n)

    with running(script) as server:
        assert generate(jobs(9), ledger, settings(server, concurrency=1), accept).done == 9
        assert sum(name in given for given in server.seen) == 1  # and is remembered
        assert generate(jobs(40), ledger, settings(server, concurrency=12), accept).done == 40  # all at once
        assert all((OLD in given) != (NEW in given) for given in server.seen)
        assert all("response_format" in given for given in server.seen)  # nothing else was blamed


def test_openai_as_it_was_named_by_others(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server at OpenAI's address that knows the older name alone."""
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)

    def script(given: Body, n: int) -> Act:
        return error(400, f"Unknown parameter: {NEW}") if NEW in given else echo(given, n)

    with running(script) as server:
        monkeypatch.setattr("posetalk.llm.client.OPENAI", server.url)
        assert generate(jobs(3), ledger, settings(server, concurrency=1), accept).done == 3
        assert [NEW in given for given in server.seen] == [True, False, False, False]


def test_a_limit_that_is_too_large_is_said_and_not_renamed() -> None:
    with running(lambda *_: error(400, "max_tokens must be at most 64")) as server:
        [found] = ask(server, structured_output=False)
        assert isinstance(found, RequestError) and "at most 64" in found.message and len(server.seen) == 1


def test_a_server_that_refuses_both_gets_neither(ledger: Ledger) -> None:
    def script(given: Body, n: int) -> Act:
        if OLD in given:
            return error(400, f"use {NEW}")
        return error(422, "no response_format") if "response_format" in given else echo(given, n)

    with running(script) as server:
        assert generate(jobs(9), ledger, settings(server, concurrency=1), accept).done == 9
        assert len(server.seen) == 9 + 2


@pytest.mark.parametrize("status", [500, 501])
def test_a_server_that_falls_over_a_schema_is_asked_without(status: int, ledger: Ledger) -> None:
    def script(body: Body, n: int) -> Act:
        return error(status, "grammar") if "response_format" in body else echo(body, n)

    with running(script) as server:
        report = generate(jobs(30), ledger, settings(server, concurrency=1, max_retries=1), accept)
        assert report.done == 30
        assert sum("response_format" in body for body in server.seen) <= 4


def test_a_server_that_was_ill_once_keeps_its_schema(ledger: Ledger) -> None:
    with running(lambda body, n: error(500) if not asked(body) and n == 0 else echo(body, n)) as server:
        assert generate(jobs(9), ledger, settings(server, concurrency=1), accept).done == 9
        assert sum("response_format" not in body for body in server.seen) <= 1


def test_the_limit_of_an_answer_can_be_set(ledger: Ledger) -> None:
    with running(echo) as server:
        given = settings(server, max_tokens=9000)
        generate(jobs(2), ledger, given, accept)
        assert [body["max_tokens"] for body in server.seen] == [9000, 9000]
    plain = given.model_copy(update={"max_tokens": None})
    assert request_key(make(0), given) != request_key(make(0), plain)
    assert request_key(make(0, max_tokens=9000), plain) == request_key(make(0), given)
    price = Price(0, 1e6)
    assert estimate(jobs(2), given, price).tokens_out == 18_000
    assert RateLimiter(given.model_copy(update={"max_cost_usd": 8_999}), price, 0.0).wait(make(0)) is None
    assert RateLimiter(given.model_copy(update={"max_cost_usd": 9_000}), price, 0.0).wait(make(0)) == 0


def test_a_model_that_thinks_is_read_like_any_other(ledger: Ledger) -> None:
    def script(body: Body, n: int) -> Act:
        match asked(body) % 4:
            case 0:
                return said("<think>bad?</think>\n\nfine")
            case 1:
                return said([{"type": "thinking", "thinking": "bad?"}, {"type": "text", "text": "fine"}])
            case 2:
                return said("fine<|im_end|>\n<|im_start|>user\nbad?")
            case _:
                return said("<think>bad", "length") if len(body["messages"]) == 2 else said("fine")

    with running(script) as server:
        assert generate(jobs(8), ledger, settings(server), accept).done == 8
        assert {outcome.reply for outcome in outcomes(8, ledger, settings(server))} == {"fine"}
    assert b"bad?" not in (ledger.path.with_name("ledger.sqlite-wal")).read_bytes()


# Words.

HALF = b'{"error": {"message": "half a \\ud800 pair [/red] [bold"}}'


@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_half_characters_and_marks_of_layout_in_errors(status: int, ledger: Ledger) -> None:
    with running(lambda body, n: Act(HALF, status) if asked(body) == 3 else echo(body, n)) as server:
        given = settings(server, max_retries=0, structured_output=False)
        if status in (401, 404):
            with pytest.raises(PosetalkError):
                generate(jobs(9), ledger, given, accept)
            return
        report = generate(jobs(9), ledger, given, accept)
        assert report.done == 8
        assert outcomes(9, ledger, given)[3].failure.endswith("half a ? pair [/red] [bold")


def test_marks_of_layout_in_what_is_counted(ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="posetalk")
    with running(lambda body, n: said("x")) as server:
        given = ServerSettings(model="m[/red]", base_url=server.url, max_cost_usd=0.0)
        report = generate(jobs(3), ledger, given, accept, Price(1.0, 1.0))
        assert report.stopped and not server.seen
    ledger.notes.append("the row of [/red] is odd")
    with running(echo) as server:
        generate(jobs(3), ledger, settings(server), accept)
    assert "the row of [/red] is odd" in caplog.messages


@pytest.mark.parametrize("body", [b'"\\ud800"', b"[" * 50_000, b'{"error": {"message": ' + b'{"a":' * 900])
def test_errors_that_are_hardly_words(body: bytes) -> None:
    with running(lambda *_: Act(body, 500)) as server:
        [found] = ask(server, max_retries=0)
        assert isinstance(found, RequestError) and len(found.message) < 400
        found.message.encode()


# Being left alone.


@pytest.mark.parametrize(
    ("said_to_wait", "seconds"),
    [
        ("3600", 3600),
        ("3601", 3600),
        ("1e9", 3600),
        ("Fri, 01 Jan 2999 00:00:00 GMT", 3600),
        ("Fri, 01 Jan 99999999999999999999 00:00:00 GMT", 0),
        ("-5", 0),
        ("nan", 0),
        ("inf", 0),
        ("soon", 0),
        ("2.5", 2.5),
    ],
)
def test_nobody_waits_longer_than_an_hour(said_to_wait: str, seconds: float) -> None:
    with running(lambda *_: error(429, headers={"Retry-After": said_to_wait})) as server:
        [found] = ask(server)
        assert isinstance(found, RequestError) and found.retry_after == seconds
