"""What `locate` returns shows itself, says which names were never trained, and offers known ones."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

from posetalk.cli import main
from posetalk.errors import PosetalkError
from posetalk.locate.found import Found, limbs_of
from posetalk.locate.known_names import near_misses, trained_on
from posetalk.locate.localizer import Localizer
from posetalk.skeleton import BODIES, Skeleton, load_skeleton

ASTRONAUT = Path(skimage.__path__[0]) / "data" / "astronaut.png"
BOX = (14, 14, 350, 490)


@pytest.fixture(scope="module")
def looking() -> Localizer:
    return Localizer.from_pretrained("bundled").set_image(ASTRONAUT)


@pytest.fixture(scope="module")
def word_by_word(tiny_model: Path) -> Localizer:
    """A model without text encoder."""
    return Localizer.from_pretrained(tiny_model)


def test_what_was_found_shows_itself(looking: Localizer) -> None:
    found = looking.locate(BOX, "coco17")
    assert isinstance(found, Found) and found.image is looking.image
    assert found.limbs == load_skeleton("coco17").limbs
    drawn = found.draw()
    shown = Image.open(io.BytesIO(found._repr_png_()))
    assert (np.asarray(shown) == np.asarray(drawn)).all() and (np.asarray(drawn) != found.image).any()
    assert (np.asarray(found.draw(labels="all")) != np.asarray(drawn)).any()
    assert "image=" not in repr(found)
    some = found.some([0])
    assert isinstance(some, Found) and some.image is found.image
    (one,) = looking.locate_all([(ASTRONAUT, BOX)])
    assert not isinstance(one, Found | PosetalkError)  # many images would fill the memory
    assert one.to_dicts() == found.to_dicts()


def test_limbs_are_those_of_what_was_asked() -> None:
    body = load_skeleton("lsp14")
    assert limbs_of("lsp14", body.names) == limbs_of(body, body.names) == body.limbs
    shuffled = Skeleton("mine", body.keypoints[::-1], ((0, 1),))
    assert limbs_of(shuffled, shuffled.names) == ((0, 1),)
    names = ("chin", *load_skeleton("coco17").names)
    joined = {frozenset((names[a], names[b])) for a, b in limbs_of(list(names), names)}
    coco = load_skeleton("coco17")
    assert joined == {frozenset((coco.names[a], coco.names[b])) for a, b in coco.limbs}
    assert limbs_of("nose", ("nose",)) == ()


def test_names_that_were_never_trained_are_told(
    looking: Localizer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["nose", "left earring: what hangs from the lobe of the left ear"]
    found = looking.locate(BOX, asked)
    assert found.trained == (True, False)
    assert [point["trained"] for point in found.to_dicts()[0]["keypoints"]] == [True, False]
    assert looking.locate([], asked).trained == (True, False)
    as_if = replace(found, trained=(True, True))
    assert (np.asarray(found.draw()) != np.asarray(as_if.draw())).any()
    for width in ("100", "40"):
        monkeypatch.setenv("COLUMNS", width)
        with pytest.raises(SystemExit) as end:
            main(["locate", str(ASTRONAUT), "--box", "14,14,350,490", "--ask", asked[0], "--ask", asked[1]])
        *table, note = capsys.readouterr().out.strip().splitlines()
        assert end.value.code == 0 and note.startswith("* a name that the model was not trained on")
        assert "English" in note and "trained on left and right ankle" in note
        assert max(map(len, table)) <= int(width)
        (earring,), (nose,) = ([row for row in table if name in row] for name in ("left earring", "nose"))
        assert "left earring *" in earring and "*" not in nose


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("left shoulde", ["left shoulder"]),
        ("Left  Shoulder", ["left shoulder"]),
        ("l_shoulder", ["left shoulder"]),
        ("R-knee", ["right knee"]),
        ("LKnee", ["left knee"]),
        ("kneeLeft", ["left knee"]),
        ("shoulder (right)", ["right shoulder"]),
        ("lft knee", ["left knee"]),
        ("Nose", ["nose"]),
        ("left heel", []),
        ("chin", []),
        ("left eye inner", []),
        ("l heel", []),
        ("", []),
    ],
)
def test_what_was_probably_meant(asked: str, meant: list[str], word_by_word: Localizer) -> None:
    known = {point.name for name in BODIES for point in load_skeleton(name).keypoints}
    assert near_misses(asked, known) == meant
    if meant:
        with pytest.raises(PosetalkError, match=f"did you mean {meant[0]}"):
            word_by_word.questions([asked])
        assert word_by_word.questions([f"{asked}: with words of its own"])


@pytest.mark.parametrize(
    "asked", ["left shoulde", "Left  Shoulder", "shoulder (right)", "NOSE", "left wrists"]
)
def test_the_bundled_model_reads_what_people_type(asked: str, looking: Localizer) -> None:
    assert looking.locate(BOX, [asked]).names == (asked,)


@pytest.mark.parametrize("asked", ["l_shoulder", "R-knee", "LKnee", "kneeLeft", "lft knee", "left_knee"])
def test_the_side_is_to_be_a_word(asked: str, looking: Localizer) -> None:
    with pytest.raises(PosetalkError, match=r"did you mean (left|right)"):
        looking.questions([asked])


def test_what_a_model_was_trained_on_in_few_words() -> None:
    assert trained_on(load_skeleton("coco17").names) == (
        "left and right eye, ear, shoulder, elbow, wrist, hip, knee and ankle; nose"
    )
    assert trained_on(["left heel", "chin"]) == "left heel, chin"
    assert trained_on([f"point {n}" for n in range(40)]).endswith("point 11 and 28 more")


@pytest.mark.parametrize(("people", "rows"), [(1, 17), (8, 136), (30, 30)])
@pytest.mark.parametrize("width", [40, 100])
def test_the_table_fits(
    people: int,
    rows: int,
    width: int,
    looking: Localizer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from posetalk.cli.people_table import show_people

    monkeypatch.setenv("COLUMNS", str(width))
    one = looking.locate(BOX)
    poses = replace(one.some([0] * people), xy=one.some([0] * people).xy + 1000)
    show_people(poses, looking)
    lines = capsys.readouterr().out.splitlines()
    table = [line for line in lines if "--json" not in line]
    assert max(map(len, table)) <= width
    numbered = [line for line in table if line.strip("│ ").split(" ")[0].isdigit()]
    assert len(numbered) == rows and any("--json" in line for line in lines) == (people == 30)


@pytest.mark.parametrize("engine", ["onnx", "torch"])
def test_a_users_script_says_nothing_of_itself(engine: str) -> None:
    script = (
        "import sys, posetalk\n"
        f"localizer = posetalk.Localizer.from_pretrained('bundled', engine={engine!r})\n"
        f"print(len(localizer.set_image({str(ASTRONAUT)!r}).locate()))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "") and int(done.stdout) >= 1


def test_other_names_of_training_are_known_too(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"keypoints": ["left wrist", "navel"], "synonyms": ["belly button"]}
    (folder / "config.json").write_text(json.dumps(config))
    localizer = Localizer.from_pretrained(folder)
    assert localizer.trained_keypoints == ("left wrist", "navel")
    assert localizer.trained_on(["navel", "belly button", "left heel"]) == (True, True, False)
    with pytest.raises(PosetalkError, match="did you mean belly button"):
        localizer.questions(["bely button"])
    assert localizer.questions(["belly button"])
