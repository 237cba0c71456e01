"""Draw faces with NumPy alone from a codebook, a decoder and a prior that Keras has trained."""

import json
import os
import zipfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emohelpers._replacing import replacing
from emohelpers.errors import ConfigurationError, MissingPathError

__all__ = ["Sampler"]

_Array = NDArray[np.float32]
_Double = NDArray[np.float64]
_CHUNK = 64
"""Faces drawn at once: always so many, since a product of matrices of another height may differ in
its last digits, and a draw with it."""
_EPSILON = 1e-5  # of the layer normalisation, as in the prior


class Sampler:
    """Draws faces of an emotion, code by code, and the pixels that the codes stand for.

    It computes what `emohelpers.generation.vq_vae` and `code_prior` compute, from their weights.

    Parameters
    ----------
    weights : mapping of str to ndarray
        As `emohelpers.generation` exports them; half precision is enough.
    class_names : sequence of str
        The emotions that the prior knows, in label order.
    grid : (int, int)
        Rows and columns of the codes of a face.
    guidance : float
        What `draw` takes without one of its own.

    Raises
    ------
    ConfigurationError
        If the weights do not belong together.
    """

    def __init__(
        self,
        weights: Mapping[str, NDArray[Any]],
        class_names: Sequence[str],
        grid: tuple[int, int],
        *,
        guidance: float = 0.0,
    ) -> None:
        self.guidance = float(guidance)
        self.weights = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        self.class_names = tuple(class_names)
        self.grid = (int(grid[0]), int(grid[1]))
        try:
            self._check()
        except (KeyError, IndexError, ValueError) as error:
            raise ConfigurationError(
                f"the weights of a sampler lack {error}: expected those of a VQ-VAE and its prior"
            ) from error

    def _check(self) -> None:
        known = self.weights
        places, width = known["prior/embedding/places"].shape
        self.n_codes, code_size = known["codebook"].shape
        self.n_labels = len(known["prior/embedding/labels"]) - 1
        self.heads = known["prior/attention_0/query/kernel"].shape[1]
        self.blocks = sum(name.endswith("/query/kernel") for name in known)
        fits = (
            places == self.grid[0] * self.grid[1]
            and self.n_labels == len(self.class_names)
            and known["prior/logits/kernel"].shape == (width, self.n_codes)
            and known["decoder/from_codes/kernel"].shape[2] == code_size
        )
        if not fits:
            raise ConfigurationError(
                f"{places} places, {self.n_codes} codes and {self.n_labels} emotions: expected "
                f"{self.grid[0]}x{self.grid[1]} places and {len(self.class_names)} emotions"
            )

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Sampler":
        """Read what `save` wrote.

        Parameters
        ----------
        path : path-like
            An ``.npz`` file.

        Raises
        ------
        MissingPathError
            If there is none.
        ConfigurationError
            If it is damaged or holds something else.
        """
        path = Path(path)
        if not path.is_file():
            raise MissingPathError(f"no file {path}: expected the weights of a sampler")
        try:
            with np.load(path, allow_pickle=False) as file:
                weights = {name: file[name] for name in file.files}
            about = json.loads(str(weights.pop("about")))
            names, (rows, columns) = about["class_names"], about["grid"]
            guidance = float(about["guidance"])
        except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise ConfigurationError(
                f"{path} is damaged or no sampler ({error}): expected a file that "
                "'emohelpers generate' wrote"
            ) from error
        return cls(weights, names, (rows, columns), guidance=guidance)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write all to one ``.npz`` file, in half precision and without pickled objects.

        Parameters
        ----------
        path : path-like
            Its folder is there; what stands under the name is replaced.

        Returns
        -------
        Path
            The file.
        """
        path = Path(path)
        about = json.dumps(
            {
                "class_names": list(self.class_names),
                "grid": list(self.grid),
                "guidance": self.guidance,
            }
        )
        half = {name: value.astype(np.float16) for name, value in self.weights.items()}
        with replacing(path) as beside:
            np.savez_compressed(beside, about=np.array(about), **half)  # type: ignore[arg-type]
        return path

    def draw(
        self,
        labels: ArrayLike,
        *,
        seed: int = 0,
        temperature: float = 1.0,
        guidance: float | None = None,
    ) -> NDArray[np.uint8]:
        """Draw a face for each label.

        Parameters
        ----------
        labels : array_like of int, shape (n,)
            Positions in `class_names`.
        seed : int
            Of the draws. Fewer faces are the first of more, as long as their labels are.
        temperature : float
            What logits are divided by, above 0: below 1 faces are more typical and less varied.
        guidance : float, optional
            How far to go beyond what the emotion makes of a face, 0 or more: logits are those
            given the emotion plus so many times what they are above those of any emotion
            (classifier-free guidance, Ho and Salimans 2022, https://arxiv.org/abs/2207.12598).
            The sampler's own without it.

        Returns
        -------
        ndarray of uint8, shape (n, height, width, channels)
            In 0..255. Sums of products differ in their last digits from one processor to the
            next, and where that decides a code, so does a face.

        Raises
        ------
        ConfigurationError
            If a label is none of the classes, or a number is out of its range.
        """
        parts = self.chunks(labels, seed=seed, temperature=temperature, guidance=guidance)
        return np.concatenate(list(parts))

    def chunks(
        self,
        labels: ArrayLike,
        *,
        seed: int = 0,
        temperature: float = 1.0,
        guidance: float | None = None,
    ) -> Iterator[NDArray[np.uint8]]:
        """Draw the faces of `draw` some at a time, so that they never stand in memory together."""
        wanted = np.asarray(labels)
        if wanted.ndim != 1 or not len(wanted) or not np.isin(wanted, range(self.n_labels)).all():
            raise ConfigurationError(
                f"labels of shape {wanted.shape}: expected one or more, in 0 to {self.n_labels - 1}"
            )
        guidance = self.guidance if guidance is None else guidance
        if not 0 < temperature < np.inf or not 0 <= guidance < np.inf:
            raise ConfigurationError(
                f"temperature={temperature}, guidance={guidance}: expected above 0, and 0 or more"
            )
        stream = np.random.default_rng(seed)
        for first in range(0, len(wanted), _CHUNK):
            part = wanted[first : first + _CHUNK]
            filled = np.zeros(_CHUNK, np.int64)
            filled[: len(part)] = part
            draws = stream.random((_CHUNK, self.grid[0] * self.grid[1]))
            codes = self._codes(filled, draws, temperature, guidance)
            yield self.decode(codes[: len(part)])

    def logits(self, codes: ArrayLike, labels: ArrayLike) -> _Array:
        """Return what the prior says of each code, given the label and the codes before it.

        Parameters
        ----------
        codes : array_like of int, shape (n, places)
            Row by row.
        labels : array_like of int, shape (n,)
            Positions in `class_names`, or their number for "any".

        Returns
        -------
        ndarray of float32, shape (n, places, n_codes)
        """
        known = np.asarray(codes)
        steps = self._steps(np.asarray(labels))
        found = [next(steps)]
        found += [steps.send(known[:, place]) for place in range(known.shape[1] - 1)]
        return np.stack(found, axis=1)

    def decode(self, codes: ArrayLike) -> NDArray[np.uint8]:
        """Return the pixels that codes stand for.

        Parameters
        ----------
        codes : array_like of int, shape (n, places)
            Row by row, 0 or more and below the size of the codebook.

        Returns
        -------
        ndarray of uint8, shape (n, height, width, channels)
            In 0..255.
        """
        known = np.asarray(codes)
        starts = range(0, max(len(known), 1), _CHUNK)
        return np.concatenate([self._decoded(known[at : at + _CHUNK]) for at in starts])

    def _codes(
        self, labels: NDArray[np.int64], draws: _Double, temperature: float, guidance: float
    ) -> NDArray[np.int64]:
        """Draw codes place by place, each by the uniform draw of its face and place."""
        n, places = draws.shape
        # Both questions, of the emotion and of any, are asked in one go.
        asked = np.concatenate([labels, np.full(n, self.n_labels)]) if guidance else labels
        steps = self._steps(asked)
        codes = np.empty((n, places), np.int64)
        logits = next(steps)
        for place in range(places):
            told = logits[:n].astype(np.float64)
            if guidance:
                told += guidance * (told - logits[n:])
            told = np.exp((told - told.max(axis=1, keepdims=True)) / temperature)
            sums = np.cumsum(told, axis=1)
            below = sums < draws[:, place, None] * sums[:, -1:]
            codes[:, place] = below.sum(axis=1)
            if place < places - 1:
                logits = steps.send(np.tile(codes[:, place], 2 if guidance else 1))
        return codes

    def _steps(self, labels: NDArray[Any]) -> Generator[_Array, NDArray[Any], None]:
        """Yield the logits of each place in turn; take the codes that were chosen for it."""
        weights, n = self.weights, len(labels)
        places, width = weights["prior/embedding/places"].shape
        of_label = weights["prior/embedding/labels"][labels]
        kept = np.zeros((self.blocks, 2, n, self.heads, places, width // self.heads), np.float32)
        flow = of_label + weights["prior/embedding/places"][0]
        for place in range(places):
            for block in range(self.blocks):
                flow = flow + self._attended(flow, block, kept[block], place)
                inner = self._normed(flow, f"dense_norm_{block}")
                inner = np.maximum(self._dense(inner, f"dense_in_{block}"), 0)
                flow = flow + self._dense(inner, f"dense_out_{block}")
            codes = yield self._dense(self._normed(flow, "norm"), "logits")
            if place < places - 1:
                flow = of_label + weights["prior/embedding/places"][place + 1]
                flow = flow + weights["prior/embedding/codes"][codes]

    def _attended(self, flow: _Array, block: int, kept: _Array, place: int) -> _Array:
        """Return what attention over this place and those before it adds."""
        name = f"attention_{block}"
        normed = self._normed(flow, f"attention_norm_{block}")
        query, key, value = (
            self._dense(normed, f"{name}/{part}").reshape(len(flow), self.heads, 1, -1)
            for part in ("query", "key", "value")
        )
        # Keys and values of earlier places are kept, so that each is computed once.
        kept[0, :, :, place], kept[1, :, :, place] = key[:, :, 0], value[:, :, 0]
        keys, values = kept[:, :, :, : place + 1]
        scores = (query @ keys.swapaxes(2, 3)) / np.float32(np.sqrt(query.shape[3]))
        shares = np.exp(scores - scores.max(axis=3, keepdims=True))
        shares /= shares.sum(axis=3, keepdims=True)
        mixed = (shares @ values).reshape(len(flow), -1)
        return self._dense(mixed, f"{name}/attention_output")

    def _dense(self, rows: _Array, name: str) -> _Array:
        kernel, bias = (self.weights[f"prior/{name}/{part}"] for part in ("kernel", "bias"))
        # Of attention they have an axis of their own for the heads.
        return rows @ kernel.reshape(rows.shape[1], -1) + bias.ravel()

    def _normed(self, rows: _Array, name: str) -> _Array:
        centred = rows - rows.mean(axis=1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(axis=1, keepdims=True) + np.float32(_EPSILON))
        scaled = centred / deviation * self.weights[f"prior/{name}/gamma"]
        return scaled + self.weights[f"prior/{name}/beta"]

    def _decoded(self, codes: NDArray[Any]) -> NDArray[np.uint8]:
        grid = self.weights["codebook"][codes].reshape(len(codes), *self.grid, -1)
        grid = self._residual(self._conv(grid, "from_codes"), "wide")
        grid = _depth_to_space(self._conv(np.maximum(grid, 0), "to_narrow"), 2)
        grid = self._residual(grid, "narrow")
        grid = _depth_to_space(self._conv(np.maximum(grid, 0), "to_pixels"), 3)
        grid = self._conv(np.maximum(grid, 0), "pixels")
        return np.rint(np.clip(grid * 127.5 + 127.5, 0, 255)).astype(np.uint8)

    def _residual(self, grid: _Array, name: str) -> _Array:
        number = 0
        while f"decoder/{name}_{number}_in/kernel" in self.weights:
            inner = self._conv(np.maximum(grid, 0), f"{name}_{number}_in")
            grid = grid + self._conv(np.maximum(inner, 0), f"{name}_{number}_out")
            number += 1
        return grid

    def _conv(self, grid: _Array, name: str) -> _Array:
        """Convolve with zeros around, as Keras does with ``padding="same"``."""
        kernel, bias = (self.weights[f"decoder/{name}/{part}"] for part in ("kernel", "bias"))
        n, height, width, channels = grid.shape
        side = kernel.shape[0]
        edge = side // 2
        padded = np.pad(grid, ((0, 0), (edge, edge), (edge, edge), (0, 0)))
        found = np.zeros((n * height * width, kernel.shape[3]), np.float32)
        for row in range(side):
            for column in range(side):
                part = padded[:, row : row + height, column : column + width]
                found += part.reshape(-1, channels) @ kernel[row, column]
        return found.reshape(n, height, width, -1) + bias


def _depth_to_space(grid: _Array, side: int) -> _Array:
    """Lay the channels of each place out as a square of `side` times `side` places."""
    n, height, width, channels = grid.shape
    grid = grid.reshape(n, height, width, side, side, channels // side**2)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(n, height * side, width * side, -1)
