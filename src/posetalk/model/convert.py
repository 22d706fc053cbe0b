"""A checkpoint of the LocLLM code as a model folder of ours: keys renamed, q, k and v taken apart, LoRA added in."""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F
from transformers import AutoConfig, AutoTokenizer, LlamaConfig

from posetalk.atomic_files import check_free, whole_folder
from posetalk.errors import PosetalkError
from posetalk.hub.card import model_data, save_card, shown_path
from posetalk.model.files import load_part, make_config, named_weights, save
from posetalk.model.folders import check_config, load_errors
from posetalk.model.names import PRESETS
from posetalk.model.posellm import PoseLLM
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
# Of config.json; nothing about rotary embeddings, which the reference's attention always has plain with base 10000.
TEXT = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"]
TEXT += ["num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "bos_token_id", "eos_token_id"]
LORA = [f"lora_{part}_{key}" for part in ("vision", "llm") for key in ("enable", "r", "alpha")]


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
    text: str = BASE.language_model,
    wording: str = "posetalk",
) -> list[ConvertedTensor]:
    """Convert a checkpoint of the LocLLM code into a model folder, its LoRA merged.

    Args:
        source: the checkpoint's folder: config.json and pytorch_model*.bin or safetensors.
        out: a new folder for the model.
        vision: folder or hub id of the DINOv2, for its configuration alone.
        text: folder or hub id of the language model, for its tokenizer alone.
        wording: `posetalk`, or a TOML file with the words around a question that it was trained with.

    Returns:
        A row for each use of a tensor; a fused one has three.

    Raises:
        PosetalkError: no checkpoint at `source`; a tensor missing, left over or of another shape; a pickle of more than
            tensors; `out` is not empty.

    Source:
        LocLLM (arXiv 2406.04659), whose code wrote the checkpoint.
    """
    source, out = Path(source), Path(out)
    tensors = _read_tensors(source)
    check_config(str(source), "LocLLM checkpoint")
    reference = _read_config(source / "config.json")
    check_free(out)
    crop = CropSettings.check({"size": reference["crop_size"], "padding": 1.0, "pixels": "clip"}, str(source))
    settings = ModelSettings(
        vision_encoder=vision, language_model=text, connector="linear", crop=crop, wording=wording
    )
    vision_config = load_part(AutoConfig, vision, "vision tower's configuration")
    tokenizer = load_part(AutoTokenizer, text, "tokenizer")
    if vision_config.model_type != "dinov2":
        raise PosetalkError(
            f"{vision} is a {vision_config.model_type} model; LocLLM's is a dinov2, give its folder"
        )
    grid = vision_config.image_size // vision_config.patch_size
    vision_config.image_size = crop.size  # the table of positions is resampled here, once
    with load_errors("LocLLM checkpoint", source):  # numbers of config.json that make no network
        with torch.device("meta"):
            model = PoseLLM(
                make_config(settings, vision_config, LlamaConfig(**{key: reference[key] for key in TEXT}))
            )
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
    with whole_folder(out) as part:
        save(model, tokenizer, part)
        save_card(part, model_data(vision, text), card)
    return rows


def _read_config(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return {key: data[key] for key in (*TEXT, *LORA, "crop_size")}
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        what = f"{file} is missing or not of a LocLLM checkpoint ({type(error).__name__}: {error})"
        raise PosetalkError(f"{what}; give the whole folder, as the LocLLM code wrote it") from None


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    if not folder.is_dir():
        raise PosetalkError(f"no LocLLM checkpoint at {folder}: the folder does not exist; check the path")
    shards = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not shards:
        raise PosetalkError(f"no weights in {folder}; give a folder with pytorch_model*.bin or *.safetensors")
    return {key: tensor for shard in shards for key, tensor in _read_shard(shard).items()}


def _read_shard(file: Path) -> dict[str, Tensor]:
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        # 14 GB at 7B stay on the disk until they are written; torch maps only its newer, zipped form.
        table = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except Exception:  # whatever a damaged file raises; torch's own words advise to run the pickle
        table = None
    if isinstance(table, dict) and all(isinstance(tensor, Tensor) for tensor in table.values()):
        return table
    raise PosetalkError(f"{file} is damaged or holds more than plain tensors; get it again or as safetensors")


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
