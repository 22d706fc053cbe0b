"""The keypoints of people in images that callers sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from posetalk.describe.parts import body_points
from posetalk.detect.detector import Detector
from posetalk.errors import PosetalkError
from posetalk.images.opening import open_image_bytes, read_image
from posetalk.locate.heat_map import HeatMap
from posetalk.locate.localizer import Localizer
from posetalk.locate.opened_image import OpenedImage
from posetalk.model.graphs import cores
from posetalk.serve.bodies import DescribeRequest, Json, LocateRequest
from posetalk.serve.describing import check_inside, check_places, places_of
from posetalk.serve.problems import ProblemError, mistake
from posetalk.serve.settings import ServeSettings
from posetalk.skeleton import BUILT_IN, Keypoint, load_skeleton
from posetalk.types import Box, Poses

Wanted = LocateRequest | DescribeRequest
Limbs = Sequence[tuple[int, int]]
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A checked request.

    Attributes:
        data: The image's file.
        pixels: How many the image has.
        keypoints: What to look for.
        limbs: Pairs of indices into the keypoints.
        request: The request itself.
    """

    data: bytes
    pixels: int
    keypoints: tuple[Keypoint, ...]
    limbs: Limbs
    request: Wanted


class Locating:
    """Locates for many callers, with one model.

    Args:
        localizer: The model.
        settings: The limits.
    """

    def __init__(self, localizer: Localizer, settings: ServeSettings) -> None:
        self.localizer, self._settings = localizer, settings
        self._pool = ThreadPoolExecutor(settings.threads or cores(), "posetalk-images")

    def check(self, data: bytes, request: Wanted) -> Asked:
        """Refuse what cannot be located, before it waits. Of the image the header is read.

        Raises:
            PosetalkError: more than the limits; no image of a known form; keypoints that cannot be located.
        """
        limits = self._settings
        points: Sequence[Keypoint]
        limbs: Limbs = ()
        if isinstance(request, DescribeRequest):
            check_places(request, limits)
            points = body_points()
        else:
            points, limbs = _asked_for(request, limits)
        if request.boxes is not None:
            if request.whole_image:
                raise PosetalkError("boxes and whole_image are two ways to say where people are; give one")
            if len(request.boxes) > limits.max_people:
                raise PosetalkError(
                    f"there are {len(request.boxes)} boxes; the limit is {limits.max_people} people a request"
                )
            for box in request.boxes:
                Box(*box)
        if (request.boxes is not None or request.whole_image) and (
            request.min_score is not None or request.max_people is not None
        ):
            raise PosetalkError(
                "min_score and max_people choose among the people who are found; leave them, or boxes and "
                "whole_image, away"
            )
        with open_image_bytes(data) as image:
            pixels = image.width * image.height
        if pixels > limits.max_image_pixels:
            raise ProblemError(
                f"the image has {pixels:,} pixels; the limit is {limits.max_image_pixels:,}: make it smaller",
                413,
            )
        return Asked(data, pixels, self.localizer.questions(points), limbs, request)

    def answer(self, asked: Sequence[Asked]) -> list[Json | Exception]:
        """An answer to each, or what is wrong with it. What is computed together does not change the numbers."""
        opened = self._each(self._open, asked)
        whole = [image for image in opened if isinstance(image, OpenedImage)]
        self.localizer.encode(whole)
        rows = list(zip(asked, opened, strict=True))
        return self._each(lambda row: self._locate(*row), rows)

    def _each(self, work: Callable[[T], R], items: Sequence[T]) -> list[R | Exception]:
        """The work on each item, in several threads; an error takes the place of what came out."""

        def caught(item: T) -> R | Exception:
            try:
                return work(item)
            except PosetalkError as error:
                return error
            except Exception as error:
                return mistake(error)

        return [caught(items[0])] if len(items) == 1 else [*self._pool.map(caught, items)]

    def _open(self, asked: Asked) -> OpenedImage:
        request, limits = asked.request, self._settings
        with open_image_bytes(asked.data) as image:
            pixels = read_image(image)
        if isinstance(request, DescribeRequest):
            height, width = pixels.shape[:2]
            check_inside(request, width, height)
        detector = Detector(
            self.localizer.detector.network,
            min_score=request.min_score,
            max_people=min(request.max_people or limits.max_people, limits.max_people),
        )
        return self.localizer.open(pixels, request.boxes, detector=detector, whole_image=request.whole_image)

    def _locate(self, asked: Asked, opened: OpenedImage | Exception) -> Json:
        if isinstance(opened, Exception):
            raise opened
        poses = self.localizer.locate_opened(opened, asked.keypoints)
        height, width = opened.image.shape[:2]
        answer: Json = {"width": width, "height": height}
        if isinstance(asked.request, DescribeRequest):
            return answer | {"places": places_of(poses, asked.request), "people": people_of(poses)}
        answer |= {
            "model": Path(self.localizer.source).name or self._settings.model,
            "people": people_of(poses),
            "limbs": [list(limb) for limb in asked.limbs or poses.limbs],
        }
        if (wanted := asked.request.heatmap) is not None:
            for name, index, count in (
                ("person", wanted.person, len(poses)),
                ("keypoint", wanted.keypoint, len(asked.keypoints)),
            ):
                if index >= count:
                    raise PosetalkError(f"heatmap.{name} is {index}, and the answer has {count}, from 0")
            heat = self.localizer.heat_map(
                opened, poses.boxes[wanted.person], asked.keypoints[wanted.keypoint]
            )
            answer["heatmap"] = _heat_map(heat)
        return answer


def _asked_for(request: LocateRequest, limits: ServeSettings) -> tuple[Sequence[Keypoint], Limbs]:
    """The keypoints of a request, and their limbs."""
    points: list[Keypoint] = []
    limbs: Limbs = ()
    if request.skeleton or not request.ask:
        name = request.skeleton or "coco17"
        if name not in BUILT_IN:  # a path is not looked at
            raise PosetalkError(f"no skeleton {name!r}: there are {', '.join(BUILT_IN)}")
        chosen = load_skeleton(name)
        points, limbs = list(chosen.keypoints), chosen.limbs
    points += [Keypoint.parse(text) for text in request.ask]
    if len(points) > limits.max_keypoints:
        raise PosetalkError(
            f"{len(points)} keypoints are asked for; the limit is {limits.max_keypoints} a request"
        )
    return points, limbs


def people_of(poses: Poses) -> list[Json]:
    """The people as the answer has them."""
    people = []
    for row in poses.to_dicts():
        points = [
            {
                "name": point["name"],
                "x": point["x"],
                "y": point["y"],
                "score": point["score"],
                "visible": point.get("visible"),
                "std": point.get("std"),
                "known": point.get("trained"),
            }
            for point in row["keypoints"]
        ]
        people.append({"box": row["box"], "score": row.get("box_score"), "keypoints": points})
    return people


def _heat_map(heat: HeatMap) -> Json:
    rows, columns = heat.values.shape
    return {
        "x": round(heat.x, 2),
        "y": round(heat.y, 2),
        "width": round(heat.side, 2),
        "height": round(heat.side, 2),
        "rows": rows,
        "columns": columns,
        "values": [round(float(value), 6) for value in heat.values.ravel()],
    }
