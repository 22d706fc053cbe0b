"""Parquet files that hold the images, as `datasets` reads them: data/train-00000.parquet, ..."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from posetalk.errors import need
from posetalk.images.opening import image_bytes
from posetalk.write.samples.sample import Sample

ROWS = 300  # rows of a row group: about a hundred COCO images with three samples each, 16 MB
SHARD = 500_000_000  # bytes of a file before the next is begun; what `datasets` itself writes

Row = dict[str, Any]
_IMAGES = {"_type": "List", "feature": {"_type": "Image"}}


def _text(*names: str) -> Row:
    return {name: {"dtype": "string", "_type": "Value"} for name in names}


# The columns as `datasets` names them, which it looks for in a file's metadata under the key `huggingface`.
FEATURES: dict[Literal["parquet", "finevision"], Row] = {
    "parquet": {
        **_text("id", "kind", "writer"),
        "image_id": {"dtype": "int64", "_type": "Value"},
        "images": _IMAGES,
        "messages": {
            "_type": "List",
            "feature": {**_text("role"), "content": {"_type": "List", "feature": _text("type", "text")}},
        },
    },
    "finevision": {
        "images": _IMAGES,
        "texts": {"_type": "List", "feature": _text("user", "assistant")},
        **_text("source"),
    },
}


def message_row(sample: Sample, path: Path) -> Row:
    """A row for TRL: `messages` whose contents are parts, the image's first; the image itself in `images`.

    Raises PosetalkError when the image cannot be read.
    """
    messages = []
    for number, (question, answer) in enumerate(sample.turns):
        image_part = [{"type": "image"}] if number == 0 else []
        messages += [
            {"role": "user", "content": [*image_part, {"type": "text", "text": question}]},
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        ]
    return {
        "id": sample.id,
        "kind": sample.kind,
        "writer": sample.writer,
        "image_id": sample.image_id,
        "images": [_image(path)],
        "messages": messages,
    }


def finevision_row(sample: Sample, path: Path) -> Row:
    """A row with FineVision's columns, without its ratings, which a model gave: these samples have none."""
    return {
        "images": [_image(path)],
        "texts": [{"user": question, "assistant": answer} for question, answer in sample.turns],
        "source": f"posetalk-{sample.kind}",
    }


def _image(path: Path) -> Row:
    data, kind = _read(path, path.stat().st_mtime_ns if path.is_file() else 0)
    suffix_fits = path.suffix.lower().lstrip(".").replace("jpg", "jpeg") == kind
    return {"bytes": data, "path": path.name if suffix_fits else f"{path.stem}.{kind}"}


@lru_cache(maxsize=1)  # the samples of an image come one after the other
def _read(path: Path, modified_ns: int) -> tuple[bytes, str]:
    return image_bytes(path)


class Shards:
    """The parquet files of one split, written a row group at a time, so that memory does not grow with them.

    An image that is in several rows of a group is stored once, since parquet encodes such columns by dictionary.
    Raises PosetalkError without pyarrow, OSError when the disk refuses.
    """

    def __init__(self, folder: Path, name: str, format: Literal["parquet", "finevision"]) -> None:
        self._arrow, self._parquet = need("pyarrow", "export"), need("pyarrow.parquet", "export")
        features = FEATURES[format]
        metadata = {"huggingface": json.dumps({"info": {"features": features}})}
        fields = [(column, self._type(feature)) for column, feature in features.items()]
        self._schema = self._arrow.schema(fields, metadata=metadata)
        self._folder, self._name = folder, name
        self._rows: list[Row] = []
        self._file: Any = None
        self._writer: Any = None
        self._number = 0

    def write(self, row: Row) -> None:
        self._rows.append(row)
        if len(self._rows) == ROWS:
            self._flush()

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._close_file()

    def _flush(self) -> None:
        if self._writer is None:
            self._folder.mkdir(exist_ok=True)
            path = self._folder / f"{self._name}-{self._number:05d}.parquet"
            self._file = path.open("wb")
            self._writer = self._parquet.ParquetWriter(self._file, self._schema, compression="zstd")
            self._number += 1
        self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
        self._rows.clear()
        if self._file.tell() >= SHARD:
            self._close_file()

    def _close_file(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._file.close()
            self._writer = None

    def _type(self, feature: Row) -> Any:
        """The arrow type of a feature."""
        match feature.get("_type"):
            case "Value":
                return getattr(self._arrow, feature["dtype"])()
            case "Image":
                return self._arrow.struct({"bytes": self._arrow.binary(), "path": self._arrow.string()})
            case "List":
                return self._arrow.list_(self._type(feature["feature"]))
            case _:
                return self._arrow.struct(
                    {name: self._type(subfeature) for name, subfeature in feature.items()}
                )
