"""What light and the camera do to a drawn face: shade, texture, exposure, blur, noise, JPEG."""

import functools
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from emohelpers.datasets.toyfaces._parameters import Faces

_BANK = 512


@functools.lru_cache(maxsize=1)
def _noise_banks() -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return fine sensor noise and the uneven texture of skin and cloth, both around 0."""
    stream = np.random.default_rng(20131)
    fine = stream.integers(0, 256, (4, _BANK, _BANK), dtype=np.uint8).astype(np.int16)
    # The sum of four uniform bytes is near enough to a bell curve and stays an integer.
    noise = (fine.sum(axis=0, dtype=np.int16) - 510) // 5
    rough = stream.integers(0, 256, (_BANK, _BANK), dtype=np.uint8)
    turned, mirrored = np.ascontiguousarray(rough.T), np.ascontiguousarray(rough[::-1])
    small = cv2.GaussianBlur(rough, (5, 5), 0.8).astype(np.int16) - 128
    middle = cv2.GaussianBlur(turned, (11, 11), 1.8).astype(np.int16) - 128
    large = cv2.GaussianBlur(mirrored, (31, 31), 5.0).astype(np.int16) - 128
    return noise, (small + 3 * middle + 8 * large) // 2


def photograph(drawn: NDArray[np.uint8], faces: Faces) -> NDArray[np.uint8]:
    """Light and record drawn faces.

    Parameters
    ----------
    drawn : ndarray of uint8, shape (n, size, size, channels)
        From `paint`.
    faces : Faces
        Gives light, quality and the camera of each face.

    Returns
    -------
    ndarray of uint8, of the shape of `drawn`
    """
    images = _light(drawn, faces)
    images = _expose(images, faces)
    return _record(images, faces)


def _light(drawn: NDArray[np.uint8], faces: Faces) -> NDArray[np.uint8]:
    """Multiply by a smooth field: a slope towards the light and a fall-off at the edges."""
    size, camera = drawn.shape[1], faces.camera
    step = np.rint((np.arange(size) * 2 + 1 - size) * (128 / size)).astype(np.int32)
    strength = (0.12 + 0.5 * faces.difficulty * camera["light_strength"] ** 2) * 128
    slope_x = np.rint(strength * camera.signed("light_x")).astype(np.int32)[:, None, None]
    slope_y = np.rint(strength * 0.7 * camera.signed("light_y")).astype(np.int32)[:, None, None]
    round_ = np.rint(10 + 30 * camera["flash"]).astype(np.int32)[:, None, None]
    bulge = (step[:, None] ** 2 // 2 + step[None, :] ** 2)[None] >> 7
    field = 128 + ((slope_x * step[None, None, :] + slope_y * step[None, :, None]) >> 7)
    field = np.clip(field - ((round_ * bulge) >> 7), 20, 250)
    texture = _crops(_noise_banks()[1], faces, size)
    amount = np.rint(40 * camera["grain"] * (0.3 + faces.difficulty)).astype(np.int32)
    field = field + ((texture * amount[:, None, None]) >> 8)
    return np.minimum((drawn * field[..., None]) >> 7, 255).astype(np.uint8)


def _crops(bank: NDArray[np.int16], faces: Faces, size: int) -> NDArray[np.int32]:
    """Cut a piece of a bank of noise for each face."""
    camera, repeat = faces.camera, -(-size // _BANK) + 1
    wide = np.tile(bank, (repeat, repeat)) if size > _BANK // 2 else bank
    room = wide.shape[0] - size
    rows = np.minimum((camera["texture_y"] * room).astype(int), room - 1).tolist()
    columns = np.minimum((camera["texture_x"] * room).astype(int), room - 1).tolist()
    return np.stack(
        [wide[y : y + size, x : x + size] for y, x in zip(rows, columns, strict=True)]
    ).astype(np.int32)


def _expose(images: NDArray[np.uint8], faces: Faces) -> NDArray[np.uint8]:
    """Set brightness, contrast and gamma by one table of 256 values for each face.

    A camera meters what it sees: part of the difference between the picture's mean and a drawn
    mean is taken away, and likewise for the spread. Low quality leaves little contrast and light.
    """
    camera, quality, hard = faces.camera, faces.quality, faces.difficulty
    flat = images.reshape(len(images), -1)
    mean = flat.sum(axis=1, dtype=np.int64) / flat.shape[1]
    square = np.einsum("ij,ij->i", flat, flat, dtype=np.int64) / flat.shape[1]
    spread = np.sqrt(np.maximum(square - mean**2, 4.0))
    aim_mean = 130 + (30 + 50 * hard) * camera.signed("brightness")
    aim_spread = 58 + 26 * camera.signed("contrast") * (0.4 + 0.6 * hard)
    gain = (aim_spread / spread) ** 0.75 * (0.25 + 0.75 * quality)
    middle = mean + 0.75 * (aim_mean - mean)
    middle = middle * (0.45 + 0.55 * quality)
    levels = np.arange(256.0)
    curve = (levels[None] - mean[:, None]) * gain[:, None] + middle[:, None]
    gamma = 1 + 0.35 * hard * camera.signed("gamma")
    curve = 255 * (np.clip(curve, 0, 255) / 255) ** gamma[:, None]
    tables = np.rint(curve).astype(np.uint8)
    return np.stack([table[image] for table, image in zip(tables, images, strict=True)])


def _record(images: NDArray[np.uint8], faces: Faces) -> NDArray[np.uint8]:
    """Blur, lose resolution, add sensor noise and compress, each for some of the faces."""
    size, camera, hard = images.shape[1], faces.camera, faces.difficulty
    poor = 1 - faces.quality
    blur = np.round((0.1 + 0.9 * hard * camera["blur"] ** 3 + 1.2 * poor) * size / 48, 3).tolist()
    shrink = (camera["resolution"] < 0.25 * hard + 0.4 * poor).tolist()
    jpeg = (camera["jpeg"] < 0.5 * hard + 0.3 * poor).tolist()
    rates = np.rint(35 + 55 * camera["noise"] * (1 - 0.5 * poor)).astype(int).tolist()
    low = np.maximum(np.rint(size * (0.5 + 0.45 * camera["sharpness"])), 12).astype(int).tolist()
    out = np.empty_like(images)
    for i, image in enumerate(images):
        if shrink[i]:
            image = cv2.resize(image, (low[i], low[i]), interpolation=cv2.INTER_LINEAR_EXACT)
            image = cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR_EXACT)
        if blur[i] > 0.3:
            reach = 2 * int(2 * blur[i] + 0.5) + 1
            image = cv2.GaussianBlur(image, (reach, reach), blur[i])
        out[i] = image.reshape(out.shape[1:])
    amount = np.rint((4 + 40 * hard * camera["noise"] ** 2) * (1 + 1.5 * poor)).astype(np.int32)
    noise = (_crops(_noise_banks()[0], faces, size) * amount[:, None, None]) >> 8
    out = np.clip(out + noise[..., None], 0, 255).astype(np.uint8)
    for i in np.flatnonzero(jpeg).tolist():
        order = out[i] if out.shape[3] == 1 else out[i][..., ::-1]
        _, data = cv2.imencode(".jpg", order, [cv2.IMWRITE_JPEG_QUALITY, rates[i]])
        back: Any = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        out[i] = back[..., None] if back.ndim == 2 else back[..., ::-1]
    return out
