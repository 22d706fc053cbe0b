"""The command line: one command per stage. Parses and calls, nothing else; heavy imports wait for the command."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Parameter

import posetalk
from posetalk.errors import PosetalkError

app = App(
    name="posetalk",
    help="Find human keypoints from their descriptions.",
    version=posetalk.__version__,
)


def main(argv: list[str] | None = None) -> None:
    """Run a command. Bad input: one sentence on standard error, exit code 2."""
    try:
        app(argv, exit_on_error=False, print_error=False)
    except (PosetalkError, CycloptsError) as error:
        print(f"posetalk: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print(
            "posetalk: stopped; what was done is kept, the same command goes on from there", file=sys.stderr
        )
        raise SystemExit(130) from None


@app.command
def locate(
    photos: Annotated[list[Path], Parameter(consume_multiple=True)],
    /,
    *,
    model: str = "bundled",
    ask: Annotated[list[str] | None, Parameter(negative=())] = None,
    skeleton: str | None = None,
    box: Annotated[list[str] | None, Parameter(negative=())] = None,
    readout: Literal["point", "digits"] | None = None,
    decoding: Literal["greedy", "expected"] = "expected",
    flip: bool = False,
    json_out: Annotated[Path | None, Parameter(name="--json")] = None,
    draw: Path | None = None,
    out: Path | None = None,
) -> None:
    """Find keypoints in a photo, or in many.

    Parameters
    ----------
    photos: a picture; or, with --out, several, folders of them, or quoted patterns such as "party/*.jpg".
    model: a folder or hub id of a PoseLLM.
    ask: a keypoint to look for, "name: description"; may be given several times.
    skeleton: a built-in skeleton or a TOML file; coco17 when nothing is asked for.
    box: x,y,width,height of a person in pixels; may be given several times. Without it the whole picture.
    readout: point at the place, or write its digits; by default the model's own.
    decoding: of digits, the likeliest, or the mean of their distribution.
    flip: look at the mirrored picture too, and average.
    json_out: where to write the answer as JSON.
    draw: where to write the picture with the answer drawn on it; for several photos a folder.
    out: the folder of a run over several photos: predictions.jsonl, keypoints.json (COCO results). Run again, it
        goes on where it stopped.
    """
    from posetalk.locate.show import locate_many, locate_one
    from posetalk.skeleton import Keypoint
    from posetalk.skeleton import skeleton as named

    limbs: tuple[tuple[int, int], ...] = ()
    points: list[Keypoint] = []
    if skeleton or not ask:
        chosen = named(skeleton or "coco17")
        points, limbs = list(chosen.keypoints), chosen.limbs
    points += [Keypoint.parse(text) for text in ask or []]
    boxes = [_box(text) for text in box] if box else None
    if out is None:
        if len(photos) != 1 or photos[0].is_dir():
            raise PosetalkError("several photos need a folder for their answers; give --out FOLDER")
        localizer = _localizer(model, readout, decoding, flip)
        locate_one(localizer, photos[0], boxes, points, limbs, json_out=json_out, drawn=draw)
        return
    if boxes or json_out:
        raise PosetalkError("--box and --json go with a single photo; with --out leave them away")
    from posetalk.settings import LocateSettings

    asked = tuple(f"{p.name}: {p.sentence}" for p in points)
    run = LocateSettings(model=model, keypoints=asked, readout=readout, decoding=decoding, flip=flip)
    locate_many(lambda: _localizer(model, readout, decoding, flip), run, photos, points, limbs, out, draw)


@app.command
def evaluate(
    *,
    annotations: Path,
    images: Path,
    out: Path,
    model: str = "bundled",
    skeleton: str | None = None,
    boxes: Path | None = None,
    box_form: Literal["xywh", "xyxy"] = "xywh",
    heads: Path | None = None,
    beside: Annotated[list[Path] | None, Parameter(negative=())] = None,
    first: int = 1,
    last: int | None = None,
    readout: Literal["point", "digits"] | None = None,
    decoding: Literal["greedy", "expected"] = "expected",
    flip: bool = False,
) -> None:
    """Score a model on labelled people.

    Parameters
    ----------
    annotations: COCO-style, MPII or LSP labels.
    images: the folder of the pictures.
    out: where predictions.jsonl and the report go; run again, it goes on where it stopped.
    model: a folder or hub id of a PoseLLM.
    skeleton: which keypoints a COCO-style file labels: coco17, humanart21 or a TOML file.
    boxes: a detector's boxes as COCO results; without it the labelled boxes.
    box_form: what those boxes hold: left, top, width, height or (Human-Art's) left, top, right, bottom.
    heads: MPII's gt_valid.mat.
    beside: another's predictions.jsonl for the same people, scored in the same report; may be given several times.
    first: LSP: the first picture, from 1.
    last: LSP: the last picture.
    readout: point at the place, or write its digits; by default the model's own.
    decoding: of digits, the likeliest, or the mean of their distribution.
    flip: look at the mirrored picture too, and average.
    """
    from posetalk.score.run import evaluate_model
    from posetalk.settings import EvaluateSettings

    settings = EvaluateSettings(
        model=model,
        annotations=str(annotations),
        images=str(images),
        skeleton=skeleton,
        boxes=str(boxes) if boxes else None,
        box_form=box_form,
        heads=str(heads) if heads else None,
        first=first,
        last=last,
        readout=readout,
        decoding=decoding,
        flip=flip,
    )
    evaluate_model(settings, lambda: _localizer(model, readout, decoding, flip), out, beside or ())


@app.command
def train(
    settings: Path | None = None,
    *,
    out: Path,
    preset: Literal["posellm-7b", "locllm-7b"] | None = None,
    annotations: Path | None = None,
    images: Path | None = None,
    steps: int | None = None,
    seed: int | None = None,
    without_keypoints: str | None = None,
) -> None:
    """Train a model, or go on with a run that was stopped.

    Parameters
    ----------
    settings: a TOML file of TrainSettings; what is given beside it takes the place of what it says.
    out: the folder of the run.
    preset: the papers' networks: PoseLLM's (two-layer connector) or LocLLM's (linear).
    annotations: the labels to learn from, where the settings name none or others.
    images: the folder of their pictures.
    steps: gradient steps.
    seed: of views and weights.
    without_keypoints: names to leave out, separated by commas.
    """
    from posetalk.settings import TrainSettings

    given: dict[str, Any] = TrainSettings.read(settings) if settings else {}
    if (annotations is None) != (images is None):
        raise PosetalkError("--annotations and --images go together; give both")
    if annotations and images:
        given["data"] = [{"annotations": str(annotations), "images": str(images)}]
    if not settings and not (preset and annotations):
        raise PosetalkError(
            "train needs a settings file, or --preset with --annotations and --images; see docs/train.md"
        )
    _quiet()
    _keep_memory()
    if preset:
        from posetalk.model.files import PRESETS

        given["model"] = PRESETS[preset].model_dump(mode="json")
    if without_keypoints is not None:
        given["without_keypoints"] = [name.strip() for name in without_keypoints.split(",")]
    given |= {key: value for key, value in (("steps", steps), ("seed", seed)) if value is not None}
    chosen = TrainSettings.check(given, str(settings or "the options"))
    from posetalk.train.run import train as run

    print(run(chosen, out))


@app.command
def calibrate(
    model: str,
    out: Path,
    *,
    annotations: Path,
    images: Path,
    skeleton: str | None = None,
    first: int = 1,
    last: int | None = None,
) -> None:
    """Make the scores of a model with the readout `point` mean what they say.

    Parameters
    ----------
    model: a folder or hub id of a PoseLLM.
    out: a folder for the calibrated model.
    annotations: labelled people that it has not learned from: COCO-style, MPII or LSP.
    images: the folder of their pictures.
    skeleton: which keypoints a COCO-style file labels: coco17, humanart21 or a TOML file.
    first: LSP: the first picture, from 1.
    last: LSP: the last picture.
    """
    from posetalk.read.dataset import labelled_skeleton, read_people
    from posetalk.skeleton import skeleton as known

    named = known(skeleton) if skeleton else None
    truth = read_people(annotations, images, skeleton=named, first=first, last=last)
    _quiet()
    _keep_memory()
    from posetalk.score.calibrate import calibrate as run

    found = run(model, truth, named or labelled_skeleton(truth), out)
    for sentence in truth.skipped:
        print(f"skipped: {sentence}")
    factor, offset = found.visible_line
    print(
        f"{out}: calibrated on {found.people} people; temperature {found.temperature:.2f}, "
        f"visible {factor:.2f} x + {offset:.2f}; expected calibration error "
        f"{found.error_before:.3f} before, {found.error_after:.3f} after"
    )


@app.command
def convert(
    source: Path,
    out: Path,
    *,
    vision: str = "facebook/dinov2-large",
    text: str = "lmsys/vicuna-7b-v1.5",
    wording: str = "posetalk",
) -> None:
    """Turn a LocLLM checkpoint folder into a PoseLLM folder, tensor by tensor.

    Parameters
    ----------
    source: the folder with config.json and pytorch_model*.bin or safetensors.
    out: a new folder.
    vision: where the vision tower's configuration is from.
    text: where the tokenizer is from.
    wording: a TOML file with the words the checkpoint was trained with.
    """
    _quiet()
    from posetalk.model.convert import convert as run

    rows = run(source, out, vision=vision, text=text, wording=wording)
    for row in rows:
        shape = " x ".join(map(str, row.shape))
        print(f"{row.source} -> {row.target or 'left out'}  ({shape})  {row.note}".rstrip())
    read, left = {r.source for r in rows}, {r.source for r in rows if r.target is None}
    print(f"{len(read)} tensors read, {len(left)} left out, the others are in {out}")


@app.command
def skeletons(name: str | None = None, /) -> None:
    """List the built-in skeletons, or the keypoints of one.

    Parameters
    ----------
    name: a built-in skeleton or a TOML file.
    """
    from rich.console import Console
    from rich.table import Table

    from posetalk.skeleton import BUILT_IN
    from posetalk.skeleton import skeleton as named

    if name is None:
        table = Table("skeleton", "keypoints", "names")
        for built_in in BUILT_IN:
            table.add_row(built_in, str(len(named(built_in))), ", ".join(named(built_in).names))
    else:
        table = Table("keypoint", "description", "sigma")
        for point in named(name).keypoints:
            table.add_row(point.name, point.sentence, f"{point.sigma:g}")
    Console().print(table)


@app.command
def facts(
    annotations: Path,
    *,
    images: Path | None = None,
    objects: Path | None = None,
    image: Annotated[list[int] | None, Parameter(negative=())] = None,
    skeleton: str | None = None,
    json_out: Annotated[Path | None, Parameter(name="--json")] = None,
    draw: Path | None = None,
) -> None:
    """Say what is true of labelled poses: posture, limbs, hands, facing, people and objects.

    Parameters
    ----------
    annotations: COCO-style, MPII or LSP labels.
    images: the folder of the pictures; only --draw opens them.
    objects: COCO's instances file, for what people sit on, ride and hold.
    image: the id of a picture; may be given several times. Without it all.
    skeleton: which keypoints a COCO-style file labels: coco17, humanart21 or a TOML file.
    json_out: where to write every fact, true, false or not known, with its numbers: a line of JSON a picture.
    draw: a folder for pictures with the poses and what is true of them.
    """
    from posetalk.facts.show import lines_of, scenes, write_json
    from posetalk.read.dataset import labelled_skeleton, read_people
    from posetalk.read.objects import read_objects
    from posetalk.skeleton import skeleton as known

    named = known(skeleton) if skeleton else None
    data = read_people(annotations, images or annotations.parent, skeleton=named)
    things, left_out = read_objects(objects) if objects else ({}, [])
    if json_out:
        write_json((scene for _, scene in scenes(data, things, image or ())), json_out)
    if draw:
        from posetalk.facts.show import draw_all

        draw_all(scenes(data, things, image or ()), named or labelled_skeleton(data), draw)
    if not json_out and not draw:
        for _, scene in scenes(data, things, image or ()):
            print("\n".join(lines_of(scene)))
    _tell_skipped(*data.skipped, *left_out)


@app.command
def write(
    annotations: Path,
    *,
    captions: Path,
    out: Path,
    objects: Path | None = None,
    images: Path | None = None,
    writer: Literal["facts", "openai", "batch"] = "facts",
    recipe: Literal["grounded", "paper"] = "grounded",
    preset: Literal["every-picture", "llava-pose"] = "every-picture",
    kinds: str = "conversation,detail,reasoning",
    pictures: int | None = None,
    seed: int = 0,
    model: str | None = None,
    base_url: str | None = None,
    settings: Path | None = None,
    concurrency: int | None = None,
    money: float | None = None,
    prices: Path | None = None,
    answers: Path | None = None,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Write instruction data about poses: samples.jsonl, rejected.jsonl and report.html in a folder.

    Parameters
    ----------
    annotations: COCO's person keypoints.
    captions: COCO's captions of the same pictures.
    out: the folder of the run; run again, it goes on.
    objects: COCO's instances of the same pictures.
    images: the folder of the pictures, for the report.
    writer: facts (no model; true by construction), a server with OpenAI's interface, or its batches by files.
    recipe: of a model: grounded (keypoints and facts for all kinds) or the paper's.
    preset: how many pictures of each kind: all, or as LLaVA-Pose.
    kinds: what to write, separated by commas: conversation, detail, reasoning.
    pictures: of each kind at most so many, drawn by the seed.
    seed: of the wording and the choice; the same seed gives the same samples.
    model: its name on the server.
    base_url: the server, http://localhost:8000/v1; OpenAI's where it is not given. The key is read from OPENAI_API_KEY.
    settings: a TOML file with more of how the model is asked, see docs/write.md.
    concurrency: requests in flight at once.
    money: dollars that may be spent in all.
    prices: a TOML table of prices, see docs/write.md.
    answers: of a batch, the file that came back.
    dry_run: count requests and tokens and price them, and ask nothing.
    """
    from functools import partial

    from rich.progress import track

    from posetalk.read.pictures import Pictures
    from posetalk.write.run import WriteSettings, price_run, write_by_batch, write_by_facts, write_by_model
    from posetalk.write.sample import KINDS

    named = {k.strip() for k in kinds.split(",")}
    if named - set(KINDS):
        raise PosetalkError(
            f"--kinds: there is no kind {min(named - set(KINDS))!r}; choose of {', '.join(KINDS)}"
        )
    if writer == "facts" and (model or settings or dry_run or answers):
        raise PosetalkError(
            "the facts writer asks no model; leave the model's options away, or choose --writer openai"
        )
    if (answers is not None) and writer != "batch":
        raise PosetalkError("--answers goes with --writer batch")
    asked = None if writer == "facts" else _writer_settings(settings, model, base_url, concurrency, money)
    chosen = WriteSettings(
        writer=asked.model if asked else "facts",
        annotations=str(annotations),
        captions=str(captions),
        objects=str(objects) if objects else None,
        kinds=tuple(kind for kind in KINDS if kind in named),
        recipe=recipe if asked else None,
        preset=preset,
        pictures=pictures,
        seed=seed,
    )
    data = Pictures(annotations, captions, objects, images=images)
    if asked is None:
        print(f"{out}: {write_by_facts(data, chosen, out, partial(track, description='writing'))}")
    else:
        from posetalk.write.prices import price_of

        price = price_of(asked.model, prices)
        if dry_run:
            print(price_run(data, chosen, asked, out, price))
        elif writer == "batch":
            said, kept = write_by_batch(data, chosen, asked, out, price, answers)
            print("\n".join([*said, *([f"{out}: {kept}"] if kept else [])]))
        else:
            report, kept = write_by_model(data, chosen, asked, out, price)
            print(f"{report}\n{out}: {kept}")
            if report.stopped:
                print(f"stopped: {report.stopped}; the same command goes on from there")
    _tell_skipped(*data.skipped)


@app.command
def export(
    samples: Path,
    out: Path,
    *,
    form: Literal["llava", "llama-factory", "parquet", "swift", "finevision"] = "llava",
    images: Path | None = None,
    validation: float = 0.05,
    test: float = 0.05,
    seed: int = 0,
) -> None:
    """Turn written samples into the files of a trainer, split by picture, with a data card.

    Parameters
    ----------
    samples: a folder of `posetalk write` or `posetalk screen`, or a samples.jsonl.
    out: a new folder.
    form: LLaVA's JSON, LLaMA-Factory's, parquet for TRL and datasets, ms-swift's JSONL, FineVision's columns.
    images: the folder of the pictures; parquet and finevision hold the pictures themselves.
    validation: the share of the pictures kept back for validation.
    test: the share kept back for testing.
    seed: of the split.
    """
    from posetalk.write.export import export as run
    from posetalk.write.run import made_of
    from posetalk.write.split import Shares

    file = samples / "samples.jsonl" if samples.is_dir() else samples
    shares = Shares(validation, test)
    found = run(file, out, form, images=images, shares=shares, seed=seed, made=made_of(file.parent))
    for split, tally in found.tallies.items():
        print(f"{out}: {split}, {tally.samples:,} samples of {len(tally.images):,} pictures")
    _tell_skipped(*found.skipped)


@app.command
def screen(
    published: Path,
    out: Path,
    *,
    annotations: Path | None = None,
    captions: Path | None = None,
    objects: Path | None = None,
    images: Path | None = None,
) -> None:
    """Screen somebody's samples: what leaks, contradicts the pose, guesses or repeats is put aside with its reason.

    Parameters
    ----------
    published: LLaVA's JSON list, or one of the raw files of LLaVA-Pose.
    out: a folder for samples.jsonl, rejected.jsonl and report.html.
    annotations: COCO's person keypoints of the same pictures; without them no claim is held against the pose.
    captions: COCO's captions of the same pictures.
    objects: COCO's instances of the same pictures.
    images: the folder of the pictures, for the report.
    """
    from posetalk.read.pictures import Pictures
    from posetalk.write.run import screen_file

    if annotations is None and (captions or objects):
        raise PosetalkError("captions and objects are looked at with the people; give --annotations too")
    data = Pictures(annotations, captions, objects, images=images) if annotations else None
    kept, skipped = screen_file(published, data, out)
    print(f"{out}: {kept}")
    _tell_skipped(*skipped)


def _tell_skipped(*sentences: str) -> None:
    for sentence in sentences:
        print(f"skipped: {sentence}", file=sys.stderr)


def _writer_settings(
    settings: Path | None,
    model: str | None,
    base_url: str | None,
    concurrency: int | None,
    money: float | None,
) -> Any:
    """How a model is asked: the file, and what is given beside it."""
    from posetalk.write.client import WriterSettings

    given = WriterSettings.read(settings) if settings else {}
    beside = {"model": model, "base_url": base_url, "concurrency": concurrency, "money": money}
    given |= {key: value for key, value in beside.items() if value is not None}
    if "model" not in given:
        raise PosetalkError(
            "which model shall write? give --model NAME, and --base-url for a server of your own"
        )
    return WriterSettings.check(given, str(settings or "the options"))


def _localizer(
    model: str,
    readout: Literal["point", "digits"] | None,
    decoding: Literal["greedy", "expected"],
    flip: bool,
) -> Any:
    _quiet()
    _keep_memory()
    from posetalk.locate.localizer import Localizer

    return Localizer.from_pretrained(model, readout=readout, decoding=decoding, flip=flip)


def _quiet() -> None:
    """Keep transformers' own bars and notes off the screen; say which extra is missing."""
    from posetalk.errors import need

    logging = need("transformers", "model").utils.logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _keep_memory() -> None:
    """Have glibc keep freed memory: asking the system for every tensor's pages anew takes half of a CPU's time."""
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 2**28)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
        mallopt(option, value)


def _box(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4:
        raise PosetalkError(f"--box {text!r} is not four numbers; give x,y,width,height in pixels")
    return numbers
