"""The output of a frozen vision encoder, computed once: later epochs and other runs read it from a folder."""

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
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from transformers import TrainingArguments

from posetalk.atomic_files import whole_file
from posetalk.errors import PosetalkError
from posetalk.images.affine import Square
from posetalk.images.opening import cut, normalise, read_image
from posetalk.messages import track
from posetalk.model.posellm import PoseLLM
from posetalk.settings import CropSettings

BATCH = 16

S = TypeVar("S", bound=Square | None)


class VisionFeatures(NamedTuple):
    """The vision encoder's output for one view, float16: tokens (n, hidden) and fine maps (C, h, w) or None."""

    tokens: np.ndarray
    fine: np.ndarray | None


class FeatureCache:
    """A folder with one file a view, named after all that shapes it: vision encoder, image, square, preprocessing.

    Half precision; 0.7 MB a view with MoveNet's encoder. Files are written in one piece, so several runs may share a
    folder.
    """

    def __init__(self, folder: str | Path, vision_encoder: torch.nn.Module, preprocessing: str) -> None:
        """preprocessing: names how pixels are made of a view."""
        self.folder, self.vision_encoder, self.preprocessing = Path(folder), vision_encoder, preprocessing
        config: Any = vision_encoder.config
        digest = hashlib.sha256(json.dumps(config.to_dict(), sort_keys=True, default=str).encode())
        for name, value in sorted(vision_encoder.state_dict().items()):
            digest.update(name.encode())
            digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        self.fingerprint = digest.hexdigest()

    def path(self, image: Path, square: Square | None = None) -> Path:
        """The file of the view of this square of this image, or of the whole image."""
        status = image.stat()
        identity = (
            self.fingerprint,
            str(image.resolve()),
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,  # which no tool sets back
            self.preprocessing,
            square and astuple(square),
        )
        key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        return self.folder / key[:2] / f"{key}.safetensors"

    def read(self, image: Path, square: Square | None = None) -> dict[str, np.ndarray]:
        """The arrays of a view by name, float16. Raises PosetalkError where the file cannot be read."""
        path = self.path(image, square)
        try:
            return dict(load_file(path))
        except (OSError, SafetensorError) as error:
            raise PosetalkError(f"cannot read the features {path}: {error}; delete the folder") from None

    @torch.no_grad()
    def fill(
        self,
        views: Sequence[tuple[Path, S]],
        compute: Callable[[list[tuple[Path, S]]], dict[str, torch.Tensor]],
        arguments: TrainingArguments,
    ) -> None:
        """Compute the views that are not there yet, each process of the run its share, and wait for the others.

        views: `path`'s arguments. compute: the outputs for n views on `arguments.device`, (n, ...) by name.
        """
        share = views[arguments.process_index :: arguments.world_size]
        device = next(self.vision_encoder.parameters()).device
        self.vision_encoder.to(arguments.device)
        self._fill(share, compute, quiet=arguments.process_index > 0)
        self.vision_encoder.to(device)
        PartialState().wait_for_everyone()

    def _fill(
        self,
        views: Sequence[tuple[Path, S]],
        compute: Callable[[list[tuple[Path, S]]], dict[str, torch.Tensor]],
        quiet: bool,
    ) -> None:
        missing = {path: view for view in views if not (path := self.path(*view)).exists()}
        paths = list(missing)
        for start in track(range(0, len(paths), BATCH), "looking", quiet=quiet):
            batch = paths[start : start + BATCH]
            outputs = compute([missing[path] for path in batch])
            for row, path in enumerate(batch):
                arrays = {name: rows[row].half().cpu().contiguous().numpy() for name, rows in outputs.items()}
                if not all(np.isfinite(array).all() for array in arrays.values()):
                    raise PosetalkError(
                        f"what the vision encoder makes of {missing[path][0]} does not fit half precision; "
                        "leave feature_cache out"
                    )
                with whole_file(path, "make room, what is there is kept") as part:
                    try:
                        save_file(arrays, part)
                    except SafetensorError as error:
                        raise OSError(str(error)) from None


def vision_features(
    model: PoseLLM, crop: CropSettings, views: Sequence[tuple[Path, Square]]
) -> dict[str, torch.Tensor]:
    """The vision encoder's output for squares of images: the fields of `VisionFeatures`; `fine` only if not None."""
    pixels = np.stack([crop_pixels(image, square, crop) for image, square in views])
    device = next(model.model.vision_tower.parameters()).device
    output = model.model.vision_output(torch.from_numpy(pixels).to(device))
    return {"tokens": output.last_hidden_state} | ({} if output.fine is None else {"fine": output.fine})


def crop_pixels(
    image: Path,
    square: Square,
    crop: CropSettings,
    change: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """The square of the image as the vision encoder takes it: (3, S, S) float32.

    change: of the crop's pixels, (S, S, 3) uint8, before they are normalised.
    """
    pixels = cut(read_image(image), square)
    return normalise(change(pixels) if change else pixels, crop.pixels)
