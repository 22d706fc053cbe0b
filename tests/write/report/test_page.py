"""The report is one whole HTML file: nothing fetched, nothing hostile gets through, counts that are right."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import os
import re
import tracemalloc
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.facts.figures import figure as joints

from posetalk.errors import PosetalkError
from posetalk.formats.coco import read_coco
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, Person, PoseImage, frozen_array
from posetalk.write.report.chart import BINS, histogram
from posetalk.write.report.page import write_page
from posetalk.write.samples.sample import KINDS, Sample

COCO = load_skeleton("coco17")
DATA = Path(os.environ.get("POSETALK_DATA", "missing"))
HOSTILE = (
    """<script>alert(1)</script><img src=x onerror=alert(1)> </style>"' & $title ${x} &lt; \u2028 <!-- ]]>"""
)
VOID = {"meta", "input", "br", "img", "link"}


class Reader(HTMLParser):
    """What a browser would make of the page: its tags, which must be closed in order, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.articles: list[dict[str, Any]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag not in VOID:
            self.open.append(tag)
        self.links += [
            value or "" for name, value in attrs if name in ("href", "src", "xlink:href", "action")
        ]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag == "article":
            self.articles.append(
                {"kind": dict(attrs)["data-kind"], "dt": [], "dd": [], "code": [], "tags": []}
            )
        elif "article" in self.open:
            self.articles[-1]["tags"].append(tag)
            if tag in ("dt", "dd", "code"):
                self.articles[-1][tag].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "article" in self.open and self.open[-1] in ("dt", "dd", "code"):
            self.articles[-1][self.open[-1]][-1] += data


def staged(folder: Path, samples: list[Sample]) -> Path:
    path = folder / "samples.jsonl"
    path.write_text("".join(one.line() for one in samples), encoding="utf-8")
    return path


def sample(number: int, kind: Any = "detail", turns: Any = (("What is it?", "This."),)) -> Sample:
    return Sample(f"{number}-{kind}", number, f"{number}.jpg", kind, turns, "facts")


def pose(number: int, folder: Path, flags: float = 2.0) -> PoseImage:
    xy = np.array([joints()[name] for name in COCO.names])
    person = Person(number, Box.around(xy), frozen_array(xy), frozen_array([flags] * len(xy)), 1e4)
    return PoseImage(number, folder / f"{number}.jpg", 600, 500, (person,))


def read(path: Path) -> Reader:
    return Reader(path.read_text(encoding="utf-8"))


def test_counts_and_samples_are_those_of_the_file(tmp_path: Path) -> None:
    """30 of one kind, 6 of another: the browser has 15 of the first and all of the second."""
    samples = [sample(n) for n in range(30)] + [
        sample(n, "conversation", (("Is it so?", "Yes, it is."), ("How is it?", "So."))) for n in range(6)
    ]
    out = tmp_path / "page.html"
    assert write_page(staged(tmp_path, samples), out) == []
    page, text = read(out), out.read_text()
    assert Counter(article["kind"] for article in page.articles) == {"detail": 15, "conversation": 6}
    by_id = {one.id: one for one in samples}
    for article in page.articles:
        [name] = article["code"]
        assert tuple(zip(article["dt"], article["dd"], strict=True)) == by_id[name].turns
    for number, name in (("36", "samples"), ("30", "pictures"), ("42", "questions")):
        assert f"<dd>{number}</dd><dt>{name}</dt>" in text
    assert re.search(r"<span>What is …</span><i></i><b>30</b><em>71.4 %</em>", text)
    assert "No list of rejected answers was given." in text


def test_the_same_seed_draws_the_same_samples(tmp_path: Path) -> None:
    samples = staged(tmp_path, [sample(n, kind) for n in range(100) for kind in KINDS])
    pages = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_page(samples, tmp_path / name, seed=seed, shown=12)
        pages.append((tmp_path / name).read_text())
    assert pages[0] == pages[1] != pages[2]
    assert Counter(a["kind"] for a in Reader(pages[2]).articles) == dict.fromkeys(KINDS, 3)


def test_every_sample_is_as_likely_as_the_others(tmp_path: Path) -> None:
    samples = staged(tmp_path, [sample(n) for n in range(20)])
    drawn: Counter[str] = Counter()
    for seed in range(200):
        write_page(samples, tmp_path / "page.html", seed=seed, shown=16)  # 4 of its kind
        drawn.update(article["code"][0] for article in read(tmp_path / "page.html").articles)
    assert len(drawn) == 20 and all(abs(n - 40) < 6 * 32**0.5 for n in drawn.values())


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(words=st.one_of(st.just(HOSTILE), st.text("<>&\"'$/!-abs {}\u0000\n;#x3", min_size=1, max_size=40)))
def test_no_word_becomes_markup(tmp_path: Path, words: str) -> None:
    name = words.replace("/", "").replace("\0", "")[:20]
    hostile = Sample(name + "1", 1, f"{name}.jpg", "detail", ((words, words),), words)
    refused = {"id": words, "reply": words, "faults": [{"reason": words, "words": words}]}
    (tmp_path / "rejected.jsonl").write_text(json.dumps(refused) + "\n")
    image = pose(1, tmp_path)
    image = PoseImage(1, tmp_path / f"{name}.jpg", 600, 500, image.people)
    plain = tmp_path / "plain.html"
    pages = []
    for one, faults, title in ((hostile, "rejected.jsonl", words), (sample(1), "plain.jsonl", "plain")):
        (tmp_path / "plain.jsonl").write_text(
            json.dumps({"id": "1", "reply": "x", "faults": [{"reason": "leak", "words": "x"}]}) + "\n"
        )
        write_page(staged(tmp_path, [one]), plain, poses=[image], rejected=tmp_path / faults, title=title)
        pages.append(read(plain))
    assert pages[0].tags == pages[1].tags  # the same page in other words
    assert not pages[0].handlers and pages[0].links == pages[1].links
    assert pages[0].articles[0]["dd"] == [words]


def test_nothing_is_fetched_and_only_its_own_script_runs(tmp_path: Path) -> None:
    Image.new("RGB", (600, 500), "teal").save(tmp_path / "1.jpg")
    out = tmp_path / "page.html"
    write_page(staged(tmp_path, [sample(1), sample(2)]), out, poses=[pose(1, tmp_path), pose(2, tmp_path)])
    page, text = read(out), out.read_text()
    assert page.links and all(link.startswith(("data:image/jpeg;base64,", "#")) for link in page.links)
    assert "url(" not in text and "@import" not in text and not re.search(r"https?:", text)
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = html.unescape(text)
    assert "default-src 'none'; img-src data:;" in policy and f"script-src 'sha256-{allowed}'" in policy
    assert page.tags["script"] == 1


def test_a_photo_is_small_and_under_its_skeleton(tmp_path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (1000, 1200, 3), np.uint8)).save(
        tmp_path / "1.jpg"
    )
    out = tmp_path / "page.html"
    write_page(staged(tmp_path, [sample(1)]), out, poses=[pose(1, tmp_path)])
    text = out.read_text()
    [data] = re.findall(r'href="data:image/jpeg;base64,([^"]+)"', text)
    small = Image.open(io.BytesIO(base64.b64decode(data)))
    assert max(small.size) == 480 and small.size[0] / small.size[1] == pytest.approx(1.2)
    assert 'viewBox="0 0 600 500"' in text and 'width="600" height="500"' in text  # the labels' size
    places = {
        (round(float(x)), round(float(y)))
        for x, y in re.findall(r'<circle cx="([\d.-]+)" cy="([\d.-]+)"', text)
    }
    assert places == {(round(x), round(y)) for x, y in (joints()[name] for name in COCO.names)}
    assert text.count('class="box"') == 0


def test_without_a_photo_there_is_a_canvas_with_boxes(tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    (tmp_path / "2.jpg").write_text("no picture")
    told = write_page(
        staged(tmp_path, [sample(1), sample(2), sample(3)]),
        out,
        poses=[pose(1, tmp_path, 1.0), pose(2, tmp_path, 0.0)],
    )
    text = out.read_text()
    assert len(told) == 1 and "2.jpg" in told[0]  # it is there and cannot be read
    assert text.count('class="blank"') == text.count('class="box"') == 2  # and of 3 no labels are known
    assert text.count("(hidden)</title>") == len(COCO.names)  # all of 1; those of 2 are not labelled
    assert len(read(out).articles) == 3


def test_rejections_are_counted_by_reason_with_examples(tmp_path: Path) -> None:
    rejected = tmp_path / "rejected.jsonl"
    faults = [[{"reason": "leak", "words": "speaks of keypoints"}]] * 30
    faults += [[{"reason": "leak", "words": "l"}, {"reason": "length", "words": "two words"}]] * 10
    rejected.write_text(
        "".join(
            json.dumps({"id": f"{n}", "reply": "x" * 5000, "faults": f}) + "\n" for n, f in enumerate(faults)
        )
    )
    out = tmp_path / "page.html"
    write_page(staged(tmp_path, [sample(n) for n in range(60)]), out, rejected=rejected)
    text = out.read_text()
    assert "<dd>40.0 %</dd><dt>of all replies rejected</dt>" in text
    assert "<span>leak</span><i></i><b>40</b><em>100.0 %</em>" in text
    assert "<span>length</span><i></i><b>10</b><em>25.0 %</em>" in text
    assert text.count('class="refusal"') == 8 and "two words" in text and "x" * 1201 not in text
    rejected.write_text("")
    write_page(tmp_path / "samples.jsonl", out, rejected=rejected)
    assert "Nothing was rejected." in out.read_text()


@pytest.mark.parametrize("line", ['{"id": 1}', "[]", "3", '{"id": "1", "faults": [{"reason": "leak"}]}', "{"])
def test_a_bad_list_of_rejections_is_one_sentence(tmp_path: Path, line: str) -> None:
    good = json.dumps({"id": "1", "reply": None, "faults": []})
    (tmp_path / "rejected.jsonl").write_text(f"{good}\n{line}\n")
    with pytest.raises(
        PosetalkError, match=r"rejected\.jsonl, line 2: it is no rejected answer .*write the file again"
    ):
        write_page(
            staged(tmp_path, [sample(1)]), tmp_path / "page.html", rejected=tmp_path / "rejected.jsonl"
        )
    assert not (tmp_path / "page.html").exists()


def test_nothing_to_report_on_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(PosetalkError, match="holds no sample to report on"):
        write_page(staged(tmp_path, []), tmp_path / "page.html")
    with pytest.raises(PosetalkError, match="cannot write"):
        write_page(staged(tmp_path, [sample(1)]), tmp_path / "samples.jsonl" / "page.html")


@given(st.dictionaries(st.integers(0, 3000), st.integers(1, 10**6), min_size=1, max_size=60))
def test_a_histogram_counts_every_answer_once(counts: dict[int, int]) -> None:
    text = histogram("detail", Counter(counts), "--detail")
    found = [int(n.replace(",", "")) for n in re.findall(r": ([\d,]+) answers</title>", text)]
    assert sum(found) == sum(counts.values()) and 1 <= len(found) <= BINS + 2
    tall = [float(h) for h in re.findall(r'height="([\d.]+)"', text)]
    assert max(tall) == 120 and all((h > 0) == (n > 0) for h, n in zip(tall, found, strict=True))


def test_memory_does_not_grow_with_the_samples(tmp_path: Path) -> None:
    lines = "".join(sample(number % 50, turns=(("What?", "word " * 300),)).line() for number in range(500))
    peaks = []
    for times in (1, 10):
        (tmp_path / "samples.jsonl").write_text(lines * times)
        tracemalloc.start()
        write_page(tmp_path / "samples.jsonl", tmp_path / "page.html")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


@pytest.mark.realdata
def test_real_photos_with_their_people(tmp_path: Path) -> None:
    """All 79 photos, with a skeleton for each person that has labels."""
    folder = DATA / "coco_people"
    data = read_coco(folder / "annotations" / "person_keypoints_val2017.json", folder / "val2017")
    samples = [sample(image.id) for image in data.images]
    out = tmp_path / "page.html"
    assert write_page(staged(tmp_path, samples), out, poses=data.images, shown=1000) == []
    text = out.read_text()
    assert text.count('href="data:image/jpeg;base64,') == len(data.images) == 79
    labelled = sum(int(person.labelled.sum()) for _, person in data.people() if not person.is_crowd)
    assert text.count("<circle ") == labelled and len(text) < 50_000 * 79
