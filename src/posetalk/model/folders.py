"""Check a model's folder before anything is built from it, since anybody may have made it.

Nothing in a folder is run: weights are safetensors, code that comes with a model is left alone. What its configuration
asks for is compared with the weights that are there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch.nn.modules import module as hooks
from transformers.utils import cached_file

from posetalk.errors import PosetalkError
from posetalk.model.fingerprint import check_sums
from posetalk.model.names import check_name

ADAPTERS, ADAPTED = "adapter_config.json", "adapter_model.safetensors"
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_LAYERS = 10_000  # no network has as many
_REPEATED = re.compile("(layer|depth|block|stage)(?!.*size)")
# A network holds more than its files: tied weights twice, buffers, parts that are replaced while it is built; four bits
# a number at least. What is asked for beyond that is no network of these files.
_PARAMETERS_PER_BYTE, _MODULES_PER_TENSOR = 8, 16
_SPARE_PARAMETERS, _SPARE_MODULES = 10**7, 1000
_ATTENTION = "attn_implementation"
_CODE = ("trust_remote_code", "custom code")
_UNSAFE = ("weights_only", "torch.load", "pickle")
_POINTER = b"version https://git-lfs.github.com/spec/"
_SENTENCEPIECE = {
    "sentencepiece": "sentencepiece",
    "protobuf": "google.protobuf",
}  # packages and their modules


@contextmanager
def load_errors(what: str, name: object) -> Iterator[None]:
    """Whatever goes wrong inside becomes one sentence about `what` of `name`."""
    try:
        yield
    except (PosetalkError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # damaged files, an unreachable hub; a tokenizer's panic is no Exception
        if "tiktoken` is required" in str(error):  # what transformers tries last with a tokenizer.model
            raise PosetalkError(_tokenizer_fault(name)) from error
        raise PosetalkError(
            f"cannot load the {what} from {name}: {_reason(error)} (give a folder, or a hub id with the network up)"
        ) from error


def _reason(error: BaseException) -> str:
    message = str(error)
    if any(word in message for word in _CODE):
        return "it needs code of its own, which is never run; give a model that transformers itself knows"
    if any(word in message for word in _UNSAFE):
        return "its weights are not safetensors; convert them"
    line = next((line for line in message.splitlines() if line.strip()), "")
    if isinstance(error, KeyError):
        line = f"there is no {line}"
    return (line or type(error).__name__)[:300].strip()


def _tokenizer_fault(name: object) -> str:
    missing = []
    for package, module in _SENTENCEPIECE.items():
        try:
            import_module(module)
        except ImportError:
            missing.append(package)
    if not missing:
        return f"the tokenizer.model of {name} is damaged or of another kind; get it again"
    return (
        f"the tokenizer of {name} is a tokenizer.model, which is read with {' and '.join(missing)}: pip install "
        "'posetalk[model]'"
    )


def check_pointer(file: Path, what: str) -> None:
    """Check that git has fetched a large file. what: it should hold.

    Raises:
        PosetalkError: it lies there as a pointer to itself.
    """
    with file.open("rb") as opened:
        if opened.read(len(_POINTER)) == _POINTER:
            raise PosetalkError(f"{file} is a Git LFS pointer, not {what}: run git lfs pull in its folder")


def read_object(file: Path) -> dict[str, Any]:
    """A JSON file that holds an object.

    Raises:
        PosetalkError: it cannot be read, it holds something else.
    """
    try:
        data = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise PosetalkError(f"{file} cannot be read ({_reason(error)}); get the model again") from None
    if not isinstance(data, dict):
        raise PosetalkError(f"{file} holds no JSON object; get the model again")
    return data


def check_config(name: str, what: str) -> None:
    """Check a model's name and its configuration.

    Raises:
        PosetalkError: as `check_name`; a config.json, of a folder or of the hub, that cannot be read, asks for more
            layers than any network has, or names code on the hub for its attention.
    """
    with load_errors(what, name):
        check_name(name, what)
        if Path(name).is_dir():
            for file in Path(name).glob("tokenizer.*"):
                check_pointer(file, "the tokenizer")
            config: Any = Path(name) / "config.json"
        else:
            config = cached_file(name, "config.json", _raise_exceptions_for_missing_entries=False)
        if config and Path(config).is_file():
            _check_value(read_object(Path(config)), Path(config))


def _check_value(value: Any, file: Path, key: str = "") -> None:
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_value(inner, file, key if key.endswith(_ATTENTION) else name)
    elif isinstance(value, list):
        for inner in value:
            _check_value(inner, file, key)
    elif isinstance(value, str) and key.endswith(_ATTENTION) and "/" in value:
        raise PosetalkError(
            f"{file} names code on the hub ({value}) as {key}, which is never run; take it out"
        )
    elif isinstance(value, int | float) and abs(value) > _LAYERS and _REPEATED.search(key):
        raise PosetalkError(f"{file} asks for {value:,} as {key}, more than any network has; check it")


def _fetched_weights(name: str) -> list[Path]:
    """The safetensors of a hub id, fetched as transformers does; none where it has none."""
    fetch = partial(cached_file, name, _raise_exceptions_for_missing_entries=False)
    index = "model.safetensors.index.json"
    if weights := fetch("model.safetensors") or fetch(ADAPTED):
        return [Path(weights)]
    if not (index_file := fetch(index)):
        return []
    shards = read_object(Path(index_file)).get("weight_map")
    if not isinstance(shards, dict):
        raise PosetalkError(f"{index} of {name} names no files; get the model again")
    return [Path(path) for shard in sorted({str(one) for one in shards.values()}) if (path := fetch(shard))]


def check_weights(name: str, what: str) -> None:
    """Check that a folder holds weights that can be loaded.

    Raises:
        PosetalkError: no safetensors, Git LFS pointers in their place, or adapters, which are no whole model.
    """
    folder = Path(name)
    if not folder.is_dir():
        return
    weights = [file for file in folder.glob("*.safetensors") if file.name != ADAPTED]
    if (folder / ADAPTERS).exists():
        if weights:
            raise PosetalkError(
                f"{name} holds {ADAPTERS} beside whole weights; take it away, or {weights[0].name}"
            )
        raise PosetalkError(
            f"{name} holds adapters, no whole {what}; give the folder that they are merged in"
        )
    for file in weights:
        check_pointer(file, "the weights")
    if not weights:
        check_pickles(folder)


def check_pickles(folder: Path) -> None:
    """Call where there are no safetensors.

    Raises:
        PosetalkError: the folder holds pickles.
    """
    if pickle := next((file for file in sorted(folder.iterdir()) if file.suffix in _PICKLES), None):
        raise PosetalkError(
            f"the weights in {folder} are pickles ({pickle.name}), which can run code and are not loaded; convert them "
            "to safetensors"
        )


def adapters_of(name: str | Path) -> dict[str, Any] | None:
    """What adapter_config.json of a folder says; None for a folder without, and for a hub id.

    Raises:
        PosetalkError: it cannot be read, it is of no LoRA, it lies beside whole weights, the adapters are not there.
    """
    folder = Path(name)
    if not (folder / ADAPTERS).exists():
        return None
    config = read_object(folder / ADAPTERS)
    if config.get("peft_type") != "LORA" or config.get("megatron_config"):
        raise PosetalkError(f"{folder / ADAPTERS} is of no LoRA adapters; give those, or a whole model")
    if not (folder / ADAPTED).is_file():
        if any(folder.glob("*.safetensors")):
            raise PosetalkError(
                f"{folder} holds {ADAPTERS} beside whole weights and no {ADAPTED}; take it away"
            )
        check_pickles(folder)
        raise PosetalkError(f"{folder} holds {ADAPTERS} and no {ADAPTED}; get the adapters again")
    if other := next((file.name for file in folder.glob("*.safetensors") if file.name != ADAPTED), None):
        raise PosetalkError(f"{folder} holds {ADAPTERS} beside whole weights; take it away, or {other}")
    return config


@contextmanager
def limit_size(name: str, what: str) -> Iterator[None]:
    """While a network is built inside, it may not grow far beyond the weights of the folder or hub id `name`.

    A configuration can ask for terabytes, or for layers without end.

    Raises:
        PosetalkError: it does; weights that are not those that were saved.
    """
    files = sorted(Path(name).glob("*.safetensors")) if Path(name).is_dir() else _fetched_weights(name)
    if Path(name).is_dir():
        check_sums(Path(name), what)
    if not files:
        yield
        return
    tensors = 0
    for file in files:
        with safe_open(file, "pt") as tensors_of_file:
            tensors += len(tensors_of_file.keys())
    parameters = _PARAMETERS_PER_BYTE * sum(file.stat().st_size for file in files) + _SPARE_PARAMETERS
    budget = {"parameters": parameters, "modules": _MODULES_PER_TENSOR * tensors + _SPARE_MODULES}

    def count_down(kind: str, count: int) -> None:
        budget[kind] -= count
        if budget[kind] < 0:
            raise PosetalkError(
                f"the configuration of the {what} in {name} asks for a network many times larger than its weights; get "
                "the model again"
            )

    def of_tensor(_: Any, __: str, tensor: torch.Tensor | None) -> None:
        count_down("parameters", 0 if tensor is None else tensor.numel())

    def of_module(*_: Any) -> None:
        count_down("modules", 1)

    with ExitStack() as stack:
        for register, hook in (
            (hooks.register_module_parameter_registration_hook, of_tensor),
            (hooks.register_module_buffer_registration_hook, of_tensor),
            (hooks.register_module_module_registration_hook, of_module),
        ):
            stack.callback(register(hook).remove)
        yield
