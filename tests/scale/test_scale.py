"""Runs on a real Ray cluster of two nodes on this machine, beside single runs of the same commands."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pyarrow.parquet
import pytest
import ray
import skimage
from benchmarks.lost_nodes import CONCURRENCY, Nodes, answer, asks, lines, nodes
from PIL import Image
from tests.bench.desk import bench
from tests.llm.server import running, said
from tests.scale import work
from tests.write.test_run import words  # noqa: F401  (a fixture)

from posetalk.cli import main
from posetalk.errors import PosetalkError
from posetalk.llm.ledger import Ledger
from posetalk.scale import cluster as of_cluster
from posetalk.scale.cluster import connected
from posetalk.scale.shards import cut, shard_folder, shard_folders

ASTRONAUT = Path(skimage.__path__[0]) / "data" / "astronaut.png"


@pytest.fixture(scope="module")
def two() -> Iterator[Nodes]:
    with nodes() as found:
        ray.init(address=found.address, log_to_driver=False, logging_level=logging.ERROR)
        yield found
        ray.shutdown()


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    with Image.open(ASTRONAUT) as image:
        for n in range(1, 4):
            image.resize((160 + 8 * n, 160)).save(folder / f"{n}.png")
    (folder / "4.png").write_bytes(b"damaged")
    return folder


def run(*given: object) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in given])
    assert stop.value.code in (0, None)


@pytest.mark.usefixtures("two")
def test_labels_of_shards_are_those_of_a_single_run_and_so_is_what_follows(
    photos: Path, tmp_path: Path
) -> None:
    one, many = tmp_path / "one", tmp_path / "many"
    ray_too = ["--ray", "auto", "--shard-size", 2]
    run("label", photos, "--out", one)
    run("label", photos, "--out", many, *ray_too)
    for name in ("labels.json", "predictions.jsonl", "people.jsonl", "keypoints.json", "run.toml"):
        assert (one / name).read_bytes() == (many / name).read_bytes(), name
    assert len(json.loads((one / "labels.json").read_bytes())["annotations"]) >= 3
    run("locate", photos, "--out", many, "--threads", 1)  # the joined folder is that of a single run
    assert (one / "predictions.jsonl").read_bytes() == (many / "predictions.jsonl").read_bytes()

    ids = [image["id"] for image in json.loads((one / "labels.json").read_bytes())["images"]]
    texts = [{"image_id": image_id, "caption": "A woman is smiling and standing."} for image_id in ids]
    (tmp_path / "captions.json").write_text(json.dumps({"annotations": texts}))
    facts = ["facts", one / "labels.json", "--captions", tmp_path / "captions.json", "--json"]
    run(*facts, tmp_path / "one.jsonl")
    run(*facts, tmp_path / "many.jsonl", *ray_too)
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "many.jsonl").read_bytes()
    assert b"captions 1 of 1" in (tmp_path / "many.jsonl").read_bytes()
    assert not (tmp_path / "many.jsonl.run").exists()

    scored = ["evaluate", "--annotations", one / "labels.json", "--images", photos, "--out"]
    run(*scored, tmp_path / "scored")
    run(*scored, tmp_path / "scored-many", *ray_too)
    for name in ("report.json", "predictions.jsonl"):
        assert (tmp_path / "scored" / name).read_bytes() == (tmp_path / "scored-many" / name).read_bytes()


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("joined", [True, False])
def test_the_facts_writers_shards_are_a_single_runs_samples(
    words: list[str],  # noqa: F811
    joined: bool,
    tmp_path: Path,
) -> None:
    one, many = tmp_path / "out", tmp_path / "many"
    run(*words)
    run(*words[:-1], many, "--ray", "auto", "--shard-size", 1, *([] if joined else ["--no-join"]))
    if joined:
        for name in ("samples.jsonl", "rejected.jsonl", "report.html", "run.toml"):
            assert (one / name).read_bytes() == (many / name).read_bytes(), name
    else:
        assert not (many / "samples.jsonl").exists()
        rows = b"".join((shard / "samples.jsonl").read_bytes() for shard in shard_folders(many, 4))
        assert rows == (one / "samples.jsonl").read_bytes()


@pytest.mark.usefixtures("two")
def test_what_any_shard_has_an_answer_to_is_not_asked_again(
    words: list[str],  # noqa: F811
    tmp_path: Path,
) -> None:
    with running(answer) as server:
        asking = asks(server)
        run(*words[:-1], tmp_path / "one", *asking)
        once = server.paid.copy()
        server.paid.clear()
        out = tmp_path / "many"
        run(*words[:-1], out, *asking, "--ray", "auto", "--shard-size", 1)
        assert server.paid == once and lines(tmp_path / "one") == lines(out)
        server.paid.clear()
        in_threes = ["--ray", "auto", "--shard-size", 3, "--parquet"]
        run(*words[:-1], out, *asking, *in_threes)  # requests are in other shards now
        rows = pyarrow.parquet.read_table(out / "parquet").to_pylist()
        assert rows == [json.loads(line) for line in (out / "samples.jsonl").read_bytes().splitlines()]
        run(*words[:-1], out, *asking)  # and in one run
        assert not server.paid and lines(tmp_path / "one") == lines(out)
        (out / "ledger.sqlite").unlink()
        shutil.rmtree(out / "shards" / "000000")
        run(*words[:-1], out, *asking, "--ray", "auto", "--shard-size", 3)
        assert 0 < server.paid.total() < once.total()
        with Ledger(out / "ledger.sqlite") as ledger:
            assert ledger.totals().answers == once.total()


@pytest.mark.usefixtures("two")
def test_a_screen_and_a_benchmark_of_shards_are_those_of_a_single_run(
    words: list[str],  # noqa: F811
    tmp_path: Path,
) -> None:
    ray_too = ["--ray", "auto", "--shard-size", 5]
    run(*words)
    run("export", tmp_path / "out", tmp_path / "llava", "--validation", 0, "--test", 0)
    rows = json.loads((tmp_path / "llava" / "train.json").read_bytes())
    (tmp_path / "published.json").write_text(json.dumps([*rows, *rows[:3]]))  # some are there twice
    for name, more in (("one", []), ("many", ray_too)):
        run("screen", tmp_path / "published.json", tmp_path / name, "--annotations", words[1], *more)
    assert lines(tmp_path / "one") == lines(tmp_path / "many")
    assert b"duplicate" in (tmp_path / "many" / "rejected.jsonl").read_bytes()

    desks = [bench(tmp_path / name) for name in ("desk-one", "desk-many")]
    with running(lambda body, _: said(f"yes, {len(str(body['messages']))}")) as server:
        for desk, more in zip(desks, ([], ray_too), strict=True):
            asked = [
                "--images",
                desk / "photos",
                "--model",
                "m",
                "--base-url",
                server.url,
                "--concurrency",
                4,
            ]
            run("bench", "answer", desk / "bench", *asked, *more)
            run("bench", "answer", desk / "bench", *asked)
        paid = sum(server.paid.values())
    answers = [sorted((desk / "bench/answers/m.jsonl").read_text().splitlines()) for desk in desks]
    assert answers[0] == answers[1] and paid == 2 * len(answers[0]) > 0
    assert not (desks[1] / "bench/answers/m.run").exists()


def test_a_node_that_is_killed_loses_nothing(
    words: list[str],  # noqa: F811
    two: Nodes,
    tmp_path: Path,
) -> None:
    with running(answer) as server:
        asking = asks(server)
        run(*words[:-1], tmp_path / "one", *asking)
        once = server.paid.copy()
        server.paid.clear()
        begun = len(server.seen)

        def kill() -> None:
            while not two.busy() or len(server.seen) < begun + 2:
                time.sleep(0.01)
            two.kill()

        thread = Thread(target=kill)
        thread.start()
        run(*words[:-1], tmp_path / "many", *asking, "--ray", "auto", "--shard-size", 1)
        thread.join()
        two.replace()
        assert lines(tmp_path / "one") == lines(tmp_path / "many") and set(server.paid) == set(once)
        assert server.paid.total() - once.total() <= CONCURRENCY


def test_a_lost_workers_shard_goes_to_another(
    two: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As often as it gets on; one that does not is given up."""
    monkeypatch.setattr(of_cluster, "MAX_LOSSES", 2)
    assert cut(tmp_path, range(5), 2, lambda shard, rows: None) == 3
    with connected("auto") as cluster:
        done = {d.shard.name: d for d in cluster.each(work.count, shard_folders(tmp_path, 3), "facts")}
        assert {name: d.value for name, d in done.items()} == {
            f"00000{n}": ("facts", 1 + 2 * (n == 1)) for n in range(3)
        }
        assert {d.messages for d in done.values()} == {("a word on facts",)}
        with pytest.raises(PosetalkError, match="000000: it is refused; do something else"):
            list(cluster.each(work.refuse, [shard_folder(tmp_path, 0)]))
        with pytest.raises(PosetalkError, match="given up after 2 workers in a row"):
            list(cluster.each(work.die, [shard_folder(tmp_path, 0)]))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["locate", "x", "--workers", "2"], "go with --ray"),
        (["locate", "x", "--ray", "local"], "give --out FOLDER"),
        (["locate", "x", "--out", "o", "--ray", "127.0.0.1:1"], "there is no Ray cluster at 127.0.0.1:1"),
        (["locate", "x", "--out", "o", "--ray", "nowhere"], "there is no Ray cluster at nowhere"),
        (["locate", "x", "--out", "o", "--ray", "local", "--workers", "0"], "--workers 0 does nothing"),
        (["locate", "x", "--ray", "local", "--out", "o", "--draw"], "without --draw"),
        (["facts", "x", "--ray", "local"], "give --json FILE"),
        (["screen", "x", "o", "--ray", "local", "--no-join"], "leave --no-join away"),
        (["screen", "x", "o", "--ray", "local", "--parquet"], "leave it away"),
        (["locate", "x", "--out", "o", "--parquet"], "go with --ray"),
        (
            ["label", "x", "--out", "o", "--ray", "local", "--objects", "d"],
            "--objects and --captioner work on one",
        ),
        (
            ["label", "x", "--out", "o", "--ray", "local", "--captioner", "m"],
            "--objects and --captioner work on one",
        ),
        (
            ["write", "x", "--out", "o", "--ray", "local", "--writer", "batch", "--model", "m"],
            "--writer batch",
        ),
    ],
)
def test_what_does_not_go_together_is_told(
    given: list[str],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(given)
    assert stop.value.code == 2 and says in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
