"""The command that puts a place on a body into words: describe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from posetalk.cli.app import app, tell
from posetalk.errors import PosetalkError, shown
from posetalk.process import prepare_for_models


@app.command
def describe(
    image: Path | None = None,
    /,
    *,
    at: Annotated[list[str] | None, Parameter(negative=())] = None,
    model: str = "bundled",
    detector: str | None = None,
    box: Annotated[list[str] | None, Parameter(negative=())] = None,
    boxes: Path | None = None,
    caption: Annotated[list[str] | None, Parameter(negative=())] = None,
    json_out: Annotated[Path | None, Parameter(name="--json")] = None,
    labels: Path | None = None,
    captions: Path | None = None,
    seed: int = 0,
    out: Path | None = None,
) -> None:
    """Describe points of a photo in words: whose body each is on, which part and side of it, and where on that part.

    A point on nobody is called that. What the evidence does not decide is marked as not certain, with the next
    possible part. With --labels instead of a photo, write training pairs of a point and its description, from labelled
    joints; no model is asked then.

    Example: `posetalk describe photo.jpg --at 210,340 --at 198,120`

    Args:
        image: A photo.
        at: A point as x,y in pixels of the upright photo, origin top left. Repeat the option for more.
        model: The model that locates: `bundled`, a model folder, or a hub id.
        detector: What finds the people: `bundled` (the default), or a folder or hub id of a model for object
            detection with a class that is called person.
        box: A person's box as x,y,width,height in pixels, instead of a detector. Repeat the option for more people.
        boxes: A file of people's boxes (COCO results), instead of a detector.
        caption: What somebody wrote of the photo, for words such as "the man in the red shirt". Repeat the option for
            more: gender, occupation and clothes are only said where two captions agree on them.
        json_out: Write the descriptions with their evidence to this JSON file.
        labels: COCO's person keypoints, to write pairs from.
        captions: COCO's captions of the same images, for --labels.
        seed: The seed of places and wording, for --labels.
        out: The file of pairs to write, for --labels: JSON lines, which `posetalk export` turns into the files of a
            trainer. Run again, the command goes on where it stopped.
    """
    if labels is not None:
        if image or at or box or boxes or caption or json_out:
            raise PosetalkError(
                "--labels writes pairs of labelled people; leave the photo and its options away"
            )
        if out is None:
            raise PosetalkError("--labels needs a file for the pairs; give --out pairs.jsonl")
        from posetalk.describe.pairs import write_pairs

        written = write_pairs(labels, out, captions=captions, seed=seed)
        print(f"{out}: {written.pairs:,} pairs of {written.images:,} images")
        tell("note", written.notes)
        tell("skipped", written.skipped)
        return
    if out or captions:
        raise PosetalkError("--out and --captions go with --labels; for a photo give --json and --caption")
    if image is None or not at:
        raise PosetalkError("describe needs a photo and a point of it; give PHOTO --at x,y")
    if box and boxes:
        raise PosetalkError("--box and --boxes are two ways to say where people are; give one")
    if (box or boxes) and detector:
        raise PosetalkError("--detector finds the people whose boxes are given; leave one of the two away")
    from posetalk.cli.locate import numbers_of

    points = [numbers_of(text, "--at", "x,y") for text in at]
    given = [numbers_of(text, "--box", "x,y,width,height") for text in box or ()]
    prepare_for_models()
    from posetalk.describe.photo import describe_photo

    described = describe_photo(
        image,
        points,
        boxes=boxes or given or None,
        captions=tuple(caption or ()),
        model=model,
        detector=detector or "bundled",
        json_out=json_out,
    )
    for words in described:
        x, y = words.xy
        print(f"{x:g},{y:g}: {shown(words.full)}")
        if not words.certain:
            other = words.evidence["or"]
            print(f"  not certain; or: {other['name']}" if other else "  not certain")
