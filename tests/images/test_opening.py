"""Reading images of every kind, refusing the rest in one sentence, and cutting as OpenCV cuts."""

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from posetalk.errors import PosetalkError
from posetalk.images.affine import Square
from posetalk.images.opening import MAX_SIDE, cut, normalise, read_image


def smooth(height=48, width=64, seed=0):
    """An image with soft shading, different in each corner and each channel."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (5, 6, 3)).astype(np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


def noisy(height=48, width=64, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def grey(values):
    return Image.fromarray(values[..., 0])


# --- reading ---

VIEWED = {  # EXIF orientation -> how a viewer turns the stored pixels
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: np.rot90(a, 1),
}
STORED = {**VIEWED, 6: VIEWED[8], 8: VIEWED[6]}  # the inverses; all but the quarter turns undo themselves


@pytest.mark.parametrize("orientation", VIEWED)
def test_every_orientation_reads_upright(orientation, tmp_path):
    upright = smooth()
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "a.png"), upright)
    assert np.array_equal(read_image(Image.open(tmp_path / "a.png")), upright)
    stored.save(tmp_path / "a.jpg", exif=exif, quality=95)
    oracle = cv2.imread(str(tmp_path / "a.jpg"))[..., ::-1]  # OpenCV applies EXIF too
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - oracle).max() <= 3


def test_an_orientation_out_of_range_or_damaged_is_ignored(tmp_path):
    upright = smooth()
    exif = Image.Exif()
    exif[0x0112] = 9
    Image.fromarray(upright).save(tmp_path / "nine.png", exif=exif)
    Image.fromarray(upright).save(tmp_path / "broken.png", exif=b"Exif\x00\x00II*\x00\xff\xff\xff")
    for name in ("nine.png", "broken.png"):
        assert np.array_equal(read_image(tmp_path / name), upright)


def sixteen_bit(values):
    return Image.fromarray(values[..., 0].astype(np.uint16) * 257)


def with_alpha(values):
    alpha = np.full((*values.shape[:2], 1), 255, np.uint8)
    alpha[:, :32] = 0
    return Image.fromarray(np.concatenate([values, alpha], axis=2))


MODES = {  # mode -> (the image as saved, the RGB pixels it must read as)
    "L": lambda a: (grey(a), np.repeat(a[..., :1], 3, 2)),
    "1": lambda a: (grey(a).point(lambda v: 255 * (v > 127), "1"), np.repeat(a[..., :1] > 127, 3, 2) * 255),
    "LA": lambda a: (
        Image.merge("LA", (grey(a), with_alpha(a).getchannel("A"))),
        np.where(np.arange(64)[None, :, None] < 32, 255, np.repeat(a[..., :1], 3, 2)),
    ),
    "RGBA": lambda a: (with_alpha(a), np.where(np.arange(64)[None, :, None] < 32, 255, a)),
    "P": lambda a: (lambda p: (p, np.asarray(p.convert("RGB"))))(Image.fromarray(a).quantize(64)),
    "I;16": lambda a: (sixteen_bit(a), np.repeat(a[..., :1], 3, 2)),
    "RGB": lambda a: (Image.fromarray(a), a),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("make", [smooth, noisy])
def test_every_mode_reads_as_rgb(mode, make, tmp_path):
    picture, wanted = MODES[mode](make())
    assert picture.mode == mode
    picture.save(tmp_path / "a.png")
    for source in (tmp_path / "a.png", str(tmp_path / "a.png"), picture):
        pixels = read_image(source)
        assert pixels.dtype == np.uint8 and np.array_equal(pixels, wanted)


def test_half_transparent_images_are_laid_on_white():
    half = Image.new("RGBA", (4, 4), (0, 100, 200, 128))
    assert read_image(half)[0, 0] == pytest.approx([127, 177, 227], abs=1)


def test_palettes_with_a_transparent_colour_are_laid_on_white(tmp_path):
    picture = Image.new("P", (4, 2), 0)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putpixel((1, 0), 1)
    picture.save(tmp_path / "a.gif", transparency=0)
    pixels = read_image(tmp_path / "a.gif")
    assert pixels[0, 0].tolist() == [255, 255, 255] and pixels[0, 1].tolist() == [0, 0, 255]


def test_cmyk_jpeg(tmp_path):
    cmyk = Image.fromarray(smooth()).convert("CMYK")
    cmyk.save(tmp_path / "a.jpg", quality=95)
    difference = read_image(tmp_path / "a.jpg").astype(int) - smooth()
    assert np.abs(difference).mean() < 3


def test_32_bit_grey_is_read_as_16_bit(tmp_path):
    Image.fromarray((smooth()[..., 0].astype(np.int32)) * 257).save(tmp_path / "a.tif")
    assert np.array_equal(read_image(tmp_path / "a.tif"), np.repeat(smooth()[..., :1], 3, 2))


def test_an_array_is_returned_as_it_is():
    pixels = smooth()
    assert read_image(pixels) is pixels


def test_arrays_of_grey_and_rgba_are_read_as_images_of_the_same():
    grey = smooth()[..., 0]
    for array in (grey, grey[..., None], np.asfortranarray(grey)):
        assert np.array_equal(read_image(array), np.repeat(grey[..., None], 3, 2))
    rgba = np.asarray(with_alpha(smooth()))
    assert np.array_equal(read_image(rgba), read_image(with_alpha(smooth())))


# --- refusing ---


def jpeg_bytes():
    stream = io.BytesIO()
    Image.fromarray(noisy()).save(stream, "jpeg")
    return stream.getvalue()


def png_bytes():
    stream = io.BytesIO()
    Image.fromarray(noisy()).save(stream, "png")
    return stream.getvalue()


def png_claiming(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


BAD_FILES = {
    "empty.jpg": (b"", "is empty"),
    "text.jpg": (b"this is a letter, not an image\n", "is not an image"),
    "cut.jpg": (jpeg_bytes()[:1500], "damaged"),
    "cut.png": (png_bytes()[:1500], "damaged"),
    "head.png": (png_bytes()[:20], "image"),
    "bomb.png": (png_claiming(100_000, 100_000), "178 million pixels"),
    "big.png": (png_claiming(13_350, 13_350), "178 million pixels"),
    "long.png": (png_claiming(40_000, 10), "32766 px a side"),
    "flat.png": (png_claiming(0, 10), "image"),
    "hollow.png": (png_claiming(10, 10), "damaged"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_get_one_sentence_with_their_name(name, tmp_path):
    data, reason = BAD_FILES[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(PosetalkError) as error:
        read_image(tmp_path / name)
    message = str(error.value)
    assert str(tmp_path / name) in message and reason in message and "\n" not in message


def test_missing_files_folders_and_odd_paths(tmp_path):
    with pytest.raises(PosetalkError, match=r"there is no image .*gone\.jpg"):
        read_image(tmp_path / "gone.jpg")
    with pytest.raises(PosetalkError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(PosetalkError, match="cannot read the image"):
        read_image("a\0b.jpg")
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(PosetalkError, match="cannot read the image"):
        read_image(tmp_path / "file" / "a.jpg")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (np.zeros((4, 4, 2), np.uint8), "give .height, width, 3. uint8 RGB"),
        (np.zeros((4, 4), np.int64), "give .height, width, 3. uint8 RGB"),
        (np.zeros((4, 4, 4), np.float64), "give .height, width, 3. uint8 RGB"),
        (np.zeros((4, 4, 3), np.float32), "give .height, width, 3. uint8 RGB"),
        (np.zeros((0, 4, 3), np.uint8), "has no pixels"),
        (np.zeros((1, MAX_SIDE + 1, 3), np.uint8), "limits"),
        (Image.new("RGB", (0, 5)), "has no pixels"),
        (Image.new("F", (5, 5)), "floating-point"),
        (b"bytes", "not bytes"),
        (None, "not NoneType"),
    ],
    ids=lambda given: given if isinstance(given, str) else type(given).__name__,
)
def test_bad_objects_get_one_sentence(source, reason):
    with pytest.raises(PosetalkError, match=reason):
        read_image(source)


@given(st.sampled_from([jpeg_bytes, png_bytes]), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bytes_read_or_get_a_sentence(tmp_path, make, data):
    body = bytearray(make())
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.one_of(st.integers(0, 60), st.integers(0, len(body) - 1)))
        body[place] = data.draw(st.integers(0, 255))
    path = tmp_path / "a.bin"
    path.write_bytes(body[: data.draw(st.integers(0, len(body)))])
    try:
        pixels = read_image(path)
    except PosetalkError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3


# --- cutting ---


def three_points(center, side, rotation, size):
    """The reference's matrix (see test_affine.py), from the square's centre, its top middle and a corner."""
    angle = np.deg2rad(rotation)
    up = np.array([np.sin(angle), -np.cos(angle)]) * side / 2
    left = np.array([up[1], -up[0]])
    src = np.array([center, center + up, center + up + left], np.float32)
    dst = np.array([[size / 2, size / 2], [size / 2, 0], [0, 0]], np.float32)
    return cv2.getAffineTransform(src, dst)


def reference_cut(image, center, side, rotation, size):
    return cv2.warpAffine(image, three_points(np.array(center), side, rotation, size), (size, size))


CUTS = [  # centre, side
    ((150.0, 120.0), 224.0),
    ((150.5, 120.25), 100.0),  # enlarged
    ((90.3, 70.6), 260.0),  # reaches outside
    ((160.0, 120.0), 400.0),  # shrunk, borders on all sides
]


@pytest.mark.parametrize("make", [smooth, noisy])
@pytest.mark.parametrize(("center", "side"), CUTS, ids=str)
@pytest.mark.parametrize("padding", [1.0, 1.25])
@pytest.mark.parametrize("rotation", [0.0, 20.0, -40.0, 90.0])
def test_pixels_are_the_references(make, center, side, padding, rotation):
    image = make(240, 320)
    wanted = reference_cut(image, center, side * padding, rotation, 224)
    got = cut(image, Square(center, side * padding, 224, rotation))
    assert got.shape == (224, 224, 3) and got.dtype == np.uint8
    assert np.abs(got.astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("make", [smooth, noisy])
@pytest.mark.parametrize(("center", "side"), CUTS, ids=str)
@pytest.mark.parametrize("rotation", [0.0, 25.0])
def test_flipped_pixels_are_the_references_one_crop_pixel_on(make, center, side, rotation):
    image = make(240, 320)
    mirrored = np.ascontiguousarray(image[:, ::-1])
    wanted = reference_cut(mirrored, (319 - center[0], center[1]), side, rotation, 224)
    got = cut(image, Square(center, side, 224, -rotation, flip=True))
    assert np.abs(got[:, :-1].astype(int) - wanted[:, 1:]).max() <= 1


@pytest.mark.parametrize("rotation", [0.0, -33.0])
def test_a_flipped_cut_is_the_mirrored_cut(rotation):
    image = noisy(240, 320)
    plain, flipped = (cut(image, Square((150.5, 99.0), 180.0, 224, rotation, flip)) for flip in (False, True))
    assert np.array_equal(flipped, plain[:, ::-1])


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("rotation", [0.0, 30.0, -75.0])
def test_points_and_pixels_move_together(flip, rotation):
    """A bright dot in the image is found in the crop where `to_crop` says."""
    place = np.array([171, 88])
    image = np.zeros((240, 320, 3), np.uint8)
    cv2.circle(image, tuple(int(v) for v in place), 9, (255, 255, 255), -1)
    square = Square((150.0, 110.0), 130.0, 224, rotation, flip)
    crop = cut(image, square)[..., 0].astype(float)
    rows, columns = np.indices(crop.shape)
    middle = np.array([(columns * crop).sum(), (rows * crop).sum()]) / crop.sum()
    assert np.abs(middle - square.to_crop(place)).max() < 0.05


def test_a_cut_of_the_whole_image_is_the_image():
    image = noisy(64, 64)
    assert np.array_equal(cut(image, Square((32, 32), 64, 64)), image)


def test_outside_is_black_and_the_image_is_left_alone():
    image = np.full((40, 40, 3), 200, np.uint8)
    before = image.copy()
    assert cut(image, Square((-500, -500), 60, 32)).max() == 0
    assert np.array_equal(image, before)


def test_views_and_read_only_images_can_be_cut():
    image = noisy(64, 64)
    image.setflags(write=False)
    square = Square((30, 30), 40, 32)
    for view in (image, image[:, ::-1], image[::2, ::2], image[..., ::-1]):
        assert np.array_equal(cut(view, square), cut(np.ascontiguousarray(view), square))


# --- what the tower is fed ---


@pytest.mark.parametrize(
    ("stats", "black", "white"),
    [
        ("clip", (-1.79226, -1.75210, -1.48021), (1.93034, 2.07489, 2.14590)),
        ("imagenet", (-2.11790, -2.03571, -1.80444), (2.24891, 2.42857, 2.64)),
        ("half", (-1, -1, -1), (1, 1, 1)),
    ],
)
def test_normalise(stats, black, white):
    pixels = np.zeros((2, 5, 8, 8, 3), np.uint8)
    pixels[..., 3, 2, :] = 255
    before = pixels.copy()
    fed = normalise(pixels, stats)
    assert fed.shape == (2, 5, 3, 8, 8) and fed.dtype == np.float32 and fed.flags.c_contiguous
    assert fed[1, 4, :, 3, 2] == pytest.approx(white, abs=1e-4)
    assert fed[1, 4, :, 2, 3] == pytest.approx(black, abs=1e-4)
    assert np.array_equal(pixels, before)


def test_normalise_keeps_channels_apart():
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[..., 1] = 255
    assert normalise(pixels, "half")[:, 0, 0].tolist() == [-1, 1, -1]
