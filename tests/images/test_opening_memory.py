"""No kind of image takes more memory than a plain one of its size."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from posetalk.images import opening

SIDE = 3500
PEAK = (
    "import re, sys; from pathlib import Path; from posetalk.images.opening import read_image\n"
    "def most(): return int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
    "before = most(); read_image(Path(sys.argv[1])); print(most() - before)"
)


def peak(path: Path) -> int:
    found = subprocess.run(
        [sys.executable, "-c", PEAK, str(path)], capture_output=True, text=True, check=True
    )
    return int(found.stdout)


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="this system does not tell how much was taken"
)
def test_of_16_bits_or_with_transparency_as_of_rgb(tmp_path: Path) -> None:
    grey = Image.linear_gradient("L").resize((SIDE, SIDE))
    clear = grey.convert("RGBA")
    clear.putalpha(grey)
    turned = Image.Exif()
    turned[0x0112] = 6
    grey.convert("RGB").save(tmp_path / "plain.png", compress_level=1)
    grey.convert("RGB").save(tmp_path / "turned.png", compress_level=1, exif=turned)
    clear.save(tmp_path / "rgba.png", compress_level=1)
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(tmp_path / "16.png", compress_level=1)
    plain = peak(tmp_path / "plain.png")
    assert plain < 9 * SIDE * SIDE / 1024  # KiB; four bytes a pixel are Pillow's, three ours
    for name in ("turned.png", "rgba.png", "16.png"):
        assert peak(tmp_path / name) < 1.2 * plain, name


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "I;16"])
def test_bands_make_the_same_image(mode: str, turn: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(turn)
    shape = (23, 7, *([len(mode)] if len(mode) in (3, 4) and mode != "I;16" else []))
    pixels = rng.integers(0, 65536 if mode == "I;16" else 256, shape)
    image = Image.fromarray(pixels.astype(np.uint16 if mode == "I;16" else np.uint8))
    turned = Image.Exif()
    turned[0x0112] = turn
    file = io.BytesIO()
    image.save(file, "PNG", exif=turned)
    whole = opening.read_image(Image.open(file))
    monkeypatch.setattr(opening, "_BAND_PIXELS", 7 * 4)  # rows of the file: 4, and 3 in the last
    assert np.array_equal(opening.read_image(Image.open(file)), whole)
    if mode == "RGB":
        assert np.array_equal(whole, np.asarray(ImageOps.exif_transpose(Image.open(file))))
