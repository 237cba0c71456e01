"""Small CSV files of labels, read row by row so that an error can say which row it is in."""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emohelpers.datasets._ingest import Faults
from emohelpers.errors import MissingPathError, TableError

__all__ = ["Table", "parse_table", "read_table"]


@dataclass(frozen=True)
class Table:
    """The rows of a CSV file.

    Parameters
    ----------
    where : str
        What to call the file in an error.
    columns : sequence of str
        Their names.
    rows : sequence of (int, sequence of str)
        The number of each row as in the file, counted from 1, and its cells, one for each column.
    """

    where: str
    columns: Sequence[str]
    rows: Sequence[tuple[int, Sequence[str]]]

    def records(self) -> Iterator[tuple[int, Mapping[str, str]]]:
        """Give the number and the cells of each row, by the name of their column."""
        for row, cells in self.rows:
            yield row, dict(zip(self.columns, cells, strict=True))


def parse_table(
    data: bytes,
    where: str,
    faults: Faults,
    *,
    needed: Sequence[str],
    headerless: Sequence[str] = (),
) -> Table:
    r"""Read a CSV file whose lines end in LF, CRLF or a bare CR.

    Parameters
    ----------
    data : bytes
        The content of the file, in UTF-8.
    where : str
        What to call it in an error.
    faults : Faults
        Takes the rows with too many or too few cells.
    needed : sequence of str
        The columns that must be there.
    headerless : sequence of str
        The columns of a file whose first row names none of `needed`; without it such a file is an
        error.

    Returns
    -------
    Table
        Without empty rows.

    Raises
    ------
    TableError
        If the file is empty, is not text, or lacks a column; if a row has another number of cells
        than the first, unless `faults` collects it.

    Examples
    --------
    >>> table = parse_table(b"file,label\ra.png,sad\r", "x.csv", Faults("raise"), needed=["file"])
    >>> list(table.records())
    [(2, {'file': 'a.png', 'label': 'sad'})]
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TableError(f"{where} is not text in UTF-8 ({error}): expected a CSV") from None
    reader = csv.reader(re.split(r"\r\n|\r|\n", text), strict=True)
    try:
        rows = [(reader.line_num, cells) for cells in reader if any(cells)]
    except csv.Error as error:
        raise TableError(f"{where}, row {reader.line_num}: {error}: expected a CSV") from None
    if not rows:
        raise TableError(f"{where} is empty: expected columns {', '.join(needed)}")
    header = [cell.strip().lower() for cell in rows[0][1]]
    if headerless and not set(header) & set(needed):
        columns = list(headerless)
    else:
        columns, rows = header, rows[1:]
        missing = [name for name in needed if name not in columns]
        if missing or len(set(columns)) != len(columns):
            raise TableError(
                f"{where} has columns {', '.join(columns)}: expected {', '.join(needed)}, each once"
            )
    return Table(where, columns, list(_well_formed(rows, columns, where, faults)))


def _well_formed(
    rows: Sequence[tuple[int, Sequence[str]]], columns: Sequence[str], where: str, faults: Faults
) -> Iterator[tuple[int, Sequence[str]]]:
    for row, cells in rows:
        if len(cells) == len(columns):
            yield row, cells
        else:
            faults.add(
                f"row {row} of {where}",
                TableError(
                    f"{where}, row {row}: {len(cells)} cells ({','.join(cells)[:80]}): expected "
                    f"{len(columns)}: {', '.join(columns)}"
                ),
            )


def read_table(path: Path, faults: Faults, *, needed: Sequence[str]) -> Table:
    """Read a CSV file from disk.

    Parameters
    ----------
    path : Path
        The file.
    faults, needed
        As in `parse_table`.

    Returns
    -------
    Table
        Without empty rows.

    Raises
    ------
    MissingPathError
        If there is no such file.
    TableError
        As `parse_table` does.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingPathError(
            f"{path} can not be read ({error.strerror}): expected a CSV"
        ) from None
    return parse_table(data, path.name, faults, needed=needed)
