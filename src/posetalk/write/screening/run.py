"""Screen the samples of others into a folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from posetalk.errors import PosetalkError
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


def screen_dataset(
    published: str | Path,
    out: str | Path,
    *,
    annotations: str | Path | None = None,
    captions: str | Path | None = None,
    objects: str | Path | None = None,
    images: str | Path | None = None,
    kind: Kind | None = None,
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
    known_ids = set(annotated.ids()) if annotated else set()

    def screened() -> Iterator[ScreenedSample]:
        for sample in read_published(published, skipped, kind):
            record = annotated.get(sample.image_id) if annotated and sample.image_id in known_ids else None
            if annotated is None or record is None:
                yield ScreenedSample(sample, faults_of(sample, None, fewest=1))
            else:
                faults = faults_of(
                    sample, scene_of(annotated, record), captions=record.captions or None, fewest=1
                )
                yield ScreenedSample(sample, faults)

    def supported(sample: Sample) -> bool:
        return annotated is not None and sample.image_id in known_ids and is_supported(annotated, sample)

    with only_run(out):
        result = write_screened(screened(), out, supported)
        if result.written:
            result.unreadable_images = write_report(annotated, out)
    result.skipped, result.notes = skipped, annotated.notes if annotated else []
    return result
