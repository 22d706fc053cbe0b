"""A picture, boxes and described keypoints -> their places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from PIL import Image

from posetalk.crop.affine import Square, square_of
from posetalk.crop.image import cut, normalise, read_image
from posetalk.errors import PosetalkError
from posetalk.locate.decode import Found, Prefix, decode, heat_maps, prefill, read, settle
from posetalk.model.files import conversation, crop_settings, load
from posetalk.model.posellm import PoseLLM
from posetalk.settings import Readout
from posetalk.skeleton import Keypoint, Skeleton, skeleton
from posetalk.types import Box, Floats, KeyPoints

Decoding = Literal["greedy", "expected"]
Asked = Skeleton | str | Keypoint | Sequence[Keypoint | str]
BRANCHES = 3  # of each digit that `expected` follows; the rest counts with the middle of its interval
REFINE = 1.25  # the second look, when no box is given, takes in a little more than the found keypoints


class Localizer:
    """Finds keypoints of people from their descriptions.

        localizer = Localizer.from_pretrained("bundled")
        localizer.set_image("photo.jpg")
        found = localizer.locate([Box(10, 20, 100, 200)], ["left heel: the back of the left foot"])
        found["left heel"]                                # (1, 2) px of the photo

    readout:  `point` or `digits`; None for the model's own.
    decoding: of digits, `greedy` (the paper's: the likeliest digit each time) or `expected` (mean and standard
              deviation of the digits' distribution; the spread gives the score).
    flip:     also look at the mirrored crop, asking for mirrored names, and average.
    batch:    people at a time.

    A crop is encoded once; asked again for other keypoints it is not encoded again until `set_image`.
    """

    def __init__(
        self,
        model: PoseLLM,
        tokenizer: Any,
        *,
        readout: Readout | None = None,
        decoding: Decoding = "expected",
        flip: bool = False,
        batch: int = 8,
    ) -> None:
        self.model = model.eval()
        self.readout = readout or model.config.readout
        if self.readout == "point" and not model.config.cells:
            raise PosetalkError("this model has no readout 'point'; ask it for 'digits'")
        self.talk = conversation(model.config, tokenizer)
        self.crop = crop_settings(model.config)
        self.decoding, self.flip, self.batch = decoding, flip, batch
        self._image: Any = None
        self._prefixes: dict[tuple[Box, bool], Prefix] = {}
        self._questions: dict[tuple[str, str], torch.Tensor] = {}

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path = "bundled",
        *,
        device: str | None = None,
        dtype: torch.dtype = torch.float32,
        **options: Any,
    ) -> Self:
        """Load a model (`bundled`, a folder, a hub id) onto a device: CUDA where there is one, else the CPU."""
        model, tokenizer = load(name, dtype)
        return cls(model.to(device or ("cuda" if torch.cuda.is_available() else "cpu")), tokenizer, **options)

    @property
    def trained_keypoints(self) -> tuple[str, ...]:
        """Names of the keypoints the model was trained on."""
        return tuple(self.model.config.keypoints or ())

    def set_image(self, image: str | Path | Image.Image | np.ndarray) -> Self:
        """Take a picture (a path, a Pillow image, or (h, w, 3) uint8 RGB) and forget the one before."""
        self._image = read_image(image)
        self._prefixes.clear()
        return self

    @property
    def image(self) -> Any:
        """The picture as (h, w, 3) uint8 RGB, upright."""
        if self._image is None:
            raise PosetalkError("no picture yet; call set_image(picture) before locate")
        return self._image

    def locate(
        self, boxes: Sequence[Box | Sequence[float]] | None = None, keypoints: Asked = "coco17"
    ) -> KeyPoints:
        """Find keypoints in each box.

        boxes:     Box or (x, y, width, height) in px of the full image. None: one person is looked for in the whole
                   picture, then once more in the box of what was found.
        keypoints: a Skeleton, the name of a built-in one, one Keypoint or a sequence of Keypoint and
                   "name: description" strings.
        Returns KeyPoints with n = len(boxes), coordinates in px of the full image.
        Errors: no picture set, a box without area or wholly outside the picture, no keypoints.
        """
        points = asked_keypoints(keypoints)
        height, width = self.image.shape[:2]
        if boxes is None:
            whole = self._locate([Box(0, 0, width, height)], points)
            again = Box.around(whole.xy[0], REFINE)
            return self._locate([again if _meets(again, width, height) else whole.boxes[0]], points)
        people = [box if isinstance(box, Box) else _box(box) for box in boxes]
        for box in people:
            if not _meets(box, width, height):
                raise PosetalkError(f"the box {box.xywh} lies outside the picture of {width} x {height} px")
        return self._locate(people, points)

    def _locate(self, boxes: list[Box], points: tuple[Keypoint, ...]) -> KeyPoints:
        parts = [self._people(boxes[i : i + self.batch], points) for i in range(0, len(boxes), self.batch)]
        if parts:
            return KeyPoints.concat(parts)
        empty = np.zeros((0, len(points)))
        return KeyPoints(np.zeros((0, len(points), 2)), empty, tuple(p.name for p in points), ())

    def _people(self, boxes: list[Box], points: tuple[Keypoint, ...]) -> KeyPoints:
        xy, std, score, visible = self._look(boxes, points, mirrored=False)
        if self.flip:
            other = self._look(boxes, tuple(_mirrored(p, points) for p in points), mirrored=True)
            xy, score = (xy + other[0]) / 2, (score + other[2]) / 2
            # Two looks at one person err together: the spread is averaged, not divided.
            std = None if std is None or other[1] is None else np.sqrt((std**2 + other[1] ** 2) / 2)
            visible = None if visible is None or other[3] is None else (visible + other[3]) / 2
        if std is not None and self.readout == "digits":
            score = expected_oks(std, oks_scale(boxes, points))
        names = tuple(p.name for p in points)
        return KeyPoints(xy, score, names, tuple(boxes), std, None if visible is None else visible > 0.5)

    def _look(
        self, boxes: list[Box], points: tuple[Keypoint, ...], mirrored: bool
    ) -> tuple[Floats, Floats | None, Floats, Floats | None]:
        squares = [self._square(box, mirrored) for box in boxes]
        found = self._ask(boxes, squares, points, mirrored)
        uv, score = found.xy.double().cpu().numpy(), found.score.double().cpu().numpy()
        xy = np.stack([s.denormalise(p) for s, p in zip(squares, uv, strict=True)])
        sides = np.array([s.side for s in squares])[:, None, None]
        std = None if found.std is None else found.std.double().cpu().numpy() * sides
        return xy, std, score, None if found.visible is None else found.visible.double().cpu().numpy()

    def _square(self, box: Box, mirrored: bool) -> Square:
        square = square_of(box, self.crop.size, self.crop.padding)
        return Square(square.center, square.side, square.size, flip=mirrored)

    def _ask(
        self, boxes: list[Box], squares: list[Square], points: tuple[Keypoint, ...], mirrored: bool
    ) -> Found:
        device = self.model.device
        new = [i for i, box in enumerate(boxes) if (box, mirrored) not in self._prefixes]
        if new:
            crops = np.stack([normalise(cut(self.image, squares[i]), self.crop.pixels) for i in new])
            pixels = torch.from_numpy(crops).to(device)
            fresh = prefill(self.model, self.talk, pixels, cells=self.readout == "point")
            for row, i in enumerate(new):
                self._prefixes[boxes[i], mirrored] = fresh[row : row + 1]
        prefix = Prefix.concat([self._prefixes[box, mirrored] for box in boxes])
        questions = self._read(points)
        if self.readout == "point":
            sides = np.array([s.side for s in squares])[:, None]
            scale = torch.from_numpy(oks_scale(boxes, points) / sides).to(device, torch.float32)
            return settle(*heat_maps(self.model, prefix, questions), scale)
        return decode(
            self.model, self.talk, prefix, questions, BRANCHES if self.decoding == "expected" else 1
        )

    def _read(self, points: tuple[Keypoint, ...]) -> list[torch.Tensor]:
        """The questions, each read once in the life of the localizer."""
        new = [p for p in points if (p.name, p.sentence) not in self._questions]
        if new:
            for keypoint, question in zip(new, read(self.model, self.talk, new), strict=True):
                self._questions[keypoint.name, keypoint.sentence] = question
        return [self._questions[p.name, p.sentence] for p in points]


def asked_keypoints(keypoints: Asked) -> tuple[Keypoint, ...]:
    """Whatever names keypoints -> the keypoints, in order."""
    if isinstance(keypoints, str):
        keypoints = skeleton(keypoints)
    if isinstance(keypoints, Skeleton):
        return keypoints.keypoints
    if isinstance(keypoints, Keypoint):
        return (keypoints,)
    points = tuple(k if isinstance(k, Keypoint) else Keypoint.parse(k) for k in keypoints)
    if not points:
        raise PosetalkError("no keypoints to look for; give a skeleton's name or 'name: description'")
    return points


def expected_oks(std: Floats, scale: Floats) -> Floats:
    """The OKS to be expected when the error is Gaussian with standard deviation `std` (n, k, 2) px -> (n, k).

    OKS of an error d is exp(-d^2 / (2 s^2)) with s = `scale` (n, k) px; its mean over a Gaussian has the closed form
    prod over x, y of 1 / sqrt(1 + std^2 / s^2).
    """
    return np.asarray(1 / np.sqrt(1 + (std / scale[..., None]) ** 2).prod(-1))


def oks_scale(boxes: Sequence[Box], points: Sequence[Keypoint]) -> Floats:
    """OKS's s = 2 sigma sqrt(area) (COCO): (n, k) px. A person fills 0.53 of their box."""
    areas = np.array([0.53 * box.area for box in boxes])
    return np.asarray(2 * np.array([p.sigma for p in points])[None, :] * np.sqrt(areas)[:, None])


def _mirrored(point: Keypoint, points: Iterable[Keypoint]) -> Keypoint:
    """The keypoint to ask a mirrored picture for: of the same set where it is there, else with sides exchanged."""
    return next((p for p in points if p.name == point.mirror), None) or point.mirrored()


def _box(values: Sequence[float]) -> Box:
    numbers = [float(v) for v in values]
    if len(numbers) != 4:
        raise PosetalkError(f"a box is four numbers x,y,width,height, not {list(values)}")
    return Box(*numbers)


def _meets(box: Box, width: int, height: int) -> bool:
    left, top, right, bottom = box.xyxy
    return left < width and top < height and right > 0 and bottom > 0
