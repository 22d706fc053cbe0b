"""Parquet files of what a run wrote, one for each shard: the rows of its JSON lines, in typed columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import msgspec

from posetalk.atomic_files import whole_file
from posetalk.errors import need
from posetalk.scale.shards import PARQUET, image_of, lines_of
from posetalk.write.folder import SAMPLES

Table = Literal["predictions", "facts", "samples"]

_ROWS = 1000  # of a row group
_DIGEST = b"posetalk.rows"  # in a file's metadata: the SHA-256 of the lines that it was made of


def table_file(shard: Path, table: Table) -> Path:
    """The parquet file of a shard: OUT/parquet/TABLE-000000.parquet with the shard's number."""
    return shard.parent.parent / PARQUET / f"{table}-{shard.name}.parquet"


def write_table(shard: Path, table: Table, lines: Iterable[bytes]) -> None:
    """Write the rows of a shard into its parquet file. A file that was made of the same lines stays as it is.

    A column has the name and the form of the field; a field that a line lacks is null. The `numbers` of facts become
    lists of `name` and `value`. Without rows there is no file, since `datasets` (5.2) reads none that is empty.

    Args:
        shard: The folder of the shard.
        table: What the rows are.
        lines: Whole lines of JSON, which fit into memory.

    Raises:
        PosetalkError: pyarrow is not installed, or the file cannot be written.
    """
    path, lines = table_file(shard, table), list(lines)
    if not lines:
        path.unlink(missing_ok=True)
        return
    arrow, parquet = need("pyarrow", "scale"), need("pyarrow.parquet", "scale")
    digest = sha256(b"".join(lines)).hexdigest().encode()
    schema = arrow.schema(_columns(arrow)[table], metadata={_DIGEST: digest})
    if path.exists() and _is_of(path, schema, parquet):
        return
    decoder = msgspec.json.Decoder()
    with whole_file(path) as part, parquet.ParquetWriter(part, schema, compression="zstd") as file:
        for begin in range(0, len(lines), _ROWS):
            rows = [_row(decoder.decode(line), table) for line in lines[begin : begin + _ROWS]]
            file.write_table(arrow.Table.from_pylist(rows, schema=schema))


def write_sample_tables(out: Path, shards: Iterable[Path], ids_of: Callable[[Path], Sequence[int]]) -> None:
    """Write the samples of OUT/samples.jsonl, which the shards were joined into, as the files of their shards."""
    lines = lines_of([out], SAMPLES)
    line = next(lines, None)
    for shard in shards:
        ids, own = set(ids_of(shard)), list[bytes]()
        while line is not None and image_of(line) in ids:
            own.append(line)
            line = next(lines, None)
        write_table(shard, "samples", own)


def _is_of(path: Path, schema: Any, parquet: Any) -> bool:
    """Whether a file has the columns and is of the lines of a schema."""
    try:
        found = parquet.read_schema(path)
    except (OSError, ValueError):  # ValueError: of Arrow, the file is damaged
        return False
    return bool(found.equals(schema)) and found.metadata == schema.metadata


def _row(row: dict[str, Any], table: Table) -> dict[str, Any]:
    if table == "facts":
        for facts in (row["facts"], *(person["facts"] for person in row["people"])):
            for fact in facts:
                fact["numbers"] = [{"name": name, "value": value} for name, value in fact["numbers"].items()]
    return row


def _columns(arrow: Any) -> dict[Table, list[tuple[str, Any]]]:
    """The columns of each table, as the writers of the lines have them."""
    text, whole, number, yes = arrow.string(), arrow.int64(), arrow.float64(), arrow.bool_()
    many, record = arrow.list_, arrow.struct
    facts = many(
        record(
            [
                ("of", text),
                ("says", text),
                ("holds", yes),
                ("numbers", many(record([("name", text), ("value", number)]))),
                ("evidence", many(text)),
            ]
        )
    )
    return {
        "predictions": [
            ("image_id", whole),
            ("person_id", whole),
            ("file_name", text),
            ("box", many(number)),
            ("box_source", text),
            ("names", many(text)),
            ("keypoints", many(many(number))),
            ("std", many(many(number))),
            ("box_score", number),
            ("score", number),
            ("visible", many(yes)),
            ("double", yes),
        ],
        "facts": [
            ("image_id", whole),
            ("people", many(record([("name", text), ("box", many(number)), ("facts", facts)]))),
            ("others", whole),
            ("facts", facts),
        ],
        "samples": [
            ("id", text),
            ("image_id", whole),
            ("image", text),
            ("kind", text),
            ("writer", text),
            ("turns", many(many(text))),
        ],
    }
