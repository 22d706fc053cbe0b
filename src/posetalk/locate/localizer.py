"""A picture, boxes and described keypoints -> their places."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import torch

from posetalk.errors import PosetalkError
from posetalk.formats.coco import AREA_OF_BOX
from posetalk.images.affine import Square, square_of
from posetalk.images.opening import Pixels, cut, normalise, read_image
from posetalk.locate.ahead import Picture, ReadTask, read_ahead
from posetalk.locate.decode import DecodedKeypoints, Prefix, decode, heat_maps, prefill, read, settle
from posetalk.locate.opened import Boxes, Crop, OpenedImage, Seen, as_list, listed
from posetalk.model.files import conversation, crop_settings, load
from posetalk.model.posellm import PoseLLM
from posetalk.settings import Readout
from posetalk.skeleton import BUILT_IN, Keypoint, KeypointQuery, load_skeleton, parse_keypoints
from posetalk.types import Box, Floats, Poses, frozen_array

Decoding = Literal["greedy", "expected"]
BRANCHES = 3  # of each digit that `expected` follows; the rest counts with the middle of its interval
ALIKE = 0.85  # of difflib's ratio: `left_knee`, `lft knee`, and not `left heel`
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

    Threads may share a localizer: each has the picture that it set itself, or, where it set none, the one set by the
    thread that made the localizer.
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
        for what, value, known in (("readout", self.readout, Readout), ("decoding", decoding, Decoding)):
            if value not in get_args(known):
                raise PosetalkError(f"there is no {what} {value!r}; choose {' or '.join(get_args(known))}")
        if not hasattr(batch, "__index__") or batch < 1:  # numpy's whole numbers are some too
            raise PosetalkError(f"batch is the number of people at a time, 1 or more, not {batch!r}")
        if self.readout == "point" and not model.config.cells:
            raise PosetalkError("this model has no readout 'point'; ask it for 'digits'")
        self.talk = conversation(model.config, tokenizer)
        self.crop = crop_settings(model.config)
        self.decoding, self.flip, self.batch = decoding, flip, int(batch)
        self._maker = threading.get_ident()
        self._set = threading.local()  # `picture` of each thread
        self._first: OpenedImage | None = None
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
        """Load a model (`bundled`, a folder, a hub id) onto a device: CUDA where there is one, else the CPU.

        Errors: no such model; a preset, which has no weights; a device that is not there; see `Localizer`.
        """
        place = _device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        model, tokenizer = load(name, dtype)
        return cls(model.to(place), tokenizer, **options)

    @property
    def trained_keypoints(self) -> tuple[str, ...]:
        """Names of the keypoints the model was trained on."""
        return tuple(self.model.config.keypoints or ())

    def set_image(self, image: Picture) -> Self:
        """Take a picture (a path, a Pillow image, or an array as `read_image` takes it) and forget the one before.

        In each thread anew, see `Localizer`.
        """
        self._set.picture = OpenedImage(read_image(image), seen={})
        if threading.get_ident() == self._maker:
            self._first = self._set.picture
        return self

    @property
    def _picture(self) -> OpenedImage:
        picture: OpenedImage | None = getattr(self._set, "picture", self._first)
        if picture is None:
            raise PosetalkError("no picture yet; call set_image(picture) before locate")
        return picture

    @property
    def image(self) -> Any:
        """The picture as (h, w, 3) uint8 RGB, upright."""
        return self._picture.image

    def locate(self, boxes: Boxes | None = None, keypoints: KeypointQuery = "coco17") -> Poses:
        """Find keypoints in each box.

        boxes:     a list of Box or (x, y, width, height) in px of the full image, or one of them. None: one person is
                   looked for in the whole picture, by the keypoints asked for where they are a whole skeleton, else by
                   those the model was trained on; then the keypoints are asked for in the box of what was found.
        keypoints: a Skeleton, the name of a built-in one or a .toml file, one Keypoint or "name: description", or a
                   list of these two.
        Returns Poses with n = len(boxes), coordinates in px of the full image.
        Errors: no picture set, a box without area or wholly outside the picture, no keypoints, and what
        `parse_keypoints` and `questions` refuse.
        """
        points = self.questions(keypoints)
        picture = self._picture
        return self._answers([self._opened(picture.image, listed(boxes), picture.seen)], points)[0]

    def locate_all(
        self, pictures: Iterable[tuple[Picture, Boxes | None]], keypoints: KeypointQuery = "coco17"
    ) -> Generator[Poses | PosetalkError, None, None]:
        """Find keypoints in many pictures, each with its boxes (or None, see `locate`): an answer a picture, in order.

        People are asked `batch` at a time, whatever picture they are in, while the next pictures are read. What is
        wrong with one picture is its answer; the others are looked at all the same. Errors: as `questions`, before
        anything is read.
        """

        def grouped() -> Iterator[tuple[Picture, Boxes | None, bool]]:
            people = 0
            for picture, boxes in pictures:
                listed_ = None if boxes is None else as_list(boxes)
                people += 1 if listed_ is None else len(listed_)
                yield picture, listed_, people >= self.batch
                people = 0 if people >= self.batch else people

        return self.locate_groups(grouped(), keypoints)

    def locate_groups(
        self, pictures: Iterable[tuple[Picture, Boxes | None, bool]], keypoints: KeypointQuery = "coco17"
    ) -> Generator[Poses | PosetalkError, None, None]:
        """`locate_all` for a caller who says (True) after which pictures people are asked; no group crosses that.

        Numbers differ in the last digits with the company in which a person is asked: a run that goes on after a stop
        gets the very same ones if it asks in the same groups.
        """
        points = self.questions(keypoints)
        return self._all(pictures, points)

    def questions(self, keypoints: KeypointQuery) -> tuple[Keypoint, ...]:
        """What is asked for, in order.

        Errors: as `parse_keypoints`; a name alone that is nearly a known one; a description too long for the model.
        """
        points = parse_keypoints(keypoints)
        for point in points:
            if (point.name, point.sentence) not in self._questions:  # else it was looked at before
                self._check(point)
        return points

    def _check(self, point: Keypoint) -> None:
        """Errors: as `questions`."""
        known = {p.name for name in BUILT_IN for p in load_skeleton(name).keypoints} | set(
            self.trained_keypoints
        )
        if not point.sentence and point.name not in known:
            near = get_close_matches(point.name.replace("_", " ").lower(), known, 2, ALIKE)
            if near:
                raise PosetalkError(
                    f"the keypoint {point.name!r} is not known by that name; did you mean {' or '.join(near)}? What is "
                    f"another one needs a description: '{point.name}: ...'"
                )
        limit = getattr(self.model.config.text_config, "max_position_embeddings", None)
        before = 0 if self.talk.question_token is not None else len(self.talk.prefix)
        length = before + len(self.talk.question(point)) + len(self.talk.answer.ids(0, 0))
        if limit is not None and length > limit:
            raise PosetalkError(
                f"the keypoint {point.name[:40]!r} is described in {length} tokens, the picture's and the "
                f"answer's among them, and the model takes {limit}; describe it in fewer words"
            )

    def _all(
        self, pictures: Iterable[tuple[Picture, Boxes | None, bool]], points: tuple[Keypoint, ...]
    ) -> Generator[Poses | PosetalkError, None, None]:
        def opened(picture: Picture, boxes: Boxes | None) -> OpenedImage | PosetalkError:
            try:
                return self._opened(read_image(picture), listed(boxes))
            except PosetalkError as error:
                return error

        coming = (
            ReadTask(picture, partial(opened, picture, boxes), last) for picture, boxes, last in pictures
        )
        with closing(read_ahead(coming)) as lists:
            for some in lists:  # nothing here may keep a picture of `some` once the next is asked for
                answers = iter(self._answers([one for one in some if isinstance(one, OpenedImage)], points))
                yield from [one if isinstance(one, PosetalkError) else next(answers) for one in some]

    def _opened(self, image: Pixels, boxes: list[Box] | None, seen: Seen | None = None) -> OpenedImage:
        opened = OpenedImage(image, boxes, seen)
        for box in boxes or ():
            if not opened.meets(box):
                height, width = image.shape[:2]
                raise PosetalkError(f"the box {box.xywh} lies outside the picture of {width} x {height} px")
            self._square(box, mirrored=False)  # refuses what is too large or too small to be cut out
        return opened

    def _answers(self, opened: list[OpenedImage], points: tuple[Keypoint, ...]) -> list[Poses]:
        """The answers of some pictures, their people asked together; who has no box is found first."""
        lost = [one for one in opened if one.boxes is None]
        finding = self._finding(points)
        whole = self._located([replace(one, boxes=[one.whole]) for one in lost], finding)
        firsts = iter(zip(lost, whole, strict=True))
        asked, scores = [], []
        for one in opened:
            score = None
            if one.boxes is None:
                _, first = next(firsts)
                box = Box.around(first.xy[0], REFINE)
                one = replace(one, boxes=[box if one.meets(box) else one.whole])
                score = frozen_array(first.score.mean(1))
            asked.append(one)
            scores.append(score)
        return [
            found if score is None else replace(found, box_scores=score)
            for found, score in zip(self._located(asked, points), scores, strict=True)
        ]

    def _finding(self, points: tuple[Keypoint, ...]) -> tuple[Keypoint, ...]:
        """By which keypoints a person is found in a whole picture: those asked for where a whole body is among them,
        else the first built-in skeleton that the model was trained on, else all that it was trained on."""
        asked, trained = {p.name for p in points}, set(self.trained_keypoints)
        built_in = [load_skeleton(name) for name in BUILT_IN]
        if any(asked >= set(body.names) for body in built_in):
            return points
        for body in built_in:
            if not trained or trained >= set(body.names):
                return body.keypoints
        known = {p.name: p for body in built_in for p in body.keypoints}
        return tuple(known.get(name) or Keypoint(name) for name in self.trained_keypoints)

    def _located(self, opened: list[OpenedImage], points: tuple[Keypoint, ...]) -> list[Poses]:
        crops = [one.crops() for one in opened]
        people = [crop for some in crops for crop in some]
        names = tuple(p.name for p in points)
        found = Poses(np.zeros((0, len(points), 2)), np.zeros((0, len(points))), names, ())
        if people:
            batches = range(0, len(people), self.batch)
            found = Poses.concat([self._people(people[i : i + self.batch], points) for i in batches])
        ends = np.cumsum([len(some) for some in crops])
        return [found.people(int(end) - len(some), int(end)) for some, end in zip(crops, ends, strict=True)]

    def _people(self, people: list[Crop], points: tuple[Keypoint, ...]) -> Poses:
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
        return Poses(xy, score, names, boxes, std, None if visible is None else visible > 0.5)

    def _look(
        self, people: list[Crop], points: tuple[Keypoint, ...], mirrored: bool
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
        self, people: list[Crop], squares: list[Square], points: tuple[Keypoint, ...], mirrored: bool
    ) -> DecodedKeypoints:
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

    def _prefix(self, people: list[Crop], squares: list[Square], mirrored: bool) -> Prefix:
        """What was seen of these people; crops of the picture set by `set_image` are remembered."""
        known = [None if p.seen is None else p.seen.get((p.box, mirrored)) for p in people]
        new = [i for i, prefix in enumerate(known) if prefix is None]
        if new:
            crops = np.stack([normalise(cut(people[i].image, squares[i]), self.crop.pixels) for i in new])
            pixels = torch.from_numpy(crops).to(self.model.device)
            fresh = prefill(self.model, self.talk, pixels, cells=self.readout == "point")
            for row, i in enumerate(new):
                known[i] = fresh[row : row + 1]
                if (seen := people[i].seen) is not None:
                    seen[people[i].box, mirrored] = fresh[row : row + 1]
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


def expected_oks(std: Floats, scale: Floats) -> Floats:
    """The OKS to be expected when the error is Gaussian with standard deviation `std` (n, k, 2) px -> (n, k).

    OKS of an error d is exp(-d^2 / (2 s^2)) with s = `scale` (n, k) px; its mean over a Gaussian has the closed form
    prod over x, y of 1 / sqrt(1 + std^2 / s^2).
    """
    return np.asarray(1 / np.sqrt(1 + (std / scale[..., None]) ** 2).prod(-1))


def oks_scale(boxes: Sequence[Box], points: Sequence[Keypoint]) -> Floats:
    """OKS's s = 2 sigma sqrt(area) (COCO): (n, k) px. A person fills AREA_OF_BOX of their box."""
    areas = np.array([AREA_OF_BOX * box.area for box in boxes])
    return np.asarray(2 * np.array([p.sigma for p in points])[None, :] * np.sqrt(areas)[:, None])


def _mirrored(point: Keypoint, points: Iterable[Keypoint]) -> Keypoint:
    """The keypoint to ask a mirrored picture for: of the same set where it is there, else with sides exchanged."""
    return next((p for p in points if p.name == point.mirror), None) or point.mirrored()


def _device(name: str | torch.device) -> torch.device:
    """A device on which numbers can be computed and read back."""
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        reason = " ".join(str(error).split(". ")[0].split())
        raise PosetalkError(
            f"the device {str(name)!r} cannot be used ({reason}); give cpu, or cuda where torch finds one"
        ) from None
    return device
