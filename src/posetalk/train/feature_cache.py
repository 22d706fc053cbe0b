"""What a frozen tower sees in a view, computed once: later epochs, resumed runs and other runs find it in a folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from accelerate import PartialState
from rich.progress import track
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from transformers import TrainingArguments

from posetalk.atomic_files import whole_file
from posetalk.errors import PosetalkError
from posetalk.images.affine import Square
from posetalk.images.opening import cut, normalise, read_image
from posetalk.model.posellm import PoseLLM
from posetalk.settings import CropSettings

BATCH = 16

S = TypeVar("S", bound=Square | None)


class VisionFeatures(NamedTuple):
    """The tower's output for one view, float16: tokens (n, hidden) and fine maps (C, h, w) or None."""

    tokens: np.ndarray
    fine: np.ndarray | None


class FeatureCache:
    """A folder with one file a view, named after all that shapes it: tower, picture, square, how pixels are made.

    Half precision; 0.7 MB a view with MoveNet's tower. Files are written in one piece, so that several runs may share a
    folder.
    """

    def __init__(self, folder: str | Path, tower: torch.nn.Module, how: str) -> None:
        """how: what makes pixels of a view."""
        self.folder, self.tower, self.how = Path(folder), tower, how
        config: Any = tower.config
        named = hashlib.sha256(json.dumps(config.to_dict(), sort_keys=True, default=str).encode())
        for name, value in sorted(tower.state_dict().items()):
            named.update(name.encode())
            named.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        self.mark = named.hexdigest()

    def path(self, image: Path, square: Square | None = None) -> Path:
        """Where the view of this square of this picture, or of all of it, is kept."""
        there = image.stat()
        named = (
            self.mark,
            str(image.resolve()),
            there.st_size,
            there.st_mtime_ns,
            there.st_ctime_ns,  # which no tool sets back
            self.how,
            square and astuple(square),
        )
        key = hashlib.sha256(json.dumps(named).encode()).hexdigest()
        return self.folder / key[:2] / f"{key}.safetensors"

    def read(self, image: Path, square: Square | None = None) -> dict[str, np.ndarray]:
        """What was kept of a view, by name, float16."""
        path = self.path(image, square)
        try:
            return dict(load_file(path))
        except (OSError, SafetensorError) as error:
            raise PosetalkError(f"cannot read the features {path}: {error}; delete the folder") from None

    @torch.no_grad()
    def fill(
        self,
        views: Sequence[tuple[Path, S]],
        look: Callable[[list[tuple[Path, S]]], dict[str, torch.Tensor]],
        arguments: TrainingArguments,
    ) -> None:
        """Look at the views that are not there yet, each process of the run at its share, and wait for the others.

        views: `path`'s arguments. look: at n views on `arguments.device`, (n, ...) by name; it must be there for it.
        """
        own = views[arguments.process_index :: arguments.world_size]
        device = next(self.tower.parameters()).device
        self.tower.to(arguments.device)
        self._fill(own, look, quiet=arguments.process_index > 0)
        self.tower.to(device)
        PartialState().wait_for_everyone()

    def _fill(
        self,
        views: Sequence[tuple[Path, S]],
        look: Callable[[list[tuple[Path, S]]], dict[str, torch.Tensor]],
        quiet: bool,
    ) -> None:
        missing = {path: view for view in views if not (path := self.path(*view)).exists()}
        paths = list(missing)
        for start in track(range(0, len(paths), BATCH), description="looking", disable=quiet):
            some = paths[start : start + BATCH]
            seen = look([missing[path] for path in some])
            for row, path in enumerate(some):
                arrays = {name: rows[row].half().cpu().contiguous().numpy() for name, rows in seen.items()}
                if not all(np.isfinite(array).all() for array in arrays.values()):
                    raise PosetalkError(
                        f"what the tower sees in {missing[path][0]} does not fit half precision; leave features out"
                    )
                with whole_file(path, "make room, what is there is kept") as part:
                    try:
                        save_file(arrays, part)
                    except SafetensorError as error:
                        raise OSError(str(error)) from None


def look(model: PoseLLM, crop: CropSettings, views: Sequence[tuple[Path, Square]]) -> dict[str, torch.Tensor]:
    """The vision encoder's output for squares of images: the fields of `VisionFeatures`; `fine` only if not None."""
    pixels = np.stack([pixels_of(image, square, crop) for image, square in views])
    device = next(model.model.vision_tower.parameters()).device
    seen = model.model.look(torch.from_numpy(pixels).to(device))
    return {"tokens": seen.last_hidden_state} | ({} if seen.fine is None else {"fine": seen.fine})


def pixels_of(image: Path, square: Square, crop: CropSettings) -> np.ndarray:
    """The square of the picture as the tower takes it: (3, S, S) float32."""
    return normalise(cut(read_image(image), square), crop.pixels)
