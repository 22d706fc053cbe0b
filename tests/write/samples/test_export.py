"""Splits by picture, and each format against its documented schema."""

from __future__ import annotations

import hashlib
import json
import re
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetalk.errors import PosetalkError
from posetalk.write.samples.card import Provenance
from posetalk.write.samples.export import export_dataset
from posetalk.write.samples.sample import KINDS, Sample, read_samples
from posetalk.write.samples.split import SPLITS, Shares, split_of

# form -> the document that describes it; `follows` checks what it says of a row.
DOCUMENTS = {
    # a JSON list; id, image (its path), conversations: from human and gpt in turn, <image> in the first
    "llava": "haotian-liu/LLaVA, docs/Finetune_Custom_Data.md",
    # sharegpt: human at odd and gpt at even places; images: a list, as long as there are marks
    "llama-factory": "hiyouga/LLaMA-Factory, data/README.md; src/llamafactory/data/converter.py",
    # JSON lines; messages: role user and assistant; images: paths, best absolute, one for each mark
    "swift": "modelscope/ms-swift, docs/source_en/Customization/Custom-dataset.md",
    # parquet and finevision: see test_parquet
}


def sample(image_id: int, kind: Any = "detail", turns: Any = (("What?", "This."),)) -> Sample:
    return Sample(f"{image_id}-{kind}", image_id, f"{image_id:012d}.jpg", kind, turns, "facts")


def staged(folder: Path, samples: list[Sample]) -> Path:
    path = folder / "samples.jsonl"
    path.write_text("".join(one.line() for one in samples), encoding="utf-8")
    return path


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """200 pictures, each kind; quotes, line breaks, other scripts and emoji in the words."""
    words = ('She said "no".\nThen left.', "Zwei Männer — stehend", "人が立っている", "🏂 </script>")
    found = []
    for number in range(200):
        for kind in KINDS:
            turns = tuple((f"Q{i} {words[i]}?", f"A{i} {words[number % 4]}") for i in range(1 + number % 3))
            found.append(sample(number, kind, turns))
    return staged(tmp_path, found)


ids = st.sets(st.integers(0, 10**9), max_size=60)
parts = st.floats(0, 0.5)


@given(ids, ids, parts, parts, st.integers(0, 5))
def test_other_pictures_and_samples_change_no_split(
    some: set[int], more: set[int], validation: float, test: float, seed: int
) -> None:
    shares = Shares(validation, test)
    alone = {one: split_of(one, shares, seed) for one in some}
    together = {one: split_of(one, shares, seed) for one in sorted(some | more, reverse=True)}
    assert all(together[one] == split for one, split in alone.items())
    assert set(alone.values()) <= {s for s, n in zip(SPLITS, (1, validation, test), strict=True) if n}


@settings(max_examples=25)
@given(parts, parts, st.integers(0, 10**6))
def test_a_share_is_about_right(validation: float, test: float, seed: int) -> None:
    count = Counter(split_of(number, Shares(validation, test), seed) for number in range(4000))
    for split, share in (("validation", validation), ("test", test), ("train", 1 - validation - test)):
        # six standard deviations of a draw of 4,000
        assert abs(count[split] / 4000 - share) < 6 * (0.25 / 4000) ** 0.5  # type: ignore[index]


def test_the_split_of_a_picture_is_a_promise() -> None:
    """Written down, so that data exported by another version is never mixed up with it."""
    letters = {"train": "-", "validation": "v", "test": "t"}
    assert (
        "".join(letters[split_of(number, Shares(0.2, 0.2), 0)] for number in range(40))
        == "--v-vv-t--v---tt----t-v----tttt----v---v"
    )


@pytest.mark.parametrize("shares", [(-0.1, 0.1), (0.6, 0.5), (float("nan"), 0)])
def test_shares_that_are_none_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(PosetalkError, match="are not parts of a whole"):
        Shares(*shares)


