"""What sets that are drawn, and not read, have in common."""

from emohelpers.errors import ConfigurationError

__all__ = ["checked_shape"]


def checked_shape(
    n: int, size: int | tuple[int, int], seed: int, *, smallest: int, largest: int = 512
) -> tuple[int, int]:
    """Refuse a draw of no faces, of sides out of bounds or by a bad seed; return height and width.

    Raises
    ------
    ConfigurationError
        With the argument's name and value, and what it may be.
    """
    if not isinstance(n, int) or n < 1:
        raise ConfigurationError(f"n={n!r}: expected how many faces to draw, at least 1")
    shape = (size, size) if isinstance(size, int) else tuple(size)
    if len(shape) != 2 or not all(
        isinstance(side, int) and smallest <= side <= largest for side in shape
    ):
        raise ConfigurationError(
            f"size={size!r}: expected {smallest} to {largest} pixels, a side or (height, width)"
        )
    if not isinstance(seed, int) or seed < 0:
        raise ConfigurationError(f"seed={seed!r}: expected an int of 0 or more")
    return shape
