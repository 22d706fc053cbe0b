"""Drawn videos: times, sound and the shape of pixels are those of the original."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from tests.locate.track.clips import RATE, frame, write_clip

from posetalk import PosetalkError, locate_video
from posetalk.locate.track import writer
from posetalk.locate.track.video import Video

IMAGES = [frame(n) for n in range(20)]


def heard(path: Path) -> np.ndarray:
    """The times of the sound's packets, in seconds from the first frame."""
    with av.open(str(path)) as container:
        first = next(container.decode(video=0)).time
    with av.open(str(path)) as container:
        times = [float(p.pts * p.time_base) for p in container.demux(audio=0) if p.pts is not None]
    return np.array(times) - first


@pytest.mark.parametrize("late", [0.0, 0.3])
@pytest.mark.parametrize("form", ["mp4", "mkv", "ts"])
def test_sound_and_frames_stay_together(tmp_path: Path, form: str, late: float) -> None:
    source = write_clip(
        tmp_path / f"a.{form}", IMAGES, [late + n / RATE for n in range(len(IMAGES))], sound=True
    )
    assert writer.write_video(tmp_path / "drawn.mp4", Video(source), [], ()) == ()
    before, after = heard(source), heard(tmp_path / "drawn.mp4")
    assert len(after) > 5 and after[0] >= -writer.PRIMING - 0.01
    np.testing.assert_allclose(after, before[-len(after) :], atol=3e-3)
    assert len(before) - len(after) == (before < -writer.PRIMING).sum()


def test_without_x264_it_is_mpeg4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(av, "codecs_available", set())
    video = Video(write_clip(tmp_path / "a.mp4", IMAGES))
    writer.write_video(tmp_path / "drawn.mp4", video, [], ())
    with av.open(str(tmp_path / "drawn.mp4")) as drawn:
        assert drawn.streams.video[0].codec_context.name == "mpeg4"
        times = [f.time for f in drawn.decode(video=0)]
    np.testing.assert_allclose(times, np.arange(len(IMAGES)) / RATE, atol=1e-3)


def test_pixels_keep_their_shape(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, width=160, height=96, pix_fmt="yuv420p")
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        out.mux(stream.encode(av.VideoFrame.from_ndarray(IMAGES[0], format="rgb24")) + stream.encode())
    writer.write_video(tmp_path / "drawn.mp4", Video(tmp_path / "a.mp4"), [], ())
    with av.open(str(tmp_path / "drawn.mp4")) as drawn:
        assert drawn.streams.video[0].sample_aspect_ratio == Fraction(4, 3)


def test_what_is_not_kept_is_told(tmp_path: Path) -> None:
    for name, size in (("a.ts", (160, 96)), ("b.ts", (320, 192))):
        write_clip(tmp_path / name, [frame(n, *size) for n in range(4)])
    (tmp_path / "joined.ts").write_bytes((tmp_path / "a.ts").read_bytes() + (tmp_path / "b.ts").read_bytes())
    (note,) = writer.write_video(tmp_path / "drawn.mp4", Video(tmp_path / "joined.ts"), [], ())
    assert (
        note.startswith("4 frames have another size than the first")
        and len(list(Video(tmp_path / "drawn.mp4"))) == 4
    )


@pytest.mark.parametrize(("form", "kept"), [("mp4", False), ("mkv", True)])
def test_sound_that_a_form_cannot_hold_is_told(tmp_path: Path, form: str, kept: bool) -> None:
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, width=160, height=96, pix_fmt="yuv420p")
        sound = out.add_stream("pcm_s16le", rate=16_000)
        tone = av.AudioFrame.from_ndarray(np.full((1, 4000), 99, np.int16), format="s16", layout="mono")
        tone.sample_rate = 16_000
        for image in IMAGES[:5]:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode() + sound.encode(tone) + sound.encode())
    notes = writer.write_video(tmp_path / f"drawn.{form}", Video(source), [], ())
    with av.open(str(tmp_path / f"drawn.{form}")) as drawn:
        assert bool(drawn.streams.audio) is kept and len(list(drawn.decode(video=0))) == 5
    assert notes == (() if kept else (f"its kind of sound cannot be kept in {tmp_path / 'drawn.mp4'}",))


def test_the_video_itself_is_not_written_over(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", IMAGES[:2])
    before = clip.read_bytes()
    with pytest.raises(PosetalkError, match="is the video itself"):
        locate_video(clip, "nose", out=tmp_path / "out", drawing=clip)
    assert clip.read_bytes() == before
