"""The command line: one command per stage. Parses and calls, nothing else; heavy imports wait for the command."""

from __future__ import annotations

import json
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
    photo: Path,
    *,
    model: str = "bundled",
    ask: Annotated[list[str] | None, Parameter(negative=())] = None,
    skeleton: str | None = None,
    box: Annotated[list[str] | None, Parameter(negative=())] = None,
    decoding: Literal["greedy", "expected"] = "expected",
    flip: bool = False,
    json_out: Annotated[Path | None, Parameter(name="--json")] = None,
    draw: Path | None = None,
) -> None:
    """Find keypoints in a photo.

    Parameters
    ----------
    photo: the picture.
    model: a folder or hub id of a PoseLLM.
    ask: a keypoint to look for, "name: description"; may be given several times.
    skeleton: a built-in skeleton or a TOML file; coco17 when nothing is asked for.
    box: x,y,width,height of a person in pixels; may be given several times. Without it the whole picture.
    decoding: the likeliest digits, or the mean of their distribution.
    flip: look at the mirrored picture too, and average.
    json_out: where to write the answer as JSON.
    draw: where to write the picture with the answer drawn on it.
    """
    from posetalk.skeleton import Keypoint
    from posetalk.skeleton import skeleton as named

    limbs: tuple[tuple[int, int], ...] = ()
    points: list[Keypoint] = []
    if skeleton or not ask:
        chosen = named(skeleton or "coco17")
        points, limbs = list(chosen.keypoints), chosen.limbs
    points += [Keypoint.parse(text) for text in ask or []]
    boxes = [_box(text) for text in box] if box else None
    localizer = _localizer(model, decoding, flip).set_image(photo)
    found = localizer.locate(boxes, points)
    people = found.to_dicts()
    if json_out:
        json_out.write_text(
            json.dumps({"image": photo.name, "people": people}, indent=1) + "\n", encoding="utf-8"
        )
    if draw:
        from PIL import Image

        from posetalk.draw import draw_pose

        Image.fromarray(draw_pose(localizer.image, found, limbs)).save(draw)
    for number, person in enumerate(people, 1):
        for point in person["keypoints"]:
            print(f"{number}  {point['name']:<16} {point['x']:9.1f} {point['y']:9.1f}  {point['score']:.2f}")


@app.command
def evaluate(
    *,
    annotations: Path,
    images: Path,
    out: Path,
    model: str = "bundled",
    heads: Path | None = None,
    first: int = 1,
    last: int | None = None,
    decoding: Literal["greedy", "expected"] = "expected",
    flip: bool = False,
) -> None:
    """Score a model on labelled people, in their labelled boxes.

    Parameters
    ----------
    annotations: COCO-style, MPII or LSP labels.
    images: the folder of the pictures.
    out: where predictions.jsonl and the report go; run again, it goes on where it stopped.
    model: a folder or hub id of a PoseLLM.
    heads: MPII's gt_valid.mat.
    first: LSP: the first picture, from 1.
    last: LSP: the last picture.
    decoding: the likeliest digits, or the mean of their distribution.
    flip: look at the mirrored picture too, and average.
    """
    from rich.progress import track

    from posetalk.read.dataset import read_people
    from posetalk.score.evaluate import evaluate as score
    from posetalk.score.predictions import PredictionLog, predictions_of, read_predictions, scored_people
    from posetalk.settings import EvaluateSettings
    from posetalk.skeleton import BUILT_IN
    from posetalk.skeleton import skeleton as named

    truth = read_people(annotations, images, first=first, last=last, heads=heads)
    points = next(s for s in map(named, BUILT_IN) if s.names == truth.keypoint_names)
    localizer = _localizer(model, decoding, flip)
    EvaluateSettings(
        model=model,
        annotations=str(annotations),
        images=str(images),
        heads=str(heads) if heads else None,
        first=first,
        last=last,
        decoding=decoding,
        flip=flip,
    ).claim(out)
    with PredictionLog(out / "predictions.jsonl") as log:
        for image, person in track(scored_people(truth), "locating"):
            if (image.id, person.id) in log.done:
                continue
            found = localizer.set_image(image.path).locate([person.box], points)
            log.add(predictions_of(image, [person.id], found))
    predictions, note = read_predictions(out / "predictions.jsonl")
    seen = set(localizer.trained_keypoints) or None
    report = score(truth, predictions, points, seen=seen)
    for sentence in [*([note] if note else []), *report.save(out)]:
        print(sentence)
    print(report.to_markdown())


@app.command
def train(settings: Path, *, out: Path, without_keypoints: str | None = None) -> None:
    """Train a model, or go on with a run that was stopped.

    Parameters
    ----------
    settings: a TOML file of TrainSettings.
    out: the folder of the run.
    without_keypoints: names to leave out, separated by commas.
    """
    from posetalk.settings import TrainSettings

    chosen = TrainSettings.load(settings)
    if without_keypoints:
        names = tuple(name.strip() for name in without_keypoints.split(","))
        chosen = chosen.model_copy(update={"without_keypoints": names})
    _quiet()
    from posetalk.train.run import train as run

    print(run(chosen, out))


def _localizer(model: str, decoding: Literal["greedy", "expected"], flip: bool) -> Any:
    _quiet()
    from posetalk.locate.localizer import Localizer

    return Localizer.from_pretrained(model, decoding=decoding, flip=flip)


def _quiet() -> None:
    """Keep transformers' own bars and notes off the screen; say which extra is missing."""
    from posetalk.errors import need

    logging = need("transformers", "model").utils.logging
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _box(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4:
        raise PosetalkError(f"--box {text!r} is not four numbers; give x,y,width,height in pixels")
    return numbers
