"""The command that makes labels of photos: label."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from posetalk.cli.app import app, tell
from posetalk.cli.machines import ONE, Machines
from posetalk.cli.server import HERE, Server, leave
from posetalk.errors import PosetalkError
from posetalk.process import prepare_for_models


@app.command
def label(
    images: Annotated[list[Path], Parameter(consume_multiple=True)],
    /,
    *,
    out: Path,
    captions: Path | None = None,
    captioner: str | None = None,
    objects: str | None = None,
    skeleton: str = "coco17",
    min_keypoint_score: float = 0.5,
    model: str = "bundled",
    detector: str = "bundled",
    min_score: float | None = None,
    max_people: int | None = None,
    flip_test: bool = False,
    device: str | None = None,
    engine: Literal["torch", "onnx"] | None = None,
    threads: int | None = None,
    batch: int = 8,
    server: Server = HERE,
    machines: Machines = ONE,
) -> None:
    """Make labels of photos: people are found and located, and written as COCO person keypoints.

    labels.json is an ordinary label file, which `facts`, `write` and other programs read. It says of each person that a
    model predicted it.

    Example: `posetalk label photos --out labelled`

    Args:
        images: Images, folders (searched with all the folders in them), quoted patterns such as "party/*.jpg", or
            lists of images (.txt, .jsonl, or a COCO file in the folder of its images). With --ray also archives of
            images (.tar, .parquet).
        out: The folder of the run. Run again, the command goes on where it stopped.
        captions: What people wrote of the images: COCO's captions file, or a JSON object of file names and captions.
            It becomes captions.json, with the ids of labels.json.
        captioner: The name of a model on a server that sees. It writes a caption, into captions.json, for each photo
            that --captions has none for. The photos are sent, at most 1,024 pixels wide and high. It needs the extra
            `write`; the key of the server is read from the environment variable OPENAI_API_KEY.
        objects: What finds things: a folder or hub id of a model for object detection that knows COCO's categories.
            They become objects.json, which `facts` and `write` take as --objects. It needs the extra `model`.
        skeleton: The keypoints to locate: a built-in skeleton (see `posetalk skeletons`) or a TOML file.
        min_keypoint_score: The lowest score of a keypoint that is labelled, 0 to 1.
        model: The model to ask: `bundled`, a model folder, or a hub id.
        detector: What finds the people: `bundled`, or a folder or hub id of a model for object detection with a class
            that is called person.
        min_score: The lowest score of a person, 0 to 1. The default is 0.24 for the bundled detector, 0.5 for others.
        max_people: At most so many people an image, the surest ones.
        flip_test: Look at the mirrored image too, and average both answers. It takes twice the time.
        device: Where the model runs: `cpu`, `cuda`, `cuda:1` or `mps`. The default is a GPU where there is one.
        engine: What runs the model: `onnx` (ONNX Runtime, on the CPU) or `torch`. The default is ONNX Runtime where
            the model has that form.
        threads: How many threads compute on the CPU. The default is one for each core.
        batch: How many people are computed at a time.
        server: How the server of --captioner is asked.
        machines: Where people are found and located.
    """
    if captioner is None and server != HERE:
        raise PosetalkError("the options of a server go with --captioner MODEL")
    options: dict[str, Any] = {
        "skeleton": skeleton,
        "captions": captions,
        "min_keypoint_score": min_keypoint_score,
        "model": model,
        "detector": detector,
        "min_score": min_score,
        "max_people": max_people,
        "flip_test": flip_test,
        "device": device,
        "engine": engine,
        "threads": threads,
        "batch_size": batch,
    }
    if machines.asked(parquet=True):
        if objects or captioner:
            raise PosetalkError("--objects and --captioner work on one machine; leave them or --ray away")
        from posetalk.scale.locate import label_shards

        with machines.cluster(threads, device) as cluster:
            labelled = label_shards(
                cluster,
                images,
                out=out,
                shard_size=machines.size,
                join=not machines.no_join,
                parquet=machines.parquet,
                **options,
            )
        print(f"{out}: {labelled.people:,} people, {labelled.shards:,} shards; {labelled.skipped:,} skipped")
        return
    prepare_for_models()
    from posetalk.locate.label import CAPTIONS, LABELS, label_images
    from posetalk.locate.things import OBJECTS

    asked = None if captioner is None else server.asks(captioner)
    price = None if asked is None else server.price(asked.model)
    if asked is not None:
        from posetalk.llm.client import Client

        Client(asked)  # a missing key or extra is told before anything is computed
    result = label_images(images, out=out, objects=objects, **options)
    if result.passed_over:
        print(result.passed_over)
    print(f"{out / LABELS}: {result.people:,} people of {result.images:,} images")
    if result.objects is not None:
        print(f"{out / OBJECTS}: {result.objects:,} things")
    if result.captions is not None:
        print(f"{out / CAPTIONS}: {result.captions:,} captions")
    tell("skipped", result.skipped)
    if asked is not None:
        from posetalk.write.captioner import caption_images

        captioned = caption_images(out, result.paths, asked, price)
        print(captioned.run_report)
        print(
            f"{out / CAPTIONS}: {captioned.captions:,} captions, {captioned.written:,} of them by {asked.model}"
        )
        tell("skipped", captioned.skipped)
        leave(captioned.run_report, bool(captioned.captions), f"{asked.model} wrote no caption")
