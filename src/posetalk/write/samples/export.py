"""The export of samples.jsonl into the files that trainers of vision-language models read."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from posetalk.atomic_files import check_free, whole_folder
from posetalk.errors import PosetalkError, need
from posetalk.formats.coco import image_path
from posetalk.formats.paths import leads_out
from posetalk.images.opening import open_image
from posetalk.write.samples.card import Provenance, write_card
from posetalk.write.samples.parquet import Shards, finevision_row, message_row
from posetalk.write.samples.sample import Sample, read_samples
from posetalk.write.samples.split import SPLITS, Shares, Split, split_of
from posetalk.write.samples.statistics import SampleStatistics

ExportFormat = Literal["llava", "llama-factory", "parquet", "swift", "finevision"]

# Trainers replace these by images, sounds and boxes; in a sample's text one would be one too many.
_PLACEHOLDERS = re.compile(r"<(?:image|video|audio|bbox|ref-object)>")


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What an export wrote.

    Attributes:
        statistics: The statistics of each split that is not empty.
        skipped: A sentence for each sample that was left out.
    """

    statistics: dict[Split, SampleStatistics]
    skipped: tuple[str, ...]


class _Writer(Protocol):
    def write(self, row: dict[str, Any]) -> None: ...
    def close(self) -> None: ...


def export_dataset(
    samples: str | Path,
    out: str | Path,
    format: ExportFormat = "llava",
    *,
    images: str | Path | None = None,
    shares: Shares | None = None,
    seed: int = 0,
    provenance: Provenance | None = None,
) -> ExportResult:
    """Convert samples into the files of a trainer: a folder with a file for each split and a data card, README.md.

    The split is by image: no image is in two splits. Memory does not grow with the samples. The formats are:

    - `llava`: train.json, a list of id, image, conversations (human and gpt), `<image>` in the first question.
    - `llama-factory`: the same with a list of images, and dataset_info.json.
    - `swift`: train.jsonl, messages and images; absolute paths where `images` is given.
    - `parquet`: data/train-00000.parquet, messages in parts and the images themselves, for TRL and `datasets`.
    - `finevision`: the same files with FineVision's columns, without ratings.

    Args:
        samples: A samples.jsonl, or the folder of a run that holds one.
        out: A new folder. It appears when it is complete.
        format: The format of the files, see above.
        images: The folder of the images, which `parquet` and `finevision` need.
        shares: The shares of the images held out for validation and test; 0.05 each by default.
        seed: The seed of the split.
        provenance: How the samples were made, for the card.

    Returns:
        The statistics of each split, and a sentence for each sample that was left out.

    Raises:
        PosetalkError: When `out` exists and is not empty, there is no sample, an image is missing or cannot be read,
            pyarrow is missing, or the disk refuses.

    Source:
        haotian-liu/LLaVA, docs/Finetune_Custom_Data.md; hiyouga/LLaMA-Factory, data/README.md; modelscope/ms-swift,
        docs/source_en/Customization/Custom-dataset.md; HuggingFaceM4/FineVision's columns.
    """
    samples, out, images = Path(samples), Path(out), Path(images) if images is not None else None
    if samples.is_dir():
        samples /= "samples.jsonl"
    shares = shares or Shares()
    check_free(out)
    if format in ("parquet", "finevision"):
        need("pyarrow", "export")
        _check_images_exist(samples, images, format)
    writers: dict[Split, _Writer] = {}
    statistics: dict[Split, SampleStatistics] = {}
    skipped: list[str] = []
    with whole_folder(out) as part:
        try:
            for sample in read_samples(samples):
                try:
                    _check(sample, images)
                    row = _row(sample, format, images)
                except PosetalkError as error:
                    skipped.append(f"{samples}: sample {ascii(sample.id)[1:-1]}: {error}")
                    continue
                split = split_of(sample.image_id, shares, seed)
                if split not in writers:
                    writers[split], statistics[split] = _writer(part, split, format), SampleStatistics()
                writers[split].write(row)
                statistics[split].add(sample)
        finally:
            for writer in writers.values():
                writer.close()
        if not statistics:
            more = f": {skipped[0]}" if skipped else ""
            raise PosetalkError(f"{samples} holds no sample to export{more}; write the samples first")
        if format == "llama-factory":
            info = {f"posetalk_{split}": _dataset_info(split) for split in SPLITS if split in statistics}
            (part / "dataset_info.json").write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")
        write_card(part, format, samples, statistics, len(skipped), shares, seed, provenance)
    return ExportResult(statistics, tuple(skipped))


