"""What a run is given: paths among its settings, and what they lead to, told by its content."""

# A hundred thousand names are strings here; and Path.is_dir raises for names that are too long.
# ruff: noqa: PTH100, PTH112, PTH113, PTH116, PTH123

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import msgspec
from pydantic import PlainSerializer, SerializationInfo

from posetalk.errors import PosetalkError

# What is read of a model's folder: a run's card, log and checkpoints beside it may change.
_MODEL = (
    *("*.safetensors", "*.safetensors.index.json", "*config.json"),
    *("*token*.json", "vocab*", "merges.txt", "*.model", "*chat_template*"),
)
_LARGE = 2**24  # bytes; what is larger is read once a process
_read: dict[str, Content] = {}


class Content(msgspec.Struct, frozen=True, array_like=True):
    """A file as it was. size: bytes; changed: mtime and ctime, ns; digest: SHA-256, hexadecimal."""

    size: int
    changed: tuple[int, int]
    digest: str


def content_of(path: str | Path, before: Content | None = None) -> Content:
    """Every byte is read, unless size and times are those of `before`: whatever changes a file sets its ctime, which no
    program can set back. Errors: OSError."""
    state = os.stat(path)
    changed = (state.st_mtime_ns, state.st_ctime_ns)
    key = os.path.abspath(path)
    for known in (before, _read.get(key)):
        if known is not None and (known.size, known.changed) == (state.st_size, changed):
            return known
    with open(path, "rb") as file:
        found = Content(state.st_size, changed, hashlib.file_digest(file, "sha256").hexdigest())
    if found.size > _LARGE:
        _read[key] = found
    return found


def contents_of(files: Mapping[str, Path], before: Mapping[str, Content]) -> dict[str, Content]:
    """By the same names. Errors: a file that cannot be read."""
    found = {}
    for name, path in files.items():
        try:
            found[name] = content_of(path, before.get(name))
        except OSError as error:
            raise PosetalkError(f"cannot read {path}: {error.strerror}; check who may read it") from None
    return found


def mark_of(contents: Mapping[str, Content]) -> str:
    """32 hexadecimal digits that tell these contents, by name, from others."""
    rows = [[name, content.digest] for name, content in sorted(contents.items())]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:32]


def differing(before: Mapping[str, Content], now: Mapping[str, Content]) -> list[str]:
    """Names of what has another content, is gone or is new."""
    return [name for name in {**before, **now} if _digest(before, name) != _digest(now, name)]


def _digest(contents: Mapping[str, Content], name: str) -> str:
    return contents[name].digest if name in contents else ""


def model_files(folder: Path) -> dict[str, Path]:
    """What a model is read from, by name: weights, configuration, words; of adapters also what they belong to, where
    that is a folder."""
    found: dict[str, Path] = {}
    folders = [folder]
    for one in folders:  # which grows
        for pattern in _MODEL:
            for path in sorted(one.glob(pattern)):
                if os.path.isfile(path):
                    found[path.name if one is folder else str(path)] = path
        folders += [base for base in _bases(one) if base not in folders]
    return found


def _bases(folder: Path) -> Iterator[Path]:
    """The folders of the models that adapters belong to: peft's, and the towers of a PoseLLM."""
    if not os.path.isfile(folder / "adapter_config.json"):
        return
    for name in ("adapter_config.json", "config.json"):
        try:
            said = json.loads((folder / name).read_bytes())
            bases = [said.get(key) for key in ("base_model_name_or_path", "vision", "text")]
        except (OSError, ValueError, AttributeError, RecursionError):
            continue  # said when the model is loaded
        yield from (Path(base).resolve() for base in bases if isinstance(base, str) and os.path.isdir(base))


OWN_MODELS = ("bundled", "small", "tiny")  # whatever folders of these names there are
_BUNDLED = Path(str(files("posetalk").joinpath("bundled")))  # of which small and tiny are made too


class Dumped(dict[str, dict[str, Path]]):
    """The context of `Settings._absolute`: the files behind each value that names some, by name."""


def resolved(value: str, info: SerializationInfo, inside: Sequence[str] = ()) -> str:
    """The absolute path. inside: of a folder the first of these files that is there is the input."""
    if not isinstance(info.context, Dumped):
        return value
    path = Path(value).resolve()
    held = [path / name for name in inside] if os.path.isdir(path) else [path]
    files = [file for file in held if os.path.isfile(file)][:1]
    found = info.context.setdefault(str(path), {})  # another setting may name the same folder
    found |= {"" if file is path else file.name: file for file in files}
    return str(path)


def _resolved(value: str, info: SerializationInfo) -> str:
    return resolved(value, info)


def _resolved_model(value: str, info: SerializationInfo) -> str:
    folder = _BUNDLED if value in OWN_MODELS else Path(value)
    if not value or not isinstance(info.context, Dumped) or not folder.is_dir():
        return value
    place = value if value in OWN_MODELS else str(folder.resolve())
    found = info.context.setdefault(place, {})
    found |= model_files(folder.resolve())
    return place


def _resolved_toml(value: str, info: SerializationInfo) -> str:
    return resolved(value, info) if value.endswith(".toml") else value


# Settings that lead to the same place are equal, from whatever folder a run is started.
LocalPath = Annotated[str, PlainSerializer(_resolved)]
ModelName = Annotated[str, PlainSerializer(_resolved_model)]  # a folder, or a hub's name
TomlName = Annotated[str, PlainSerializer(_resolved_toml)]  # a file, or the name of something built in
