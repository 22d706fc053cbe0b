"""What every run of gradient steps needs: settings of the Trainer, and what a resumed run continues."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers import TrainingArguments

from posetalk.errors import PosetalkError

A = TypeVar("A", bound=TrainingArguments)


def arguments_of(kind: type[A], settings: Any, out: Path, **more: Any) -> A:
    """What a run's Trainer is told; max_steps is set when the data have been read. settings: TrainSettings or
    TuneSettings. Errors: as `accumulation`."""
    found: A = kind(
        output_dir=str(out / "checkpoints"),
        per_device_train_batch_size=settings.device_batch,
        learning_rate=settings.rate,
        warmup_steps=settings.warmup,
        lr_scheduler_type="cosine",
        max_grad_norm=settings.clip,
        bf16=settings.bf16,
        max_steps=1,
        logging_steps=settings.log_steps,
        save_steps=settings.save_steps,
        save_total_limit=2,
        seed=settings.seed,
        dataloader_num_workers=settings.workers,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to=[],
        use_cpu=not torch.cuda.is_available(),
        **more,
    )
    found.gradient_accumulation_steps = accumulation(settings.batch, settings.device_batch, found.world_size)
    return found


def accumulation(batch: int, device_batch: int, processes: int) -> int:
    """How many times each process takes `device_batch` for a step of `batch`. Errors: they do not divide evenly."""
    share, rest = divmod(batch, device_batch * processes)
    if rest or not share:
        raise PosetalkError(
            f"batch {batch} is not a multiple of device_batch {device_batch} x {processes} processes; "
            "change one of them"
        )
    return share


def last_checkpoint(folder: Path) -> str | None:
    """The last whole checkpoint: what the Trainer writes last is trainer_state.json."""
    whole = {}
    for file in folder.glob("checkpoint-*/trainer_state.json"):
        with suppress(ValueError, KeyError):  # killed while writing it
            whole[int(json.loads(file.read_bytes())["global_step"])] = str(file.parent)
    return whole[max(whole)] if whole else None


def forget_after(log: Path, step: int) -> None:
    """A resumed run repeats the steps since its checkpoint: their lines, and half a line, are written again."""
    if log.exists():
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= step]
        log.write_text("".join(kept), encoding="utf-8")
