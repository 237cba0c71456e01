import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from emohelpers import datasets, preprocessing
from emohelpers.datasets._base import ImageRows
from emohelpers.errors import ConfigurationError


def batches(channels=(1, 3), dtypes=("uint8", "float32"), *, n=3, side=12):
    shapes = st.tuples(
        st.integers(1, n), st.integers(1, side), st.integers(1, side), st.sampled_from(channels)
    )
    elements = {
        "uint8": st.integers(0, 255),
        "float32": st.floats(0, 255, width=32),
    }
    return st.sampled_from(dtypes).flatmap(
        lambda dtype: hnp.arrays(dtype, shapes, elements=elements[dtype])
    )


def faces(shape=(4, 20, 16, 3), *, seed=0):
    """Smooth pictures, as photographs are and white noise is not."""
    noise = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return np.stack([cv2.GaussianBlur(image, (0, 0), 2).reshape(shape[1:]) for image in noise])


@given(batches(channels=(3,), dtypes=("uint8",)))
def test_grey_is_the_rounded_luma(images):
    exact = images @ np.array([0.299, 0.587, 0.114])
    grey = preprocessing.to_grey(images)[..., 0]
    assert grey.dtype == np.uint8
    assert np.abs(grey - exact).max() <= 0.51
    weighted = images.astype(int) @ np.array([9798, 19235, 3735])
    assert np.array_equal(grey, (weighted + 16384) >> 15)


def test_grey_is_at_most_one_level_from_pillow():
    images = np.random.default_rng(0).integers(0, 256, (2, 50, 50, 3), dtype=np.uint8)
    theirs = np.stack([np.asarray(Image.fromarray(image).convert("L")) for image in images])
    assert np.abs(preprocessing.to_grey(images)[..., 0].astype(int) - theirs).max() <= 1


@given(batches(channels=(1,)))
def test_colour_and_grey_again_is_the_same_picture(images):
    color = preprocessing.to_color(images)
    assert color.shape == (*images.shape[:3], 3)
    assert color.dtype == images.dtype
    np.testing.assert_allclose(preprocessing.to_grey(color), images, rtol=1e-6)
    assert np.array_equal(preprocessing.to_grey(images), images)
    assert np.array_equal(preprocessing.to_color(color), color)


@given(batches(), st.integers(1, 20), st.integers(1, 20))
def test_resize_keeps_the_range_of_each_channel(images, height, width):
    resized = preprocessing.resize(images, (height, width))
    assert resized.shape == (len(images), height, width, images.shape[-1])
    assert resized.dtype == images.dtype
    # Single precision may end a few units in the last place outside.
    slack = 0 if images.dtype == np.uint8 else 1e-3
    assert (resized.min(axis=(1, 2)) >= images.min(axis=(1, 2)) - slack).all()
    assert (resized.max(axis=(1, 2)) <= images.max(axis=(1, 2)) + slack).all()


def test_resize_down_averages_areas_and_up_interpolates():
    images = np.arange(2 * 4 * 6 * 1, dtype=np.float32).reshape(2, 4, 6, 1)
    blocks = images.reshape(2, 2, 2, 3, 2, 1).mean(axis=(2, 4))
    np.testing.assert_allclose(preprocessing.resize(images, (2, 3)), blocks, rtol=1e-6)
    ramp = np.array([0, 8], np.float32).reshape(1, 1, 2, 1)
    np.testing.assert_allclose(preprocessing.resize(ramp, (1, 4)).ravel(), [0, 2, 6, 8])


def test_resize_of_one_side_each_way_averages_the_one_and_interpolates_the_other():
    images = np.array([[0, 8], [4, 12]], np.float32).reshape(1, 2, 2, 1)
    np.testing.assert_allclose(preprocessing.resize(images, (1, 4)).ravel(), [2, 4, 8, 10])


def test_resize_reads_the_rows_of_a_memory_map(tmp_path):
    stored = np.lib.format.open_memmap(tmp_path / "images.npy", "w+", np.uint8, (4, 20, 16, 3))
    stored[:] = faces()
    rows = ImageRows(stored, np.array([2, 0]))
    expected = preprocessing.resize(faces()[[2, 0]], 8)
    assert np.array_equal(preprocessing.resize(rows, 8), expected)


@given(batches(), st.data())
def test_crop_is_a_window(images, data):
    height = data.draw(st.integers(1, images.shape[1]))
    width = data.draw(st.integers(1, images.shape[2]))
    top = data.draw(st.integers(0, images.shape[1] - height))
    left = data.draw(st.integers(0, images.shape[2] - width))
    cropped = preprocessing.crop(images, (height, width), top=top, left=left)
    rows, columns = np.arange(top, top + height), np.arange(left, left + width)
    assert np.array_equal(cropped, images.take(rows, axis=1).take(columns, axis=2))
    assert not np.shares_memory(cropped, images)


