"""Networks that the bundled model was exported to, one for all tests of a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.export.crops import FEET

from posetalk.export.run import export_onnx


@pytest.fixture(scope="module")
def feet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with feet.toml and its networks, fp32.onnx and int8.onnx."""
    folder = tmp_path_factory.mktemp("feet")
    (folder / "feet.toml").write_text(FEET)
    for precision in ("fp32", "int8"):
        export_onnx(folder / f"{precision}.onnx", folder / "feet.toml", precision=precision)
    return folder
