"""Commands from words to points: locate, evaluate, train, calibrate, convert, skeletons."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from posetalk.cli.app import app, keep_memory, quiet, tell
from posetalk.cli.terminal import show
from posetalk.errors import PosetalkError, need, shown


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
    flip_test: bool = False,
    json_out: Annotated[Path | None, Parameter(name="--json")] = None,
    draw: Path | None = None,
    out: Path | None = None,
) -> None:
    """Find keypoints in a photo, or in many.

    Args:
        photos: a picture; or, with --out, several, folders (with the folders in them), or quoted patterns such as
            "party/*.jpg".
        model: a folder or hub id of a PoseLLM.
        ask: a keypoint to look for, "name: description"; may be given several times.
        skeleton: a built-in skeleton or a TOML file; coco17 when nothing is asked for.
        box: x,y,width,height of a person in pixels; may be given several times. Without it one person is looked for in
            the whole picture.
        readout: point at the place, or write its digits; by default the model's own.
        decoding: of digits, the likeliest, or the mean of their distribution.
        flip_test: look at the mirrored picture too, and average.
        json_out: where to write the answer as JSON.
        draw: where to write the picture with the answer drawn on it; for several photos a folder.
        out: the folder of a run over several photos: predictions.jsonl, keypoints.json (COCO results). Run again, it
            goes on where it stopped.
    """
    from posetalk.locate.show import locate_many, locate_one
    from posetalk.skeleton import Keypoint, asked_keypoints
    from posetalk.skeleton import skeleton as named

    limbs: tuple[tuple[int, int], ...] = ()
    points: list[Keypoint] = []
    if skeleton or not ask:
        chosen = named(skeleton or "coco17")
        points, limbs = list(chosen.keypoints), chosen.limbs
    points += asked_keypoints(ask) if ask else []
    boxes = [_box(text) for text in box] if box else None
    if out is None:
        if len(photos) != 1 or os.path.isdir(photos[0]):  # noqa: PTH112  (Path's raises for long names)
            raise PosetalkError("several photos need a folder for their answers; give --out FOLDER")
        localizer = _localizer(model, readout, decoding, flip_test)
        show(locate_one(localizer, photos[0], boxes, points, limbs, json_out=json_out, drawn=draw))
        return
    if boxes or json_out:
        raise PosetalkError("--box and --json go with a single photo; with --out leave them away")
    from posetalk.settings import LocateSettings

    asked = tuple(f"{p.name}: {p.sentence}" for p in points)
    run = LocateSettings(
        model=model, keypoints=asked, readout=readout, decoding=decoding, flip_test=flip_test
    )
    locate_many(
        lambda: _localizer(model, readout, decoding, flip_test), run, photos, points, limbs, out, draw
    )


@app.command
def evaluate(
    *,
    annotations: Path,
    images: Path,
    out: Path,
    model: str = "bundled",
    skeleton: str | None = None,
    boxes: Path | None = None,
    box_format: Literal["xywh", "xyxy"] = "xywh",
    heads: Path | None = None,
    compare: Annotated[list[Path] | None, Parameter(negative=())] = None,
    first: int = 1,
    last: int | None = None,
    readout: Literal["point", "digits"] | None = None,
    decoding: Literal["greedy", "expected"] = "expected",
    flip_test: bool = False,
) -> None:
    """Score a model on labelled people.

    Args:
        annotations: COCO-style, MPII or LSP labels.
        images: the folder of the pictures.
        out: where predictions.jsonl and the report go; run again, it goes on where it stopped.
        model: a folder or hub id of a PoseLLM.
        skeleton: which keypoints a COCO-style file labels: coco17, humanart21 or a TOML file.
        boxes: a detector's boxes as COCO results; without it the labelled boxes.
        box_format: what those boxes hold: left, top, width, height or (Human-Art's) left, top, right, bottom.
        heads: MPII's gt_valid.mat.
        compare: another's predictions.jsonl for the same people, scored in the same report; may be given several times.
        first: LSP: the first picture, from 1.
        last: LSP: the last picture.
        readout: point at the place, or write its digits; by default the model's own.
        decoding: of digits, the likeliest, or the mean of their distribution.
        flip_test: look at the mirrored picture too, and average.
    """
    from posetalk.score.run import evaluate_model
    from posetalk.settings import EvaluateSettings

    settings = EvaluateSettings(
        model=model,
        annotations=str(annotations),
        images=str(images),
        skeleton=skeleton,
        boxes=str(boxes) if boxes else None,
        box_format=box_format,
        heads=str(heads) if heads else None,
        first=first,
        last=last,
        readout=readout,
        decoding=decoding,
        flip_test=flip_test,
    )
    evaluate_model(settings, lambda: _localizer(model, readout, decoding, flip_test), out, compare or ())


@app.command
def train(
    settings: Path | None = None,
    *,
    out: Path,
    preset: Literal["posellm-7b", "locllm-7b"] | None = None,
    annotations: Path | None = None,
    images: Path | None = None,
    max_steps: int | None = None,
    seed: int | None = None,
    without_keypoints: str | None = None,
) -> None:
    """Train a model, or go on with a run that was stopped.

    Args:
        settings: a TOML file of TrainSettings; what is given beside it takes the place of what it says.
        out: the folder of the run.
        preset: the papers' networks: PoseLLM's (two-layer connector) or LocLLM's (linear).
        annotations: the labels to learn from, where the settings name none or others.
        images: the folder of their pictures.
        max_steps: gradient steps.
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
    need("accelerate", "train")
    quiet()
    keep_memory()
    if preset:
        from posetalk.model.files import PRESETS

        given["model"] = PRESETS[preset].model_dump(mode="json")
    if without_keypoints is not None:
        given["without_keypoints"] = [name.strip() for name in without_keypoints.split(",")]
    given |= {key: value for key, value in (("max_steps", max_steps), ("seed", seed)) if value is not None}
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

    Args:
        model: a folder or hub id of a PoseLLM.
        out: a folder for the calibrated model.
        annotations: labelled people that it has not learned from: COCO-style, MPII or LSP.
        images: the folder of their pictures.
        skeleton: which keypoints a COCO-style file labels: coco17, humanart21 or a TOML file.
        first: LSP: the first picture, from 1.
        last: LSP: the last picture.
    """
    from posetalk.formats.dataset import labelled_skeleton, read_people
    from posetalk.images.fit import fitting
    from posetalk.skeleton import skeleton as known

    named = known(skeleton) if skeleton else None
    truth = fitting(read_people(annotations, images, skeleton=named, first=first, last=last))
    tell(*truth.notes)
    quiet()
    keep_memory()
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
    vision_encoder: str = "facebook/dinov2-large",
    tokenizer: str = "lmsys/vicuna-7b-v1.5",
    wording: str = "posetalk",
) -> None:
    """Turn a LocLLM checkpoint folder into a PoseLLM folder, tensor by tensor.

    Args:
        source: the folder with config.json and pytorch_model*.bin or safetensors.
        out: a new folder.
        vision_encoder: where the vision tower's configuration is from.
        tokenizer: where the tokenizer is from.
        wording: a TOML file with the words the checkpoint was trained with.
    """
    quiet()
    from posetalk.model.convert import convert as run

    rows = run(source, out, vision=vision_encoder, text=tokenizer, wording=wording)
    for row in rows:
        shape = " x ".join(map(str, row.shape))
        print(f"{row.source} -> {row.target or 'left out'}  ({shape})  {row.note}".rstrip())
    read, left = {r.source for r in rows}, {r.source for r in rows if r.target is None}
    print(f"{len(read)} tensors read, {len(left)} left out, the others are in {out}")


@app.command
def skeletons(name: str | None = None, /) -> None:
    """List the built-in skeletons, or the keypoints of one.

    Args:
        name: a built-in skeleton or a TOML file.
    """
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
            table.add_row(shown(point.name), shown(point.sentence), f"{point.sigma:g}")
    show(table)


def _localizer(
    model: str,
    readout: Literal["point", "digits"] | None,
    decoding: Literal["greedy", "expected"],
    flip_test: bool,
) -> Any:
    quiet()
    keep_memory()
    from posetalk.locate.localizer import Localizer

    return Localizer.from_pretrained(model, readout=readout, decoding=decoding, flip=flip_test)


def _box(text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4:
        raise PosetalkError(f"--box {text!r} is not four numbers; give x,y,width,height in pixels")
    return numbers
