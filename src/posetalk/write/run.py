"""Writing a data set: a folder with the samples that passed the screening, the rejected ones, and a report of both."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from posetalk.atomic_files import left_behind, whole_file
from posetalk.errors import PosetalkError
from posetalk.facts.scene import Scene, scene_facts
from posetalk.formats.annotated import AnnotatedImage, AnnotatedImages
from posetalk.images.fit import image_notes
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
from posetalk.messages import log, track
from posetalk.settings import Settings
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
from posetalk.write.screening.screen import faults_of, rules_fingerprint, supported_by_facts

SAMPLES, REJECTED, LEDGER, REQUESTS = "samples.jsonl", "rejected.jsonl", "ledger.sqlite", "requests.jsonl"

_NO_REPLY = '"reply": ""}'  # how a line of rejected.jsonl ends where no answer came


class WriteSettings(Settings):
    """What decides the samples of a folder. A run that is resumed must have the same settings."""

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

    def image_limits(self) -> Preset:
        """The preset, with `max_images` in place of its own numbers where that is given."""
        preset = PRESETS[self.preset]
        if self.max_images is None:
            return preset
        return Preset(preset.questions, dict.fromkeys(self.kinds, self.max_images))


@dataclass(frozen=True, slots=True)
class ScreenedSample:
    """A sample and the result of its screening.

    Attributes:
        sample: The sample. It has no turns where no reply could be read.
        faults: What is wrong with it; empty for a sample that may be used.
        reply: The reply as the model wrote it; empty for the facts writer.
    """

    sample: Sample
    faults: tuple[Fault, ...]
    reply: str = ""


@dataclass(slots=True)
class ScreeningResult:
    """What a run wrote into its folder, and what it left out.

    Attributes:
        written: The number of samples in samples.jsonl, by kind.
        rejected: The number of samples in rejected.jsonl, by the first reason of each.
        unreadable_images: A sentence for each image that the report cannot show.
        skipped: A sentence for each record of the inputs that was left out.
        notes: Sentences about the inputs as a whole, such as labels that do not seem to fit their images.
        server_run: What came of the requests to a server, with tokens and cost; None where no server was asked.
    """

    written: Counter[Kind] = field(default_factory=Counter)
    rejected: Counter[Reason] = field(default_factory=Counter)
    unreadable_images: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    server_run: RunReport | None = None

    def __str__(self) -> str:
        written = ", ".join(f"{number} {kind}" for kind, number in self.written.items()) or "nothing"
        reasons = ", ".join(f"{number} {reason}" for reason, number in self.rejected.most_common())
        unreadable = self.unreadable_images
        more = f"; {len(unreadable)} photos cannot be read, the first: {unreadable[0]}" if unreadable else ""
        return f"{written}; rejected: {reasons or 'none'}{more}"


def write_dataset(
    settings: WriteSettings,
    out: str | Path,
    *,
    images: str | Path | None = None,
    server: ServerSettings | None = None,
    price: Price | None = None,
) -> ScreeningResult:
    """Write instruction data about the poses of labelled images, by the facts writer or by a model on a server.

    The folder gets samples.jsonl, rejected.jsonl (with reasons), report.html and run.toml; of a server run also
    ledger.sqlite with every answer. Run again with the same settings, it asks nothing that was answered. Samples are
    screened before they are written, see `faults_of`.

    Args:
        settings: The label files, the kinds of samples, and who writes them.
        out: The folder of the run. It is made if it does not exist.
        images: The folder of the images. The report shows them; the samples are the same without.
        server: The server of the model that `settings.writer` names; None for the facts writer.
        price: What the model costs, for the cost in the result; needed if `server.max_cost_usd` is set.

    Returns:
        The numbers of written and rejected samples. A server run that was stopped by its cost limit or by Ctrl-C says
        so in `server_run`.

    Raises:
        PosetalkError: When a label file cannot be read or has nothing to write about, the folder holds a run with
            other settings, another run is at work in it, `server` and `settings.writer` do not belong together, or
            the server refuses the key, does not know the model or cannot be reached. Answers received before that are
            kept in the ledger.
    """
    if server is None and settings.writer != "facts":
        raise PosetalkError(f"the writer {settings.writer!r} is a model; give the settings of its server")
    if server is not None and server.model != settings.writer:
        raise PosetalkError(
            f"the settings name the writer {settings.writer!r} and the server's settings the model "
            f"{server.model!r}; give both the same name"
        )
    out = Path(out)
    annotated = _annotated_images(settings.annotations, settings.captions, settings.objects, images)
    if images:
        for note in image_notes(annotated.sample(), Path(settings.annotations)):
            log.warning(f"note: {note}")  # before anything is asked and paid
    if server is None:
        result = write_by_facts(annotated, settings, out)
    else:
        result = write_by_model(annotated, settings, server, out, price)
    result.notes = annotated.notes
    result.skipped = annotated.skipped
    return result


def write_by_facts(annotated: AnnotatedImages, settings: WriteSettings, out: Path) -> ScreeningResult:
    """Write a folder without a model, as `write_dataset` does for labels that are already read.

    Args:
        annotated: The labelled images.
        settings: What to write. The label files that it names are only recorded in run.toml.
        out: The folder of the run.

    Returns:
        The numbers of written and rejected samples.

    Raises:
        PosetalkError: When too little is known of all people to write anything, or the folder holds a run with other
            settings.
    """
    with settings.claim(out, anew=True):
        result = write_screened(facts_samples(annotated, settings), out)
        if not result.written:
            raise PosetalkError(
                f"too little is known of the people of {settings.annotations} to write anything of them"
            )
        result.unreadable_images = write_report(annotated, out)
        return result


def write_by_model(
    annotated: AnnotatedImages,
    settings: WriteSettings,
    server: ServerSettings,
    out: Path,
    price: Price | None = None,
) -> ScreeningResult:
    """Have a model on a server write a folder, as `write_dataset` does for labels that are already read.

    Args:
        annotated: The labelled images.
        settings: What to write, with the recipe of the prompts.
        server: The server and how it is asked.
        out: The folder of the run. Answers are stored in its ledger.sqlite and are not asked for again.
        price: What the model costs; needed if `server.max_cost_usd` is set.

    Returns:
        The numbers of written and rejected samples, with `server_run`.

    Raises:
        PosetalkError: When the settings name no recipe, the folder holds a run with other settings, or the server
            refuses the key, does not know the model or cannot be reached. Answers received before that are kept.
        KeyboardInterrupt: At the second Ctrl-C; the first waits for the requests in flight.
    """
    with _open_run(annotated, settings, server, out) as (ledger, make_jobs, accept):
        limits = settings.image_limits()
        total = sum(len(limits.select(annotated.ids(), kind, settings.seed)) for kind in settings.kinds)
        server_run = generate(make_jobs(), ledger, server, accept, price, total)
        result = _write_results(make_jobs(), ledger, server, accept, annotated, out)
    result.server_run = server_run
    if result.written:
        result.unreadable_images = write_report(annotated, out)
    return result


def write_by_batch(
    annotated: AnnotatedImages,
    settings: WriteSettings,
    server: ServerSettings,
    out: Path,
    price: Price | None = None,
    answers: Path | None = None,
) -> tuple[list[str], ScreeningResult | None]:
    """Have a model write a folder through files: requests.jsonl for OpenAI's Batch API or `vllm run-batch`.

    Args:
        annotated: The labelled images.
        settings: What to write, with the recipe of the prompts.
        server: The model and the options of its requests. Nothing is sent.
        out: The folder of the run.
        price: What the model costs, for the cost in the ledger.
        answers: The file of answers to the requests written before. They are stored in the ledger, the samples are
            written, and requests.jsonl holds what is still to be asked.

    Returns:
        Sentences about the files, and the numbers of written and rejected samples (None without `answers`).

    Raises:
        PosetalkError: When the settings name no recipe, the folder holds a run with other settings, or the answers
            cannot be read.
    """
    result = None
    with _open_run(annotated, settings, server, out) as (ledger, make_jobs, accept):
        sentences = list(ledger.notes)
        if answers:
            sentences.append(f"{answers}: {read_batch(answers, ledger, price)}")
        files = write_batch(make_jobs(), ledger, server, accept, out / REQUESTS)
        sentences += [f"{file}: requests to be answered" for file in files]
        if answers:
            result = _write_results(make_jobs(), ledger, server, accept, annotated, out)
        if not files:
            (out / REQUESTS).unlink(missing_ok=True)  # of a batch that has been answered
    if result and result.written:
        result.unreadable_images = write_report(annotated, out)
    return sentences, result


def price_run(
    annotated: AnnotatedImages,
    settings: WriteSettings,
    server: ServerSettings,
    out: Path,
    price: Price | None,
) -> CostEstimate:
    """Estimate the requests, tokens and cost of `write_by_model`. Nothing is sent or written.

    Args:
        annotated: The labelled images.
        settings: What to write, with the recipe of the prompts.
        server: The model and the options of its requests.
        out: The folder of the run. Requests that its ledger holds answers to are not counted.
        price: What the model costs; None for an estimate without a cost.

    Returns:
        The number of requests, the tokens in and out, and the cost in US dollars.

    Raises:
        PosetalkError: When the settings name no recipe, or the ledger cannot be read.
    """
    with Ledger.copy_of(out / LEDGER) as ledger:
        return estimate(_jobs(annotated, settings), server, price, ledger)


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
    annotated = _annotated_images(annotations, captions, objects, images) if annotations else None
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
                    sample, _scene(annotated, record), captions=record.captions or None, fewest=1
                )
                yield ScreenedSample(sample, faults)

    def supported(sample: Sample) -> bool:
        return annotated is not None and sample.image_id in known_ids and _supported(annotated, sample)

    with only_run(out):
        result = write_screened(screened(), out, supported)
        if result.written:
            result.unreadable_images = write_report(annotated, out)
    result.skipped, result.notes = skipped, annotated.notes if annotated else []
    return result


def facts_samples(annotated: AnnotatedImages, settings: WriteSettings) -> Iterator[ScreenedSample]:
    """The screened samples of the facts writer; none of images of whose people too little is known."""
    ids, limits = annotated.ids(), settings.image_limits()
    selected = {kind: limits.select(ids, kind, settings.seed) for kind in settings.kinds}
    for image_id in track(ids, "writing"):
        kinds = [kind for kind in settings.kinds if image_id in selected[kind]]
        if not kinds or (record := annotated.get(image_id)) is None:
            continue
        scene = _scene(annotated, record)
        quotable = [text for text in record.captions if not gives_away(text)]
        for kind in kinds:
            turns = write(scene, quotable, kind, settings.seed)
            if turns is not None:
                name = record.image.name
                sample = Sample(f"{image_id}-{kind}", image_id, name, kind, turns, settings.writer)
                yield ScreenedSample(sample, faults_of(sample, scene, captions=record.captions))


def reply_checker(annotated: AnnotatedImages, recipe: Recipe, model: str) -> Accept:
    """A function that reads a model's reply and screens it with the facts and captions of its image."""
    last: list[tuple[AnnotatedImage, Scene]] = []  # the kinds of an image come one after the other

    def check(job: ChatRequest, reply: str) -> Turns:
        turns = parse(job, reply)  # first: what cannot be read needs no labels
        if not last or last[0][0].image.id != job.image_id:
            record = annotated.get(job.image_id)
            assert record is not None  # the job was made from it
            last[:] = [(record, _scene(annotated, record))]
        record, scene = last[0]
        kind = kind_of(job.kind)
        sample = Sample(job.id, job.image_id, job.image, kind, turns, model)
        if faults := faults_of(sample, scene, given_facts(recipe, kind), record.captions):
            raise Rejected(faults)
        return turns

    return check


