"""Face data sets: loaders that all return a `FaceDataset`, and a generator of toy faces.

>>> from emohelpers import datasets
>>> faces = datasets.load("toyfaces")
>>> faces.images.shape
(6000, 48, 48, 1)

`load` knows ``toyfaces`` and ``learnedfaces`` (built in), ``fer2013``, ``facial_expressions``,
``utkface`` and ``folders``; `SOURCES` and `describe` say what each is and how it is had, `fetch`
downloads what may be downloaded, `check` reports on what lies on disk and `report_on` on what is
loaded. `assign_fold` divides a set by person, `near_duplicates` finds copies of one photograph.
"""

import inspect
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from emohelpers.datasets._base import EMOTIONS, FaceDataset
from emohelpers.errors import ConfigurationError, MissingPathError

if TYPE_CHECKING:
    from emohelpers.datasets._check import check, report_on
    from emohelpers.datasets._fetch import fetch
    from emohelpers.datasets._folds import assign_fold, person_groups
    from emohelpers.datasets._registry import SOURCES, describe
    from emohelpers.datasets._similar import near_duplicates
    from emohelpers.datasets.learnedfaces import make_learned_faces
    from emohelpers.datasets.toyfaces import make_faces

__all__ = [
    "EMOTIONS",
    "SOURCES",
    "FaceDataset",
    "assign_fold",
    "check",
    "describe",
    "fetch",
    "load",
    "make_faces",
    "make_learned_faces",
    "near_duplicates",
    "person_groups",
    "report_on",
]

# Resolved when first used: most notebooks load one set and need no other module.
_HOMES = {
    "SOURCES": "_registry",
    "assign_fold": "_folds",
    "check": "_check",
    "describe": "_registry",
    "fetch": "_fetch",
    "make_faces": "toyfaces",
    "make_learned_faces": "learnedfaces",
    "near_duplicates": "_similar",
    "person_groups": "_folds",
    "report_on": "_check",
}
_LOADERS = ("toyfaces", "fer2013", "facial_expressions", "utkface", "folders", "learnedfaces")
_BUILT_IN = ("toyfaces", "learnedfaces")
_COMMON = frozenset({"path", "size", "color", "cache", "on_error"})
_SMALLEST, _LARGEST = 8, 4096


def load(
    name: str,
    path: str | os.PathLike[str] | None = None,
    *,
    size: int | tuple[int, int] | None = None,
    color: bool | None = None,
    cache: str | os.PathLike[str] | None = None,
    on_error: Literal["raise", "skip"] = "raise",
    **options: Any,
) -> FaceDataset:
    """Load a data set; the first time builds a cache on disk, later times map it.

    Parameters
    ----------
    name : {"toyfaces", "fer2013", "facial_expressions", "utkface", "folders", "learnedfaces"}
        Which set.
    path : path-like, optional
        The CSV, folder or archive, wherever it lies; None for what lies in ``datasets`` of the
        working folder. ``toyfaces`` and ``learnedfaces`` need none.
    size : int or (int, int), optional
        Side, or height and width, of the images in pixels; None for the source's own.
    color : bool, optional
        True for 3 channels (red, green, blue), False for 1 (grey), None for the source's own.
    cache : path-like, optional
        The folder of all caches; None for the user's own.
    on_error : {"raise", "skip"}
        Whether a bad row or image is an error, or is left out and listed in ``skipped``.
    **options
        Of the set: ``votes`` (fer2013), ``legend`` (facial_expressions), ``labels`` (utkface),
        those of `make_faces` (toyfaces) and of `make_learned_faces` (learnedfaces).

    Returns
    -------
    FaceDataset
        Images uint8 in 0..255 of shape (n, height, width, channels), memory-mapped.

    Raises
    ------
    ConfigurationError
        If the name, the size or an option is not known.
    MissingPathError
        If nothing is at `path`.
    TableError, ArchiveError, ImageError, LabelError
        If the source holds something else than its format asks for.
    CacheError
        If the cache can not be written.

    Examples
    --------
    >>> faces = load("toyfaces")
    >>> faces.split("train").images.shape[1:]
    (48, 48, 1)
    """
    if name not in _LOADERS:
        raise ConfigurationError(
            f"unknown data set {name!r}: expected one of {', '.join(_LOADERS)}"
        )
    if on_error not in ("raise", "skip"):
        raise ConfigurationError(f"on_error={on_error!r}: expected 'raise' or 'skip'")
    if path is None and name not in _BUILT_IN:
        path = import_module(f"{__name__}._registry").locate(name)
        if path is None:
            raise MissingPathError(
                f"no path was given for {name} and datasets/ does not hold it: expected where it "
                f"lies on disk; 'emohelpers data fetch {name}' says how it is had"
            )
    loader = import_module(f"{__name__}.{name}").load
    _check_options(name, loader, options)
    return loader(
        path, size=_height_width(size), color=color, cache=cache, on_error=on_error, **options
    )


def _height_width(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(sides) != 2 or not all(
        isinstance(side, int) and _SMALLEST <= side <= _LARGEST for side in sides
    ):
        raise ConfigurationError(
            f"size={size!r}: expected pixels as one integer or (height, width), "
            f"{_SMALLEST} to {_LARGEST}"
        )
    return sides[0], sides[1]


def _check_options(name: str, loader: Any, options: dict[str, Any]) -> None:
    parameters = inspect.signature(loader).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    known = [option for option in parameters if option not in _COMMON]
    unknown = [option for option in options if option not in known]
    if unknown:
        raise ConfigurationError(
            f"{name} has no option {', '.join(unknown)}: expected "
            f"{' or '.join(known) if known else 'none'}"
        )


def __getattr__(attribute: str) -> Any:
    if attribute in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[attribute]}"), attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
