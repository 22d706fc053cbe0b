"""The data card of an export: README.md."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import DatasetCardData

from posetalk.errors import PosetalkError
from posetalk.hub.card import save_card
from posetalk.write.samples.sample import KINDS, Kind
from posetalk.write.samples.split import SPLITS, Shares, Split
from posetalk.write.samples.statistics import SampleStatistics, median

# The size classes of the Hugging Face hub.
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
)
_FILES = {
    "llava": "{split}.json",
    "llama-factory": "{split}.json",
    "swift": "{split}.jsonl",
    "parquet": "data/{split}-*.parquet",
    "finevision": "data/{split}-*.parquet",
}
_USE = {
    "llava": "LLaVA and LLaVA-NeXT: `--data_path train.json --image_folder` the folder of the pictures.",
    "llama-factory": "LLaMA-Factory: `dataset_dir:` this folder, `dataset: posetalk_train`, `media_dir:` the folder of "
    "the pictures.",
    "swift": "ms-swift: `swift sft --dataset train.jsonl`.",
    "parquet": "`datasets.load_dataset` with this folder; TRL's `SFTTrainer` takes it as it is, with "
    "`SFTConfig(max_length=None)`, or the tokens of the pictures may be cut off.",
    "finevision": "`datasets.load_dataset` with this folder. FineVision's columns of ratings are not there: nobody, "
    "and no model, has rated these samples.",
}
_TALKING = (
    "Questions and answers for teaching a vision-language model to talk about people's poses, written by posetalk",
    "after LLaVA-Pose (arXiv 2506.21317).",
)
_POINTING = (
    "Questions and answers for teaching a vision-language model to point at places on bodies, made by posetalk from",
    "labelled keypoints. Places are in the numbers of the form that is named below.",
)
_LIMITS = """\
- The text is made from labels on flat pictures, which people set, or a model where it is said above. Angles, and with
  them words such as `bent` or `straight`, are those of the projection: an arm that reaches towards the camera may look
  bent.
- What is hidden, outside the picture or not labelled is not spoken of; that is no sign of its absence.
- Left and right are the person's own where a limb is meant, and the picture's where people are told apart.
- Errors of the labels and of the captions are in the text. Nothing was checked by looking at the pictures.
- The people did not agree to this use. Not for telling who somebody is, for watching people, or for judging health."""
_LICENCES = """\
The text is derived from the sources above. COCO's annotations and captions are under CC BY 4.0 (COCO Consortium,
<https://cocodataset.org/#termsofuse>): name them when you pass this on. COCO's photos are not COCO's: each is under the
licence its photographer chose on Flickr, which the annotation file names for every image (`license`), some
without permission for commercial use or changes. Other sources have their own terms."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """How samples were made.

    Attributes:
        recipe: The writer and its prompts in words, such as `gpt-4.1-mini, recipe grounded`.
        seed: The seed of the writing.
        sources: The label files that were written from.
    """

    recipe: str
    seed: int | None = None
    sources: tuple[Path, ...] = ()


def write_card(
    folder: Path,
    format: str,
    samples: Path,
    statistics: Mapping[Split, SampleStatistics],
    skipped: int,
    shares: Shares,
    seed: int,
    provenance: Provenance | None = None,
) -> None:
    """Write README.md, the data card, into the folder of an export.

    Args:
        folder: The folder, with all its other files.
        format: The format of the files, see `export_dataset`.
        samples: The exported samples.jsonl, whose SHA-256 the card states.
        statistics: The statistics of each split that is not empty.
        skipped: The number of samples that were left out.
        shares: The shares of the splits.
        seed: The seed of the split.
        provenance: How the samples were made, if that is known.

    Raises:
        PosetalkError: When a source cannot be read.
        OSError: When the disk refuses.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    total = sum(split_statistics.samples for split_statistics in statistics.values())
    images = len(set().union(*(split_statistics.images for split_statistics in statistics.values())))
    title = f"{total:,} samples about the bodies in {images:,} pictures"
    pointing = any(split_statistics.kinds["pointing"] for split_statistics in statistics.values())
    kinds: tuple[Kind, ...] = ("pointing",) if pointing else KINDS
    lines = [
        f"# {title}",
        "",
        *(_POINTING if pointing else _TALKING),
        "",
        "## What is in it",
        "",
        "| split | pictures | " + " | ".join(kinds) + " | samples | questions |",
        "|---|" + "---:|" * (len(kinds) + 3),
        *(_row(split, statistics[split], kinds) for split in SPLITS if split in statistics),
        "",
        "| kind | words of an answer: middle | most |",
        "|---|---:|---:|",
    ]
    for kind in kinds:
        words: Counter[int] = sum(
            (split_statistics.words[kind] for split_statistics in statistics.values()), Counter()
        )
        if words:
            lines.append(f"| {kind} | {median(words):,} | {max(words):,} |")
    lines += ["", "| file | bytes |", "|---|---:|"]
    lines += [f"| {path.relative_to(folder).as_posix()} | {path.stat().st_size:,} |" for path in paths]
    lines += ["", f"Use: {_USE[format]}"]
    lines += [
        "",
        "## How it was made",
        "",
        *_provenance_lines(samples, statistics, skipped, shares, seed, provenance),
    ]
    lines += ["", "## Licences", "", _LICENCES, "", "## Limits", "", _LIMITS]
    save_card(folder, _card_data(format, statistics, total, title), lines)


