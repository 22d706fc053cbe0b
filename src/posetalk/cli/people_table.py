"""The table of what was located in an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from posetalk.cli.terminal import columns, show
from posetalk.errors import shown

if TYPE_CHECKING:
    from posetalk.locate.localizer import Localizer
    from posetalk.types import Poses

MAX_ROWS = (
    150  # of keypoints; eight people with the 17 keypoints of COCO. A larger table has one row a person.
)
MARK = "*"


def show_people(poses: Poses, localizer: Localizer) -> None:
    """Print a row for each keypoint of each person; for many people a row each, and where to find the rest."""
    from posetalk.locate.known_names import trained_on

    narrow = columns() < 60
    n, k = poses.score.shape
    show(_people(poses, narrow) if n * k > MAX_ROWS else _keypoints(poses, narrow))
    if n * k > MAX_ROWS:
        print(f"{n} people; --json FILE writes their {n * k:,} keypoints, --draw FILE the picture")
    elif poses.trained is not None and not all(poses.trained):
        print(
            f"{MARK} a name that the model was not trained on: it goes by the words, which are to be English; it was "
            f"trained on {trained_on(localizer.trained_keypoints)}"
        )


def _table(narrow: bool) -> Table:
    look = {"box": box.SIMPLE_HEAD, "pad_edge": False, "show_edge": False, "padding": (0, 1, 0, 0)}
    return Table(**look) if narrow else Table()  # type: ignore[arg-type]


def _keypoints(poses: Poses, narrow: bool) -> Table:
    table, digits = _table(narrow), 0 if narrow else 1
    table.add_column("#" if narrow else "person", justify="right")
    table.add_column("keypoint")
    for name in ("x", "y", "score") if narrow else ("x px", "y px", "score"):
        table.add_column(name, justify="right")
    if poses.visible is not None:
        table.add_column("vis." if narrow else "visible")
    for i in range(len(poses)):
        for j, name in enumerate(poses.names):
            mark = f" {MARK}" if poses.trained is not None and not poses.trained[j] else ""
            visible = [] if poses.visible is None else ["yes" if poses.visible[i, j] else "no"]
            x, y = (f"{value:.{digits}f}" for value in poses.xy[i, j])
            table.add_row(str(i + 1), shown(name) + mark, x, y, f"{poses.score[i, j]:.2f}", *visible)
        table.add_section()
    return table


def _people(poses: Poses, narrow: bool) -> Table:
    table = _table(narrow)
    for name in ("#", "x", "y", "w", "h") if narrow else ("person", "x px", "y px", "width", "height"):
        table.add_column(name, justify="right")
    table.add_column("score" if narrow else "keypoints' score", justify="right")
    if poses.visible is not None:
        table.add_column("vis." if narrow else f"visible of {len(poses.names)}", justify="right")
    for i, person in enumerate(poses.boxes):
        visible = [] if poses.visible is None else [str(int(poses.visible[i].sum()))]
        sides = [f"{value:.0f}" for value in person.xywh]
        table.add_row(str(i + 1), *sides, f"{poses.score[i].mean():.2f}", *visible)
    return table
