"""Images that are not the ones that were labelled, and files that are none of the formats that are opened."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from posetalk.errors import PosetalkError
from posetalk.images import opening as pictures
from posetalk.images.fit import drop_misfits, image_notes, image_sizes, misfit, shape_notes
from posetalk.images.opening import image_bytes, read_image, readable_formats, upright_size
from posetalk.types import Box, Person, PoseImage, PoseSet, frozen_array


def photo(path: Path, width: int, height: int, turn: int | None = None, form: str | None = None) -> Path:
    exif = Image.Exif()
    if turn:
        exif[0x0112] = turn
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)
    Image.fromarray(noise).save(path, form, **({"exif": exif} if turn else {}))
    return path


def labelled(
    path: Path, number: int = 1, size: tuple[int, int] | None = (64, 48), far: float = 0
) -> PoseImage:
    points = np.array([[10 + i, 8 + 2 * i] for i in range(17)]) + far
    person = Person(1, Box(5, 5, 30, 40), frozen_array(points), frozen_array(np.full(17, 2)), 600)
    return PoseImage(number, path, *(size or (None, None)), (person,))


SIZES = {  # width, height and orientation of the file -> what is said; whether it is a copy
    "as labelled": (64, 48, None, None, True),
    "turned and turned back": (48, 64, 6, None, True),
    "upside down": (64, 48, 3, None, True),
    "a pixel of rounding": (63, 48, None, None, True),
    "turned by EXIF": (64, 48, 6, "the upright image is 48 x 64; it was turned since", False),
    "turned": (48, 64, None, "the upright image is 48 x 64; it was turned since", False),
    "half as large": (32, 24, None, "labels say 64 x 48, the upright image is 32 x 24", True),
    "twice as large": (128, 96, None, "the upright image is 128 x 96", True),
    "cut": (64, 30, None, "the upright image is 64 x 30", False),
}


@pytest.mark.parametrize("form", ["png", "jpg", "webp"])
@pytest.mark.parametrize(("width", "height", "turn", "says", "copy"), SIZES.values(), ids=SIZES)
def test_an_image_is_held_against_its_labels(
    width: int, height: int, turn: int | None, says: str | None, copy: bool, form: str, tmp_path: Path
) -> None:
    image = labelled(photo(tmp_path / f"a.{form}", width, height, turn))
    assert upright_size(image.path) == read_image(image.path).shape[1::-1]
    fault = misfit(image)
    assert (fault is None) == (says is None) and (says or "") in (fault or "")
    assert (misfit(image, any_size=True) is None) == copy
    assert len(shape_notes([image] * 3)) == (not copy)


def test_without_a_size_keypoints_must_lie_in_the_image(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.png", 64, 48)
    assert misfit(labelled(path, size=None)) is None
    assert "17 of 17 labelled keypoints lie outside the upright image, which is 64 x 48" in str(
        misfit(labelled(path, size=None, far=100))
    )
    assert misfit(labelled(path, size=None, far=100), any_size=True) is None  # it may be a small copy


def test_what_cannot_be_opened_is_not_judged(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("gone.jpg", "text.jpg"):
        assert misfit(labelled(tmp_path / name)) is None


def data(tmp_path: Path, good: int, bad: int, size: tuple[int, int] | None = (64, 48)) -> PoseSet:
    wide, high = photo(tmp_path / "a.png", 64, 48), photo(tmp_path / "b.png", 48, 64)
    images = [labelled(wide, i, size) for i in range(good)]
    images += [labelled(high, good + i, size, 0 if size else 100) for i in range(bad)]
    return PoseSet("coco", tmp_path / "labels.json", ("nose",) * 17, tuple(images), ("before",))


@pytest.mark.parametrize(("good", "bad"), [(5, 0), (5, 1), (3, 3)])
def test_some_that_do_not_fit_are_left_out_and_told(good: int, bad: int, tmp_path: Path) -> None:
    found = drop_misfits(data(tmp_path, good, bad))
    assert [image.path.name for image in found.images] == ["a.png"] * good
    assert len(found.skipped) == 1 + bad
    assert all("b.png: labels say 64 x 48, the upright image is 48 x 64" in s for s in found.skipped[1:])


@pytest.mark.parametrize(
    ("good", "bad", "size"), [(0, 1, (64, 48)), (2, 3, (64, 48)), (0, 1, None), (9, 3, None)]
)
def test_most_that_do_not_fit_are_refused(
    good: int, bad: int, size: tuple[int, int] | None, tmp_path: Path
) -> None:
    with pytest.raises(
        PosetalkError, match=rf"{bad} of {good + bad} images are not as .*labels.json has them"
    ):
        drop_misfits(data(tmp_path, good, bad, size))
    assert len(drop_misfits(data(tmp_path, 9, 1, None)).images) == 9


def test_of_many_images_some_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Path] = []
    monkeypatch.setattr("posetalk.images.fit.upright_size", lambda path: looked.append(path) or (64, 48))
    many = [labelled(tmp_path / f"{i}.jpg", i) for i in range(20_000)]
    whole = PoseSet("coco", tmp_path / "labels.json", ("nose",) * 17, tuple(many))
    assert drop_misfits(whole) is whole and len(looked) == len(set(looked)) == 4000
    assert looked[0] == many[0].path and looked[-1] == many[-1].path


# --- what the size of one image does not tell ---

SMALL = ((60, 40), (40, 60), (50, 50))


def unsized(at: Path, count: int, factor: float, sizes: Sequence[tuple[int, int]] = SMALL) -> PoseSet:
    """A person in the lower right of each image, of labels without sizes, as LSP's and MPII's."""
    images = []
    for i in range(count):
        width, height = sizes[i % len(sizes)]
        path = photo(at / f"{i}.png", width, height)
        points = factor * np.linspace((0.55 * width, 0.5 * height), (0.97 * width, 0.95 * height), 14)
        person = Person(i, Box.around(points, 1.2), frozen_array(points), frozen_array(np.full(14, 2)), 600)
        images.append(PoseImage(i, path, None, None, (person,)))
    return PoseSet("lsp", at / "joints.mat", ("nose",) * 14, tuple(images))


FIT: dict[str, tuple[int, float, Any, str | None, str | None]] = {
    # images, labels' scale, sizes -> why a run refuses it, or else what it tells; None: nothing. A copy is only told.
    "good": (12, 1, SMALL, None, None),
    "one": (1, 1, SMALL, None, None),
    "half": (30, 0.5, SMALL, "made for smaller ones", "of the upright images; made for smaller ones?"),
    "half, few": (3, 0.5, SMALL, None, "of the upright images; made for smaller ones?"),
    "half, frames": (12, 0.5, SMALL[:1], None, "of the upright images; made for smaller ones?"),
    "half, one": (1, 0.5, SMALL, None, None),
    "1.1": (12, 1.1, SMALL, None, "lie outside the upright images; made for larger ones?"),
    "1.8": (12, 1.8, SMALL, "12 of 12 images", "lie outside the upright images; made for larger ones?"),
    "2": (1, 2, SMALL, "1 of 1 images", "lie outside the upright images; made for larger ones?"),
}


@pytest.mark.parametrize(("count", "factor", "sizes", "refused", "says"), FIT.values(), ids=FIT)
def test_labels_without_sizes_are_held_against_the_photos(
    count: int, factor: float, sizes: Any, refused: str | None, says: str | None, tmp_path: Path
) -> None:
    data = unsized(tmp_path, count, factor, sizes)
    copies = image_notes(data.images, data.source)
    assert len(copies) == (says is not None) and all(says in note for note in copies if says)
    assert all(note.startswith(f"{data.source}: ") for note in copies)
    if refused is None:
        assert list(drop_misfits(data).notes) == copies
    else:
        with pytest.raises(PosetalkError, match=refused):
            drop_misfits(data)


def test_sizes_are_the_labels_or_the_photos(tmp_path: Path) -> None:
    path = photo(tmp_path / "a.png", 40, 30)
    images = [labelled(path, 1), labelled(path, 2, None), labelled(tmp_path / "gone.png", 3, None)]
    assert image_sizes(images) == {1: (64, 48), 2: (40, 30), 3: None}


TURNS = {  # the file's size, EXIF's orientation, the labels' size -> whether it is told
    "none": ((64, 48), None, (64, 48), False),
    "1": ((64, 48), 1, (64, 48), False),
    "no orientation there is": ((64, 48), 9, (64, 48), False),
    **{f"{turn}, not square": ((64, 48), turn, (64, 48), True) for turn in (2, 3, 4)},
    **{f"{turn}, labelled upright": ((48, 64), turn, (64, 48), False) for turn in (5, 6, 7, 8)},
    **{f"{turn}, square": ((64, 64), turn, (64, 64), True) for turn in (2, 5, 6, 7, 8)},
    **{f"{turn}, without sizes": ((48, 64), turn, None, True) for turn in (3, 6)},
}


@pytest.mark.parametrize("form", ["jpg", "png", "webp"])
@pytest.mark.parametrize(("size", "turn", "says", "told"), TURNS.values(), ids=TURNS)
def test_turns_that_no_size_shows_are_told(
    size: tuple[int, int],
    turn: int | None,
    says: tuple[int, int] | None,
    told: bool,
    form: str,
    tmp_path: Path,
) -> None:
    good = photo(tmp_path / "good.png", 64, 48)
    images = [labelled(good, i) for i in range(2)]
    images.append(labelled(photo(tmp_path / f"a.{form}", *size, turn), 2, says))
    data = PoseSet("coco", tmp_path / "labels.json", ("nose",) * 17, tuple(images))
    notes = drop_misfits(data).notes
    assert list(notes) == image_notes(images, data.source)
    assert [note[:63] for note in notes] == [
        "1 of 3 images are turned or mirrored by EXIF, which their size "
    ] * told
    assert all(f"the first: a.{form}" in note for note in notes)


# --- formats ---

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n%%EOF\n"


def test_only_named_formats_are_opened_whatever_the_name(tmp_path: Path) -> None:
    assert {"JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"} <= set(readable_formats()) <= set(pictures.FORMATS)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.ppm")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.ppm").read_bytes())
    (tmp_path / "b.jpg").write_bytes(POSTSCRIPT)
    (tmp_path / "c.jpg").write_text("a secret")
    for name in ("a.png", "b.jpg", "c.jpg"):
        for read in (read_image, upright_size, image_bytes):
            with pytest.raises(
                PosetalkError, match="cannot be read as an image: it is not an image of a known form"
            ):
                read(tmp_path / name)
    photo(tmp_path / "d.txt", 8, 6, form="PNG")
    assert read_image(tmp_path / "d.txt").shape == (6, 8, 3)


def test_a_pipe_is_no_image(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    for read in (read_image, upright_size):
        with pytest.raises(PosetalkError, match="is no file"):
            read(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("form", "kind", "same"),
    [
        *(("PNG", "png", True), ("JPEG", "jpeg", True), ("WEBP", "webp", True), ("GIF", "gif", True)),
        *(("BMP", "jpeg", False), ("TIFF", "jpeg", False)),
    ],
)
def test_bytes_that_go_out_are_those_of_an_image(form: str, kind: str, same: bool, tmp_path: Path) -> None:
    path = photo(tmp_path / "a.jpg", 40, 30, form=form)
    data, told = image_bytes(path)
    assert told == kind and (data == path.read_bytes()) == same
    with Image.open(io.BytesIO(data)) as found:
        assert found.format == kind.upper() and found.size == (40, 30)
    path.write_bytes(path.read_bytes()[:200])  # cut off
    with pytest.raises(PosetalkError):
        image_bytes(path)
