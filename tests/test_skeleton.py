"""Skeletons: the built-in ones hold together, a user's own works, a bad file gets one sentence."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetalk.errors import PosetalkError
from posetalk.skeleton import BUILT_IN, Keypoint, Skeleton, load_skeleton, swap_sides

SIZES = {name: int("".join(filter(str.isdigit, name.replace("h36m", "")))) for name in BUILT_IN}
# COCO keypoint evaluation's constants, in COCO's order.
COCO_SIGMAS = (
    *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072),
    *(0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089),
)
ALL = [load_skeleton(name) for name in BUILT_IN]
by_name = pytest.mark.parametrize("points", ALL, ids=BUILT_IN)


@by_name
def test_every_built_in_is_complete(points: Skeleton) -> None:
    assert len(points) == SIZES[points.name]
    for point in points.keypoints:
        assert 8 <= len(point.sentence.split()) <= 16, point
        assert point.place is not None
        assert all(0 < v < 1 for v in point.place), point


@by_name
def test_mirror_is_an_involution(points: Skeleton) -> None:
    order = points.flip_order
    assert [order[i] for i in order] == list(range(len(points)))
    for point in points.keypoints:
        sided = swap_sides(point.name) != point.name
        assert (points[point.name].mirror == point.name) is not sided


@by_name
def test_a_mirrored_keypoint_is_the_same_up_to_side(points: Skeleton) -> None:
    for point in points.keypoints:
        mirror = points[point.mirror]
        assert mirror.sentence == swap_sides(point.sentence)
        assert mirror.sigma == point.sigma


@by_name
def test_a_person_stands_upright_and_faces_us(points: Skeleton) -> None:
    """Average places: the left side of a person who faces us is on the image's right, ankles are low."""
    place = {p.name: p.place for p in points.keypoints if p.place}
    for name, (x, _) in place.items():
        if name.startswith("left "):
            assert x > place["right " + name.removeprefix("left ")][0], name
    assert place["left shoulder"][1] < place["left hip"][1] < place["left knee"][1] < place["left ankle"][1]


@by_name
def test_limbs_join_every_keypoint_once(points: Skeleton) -> None:
    pairs = [frozenset(limb) for limb in points.limbs]
    assert len(set(pairs)) == len(pairs)
    assert all(len(p) == 2 for p in pairs)
    assert set().union(*pairs) == set(range(len(points)))
    flipped = {frozenset((points.flip_order[a], points.flip_order[b])) for a, b in points.limbs}
    assert flipped == set(pairs)


def test_the_same_joint_has_the_same_words_everywhere() -> None:
    said: dict[str, tuple[str, float]] = {}
    for points in ALL:
        for p in points.keypoints:
            assert said.setdefault(p.name, (p.sentence, p.sigma)) == (p.sentence, p.sigma), (
                points.name,
                p.name,
            )
    sentences = [sentence for sentence, _ in said.values()]
    assert len(set(sentences)) == len(sentences), "two joints share a description"


def test_orders_and_constants() -> None:
    coco = load_skeleton("coco17")
    assert coco.sigmas == COCO_SIGMAS
    assert coco.names[:5] == ("nose", "left eye", "right eye", "left ear", "right ear")
    assert load_skeleton("humanart21").names[:17] == coco.names
    assert load_skeleton("humanart21").names[17:] == ("left finger", "right finger", "left toe", "right toe")
    mpii = load_skeleton("mpii16").names
    assert (mpii[0], mpii[6:10], mpii[15]) == (
        "right ankle", ("pelvis", "thorax", "upper neck", "head top"), "left wrist"
    )  # fmt: skip
    lsp = load_skeleton("lsp14").names
    assert (lsp[0], lsp[5], lsp[6], lsp[12:]) == (
        "right ankle",
        "left ankle",
        "right wrist",
        ("neck", "head top"),
    )
    h36m = load_skeleton("h36m17").names
    assert (h36m[0], h36m[7:11], h36m[16]) == (
        "pelvis",
        ("spine", "thorax", "nose", "head top"),
        "right wrist",
    )


OWN = """
name = "feet"
source = "made up"
limbs = [["left heel", "left toe tip"], ["right heel", "right toe tip"]]
[[keypoint]]
name = "left heel"
sentence = "the back of the person's own left foot"
sigma = 0.05
place = [0.6, 0.95]
[[keypoint]]
name = "right heel"
[[keypoint]]
name = "left toe tip"
[[keypoint]]
name = "right toe tip"
[[keypoint]]
name = "belt buckle"
"""


def test_a_users_own_file(tmp_path: Path) -> None:
    path = tmp_path / "feet.toml"
    path.write_text(OWN)
    points = load_skeleton(str(path))
    assert points == Skeleton.from_toml(path)
    assert points.name == "feet"
    assert points["left heel"] == Keypoint(
        "left heel", "the back of the person's own left foot", sigma=0.05, place=(0.6, 0.95)
    )
    assert points["right heel"].sigma is None and points.sigmas == (0.05, *[0.079] * 4)
    assert points.flip_order == (1, 0, 3, 2, 4)
    assert points.limbs == ((0, 2), (1, 3))


def test_the_files_name_is_the_default_name(tmp_path: Path) -> None:
    path = tmp_path / "nose_only.toml"
    path.write_text('[[keypoint]]\nname = "nose"\n')
    assert Skeleton.from_toml(path).name == "nose_only"


