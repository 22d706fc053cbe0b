"""From COCO's files to a report by the commands alone; and whatever is wrong with what they are given."""

from __future__ import annotations

import csv
import json
import re
import shutil
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from tests.bench.desk import asked_in, bench, coco, marks, scored, spoken
from tests.bench.people import NAMES
from tests.llm.server import Act, Body, Script, error, running
from tests.llm.server import said as reply

from posetalk.bench.answers.answer import answer_here, file_of
from posetalk.bench.report.run import report_benchmark
from posetalk.cli import main
from posetalk.skeleton import load_skeleton
from posetalk.tune.chat import Chat
from posetalk.write.questions.lines import plain, read_lines


def run(*words: object) -> int:
    """The exit code of `posetalk bench`."""
    with pytest.raises(SystemExit) as end:
        main(["bench", *map(str, words)])
    return int(str(end.value.code))


def rows(path: Path) -> list[dict[str, Any]]:
    return list(read_lines(path, lambda row: row, ""))


def test_each_is_how_many_have_the_same_words_and_answer(tmp_path: Path) -> None:
    most = {}
    for each in (1, 2):
        out = tmp_path / f"out{each}"
        assert run("build", *coco(tmp_path), "--out", out, "--max-per-answer", each) == 0
        asked = Counter((row["question"], row["right"]) for row in _in_words(rows(out / "closed.jsonl")))
        most[each] = max(asked.values())
    assert most == {1: 1, 2: 2}


