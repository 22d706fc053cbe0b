"""The card of a tuned model, README.md: what it was made from and what was measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult

from posetalk.hub.card import model_data, save_card, shown_path
from posetalk.tune.data import TuningExample
from posetalk.tune.settings import TuneSettings

_TASK = "image-text-to-text"
_METHODS = {
    "lora": "LoRA on the language model, the whole connector",
    "qlora": "LoRA on the language model in 4 bits, the whole connector",
    "full": "every weight of the language model and the connector",
}


@dataclass(frozen=True, slots=True)
class TuningSummary:
    """own, replayed: samples of the run's data and of replays; left_out: of all files; lengths: tokens of the samples
    of both; probe: the samples whose loss is measured before and after."""

    own: int
    replayed: int
    left_out: int
    lengths: Sequence[int]
    probe: Sequence[TuningExample]


def write_card(
    out: Path, settings: TuneSettings, start: str, summary: TuningSummary, steps: int, counts: dict[str, int]
) -> None:
    """README.md in the folder of a run, and beside adapters that are not merged.

    start: the model that was tuned, with the fingerprint of its weights.
    """
    trained = counts["language"] + counts["connector"]
    images = "padded to a square" if settings.pad_to_square else "as the model's own processor prepares them"
    lines = [
        "# Model card",
        "",
        f"{shown_path(start)}, tuned with posetalk for {steps:,} steps of {settings.batch_size} samples, seed "
        f"{settings.seed}; every setting is in run.toml, the loss curve in log.jsonl. The licences of that model and "
        "of the data hold.",
        "",
        f"- Tuned: {_METHODS[settings.method]}; {trained:,} parameters ({counts['connector']:,} of them the "
        "connector's). The vision encoder is as it was.",
        f"- Samples: {summary.own:,} from {', '.join(shown_path(source.file) for source in settings.data)}",
        *(
            f"- Replay: {replay.share} samples for each of those from {shown_path(replay.file)}"
            for replay in settings.replay
        ),
        f"- Left out: {summary.left_out:,} (skipped.txt says which and why)",
        f"- Tokens of a sample with its picture: {min(summary.lengths):,} to {max(summary.lengths):,}, none cut",
        f"- Pictures: {images}",
    ]
    results = []
    if settings.probe:
        probe = json.loads((out / "probe.json").read_text(encoding="utf-8"))
        lines += [
            "",
            f"Loss a token of the answers of {probe['samples']:,} samples in {shown_path(probe['file'])}: "
            f"{_loss(probe, 'before')} before, {_loss(probe, 'after')} after.",
        ]
        if "after" in probe:
            file = shown_path(probe["file"])
            name, value = "loss a token of the answers", round(probe["after"], 4)
            results.append(EvalResult(_TASK, file, file, "loss", value, metric_name=name))
    alone = settings.method != "full" and settings.save_format == "adapters"
    data = model_data(
        settings.model,
        name=out.name,
        results=results,
        library_name="peft" if alone else "transformers",
        pipeline_tag=_TASK,
        tags=["posetalk", "human-pose"],
    )
    for folder in (out, out / "adapters") if alone else (out,):
        save_card(folder, data, lines)


def _loss(probe: dict[str, Any], when: str) -> str:
    return f"{probe[when]:.4f}" if when in probe else "not known"