def follows(form: str, row: dict[str, Any]) -> None:
    """Whether a row is as its document has it."""
    if form == "swift":
        assert set(row) == {"messages", "images"}
        said = [(message["role"], message["content"]) for message in row["messages"]]
        assert all(set(message) == {"role", "content"} for message in row["messages"])
        roles, images = ("user", "assistant"), row["images"]
    else:
        assert set(row) == {"id", "conversations", "image" if form == "llava" else "images"}
        said = [(message["from"], message["value"]) for message in row["conversations"]]
        assert all(set(message) == {"from", "value"} for message in row["conversations"])
        roles, images = ("human", "gpt"), row["images"] if form == "llama-factory" else [row["image"]]
    assert isinstance(images, list) and all(isinstance(one, str) and one.endswith(".jpg") for one in images)
    assert said and len(said) % 2 == 0 and all(isinstance(text, str) and text.strip() for _, text in said)
    assert [role for role, _ in said] == list(roles) * (len(said) // 2)
    assert said[0][1].startswith("<image>")
    assert sum(text.count("<image>") for _, text in said) == len(images) == 1


def rows_of(file: Path) -> list[dict[str, Any]]:
    text = file.read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()] if file.suffix == ".jsonl" else json.loads(text)


@pytest.mark.parametrize("form", DOCUMENTS)
def test_each_format_is_as_its_document_has_it(samples: Path, tmp_path: Path, form: Any) -> None:
    found = export_dataset(samples, tmp_path / "out", form, shares=Shares(0.2, 0.1))
    ending = ".jsonl" if form == "swift" else ".json"
    seen: dict[str, str] = {}
    texts = []
    for split in SPLITS:
        rows = rows_of(tmp_path / "out" / f"{split}{ending}")
        assert len(rows) == found.statistics[split].samples
        for row in rows:
            follows(form, row)
            image = row["image"] if form == "llava" else row["images"][0]
            assert seen.setdefault(image, split) == split  # never across
            said = row["messages"] if form == "swift" else row["conversations"]
            texts += [message.get("content") or message["value"] for message in said]
    assert len(seen) == 200
    # every word comes through
    wanted = [text for row in rows_of(samples) for turn in row["turns"] for text in turn]
    assert Counter(re.sub(r"^<image>\n", "", text) for text in texts) == Counter(wanted)


def test_llama_factory_is_told_of_each_file(samples: Path, tmp_path: Path) -> None:
    """The keys of data/README.md; the columns named are in the rows."""
    export_dataset(samples, tmp_path / "out", "llama-factory", shares=Shares(0.2, 0))
    info = json.loads((tmp_path / "out" / "dataset_info.json").read_text())
    assert set(info) == {"posetalk_train", "posetalk_validation"}
    for described in info.values():
        assert described["formatting"] == "sharegpt"
        [row, *_] = rows_of(tmp_path / "out" / described["file_name"])
        assert set(described["columns"]) == {"messages", "images"} and set(
            described["columns"].values()
        ) < set(row)


def test_swift_has_whole_paths_where_the_folder_is_known(samples: Path, tmp_path: Path) -> None:
    """The pictures need not be there."""
    export_dataset(samples, tmp_path / "out", "swift", images=tmp_path / "photos", shares=Shares(0, 0))
    [path] = rows_of(tmp_path / "out" / "train.jsonl")[0]["images"]
    assert Path(path) == tmp_path / "photos" / f"{0:012d}.jpg"


