"""The hand-written points of the atlas: enough, well named, the same on both sides."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from runs.atlas.leave_out import labels_without
from runs.atlas.points import read_points, skeleton_of, write_skeleton

from posetalk.errors import PosetalkError
from posetalk.skeleton import Keypoint, load_skeleton, swap_sides

POINTS = read_points()
NAMES = {point.keypoint.name for point in POINTS}


def texts(keypoint: Keypoint) -> list[str]:
    return [
        text for text in (keypoint.name, keypoint.sentence, *keypoint.synonyms, *keypoint.paraphrases) if text
    ]


def test_there_are_many_points_and_each_has_many_texts() -> None:
    assert len(POINTS) >= 300 and len(NAMES) == len(POINTS)
    for point in POINTS:
        assert len(texts(point.keypoint)) >= 5, point.keypoint.name
        assert point.keypoint.sentence


def test_the_keypoints_of_known_skeletons_keep_their_names_and_sentences() -> None:
    atlas = skeleton_of(POINTS)
    for name in ("coco17", "lsp14"):
        for keypoint in load_skeleton(name).keypoints:
            assert atlas[keypoint.name].sentence == keypoint.sentence
    assert {"pelvis", "thorax"} <= NAMES


def test_no_text_means_two_points() -> None:
    count = Counter(text.lower() for point in POINTS for text in texts(point.keypoint))
    assert [text for text, times in count.items() if times > 1] == []


def test_sides_mirror_each_other_and_every_text_of_a_side_says_which() -> None:
    atlas = skeleton_of(POINTS)  # refuses mirrors that do not agree
    for keypoint in atlas.keypoints:
        mirror = atlas[keypoint.mirror]
        sided = keypoint.mirror != keypoint.name
        if sided:
            assert [swap_sides(text) for text in texts(keypoint)] == texts(mirror)
        for text in texts(keypoint):
            words = set(re.findall(r"\w+", text.lower())) & {"left", "right"}
            assert bool(words) is sided or words == {"left", "right"}, text


@pytest.mark.parametrize("word", ["knee", "elbow", "ear", "foot"])
def test_words_that_are_left_out_begin_no_word_of_any_text(word: str) -> None:
    kept = read_points([word])
    assert 0 < len(kept) < len(POINTS)
    for point in kept:
        assert not [text for text in texts(point.keypoint) if re.search(rf"\b{word}", text.lower())]
    gone = NAMES - {point.keypoint.name for point in kept}
    assert gone and all(re.search(rf"\b{word}", name) for name in gone)


def test_without_knees_nothing_that_lies_at_a_knee_is_left() -> None:
    said = " ".join(text for point in read_points(["knee"]) for text in texts(point.keypoint)).lower()
    for word in ("knee", "patella", "popliteal", "where the left leg bends", "tibial tuberosity"):
        assert word not in said


def test_a_written_skeleton_is_read_back(tmp_path: Path) -> None:
    skeleton = skeleton_of(POINTS)
    write_skeleton(skeleton, tmp_path / "atlas.toml")
    assert load_skeleton(tmp_path / "atlas.toml") == skeleton


def test_a_point_with_other_keys_is_refused(tmp_path: Path) -> None:
    (tmp_path / "points.toml").write_text('[[point]]\nname = "nose"\nplace = "front 0 0"\n')
    with pytest.raises(PosetalkError, match="'nose' has other keys"):
        read_points(file=tmp_path / "points.toml")


def test_labels_lose_the_points_that_are_left_out() -> None:
    names = [point.keypoint.name for point in POINTS]
    kept = [point.keypoint.name for point in read_points(["knee"])]
    rows = [v for number, name in enumerate(names) for v in (number, 1, 2 if "knee" in name else number % 3)]
    labels = {
        "images": [{"id": 1}, {"id": 2}],
        "annotations": [{"id": n, "image_id": n, "keypoints": rows} for n in (1, 2)],
        "categories": [{"id": 1, "name": "person", "keypoints": names}],
    }
    found = labels_without(labels, kept, 1)
    (person,) = found["annotations"]
    assert (
        [names[number] for number in person["keypoints"][::3]] == kept == found["categories"][0]["keypoints"]
    )
    assert person["num_keypoints"] == sum(flag > 0 for flag in person["keypoints"][2::3])
    assert labels["annotations"][0]["keypoints"] == rows
    with pytest.raises(PosetalkError, match="no point 'third eye'"):
        labels_without(labels, ["third eye"])
