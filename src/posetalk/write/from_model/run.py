"""A data set by a model on a server, or through files that are answered elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from posetalk.errors import PosetalkError
from posetalk.formats.annotated import AnnotatedImages
from posetalk.llm.batch_files import read_batch, write_batch
from posetalk.llm.client import ServerSettings
from posetalk.llm.fault import Fault
from posetalk.llm.ledger import LEDGER, Ledger
from posetalk.llm.pricing import CostEstimate, Price, estimate
from posetalk.llm.request import ChatRequest
from posetalk.llm.request_state import REFUSED, UNASKED, Accept, Outcome, RunReport, results
from posetalk.llm.runner import generate
from posetalk.write.folder import (
    REJECTED,
    SAMPLES,
    ScreenedSample,
    ScreeningResult,
    write_report,
    write_screened,
)
from posetalk.write.from_model.judging import labels_from, reply_checker, screening
from posetalk.write.from_model.recipe import Photos, Recipe, jobs, usable_images
from posetalk.write.from_model.second_reader import LabelsOf, Screen, SecondReader, accept_verdict
from posetalk.write.labels import is_supported
from posetalk.write.samples.sample import Sample, Selected, kind_of
from posetalk.write.screening.screen import rules_fingerprint
from posetalk.write.settings import WriteSettings

REQUESTS = "requests.jsonl"
_NO_REPLY = '"reply": ""}'  # how a line of rejected.jsonl ends where no answer came


def write_by_model(
    annotated: AnnotatedImages,
    settings: WriteSettings,
    server: ServerSettings,
    out: Path,
    price: Price | None = None,
    reader: ServerSettings | None = None,
    reader_price: Price | None = None,
) -> ScreeningResult:
    """Have a model on a server write a folder, as `write_dataset` does for labels that are already read.

    Args:
        annotated: The labelled images.
        settings: What to write, with the recipe of the prompts.
        server: The server and how it is asked.
        out: The folder of the run. Answers are stored in its ledger.sqlite and are not asked for again.
        price: What the model costs; needed if `server.max_cost_usd` is set.
        reader: The server of the second reader that `settings.verify` names.
        reader_price: What the second reader costs.

    Returns:
        The numbers of written and rejected samples, with `server_run`, and the sentences that the second reader read.

    Raises:
        PosetalkError: When the settings name no recipe, the folder holds a run with other settings, or the server
            refuses the key, does not know the model or cannot be reached. Answers received before that are kept.
        KeyboardInterrupt: At the second Ctrl-C; the first waits for the requests in flight.
    """
    with asked_model(annotated, settings, server, out, price, reader, reader_price) as asked:
        result = write_screened(asked.samples(), out, partial(is_supported, annotated))
        result.skipped, result.read, result.server_run = asked.skipped, asked.read, asked.report
    if result.written:
        result.unreadable_images = write_report(annotated, out)
    return result


@dataclass(frozen=True, slots=True)
class AskedModel:
    """What a model was asked, in an open folder.

    Attributes:
        report: What became of the requests.
        samples: Gives the samples in their order, from the answers in the ledger.
        read: The number of sentences that the second reader read, by what it said; once all samples are taken.
    """

    report: RunReport
    samples: Callable[[], Iterator[ScreenedSample]]
    read: Counter[str]
    _run: _OpenRun

    @property
    def skipped(self) -> list[str]:
        """A sentence for each image that nothing was asked about, as its photo is missing."""
        return self._run.skipped


@contextmanager
def asked_model(
    annotated: AnnotatedImages,
    settings: WriteSettings,
    server: ServerSettings,
    out: Path,
    price: Price | None = None,
    reader: ServerSettings | None = None,
    reader_price: Price | None = None,
    selected: Selected | None = None,
    known: Path | None = None,
) -> Iterator[AskedModel]:
    """Ask a model on a server, and keep the folder open for what was answered. Arguments as of `write_by_model`.

    Args:
        selected: The images of each kind; None for those that the settings choose of all.
        known: Another ledger whose answers are taken, too.
    """
    with _open_run(annotated, settings, server, out, selected, known) as run:
        second, read, outcomes = None, Counter[str](), run.outcomes
        if reader is None:
            report = generate(run.make_jobs(), run.ledger, server, run.accept, price, run.total)
        else:
            second = SecondReader(reader, run.labels_of, run.screen, read)
            report = _generate_read(run, second, price, reader_price)
            outcomes = partial(_read_outcomes, second, run)
        yield AskedModel(report, lambda: model_samples(outcomes(), server.model), read, run)


def _read_outcomes(second: SecondReader, run: _OpenRun) -> Iterator[tuple[ChatRequest, Outcome]]:
    return second.read(run.outcomes(), run.ledger)


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
    with _open_run(annotated, settings, server, out) as run:
        sentences = list(run.ledger.notes)
        if answers:
            sentences.append(f"{answers}: {read_batch(answers, run.ledger, price)}")
        files = write_batch(run.make_jobs(), run.ledger, server, run.accept, out / REQUESTS)
        sentences += [f"{file}: requests to be answered" for file in files]
        if answers:
            samples = model_samples(run.outcomes(), server.model)
            result = write_screened(samples, out, partial(is_supported, annotated))
            result.skipped = run.skipped
        sentences += run.skipped
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
        return estimate(_jobs(annotated, settings, _photos(settings)), server, price, ledger)


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


def _recipe(settings: WriteSettings) -> Recipe:
    if settings.recipe is None:
        raise PosetalkError("a model needs a recipe of prompts; set recipe to grounded or paper")
    return settings.recipe


def _jobs(
    annotated: AnnotatedImages,
    settings: WriteSettings,
    photos: Photos | None,
    selected: Selected | None = None,
) -> Iterator[ChatRequest]:
    recipe, limits = _recipe(settings), settings.image_limits()
    return jobs(annotated, settings.kinds, recipe, settings.seed, limits, photos=photos, selected=selected)


def usable_by_model(annotated: AnnotatedImages, settings: WriteSettings) -> Selected:
    """The images of each kind that a model is asked about."""
    limits = settings.image_limits()
    return usable_images(annotated, settings.kinds, _recipe(settings), settings.seed, limits)


def _photos(settings: WriteSettings) -> Photos | None:
    """The photos that are sent along.

    Raises:
        PosetalkError: When the recipe has no facts to go with them.
    """
    if settings.show_images and settings.recipe != "grounded":
        raise PosetalkError(
            "photos are sent with the facts of the recipe grounded; leave one of the two options away"
        )
    return Photos(settings.image_side) if settings.show_images else None


@dataclass(frozen=True, slots=True)
class _OpenRun:
    """A folder that is written: its ledger, its jobs, and how replies are judged. total: the number of jobs."""

    ledger: Ledger
    server: ServerSettings
    make_jobs: Callable[[], Iterator[ChatRequest]]
    accept: Accept
    labels_of: LabelsOf
    screen: Screen
    photos: Photos | None
    total: int

    def outcomes(self) -> Iterator[tuple[ChatRequest, Outcome]]:
        """The outcome of each job, from the ledger."""
        return results(self.make_jobs(), self.ledger, self.server, self.accept)

    @property
    def skipped(self) -> list[str]:
        """A sentence for each image that nothing was asked about, as its photo is missing."""
        return list(self.photos.skipped) if self.photos else []


def _generate_read(
    run: _OpenRun, second: SecondReader, price: Price | None, reader_price: Price | None
) -> RunReport:
    """Have the writer write and the second reader read, until nothing is sent back to the writer."""
    while True:
        report = generate(run.make_jobs(), run.ledger, run.server, run.accept, price, run.total)
        if report.stopped:
            return report
        questions = second.requests(run.outcomes())
        reading = generate(questions, run.ledger, second.settings, accept_verdict, reader_price)
        report.totals, report.stopped = reading.totals, reading.stopped
        report.interrupted |= reading.interrupted
        if report.stopped or not second.send_back(run.outcomes(), run.ledger):
            return report


@contextmanager
def _open_run(
    annotated: AnnotatedImages,
    settings: WriteSettings,
    server: ServerSettings,
    out: Path,
    selected: Selected | None = None,
    known: Path | None = None,
) -> Iterator[_OpenRun]:
    """Claim the folder and open its ledger."""
    recipe, photos, labels_of = _recipe(settings), _photos(settings), labels_from(annotated)
    limits = settings.image_limits()
    expected = selected or {
        kind: limits.select(annotated.ids(), kind, settings.seed) for kind in settings.kinds
    }
    # Answers in the ledger are found by the words of their request, and judged by the labels as they are now.
    with (
        settings.claim(out, anew=True) as labels,
        Ledger(out / LEDGER, _paid_for(out), known=known) as ledger,
    ):
        ledger.judge_by(f"{rules_fingerprint()} {labels}")
        yield _OpenRun(
            ledger,
            server,
            partial(_jobs, annotated, settings, photos, selected),
            reply_checker(annotated, recipe, server.model),
            labels_of,
            screening(labels_of, recipe, server.model),
            photos,
            sum(map(len, expected.values())),
        )


def _paid_for(out: Path) -> Iterator[Path]:
    """Files whose presence shows that the ledger must hold answers; a rejection without a reply was not paid for."""
    yield from (out / SAMPLES, out / REQUESTS)
    with suppress(OSError), (out / REJECTED).open(encoding="utf-8", errors="replace") as rows:
        if any(not row.rstrip().endswith(_NO_REPLY) or REFUSED in row for row in rows):
            yield out / REJECTED
