"""Opening images as upright RGB, cropping a square, and normalising pixels for a vision encoder."""

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

from posetalk.errors import PosetalkError
from posetalk.images.affine import Square

Pixels = npt.NDArray[np.uint8]

MAX_PIXELS = 178_000_000  # just below where Pillow itself refuses an image as a decompression bomb
MAX_SIDE = 32_766  # cv2.warpAffine takes no more before OpenCV 5

# The formats that are opened, recognised by content rather than by name. No others: the decoders of some, such as
# PostScript, run programs.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "HEIF")
WEB_FORMATS = {
    "JPEG": "jpeg",
    "PNG": "png",
    "WEBP": "webp",
    "GIF": "gif",
}  # what every server and browser accepts
JPEG_QUALITY = 95  # for images of other formats that are sent as JPEG

# Mean and standard deviation of red, green and blue in 0..1, as the encoders were trained.
CHANNEL_STATS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}

_ORIENTATION_TAG = 0x0112  # EXIF: the camera's orientation, 1..8
_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SWAP_SIDES = {_TRANSPOSES[turn] for turn in (5, 6, 7, 8)}
_REVERSE_ROWS = {
    _TRANSPOSES[turn] for turn in (3, 4, 6, 7)
}  # the last row of the file becomes the first row or column
_BAND_PIXELS = 2**20  # pixels converted at a time, so that no mode of image takes more memory than RGB


def read_image(source: str | Path | Image.Image | npt.NDArray[Any]) -> Pixels:
    """Read an image as upright RGB pixels.

    The EXIF orientation is applied, transparent images are put on white, 16-bit grey is scaled to 8 bits, and of an
    animation the first frame is taken.

    Args:
        source: A file, a Pillow image, or a uint8 array: (h, w, 3) RGB, which is returned as it is, (h, w) or
            (h, w, 1) grey, or (h, w, 4) RGBA.

    Returns:
        (h, w, 3) uint8 RGB. It may be read-only.

    Raises:
        PosetalkError: A file that is missing, a folder, empty, no image or damaged; more than 178 million pixels or
            32,766 px a side; an array of another shape or type.
    """
    if isinstance(source, np.ndarray):
        return _check_pixels(_to_rgb(source), "the array")
    if isinstance(source, Image.Image):
        return _check_pixels(_decode_upright(source, "the image"), "the image")
    if not isinstance(source, str | Path):
        raise PosetalkError(f"an image is a path, a Pillow image or an array, not {type(source).__name__}")
    with open_image(Path(source)) as image:
        return _check_pixels(_decode_upright(image, str(source)), str(source))


def cut(image: Pixels, square: Square) -> Pixels:
    """Crop a square of an image, (h, w, 3) uint8, to (size, size, 3) uint8: bilinear, black outside the image."""
    import cv2  # loads slowly

    # flipping the finished pixels makes mirrored crops equal to the last bit
    plain = Square(square.center, square.side, square.size, square.rotation)
    size = (square.size, square.size)
    crop: Pixels = cv2.warpAffine(
        image, plain.matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT
    )
    return np.ascontiguousarray(crop[:, ::-1]) if square.flip else crop


def normalise(pixels: Pixels, stats: Literal["clip", "imagenet", "half"]) -> npt.NDArray[np.float32]:
    """Normalise pixels (..., size, size, 3) uint8 RGB to (..., 3, size, size) float32: (value / 255 - mean) / std."""
    mean, std = (np.array(values, dtype=np.float32) for values in CHANNEL_STATS[stats])
    scaled = (pixels.astype(np.float32) / np.float32(255) - mean) / std
    return np.ascontiguousarray(np.moveaxis(scaled, -1, -3))


@cache
def readable_formats() -> tuple[str, ...]:
    """Those of FORMATS that the installed Pillow reads; HEIF if pillow-heif is installed."""
    with suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()
    Image.init()
    without = {name for name in ("AVIF", "WEBP") if not features.check(name.lower())}
    return tuple(name for name in FORMATS if name in Image.OPEN and name not in without)


def _open(file: Path | io.BytesIO) -> Image.Image:
    try:  # what most images are; for others Pillow loads all of its plugins
        return Image.open(file, formats=FORMATS[:2])
    except UnidentifiedImageError:
        return Image.open(file, formats=readable_formats())


@contextmanager
def open_image(path: Path, data: bytes | None = None) -> Iterator[Image.Image]:
    """Open an image and read its header only.

    Args:
        path: The file.
        data: The file's bytes, if they were read already.

    Raises:
        PosetalkError: As `read_image`, except for damaged pixels.
    """
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise PosetalkError(f"{path} is a folder, not an image")
        if not stat.S_ISREG(status.st_mode):
            raise PosetalkError(f"{path} is no file; give an image")
        if status.st_size == 0:
            raise PosetalkError(f"{path} is empty (0 bytes); fetch or save the image again")
        with warnings.catch_warnings():
            # Pillow warns at half of its limit; ours is checked in _decode_upright
            warnings.simplefilter("ignore")
            image = _open(path if data is None else io.BytesIO(data))
    except FileNotFoundError:
        raise PosetalkError(f"there is no image {path}; check the path") from None
    except Exception as error:
        raise _unreadable(error, str(path)) from None
    with image:
        yield image


