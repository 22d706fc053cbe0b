"""A server that answers in each form, right, swapped, off scale or refusing: scores are as counted by hand."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.llm.server import Act, Body, Server, error, running, said
from tests.tune.conftest import tiny_llava

from posetalk.cli import main
from posetalk.errors import PosetalkError
from posetalk.llm.client import ServerSettings
from posetalk.pointer.form import FORMS, PointForm, load_form
from posetalk.pointer.leaderboard import write_leaderboard
from posetalk.pointer.run import evaluate_pointer
from posetalk.pointer.settings import PointerSettings
from posetalk.skeleton import load_skeleton, swap_sides

COCO = load_skeleton("coco17").names
# The person of both photos: a box of 100 x 200 px at (40, 20), both shoulders, both hips, the nose.
BOX = (40.0, 20.0, 100.0, 200.0)
LABELS = {
    "nose": (90.0, 40.0),
    "left shoulder": (120.0, 80.0),
    "right shoulder": (60.0, 80.0),
    "left hip": (110.0, 140.0),
    "right hip": (70.0, 140.0),
}
POINT = {"name": "navel", "x": 1, "y": 1}
SIZE = (224, 280)  # px of both photos, multiples of 28: shown as they are


@pytest.fixture
def labelled(tmp_path: Path) -> tuple[Path, Path]:
    """A label file and its folder of images: two photos with the same person."""
    folder = tmp_path / "images"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in (1, 2):
        pixels = draw.integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    triples = [v for name in COCO for v in ((*LABELS[name], 2) if name in LABELS else (0, 0, 0))]
    x, y, w, h = BOX
    outline = [x, y, x + w, y, x + w, y + h / 2, x, y + h / 2]  # the upper half of the box
    person = {"category_id": 1, "iscrowd": 0, "bbox": BOX, "area": 10_600.0, "keypoints": triples}
    person |= {"num_keypoints": 5, "segmentation": [outline]}
    data = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": SIZE[0], "height": SIZE[1]} for n in (1, 2)],
        "annotations": [{**person, "id": 10 * n, "image_id": n} for n in (1, 2)],
        "categories": [{"id": 1, "name": "person"}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(data))
    return tmp_path / "labels.json", folder


def oracle(form: PointForm, moved: Callable[[str], tuple[float, float] | None] = LABELS.__getitem__) -> Any:
    """A script that answers in a form. moved: where a point is said to be, px of the photo; None leaves it out."""

    def answer(body: Body, _: int) -> Act:
        question = str(body["messages"][0]["content"][1]["text"])
        names = [name for name in LABELS if re.search(rf"(?:- |the |caption: |Point: ){name}\b", question)]
        assert names
        at = {name: xy for name in names if (xy := moved(name)) is not None}
        return said(form.write({name: (x / SIZE[0], y / SIZE[1]) for name, (x, y) in at.items()}, SIZE))

    return answer


def run(labelled: tuple[Path, Path], out: Path, server: Server, form: str, **more: Any) -> dict[str, Any]:
    given = {"form": form, "model": "m", "on_server": True, "annotations": str(labelled[0])}
    settings = PointerSettings(**(given | {"images": str(labelled[1])} | more))
    asked = ServerSettings(model="m", base_url=server.url, retry_delay=0.01, timeout=20)
    evaluate_pointer(settings, out, server=asked)
    found: dict[str, Any] = json.loads((out / "report.json").read_text())
    return found


@pytest.mark.parametrize("form", FORMS)
def test_right_answers_in_each_form_are_right(form: str, labelled: tuple[Path, Path], tmp_path: Path) -> None:
    with running(oracle(load_form(form))) as server:
        found = run(labelled, tmp_path / "out", server, form)
        requests = len(server.seen)
    assert requests == (2 if load_form(form).points_per_request > 5 else 10)
    numbers = found["scores"]["numbers"]
    assert found["outcomes"] == {"found": 10} and (found["people"], found["points"]) == (2, 10)
    assert numbers["mean_oks"] > 0.99  # numbers are rounded to pixels, or thousandths
    assert numbers["PCK@0.1"] == numbers["PCK@0.05"] == numbers["inside_box"] == 1
    assert numbers["inside_outline"] == 0.6  # the hips are below it
    assert numbers["wrong_side"] == 0 and numbers["PCK@0.1_other_names"] is None
    assert found["usage"]["requests"] == requests and found["usage"]["tokens_in"] == 100 * requests
    assert set(found["beside"]) == {"average place", "bundled"} and found["form"] == form


def test_sides_swapped_are_told(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    with running(oracle(load_form("qwen3-vl"), lambda name: LABELS[swap_sides(name)])) as server:
        found = run(labelled, tmp_path / "out", server, "qwen3-vl")["scores"]["numbers"]
    # the nose is right; shoulders are 60 px apart and hips 40, of a box of 200: all four are told apart
    assert found["wrong_side"] == 1 and found["PCK@0.1"] == 0.2 and found["inside_box"] == 1
    variance = (2 * np.array([0.026, 0.079, 0.079, 0.107, 0.107])) ** 2
    distance = np.array([0, 60, 60, 40, 40])
    expected = np.exp(-(distance**2) / variance / 10_600 / 2).mean()
    assert found["mean_oks"] == pytest.approx(expected, abs=0.003)


def test_off_scale_left_out_and_refused_are_counted(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    def moved(name: str) -> tuple[float, float] | None:
        return {"nose": (90.0, 40.0), "left hip": (900.0, 140.0), "right hip": None}.get(name, (125.0, 80.0))

    right, asked = oracle(load_form("json"), moved), itertools.count(1)

    def script(body: Body, before: int) -> Act:
        return said(None, refusal="Not that.") if next(asked) == 2 else right(body, before)

    with running(script) as server:
        found = run(labelled, tmp_path / "out", server, "json")
    assert found["outcomes"] == {"found": 3, "off scale": 1, "left out": 1, "refused": 5}
    numbers = found["scores"]["numbers"]
    # of ten points the nose is right; the left shoulder is 5 px off, the right one 65, of a box of 200
    assert numbers["PCK@0.1"] == numbers["PCK@0.05"] == pytest.approx(0.2)
    assert numbers["inside_box"] == pytest.approx(0.3)
    assert numbers["wrong_side"] == 0.5  # of the two shoulders that have a place
    near = np.exp(-(5**2) / (2 * 0.079) ** 2 / 10_600 / 2)
    far = np.exp(-(65**2) / (2 * 0.079) ** 2 / 10_600 / 2)
    assert numbers["mean_oks"] == pytest.approx((1 + near + far) / 5 / 2, abs=1e-4)
    text = (tmp_path / "out" / "report.md").read_text()
    assert "| found | left out | off scale | refused | unreadable | not answered |" in text
    rows = [json.loads(line) for line in (tmp_path / "out" / "places.jsonl").read_text().splitlines()]
    assert len(rows) == 10 and {row["outcome"] for row in rows if row["xy"] is None} == {
        "off scale",
        "left out",
        "refused",
    }


def test_a_crop_is_mapped_back_to_the_photo(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    form = load_form("qwen2.5-vl")
    # the box of 100 x 200 at (40, 20) and a quarter more: x 27.5 to 152.5, y -5 to 245, in whole pixels of the photo
    left, top, right, bottom = 27, 0, 153, 245
    scale = 448 / (bottom - top)  # small crops are enlarged; sides are multiples of 28
    size = (round(scale * (right - left) / 28) * 28, 448)

    def script(body: Body, _: int) -> Act:
        assert "in the middle of the picture" in body["messages"][0]["content"][1]["text"]
        places = {
            name: ((x - left) / (right - left), (y - top) / (bottom - top)) for name, (x, y) in LABELS.items()
        }
        return said(form.write(places, size))

    with running(script) as server:
        found = run(labelled, tmp_path / "out", server, "qwen2.5-vl", view="crop")
    with Image.open(tmp_path / "out" / "shown" / "1-10.jpg") as shown:
        assert shown.size == size
    assert found["scores"]["numbers"]["mean_oks"] > 0.999


def test_a_server_that_fails_leaves_the_answers_it_gave(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    right = oracle(load_form("molmo"))

    def script(body: Body, before: int) -> Act:
        hip = "left hip" in body["messages"][0]["content"][1]["text"]
        return error(400, "no such thing") if hip and broken else right(body, before)

    broken = True
    with running(script) as server:
        found = run(labelled, tmp_path / "out", server, "molmo")
        assert found["outcomes"] == {"found": 8, "not answered": 2}
        broken = False
        assert run(labelled, tmp_path / "out", server, "molmo")["outcomes"] == {"found": 10}
        with pytest.raises(PosetalkError, match="other settings: form was"):
            run(labelled, tmp_path / "out", server, "molmo2")
        assert len(server.seen) == 12


def test_a_model_on_this_machine_is_asked_once(labelled: tuple[Path, Path], tmp_path: Path) -> None:
    """It has random weights: whatever it writes is counted, and kept."""
    model, processor = tiny_llava()
    model.generation_config.eos_token_id = 1
    model.save_pretrained(tmp_path / "talk")
    processor.save_pretrained(tmp_path / "talk")
    settings = PointerSettings(
        form="molmo",
        model=str(tmp_path / "talk"),
        annotations=str(labelled[0]),
        images=str(labelled[1]),
        limit=1,
    )
    report, counts = evaluate_pointer(settings, tmp_path / "out")
    assert (counts.new, counts.known, report.model) == (5, 0, "talk")
    assert sum(report.outcomes.values()) == 5 and "not answered" not in report.outcomes
    again, counts = evaluate_pointer(settings, tmp_path / "out")
    assert (counts.new, counts.known) == (0, 5) and again == report


@pytest.fixture
def described(labelled: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path]:
    points = {"navel": (90, 120), "left heel": (100, 210), "right heel": (80, 210)}
    rows = [{"name": name, "x": x, "y": y, "visible": 2} for name, (x, y) in points.items()]
    person = {"image": "1.png", "bbox": BOX, "points": rows}
    (tmp_path / "points.json").write_text(json.dumps({"people": [person, {**person, "points": rows[:1]}]}))
    return tmp_path / "points.json", labelled[1]


def test_described_points_are_told_from_names_of_skeletons(
    described: tuple[Path, Path], tmp_path: Path
) -> None:
    def script(body: Body, _: int) -> Act:
        return said(
            '{"navel": [90, 160], "left heel": [100, 210], "right heel": [80, 210]}'
        )  # the navel 40 px off

    with running(script) as server:
        found = run(described, tmp_path / "out", server, "json")
        assert "- navel\n" in server.seen[0]["messages"][0]["content"][1]["text"]
    numbers = found["scores"]["numbers"]
    assert numbers["PCK@0.1"] == 0.5 and numbers["PCK@0.1_other_names"] == 0
    assert numbers["PCK@0.1_skeleton_names"] == 1  # body25, halpe26 and wholebody133 have heels
    assert numbers["wrong_side"] is None  # the heels are only 20 px apart
    assert found["beside"]["average place"]["near"]["navel"] == 1  # where it is on the other person
    assert any("no measured tolerance" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"people": []}, "has no points"),
        ({"people": [{"image": "9.png", "bbox": BOX, "points": [POINT]}]}, "has no image '9.png'"),
        ({"people": [{"image": "1.png", "bbox": BOX, "points": [POINT] * 2}]}, "labelled twice"),
        ({"people": [{"image": "1.png", "bbox": BOX[:3], "points": []}]}, "not a file of described points"),
        ({"people": 3}, "not a file of described points"),
    ],
)  # fmt: skip
def test_bad_described_points_are_refused(
    change: dict[str, Any], says: str, described: tuple[Path, Path], tmp_path: Path
) -> None:
    described[0].write_text(json.dumps(change))
    with running(lambda *_: said("no")) as server, pytest.raises(PosetalkError, match=says):
        run(described, tmp_path / "out", server, "json")


def command(*words: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([*map(str, words)])
    return int(stopped.value.code or 0)


def test_the_command_and_the_leaderboard(
    labelled: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["evaluate", "--annotations", labelled[0], "--images", labelled[1]]
    with running(oracle(load_form("qwen3-vl"))) as server:
        to = ["--model", "a<b>", "--base-url", server.url]
        assert command(*given, *to, "--out", tmp_path / "a", "--pointer", "qwen3-vl", "--limit", "1") == 0
        assert "# a<b>: 5 points of 1 people on 1 photos of labels.json" in capsys.readouterr().out
        for more, says in [
            (["--pointer", "qwen9"], "no form 'qwen9'"),
            (["--pointer", "json", "--readout", "digits"], "--readout is not for --pointer"),
            ([], "go with --pointer"),
        ]:
            assert command(*given, *to, "--out", tmp_path / "b", *more) == 2
            assert says in capsys.readouterr().err
        assert command(*given, "--out", tmp_path / "b", "--pointer", "json") == 2
        assert "give --model" in capsys.readouterr().err
        run(labelled, tmp_path / "c", server, "qwen3-vl")
    page = tmp_path / "page.html"
    assert command("leaderboard", tmp_path / "a", tmp_path / "c" / "report.json", "--out", page) == 0
    text = page.read_text()
    assert "a&lt;b&gt;" in text and "<b>a<b>" not in text
    assert (
        text.count("average place") == 4 and text.count("<h2>labels.json</h2>") == 2
    )  # other people, other panel
    (tmp_path / "no.json").write_text('{"model": 3}')
    with pytest.raises(PosetalkError, match="not a report of posetalk evaluate --pointer"):
        write_leaderboard([tmp_path / "no.json"], page)
    with pytest.raises(PosetalkError, match="no report is given"):
        write_leaderboard([], page)
