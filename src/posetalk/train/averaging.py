"""The moving average of the weights: what is saved at the end of a run in place of the last step's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.distributed.tensor import DTensor
from transformers import TrainerCallback

from posetalk.errors import PosetalkError

FILE = "average.safetensors"


class AverageCallback(TrainerCallback):
    """Keeps an exponential moving average of what is trained, and puts it into the network when the run has ended.

    After step t the average moves by 1 - min(decay, (1 + t) / (10 + t)) towards the weights, so that the first steps
    do not linger (as TensorFlow's ExponentialMovingAverage with `num_updates`).

    Args:
        network: What is trained, perhaps wrapped by peft.
        decay: Share of the average that a step keeps.
    """

    def __init__(self, network: torch.nn.Module, decay: float) -> None:
        self.decay = decay
        self.trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
        self.average: dict[str, torch.Tensor] = {}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start from the weights, or from the checkpoint that the run goes on from."""
        if any(isinstance(p, DTensor) for p in self.trained.values()):
            raise PosetalkError("ema_decay does not work with FSDP; set ema_decay to 0, or use DDP")
        self.average = {name: p.detach().clone() for name, p in self.trained.items()}
        if not state.global_step:
            return
        file = Path(args.output_dir) / f"checkpoint-{state.global_step}" / FILE
        try:
            saved = load_file(file)
            for name, average in self.average.items():
                average.copy_(saved[name])
        except (OSError, SafetensorError, KeyError, RuntimeError) as error:
            raise PosetalkError(
                f"cannot read the average of the weights {file}: {error}; delete the checkpoint's folder, and the run "
                "goes on from the one before"
            ) from None

    @torch.no_grad()
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Move the average towards the weights."""
        step = state.global_step
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        weights = [p.detach() for p in self.trained.values()]
        torch._foreach_lerp_(list(self.average.values()), weights, share)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write the average into the checkpoint."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero and folder.is_dir():
            save_file({name: average.contiguous() for name, average in self.average.items()}, folder / FILE)

    @torch.no_grad()
    def use(self) -> None:
        """Put the average into the network."""
        for name, parameter in self.trained.items():
            parameter.copy_(self.average[name])
