"""What a benchmark is made from: labels of any form that is read, as pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from pydantic import Field

from posetalk.bench.build import EACH
from posetalk.bench.openset import PICTURES
from posetalk.errors import PosetalkError
from posetalk.read.coco import picture_path
from posetalk.read.dataset import read_people
from posetalk.read.files import read_start
from posetalk.read.pictures import Picture, Pictures
from posetalk.settings import LocalPath, Settings, TomlName
from posetalk.skeleton import skeleton as named


class BuildSettings(Settings):
    """What a benchmark is made from.

    captions: without them there are no open questions. images: only of pictures whose photo is in that folder.
    skeleton: of COCO-style annotations with other keypoints. first, last: of LSP. pictures: of the open set. each:
    closed questions of the same words and the same right answer, at most. training: files whose pictures are refused.
    """

    annotations: LocalPath
    captions: LocalPath | None = None
    objects: LocalPath | None = None
    images: LocalPath | None = None
    skeleton: TomlName | None = None
    first: int = 1
    last: int | None = None
    pictures: int = PICTURES
    each: int = Field(EACH, ge=1)
    training: tuple[LocalPath, ...] = ()
    seed: int = 0


def pictures_of(
    settings: BuildSettings,
) -> tuple[Iterable[Picture], tuple[str, ...], Callable[[], Sequence[str]]]:
    """The pictures, the names of their keypoints, and the sentences about records that were skipped so far.

    Errors: as the readers'; what does not go with this form of labels.
    """
    path = Path(settings.annotations)
    chosen = named(settings.skeleton) if settings.skeleton else None
    if read_start(path).startswith(b"{"):
        captions, objects = (Path(one) if one else None for one in (settings.captions, settings.objects))
        if settings.first != 1 or settings.last is not None:
            raise PosetalkError(f"{path} is a COCO-style file, which takes no first and last; leave them out")
        pictures = Pictures(path, captions, objects, skeleton=chosen)
        return pictures, pictures.keypoint_names, lambda: pictures.skipped
    if settings.captions or settings.objects:
        raise PosetalkError(f"{path} is no COCO-style file; captions and objects go with one")
    images = Path(settings.images) if settings.images else path.parent
    data = read_people(path, images, skeleton=chosen, first=settings.first, last=settings.last)
    return [Picture(image) for image in data.images], data.keypoint_names, lambda: data.skipped


def with_photos(pictures: Iterable[Picture], settings: BuildSettings) -> Iterator[Picture]:
    """The pictures, only those whose photo is there where `images` is given. Errors: there is none."""
    images = Path(settings.images) if settings.images else None
    empty = True
    for picture in pictures:
        if images is None or picture_path(images, picture.image.name).is_file():
            empty = False
            yield picture
    if empty:
        raise PosetalkError(f"{images} has no photo of {settings.annotations}; give the folder of the photos")