def test_crop_is_central_without_a_place():
    images = np.arange(49, dtype=np.uint8).reshape(1, 7, 7, 1)
    assert preprocessing.crop(images, 1).item() == 24
    assert preprocessing.crop(images, 3).ravel().tolist() == [16, 17, 18, 23, 24, 25, 30, 31, 32]


@given(batches(dtypes=("uint8",)))
def test_scale_is_undone_by_255(images):
    scaled = preprocessing.scale(images)
    assert scaled.dtype == np.float32
    assert scaled.min() >= 0
    assert scaled.max() <= 1
    assert np.array_equal(np.rint(scaled * 255), images)


@given(batches())
def test_standardise_gives_mean_0_and_deviation_1_or_0(images):
    standardised = preprocessing.standardise(images)
    assert standardised.dtype == np.float32
    pixels = images.reshape(len(images), -1).astype(float)
    floor = pixels.shape[1] ** -0.5
    np.testing.assert_allclose(standardised.mean(axis=(1, 2, 3), dtype=float), 0, atol=1e-3)
    np.testing.assert_allclose(
        standardised.std(axis=(1, 2, 3), dtype=float),
        np.minimum(pixels.std(axis=1) / floor, 1),
        atol=1e-3,
    )


def test_standardise_is_tensorflows():
    import tensorflow as tf

    images = faces()
    images[1] = 7  # a constant image
    theirs = tf.image.per_image_standardization(images).numpy()
    np.testing.assert_allclose(preprocessing.standardise(images), theirs, atol=2e-5)


@given(batches(), st.floats(0, 100), st.integers(0, 2**32))
def test_noise_stays_in_range_and_repeats(images, sigma, seed):
    noisy = preprocessing.add_noise(images, sigma=sigma, seed=seed)
    assert noisy.dtype == images.dtype
    assert noisy.shape == images.shape
    assert noisy.min() >= 0
    assert noisy.max() <= 255
    assert np.array_equal(noisy, preprocessing.add_noise(images, sigma=sigma, seed=seed))


def test_noise_has_the_deviation_that_was_asked_for_and_no_bias():
    grey = np.full((20, 48, 48, 1), 128, np.uint8)
    noise = preprocessing.add_noise(grey, sigma=12, seed=0).astype(float) - 128
    # 46,080 pixels; rounding adds a variance of 1/12.
    assert noise.mean() == pytest.approx(0, abs=4 * 12 / 46080**0.5)
    assert noise.std() == pytest.approx((144 + 1 / 12) ** 0.5, rel=0.015)
    assert np.array_equal(preprocessing.add_noise(grey, sigma=0, seed=0), grey)


def equalised_by_its_definition(image):
    """Gonzalez and Woods: the cumulative histogram as a table of grey levels."""
    levels = np.array([(image <= level).sum() for level in range(256)], float)
    first = levels[image.min()]
    if first == image.size:
        return image
    return np.rint((levels - first) / (image.size - first) * 255)[image]


@given(batches(channels=(1,), dtypes=("uint8",)))
def test_equalise_spreads_the_cumulative_histogram(images):
    expected = np.stack([equalised_by_its_definition(image) for image in images])
    equalised = preprocessing.equalise(images)
    assert np.abs(equalised - expected).max() <= 1  # OpenCV rounds in single precision
    assert equalised.dtype == np.uint8


def test_equalise_works_on_the_luma_of_colour():
    images = faces((4, 40, 40, 3))
    equalised = preprocessing.equalise(images)
    for image, new in zip(images, equalised, strict=True):
        before = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
        after = cv2.cvtColor(new, cv2.COLOR_RGB2YCrCb)
        expected = equalised_by_its_definition(before[..., 0])
        unclipped = ((new > 0) & (new < 255)).all(axis=-1)
        assert unclipped.mean() > 0.5
        assert np.abs(after[..., 0] - expected)[unclipped].max() <= 2
        chroma = after[..., 1:].astype(int) - before[..., 1:]
        assert np.abs(chroma)[unclipped].max() <= 2


def test_images_are_never_changed_in_place():
    images = faces()
    before = images.copy()
    images.flags.writeable = False
    preprocessing.to_grey(images)
    preprocessing.resize(images, 7)
    preprocessing.standardise(images)
    preprocessing.add_noise(images, sigma=5, seed=0)
    preprocessing.equalise(images)
    assert np.array_equal(images, before)


@pytest.mark.parametrize(
    "function",
    [
        preprocessing.to_grey,
        preprocessing.to_color,
        preprocessing.scale,
        preprocessing.standardise,
        preprocessing.equalise,
        lambda images: preprocessing.resize(images, 8),
        lambda images: preprocessing.crop(images, 1),
        lambda images: preprocessing.add_noise(images, sigma=1, seed=0),
    ],
)
@pytest.mark.parametrize(
    ("images", "found"),
    [
        (np.zeros((48, 48), np.uint8), r"uint8 and shape \(48, 48\)"),
        (np.zeros((1, 48, 48, 4), np.uint8), r"\(1, 48, 48, 4\)"),
        (np.zeros((1, 0, 48, 1), np.uint8), r"\(1, 0, 48, 1\)"),
        (np.zeros((1, 48, 48, 1), np.int64), "int64"),
        (np.zeros((1, 48, 48, 1), np.float64), "float64"),
        ([["face.png"]], "<U8"),
    ],
)
def test_what_is_not_a_batch_of_images_is_refused(function, images, found):
    with pytest.raises(ConfigurationError, match=found):
        function(images)


