"""The page opens offline, shows what it should, and nothing of a model's words is taken for HTML."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image
from tests.bench.answers.test_review import open_questions, review
from tests.bench.people import question

from posetalk.bench.answers.review import ModelAnswer
from posetalk.bench.report.page import write_page
from posetalk.bench.report.report import ModelResults, make_report
from posetalk.errors import PosetalkError

EVIL = "<script>alert(1)</script> \"'><img src=x onerror=alert(1)> $title \ud800"
OPEN_TAGS = {"meta", "img", "link", "br"}


class Checked(HTMLParser):
    """Every tag is closed; nothing runs and nothing is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.stack, self.tags = list[str](), list[str]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), name
            assert name != "href"
            if name == "src":
                assert (value or "").startswith("data:image/jpeg;base64,")
        if tag not in OPEN_TAGS:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


def page(tmp_path: Path, photos: bool = True) -> tuple[str, list[str]]:
    images = tmp_path / "photos"
    images.mkdir()
    if photos:
        for name in ("0.jpg", "1.jpg", "q0.jpg"):
            Image.new("RGB", (900, 600), "teal").save(images / name)
        (images / "2.jpg").write_bytes(b"no photo")
    closed = [question(f"q{i}", text=f"{EVIL} {i}") for i in range(4)]
    models = []
    for name in ("<b>one", "two"):
        said = {q.id: ModelAnswer(q.id, "", EVIL, q.id, name) for q in closed}
        said |= {str(q): ModelAnswer(str(q), "", f"{EVIL} {q}", str(q), name) for q in range(9)}
        judged = [replace(review(q, (9, 1 + q)), content=EVIL) for q in range(9)]
        models.append(ModelResults(name, said, judged))
    sets = open_questions(9)
    sets = replace(sets, questions=tuple(replace(q, text=EVIL, reference=EVIL) for q in sets.questions))
    found = make_report(models, closed, {q.id: 0.4 for q in closed}, sets)
    told = write_page(found, tmp_path / "report.html", models, closed, sets, images)
    return (tmp_path / "report.html").read_text(), told


def test_nothing_said_is_html(tmp_path: Path) -> None:
    text, told = page(tmp_path)
    parser = Checked()
    parser.feed(text)
    assert not parser.stack and "script" not in parser.tags and "b" in parser.tags
    assert "&lt;script&gt;" in text and "onerror=alert" in text and "&lt;b&gt;one" in text
    assert not re.search(r"https?://|@import|url\(", text)
    assert "default-src 'none'" in text and "$title" in text.replace("<title>", "")
    assert parser.tags.count("img") >= 2
    assert len(told) == 1 and "2.jpg" in told[0]


def test_best_and_worst_are_shown(tmp_path: Path) -> None:
    text, _ = page(tmp_path, photos=False)
    best, worst = (re.findall(rf'<em class="{look}">(\d) beside', text) for look in ("good", "bad"))
    assert best == ["9", "8", "7"] * 2 and worst == ["1", "2", "3"] * 2
    assert text.count("some wrong answers") == 2 and ">unreadable<" in text
    assert "<img" not in text and "left arm: raised" in text


def test_one_set_alone_is_enough(tmp_path: Path) -> None:
    closed = [question("a"), question("b", "no")]
    model = ModelResults("m", {q.id: ModelAnswer(q.id, "", "yes", q.id, "m") for q in closed})
    write_page(make_report([model], closed), tmp_path / "r.html", [model], closed)
    text = (tmp_path / "r.html").read_text()
    assert "Open answers" not in text and "Questions with one right answer" in text
    (tmp_path / "file").write_text("")
    with pytest.raises(PosetalkError, match="cannot write"):
        write_page(make_report([model], closed), tmp_path / "file" / "r.html")
