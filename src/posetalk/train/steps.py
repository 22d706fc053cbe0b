"""The Trainer's arguments and the checkpoints that a resumed run continues from."""

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
from posetalk.messages import log
from posetalk.model.machine import fast_bfloat16

A = TypeVar("A", bound=TrainingArguments)


def training_arguments(arguments_class: type[A], settings: Any, out: Path, **options: Any) -> A:
    """The Trainer's arguments; max_steps is set when the data have been read. settings: TrainSettings, TuneSettings."""
    gpu = torch.cuda.is_available()
    arguments: A = arguments_class(
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
        activation_checkpointing=False,  # see `checkpoint_activations`
        logging_nan_inf_filter=False,  # looking for them waits for the GPU at every step
        dataloader_num_workers=settings.num_workers,
        dataloader_prefetch_factor=4 if gpu and settings.num_workers else None,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to=[],
        use_cpu=not gpu,
        **options,
    )
    arguments.gradient_accumulation_steps = gradient_accumulation(
        settings.batch_size, settings.per_device_batch_size, arguments.world_size
    )
    return arguments


def checkpoint_activations(model: Any) -> None:
    """Have a model, perhaps wrapped by peft, keep the inputs of its layers alone and compute the rest again.

    The Trainer's own way lets gradients reach the embeddings, those of images too, which re-entrant checkpoints need:
    the frozen vision encoder would be computed backwards for nothing.
    """
    model.activation_checkpointing_enable({"use_reentrant": False})
    model.disable_input_require_grads()


def gradient_accumulation(batch_size: int, per_device: int, processes: int) -> int:
    """How many times each process takes `per_device` for a step of `batch_size`.

    Raises:
        PosetalkError: they do not divide evenly.
    """
    share, rest = divmod(batch_size, per_device * processes)
    if rest or not share:
        raise PosetalkError(
            f"batch_size {batch_size} is not a multiple of per_device_batch_size {per_device} x {processes} processes; "
            "change one of them"
        )
    return share


def last_checkpoint(folder: Path, arguments: TrainingArguments) -> str | None:
    """The last sound checkpoint. The first process logs and renames newer ones that are damaged; the others wait."""
    with arguments.main_process_first(local=False):
        damaged = []
        for path in sorted(folder.glob("checkpoint-*"), key=_step_of, reverse=True):
            error = checkpoint_error(path)
            if error is None:
                break
            damaged.append((path, error))
        else:
            path = None
        if arguments.process_index == 0:
            for checkpoint, error in damaged:
                new_name = checkpoint.with_name(f"damaged-{checkpoint.name}")
                shutil.rmtree(new_name, ignore_errors=True)
                checkpoint.rename(new_name)
                goes = f"goes on from {path.name}" if path else "begins anew"
                log.warning(
                    "%s is damaged (%s), and now called %s; the run %s",
                    checkpoint,
                    error,
                    new_name.name,
                    goes,
                )
    return str(path) if path else None


def _step_of(checkpoint: Path) -> int:
    tail = checkpoint.name.rpartition("-")[2]
    return int(tail) if tail.isdecimal() else -1


def checkpoint_error(checkpoint: Path) -> str | None:
    """What is wrong with a checkpoint, None for a sound one.

    Pickles lie in zip files, which hold checksums; the table at the start of safetensors says whether they are
    whole.
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


def drop_steps_after(log: Path, step: int) -> None:
    """A resumed run repeats the steps since its checkpoint: their lines are written again, and damaged ones go."""
    if log.exists():
        lines = log.read_bytes().decode(errors="replace").splitlines(keepends=True)
        write_text(log, "".join(line for line in lines if line.endswith("\n") and _logged_step(line) <= step))


def _logged_step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return math.inf