@contextmanager
def open_image_bytes(data: bytes, name: str = "the image") -> Iterator[Image.Image]:
    """Open an image that is no file, and read its header only.

    Args:
        data: What a file of it would hold.
        name: What it is called in errors.

    Raises:
        PosetalkError: As `read_image`, except for damaged pixels.
    """
    if not data:
        raise PosetalkError(f"{name} is empty (0 bytes); send its file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = _open(io.BytesIO(data))
    except Exception as error:
        raise _unreadable(error, name) from None
    with image:
        yield image


def _unreadable(error: Exception, name: str) -> PosetalkError:
    """The sentence on an image that cannot be opened."""
    match error:
        case PosetalkError():
            return error
        case UnidentifiedImageError():
            known = ", ".join(readable_formats())
            return PosetalkError(
                f"{name} cannot be read as an image: it is not an image of a known form ({known})"
            )
        case Image.DecompressionBombError():
            return PosetalkError(f"{name} is larger than the limit of {MAX_PIXELS // 10**6} million pixels")
        case _:  # decoders raise anything on damaged files: OSError, SyntaxError, struct.error ...
            return PosetalkError(f"cannot read the image {name}: {_reason(error)}")


def upright_size(path: Path) -> tuple[int, int]:
    """Width and height of an image in px as `read_image` gives it, from its header.

    The EXIF orientation is ignored in a PNG that has it after the pixels, which is rare.

    Raises:
        PosetalkError: As `open_image`.
    """
    with open_image(path) as image:
        width, height = image.size
        turned = None if _exif_follows_pixels(image) else _orientation(image)
    return (height, width) if turned in _SWAP_SIDES else (width, height)


def exif_orientation(path: Path) -> int:
    """The EXIF orientation, 1..8: above 1 the image is mirrored or rotated. Limits and errors as `upright_size`."""
    with open_image(path) as image:
        transpose = None if _exif_follows_pixels(image) else _orientation(image)
    return next((number for number, value in _TRANSPOSES.items() if value is transpose), 1)


def image_bytes(path: Path) -> tuple[bytes, str]:
    """The bytes of an image for sending or publishing.

    The image is decoded first, so that only images are sent.

    Returns:
        The bytes and their format: the file's own if it is jpeg, png, webp or gif, else those of a JPEG.

    Raises:
        PosetalkError: As `read_image`.
    """
    try:
        data = path.read_bytes()  # once, so that what is sent is what was checked
    except (OSError, ValueError):
        data = None
    with open_image(path, data) as image:
        name = image.format or ""
        pixels = _check_pixels(_decode_upright(image, str(path)), str(path))
    if data is not None and name in WEB_FORMATS:
        return data, WEB_FORMATS[name]
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue(), "jpeg"


def _decode_upright(image: Image.Image, name: str) -> npt.NDArray[Any]:
    """All pixels of an opened image, upright. The size is checked before anything is decoded."""
    _check_size(image.width, image.height, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about damaged metadata of sound pixels
            image.load()
            return _upright(image, name)
    except PosetalkError:
        raise
    except Exception as error:  # as in open_image
        raise PosetalkError(f"cannot decode {name}, it may be damaged: {_reason(error)}") from None


def _exif_follows_pixels(image: Image.Image) -> bool:
    """Whether Pillow would have to decode the pixels to read the EXIF data."""
    return image.format == "PNG" and "exif" not in image.info


def _upright(image: Image.Image, name: str) -> Pixels:
    """RGB pixels, converted in bands of the file's rows."""
    width, height = image.size
    transpose = _orientation(image)
    upright = np.empty((width, height, 3) if transpose in _SWAP_SIDES else (height, width, 3), np.uint8)
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        band = _rgb(image.crop((0, top, width, bottom)), name)
        rows_upright = (
            slice(height - bottom, height - top) if transpose in _REVERSE_ROWS else slice(top, bottom)
        )
        target = upright[:, rows_upright] if transpose in _SWAP_SIDES else upright[rows_upright]
        target[:] = np.asarray(band if transpose is None else band.transpose(transpose))
    return upright


def _orientation(image: Image.Image) -> Image.Transpose | None:
    try:
        return _TRANSPOSES.get(image.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:  # unreadable EXIF data says nothing about the orientation
        return None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "F":
        raise PosetalkError(
            f"{name} has floating-point pixels, whose range is not known; save it with 8 bits a colour"
        )
    if image.mode.startswith("I"):  # 16-bit grey, which convert() would clip to white
        grey = np.clip(np.asarray(image).astype(np.float64) / 257, 0, 255)
        return Image.fromarray(np.rint(grey).astype(np.uint8)).convert("RGB")
    if "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        opaque = image.convert("RGBA")
        background = Image.new("RGBA", opaque.size, "white")
        return Image.alpha_composite(background, opaque).convert("RGB")
    return image.convert("RGB")


def _check_size(width: int, height: int, name: str) -> None:
    if width <= 0 or height <= 0:
        raise PosetalkError(f"{name} has no pixels ({width} x {height})")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise PosetalkError(
            f"{name} has {width} x {height} px; the limits are {MAX_PIXELS // 10**6} million pixels "
            f"and {MAX_SIDE} px a side"
        )


def _to_rgb(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Grey or RGBA pixels as RGB; any other array as it is."""
    grey = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 1)
    rgba = pixels.ndim == 3 and pixels.shape[2] == 4
    if pixels.dtype != np.uint8 or not pixels.size or not (grey or rgba):
        return pixels
    return _upright(Image.fromarray(pixels.reshape(pixels.shape[:2]) if grey else pixels), "the array")


def _check_pixels(pixels: npt.NDArray[Any], name: str) -> Pixels:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        raise PosetalkError(
            f"{name} has shape {pixels.shape} of {pixels.dtype}; give (height, width, 3) uint8 RGB, "
            "or grey or RGBA of 0..255"
        )
    _check_size(pixels.shape[1], pixels.shape[0], name)
    return pixels
