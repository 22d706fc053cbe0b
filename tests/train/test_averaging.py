"""The average of the weights is what is saved, and a killed run goes on with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from posetalk.errors import PosetalkError
from posetalk.settings import TrainSettings
from posetalk.train import run
from posetalk.train.averaging import FILE


def recorded(settings: TrainSettings, out: Path) -> list[torch.Tensor]:
    """The connector's first weights before a run of one process, and after each of its steps."""
    weights: list[torch.Tensor] = []

    class Recorder(run.StopCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            weights.append(first_weights(dict(model.named_parameters())))

        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **more: Any) -> None:
            weights.append(first_weights(dict(model.named_parameters())))
            super().on_step_end(args, state, control, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "StopCallback", Recorder)
        run.train_model(settings, out)
    return weights


def first_weights(state: dict[str, torch.Tensor]) -> torch.Tensor:
    ours = [name for name in state if "multi_modal_projector" in name and "original" not in name]
    name = next(name for name in ours if name.endswith("1.weight"))
    return state[name].detach().clone()


def saved_weights(out: Path) -> torch.Tensor:
    return first_weights(load_file(out / "model.safetensors"))


def test_the_average_is_saved(settings: TrainSettings, tmp_path: Path) -> None:
    averaged = recorded(settings.model_copy(update={"ema_decay": 0.6}), tmp_path / "averaged")
    plain = recorded(settings, tmp_path / "plain")
    assert all(torch.equal(a, b) for a, b in zip(averaged, plain, strict=True))  # it changes no step
    expected = plain[0]
    for number, weights in enumerate(plain[1:], 1):
        kept = min(0.6, (1 + number) / (10 + number))
        expected = kept * expected + (1 - kept) * weights
    torch.testing.assert_close(saved_weights(tmp_path / "averaged"), expected)
    assert not torch.allclose(saved_weights(tmp_path / "averaged"), plain[-1])
    torch.testing.assert_close(saved_weights(tmp_path / "plain"), plain[-1])


def test_a_killed_run_goes_on_with_its_average(settings: TrainSettings, tmp_path: Path) -> None:
    averaged = settings.model_copy(update={"ema_decay": 0.6})
    run.train_model(averaged, tmp_path / "whole")
    step = run.ProgressCallback.on_step_end

    def killed(self: Any, args: Any, state: Any, control: Any, **more: Any) -> None:
        step(self, args, state, control, **more)
        if state.global_step == 4:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(run.ProgressCallback, "on_step_end", killed)
        run.train_model(averaged, tmp_path / "killed")
    run.train_model(averaged, tmp_path / "killed")
    torch.testing.assert_close(
        saved_weights(tmp_path / "killed"), saved_weights(tmp_path / "whole"), atol=1e-6, rtol=0
    )


def test_a_damaged_average_is_told(settings: TrainSettings, tmp_path: Path) -> None:
    averaged = settings.model_copy(update={"ema_decay": 0.6})
    run.train_model(averaged, tmp_path / "out")
    [*_, last] = sorted((tmp_path / "out" / "checkpoints").iterdir())
    save_file({"other": torch.zeros(1)}, last / FILE)
    (tmp_path / "out" / "model.safetensors").unlink()
    with pytest.raises(PosetalkError, match="cannot read the average of the weights"):
        run.train_model(averaged, tmp_path / "out")
