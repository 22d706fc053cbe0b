"""Commands from points to words: facts, write, export, screen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from posetalk.cli.app import app, tell
from posetalk.cli.machines import ONE, Machines
from posetalk.cli.server import HERE, Server, leave
from posetalk.errors import PosetalkError


@app.command
def facts(
    annotations: Path,
    *,
    images: Path | None = None,
    captions: Path | None = None,
    objects: Path | None = None,
    image: Annotated[list[int] | None, Parameter(negative=())] = None,
    skeleton: str | None = None,
    json_out: Annotated[Path | None, Parameter(name="--json")] = None,
    draw: Path | None = None,
    machines: Machines = ONE,
) -> None:
    """Say what is true of labelled poses: posture, limbs, hands, facing, people and objects.

    Each fact is true, false or not known. No model is asked and no extra is needed.

    Example: `posetalk facts person_keypoints_val2017.json --image 12120`

    Args:
        annotations: The label file: COCO-style JSON, MPII JSON, or LSP's joints.mat.
        images: The folder of the images. They are compared with the labels; only --draw reads them whole.
        captions: COCO's captions of the same images, as evidence of what people do.
        objects: COCO's instances file of the same images, for what people sit on, ride and hold.
        image: The id of an image to look at. Repeat the option for more. By default all are looked at.
        skeleton: The keypoints that a COCO-style file labels: a built-in skeleton or a TOML file. The default is
            the built-in one that the file names, else coco17.
        json_out: Write every fact with the numbers it was decided by to this file, one line of JSON an image.
            Angles are in degrees, distances in trunk lengths.
        draw: Write the images with poses and facts to this folder.
        machines: Where the facts for --json are computed.
    """
    if machines.asked(parquet=True) and (draw or not json_out):
        raise PosetalkError("--ray is for many images; give --json FILE, without --draw")
    from posetalk.facts.show import drawable_images, iter_scenes, scene_lines, write_scenes
    from posetalk.formats.captions import read_captions
    from posetalk.formats.dataset import labelled_skeleton, read_people
    from posetalk.formats.objects import Objects, read_objects
    from posetalk.images.fit import image_notes, image_sizes
    from posetalk.skeleton import load_skeleton

    named = load_skeleton(skeleton) if skeleton else None
    data = read_people(annotations, images or annotations.parent, skeleton=named)
    things, left_out = (
        read_objects(objects, sizes=image_sizes(data.images)) if objects else (Objects(), list[str]())
    )
    texts, unread = read_captions(captions) if captions else (dict[int, tuple[str, ...]](), list[str]())
    if captions and not texts.keys() & {shown.id for shown in data.images}:
        raise PosetalkError(f"none of the captions of {captions} is of an image of {annotations}")
    left_out += unread
    if machines.asked(parquet=True):
        from posetalk.scale.facts import facts_shards

        assert json_out
        with machines.cluster() as cluster:
            facts_shards(
                cluster,
                data,
                annotations,
                json_out,
                shard_size=machines.size,
                join=not machines.no_join,
                parquet=machines.parquet,
                image_ids=image or (),
                images=images,
                objects=objects,
                captions=captions,
                skeleton=named,
            )
    elif json_out:
        write_scenes((scene for _, scene in iter_scenes(data, things, image or (), texts)), json_out)
    if images and not draw:
        tell("note", image_notes(data.images, annotations))
    if draw:
        from posetalk.facts.show import draw_scenes

        data = drawable_images(data, image or ())
        left_out += draw_scenes(iter_scenes(data, things, (), texts), named or labelled_skeleton(data), draw)
    if not json_out and not draw:
        for _, scene in iter_scenes(data, things, image or (), texts):
            print("\n".join(scene_lines(scene)))
    tell("note", (*data.notes, *things.notes))
    tell("skipped", (*data.skipped, *left_out))


@app.command
def write(
    annotations: Path,
    *,
    out: Path,
    captions: Path | None = None,
    objects: Path | None = None,
    images: Path | None = None,
    writer: Literal["facts", "openai", "batch"] = "facts",
    recipe: Literal["grounded", "paper"] = "grounded",
    show_images: Annotated[bool, Parameter(negative=())] = False,
    image_side: int = 1024,
    verify: str | None = None,
    verify_base_url: str | None = None,
    preset: Literal["every-picture", "llava-pose"] = "every-picture",
    kinds: str | None = None,
    benchmarks: Annotated[list[Path] | None, Parameter(name="--leave-out", negative=())] = None,
    max_images: int | None = None,
    seed: int = 0,
    model: str | None = None,
    server: Server = HERE,
    answers: Path | None = None,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
    machines: Machines = ONE,
) -> None:
    """Write instruction data about poses: conversations, descriptions and reasoning, as training data for
    vision-language models.

    The folder gets samples.jsonl, rejected.jsonl (with reasons) and report.html. The default writer asks no model
    and needs no extra; `openai` needs the extra `write`. The key of a server is read from the environment variable
    OPENAI_API_KEY.

    Example: `posetalk write person_keypoints_train2017.json --captions captions_train2017.json --out written`

    Args:
        annotations: COCO's person keypoints, as JSON.
        out: The folder of the run. Run again, the command goes on where it stopped and asks nothing that was
            answered.
        captions: COCO's captions of the same images, as JSON. By default samples say what follows from poses and
            objects alone.
        objects: COCO's instances file of the same images, for what people sit on, ride and hold.
        images: The folder of the images. The report shows them; samples are written without it all the same.
        writer: Who writes: `facts` (no model; what it says follows from the labels), `openai` (a server with
            OpenAI's interface), or `batch` (the same by files that you send).
        recipe: What a language model is told: `grounded` (captions, keypoints and facts), or `paper` (as in
            LLaVA-Pose). It has no effect on --writer facts.
        show_images: Send the photos to the server with the facts and captions, for a model that sees; also to the
            model of --verify. Needs --images and the recipe `grounded`.
        image_side: The longest side of a photo that is sent, in pixels; larger ones are made smaller.
        verify: The name of a second model on the server, which reads each sentence that the first one wrote. What
            captions, facts and photo do not support is struck or asked for again. For --writer openai.
        verify_base_url: The address of the server of --verify. The default is that of the first model.
        preset: How many images of each kind: all of them (`every-picture`), or as many as LLaVA-Pose has
            (`llava-pose`).
        kinds: The kinds of samples to write, separated by commas: conversation, detail, reasoning, short. The
            default is all that the writer writes; only the facts writer writes short.
        benchmarks: The folder of a benchmark whose images must not be trained on, or a file that names images. Repeat
            the option for more.
        max_images: The largest number of images of each kind, drawn by the seed. The default is set by
            --preset.
        seed: The seed of wording and choice. The same seed gives the same samples.
        model: The name of the language model on its server. The server is OpenAI's where no --base-url is
            given.
        server: How a language model on a server is asked.
        answers: The file of answers that came back for the requests of --writer batch.
        dry_run: Count requests and tokens, estimate the price, and ask nothing.
        machines: Where it is computed.
    """
    from posetalk.images.fit import image_notes
    from posetalk.llm.client import ServerSettings
    from posetalk.llm.request_state import RunReport
    from posetalk.write.from_model.run import price_run, write_by_batch
    from posetalk.write.labels import labels_of
    from posetalk.write.run import write_dataset
    from posetalk.write.samples.sample import KINDS, MODEL_KINDS
    from posetalk.write.settings import WriteSettings

    every = KINDS if writer == "facts" else MODEL_KINDS
    named = {k.strip() for k in kinds.split(",")} if kinds is not None else {*every}
    if named - set(KINDS):
        raise PosetalkError(
            f"--kinds: there is no kind {min(named - set(KINDS))!r}; choose of {', '.join(KINDS)}"
        )
    if named - set(every):
        raise PosetalkError("--kinds: short has answers that follow from facts; write it with --writer facts")
    if writer == "facts" and (model or server != HERE or dry_run or answers):
        raise PosetalkError(
            "the facts writer asks no model; leave the model's options away, or choose --writer openai"
        )
    if captions is None and writer != "facts" and recipe == "paper":
        raise PosetalkError(
            "the recipe paper tells a model the captions; give --captions, or --recipe grounded"
        )
    if writer != "openai" and (verify or verify_base_url):
        raise PosetalkError("a second reader reads what a model on a server writes; choose --writer openai")
    if verify_base_url and not verify:
        raise PosetalkError("--verify-base-url goes with --verify MODEL")
    if show_images and (writer == "facts" or images is None):
        raise PosetalkError(
            "--show-images sends the photos to a model; give --images, and --writer openai or batch"
        )
    if machines.asked(parquet=True) and (writer == "batch" or dry_run):
        raise PosetalkError("--ray is for a run that writes; leave it away with --dry-run and --writer batch")
    if (answers is not None) and writer != "batch":
        raise PosetalkError("--answers goes with --writer batch")
    model_server = None if writer == "facts" else server.asks(model)
    given = {
        "writer": model_server.model if model_server else "facts",
        "annotations": str(annotations),
        "captions": str(captions) if captions else None,
        "objects": str(objects) if objects else None,
        "kinds": tuple(kind for kind in KINDS if kind in named),
        "benchmarks": tuple(str(path) for path in benchmarks or ()),
        "recipe": recipe if model_server else None,
        "show_images": show_images,
        "image_side": image_side,
        "verify": verify,
        "preset": preset,
        "max_images": max_images,
        "seed": seed,
    }
    settings = WriteSettings.check(given, "the options")
    price = server.price(model_server.model) if model_server else None
    reader = None
    if model_server and verify:
        theirs = {"model": verify} | ({"base_url": verify_base_url} if verify_base_url else {})
        reader = ServerSettings.check(model_server.model_dump() | theirs, "the options of --verify")
    result = None
    if model_server and (dry_run or writer == "batch"):
        annotated = labels_of(settings, images)
        if images:
            tell("note", image_notes(annotated.sample(), annotations))
        if dry_run:
            print(price_run(annotated, settings, model_server, out, price))
            if reader:
                print(f"the requests to {reader.model} come on top, one for each sentence that is written")
        else:
            sentences, result = write_by_batch(annotated, settings, model_server, out, price, answers)
            print("\n".join([*sentences, *([f"{out}: {result}"] if result else [])]))
        notes, skipped = annotated.notes, annotated.skipped
    else:
        given_beside: dict[str, Any] = {
            "images": images,
            "server": model_server,
            "price": price,
            "reader": reader,
            "reader_price": server.price(reader.model) if reader else None,
        }
        if machines.asked(parquet=True):
            from posetalk.scale.write import write_shards

            with machines.cluster() as cluster:
                result = write_shards(
                    cluster,
                    settings,
                    out,
                    shard_size=machines.size,
                    join=not machines.no_join,
                    parquet=machines.parquet,
                    **given_beside,
                )
        else:
            result = write_dataset(settings, out, **given_beside)
        if result.server_run:
            print(result.server_run)
        print(f"{out}: {result}")
        if result.server_run and result.server_run.stopped:
            print(f"stopped: {result.server_run.stopped}; the same command goes on from there")
        notes, skipped = result.notes, result.skipped
    tell("note", notes)
    tell("skipped", skipped)
    leave(
        (result and result.server_run) or RunReport(),
        result is None or bool(result.written),
        f"nothing was written, see {out / 'rejected.jsonl'} for the reasons",
    )


@app.command
def export(
    samples: Path,
    out: Path,
    *,
    format: Literal["llava", "llama-factory", "parquet", "swift", "finevision"] = "llava",
    images: Path | None = None,
    pointing: str | None = None,
    skeleton: str | None = None,
    validation: float = 0.05,
    test: float = 0.05,
    seed: int = 0,
) -> None:
    """Convert written samples, or labelled points, into the files of a trainer, split by image, with a data card.

    No image is in two splits. Forms that hold the images themselves need the extra `export`.

    Example: `posetalk export written for-trl --format parquet --images train2017`

    Args:
        samples: A folder of `posetalk write` or `posetalk screen`, or a samples.jsonl; with --pointing a label file.
        out: A new folder.
        format: The form of the files: `llava` (LLaVA's JSON), `llama-factory`, `parquet` (for TRL and datasets),
            `swift` (ms-swift's JSONL) or `finevision` (nanoVLM's columns).
        images: The folder of the images. `parquet` and `finevision` need it, since they hold the images
            themselves.
        pointing: Make training data of keypoint labels that teaches a model to point at bodies, in this form:
            `qwen2.5-vl`, `qwen3-vl`, `molmo`, `molmo2`, `gemini`, `moondream`, `florence-2`, `json`, or a TOML file.
        skeleton: For --pointing: the keypoints that a COCO-style file labels, with their descriptions: a built-in
            skeleton or a TOML file. The default is the built-in one that the file names, else coco17.
        validation: The share of the images that is held out for validation, from 0 to 1.
        test: The share of the images that is held out for testing, from 0 to 1.
        seed: The seed of the split, and with --pointing of the wording.
    """
    from posetalk.write.folder import provenance_of
    from posetalk.write.samples.export import export_dataset
    from posetalk.write.samples.split import Shares

    shares = Shares(validation, test)
    if pointing:
        from posetalk.pointer.samples import export_pointing

        if images is None:
            raise PosetalkError("--pointing needs the sizes of the images; give --images FOLDER")
        result = export_pointing(
            samples, out, pointing, format, images=images, skeleton=skeleton, shares=shares, seed=seed
        )
    else:
        if skeleton:
            raise PosetalkError("--skeleton goes with --pointing; written samples have none")
        file = samples / "samples.jsonl" if samples.is_dir() else samples
        made = provenance_of(file.parent)
        result = export_dataset(file, out, format, images=images, shares=shares, seed=seed, provenance=made)
    for split, statistics in result.statistics.items():
        print(f"{out}: {split}, {statistics.samples:,} samples of {len(statistics.images):,} images")
    tell("skipped", result.skipped)


@app.command
def screen(
    published: Path,
    out: Path,
    *,
    annotations: Path | None = None,
    captions: Path | None = None,
    objects: Path | None = None,
    images: Path | None = None,
    kind: Literal["conversation", "detail", "reasoning"] | None = None,
    machines: Machines = ONE,
) -> None:
    """Screen somebody's samples: those that leak labels, contradict the pose, guess or repeat are put aside with the
    reason.

    No model is asked and no extra is needed.

    Example: `posetalk screen published.json screened --annotations person_keypoints_train2017.json`

    Args:
        published: LLaVA's JSON list, or one of the raw files of LLaVA-Pose.
        out: A folder for samples.jsonl, rejected.jsonl and report.html.
        annotations: COCO's person keypoints of the same images. Without them no sentence is compared with the
            pose.
        captions: COCO's captions of the same images. They go together with --annotations.
        objects: COCO's instances file of the same images. It goes together with --annotations.
        images: The folder of the images, which the report shows.
        kind: What all samples are. By default their form says it: {image_id, conversation} is a conversation,
            {image_id, user_message, completion} a description, {image_id, completion} a question with reasoning.
        machines: Where it is computed. A shard is of samples, and shards are joined.
    """
    from posetalk.write.screening.run import screen_dataset

    if annotations is None and (captions or objects):
        raise PosetalkError("captions and objects are looked at with the people; give --annotations too")
    options: dict[str, Any] = {"annotations": annotations, "captions": captions, "objects": objects}
    options |= {"images": images, "kind": kind}
    if machines.asked():
        if machines.no_join:
            raise PosetalkError("repeated samples are found when the shards are joined; leave --no-join away")
        from posetalk.scale.screen import screen_shards

        with machines.cluster() as cluster:
            result = screen_shards(cluster, published, out, shard_size=machines.size, **options)
    else:
        result = screen_dataset(published, out, **options)
    print(f"{out}: {result}")
    tell("note", result.notes)
    tell("skipped", result.skipped)
