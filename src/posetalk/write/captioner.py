"""Captions of photos by a model on a server that sees them, one a photo."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posetalk.atomic_files import write_text
from posetalk.errors import PosetalkError
from posetalk.formats.files import decode_file
from posetalk.llm.client import ServerSettings
from posetalk.llm.fault import Fault, Rejected
from posetalk.llm.ledger import Ledger
from posetalk.llm.pricing import Price
from posetalk.llm.request import ChatRequest, ImagePart, Turns
from posetalk.llm.request_state import RunReport, results
from posetalk.llm.runner import generate
from posetalk.llm.spoken import spoken
from posetalk.locate.label import CAPTIONS, LABELS

LEDGER = "captions.sqlite"
SIDE = 1024  # px, the longest side of a photo that is sent
MOST_WORDS, MAX_TOKENS = 60, 200
ASK = (
    "Write a caption for this photo, one plain English sentence: who is in it, what they do, with which things, and "
    "where. Say only what can be seen. Do not guess names, feelings or what happens outside the photo. Reply with the "
    "sentence alone."
)
_LABEL = re.compile(r"^\W*caption\W*:\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CaptionedImages:
    """What `caption_images` wrote.

    Attributes:
        captions: The number of captions in captions.json, people's and the model's.
        written: How many of them the model wrote.
        run_report: What became of the requests, with tokens and cost.
        skipped: A sentence for each photo that cannot be read.
    """

    captions: int
    written: int
    run_report: RunReport
    skipped: tuple[str, ...]


def caption_images(
    folder: str | Path, paths: Mapping[int, Path], server: ServerSettings, price: Price | None = None
) -> CaptionedImages:
    """Have a model on a server caption the photos of a folder of `label_images` that people wrote nothing about.

    The captions go into captions.json; those of the model have its name as `model`, and `info` says that there are
    such. The ledger captions.sqlite keeps every answer, so that none is paid twice.

    Args:
        folder: The folder, with labels.json.
        paths: The file of each image by its id, as `LabelledImages.paths`.
        server: The server and the model, which must take images.
        price: What the model costs; needed where `server.max_cost_usd` is set.

    Raises:
        PosetalkError: The folder has no labels; the server refuses the key or the model or cannot be reached. What was
            answered is kept.
    """
    folder = Path(folder)
    rows = decode_file(folder / LABELS, dict[str, Any], "labels of `posetalk label`").get("images") or []
    people, own = _captions(folder / CAPTIONS)
    written_about = {record["image_id"] for record in people}
    skipped: list[str] = []
    requests = list(
        _requests(
            [row for row in rows if row["id"] not in written_about and row["id"] in paths], paths, skipped
        )
    )
    with Ledger(folder / LEDGER, [folder / CAPTIONS] if own else []) as ledger:
        try:
            report = generate(requests, ledger, server, accept, price, len(requests))
        finally:
            said = [
                {"image_id": request.image_id, "caption": outcome.turns[0][1], "model": server.model}
                for request, outcome in results(requests, ledger, server, accept)
                if outcome.turns
            ]
            records = [record | {"id": number} for number, record in enumerate([*people, *said], 1)]
            if records:
                info = {"predicted": bool(said)} | ({"model": server.model} if said else {})
                content = {"info": info, "images": rows, "annotations": records}
                write_text(folder / CAPTIONS, json.dumps(content, ensure_ascii=False))
    return CaptionedImages(len(records), len(said), report, tuple(skipped))


def _captions(path: Path) -> tuple[list[dict[str, Any]], bool]:
    """The records that people wrote, and whether there are some of a model."""
    if not path.exists():
        return [], False
    records = decode_file(path, dict[str, Any], "captions of `posetalk label`").get("annotations") or []
    people = [record for record in records if "model" not in record]
    return people, len(people) < len(records)


def _requests(
    rows: list[dict[str, Any]], paths: Mapping[int, Path], skipped: list[str]
) -> Iterator[ChatRequest]:
    for row in rows:
        try:
            part = ImagePart.of(paths[row["id"]], SIDE)
        except PosetalkError as error:
            skipped.append(f"nothing is asked about {row['file_name']}: {error}")
            continue
        messages = ({"role": "user", "content": ASK},)
        yield ChatRequest(
            f"{row['id']}-caption", row["id"], row["file_name"], "caption", messages, {}, MAX_TOKENS, part
        )


def accept(request: ChatRequest, reply: str) -> Turns:
    """The caption in a reply: its text without quotation marks and a leading "Caption:".

    Returns:
        One pair: the name of the image, and the caption.

    Raises:
        Rejected: It is empty, or longer than a caption.
    """
    text = _LABEL.sub("", " ".join(spoken(reply).split())).strip(" \"'*`")
    words = len(text.split())
    if words < 3:
        raise Rejected((Fault("unreadable", "it holds no caption"),))
    if words > MOST_WORDS:
        raise Rejected((Fault("length", f"it has {words} words; one sentence was asked for"),))
    return ((request.image, text),)
