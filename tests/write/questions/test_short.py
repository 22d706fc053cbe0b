"""Short questions have short answers, of which the words tell nothing, and leave a benchmark's images alone."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from tests.bench.desk import coco
from tests.bench.people import NAMES, pictures

from posetalk.cli import main
from posetalk.facts.scene import scene_facts
from posetalk.write.questions.short import LETTER, ONE_WORD, ShortQuestions, _quota
from posetalk.write.samples.sample import Sample
from posetalk.write.screening.screen import faults_of


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    images = [(one, scene_facts(one.image, NAMES, one.things)) for one in pictures(0, 90)]
    short = ShortQuestions()
    for annotated, scene in images:
        short.count(annotated, scene)
    found = []
    for annotated, scene in images:
        turns = short.turns(annotated, scene)
        if turns:
            number, name = annotated.image.id, annotated.image.name
            found.append(Sample(f"{number}-short", number, name, "short", turns, "facts"))
            assert not faults_of(found[-1], scene)
    return found


def test_words_alone_tell_nothing(samples: list[Sample]) -> None:
    answers: dict[tuple[str, int], Counter[str]] = defaultdict(Counter)
    for question, answer in (turn for sample in samples for turn in sample.turns):
        lines = question.split("\n")
        if len(lines) > 2:  # the letters are shuffled: what is right counts
            answer = lines[1 + "ABCD".index(answer)][3:]
        answers[lines[0], len(lines)][answer] += 1
    assert len(answers) > 20
    for question, counts in answers.items():
        assert len(counts) > 1 and len(set(counts.values())) == 1, (question, counts)


def test_an_answer_is_one_line_and_every_question_orders_it(samples: list[Sample]) -> None:
    turns = [turn for sample in samples for turn in sample.turns]
    assert max(len(sample.turns) for sample in samples) > 3
    for question, answer in turns:
        assert question.endswith((ONE_WORD, LETTER)) and len(answer.split()) < 8 and answer[0].isupper()
        assert (answer in "ABCD") == question.endswith(LETTER)
    assert {"Yes", "No", "Left", "Right"} <= {answer for _, answer in turns}


@pytest.mark.parametrize(
    ("counts", "quota"), [([9, 4], 4), ([9], 0), ([], 0), ([9, 8, 1], 8), ([9, 5, 4, 4], 4), ([3, 3, 3], 3)]
)
def test_rare_answers_do_not_keep_the_others_out(counts: list[int], quota: int) -> None:
    assert _quota(counts) == quota


def test_images_of_a_benchmark_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = coco(tmp_path)
    annotations, captions = (
        next(word for word in words if word.endswith(".json") and part in word)
        for part in ("people", "captions")
    )
    names = [image["file_name"] for image in json.loads(Path(annotations).read_text())["images"]]
    bench, kept_out = tmp_path / "bench.jsonl", set(names[:20])
    bench.write_text("".join(json.dumps({"image": name}) + "\n" for name in sorted(kept_out)))
    command = ["write", annotations, "--captions", captions, "--kinds", "short,detail"]
    for more in (
        ["--out", str(tmp_path / "all")],
        ["--out", str(tmp_path / "some"), "--leave-out", str(bench)],
    ):
        with pytest.raises(SystemExit) as ended:
            main([*command, *more])
        assert not ended.value.code
    capsys.readouterr()
    seen = [
        {json.loads(line)["image"] for line in (tmp_path / name / "samples.jsonl").read_text().splitlines()}
        for name in ("all", "some")
    ]
    assert seen[0] & kept_out and seen[1] and not seen[1] & kept_out
