"""What a model loses elsewhere: its loss on other conversations, before it is tuned and after."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from posetalk.atomic_files import write_text
from posetalk.tune.data import TuningExample


def answer_loss(
    trainer: Any,
    examples: Sequence[TuningExample],
    collate: Callable[[Sequence[TuningExample]], dict[str, Any]],
) -> float:
    """Mean negative log-likelihood of a token of the answers, in nats; by all processes of a run together."""
    model, accelerator = trainer.model_wrapped, trainer.accelerator
    size, rank, world = (
        trainer.args.per_device_train_batch_size,
        accelerator.process_index,
        accelerator.num_processes,
    )
    ranked = sorted(examples, key=lambda example: -example.length)
    batches = [ranked[first : first + size] for first in range(0, len(ranked), size)]
    sums = torch.zeros(2, dtype=torch.float64, device=accelerator.device)
    training = model.training
    model.eval()
    for first in range(0, len(batches), world):
        # every process makes as many passes, since a sharded model's are made together; the last may not count
        is_counted = first + rank < len(batches)
        batch = trainer._prepare_inputs(collate(batches[min(first + rank, len(batches) - 1)]))
        with torch.no_grad(), trainer.compute_loss_context_manager():
            output = model(**batch, use_cache=False, fused_lm_head=True)
        if is_counted:
            sums += torch.stack([-output.log_probs.double().sum(), output.label_mask.double().sum()])
    model.train(training)
    total, tokens = accelerator.reduce(sums, "sum").tolist()
    return float(total / tokens)


class Probe(TrainerCallback):
    """Measures before the first step and after the last, into probe.json; a resumed run keeps what was measured."""

    def __init__(
        self,
        file: Path,
        name: str,
        examples: Sequence[TuningExample],
        collate: Callable[[Sequence[TuningExample]], dict[str, Any]],
    ) -> None:
        self.file, self.name, self.examples, self.collate = file, name, examples, collate
        self.trainer: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == 0:
            self._measure("before")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step >= state.max_steps:
            self._measure("after", self._before())

    def _before(self) -> dict[str, Any]:
        """What was measured before the first step; nothing where the file was damaged since."""
        try:
            return {"before": float(json.loads(self.file.read_bytes())["before"])}
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return {}

    def _measure(self, when: str, row: dict[str, Any] | None = None) -> None:
        loss = answer_loss(self.trainer, self.examples, self.collate)
        if self.trainer.is_world_process_zero():
            result = {"file": self.name, "samples": len(self.examples), **(row or {}), when: loss}
            write_text(self.file, json.dumps(result) + "\n")
