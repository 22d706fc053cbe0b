"""Images one at a time are what the whole files say."""

from __future__ import annotations

import gc
import json
import os
import tracemalloc
from pathlib import Path

import pytest

from posetalk.errors import PosetalkError
from posetalk.formats.annotated import AnnotatedImages
from posetalk.formats.captions import read_captions
from posetalk.formats.coco import read_coco
from posetalk.formats.objects import read_objects

DATA = Path(os.environ.get("POSETALK_DATA", "absent"))


def files(folder: Path, pictures: int, outline: int = 50) -> tuple[Path, Path, Path]:
    """COCO's three files: two people, two captions and an object an image; the last image has nobody."""
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 80} for i in range(1, pictures + 2)]
    people = [
        {"id": 10 * i + n, "image_id": i, "bbox": [5, 5, 50, 60], "category_id": 1}
        | {"keypoints": [10 + n, 20, 2] * 17, "segmentation": [[1.0] * outline]}
        for n in (0, 1)
        for i in range(1, pictures + 1)
    ]
    captions = [
        {"image_id": i, "caption": f"Caption {n}  of {i}."} for n in (0, 1) for i in range(1, pictures + 2)
    ]
    things = [{"image_id": i, "category_id": 2, "bbox": [1, 2, 3, 4]} for i in range(1, pictures + 1)]
    things += [
        {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]},
        {"image_id": 1, "category_id": 9, "bbox": []},
    ]
    categories = [{"id": 1, "name": "person"}, {"id": 2, "name": "kite"}]
    found = []
    for name, whole in {
        "people": {"images": images, "annotations": people, "categories": categories[:1]},
        "captions": {"annotations": captions},
        "objects": {"annotations": things, "categories": categories},
    }.items():
        found.append(folder / f"{name}.json")
        found[-1].write_text(json.dumps(whole))
    return found[0], found[1], found[2]


def test_they_equal_the_whole_files(tmp_path: Path) -> None:
    people, captions, objects = files(tmp_path, 5)
    pictures = AnnotatedImages(people, captions, objects)
    whole, texts, things = read_coco(people, tmp_path), read_captions(captions)[0], read_objects(objects)[0]
    expected = [image for image in whole.images if image.people]
    found = list(pictures)
    assert len(found) == len(pictures) == len(expected) == 5
    for one, image in zip(found, expected, strict=True):
        assert (one.image.id, one.image.path, one.image.width) == (image.id, image.path, image.width)
        assert one.captions == texts[image.id] and one.things == things[image.id]
        for person, other in zip(one.image.people, image.people, strict=True):
            assert (person.id, person.box, person.area) == (other.id, other.box, other.area)
            assert (person.keypoints == other.keypoints).all()
    assert ["category 9" in sentence for sentence in pictures.skipped] == [True]
    assert [p.image.id for p in pictures] == [p.image.id for p in found]  # again


@pytest.mark.realdata
def test_real_files_too() -> None:
    folder = DATA / "coco_tiny" / "annotations"
    people, captions, objects = (
        next(folder.glob(f"{what}*val2017.json")) for what in ("person_keypoints", "captions", "instances")
    )
    expected = [image for image in read_coco(people, folder).images if image.people]
    things = read_objects(objects)[0]
    found = list(AnnotatedImages(people, captions, objects))
    assert [p.image.id for p in found] == sorted(image.id for image in expected)
    assert all(p.things == things.get(p.image.id, ()) and len(p.captions) >= 5 for p in found)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(pictures: int) -> int:
        (folder := tmp_path / str(pictures)).mkdir(exist_ok=True)
        found = files(folder, pictures, outline=1000)
        assert pictures < 600 or found[0].stat().st_size > 6e6
        gc.collect()  # the more there is, the later the collector comes, and other tests leave much
        gc.freeze()
        tracemalloc.start()
        assert sum(1 for _ in AnnotatedImages(*found)) == pictures
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    allowed = peak(60) + 3e6  # a few chunks of the file, not the file
    # now and then a reading enlarges Python's table of interned names, which other tests have filled
    assert any(peak(600) < allowed for _ in range(3))


@pytest.mark.parametrize("what", ["people", "captions", "objects"])
def test_a_file_without_records_is_refused(tmp_path: Path, what: str) -> None:
    given = dict(zip(("people", "captions", "objects"), files(tmp_path, 2), strict=True))
    whole = json.loads(given[what].read_text())
    given[what].write_text(json.dumps(whole | {"annotations": []}))
    with pytest.raises(PosetalkError, match=f"holds no {what}"):
        AnnotatedImages(given["people"], given["captions"], given["objects"])
