"""The frames of a video file, a folder of images, a camera or a network stream, one after the other."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from posetalk.errors import PosetalkError, shown
from posetalk.images.opening import Pixels, read_image
from posetalk.locate.image_files import find_images
from posetalk.locate.track.newest import Newest
from posetalk.locate.track.source import ADDRESS, Source, waits

USUAL_RATE = 25  # frames a second, where a video does not say


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """A frame of a video.

    Attributes:
        index: Its number among the frames that could be read, from 0.
        time: Seconds from the beginning, as the video says; frames need not be equally far apart.
        image: (h, w, 3) uint8 RGB, turned upright.
    """

    index: int
    time: float
    image: Pixels


class Video:
    """The frames of a video, read one at a time. It may be read several times, unless it is live.

    Args:
        source: A video file; a folder of images, with `fps`; the number of a camera; or an address such as rtsp://...
        fps: Frames a second of a folder of images.

    Attributes:
        live: Whether it is a camera or an address, which goes on until somebody stops it.
        damaged: After reading: the seconds at which frames could not be read. They are left out.
        left_out: While reading: how many frames of a camera or stream nobody asked for in time.
        start: Once the first frame was read: its time in the file, from which times are counted.

    Raises:
        PosetalkError: There is nothing there, or no video; a folder without `fps`, or `fps` without a folder.
    """

    def __init__(self, source: Source, fps: float | None = None) -> None:
        self.source = source
        self.live = isinstance(source, int) or bool(ADDRESS.match(str(source)))
        self.damaged: list[float] = []
        self.left_out = 0
        self.start = 0.0
        self._images: list[Path] | None = None
        self._fps = fps
        if not self.live and Path(str(source)).is_dir():
            if fps is None or not 0 < fps < 1000:
                raise PosetalkError(
                    f"{source} is a folder; give --fps, the frames a second that its images are of"
                )
            self._images = _images_of(Path(str(source)))
        elif fps is not None:
            raise PosetalkError(
                f"{shown(self.name)} has its own frame rate; leave fps out, it goes with a folder"
            )
        else:
            with self._open():  # refuses what is no video before anything is made of it
                pass

    @property
    def name(self) -> str:
        """The name of the file or folder; the address without its password; `camera 0`."""
        if isinstance(self.source, int):
            return f"camera {self.source}"
        if self.live:
            return re.sub(r"//[^/@]*@", "//", str(self.source))
        return Path(self.source).name

    def count(self) -> int | None:
        """About how many frames there are; None where that is not known."""
        if self._images is not None:
            return len(self._images)
        if self.live:
            return None
        with self._open() as container:
            stream = _moving(container)
            if stream.frames:
                return int(stream.frames)
            if stream.average_rate and container.duration:
                return int(container.duration / av.time_base * stream.average_rate)
        return None

    def rate(self) -> Fraction | None:
        """Frames a second, on average; None where that is not known."""
        if self._fps:
            return Fraction(self._fps).limit_denominator(1000)
        with self._open() as container:
            return _moving(container).average_rate  # type: ignore[no-any-return]

    def pixel_shape(self) -> Fraction:
        """How wide a pixel is for its height: 1 for most."""
        if self._images is not None:
            return Fraction(1)
        with self._open() as container:
            return _moving(container).sample_aspect_ratio or Fraction(1)

    def open_sound(self) -> Any:
        """The container, to read sound from; None where there is none."""
        if self.live or self._images is not None:
            return None
        container = self._open()
        if container.streams.audio:
            return container
        container.close()
        return None

    def __iter__(self) -> Iterator[VideoFrame]:
        """Read the frames in order.

        Raises:
            PosetalkError: No frame could be read.
        """
        self.damaged, self.left_out = [], 0
        index, frames = 0, self._of_images() if self._images else self._of_stream()
        keeping_up = None if waits(self.source) else Newest(frames)
        for index, (time, image) in enumerate(keeping_up or frames, 1):
            yield VideoFrame(index - 1, time, image)
            self.left_out = keeping_up.left_out if keeping_up else 0
        if not index:
            raise PosetalkError(f"no frame of {shown(self.name)} can be read; it is damaged or empty")

    def _of_images(self) -> Iterator[tuple[float, Pixels]]:
        assert self._images and self._fps
        for number, path in enumerate(self._images):
            try:
                yield number / self._fps, read_image(path)
            except PosetalkError:
                self.damaged.append(number / self._fps)

    def _of_stream(self) -> Iterator[tuple[float, Pixels]]:
        with self._open() as container:
            stream = _moving(container)
            stream.thread_type = "AUTO"
            step = float(1 / (stream.average_rate or USUAL_RATE))
            time = -1.0  # of the frame before
            packets = container.demux(stream)
            while True:
                try:
                    packet = next(packets, None)
                    frames = packet.decode() if packet is not None else []
                except FFmpegError as error:
                    self.damaged.append(max(time, 0.0))
                    if isinstance(error, av.error.InvalidDataError):
                        continue
                    return  # the file is cut off, or the camera gone
                if packet is None:
                    return
                for frame in frames:
                    if time < 0:
                        self.start, time = float(frame.time or 0), 0.0
                    else:  # some have no times, or those of several files that were joined
                        said = -1.0 if frame.time is None else float(frame.time) - self.start
                        time = said if said > time else time + step
                    if frame.is_corrupt:
                        self.damaged.append(time)
                    else:
                        yield time, _upright(frame)

    def _open(self) -> Any:
        """The container, with a stream of video."""
        address, options = str(self.source), {}
        form = None
        if isinstance(self.source, int):
            mac = sys.platform == "darwin"
            address = str(self.source) if mac else f"/dev/video{self.source}"
            form = "avfoundation" if mac else "v4l2"
        elif address.lower().startswith("rtsp://"):
            options = {"rtsp_transport": "tcp"}
        elif not self.live:
            if not Path(address).is_file():
                raise PosetalkError(f"no video at {shown(address)}: there is no such file")
            address = f"file:{Path(address).absolute()}"  # 12:30.mp4 is no address
        try:
            container = av.open(address, format=form, options=options, timeout=20.0)
        except (FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise PosetalkError(f"cannot open {shown(self.name)} as a video: {reason}") from None
        if _moving(container) is None:
            container.close()
            raise PosetalkError(f"{shown(self.name)} holds no video; give a file with moving images")
        return container


def _moving(container: Any) -> Any:
    """The stream of a container that is a video; None where there is none, or only the cover of a record."""
    covers = av.stream.Disposition.attached_pic
    return next((stream for stream in container.streams.video if not stream.disposition & covers), None)


def _upright(frame: Any) -> Pixels:
    """A frame as RGB, turned as its display matrix says (counterclockwise)."""
    image = frame.to_ndarray(format="rgb24")
    turns = round((frame.rotation or 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _images_of(folder: Path) -> list[Path]:
    """The images of a folder, in the order of the numbers in their names."""

    def key(path: Path) -> list[tuple[int, int | str]]:
        parts = re.split(r"(\d+)", str(path))
        return [(1, int(part)) if part.isdecimal() else (0, part) for part in parts]

    return sorted((image.path for image in find_images([folder]).images), key=key)
