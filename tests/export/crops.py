"""People of a photo, and a network that is given their crops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import skimage
from PIL import Image

from posetalk.images.affine import Square, crop_square
from posetalk.images.opening import cut
from posetalk.settings import CropSettings
from posetalk.types import Box

PHOTO = np.asarray(Image.open(Path(skimage.__path__[0]) / "data" / "astronaut.png").convert("RGB"))
BOXES = [
    Box(80, 0, 330, 512),
    Box(150, 20, 160, 180),
    Box(0, 200, 300, 312),
    *(Box(20 + 45 * n, 10 + 30 * n, 90 + 20 * n, 260 - 10 * n) for n in range(5)),
]

FEET = """
name = "feet"
limbs = [["left ankle", "left heel"], ["left heel", "left big toe"]]
[[keypoint]]
name = "left ankle"
[[keypoint]]
name = "left heel"
sentence = "the back of the left foot, where it touches the ground"
sigma = 0.06
[[keypoint]]
name = "left big toe"
sentence = "the tip of the left foot's largest toe"
[[keypoint]]
name = "right ankle"
[[keypoint]]
name = "right heel"
sentence = "the back of the right foot, where it touches the ground"
[[keypoint]]
name = "right big toe"
sentence = "the tip of the right foot's largest toe"
"""


def crops_of(
    photo: Any, boxes: list[Box], crop: CropSettings
) -> tuple[list[Square], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """The squares of some people, their crops, and their boxes in px of them."""
    height, width = photo.shape[:2]
    squares = [crop_square(box, crop, width, height) for box in boxes]
    sizes = [
        (box.w * crop.size / s.side, box.h * crop.size / s.side)
        for box, s in zip(boxes, squares, strict=True)
    ]
    return squares, np.stack([cut(photo, square) for square in squares]), np.array(sizes, np.float32)


def run(network: Path, crops: Any, sizes: Any) -> dict[str, np.ndarray[Any, Any]]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": crops, "box": sizes}), strict=True))
