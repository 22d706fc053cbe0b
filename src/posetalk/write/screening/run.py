"""Screen the samples of others into a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from posetalk.errors import PosetalkError
from posetalk.formats.annotated import AnnotatedImages
from posetalk.lock import only_run
from posetalk.write.folder import (
    REJECTED,
    SAMPLES,
    ScreenedSample,
    ScreeningResult,
    write_report,
    write_screened,
)
from posetalk.write.labels import is_supported, read_labels, scene_of
from posetalk.write.samples.sample import Kind, Sample
from posetalk.write.screening.published import read_published
from posetalk.write.screening.screen import faults_of


def screened(samples: Iterable[Sample], annotated: AnnotatedImages | None) -> Iterator[ScreenedSample]:
    """Screen samples with the labels of their images, where there are some."""
    known_ids = set(annotated.ids()) if annotated else set()
    for sample in samples:
        record = annotated.get(sample.image_id) if annotated and sample.image_id in known_ids else None
        if annotated is None or record is None:
            yield ScreenedSample(sample, faults_of(sample, None, fewest=1))
        else:
            scene = scene_of(annotated, record)
            yield ScreenedSample(sample, faults_of(sample, scene, captions=record.captions or None, fewest=1))


def supported_by(annotated: AnnotatedImages | None) -> Callable[[Sample], bool]:
    """A function that says whether the facts of its own image support a short text."""
    known_ids = set(annotated.ids()) if annotated else set()

    def supported(sample: Sample) -> bool:
        return annotated is not None and sample.image_id in known_ids and is_supported(annotated, sample)

    return supported


def screen_dataset(
    published: str | Path,
    out: str | Path,
    *,
    annotations: str | Path | None = None,
    captions: str | Path | None = None,
    objects: str | Path | None = None,
    images: str | Path | None = None,
    kind: Kind | None = None,
    screen: Callable[[Iterable[Sample], AnnotatedImages | None], ScreeningResult] | None = None,
) -> ScreeningResult:
    """Screen the samples of others: those that leak labels, contradict the pose, guess or repeat are put aside.

    The folder gets samples.jsonl, rejected.jsonl (with reasons) and report.html. No model is asked.

    Args:
        published: LLaVA's JSON list, or one of the raw files of LLaVA-Pose, see `read_published`.
        out: The folder to write to. It is made if it does not exist.
        annotations: COCO's person keypoints of the same images. Without them no claim is compared with the pose.
        captions: COCO's captions of the same images; only together with `annotations`.
        objects: COCO's instances of the same images; only together with `annotations`.
        images: The folder of the images, which the report shows.
        kind: What all samples are: conversation, detail or reasoning. None: what their form says.
        screen: Screens samples with their labels into `out`; None to do it in this process.

    Returns:
        The numbers of written and rejected samples; `skipped` has a sentence for each record that is no sample, and for
        each that lost turns.

    Raises:
        PosetalkError: When a file cannot be read or holds no sample, the folder holds another run, or captions or
            objects are given without annotations.
    """
    published, out = Path(published), Path(out)
    if annotations is None and (captions or objects):
        raise PosetalkError("captions and objects are looked at with the people; give the annotations too")
    annotated = read_labels(annotations, captions, objects, images) if annotations else None
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PosetalkError(f"cannot make the folder {out}: {error.strerror}; choose another place") from None
    if (out / "run.toml").exists():
        raise PosetalkError(
            f"{out} holds another run (run.toml), whose samples would be lost; choose another folder"
        )
    if published.resolve() in {(out / name).resolve() for name in (SAMPLES, REJECTED)}:
        raise PosetalkError(f"{published} would be replaced by what is left of it; choose another folder")
    skipped: list[str] = []
    with only_run(out):
        samples = read_published(published, skipped, kind)
        if screen is None:
            result = write_screened(screened(samples, annotated), out, supported_by(annotated))
        else:
            result = screen(samples, annotated)
        if result.written:
            result.unreadable_images = write_report(annotated, out)
    result.skipped, result.notes = skipped, annotated.notes if annotated else []
    return result