def model_samples(outcomes: Iterable[tuple[ChatRequest, Outcome]], model: str) -> Iterator[ScreenedSample]:
    """The sample of each job of a model; it has a fault where there is no usable reply."""
    for job, outcome in outcomes:
        faults = outcome.faults
        if outcome.failure == UNASKED:
            faults += (Fault("not asked", "not asked again yet" if faults else UNASKED),)
        elif outcome.failure:
            faults += (Fault("failed", f"asked again: {outcome.failure}" if faults else outcome.failure),)
        sample = Sample(job.id, job.image_id, job.image, kind_of(job.kind), outcome.turns, model)
        yield ScreenedSample(sample, faults, outcome.reply)


def write_screened(
    samples: Iterable[ScreenedSample], out: Path, supported: Callable[[Sample], bool] = lambda _: True
) -> ScreeningResult:
    """Write samples.jsonl and rejected.jsonl; of samples that repeat each other the first is kept.

    Both files appear when they are complete. Memory hardly grows with the samples, see `Duplicates`.

    Args:
        samples: The samples, written as they come.
        out: The folder, which exists.
        supported: Whether the facts of its own image support a short text that repeats an earlier one. What the facts
            writer wrote is always supported.

    Returns:
        The numbers of written and rejected samples.

    Raises:
        PosetalkError: When the disk refuses.
    """
    result, duplicates = ScreeningResult(), Duplicates(supported)
    for name in (SAMPLES, REJECTED):
        for part in left_behind(out, name):
            part.unlink()
    with (
        whole_file(out / SAMPLES) as samples_part,
        whole_file(out / REJECTED) as rejected_part,
        samples_part.open("w", encoding="utf-8") as samples_file,
        rejected_part.open("w", encoding="utf-8") as rejected_file,
    ):
        for screened in samples:
            sample = screened.sample
            faults = screened.faults or duplicates.faults_of(sample)
            if faults:
                row = json.loads(sample.line()) | {
                    "faults": [asdict(fault) for fault in faults],
                    "reply": screened.reply,
                }
                rejected_file.write(json.dumps(row, ensure_ascii=False) + "\n")
                result.rejected[faults[0].reason] += 1
            else:
                samples_file.write(sample.line())
                result.written[sample.kind] += 1
    return result


