"""Locate described keypoints in an image."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, cast, get_args

import numpy as np

from posetalk.detect.detector import Detector, check_threads
from posetalk.errors import PosetalkError, missing_package
from posetalk.formats.coco import AREA_OF_BOX
from posetalk.images.affine import Square, crop_square
from posetalk.images.opening import Pixels, cut, normalise, read_image
from posetalk.locate.engine import Answers, EncodedCrops, Engine, EngineName, engine_for, is_float32
from posetalk.locate.found import Found, limbs_of
from posetalk.locate.heat_map import HeatMap
from posetalk.locate.known_names import has_same_sides, near_misses
from posetalk.locate.opened_image import Boxes, Crop, OpenedImage, as_list, checked_boxes
from posetalk.locate.people import each_once, with_people
from posetalk.locate.read_ahead import ImageSource, ReadTask, read_ahead
from posetalk.prompt.conversation import Conversation
from posetalk.resources import model_path
from posetalk.settings import Dtype, Readout
from posetalk.skeleton import (
    BODIES,
    BUILT_IN,
    Keypoint,
    KeypointQuery,
    load_skeleton,
    parse_keypoints,
    sigmas_of,
)
from posetalk.types import Box, Floats, Poses, frozen_array

if TYPE_CHECKING:
    import torch

    from posetalk.locate.track.people import TrackedFrame
    from posetalk.model.posellm import PoseLLM

Decoding = Literal["greedy", "expected"]
Score = Literal["locllm"]
N_BRANCHES = 3  # values of each digit that the decoding `expected` follows
MAX_QUESTIONS = (
    5_000  # that are kept encoded, a few KB each: who asks for ever new ones does not fill the memory
)
REFINE_MARGIN = 1.25  # a person found without a box is located again in the keypoints' box times this


class Localizer:
    """Locates keypoints of people from their descriptions.

        localizer = Localizer.from_pretrained("bundled")
        localizer.set_image("photo.jpg")
        poses = localizer.locate([Box(10, 20, 100, 200)], ["left heel: the back of the left foot"])
        poses["left heel"]                                # (1, 2) x and y in pixels of the image

    Each crop is encoded once: locating other keypoints in the same box does not encode it again until `set_image`.

    Without boxes everybody in the image is found first.

    Threads may share a localizer. Each uses the image that it set itself or, if it set none, the one set by the thread
    that made the localizer.

    Args:
        model: A PoseLLM, see `from_pretrained`; or an engine that runs one.
        tokenizer: The tokenizer of a PoseLLM.
        readout: `point` or `digits`; None for the model's own.
        decoding: How digits are decoded. `greedy` takes the most probable digit each time (as the papers do);
            `expected` takes the mean of the digits' distribution, whose standard deviation gives the score.
        flip_test: Also locate mirrored keypoints in the mirrored crop, and average.
        batch_size: The number of people that are processed at once.
        score: None for the readout's own: the expected OKS, or for greedy digits their mean probability. `locllm` for
            LocLLM's confidence: the mean probability of the five characters of each coordinate. The first two, `0.`,
            are the same in every answer and count as certain, so it is (2 + 3 p) / 5 for a mean probability p of the
            digits. For comparisons of AP; it needs the readout `digits`.
        detector: What finds the people where no boxes are given; None for the bundled one.

    Raises:
        PosetalkError: an unknown readout, decoding or score, a batch size below 1, a readout that the model does not
            have, or a score that the readout does not have.
    """

    def __init__(
        self,
        model: PoseLLM | Engine,
        tokenizer: Any = None,
        *,
        readout: Readout | None = None,
        decoding: Decoding = "expected",
        flip_test: bool = False,
        batch_size: int = 8,
        score: Score | None = None,
        detector: Detector | None = None,
    ) -> None:
        self._engine = _engine_of(model, tokenizer)
        self.readout = readout or self._engine.readout
        for option, value, choices in (("readout", self.readout, Readout), ("decoding", decoding, Decoding)):
            if value not in get_args(choices):
                raise PosetalkError(
                    f"there is no {option} {value!r}; choose {' or '.join(get_args(choices))}"
                )
        if not hasattr(batch_size, "__index__") or batch_size < 1:  # numpy's integers have it too
            raise PosetalkError(
                f"batch_size is the number of people at a time, 1 or more, not {batch_size!r}"
            )
        if self.readout == "point" and not self._engine.points:
            raise PosetalkError("this model has no readout 'point'; ask it for 'digits'")
        if self.readout == "digits" and self.engine == "onnx":
            raise PosetalkError(
                "the engine 'onnx' has the readout 'point' alone; use engine='torch' for 'digits'"
            )
        if score is not None and score not in get_args(Score):
            raise PosetalkError(f"there is no score {score!r}; choose locllm, or leave it out")
        if score and self.readout == "point":
            raise PosetalkError(
                "the score 'locllm' is of digits, and this readout is 'point'; ask for 'digits'"
            )
        self.score = score
        self._detector = detector
        self.crop = self._engine.crop
        self.decoding, self.flip_test, self.batch_size = decoding, flip_test, int(batch_size)
        self._owner_thread = threading.get_ident()
        self._of_thread = threading.local()  # `image` of each thread
        self._first_image: OpenedImage | None = None
        self._questions: dict[tuple[str, str], Any] = {}

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path = "bundled",
        *,
        device: str | torch.device | None = None,
        device_map: Any = None,
        dtype: Dtype | torch.dtype | None = None,
        readout: Readout | None = None,
        decoding: Decoding = "expected",
        flip_test: bool = False,
        batch_size: int = 8,
        score: Score | None = None,
        engine: EngineName | None = None,
        threads: int | None = None,
        detector: Detector | None = None,
    ) -> Self:
        """Load a model.

        The bundled model runs in ONNX Runtime on the CPU, which needs no extra. Other models, other devices and dtypes,
        and the readout `digits` need torch (extra `model`).

        Args:
            name: `bundled`, a model folder, or a hub id.
            device: A torch device; "auto" is `device_map="auto"`. None for the CPU in ONNX Runtime; in torch for CUDA
                if there is one, else the CPU.
            device_map: How accelerate spreads the layers over several devices (extra `train`); None for one device.
            dtype: Of the language model's weights, by name or torch's; None for float32 on a CPU, else bfloat16. The
                other weights are in float32.
            readout: See `Localizer`.
            decoding: See `Localizer`.
            flip_test: See `Localizer`.
            batch_size: See `Localizer`.
            score: See `Localizer`.
            engine: `onnx` or `torch`. None for `onnx` where the model has that form, and nothing else that is asked for
                needs torch.
            threads: How many threads compute on the CPU; None for one for each core. In torch it is set for the whole
                process.
            detector: See `Localizer`.

        Raises:
            PosetalkError: there is no such model; it is a preset, which has no weights; the device cannot be used; the
                engine cannot do what is asked for; torch is needed and not installed; as `Localizer`.
        """
        check_threads(threads)
        runs: Engine
        match engine or engine_for(name, device, device_map, dtype, readout):
            case "onnx":
                if device_map is not None or str(device or "cpu") != "cpu" or not is_float32(dtype):
                    raise PosetalkError(
                        "the engine 'onnx' computes on the CPU in float32; use engine='torch' for other devices and "
                        "dtypes"
                    )
                from posetalk.locate.onnx_engine import OnnxEngine

                runs = OnnxEngine(model_path(name), threads)
            case "torch":
                try:
                    from posetalk.locate.torch_engine import TorchEngine
                except ModuleNotFoundError as error:
                    raise (missing_package(error, "model") or error) from None
                runs = TorchEngine.from_pretrained(name, device, device_map, dtype, threads)
            case unknown:
                raise PosetalkError(f"there is no engine {unknown!r}; choose torch or onnx")
        return cls(
            runs,
            readout=readout,
            decoding=decoding,
            flip_test=flip_test,
            batch_size=batch_size,
            score=score,
            detector=detector if detector or threads is None else Detector(threads=threads),
        )

    @property
    def detector(self) -> Detector:
        """What finds the people where no boxes are given. The bundled one is loaded when it is first needed."""
        if self._detector is None:
            self._detector = Detector()
        return self._detector

    @property
    def engine(self) -> str:
        """What runs the model: `torch` or `onnx`."""
        return self._engine.name

    @property
    def model(self) -> PoseLLM:
        """The network in torch.

        Raises:
            PosetalkError: it runs in ONNX Runtime.
        """
        if self.engine != "torch":
            raise PosetalkError(
                "this localizer runs in ONNX Runtime; load it with engine='torch' for the network"
            )
        network: PoseLLM = self._engine.model  # type: ignore[attr-defined]
        return network

    @property
    def own_readout(self) -> Readout:
        """The readout that the model answers with unless it is told otherwise."""
        return self._engine.readout

    @property
    def source(self) -> str:
        """The folder or hub id of the model; empty for one that was not loaded from any."""
        return self._engine.source

    @property
    def conversation(self) -> Conversation:
        """How the model writes questions and answers as token ids."""
        return self._engine.conversation

    @property
    def trained_keypoints(self) -> tuple[str, ...]:
        """The names of the keypoints that the model was trained on."""
        return self._engine.trained_keypoints

    @property
    def trained_synonyms(self) -> tuple[str, ...]:
        """Their other names in training."""
        return self._engine.synonyms

    def trained_on(self, names: Sequence[str]) -> tuple[bool, ...] | None:
        """For each name whether training asked for a keypoint by it; None where that is not known."""
        known, plain = self._trained_names
        return tuple(plain(name) in known for name in names) if known else None

    @cached_property
    def _trained_names(self) -> tuple[frozenset[str], Callable[[str], str]]:
        """All names of the training, and what makes a name comparable with them."""
        plain = str.lower if self.conversation.ignores_case else str
        return frozenset(map(plain, (*self.trained_keypoints, *self._engine.synonyms))), plain

    def set_image(self, image: ImageSource) -> Self:
        """Set the image that `locate` uses in this thread, in place of the one before.

        Args:
            image: A path, a Pillow image, or a uint8 array: (h, w, 3) RGB, (h, w) or (h, w, 1) grey, (h, w, 4) RGBA.
                An image with an EXIF orientation is turned upright.

        Returns:
            The localizer itself.

        Raises:
            PosetalkError: the image cannot be read.
        """
        self._of_thread.image = OpenedImage(read_image(image), cache={})
        if threading.get_ident() == self._owner_thread:
            self._first_image = self._of_thread.image
        return self

    @property
    def _current_image(self) -> OpenedImage:
        image: OpenedImage | None = getattr(self._of_thread, "image", self._first_image)
        if image is None:
            raise PosetalkError("no image yet; call set_image(image) before locate")
        return image

    @property
    def image(self) -> Pixels:
        """The image as (h, w, 3) uint8 RGB, upright.

        Raises:
            PosetalkError: no image was set.
        """
        return self._current_image.image

    def locate(
        self, boxes: Boxes | None = None, keypoints: KeypointQuery = "coco17", *, whole_image: bool = False
    ) -> Found:
        """Locate keypoints of the person in each box, or of everybody.

        Args:
            boxes: A list of Box or (x, y, width, height) in pixels of the full image, origin top left, or one of them.
                None: those of everybody that `detector` finds, without people found twice; `box_scores` holds its
                scores. There may be nobody.
            keypoints: A Skeleton, the name of a built-in one or a .toml file, one Keypoint or "name: description", or
                a list of the last two.
            whole_image: Where no boxes are given, locate one person without a detector. They are located in the whole
                image first, by `keypoints` if a built-in skeleton is among them, else by keypoints that the model was
                trained on; then in the box around that result.

        Returns:
            Poses of n people; `xy` is (n, k, 2), in pixels of the full image, origin top left. `draw()` shows them in
            the image.

        Raises:
            PosetalkError: no image was set; a box has no area or lies outside the image; the keypoints cannot be
                located, see `questions`.
        """
        points = self.questions(keypoints)
        opened = self._current_image
        chosen = self._open(replace(opened, boxes=checked_boxes(boxes)), whole_image)
        poses = self._locate_opened([chosen], points)[0]
        return Found.of(poses, opened.image, limbs_of(keypoints, poses.names))

    def open(
        self,
        image: ImageSource,
        boxes: Boxes | None = None,
        *,
        detector: Detector | None = None,
        whole_image: bool = False,
    ) -> OpenedImage:
        """Open an image for `locate_opened`, and find the people in it. Threads may each open images of their own.

        Args:
            image: As in `set_image`.
            boxes: As in `locate`.
            detector: What finds the people where no boxes are given; None for the localizer's own.
            whole_image: As in `locate`.

        Raises:
            PosetalkError: the image cannot be read; a box has no area or lies outside the image.
        """
        opened = OpenedImage(read_image(image), checked_boxes(boxes), cache={})
        return self._open(opened, whole_image, detector)

    def encode(self, images: Iterable[OpenedImage]) -> None:
        """Encode the people of opened images, `batch_size` at a time across images; `locate_opened` does not again.

        It is for images of different callers: a batch keeps a GPU, and every core of a CPU, at work.
        """
        crops = [crop for image in images for crop in image.crops()]
        for first in range(0, len(crops), self.batch_size):
            batch = crops[first : first + self.batch_size]
            self._encoded(batch, [self._square(crop, mirrored=False) for crop in batch], mirrored=False)

    def locate_opened(self, image: OpenedImage, keypoints: KeypointQuery = "coco17") -> Found:
        """As `locate`, in an image that `open` gave. The answer is the same, whatever was encoded together."""
        points = self.questions(keypoints)
        poses = self._locate_opened([image], points)[0]
        return Found.of(poses, image.image, limbs_of(keypoints, poses.names))

    def heat_map(self, image: OpenedImage, box: Box, keypoint: Keypoint | str) -> HeatMap:
        """How probable each place is for a keypoint of the person in a box.

        Args:
            image: An image that `open` gave.
            box: The person's box in px of the image, as in `Poses.boxes`.
            keypoint: One keypoint, or "name: description".

        Raises:
            PosetalkError: the model has no readout `point`; the keypoint cannot be located, see `questions`.
        """
        if self.readout != "point":
            raise PosetalkError("heat maps are of the readout 'point', and this one is 'digits'")
        (point,) = self.questions([keypoint])
        crop = Crop(image.image, box, image.cache)
        square = self._square(crop, mirrored=False)
        encoded = self._encoded([crop], [square], mirrored=False)
        return HeatMap.of(square, self._engine.heat(encoded, self._encoded_questions((point,)))[0, 0])

    def locate_all(
        self,
        images: Iterable[tuple[ImageSource, Boxes | None]],
        keypoints: KeypointQuery = "coco17",
        *,
        whole_image: bool = False,
    ) -> Generator[Poses | PosetalkError, None, None]:
        """Locate keypoints in many images.

        People are processed `batch_size` at a time, across images, while the next images are read.

        Args:
            images: Pairs of an image, as in `set_image`, and its boxes or None, as in `locate`.
            keypoints: As in `locate`.
            whole_image: As in `locate`.

        Returns:
            A generator with the result for each image, in order: Poses, or the PosetalkError that says what is wrong
            with the image or its boxes.

        Raises:
            PosetalkError: the keypoints cannot be located, see `questions`. It is raised before any image is read.
        """

        def grouped() -> Iterator[tuple[ImageSource, Boxes | None, bool]]:
            people = 0
            for image, boxes in images:
                box_list = None if boxes is None else as_list(boxes)
                people += 1 if box_list is None else len(box_list)
                yield image, box_list, people >= self.batch_size
                people = 0 if people >= self.batch_size else people

        return self.locate_groups(grouped(), keypoints, whole_image=whole_image)

    def locate_groups(
        self,
        images: Iterable[tuple[ImageSource, Boxes | None, bool]],
        keypoints: KeypointQuery = "coco17",
        *,
        whole_image: bool = False,
    ) -> Generator[Poses | PosetalkError, None, None]:
        """Locate keypoints in many images, like `locate_all`, with groups that the caller chooses.

        The last digits of a person's coordinates depend on the people who are processed in the same group. A run that
        continues after a stop gets exactly the same numbers if its groups are the same.

        Args:
            images: Triples of an image, its boxes or None, and whether a group ends with the image.
            keypoints: As in `locate`.
            whole_image: As in `locate`.

        Returns:
            As `locate_all`.

        Raises:
            PosetalkError: as `locate_all`.
        """
        return self._locate_stream(images, self.questions(keypoints), whole_image)

    def track(
        self,
        video: str | Path | int,
        keypoints: KeypointQuery = "coco17",
        *,
        fps: float | None = None,
        raw: bool = False,
        whole_image: bool = False,
    ) -> Generator[TrackedFrame, None, None]:
        """Locate and follow the people of a video.

            for frame in localizer.track("clip.mp4", ["left heel: the back of the left foot"]):
                print(frame.time, frame.ids, frame.poses["left heel"])

        Frames are read one at a time, so that a video of any length may be followed.

        Args:
            video: A video file, a folder of images (with `fps`), the number of a camera, or an address such as
                rtsp://...
            keypoints: As in `locate`.
            fps: Frames a second of a folder of images.
            raw: Leave places as they were located, not smoothed.
            whole_image: As in `locate`.

        Returns:
            A generator of the frames, with the people of each: their poses in px of the frame, and an id each, which
            stays from frame to frame.

        Raises:
            PosetalkError: there is no video that can be read; the keypoints cannot be located, see `questions`.
        """
        from posetalk.locate.track.people import Following, follow_people
        from posetalk.locate.track.video import Video

        points = self.questions(keypoints)
        return follow_people(self, Video(video, fps), points, Following(raw), whole_image=whole_image)

    def questions(self, keypoints: KeypointQuery) -> tuple[Keypoint, ...]:
        """The keypoints to locate, checked, in order.

        Args:
            keypoints: As in `locate`.

        Raises:
            PosetalkError: as `parse_keypoints`; a name without description that is nearly a known name; a description
                that is too long for the model.
        """
        points = parse_keypoints(keypoints)
        for point in points:
            if (point.name, point.sentence) not in self._questions:  # else it was checked before
                self._check(point)
        return points

    def _check(self, point: Keypoint) -> None:
        known = {p.name for name in BODIES for p in load_skeleton(name).keypoints}
        known |= {*self.trained_keypoints, *self._engine.synonyms}
        similar = [] if point.sentence or point.name in known else near_misses(point.name, known)
        if self.conversation.question_tokenizer is not None:
            # slips are understood, but for those in the side
            similar = [name for name in similar if not has_same_sides(point.name, name)]
        if similar:
            raise PosetalkError(
                f"the keypoint {point.name!r} is not known by that name; did you mean {' or '.join(similar)}? "
                f"What is another one needs a description: '{point.name}: ...'"
            )
        limit = self._engine.context
        prefix_length = 0 if self.conversation.question_token is not None else len(self.conversation.prefix)
        length = (
            prefix_length + len(self.conversation.question(point)) + len(self.conversation.answer.ids(0, 0))
        )
        if limit is not None and length > limit:
            raise PosetalkError(
                f"the keypoint {point.name[:40]!r} is described in {length} tokens, the image's and the "
                f"answer's among them, and the model takes {limit}; describe it in fewer words"
            )

    def _locate_stream(
        self,
        images: Iterable[tuple[ImageSource, Boxes | None, bool]],
        points: tuple[Keypoint, ...],
        whole_image: bool,
    ) -> Generator[Poses | PosetalkError, None, None]:
        def open_image(image: ImageSource, boxes: Boxes | None) -> OpenedImage | PosetalkError:
            try:
                return self._open(OpenedImage(read_image(image), checked_boxes(boxes)), whole_image)
            except PosetalkError as error:
                return error

        tasks = (
            ReadTask(image, partial(open_image, image, boxes), ends_group)
            for image, boxes, ends_group in images
        )
        with closing(read_ahead(tasks)) as opened_lists:
            for opened in opened_lists:  # no name here may refer to an image while the next list is read
                answers = iter(
                    self._locate_opened([item for item in opened if isinstance(item, OpenedImage)], points)
                )
                yield from [item if isinstance(item, PosetalkError) else next(answers) for item in opened]

    def _open(self, opened: OpenedImage, whole_image: bool, detector: Detector | None = None) -> OpenedImage:
        """The image, with boxes that can be cut out; those of everybody where it has none and is not searched whole."""
        image = opened.image
        if opened.boxes is None and not whole_image:
            opened = with_people(opened, detector or self.detector)
        for box in opened.boxes or ():
            if not opened.overlaps(box):
                height, width = image.shape[:2]
                raise PosetalkError(f"the box {box.xywh} lies outside the image of {width} x {height} px")
            self._square(Crop(image, box, None), mirrored=False)  # refuses what cannot be cut out
        return opened

    def _locate_opened(self, opened: list[OpenedImage], points: tuple[Keypoint, ...]) -> list[Poses]:
        """The poses in several images, processed together. People without a box are found in the whole image first."""
        full = [replace(image, boxes=[image.full_box]) for image in opened if image.boxes is None]
        first_poses = iter(self._locate_boxes(full, self._search_keypoints(points)))
        with_boxes, box_scores = [], []
        for image in opened:
            box_score = None
            if image.boxes is None:
                first_pose = next(first_poses)
                box = Box.around(first_pose.xy[0], REFINE_MARGIN)
                margin = 1.0 if self.crop.clip_box else 0.0
                image = replace(image, boxes=[box if image.overlaps(box, margin) else image.full_box])
                box_score = frozen_array(first_pose.score.mean(1))
            with_boxes.append(image)
            box_scores.append(box_score)
        asked = points
        if any(image.box_scores is not None for image in with_boxes):
            asked = self.with_body(points)
        located = zip(self._locate_boxes(with_boxes, asked), with_boxes, box_scores, strict=True)
        people = (
            each_once(poses, image.box_scores, asked)
            if box_score is None
            else replace(poses, box_scores=box_score)
            for poses, image, box_score in located
        )
        return [poses.keypoints(len(points)) for poses in people]

    def with_body(self, points: tuple[Keypoint, ...]) -> tuple[Keypoint, ...]:
        """The keypoints, and behind them those that they lack of a body, which tell people who were found twice.

        A point alone does not tell: in two overlapping boxes it may be of one person. With the readout `point` more
        questions cost next to nothing; digits cost too much.
        """
        if self.readout == "digits":
            return points
        names = {point.name for point in points}
        return (*points, *(point for point in self._search_keypoints(points) if point.name not in names))

    def _search_keypoints(self, points: tuple[Keypoint, ...]) -> tuple[Keypoint, ...]:
        """The keypoints by which a person is found in a whole image.

        They are `points` if a built-in skeleton is among them, else the first built-in skeleton that the model was
        trained on, else all keypoints that it was trained on.
        """
        names, trained = {p.name for p in points}, set(self.trained_keypoints)
        built_in = [load_skeleton(name) for name in BUILT_IN]
        if any(names >= set(body.names) for body in built_in):
            return points
        for body in built_in:
            if not trained or trained >= set(body.names):
                return body.keypoints
        known = {p.name: p for body in built_in for p in body.keypoints}
        return tuple(known.get(name) or Keypoint(name) for name in self.trained_keypoints)

    def _locate_boxes(self, opened: list[OpenedImage], points: tuple[Keypoint, ...]) -> list[Poses]:
        crops = [image.crops() for image in opened]
        all_crops = [crop for image_crops in crops for crop in image_crops]
        names = tuple(p.name for p in points)
        trained = self.trained_on(names)
        poses = Poses(np.zeros((0, len(points), 2)), np.zeros((0, len(points))), names, (), trained=trained)
        if all_crops:
            batches = range(0, len(all_crops), self.batch_size)
            poses = Poses.concat(
                [self._locate_batch(all_crops[i : i + self.batch_size], points) for i in batches]
            )
        ends = np.cumsum([len(image_crops) for image_crops in crops])
        poses = replace(poses, trained=trained)
        return [
            poses.people(int(end) - len(image_crops), int(end))
            for image_crops, end in zip(crops, ends, strict=True)
        ]

    def _locate_batch(self, crops: list[Crop], points: tuple[Keypoint, ...]) -> Poses:
        xy, std, score, visible = self._locate_crops(crops, points, mirrored=False)
        if self.flip_test:
            mirrored_points = tuple(_mirrored_keypoint(p, points) for p in points)
            mirrored = self._locate_crops(crops, mirrored_points, mirrored=True)
            xy, score = (xy + mirrored[0]) / 2, (score + mirrored[2]) / 2
            # the errors in both crops are correlated, so the variances are averaged without dividing by two more
            std = None if std is None or mirrored[1] is None else np.sqrt((std**2 + mirrored[1] ** 2) / 2)
            visible = None if visible is None or mirrored[3] is None else (visible + mirrored[3]) / 2
        boxes = tuple(crop.box for crop in crops)
        if self.score == "locllm":
            score = (2 + 3 * score) / 5
        elif std is not None and self.readout == "digits":
            score = expected_oks(std, oks_scale(boxes, points))
        names = tuple(p.name for p in points)
        return Poses(xy, score, names, boxes, std, None if visible is None else visible > 0.5)

    def _locate_crops(
        self, crops: list[Crop], points: tuple[Keypoint, ...], mirrored: bool
    ) -> tuple[Floats, Floats | None, Floats, Floats | None]:
        squares = [self._square(crop, mirrored) for crop in crops]
        answers = self._answer(crops, squares, points, mirrored)
        xy = np.stack([square.denormalise(uv) for square, uv in zip(squares, answers.xy, strict=True)])
        sides = np.array([square.side for square in squares])[:, None, None]
        return xy, None if answers.std is None else answers.std * sides, answers.score, answers.visible

    def _square(self, crop: Crop, mirrored: bool) -> Square:
        height, width = crop.image.shape[:2]
        return replace(crop_square(crop.box, self.crop, width, height), flip=mirrored)

    def _answer(
        self, crops: list[Crop], squares: list[Square], points: tuple[Keypoint, ...], mirrored: bool
    ) -> Answers:
        encoded = self._encoded(crops, squares, mirrored)
        questions = self._encoded_questions(points)
        if self.readout == "point":
            sides = np.array([s.side for s in squares])[:, None]
            scale = oks_scale([crop.box for crop in crops], points) / sides
            return self._engine.point(encoded, questions, scale)
        return self._engine.digits(encoded, questions, N_BRANCHES if self.decoding == "expected" else 1)

    def _encoded(self, crops: list[Crop], squares: list[Square], mirrored: bool) -> EncodedCrops:
        """The encoded crops. Those of the image set by `set_image` are remembered."""
        known = [None if crop.cache is None else crop.cache.get((crop.box, mirrored)) for crop in crops]
        missing = [i for i, one in enumerate(known) if one is None]
        if missing:
            pixels = np.stack([normalise(cut(crops[i].image, squares[i]), self.crop.pixels) for i in missing])
            encoded: EncodedCrops = self._engine.encode(pixels, points=self.readout == "point")
            for row, i in enumerate(missing):
                known[i] = encoded[row : row + 1]
                if (cache := crops[i].cache) is not None:
                    cache[crops[i].box, mirrored] = encoded[row : row + 1]
            if len(missing) == len(crops):
                return encoded
        parts = [one for one in known if one is not None]
        return type(parts[0]).concat(parts)

    def _encoded_questions(self, points: tuple[Keypoint, ...]) -> list[Any]:
        """The questions' embeddings. Each question is encoded once, of the MAX_QUESTIONS that were asked last."""
        known = {(p.name, p.sentence): self._questions.get((p.name, p.sentence)) for p in points}
        missing = [p for p in points if known[p.name, p.sentence] is None]
        if missing:
            for keypoint, question in zip(missing, self._engine.read(missing), strict=True):
                known[keypoint.name, keypoint.sentence] = question
        for key in known:
            self._questions.pop(key, None)
        self._questions.update(known)
        if len(self._questions) > MAX_QUESTIONS:
            for key in list(self._questions)[: len(self._questions) - MAX_QUESTIONS]:
                self._questions.pop(key, None)
        return [known[p.name, p.sentence] for p in points]