def _in_words(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With the right answer in words, where it is a letter."""
    return [
        {**row, "right": row["choices"]["ABCD".index(row["answer"])] if row["choices"] else row["answer"]}
        for row in found
    ]


def test_one_command_builds_answers_and_reports(
    tmp_path: Path, llava: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a second model stands beside the first, the questions not built again."""
    words = [*coco(tmp_path), "--images", tmp_path / "photos", "--out", tmp_path / "out", "--limit", 6]
    assert run("run", *words, "--model", llava, "--name", "one") == 0
    said = capsys.readouterr().out
    assert "questions with one right answer" in said and "guessed without the image" in said
    assert "one: 12 answers, 0 known before" in said and "chance" in said
    built = (tmp_path / "out/closed.jsonl").stat().st_mtime_ns
    assert run("run", *words, "--model", llava, "--name", "two") == 0
    assert (tmp_path / "out/closed.jsonl").stat().st_mtime_ns == built
    found = json.loads((tmp_path / "out/report.json").read_text())
    assert found["models"] == ["one", "two"]
    assert found["accuracy"]["one"]["numbers"][-1]["n"] == 6 and found["accuracy"]["one"]["missing"] == 0
    assert found["tests"][0]["difference"] == 0  # it is the same model
    assert "answered by no model and are left out" in capsys.readouterr().err
    page = (tmp_path / "out/report.html").read_text()
    assert "some wrong answers" in page and "data:image/jpeg;base64," in page
    assert (
        run(
            "export",
            tmp_path / "out",
            tmp_path / "t.tsv",
            "--images",
            tmp_path / "photos",
            "--format",
            "vlmevalkit",
        )
        == 0
    )
    csv.field_size_limit(10**8)
    with (tmp_path / "t.tsv").open() as file:
        table = list(csv.DictReader(file, delimiter="\t"))
    assert len(table) == len(rows(tmp_path / "out/closed.jsonl"))
    assert run("export", tmp_path / "out", tmp_path / "task", "--images", tmp_path / "photos") == 0
    assert (tmp_path / "task/posetalk_bench.yaml").is_file()


def test_answer_and_judge_by_servers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = bench(tmp_path) / "bench"

    def script(body: Body, came: int) -> Act:
        if body["model"] == "judge":
            return scored(body, 8, 4)
        return reply(f"m says of {body['messages'][0]['content'][1]['text']}")

    with running(script) as server:
        there = ["--images", tmp_path / "photos", "--base-url", server.url]
        assert run("answer", out, *there, "--model", "m", "--only", "open") == 0
        assert run("judge", out, "--model", "judge", "--base-url", server.url, "--dry-run") == 0
        asked = len(server.seen)
        assert run("judge", out, "--model", "judge", "--base-url", server.url) == 0
    assert len(server.seen) == asked + 48 and all(marks(body) for body in server.seen[asked:])
    assert run("report", out, "--images", tmp_path / "photos") == 0
    said = capsys.readouterr().out
    assert "m: 24 answers, 0 known before" in said and "48 requests" in said
    assert "m: 48 of 48 reviews have scores, 0 failed" in said and "50.0 (50.0 to 50.0)" in said
    assert "by judge" in said
    assert {row["reviewer_id"] for row in rows(out / "reviews/m.jsonl")} == {"judge"}


def test_labels_with_another_skeleton_and_no_captions(tmp_path: Path) -> None:
    """LSP's joints.mat, and the same people in COCO's form with its names: the same closed questions."""
    draw, names = np.random.default_rng(0), load_skeleton("lsp14").names
    coco(tmp_path, 60)
    people = json.loads((tmp_path / "people.json").read_text())
    at = [NAMES.index(name) if name in NAMES else None for name in names]
    alone: dict[int, list[float]] = {}
    for person in people["annotations"]:
        points = np.reshape(person["keypoints"], (17, 3))
        if points[:, 2].all():
            xy = [points[i] if i is not None else (points[5] + points[6]) / 2 - [0, 30, 0] for i in at]
            alone.setdefault(person["image_id"], np.array(xy).ravel().tolist())
    joints = np.array([np.reshape(points, (14, 3)) for points in alone.values()]).transpose(1, 2, 0)
    joints[:, 2] = joints[:, 2] > 0
    savemat(tmp_path / "joints.mat", {"joints": joints})
    for number in range(1, len(alone) + 1):
        Image.fromarray(draw.integers(0, 255, (8, 8, 3), np.uint8)).save(tmp_path / f"im{number:05d}.jpg")
    assert run("build", tmp_path / "joints.mat", "--images", tmp_path, "--out", tmp_path / "lsp") == 0
    labels = {
        "images": [
            {"id": n, "file_name": f"im{n:05d}.jpg", "width": 1000, "height": 700}
            for n in range(1, len(alone) + 1)
        ],
        "annotations": [
            {
                "id": n,
                "image_id": n,
                "category_id": 1,
                "keypoints": points,
                "bbox": [1, 1, 600, 600],
                "area": 1e5,
            }
            for n, points in enumerate(alone.values(), 1)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(names)}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    assert run("build", tmp_path / "labels.json", "--skeleton", "lsp14", "--out", tmp_path / "coco") == 0
    one, other = (rows(tmp_path / name / "closed.jsonl") for name in ("lsp", "coco"))
    assert len(one) > 20 and [row["text"] for row in one] == [row["text"] for row in other]
    assert not (tmp_path / "lsp/questions.jsonl").exists()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A benchmark with answers and without (bare), COCO's files, and files that are spoilt."""
    folder = tmp_path_factory.mktemp("desk")
    coco(folder)
    spoken(bench(folder / "made"))
    shutil.copytree(folder / "made/bench", folder / "bare")
    shutil.rmtree(folder / "bare/answers")
    (folder / "bare/questions.jsonl").unlink()
    shutil.copytree(folder / "made/bench", folder / "broken")
    (folder / "broken/closed.jsonl").write_text('{"question_id": "1"}\n')
    (folder / "broken-answers").mkdir()
    shutil.copytree(folder / "made/bench", folder / "broken-answers", dirs_exist_ok=True)
    with (folder / "broken-answers/answers/m.jsonl").open("a") as file:
        file.write("nonsense\n")
    (folder / "train.json").write_text(
        json.dumps([{"image": f"{n:012d}.jpg"} for n in [9, *range(1000, 1040)]])
    )
    (folder / "file").write_text("")
    return folder


HERE = ["--images", "{}/made/photos", "--model", "{}/nowhere"]
SERVER = ["--model", "m", "--base-url", "http://127.0.0.1:9/v1"]
BUILD = ["build", "{}/people.json", "--out", "{}/new"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["answer", "{}/file", *HERE], "has no benchmark"),
        (["answer", "{}/made/bench", *HERE], "there is no folder .*nowhere"),
        (["answer", "{}/made/bench", "--images", "{}", "--model", "m"], "has no image of these questions"),
        (["answer", "{}/made/bench", *HERE, "--limit", "0"], "a limit of 0 leaves no question"),
        (["answer", "{}/made/bench", *HERE, "--batch-size", "0"], "--batch-size 0 asks nothing"),
        (["answer", "{}/made/bench", *HERE, "--only", "all"], "all"),
        (["answer", "{}/made/bench", *HERE, "--max-cost-usd", "5"], "go with --base-url or --settings"),
        (["answer", "{}/bare", *HERE, "--only", "open"], "has no open questions; build it with --captions"),
        (["answer", "{}/broken", *HERE], r"broken/closed.jsonl, line 1: it has no 'choices'"),
        (["answer", "{}/made/bench", "--images", "{}/made/photos", *SERVER, "--name", "new"], "cannot reach http"),
        (["judge", "{}/made/bench", *SERVER], "cannot reach http://127.0.0.1:9/v1"),
        (["judge", "{}/made/bench"], "which model shall be asked"),
        (["judge", "{}/bare", *SERVER], "no answers to open questions"),
        (["judge", "{}/broken-answers", *SERVER], r"answers/m.jsonl, line 49: it cannot be read"),
        (["report", "{}/bare"], "no model has answered yet"),
        (["report", "{}/nowhere"], "has no benchmark"),
        (["report", "{}/broken-answers"], "line 49"),
        (["export", "{}/made/bench", "{}/task", "--images", "{}"], "has no image of these questions"),
        ([*BUILD, "--training-data", "{}/train.json"], "trained on 41 of the images"),
        ([*BUILD, "--images", "{}/made"], "has no image of"),
        ([*BUILD, "--max-per-answer", "0"], "max_per_answer"),
        ([*BUILD, "--first", "3"], "takes no first and last"),
        ([*BUILD, "--captions", "{}/file"], "file"),
        ([*BUILD, "--skeleton", "octopus"], "octopus"),
        (["build", "{}/nowhere.json", "--out", "{}/new"], "nowhere.json"),
        (["run", "{}/people.json", *HERE, "--out", "{}/new"], "there is no folder"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(
    desk: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [word.replace("{}", str(desk)) for word in words]
    assert run(*given) == 2
    error = capsys.readouterr().err
    assert re.search(said, error), error
    assert error.strip().split("\n")[-1].startswith("posetalk: ") and "Traceback" not in error
    assert not (desk / "new").exists()


def nothing(body: Body, came: int) -> Act:
    return error(400, "no")


def in_vain(body: Body, came: int) -> Act:
    return reply("Both are [/red] good.")


@pytest.mark.parametrize(
    ("words", "script", "said"),
    [
        (["answer", "{}/bench", "--images", "{}/photos", "--limit", "2"], nothing, "m answered no question"),
        (["judge", "{}/bench"], nothing, "no review has scores"),
        (["judge", "{}/bench"], in_vain, "no review has scores"),
    ],
)
def test_what_a_server_never_did_is_no_success(
    tmp_path: Path, words: list[str], script: Script, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    few(bench(tmp_path))
    if words[0] == "answer":
        shutil.rmtree(tmp_path / "bench/answers")
    given = [word.replace("{}", str(tmp_path)) for word in words]
    with running(script) as server:
        assert run(*given, "--model", "m", "--base-url", server.url) == 2
        assert server.seen
    error = capsys.readouterr().err
    assert said in error.split("\n")[-2] and "Traceback" not in error


def few(folder: Path) -> None:
    """Have m answer the questions about one picture."""
    some = [one for one in asked_in(folder) if one.image.name == "0.jpg"]
    answer_here(some, lambda some, words: ["m says"] * len(some), file_of(folder / "bench", "m"), "m")


@pytest.mark.parametrize("command", ["answer", "run"])
def test_photos_that_cannot_be_read_are_no_success(
    tmp_path: Path, llava: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*coco(tmp_path), "--images", tmp_path / "photos", "--out", tmp_path / "out", "--limit", 2]
    if command == "answer":
        assert run("build", *words[:-2]) == 0
        words = [tmp_path / "out", *words[3:5], "--limit", 2]
    for photo in (tmp_path / "photos").iterdir():
        photo.write_bytes(b"no photo")
    assert run(command, *words, "--model", llava, "--name", "m") == 2
    error = capsys.readouterr().err
    assert error.count("skipped: ") >= 4 and "Traceback" not in error


def test_ctrl_c_is_no_success(
    tmp_path: Path, llava: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """While a model on this machine answers; what it answered is kept."""
    words = [*coco(tmp_path), "--images", tmp_path / "photos", "--out", tmp_path / "out", "--model", llava]
    speak, calls = Chat.answer, []

    def struck(chat: Chat, some: Sequence[tuple[Path, str]], words: int) -> list[str]:
        calls.append(some)
        if len(calls) == 2:
            signal.raise_signal(signal.SIGINT)
        return speak(chat, some, words)

    monkeypatch.setattr(Chat, "answer", struck)
    assert run("run", *words, "--name", "m", "--limit", 20) == 130
    assert "the same command goes on from there" in capsys.readouterr().err
    assert len(rows(tmp_path / "out/answers/m.jsonl")) == 8 and not (tmp_path / "out/report.json").exists()


ODD = ["[/red]", "[bold]", "m" * 300, "\u00e9" * 200, "a/b", "a_b", "a b", "\udcff", "..", "-", "{}", "%s"]


def test_every_name_of_a_model_is_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By a server: a file each of answers and of reviews, whatever a model is called."""
    out = bench(tmp_path) / "bench"

    def script(body: Body, came: int) -> Act:
        return scored(body, 8, 4) if len(body["messages"]) > 1 else reply("m says [/red] \ud800")

    with running(script) as server:
        to = ["--base-url", server.url]
        there = ["--images", tmp_path / "photos", "--model", "m", "--only", "open", "--limit", 3, *to]
        for name in ODD * 2:
            assert run("answer", out, *there, f"--name={name}") == 0, name
        asked = len(server.seen)
        assert run("judge", out, "--model", "[/red]", *to) == 0
        assert len(server.seen) == asked + 6  # all said the same
    names = {plain(name) for name in ODD}
    found, _ = report_benchmark(out)
    assert {*found.models} == {*found.relative} == names and found.judge == "[/red]"
    assert len([*(out / "answers").iterdir()]) == len([*(out / "reviews").iterdir()]) == len(names)
    assert all(one.judged == 6 for one in found.relative.values())
    assert "Traceback" not in capsys.readouterr().err


def test_a_model_on_this_machine_may_be_called_anything(tmp_path: Path, llava: Path) -> None:
    out = bench(tmp_path) / "bench"
    words = [out, "--images", tmp_path / "photos", "--model", llava, "--only", "closed", "--limit", 1]
    for name in ODD:
        assert run("answer", *words, f"--name={name}") == 0
    assert {
        name for path in (out / "answers").iterdir() for name in {row["model_id"] for row in rows(path)}
    } == {plain(name) for name in ODD}


def test_another_build_in_the_same_folder_is_refused(desk: Path, tmp_path: Path) -> None:
    words = ["build", desk / "people.json", "--out", tmp_path / "b"]
    assert run(*words) == 0
    before = (tmp_path / "b/closed.jsonl").read_bytes()
    assert run(*words, "--seed", 1) == 2 and run(*words) == 0
    assert (tmp_path / "b/closed.jsonl").read_bytes() == before
