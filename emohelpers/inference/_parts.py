"""A table on disk in parts, each of which is there whole or not at all."""

import contextlib
import csv
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from emohelpers._replacing import replacing
from emohelpers.errors import ConfigurationError
from emohelpers.inference._listing import Listed, Listing
from emohelpers.inference._table import append_csv, write_table

__all__ = ["Parts", "problems_file"]

# Readers of Parquet folders pass over names that begin so.
_BEGUN, _LISTING, _PROBLEMS = "_begun.json", "_photos.parquet", "_problems.csv"

_LEAST, _MOST, _FEW = 64, 4096, 1000
_TRIES = 3


def problems_file(out: str | os.PathLike[str]) -> Path:
    """Return the place of the list of the photos that could not be read.

    Parameters
    ----------
    out : path
        Of the table, a file or a folder of parts.

    Returns
    -------
    Path
        Of a CSV with the columns ``file`` and ``problem``, which is there where there are such
        photos.

    Examples
    --------
    >>> problems_file("faces").as_posix(), problems_file("faces.csv").as_posix()
    ('faces/_problems.csv', 'faces.problems.csv')
    """
    place = Path(out)
    return place.with_suffix(".problems.csv") if place.suffix else place / _PROBLEMS


class Parts:
    """The parts of a table of photos, in a folder, and the list of the photos.

    A part holds the rows of so many photos, which its number says: whoever makes it, once or
    again, makes the same. It is written beside its place and moved there.

    Parameters
    ----------
    folder : Path
        One that `begin` left; other processes, on this machine or another, may have it open, too.

    Attributes
    ----------
    folder : Path
        As above.
    listing : Listing
        The photos.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        begun = json.loads((folder / _BEGUN).read_text(encoding="utf-8"))
        self._settings, self._size = begun["settings"], begun["photos_in_a_part"]
        self.listing = Listing(folder / _LISTING)

    @classmethod
    def begin(
        cls,
        folder: Path,
        photos: Callable[[], Iterator[Listed]],
        settings: dict[str, Any],
        *,
        anew: bool = False,
    ) -> "Parts":
        """Begin a table, or go on with one that was begun alike.

        Parameters
        ----------
        folder : Path
            New or empty, or begun before.
        photos : callable
            Yields the photos that there are, each time in the same order.
        settings : dict
            What the rows depend on besides the photos.
        anew : bool
            Forget what was done.

        Raises
        ------
        ConfigurationError
            If the folder holds other things, or was begun with other settings or photos.
        """
        from emohelpers import publishing

        how = folder / _BEGUN
        if folder.exists() and not cls.begun(folder):
            theirs = not folder.is_dir() or any(
                not path.name.startswith((".", "_")) for path in folder.iterdir()
            )
            if theirs:
                raise ConfigurationError(
                    f"{folder} exists and holds other things: expected a new or an empty folder"
                )
        if anew and cls.begun(folder):
            how.unlink()
            for path in (*folder.glob("part-*.parquet"), folder / _PROBLEMS):
                path.unlink(missing_ok=True)
        if cls.begun(folder):
            parts = cls(folder)
            parts._go_on(photos, settings)
            return parts
        folder.mkdir(parents=True, exist_ok=True)
        rows = Listing.write(photos(), folder / _LISTING).rows
        # Few photos are in parts of a batch, so that a stop costs little, and many in few files.
        size = _LEAST
        while size < _MOST and rows > _FEW * size:
            size *= 2
        publishing.write(how, json.dumps({"photos_in_a_part": size, "settings": settings}))
        return cls(folder)

    @staticmethod
    def begun(folder: Path) -> bool:
        """Say whether a folder was begun."""
        return (folder / _BEGUN).is_file()

    def _go_on(self, photos: Callable[[], Iterator[Listed]], settings: dict[str, Any]) -> None:
        if self._settings != settings:
            differing = [name for name in settings if self._settings.get(name) != settings[name]]
            raise ConfigurationError(
                f"{self.folder} was begun with other {', '.join(differing)}: expected the same, "
                "or to be told to begin anew"
            )
        for path in self.folder.glob(".part-*"):  # of processes that were killed
            path.unlink(missing_ok=True)
        if not self.listing.agrees(photos()):
            self._renew({photo.file: photo for photo in photos()})

    def _renew(self, here: dict[str, Listed]) -> None:
        """Take photos in and out of the list; this takes memory for all names."""
        listed = {photo.file for photo in self.listing if photo is not None}
        if listed.isdisjoint(here):
            raise ConfigurationError(
                f"{self.folder} was begun with other photos than {next(iter(here))}: expected "
                "some of the same, or to be told to begin anew"
            )
        came = [photo for file, photo in here.items() if file not in listed]
        last, rest = divmod(self.listing.rows, self._size)
        if came and rest:
            self._place(last).unlink(missing_ok=True)  # it gets more photos
        done = set(range(len(self))).difference(self.missing())
        self.listing = self.listing.renew(here, came, lambda row: row // self._size in done)

    def __len__(self) -> int:
        """Return how many parts there will be."""
        return -(-self.listing.rows // self._size)

    def _place(self, number: int) -> Path:
        return self.folder / f"part-{number:06d}.parquet"

    def missing(self) -> list[int]:
        """Return the numbers of the parts that are not there."""
        return [number for number in range(len(self)) if not self._is_whole(number)]

    def _is_whole(self, number: int) -> bool:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:  # a power cut may leave a file of which nothing is written
            pq.read_metadata(self._place(number))
        except (OSError, pa.ArrowInvalid):
            return False
        return True

    def photos(self, number: int) -> list[Listed]:
        """Return the photos of a part."""
        start = number * self._size
        rows = self.listing.rows_from(start, min(start + self._size, self.listing.rows))
        return [photo for photo in rows if photo is not None]

    def write(self, number: int, table: pd.DataFrame) -> None:
        """Put a part into its place."""
        write_table(table, self._place(number))

    @contextlib.contextmanager
    def trying(self, number: int) -> Iterator[None]:
        """Count on disk how often a part is begun, and refuse one that nobody lives to end.

        Raises
        ------
        ConfigurationError
            If it was begun three times since `begin`.
        """
        tries = self.folder / f".part-{number:06d}.tries"
        if tries.exists() and tries.stat().st_size >= _TRIES:
            photos = self.photos(number)
            raise ConfigurationError(
                f"{_TRIES} workers died over the photos from {photos[0].file} to "
                f"{photos[-1].file}: expected memory enough for them, and none that kills its "
                "decoder; predict these alone, without workers, to see which"
            )
        with tries.open("ab") as file:
            file.write(b".")
        try:
            yield
        finally:
            tries.unlink(missing_ok=True)

    def tables(self) -> Iterator[pd.DataFrame]:
        """Yield the parts, one in memory at a time."""
        for number in range(len(self)):
            yield pd.read_parquet(self._place(number))

    def finish(self) -> dict[str, int]:
        """Count what all parts hold, and list the photos that could not be read."""
        counts = dict.fromkeys(("photos", "faces", "without_face", "unreadable"), 0)
        problems = self.folder / _PROBLEMS
        with replacing(problems) as beside, beside.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(["file", "problem"])
            for number in range(len(self)):
                place = self._place(number)
                table = pd.read_parquet(place, columns=["file", "face", "problem"])
                nobody = table["problem"] == "no face"
                bad = table[table["problem"].notna() & ~nobody.fillna(False)]
                rows.writerows(bad[["file", "problem"]].itertuples(index=False))
                counts["photos"] += table["file"].nunique()
                counts["faces"] += int(table["face"].notna().sum())
                counts["without_face"] += int(nobody.sum())
                counts["unreadable"] += len(bad)
        if not counts["unreadable"]:
            problems.unlink()
        return counts

    def join(self, out: Path) -> None:
        """Write all parts as one table, and its list of problems beside it; remove the parts."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        writer: Any = None
        with replacing(out) as beside, contextlib.ExitStack() as opened:
            for number, table in enumerate(self.tables()):
                if out.suffix == ".csv":
                    append_csv(table, beside, first=number == 0)
                    continue
                rows = pa.Table.from_pandas(table, preserve_index=False)
                if writer is None:
                    writer = opened.enter_context(pq.ParquetWriter(beside, rows.schema))
                writer.write_table(rows)
        problems = self.folder / _PROBLEMS
        problems_file(out).unlink(missing_ok=True)
        if problems.exists():
            problems.replace(problems_file(out))
        shutil.rmtree(self.folder)
