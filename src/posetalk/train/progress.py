"""Progress of a run on the screen and in log.jsonl, and stopping it with Ctrl-C."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from transformers import Trainer, TrainerCallback

from posetalk.errors import PosetalkError
from posetalk.messages import progress
from posetalk.train.steps import drop_steps_after

KEYS = ("loss", "learning_rate", "grad_norm", "mean_token_accuracy")


class ProgressCallback(TrainerCallback):
    """Progress on the screen, and log.jsonl, a line per logged step.

    batch: how many of `unit` ("people") a step takes.
    """

    def __init__(self, log: Path, steps: int, batch: int, unit: str) -> None:
        self.log, self.steps, self.batch = log, steps, batch
        self.progress = progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(f"loss {{task.fields[loss]}}  {{task.fields[speed]}} {unit}/s"),
            TimeRemainingColumn(),
        )

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.start_time, self.first_step = time.monotonic(), state.global_step
        if state.is_world_process_zero:
            drop_steps_after(self.log, state.global_step)
            self.progress.start()
        self.task = self.progress.add_task(
            "", total=self.steps, completed=state.global_step, loss="-", speed="-"
        )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        speed = (state.global_step - self.first_step) * self.batch / (time.monotonic() - self.start_time)
        self.progress.update(self.task, completed=state.global_step, speed=f"{speed:.1f}")

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any
    ) -> None:
        if not state.is_world_process_zero or not logs or "loss" not in logs:
            return
        self.progress.update(self.task, loss=f"{logs['loss']:.3f}")
        row = {"step": state.global_step, **{key: logs[key] for key in KEYS if key in logs}}
        row["seconds"] = round(time.monotonic() - self.start_time, 1)
        with self.log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.progress.stop()


class StopCallback(TrainerCallback):
    """The first Ctrl-C ends the run after its step, with a checkpoint; the second ends it at once.

    For a run of one process: several would see it at different steps and wait for each other.
    """

    def __init__(self) -> None:
        self.stop_requested = False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.stop_requested:
            control.should_save = control.should_training_stop = True

    @contextmanager
    def listening(self, processes: int) -> Iterator[None]:
        """Catch Ctrl-C inside; raises KeyboardInterrupt at the end if it came."""
        if processes > 1:
            yield
            return
        try:
            before = signal.signal(signal.SIGINT, self._interrupt)
        except ValueError:  # not the main thread
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
        if self.stop_requested:
            raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.stop_requested:
            raise KeyboardInterrupt
        self.stop_requested = True


def run_trainer(trainer: Trainer, checkpoint: str | None, stop: StopCallback) -> None:
    """Train. An image that was damaged meanwhile raises PosetalkError, after a checkpoint was written."""
    try:
        with stop.listening(trainer.args.world_size):
            trainer.train(resume_from_checkpoint=checkpoint)
    except PosetalkError as error:
        if trainer.args.world_size > 1:
            raise
        if trainer.state.global_step:
            # a step's images are all read before it begins, so that nothing is half done
            trainer._save_checkpoint(trainer.model, None)
        [*_, last_line] = str(error).splitlines()  # a worker process puts its traceback before it
        sentence = last_line.removeprefix("posetalk.errors.PosetalkError: ")
        raise PosetalkError(f"{sentence}; the same command goes on from there") from None
    except ValueError as error:
        if "image tokens do not match" not in str(error):  # transformers' words
            raise
        raise PosetalkError(f"the model and its processor do not belong together ({error})") from None
