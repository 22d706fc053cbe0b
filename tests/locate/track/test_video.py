"""Frames of files, folders and streams: their times, their turn, what is damaged."""

from __future__ import annotations

import http.server
import threading
import tracemalloc
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from tests.locate.track.clips import RATE, frame, turned, write_clip

from posetalk import PosetalkError
from posetalk.locate.track.source import is_video
from posetalk.locate.track.video import Video


def is_like(found: np.ndarray, expected: np.ndarray) -> bool:
    """But for the losses of H.264."""
    return found.shape == expected.shape and float(np.abs(found.astype(int) - expected).mean()) < 12


def test_frames_come_in_order_with_their_times(tmp_path: Path) -> None:
    images = [frame(n) for n in range(12)]
    video = Video(write_clip(tmp_path / "a.mp4", images))
    for _ in range(2):  # it may be read again
        found = list(video)
        assert [f.index for f in found] == list(range(12))
        np.testing.assert_allclose([f.time for f in found], np.arange(12) / RATE, atol=2e-3)
        assert all(is_like(f.image, image) for f, image in zip(found, images, strict=True))
    assert video.count() == 12 and video.rate() == RATE and not video.damaged


def test_a_variable_rate_keeps_its_times(tmp_path: Path) -> None:
    times = [0, 0.04, 0.5, 0.54, 2.0]
    found = list(Video(write_clip(tmp_path / "a.mp4", [frame(n) for n in range(5)], times)))
    np.testing.assert_allclose([f.time for f in found], times, atol=2e-3)


def test_frames_without_times_are_evenly_apart(tmp_path: Path) -> None:
    write_clip(tmp_path / "bare.h264", [frame(n) for n in range(6)])
    for name in ("a.ts", "b.ts"):
        write_clip(tmp_path / name, [frame(n) for n in range(3)])
    joined = (tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes()  # its clock begins twice
    (tmp_path / "joined.ts").write_bytes(joined)
    for name in ("bare.h264", "joined.ts"):
        times = [f.time for f in Video(tmp_path / name)]
        np.testing.assert_allclose(times, np.arange(6) / RATE, atol=2e-3)


def test_times_count_from_the_first_frame(tmp_path: Path) -> None:
    video = Video(write_clip(tmp_path / "a.mp4", [frame(n) for n in range(3)], [0.5, 0.6, 0.8], sound=True))
    np.testing.assert_allclose([f.time for f in video], [0, 0.1, 0.3], atol=2e-3)
    assert video.start == pytest.approx(0.5)


def test_a_file_may_be_called_like_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "12:30.mp4", [frame(n) for n in range(3)])
    monkeypatch.chdir(tmp_path)
    assert len(list(Video("12:30.mp4"))) == 3


def test_the_cover_of_a_record_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp3"), "w") as out:
        sound = out.add_stream("mp3", rate=16_000)
        cover = out.add_stream("mjpeg", rate=1, width=160, height=96, pix_fmt="yuvj420p")
        cover.disposition = av.stream.Disposition.attached_pic
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 16_000
        packets = sound.encode(silence) + sound.encode()
        out.mux(cover.encode(av.VideoFrame.from_ndarray(frame(0), format="rgb24")) + cover.encode())
        out.mux(packets)
    with pytest.raises(PosetalkError, match=r"a\.mp3 holds no video"):
        Video(tmp_path / "a.mp3")


def test_a_turned_clip_is_upright(tmp_path: Path) -> None:
    (first, *_) = Video(turned(write_clip(tmp_path / "a.mp4", [frame(n) for n in range(3)])))
    assert is_like(first.image, np.rot90(frame(0), -1))


def test_damaged_frames_are_left_out_and_told(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    images = [draw.integers(0, 256, (96, 160, 3), np.uint8) for _ in range(40)]  # many bytes a frame
    path = write_clip(tmp_path / "a.mkv", images)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    video = Video(path)
    found = list(video)
    assert 5 < len(found) < 40 and video.damaged
    assert all(0 < time < 40 / RATE for time in video.damaged)


def test_a_clip_that_is_cut_off_gives_what_is_there(tmp_path: Path) -> None:
    path = write_clip(
        tmp_path / "a.mkv",
        [np.random.default_rng(n).integers(0, 256, (96, 160, 3), np.uint8) for n in range(20)],
    )
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 3 < len(list(Video(path))) < 20


def test_a_folder_of_frames_is_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for number in (10, 9, 1):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(tmp_path / f"frame{number}.png")
    found = list(Video(tmp_path, fps=4))
    assert [int(f.image[0, 0, 0]) for f in found] == [1, 9, 10] and [f.time for f in found] == [0, 0.25, 0.5]


def test_an_address_is_read_as_it_comes(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", [frame(n) for n in range(6)])

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        video = Video(f"http://user:secret@127.0.0.1:{server.server_port}/a.mp4")
        assert video.live and "secret" not in video.name and len(list(video)) == 6
        server.shutdown()


def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    peaks = []
    for count in (20, 200):
        path = write_clip(tmp_path / f"{count}.mp4", [frame(n, 320, 240) for n in range(count)])
        tracemalloc.start()
        for _ in Video(path):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 2 * peaks[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, True) for name in ("a.mp4", "A.MOV", "rtsp://camera/1", "https://x/y", 0)),
        *((name, False) for name in ("a.jpg", "folder", "C:/photo.png")),
    ],
)
def test_videos_are_known_by_their_names(name: str | int, expected: bool) -> None:
    assert is_video(name) is expected


def test_what_is_no_video_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "folder").mkdir()
    for source, options, sentence in [
        (tmp_path / "absent.mp4", {}, "there is no such file"),
        (tmp_path / "text.mp4", {}, "cannot open text.mp4 as a video"),
        (tmp_path / "empty.mp4", {}, "cannot open empty.mp4 as a video"),
        (tmp_path / "folder", {}, "give --fps"),
        (tmp_path / "folder", {"fps": 5}, "no image"),
        (9, {}, "cannot open camera 9"),
        ("rtsp://127.0.0.1:9/x", {}, "cannot open rtsp"),
    ]:
        with pytest.raises(PosetalkError, match=sentence):
            list(Video(source, **options))  # type: ignore[arg-type]
    with pytest.raises(PosetalkError, match="leave fps out"):
        Video(write_clip(tmp_path / "a.mp4", [frame(0)]), fps=3)
