import cv2
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emohelpers.augmentation import PRESETS, RandomAffine, RandomChannelShift, pipeline
from emohelpers.errors import ConfigurationError


def faces(shape=(6, 24, 20, 3), *, seed=0):
    """Smooth pictures, as photographs are and white noise is not."""
    noise = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    smooth = np.stack([cv2.GaussianBlur(image, (0, 0), 2).reshape(shape[1:]) for image in noise])
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX)


def as_numpy(transformation):
    return {name: keras.ops.convert_to_numpy(drawn) for name, drawn in transformation.items()}


def warped_by_opencv(image, drawn, *, row):
    """Compose the map from the old image to the new one, step by step, and let OpenCV warp."""
    height, width = image.shape[:2]
    centre = ((width - 1) / 2, (height - 1) / 2)
    to_centre, back = np.eye(3), np.eye(3)
    to_centre[:2, 2], back[:2, 2] = np.negative(centre), centre
    flip = np.diag([drawn["flip"][row], 1, 1])
    shear = np.eye(3)
    shear[0, 1] = -np.tan(drawn["shear"][row])
    turn = np.eye(3)
    angle = np.rad2deg(drawn["rotation"][row])
    turn[:2] = cv2.getRotationMatrix2D((0, 0), float(angle), float(drawn["zoom"][row]))
    shift = np.eye(3)
    shift[:2, 2] = drawn["shift_x"][row], drawn["shift_y"][row]
    forward = shift @ back @ turn @ shear @ flip @ to_centre
    return cv2.warpAffine(
        image.astype(np.float32),
        forward[:2],
        (width, height),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    ).reshape(image.shape)


@pytest.mark.parametrize("channels", [1, 3])
def test_affine_is_what_opencv_makes_of_the_drawn_steps(channels):
    images = faces((16, 40, 30, channels))
    layer = RandomAffine(flip=True, rotation=40, shift=0.2, zoom=0.3, shear=20, seed=3)
    drawn = layer.get_random_transformation(images)
    ours = np.asarray(layer.transform_images(images, drawn))
    drawn = as_numpy(drawn)
    theirs = np.stack([warped_by_opencv(image, drawn, row=i) for i, image in enumerate(images)])
    # OpenCV knows places to 1/32 of a pixel only.
    assert np.abs(ours - theirs).max() < 3
    assert np.abs(ours - images).mean() > 20


@pytest.mark.parametrize("name", ["rotation", "shear", "shift_x", "shift_y", "zoom", "flip"])
def test_draws_fill_the_range_that_was_asked_for(name):
    layer = RandomAffine(flip=True, rotation=30, shift=0.25, zoom=0.2, shear=10, seed=0)
    images = np.zeros((2000, 8, 16, 1), np.uint8)
    drawn = as_numpy(layer.get_random_transformation(images))[name]
    low, high = {
        "rotation": (-np.pi / 6, np.pi / 6),
        "shear": (-np.pi / 18, np.pi / 18),
        "shift_x": (-4, 4),
        "shift_y": (-2, 2),
        "zoom": (0.8, 1.2),
        "flip": (-1, 1),
    }[name]
    assert drawn.min() == pytest.approx(low, abs=0.01 * (high - low))
    assert drawn.max() == pytest.approx(high, abs=0.01 * (high - low))
    assert low - 1e-6 <= drawn.min() <= drawn.max() <= high + 1e-6
    assert drawn.mean() == pytest.approx((low + high) / 2, abs=0.05 * (high - low))


def test_flip_alone_mirrors_half_of_the_images_exactly_and_twice_not_at_all():
    images = faces((60, 9, 8, 1))
    layer = RandomAffine(flip=True, seed=0)
    drawn = layer.get_random_transformation(images)
    once = layer.transform_images(images, drawn)
    mirrored = as_numpy(drawn)["flip"] < 0
    assert 15 < mirrored.sum() < 45
    expected = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    assert np.array_equal(once, expected)
    assert np.array_equal(layer.transform_images(once, drawn), images)


