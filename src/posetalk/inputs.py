"""The inputs of a run: paths in its settings, and the files behind them, identified by their content."""

# There may be a hundred thousand names, so they stay strings; and Path.is_dir raises for names that are too long.
# ruff: noqa: PTH100, PTH112, PTH113, PTH116, PTH123

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from pydantic import PlainSerializer, SerializationInfo

from posetalk.errors import PosetalkError
from posetalk.resources import BUNDLED

# The files of a model's folder that are loaded; card, log and checkpoints beside them may change.
_MODEL_PATTERNS = (
    *("*.safetensors", "*.safetensors.index.json", "*.onnx", "*config.json"),
    *("*token*.json", "vocab*", "merges.txt", "*.model", "*chat_template*"),
)
_LARGE_FILE = 2**24  # bytes; larger files are read once in a process
_known_contents: dict[str, Content] = {}


class Content(msgspec.Struct, frozen=True, array_like=True):
    """The state of a file. size: bytes; changed: mtime and ctime, ns; digest: SHA-256, hexadecimal."""

    size: int
    changed: tuple[int, int]
    digest: str


def content_of(path: str | Path, before: Content | None = None) -> Content:
    """The size, times and digest of a file.

    A file whose size and times are those of `before` is not read again: every change sets its ctime, which no program
    can set back.

    Raises:
        OSError: the file cannot be read.
    """
    state = os.stat(path)
    changed = (state.st_mtime_ns, state.st_ctime_ns)
    key = os.path.abspath(path)
    for known in (before, _known_contents.get(key)):
        if known is not None and (known.size, known.changed) == (state.st_size, changed):
            return known
    with open(path, "rb") as file:
        content = Content(state.st_size, changed, hashlib.file_digest(file, "sha256").hexdigest())
    if content.size > _LARGE_FILE:
        _known_contents[key] = content
    return content


def contents_of(files: Mapping[str, Path], before: Mapping[str, Content]) -> dict[str, Content]:
    """`content_of` each file, by the same names.

    Raises:
        PosetalkError: a file cannot be read.
    """
    contents = {}
    for name, path in files.items():
        try:
            contents[name] = content_of(path, before.get(name))
        except OSError as error:
            raise PosetalkError(f"cannot read {path}: {error.strerror}; check who may read it") from None
    return contents


def mark_of(contents: Mapping[str, Content]) -> str:
    """A fingerprint of these names and contents: 32 hexadecimal digits."""
    rows = [[name, content.digest] for name, content in sorted(contents.items())]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:32]


def differing(before: Mapping[str, Content], now: Mapping[str, Content]) -> list[str]:
    """The names of files whose content changed, and of those that are gone or new."""

    def digest(contents: Mapping[str, Content], name: str) -> str:
        return contents[name].digest if name in contents else ""

    return [name for name in {**before, **now} if digest(before, name) != digest(now, name)]


def model_files(folder: Path) -> dict[str, Path]:
    """The files that a model is loaded from, by name: weights, configuration and tokenizer.

    For adapters also those of their base models, where these are folders.
    """
    model_paths: dict[str, Path] = {}
    folders = [folder]
    for current in folders:  # the list grows meanwhile
        for pattern in _MODEL_PATTERNS:
            for path in sorted(current.glob(pattern)):
                if os.path.isfile(path):
                    model_paths[path.name if current is folder else str(path)] = path
        folders += [base for base in _bases(current) if base not in folders]
    return model_paths


def _bases(folder: Path) -> Iterator[Path]:
    """The folders of the models that adapters belong to: peft's base model, and the two encoders of a PoseLLM."""
    if not os.path.isfile(folder / "adapter_config.json"):
        return
    for name in ("adapter_config.json", "config.json"):
        try:
            config = json.loads((folder / name).read_bytes())
            bases = [config.get(key) for key in ("base_model_name_or_path", "vision", "text", "question")]
        except (OSError, ValueError, AttributeError, RecursionError):
            continue  # loading the model will report it
        yield from (Path(base).resolve() for base in bases if isinstance(base, str) and os.path.isdir(base))


OWN_MODELS = ("bundled", "small", "tiny")  # these names never mean a folder


def absolute_model(name: str) -> str:
    """The name of a model, as an absolute path where it is a folder here: for processes that start elsewhere."""
    return str(Path(name).resolve()) if name not in OWN_MODELS and os.path.isdir(name) else name


class Dumped(dict[str, dict[str, Path]]):
    """The context of `Settings._absolute`: value -> name -> file, for each value that names files."""


def resolved(value: str, info: SerializationInfo, inside: Sequence[str] = ()) -> str:
    """The absolute path; its file becomes an input of the run.

    inside: for a folder, names of files; the first that exists is the input.
    """
    if not isinstance(info.context, Dumped):
        return value
    path = Path(value).resolve()
    candidates = [path / name for name in inside] if os.path.isdir(path) else [path]
    files = [file for file in candidates if os.path.isfile(file)][:1]
    inputs = info.context.setdefault(str(path), {})  # another setting may name the same folder
    inputs |= {"" if file is path else file.name: file for file in files}
    return str(path)


def _resolved(value: str, info: SerializationInfo) -> str:
    return resolved(value, info)


def _resolved_model(value: str, info: SerializationInfo) -> str:
    folder = BUNDLED if value in OWN_MODELS else Path(value)
    if not value or not isinstance(info.context, Dumped) or not folder.is_dir():
        return value
    name = value if value in OWN_MODELS else str(folder.resolve())
    inputs = info.context.setdefault(name, {})
    inputs |= model_files(folder.resolve())
    return name


def _resolved_toml(value: str, info: SerializationInfo) -> str:
    return resolved(value, info) if value.endswith(".toml") else value


# Settings that name the same file are equal, whatever folder a run is started in.
LocalPath = Annotated[str, PlainSerializer(_resolved)]
ModelName = Annotated[str, PlainSerializer(_resolved_model)]  # a folder, or a hub's name
TomlName = Annotated[str, PlainSerializer(_resolved_toml)]  # a file, or the name of something built in
