"""Cards (README.md) of models and data sets: text for people, and metadata for the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCard, DatasetCardData, EvalResult, ModelCard, ModelCardData

from posetalk.atomic_files import whole_file

CARD = "README.md"
# Weights are made from other weights and from data, each with its own licence; the card names them.
LICENCE = {"license": "other", "license_name": "see-the-card"}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def save_card(folder: Path, data: ModelCardData | DatasetCardData, lines: Iterable[str]) -> None:
    """Write the card of a folder.

    Args:
        folder: The folder of the model or data set.
        data: The metadata, written as the YAML head of README.md.
        lines: The lines of its text.

    Raises:
        PosetalkError: the file cannot be written.
    """
    card_class = ModelCard if isinstance(data, ModelCardData) else DatasetCard
    text = "\n".join(lines)
    with whole_file(folder / CARD) as part:
        card_class(f"---\n{data.to_yaml()}\n---\n\n{text}\n").save(part)


def model_data(
    *parts: str | None, name: str = "posetalk", results: Iterable[EvalResult] = (), **overrides: Any
) -> ModelCardData:
    """The hub's metadata for a model that finds keypoints.

    Args:
        *parts: The models that it was made from; those that are hub ids become its base models.
        name: The name of the model, shown with `results`.
        results: What was measured.
        **overrides: Fields to replace, for models that do something else.
    """
    measured = list(results)
    fields: dict[str, Any] = {
        "language": "en",
        **LICENCE,
        "library_name": "posetalk",
        "pipeline_tag": "keypoint-detection",
        "tags": ["posetalk", "pose-estimation", "human-pose"],
        "base_model": [part for part in dict.fromkeys(parts) if part and _is_hub_id(part)] or None,
        "metrics": list(dict.fromkeys(result.metric_type for result in measured)) or None,
    }
    if measured:
        fields |= {"eval_results": measured, "model_name": name}
    return ModelCardData(**fields | overrides)


def shown_path(text: str) -> str:
    """The last part of an absolute path, so that a card names no folder of this machine. Other text stays."""
    return Path(text).name if Path(text).is_absolute() else text


def _is_hub_id(name: str) -> bool:
    return bool(_HUB_ID.fullmatch(name)) and not Path(name).exists()
