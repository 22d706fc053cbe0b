"""What a frozen tower sees in a view, computed once: later epochs, resumed runs and other runs find it in a folder."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import astuple
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from posetalk.crop.affine import Square
from posetalk.crop.image import cut, normalise, read_image
from posetalk.errors import PosetalkError
from posetalk.model.posellm import PoseLLM
from posetalk.settings import CropSettings

BATCH = 16


class Looked(NamedTuple):
    """The tower's output for one view, float16: tokens (n, hidden) and fine maps (C, h, w) or None."""

    tokens: np.ndarray
    fine: np.ndarray | None


class Features:
    """A folder with one file a view, named after all that shapes it: tower, picture, square, statistics of the pixels.

    Half precision; 0.7 MB a view with MoveNet's tower. Files are written in one piece, so that several runs may share a
    folder.
    """

    def __init__(self, folder: str | Path, model: PoseLLM, crop: CropSettings) -> None:
        self.folder, self.crop = Path(folder), crop
        tower = model.model.vision_tower
        named = hashlib.sha256(json.dumps(tower.config.to_dict(), sort_keys=True, default=str).encode())
        for name, value in sorted(tower.state_dict().items()):
            named.update(name.encode())
            named.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        self.tower = named.hexdigest()

    def path(self, image: Path, square: Square) -> Path:
        """Where the view of this square of this picture is kept."""
        there = image.stat()
        named = (
            self.tower,
            str(image.resolve()),
            there.st_size,
            there.st_mtime_ns,
            self.crop.pixels,
            astuple(square),
        )
        key = hashlib.sha256(json.dumps(named).encode()).hexdigest()
        return self.folder / key[:2] / f"{key}.safetensors"

    def read(self, image: Path, square: Square) -> Looked:
        path = self.path(image, square)
        try:
            found = load_file(path)
        except (OSError, SafetensorError) as error:
            raise PosetalkError(f"cannot read the features {path}: {error}; delete the folder") from None
        return Looked(found["tokens"], found.get("fine"))

    @torch.no_grad()
    def fill(
        self,
        model: PoseLLM,
        views: Iterable[tuple[Path, Square]],
        track: Callable[[range], Iterable[int]],
    ) -> None:
        """Look at the views that are not there yet."""
        missing = {path: view for view in views if not (path := self.path(*view)).exists()}
        paths = list(missing)
        for start in track(range(0, len(paths), BATCH)):
            some = paths[start : start + BATCH]
            pixels = np.stack([pixels_of(*missing[path], self.crop) for path in some])
            seen = model.model.look(torch.from_numpy(pixels).to(model.device))
            for row, path in enumerate(some):
                kept = {"tokens": seen.last_hidden_state[row]} | (
                    {} if seen.fine is None else {"fine": seen.fine[row]}
                )
                part = path.with_suffix(f".{os.getpid()}.part")
                arrays = {name: value.half().cpu().contiguous().numpy() for name, value in kept.items()}
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    save_file(arrays, part)
                    part.replace(path)
                except (OSError, SafetensorError) as error:
                    raise PosetalkError(
                        f"cannot write to the features {self.folder}: {error}; make room, what is there is kept"
                    ) from None


def pixels_of(image: Path, square: Square, crop: CropSettings) -> np.ndarray:
    """The square of the picture as the tower takes it: (3, S, S) float32."""
    return normalise(cut(read_image(image), square), crop.pixels)
