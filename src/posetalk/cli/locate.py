"""The command that finds keypoints: locate."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from posetalk.cli.app import app
from posetalk.cli.machines import ONE, Machines
from posetalk.errors import PosetalkError
from posetalk.process import keep_memory, prepare_for_models


@app.command
def locate(
    images: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    /,
    *,
    model: str = "bundled",
    ask: Annotated[list[str] | None, Parameter(negative=())] = None,
    skeleton: str | None = None,
    detector: str | None = None,
    min_score: float | None = None,
    max_people: int | None = None,
    largest: Annotated[bool, Parameter(negative=())] = False,
    box: Annotated[list[str] | None, Parameter(negative=())] = None,
    boxes: Path | None = None,
    whole_image: Annotated[bool, Parameter(negative=())] = False,
    readout: Literal["point", "digits"] | None = None,
    decoding: Literal["greedy", "expected"] = "expected",
    flip_test: bool = False,
    device: str | None = None,
    dtype: Literal["float32", "bfloat16", "float16"] | None = None,
    engine: Literal["torch", "onnx"] | None = None,
    threads: int | None = None,
    batch: int = 8,
    json_out: Annotated[Path | None, Parameter(name="--json")] = None,
    draw: Annotated[bool | Path | None, Parameter(negative=())] = None,
    out: Path | None = None,
    camera: int | None = None,
    fps: float | None = None,
    raw: Annotated[bool, Parameter(negative=())] = False,
    machines: Machines = ONE,
) -> None:
    """Find the keypoints of everybody in one image, in many, or in a video.

    A keypoint is asked for by name, or by name and description. Coordinates are x, y in pixels of the upright
    image, origin top left. Other models than the bundled one need the extra `model`.

    In a video each person gets an id, which stays from frame to frame, and places are smoothed.

    Example: `posetalk locate photo.jpg --ask "left heel: the back of the left foot" --draw out.png`

    Args:
        images: An image. With --out: several images, folders (searched with all the folders in them), quoted
            patterns such as "party/*.jpg", or lists of images (.txt, .jsonl, or a COCO file in the folder of its
            images); or one video: a file, or an address such as rtsp://... With --ray also archives of images (.tar,
            .parquet).
        model: The model to ask: `bundled`, a folder that `posetalk train` or `posetalk convert` wrote, or a hub
            id.
        ask: A keypoint to look for, written as "name: description", or a name alone. Repeat the option for
            more.
        skeleton: A set of keypoints to look for: a built-in skeleton (see `posetalk skeletons`) or a TOML file.
            The default is coco17 where no --ask is given, else none.
        detector: What finds the people: `bundled` (the default), or a folder or hub id of a model for object
            detection with a class that is called person.
        min_score: The lowest score of a person, 0 to 1. The default is 0.24 for the bundled detector, 0.5 for
            others, and everybody of --boxes.
        max_people: At most so many people an image, the surest ones.
        largest: Only the largest person of an image.
        box: A person's box as x,y,width,height in pixels, instead of a detector. Repeat the option for more people.
        boxes: A file of people's boxes (COCO results), instead of a detector. A record names its image as file_name,
            or in image_id: by its name, or by the number that it is named after.
        whole_image: Look for one person in the whole image, without a detector.
        readout: How the model answers: `point` at the place, or write its `digits`. The default is the model's
            own way.
        decoding: How digits are read: `greedy` takes the likeliest digit each time, `expected` the mean of
            their distribution. It has no effect on `point`.
        flip_test: Look at the mirrored image too, and average both answers. It takes twice the time.
        device: Where the model runs: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto` to spread its layers over all GPUs.
            The default is a GPU where there is one.
        dtype: The number format of the language model's weights. The default is float32 on a CPU and bfloat16
            elsewhere.
        engine: What runs the model: `onnx` (ONNX Runtime, on the CPU) or `torch`. The default is ONNX Runtime
            where the model has that form and nothing else is asked for.
        threads: How many threads compute on the CPU. The default is one for each core.
        batch: How many people are computed at a time.
        json_out: Write the answer to this JSON file.
        draw: Write the image with the answer drawn on it to this file. With --out this is a folder; for a video it
            is the video to write (.mp4, .mov or .mkv), which keeps the sound. With --out the name may be left away:
            then it is `drawn`, or `drawn.mp4` for a video, in the folder of the run.
        out: The folder of a run over several images or a video. It gets predictions.jsonl, and for images
            keypoints.json in the form of COCO results. Run again, the command goes on where it stopped.
        camera: The number of a camera to follow, 0 for the first. Ctrl-C ends it.
        fps: Take one folder of images as the frames of a video with so many frames a second.
        raw: For a video: leave places as they were located, not smoothed.
        machines: Where a run over several images is computed.
    """
    from posetalk.cli.video import chosen_video, locate_people_of_video
    from posetalk.skeleton import Keypoint, load_skeleton, parse_keypoints

    limbs: tuple[tuple[int, int], ...] = ()
    points: list[Keypoint] = []
    if skeleton or not ask:
        chosen = load_skeleton(skeleton or "coco17")
        points, limbs = list(chosen.keypoints), chosen.limbs
    points += parse_keypoints(ask) if ask else []
    sources = {"--box": box, "--boxes": boxes, "--detector": detector, "--whole-image": whole_image}
    given = [option for option, value in sources.items() if value]
    if len(given) > 1:
        raise PosetalkError(f"{given[0]} and {given[1]} are two ways to say where people are; give one")
    selection: dict[str, Any] = {"min_score": min_score, "max_people": max_people, "largest": largest}
    if (box or whole_image) and any(value is not None and value is not False for value in selection.values()):
        raise PosetalkError(
            "--min-score, --max-people and --largest choose among the people who are found; leave them or "
            f"{given[0]} away"
        )
    of_model: dict[str, Any] = {"readout": readout, "decoding": decoding, "flip_test": flip_test}
    of_model |= {
        "device": device,
        "dtype": dtype,
        "engine": engine,
        "threads": threads,
        "batch_size": batch,
    }
    video = chosen_video(images or (), camera, fps)
    if video is None and not images:
        raise PosetalkError("locate needs an image, a folder or a video; see posetalk locate --help")
    if video is None and raw:
        raise PosetalkError("--raw goes with a video; leave it away for images")
    if machines.asked(parquet=True):
        others = {"--box": box, "--boxes": boxes, "--json": json_out, "--draw": draw, "a video": video}
        if unfit := [option for option, value in others.items() if value]:
            raise PosetalkError(f"--ray is for many images, without {unfit[0]}; leave one of the two away")
        if out is None:
            raise PosetalkError("--ray needs a folder for the answers; give --out FOLDER")
        assert images
        from posetalk.scale.locate import locate_shards

        with machines.cluster(threads, device) as cluster:
            answers = locate_shards(
                cluster,
                images,
                points,
                out=out,
                shard_size=machines.size,
                join=not machines.no_join,
                parquet=machines.parquet,
                model=model,
                detector=detector or "bundled",
                whole_image=whole_image,
                **selection,
                **of_model,
            )
        print(f"{out}: {answers.people:,} people, {answers.shards:,} shards; {answers.skipped:,} skipped")
        return
    drawing = _drawing(draw, out, "drawn" if video is None else "drawn.mp4")

    from posetalk.locate.engine import engine_for
    from posetalk.model.graphs import begun_sessions, graphs_of
    from posetalk.resources import BUNDLED_DETECTOR, model_path

    keep_memory()
    graphs, finders = [], []
    if engine != "torch" and engine_for(model, device, None, dtype, readout) == "onnx":
        graphs = graphs_of(Path(model_path(model)))
    if not (box or boxes or whole_image) and detector in (None, "bundled"):
        finders = [BUNDLED_DETECTOR]
    # they load in threads while this one loads all else
    with begun_sessions(graphs), begun_sessions(finders, threads if out is None else 1):
        from posetalk.locate.predictions import readable

        if video is not None:
            unfit = [
                option
                for option, value in {"--box": box, "--boxes": boxes, "--json": json_out}.items()
                if value
            ]
            locate_people_of_video(
                video,
                points,
                out=out,
                unfit=unfit,
                model=model,
                fps=fps,
                raw=raw,
                detector=detector or "bundled",
                whole_image=whole_image,
                **selection,
                **of_model,
                drawing=drawing,
                limbs=limbs,
            )
            return
        assert images
        if out is None:
            if len(images) != 1 or os.path.isdir(images[0]):  # noqa: PTH112  (Path's raises for long names)
                raise PosetalkError("several images need a folder for their answers; give --out FOLDER")
            image = Path(images[0])
            prepare_for_models()
            from posetalk.cli.people_table import show_people
            from posetalk.detect.detector import load_detector
            from posetalk.locate.localizer import Localizer
            from posetalk.locate.one_image import NOBODY, locate_one

            people = None
            if boxes:
                from posetalk.locate.people_file import people_of_image

                people = people_of_image(boxes, image, **selection)
            localizer = Localizer.from_pretrained(
                model,
                **of_model,
                detector=None
                if box or boxes or whole_image
                else load_detector(detector or "bundled", threads, **selection),
            )
            poses = locate_one(
                localizer,
                image,
                people or [numbers_of(text) for text in box or ()] or None,
                points,
                limbs,
                json_out=json_out,
                drawing=drawing,
                whole_image=whole_image,
            )
            if len(poses):
                show_people(poses, localizer)
            else:
                print(readable(f"nobody was found in {image}; {NOBODY}"))
            return
        if box or json_out:
            raise PosetalkError("--box and --json go with a single image; with --out leave them away")
        prepare_for_models()
        from posetalk.locate.run import locate_images

        located = locate_images(
            images,
            points,
            out=out,
            model=model,
            detector=detector or "bundled",
            boxes=boxes,
            whole_image=whole_image,
            **selection,
            **of_model,
            drawings=drawing,
            limbs=limbs,
        )
        if located.passed_over:
            print(located.passed_over)
        for sentence in located.skipped:
            print(readable(sentence))
        files = f"{out / 'keypoints.json'} and predictions.jsonl"
        print(readable(f"{len(located.predictions)} people in {files}; {len(located.skipped)} skipped"))


def _drawing(draw: bool | Path | None, out: Path | None, name: str) -> Path | None:
    """Where to draw. name: what it is called in the folder of the run where --draw says nothing."""
    if draw is not True:
        return draw or None
    if out is None:
        raise PosetalkError(
            "--draw needs the name of a file, such as --draw out.png, or a folder of a run, --out"
        )
    return out / name


def numbers_of(text: str, option: str = "--box", form: str = "x,y,width,height") -> tuple[float, ...]:
    """The numbers of an option such as `--box 10,20,100,200`."""
    count = form.count(",") + 1
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        words = {2: "two", 4: "four"}[count]
        raise PosetalkError(f"{option} {text!r} is not {words} numbers; give {form} in pixels")
    return numbers
