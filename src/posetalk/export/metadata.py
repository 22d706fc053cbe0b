"""What an exported file says of itself: keypoints, pre- and post-processing, where its weights came from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from onnx import ModelProto, helper

import posetalk
from posetalk.export.precision import Precision
from posetalk.hub.card import shown_path
from posetalk.model.fingerprint import weights_fingerprint
from posetalk.settings import CropSettings
from posetalk.skeleton import Keypoint

LICENCES = ("LICENSE.md", "LICENSE", "LICENSE.txt")
DESCRIPTIONS = {
    "image": "crops of people, uint8 RGB, see the metadata `preprocessing`",
    "box": "width and height of each person's box, px of the crop",
    "xy": "x and y of each keypoint, px of the crop",
    "score": "expected OKS of each keypoint, 0 to 1",
    "std": "standard deviation of x and y, px of the crop",
    "visible": "probability that the keypoint can be seen, 0 to 1",
}


def describe(
    network: ModelProto,
    keypoints: Sequence[Keypoint],
    limbs: Iterable[tuple[int, int]],
    crop: CropSettings,
    model: str,
    folder: Path,
    precision: Precision,
) -> None:
    """Write the metadata into a network: the names are ONNX's `metadata_props`, the values text or JSON.

    Args:
        network: Is changed.
        keypoints: What it locates, in order.
        limbs: Pairs of their indices.
        crop: How people are cut out.
        model: The name of the model.
        folder: Its folder; a hub id has none.
        precision: How the weights are stored.
    """
    network.producer_name, network.producer_version = "posetalk", posetalk.__version__
    network.doc_string = "Locates described keypoints of people: crops in, places out. See the metadata."
    for value in (*network.graph.input, *network.graph.output):
        value.doc_string = DESCRIPTIONS[value.name]
    for value in network.graph.output:
        value.type.tensor_type.shape.dim[1].dim_value = len(keypoints)
    known = [{"name": p.name, "sentence": p.sentence, "sigma": p.sigma} for p in keypoints]
    helper.set_model_props(
        network,
        {
            "keypoints": json.dumps(known),
            "limbs": json.dumps([list(limb) for limb in limbs]),
            "crop": json.dumps(crop.model_dump(mode="json", include={"size", "padding", "clip_box"})),
            "preprocessing": _preprocessing(crop),
            "postprocessing": _POSTPROCESSING,
            "precision": precision,
            "model": shown_path(model),
            "model_fingerprint": weights_fingerprint(folder),
            "license": _licence(folder),
            "posetalk_version": posetalk.__version__,
        },
    )


def _preprocessing(crop: CropSettings) -> str:
    clipped = (
        "Clip the box to the image: left and top at least 0, right at most image width - 1 and left + width - 1, "
        "bottom likewise. "
        if crop.clip_box
        else ""
    )
    size, padding = crop.size, f"{crop.padding:g}"
    return (
        f"A person is a box: left, top, width, height in px of an upright RGB image. {clipped}Take the square around "
        f"the box's centre whose side is {padding} times the longer of width and height, and resize it to {size} x "
        f"{size} px, bilinear, black outside the image. Pixel centres lie at whole numbers: crop = (image - centre) * "
        f"{size} / side + {size / 2:g}. Give the crop as uint8 0..255; it is normalised inside. `box` is the width and "
        f"height of the box times {size} / side."
    )


_POSTPROCESSING = (
    "image = (crop - size / 2) * side / size + centre, for `xy`; `std` * side / size. `score` is the expected OKS of a "
    "keypoint with its sigma; `visible` above 0.5 says that it can be seen."
)


def _licence(folder: Path) -> str:
    for name in LICENCES:
        if (file := folder / name).is_file():
            return file.read_text(encoding="utf-8", errors="replace")
    return "The licences of what the model was made from hold; see its card."
