"""Grids of face images: samples, augmentation, predictions."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import ArrayLike, NDArray

from emohelpers.errors import ConfigurationError
from emohelpers.plots._style import (
    BLUE,
    BODY,
    INK,
    PAGE_INCHES,
    SMALL,
    VERMILLION,
    SlideFigure,
    style,
)

__all__ = ["augmentation_strip", "image_grid", "prediction_gallery", "sample_grid"]

ValueRange = tuple[float, float] | None
Grid = tuple[SlideFigure, NDArray[Any]]


def _displayable(image: Any, value_range: ValueRange) -> NDArray[np.float32]:
    """Return an image as (height, width) or (height, width, 3) in 0..1."""
    pixels = np.asarray(image, dtype=np.float32)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[-1] == 3)):
        raise ConfigurationError(
            f"an image of shape {np.shape(image)}: expected (height, width), "
            "(height, width, 1) or (height, width, 3)"
        )
    low, high = (pixels.min(), pixels.max()) if value_range is None else value_range
    return np.clip((pixels - low) / max(high - low, 1e-6), 0, 1)


def draw(ax: Axes, image: Any, value_range: ValueRange) -> None:
    """Draw an image without axes."""
    ax.imshow(_displayable(image, value_range), cmap="gray", vmin=0, vmax=1, interpolation="none")
    _clear_frame(ax)


def _clear_frame(ax: Axes) -> None:
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def _frame(ax: Axes, color: str, *, width: float, line: str = "-") -> None:
    ax.spines[:].set(visible=True, color=color, linewidth=width, linestyle=line)


def caption(ax: Axes, text: str, *, size: float = BODY, pad: float = 5) -> None:
    """Write above an image."""
    ax.set_title(text, fontsize=size, fontweight="normal", loc="center", pad=pad)


def name_row(ax: Axes, name: str) -> None:
    """Write left of the first image of a row."""
    ax.set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8, fontsize=BODY)


def check_length(what: str, found: int, n: int) -> None:
    """Refuse a sequence that has not one element for each image."""
    if found != n:
        raise ConfigurationError(f"{found} {what} for {n} images: expected one for each")


def grid(rows: int, columns: int, *, cell: float, more: float = 0) -> Grid:
    """Return a figure just high enough for rows of square images and `cell` inches between."""
    height = rows * (PAGE_INCHES[0] / columns + cell) + more
    figure = SlideFigure(height=height, layout="compressed")
    engine = cast("ConstrainedLayoutEngine", figure.get_layout_engine())
    engine.set(w_pad=0.04, h_pad=0.04, wspace=0.02, hspace=0.03)
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat:
        _clear_frame(ax)
    return figure, axes


@style()
def image_grid(
    images: Sequence[Any] | NDArray[Any],
    *,
    titles: Sequence[str] | None = None,
    columns: int = 6,
    row_names: Sequence[str] | None = None,
    value_range: ValueRange | Sequence[ValueRange] = (0, 255),
) -> SlideFigure:
    """Draw images in rows, for instance the steps of a preparation.

    Parameters
    ----------
    images : array or sequence of n arrays, each (height, width), (height, width, 1) or (..., 3)
        They may differ in size, dtype and number of channels.
    titles : sequence of n str, optional
        What stands above each.
    columns : int
        Images in a row.
    row_names : sequence of str, optional
        What stands left of each row.
    value_range : pair of float, None, or a sequence of n of these
        The values shown as black and white; what lies outside is clipped. None stretches each
        image from its own lowest to its own highest value.

    Returns
    -------
    SlideFigure

    Raises
    ------
    ConfigurationError
        If there is no image, one has another shape, or a sequence has another length.

    Examples
    --------
    >>> import numpy as np
    >>> steps = [np.zeros((48, 48, 3), np.uint8), np.zeros((48, 48), np.float32)]
    >>> figure = image_grid(steps, titles=["colour", "grey"], value_range=[(0, 255), (0, 1)])
    >>> [ax.get_title(loc="center") for ax in figure.axes[:2]]
    ['colour', 'grey']
    """
    n = len(images)
    if n == 0 or columns < 1:
        raise ConfigurationError(f"{n} images in {columns} columns: expected at least one of each")
    columns = min(columns, n)
    rows = -(-n // columns)
    if titles is not None:
        check_length("titles", len(titles), n)
    if row_names is not None and len(row_names) != rows:
        raise ConfigurationError(f"{len(row_names)} row names for {rows} rows: expected as many")
    ranges = _one_range_each(value_range, n)
    lines = max((title.count("\n") + 1 for title in titles or ()), default=0)
    figure, axes = grid(rows, columns, cell=0.1 + 0.25 * lines)
    for position, ax in enumerate(axes.flat[:n]):
        draw(ax, images[position], ranges[position])
        if titles is not None:
            caption(ax, titles[position])
        if row_names is not None and position % columns == 0:
            name_row(ax, row_names[position // columns])
    return figure


def _one_range_each(value_range: Any, n: int) -> list[ValueRange]:
    if value_range is None or isinstance(value_range[0], int | float | np.number):
        return [value_range] * n
    check_length("value ranges", len(value_range), n)
    return list(value_range)


@style()
def sample_grid(
    images: Any,
    labels: ArrayLike,
    class_names: Sequence[str],
    *,
    per_class: int = 10,
    titles: Sequence[str] | None = None,
    seed: int = 0,
) -> SlideFigure:
    r"""Draw some images of each class, one row a class.

    Parameters
    ----------
    images : array or ImageRows of uint8, shape (n, height, width, channels)
        Pixels in 0..255.
    labels : array_like of int, shape (n,)
        Positions in `class_names`; rows with -1 are left out.
    class_names : sequence of str
        The classes; each row says how many images its class has.
    per_class : int
        Images in a row; a class that has fewer shows all it has.
    titles : sequence of n str, optional
        What stands above each image, for instance its age.
    seed : int
        Of the draw.

    Returns
    -------
    SlideFigure

    Raises
    ------
    ConfigurationError
        If there are not as many labels (or titles) as images, or no image has one of the classes.

    Examples
    --------
    >>> import numpy as np
    >>> figure = sample_grid(np.zeros((4, 48, 48, 1), np.uint8), [0, 1, 1, 1], ["sad", "happy"])
    >>> [ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()]
    ['sad\n1', 'happy\n3']
    """
    labels = np.asarray(labels)
    check_length("labels", len(labels), len(images))
    if titles is not None:
        check_length("titles", len(titles), len(images))
    members = [np.flatnonzero(labels == k) for k in range(len(class_names))]
    columns = min(per_class, max((len(rows) for rows in members), default=0))
    if columns < 1:
        raise ConfigurationError("no image has one of the classes: there is nothing to draw")
    generator = np.random.default_rng(seed)
    figure, axes = grid(len(class_names), columns, cell=0.1 if titles is None else 0.3)
    for row, name, rows in zip(axes, class_names, members, strict=True):
        picked = np.sort(generator.permutation(rows)[:columns])
        for ax, position in zip(row, picked, strict=False):
            draw(ax, images[int(position)], (0, 255))
            if titles is not None:
                caption(ax, titles[position], size=SMALL, pad=2)
        name_row(row[0], f"{name}\n{len(rows):,}")
    return figure


@style()
def augmentation_strip(
    original: Any,
    variants: Any,
    *,
    titles: Sequence[str] | None = None,
    columns: int = 6,
    value_range: ValueRange = (0, 255),
) -> SlideFigure:
    """Draw an image and what augmentation makes of it.

    Parameters
    ----------
    original : array, shape (height, width, channels)
        The image as it was, drawn first and framed.
    variants : array or sequence of n arrays of that shape
        Its children.
    titles : sequence of n str, optional
        What stands above each child; their numbers unless given.
    columns : int
        Images in a row.
    value_range : pair of float
        The values shown as black and white.

    Returns
    -------
    SlideFigure

    Raises
    ------
    ConfigurationError
        If there is no child, or not one title for each.

    Examples
    --------
    >>> import numpy as np
    >>> face = np.zeros((48, 48, 1), np.uint8)
    >>> figure = augmentation_strip(face, [face, face])
    >>> [ax.get_title(loc="center") for ax in figure.axes]
    ['original', '1', '2']
    """
    n = len(variants)
    if n == 0:
        raise ConfigurationError("no variant of the image: expected at least one")
    names = [str(k + 1) for k in range(n)] if titles is None else list(titles)
    check_length("titles", len(names), n)
    figure = image_grid(
        [original, *variants],
        titles=["original", *names],
        columns=columns,
        value_range=value_range,
    )
    _frame(figure.axes[0], INK, width=3)
    return figure


@style()
def prediction_gallery(
    images: Any,
    y_true: ArrayLike,
    probabilities: ArrayLike,
    class_names: Sequence[str],
    *,
    columns: int = 6,
) -> SlideFigure:
    r"""Draw images with their label beside what was predicted and how surely.

    A right prediction has a tick and a blue frame, a wrong one a cross and a dashed red one.

    Parameters
    ----------
    images : array or ImageRows of uint8, shape (n, height, width, channels)
        Pixels in 0..255. Up to 18 are readable.
    y_true : array_like of int, shape (n,)
        Labels as positions in `class_names`.
    probabilities : array_like of float, shape (n, classes)
        What the network says of each image; rows sum to 1.
    class_names : sequence of str
        The classes in label order.
    columns : int
        Images in a row.

    Returns
    -------
    SlideFigure

    Raises
    ------
    ConfigurationError
        If the lengths do not match.

    Examples
    --------
    >>> import numpy as np
    >>> faces = np.zeros((2, 48, 48, 1), np.uint8)
    >>> figure = prediction_gallery(faces, [0, 1], [[0.9, 0.1], [0.7, 0.3]], ["fear", "anger"])
    >>> [ax.get_title(loc="center") for ax in figure.axes]
    ['label fear\n✓ fear 90%', 'label anger\n✗ fear 70%']
    """
    y_true, probabilities = np.asarray(y_true), np.asarray(probabilities)
    n = len(images)
    check_length("labels", len(y_true), n)
    if probabilities.shape != (n, len(class_names)):
        raise ConfigurationError(
            f"probabilities of shape {probabilities.shape}: expected {(n, len(class_names))}, "
            "images by classes"
        )
    y_pred = probabilities.argmax(axis=1)
    titles = [
        f"label {class_names[true]}\n{'✓' if true == predicted else '✗'} "
        f"{class_names[predicted]} {row[predicted]:.0%}"
        for true, predicted, row in zip(y_true, y_pred, probabilities, strict=True)
    ]
    figure = image_grid(images, titles=titles, columns=columns)
    for ax, right in zip(figure.axes, y_true == y_pred, strict=False):
        color = BLUE if right else VERMILLION
        ax.title.set(fontsize=SMALL, color=color)
        _frame(ax, color, width=2.5, line="-" if right else "--")
    return figure
