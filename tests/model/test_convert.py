"""A converted LocLLM checkpoint answers as the checkpoint does, or is refused."""

from __future__ import annotations

import json
import math
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from transformers import Dinov2Config, LlamaConfig, LlamaForCausalLM

from posetalk.errors import PosetalkError
from posetalk.model.convert import ConvertedTensor, convert
from posetalk.model.files import load

D, HEADS, BLOCKS, PATCH, GRID, SIDE = 32, 4, 2, 14, 5, 4  # positions learned on 5 x 5 patches, used on 4 x 4
LORA = {"vision": (4, 6.0), "llm": (8, 16.0)}  # r, alpha; not alike, so that they cannot be mistaken
TEXT = {
    "vocab_size": 258,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-3,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
CONFIG = {
    **TEXT,
    "model_type": "locllm",
    "crop_size": PATCH * SIDE,
    "im_patch_token": 258,
    **{f"lora_{tower}_enable": True for tower in LORA},
    **{f"lora_{tower}_r": r for tower, (r, _) in LORA.items()},
    **{f"lora_{tower}_alpha": alpha for tower, (_, alpha) in LORA.items()},
}
State = dict[str, Tensor]


def checkpoint() -> State:
    """Random tensors under the keys of the LocLLM code."""
    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, D),
        "mask_token": (1, D),
        "pos_embed": (1, 1 + GRID**2, D),
        "patch_embed.proj.weight": (D, 3, PATCH, PATCH),
        "patch_embed.proj.bias": (D,),
        "norm.weight": (D,),
        "norm.bias": (D,),
    }
    r = LORA["vision"][0]
    for block in (f"blocks.{i}." for i in range(BLOCKS)):
        for name, out, into in (
            ("attn.qkv", 3 * D, D),
            ("attn.proj", D, D),
            ("mlp.fc1", 64, D),
            ("mlp.fc2", D, 64),
        ):
            shapes |= {f"{block}{name}.weight": (out, into), f"{block}{name}.bias": (out,)}
        for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "ls1.gamma", "ls2.gamma"):
            shapes[block + name] = (D,)
        for part in "qv":
            shapes |= {f"{block}attn.lora_A_{part}": (r, D), f"{block}attn.lora_B_{part}": (D, r)}
    shapes = {f"vision_model.{key}": shape for key, shape in shapes.items()}
    width, r = TEXT["hidden_size"], LORA["llm"][0]
    shapes |= {"mm_projector.weight": (width, D), "mm_projector.bias": (width,)}
    shapes |= {
        key: tuple(value.shape) for key, value in LlamaForCausalLM(LlamaConfig(**TEXT)).state_dict().items()
    }
    for layer in (f"model.layers.{i}.self_attn." for i in range(2)):
        shapes[f"{layer}rotary_emb.inv_freq"] = (3,)
        for part in "qv":
            shapes |= {f"{layer}{part}_proj.lora_A": (r, width), f"{layer}{part}_proj.lora_B": (width, r)}
    generator = torch.Generator().manual_seed(0)
    return {key: 0.2 * torch.randn(shape, generator=generator) for key, shape in shapes.items()}