def write_report(annotated: AnnotatedImages | None, out: Path) -> list[str]:
    """Write report.html of the files in the folder; returns a sentence for each image that cannot be read."""
    poses = (record.image for record in annotated or ())
    skeleton = annotated.skeleton if annotated else None
    return write_page(
        out / SAMPLES, out / "report.html", poses=poses, skeleton=skeleton, rejected=out / REJECTED
    )


def provenance_of(folder: Path) -> Provenance | None:
    """How the samples of a folder were made, for the card of an export; None where it has no run.toml."""
    if not (folder / "run.toml").exists():
        return None
    settings = WriteSettings.load(folder / "run.toml")
    sources = [Path(path) for path in (settings.annotations, settings.captions, settings.objects) if path]
    recipe = settings.writer if settings.recipe is None else f"{settings.writer}, recipe {settings.recipe}"
    return Provenance(recipe, settings.seed, tuple(path for path in sources if path.is_file()))


def _annotated_images(
    annotations: str | Path,
    captions: str | Path | None,
    objects: str | Path | None,
    images: str | Path | None,
) -> AnnotatedImages:
    return AnnotatedImages(
        Path(annotations),
        Path(captions) if captions else None,
        Path(objects) if objects else None,
        images=Path(images) if images else None,
    )


def _scene(annotated: AnnotatedImages, record: AnnotatedImage) -> Scene:
    return scene_facts(record.image, annotated.keypoint_names, record.things)