def test_a_shift_by_whole_pixels_moves_them_and_repeats_the_edge():
    down, right = (steps.ravel() for steps in np.mgrid[-5:6, -5:6])
    image = faces((1, 6, 7, 1))
    images = np.repeat(image, len(down), axis=0)
    layer = RandomAffine(seed=0)
    still = layer.get_random_transformation(images)
    moved = {**still, "shift_x": still["shift_x"] + right, "shift_y": still["shift_y"] + down}
    padded = np.pad(image[0], [(5, 5), (5, 5), (0, 0)], mode="edge")
    expected = [padded[5 - y : 11 - y, 5 - x : 12 - x] for y, x in zip(down, right, strict=True)]
    np.testing.assert_allclose(layer.transform_images(images, moved), expected, atol=1e-3)


@pytest.mark.parametrize("preset", [*PRESETS, None])
def test_without_training_or_strength_nothing_changes(preset):
    images = faces()
    kept = pipeline(preset, seed=0)(images, training=False)
    assert kept.dtype == "float32"
    assert np.array_equal(kept, images)
    if preset is None:
        assert np.array_equal(pipeline(None, seed=0)(images, training=True), images)


strengths = st.fixed_dictionaries(
    {},
    optional={
        "flip": st.booleans(),
        "rotation": st.floats(0, 180),
        "shift": st.floats(0, 1),
        "zoom": st.floats(0, 0.9),
        "shear": st.floats(0, 45),
        "brightness": st.floats(0, 1),
        "contrast": st.floats(0, 1),
        "channel_shift": st.floats(0, 1),
        "noise": st.floats(0, 1),
        "erase": st.floats(0, 1),
    },
)


@settings(max_examples=25)
@given(strengths, st.sampled_from([1, 3]), st.sampled_from(["uint8", "float32"]))
def test_shape_and_range_hold_for_all_strengths(changes, channels, dtype):
    images = faces((3, 8, 10, channels)).astype(dtype)
    changed = np.asarray(pipeline(None, seed=1, **changes)(images, training=True))
    assert changed.shape == images.shape
    assert changed.dtype == np.float32
    assert changed.min() >= -1e-3
    assert changed.max() <= 255 + 1e-3


@pytest.mark.parametrize("preset", PRESETS)
def test_the_same_seed_gives_the_same_sequence(preset):
    images = faces()
    one, same, other = (pipeline(preset, seed=seed) for seed in (5, 5, 6))
    first, second = (np.asarray(one(images, training=True)) for _ in range(2))
    assert np.array_equal(first, same(images, training=True))
    assert np.array_equal(second, same(images, training=True))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other(images, training=True))


def test_leaving_one_change_out_leaves_the_draws_of_the_others():
    seeds = {layer.name: layer.seed for layer in pipeline("fer", seed=1).layers}
    fewer = {layer.name: layer.seed for layer in pipeline("fer", seed=1, brightness=0.0).layers}
    assert list(seeds) == ["affine", "brightness", "contrast", "erase"]
    assert fewer == {name: seed for name, seed in seeds.items() if name != "brightness"}
    assert len(set(seeds.values())) == 4


def test_contrast_is_lowered_as_often_as_raised():
    images = np.repeat(np.arange(100, 164, dtype=np.uint8).reshape(1, 8, 8, 1), 200, axis=0)
    changed = np.asarray(pipeline(None, seed=0, contrast=0.5)(images, training=True))
    ratios = changed.std(axis=(1, 2, 3)) / images.std(axis=(1, 2, 3))
    assert 0.5 <= ratios.min() < 0.55
    assert 1.45 < ratios.max() <= 1.5
    assert 70 < (ratios < 1).sum() < 130


def test_erasing_paints_a_grey_box_on_the_share_that_was_asked_for():
    images = np.zeros((300, 20, 20, 1), np.uint8)
    erased = np.asarray(pipeline(None, seed=0, erase=0.4)(images, training=True))
    assert set(np.unique(erased)) == {0, 127.5}
    painted = (erased > 0).any(axis=(1, 2, 3))
    assert 90 < painted.sum() < 150
    for box in erased[painted, ..., 0] > 0:
        rows, columns = box.any(axis=1).sum(), box.any(axis=0).sum()
        assert box.sum() == rows * columns
        assert rows * columns <= 10 * 10


