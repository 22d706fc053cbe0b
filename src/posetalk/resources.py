"""Files inside the package."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

BUNDLED = Path(str(files("posetalk").joinpath("bundled")))  # the folder of the bundled model
BUNDLED_DETECTOR = Path(str(files("posetalk").joinpath("bundled_detector", "nanodet.onnx")))
PAGE = Path(str(files("posetalk").joinpath("serve", "page")))  # the studio's files


def model_path(name: str | Path) -> str:
    """A folder or hub id; `bundled` is the model that comes with the package."""
    return str(BUNDLED if str(name) == "bundled" else name)


def resource_text(path: str) -> str:
    """The text of a file of the package, such as `skeletons/coco17.toml`."""
    return files("posetalk").joinpath(*path.split("/")).read_text(encoding="utf-8")


def resource_toml(path: str) -> dict[str, Any]:
    """A TOML file of the package, such as `facts/claims.toml`."""
    return tomllib.loads(resource_text(path))
