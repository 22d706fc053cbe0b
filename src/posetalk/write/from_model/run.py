"""A data set by a model on a server, or through files that are answered elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from posetalk.errors import PosetalkError
from posetalk.facts.scene import Scene
from posetalk.formats.annotated import AnnotatedImage, AnnotatedImages
from posetalk.llm.batch_files import read_batch, write_batch
from posetalk.llm.client import ServerSettings
from posetalk.llm.fault import Fault, Rejected
from posetalk.llm.ledger import Ledger
from posetalk.llm.pricing import CostEstimate, Price, estimate
from posetalk.llm.request import ChatRequest
from posetalk.llm.request_state import REFUSED, UNASKED, Accept, Outcome, results
from posetalk.llm.runner import generate
from posetalk.write.folder import (
    REJECTED,
    SAMPLES,
    ScreenedSample,
    ScreeningResult,
    write_report,
    write_screened,
)
from posetalk.write.from_model.recipe import Recipe, given_facts, jobs
from posetalk.write.from_model.reply import parse
from posetalk.write.labels import is_supported, scene_of
from posetalk.write.samples.sample import Sample, Turns, kind_of
from posetalk.write.screening.screen import faults_of, rules_fingerprint
from posetalk.write.settings import WriteSettings

LEDGER, REQUESTS = "ledger.sqlite", "requests.jsonl"
_NO_REPLY = '"reply": ""}'  # how a line of rejected.jsonl ends where no answer came


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


def reply_checker(annotated: AnnotatedImages, recipe: Recipe, model: str) -> Accept:
    """A function that reads a model's reply and screens it with the facts and captions of its image."""
    last: list[tuple[AnnotatedImage, Scene]] = []  # the kinds of an image come one after the other

    def check(job: ChatRequest, reply: str) -> Turns:
        turns = parse(job, reply)  # first: what cannot be read needs no labels
        if not last or last[0][0].image.id != job.image_id:
            record = annotated.get(job.image_id)
            assert record is not None  # the job was made from it
            last[:] = [(record, scene_of(annotated, record))]
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
    return write_screened(samples, out, partial(is_supported, annotated))


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
