"""What a run holds in memory changes where its numbers lie, and not what is learned."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.model.test_block import rows
from tests.train.test_distributed import logged
from torch.nn.modules import module as hooks

from posetalk.errors import PosetalkError
from posetalk.locate.localizer import Localizer
from posetalk.model.adapters import set_trainable
from posetalk.model.files import build, load, save
from posetalk.model.machine import frozen_dtype
from posetalk.model.posellm import PoseLLM
from posetalk.settings import ModelSettings, TrainSettings
from posetalk.train.losses import LossSettings, forward_with_loss
from posetalk.train.run import train_model
from posetalk.train.steps import checkpoint_activations

NOISE = np.random.default_rng(0).integers(0, 255, (80, 120, 3), dtype=np.uint8)
BOXES = [(10, 10, 40, 60), (50, 5, 30, 70)]


def dtypes(model: PoseLLM) -> tuple[set[torch.dtype], set[torch.dtype]]:
    """Of the language model with its head, and of everything else."""
    language, others = set(), set()
    for name, parameter in model.named_parameters():
        is_language = "language_model" in name or "lm_head" in name
        (language if is_language else others).add(parameter.dtype)
    return language, others


@pytest.mark.parametrize("form", ["parts", "merged", "adapters"])
def test_the_language_model_alone_is_in_bfloat16(
    form: str, tiny_settings: ModelSettings, tmp_path: Path
) -> None:
    settings = tiny_settings.model_copy(update={"readout": "point", "reading": "once"})
    if form == "parts":
        model, _ = build(settings, torch.bfloat16)
    else:
        fresh, tokenizer = build(settings)
        save(set_trainable(fresh, settings), tokenizer, tmp_path, form)  # type: ignore[arg-type]
        model, _ = load(tmp_path, torch.bfloat16)
    assert dtypes(model) == ({torch.bfloat16}, {torch.float32})
    trained = [p for p in set_trainable(model, settings).parameters() if p.requires_grad]
    assert {p.dtype for p in trained} == {torch.float32}


@pytest.mark.parametrize("form", ["parts", "merged", "adapters"])
def test_no_weight_is_made_twice(form: str, tiny_settings: ModelSettings, tmp_path: Path) -> None:
    """A network of random numbers, which the parts then take the place of, would be a second one."""
    network, tokenizer = build(tiny_settings)
    size = sum(parameter.numel() for parameter in network.parameters())
    if form != "parts":
        save(set_trainable(network, tiny_settings), tokenizer, tmp_path, form)  # type: ignore[arg-type]
    made: dict[int, torch.Tensor] = {}

    def note(_: Any, __: str, tensor: torch.Tensor | None) -> None:
        if tensor is not None and not tensor.is_meta:
            made[id(tensor)] = tensor

    hook = hooks.register_module_parameter_registration_hook(note)
    try:
        build(tiny_settings, torch.bfloat16) if form == "parts" else load(tmp_path, torch.bfloat16)
    finally:
        hook.remove()
    assert 0.9 * size < sum(tensor.numel() for tensor in made.values()) < 1.5 * size


def test_new_parts_are_initialised(tiny_settings: ModelSettings) -> None:
    """They come out of empty memory."""
    torch.manual_seed(0)
    model, _ = build(tiny_settings.model_copy(update={"readout": "point", "reading": "once"}))
    for name, parameter in model.named_parameters():
        if any(part in name for part in ("projector", "point", "question_reader")) and parameter.ndim > 1:
            scale = (
                1.0 if "question_reader" not in name else 3**0.5 * model.get_input_embeddings().weight.std()
            )
            assert 0.015 * scale < parameter.std() < 0.025 * scale, name
    assert model.point.temperature == 1 and model.point.visible_line.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("dtype", "bf16", "layers", "found"),
    [
        (None, None, False, torch.float32),
        ("bfloat16", False, False, torch.bfloat16),
        ("bfloat16", True, True, torch.float32),
    ],
)
def test_the_dtype_of_frozen_weights(dtype: Any, bf16: Any, layers: bool, found: torch.dtype) -> None:
    assert frozen_dtype(dtype, bf16, layers) is found


@pytest.mark.parametrize(
    ("bf16", "found"), [(None, torch.bfloat16), (True, torch.bfloat16), (False, torch.float32)]
)
def test_a_gpu_holds_them_in_bfloat16(bf16: Any, found: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert frozen_dtype(None, bf16) is found


@pytest.mark.parametrize("case", ["block", "chain", "once", "guided"])
@pytest.mark.parametrize("tuning", ["lora", "layers"])
def test_checkpointed_activations_change_no_gradient(
    case: str, tuning: str, tiny_settings: ModelSettings
) -> None:
    chosen = tiny_settings.model_copy(
        update={
            "tune_vision_encoder": "frozen",
            "tune_language_model": tuning,
            "reading": "once" if case == "once" else "inline",
        }
    )
    torch.manual_seed(0)
    model, _ = build(chosen)
    if case == "guided":
        model.set_attn_implementation("eager")
    network = set_trainable(model, chosen).train()
    for name, parameter in network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    segments = rows(20, [[5, 3, 4], [4, 6]])
    if case == "chain":
        segments = segments.clamp(max=0)
    ids = torch.randint(2, 200, segments.shape)
    ids[:, 2:18] = model.config.image_token_id
    batch = {
        "input_ids": ids,
        "labels": torch.where(torch.arange(ids.shape[1]) > 20, ids, -100),
        "segments": segments,
        "pixel_values": torch.randn(2, 3, 56, 56),
    }
    if case == "once":
        ids[:, 20] = model.config.question_token_id
        batch |= {"questions": torch.tensor([[5, 6, 7], [5, 8, 9]]), "lengths": torch.tensor([3, 2])}
        batch["question_index"] = torch.tensor([1, 0])
    if case == "guided":
        batch["truth"] = torch.rand(*ids.shape, 5)
    calls = {"vision": 0, "language": 0}
    model.model.vision_tower.encoder.layer[0].mlp.register_forward_pre_hook(
        lambda *_: calls.update(vision=calls["vision"] + 1)
    )
    model.model.language_model.layers[0].mlp.register_forward_pre_hook(
        lambda *_: calls.update(language=calls["language"] + 1)
    )

    def gradients() -> dict[str, torch.Tensor]:
        network.zero_grad()
        weight = 0.5 if case == "guided" else 0.0
        loss = forward_with_loss(network, batch, LossSettings(attention_loss_weight=weight)).loss
        assert loss is not None
        loss.backward()  # type: ignore[no-untyped-call]
        found = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
        return found | {"loss": loss.detach()}

    without = gradients()
    passes = calls["language"]
    checkpoint_activations(network)
    calls.update(vision=0, language=0)
    found = gradients()
    assert found.keys() == without.keys()
    for name, gradient in without.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-6, atol=1e-7, msg=name)
    assert calls == {"vision": 1, "language": 2 * passes}  # the frozen encoder is not computed again


def learned(settings: TrainSettings, out: Path, **changes: Any) -> tuple[list[float], np.ndarray]:
    """The losses of a run, and where its model puts keypoints."""
    train_model(settings.model_copy(update=changes), out)
    where = Localizer.from_pretrained(out, readout="point").set_image(NOISE).locate(BOXES)
    return logged(out, "loss"), where.xy


@pytest.fixture
def pointing(settings: TrainSettings) -> TrainSettings:
    assert settings.model is not None
    model = settings.model.model_copy(update={"readout": "point"})
    return settings.model_copy(update={"model": model, "save_steps": 100, "max_steps": 4})


def test_a_frozen_language_model_in_bfloat16_learns_as_in_float32(
    settings: TrainSettings, tmp_path: Path
) -> None:
    """Of the bundled model, whose heat maps have one peak: those of an untrained one are flat."""
    changes = {"model": None, "start": "bundled", "max_steps": 3, "save_steps": 100, "learning_rate": 1e-4}
    settings = settings.model_copy(update=changes)
    losses, xy = learned(settings, tmp_path / "exact")
    for name, changes in (
        ("mixed", {"language_model_dtype": "bfloat16", "bf16": True, "gradient_checkpointing": True}),
        ("alone", {"language_model_dtype": "bfloat16"}),
    ):
        found, places = learned(settings, tmp_path / name, **changes)
        assert found == pytest.approx(losses, rel=0.01)
        assert found != losses
        assert np.abs(places - xy).max() < 0.05 * 70  # of the longer side, in pixels


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_adapters_beside_a_quantised_language_model(
    bits: str, pointing: TrainSettings, tmp_path: Path
) -> None:
    losses, _ = learned(pointing, tmp_path / "exact")
    found, _ = learned(pointing, tmp_path / "quantised", quantization=bits)
    assert found == pytest.approx(losses, rel=0.05)
    assert found != losses
    # the adapters are in the weights that were not quantised
    merged, again = (load(tmp_path / "quantised" / name)[0] for name in (".", "adapters"))
    assert dtypes(merged) == ({torch.float32}, {torch.float32})
    for name, weight in again.state_dict().items():
        torch.testing.assert_close(merged.state_dict()[name], weight, msg=name)


def test_a_quantised_saved_model_is_trained_further(
    pointing: TrainSettings, tiny_model: Path, tmp_path: Path
) -> None:
    assert pointing.model is not None
    further = pointing.model_copy(update={"start": str(tiny_model), "quantization": "4bit", "max_steps": 3})
    train_model(further, tmp_path / "out")
    before, after = load(tiny_model)[0].state_dict(), load(tmp_path / "out")[0].state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert any("q_proj" in name for name in changed)
    assert not any("mlp" in name or "embed" in name for name in changed)


def test_what_is_not_quantised_is_one_sentence(
    pointing: TrainSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pointing.model is not None
    layers = pointing.model.model_copy(update={"tune_language_model": "layers"})
    with pytest.raises(PosetalkError, match="of a quantised language model adapters are trained"):
        train_model(
            pointing.model_copy(update={"model": layers, "quantization": "4bit"}), tmp_path / "layers"
        )
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(PosetalkError, match=r"package bitsandbytes.*posetalk\[quantize\]"):
        train_model(pointing.model_copy(update={"quantization": "4bit"}), tmp_path / "missing")
