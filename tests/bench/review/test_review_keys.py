"""What a person says of keys: it holds for one key alone, the latest word counts, and reports use what is confirmed."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.bench.desk import PICTURES, bench, spoken
from tests.bench.people import question
from tests.bench.test_bench_cli import run

from posetalk.bench.answers.run import load_questions
from posetalk.bench.folder import read_benchmark
from posetalk.bench.questions.build import ClosedSet
from posetalk.bench.report.run import report_benchmark
from posetalk.bench.review.keys import KEYS, KeyReview, KeyVerdict, apply_review, key_of, read_review
from posetalk.bench.review.page import write_review_page
from posetalk.errors import PosetalkError
from posetalk.types import Box
from posetalk.write.questions.questions import Question

QUESTIONS = [question(f"q{i}", "yes" if i % 2 else "no") for i in range(6)]


def said(folder: Path, verdicts: dict[str, bool], of: list[Question] = QUESTIONS) -> Path:
    """The file that the page gives."""
    rows = [KeyVerdict(q.id, key_of(q), verdicts[q.id]).row() for q in of if q.id in verdicts]
    path = folder / "downloaded.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@settings(max_examples=30)
@given(
    st.lists(
        st.dictionaries(st.sampled_from([q.id for q in QUESTIONS]), st.booleans(), min_size=1), min_size=1
    )
)
def test_a_later_word_replaces_an_earlier_one(files: list[dict[str, bool]]) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        expected: dict[str, bool] = {}
        for verdicts in files:
            apply_review(folder, said(folder, verdicts), QUESTIONS)
            expected |= verdicts
        assert read_review(folder, QUESTIONS) == KeyReview(expected, 0)


@pytest.mark.parametrize(
    "changed",
    [
        {"answer": "no"},
        {"text": "Is it otherwise?"},
        {"choices": ("a", "b", "c", "d"), "answer": "A"},
        {"image": "another.jpg"},
    ],
    ids=str,
)
def test_a_word_does_not_pass_to_a_key_that_is_built_anew(tmp_path: Path, changed: dict[str, object]) -> None:
    apply_review(tmp_path, said(tmp_path, {q.id: True for q in QUESTIONS}), QUESTIONS)
    anew = [*QUESTIONS[:1], replace(QUESTIONS[1], **changed), *QUESTIONS[2:]]  # type: ignore[arg-type]
    review = read_review(tmp_path, anew)
    assert review.outdated == 1 and QUESTIONS[1].id not in review.right
    assert any("built anew" in note for note in review.sentences(anew))


@pytest.mark.parametrize(
    ("verdicts", "kept"),
    [
        ({}, "q0 q1 q2 q3 q4 q5"),
        ({"q1": False}, "q0 q2 q3 q4 q5"),
        ({"q1": True}, "q1"),
        ({"q1": True, "q2": False, "q4": True}, "q1 q4"),
    ],
)
def test_confirmed_keys_are_kept_or_all_that_are_not_struck(verdicts: dict[str, bool], kept: str) -> None:
    assert " ".join(q.id for q in KeyReview(verdicts).kept(QUESTIONS)) == kept
    assert bool(KeyReview(verdicts).sentences(QUESTIONS)) == bool(verdicts)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is empty"),
        ("{\n", "line 1: it cannot be read"),
        ('{"question_id": "q1", "key": "x"}\n', "it has no 'right'"),
        ('{"question_id": "q1", "key": "x", "right": "yes"}\n', "neither true nor false"),
        ('{"question_id": "q1", "key": "x", "right": true}\n', "holds no verdict on a key"),
        ("[1]\n", "line 1: it cannot be read"),
    ],
)
def test_a_file_that_says_nothing_changes_nothing(tmp_path: Path, text: str, fault: str) -> None:
    apply_review(tmp_path, said(tmp_path, {"q1": False}), QUESTIONS)
    before = (tmp_path / KEYS).read_bytes()
    (tmp_path / "wrong.jsonl").write_text(text)
    with pytest.raises(PosetalkError, match=fault):
        apply_review(tmp_path, tmp_path / "wrong.jsonl", QUESTIONS)
    assert (tmp_path / KEYS).read_bytes() == before


def test_reports_and_answers_have_what_was_not_struck(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = bench(tmp_path)
    out, photos = folder / "bench", folder / "photos"
    spoken(folder, "yes")
    closed = list(read_benchmark(out).closed.questions)
    everything, _ = report_benchmark(out)
    assert everything.accuracy["m"].numbers[-1].n == 3 * PICTURES and everything.keys == ""

    verdicts = {q.id: q.answer == "yes" for q in closed[:9]}
    assert run("review", out, "--apply", said(folder, verdicts, closed)) == 0
    assert "a person confirmed 3 and struck 6" in capsys.readouterr().out
    report, notes = report_benchmark(out)
    everybody = report.accuracy["m"].numbers[-1]
    assert (everybody.n, everybody.value) == (3, 1.0)
    assert notes[0] == report.keys and "confirmed 3 and struck 6; 15 that nobody" in report.keys
    assert json.loads((out / "report.json").read_text())["keys"] == report.keys
    assert "Of 24 keys a person confirmed 3" in (out / "report.html").read_text()
    asked, _ = load_questions(out, photos, only="closed")
    assert {q.id for q in asked} == {q.id for q in closed} - {
        name for name, right in verdicts.items() if not right
    }


EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> {{ title }}"


def test_the_page_shows_each_key_beside_its_marked_photo(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (1200, 600), "teal").save(tmp_path / name)
    (tmp_path / "c.jpg").write_bytes(b"no photo")
    marks = (("person 1", Box(10, 20, 30, 40)), ("tennis racket", Box(1, 2, 3, 4)))
    closed = [
        replace(question("q0", "no", EVIL, image="a.jpg"), marks=marks, size=(640, 320)),
        question("q1", "C", EVIL, choices=("w", EVIL, "right one", "z"), image="b.jpg"),
        *(question(f"q{i}", image=name) for i, name in ((2, "c.jpg"), (3, "missing.jpg"))),
    ]
    count, notes = write_review_page(closed, KeyReview({"q1": False}), tmp_path, tmp_path / "review.html")
    text = (tmp_path / "review.html").read_text()
    assert count == 2 and notes[0].startswith("2 questions") and "c.jpg" in notes[1]
    assert text.count("<script>") == 1 and "onerror=alert(1)>" not in text
    assert not re.search(r"https?:|<img|<link", text)
    script = re.findall(r"<script>(.*)</script>", text, re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert re.findall(r'data-id="(\w+)" data-key="(\w+)" data-verdict="(\w*)"', text) == [
        ("q0", key_of(closed[0]), ""),
        ("q1", key_of(closed[1]), "wrong"),
    ]
    keys = [unescape(re.sub("<.*?>", "", item)) for item in re.findall(r'<li class="key">.*?</li>', text)]
    assert keys == ["no", "C right one"]
    views = re.findall(r'viewBox="([\d. ]+)"', text)
    assert views == [
        "0 0 640 320",
        "0 0 1200 600",
    ]  # the labels' own size, which the boxes refer to; else the photo's
    assert 'class="person" x="10.0" y="20.0" width="30.0" height="40.0"' in text
    assert 'class="thing" x="1.0" y="2.0" width="3.0" height="4.0"' in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["{out}"], "give --images FOLDER"),
        (["{out}", "--images", "{photos}", "--apply", "x"], "give --images FOLDER"),
        (["{out}", "--apply", "missing.jsonl"], "cannot read"),
        (["{out}", "--images", "{out}"], "has no photo"),
        (["{out}", "--images", "{photos}", "--limit", "0"], "a limit of 0"),
        (["{photos}", "--images", "{photos}"], "has no benchmark"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = bench(tmp_path)
    places = {"out": folder / "bench", "photos": folder / "photos"}
    assert run("review", *(word.format(**places) for word in words)) == 2
    assert told in " ".join(capsys.readouterr().err.split())


def test_a_limit_draws_the_questions_that_are_asked_with_it(tmp_path: Path) -> None:
    folder = bench(tmp_path)
    out, photos = folder / "bench", folder / "photos"
    assert run("review", out, "--images", photos, "--limit", 5) == 0
    text = (out / "review.html").read_text()
    asked, _ = load_questions(out, photos, only="closed", limit=5)
    assert sorted(re.findall(r'data-id="([\w-]+)" data-key', text)) == sorted(q.id for q in asked)


def test_marks_are_kept_in_the_file(tmp_path: Path) -> None:
    closed = [replace(question("q"), marks=(("person 2", Box(1.5, 2, 3, 4)),), size=(640, 480))]
    ClosedSet(tuple(closed), {"q": 0.5}, ()).save(tmp_path)
    assert list(read_benchmark(tmp_path).closed.questions) == closed
