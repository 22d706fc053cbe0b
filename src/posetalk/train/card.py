"""The card of a trained model, README.md: what it was made from, and what it has learned, in this run and before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from posetalk.hub.card import model_data, save_card, shown_path
from posetalk.model.files import named_weights
from posetalk.model.posellm import PoseLLMConfig
from posetalk.settings import TrainSettings
from posetalk.skeleton import Skeleton


@dataclass(frozen=True, slots=True)
class KnownKeypoints:
    """names: the keypoints of this run; synonyms: their other names.

    before: the keypoints of the model that it started from, None where nobody knows.
    start: which model that was, None for a network built from parts. again: left out of this run, but known before.
    """

    names: tuple[str, ...]
    synonyms: tuple[str, ...]
    before: tuple[str, ...] | None
    start: str | None
    again: tuple[str, ...]

    @classmethod
    def of(cls, settings: TrainSettings, before: Sequence[str] | None, skeletons: Iterable[Skeleton]) -> Self:
        """before: `PoseLLMConfig.keypoints` of the model that the run starts with."""
        without = set(settings.without_keypoints)
        different = {id(skeleton): skeleton for skeleton in skeletons}.values()  # one of each data set
        points = [p for skeleton in different for p in skeleton.keypoints if p.name not in without]
        names = tuple(dict.fromkeys(p.name for p in points))
        synonyms = {name for p in points for name in p.synonyms}
        start = named_weights(settings.start) if settings.start else None
        if not settings.start:
            before = ()
        again = sorted(without & set(before or ()))
        earlier = None if before is None else tuple(before)
        return cls(names, tuple(sorted(synonyms.difference(names))), earlier, start, tuple(again))

    @property
    def known(self) -> list[str] | None:
        """All that the model has been asked for in training, in its history's order; None where nobody knows."""
        return None if self.before is None else list(dict.fromkeys((*self.before, *self.names)))

    @property
    def warning(self) -> str:
        names = ", ".join(self.again)
        start = shown_path(self.start or "")
        return f"{start} has learned {names} before: what is left out of this run does not become unseen"


def write_card(
    out: Path,
    settings: TrainSettings,
    learned: KnownKeypoints,
    people: int,
    counts: dict[str, int],
    steps: int,
    config: PoseLLMConfig,
) -> None:
    """README.md in the folder of a run. config: of the model; it names the parts that the model was built from."""
    lines = [
        "# Model card",
        "",
        f"Trained with posetalk for {steps} steps of {settings.batch_size} people, packing "
        f"`{settings.packing}`, seed {settings.seed}; every setting is in run.toml, the loss curve in log.jsonl.",
        "",
        f"- People: {people} per epoch, from {', '.join(shown_path(d.annotations) for d in settings.data)}",
        f"- Keypoints ({len(learned.names)}): {', '.join(learned.names)}",
        f"- Left out: {', '.join(settings.without_keypoints) or 'none'}",
        f"- Trained parameters: {', '.join(f'{part} {n:,}' for part, n in counts.items())}",
    ]
    if learned.start:
        lines.append(f"- Started from: {shown_path(learned.start)}")
        if learned.before is None:
            lines.append("- Learned before: not known, so that no keypoint counts as unseen")
        else:
            lines.append(f"- Learned before ({len(learned.before)}): {', '.join(learned.before)}")
    if learned.again:
        lines += ["", f"**{learned.warning}.**"]
    lines += ["", "The licences of what it started from and of the data hold."]
    save_card(out, model_data(settings.start, config.vision, config.text), lines)