def _check(sample: Sample, images: Path | None) -> None:
    """Raises PosetalkError when a trainer cannot use the sample, or its image is outside of the images' folder."""
    texts = [text for turn in sample.turns for text in turn]
    if not texts or not all(text.strip() for text in texts):
        raise PosetalkError("a question or an answer is empty")
    try:
        "".join((sample.id, sample.image, sample.writer, *texts)).encode()
    except UnicodeEncodeError:  # half a character, which JSON can hold and UTF-8 cannot
        raise PosetalkError("its text is no Unicode") from None
    if placeholder := next((found[0] for text in texts if (found := _PLACEHOLDERS.search(text))), None):
        raise PosetalkError(f"its text holds the mark {placeholder}")
    if images is not None:
        image_path(images, sample.image)
    elif leads_out(sample.image):
        raise PosetalkError(f"its image {sample.image!a} leads out of the folder of the images")


def _check_images_exist(samples: Path, images: Path | None, format: ExportFormat) -> None:
    """Raises PosetalkError when an image is missing or cannot be read, before anything is written."""
    if images is None:
        raise PosetalkError(f"{format} holds the images themselves; give the folder of the images")
    checked: set[str] = set()
    for sample in read_samples(samples):
        if sample.image in checked:
            continue
        checked.add(sample.image)
        try:
            path = image_path(images, sample.image)
        except PosetalkError:  # its samples are left out, see `_check`
            continue
        if not path.is_file():
            raise PosetalkError(f"there is no image {path}; give the folder that holds all images")
        with open_image(path):  # reads its first bytes alone
            pass


def _row(sample: Sample, format: ExportFormat, images: Path | None) -> dict[str, Any]:
    path = Path(sample.image) if images is None else image_path(images, sample.image).absolute()
    match format:
        case "llava":
            return {"id": sample.id, "image": sample.image, "conversations": _conversations(sample)}
        case "llama-factory":
            return {"id": sample.id, "images": [sample.image], "conversations": _conversations(sample)}
        case "swift":
            roles = {"human": "user", "gpt": "assistant"}
            conversations = _conversations(sample)
            messages = [{"role": roles[turn["from"]], "content": turn["value"]} for turn in conversations]
            return {"messages": messages, "images": [str(path)]}
        case "parquet":
            return message_row(sample, path)
        case "finevision":
            return finevision_row(sample, path)


def _conversations(sample: Sample) -> list[dict[str, str]]:
    conversations = []
    for number, (question, answer) in enumerate(sample.turns):
        placeholder = "<image>\n" if number == 0 else ""
        conversations += [
            {"from": "human", "value": placeholder + question},
            {"from": "gpt", "value": answer},
        ]
    return conversations


def _dataset_info(split: Split) -> dict[str, Any]:
    """LLaMA-Factory's description of a file; its tags are `from`, `value`, `human` and `gpt` by default."""
    columns = {"messages": "conversations", "images": "images"}
    return {"file_name": f"{split}.json", "formatting": "sharegpt", "columns": columns}


def _writer(folder: Path, split: Split, format: ExportFormat) -> _Writer:
    match format:
        case "llava" | "llama-factory":
            return _JsonList(folder / f"{split}.json")
        case "swift":
            return _JsonLines(folder / f"{split}.jsonl")
        case "parquet" | "finevision":
            return Shards(folder / "data", split, format)


class _JsonLines:
    """A file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")

    def write(self, row: dict[str, Any]) -> None:
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()


class _JsonList:
    """A file with one JSON list, a line for each row."""

    def __init__(self, path: Path) -> None:
        self._file, self._separator = path.open("w", encoding="utf-8"), "["

    def write(self, row: dict[str, Any]) -> None:
        self._file.write(f"{self._separator}\n{json.dumps(row, ensure_ascii=False)}")
        self._separator = ","

    def close(self) -> None:
        self._file.write("\n]\n")
        self._file.close()
