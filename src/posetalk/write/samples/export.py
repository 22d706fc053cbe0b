"""samples.jsonl -> the files that trainers of vision-language models read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from posetalk.errors import PosetalkError, need
from posetalk.formats.coco import image_path
from posetalk.formats.paths import leads_out
from posetalk.images.opening import open_image
from posetalk.whole import check_free, whole_folder
from posetalk.write.samples.card import Provenance, write_card
from posetalk.write.samples.parquet import Shards, finevision_row, message_row
from posetalk.write.samples.sample import Sample, read_samples
from posetalk.write.samples.split import SPLITS, Shares, Split, split_of
from posetalk.write.samples.statistics import SampleStatistics

Form = Literal["llava", "llama-factory", "parquet", "swift", "finevision"]

# What trainers put pictures, sounds and boxes in the place of; in a text it would be one too many.
_MARKS = re.compile(r"<(?:image|video|audio|bbox|ref-object)>")


@dataclass(frozen=True, slots=True)
class ExportResult:
    """tallies: of each split that is not empty; skipped: a sentence for each sample that was left out."""

    tallies: dict[Split, SampleStatistics]
    skipped: tuple[str, ...]


class _Writer(Protocol):
    def write(self, row: dict[str, Any]) -> None: ...
    def close(self) -> None: ...


def export(
    samples: Path,
    out: Path,
    form: Form,
    *,
    images: Path | None = None,
    shares: Shares | None = None,
    seed: int = 0,
    made: Provenance | None = None,
    track: Callable[[Iterator[Sample]], Iterable[Sample]] = iter,
) -> ExportResult:
    """Write a folder with a file for each split, README.md, and for LLaMA-Factory dataset_info.json.

    llava:         train.json, a list of id, image, conversations (human and gpt), `<image>` in the first question.
    llama-factory: the same with a list of images.
    swift:         train.jsonl, messages and images; whole paths where `images` is given.
    parquet:       data/train-00000.parquet, messages in parts and the pictures themselves, for TRL and `datasets`.
    finevision:    the same files with FineVision's columns, without ratings.

    images: the folder of the pictures, which the last two need. The folder `out` appears when it is whole; memory does
    not grow with the samples. Errors: `out` is there and not empty, no sample, a picture missing or none, pyarrow
    missing, the disk.
    """
    shares = shares or Shares()
    check_free(out)
    if form in ("parquet", "finevision"):
        need("pyarrow", "export")
        _find_pictures(samples, images, form)
    writers: dict[Split, _Writer] = {}
    tallies: dict[Split, SampleStatistics] = {}
    skipped: list[str] = []
    with whole_folder(out) as part:
        try:
            for sample in track(read_samples(samples)):
                try:
                    _check(sample, images)
                    row = _row(sample, form, images)
                except PosetalkError as error:
                    skipped.append(f"{samples}: sample {ascii(sample.id)[1:-1]}: {error}")
                    continue
                split = split_of(sample.image_id, shares, seed)
                if split not in writers:
                    writers[split], tallies[split] = _writer(part, split, form), SampleStatistics()
                writers[split].write(row)
                tallies[split].add(sample)
        finally:
            for writer in writers.values():
                writer.close()
        if not tallies:
            more = f": {skipped[0]}" if skipped else ""
            raise PosetalkError(f"{samples} holds no sample to export{more}; write the samples first")
        if form == "llama-factory":
            info = {f"posetalk_{split}": _described(split) for split in SPLITS if split in tallies}
            (part / "dataset_info.json").write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")
        write_card(part, form, samples, tallies, len(skipped), shares, seed, made)
    return ExportResult(tallies, tuple(skipped))


def _check(sample: Sample, images: Path | None) -> None:
    """Errors: a sample that cannot be taught with, one whose picture is outside of the folder of the pictures."""
    texts = [text for turn in sample.turns for text in turn]
    if not texts or not all(text.strip() for text in texts):
        raise PosetalkError("a question or an answer is empty")
    try:
        "".join((sample.id, sample.image, sample.writer, *texts)).encode()
    except UnicodeEncodeError:  # half a character, which JSON can hold and UTF-8 cannot
        raise PosetalkError("its text is no Unicode") from None
    if mark := next((found[0] for text in texts if (found := _MARKS.search(text))), None):
        raise PosetalkError(f"its text holds the mark {mark}")
    if images is not None:
        image_path(images, sample.image)
    elif leads_out(sample.image):
        raise PosetalkError(f"its image {sample.image!a} leads out of the folder of the pictures")


def _find_pictures(samples: Path, images: Path | None, form: Form) -> None:
    """Before anything is written, every picture must be there."""
    if images is None:
        raise PosetalkError(f"{form} holds the pictures themselves; give the folder of the pictures")
    seen: set[str] = set()
    for sample in read_samples(samples):
        if sample.image in seen:
            continue
        seen.add(sample.image)
        try:
            path = image_path(images, sample.image)
        except PosetalkError:  # its samples are left out, see `_check`
            continue
        if not path.is_file():
            raise PosetalkError(f"there is no picture {path}; give the folder that holds all pictures")
        with open_image(path):  # reads its first bytes alone
            pass


def _row(sample: Sample, form: Form, images: Path | None) -> dict[str, Any]:
    place = Path(sample.image) if images is None else image_path(images, sample.image).absolute()
    match form:
        case "llava":
            return {"id": sample.id, "image": sample.image, "conversations": _conversations(sample)}
        case "llama-factory":
            return {"id": sample.id, "images": [sample.image], "conversations": _conversations(sample)}
        case "swift":
            roles = {"human": "user", "gpt": "assistant"}
            said = _conversations(sample)
            messages = [{"role": roles[one["from"]], "content": one["value"]} for one in said]
            return {"messages": messages, "images": [str(place)]}
        case "parquet":
            return message_row(sample, place)
        case "finevision":
            return finevision_row(sample, place)


def _conversations(sample: Sample) -> list[dict[str, str]]:
    found = []
    for number, (question, answer) in enumerate(sample.turns):
        mark = "<image>\n" if number == 0 else ""
        found += [{"from": "human", "value": mark + question}, {"from": "gpt", "value": answer}]
    return found


def _described(split: Split) -> dict[str, Any]:
    """What LLaMA-Factory must know of a file; its tags are `from`, `value`, `human` and `gpt` by default."""
    columns = {"messages": "conversations", "images": "images"}
    return {"file_name": f"{split}.json", "formatting": "sharegpt", "columns": columns}


def _writer(folder: Path, split: Split, form: Form) -> _Writer:
    match form:
        case "llava" | "llama-factory":
            return _JsonList(folder / f"{split}.json")
        case "swift":
            return _JsonLines(folder / f"{split}.jsonl")
        case "parquet" | "finevision":
            return Shards(folder / "data", split, form)


class _JsonLines:
    """A line a row."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def write(self, row: dict[str, Any]) -> None:
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()


class _JsonList:
    """One list, a line a row."""

    def __init__(self, path: Path) -> None:
        self._file, self._before = path.open("w", encoding="utf-8"), "["

    def write(self, row: dict[str, Any]) -> None:
        self._file.write(f"{self._before}\n{json.dumps(row, ensure_ascii=False)}")
        self._before = ","

    def close(self) -> None:
        self._file.write("\n]\n")
        self._file.close()