def test_the_card_says_what_is_in_it_and_how_it_was_made(samples: Path, tmp_path: Path) -> None:
    source = tmp_path / "person_keypoints.json"
    source.write_text("{}")
    made = Provenance("grounded", 7, (source,))
    export_dataset(samples, tmp_path / "out", "llava", shares=Shares(0.2, 0), seed=3, provenance=made)
    card = (tmp_path / "out" / "README.md").read_text()
    head = card.split("---\n")[1]
    assert "  - split: train\n    path: train.json\n" in head and "split: test" not in head
    assert "size_categories:\n- n<1K" in head
    assert "# 800 samples about the bodies in 200 pictures" in card
    for path in (samples, source):
        assert f"| {path.name} | {hashlib.sha256(path.read_bytes()).hexdigest()} |" in card
    for words in (
        "facts (800 samples)",
        "Recipe: grounded",
        "Seed of the writing: 7",
        "with seed 3",
        "CC BY 4.0",
    ):
        assert words in card
    assert "Flickr" in card and "projection" in card and str(tmp_path) not in card
    size = (tmp_path / "out" / "train.json").stat().st_size
    assert f"| train.json | {size:,} |" in card


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ((), "is empty"),
        ((("What?", " "),), "is empty"),
        ((("What is <image>?", "This."),), "holds the mark <image>"),
        ((("What?", "A <video> of a man."),), "holds the mark <video>"),
        ((("What?", "Half \ud83d"),), "is no Unicode"),
    ],
)
def test_what_cannot_be_taught_with_is_left_out_and_told(tmp_path: Path, turns: Any, reason: str) -> None:
    path = tmp_path / "samples.jsonl"
    rows = [json.loads(sample(1).line()), {**json.loads(sample(2).line()), "turns": turns}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = export_dataset(path, tmp_path / "out", "llava", shares=Shares(0, 0))
    assert len(found.skipped) == 1 and "sample 2-detail: " in found.skipped[0] and reason in found.skipped[0]
    assert [row["id"] for row in rows_of(tmp_path / "out" / "train.json")] == ["1-detail"]
    assert "Left out: 1 samples" in (tmp_path / "out" / "README.md").read_text()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no sample to export; write the samples first"),
        (sample(1).line() + '{"id": "2"', "line 2: "),
        (sample(1).line() + '{"id": "2"}\n', "line 2: it is no sample"),
    ],
)
def test_bad_samples_are_one_sentence_and_leave_nothing(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "samples.jsonl"
    path.write_text(text)
    with pytest.raises(PosetalkError, match=re.escape(sentence)):
        export_dataset(path, tmp_path / "out", "llava")
    assert [one.name for one in tmp_path.iterdir()] == ["samples.jsonl"]


def test_what_is_there_is_not_written_over(samples: Path, tmp_path: Path) -> None:
    export_dataset(samples, tmp_path / "out", "llava")
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(PosetalkError, match="is there already; give a folder that is new or empty"):
        export_dataset(samples, tmp_path / "out", "swift")
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_stopped_export_leaves_nothing_and_can_be_run_again(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(path: Path) -> Iterator[Sample]:
        for number, read in enumerate(read_samples(path)):
            if number == 300:
                raise KeyboardInterrupt
            yield read

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("posetalk.write.samples.export.read_samples", stopped)
        export_dataset(samples, tmp_path / "out", "llava")
    assert [one.name for one in tmp_path.iterdir()] == ["samples.jsonl"]
    (tmp_path / ".out.123.part").mkdir()  # what a kill leaves
    (tmp_path / ".out.123.part" / "old.json").write_text("[")
    export_dataset(samples, tmp_path / "out", "llava")
    assert {one.name for one in tmp_path.iterdir()} == {"samples.jsonl", "out"}
    assert not (tmp_path / "out" / "old.json").exists()


def test_an_export_deletes_nothing_of_others_and_goes_alone(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "mine.txt").write_text("mine")

    def twice(path: Path) -> Iterator[Sample]:
        with pytest.raises(PosetalkError, match="out is in use by another run"):
            export_dataset(samples, tmp_path / "out", "swift")
        yield from read_samples(path)

    monkeypatch.setattr("posetalk.write.samples.export.read_samples", twice)
    export_dataset(samples, tmp_path / "out", "llava")
    assert (tmp_path / "out.part" / "mine.txt").read_text() == "mine"
    assert (tmp_path / "out" / "train.json").exists() and not (tmp_path / "out" / "train.jsonl").exists()


def test_memory_does_not_grow_with_the_samples(tmp_path: Path) -> None:
    lines = "".join(sample(number % 50, turns=(("What?", "word " * 300),)).line() for number in range(500))
    peaks = []
    for number, times in enumerate((1, 10, 10)):
        path = tmp_path / "samples.jsonl"
        path.write_text(lines * times)
        tracemalloc.start()
        export_dataset(path, tmp_path / f"out{number}", "llava")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    large = min(peaks[1:])  # Python's table of interned strings, which paths use, may grow during one of them
    assert large < 1.3 * peaks[0] and path.stat().st_size > 5 * large