def _engine_of(model: PoseLLM | Engine, tokenizer: Any) -> Engine:
    if tokenizer is None:
        if not hasattr(model, "encode"):
            raise PosetalkError("a PoseLLM needs its tokenizer; give both, or use Localizer.from_pretrained")
        return cast(Engine, model)
    from posetalk.locate.torch_engine import TorchEngine

    return TorchEngine(cast("PoseLLM", model), tokenizer)


def expected_oks(std: Floats, scale: Floats) -> Floats:
    """The expected OKS (n, k) of Gaussian errors.

    The OKS of an error d is exp(-d^2 / (2 s^2)); its mean over a Gaussian has the closed form
    prod over x, y of 1 / sqrt(1 + std^2 / s^2).

    Args:
        std: (n, k, 2) standard deviations in pixels.
        scale: (n, k) the s of OKS in pixels.
    """
    return np.asarray(1 / np.sqrt(1 + (std / scale[..., None]) ** 2).prod(-1))


def oks_scale(boxes: Sequence[Box], points: Sequence[Keypoint]) -> Floats:
    """The s of OKS in pixels, (n, k): 2 sigma sqrt(area), where a person's area is AREA_OF_BOX times the box's.

    For keypoints whose sigma nobody has measured the area is that of a square box with the same longer side: on
    described points, scores then tell found ones from others better (AUROC 0.82, and 0.75 with the box's own area).

    Source:
        COCO's keypoint evaluation.
    """
    sides = np.array([[np.sqrt(box.area), max(box.w, box.h)] for box in boxes]).reshape(-1, 2)
    measured = np.array([p.sigma is not None for p in points])
    side = np.where(measured, sides[:, :1], sides[:, 1:])
    return np.asarray(2 * np.array(sigmas_of(points))[None, :] * np.sqrt(AREA_OF_BOX) * side)


def _mirrored_keypoint(point: Keypoint, points: Iterable[Keypoint]) -> Keypoint:
    """The keypoint to locate in a mirrored image: its mirror among `points`, else the keypoint with sides exchanged."""
    return next((p for p in points if p.name == point.mirror), None) or point.mirrored()
