"""Training pairs of labelled people: a place on a body as a question, its words as the answer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from posetalk.describe.figure import Figure, unit
from posetalk.describe.parts import parts
from posetalk.describe.point import PointDescription, describe_figures
from posetalk.describe.who import named_people
from posetalk.errors import PosetalkError
from posetalk.facts.body import SIDES
from posetalk.formats.annotated import AnnotatedImage, AnnotatedImages
from posetalk.locate.line_log import LineLog
from posetalk.lock import only_run
from posetalk.messages import track
from posetalk.prompt.coordinate import write
from posetalk.types import Floats
from posetalk.write.from_facts.speaker import Subject

PER_PERSON = 6
TRIES = 4  # places drawn for each that is kept at most
START = b'{"id":"'  # of a file of pairs
QUESTIONS = (
    "Which part of whose body is at {place}? The numbers are shares of the image's width and height.",
    "What is at {place}, in shares of the image's width and height? Name the person and the place on the body.",
    "Describe the place {place}, in shares of the image's width and height: whose body is it, and where on it?",
)


class PairLine(msgspec.Struct, frozen=True):
    """The pairs of one image: a line that `read_samples` and `posetalk export` read, and the places beside it.

    places: For each turn x and y px, the person's id in the labels, and the name, phrase and sentence.
    """

    id: str
    image_id: int
    image: str
    turns: list[tuple[str, str]]
    places: list[dict[str, object]]
    kind: str = "short"
    writer: str = "describe"


@dataclass(frozen=True, slots=True)
class WrittenPairs:
    """What `write_pairs` wrote.

    images:  The number of images in the file.
    pairs:   The number of pairs in the file.
    skipped: A sentence for each record of the labels that was left out.
    notes:   Sentences about the labels as a whole.
    """

    images: int
    pairs: int
    skipped: tuple[str, ...]
    notes: tuple[str, ...]


def write_pairs(
    annotations: str | Path, out: str | Path, *, captions: str | Path | None = None, seed: int = 0
) -> WrittenPairs:
    """Write pairs of a place and its description for the labelled people of a COCO file.

    No image is opened and no model is asked: places are drawn on joints, limbs and trunks of labelled bodies, and only
    those are kept whose description is certain. Run again, it goes on where it stopped.

    Args:
        annotations: COCO's person keypoints. Images need their width and height.
        out: The file of JSON lines; `posetalk export` turns it into the files of a trainer.
        captions: COCO's captions of the same images, for names such as `the man in the red shirt`.
        seed: The seed of places and wording.

    Returns:
        The numbers of images and pairs, and what was left out.

    Raises:
        PosetalkError: A label file that cannot be read; nothing to describe; `out` holds other pairs, or cannot be
            written.
    """
    out = Path(out)
    if out.is_dir():
        raise PosetalkError(f"{out} is a folder; give a file for the pairs, such as pairs.jsonl")
    if not _is_free(out):
        raise PosetalkError(f"{out} is a file of something else and would be lost; choose another place")
    annotated = AnnotatedImages(annotations, captions)
    with only_run(out), LineLog(out, PairLine) as log:
        done = {line.image_id for line in log.before}
        _check_same(annotated, log.before, out, seed)
        images, pairs = len(log.before), sum(len(line.turns) for line in log.before)
        last = max(done, default=-1)
        for image_id in track([i for i in annotated.ids() if i > last], "describing"):
            record = annotated.get(image_id)
            if record is not None and (line := pairs_of(record, annotated.keypoint_names, seed)) is not None:
                log.write(line)
                images, pairs = images + 1, pairs + len(line.turns)
    if not images:
        raise PosetalkError(
            f"{annotations} has no place to describe; images need width and height, and people labelled joints"
        )
    return WrittenPairs(images, pairs, tuple(annotated.skipped), tuple(annotated.notes))


def _is_free(out: Path) -> bool:
    """Whether there is no file, an empty one, or one of pairs: a log cuts off what looks like half a line."""
    try:
        with out.open("rb") as file:
            start = file.read(len(START))
    except FileNotFoundError:
        return True
    except OSError as error:
        raise PosetalkError(f"cannot read {out}: {error.strerror}; choose another place") from None
    return START.startswith(start)


def _check_same(annotated: AnnotatedImages, before: list[PairLine], out: Path, seed: int) -> None:
    """Raises PosetalkError where the last line is not what these labels and this seed give."""
    if not before:
        return
    record = annotated.get(before[-1].image_id)
    if record is None or pairs_of(record, annotated.keypoint_names, seed) != before[-1]:
        raise PosetalkError(f"{out} holds pairs of other labels or another seed; choose another file")


def pairs_of(record: AnnotatedImage, names: tuple[str, ...], seed: int) -> PairLine | None:
    """The pairs of an image; None where no place of its people can be described for certain."""
    image = record.image
    if not image.width or not image.height:
        return None
    people = [person for person in image.people if not person.is_crowd]
    subjects = named_people(people, names, record.captions)
    figures = [Figure.of_person(person, names) for person in people]
    digest = hashlib.sha256(f"{seed} {image.id}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    turns: list[tuple[str, str]] = []
    places: list[dict[str, object]] = []
    for figure in figures:
        for words in _described(figure, figures, subjects, (image.width, image.height), rng):
            x, y = words.xy
            place = write(x / image.width, y / image.height)
            question = QUESTIONS[rng.integers(len(QUESTIONS))].format(place=place)
            turns.append((question, f"{words.full[0].upper()}{words.full[1:]}."))
            places.append(
                {
                    "xy": [round(x, 2), round(y, 2)],
                    "person": figure.index,
                    "name": words.name,
                    "phrase": words.phrase,
                    "sentence": words.sentence,
                }
            )
    if not turns:
        return None
    return PairLine(f"{image.id}-describe", image.id, image.name, turns, places)


def _described(
    figure: Figure,
    figures: Sequence[Figure],
    subjects: Mapping[int, Subject],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Iterator[PointDescription]:
    """Places of a person with certain descriptions, no two of which say the same."""
    found: set[str] = set()
    for _ in range(PER_PERSON * TRIES):
        if len(found) == PER_PERSON:
            return
        xy = _draw(figure, rng)
        if xy is None or not (0 <= xy[0] < size[0] and 0 <= xy[1] < size[1]):
            continue
        words = describe_figures(figures, subjects, (float(xy[0]), float(xy[1])))
        if words.certain and words.index == figure.index and words.full not in found:
            found.add(words.full)
            yield words


def _draw(figure: Figure, rng: np.random.Generator) -> Floats | None:
    """A random place of a person: a visible joint, on a limb with visible ends, or on the trunk."""
    body = figure.body
    kind = rng.choice(3, p=(0.3, 0.45, 0.25))
    if kind == 0:
        visible = sorted(set(body.points) - body.hidden)
        return body.points[visible[rng.integers(len(visible))]] if visible else None
    if kind == 1:
        limb, side = parts().limbs[rng.integers(len(parts().limbs))], SIDES[rng.integers(2)]
        names = [f"{side} {joint}" for joint in limb.ends]
        start, end = (body[name] for name in names)
        if start is None or end is None or body.hidden & set(names) or (onward := unit(end - start)) is None:
            return None
        across = np.array([-onward[1], onward[0]]) * rng.uniform(-0.9, 0.9) * limb.radius * figure.size
        return np.asarray(start + (end - start) * rng.uniform(0.05, 0.95) + across)
    if figure.trunk is None:
        return None
    return figure.trunk.at(rng.uniform(-0.9, 0.9), rng.uniform(0.0, 1.1), "", None)
