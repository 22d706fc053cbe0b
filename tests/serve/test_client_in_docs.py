"""The client that the guide shows works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from benchmarks.served import Served

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "serve.md"


def test_the_client_asks_and_says_what_is_wrong(server: Served, photo: bytes, tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 32
    names: dict[str, object] = {}
    exec(code, names)
    client = names["Posetalk"](f"http://127.0.0.1:{server.port}")  # type: ignore[operator]
    file = tmp_path / "photo.png"
    file.write_bytes(photo)
    located = client.locate(file)
    assert client.ask(located, "Are both arms raised?", 0) in ("yes", "no", "not known")
    with pytest.raises(ValueError, match="no skeleton 'x'"):
        client.locate(file, skeleton="x")
