"""Networks that the bundled model was exported to, each made once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.export.crops import FEET

from posetalk.export.run import export_onnx


@pytest.fixture(scope="session")
def feet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with feet.toml and its networks, fp32.onnx and int8.onnx."""
    folder = tmp_path_factory.mktemp("feet")
    (folder / "feet.toml").write_text(FEET)
    for precision in ("fp32", "int8"):
        export_onnx(folder / f"{precision}.onnx", folder / "feet.toml", precision=precision)
    return folder


@pytest.fixture(scope="session")
def coco17(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_onnx(tmp_path_factory.mktemp("coco17") / "coco17.onnx")
