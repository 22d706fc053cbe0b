"""A clip from end to end: predictions of every frame, resumed, drawn, with its sound."""

from __future__ import annotations

import json
import os
from pathlib import Path

import av
import numpy as np
import pytest
import skimage
from PIL import Image
from tests.locate.track.clips import write_clip

from posetalk import Detector, Localizer, PosetalkError, load_skeleton, locate_video, read_predictions
from posetalk.cli import main
from posetalk.locate.track.video import Video

CLIPS = Path(os.environ.get("POSETALK_DATA", "absent")) / "video_sample"
PHOTO = Path(skimage.__path__[0]) / "data" / "astronaut.png"


@pytest.fixture(scope="module")
def localizer() -> Localizer:
    return Localizer.from_pretrained(detector=Detector(largest=True))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A woman who moves to the side, with sound."""
    photo = np.asarray(Image.open(PHOTO).resize((256, 256)))
    images = [np.ascontiguousarray(np.roll(photo, 2 * n, 1)) for n in range(10)]
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", images, sound=True)


def test_a_person_is_followed_and_drawn_with_sound(localizer: Localizer, clip: Path, tmp_path: Path) -> None:
    skeleton = load_skeleton("coco17")
    found = locate_video(
        clip,
        skeleton,
        out=tmp_path / "out",
        model=localizer,
        drawing=tmp_path / "drawn.mp4",
        limbs=skeleton.limbs,
    )
    assert (found.frames, found.people, found.notes) == (10, 1, ())
    rows, note = read_predictions(found.predictions)
    assert note is None and [(p.image_id, p.person_id) for p in rows] == [(n, 1) for n in range(10)]
    np.testing.assert_allclose([p.time for p in rows], np.arange(10) / 25, atol=2e-3)  # type: ignore[misc]
    nose = np.array([p.keypoints[0, 0] for p in rows])
    assert 10 < nose[-1] - nose[0] < 26 and (np.diff(nose) > -1).all()
    with av.open(str(tmp_path / "drawn.mp4")) as drawn, av.open(str(clip)) as source:
        assert [f.time for f in drawn.decode(video=0)] == pytest.approx(
            [f.time for f in source.decode(video=0)]
        )
    with av.open(str(tmp_path / "drawn.mp4")) as drawn, av.open(str(clip)) as source:
        heard = [np.concatenate([f.to_ndarray() for f in c.decode(audio=0)], 1) for c in (drawn, source)]
        assert heard[1].std() > 0.1 and np.array_equal(*heard)
    frames = [f.image for f in Video(tmp_path / "drawn.mp4")]
    assert frames[0].shape == (256, 256, 3)
    assert np.abs(frames[0].astype(int) - next(iter(Video(clip))).image).max() > 100  # drawn on


def test_the_command_draws_into_the_folder_of_the_run(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["locate", str(clip), "--ask", "nose", "--largest", "--out", str(tmp_path / "out"), "--draw"])
    assert end.value.code == 0 and "1 people in 10 frames" in " ".join(capsys.readouterr().out.split())
    assert len(list(Video(tmp_path / "out" / "drawn.mp4"))) == 10


def test_the_generator_gives_the_same(localizer: Localizer, clip: Path, tmp_path: Path) -> None:
    for raw in (False, True):
        out = tmp_path / str(raw)
        rows, _ = read_predictions(locate_video(clip, "nose", out=out, model=localizer, raw=raw).predictions)
        frames = list(localizer.track(clip, "nose", raw=raw))
        assert [f.index for f in frames] == list(range(10)) and all(f.ids == (1,) for f in frames)
        for frame, row in zip(frames, rows, strict=True):
            assert np.array_equal(frame.poses.xy[0], row.keypoints[:, :2]) and frame.image.shape == (
                256,
                256,
                3,
            )
            assert (row.raw_xy is None) is raw
    (smooth, rough) = (
        read_predictions(tmp_path / str(raw) / "predictions.jsonl")[0] for raw in (False, True)
    )
    assert np.array_equal([p.raw_xy for p in smooth], [p.keypoints[:, :2] for p in rough])  # type: ignore[arg-type]


@pytest.mark.parametrize("cut", [1, 0.3, 0.55, 0.9])
def test_a_stopped_run_goes_on_as_if_it_had_not(
    localizer: Localizer, clip: Path, tmp_path: Path, cut: float
) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    expected = locate_video(clip, ["nose", "left eye"], out=whole, model=localizer).predictions.read_bytes()
    locate_video(clip, ["nose", "left eye"], out=part, model=localizer)
    (part / "predictions.jsonl").write_bytes(expected[: int(cut * len(expected))])  # in a line, in a frame
    again = locate_video(clip, ["nose", "left eye"], out=part, model=localizer)
    assert again.predictions.read_bytes() == expected and again.people == 1 and again.frames == 10


def test_another_clip_or_other_settings_are_refused(localizer: Localizer, clip: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.mp4"
    mine.write_bytes(clip.read_bytes())
    locate_video(mine, "nose", out=tmp_path / "out", model=localizer)
    with pytest.raises(PosetalkError, match="raw was False and is True"):
        locate_video(mine, "nose", out=tmp_path / "out", model=localizer, raw=True)
    write_clip(mine, [np.zeros((64, 64, 3), np.uint8)] * 3)
    with pytest.raises(PosetalkError, match=r"mine\.mp4"):
        locate_video(mine, "nose", out=tmp_path / "out", model=localizer)


def test_nobody_is_no_fault(localizer: Localizer, tmp_path: Path) -> None:
    empty = write_clip(tmp_path / "empty.mp4", [np.zeros((64, 64, 3), np.uint8)] * 3)
    found = locate_video(empty, "nose", out=tmp_path / "out", model=localizer, drawing=tmp_path / "drawn.mkv")
    assert (found.frames, found.people) == (3, 0) and len(list(Video(tmp_path / "drawn.mkv"))) == 3


def test_a_drawing_of_another_form_is_refused_before_anything_is_done(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(PosetalkError, match=r"end it in \.mp4"):
        locate_video(clip, "nose", out=tmp_path / "out", drawing=tmp_path / "drawn.png")
    assert not (tmp_path / "out").exists()


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "least"), [("walkers", 7), ("football", 2)])
def test_real_clips(name: str, least: int, tmp_path: Path) -> None:
    found = locate_video(CLIPS / f"{name}.mp4", out=tmp_path)
    rows = [json.loads(line) for line in found.predictions.read_text().splitlines()]
    frames = [{row["person_id"] for row in rows if row["image_id"] == n} for n in range(found.frames)]
    assert found.frames == 5 and all(len(ids) >= least for ids in frames)
    assert len(set.intersection(*frames)) >= min(3, least)  # who is there all the time