def _supported(annotated: AnnotatedImages, sample: Sample) -> bool:
    record = annotated.get(sample.image_id)
    return record is not None and supported_by_facts(sample, _scene(annotated, record))


def _recipe(settings: WriteSettings) -> Recipe:
    if settings.recipe is None:
        raise PosetalkError("a model needs a recipe of prompts; set recipe to grounded or paper")
    return settings.recipe


def _jobs(annotated: AnnotatedImages, settings: WriteSettings) -> Iterator[ChatRequest]:
    return jobs(annotated, settings.kinds, _recipe(settings), settings.seed, settings.image_limits())


def _write_results(
    jobs: Iterable[ChatRequest],
    ledger: Ledger,
    server: ServerSettings,
    accept: Accept,
    annotated: AnnotatedImages,
    out: Path,
) -> ScreeningResult:
    """Write the samples that a model's stored answers give."""
    samples = model_samples(results(jobs, ledger, server, accept), server.model)
    return write_screened(samples, out, partial(_supported, annotated))


@contextmanager
def _open_run(
    annotated: AnnotatedImages, settings: WriteSettings, server: ServerSettings, out: Path
) -> Iterator[tuple[Ledger, Callable[[], Iterator[ChatRequest]], Accept]]:
    """Claim the folder and open its ledger; gives the ledger, a maker of the jobs and the check of replies."""
    accept = reply_checker(annotated, _recipe(settings), server.model)
    # Answers in the ledger are found by the words of their request, and judged by the labels as they are now.
    with settings.claim(out, anew=True) as labels, Ledger(out / LEDGER, _paid_for(out)) as ledger:
        ledger.judge_by(f"{rules_fingerprint()} {labels}")
        yield ledger, partial(_jobs, annotated, settings), accept


def _paid_for(out: Path) -> Iterator[Path]:
    """Files whose presence shows that the ledger must hold answers; a rejection without a reply was not paid for."""
    yield from (out / SAMPLES, out / REQUESTS)
    with suppress(OSError), (out / REJECTED).open(encoding="utf-8", errors="replace") as rows:
        if any(not row.rstrip().endswith(_NO_REPLY) or REFUSED in row for row in rows):
            yield out / REJECTED
