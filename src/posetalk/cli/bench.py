"""Commands of `posetalk bench`: run, build, review, answer, judge, report, export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from posetalk.cli.app import app, log, tell
from posetalk.cli.machines import ONE, Machines
from posetalk.cli.server import HERE, Server, leave
from posetalk.cli.terminal import show
from posetalk.errors import PosetalkError
from posetalk.process import prepare_for_models

if TYPE_CHECKING:
    from posetalk.bench.answers.answer import AnswerCounts

bench = App(
    name="bench",
    help="Test what a model understands of bodies: build questions, answer them, judge the answers, report.",
)
app.command(bench)


@bench.command
def build(
    annotations: Path,
    *,
    out: Path,
    captions: Path | None = None,
    objects: Path | None = None,
    images: Path | None = None,
    skeleton: str | None = None,
    first: int = 1,
    last: int | None = None,
    max_images: int = 90,
    max_per_answer: int = 10,
    training_data: Annotated[list[Path] | None, Parameter(negative=())] = None,
    seed: int = 0,
) -> None:
    """Build the questions of a benchmark: those with one right answer, and, where there are captions, open ones with
    references.

    No model is asked and no extra is needed.

    Example: `posetalk bench build person_keypoints_val2017.json --captions captions_val2017.json --out own`

    Args:
        annotations: The label file, held out from training: COCO's person keypoints; or MPII or LSP labels,
            without open questions.
        out: The folder of the benchmark.
        captions: COCO's captions of the same images. Without them there are no open questions.
        objects: COCO's instances file of the same images, for questions about what people sit on, ride and
            hold.
        images: The folder of the images. Only images that are in it are asked about.
        skeleton: The keypoints that a COCO-style file labels: a built-in skeleton or a TOML file. The default is
            the built-in one that the file names, else coco17.
        first: The number of the first image to use, counted from 1. For LSP labels alone.
        last: The number of the last image to use, itself included. For LSP labels alone; the default is the
            last of the file.
        max_images: The number of images that open questions are about; there are three questions for each.
        max_per_answer: The largest number of questions with the same words and the same right answer. More make
            intervals narrower.
        training_data: A file that a model was trained on (LLaVA's JSON or samples.jsonl). Its images are refused.
            Repeat the option for more.
        seed: The seed of wording and choice. The same seed gives the same questions.
    """
    from posetalk.bench.questions.run import build_benchmark
    from posetalk.bench.questions.source import BuildSettings

    given = {
        "annotations": str(annotations),
        "captions": str(captions) if captions else None,
        "objects": str(objects) if objects else None,
        "images": str(images) if images else None,
        "skeleton": skeleton,
        "first": first,
        "last": last,
        "max_images": max_images,
        "max_per_answer": max_per_answer,
        "training_data": [str(path) for path in training_data or ()],
        "seed": seed,
    }
    settings = BuildSettings.check(given, "the options")
    _tell(build_benchmark(settings, out))


@bench.command
def review(
    folder: Path, *, images: Path | None = None, limit: int | None = None, apply: Path | None = None
) -> None:
    """Make a page on which a person confirms or strikes the right answers (keys), and take in what was said on it.

    The page, review.html, opens offline: a photo with the person marked, a question, its key; y, n and the arrow keys.
    It gives a file keys.jsonl, which --apply takes into the folder. Where keys are confirmed, reports and exports have
    those alone; struck ones are asked and counted no more.

    Example: `posetalk bench review own --images val2017`

    Args:
        folder: The folder of the benchmark.
        images: The folder of the images, for the page.
        limit: The number of questions to draw, the same as of `bench answer --limit`. By default all are on the page.
        apply: The file that the page gave.
    """
    from posetalk.bench.review.run import make_review_page, take_review

    if (images is None) == (apply is None):
        raise PosetalkError("give --images FOLDER for the page, or --apply FILE for what was said on it")
    if apply is not None:
        print("\n".join(take_review(folder, apply)))
        return
    assert images is not None
    page, count, notes = make_review_page(folder, images, limit=limit)
    print(f"{page}: {count:,} keys to look at; open it in a browser")
    tell("skipped", notes)


@bench.command
def answer(
    folder: Path,
    *,
    images: Path,
    model: str,
    name: str | None = None,
    only: Literal["closed", "open"] | None = None,
    limit: int | None = None,
    batch_size: int = 8,
    device: str | None = None,
    dtype: Literal["float32", "bfloat16", "float16"] | None = None,
    server: Server = HERE,
    machines: Machines = ONE,
) -> None:
    """Have a model answer the questions of a benchmark, into answers/MODEL.jsonl.

    Run again, the command goes on where it stopped. A model in a folder needs the extra `tune`; one on a server
    needs `write`, and the images are sent to that server. The key of a server is read from the environment variable
    OPENAI_API_KEY.

    Example: `posetalk bench answer own --images val2017 --model qwen-vl --base-url http://localhost:8000/v1`

    Args:
        folder: The folder of the benchmark.
        images: The folder of the images.
        model: A folder or hub id of a vision-language model, `small` or `tiny`. With --base-url or --settings:
            its name on the server.
        name: What the model is called in the report. The default is the name of its folder, or that on the
            server.
        only: Ask only the questions with one right answer (`closed`) or only the open ones (`open`). By default
            both are asked.
        limit: The number of questions to draw of each sort. By default all are asked.
        batch_size: The number of questions that a model in a folder answers at once.
        device: Where a model in a folder runs: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto` to spread its layers
            over all GPUs. The default is a GPU where there is one.
        dtype: The number format of the weights. The default is float32 on a CPU and bfloat16
            elsewhere.
        server: How a language model on a server is asked.
        machines: Where it is computed. A shard is of questions, and shards are joined.
    """
    from posetalk.bench.answers.judge_run import usage_summary
    from posetalk.bench.answers.run import answer_benchmark

    def answered(model: str, **options: Any) -> AnswerCounts:
        options |= {"name": name, "only": only, "limit": limit}
        if not machines.asked():
            return answer_benchmark(folder, images, model, **options)
        if machines.no_join:
            raise PosetalkError("answers of a benchmark are in one file; leave --no-join away")
        from posetalk.scale.answer import answer_shards

        with machines.cluster(device="cpu" if "server" in options else device) as cluster:
            return answer_shards(cluster, folder, images, model, shard_size=machines.size, **options)

    if not (server.base_url or server.settings):
        if server != HERE:
            raise PosetalkError("the options of a server go with --base-url or --settings; leave them away")
        prepare_for_models()
        _tell_answers(answered(model, batch_size=batch_size, device=device, dtype=dtype))
        return
    settings = server.asks(model)
    price = server.price(settings.model)
    counts = answered(settings.model, server=settings, price=price)
    assert counts.run_report is not None
    usage = usage_summary(counts.run_report)
    print(f"{counts.model}: {counts.new:,} answers, {counts.known:,} known before; {usage}")
    tell("skipped", counts.skipped)
    leave(counts.run_report, _has_answers(counts), _NOTHING.format(counts.model))


@bench.command
def judge(
    folder: Path,
    *,
    model: str | None = None,
    server: Server = HERE,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Have a language model score all open answers beside the references, in both orders, into reviews/MODEL.jsonl.

    Needs the extra `write`. The key of the server is read from the environment variable OPENAI_API_KEY.

    Example: `posetalk bench judge own --model gpt-4.1-mini --max-cost-usd 5`

    Args:
        folder: The folder of the benchmark.
        model: The name of the judge on its server. The server is OpenAI's where no --base-url is given.
        server: How a language model on a server is asked.
        dry_run: Count requests and tokens, estimate the price, and ask nothing.
    """
    from posetalk.bench.answers.judge_run import judge_benchmark

    settings = server.asks(model)
    result = judge_benchmark(folder, settings, server.price(settings.model), dry_run=dry_run)
    print("\n".join(result.notes))
    nothing = f"no review has scores that can be read; see what {settings.model} said in {folder / 'reviews'}"
    leave(result.run_report, result.scored != 0, nothing)


@bench.command
def report(folder: Path, *, images: Path | None = None) -> None:
    """Report on all models that answered: tables in the terminal, report.json, and report.html, which opens offline.

    Example: `posetalk bench report own --images val2017`

    Args:
        folder: The folder of the benchmark.
        images: The folder of the images, which the page shows.
    """
    from posetalk.bench.report.run import report_benchmark
    from posetalk.bench.report.table import tables

    numbers, notes = report_benchmark(folder, images)
    for table in tables(numbers):
        show(table)
    print(f"{folder / 'report.html'}, {folder / 'report.json'}")
    for note in notes:
        log.warning(note)


@bench.command
def export(
    folder: Path, out: Path, *, images: Path, format: Literal["lmms-eval", "vlmevalkit"] = "lmms-eval"
) -> None:
    """Convert the questions with one right answer into a task of another evaluation harness.

    Example: `posetalk bench export own task --images val2017`

    Args:
        folder: The folder of the benchmark.
        out: A new folder for lmms-eval, or a new .tsv file for VLMEvalKit.
        images: The folder of the images.
        format: The harness: `lmms-eval` (a task folder) or `vlmevalkit` (a table that holds the images).
    """
    from posetalk.bench.folder import read_benchmark
    from posetalk.bench.report.export import export_lmms, export_vlmeval

    benchmark = read_benchmark(folder)
    questions = benchmark.review.kept(benchmark.closed.questions)
    run = export_lmms if format == "lmms-eval" else export_vlmeval
    left_out = run(questions, images, out)
    print(f"{out}: {len(questions) - left_out:,} questions")
    if left_out:
        tell("skipped", [f"{left_out:,} questions whose image is not in {images} or cannot be read"])
    tell("note", benchmark.review.sentences(benchmark.closed.questions))


@bench.command
def run(
    annotations: Path,
    *,
    images: Path,
    model: str,
    out: Path,
    captions: Path | None = None,
    objects: Path | None = None,
    training_data: Annotated[list[Path] | None, Parameter(negative=())] = None,
    name: str | None = None,
    limit: int | None = None,
    device: str | None = None,
    dtype: Literal["float32", "bfloat16", "float16"] | None = None,
) -> None:
    """Build the questions that are missing, have a model in a folder answer them, and report.

    Run with another --model, its answers come beside those of the first. Needs the extra `tune`.

    Example: `posetalk bench run person_keypoints_val2017.json --images val2017 --model talk --out bench`

    Args:
        annotations: COCO's person keypoints, held out from training.
        images: The folder of the images. Only images that are in it are asked about.
        model: A folder or hub id of a vision-language model, `small` or `tiny`.
        out: The folder of the benchmark.
        captions: COCO's captions of the same images. Without them there are no open questions.
        objects: COCO's instances file of the same images, for questions about what people sit on, ride and
            hold.
        training_data: A file that the model was trained on (LLaVA's JSON or samples.jsonl). Its images are
            refused. Repeat the option for more.
        name: What the model is called in the report. The default is the name of its folder.
        limit: The number of questions to draw of each sort. By default all are asked.
        device: Where the model runs: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto` to spread its layers over all GPUs.
            The default is a GPU where there is one.
        dtype: The number format of the weights. The default is float32 on a CPU and bfloat16
            elsewhere.
    """
    from posetalk.bench.answers.run import answer_benchmark, local_model_name
    from posetalk.bench.questions.run import build_benchmark
    from posetalk.bench.questions.source import BuildSettings

    local_model_name(model)  # raises where there is no such model, before the questions are built
    settings = BuildSettings(
        annotations=str(annotations),
        captions=str(captions) if captions else None,
        objects=str(objects) if objects else None,
        images=str(images),
        training_data=tuple(str(path) for path in training_data or ()),
    )
    _tell(build_benchmark(settings, out, rebuild=False))
    prepare_for_models()
    _tell_answers(answer_benchmark(out, images, model, name=name, limit=limit, device=device, dtype=dtype))
    report(out, images=images)


def _tell(notes: Sequence[str]) -> None:
    for note in notes:
        if note.startswith("skipped: "):
            log.warning(note)
        else:
            print(note)


_NOTHING = "{} answered no question; why is said above"


def _tell_answers(counts: AnswerCounts) -> None:
    """Of a model on this machine. Raises PosetalkError where there are none."""
    print(f"{counts.model}: {counts.new:,} answers, {counts.known:,} known before")
    tell("skipped", counts.skipped)
    if not _has_answers(counts):
        raise PosetalkError(_NOTHING.format(counts.model))


def _has_answers(counts: AnswerCounts) -> bool:
    return bool(counts.new or counts.known)
