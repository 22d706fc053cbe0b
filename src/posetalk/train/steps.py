"""What every run of gradient steps needs: settings of the Trainer, and what a resumed run continues."""

from __future__ import annotations

import json
import math
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from transformers import TrainerState, TrainingArguments

from posetalk.atomic_files import write_text
from posetalk.errors import PosetalkError
from posetalk.model.machine import fast_bfloat16

A = TypeVar("A", bound=TrainingArguments)


def arguments_of(kind: type[A], settings: Any, out: Path, **more: Any) -> A:
    """What a run's Trainer is told; max_steps is set when the data have been read. settings: TrainSettings or
    TuneSettings. Errors: as `accumulation`."""
    found: A = kind(
        output_dir=str(out / "checkpoints"),
        per_device_train_batch_size=settings.per_device_batch_size,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup_ratio,
        lr_scheduler_type="cosine",
        max_grad_norm=settings.max_grad_norm,
        bf16=fast_bfloat16() if settings.bf16 is None else settings.bf16,
        max_steps=1,
        logging_steps=settings.log_steps,
        save_steps=settings.save_steps,
        save_total_limit=2,
        seed=settings.seed,
        dataloader_num_workers=settings.num_workers,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to=[],
        use_cpu=not torch.cuda.is_available(),
        **more,
    )
    found.gradient_accumulation_steps = accumulation(
        settings.batch_size, settings.per_device_batch_size, found.world_size
    )
    return found


def accumulation(batch_size: int, per_device: int, processes: int) -> int:
    """How many times each process takes `per_device` for a step of `batch_size`. Errors: they do not divide evenly."""
    share, rest = divmod(batch_size, per_device * processes)
    if rest or not share:
        raise PosetalkError(
            f"batch_size {batch_size} is not a multiple of per_device_batch_size {per_device} x {processes} processes; "
            "change one of them"
        )
    return share


def last_checkpoint(folder: Path, arguments: TrainingArguments) -> str | None:
    """The last sound checkpoint. One that is newer and damaged is told and set aside by the first process, for which
    the others wait."""
    with arguments.main_process_first(local=False):
        aside = []
        for path in sorted(folder.glob("checkpoint-*"), key=_number, reverse=True):
            wrong = fault(path)
            if wrong is None:
                break
            aside.append((path, wrong))
        else:
            path = None
        if arguments.process_index == 0:
            for damaged, wrong in aside:
                kept = damaged.with_name(f"damaged-{damaged.name}")
                shutil.rmtree(kept, ignore_errors=True)
                damaged.rename(kept)
                goes = f"goes on from {path.name}" if path else "begins anew"
                print(f"{damaged} is damaged ({wrong}), and now called {kept.name}; the run {goes}")
    return str(path) if path else None


def _number(checkpoint: Path) -> int:
    tail = checkpoint.name.rpartition("-")[2]
    return int(tail) if tail.isdecimal() else -1


def fault(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, None for a sound one.

    Pickles are looked at byte by byte, as they hold sums of themselves; of safetensors the table at their start says
    whether they are whole.
    """
    if not checkpoint.is_dir():
        return "it is no folder"
    try:
        TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))  # written last
    except (OSError, ValueError, TypeError, RecursionError):
        return "trainer_state.json is missing or cut off"
    # a sharded model's are laid into folders by accelerate
    if not any(path.is_dir() for path in checkpoint.iterdir()):
        for name in ("*.safetensors", "optimizer.pt", "scheduler.pt", "rng_state*.pth"):
            if not any(checkpoint.glob(name)):
                return f"{name} is missing"
    for index in checkpoint.glob("*.safetensors.index.json"):
        try:
            shards = set(json.loads(index.read_bytes())["weight_map"].values())
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return f"{index.name} is cut off"
        if missing := next((name for name in sorted(shards) if not (checkpoint / name).is_file()), None):
            return f"{missing} is missing"
    for path in sorted(checkpoint.rglob("*")):
        try:
            if path.suffix == ".safetensors":
                with safe_open(path, "pt"):
                    pass
            elif path.suffix in (".pt", ".pth"):
                with zipfile.ZipFile(path) as parts:
                    if parts.testzip():
                        return f"{path.name} is not what was written"
        except (OSError, SafetensorError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            return f"{path.name}: {str(error).strip() or 'empty'}"
    return None


def forget_after(log: Path, step: int) -> None:
    """A resumed run repeats the steps since its checkpoint: their lines are written again, and damaged ones go."""
    if log.exists():
        lines = log.read_bytes().decode(errors="replace").splitlines(keepends=True)
        write_text(log, "".join(line for line in lines if line.endswith("\n") and _step(line) <= step))


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return math.inf
