"""Images: every common kind decodes to the pixels that were put in; nothing else decodes."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from emohelpers.datasets._images import MAX_PIXELS, decode, fit
from emohelpers.errors import ImageError

GREY = np.random.default_rng(0).integers(0, 256, (12, 10), np.uint8)
COLOR = np.random.default_rng(1).integers(0, 256, (12, 10, 3), np.uint8)


def encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def read(data: bytes, **options) -> np.ndarray:
    return decode(data, where="face.img", **options)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "PPM"])
def test_grey_comes_back_as_it_was(kind):
    data = encode(Image.fromarray(GREY), kind)
    grey = read(data, color=False)
    assert grey.dtype == np.uint8
    np.testing.assert_array_equal(grey, GREY[..., None])
    np.testing.assert_array_equal(read(data, color=True), np.repeat(GREY[..., None], 3, axis=2))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_color_comes_back_as_it_was_and_grey_is_its_luma(kind):
    data = encode(Image.fromarray(COLOR), kind)
    np.testing.assert_array_equal(read(data), COLOR)
    # ITU-R BT.601-7, section 2.5.1.
    luma = COLOR @ [0.299, 0.587, 0.114]
    assert np.abs(read(data, color=False)[..., 0] - luma).max() <= 1


def test_jpeg_and_webp_come_back_nearly():
    smooth = np.add.outer(np.arange(48), 2 * np.arange(40)).astype(np.uint8)
    for kind in ("JPEG", "WEBP"):
        pixels = read(encode(Image.fromarray(smooth), kind, quality=95), color=False)
        assert np.abs(pixels[..., 0].astype(int) - smooth).max() <= 6


def test_the_sources_own_channels():
    assert read(encode(Image.fromarray(GREY))).shape == (12, 10, 1)
    assert read(encode(Image.fromarray(COLOR))).shape == (12, 10, 3)
    assert read(encode(Image.fromarray(GREY).convert("LA"))).shape == (12, 10, 1)
    assert read(encode(Image.fromarray(GREY > 99))).shape == (12, 10, 1)


def test_one_bit_is_black_and_white():
    pixels = read(encode(Image.fromarray(GREY > 99)))[..., 0]
    np.testing.assert_array_equal(pixels, np.where(GREY > 99, 255, 0))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_are_scaled_not_cut(kind):
    deep = GREY.astype(np.uint16) * 257
    deep[0, 0], deep[0, 1] = 65535, 0
    pixels = read(encode(Image.fromarray(deep), kind))[..., 0]
    np.testing.assert_array_equal(pixels, np.round(deep / 65535 * 255))


def png(width: int, height: int, *, bits: int, kind: int, pixels: bytes) -> bytes:
    """Build a PNG file by hand (ISO/IEC 15948)."""
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


def test_sixteen_bit_color():
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in COLOR.astype(np.uint16) * 257)
    data = png(10, 12, bits=16, kind=2, pixels=zlib.compress(rows))
    np.testing.assert_array_equal(read(data), COLOR)


def test_palette():
    image = Image.fromarray(COLOR // 64 * 64).quantize(256)
    np.testing.assert_array_equal(read(encode(image)), np.asarray(image.convert("RGB")))


def test_cmyk_is_what_the_inks_show():
    inks = np.zeros((12, 10, 4), np.uint8)
    inks[:4, :, 0] = 255  # cyan
    inks[4:8, :, 3] = 255  # black
    pixels = read(encode(Image.fromarray(inks, mode="CMYK"), "TIFF"))
    assert pixels[0, 0].tolist() == [0, 255, 255]
    assert pixels[5, 0].tolist() == [0, 0, 0]
    assert pixels[9, 0].tolist() == [255, 255, 255]
    jpeg = read(encode(Image.fromarray(inks, mode="CMYK"), "JPEG", quality=100))
    assert np.abs(jpeg[9].astype(int) - 255).max() <= 4


def test_what_is_transparent_shows_white():
    layers = np.dstack([COLOR, np.full((12, 10), 255, np.uint8)])
    layers[:6, :, 3] = 0
    layers[6, :, 3] = 128
    pixels = read(encode(Image.fromarray(layers)))
    assert (pixels[:6] == 255).all()
    np.testing.assert_array_equal(pixels[7:], COLOR[7:])
    half = (COLOR[6].astype(float) * 128 + 255 * 127) / 255
    assert np.abs(pixels[6] - half).max() <= 1
    grey = read(encode(Image.fromarray(layers[..., [0, 3]].copy(), mode="LA")))[..., 0]
    assert (grey[:6] == 255).all()
    np.testing.assert_array_equal(grey[7:], COLOR[7:, :, 0])


def test_a_transparent_color_of_a_palette_shows_white():
    image = Image.new("P", (10, 12), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.paste(0, (0, 0, 5, 12))
    pixels = read(encode(image, transparency=0))
    assert (pixels[:, :5] == 255).all()
    assert (pixels[:, 5:] == [200, 100, 50]).all()


# The eight orientations of EXIF (JEITA CP-3451, tag 0x0112): how to turn what is stored upright.
UPRIGHT = {
    1: lambda stored: stored,
    2: np.fliplr,
    3: lambda stored: np.rot90(stored, 2),
    4: np.flipud,
    5: lambda stored: stored.T,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored.T, 2),
    8: lambda stored: np.rot90(stored, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_rotation_is_applied(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = read(encode(Image.fromarray(GREY), exif=exif))[..., 0]
    np.testing.assert_array_equal(pixels, UPRIGHT[orientation](GREY))


def test_the_first_picture_of_an_animation():
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(read(data, color=False)[..., 0], GREY)


def test_resizing():
    flat = Image.new("RGB", (40, 20), (10, 200, 30))
    pixels = read(encode(flat), size=(8, 16))
    assert pixels.shape == (8, 16, 3)
    assert (pixels == [10, 200, 30]).all()
    # A picture twice as large in both directions shrinks to itself, but for rounding at edges.
    ramp = np.add.outer(np.arange(24), np.arange(20)).astype(np.uint8) * 4
    large = np.repeat(np.repeat(ramp, 2, 0), 2, 1)
    small = read(encode(Image.fromarray(large)), size=(24, 20))[..., 0]
    assert np.abs(small.astype(int) - ramp)[2:-2, 2:-2].max() <= 1


@settings(max_examples=40, deadline=None)
@given(
    images=arrays(
        np.uint8,
        st.tuples(st.just(2), st.integers(8, 20), st.integers(8, 20), st.sampled_from([1, 3])),
    ),
    color=st.sampled_from([None, True, False]),
    size=st.none() | st.tuples(st.integers(8, 30), st.integers(8, 30)),
)
def test_fitting_pixels_is_decoding_them(images, color, size):
    fitted = fit(images, color=color, size=size)
    for image, expected in zip(images, fitted, strict=True):
        data = encode(Image.fromarray(image if image.shape[2] == 3 else image[..., 0]))
        np.testing.assert_array_equal(read(data, color=color, size=size), expected)


def test_an_empty_file():
    with pytest.raises(ImageError, match=r"^face\.img is empty: expected an image"):
        read(b"")


def test_a_text_file():
    with pytest.raises(ImageError, match=r"^face\.img is not an image: it begins with b'emotion,'"):
        read(b"emotion,pixels,Usage\n")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.95])
def test_a_truncated_file(kind, share):
    noise = np.random.default_rng(2).integers(0, 256, (64, 64), np.uint8)
    data = encode(Image.fromarray(noise), kind)
    with pytest.raises(ImageError, match=r"^face\.img is (damaged or cut short|not an image)"):
        read(data[: int(len(data) * share)])


@pytest.mark.parametrize("size", [(1, 1), (7, 100), (100, 7)])
def test_an_image_that_is_too_small(size):
    with pytest.raises(ImageError, match=rf"is {size[0]}x{size[1]} pixels: expected at least 8"):
        read(encode(Image.new("L", size)))


@pytest.mark.parametrize("side", [20_000, 10_000, 7_072])
def test_a_bomb_is_refused_by_its_header(side):
    assert side**2 > MAX_PIXELS
    # There are no pixels in it, so any attempt to decode it would say that it is damaged.
    with pytest.raises(ImageError, match=r"face\.img.*expected at .*most 50,000,000"):
        read(png(side, side, bits=8, kind=0, pixels=b""))


def test_floating_point_and_wide_integers_are_refused():
    for array in (GREY.astype(np.float32), GREY.astype(np.int32) - 300):
        with pytest.raises(ImageError, match="expected 8 or 16 bits"):
            read(encode(Image.fromarray(array), "TIFF"))


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP"]), data=st.data())
def test_damage_gives_pixels_or_an_image_error(kind, data):
    content = bytearray(encode(Image.fromarray(COLOR), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels = read(bytes(content))
    except ImageError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] in (1, 3)
