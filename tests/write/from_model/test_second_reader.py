"""A second reader: every sentence is read, what is not supported is struck or asked for again, and nothing twice."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.llm.server import Act, Body, error, running, said
from tests.write.test_run import details_from, ends, rejected, samples

from posetalk.llm.fault import Rejected
from posetalk.llm.request import ChatRequest
from posetalk.write.from_model.second_reader import accept_verdict, sentences_of, verify_request, without

REQUEST = ChatRequest("7-detail", 7, "7.jpg", "detail", ({"role": "user", "content": "x"},), {})
PLAIN = [
    "There is a pond with ducks, which takes up most of what lies behind the lawn.",
    "Next to the pond there are two old oak trees, and the rest of the place is free of things.",
    "Seen from the far end of the lawn, the pond would look smaller again.",
    "The grass is short and green where the pond ends.",
    "Further off, there are hills in the mist, and the sky above them is bright.",
]
FALSE = "A zebra waits at the water, number {}."


def written(*sentences: str) -> Act:
    return said(json.dumps({"answer": " ".join(sentences)}))


def sentence_of(body: Body) -> str:
    return str(body["messages"][1]["content"]).split("The sentence: ")[1].split("\n")[0]


def reading(body: Body) -> Act:
    """A reader that supports what does not speak of zebras."""
    return said(json.dumps({"why": "looked", "supported": "no" if "zebra" in sentence_of(body) else "yes"}))


def script(
    writes: Callable[[Body], Act], reads: Callable[[Body], Act] = reading
) -> Callable[[Body, int], Act]:
    return lambda body, _: reads(body) if body["model"] == "reader" else writes(body)


@pytest.fixture
def asking(words: list[str], tmp_path: Path) -> Callable[..., list[str]]:
    (tmp_path / "how.toml").write_text("retry_delay = 0.01\nmax_retries = 0\nmax_revisions = 1\n")

    def asks(url: str, *more: str) -> list[str]:
        return [
            *words,
            *details_from(url),
            "--max-images",
            "1",
            "--verify",
            "reader",
            "--settings",
            str(tmp_path / "how.toml"),
            *more,
        ]

    return asks


def models(seen: list[Body]) -> Counter[str]:
    return Counter(body["model"] for body in seen)


def test_a_sentence_that_is_not_supported_is_struck(
    asking: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reply = [*PLAIN[:2], FALSE.format(1), *PLAIN[2:]]
    with running(script(lambda _: written(*reply))) as server:
        assert ends(asking(server.url)) == 0
        assert models(server.seen) == {"m": 1, "reader": 6}
        assert {sentence_of(body) for body in server.seen if body["model"] == "reader"} == set(reply)
        (sample,) = samples(tmp_path / "out")
        assert sample.turns[0][1] == " ".join(PLAIN)
        assert "read 6 sentences: 5 supported, 1 not supported" in " ".join(capsys.readouterr().out.split())
        before = (tmp_path / "out" / "samples.jsonl").read_bytes()
        assert ends(asking(server.url)) == 0 and len(server.seen) == 7  # nothing is asked twice
    assert (tmp_path / "out" / "samples.jsonl").read_bytes() == before


def test_a_reply_that_is_mostly_false_is_asked_for_again_with_the_reason(
    asking: Callable[..., list[str]], tmp_path: Path
) -> None:
    bad = [PLAIN[0], *(FALSE.format(i) for i in range(4))]

    def writes(body: Body) -> Act:
        return written(*PLAIN) if "That cannot be used" in str(body["messages"][-1]) else written(*bad)

    with running(script(writes)) as server:
        assert ends(asking(server.url)) == 0
        assert models(server.seen) == {
            "m": 2,
            "reader": 9,
        }  # the sentence that both replies have is read once
        told = next(
            str(b["messages"][-1]["content"]) for b in server.seen if "That cannot" in str(b["messages"][-1])
        )
        assert 'nothing supports "A zebra waits at the water, number 3."' in told
    (sample,) = samples(tmp_path / "out")
    assert sample.turns[0][1] == " ".join(PLAIN)


def test_a_writer_that_never_mends_is_rejected(asking: Callable[..., list[str]], tmp_path: Path) -> None:
    with running(script(lambda _: written(*(FALSE.format(i) for i in range(9))))) as server:
        assert ends(asking(server.url)) == 2
        assert models(server.seen) == {"m": 2, "reader": 9}
    ((_, reasons),) = rejected(tmp_path / "out").items()
    assert reasons == ["unsupported"] * 9


def test_what_the_reader_says_that_cannot_be_read_supports_nothing(
    asking: Callable[..., list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def reads(body: Body) -> Act:
        return said("It depends.") if sentence_of(body) == PLAIN[3] else reading(body)

    with running(script(lambda _: written(*PLAIN), reads)) as server:
        assert ends(asking(server.url)) == 0
        assert models(server.seen) == {"m": 1, "reader": 6}  # and it was asked again once
    assert PLAIN[3] not in samples(tmp_path / "out")[0].turns[0][1]
    assert "1 unreadable" in capsys.readouterr().out


def test_a_reply_that_was_not_read_is_no_sample_until_it_is(
    asking: Callable[..., list[str]], tmp_path: Path
) -> None:
    down = [True]

    def reads(body: Body) -> Act:
        return error(500) if down[0] and sentence_of(body) == PLAIN[2] else reading(body)

    with running(script(lambda _: written(*PLAIN), reads)) as server:
        assert ends(asking(server.url)) == 2
        assert list(rejected(tmp_path / "out").values()) == [["not asked"]]
        down[0] = False
        seen = len(server.seen)
        assert ends(asking(server.url)) == 0
        assert models(server.seen[seen:]) == {"reader": 1}
    assert samples(tmp_path / "out")[0].turns[0][1] == " ".join(PLAIN)


def test_the_limit_of_money_is_of_both_models(asking: Callable[..., list[str]], tmp_path: Path) -> None:
    prices = "[models]\nm = { in = 0, out = 0 }\nreader = { in = 1000, out = 1000 }\n"
    (tmp_path / "prices.toml").write_text(prices)
    used = {"prompt_tokens": 2000, "completion_tokens": 20, "total_tokens": 2020}  # 2.02 dollars a sentence

    def reads(body: Body) -> Act:
        return said(json.dumps({"why": "", "supported": "yes"}), usage=used)

    more = ("--prices", str(tmp_path / "prices.toml"), "--max-cost-usd", "3.5", "--concurrency", "1")
    with running(script(lambda _: written(*PLAIN), reads)) as server:
        assert ends(asking(server.url, *more)) == 2
        assert models(server.seen) == {"m": 1, "reader": 1}
        assert list(rejected(tmp_path / "out").values()) == [["not asked"]]
        assert ends(asking(server.url)) == 0
        assert models(server.seen) == {"m": 1, "reader": 5}


def test_the_reader_may_have_a_server_of_its_own(asking: Callable[..., list[str]], tmp_path: Path) -> None:
    with running(script(lambda _: written(*PLAIN))) as one, running(script(lambda _: error(500))) as two:
        assert ends(asking(one.url, "--verify-base-url", two.url)) == 0
        assert models(one.seen) == {"m": 1} and models(two.seen) == {"reader": 5}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (["--writer", "facts", "--verify", "r"], "choose --writer openai"),
        (["--writer", "batch", "--model", "m", "--verify", "r"], "choose --writer openai"),
        (["--writer", "openai", "--model", "m", "--verify-base-url", "http://x"], "goes with --verify"),
        (
            ["--writer", "openai", "--model", "m", "--verify", "r", "--verify-base-url", "x"],
            "options of --verify",
        ),
    ],
)
def test_options_that_do_not_go_together_are_told(
    words: list[str], more: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends([*words, *more]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("reply", "word"),
    [
        ('{"why": "so", "supported": "yes"}', "yes"),
        ('```json\n{"why": "no \\"yes\\"", "supported": "no"}\n```', "no"),
        ('{"supported": false, "why": ""}', "no"),
        ("<think>yes</think>No, the arm is bent.", "no"),
        ("Supported.", "yes"),
        ("**Not supported**: nobody knows", "no"),
        ('{"supported": "yes"} or {"supported": "no"}', None),
        ("The sentence is supported by the caption.", "yes"),
        ("She sits.\n\nThis sentence is not supported: the sentence is unsupported.", "no"),
        ("The sentence is supported, and the sentence is not supported.", None),
        ("It may be.", None),
        ("", None),
        ("{" * 99_000, None),
        ("nobody knows", None),
    ],
)
def test_a_verdict_is_read_or_refused(reply: str, word: str | None) -> None:
    if word is None:
        with pytest.raises(Rejected):
            accept_verdict(REQUEST, reply)
    else:
        assert accept_verdict(REQUEST, reply)[0][0] == word


SENTENCES = st.lists(
    st.sampled_from(["No.", "He stands.", 'She says "stop." ', "Both arms are raised!", "A dog?"])
)


@given(st.lists(st.tuples(SENTENCES, st.sampled_from([" ", "\n\n"])), min_size=1, max_size=3), st.data())
def test_what_is_struck_is_gone_and_all_else_stays(
    texts: list[tuple[list[str], str]], data: st.DataObject
) -> None:
    turns = tuple((f"Q{i}?", gap.join(text).strip()) for i, (text, gap) in enumerate(texts))
    turns = tuple((question, answer) for question, answer in turns if answer)
    found = sentences_of(turns)
    assert "".join("".join(turns[s.turn][1][s.start : s.end].split()) for s in found) == "".join(
        "".join(answer.split()) for _, answer in turns
    )  # every word is read, once
    struck = data.draw(st.lists(st.sampled_from(found), unique=True)) if found else []
    kept = [s for s in found if s not in struck]
    left = without(turns, struck)
    assert [answer.split() for _, answer in left] == [
        words
        for number, (_, answer) in enumerate(turns)
        if (words := " ".join(answer[s.start : s.end] for s in kept if s.turn == number).split())
    ]
    assert without(turns, []) == turns and without(turns, found) == ()


def test_paragraphs_are_kept_and_a_no_goes_with_its_sentence() -> None:
    turns = (("Q?", "No. He sits on a chair. He waits for it.\n\nA dog lies there. It sleeps all day."),)
    found = sentences_of(turns)
    texts = [turns[0][1][s.start : s.end] for s in found]
    assert texts == ["No. He sits on a chair.", "He waits for it.", "A dog lies there.", "It sleeps all day."]
    left = "No. He sits on a chair.\n\nA dog lies there. It sleeps all day."
    assert without(turns, [found[1]]) == (("Q?", left),)
    assert without(turns, [found[2]])[0][1].endswith("He waits for it.\n\nIt sleeps all day.")


def test_words_of_a_reply_fill_no_field_of_the_prompt() -> None:
    request = verify_request("x", REQUEST, "so: {sentence}", "{context}?", "{question} {context}")
    text = request.messages[1]["content"]
    assert "so: {sentence}" in text and "The question: {context}?" in text and "{question} {context}" in text
