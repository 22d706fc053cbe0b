"""The check of the 7B paths at tiny size: the same code, on this machine's CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

CHECK = Path(__file__).parents[1] / "runs" / "gpu_check.sh"


def test_the_check_runs_and_finds_the_plan_right(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    environment = os.environ | {"PYTHON": sys.executable, "TMPDIR": str(tmp_path)}
    words = [str(CHECK), "--tiny", "--json", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(file.read_text())["rows"]
    assert [row["name"].split()[0].strip(",") for row in rows] == [
        "train",
        "locate",
        "locate",
        "small",
        "tune",
    ]
    checks = [name for row in rows for name, good in row["checks"].items() if good]
    assert checks.count("operations") == 3 and checks.count("places") == 2 and "losses" in checks
    assert all(row["seconds"] > 0 for row in rows)
    assert not [path for path in tmp_path.iterdir() if path != file]  # nothing is left behind
