"""Commands from points to words: facts, write, export, screen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from posetalk.cli.app import app, tell, tell_skipped
from posetalk.cli.server import HERE, Server, leave
from posetalk.errors import PosetalkError


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

    Args:
        annotations: COCO-style, MPII or LSP labels.
        images: the folder of the pictures, which are held against the labels; only --draw reads them whole.
        objects: COCO's instances file, for what people sit on, ride and hold.
        image: the id of a picture; may be given several times. Without it all.
        skeleton: which keypoints a COCO-style file labels: coco17, humanart21 or a TOML file.
        json_out: where to write every fact, true, false or not known, with its numbers: a line of JSON a picture.
        draw: a folder for pictures with the poses and what is true of them.
    """
    from posetalk.facts.show import drawable, lines_of, scenes, write_json
    from posetalk.formats.dataset import labelled_skeleton, read_people
    from posetalk.formats.fit import evenly
    from posetalk.formats.objects import read_objects
    from posetalk.images.fit import other_shapes
    from posetalk.skeleton import skeleton as known

    named = known(skeleton) if skeleton else None
    data = read_people(annotations, images or annotations.parent, skeleton=named)
    things, left_out = read_objects(objects) if objects else ({}, [])
    if json_out:
        write_json((scene for _, scene in scenes(data, things, image or ())), json_out)
    if images and not draw:
        tell(*other_shapes(evenly([one for one in data.images if one.people])))
    if draw:
        from posetalk.facts.show import draw_all

        data = drawable(data, image or ())
        left_out += draw_all(scenes(data, things), named or labelled_skeleton(data), draw)
    if not json_out and not draw:
        for _, scene in scenes(data, things, image or ()):
            print("\n".join(lines_of(scene)))
    tell(*data.notes)
    tell_skipped(*data.skipped, *left_out)


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
    max_images: int | None = None,
    seed: int = 0,
    model: str | None = None,
    server: Server = HERE,
    answers: Path | None = None,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
) -> None:
    """Write instruction data about poses: samples.jsonl, rejected.jsonl and report.html in a folder.

    Args:
        annotations: COCO's person keypoints.
        captions: COCO's captions of the same pictures.
        out: the folder of the run; run again, it goes on.
        objects: COCO's instances of the same pictures.
        images: the folder of the pictures, for the report.
        writer: facts (no model; true by construction), a server with OpenAI's interface, or its batches by files.
        recipe: of a model: grounded (keypoints and facts for all kinds) or the paper's.
        preset: how many pictures of each kind: all, or as LLaVA-Pose.
        kinds: what to write, separated by commas: conversation, detail, reasoning.
        max_images: of each kind at most so many, drawn by the seed.
        seed: of the wording and the choice; the same seed gives the same samples.
        model: its name on the server, OpenAI's without --base-url.
        server: how it is asked.
        answers: of a batch, the file that came back.
        dry_run: count requests and tokens and price them, and ask nothing.
    """
    from functools import partial

    from rich.progress import track

    from posetalk.formats.annotated import AnnotatedImages
    from posetalk.images.fit import other_shapes
    from posetalk.llm.request_state import RunReport
    from posetalk.write.run import WriteSettings, price_run, write_by_batch, write_by_facts, write_by_model
    from posetalk.write.samples.sample import KINDS

    named = {k.strip() for k in kinds.split(",")}
    if named - set(KINDS):
        raise PosetalkError(
            f"--kinds: there is no kind {min(named - set(KINDS))!r}; choose of {', '.join(KINDS)}"
        )
    if writer == "facts" and (model or server != HERE or dry_run or answers):
        raise PosetalkError(
            "the facts writer asks no model; leave the model's options away, or choose --writer openai"
        )
    if (answers is not None) and writer != "batch":
        raise PosetalkError("--answers goes with --writer batch")
    asked = None if writer == "facts" else server.asks(model)
    chosen = WriteSettings(
        writer=asked.model if asked else "facts",
        annotations=str(annotations),
        captions=str(captions),
        objects=str(objects) if objects else None,
        kinds=tuple(kind for kind in KINDS if kind in named),
        recipe=recipe if asked else None,
        preset=preset,
        max_images=max_images,
        seed=seed,
    )
    data = AnnotatedImages(annotations, captions, objects, images=images)
    if images:
        tell(*other_shapes(data.some()))
    if asked is None:
        print(f"{out}: {write_by_facts(data, chosen, out, partial(track, description='writing'))}")
        tell(*data.notes)
        tell_skipped(*data.skipped)
        return
    price, report, kept = server.price(asked.model), RunReport(), None
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
    tell(*data.notes)
    tell_skipped(*data.skipped)
    leave(
        report,
        kept is None or bool(kept.kinds),
        f"nothing was written, see {out / 'rejected.jsonl'} for the reasons",
    )


@app.command
def export(
    samples: Path,
    out: Path,
    *,
    format: Literal["llava", "llama-factory", "parquet", "swift", "finevision"] = "llava",
    images: Path | None = None,
    validation: float = 0.05,
    test: float = 0.05,
    seed: int = 0,
) -> None:
    """Turn written samples into the files of a trainer, split by picture, with a data card.

    Args:
        samples: a folder of `posetalk write` or `posetalk screen`, or a samples.jsonl.
        out: a new folder.
        format: LLaVA's JSON, LLaMA-Factory's, parquet for TRL and datasets, ms-swift's JSONL, FineVision's columns.
        images: the folder of the pictures; parquet and finevision hold the pictures themselves.
        validation: the share of the pictures kept back for validation.
        test: the share kept back for testing.
        seed: of the split.
    """
    from posetalk.write.run import made_of
    from posetalk.write.samples.export import export as run
    from posetalk.write.samples.split import Shares

    file = samples / "samples.jsonl" if samples.is_dir() else samples
    shares = Shares(validation, test)
    found = run(file, out, format, images=images, shares=shares, seed=seed, made=made_of(file.parent))
    for split, tally in found.tallies.items():
        print(f"{out}: {split}, {tally.samples:,} samples of {len(tally.images):,} pictures")
    tell_skipped(*found.skipped)


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

    Args:
        published: LLaVA's JSON list, or one of the raw files of LLaVA-Pose.
        out: a folder for samples.jsonl, rejected.jsonl and report.html.
        annotations: COCO's person keypoints of the same pictures; without them no claim is held against the pose.
        captions: COCO's captions of the same pictures.
        objects: COCO's instances of the same pictures.
        images: the folder of the pictures, for the report.
    """
    from posetalk.formats.annotated import AnnotatedImages
    from posetalk.write.run import screen_file

    if annotations is None and (captions or objects):
        raise PosetalkError("captions and objects are looked at with the people; give --annotations too")
    data = AnnotatedImages(annotations, captions, objects, images=images) if annotations else None
    kept, skipped = screen_file(published, data, out)
    print(f"{out}: {kept}")
    tell_skipped(*skipped)
