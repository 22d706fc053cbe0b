"""Videos made for tests."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 25
CLOCK = Fraction(1, 1000)


def frame(number: int, width: int = 160, height: int = 96) -> np.ndarray:
    """A frame that can be told from its neighbours: a bright square moves over it."""
    image = np.full((height, width, 3), 40, np.uint8)
    x = (7 * number) % (width - 20)
    image[10:30, x : x + 20] = (220, 60, 30)
    return image


def write_clip(
    path: Path, images: Sequence[np.ndarray], times: Sequence[float] | None = None, sound: bool = False
) -> Path:
    """An H.264 clip; times: seconds of the frames, evenly spaced if none are given."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt, stream.time_base = "yuv420p", CLOCK
        stream.codec_context.time_base = CLOCK
        audio = out.add_stream("aac", rate=16_000) if sound else None
        for number, image in enumerate(images):
            drawn = av.VideoFrame.from_ndarray(image, format="rgb24")
            drawn.time_base, drawn.pts = CLOCK, round((times[number] if times else number / RATE) / CLOCK)
            out.mux(stream.encode(drawn))
        out.mux(stream.encode())
        if audio is not None:
            tone = np.sin(np.arange(16_000 * len(images) // RATE) / 6).astype(np.float32)
            for start in range(0, len(tone) - 1023, 1024):
                heard = av.AudioFrame.from_ndarray(
                    tone[None, start : start + 1024], format="fltp", layout="mono"
                )
                heard.sample_rate, heard.pts = 16_000, start
                out.mux(audio.encode(heard))
            out.mux(audio.encode())
    return path


def turned(path: Path) -> Path:
    """The clip again, with a display matrix that turns it by 90 degrees clockwise, as telephones write it."""
    data = path.read_bytes()
    one, whole = (1).to_bytes(2, "big") + bytes(2), (0x40000000).to_bytes(4, "big")
    minus = (-1).to_bytes(2, "big", signed=True) + bytes(2)
    straight = one + bytes(12) + one + bytes(12) + whole
    at = data.index(straight, data.index(b"tkhd"))
    turn = bytes(4) + one + bytes(4) + minus + bytes(4) + bytes(4) + bytes(8) + whole
    path.write_bytes(data[:at] + turn + data[at + 36 :])
    return path