def write(folder: Path, state: State, form: str = "bin", config: dict[str, Any] = CONFIG) -> Path:
    """As transformers 4.31 saves: shards and an index, or one file; config.json; the pickled training arguments."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "training_args.bin").write_bytes(pickle.dumps(Path))
    stem, end = ("pytorch_model", "bin") if form.endswith("bin") else ("model", "safetensors")
    save_tensors = torch.save if end == "bin" else save_file
    if form.startswith("one "):
        save_tensors(state, folder / f"{stem}.{end}")
        return folder
    keys, names = list(state), {}
    for number, some in enumerate((keys[::2], keys[1::2]), 1):
        name = f"{stem}-0000{number}-of-00002.{end}"
        save_tensors({key: state[key] for key in some}, folder / name)
        names |= dict.fromkeys(some, name)
    size = sum(tensor.nbytes for tensor in state.values())
    index = {"metadata": {"total_size": size}, "weight_map": names}
    (folder / f"{stem}.{end}.index.json").write_text(json.dumps(index))
    return folder


@pytest.fixture
def parts(tiny_parts: tuple[Path, Path], tmp_path: Path) -> dict[str, str]:
    Dinov2Config(
        hidden_size=D,
        num_hidden_layers=BLOCKS,
        num_attention_heads=HEADS,
        image_size=PATCH * GRID,
        patch_size=PATCH,
        mlp_ratio=2,
    ).save_pretrained(tmp_path / "vision")
    return {"vision": str(tmp_path / "vision"), "text": str(tiny_parts[1])}


def image_words(state: State, pixels: Tensor) -> Tensor:
    """The reference's vision encoder and projector, (B, 3, S, S) -> (B, n, text width), LoRA beside the weights."""
    v = {key.removeprefix("vision_model."): value for key, value in state.items()}
    r, alpha = LORA["vision"]

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ v[f"{name}.weight"].T + v[f"{name}.bias"]

    def norm(name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, (D,), v[f"{name}.weight"], v[f"{name}.bias"], eps=1e-6)

    def heads(x: Tensor) -> Tensor:
        return x.unflatten(2, (HEADS, -1)).transpose(1, 2)

    x = F.conv2d(pixels, v["patch_embed.proj.weight"], v["patch_embed.proj.bias"], stride=PATCH)
    x = torch.cat([v["cls_token"].expand(len(x), -1, -1), x.flatten(2).mT], dim=1)
    grid = v["pos_embed"][:, 1:].mT.reshape(1, D, GRID, GRID)
    grid = F.interpolate(grid, scale_factor=((SIDE + 0.1) / GRID, (SIDE + 0.1) / GRID), mode="bicubic")
    x = x + torch.cat([v["pos_embed"][:, :1], grid.flatten(2).mT], dim=1)
    for block in (f"blocks.{i}" for i in range(BLOCKS)):
        y = norm(f"{block}.norm1", x)
        q, k, value = linear(f"{block}.attn.qkv", y).split(D, dim=2)
        low = {part: y @ v[f"{block}.attn.lora_A_{part}"].T for part in "qv"}
        q = q + low["q"] @ v[f"{block}.attn.lora_B_q"].T * alpha / r
        value = value + low["v"] @ v[f"{block}.attn.lora_B_v"].T * alpha / r
        seen = (heads(q) @ heads(k).mT / math.sqrt(D // HEADS)).softmax(-1) @ heads(value)
        x = x + v[f"{block}.ls1.gamma"] * linear(f"{block}.attn.proj", seen.transpose(1, 2).flatten(2))
        y = F.gelu(linear(f"{block}.mlp.fc1", norm(f"{block}.norm2", x)))
        x = x + v[f"{block}.ls2.gamma"] * linear(f"{block}.mlp.fc2", y)
    return linear("mm_projector", norm("norm", x)[:, 1:])


def answer(state: State, words: Tensor, before: list[int], after: list[int]) -> Tensor:
    """The reference's logits (1, T, vocabulary): words between embeddings, LoRA by hooks beside the weights."""
    llama = LlamaForCausalLM(LlamaConfig(**TEXT)).eval()
    llama.load_state_dict({key: state[key] for key in llama.state_dict()})
    r, alpha = LORA["llm"]

    def beside(a: Tensor, b: Tensor) -> Callable[..., Tensor]:
        return lambda _, args, out: out + args[0] @ a.T @ b.T * alpha / r

    for name, module in llama.named_modules():
        if f"{name}.lora_A" in state:
            module.register_forward_hook(beside(state[f"{name}.lora_A"], state[f"{name}.lora_B"]))
    embed = state["model.embed_tokens.weight"]
    inputs = torch.cat([embed[before], words[0], embed[after]])[None]
    logits: Tensor = llama(inputs_embeds=inputs).logits
    return logits


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
    before, after = [0, 7, 40], [5, 6, 250]
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
