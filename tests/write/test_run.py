"""The commands from COCO's files to samples that can be trained on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.facts.figures import figure
from tests.llm.server import Act, Body, error, running, said

from posetalk.cli import main
from posetalk.errors import PosetalkError
from posetalk.llm.client import ServerSettings
from posetalk.llm.ledger import Ledger
from posetalk.skeleton import load_skeleton
from posetalk.types import Box
from posetalk.write.run import write_dataset
from posetalk.write.samples.export import export_dataset
from posetalk.write.samples.sample import Sample, read_samples
from posetalk.write.samples.split import Shares
from posetalk.write.screening.run import screen_dataset
from posetalk.write.settings import WriteSettings

NAMES = load_skeleton("coco17").names
POSES: list[dict[str, Any]] = [
    {"uppers": (180, 0), "fores": (180, 0)},  # the left arm up
    {"thighs": (90, 90)},  # sitting
    {"uppers": (90, 90), "fores": (90, 90), "wide": -70},  # from behind
    {"uppers": (0, 170), "fores": (0, 170), "shins": (-90, 0)},  # a foot lifted
]
SIGHTS = (
    "a pond with ducks",
    "two old oak trees",
    "a wooden bench painted green",
    "hills far away in the mist",
)


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """COCO's files of four pictures with a person each, as the first words of `write`; --out is FOLDER/out."""
    images, people, captions = [], [], []
    for number, pose in enumerate(POSES, 1):
        xy = np.array([figure(**pose)[name] for name in NAMES])
        images.append({"id": number, "file_name": f"part/{number}.jpg", "width": 800, "height": 600})
        triples = np.column_stack([xy, np.full(17, 2)]).ravel().tolist()
        box = {"bbox": list(Box.around(xy).xywh), "area": 1e4, "iscrowd": 0, "category_id": 1}
        people.append({"id": number, "image_id": number, "keypoints": triples} | box)
        texts = ("Somebody on a lawn.", "A person out on the grass.", f"An open place, number {number}.")
        captions += [{"image_id": number, "caption": text} for text in texts]
    categories = [{"id": 1, "name": "person"}]
    whole = {"images": images, "annotations": people, "categories": categories}
    (tmp_path / "people.json").write_text(json.dumps(whole))
    (tmp_path / "captions.json").write_text(json.dumps({"annotations": captions}))
    return [
        "write",
        f"{tmp_path}/people.json",
        "--captions",
        f"{tmp_path}/captions.json",
        "--out",
        f"{tmp_path}/out",
    ]


