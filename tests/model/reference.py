"""A small checkpoint in LocLLM's file forms, and what its network computes, written anew from public facts.

Keys, shapes and files are those that the LocLLM code writes with transformers 4.31; none of its code is used. The
tokenizer's file is beside, see locllm/record.py.
"""

from __future__ import annotations

import json
import math
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM

TOKENIZER = Path(__file__).parent / "locllm" / "tokenizer.model"

D, HEADS, BLOCKS, PATCH, GRID, SIDE = 32, 4, 2, 14, 5, 4  # positions learned on 5 x 5 patches, used on 4 x 4
LORA = {"vision": (4, 6.0), "llm": (8, 16.0)}  # r, alpha; not alike, so that they cannot be mistaken
TEXT = {
    "vocab_size": 480,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-3,
    "max_position_embeddings": 512,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
CONFIG = {
    **TEXT,
    "model_type": "locllm",
    "crop_size": PATCH * SIDE,
    "im_patch_token": 480,
    **{f"lora_{part}_enable": True for part in LORA},
    **{f"lora_{part}_r": r for part, (r, _) in LORA.items()},
    **{f"lora_{part}_alpha": alpha for part, (_, alpha) in LORA.items()},
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


def write(
    folder: Path, state: State, form: str = "bin", config: Any = CONFIG, legacy: bool | None = True
) -> Path:
    """As transformers 4.31 saves: shards and an index, or one file; config.json; the tokenizer; training arguments."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    write_tokenizer(folder, legacy)
    (folder / "added_tokens.json").write_text(json.dumps({"<im_patch>": 480}))
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


def write_tokenizer(folder: Path, legacy: bool | None = True) -> None:
    """The slow LLaMA tokenizer's files, as Vicuna has them. legacy: None says nothing about it."""
    shutil.copy(TOKENIZER, folder)
    special = {
        f"{name}_token": {
            "content": text,
            "lstrip": False,
            "normalized": True,
            "rstrip": False,
            "single_word": False,
        }
        for name, text in (("bos", "<s>"), ("eos", "</s>"), ("unk", "<unk>"))
    }
    (folder / "special_tokens_map.json").write_text(json.dumps({**special, "pad_token": "<unk>"}))
    config = {
        **{name: {"__type": "AddedToken", **token} for name, token in special.items()},
        "add_bos_token": True,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 2048,
        "pad_token": None,
        "padding_side": "right",
        "sp_model_kwargs": {},
        "tokenizer_class": "LlamaTokenizer",
        **({} if legacy is None else {"legacy": legacy}),
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


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
