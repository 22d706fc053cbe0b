"""A folder goes to the hub whole, or not at all: what a run keeps for itself stays here, and so do keys and paths."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants
from PIL import Image
from tests.bench.people import question
from tests.hub.hub import Hub, faults_of, hub

import posetalk
from posetalk.bench.report.export import export_lmms
from posetalk.cli import main
from posetalk.errors import PosetalkError
from posetalk.hub.card import model_data, save_card
from posetalk.hub.push import push_to_hub, upload_of
from posetalk.write.samples.export import export_dataset
from posetalk.write.samples.sample import Sample

BUNDLED = Path(posetalk.__file__).parent / "bundled"
TOKEN = "hf_" + "a1B2" * 8


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub() as made:
        monkeypatch.setattr(constants, "ENDPOINT", made.url)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield made


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """As `train` leaves one."""
    folder = tmp_path / "model"
    (folder / "checkpoints" / "checkpoint-1").mkdir(parents=True)
    (folder / "checkpoints" / "checkpoint-1" / "optimizer.pt").write_bytes(b"\0" * 50)
    for name in ("run.toml", "log.jsonl", "pictures.json"):
        (folder / name).write_text(f'annotations = "{tmp_path}/people.json"')
    (folder / ".lock").touch()
    (folder / "config.json").write_text('{"model_type": "posellm"}')
    (folder / "tokenizer.json").write_text('{"model": {"vocab": {"/home/of/words": 1}}}')
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 20)
    (folder / "odd [1].json").write_text("{}")
    save_card(folder, model_data("facebook/dinov2-small"), ["# Model card"])
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """As `export` leaves one."""
    said = (("What is it?", "This, and/or that."),)
    lines = [Sample(f"{i}-detail", i, f"{i}.jpg", "detail", said, "facts").line() for i in range(9)]
    (tmp_path / "samples.jsonl").write_text("".join(lines))
    export_dataset(tmp_path / "samples.jsonl", tmp_path / "data", "llava")
    return tmp_path / "data"


PARTS = {"README.md", "config.json", "tokenizer.json", "model.safetensors", "odd [1].json"}


def test_a_model_goes_up_without_what_its_run_keeps(
    model: Path, there: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["push", str(model), "me/poses", "--private"])
    said = capsys.readouterr()
    assert stop.value.code == 0, said.err
    assert there.repos["me/poses"]["visibility"] == "private" and there.repos["me/poses"]["type"] == "model"
    assert there.files == {name: (model / name).read_bytes() for name in PARTS}
    assert there.tokens - {None} == {f"Bearer {TOKEN}"} and TOKEN not in said.out + said.err
    assert "model.safetensors (5,120 bytes)" in said.out and f"{there.url}/me/poses" in said.out
    assert "left out: .lock, checkpoints, log.jsonl, pictures.json, run.toml" in said.out


def test_a_data_set_goes_up(data: Path, there: Hub) -> None:
    assert push_to_hub(data, "me/talk") == f"{there.url}/datasets/me/talk"
    assert (
        there.files == {path.name: path.read_bytes() for path in data.iterdir()}
        and "train.json" in there.files
    )
    assert there.repos["me/talk"]["type"] == "dataset" and "visibility" not in there.repos["me/talk"]


def test_the_questions_of_a_benchmark_go_up_without_their_paths(tmp_path: Path, there: Hub) -> None:
    Image.new("RGB", (6, 5)).save(tmp_path / "a.jpg")
    export_lmms([question("a", image="a.jpg")], tmp_path, tmp_path / "task")
    push_to_hub(tmp_path / "task", "me/asked")
    assert set(there.files) == {"README.md", "questions.jsonl"}
    assert not any(str(tmp_path).encode() in content for content in there.files.values())


def test_large_files_go_to_their_storage(model: Path, there: Hub) -> None:
    """In a process of its own, without the storage protocol that only the hub itself speaks."""
    there.large = 1000
    words = [sys.executable, "-m", "posetalk", "push", str(model), "me/poses"]
    env = {**os.environ, "HF_ENDPOINT": there.url, "HF_HUB_DISABLE_XET": "1", "HF_TOKEN": TOKEN}
    done = subprocess.run(words, env=env, capture_output=True, text=True)
    assert done.returncode == 0 and TOKEN not in done.stdout + done.stderr, done.stderr
    assert there.files == {name: (model / name).read_bytes() for name in PARTS}
    assert list(there.stored.values()) == [there.files["model.safetensors"]]


@pytest.mark.parametrize(
    ("part", "status", "sentence"),
    [
        ("/repos/create", 401, "does not know who asks; run `hf auth login`, or set HF_TOKEN"),
        ("/api/", 403, "you may not write to me/poses"),
        ("/commit/", 403, "you may not write to me/poses"),
        ("/repos/create", 404, "has no user or organisation for me/poses"),
        ("/preupload/", 404, "has no user or organisation for me/poses"),
        ("/repos/create", 418, "answers with 418: no; run the same command again later"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(
    part: str, status: int, sentence: str, model: Path, there: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    there.refuse[part] = status
    with pytest.raises(SystemExit) as stop:
        main(["push", str(model), "me/poses"])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and sentence in said and said.count("\n") == 1 and TOKEN not in said
    assert not there.files


def test_a_hub_that_cannot_be_reached(model: Path, there: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as here:
        here.setattr(constants, "HF_HUB_OFFLINE", True)
        with pytest.raises(PosetalkError, match=r"cannot reach the hub http://127.*HF_HUB_OFFLINE"):
            push_to_hub(model, "me/poses")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(
        PosetalkError, match=r"cannot reach the hub http://127\.0\.0\.1:9 .*look at the network"
    ):
        push_to_hub(model, "me/poses")


def test_what_is_to_be_private_is_not_put_where_all_see_it(model: Path, there: Hub) -> None:
    there.public.add("me/poses")
    with pytest.raises(PosetalkError, match="me/poses is there already and is public"):
        push_to_hub(model, "me/poses", private=True)
    assert not there.files
    push_to_hub(model, "me/poses")
    assert set(there.files) == PARTS


@pytest.mark.parametrize("name", ["a/b/c", "me/po ses", "", "-"])
def test_a_name_that_is_none(name: str, model: Path, there: Hub) -> None:
    with pytest.raises(PosetalkError, match="is no name on a hub; give user/name"):
        push_to_hub(model, name)
    assert not there.repos


def test_a_card_that_the_hub_does_not_take(model: Path, there: Hub) -> None:
    save_card(model, model_data(pipeline_tag="no-such-task"), ["# Model card"])
    with pytest.raises(PosetalkError, match=r"does not take this: Invalid metadata in README\.md"):
        push_to_hub(model, "me/poses")
    assert not there.files


def put(name: str, content: str | bytes = "{}") -> Callable[[Path], Any]:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return change


def gone(name: str) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).unlink()


FAR = "x" * (2**20 - 20)  # so that what follows lies on the border of what is read at once


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (put("ledger.sqlite"), r"ledger\.sqlite is a ledger"),
        (put("checkpoints/ledger.sqlite-wal"), "is a ledger"),
        (put("model.safetensors.part"), "is unfinished; let the run end"),
        (put("data.part/train.json"), "is unfinished"),
        (put("more.json", f'{{"key": "{TOKEN}"}}'), r"more\.json holds a key or token"),
        (put("more.toml", "key = 'sk-proj-" + "a1" * 20 + "'"), "holds a key or token"),
        (put("more.txt", "the secret of this process: mine-is-long-enough"), "holds a key or token"),
        (put("more.json", f'"{FAR}{TOKEN}"'), "holds a key or token"),
        (
            put("config.json", '{"vision": "/home/me/dinov2"}'),
            r"config\.json names /home/me/dinov2, a place of one",
        ),
        (
            put("config.json", '{"vision": "C:\\\\Users\\\\me\\\\dinov2"}'),
            r"names C:.*Users.*me.*, a place of one",
        ),
        (put("notes.md", "It lies in /mnt/disk/models."), "names /mnt/disk/models"),
        (put("more.json", f'"{FAR}", "/mnt/disk/models"'), "names /mnt/disk/mod"),
        (lambda folder: (folder / "more.json").symlink_to("/etc/passwd"), "is a link to another place"),
        (gone("model.safetensors"), "a model's configuration and no weights"),
        (gone("README.md"), r"has no card \(README\.md\)"),
        (gone("config.json"), "is neither a model nor an exported data set"),
    ],
)
def test_a_folder_that_is_not_for_others(
    change: Callable[[Path], Any], sentence: str, model: Path, there: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "mine-is-long-enough")
    change(model)
    with pytest.raises(PosetalkError, match=sentence) as error:
        push_to_hub(model, "me/poses")
    assert TOKEN not in str(error.value) and not there.repos and not there.files


@pytest.mark.parametrize(
    "text",
    [
        "and/or, 1/2/3, https://hub.example/a/b, s/he/they",
        "Option A:\\nThe man. <image>\\nWhat?",
        "skip-hf_a, task-force-one",
        "a /nowhere-at-all/of/this/machine",
        "'/only-one'",
    ],
)
def test_words_that_are_neither_paths_nor_keys(text: str, model: Path) -> None:
    (model / "more.json").write_text(json.dumps(text))
    assert "more.json" in upload_of(model).files


def test_a_folder_without_anything(tmp_path: Path) -> None:
    with pytest.raises(PosetalkError, match="there is no folder"):
        upload_of(tmp_path / "none")
    with pytest.raises(PosetalkError, match="is neither a model nor an exported data set"):
        upload_of(tmp_path)


def test_swift_with_whole_paths_is_refused(tmp_path: Path, data: Path) -> None:
    Image.new("RGB", (6, 5)).save(tmp_path / "0.jpg")
    export_dataset(tmp_path / "samples.jsonl", tmp_path / "swift", "swift", images=tmp_path)
    with pytest.raises(PosetalkError, match=r"\.jsonl names .*\.jpg, a place of one machine"):
        upload_of(tmp_path / "swift")


def test_the_bundled_model_could_go_up() -> None:
    found = upload_of(BUNDLED)
    assert found.kind == "model" and not found.left_out and "model.safetensors" in found.files
    assert faults_of((BUNDLED / "README.md").read_text(), "model") == []
