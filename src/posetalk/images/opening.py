"""Pictures: read any of them as upright RGB, cut a square out, turn its pixels into what a tower eats."""

from __future__ import annotations

import importlib
import io
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError, features

from posetalk.errors import PosetalkError, need
from posetalk.images.affine import Square

Pixels = npt.NDArray[np.uint8]

MAX_PIXELS = 178_000_000  # just below where Pillow itself refuses a picture as a decompression bomb
MAX_SIDE = 32_766  # cv2.warpAffine takes no more before OpenCV 5

# The formats that are opened, told by what a file holds and not by its name; no others, such as PostScript, whose
# decoders are programs of their own.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "HEIF")
WEB = {"JPEG": "jpeg", "PNG": "png", "WEBP": "webp", "GIF": "gif"}  # what every server and browser takes
QUALITY = 95  # of JPEG, for the others

# mean and standard deviation of red, green, blue in 0..1
STATS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}

_ORIENTATION_TAG = 0x0112  # EXIF: how the camera was held, 1..8
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ON_SIDE = {_UPRIGHT[turn] for turn in (5, 6, 7, 8)}
_LAST_FIRST = {
    _UPRIGHT[turn] for turn in (3, 4, 6, 7)
}  # the last row of the file is the first, or the first column
_BAND = (
    2**20
)  # pixels that are converted at a time, so that no kind of picture takes more memory than a plain one


def read_image(source: str | Path | Image.Image | npt.NDArray[Any]) -> Pixels:
    """A file, a Pillow image or an array as upright pixels: (h, w, 3) uint8 RGB.

    The EXIF orientation is applied; transparent pictures are laid on white; 16-bit grey is scaled to 8 bits;
    of an animation the first frame is taken. An array is uint8: (h, w, 3) RGB, returned as it is, (h, w) or
    (h, w, 1) grey, or (h, w, 4) RGBA. The result may be read-only. Errors name the file: missing, a folder,
    empty, not a picture, damaged, more than 178 million pixels or 32,766 px a side.
    """
    if isinstance(source, np.ndarray):
        return _checked(_three_colours(source), "the array")
    if isinstance(source, Image.Image):
        return _checked(_decode(source, "the picture"), "the picture")
    if not isinstance(source, str | Path):
        raise PosetalkError(f"a picture is a path, a Pillow image or an array, not {type(source).__name__}")
    with open_image(Path(source)) as image:
        return _checked(_decode(image, str(source)), str(source))


def cut(image: Pixels, square: Square) -> Pixels:
    """The square of an image (h, w, 3) uint8 as (size, size, 3) uint8: bilinear, black outside the image."""
    cv2 = need("cv2", "model")
    # the flip is done on finished pixels: mirrored crops are then equal to the last bit
    plain = Square(square.center, square.side, square.size, square.rotation)
    size = (square.size, square.size)
    crop: Pixels = cv2.warpAffine(
        image, plain.matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return np.ascontiguousarray(crop[:, ::-1]) if square.flip else crop


def normalise(pixels: Pixels, stats: Literal["clip", "imagenet", "half"]) -> npt.NDArray[np.float32]:
    """Pixels (..., size, size, 3) uint8 RGB -> (..., 3, size, size) float32: (value / 255 - mean) / std."""
    mean, std = (np.array(values, dtype=np.float32) for values in STATS[stats])
    scaled = (pixels.astype(np.float32) / np.float32(255) - mean) / std
    return np.ascontiguousarray(np.moveaxis(scaled, -1, -3))


@cache
def readable_formats() -> tuple[str, ...]:
    """Those of FORMATS that the installed Pillow reads; HEIF where pillow-heif is installed."""
    with suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()
    Image.init()
    without = {name for name in ("AVIF", "WEBP") if not features.check(name.lower())}
    return tuple(name for name in FORMATS if name in Image.OPEN and name not in without)


@contextmanager
def open_image(path: Path, data: bytes | None = None) -> Iterator[Image.Image]:
    """A picture of which the header alone is read; data: the file's bytes, where they are known.

    Errors: as `read_image`, but for those of damaged pixels.
    """
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise PosetalkError(f"{path} is a folder, not a picture")
        if not stat.S_ISREG(found.st_mode):
            raise PosetalkError(f"{path} is no file; give a picture")
        if found.st_size == 0:
            raise PosetalkError(f"{path} is empty (0 bytes); fetch or save the picture again")
        with warnings.catch_warnings():
            # Pillow warns from half of its limit on; ours is checked in _decode
            warnings.simplefilter("ignore")
            image = Image.open(path if data is None else io.BytesIO(data), formats=readable_formats())
    except FileNotFoundError:
        raise PosetalkError(f"there is no picture {path}; check the path") from None
    except UnidentifiedImageError:
        raise PosetalkError(
            f"{path} cannot be read as a picture: it is not a picture of a known form ({', '.join(readable_formats())})"
        ) from None
    except Image.DecompressionBombError:
        raise PosetalkError(
            f"{path} is larger than the limit of {MAX_PIXELS // 10**6} million pixels"
        ) from None
    except PosetalkError:
        raise
    except (
        Exception
    ) as error:  # decoders of damaged files raise anything: OSError, SyntaxError, struct.error ...
        raise PosetalkError(f"cannot read the picture {path}: {_reason(error)}") from None
    with image:
        yield image


def upright_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture in px as `read_image` gives it, of its header alone. Errors: as `open_image`.

    The orientation is not seen in a PNG that names it behind the pixels, as hardly any does.
    """
    with open_image(path) as image:
        width, height = image.size
        turned = None if _exif_is_late(image) else _orientation(image)
    return (height, width) if turned in _ON_SIDE else (width, height)


def exif_orientation(path: Path) -> int:
    """EXIF's orientation: 2..8 where the picture is mirrored or turned, else 1. As `upright_size`, and its errors."""
    with open_image(path) as image:
        turn = None if _exif_is_late(image) else _orientation(image)
    return next((number for number, known in _UPRIGHT.items() if known is turn), 1)


def image_bytes(path: Path) -> tuple[bytes, str]:
    """A file to be sent or published: its bytes, and jpeg, png, webp or gif. Errors: as `read_image`.

    It is decoded first, so that nothing but a picture goes out. The bytes are those of the file, or, where it is of
    another format, those of a JPEG.
    """
    try:
        data = path.read_bytes()  # once, so that what goes out is what was looked at
    except (OSError, ValueError):
        data = None
    with open_image(path, data) as image:
        name = image.format or ""
        pixels = _checked(_decode(image, str(path)), str(path))
    if data is not None and name in WEB:
        return data, WEB[name]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=QUALITY)
    return file.getvalue(), "jpeg"


