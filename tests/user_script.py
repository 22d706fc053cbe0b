"""A user's script of both halves: type checked as strictly as mypy can, and run, by test_public_api.py."""

import json
import sys
from pathlib import Path

import posetalk as pt


def words_to_points(photo: Path) -> pt.Poses:
    people: pt.People = pt.Detector(min_score=0.5)(photo)
    assert people.boxes[0].area > 1e5 and people.scores[0] > 0.5
    localizer = pt.Localizer.from_pretrained("bundled").set_image(photo)
    poses = localizer.locate([pt.Box(0, 60, 345, 452)], ["nose", "left heel: the back of the left foot"])
    x, y = poses["left heel"][0]
    assert poses.xy.shape == (1, 2, 2) and 0 <= x < 512 and y > 0
    skeleton: pt.Skeleton = pt.load_skeleton("coco17")
    drawn = pt.draw_pose(localizer.image, localizer.locate([(0, 60, 345, 452)], skeleton), skeleton.limbs)
    assert drawn.ndim == 3
    return poses


def folder_to_points(photos: Path, out: Path) -> list[pt.Prediction]:
    located: pt.LocatedImages = pt.locate_images(photos, ["nose"], largest=True, out=out / "located")
    assert not located.skipped and located.passed_over is None
    return list(located.predictions)


def points_to_words(labels: Path, captions: Path, out: Path) -> pt.ScreeningResult:
    people: pt.PoseSet = pt.read_people(labels, labels.parent)
    image, person = next(people.people())
    facts: pt.Facts = pt.pose_facts(person.keypoints, people.keypoint_names, person.visible)
    raised: bool | None = facts.value("left hand: above the head")
    assert raised in (True, False, None)
    scene: pt.Scene = pt.scene_facts(image, people.keypoint_names)
    for claim, verdict in pt.check_text("The person is upside down.", scene):
        assert claim.key == "trunk: upside down" and verdict in ("agrees", "contradicts", "cannot tell")
    settings = pt.WriteSettings(
        writer="facts", annotations=str(labels), captions=str(captions), kinds=("conversation", "detail")
    )
    result = pt.write_dataset(settings, out / "written")
    samples: list[pt.Sample] = list(pt.read_samples(out / "written" / "samples.jsonl"))
    assert samples
    pt.export_dataset(out / "written" / "samples.jsonl", out / "exported", "llava")
    pt.build_benchmark(
        pt.BuildSettings(annotations=str(labels), captions=str(captions), max_images=1), out / "bench"
    )
    assert json.loads((out / "exported" / "train.json").read_text())
    return result


if __name__ == "__main__":
    photo, labels, captions, out = map(Path, sys.argv[1:])
    try:
        pt.read_people("nowhere.json", ".")
    except pt.PosetalkError as error:
        assert "nowhere.json" in str(error)
    words_to_points(photo)
    assert len(folder_to_points(photo, out)) == 1
    print(points_to_words(labels, captions, out))
