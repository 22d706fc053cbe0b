"""What is read, what is left out and told, and in which order it is learned."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from tests.tune.conftest import tiny_llava

from posetalk.errors import PosetalkError
from posetalk.tune.collator import ChatCollator, RenderedConversation
from posetalk.tune.data import (
    GROUP,
    TuningExample,
    read_source,
    replay_samples,
    sample_order,
    tuning_examples,
)
from posetalk.tune.settings import Replay, Source
from posetalk.write.samples.export import export_dataset
from posetalk.write.samples.sample import Sample
from posetalk.write.samples.split import Shares


@pytest.fixture(scope="module")
def teacher() -> ChatCollator:
    return ChatCollator(tiny_llava()[1])


def row(name: str, image: str, *said: str) -> str:
    turns = tuple(zip(said[::2], said[1::2], strict=True))
    return Sample(name, 1, image, "conversation", turns, "facts").line()


def test_the_forms_that_are_read_say_the_same(talk: Path, general: Path, tmp_path: Path) -> None:
    export_dataset(talk / "samples.jsonl", tmp_path / "llava", "llava", shares=Shares(0, 0))
    forms = [talk, talk / "samples.jsonl", tmp_path / "llava", tmp_path / "llava" / "train.json"]
    read = [[(s.image, s.turns) for s in read_source(form, [])] for form in forms]
    assert len(read[0]) == 10 and all(found == read[0] for found in read)
    assert len(list(read_source(general, []))) == 6


def test_lengths_are_known_before_and_long_samples_are_left_out_and_told(
    teacher: ChatCollator, talk: Path
) -> None:
    source, skipped = Source(file=str(talk), images=str(talk / "pictures")), list[str]()
    whole = tuning_examples(source, teacher, 10_000, skipped)
    assert not skipped and len(whole) == 10
    for example in whole:
        batch = teacher.batch([(example.conversation, example.image)])
        assert batch["input_ids"].shape == (1, example.length)
    longest = sorted(example.length for example in whole)[5]
    kept = tuning_examples(source, teacher, longest, skipped)
    assert kept == [example for example in whole if example.length <= longest]
    assert len(skipped) == 10 - len(kept) > 0
    assert all(f"tokens, more than {longest}" in sentence and str(talk) in sentence for sentence in skipped)


def test_one_bad_sample_is_told_and_the_others_are_learned(teacher: ChatCollator, tmp_path: Path) -> None:
    Image.new("RGB", (9, 9)).save(tmp_path / "1.png")
    (tmp_path / "2.png").write_text("no picture")
    rows = [
        row("good", "1.png", "Where?", "Here."),
        row("gone", "9.png", "Where?", "Here."),
        row("none", "2.png", "Where?", "Here."),
        row("empty", "1.png", "Where?", ""),
        row("mark", "1.png", "Where is <image>?", "Here."),
    ]
    (tmp_path / "samples.jsonl").write_text("".join(rows))
    skipped: list[str] = []
    [found] = tuning_examples(Source(file=str(tmp_path), images=str(tmp_path)), teacher, 500, skipped)
    assert found.id == "good"
    for sentence, name, reason in zip(
        skipped,
        ("gone", "none", "empty", "mark"),
        ("no image", "cannot be read as an image", "empty", "special token"),
        strict=True,
    ):
        assert f"sample {name}: " in sentence and reason in sentence


@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
def test_a_picture_on_its_side_is_measured_upright(
    orientation: int | None, teacher: ChatCollator, tmp_path: Path
) -> None:
    """However it is to be turned; Pillow says how large it then is."""
    asked: list[tuple[int, int]] = []

    class Asked(ChatCollator):
        def length(self, lesson: RenderedConversation, size: tuple[int, int]) -> int:
            asked.append(size)
            return super().length(lesson, size)

    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    Image.new("RGB", (40, 20)).save(tmp_path / "1.jpg", exif=exif)
    with Image.open(tmp_path / "1.jpg") as stored:
        upright = ImageOps.exif_transpose(stored).size
    (tmp_path / "samples.jsonl").write_text(row("one", "1.jpg", "Where?", "Here."))
    tuning_examples(Source(file=str(tmp_path), images=str(tmp_path)), Asked(teacher.processor), 500, [])
    assert asked == [upright]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("[]", "holds no samples"),
        ("{", "none of the records"),
        (row("a", "9.png", "Where?", "Here."), "no sample that can be learned .*there is no image"),
        (row("a", "9.png", "Where?", "Here.") + "{\n", "line 2"),
    ],
)
def test_nothing_to_learn_is_one_sentence(
    text: str, reason: str, teacher: ChatCollator, tmp_path: Path
) -> None:
    (tmp_path / "data.json").write_text(text)
    with pytest.raises(PosetalkError, match=reason):
        tuning_examples(Source(file=str(tmp_path / "data.json"), images=str(tmp_path)), teacher, 500, [])


def test_a_folder_without_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PosetalkError, match=r"holds neither samples\.jsonl nor train\.json"):
        list(read_source(tmp_path, []))


@given(
    lengths=st.lists(st.integers(1, 900), min_size=1, max_size=60),
    batch=st.integers(1, 9),
    steps=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_every_sample_is_seen_as_often_as_every_other(
    lengths: list[int], batch: int, steps: int, seed: int
) -> None:
    found = sample_order(lengths, batch, steps, seed)
    assert len(found) == batch * steps and found == sample_order(lengths, batch, steps, seed)
    seen = Counter(found)
    times = [seen[number] for number in range(len(lengths))]
    assert max(times) - min(times) <= 1
    for first in range(0, len(found), batch):
        within = [lengths[number] for number in found[first : first + batch]]
        assert within == sorted(within, reverse=True)


def test_batches_are_of_like_length_and_in_no_order() -> None:
    lengths = np.random.default_rng(0).integers(50, 1000, 3200)
    found = np.array(sample_order(lengths.tolist(), 16, 200, seed=0))
    taken = lengths[found].reshape(200, 16)
    spread, any_order = np.ptp(taken, axis=1).mean(), np.ptp(lengths.reshape(200, 16), axis=1).mean()
    assert spread < any_order / 8  # padding is what is saved
    for first in range(0, 200, GROUP):
        means = taken[first : first + GROUP].mean(1)
        assert (np.diff(means) > 0).any() and (np.diff(means) < 0).any()
    assert found.tolist() != sample_order(lengths.tolist(), 16, 200, seed=1)


@pytest.mark.parametrize(("share", "count"), [(0.5, 5), (1.0, 10), (0.04, 0), (2.5, 25)])
def test_a_share_is_samples_for_each_of_ours(share: float, count: int) -> None:
    other = [TuningExample(str(number), Path("x"), RenderedConversation("", ()), 1) for number in range(8)]
    replay = Replay(file="other.json", images="x", share=share)
    found = [example.id for example in replay_samples(10, other, replay, seed=0)]
    assert len(found) == count
    times = Counter(found)
    assert not times or max(times.values()) - min(times[str(n)] for n in range(8)) <= 1
    assert found == [example.id for example in replay_samples(10, other, replay, seed=0)]
    if count > 4:
        assert found != [example.id for example in replay_samples(10, other, replay, seed=1)]


def test_llavas_mix_is_read_but_for_what_shows_no_picture(talk: Path, tmp_path: Path) -> None:
    said = [{"from": "human", "value": "<image>\nWhere?"}, {"from": "gpt", "value": "Here."}]
    rows = [
        {"id": "1", "image": "coco/train2017/1.png", "conversations": said},
        {"id": "text", "conversations": [{**one, "value": "Hello"} for one in said]},
    ]
    (tmp_path / "mix.json").write_text(json.dumps(rows))
    skipped: list[str] = []
    [found] = read_source(tmp_path / "mix.json", skipped)
    assert found.turns == (("Where?", "Here."),) and len(skipped) == 1
