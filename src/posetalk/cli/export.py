"""The command that compiles descriptions into a pose network: export-onnx."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from posetalk.cli.app import app
from posetalk.errors import need
from posetalk.process import quiet


@app.command
def export_onnx(
    *,
    out: Path,
    model: str = "bundled",
    ask: Annotated[list[str] | None, Parameter(negative=())] = None,
    skeleton: str | None = None,
    precision: Literal["fp32", "fp16", "int8"] = "fp32",
) -> None:
    """Write a pose network for chosen keypoints as one ONNX file, which needs neither posetalk nor torch.

    The descriptions are read once, here, and built in: crops of people go in; places, scores, spread and visibility
    come out, equal to those of `locate`. The file's metadata says how people are cut out and what the numbers mean.
    Needs the extra `onnx`.

    Example: `posetalk export-onnx --skeleton feet.toml --out feet.onnx --precision fp16`

    Args:
        out: The file, which ends in .onnx.
        model: The model: `bundled`, a folder that `posetalk train` wrote, or a hub id. It needs the readout `point`.
        ask: A keypoint to locate, written as "name: description", or a name alone. Repeat the option for more.
        skeleton: A set of keypoints to locate: a built-in skeleton (see `posetalk skeletons`) or a TOML file. The
            default is coco17 where no --ask is given, else none.
        precision: How the weights are stored. `fp16` halves the file, with the bundled model at no loss; `int8` makes
            it a third, at a small one. All compute in 32 bits.
    """
    need("onnx", "onnx")
    from posetalk.skeleton import load_skeleton, parse_keypoints

    limbs: tuple[tuple[int, int], ...] = ()
    points = list(parse_keypoints(ask)) if ask else []
    if skeleton or not ask:
        chosen = load_skeleton(skeleton or "coco17")
        points, limbs = [*chosen.keypoints, *points], chosen.limbs
    quiet()
    from posetalk.export.run import export_onnx as run

    file = run(out, points, model=model, precision=precision, limbs=limbs)
    size = file.stat().st_size / 1e6
    print(f"{file}: {len(points)} keypoint{'s' if len(points) > 1 else ''}, {precision}, {size:.1f} MB")
