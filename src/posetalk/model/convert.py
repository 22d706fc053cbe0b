"""A checkpoint of the LocLLM code as a model folder of ours: keys renamed, q, k and v taken apart, LoRA added in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoConfig, LlamaConfig

from posetalk.atomic_files import check_free, whole_folder
from posetalk.errors import PosetalkError
from posetalk.hub.card import model_data, save_card, shown_path
from posetalk.messages import log
from posetalk.model.files import load_part, make_config, named_weights, save
from posetalk.model.folders import check_config, load_errors
from posetalk.model.locllm_checkpoint import (
    TEXT,
    check_dimensions,
    is_legacy,
    read_config,
    read_tensors,
    read_tokenizer,
)
from posetalk.model.names import PRESETS
from posetalk.model.posellm import PoseLLM
from posetalk.prompt.locllm import read_wording
from posetalk.settings import CropSettings, ModelSettings

BASE = PRESETS["locllm-7b"]
VISION = {  # transformers' names of DINOv2's parts -> facebookresearch's, replaced one after the other
    "embeddings.patch_embeddings.projection": "patch_embed.proj",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.": "",
    "encoder.layer.": "blocks.",
    "attention.o_proj": "attn.proj",
    "attention.": "attn.",
    "layer_scale": "ls",
    "lambda1": "gamma",
    "layernorm.": "norm.",
}


@dataclass(frozen=True)
class ConvertedTensor:
    """What became of one tensor of the checkpoint.

    Args:
        source: its key there.
        target: its key in the model; None where it is left out.
        shape: its shape in the checkpoint.
        note: what was done to it, or why it is left out.
    """

    source: str
    target: str | None
    shape: tuple[int, ...]
    note: str = ""


def convert(
    source: str | Path,
    out: str | Path,
    *,
    vision: str = BASE.vision_encoder,
    text: str | None = None,
    wording: str = "posetalk",
    dimensions: Literal[2, 3] | None = None,
) -> list[ConvertedTensor]:
    """Convert a checkpoint of the LocLLM code into a model folder, its LoRA merged.

    The model cuts people out and reads prompts as the LocLLM code does, see `CropSettings.clip_box` and
    `Wording.whitespace`. To ask with LocLLM's own words too, give them as `wording`.

    Args:
        source: the checkpoint's folder: config.json; pytorch_model*.bin or model*.safetensors, whole or in shards; the
            tokenizer's files.
        out: a new folder for the model.
        vision: folder or hub id of the DINOv2, for its configuration alone.
        text: folder or hub id of the language model, for its tokenizer alone; None for the tokenizer in `source`, or
            Vicuna's where there is none.
        wording: `posetalk`, or the words that it was trained with: a TOML file with the words around a question, or
            `datasets/constants.py` of the LocLLM code, of which the descriptions are read and nothing is run.
        dimensions: how many coordinates it answers with; None to tell by its name. Three are refused.

    Returns:
        A row for each use of a tensor; a fused one has three.

    Raises:
        PosetalkError: no checkpoint at `source`, or one of 3-D; a tensor missing, left over or of another shape; a
            pickle of more than tensors; weights of two saves; Git LFS pointers in place of files; `out` is not empty.

    Source:
        LocLLM (arXiv 2406.04659), whose code wrote the checkpoint.
    """
    source, out = Path(source), Path(out)
    check_dimensions(source, dimensions)
    tensors = read_tensors(source)
    check_config(str(source), "LocLLM checkpoint")
    reference = read_config(source / "config.json")
    check_free(out)
    base = text or BASE.language_model
    crop = BASE.crop.model_dump() | {"size": reference["crop_size"]}
    settings = ModelSettings(
        vision_encoder=vision,
        language_model=base,
        connector="linear",
        crop=CropSettings.check(crop, str(source)),
    )
    legacy = is_legacy(source, base)
    words = read_wording(wording).model_copy(update={"whitespace": "strip" if legacy else "strip_prefix"})
    vision_config = load_part(AutoConfig, vision, "vision encoder's configuration")
    tokenizer = read_tokenizer(source, text, base, legacy)
    if vision_config.model_type != "dinov2":
        raise PosetalkError(
            f"{vision} is a {vision_config.model_type} model; LocLLM's is a dinov2, give its folder"
        )
    grid = vision_config.image_size // vision_config.patch_size
    vision_config.image_size = settings.crop.size  # the table of positions is resampled here, once
    with load_errors("LocLLM checkpoint", source):  # numbers of config.json that make no network
        with torch.device("meta"):
            model = PoseLLM(
                make_config(settings, vision_config, LlamaConfig(**{key: reference[key] for key in TEXT}))
            )
        model.config.wording = words.model_dump(mode="json")
        state, rows = _convert_tensors(model.state_dict(), tensors, reference, grid, source)
    model.load_state_dict(state, assign=True)
    card = [
        "# Model card",
        "",
        f"Converted with posetalk from the LocLLM checkpoint {shown_path(named_weights(source))}; its weights are the "
        "same.",
        "",
        "- Keypoints it has learned: not known",
        "",
        "The licences of that checkpoint and of the data hold.",
    ]
    if wording == "posetalk":
        log.warning(
            "note: the checkpoint was trained with LocLLM's words and will be asked with posetalk's; for its own "
            "answers give datasets/constants.py of the LocLLM code as wording"
        )
    with whole_folder(out) as part:
        save(model, tokenizer, part)
        save_card(part, model_data(vision, base), card)
    return rows


def _convert_tensors(
    ours: dict[str, Tensor], tensors: dict[str, Tensor], reference: dict[str, Any], grid: int, folder: Path
) -> tuple[dict[str, Tensor], list[ConvertedTensor]]:
    """Our state dict (shapes as `ours`) from the checkpoint's; grid: side of its table of positions."""
    rows: list[ConvertedTensor] = []

    def take(key: str, target: str, note: str, *shape: int) -> Tensor:
        if key not in tensors:
            raise PosetalkError(f"{key} is missing in {folder}; fetch all files of the checkpoint again")
        if (found := tuple(tensors[key].shape)) != shape:
            raise PosetalkError(f"{key} in {folder} is {found}, not {shape}; give its config.json and DINOv2")
        rows.append(ConvertedTensor(key, target, shape, note))
        return tensors[key]

    state = {}
    for target, like in ours.items():
        (key, part), (first, *rest) = _source_key(target), like.shape
        part_name = "vision" if key.startswith("vision_model.") else "llm"
        if key.endswith(".pos_embed"):
            value = take(key, target, f"from {grid} x {grid} patches", first, 1 + grid * grid, rest[1])
            value = _resample(value, math.isqrt(rest[0] - 1))
        elif part and part_name == "vision":
            value = take(key, target, f"rows of {part}", 3 * first, *rest).chunk(3)["qkv".index(part)].clone()
        else:
            value = take(key, target, "", first, *rest)
        r = reference[f"lora_{part_name}_enable"] and reference[f"lora_{part_name}_r"]
        if r and part in ("q", "v") and key.endswith(".weight"):
            scale = reference[f"lora_{part_name}_alpha"] / r
            note, end = f"LoRA, added times {scale:g}", f"_{part}" if part_name == "vision" else ""
            stem = key.removesuffix("weight").removesuffix("qkv.")
            a = take(f"{stem}lora_A{end}", target, note, r, rest[0])
            b = take(f"{stem}lora_B{end}", target, note, first, r)
            value = value.float() + scale * (b.float() @ a.float())  # bfloat16 would round small ones away
        state[target] = value
    for key in sorted(tensors.keys() - {row.source for row in rows}):
        if not key.endswith(".rotary_emb.inv_freq"):
            raise PosetalkError(f"{folder} holds {key}, which LocLLM has not; give its checkpoint unchanged")
        rows.append(ConvertedTensor(key, None, tuple(tensors[key].shape), "computed from the head's width"))
    return state, rows


def _source_key(target: str) -> tuple[str, str]:
    """The checkpoint's key for one of ours, and which of q, k, v it is (else empty), fused in the vision encoder."""
    part = next((part for part in "qkv" if f".{part}_proj." in target), "")
    if not target.startswith("model.vision_tower."):
        key = target.replace("model.multi_modal_projector.linear.", "mm_projector.")
        return key.replace("model.language_model.", "model."), part
    key = target.removeprefix("model.vision_tower.").replace(f".{part}_proj.", ".qkv.")
    for name, theirs in VISION.items():
        key = key.replace(name, theirs)
    return f"vision_model.{key}", part


def _resample(positions: Tensor, side: int) -> Tensor:
    """(1, 1 + n * n, d) -> (1, 1 + side * side, d), bicubic, by (side + 0.1) / n; transformers takes side / n."""
    if (old := math.isqrt(positions.shape[1] - 1)) == side:
        return positions
    square = positions[:, 1:].float().mT.reshape(1, -1, old, old)
    square = F.interpolate(square, scale_factor=(side + 0.1) / old, mode="bicubic")
    return torch.cat([positions[:, :1], square.flatten(2).mT.to(positions.dtype)], dim=1)
