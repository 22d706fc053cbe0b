"""A picture, boxes and described keypoints -> their places."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from PIL import Image

from posetalk.crop.affine import Square, square_of
from posetalk.crop.image import Pixels, cut, normalise, read_image
from posetalk.errors import PosetalkError
from posetalk.locate.decode import Found, Prefix, decode, heat_maps, prefill, read, settle
from posetalk.model.files import conversation, crop_settings, load
from posetalk.model.posellm import PoseLLM
from posetalk.settings import Readout
from posetalk.skeleton import Keypoint, Skeleton, skeleton
from posetalk.types import Box, Floats, KeyPoints

Decoding = Literal["greedy", "expected"]
Asked = Skeleton | str | Keypoint | Sequence[Keypoint | str]
Picture = str | Path | Image.Image | np.ndarray
BRANCHES = 3  # of each digit that `expected` follows; the rest counts with the middle of its interval
REFINE = 1.25  # the second look, when no box is given, takes in a little more than the found keypoints
AHEAD = 8  # pictures that `locate_all` reads while it looks at those before them


@dataclass(frozen=True, slots=True, eq=False)
class _Crop:
    """A person to be looked at: a box of a picture."""

    image: Pixels
    box: Box


@dataclass(frozen=True, slots=True, eq=False)
class _Opened:
    """A picture and the boxes asked for; None where a person is to be looked for in the whole of it."""

    image: Pixels
    boxes: list[Box] | None

    def crops(self) -> list[_Crop]:
        height, width = self.image.shape[:2]
        boxes = [Box(0, 0, width, height)] if self.boxes is None else self.boxes
        return [_Crop(self.image, box) for box in boxes]


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

    def set_image(self, image: Picture) -> Self:
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
        opened = _opened(self.image, boxes)
        return next(self._answers([opened], asked_keypoints(keypoints)))

    def locate_all(
        self,
        pictures: Iterable[tuple[Picture, Sequence[Box | Sequence[float]] | None]],
        keypoints: Asked = "coco17",
    ) -> Iterator[KeyPoints | PosetalkError]:
        """Find keypoints in many pictures, each with its boxes (or None, see `locate`): an answer a picture, in order.

        People are asked `batch` at a time, whatever picture they are in, while the next pictures are read. What is
        wrong with one picture is its answer; the others are looked at all the same. Errors: no keypoints.
        """
        points = asked_keypoints(keypoints)
        waiting: list[_Opened | PosetalkError] = []
        people = 0
        for opened in _read_ahead(pictures):
            waiting.append(opened)
            people += 1 if not isinstance(opened, _Opened) or opened.boxes is None else len(opened.boxes)
            if people >= self.batch:
                yield from self._mixed(waiting, points)
                waiting, people = [], 0
        yield from self._mixed(waiting, points)

    def _mixed(
        self, some: list[_Opened | PosetalkError], points: tuple[Keypoint, ...]
    ) -> Iterator[KeyPoints | PosetalkError]:
        answers = self._answers([one for one in some if isinstance(one, _Opened)], points)
        for one in some:
            yield next(answers) if isinstance(one, _Opened) else one

    def _answers(self, opened: list[_Opened], points: tuple[Keypoint, ...]) -> Iterator[KeyPoints]:
        """The answers of some pictures, their people asked together; who has no box is looked at twice."""
        found = self._located(opened, points)
        again = []
        for one, first in zip(opened, found, strict=True):
            if one.boxes is None:
                box = Box.around(first.xy[0], REFINE)
                height, width = one.image.shape[:2]
                again.append(_Opened(one.image, [box if _meets(box, width, height) else first.boxes[0]]))
        second = iter(self._located(again, points))
        for one, first in zip(opened, found, strict=True):
            yield first if one.boxes is not None else next(second)

    def _located(self, opened: list[_Opened], points: tuple[Keypoint, ...]) -> list[KeyPoints]:
        crops = [one.crops() for one in opened]
        people = [crop for some in crops for crop in some]
        names = tuple(p.name for p in points)
        found = KeyPoints(np.zeros((0, len(points), 2)), np.zeros((0, len(points))), names, ())
        if people:
            batches = range(0, len(people), self.batch)
            found = KeyPoints.concat([self._people(people[i : i + self.batch], points) for i in batches])
        ends = np.cumsum([len(some) for some in crops])
        return [found.people(int(end) - len(some), int(end)) for some, end in zip(crops, ends, strict=True)]

    def _people(self, people: list[_Crop], points: tuple[Keypoint, ...]) -> KeyPoints:
        xy, std, score, visible = self._look(people, points, mirrored=False)
        if self.flip:
            other = self._look(people, tuple(_mirrored(p, points) for p in points), mirrored=True)
            xy, score = (xy + other[0]) / 2, (score + other[2]) / 2
            # Two looks at one person err together: the spread is averaged, not divided.
            std = None if std is None or other[1] is None else np.sqrt((std**2 + other[1] ** 2) / 2)
            visible = None if visible is None or other[3] is None else (visible + other[3]) / 2
        boxes = tuple(person.box for person in people)
        if std is not None and self.readout == "digits":
            score = expected_oks(std, oks_scale(boxes, points))
        names = tuple(p.name for p in points)
        return KeyPoints(xy, score, names, boxes, std, None if visible is None else visible > 0.5)

    def _look(
        self, people: list[_Crop], points: tuple[Keypoint, ...], mirrored: bool
    ) -> tuple[Floats, Floats | None, Floats, Floats | None]:
        squares = [self._square(person.box, mirrored) for person in people]
        found = self._ask(people, squares, points, mirrored)
        uv, score = found.xy.double().cpu().numpy(), found.score.double().cpu().numpy()
        xy = np.stack([s.denormalise(p) for s, p in zip(squares, uv, strict=True)])
        sides = np.array([s.side for s in squares])[:, None, None]
        std = None if found.std is None else found.std.double().cpu().numpy() * sides
        return xy, std, score, None if found.visible is None else found.visible.double().cpu().numpy()

    def _square(self, box: Box, mirrored: bool) -> Square:
        square = square_of(box, self.crop.size, self.crop.padding)
        return Square(square.center, square.side, square.size, flip=mirrored)

    def _ask(
        self, people: list[_Crop], squares: list[Square], points: tuple[Keypoint, ...], mirrored: bool
    ) -> Found:
        prefix = self._prefix(people, squares, mirrored)
        questions = self._read(points)
        if self.readout == "point":
            sides = np.array([s.side for s in squares])[:, None]
            scale = oks_scale([person.box for person in people], points) / sides
            heat = heat_maps(self.model, prefix, questions)
            return settle(*heat, torch.from_numpy(scale).to(self.model.device, torch.float32))
        return decode(
            self.model, self.talk, prefix, questions, BRANCHES if self.decoding == "expected" else 1
        )

    def _prefix(self, people: list[_Crop], squares: list[Square], mirrored: bool) -> Prefix:
        """What was seen of these people; crops of the picture set by `set_image` are remembered."""
        known = [
            self._prefixes.get((person.box, mirrored)) if person.image is self._image else None
            for person in people
        ]
        new = [i for i, prefix in enumerate(known) if prefix is None]
        if new:
            crops = np.stack([normalise(cut(people[i].image, squares[i]), self.crop.pixels) for i in new])
            pixels = torch.from_numpy(crops).to(self.model.device)
            fresh = prefill(self.model, self.talk, pixels, cells=self.readout == "point")
            for row, i in enumerate(new):
                known[i] = fresh[row : row + 1]
                if people[i].image is self._image:
                    self._prefixes[people[i].box, mirrored] = fresh[row : row + 1]
            if len(new) == len(people):
                return fresh
        return Prefix.concat([prefix for prefix in known if prefix is not None])

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


def _read_ahead(
    pictures: Iterable[tuple[Picture, Sequence[Box | Sequence[float]] | None]],
) -> Iterator[_Opened | PosetalkError]:
    """Each picture opened, by a thread that is AHEAD pictures ahead."""

    def opened(picture: Picture, boxes: Sequence[Box | Sequence[float]] | None) -> _Opened | PosetalkError:
        try:
            return _opened(read_image(picture), boxes)
        except PosetalkError as error:
            return error

    with ThreadPoolExecutor(max_workers=1) as reader:
        coming: deque[Future[_Opened | PosetalkError]] = deque()
        try:
            for picture, boxes in pictures:
                coming.append(reader.submit(opened, picture, boxes))
                if len(coming) > AHEAD:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            for future in coming:
                future.cancel()


def _opened(image: Pixels, boxes: Sequence[Box | Sequence[float]] | None) -> _Opened:
    if boxes is None:
        return _Opened(image, None)
    height, width = image.shape[:2]
    people = [box if isinstance(box, Box) else _box(box) for box in boxes]
    for box in people:
        if not _meets(box, width, height):
            raise PosetalkError(f"the box {box.xywh} lies outside the picture of {width} x {height} px")
    return _Opened(image, people)


def _box(values: Sequence[float]) -> Box:
    numbers = [float(v) for v in values]
    if len(numbers) != 4:
        raise PosetalkError(f"a box is four numbers x,y,width,height, not {list(values)}")
    return Box(*numbers)


def _meets(box: Box, width: int, height: int) -> bool:
    left, top, right, bottom = box.xyxy
    return left < width and top < height and right > 0 and bottom > 0