@pytest.mark.parametrize("value", [-1.0, 255.5, np.nan, np.inf])
def test_pixels_out_of_range_are_refused(value):
    images = np.full((1, 4, 4, 1), 128, np.float32)
    images[0, 1, 2, 0] = value
    with pytest.raises(ConfigurationError, match="expected 0 to 255"):
        preprocessing.scale(images)
    with pytest.raises(ConfigurationError, match="expected 0 to 255"):
        preprocessing.add_noise(images, sigma=1, seed=0)


@pytest.mark.parametrize("size", [0, -3, 4.5, (4,) * 3, (4, 0), "48", None, ()])
def test_sizes_that_are_not_pixels_are_refused(size):
    with pytest.raises(ConfigurationError, match="expected a positive integer"):
        preprocessing.resize(faces(), size)


@pytest.mark.parametrize("window", [{"size": 17}, {"size": 4, "top": 17}, {"size": 4, "left": -1}])
def test_windows_outside_the_images_are_refused(window):
    with pytest.raises(ConfigurationError, match="within images of 20x16"):
        preprocessing.crop(faces(), **window)


@pytest.mark.parametrize("sigma", [-1, float("nan"), float("inf")])
def test_noise_of_no_size_is_refused(sigma):
    with pytest.raises(ConfigurationError, match="expected grey levels"):
        preprocessing.add_noise(faces(), sigma=sigma, seed=0)


def test_an_empty_batch_stays_empty():
    none = faces()[:0]
    assert preprocessing.to_grey(none).shape == (0, 20, 16, 1)
    assert preprocessing.resize(none, 8).shape == (0, 8, 8, 3)
    assert preprocessing.standardise(none).shape == (0, 20, 16, 3)


@given(batches(n=4))
def test_a_summary_counts_what_each_pixel_says(images):
    row = preprocessing.summarise({"faces": images}).loc["faces"]
    pixels = [float(pixel) for pixel in images.ravel()]
    assert row["shape"] == images.shape
    assert row["dtype"] == images.dtype.name
    assert (row["min"], row["max"]) == (min(pixels), max(pixels))
    assert row["mean"] == pytest.approx(sum(pixels) / len(pixels), abs=1e-6)
    assert row["bytes"] * len(images) == len(images.tobytes())


def test_a_summary_names_the_batch_without_images():
    empty = np.zeros((0, 8, 8, 1), np.uint8)
    with pytest.raises(ConfigurationError, match=r"after: no images of shape \(0, 8, 8, 1\)"):
        preprocessing.summarise({"before": faces(), "after": empty})


@given(st.integers(0, 1000), st.sampled_from([1, 3]))
def test_quality_is_that_of_the_formulas(seed, channels):
    images = np.random.default_rng(seed).integers(0, 256, (3, 9, 11, channels), dtype=np.uint8)
    table = preprocessing.image_quality(images)
    for luma, row in zip(preprocessing.to_grey(images)[..., 0], table.to_numpy(), strict=True):
        # OpenCV mirrors at the edge without repeating it.
        around = np.pad(luma.astype(float), 1, mode="reflect")
        neighbours = around[:-2, 1:-1] + around[2:, 1:-1] + around[1:-1, :-2] + around[1:-1, 2:]
        laplacian = neighbours - 4 * luma.astype(float)
        assert row == pytest.approx([luma.mean(), luma.std(), laplacian.var()])


def test_quality_falls_with_light_and_blur_and_is_read_in_blocks():
    faces = datasets.make_faces(300, size=24, seed=0, difficulty=0)
    table = preprocessing.image_quality(faces.images)
    assert len(table) == 300
    dark = preprocessing.image_quality(faces.images // 2)
    assert (dark[["brightness", "contrast"]] < table[["brightness", "contrast"]]).all(axis=None)
    blurred = np.stack([cv2.blur(image, (3, 3))[..., None] for image in faces.images])
    assert (preprocessing.image_quality(blurred)["sharpness"] < table["sharpness"]).all()
    picked = faces.select(np.arange(300)[::-2])
    assert preprocessing.image_quality(picked.images).equals(
        table.iloc[::-2].reset_index(drop=True)
    )


def test_quality_of_what_are_no_pixels_is_refused():
    with pytest.raises(ConfigurationError, match="pixels from"):
        preprocessing.image_quality(np.full((1, 8, 8, 1), 300, np.float32))
    assert preprocessing.image_quality(np.zeros((0, 8, 8, 1), np.uint8)).shape == (0, 3)
