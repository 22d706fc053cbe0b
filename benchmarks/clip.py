"""A clip with several people, as `posetalk locate CLIP --out RUN` follows them, in both engines.

    python -m benchmarks.clip FOLDER [--photos 20] [--frames 2000] [--torch-frames 200] [--threads 2]

The clip is made of photos of FOLDER with two to ten people, 640 x 480 px, each of which moves to the side for as many
frames as the others. Each engine in a process of its own, one after the other, from its start to its end. Memory is the
process's resident size when a tenth of the people was located, and at the end.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import av
import numpy as np
from benchmarks.measure import show
from benchmarks.photos import first, watched
from PIL import Image

from posetalk import Detector, read_image

SIZE, RATE, STEP = (640, 480), 25, 2  # px, frames a second, px that a photo moves from frame to frame


def photos_of(folder: Path, count: int) -> list[np.ndarray]:
    """The first photos with two to ten people."""
    detector, found = Detector(), list[np.ndarray]()
    for file in sorted(folder.iterdir()):
        image = np.asarray(Image.fromarray(read_image(file)).resize(SIZE))
        if 2 <= len(detector(image)) <= 10:
            found.append(image)
        if len(found) == count:
            break
    return found


def write_clip(file: Path, photos: list[np.ndarray], frames: int) -> None:
    """A video of the photos, one after the other."""
    each = -(-frames // len(photos))
    with av.open(str(file), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for index in range(frames):
            image = np.roll(photos[index // each], STEP * (index % each), 1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image))))
        container.mux(stream.encode())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=20)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--torch-frames", type=int, default=200)
    parser.add_argument("--threads", default="2")
    given = parser.parse_args()
    photos = photos_of(given.folder, given.photos)
    rows, data = [], {}
    for engine, frames in (("onnx", given.frames), ("torch", given.torch_frames)):
        with tempfile.TemporaryDirectory() as name:
            clip, out = Path(name) / "clip.mp4", Path(name) / "run"
            write_clip(clip, photos, frames)
            words = ["locate", str(clip), "--out", str(out), "--engine", engine, "--threads", given.threads]
            samples = watched(words, out / "predictions.jsonl")
        seconds, (people,), end = samples[-1]
        tenth = first(samples, 0, people / 10)[2]
        speeds = [f"{count / seconds:.1f}" for count in (frames, people)]
        name = f"{engine}, {frames:,} frames"
        rows.append([name, f"{people:,}", f"{seconds:.0f}", *speeds, f"{tenth:.0f}, {end:.0f}"])
        data[name] = {"people": people, "seconds": seconds, "mb_tenth": tenth, "mb_end": end}
    columns = ["engine", "people", "seconds", "frames a second", "people a second", "MB: a tenth, all"]
    show("clip", "Following people in a clip", columns, rows, data)


if __name__ == "__main__":
    main()