POINT = '[[keypoint]]\nname = "nose"\n'
BAD_FILES = {
    "not TOML": ("keypoint = [", "not valid TOML"),
    "empty": ("", "has no keypoints"),
    "keypoint not a table": ('keypoint = ["nose"]', "has no keypoints"),
    "keypoint not a list": ('keypoint = "nose"', "has no keypoints"),
    "misspelt key": (POINT + "sigmma = 0.1", "unknown key 'sigmma'"),
    "unknown top key": ("colour = 1\n" + POINT, "unknown key 'colour'"),
    "no name": ('[[keypoint]]\nsentence = "a point"', "keypoint 1 has no name"),
    "empty name": ('[[keypoint]]\nname = " "', "needs a name"),
    "name not text": ("[[keypoint]]\nname = 3", "name"),
    "sentence not text": (POINT + "sentence = ['a']", "sentence"),
    "skeleton's name not text": ("name = 3\n" + POINT, "name"),
    "two lines": (POINT + 'sentence = """a\nb"""', "line break"),
    "sigma zero": (POINT + "sigma = 0", "sigma 0.0"),
    "sigma nan": (POINT + "sigma = nan", "sigma nan"),
    "sigma not a number": (POINT + 'sigma = "big"', "sigma"),
    "twice": (POINT + POINT, "names 'nose' twice"),
    "no mirror": ('[[keypoint]]\nname = "left heel"', "mirrors 'left heel' to 'right heel'"),
    "mirrors disagree": (POINT + 'mirror = "chin"\n[[keypoint]]\nname = "chin"', "do not agree"),
    "limb of one": ('limbs = [["nose"]]\n' + POINT, "limb ['nose']"),
    "limb unknown": ('limbs = [["nose", "tail"]]\n' + POINT, "limb ['nose', 'tail']"),
    "limbs not a list": ("limbs = 3\n" + POINT, "limbs"),
    "limb to itself": ('limbs = [["nose", "nose"]]\n' + POINT, "limb"),
    "place of one": (POINT + "place = [0.5]", "place"),
    "place of three": (POINT + "place = [0.5, 0.5, 0.5]", "place"),
    "place not numbers": (POINT + 'place = "ab"', "place"),
    "place in pixels": (POINT + "place = [120, 80]", "place"),
    "place nan": (POINT + "place = [nan, 0.5]", "place"),
}


@pytest.mark.parametrize(("text", "says"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_gets_one_sentence_naming_it(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(PosetalkError) as caught:
        load_skeleton(str(path))
    message = str(caught.value)
    assert says in message
    assert "mine" in message
    assert "\n" not in message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    (tmp_path / "folder.toml").mkdir()
    for name in ("latin.toml", "folder.toml", "absent.toml"):
        with pytest.raises(PosetalkError, match=name):
            load_skeleton(str(tmp_path / name))
    with pytest.raises(PosetalkError, match="built in are coco17"):
        load_skeleton("coco18")


def test_an_edited_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(POINT)
    load_skeleton(str(path))
    path.write_text('[[keypoint]]\nname = "chin"\n')
    assert load_skeleton(str(path)).names == ("chin",)


def test_keypoints_from_a_line() -> None:
    point = Keypoint.parse("left heel: the back of the left foot: its end")
    assert (point.name, point.sentence) == ("left heel", "the back of the left foot: its end")
    assert point.mirrored() == Keypoint("right heel", "the back of the right foot: its end")
    assert point.mirrored().mirrored() == point
    with pytest.raises(FrozenInstanceError):
        point.name = "nose"  # type: ignore[misc]
    with pytest.raises(PosetalkError, match="needs a name"):
        Keypoint.parse(": a sentence alone")


@given(st.text())
def test_swapping_sides_twice_changes_nothing(text: str) -> None:
    assert swap_sides(swap_sides(text)) == text


@given(st.sampled_from(["left", "right", "Left", "leftover", "bright", "right-hand", "the"]))
def test_only_whole_words_are_swapped(word: str) -> None:
    swapped = swap_sides(f"a {word} b")
    expected = {"left": "right", "right": "left", "Left": "Right", "right-hand": "left-hand"}.get(word, word)
    assert swapped == f"a {expected} b"


def test_other_texts_of_a_keypoint_are_read_and_mirrored(tmp_path: Path) -> None:
    file = tmp_path / "feet.toml"
    file.write_text(
        '[[keypoint]]\nname = "left heel"\nsynonyms = ["back of the left foot"]\n'
        'paraphrases = ["what the left shoe\'s heel holds"]\n[[keypoint]]\nname = "right heel"\n'
    )
    left, right = Skeleton.from_toml(file).keypoints
    assert left.synonyms == ("back of the left foot",) and right.synonyms == right.paraphrases == ()
    mirrored = left.mirrored()
    assert mirrored.synonyms == ("back of the right foot",)
    assert mirrored.paraphrases == ("what the right shoe's heel holds",)
    assert mirrored.mirrored() == left


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('synonyms = "back of the foot"', "synonyms 'back of the foot' are not a list of texts"),
        ("paraphrases = [1]", "are not a list of texts"),
        ('synonyms = [" "]', "has an empty synonym or paraphrase"),
        ('paraphrases = ["a\\nb"]', "has a line break"),
    ],
)
def test_bad_other_texts_get_one_sentence(tmp_path: Path, line: str, told: str) -> None:
    file = tmp_path / "feet.toml"
    file.write_text(f'[[keypoint]]\nname = "heel"\n{line}\n')
    with pytest.raises(PosetalkError, match=told):
        Skeleton.from_toml(file)
