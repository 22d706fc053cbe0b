"""One photo of several that is damaged is left out and told, by the commands that look at labelled photos."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import skimage
from PIL import Image

from posetalk.cli import main

CAMERA = Path(skimage.__path__[0]) / "data" / "camera.png"


@pytest.mark.parametrize("command", ["facts", "calibrate"])
def test_the_others_are_looked_at(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.open(CAMERA).convert("RGB").save(tmp_path / "1.jpg")
    (tmp_path / "2.jpg").write_bytes((tmp_path / "1.jpg").read_bytes()[:9000])
    keypoints = [*(220, 100, 2) * 5, *(200, 180, 2) * 6, *(200, 300, 2) * 6]
    person = {"category_id": 1, "bbox": [100, 60, 245, 452], "area": 50_000, "keypoints": keypoints}
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 512, "height": 512} for n in (1, 2)]
    people = [{**person, "id": n, "image_id": n} for n in (1, 2)]
    labels = tmp_path / "labels.json"
    labels.write_text(
        json.dumps({"images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]})
    )
    out = tmp_path / "out"
    words = {
        "facts": ["facts", labels, "--images", tmp_path, "--draw", out],
        "calibrate": ["calibrate", "bundled", out, "--annotations", labels, "--images", tmp_path],
    }[command]
    with pytest.raises(SystemExit) as stop:
        main(list(map(str, words)))
    said = capsys.readouterr()
    assert stop.value.code == 0 and "2.jpg" in said.out + said.err
    assert {"facts": out / "1.png", "calibrate": out / "model.safetensors"}[command].is_file()
