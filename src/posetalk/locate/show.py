"""`posetalk locate`: one photo or many, on the screen, as JSON and as pictures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PIL import Image
from rich.progress import track
from rich.table import Table

from posetalk.crop.image import read_image
from posetalk.draw import draw_pose
from posetalk.errors import PosetalkError, shown
from posetalk.locate.localizer import Localizer
from posetalk.locate.predictions import Prediction
from posetalk.locate.sweep import expand, photo_jobs, sweep, write_results
from posetalk.settings import LocateSettings
from posetalk.skeleton import Keypoint

Limbs = Sequence[tuple[int, int]]


def locate_one(
    localizer: Localizer,
    photo: Path,
    boxes: Sequence[Sequence[float]] | None,
    points: Sequence[Keypoint],
    limbs: Limbs,
    *,
    json_out: Path | None,
    drawn: Path | None,
) -> Table:
    """A table; writes `json_out` (image, people: box, keypoints) and `drawn` where they are given."""
    found = localizer.set_image(photo).locate(boxes, points)
    people = found.to_dicts()
    if json_out:
        text = json.dumps({"image": photo.name, "people": people}, indent=1) + "\n"
        _write(json_out, lambda path: path.write_text(text, encoding="utf-8"))
    if drawn:
        picture = Image.fromarray(draw_pose(localizer.image, found, limbs))
        _write(drawn, picture.save)
    seen = found.visible is not None
    table = Table("person", "keypoint", "x px", "y px", "score", *(["visible"] if seen else []))
    for number, person in enumerate(people, 1):
        for p in person["keypoints"]:
            row = [str(number), shown(p["name"]), f"{p['x']:.1f}", f"{p['y']:.1f}", f"{p['score']:.2f}"]
            table.add_row(*row, *(["yes" if p["visible"] else "no"] if seen else []))
    return table


def locate_many(
    localizer: Callable[[], Localizer],
    settings: LocateSettings,
    given: Sequence[Path],
    points: Sequence[Keypoint],
    limbs: Limbs,
    out: Path,
    drawn: Path | None,
) -> None:
    """Write predictions.jsonl and keypoints.json (COCO results) into `out`, and pictures into `drawn`."""
    photos = expand(given)
    twice = sorted({p.name for p in photos if [q.name for q in photos].count(p.name) > 1})
    if twice:
        raise PosetalkError(f"two photos are called {twice[0]}; results are kept by file name: rename one")
    settings.claim(out)
    bar = partial(track, description="locating")
    predictions, skipped = sweep(
        localizer(), photo_jobs(photos), points, out / "predictions.jsonl", track=bar
    )
    write_results(predictions, out / "keypoints.json")
    if drawn:
        _draw(photos, predictions, limbs, drawn)
    for sentence in skipped:
        print(sentence)
    print(
        f"{len(predictions)} people in {out / 'keypoints.json'} and predictions.jsonl; {len(skipped)} skipped"
    )


def _draw(photos: Sequence[Path], predictions: Sequence[Prediction], limbs: Limbs, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PosetalkError(f"cannot write to {folder}: {error.strerror}; choose another folder") from None
    by_name = {p.file_name: p for p in predictions}
    for photo in photos:
        if p := by_name.get(photo.name):
            drawn = draw_pose(read_image(photo), p.to_keypoints(), limbs)
            Image.fromarray(drawn).save(folder / f"{photo.stem}.png")


def _write(path: Path, write: Callable[[Path], object]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    except (OSError, ValueError) as error:  # ValueError: a suffix that is no picture's
        reason = getattr(error, "strerror", None) or error
        raise PosetalkError(f"cannot write {path}: {reason}; choose another place") from None
