"""The functions of a benchmark as a program calls them: whole runs, and not a word printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.bench.desk import PICTURES, bench, coco, marks, scored, settings
from tests.llm.server import Act, Body, running, said

from posetalk.bench.answers.answer import AnswerCounts
from posetalk.bench.answers.judge_run import judge_benchmark
from posetalk.bench.answers.run import answer_benchmark, local_model_name
from posetalk.bench.folder import read_benchmark, read_models
from posetalk.bench.questions.run import build_benchmark
from posetalk.bench.questions.source import BuildSettings
from posetalk.bench.report.report import correctness
from posetalk.bench.report.run import report_benchmark
from posetalk.errors import PosetalkError
from posetalk.tune.chat import Chat


def test_a_model_in_a_folder_from_labels_to_report(
    tmp_path: Path,
    llava: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Loaded when there is something to ask, and not again; paths may be strings."""
    labels, images, folder = coco(tmp_path)[0], str(tmp_path / "photos"), str(tmp_path / "bench")
    notes = build_benchmark(BuildSettings(annotations=labels, images=images), folder)
    assert any("questions with one right answer" in note for note in notes)
    assert build_benchmark(BuildSettings(annotations=labels, images=images), folder, rebuild=False) == []
    loads: list[str] = []
    load = Chat.from_pretrained
    monkeypatch.setattr(
        Chat, "from_pretrained", lambda name, **options: loads.append(name) or load(name, **options)
    )
    for new, known in ((4, 0), (0, 4)):
        counts = answer_benchmark(folder, images, str(llava), limit=4, batch_size=2)
        assert counts == AnswerCounts(new, known, [], llava.name)
    assert loads == [str(llava)]
    report, notes = report_benchmark(folder, images)
    assert report.models == (llava.name,) and report.accuracy[llava.name].numbers[-1].n == 4
    [model] = read_models(Path(folder))
    closed = [q for q in read_benchmark(folder).closed.questions if q.id in model.answers]
    outcomes = correctness(model.answers, closed)
    right = sum(outcome == "right" for outcome in outcomes.values())
    assert len(outcomes) == 4 and report.accuracy[llava.name].numbers[-1].value == right / 4
    assert capsys.readouterr().out == ""


def test_a_server_answers_and_judges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`model` is what the server is asked for; a missing image is told with the rest that has no answer."""
    folder, images = bench(tmp_path) / "bench", tmp_path / "photos"

    def script(body: Body, came: int) -> Act:
        if body["model"] == "judge":
            return scored(body, 8, 4)
        return said(f"m says of {body['messages'][0]['content'][1]['text']}")

    (images / "0.jpg").unlink()
    with running(script) as server:
        how = settings(server.url)
        counts = answer_benchmark(folder, images, "m", name="org/m", server=how, only="open")
        assert {body["model"] for body in server.seen} == {"m"}
        result = judge_benchmark(folder, how)
        assert all(marks(body) for body in server.seen if body["model"] == "judge")
    open_questions = 3 * (PICTURES - 1)
    assert (counts.model, counts.new, counts.known) == ("org/m", open_questions, 0)
    assert counts.run_report is not None and counts.run_report.totals.answers == open_questions
    assert len(counts.skipped) == 1 and "0.jpg" in counts.skipped[0]
    assert result.scored == 2 * open_questions and result.run_report.done == 2 * open_questions
    assert report_benchmark(folder)[0].relative["org/m"].numbers[-1].value == 50
    assert capsys.readouterr().out == ""


def test_the_name_of_a_model(llava: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(llava)
    assert local_model_name(".") == llava.name
    assert [local_model_name(name) for name in ("tiny", "org/model-7b")] == ["tiny", "org/model-7b"]
    with pytest.raises(PosetalkError, match="there is no folder nowhere"):
        local_model_name("nowhere")
