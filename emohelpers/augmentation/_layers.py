"""The augmentations that Keras lacks, as layers in its manner: drawn first, applied second."""

import math
from typing import Any

import keras
from keras import ops

__all__ = ["RandomAffine", "RandomChannelShift"]


@keras.saving.register_keras_serializable(package="emohelpers")
class RandomAffine(keras.layers.Layer):
    """Flip, rotate, shift, zoom and shear each image anew, in one resampling.

    Keras has a layer for each of these, and each of them interpolates again: the picture blurs
    and the time adds up. Here they are drawn together, multiplied into one matrix for each image
    and applied by one `keras.ops.image.affine_transform`. What lies outside the old image repeats
    its edge.

    Parameters
    ----------
    flip : bool
        Mirror left and right in half of the images.
    rotation : float
        Degrees: drawn from -rotation..rotation, counter-clockwise as one looks at the image.
    shift : float
        A share of the side: drawn from -shift..shift for each direction.
    zoom : float
        Magnification: drawn from 1 - zoom..1 + zoom, the same for both directions.
    shear : float
        Degrees by which vertical lines lean: drawn from -shear..shear.
    seed : int, optional
        The same seed gives the same sequence of draws.
    **kwargs
        Of `keras.layers.Layer`.

    Notes
    -----
    Called with images of shape (n, height, width, channels), uint8 or float in any value range,
    it returns float32 (of the layer's dtype) of the same shape and in the same range. As all of
    Keras's random layers it acts unless it is called with ``training=False``, as `predict` and
    `evaluate` do.

    Examples
    --------
    >>> import numpy as np
    >>> layer = RandomAffine(flip=True, rotation=15, seed=0)
    >>> faces = np.zeros((2, 48, 48, 1), dtype=np.uint8)
    >>> tuple(layer(faces, training=True).shape)
    (2, 48, 48, 1)
    >>> sorted(layer.get_random_transformation(faces))
    ['flip', 'rotation', 'shear', 'shift_x', 'shift_y', 'zoom']
    """

    def __init__(
        self,
        *,
        flip: bool = False,
        rotation: float = 0.0,
        shift: float = 0.0,
        zoom: float = 0.0,
        shear: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.flip = flip
        self.rotation = rotation
        self.shift = shift
        self.zoom = zoom
        self.shear = shear
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)
        # TensorFlow's kernel for projective transforms can not be compiled by XLA.
        self.supports_jit = keras.backend.backend() != "tensorflow"

    def get_random_transformation(self, images: Any) -> dict[str, Any]:
        """Draw a transformation for each image of a batch.

        Parameters
        ----------
        images : tensor of shape (n, height, width, channels)
            Only its shape is looked at.

        Returns
        -------
        dict of str to tensor of float32, shape (n,)
            ``flip`` (-1 mirrors, 1 does not), ``rotation`` and ``shear`` in radians, ``shift_x``
            (to the right) and ``shift_y`` (downwards) in pixels, ``zoom`` (above 1 enlarges).
        """
        n, height, width, _ = ops.shape(images)
        drawn = keras.random.uniform((n, 6), -1.0, 1.0, dtype="float32", seed=self.generator)
        return {
            "flip": ops.where(drawn[:, 0] < (0.0 if self.flip else -2.0), -1.0, 1.0),
            "rotation": drawn[:, 1] * math.radians(self.rotation),
            "shift_x": drawn[:, 2] * self.shift * ops.cast(width, "float32"),
            "shift_y": drawn[:, 3] * self.shift * ops.cast(height, "float32"),
            "zoom": 1.0 + drawn[:, 4] * self.zoom,
            "shear": drawn[:, 5] * math.radians(self.shear),
        }

    def transform_images(self, images: Any, transformation: dict[str, Any]) -> Any:
        """Apply a drawn transformation.

        Parameters
        ----------
        images : tensor of shape (n, height, width, channels)
            In any value range.
        transformation : dict of str to tensor, shape (n,)
            As `get_random_transformation` returns it.

        Returns
        -------
        tensor of the layer's dtype, of the same shape
            In the same value range.
        """
        _, height, width, _ = ops.shape(images)
        return ops.image.affine_transform(
            ops.cast(images, self.compute_dtype),
            _output_to_input(transformation, height=height, width=width),
            interpolation="bilinear",
            fill_mode="nearest",
            data_format="channels_last",
        )

    def call(self, images: Any, training: bool = True) -> Any:
        """Draw and apply a transformation, unless `training` is False."""
        if not training:
            return ops.cast(images, self.compute_dtype)
        return self.transform_images(images, self.get_random_transformation(images))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return `input_shape`: nothing is cut off or added."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs to build the layer again."""
        strengths = ("flip", "rotation", "shift", "zoom", "shear", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in strengths}}


