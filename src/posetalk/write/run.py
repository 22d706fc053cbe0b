"""A run of `posetalk write`: pictures -> a folder with what was written, what was rejected, and both to look at."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from posetalk.errors import PosetalkError
from posetalk.facts.scene import Scene, scene_facts
from posetalk.formats.annotated import AnnotatedImage, AnnotatedImages
from posetalk.inputs import LocalPath
from posetalk.llm.batch_files import read_batch, write_batch
from posetalk.llm.client import ServerSettings
from posetalk.llm.fault import Fault, Reason, Rejected
from posetalk.llm.ledger import Ledger
from posetalk.llm.pricing import CostEstimate, Price, estimate
from posetalk.llm.request import ChatRequest
from posetalk.llm.request_state import REFUSED, UNASKED, Accept, Outcome, RunReport, results
from posetalk.llm.runner import generate
from posetalk.lock import only_run
from posetalk.settings import Settings
from posetalk.whole import left_behind, whole_file
from posetalk.write.from_facts.writer import write
from posetalk.write.from_model.presets import PRESETS, Preset
from posetalk.write.from_model.recipe import Recipe, given_facts, jobs
from posetalk.write.from_model.reply import parse
from posetalk.write.report.page import write_page
from posetalk.write.samples.card import Provenance
from posetalk.write.samples.sample import Kind, Sample, Turns, kind_of
from posetalk.write.screening.duplicates import Duplicates
from posetalk.write.screening.published import read_published
from posetalk.write.screening.rules import gives_away
from posetalk.write.screening.screen import borne_out, faults_of, rules

SAMPLES, REJECTED, LEDGER, REQUESTS = "samples.jsonl", "rejected.jsonl", "ledger.sqlite", "requests.jsonl"

_NO_REPLY = '"reply": ""}'  # how a line of rejected.jsonl ends where no answer came


class WriteSettings(Settings):
    """What shapes the samples of a folder; a resumed run must have the same."""

    renamed: ClassVar[Mapping[str, str]] = {
        "pictures": "max_images",
    }

    writer: str
    """`facts`, or the name of a model."""
    annotations: LocalPath
    """COCO's person keypoints."""
    captions: LocalPath
    """COCO's captions of the same images."""
    objects: LocalPath | None = None
    """COCO's instances of the same images."""
    kinds: tuple[Kind, ...]
    """What is written: conversation, detail, reasoning."""
    recipe: Recipe | None = None
    """The prompts that a model is given: `grounded` or `paper`; None for the facts writer."""
    preset: Literal["every-picture", "llava-pose"] = "every-picture"
    """How many images of each kind: all, or as many as LLaVA-Pose."""
    max_images: int | None = None
    """At most so many images of each kind, drawn by the seed; None for as many as the preset says."""
    seed: int = 0
    """Seed of the wording and the choice."""

    def counts(self) -> Preset:
        preset = PRESETS[self.preset]
        if self.max_images is None:
            return preset
        return Preset(preset.questions, dict.fromkeys(self.kinds, self.max_images))


@dataclass(frozen=True, slots=True)
class ScreenedSample:
    """A sample that was written, and what is wrong with it. reply: as the model wrote it."""

    sample: Sample
    faults: tuple[Fault, ...]
    reply: str = ""


@dataclass(slots=True)
class ScreeningResult:
    """How many samples of each kind were kept, and how many were rejected for their first reason.

    unread: a sentence for each photo that cannot be shown in the report.
    """

    kinds: Counter[Kind] = field(default_factory=Counter)
    rejected: Counter[Reason] = field(default_factory=Counter)
    unread: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kinds = ", ".join(f"{number} {kind}" for kind, number in self.kinds.items()) or "nothing"
        reasons = ", ".join(f"{number} {reason}" for reason, number in self.rejected.most_common())
        more = (
            f"; {len(self.unread)} photos cannot be read, the first: {self.unread[0]}" if self.unread else ""
        )
        return f"{kinds}; rejected: {reasons or 'none'}{more}"


def facts_samples(
    pictures: AnnotatedImages, settings: WriteSettings, track: Callable[[Sequence[int]], Iterable[int]]
) -> Iterator[ScreenedSample]:
    """What the facts say of each picture, screened like anybody's words; nothing where too little is known."""
    ids, counts = pictures.ids(), settings.counts()
    wanted = {kind: counts.chosen(ids, kind, settings.seed) for kind in settings.kinds}
    for image_id in track(ids):
        kinds = [kind for kind in settings.kinds if image_id in wanted[kind]]
        if not kinds or (picture := pictures.get(image_id)) is None:
            continue
        scene = scene_facts(picture.image, pictures.keypoint_names, picture.things)
        quotable = [text for text in picture.captions if not gives_away(text)]
        for kind in kinds:
            turns = write(scene, quotable, kind, settings.seed)
            if turns is not None:
                name = picture.image.name
                sample = Sample(f"{image_id}-{kind}", image_id, name, kind, turns, settings.writer)
                yield ScreenedSample(sample, faults_of(sample, scene, captions=picture.captions))


