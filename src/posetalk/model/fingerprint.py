"""Tell weights apart without loading them, and damaged ones from those that were saved."""

from __future__ import annotations

import re
from pathlib import Path

from posetalk.atomic_files import write_text
from posetalk.errors import PosetalkError
from posetalk.inputs import content_of, contents_of, mark_of, model_files
from posetalk.model.graphs import GRAPHS

SUMS = "SHA256SUMS"  # as `sha256sum --check` reads it
_LINE = re.compile(r"([0-9a-f]{64})  ([^/\\]+\.(?:safetensors|onnx))")


def weights_fingerprint(folder: Path) -> str:
    """A digest of all weights in a folder, 16 hexadecimal digits; empty for a hub id."""
    files = {path.name: path for path in Path(folder).glob("*.safetensors")}
    return mark_of(contents_of(files, {}))[:16] if files else ""


def model_of(folder: Path) -> str:
    """The same of all files that a model is read from, with configuration and tokenizer."""
    files = model_files(Path(folder))
    return mark_of(contents_of(files, {}))[:16] if files else ""


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS of the weights and graphs in a folder. Raises PosetalkError: it cannot be written."""
    files = sorted(
        [*Path(folder).glob("*.safetensors"), *(p for n in GRAPHS if (p := Path(folder) / n).is_file())]
    )
    write_text(folder / SUMS, "".join(f"{content_of(file).digest}  {file.name}\n" for file in files))


def check_sums(folder: Path, what: str) -> None:
    """Raises PosetalkError: weights or graphs that are not those of the folder's SHA256SUMS, where it has one."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        if (
            (match := _LINE.fullmatch(line))
            and (file := folder / match[2]).is_file()
            and content_of(file).digest != match[1]
        ):
            raise PosetalkError(
                f"cannot load the {what} from {folder}: {file.name} is not what was saved (see {SUMS}), "
                f"it may be damaged; get the model again, or, where you changed it yourself, delete {SUMS}"
            )
