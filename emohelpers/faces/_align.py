"""Cut a face out of a photo."""

import cv2
import numpy as np
from numpy.typing import NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.faces._face import Face
from emohelpers.preprocessing import to_color, to_grey

__all__ = ["align"]


def align(
    photo: NDArray[np.uint8],
    face: Face,
    *,
    size: int = 48,
    margin: float = 0.0,
    color: bool = False,
    upright: bool = True,
) -> NDArray[np.uint8]:
    """Cut a face out of a photo, square, and turn it upright by its eyes.

    Parameters
    ----------
    photo : ndarray of uint8, shape (height, width, 1 or 3)
        See `read_photo`.
    face : Face
        Found in it.
    size : int
        Height and width of the result in pixels, 1 or more.
    margin : float
        By what share of its longer side the box grows on each side, above -0.5; below 0 it
        shrinks. What lies beyond the photo repeats its border.
    color : bool
        Three channels in place of one.
    upright : bool
        Turn until the eyes are level, where they are known.

    Returns
    -------
    ndarray of uint8, shape (size, size, 1 or 3)
        0..255.

    Raises
    ------
    ConfigurationError
        If size or margin are out of their range, or the box is empty.

    Examples
    --------
    >>> align(np.zeros((60, 90, 3), np.uint8), Face((10, 10, 30, 30), 1.0), size=24).shape
    (24, 24, 1)
    """
    left, top, width, height = face.box
    if size < 1 or not margin > -0.5 or min(width, height) < 1:
        raise ConfigurationError(
            f"size={size}, margin={margin}, a box of {width}x{height}: expected 1 or more, above "
            "-0.5, and a box that is not empty"
        )
    side = max(width, height) * (1 + 2 * margin)
    centre = np.array([left + width / 2, top + height / 2])
    angle = 0.0
    if upright and not np.isnan(face.landmarks[:2]).any():
        across = face.landmarks[1] - face.landmarks[0]
        angle = float(np.arctan2(across[1], across[0]))
    # From the result's pixels to the photo's, the centres of pixels being at whole numbers.
    step = side / size
    turn = step * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    start = centre - 0.5 - turn @ np.full(2, (size - 1) / 2)
    # Only what is needed of a large photo, with room for the turn and the average.
    reach = 0.75 * side + 2 * step + 2
    high, wide = photo.shape[:2]
    first = np.clip(np.floor(centre - reach), 0, [wide - 1, high - 1]).astype(int)
    last = np.clip(np.ceil(centre + reach), first + 1, [wide, high]).astype(int)
    part = photo[first[1] : last[1], first[0] : last[0]]
    pixels = np.ascontiguousarray((to_color if color else to_grey)(part[None])[0])
    if step > 1:
        # Averaged first: to take every tenth pixel of a large face would make it coarse.
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.5 * step, borderType=cv2.BORDER_REPLICATE)
    cut = cv2.warpAffine(
        pixels,
        np.column_stack([turn, start - first]),
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return cut.reshape(size, size, -1)
