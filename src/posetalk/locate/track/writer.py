"""A video with the people of its frames drawn in, and the sound of the original."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from posetalk.atomic_files import whole_file
from posetalk.draw import draw_pose
from posetalk.errors import PosetalkError
from posetalk.images.opening import Pixels
from posetalk.locate.track.video import Video
from posetalk.types import Poses

CLOCK = Fraction(1, 90_000)  # seconds of a tick: MPEG's own
USUAL_RATE = 25  # frames a second, where the video does not say


def write_video(
    path: Path,
    video: Video,
    people: Iterable[tuple[int, tuple[int, ...], Poses]],
    limbs: Sequence[tuple[int, int]],
) -> None:
    """Write a video with people drawn in, its frames at the times of the original's.

    Args:
        path: The file to write; its suffix says in which form (.mp4, .mkv, .mov).
        video: The original.
        people: The frames' indices in order, the ids of their people and their poses; frames without people are left
            out.
        limbs: Pairs of indices into the keypoints to join by lines.

    Raises:
        PosetalkError: The file cannot be written, or not in that form.
    """
    with whole_file(path) as part:
        try:
            with av.open(str(part), "w", format=check_name(path)) as out:
                _write(out, video, people, limbs)
        except (av.error.FFmpegError, ValueError) as error:
            raise PosetalkError(
                f"cannot write the video {path}: {error}; give a name that ends in .mp4"
            ) from None


def check_name(path: Path) -> str:
    """The form of a video by its name.

    Raises:
        PosetalkError: It is none that can be written.
    """
    forms = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
    if path.suffix.lower() not in forms:
        raise PosetalkError(f"{path} is no name of a video that can be written; end it in .mp4, .mov or .mkv")
    return forms[path.suffix.lower()]


def _write(out: Any, video: Video, people: Iterable[Any], limbs: Sequence[tuple[int, int]]) -> None:
    rows = iter(people)
    row = next(rows, None)
    stream: Any = None
    sound = _Sound(out, video)
    for frame in video:
        image = frame.image
        if row is not None and row[0] == frame.index:
            image = draw_pose(image, row[2], limbs, ids=row[1], enlarge=False)
            row = next(rows, None)
        image = _even(image)
        if stream is None:
            stream = _stream(out, image, video)
            sound.start()
        if image.shape[:2] != (stream.height, stream.width):
            continue  # a video may change its size; a file cannot
        drawn = av.VideoFrame.from_ndarray(image, format="rgb24")
        drawn.time_base, drawn.pts = CLOCK, round(frame.time / CLOCK)
        sound.until(frame.time)
        out.mux(stream.encode(drawn))
    if stream is not None:
        out.mux(stream.encode())
        sound.until(float("inf"))


def _stream(out: Any, image: Pixels, video: Video) -> Any:
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    stream = out.add_stream(codec, rate=video.rate() or USUAL_RATE)
    stream.height, stream.width = image.shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.time_base = stream.codec_context.time_base = CLOCK
    if codec == "mpeg4":
        stream.bit_rate = 8_000_000
    return stream


def _even(image: Pixels) -> Pixels:
    """An image with even sides, as the pixels of most videos need: the last row and column may go."""
    return np.ascontiguousarray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])


class _Sound:
    """Copies the sound of a video file, as it is."""

    def __init__(self, out: Any, video: Video) -> None:
        self._out = out
        self._source = video.open_sound()
        self._stream: Any = None
        self._packets: Iterator[Any] = iter(())
        self._next: Any = None

    def start(self) -> None:
        if self._source is not None:
            sound = self._source.streams.audio[0]
            try:
                self._stream = self._out.add_stream_from_template(sound)
            except (ValueError, av.error.FFmpegError):  # of a kind that the form cannot hold
                self._source = None
                return
            self._packets = (packet for packet in self._source.demux(sound) if packet.dts is not None)
            self._next = next(self._packets, None)

    def until(self, time: float) -> None:
        """Copy what is heard up to a time in seconds."""
        while self._next is not None and float(self._next.dts * self._next.time_base) <= time:
            self._next.stream = self._stream
            self._out.mux(self._next)
            try:
                self._next = next(self._packets, None)
            except av.error.FFmpegError:  # the file is cut off
                self._next = None