def accept(pictures: AnnotatedImages, recipe: Recipe, model: str) -> Accept:
    """How a model's reply is judged: read, then screened with the facts and captions of its picture."""
    last: list[tuple[AnnotatedImage, Scene]] = []  # the kinds of a picture come one after the other

    def judge(job: ChatRequest, reply: str) -> Turns:
        turns = parse(job, reply)  # first: what cannot be read needs no picture
        if not last or last[0][0].image.id != job.image_id:
            picture = pictures.get(job.image_id)
            assert picture is not None  # the job was made from it
            last[:] = [(picture, scene_facts(picture.image, pictures.keypoint_names, picture.things))]
        picture, scene = last[0]
        sample = Sample(job.id, job.image_id, job.image, kind_of(job.kind), turns, model)
        if faults := faults_of(sample, scene, given_facts(recipe, kind_of(job.kind)), picture.captions):
            raise Rejected(faults)
        return turns

    return judge


def model_samples(outcomes: Iterable[tuple[ChatRequest, Outcome]], model: str) -> Iterator[ScreenedSample]:
    """What became of the jobs of a model."""
    for job, outcome in outcomes:
        faults = outcome.faults
        if outcome.failure == UNASKED:
            faults += (Fault("not asked", "not asked again yet" if faults else UNASKED),)
        elif outcome.failure:
            faults += (Fault("failed", f"asked again: {outcome.failure}" if faults else outcome.failure),)
        sample = Sample(job.id, job.image_id, job.image, kind_of(job.kind), outcome.turns, model)
        yield ScreenedSample(sample, faults, outcome.reply)


def write_screened(
    found: Iterable[ScreenedSample], out: Path, borne_out: Callable[[Sample], bool] = lambda _: True
) -> ScreeningResult:
    """Write samples.jsonl and rejected.jsonl into the folder, as they come; of alike samples the first is kept.

    borne_out: whether a short text that recurs is true of its own picture too; what the facts writer wrote always is.
    Both take their names when they are whole, and memory hardly grows with them (see `Duplicates`). Errors: the disk,
    nothing that can be kept.
    """
    kept, duplicates = ScreeningResult(), Duplicates(borne_out)
    for name in (SAMPLES, REJECTED):
        for part in left_behind(out, name):
            part.unlink()
    with (
        whole_file(out / SAMPLES) as part,
        whole_file(out / REJECTED) as other,
        part.open("w", encoding="utf-8") as samples,
        other.open("w", encoding="utf-8") as rejected,
    ):
        for one in found:
            faults = one.faults or duplicates.faults_of(one.sample)
            if faults:
                row = json.loads(one.sample.line()) | {
                    "faults": [asdict(f) for f in faults],
                    "reply": one.reply,
                }
                rejected.write(json.dumps(row, ensure_ascii=False) + "\n")
                kept.rejected[faults[0].reason] += 1
            else:
                samples.write(one.sample.line())
                kept.kinds[one.sample.kind] += 1
    return kept


def write_by_facts(
    pictures: AnnotatedImages,
    settings: WriteSettings,
    out: Path,
    track: Callable[[Sequence[int]], Iterable[int]] = iter,
) -> ScreeningResult:
    """Write a folder without any model: samples.jsonl, rejected.jsonl, report.html, run.toml."""
    with settings.claim(out, anew=True):
        kept = write_screened(facts_samples(pictures, settings, track), out)
        if not kept.kinds:
            raise PosetalkError(
                f"too little is known of the people of {settings.annotations} to write anything of them"
            )
        kept.unread = report(pictures, out)
        return kept


def write_by_model(
    pictures: AnnotatedImages,
    settings: WriteSettings,
    asked: ServerSettings,
    out: Path,
    price: Price | None = None,
) -> tuple[RunReport, ScreeningResult]:
    """Have a language model write a folder: as `write_by_facts`, and ledger.sqlite with every answer.

    Run again it goes on: what is answered is not asked again. Errors: as `generate`; what was answered is kept.
    """
    with _opened(pictures, settings, asked, out) as (ledger, made, judge):
        counts = settings.counts()
        total = sum(len(counts.chosen(pictures.ids(), kind, settings.seed)) for kind in settings.kinds)
        found = generate(made(), ledger, asked, judge, price, total)
        kept = _kept(made(), ledger, asked, judge, pictures, out)
    if kept.kinds:
        kept.unread = report(pictures, out)
    return found, kept


def write_by_batch(
    pictures: AnnotatedImages,
    settings: WriteSettings,
    asked: ServerSettings,
    out: Path,
    price: Price | None = None,
    answers: Path | None = None,
) -> tuple[list[str], ScreeningResult | None]:
    """Have a model write a folder by files: requests.jsonl for OpenAI's Batch interface or `vllm run-batch`.

    answers: what came back. It is taken into the ledger, the samples are written, and requests.jsonl holds what is
    still to be asked. Returns sentences about both files, and what was kept.
    """
    kept = None
    with _opened(pictures, settings, asked, out) as (ledger, made, judge):
        said = list(ledger.notes)
        if answers:
            said.append(f"{answers}: {read_batch(answers, ledger, price)}")
        for file in (files := write_batch(made(), ledger, asked, judge, out / REQUESTS)):
            said.append(f"{file}: requests to be answered")
        if answers:
            kept = _kept(made(), ledger, asked, judge, pictures, out)
        if not files:
            (out / REQUESTS).unlink(missing_ok=True)  # of a batch that has been answered
    if kept and kept.kinds:
        kept.unread = report(pictures, out)
    return said, kept


