"""Training data that teaches a vision-language model to point at places on bodies, in the form of its family."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from posetalk.errors import PosetalkError
from posetalk.images.opening import upright_size
from posetalk.pointer.form import PointForm, form_name, load_form
from posetalk.pointer.run import read_labels
from posetalk.pointer.view import view_of
from posetalk.skeleton import Keypoint, Skeleton
from posetalk.types import PoseSet
from posetalk.write.samples.card import Provenance
from posetalk.write.samples.export import ExportFormat, ExportResult, export_dataset
from posetalk.write.samples.sample import Sample
from posetalk.write.samples.split import Shares

MAX_TURNS = 4  # questions about one person


def export_pointing(
    annotations: str | Path,
    out: str | Path,
    form: str,
    format: ExportFormat = "llava",
    *,
    images: str | Path,
    skeleton: str | None = None,
    shares: Shares | None = None,
    seed: int = 0,
) -> ExportResult:
    """Write labelled points as the training data of a trainer.

    Each person becomes one sample: the whole photo, up to four questions as `posetalk evaluate --pointer` asks them,
    and answers as the form writes them. Of each point's names and descriptions one of each is drawn; every third point
    is asked for by its name alone. Points that are not labelled are not asked for.

    Args:
        annotations: The label file, as `evaluate_pointer` reads it.
        out: A new folder.
        form: A built-in form, or a TOML file.
        format: The trainer's files, see `export_dataset`.
        images: The folder of the images.
        skeleton: The labelled points and their descriptions; None for those that the labels name.
        shares: The shares of the images held out for validation and test; 0.05 each by default.
        seed: The seed of names, descriptions, order and split.

    Returns:
        The statistics of each split, and a sentence for each sample that was left out.

    Raises:
        PosetalkError: Labels or images that cannot be read, no such form, and as `export_dataset`.
    """
    chosen, annotations = load_form(form), Path(annotations)
    truth, points = read_labels(annotations, Path(images), skeleton)
    skipped: list[str] = []
    with TemporaryDirectory() as folder:
        file = Path(folder) / "samples.jsonl"
        with file.open("w", encoding="utf-8") as lines:
            for sample in pointing_samples(truth, points, chosen, skipped, seed):
                lines.write(sample.line())
        made = Provenance(
            f"points of labels as questions and answers, form {form_name(form)}", seed, (annotations,)
        )
        result = export_dataset(file, out, format, images=images, shares=shares, seed=seed, provenance=made)
    return replace(result, skipped=(*skipped, *result.skipped))


def pointing_samples(
    truth: PoseSet, skeleton: Skeleton, form: PointForm, skipped: list[str], seed: int = 0
) -> Iterator[Sample]:
    """A sample for each labelled person. A photo that cannot be read becomes a sentence in `skipped`.

    Args:
        truth: The labelled people.
        skeleton: Their points, with descriptions.
        form: The form of questions and answers.
        skipped: Gets the sentences.
        seed: The seed of names, descriptions and order.
    """
    for image in truth.images:
        people = [p for p in image.people if not p.is_crowd and p.labelled.any()]
        if not people:
            continue
        try:
            size = upright_size(image.path)
        except PosetalkError as error:
            skipped.append(f"{image.name}: {error}")
            continue
        view = view_of(size, form, max(size))
        for person in people:
            draw = random.Random(f"{seed} {image.id} {person.id}")
            order = np.flatnonzero(person.labelled).tolist()
            draw.shuffle(order)
            x1, y1, x2, y2 = person.box.xyxy
            box = (view.to_view((x1, y1)), view.to_view((x2, y2)))
            count = min(form.points_per_request, -(-len(order) // MAX_TURNS)) if len(order) > 1 else 1
            turns = []
            for start in range(0, len(order), count)[:MAX_TURNS]:
                part = order[start : start + count]
                asked = [_worded(skeleton.keypoints[j], draw) for j in part]
                places = {
                    point.name: view.to_view((float(person.keypoints[j, 0]), float(person.keypoints[j, 1])))
                    for point, j in zip(asked, part, strict=True)
                }
                turns.append((form.ask(asked, view.size, box), form.write(places, view.size)))
            yield Sample(
                f"{image.id}-{person.id}-pointing", image.id, image.name, "pointing", tuple(turns), "labels"
            )


def _worded(point: Keypoint, draw: random.Random) -> Keypoint:
    """The point under one of its names, with one of its descriptions or, one time in three, none."""
    sentences = [text for text in (point.sentence, *point.paraphrases) if text]
    sentence = draw.choice(sentences) if sentences and draw.random() < 2 / 3 else ""
    return Keypoint(draw.choice((point.name, *point.synonyms)), sentence)
