"""Presets of augmentation, and the layers that they stand for."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypedDict, Unpack

import keras
import numpy as np

from emohelpers.augmentation._layers import RandomAffine, RandomChannelShift
from emohelpers.errors import ConfigurationError

__all__ = ["PRESETS", "Strengths", "pipeline", "resolve"]


class Strengths(TypedDict, total=False):
    """How strongly to change images; what is not named does nothing."""

    flip: bool
    """Mirror left and right in half of the images."""
    rotation: float
    """Degrees to either side, 0..180."""
    shift: float
    """A share of the side, in each direction, 0..1."""
    zoom: float
    """Larger and smaller by this share, 0 to below 1."""
    shear: float
    """Degrees by which vertical lines lean to either side, 0 to below 90."""
    brightness: float
    """A share of 255, lighter and darker, 0..1."""
    contrast: float
    """More and less by this share, about the mean of each channel, 0..1."""
    channel_shift: float
    """A share of 255, lighter and darker in each channel by itself, 0..1."""
    noise: float
    """The standard deviation of normal noise on each pixel, a share of 255, 0..1."""
    erase: float
    """The share of images of which a box is painted grey, 0..1."""


PRESETS: Mapping[str, Strengths] = MappingProxyType(
    {
        "light": Strengths(flip=True, rotation=5, shift=0.08),
        # Rotation 30 and shear, which others use, make faces that no test set holds: FER2013's
        # are upright but loosely cropped, and differ most in light.
        "fer": Strengths(
            flip=True,
            rotation=12,
            shift=0.1,
            zoom=0.1,
            brightness=0.1,
            contrast=0.2,
            erase=0.2,
        ),
        "smile": Strengths(
            flip=True, rotation=15, shift=0.1, zoom=0.1, shear=10, channel_shift=0.06
        ),
    }
)
"""Named strengths: ``light`` hardly shows, ``fer`` suits FER2013, ``smile`` follows the offline
augmentation of colour portraits."""

_BOUNDS = {
    "flip": 1.0,
    "rotation": 180.0,
    "shift": 1.0,
    "zoom": 0.99,
    "shear": 89.0,
    "brightness": 1.0,
    "contrast": 1.0,
    "channel_shift": 1.0,
    "noise": 1.0,
    "erase": 1.0,
}
_PHOTOMETRIC = ("brightness", "contrast", "channel_shift", "erase", "noise")
# Boxes of up to a fifth of the face: an eye or the mouth, not both.
_ERASED_AREA = (0.02, 0.2)
# Keras's default, noise for each pixel, takes four times as long as all the rest together.
_ERASED_GREY = 127.5


def pipeline(
    preset: str | None = "light", *, seed: int = 0, **strengths: Unpack[Strengths]
) -> keras.Sequential:
    """Build the layers that change each batch of training images anew.

    All geometry comes first, as one resampling (see `RandomAffine`); then brightness, contrast,
    channel shift, erasing and noise, as far as they are asked for.

    Parameters
    ----------
    preset : {"light", "fer", "smile"} or None
        The strengths to start from, see `PRESETS`; None starts from nothing.
    seed : int
        The same seed gives the same sequence of changes.
    **strengths
        Replace those of the preset: ``flip`` (bool), ``rotation`` and ``shear`` (degrees),
        ``shift``, ``zoom``, ``brightness``, ``contrast``, ``channel_shift``, ``noise`` and
        ``erase`` (shares), see `Strengths`.

    Returns
    -------
    keras.Sequential
        Takes images of shape (n, height, width, channels) in 0..255, uint8 or float, and returns
        float32 of the same shape in 0..255. It acts unless it is called with ``training=False``.

    Raises
    ------
    ConfigurationError
        If a preset or strength is not known, or a strength is out of its range.

    Examples
    --------
    >>> augment = pipeline("fer", seed=0, rotation=20)
    >>> [layer.name for layer in augment.layers]
    ['affine', 'brightness', 'contrast', 'erase']
    >>> tuple(augment(np.zeros((2, 48, 48, 1), dtype=np.uint8), training=True).shape)
    (2, 48, 48, 1)
    """
    chosen = resolve(preset, strengths)
    # Each kind has its own stream, so that leaving one out does not change the others.
    seeds = [
        int(word >> 1)
        for word in np.random.SeedSequence(seed).generate_state(1 + len(_PHOTOMETRIC))
    ]
    layers = [
        RandomAffine(
            **{name: chosen[name] for name in ("flip", "rotation", "shift", "zoom", "shear")},
            seed=seeds[0],
            name="affine",
            dtype="float32",
        )
    ]
    for name, own_seed in zip(_PHOTOMETRIC, seeds[1:], strict=True):
        if chosen[name]:
            layers.append(_photometric(name, chosen[name], seed=own_seed))
    return keras.Sequential(layers, name="augmentation")


def _photometric(name: str, strength: float, *, seed: int) -> keras.layers.Layer:
    # Under half precision, as the policy may want it, grey levels would be rounded.
    common: dict[str, Any] = {"seed": seed, "name": name, "dtype": "float32"}
    if name == "brightness":
        return keras.layers.RandomBrightness(strength, value_range=(0, 255), **common)
    if name == "contrast":
        # A lone number would only ever raise the contrast.
        return keras.layers.RandomContrast((strength, strength), value_range=(0, 255), **common)
    if name == "channel_shift":
        return RandomChannelShift(strength, **common)
    if name == "noise":
        # GaussianNoise takes shares only; ReLU brings back what the noise took out of the range.
        steps = [
            keras.layers.Rescaling(1 / 255, dtype="float32"),
            keras.layers.GaussianNoise(strength, seed=seed, dtype="float32"),
            keras.layers.ReLU(max_value=1.0, dtype="float32"),
            keras.layers.Rescaling(255.0, dtype="float32"),
        ]
        return keras.Sequential(steps, name=name)
    return keras.layers.RandomErasing(
        (strength, strength), scale=_ERASED_AREA, fill_value=_ERASED_GREY, **common
    )


def resolve(preset: str | None, strengths: Strengths) -> dict[str, Any]:
    """Return every strength, those of the preset and 0 where nothing else is said, checked."""
    if preset is not None and preset not in PRESETS:
        raise ConfigurationError(
            f"unknown preset {preset!r}: expected one of {', '.join(PRESETS)}, or None"
        )
    start = PRESETS[preset] if preset is not None else {}
    chosen: dict[str, Any] = {**dict.fromkeys(_BOUNDS, 0.0), "flip": False, **start, **strengths}
    for name, strength in chosen.items():
        if name not in _BOUNDS:
            raise ConfigurationError(
                f"unknown strength {name!r}: expected one of {', '.join(_BOUNDS)}"
            )
        if name == "flip":
            if not isinstance(strength, bool):
                raise ConfigurationError(f"flip={strength!r}: expected True or False")
        elif not isinstance(strength, int | float) or not 0 <= strength <= _BOUNDS[name]:
            raise ConfigurationError(
                f"{name}={strength!r}: expected a number, 0 to {_BOUNDS[name]:g}"
            )
    return chosen
