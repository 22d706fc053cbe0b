"""What a run shows and writes as it goes, and how it is stopped."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from transformers import Trainer, TrainerCallback

from posetalk.errors import PosetalkError
from posetalk.train.steps import forget_after

KEYS = ("loss", "learning_rate", "grad_norm", "mean_token_accuracy")


class ProgressCallback(TrainerCallback):
    """Progress on the screen, and log.jsonl, a line per logged step.

    batch: how many of `unit` ("people") a step takes.
    """

    def __init__(self, log: Path, steps: int, batch: int, unit: str) -> None:
        self.log, self.steps, self.batch = log, steps, batch
        self.progress = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(f"loss {{task.fields[loss]}}  {{task.fields[speed]}} {unit}/s"),
            TimeRemainingColumn(),
        )

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.begun, self.first = time.monotonic(), state.global_step
        if state.is_world_process_zero:
            forget_after(self.log, state.global_step)
            self.progress.start()
        self.task = self.progress.add_task(
            "", total=self.steps, completed=state.global_step, loss="-", speed="-"
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        speed = (state.global_step - self.first) * self.batch / (time.monotonic() - self.begun)
        self.progress.update(self.task, completed=state.global_step, speed=f"{speed:.1f}")

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        if not state.is_world_process_zero or not logs or "loss" not in logs:
            return
        self.progress.update(self.task, loss=f"{logs['loss']:.3f}")
        row = {"step": state.global_step, **{key: logs[key] for key in KEYS if key in logs}}
        row["seconds"] = round(time.monotonic() - self.begun, 1)
        with self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.progress.stop()


class StopCallback(TrainerCallback):
    """The first Ctrl-C ends the run after its step, with a checkpoint; the second ends it at once.

    For a run of one process: several would see it at different steps and wait for each other.
    """

    def __init__(self) -> None:
        self.asked = False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.asked:
            control.should_save = control.should_training_stop = True

    @contextmanager
    def listening(self, processes: int) -> Iterator[None]:
        """Errors: KeyboardInterrupt at the end, where it was asked to stop."""
        if processes > 1:
            yield
            return
        try:
            before = signal.signal(signal.SIGINT, self._hear)
        except ValueError:  # not the main thread
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
        if self.asked:
            raise KeyboardInterrupt

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def take_steps(trainer: Trainer, checkpoint: str | None, stop: StopCallback) -> None:
    """Errors: KeyboardInterrupt; a picture that was damaged meanwhile, with a checkpoint of the steps before it."""
    try:
        with stop.listening(trainer.args.world_size):
            trainer.train(resume_from_checkpoint=checkpoint)
    except PosetalkError as error:
        if trainer.args.world_size > 1:
            raise
        if trainer.state.global_step:
            # a step's pictures are all read before it begins, so that nothing is half done
            trainer._save_checkpoint(trainer.model, None)
        [*_, said] = str(error).splitlines()  # a worker process puts its traceback before it
        sentence = said.removeprefix("posetalk.errors.PosetalkError: ")
        raise PosetalkError(f"{sentence}; the same command goes on from there") from None
    except ValueError as error:
        if "image tokens do not match" not in str(error):  # transformers' words
            raise
        raise PosetalkError(f"the model and its processor do not belong together ({error})") from None