@keras.saving.register_keras_serializable(package="emohelpers")
class RandomChannelShift(keras.layers.Layer):
    """Make each channel of each image lighter or darker by itself; on colour, tint it.

    Parameters
    ----------
    factor : float
        A share of 255: each channel's shift is drawn from -factor..factor.
    seed : int, optional
        The same seed gives the same sequence of draws.
    **kwargs
        Of `keras.layers.Layer`.

    Notes
    -----
    Called with images of shape (n, height, width, channels) in 0..255, it returns float32 (of the
    layer's dtype) of the same shape, clipped to 0..255. It acts unless it is called with
    ``training=False``.

    Examples
    --------
    >>> import numpy as np
    >>> faces = np.full((2, 48, 48, 3), 128, dtype=np.uint8)
    >>> tuple(RandomChannelShift(0.1, seed=0)(faces, training=True).shape)
    (2, 48, 48, 3)
    """

    def __init__(self, factor: float, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor
        self.seed = seed
        self.generator = keras.random.SeedGenerator(seed)

    def get_random_transformation(self, images: Any) -> dict[str, Any]:
        """Draw a shift for each channel of each image.

        Parameters
        ----------
        images : tensor of shape (n, height, width, channels)
            Only its shape is looked at.

        Returns
        -------
        dict of str to tensor of float32, shape (n, 1, 1, channels)
            ``shift`` in grey levels.
        """
        n, _, _, channels = ops.shape(images)
        reach = 255.0 * self.factor
        shape = (n, 1, 1, channels)
        return {"shift": keras.random.uniform(shape, -reach, reach, "float32", self.generator)}

    def transform_images(self, images: Any, transformation: dict[str, Any]) -> Any:
        """Apply a drawn transformation.

        Parameters
        ----------
        images : tensor of shape (n, height, width, channels)
            In 0..255.
        transformation : dict of str to tensor
            As `get_random_transformation` returns it.

        Returns
        -------
        tensor of the layer's dtype, of the same shape
            In 0..255.
        """
        shifted = ops.cast(images, self.compute_dtype) + transformation["shift"]
        return ops.clip(shifted, 0.0, 255.0)

    def call(self, images: Any, training: bool = True) -> Any:
        """Draw and apply a transformation, unless `training` is False."""
        if not training:
            return ops.cast(images, self.compute_dtype)
        return self.transform_images(images, self.get_random_transformation(images))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return `input_shape`."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return what `from_config` needs to build the layer again."""
        return {**super().get_config(), "factor": self.factor, "seed": self.seed}


def _output_to_input(transformation: dict[str, Any], *, height: Any, width: Any) -> Any:
    """Multiply a transformation into rows of `keras.ops.image.affine_transform`, shape (n, 8).

    About the centre c, the point p of the new image shows the point
    ``c + flip @ shear @ rotation @ (p - c - shift) / zoom`` of the old one.
    """
    cos, sin = ops.cos(transformation["rotation"]), ops.sin(transformation["rotation"])
    lean, flip = ops.tan(transformation["shear"]), transformation["flip"]
    zoom = transformation["zoom"]
    x_from_x, x_from_y = flip * (cos + lean * sin) / zoom, flip * (lean * cos - sin) / zoom
    y_from_x, y_from_y = sin / zoom, cos / zoom

    centre_x = (ops.cast(width, "float32") - 1.0) / 2.0
    centre_y = (ops.cast(height, "float32") - 1.0) / 2.0
    from_x = centre_x + transformation["shift_x"]
    from_y = centre_y + transformation["shift_y"]
    zeros = ops.zeros_like(zoom)
    rows = (
        x_from_x,
        x_from_y,
        centre_x - x_from_x * from_x - x_from_y * from_y,
        y_from_x,
        y_from_y,
        centre_y - y_from_x * from_x - y_from_y * from_y,
        zeros,
        zeros,
    )
    return ops.stack(rows, axis=-1)
