"""Cards: README.md, for people and, in its head, for the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCard, DatasetCardData, EvalResult, ModelCard, ModelCardData

from posetalk.atomic_files import whole_file

CARD = "README.md"
# Weights come from other weights and from data, each with its own terms; the card names them.
LICENCE = {"license": "other", "license_name": "see-the-card"}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def save_card(folder: Path, data: ModelCardData | DatasetCardData, lines: Iterable[str]) -> None:
    """README.md in a folder: `data` as its YAML head, `lines` as its text. Errors: as `atomic_files.whole_file`."""
    kind = ModelCard if isinstance(data, ModelCardData) else DatasetCard
    text = "\n".join(lines)
    with whole_file(folder / CARD) as part:
        kind(f"---\n{data.to_yaml()}\n---\n\n{text}\n").save(part)


def model_data(
    *parts: str | None, name: str = "posetalk", results: Iterable[EvalResult] = (), **more: Any
) -> ModelCardData:
    """What the hub asks of a model that finds keypoints; `more` replaces it for models that do something else.

    parts: what it was made from; those that the hub has become its base models. name: of the model, beside `results`,
    what was measured.
    """
    found = list(results)
    given: dict[str, Any] = {
        "language": "en",
        **LICENCE,
        "library_name": "posetalk",
        "pipeline_tag": "keypoint-detection",
        "tags": ["posetalk", "pose-estimation", "human-pose"],
        "base_model": [part for part in dict.fromkeys(parts) if part and _of_the_hub(part)] or None,
        "metrics": list(dict.fromkeys(result.metric_type for result in found)) or None,
    }
    if found:
        given |= {"eval_results": found, "model_name": name}
    return ModelCardData(**given | more)


def shown_path(text: str) -> str:
    """A file, or a folder with what is said of it, by its last name: where it lies is this machine's own business."""
    return Path(text).name if Path(text).is_absolute() else text


def _of_the_hub(name: str) -> bool:
    return bool(_HUB_ID.fullmatch(name)) and not Path(name).exists()
