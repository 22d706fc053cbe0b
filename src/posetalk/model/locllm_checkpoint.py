"""The files of a checkpoint of the LocLLM code: weights, configuration, tokenizer. Nothing in them is run."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoTokenizer
from transformers.utils import cached_file

from posetalk.errors import PosetalkError
from posetalk.model.files import load_part
from posetalk.model.folders import check_pointer, load_errors, read_object
from posetalk.model.names import check_name

# Of config.json; nothing about rotary embeddings, which the reference's attention always has plain with base 10000.
TEXT = ["vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"]
TEXT += ["num_key_value_heads", "max_position_embeddings", "rms_norm_eps", "bos_token_id", "eos_token_id"]
LORA = [f"lora_{part}_{key}" for part in ("vision", "llm") for key in ("enable", "r", "alpha")]
_KINDS = (
    ("model", ".safetensors"),
    ("pytorch_model", ".bin"),
)  # as transformers calls them, the better one first
_SHARD = re.compile(r"-\d+-of-(\d+)\.\w+$")
_THREE_D = re.compile(
    "h36m|human3", re.IGNORECASE
)  # LocLLM's own names of these checkpoints and of their data


def check_dimensions(folder: Path, dimensions: Literal[2, 3] | None) -> None:
    """Refuse a checkpoint that answers with three coordinates.

    Nothing in the files tells it from one with two: the same network learned other answers. So its name is looked at,
    unless it is said.

    Args:
        folder: the checkpoint.
        dimensions: how many coordinates it answers with, where that is known.

    Raises:
        PosetalkError: three.
    """
    path = folder.resolve()
    if dimensions == 3 or (dimensions is None and _THREE_D.search(f"{path.parent.name}/{path.name}")):
        raise PosetalkError(
            f"{folder} is called as LocLLM calls its 3-D checkpoints (h36m), whose answers have a depth that posetalk "
            "does not read; give its 2-D checkpoint (coco), or say dimensions 2 where this is one"
            if dimensions is None
            else f"{folder}: 3-D checkpoints of LocLLM are not supported; give its 2-D checkpoint (coco)"
        )


def read_config(file: Path) -> dict[str, Any]:
    """What is needed of config.json.

    Raises:
        PosetalkError: it is missing, or not LocLLM's.
    """
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return {key: data[key] for key in (*TEXT, *LORA, "crop_size")}
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        what = f"{file} is missing or not of a LocLLM checkpoint ({type(error).__name__}: {error})"
        raise PosetalkError(f"{what}; give the whole folder, as the LocLLM code wrote it") from None


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors of a checkpoint, which stay in its files where those can be mapped.

    Raises:
        PosetalkError: no weights, files that are missing, damaged, left over from another save or of Git LFS, pickles
            of more than tensors.
    """
    return {key: tensor for file in _weights(folder) for key, tensor in _read_file(file).items()}


def _weights(folder: Path) -> list[Path]:
    """The files that hold the weights: one, or the shards that an index or their own names count."""
    if not folder.is_dir():
        raise PosetalkError(f"no LocLLM checkpoint at {folder}: the folder does not exist; check the path")
    singles = [file for stem, end in _KINDS if (file := folder / f"{stem}{end}").exists()]
    named = [shards for stem, end in _KINDS if (shards := _shards(folder, stem, end))]
    sharded = [shards for shards in named if any(file.exists() for file in shards)]
    if singles and sharded:
        raise PosetalkError(
            f"{folder} holds {singles[0].name} beside the shards of another save ({sharded[0][0].name}); take away the "
            "one that is out of date"
        )
    files = next(iter(sharded), singles[:1]) or next(iter(named), [])
    if not files:
        raise PosetalkError(f"no weights in {folder}; give a folder with pytorch_model*.bin or *.safetensors")
    if lost := next((file for file in files if not file.is_file()), None):
        raise PosetalkError(f"{lost.name} is missing in {folder}; fetch all files of the checkpoint again")
    return files


def _shards(folder: Path, stem: str, end: str) -> list[Path]:
    """The shards that should be there; none where the weights are not in shards."""
    index = folder / f"{stem}{end}.index.json"
    found = sorted(folder.glob(f"{stem}-*-of-*{end}"))
    if index.exists():
        names = read_object(index).get("weight_map")
        if not isinstance(names, dict) or not all(
            str(name) == Path(str(name)).name for name in names.values()
        ):
            raise PosetalkError(
                f"{index} names no files of this folder; fetch all files of the checkpoint again"
            )
        return [folder / str(name) for name in sorted(set(map(str, names.values())))]
    if not found:
        return []
    totals = {int(match[1]) for file in found if (match := _SHARD.search(file.name))}
    if totals != {len(found)}:
        raise PosetalkError(
            f"a shard is missing in {folder}, or one is left over: it holds {len(found)} files like {found[0].name}; "
            "fetch all files of the checkpoint again"
        )
    return found


def _read_file(file: Path) -> dict[str, Tensor]:
    check_pointer(file, "the weights")
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


def read_tokenizer(folder: Path, given: str | None, default: str, legacy: bool) -> Any:
    """The language model's tokenizer: the given one, else the checkpoint's own without its image token, else `default`.

    Args:
        folder: the checkpoint.
        given: a folder or hub id.
        default: a folder or hub id.
        legacy: as `is_legacy` says.

    Raises:
        PosetalkError: it cannot be loaded.
    """
    file = folder / "tokenizer.model"
    if given or not file.is_file():
        return load_part(AutoTokenizer, given or default, "tokenizer")
    # The image token, which LocLLM adds to the tokenizer, has an id of its own here that no text can write.
    with TemporaryDirectory() as place, load_errors("tokenizer", folder):
        shutil.copy(file, place)
        config = {"tokenizer_class": "LlamaTokenizer", "legacy": legacy}
        (Path(place) / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    tokenizer.name_or_path = str(folder)
    return tokenizer


def is_legacy(*names: str | Path) -> bool:
    """Whether the first of these folders or hub ids that has a tokenizer_config.json says `legacy`, or says nothing.

    transformers 4.31, which LocLLM runs on, then puts SentencePiece's blank in front of a text after a special token.

    Raises:
        PosetalkError: none of them has it.
    """
    for name in names:
        check_name(str(name), "tokenizer")
        with load_errors("tokenizer_config.json", name):
            file = cached_file(
                str(name), "tokenizer_config.json", _raise_exceptions_for_missing_entries=False
            )
        if file:
            return bool(read_object(Path(file)).get("legacy", True))
    raise PosetalkError(
        f"{names[0]} has no tokenizer_config.json, which says how its prompts are read; fetch all files of the "
        "checkpoint"
    )