def test_noise_is_normal_in_grey_levels_and_stays_in_range():
    images = np.full((4, 64, 64, 1), 128, np.uint8)
    noisy = np.asarray(pipeline(None, seed=0, noise=0.05)(images, training=True))
    assert noisy.mean() == pytest.approx(128, abs=0.5)
    assert noisy.std() == pytest.approx(0.05 * 255, rel=0.03)
    assert (np.abs(noisy - 128) < 0.05 * 255).mean() == pytest.approx(0.683, abs=0.01)
    dark = np.asarray(pipeline(None, seed=0, noise=0.5)(images * 0, training=True))
    assert dark.min() == 0
    assert dark.max() <= 255


def test_channels_shift_each_by_itself_within_reach():
    images = np.full((100, 4, 5, 3), 128, np.uint8)
    shifted = np.asarray(RandomChannelShift(0.1, seed=0)(images, training=True)) - 128
    assert (np.ptp(shifted, axis=(1, 2)) == 0).all()
    each = shifted[:, 0, 0]
    assert 25 < np.abs(each).max() <= 25.5
    assert np.abs(np.corrcoef(each.T) - np.eye(3)).max() < 0.3


def test_half_precision_does_not_round_the_pixels():
    images = faces()
    expected = np.asarray(pipeline("smile", seed=2)(images, training=True))
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        assert np.array_equal(pipeline("smile", seed=2)(images, training=True), expected)
    finally:
        keras.config.set_dtype_policy(policy)


@pytest.fixture
def network():
    return keras.Sequential(
        [
            keras.Input((24, 20, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )


def test_a_model_trains_through_it_and_predicts_without_it(network):
    images, labels = faces(), np.array([0, 1, 0, 1, 0, 1])
    model = keras.Sequential([pipeline("fer", seed=0), network])
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = network.predict(images, verbose=0)
    model.fit(images, labels, epochs=2, verbose=0)
    after = network.predict(images, verbose=0)
    assert not np.allclose(before, after)
    np.testing.assert_allclose(model.predict(images, verbose=0), after, rtol=1e-6)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_saved_model_brings_its_augmentation_back(preset, network, tmp_path):
    images = faces()
    model = keras.Sequential([pipeline(preset, seed=4), network])
    model.predict(images, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").layers[0]
    expected = pipeline(preset, seed=4)(images, training=True)
    assert np.array_equal(loaded(images, training=True), expected)


@pytest.mark.parametrize(
    "layer",
    [
        RandomAffine(flip=True, rotation=12, shift=0.1, zoom=0.2, shear=3, seed=4),
        RandomChannelShift(0.1, seed=5, name="tint"),
    ],
)
def test_a_layer_is_built_again_from_its_config(layer):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert np.array_equal(again(faces(), training=True), layer(faces(), training=True))


@pytest.mark.parametrize(
    ("preset", "changes", "message"),
    [
        ("strong", {}, "unknown preset 'strong': expected one of light, fer, smile"),
        ("fer", {"rotate": 3}, "unknown strength 'rotate': expected one of flip, rotation"),
        ("fer", {"rotation": -1}, "rotation=-1: expected a number, 0 to 180"),
        ("fer", {"shift": 1.5}, r"shift=1\.5"),
        ("fer", {"zoom": 1.0}, r"zoom=1\.0"),
        ("fer", {"erase": float("nan")}, "erase=nan"),
        ("fer", {"flip": 0.5}, r"flip=0\.5: expected True or False"),
        ("fer", {"zoom": "much"}, "zoom='much': expected a number"),
    ],
)
def test_strengths_that_make_no_sense_are_refused(preset, changes, message):
    with pytest.raises(ConfigurationError, match=message):
        pipeline(preset, **changes)
