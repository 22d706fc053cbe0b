"""`posetalk tune`, killed twice, ends as if nothing had been."""

from __future__ import annotations

from pathlib import Path

from tests.killed import end_alike
from tests.tune.conftest import tiny


def test_killed_and_resumed_is_undisturbed_to_the_last_bit(llava: Path, talk: Path, tmp_path: Path) -> None:
    tiny(llava, talk, max_steps=24, save_steps=4).save(tmp_path / "run.toml")
    end_alike(tmp_path, "tune", "--settings", tmp_path / "run.toml")