def _card_data(
    format: str, statistics: Mapping[Split, SampleStatistics], total: int, title: str
) -> DatasetCardData:
    """The card's metadata. The text is machine-generated, whether rules or a model wrote it."""
    files = [
        {"split": split, "path": _FILES[format].format(split=split)}
        for split in SPLITS
        if split in statistics
    ]
    return DatasetCardData(
        language=["en"],
        license="other",
        license_name="see-licences-below",
        annotations_creators=["machine-generated"],
        language_creators=["machine-generated"],
        multilinguality=["monolingual"],
        size_categories=[next((name for limit, name in _SIZES if total < limit), "100M<n<1B")],
        source_datasets=["extended"],
        task_categories=["image-text-to-text", "visual-question-answering"],
        pretty_name=title,
        tags=["posetalk", "human-pose"],
        configs=[{"config_name": "default", "data_files": files}],
    )


def _row(split: Split, statistics: SampleStatistics, kinds: Sequence[Kind]) -> str:
    numbers = [
        len(statistics.images),
        *(statistics.kinds[kind] for kind in kinds),
        statistics.samples,
        statistics.questions,
    ]
    return f"| {split} | " + " | ".join(f"{number:,}" for number in numbers) + " |"


def _provenance_lines(
    samples: Path,
    statistics: Mapping[Split, SampleStatistics],
    skipped: int,
    shares: Shares,
    seed: int,
    provenance: Provenance | None,
) -> list[str]:
    writers: Counter[str] = sum(
        (split_statistics.writers for split_statistics in statistics.values()), Counter()
    )
    lines = [
        "- Writer: "
        + ", ".join(f"{_plain(name)} ({count:,} samples)" for name, count in writers.most_common())
    ]
    if provenance is not None:
        lines.append(f"- Recipe: {provenance.recipe}")
        if provenance.seed is not None:
            lines.append(f"- Seed of the writing: {provenance.seed}")
    lines.append(
        f"- Split by picture, drawn by its id with seed {seed}: validation {shares.validation:g}, test {shares.test:g}"
        " of the pictures. No picture is in two splits."
    )
    if skipped:
        lines.append(f"- Left out: {skipped:,} samples that are empty or hold a mark such as `<image>`")
    lines += ["", "| source | sha256 |", "|---|---|"]
    for path in (samples, *(provenance.sources if provenance else ())):
        lines.append(f"| {_plain(path.name)} | {_sha256(path)} |")
    return lines


def _plain(text: str) -> str:
    """A name without characters that have a meaning in Markdown."""
    return "".join(c if c.isalnum() or c in " ._:/+@-" else "?" for c in text)


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PosetalkError(f"cannot read {path}: {error.strerror}; name sources that are there") from None
