"""The parquet files of shards hold the rows of the JSON lines, as `datasets`, pandas and pyarrow read them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pandas
import pyarrow.parquet
import pytest
import ray
from tests.scale.test_scale import photos, run  # noqa: F401  (photos: a fixture)
from tests.write.test_run import words  # noqa: F401  (a fixture)

from posetalk.scale import parquet
from posetalk.scale.parquet import table_file, write_sample_tables, write_table
from posetalk.scale.shards import cut, remove_from, shard_folder, shard_folders

RAY = ["--ray", "local", "--parquet", "--workers", 1, "--shard-size"]


@pytest.fixture(scope="module")
def here() -> Iterator[None]:
    ray.init(address="local", num_cpus=1, include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False,
             logging_level=logging.ERROR)  # fmt: skip
    yield
    ray.shutdown()


def read(folder: Path, cache: Path) -> list[dict[str, Any]]:
    """The rows of a folder of parquet files, which all readers agree on."""
    rows = pyarrow.parquet.read_table(folder).to_pylist()
    found = datasets.load_dataset(
        "parquet", data_files=str(folder / "*.parquet"), split="train", cache_dir=str(cache)
    )
    assert found.to_list() == rows
    assert len(pandas.read_parquet(folder)) == len(rows)
    return rows


def json_rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def with_dicts(facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [fact | {"numbers": {n["name"]: n["value"] for n in fact["numbers"]}} for fact in facts]


@pytest.mark.usefixtures("here")
def test_people_and_facts_are_the_rows_of_their_lines(
    photos: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    run("label", photos, "--out", out, *RAY, 2)
    rows = read(out / "parquet", tmp_path / "cache")
    assert [row.pop("double") for row in rows].count(None) == len(rows) >= 3
    assert rows == json_rows(out / "predictions.jsonl")

    run("facts", out / "labels.json", "--json", tmp_path / "facts.jsonl", *RAY, 1)
    folder = tmp_path / "facts.jsonl.run"
    assert [path.name for path in folder.iterdir()] == ["parquet"]
    assert len(list((folder / "parquet").iterdir())) == 3
    rows = read(folder / "parquet", tmp_path / "cache")
    for row in rows:
        row["facts"] = with_dicts(row["facts"])
        for person in row["people"]:
            person["facts"] = with_dicts(person["facts"])
    assert rows == json_rows(tmp_path / "facts.jsonl")
    assert any(fact["numbers"] for row in rows for person in row["people"] for fact in person["facts"])


@pytest.mark.usefixtures("here")
def test_samples_are_those_of_the_joined_file_or_of_the_shards(
    words: list[str],  # noqa: F811
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    run(*words, *RAY, 3)
    joined = read(out / "parquet", tmp_path / "cache")
    assert joined == json_rows(out / "samples.jsonl")
    ids = {
        row["image_id"]
        for row in pyarrow.parquet.read_table(out / "parquet/samples-000001.parquet").to_pylist()
    }
    assert ids == {4}
    run(*words, *RAY, 2, "--no-join")
    rows = read(out / "parquet", tmp_path / "cache")
    assert rows == [row for shard in shard_folders(out, 2) for row in json_rows(shard / "samples.jsonl")]


LINES = [
    json.dumps({"id": str(n), "image_id": n, "image": "ä.jpg", "kind": "detail", "writer": "m", "turns": [["?", "!"]]})
    .encode() + b"\n"
    for n in range(5)
]  # fmt: skip


def test_only_what_changed_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "_ROWS", 2)
    shard = shard_folder(tmp_path, 3)
    path = table_file(shard, "samples")
    assert path == tmp_path / "parquet" / "samples-000003.parquet"

    def write(lines: list[bytes]) -> int:
        write_table(shard, "samples", lines)
        assert pyarrow.parquet.read_table(path).to_pylist() == [json.loads(line) for line in lines]
        assert [file.name for file in path.parent.iterdir()] == [path.name]
        return path.stat().st_ino

    first = write(LINES)
    assert pyarrow.parquet.ParquetFile(path).num_row_groups == 3
    assert write(LINES) == first
    second = write(LINES[:4])
    assert second != first
    path.write_bytes(path.read_bytes()[:-9])  # damaged
    assert write(LINES[:4]) != second
    write_table(shard, "samples", [])
    assert not path.exists()


def test_files_of_shards_that_are_gone_are_removed(tmp_path: Path) -> None:
    count = cut(tmp_path, LINES, 2, lambda shard, lines: write_table(shard, "samples", lines))
    (tmp_path / "parquet" / "mine.parquet").touch()
    remove_from(tmp_path, count - 1)
    names = sorted(path.name for path in (tmp_path / "parquet").iterdir())
    assert names == ["mine.parquet", "samples-000000.parquet", "samples-000001.parquet"]


def test_joined_samples_go_to_the_shards_of_their_images(tmp_path: Path) -> None:
    (tmp_path / "samples.jsonl").write_bytes(b"".join(LINES[:2] + LINES[3:]))
    ids = {"000000": [0, 1], "000001": [2], "000002": [3, 4]}
    write_sample_tables(tmp_path, shard_folders(tmp_path, 3), lambda shard: ids[shard.name])
    found = {
        path.stem: pyarrow.parquet.read_table(path)["image_id"].to_pylist()
        for path in (tmp_path / "parquet").iterdir()
    }
    assert found == {"samples-000000": [0, 1], "samples-000002": [3, 4]}
