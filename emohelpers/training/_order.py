"""In which order a pass over the images goes: shuffled as a whole, or in blocks of the file."""

from functools import lru_cache
from typing import Protocol

import numpy as np

__all__ = ["Order", "pass_order"]

_WHOLE_ROWS = 80_000
_BLOCK_BYTES = 256 * 2**10
_POOL_BLOCKS = 1024


class Order(Protocol):
    """Tells which rows stand at some places of a pass over all of them."""

    def rows(self, passed: int, start: int, stop: int) -> np.ndarray:
        """Return the rows, int64, at places start to stop of a pass, or up to its end."""
        ...


def pass_order(n: int, row_bytes: int, seed: int | None) -> Order:
    """Return the order for a set of images.

    Up to 80,000 images, more than any data set has that the project trains on, every pass is one
    permutation of them all. Of more, blocks of a quarter of a megabyte, which a disk reads at once,
    come in random order, and the images of 1,024 blocks at a time are shuffled among each other.
    What is read next then lies in 256 MB that a system's cache can hold, whatever the size of the
    set, and of images that are sorted by class each batch still has nearly as many as if drawn at
    random: the share of a class in the blocks strays by a hundredth.

    Parameters
    ----------
    n : int
        Images.
    row_bytes : int
        Of each.
    seed : int or None
        Of all passes, each of which has an order of its own; None keeps the order of the file.

    Returns
    -------
    Order
        The same arguments give the same.

    Examples
    --------
    >>> order = pass_order(5, 2304, seed=None)
    >>> order.rows(0, 3, 6).tolist()
    [3, 4]
    >>> order = pass_order(100_000, 2304, seed=0)
    >>> len(set(order.rows(0, 0, 100_000).tolist()))
    100000
    """
    if seed is None:
        return _AsTheyStand(n)
    if n <= _WHOLE_ROWS:
        return _Whole(n, seed)
    return _Blocks(n, seed, block=max(1, _BLOCK_BYTES // row_bytes), pool=_POOL_BLOCKS)


class _AsTheyStand:
    def __init__(self, n: int) -> None:
        self.n = n

    def rows(self, passed: int, start: int, stop: int) -> np.ndarray:
        return np.arange(start, min(stop, self.n))


class _Whole:
    def __init__(self, n: int, seed: int) -> None:
        self.n = n
        self.seed = seed
        self._permutation = lru_cache(maxsize=2)(self._draw)

    def rows(self, passed: int, start: int, stop: int) -> np.ndarray:
        return self._permutation(passed)[start:stop]

    def _draw(self, passed: int) -> np.ndarray:
        return np.random.default_rng([self.seed, passed]).permutation(self.n)


class _Blocks:
    """Blocks of consecutive rows in random order, those of a pool shuffled among each other."""

    def __init__(self, n: int, seed: int, *, block: int, pool: int) -> None:
        self.n = n
        self.seed = seed
        self.block = block
        self.pool = pool
        self._pools = lru_cache(maxsize=2)(self._draw_pools)
        self._pool = lru_cache(maxsize=2)(self._draw_pool)

    def rows(self, passed: int, start: int, stop: int) -> np.ndarray:
        _, starts = self._pools(passed)
        stop = min(stop, self.n)
        first, last = np.searchsorted(starts, [start, stop - 1], side="right") - 1
        parts = [
            self._pool(passed, pool)[max(0, start - starts[pool]) : stop - starts[pool]]
            for pool in range(first, last + 1)
        ]
        return np.concatenate(parts)

    def _draw_pools(self, passed: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the blocks in their order, and at which place of the pass each pool begins."""
        n_blocks = -(-self.n // self.block)
        blocks = np.random.default_rng([self.seed, passed]).permutation(n_blocks)
        sizes = np.minimum(self.block, self.n - blocks * self.block)
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        return blocks, starts[:: self.pool]

    def _draw_pool(self, passed: int, pool: int) -> np.ndarray:
        blocks, _ = self._pools(passed)
        own = blocks[pool * self.pool : (pool + 1) * self.pool]
        rows = (own[:, None] * self.block + np.arange(self.block)).ravel()
        # Not the stream that mixes the images of a step.
        rng = np.random.default_rng([self.seed, passed, 0, 1 + pool])
        return rng.permutation(rows[rows < self.n])
