"""Commands from words to points, but for locate: evaluate, train, calibrate, convert, skeletons."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from posetalk.cli.app import app, tell
from posetalk.cli.machines import ONE, Machines
from posetalk.cli.server import HERE, Server
from posetalk.cli.terminal import show
from posetalk.errors import PosetalkError, need, shown
from posetalk.process import prepare_for_models, quiet


@app.command
def evaluate(
    *,
    annotations: Path,
    images: Path,
    out: Path,
    model: str = "bundled",
    skeleton: str | None = None,
    boxes: Path | None = None,
    detector: str | None = None,
    min_score: float | None = None,
    box_format: Literal["xywh", "xyxy"] = "xywh",
    heads: Path | None = None,
    compare: Annotated[list[Path] | None, Parameter(negative=())] = None,
    first: int = 1,
    last: int | None = None,
    readout: Literal["point", "digits"] | None = None,
    decoding: Literal["greedy", "expected"] = "expected",
    flip_test: bool = False,
    score: Literal["locllm"] | None = None,
    device: str | None = None,
    dtype: Literal["float32", "bfloat16", "float16"] | None = None,
    engine: Literal["torch", "onnx"] | None = None,
    threads: int | None = None,
    batch: int = 8,
    pointer: str | None = None,
    view: Literal["photo", "crop"] = "photo",
    image_side: int = 1024,
    points_per_request: int | None = None,
    limit: int | None = None,
    server: Server = HERE,
    machines: Machines = ONE,
) -> None:
    """Score a model on labelled people: AP and OKS for COCO-style labels, PCKh for MPII, PCK for LSP.

    The form of the label file is recognised. The folder gets predictions.jsonl, report.json and report.md. Other
    models than the bundled one need the extra `model`.

    Example: `posetalk evaluate --annotations person_keypoints_val2017.json --images val2017 --out report`

    Args:
        annotations: The label file: COCO-style JSON, MPII JSON, or LSP's joints.mat.
        images: The folder of the images.
        out: The folder for predictions and report. Run again, the command goes on where it stopped.
        model: The model to score: `bundled`, a model folder, or a hub id.
        skeleton: The keypoints that a COCO-style file labels: a built-in skeleton or a TOML file. The default is
            the built-in one that the file names, else coco17.
        boxes: A detector's boxes as COCO results, for COCO-style labels alone. By default people are looked for
            in their labelled boxes.
        detector: Find the people with a detector instead, for COCO-style labels alone: `bundled`, or a folder or hub
            id of a model for object detection.
        min_score: For --detector: the lowest score of a person, 0 to 1. The default is 0.24 for `bundled`, else 0.5.
        box_format: What the four numbers of --boxes are: left, top, width, height (`xywh`), or left, top, right,
            bottom (`xyxy`, Human-Art's).
        heads: MPII's gt_valid.mat, which holds the head boxes that PCKh is measured in. By default the distance
            from upper neck to head top stands in for them.
        compare: Another model's predictions.jsonl for the same people, scored in the same report. Repeat the
            option for more.
        first: The number of the first image to use, counted from 1. For LSP labels alone.
        last: The number of the last image to use, itself included. For LSP labels alone; the default is the
            last of the file.
        readout: How the model answers: `point` at the place, or write its `digits`. The default is the model's
            own way.
        decoding: How digits are read: `greedy` takes the likeliest digit each time, `expected` the mean of
            their distribution. It has no effect on `point`.
        flip_test: Look at the mirrored image too, and average both answers. It takes twice the time.
        score: How a keypoint's confidence, by which AP ranks people, is computed: `locllm` as LocLLM does, from
            digits alone. The default is the way of the readout.
        device: Where the model runs: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto` to spread its layers over all GPUs.
            The default is a GPU where there is one.
        dtype: The number format of the language model's weights. The default is float32 on a CPU and bfloat16
            elsewhere.
        engine: What runs the model: `onnx` (ONNX Runtime, on the CPU) or `torch`. The default is ONNX Runtime
            where the model has that form and nothing else is asked for.
        threads: How many threads compute on the CPU. The default is one for each core.
        batch: How many people, or questions to a vision-language model, are computed at a time.
        pointer: Ask a vision-language model of others in this form: `qwen2.5-vl`, `qwen3-vl`, `molmo`, `molmo2`,
            `gemini`, `moondream`, `florence-2`, `json`, or a TOML file. --model is then a folder or hub id, or with
            --base-url its name on the server, which is sent the photos. --annotations may be a file of described
            points.
        view: For --pointer: show the whole `photo` with the person's box in the question, or the person's `crop`.
        image_side: For --pointer: the longest side of what is shown, in pixels.
        points_per_request: For --pointer: the most points to ask for at once. The default is the form's own number.
        limit: For --pointer: the number of people to draw. By default all are asked about.
        server: How a model on a server is asked, for --pointer.
        machines: Where people are located. Shards are joined and scored on this machine.
    """
    if pointer:
        from posetalk.cli.pointer import evaluate_with_pointer

        for option, value in (
            ("--boxes", boxes),
            ("--detector", detector),
            ("--heads", heads),
            ("--readout", readout),
            ("--flip-test", flip_test),
            ("--score", score),
            ("--engine", engine),
        ):
            if value:
                raise PosetalkError(f"{option} is not for --pointer; leave it out")
        if machines.asked():
            raise PosetalkError("--ray is not for --pointer; leave it out")
        evaluate_with_pointer(
            {
                "form": pointer,
                "model": model,
                "annotations": str(annotations),
                "images": str(images),
                "skeleton": skeleton,
                "view": view,
                "image_side": image_side,
                "points_per_request": points_per_request,
                "first": first,
                "last": last,
                "limit": limit,
                "dtype": dtype,
            },
            out,
            server=server,
            compare=compare or (),
            device=device,
            threads=threads,
            batch=batch,
        )
        return
    if server != HERE or limit or points_per_request or view != "photo" or image_side != 1024:
        raise PosetalkError(
            "the options of a server, --view, --image-side, --points-per-request and --limit go with --pointer"
        )
    from posetalk.score.run import evaluate_model
    from posetalk.settings import EvaluateSettings

    settings = EvaluateSettings(
        model=model,
        annotations=str(annotations),
        images=str(images),
        skeleton=skeleton,
        boxes=str(boxes) if boxes else None,
        detector=detector,
        min_score=min_score,
        box_format=box_format,
        heads=str(heads) if heads else None,
        first=first,
        last=last,
        readout=readout,
        decoding=decoding,
        flip_test=flip_test,
        score=score,
        dtype=dtype,
        engine=engine,
    )
    prepare_for_models()
    options: dict[str, Any] = {"compare": compare or (), "device": device}
    options |= {"threads": threads, "batch_size": batch}
    if machines.asked():
        if machines.no_join:
            raise PosetalkError(
                "a model is scored on the people of all shards together; leave --no-join away"
            )
        from posetalk.scale.evaluate import evaluate_shards

        with machines.cluster(threads, device) as cluster:
            report = evaluate_shards(cluster, settings, out, shard_size=machines.size, **options)
    else:
        report = evaluate_model(settings, out, **options)
    print(report.to_markdown())


@app.command
def train(
    settings: Path | None = None,
    *,
    out: Path,
    preset: Literal["posellm-7b", "locllm-7b"] | None = None,
    vision_encoder: str | None = None,
    language_model: str | None = None,
    annotations: Path | None = None,
    images: Path | None = None,
    max_steps: int | None = None,
    seed: int | None = None,
    without_keypoints: str | None = None,
) -> None:
    """Train a model that finds keypoints, or continue a run that was stopped.

    What is trained, and how, stands in a TOML file; options given beside it take the place of what it says. The
    folder gets the model, run.toml, log.jsonl and checkpoints. Needs the extra `train`.

    Example: `posetalk train settings.toml --out runs/mine --max-steps 200`

    Args:
        settings: A TOML file of training settings. It may be left out where --annotations and --images are given,
            and --preset or both --vision-encoder and --language-model.
        out: The folder of the run. Run again with the same settings, the command continues from the last
            checkpoint.
        preset: The network of a paper: `posellm-7b` (connector of two layers) or `locllm-7b` (linear
            connector).
        vision_encoder: A folder or hub id of another vision encoder than that of the preset or the settings. One
            that is known comes with its crop.
        language_model: A folder or hub id of another language model than that of the preset or the settings.
        annotations: The label file to learn from, in place of what the settings name. It goes together with
            --images.
        images: The folder of the images of --annotations.
        max_steps: The number of gradient steps. The default is what the settings say, or 12 passes over the data.
        seed: The seed of all random choices. The default is what the settings say, or 42.
        without_keypoints: Names of keypoints to leave out of training, separated by commas.
    """
    from posetalk.settings import TrainSettings

    given: dict[str, Any] = TrainSettings.read(settings) if settings else {}
    if (annotations is None) != (images is None):
        raise PosetalkError("--annotations and --images go together; give both")
    if annotations and images:
        given["data"] = [{"annotations": str(annotations), "images": str(images)}]
    named = preset or (vision_encoder and language_model)
    if not settings and not (named and annotations):
        raise PosetalkError(
            "train needs a settings file, or --preset (or --vision-encoder and --language-model) with --annotations "
            "and --images; see posetalk train --help"
        )
    if given.get("start") and (vision_encoder or language_model):
        raise PosetalkError(
            f"{settings} starts from a saved model, which has its parts; leave out --vision-encoder and "
            "--language-model"
        )
    need("accelerate", "train")
    prepare_for_models()
    if preset:
        from posetalk.model.names import PRESETS

        given["model"] = PRESETS[preset].model_dump(mode="json", exclude_unset=True)
    model = given.get("model", {})
    if (vision_encoder or language_model) and isinstance(model, dict):  # what it is otherwise, `check` says
        from posetalk.model.parts import with_parts

        given["model"] = with_parts(model, vision_encoder, language_model)
    if without_keypoints is not None:
        given["without_keypoints"] = [name.strip() for name in without_keypoints.split(",")]
    given |= {key: value for key, value in (("max_steps", max_steps), ("seed", seed)) if value is not None}
    chosen = TrainSettings.check(given, str(settings or "the options"))
    from posetalk.train.run import train_model

    print(train_model(chosen, out))


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
    """Fit the scores of a model to labelled people, so that a score of 0.8 means a similarity (OKS) of 0.8 on average.

    It writes a copy of the model; places stay as they are. For models with the readout `point`. Needs the extra
    `model`.

    Example: `posetalk calibrate runs/mine calibrated --annotations held.json --images photos`

    Args:
        model: The model to calibrate: `bundled`, a model folder, or a hub id.
        out: A new folder for the calibrated model.
        annotations: The label file of people that the model has not learned from and is not tested on:
            COCO-style JSON, MPII JSON, or LSP's joints.mat.
        images: The folder of the images.
        skeleton: The keypoints that a COCO-style file labels: a built-in skeleton or a TOML file. The default is
            the built-in one that the file names, else coco17.
        first: The number of the first image to use, counted from 1. For LSP labels alone.
        last: The number of the last image to use, itself included. For LSP labels alone; the default is the
            last of the file.
    """
    from posetalk.formats.dataset import labelled_skeleton, read_people
    from posetalk.images.fit import drop_misfits
    from posetalk.skeleton import load_skeleton

    named = load_skeleton(skeleton) if skeleton else None
    truth = drop_misfits(read_people(annotations, images, skeleton=named, first=first, last=last))
    tell("note", truth.notes)
    prepare_for_models()
    from posetalk.score.calibrate import NO_VISIBILITY_LABELS
    from posetalk.score.calibrate import calibrate as run

    result = run(model, truth, named or labelled_skeleton(truth), out)
    for sentence in truth.skipped:
        print(f"skipped: {sentence}")
    line = f"{result.visible_line[0]:.2f} x + {result.visible_line[1]:.2f}" if result.visible_line else None
    print(
        f"{out}: calibrated on {result.people} people; temperature {result.temperature:.2f}, "
        f"visible {line or f'as it was, {NO_VISIBILITY_LABELS}'}; expected calibration error "
        f"{result.error_before:.3f} before, {result.error_after:.3f} after"
    )


@app.command
def convert(
    source: Path,
    out: Path,
    *,
    vision_encoder: str = "facebook/dinov2-large",
    tokenizer: str | None = None,
    wording: str = "posetalk",
    dimensions: Literal[2, 3] | None = None,
) -> None:
    """Convert a checkpoint of the LocLLM code into a model folder, and print what became of each tensor.

    The model cuts people out and reads prompts as the LocLLM code does. Needs the extra `model`.

    Example: `posetalk convert LocLLM/coco converted --wording LocLLM/datasets/constants.py`

    Args:
        source: The checkpoint folder, with config.json, pytorch_model*.bin or model*.safetensors files, and those
            of the tokenizer.
        out: A new folder for the model.
        vision_encoder: A folder or hub id that has the configuration of the vision encoder.
        tokenizer: A folder or hub id that has the tokenizer of the language model. The default is the tokenizer
            in the checkpoint folder, or lmsys/vicuna-7b-v1.5 where there is none.
        wording: `posetalk`, or the words that the checkpoint was trained with: datasets/constants.py of the
            LocLLM code, or a TOML file with the words around a question.
        dimensions: How many coordinates the checkpoint answers with. The default is to tell by its name. Those
            of three (h36m) cannot be converted.
    """
    quiet()
    from posetalk.model.convert import convert as run

    rows = run(source, out, vision=vision_encoder, text=tokenizer, wording=wording, dimensions=dimensions)
    for row in rows:
        shape = " x ".join(map(str, row.shape))
        print(f"{row.source} -> {row.target or 'left out'}  ({shape})  {row.note}".rstrip())
    read, left = {r.source for r in rows}, {r.source for r in rows if r.target is None}
    print(f"{len(read)} tensors read, {len(left)} left out, the others are in {out}")


@app.command
def skeletons(name: str | None = None, /) -> None:
    """List the built-in skeletons, or the keypoints of one with their descriptions.

    Example: `posetalk skeletons coco17`

    Args:
        name: A built-in skeleton or a TOML file, whose keypoints are listed. Without it all built-in skeletons
            are.
    """
    from rich.table import Table

    from posetalk.skeleton import BUILT_IN, load_skeleton

    if name is None:
        table = Table("skeleton", "keypoints", "names")
        for built_in in BUILT_IN:
            names = load_skeleton(built_in).names
            more = f" and {len(names) - 33} more" if len(names) > 33 else ""
            table.add_row(built_in, str(len(names)), ", ".join(names[:33]) + more)
    else:
        table = Table("keypoint", "description", "sigma")
        for point in load_skeleton(name).keypoints:
            table.add_row(
                shown(point.name), shown(point.sentence), "" if point.sigma is None else f"{point.sigma:g}"
            )
    show(table)
