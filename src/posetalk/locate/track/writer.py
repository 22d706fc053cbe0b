"""A video with the people of its frames drawn in, and the sound of the original."""

from __future__ import annotations

import io
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
from posetalk.locate.track.video import USUAL_RATE, Video
from posetalk.types import Poses

CLOCKS = {"libx264": Fraction(1, 90_000), "mpeg4": Fraction(1, 60_000)}  # seconds of a tick
PRIMING = 0.1  # seconds: sound is coded from a little before it is heard


def write_video(
    path: Path,
    video: Video,
    people: Iterable[tuple[int, tuple[int, ...], Poses]],
    limbs: Sequence[tuple[int, int]],
) -> tuple[str, ...]:
    """Write a video with people drawn in, its frames at the times of the original's.

    Args:
        path: The file to write; its suffix says in which form (.mp4, .mkv, .mov).
        video: The original.
        people: The frames' indices in order, the ids of their people and their poses; frames without people are left
            out.
        limbs: Pairs of indices into the keypoints to join by lines.

    Returns:
        A sentence on each thing that the file does not hold.

    Raises:
        PosetalkError: The file cannot be written, or not in that form.
    """
    with whole_file(path) as part:
        try:
            with av.open(f"file:{part.absolute()}", "w", format=check_name(path)) as out:
                missing = _write(out, video, people, limbs)
        except (av.error.FFmpegError, ValueError) as error:
            raise PosetalkError(
                f"cannot write the video {path}: {error}; give a name that ends in .mp4"
            ) from None
    return tuple(f"{sentence} {path}" for sentence in missing)


def check_name(path: Path) -> str:
    """The form of a video by its name.

    Raises:
        PosetalkError: It is none that can be written.
    """
    forms = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
    if path.suffix.lower() not in forms:
        raise PosetalkError(f"{path} is no name of a video that can be written; end it in .mp4, .mov or .mkv")
    return forms[path.suffix.lower()]


def _write(out: Any, video: Video, people: Iterable[Any], limbs: Sequence[tuple[int, int]]) -> list[str]:
    rows = iter(people)
    row = next(rows, None)
    stream: Any = None
    sound, other_sizes = _Sound(out, video), 0
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
            other_sizes += 1  # a video may change its size; a file cannot
            continue
        drawn = av.VideoFrame.from_ndarray(image, format="rgb24")
        drawn.time_base = stream.codec_context.time_base
        drawn.pts = round(frame.time / drawn.time_base)
        sound.until(frame.time)
        out.mux(stream.encode(drawn))
    if stream is not None:
        out.mux(stream.encode())
        sound.until(float("inf"))
    notes = ["its kind of sound cannot be kept in"] if sound.left_out else []
    return notes + (
        [f"{other_sizes} frames have another size than the first and are not in"] if other_sizes else []
    )


def _stream(out: Any, image: Pixels, video: Video) -> Any:
    codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
    stream = out.add_stream(codec, rate=video.rate() or USUAL_RATE)
    stream.height, stream.width = image.shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.time_base = stream.codec_context.time_base = CLOCKS[codec]
    stream.codec_context.sample_aspect_ratio = video.pixel_shape()
    if codec == "mpeg4":
        stream.bit_rate = 8_000_000
    return stream


def _even(image: Pixels) -> Pixels:
    """An image with even sides, as the pixels of most videos need: the last row and column may go."""
    return np.ascontiguousarray(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])


class _Sound:
    """Copies the sound of a video file, as it is. left_out: whether the form cannot hold it."""

    def __init__(self, out: Any, video: Video) -> None:
        self._out, self._video = out, video
        self._packets: Iterator[Any] = iter(())
        self._next: Any = None
        self.left_out = False

    def start(self) -> None:
        """Once the first frame was read."""
        if (source := self._video.open_sound()) is None:
            return
        if not _holds(self._out.format.name, self._video):
            self.left_out = True
            source.close()
            return
        stream = self._out.add_stream_from_template(source.streams.audio[0])
        self._packets = _heard(source, stream, self._video.start)
        self._next = next(self._packets, None)

    def until(self, time: float) -> None:
        """Copy what is heard up to a time in seconds."""
        while self._next is not None and float(self._next.dts * self._next.time_base) <= time:
            self._out.mux(self._next)
            self._next = next(self._packets, None)


def _holds(form: str, video: Video) -> bool:
    """Whether a form of file can hold the sound of a video; of some kinds this shows at the end of a file only."""
    try:
        with video.open_sound() as source, av.open(io.BytesIO(), "w", format=form) as trial:
            stream = trial.add_stream_from_template(source.streams.audio[0])
            for packet in _heard(source, stream, 0.0):
                trial.mux(packet)
                break
    except (ValueError, av.error.FFmpegError):
        return False
    return True


def _heard(source: Any, stream: Any, start: float) -> Iterator[Any]:
    """The packets of a file's sound for `stream`, with times counted from `start`, as those of frames."""
    sound, last = source.streams.audio[0], None
    try:
        for packet in source.demux(sound):
            if packet.dts is None or packet.pts is None:
                continue
            shift = round(start / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            if packet.pts * packet.time_base >= -PRIMING and (last is None or packet.dts > last):
                last = packet.dts
                packet.stream = stream
                yield packet
    except av.error.FFmpegError:  # the file is cut off
        return
    finally:
        source.close()
