"""Commands on label files of other programs: formats, convert-labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from posetalk.cli.app import app, tell
from posetalk.cli.terminal import show
from posetalk.exchange.form_names import FormName


@app.command
def formats(name: FormName | None = None, /) -> None:
    """List the formats of labels that `convert-labels` reads and writes, and what each cannot keep.

    Example: `posetalk formats`

    Args:
        name: One format to list. Without it all are listed.
    """
    from rich.table import Table

    from posetalk.exchange.forms import FORMS

    table = Table("format", "what it is", "files", "keypoints", "does not keep")
    for form in (form for form in FORMS if name in (None, form.name)):
        lost = ", ".join(form.lost) or "-"
        table.add_row(form.name, form.title, form.files, form.skeleton or "any", lost)
    show(table)
    print("Read alone: MPII (JSON of HRNet and mmpose) and LSP (joints.mat); leave --from away.")


@app.command(name="convert-labels")
def convert_labels(
    source: Path,
    out: Path,
    *,
    to: FormName,
    from_: Annotated[FormName | None, Parameter(name="--from")] = None,
    images: Path | None = None,
    skeleton: str | None = None,
    to_skeleton: str | None = None,
    order: Literal["file", "doubt"] = "file",
) -> None:
    """Convert labels of people from one format into another.

    Keypoints are matched by name, and those without a partner are told. Images are not copied.

    Example: `posetalk convert-labels person_keypoints_val2017.json yolo --to yolo --images val2017`

    Args:
        source: The label file, or the folder of a format that is one.
        out: A new file, or a new folder for a format that is one; see `posetalk formats`.
        to: The format to write.
        from_: The format of the source. By default it is recognised among those that every command reads: COCO's form,
            MPII and LSP.
        images: The folder of the images. The default is the folder of the source. Formats whose coordinates are shares
            of an image's sides need the images.
        skeleton: The keypoints of the source where it does not name them: a built-in skeleton or a TOML file.
        to_skeleton: The keypoints to write: a built-in skeleton or a TOML file. The default is that of the format, or
            else that of the source.
        order: The order of the images: as in the `file`, or by `doubt`: that with the lowest mean score of
            its people first. The latter is for labels with scores.
    """
    from posetalk.exchange.forms import convert_labels as run
    from posetalk.skeleton import load_skeleton

    labels, notes = run(
        source,
        out,
        to=to,
        form=from_,
        images=images,
        skeleton=load_skeleton(skeleton) if skeleton else None,
        to_skeleton=load_skeleton(to_skeleton) if to_skeleton else None,
        doubtful_first=order == "doubt",
    )
    people = sum(1 for _ in labels.data.people())
    print(f"{out}: {people:,} people of {len(labels.data.images):,} images")
    tell("note", (*labels.data.notes, *notes))
    tell("skipped", labels.data.skipped)