def run(words: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code in (0, None)


def samples(out: Path) -> list[Sample]:
    return list(read_samples(out / "samples.jsonl"))


def rejected(out: Path) -> dict[str, list[str]]:
    rows = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    return {row["id"]: [fault["reason"] for fault in row["faults"]] for row in rows}


def reply(body: Body, _: int) -> Act:
    """By the schema, and without a fault but about the second picture, whose keypoints it speaks of."""
    properties = body["response_format"]["json_schema"]["schema"]["properties"]
    number = next(n for n in range(1, 5) if f"number {n}" in str(body["messages"]))
    sight = SIGHTS[number - 1]
    leak = " The keypoints show it." if number == 2 else ""
    first = f"There is {sight}, which takes up most of what lies behind the lawn.{leak}"
    second = f"Next to {sight} there is nothing else, and the rest of the place is free of things and people.{leak}"
    if "turns" in properties:
        questions = ("What is there to be seen behind the lawn?", "What else is part of the scene around it?")
        turns = [{"question": q, "answer": a} for q, a in zip(questions, (first, second), strict=True)]
        return said(json.dumps({"turns": turns}))
    long = " ".join(f"Seen from part {i} of the lawn, {sight} would look different again." for i in range(4))
    return said(json.dumps({"answer": f"{first} {second} {long}"}))


def test_the_facts_writer_fills_a_folder_that_can_be_exported(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(words)
    out = tmp_path / "out"
    found = samples(out)
    assert {s.image_id for s in found} == {1, 2, 3, 4} and {s.writer for s in found} == {"facts"}
    assert {s.image for s in found} == {
        f"part/{number}.jpg" for number in range(1, 5)
    }  # as the labels name them
    assert rejected(out) == {}
    assert "conversation" in capsys.readouterr().out and "<html" in (out / "report.html").read_text()
    before = (out / "samples.jsonl").read_bytes()
    run(words)  # again: the same
    assert (out / "samples.jsonl").read_bytes() == before
    with pytest.raises(SystemExit):
        main([*words, "--seed", "1"])
    assert "other settings" in capsys.readouterr().err and (out / "samples.jsonl").read_bytes() == before

    run(["export", str(out), str(tmp_path / "llava"), "--validation", "0", "--test", "0"])
    [*rows] = json.loads((tmp_path / "llava" / "train.json").read_text())
    assert [row["id"] for row in rows] == [s.id for s in found]
    card = (tmp_path / "llava" / "README.md").read_text()
    assert "captions.json" in card and "seed 0" in card.lower()


def test_photos_that_cannot_be_read_are_said(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos" / "part").mkdir(parents=True)
    (tmp_path / "photos" / "part" / "2.jpg").write_bytes(b"no photo")
    run([*words, "--images", str(tmp_path / "photos")])
    said = capsys.readouterr().out
    assert "1 images cannot be read, the first: " in said and "2.jpg" in said


def test_so_many_pictures_of_each_kind(words: list[str], tmp_path: Path) -> None:
    run([*words, "--max-images", "2", "--kinds", "conversation,detail"])
    kinds = [s.kind for s in samples(tmp_path / "out")]
    assert kinds.count("conversation") == kinds.count("detail") == 2 and len(kinds) == 4


def test_a_model_is_asked_screened_and_not_asked_again(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-of-the-tests")
    out, kinds = tmp_path / "out", ("--kinds", "conversation,detail")
    with running(reply) as server:
        asking = [*words, *kinds, "--writer", "openai", "--model", "m", "--base-url", server.url]
        run([*asking, "--dry-run"])
        assert "8 requests" in capsys.readouterr().out and not server.seen
        run(asking)
        asked = len(server.seen)
        assert {s.image_id for s in samples(out)} == {1, 3, 4} and {s.writer for s in samples(out)} == {"m"}
        assert rejected(out) == {"2-conversation": ["leak", "leak"], "2-detail": ["leak"]}
        assert asked == 8 + 2 * 2  # two of them asked again twice
        again = [
            body["messages"]
            for body in server.seen
            if len(body["messages"]) > len(server.seen[0]["messages"])
        ]
        assert any("keypoints" in messages[-1]["content"] for messages in again)  # and told why
        run(asking)
        assert len(server.seen) == asked
    capsys.readouterr()
    assert not [p for p in out.iterdir() if b"sk-secret" in p.read_bytes()]


def test_what_was_asked_is_judged_by_the_labels_as_they_are_now(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was paid for is not paid again; a verdict is of the keypoints that it was made with."""
    out, people = tmp_path / "out", tmp_path / "people.json"

    def script(body: Body, _: int) -> Act:
        number = next(n for n in range(1, 5) if f"number {n}" in str(body["messages"]))
        second = f"The person is sitting on the lawn before {SIGHTS[number - 1]}, and nothing else is about."
        turns = [
            {
                "question": "What is there behind the lawn?",
                "answer": f"There is {SIGHTS[number - 1]} behind it.",
            },
            {"question": "What does the person do in this place?", "answer": second},
        ]
        return said(json.dumps({"turns": turns}))

    with running(script) as server:
        asking = [
            *words,
            "--kinds",
            "conversation",
            "--recipe",
            "paper",
            "--writer",
            "openai",
            "--model",
            "m",
        ]
        asking += ["--base-url", server.url]
        run(asking)
        assert rejected(out).keys() == {"1-conversation", "3-conversation"}
        labels = json.loads(people.read_text())
        one, two = labels["annotations"][:2]  # whose arm is up, who sits
        one["keypoints"], two["keypoints"] = two["keypoints"], one["keypoints"]
        one["bbox"], two["bbox"] = two["bbox"], one["bbox"]
        people.write_text(json.dumps(labels))
        capsys.readouterr()
        asked = len(server.seen)
        run(asking)
        assert "people.json changed since the run in" in capsys.readouterr().out
        assert rejected(out).keys() == {"2-conversation", "3-conversation"}
        again = [
            body for body in server.seen[asked:] if len(body["messages"]) <= len(server.seen[0]["messages"])
        ]
        assert not again  # but for the second's correction


def test_batches_give_the_same_samples(words: list[str], tmp_path: Path) -> None:
    asking = [*words, "--kinds", "conversation", "--model", "m"]
    with running(reply) as server:
        run([*asking, "--writer", "openai", "--base-url", server.url])
    online = samples(tmp_path / "out")
    words[words.index("--out") + 1] = str(out := tmp_path / "files")
    asking = [*words, "--kinds", "conversation", "--model", "m", "--writer", "batch"]
    run(asking)
    for _ in range(3):  # what leaked is asked again, twice
        assert (out / "requests.jsonl").exists()
        requests = [json.loads(line) for line in (out / "requests.jsonl").read_text().splitlines()]
        answers = [
            {
                "custom_id": r["custom_id"],
                "response": {"status_code": 200, "body": json.loads(reply(r["body"], 0).body)},
            }
            for r in requests
        ]
        (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
        run([*asking, "--answers", str(tmp_path / "answers.jsonl")])
    assert not (out / "requests.jsonl").exists()
    assert samples(out) == online and rejected(out) == {"2-conversation": ["leak", "leak"]}


def test_somebody_elses_samples_are_screened(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def row(number: int, answer: str) -> dict[str, Any]:
        human = {"from": "human", "value": "<image>\nWhat is the person doing with the arms?"}
        turns = [human, {"from": "gpt", "value": answer}]
        return {"id": str(number), "image": f"{number}.jpg", "conversations": turns}

    texts = [
        "The person holds the left arm up while the right arm hangs down beside the body.",
        "The keypoints show that the arms hang down beside the body of the person.",
        "The person is sitting on the lawn with both arms spread out to the sides.",
    ]
    (tmp_path / "theirs.json").write_text(
        json.dumps([row(i, text) for i, text in enumerate(texts, 1)] + [{"id": 5}])
    )
    run(
        [
            "screen",
            f"{tmp_path}/theirs.json",
            f"{tmp_path}/s",
            "--annotations",
            words[1],
            "--captions",
            words[3],
        ]
    )
    skipped = capsys.readouterr().err
    reasons = {name.split("-")[0]: found for name, found in rejected(tmp_path / "s").items()}
    assert "leak" in reasons["2"] and "contradicted" in reasons["3"]
    assert "skipped" in skipped


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--kinds", "poem"], "no kind 'poem'"),
        (["--writer", "openai"], "--model"),
        (["--model", "m"], "asks no model"),
        (["--max-cost-usd", "5"], "asks no model"),
        (["--writer", "openai", "--model", "m", "--answers", "a.jsonl"], "--answers goes with"),
        (["--writer", "openai", "--model", "m", "--base-url", "localhost"], "begins with http"),
        (["--writer", "openai", "--model", "m", "--base-url", "http://u:p@localhost/v1"], "password"),
        (["--writer", "openai", "--model", "m", "--settings", "none.toml"], "none.toml"),
        (["--writer", "openai", "--model", "m"], "OPENAI_API_KEY"),
        (["--writer", "openai", "--model", "m", "--base-url", "http://127.0.0.1:9/v1"], "cannot reach"),
        (
            [
                "--writer",
                "openai",
                "--model",
                "none",
                "--base-url",
                "http://127.0.0.1:9/v1",
                "--max-cost-usd",
                "1",
            ],
            "price",
        ),
        (["--writer", "batch", "--model", "m", "--answers", "none.jsonl"], "none.jsonl"),
    ],
)
def test_bad_input_is_one_sentence(
    words: list[str],
    more: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(SystemExit) as stop:
        main([*words, *more])
    assert stop.value.code == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("posetalk: ") and sentence in last


def test_the_settings_of_a_run_stand_beside_it(words: list[str], tmp_path: Path) -> None:
    run([*words, "--kinds", "detail", "--seed", "3"])
    found = tomllib.loads((tmp_path / "out" / "run.toml").read_text())
    assert found["writer"] == "facts" and found["seed"] == 3 and found["kinds"] == ["detail"]


# How a run ends.


def details_from(url: str) -> list[str]:
    """The options that have the model of a server write descriptions."""
    return ["--kinds", "detail", "--writer", "openai", "--model", "m", "--base-url", url]


def ends(words: list[str]) -> Any:
    """The exit code of a command."""
    with pytest.raises(SystemExit) as stop:
        main(words)
    return stop.value.code or 0


def asking(words: list[str], url: str, *more: str) -> list[str]:
    kinds = ["--kinds", "detail", "--writer", "openai", "--model", "m", "--base-url", url]
    return [*words, *kinds, *more]


SETTINGS = "max_revisions = 0\nmax_retries = 0\nretry_delay = 0.01\nconcurrency = 1\n"


@pytest.fixture
def how(tmp_path: Path) -> list[str]:
    (tmp_path / "how.toml").write_text(SETTINGS)
    return ["--settings", str(tmp_path / "how.toml")]


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (error(500, "no [/red]"), "failed"),
        (said("I cannot see any picture."), "mismatch"),
        (said(None, refusal="no"), "failed"),
        (said('{"answer": "A'), "unreadable"),
    ],
    ids=["500", "mismatch", "refusal", "cut"],
)
def test_a_run_that_wrote_nothing_is_no_success(
    act: Act,
    reason: str,
    words: list[str],
    how: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with running(lambda *_: act) as server:
        assert ends(asking(words, server.url, *how)) == 2
    told = capsys.readouterr()
    assert told.out.startswith("0 written; 4 ")
    assert told.err.strip().splitlines()[-1].startswith("posetalk: nothing was written, see ")
    assert all(reason in reasons for reasons in rejected(tmp_path / "out").values())


def test_a_run_that_wrote_something_is_a_success(words: list[str], how: list[str], tmp_path: Path) -> None:
    def script(body: Body, n: int) -> Act:
        return error(413, "too long") if "number 3" in str(body["messages"]) else reply(body, n)

    with running(script) as server:
        assert ends(asking(words, server.url, *how)) == 0
        assert {s.image_id for s in samples(tmp_path / "out")} == {1, 4}
        assert rejected(tmp_path / "out") == {"2-detail": ["leak"], "3-detail": ["failed"]}


@pytest.mark.parametrize(("money", "code", "written"), [("0.002", 2, 0), ("0.0104", 3, 1), ("9", 0, 3)])
def test_the_limit_of_money_is_told_from_the_end(
    money: str, code: int, written: int, words: list[str], how: list[str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """An answer may cost 0.01024 dollars, and costs 0.0002."""
    (tmp_path / "prices.toml").write_text("[models]\nm = { in = 0, out = 10 }")
    limits = ["--max-cost-usd", money, "--prices", str(tmp_path / "prices.toml")]
    with running(reply) as server:
        assert ends(asking(words, server.url, *how, *limits)) == code
    told = capsys.readouterr()
    assert ("might pass the limit" in told.out + told.err) is (code != 0)
    found = rejected(tmp_path / "out")
    if code:
        assert 0 <= len(samples(tmp_path / "out")) - written < 3
        assert found["4-detail"] == ["not asked"]  # and not failed: nothing was sent


def test_an_interrupted_run_says_what_was_done_and_ends_as_one(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "how.toml").write_text(SETTINGS)

    def script(body: Body, n: int) -> Act:
        found = reply(body, n)
        return Act(found.body, delay=0.0 if "number 1" in str(body["messages"]) else 1.0)

    with running(script) as server:
        command = asking(words, server.url, "--settings", str(tmp_path / "how.toml"))
        process = subprocess.Popen(
            [sys.executable, "-m", "posetalk", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        until = time.monotonic() + 30
        while len(server.seen) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "1 written" in out and "stopped: interrupted; the same command goes on from there" in out
    assert {s.image_id for s in samples(tmp_path / "out")} == {1}
    assert rejected(tmp_path / "out")["4-detail"] == ["not asked"]


# What is priced beforehand, and what must not be paid twice.


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    return (
        {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.iterdir()} if folder.exists() else {}
    )


@pytest.mark.parametrize("writer", ["openai", "batch"])
def test_a_dry_run_leaves_no_trace(
    writer: str, words: list[str], how: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with running(reply) as server:
        dry = [*asking(words, server.url, *how), "--dry-run"]
        dry[dry.index("openai")] = writer
        assert ends(dry) == 0 and not out.exists()
        assert capsys.readouterr().out.startswith("4 requests")
        assert ends(asking(words, server.url, *how, "--max-images", "2")) == 0
        before = state(out)
        assert ends(dry) == 0 and ends([*dry, "--seed", "7", "--recipe", "paper"]) == 0  # other settings
        assert state(out) == before
        assert "2 requests" in capsys.readouterr().out  # what is answered is not counted
        with Ledger(out / "ledger.sqlite"):  # a run goes on
            inside = sorted(out.iterdir())
            assert ends(dry) == 0 and sorted(out.iterdir()) == inside
        assert "2 requests" in capsys.readouterr().out


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b""), lambda path: path.unlink(), None])
@pytest.mark.parametrize("left", ["samples.jsonl", "rejected.jsonl", "requests.jsonl"])
def test_a_ledger_that_was_lost_is_not_paid_for_again(
    spoil: Any,
    left: str,
    words: list[str],
    how: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out, ledger = tmp_path / "out", tmp_path / "out" / "ledger.sqlite"
    with running(reply) as server:
        command = asking(words, server.url, *how)
        run(command)
        asked = len(server.seen)
        (out / "requests.jsonl").write_text("{}\n")
        for name in {"samples.jsonl", "rejected.jsonl", "requests.jsonl"} - {left}:
            (out / name).unlink()
        ledger.unlink()
        if spoil is None:
            Ledger(ledger).__exit__()  # one that holds nothing
        else:
            ledger.touch()
            spoil(ledger)
        assert ends(command) == 2 and len(server.seen) == asked
        said_so = capsys.readouterr().err.strip().splitlines()[-1]
        assert f"{out / left} was made with it" in said_so and "put the ledger back" in said_so
        (out / left).unlink()
        run(command)  # who wants to pay again may
        assert len(server.seen) == 2 * asked


@pytest.mark.parametrize(
    ("first", "reasons"),
    [
        (said("no JSON"), ["leak", "length", "length", "failed"]),
        (said(None, refusal="I cannot"), ["failed", "failed"]),
        (said("", "content_filter"), ["failed", "failed"]),
    ],
)
def test_a_reply_whose_next_one_never_came_is_kept_and_was_paid(
    first: Act, reasons: list[str], words: list[str], how: list[str], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "out"

    def script(body: Body, n: int) -> Act:
        again = "That cannot be used" in body["messages"][-1]["content"]
        return error(413, "too long") if again else first

    (tmp_path / "how.toml").write_text(SETTINGS.replace("max_revisions = 0", "max_revisions = 1"))
    with running(script) as server:
        command = asking(words, server.url, *how)
        assert ends(command) == 2
        assert set(map(tuple, rejected(out).values())) == {tuple(reasons)}
        row = json.loads((out / "rejected.jsonl").read_text().splitlines()[0])
        assert row["faults"][-1]["words"].startswith("asked again: refused with 413") and "reply" in row
        (out / "ledger.sqlite").unlink()
        capsys.readouterr()
        assert ends(command) == 2 and "rejected.jsonl was made with it" in capsys.readouterr().err


def test_a_run_that_was_never_answered_may_begin_anew(
    words: list[str], how: list[str], tmp_path: Path
) -> None:
    with running(lambda *_: error(500)) as server:
        assert ends(asking(words, server.url, *how)) == 2
    (tmp_path / "out" / "ledger.sqlite").unlink()
    with running(reply) as server:
        run(asking(words, server.url, *how))


def test_what_a_batch_says_of_its_errors_is_in_the_list(words: list[str], tmp_path: Path) -> None:
    batch = [*words, "--kinds", "detail", "--model", "m", "--writer", "batch"]
    run(batch)
    rows = [json.loads(line) for line in (tmp_path / "out" / "requests.jsonl").read_text().splitlines()]
    back = [
        {"custom_id": rows[0]["custom_id"], "response": None, "error": {"message": "expired \ud800 [/red]"}},
        {"custom_id": rows[1]["custom_id"], "response": {"status_code": 429, "body": {"detail": "slower"}}},
        {"custom_id": rows[2]["custom_id"], "response": {"body": json.loads(reply(rows[2]["body"], 0).body)}},
    ]
    (tmp_path / "back.jsonl").write_text("".join(json.dumps(row) + "\n" for row in back))
    run([*batch, "--answers", str(tmp_path / "back.jsonl")])
    lines = [json.loads(line) for line in (tmp_path / "out" / "rejected.jsonl").read_text().splitlines()]
    found = {row["id"]: (row["faults"][0]["reason"], row["faults"][0]["words"]) for row in lines}
    assert found == {
        "1-detail": ("failed", "failed in the batch: the server answered 200: expired ? [/red]"),
        "2-detail": ("failed", "failed in the batch: the server answered 429: slower"),
        "4-detail": ("not asked", "not asked yet"),
    }
    assert [s.image_id for s in samples(tmp_path / "out")] == [3]


def test_a_batch_of_which_nothing_can_be_used_is_no_success(words: list[str], tmp_path: Path) -> None:
    batch = [*words, "--kinds", "detail", "--model", "m", "--writer", "batch"]
    run(batch)
    (tmp_path / "back.jsonl").write_text("{}\n")
    assert ends([*batch, "--answers", str(tmp_path / "back.jsonl")]) == 2


# The same of every picture.

GENERAL = "There is somebody in the picture, and the place behind is wide and open."
STANDS = "The person is standing."


@pytest.mark.parametrize(
    ("first", "second", "reasons"),
    [
        (GENERAL, "No, there is nothing else at all.", ["", "duplicate", "duplicate", "duplicate"]),
        # the second sits, and of the fourth, who stands on one leg, the facts do not know it
        (STANDS, "Yes, the person is standing.", ["", "contradicted", "", "duplicate"]),
        (STANDS, "No, there is nothing else at all.", ["", "contradicted", "duplicate", "duplicate"]),
    ],
    ids=["of any picture", "borne out", "half of it borne out"],
)
def test_what_a_model_says_of_every_picture_is_kept_where_the_facts_bear_it_out(
    first: str, second: str, reasons: list[str], words: list[str], how: list[str], tmp_path: Path
) -> None:
    asked = ("How does the person hold the body?", "Is the person standing, and is there any more to it?")
    turns = [{"question": q, "answer": a} for q, a in zip(asked, (first, second), strict=True)]
    with running(lambda *_: said(json.dumps({"turns": turns}))) as server:
        command = asking(words, server.url, *how)
        command[command.index("detail")] = "conversation"
        run(command)
    found = rejected(tmp_path / "out")
    assert [found.get(f"{number}-conversation", [""])[0] for number in range(1, 5)] == reasons


def test_screening_others_without_facts_keeps_the_first_of_each(tmp_path: Path) -> None:
    def row(number: int) -> dict[str, Any]:
        said = [("human", "What does the person do?"), ("gpt", "The person is standing on a lawn.")]
        turns = [{"from": who, "value": text} for who, text in said]
        return {"id": str(number), "image": f"{number}.jpg", "conversations": turns}

    (tmp_path / "theirs.json").write_text(json.dumps([row(n) for n in range(1, 6)]))
    run(["screen", f"{tmp_path}/theirs.json", f"{tmp_path}/s"])
    assert [s.image_id for s in samples(tmp_path / "s")] == [1]
    assert set(map(tuple, rejected(tmp_path / "s").values())) == {("duplicate",)}


# The same from Python.


def write_settings(words: list[str], **more: Any) -> WriteSettings:
    return WriteSettings(
        **{"annotations": words[1], "captions": words[3], "kinds": ("detail",), "writer": "facts"} | more
    )


def test_write_dataset_writes_what_the_command_writes(words: list[str], tmp_path: Path) -> None:
    run([*words, "--kinds", "detail"])
    (tmp_path / "photos" / "part").mkdir(parents=True)
    (tmp_path / "photos" / "part" / "2.jpg").write_bytes(b"no photo")
    result = write_dataset(write_settings(words), tmp_path / "python", images=tmp_path / "photos")
    assert result.written == {"detail": 4} and not result.rejected and result.server_run is None
    assert "2.jpg" in result.unreadable_images[0] and not result.skipped
    assert samples(tmp_path / "python") == samples(tmp_path / "out")
    exported = export_dataset(tmp_path / "python", tmp_path / "llava", shares=Shares(0, 0))
    assert exported.statistics["train"].samples == 4 and (tmp_path / "llava" / "train.json").exists()


def test_write_dataset_asks_a_server_and_reports_its_run(words: list[str], tmp_path: Path) -> None:
    with running(reply) as url:
        server = ServerSettings(model="m", base_url=url.url, max_revisions=0)
        settings = write_settings(words, writer="m", recipe="grounded")
        result = write_dataset(settings, tmp_path / "out", server=server)
    assert result.written == {"detail": 3} and result.rejected == {"leak": 1}
    assert result.server_run is not None and result.server_run.done == 3 and not result.server_run.stopped


@pytest.mark.parametrize(
    ("more", "server", "sentence"),
    [
        ({"writer": "m"}, None, "is a model; give the settings of its server"),
        ({"writer": "m", "recipe": "paper"}, "n", "give both the same name"),
        ({"writer": "m"}, "m", "needs a recipe"),
    ],
)
def test_a_writer_that_does_not_go_with_its_server_is_refused(
    more: dict[str, Any], server: str | None, sentence: str, words: list[str], tmp_path: Path
) -> None:
    settings = ServerSettings(model=server, base_url="http://127.0.0.1:9/v1") if server else None
    with pytest.raises(PosetalkError, match=sentence):
        write_dataset(write_settings(words, **more), tmp_path / "out", server=settings)
    assert not (tmp_path / "out").exists()


def test_screen_dataset_takes_label_files(words: list[str], tmp_path: Path) -> None:
    run([*words, "--kinds", "detail"])
    run(["export", f"{tmp_path}/out", f"{tmp_path}/llava", "--validation", "0", "--test", "0"])
    train = tmp_path / "llava" / "train.json"
    train.write_text(json.dumps([*json.loads(train.read_text()), {"id": "none"}]))
    result = screen_dataset(train, tmp_path / "s", annotations=words[1], captions=words[3])
    assert result.written == {"detail": 4} and len(result.skipped) == 1 and "none" in result.skipped[0]
    with pytest.raises(PosetalkError, match="give the annotations too"):
        screen_dataset(train, tmp_path / "t", captions=words[3])
