"""Which photos: found below folders, and listed on disk, where a million take no memory."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import NamedTuple

from emohelpers._replacing import replacing
from emohelpers.datasets._images import IMAGE_SUFFIXES
from emohelpers.errors import MissingPathError

__all__ = ["Listed", "Listing", "Paths", "walk"]

# A row group is what is read at once; parts of a table take a whole share of it.
_GROUP = 4096

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class Listed(NamedTuple):
    """A photo's path, and what it is called below the folder that was named."""

    file: str
    below: str


def walk(paths: Paths, *, without: str | os.PathLike[str] | None = None) -> Iterator[Listed]:
    """Yield the photos of folders and the folders in them, sorted within each, none of them twice.

    Parameters
    ----------
    paths : path, or sequence of paths
        Of a folder, or of folders and photos.
    without : path, optional
        A folder to leave out.

    Yields
    ------
    Listed
        A folder that may not be listed is yielded as a photo that can not be read: its photos
        are not to be lost without a word.

    Raises
    ------
    MissingPathError
        If one of `paths` is not there, or there is no photo.
    """
    starts = [Path(paths)] if isinstance(paths, str | os.PathLike) else [Path(p) for p in paths]
    for start in starts:
        if not (start.is_file() or start.is_dir()):
            raise MissingPathError(f"no file or folder {start}: expected photos")
    own = Path(without).resolve() if without is not None else None
    seen: set[Path] = set()
    found = False
    for start in starts:
        for photo in _below(start, seen, own):
            found = True
            yield photo
        seen.add(start)
    if not found:
        raise MissingPathError(
            f"no photos in {', '.join(map(str, starts)) or 'no folder'}: expected files that end "
            f"in {', '.join(IMAGE_SUFFIXES)}"
        )


def _below(start: Path, seen: set[Path], own: Path | None) -> Iterator[Listed]:
    """Yield the photos below one path but for those below the paths that were `seen` before."""
    covered = start in seen or not seen.isdisjoint(start.parents)
    if start.is_file():
        if start not in seen and not (covered and _is_photo(start.name)):
            yield Listed(str(start), start.name)
        return
    if covered:
        return
    closed: list[OSError] = []
    for folder, folders, files in os.walk(start, onerror=closed.append):
        here = Path(folder)
        folders[:] = sorted(
            name for name in folders if here / name not in seen and (here / name).resolve() != own
        )
        # A million paths joined as text take a third of the time.
        head, below = (
            "" if path == Path() else str(path) for path in (here, here.relative_to(start))
        )
        for name in sorted(filter(_is_photo, files)):
            if not seen or here / name not in seen:
                yield Listed(os.path.join(head, name), os.path.join(below, name))  # noqa: PTH118
    for error in closed:
        place = Path(error.filename)
        yield Listed(str(place), str(place.relative_to(start)))


def _is_photo(name: str) -> bool:
    return name.lower().endswith(IMAGE_SUFFIXES)


class Listing:
    """The photos of one table, in the order of its rows, in a Parquet file.

    Parameters
    ----------
    place : Path
        Of the file, which `write` left.

    Attributes
    ----------
    rows : int
        How many photos, with those that are gone.
    """

    def __init__(self, place: Path) -> None:
        import pyarrow.parquet as pq

        self._place = place
        metadata = pq.read_metadata(place)
        self.rows: int = metadata.num_rows
        self._groups: int = metadata.num_row_groups
        self._last: tuple[int, list[Listed | None]] = (-1, [])

    @classmethod
    def write(cls, photos: Iterable[Listed | None], place: Path) -> "Listing":
        """List photos anew; None is one that is gone."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        # Names are bytes where files come from, and not always text.
        schema = pa.schema([("file", pa.binary()), ("below", pa.binary())])
        rest = iter(photos)
        with replacing(place) as beside, pq.ParquetWriter(beside, schema) as writer:
            while group := list(islice(rest, _GROUP)):
                rows = [
                    {"file": os.fsencode(photo.file), "below": os.fsencode(photo.below)}
                    if photo is not None
                    else {"file": None, "below": None}
                    for photo in group
                ]
                writer.write_table(pa.Table.from_pylist(rows, schema=schema))
        return cls(place)

    def __iter__(self) -> Iterator[Listed | None]:
        """Yield the photos, and None for those that are gone."""
        for group in range(self._groups):
            yield from self._group(group)

    def rows_from(self, start: int, stop: int) -> list[Listed | None]:
        """Return some of them, which lie in one group of rows."""
        group, first = divmod(start, _GROUP)
        return self._group(group)[first : first + stop - start]

    def agrees(self, photos: Iterable[Listed]) -> bool:
        """Say whether these are the photos, in this order."""
        return all(mine == other for mine, other in zip_longest(self, photos))

    def renew(
        self, here: Mapping[str, Listed], came: Iterable[Listed], keeps: Callable[[int], bool]
    ) -> "Listing":
        """List what there is now: what came is added, what is gone is marked unless it is kept.

        Parameters
        ----------
        here : dict of str to Listed
            All photos that are there, by their files.
        came : iterable of Listed
            Those of them that are not listed.
        keeps : callable
            Takes the number of a row and says whether it is kept.
        """
        rows = (
            photo if photo is not None and (photo.file in here or keeps(row)) else None
            for row, photo in enumerate(self)
        )
        return self.write(chain(rows, came), self._place)

    def _group(self, group: int) -> list[Listed | None]:
        import pyarrow.parquet as pq

        if group != self._last[0]:
            with pq.ParquetFile(self._place) as file:
                columns = file.read_row_group(group).to_pydict()
            rows = [
                None if file is None else Listed(os.fsdecode(file), os.fsdecode(below))
                for file, below in zip(columns["file"], columns["below"], strict=True)
            ]
            self._last = group, rows
        return self._last[1]
