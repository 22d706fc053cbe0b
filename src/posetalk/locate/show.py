"""`posetalk locate`: one photo or many, on the screen, as JSON and as pictures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from PIL import Image
from rich.progress import track
from rich.table import Table

from posetalk.atomic_files import whole_file
from posetalk.draw import draw_pose
from posetalk.errors import PosetalkError, shown
from posetalk.images.opening import read_image
from posetalk.locate.image_files import ImageFile, find_images
from posetalk.locate.jobs import image_jobs, run_jobs, write_results
from posetalk.locate.localizer import Localizer
from posetalk.locate.predictions import Prediction, readable
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
    """A table; writes `json_out` (image, people: box, keypoints) and `drawn` where they are given.

    Errors: those of `Localizer`; a file that cannot be written, or is the photo itself.
    """
    if json_out and drawn and json_out.absolute() == drawn.absolute():
        raise PosetalkError(f"{drawn} is given for the answer and for the drawing; choose two places")
    for path in (json_out, drawn):
        if path and _same_file(path, photo):
            raise PosetalkError(f"{path} is the photo itself and would be lost; choose another place")
    found = localizer.set_image(photo).locate(boxes, points)
    people = found.to_dicts()
    if json_out:
        (one,) = find_images([photo]).photos
        text = json.dumps({"image": one.key, "people": people}, indent=1) + "\n"
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
    """Write predictions.jsonl and keypoints.json (COCO results) into `out`, and pictures into `drawn`.

    Errors: no photo; nothing could be located; another run's folder; drawings in the place of photos.
    """
    if drawn and any(_same_file(drawn, path) for path in given):
        raise PosetalkError(
            f"the drawings in {drawn} would be the next run's photos; choose another folder for --draw"
        )
    found = find_images(given, [out, *([drawn] if drawn else [])])
    pictures = _drawings(found.photos, drawn) if drawn else {}
    if found.passed:
        print(found.passed)
    sigmas = " ".join(f"{point.sigma:g}" for point in points)  # which scores hang on
    with settings.claim(out, also={"sigma of the keypoints": sigmas}):
        model = localizer()
        model.questions(points)
        predictions, told = run_jobs(
            model,
            partial(image_jobs, found.photos),
            points,
            out / "predictions.jsonl",
            track=partial(track, description="locating"),
        )
        if unclear := sorted({p.file_name for p in predictions} & found.shared):
            told.append(
                f"left out of keypoints.json: {unclear[0]}{' and others' * (len(unclear) > 1)} of an earlier run; "
                "several photos are called so now, and each has its own answer"
            )
            predictions = [p for p in predictions if p.file_name not in unclear]
        write_results(predictions, out / "keypoints.json")
        told += _draw(found.photos, predictions, limbs, pictures)
        done = f"{len(predictions)} people in {out / 'keypoints.json'} and predictions.jsonl; {len(told)} skipped"
        for sentence in (*told, done):
            print(readable(sentence))


def _drawings(photos: Sequence[ImageFile], folder: Path) -> dict[str, Path]:
    """Where each photo is drawn, by key: sub/7.jpg to sub/7.png, or sub/7.jpg.png where two would be drawn there.

    Errors: a drawing would take the place of a photo.
    """
    short = [str(Path(photo.key).with_suffix(".png")) for photo in photos]
    count = Counter(name.lower() for name in short)
    used, found = set[str](), {}
    beside = {parent.resolve() for parent in {photo.path.parent for photo in photos}}
    places = {(folder / name).parent for name in short}
    if taken := beside & {place.resolve() for place in places}:
        raise PosetalkError(
            f"drawings in {min(taken)} would lie among the photos, where one would take a photo's place; choose "
            "another folder for --draw"
        )
    for photo, name in zip(photos, short, strict=True):
        if count[name.lower()] > 1:
            name = photo.key + ".png"
        while name.lower() in used:
            name += ".png"
        used.add(name.lower())
        found[photo.key] = folder / name
    return found


def _draw(
    photos: Sequence[ImageFile], predictions: Sequence[Prediction], limbs: Limbs, pictures: Mapping[str, Path]
) -> list[str]:
    """Write the drawings; a sentence for each that could not be made."""
    told: list[str] = []
    by_key = {p.file_name: p for p in predictions}
    for photo in photos if pictures else ():
        if p := by_key.get(photo.key):
            try:
                picture = Image.fromarray(draw_pose(read_image(photo.path), p.to_keypoints(), limbs))
                _write(pictures[photo.key], picture.save)
            except PosetalkError as error:
                told.append(readable(f"not drawn: {error}"))
    return told


def _same_file(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except OSError:  # one of them is not there
        return False


def _write(path: Path, write: Callable[[Path], object]) -> None:
    with whole_file(path) as part:
        try:
            write(part)
        except ValueError as error:  # a suffix that is no picture's
            raise PosetalkError(f"cannot write {path}: {error}; choose another place") from None
