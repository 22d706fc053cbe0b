"""A converted LocLLM checkpoint answers as the checkpoint does, or is refused."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.model.reference import CONFIG, PATCH, SIDE, TEXT, D, State, answer, checkpoint, image_words, write

from posetalk.errors import PosetalkError
from posetalk.model.convert import ConvertedTensor, convert
from posetalk.model.files import load


@pytest.mark.parametrize("form", ["bin", "safetensors", "one bin", "one safetensors"])
@torch.no_grad()
def test_it_answers_as_the_checkpoint(form: str, parts: dict[str, str], tmp_path: Path) -> None:
    state = checkpoint()
    convert(write(tmp_path / "locllm", state, form), tmp_path / "ours", **parts)
    assert not [*(tmp_path / "ours").glob("*.bin")]
    model, tokenizer = load(tmp_path / "ours")
    assert len(tokenizer) == TEXT["vocab_size"]
    assert model.config.crop == {"size": PATCH * SIDE, "padding": 1.0, "pixels": "clip", "clip_box": True}
    assert model.config.connector == "linear"
    pixels = torch.randn(1, 3, PATCH * SIDE, PATCH * SIDE, generator=torch.Generator().manual_seed(1))
    words = image_words(state, pixels)
    found = model.model.get_image_features(pixels).pooler_output
    torch.testing.assert_close(found, words, atol=1e-5, rtol=0)
    before, after = [1, 7, 40], [5, 6, 250]
    ids = torch.tensor([before + [model.config.image_token_id] * SIDE**2 + after])
    logits = model(input_ids=ids, pixel_values=pixels).logits
    torch.testing.assert_close(logits, answer(state, words, before, after), atol=1e-5, rtol=0)


def test_every_tensor_is_reported(parts: dict[str, str], tmp_path: Path) -> None:
    state = checkpoint()
    rows = convert(write(tmp_path / "locllm", state), tmp_path / "ours", **parts)
    assert {row.source: row.shape for row in rows} == {
        key: tuple(value.shape) for key, value in state.items()
    }
    model, _ = load(tmp_path / "ours")
    assert {row.target for row in rows if row.target} == set(model.state_dict())
    assert {row.source for row in rows if row.target is None} == {
        f"model.layers.{i}.self_attn.rotary_emb.inv_freq" for i in range(2)
    }
    stem = "model.vision_tower.encoder.layer.0.attention."
    assert [row.target for row in rows if row.source == "vision_model.blocks.0.attn.qkv.bias"] == [
        f"{stem}{part}_proj.bias" for part in "qkv"
    ]
    lora = ConvertedTensor(
        "vision_model.blocks.0.attn.lora_A_q", f"{stem}q_proj.weight", (4, D), "LoRA, added times 1.5"
    )
    assert lora in rows


def test_small_deltas_survive_half_precision(parts: dict[str, str], tmp_path: Path) -> None:
    """The reference keeps LoRA in float32 beside a language model in bfloat16."""
    state = checkpoint()
    key = "model.layers.0.self_attn.q_proj."
    state[f"{key}weight"] = state[f"{key}weight"].bfloat16()
    state[f"{key}lora_B"] = state[f"{key}lora_B"] * 1e-3
    convert(write(tmp_path / "locllm", state), tmp_path / "ours", **parts)
    model, _ = load(tmp_path / "ours")
    found = model.state_dict()["model.language_model.layers.0.self_attn.q_proj.weight"]
    delta = 2 * state[f"{key}lora_B"] @ state[f"{key}lora_A"]
    torch.testing.assert_close(found - state[f"{key}weight"].float(), delta, atol=1e-6, rtol=0)


def without(*ends: str) -> State:
    return {key: value for key, value in checkpoint().items() if not key.endswith(ends)}


def no_folder(folder: Path) -> None:
    pass


def no_weights(folder: Path) -> None:
    for file in write(folder, checkpoint()).glob("pytorch_model*"):
        file.unlink()


def no_config(folder: Path) -> None:
    (write(folder, checkpoint()) / "config.json").unlink()


def lost_shard(folder: Path) -> None:
    (write(folder, checkpoint()) / "pytorch_model-00002-of-00002.bin").unlink()


def other_kind(folder: Path) -> None:
    write(folder, checkpoint(), config=TEXT)


class Code:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def code(folder: Path) -> None:
    file = write(folder, checkpoint()) / "pytorch_model-00001-of-00002.bin"
    torch.save({**checkpoint(), "more": Code(folder / "ran")}, file)


def old_code(folder: Path) -> None:
    """Not torch's zipped form but a pickle alone."""
    file = write(folder, checkpoint()) / "pytorch_model-00001-of-00002.bin"
    file.write_bytes(pickle.dumps({"more": Code(folder / "ran")}))


def nested(folder: Path) -> None:
    torch.save({"model": checkpoint()}, write(folder, checkpoint()) / "pytorch_model-00001-of-00002.bin")