def _decode(image: Image.Image, name: str) -> npt.NDArray[Any]:
    """All pixels of an opened picture, upright. Size is checked before anything is decoded."""
    _check_size(image.width, image.height, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damaged notes beside the pixels, which are still good
            image.load()
            return _upright(image, name)
    except PosetalkError:
        raise
    except Exception as error:  # see open_image
        raise PosetalkError(f"cannot decode {name}, it may be damaged: {_reason(error)}") from None


def _exif_is_late(image: Image.Image) -> bool:
    """Whether Pillow would decode the pixels to get there."""
    return image.format == "PNG" and "exif" not in image.info


def _upright(image: Image.Image, name: str) -> Pixels:
    """RGB, band after band of the file's rows."""
    width, height = image.size
    turn = _orientation(image)
    upright = np.empty((width, height, 3) if turn in _ON_SIDE else (height, width, 3), np.uint8)
    rows = max(1, _BAND // width)
    for top in range(0, height, rows):
        end = min(top + rows, height)
        band = _rgb(image.crop((0, top, width, end)), name)
        place = slice(height - end, height - top) if turn in _LAST_FIRST else slice(top, end)
        into = upright[:, place] if turn in _ON_SIDE else upright[place]
        into[:] = np.asarray(band if turn is None else band.transpose(turn))
    return upright


def _orientation(image: Image.Image) -> Image.Transpose | None:
    try:
        return _UPRIGHT.get(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # unreadable EXIF says nothing about how the camera was held
        return None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "F":
        raise PosetalkError(
            f"{name} has floating-point pixels, whose range is not known; save it with 8 bits a colour"
        )
    if image.mode.startswith("I"):  # 16-bit grey; convert() would clip it to white
        grey = np.clip(np.asarray(image).astype(np.float64) / 257, 0, 255)
        return Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")
    if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        opaque = image.convert("RGBA")
        paper = Image.new("RGBA", opaque.size, "white")
        return Image.alpha_composite(paper, opaque).convert("RGB")
    return image.convert("RGB")


def _check_size(width: int, height: int, name: str) -> None:
    if width <= 0 or height <= 0:
        raise PosetalkError(f"{name} has no pixels ({width} x {height})")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise PosetalkError(
            f"{name} has {width} x {height} px; the limits are {MAX_PIXELS // 10**6} million pixels "
            f"and {MAX_SIDE} px a side"
        )


def _three_colours(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """An array of grey or RGBA as RGB; any other as it is."""
    grey = array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 1)
    rgba = array.ndim == 3 and array.shape[2] == 4
    if array.dtype != np.uint8 or not array.size or not (grey or rgba):
        return array
    return _upright(Image.fromarray(array.reshape(array.shape[:2]) if grey else array), "the array")


def _checked(pixels: npt.NDArray[Any], name: str) -> Pixels:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise PosetalkError(
            f"{name} has shape {pixels.shape} of {pixels.dtype}; give (height, width, 3) uint8 RGB, "
            "or grey or RGBA of 0..255"
        )
    _check_size(pixels.shape[1], pixels.shape[0], name)
    return pixels
