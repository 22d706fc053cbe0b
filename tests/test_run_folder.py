"""The folder of a run: one run at a time, and the settings that it is resumed with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from posetalk.cli import main
from posetalk.errors import PosetalkError
from posetalk.lock import only_run
from posetalk.settings import DataSettings, EvaluateSettings, LocateSettings, ModelSettings, TrainSettings

HOLD = "import sys; from posetalk.lock import only_run\nwith only_run(sys.argv[1]): print(flush=True); sys.stdin.read()"


def test_a_second_run_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as first:
        assert first.stdout is not None
        first.stdout.readline()
        with (
            pytest.raises(PosetalkError, match="is in use by another run; wait until it has ended"),
            only_run(tmp_path),
        ):
            pass
        first.kill()
    with only_run(tmp_path):
        pass
    assert not list(tmp_path.iterdir()), "no lock is left behind"


def test_a_file_is_held_beside_itself(tmp_path: Path) -> None:
    answers = tmp_path / "a.jsonl"
    with only_run(answers), only_run(tmp_path / "b.jsonl"):
        with pytest.raises(PosetalkError, match=r"a\.jsonl is in use"), only_run(answers):
            pass
        assert not answers.exists()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("rank, held", [("", True), ("0", True), ("1", False)])
def test_the_first_of_many_processes_holds_the_folder_for_all(
    rank: str, held: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", rank)
    with only_run(tmp_path):
        assert (tmp_path / ".lock").exists() == held


def labels(path: Path) -> Path:
    """A person with two keypoints in a picture that need not be there."""
    keypoints = [30, 20, 2, 40, 22, 2, *[0] * 45]
    person = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "bbox": [10, 10, 60, 80],
        "area": 2000,
        "keypoints": keypoints,
    }
    image = {"id": 1, "file_name": "1.png", "width": 100, "height": 100}
    path.write_text(
        json.dumps({"images": [image], "annotations": [person], "categories": [{"id": 1, "name": "person"}]})
    )
    return path


@pytest.mark.parametrize(
    "command", ["locate", "evaluate", "train", "write", "bench build", "bench run", "tune", "screen"]
)
def test_every_command_with_a_folder_refuses_one_in_use(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    people, photos = labels(tmp_path / "labels.json"), tmp_path / "photos"
    photos.mkdir()
    (photos / "1.png").write_bytes(b"not opened")
    captions = tmp_path / "captions.json"
    captions.write_text(json.dumps({"annotations": [{"image_id": 1, "caption": "a man stands on a hill"}]}))
    samples = tmp_path / "samples.json"
    said = [{"from": "human", "value": "Who?"}, {"from": "gpt", "value": "A man."}]
    samples.write_text(json.dumps([{"id": "1", "image": "1.png", "conversations": said}]))
    given = {
        "locate": [photos, "--out", out],
        "evaluate": ["--annotations", people, "--images", photos, "--out", out],
        "train": ["--preset", "posellm-7b", "--annotations", people, "--images", photos, "--out", out],
        "write": [people, "--captions", captions, "--out", out],
        "bench build": [people, "--out", out],
        "bench run": [people, "--images", photos, "--model", "tiny", "--out", out],
        "tune": [samples, "--images", photos, "--model", "no-model", "--out", out],
        "screen": [samples, out],
    }[command]
    with only_run(out), pytest.raises(SystemExit) as stopped:
        main([*command.split(), *map(str, given)])
    said_in = capsys.readouterr()
    assert stopped.value.code == 2 and f"{out} is in use by another run" in said_in.err + said_in.out
    assert [path.name for path in out.iterdir()] == []


def test_the_same_run_from_another_folder_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "a.json").touch()
    (tmp_path / "model").mkdir()

    def settings(prefix: str, data: str = "data") -> EvaluateSettings:
        return EvaluateSettings(
            model=f"{prefix}model", annotations=f"{prefix}{data}/a.json", images=f"{prefix}{data}"
        )

    monkeypatch.chdir(tmp_path)
    with settings("").claim("out"):
        Path("out/kept").touch()
    for again in (settings("./"), settings(f"{tmp_path}/"), settings("", "link")):
        with again.claim("out"):
            pass
    monkeypatch.chdir(tmp_path / "data")
    with settings("../").claim("../out"):
        pass


@pytest.mark.parametrize(
    "change, said",
    [
        ({"annotations": "other.json"}, "annotations was {0}/a.json and is {0}/other.json"),
        ({"flip_test": True}, "flip_test was False and is True"),
        ({"boxes": "b.json"}, "boxes was not given and is {0}/b.json"),
        ({"model": "me/mine", "last": 7}, "model was bundled and is me/mine; last was not given and is 7"),
        ({"skeleton": "humanart21"}, "skeleton was not given and is humanart21"),
    ],
)
def test_what_differs_is_named_old_and_new(
    change: dict[str, object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = EvaluateSettings(model="bundled", annotations="a.json", images="pictures")
    with before.claim("out"):
        (tmp_path / "out" / "kept").touch()
    text = (tmp_path / "out" / "run.toml").read_bytes()
    with pytest.raises(PosetalkError) as found, before.model_copy(update=change).claim("out"):
        pass
    assert said.format(tmp_path) in str(found.value) and "delete" not in str(found.value)
    assert (tmp_path / "out" / "run.toml").read_bytes() == text


def test_a_path_that_reads_the_same_and_leads_elsewhere_is_another_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = TrainSettings(data=(DataSettings(annotations="a.json", images="."),), start="bundled")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    with settings.claim(tmp_path / "out"):
        (tmp_path / "out" / "kept").touch()
    monkeypatch.chdir(tmp_path / "other")
    with (
        pytest.raises(PosetalkError, match=r"data\.0\.annotations was .*/a\.json and is .*/other/a\.json"),
        settings.claim(tmp_path / "out"),
    ):
        pass


def test_names_of_what_is_built_in_are_no_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("posetalk", "coco17", "bundled", "text"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    model = ModelSettings(vision_encoder="me/tower", language_model="text")
    data = (DataSettings(annotations="a.json", images="i", skeleton="own.toml"),)
    assert ModelSettings()._absolute()[0]["vision_encoder"] == ""
    TrainSettings(data=data, model=model, start="bundled").save("run.toml")
    LocateSettings(model="bundled", keypoints=("chin: below the mouth",)).save("locate.toml")
    found = TrainSettings.load("run.toml")
    assert found.model is not None and found.start == "bundled" and found.model.wording == "posetalk"
    assert (found.model.vision_encoder, found.model.language_model) == ("me/tower", str(tmp_path / "text"))
    assert found.data[0].skeleton == str(tmp_path / "own.toml")
    assert LocateSettings.load("locate.toml").model == "bundled"


def test_a_run_of_which_nothing_came_leaves_the_folder_free(tmp_path: Path) -> None:
    first, other = (LocateSettings(model="bundled", keypoints=(name,)) for name in ("chin", "navel"))
    with pytest.raises(KeyError), first.claim(tmp_path / "out"):
        raise KeyError
    assert not (tmp_path / "out").exists()
    with pytest.raises(KeyError), other.claim(tmp_path / "out"):
        (tmp_path / "out" / "predictions.jsonl").touch()
        raise KeyError
    with (
        pytest.raises(PosetalkError, match=r"keypoints\.0 was navel and is chin"),
        first.claim(tmp_path / "out"),
    ):
        pass


def test_an_evaluation_does_not_count_people_who_were_never_seen(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels, then a picture, changed in their place between two starts."""
    people, photos, out = labels(tmp_path / "labels.json"), tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    Image.new("RGB", (100, 100), "green").save(photos / "1.png")
    words = ["evaluate", "--annotations", people, "--images", photos, "--model", tiny_model, "--out", out]

    def start() -> tuple[int, str]:
        with pytest.raises(SystemExit) as stopped:
            main(list(map(str, words)))
        return int(stopped.value.code or 0), capsys.readouterr().err

    assert start()[0] == 0
    report = (out / "report.json").read_bytes()
    before, photo = people.read_bytes(), (photos / "1.png").read_bytes()
    people.write_bytes(before.replace(b"[10, 10, 60, 80]", b"[12, 10, 58, 80]"))
    status, said = start()
    assert status == 2 and "labels.json changed since the run in" in said
    people.write_bytes(before)
    Image.new("RGB", (100, 100), "blue").save(photos / "1.png")
    status, said = start()
    assert status == 2 and "another image called 1.png" in said
    (photos / "1.png").write_bytes(photo)
    assert start()[0] == 0 and (out / "report.json").read_bytes() == report
