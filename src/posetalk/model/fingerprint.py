"""Tell weights apart without loading them."""

from __future__ import annotations

from pathlib import Path

from posetalk.inputs import contents_of, mark_of, model_files


def weights_fingerprint(folder: Path) -> str:
    """A mark of every byte of the weights in a folder, 16 hexadecimal digits; none of a hub's name."""
    files = {path.name: path for path in Path(folder).glob("*.safetensors")}
    return mark_of(contents_of(files, {}))[:16] if files else ""


def model_of(folder: Path) -> str:
    """The same of all that a model is read from: also its configuration and its words."""
    files = model_files(Path(folder))
    return mark_of(contents_of(files, {}))[:16] if files else ""