def price_run(
    pictures: AnnotatedImages, settings: WriteSettings, asked: ServerSettings, out: Path, price: Price | None
) -> CostEstimate:
    """What `write_by_model` would ask for and cost, asking nothing; what the ledger holds is not counted."""
    with Ledger.copy_of(out / LEDGER) as ledger:
        return estimate(_jobs(pictures, settings), asked, price, ledger)


def _jobs(pictures: AnnotatedImages, settings: WriteSettings) -> Iterator[ChatRequest]:
    assert settings.recipe is not None
    return jobs(pictures, settings.kinds, settings.recipe, settings.seed, settings.counts())


def _kept(
    made: Iterable[ChatRequest],
    ledger: Ledger,
    asked: ServerSettings,
    judge: Accept,
    pictures: AnnotatedImages,
    out: Path,
) -> ScreeningResult:
    """Write what a model's answers came to."""
    found = model_samples(results(made, ledger, asked, judge), asked.model)
    return write_screened(found, out, partial(_borne_out, pictures))


def _borne_out(pictures: AnnotatedImages, sample: Sample) -> bool:
    picture = pictures.get(sample.image_id)
    return picture is not None and borne_out(
        sample, scene_facts(picture.image, pictures.keypoint_names, picture.things)
    )


@contextmanager
def _opened(
    pictures: AnnotatedImages, settings: WriteSettings, asked: ServerSettings, out: Path
) -> Iterator[tuple[Ledger, Callable[[], Iterator[ChatRequest]], Accept]]:
    assert settings.recipe is not None
    # what the ledger holds is known by the words that were asked, and judged by the labels as they are now
    with settings.claim(out, anew=True) as labels, Ledger(out / LEDGER, _made_of_answers(out)) as ledger:
        ledger.judge_by(f"{rules()} {labels}")
        yield ledger, partial(_jobs, pictures, settings), accept(pictures, settings.recipe, asked.model)


def _made_of_answers(out: Path) -> Iterator[Path]:
    """What tells that a folder's ledger must hold something; what was rejected without a reply was not paid for."""
    yield from (out / SAMPLES, out / REQUESTS)
    with suppress(OSError), (out / REJECTED).open(encoding="utf-8", errors="replace") as rows:
        if any(not row.rstrip().endswith(_NO_REPLY) or REFUSED in row for row in rows):
            yield out / REJECTED


def report(pictures: AnnotatedImages | None, out: Path) -> list[str]:
    """Write report.html from what stands in the folder; a sentence for each photo that cannot be read."""
    poses = (picture.image for picture in pictures or ())
    points = pictures.skeleton if pictures else None
    return write_page(
        out / SAMPLES, out / "report.html", poses=poses, skeleton=points, rejected=out / REJECTED
    )


def made_of(folder: Path) -> Provenance | None:
    """How the samples of a folder came to be, for the card of an export; None where it has no run.toml."""
    if not (folder / "run.toml").exists():
        return None
    settings = WriteSettings.load(folder / "run.toml")
    sources = (settings.annotations, settings.captions, settings.objects)
    recipe = settings.writer if settings.recipe is None else f"{settings.writer}, recipe {settings.recipe}"
    return Provenance(
        recipe, settings.seed, tuple(path for one in sources if one and (path := Path(one)).is_file())
    )


def screen_file(
    published: Path, pictures: AnnotatedImages | None, out: Path
) -> tuple[ScreeningResult, list[str]]:
    """Screen a file of samples (see published.py) into a folder, with the facts of the pictures where they are known.

    Returns what was kept, and a sentence for each record that is no sample.
    """
    skipped: list[str] = []
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
    known = set(pictures.ids()) if pictures else set()

    def judged() -> Iterator[ScreenedSample]:
        for sample in read_published(published, skipped):
            picture = pictures.get(sample.image_id) if pictures and sample.image_id in known else None
            if pictures is None or picture is None:
                yield ScreenedSample(sample, faults_of(sample, None, fewest=1))
            else:
                scene = scene_facts(picture.image, pictures.keypoint_names, picture.things)
                yield ScreenedSample(
                    sample, faults_of(sample, scene, captions=picture.captions or None, fewest=1)
                )

    def true_here(sample: Sample) -> bool:
        return pictures is not None and sample.image_id in known and _borne_out(pictures, sample)

    with only_run(out):
        kept = write_screened(judged(), out, true_here)
        if kept.kinds:
            kept.unread = report(pictures, out)
    return kept, skipped