def cut_off(form: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        file = next(write(folder, checkpoint(), form).glob(f"*-00001-of-00002.{form}"))
        file.write_bytes(file.read_bytes()[:5000])

    return spoil


def with_state(state: State, **config: Any) -> Callable[[Path], None]:
    return lambda folder: void(write(folder, state, config={**CONFIG, **config}))


def void(_: object) -> None:
    pass


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(
            no_folder, r"no LocLLM checkpoint at .*locllm: the folder does not exist", id="no folder"
        ),
        pytest.param(
            no_weights, r"no weights in .*locllm; give a folder with pytorch_model", id="no weights"
        ),
        pytest.param(no_config, r"config\.json is missing or not of a LocLLM checkpoint", id="no config"),
        pytest.param(
            other_kind,
            r"config\.json is missing or not .*\(KeyError: 'lora_vision_enable'\)",
            id="another model",
        ),
        pytest.param(lost_shard, r"is missing in .*locllm; fetch all files", id="lost shard"),
        pytest.param(code, r"00001-of-00002\.bin is damaged or holds more than plain tensors", id="code"),
        pytest.param(
            old_code, r"00001-of-00002\.bin is damaged or holds more than plain tensors", id="old_code"
        ),
        pytest.param(nested, r"00001-of-00002\.bin is damaged or holds more than plain tensors", id="nested"),
        pytest.param(cut_off("bin"), r"00001-of-00002\.bin is damaged", id="cut off bin"),
        pytest.param(
            cut_off("safetensors"), r"00001-of-00002\.safetensors is damaged", id="cut off safetensors"
        ),
        pytest.param(
            with_state(without("mm_projector.bias")),
            r"mm_projector\.bias is missing in .*locllm",
            id="missing",
        ),
        pytest.param(
            with_state(without("blocks.1.attn.lora_B_v")),
            r"vision_model\.blocks\.1\.attn\.lora_B_v is missing",
            id="half a LoRA",
        ),
        pytest.param(
            with_state({**checkpoint(), "model.extra": torch.zeros(2)}),
            r"locllm holds model\.extra, which LocLLM has not",
            id="left over",
        ),
        pytest.param(
            with_state(checkpoint(), lora_llm_enable=False),
            r"holds model\.layers\.0\.self_attn\.q_proj\.lora_A",
            id="LoRA that config.json turns off",
        ),
        pytest.param(
            with_state({**checkpoint(), "mm_projector.weight": torch.zeros(24, 31)}),
            r"mm_projector\.weight in .*locllm is \(24, 31\), not \(24, 32\)",
            id="shape",
        ),
        pytest.param(
            with_state({**checkpoint(), "vision_model.pos_embed": torch.zeros(1, 17, D)}),
            r"pos_embed in .*locllm is \(1, 17, 32\), not \(1, 26, 32\)",
            id="positions",
        ),
        pytest.param(
            with_state(checkpoint(), lora_vision_r=8),
            r"lora_A_q in .*locllm is \(4, 32\), not \(8, 32\)",
            id="rank",
        ),
        pytest.param(
            with_state(checkpoint(), num_hidden_layers=10**10),
            "10,000,000,000 as num_hidden_layers",
            id="endless",
        ),
        pytest.param(
            with_state(checkpoint(), hidden_size=-32),
            "cannot load the LocLLM checkpoint",
            id="negative width",
        ),
        pytest.param(
            with_state(checkpoint(), lora_llm_alpha="x"),
            "cannot load the LocLLM checkpoint",
            id="alpha a word",
        ),
        pytest.param(
            lambda f: void((write(f, checkpoint()) / "config.json").write_text("[" * 99_999)),
            "config.json cannot be read",
            id="config deep",
        ),
    ],
)
def test_refusals(make: Callable[[Path], None], words: str, parts: dict[str, str], tmp_path: Path) -> None:
    make(tmp_path / "locllm")
    with pytest.raises(PosetalkError, match=words) as error:
        convert(tmp_path / "locllm", tmp_path / "ours", **parts)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "ours").exists()
    assert not (tmp_path / "locllm" / "ran").exists()


def test_nothing_is_written_over(parts: dict[str, str], tmp_path: Path) -> None:
    source = write(tmp_path / "locllm", checkpoint())
    with pytest.raises(PosetalkError, match="is there already; give a folder that is new or empty"):
        convert(source, source, **parts)
    assert json.loads((source / "config.json").read_text()) == CONFIG


def test_another_vision_encoder_is_refused(tiny_parts: tuple[Path, Path], tmp_path: Path) -> None:
    source = write(tmp_path / "locllm", checkpoint())
    with pytest.raises(PosetalkError, match="is a llama model; LocLLM's is a dinov2"):
        convert(source, tmp_path / "ours", vision=str(tiny_parts[1]), text=str(tiny_parts[1]))
