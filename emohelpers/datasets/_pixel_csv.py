"""Read a CSV that holds images as text, the format of FER2013, at the speed of the disk.

Each row is checked in full, a block of rows at a time: its separators must stand as in the first
row, and then every value is computed at once from the digits before each separator. Only a block
in which anything differs is read again row by row, which finds out what is wrong and where.
"""

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from emohelpers.datasets._ingest import Faults
from emohelpers.errors import TableError

__all__ = ["SIDE", "USAGES", "PixelRows", "has_columns", "read_pixel_csv"]

SIDE = 48
"""Height and width of the images in pixels."""

USAGES = ("Training", "PublicTest", "PrivateTest")
"""What the column ``Usage`` may hold."""

_COLUMNS = ("emotion", "pixels", "Usage")
_CLASSES = 7
_PIXELS = SIDE * SIDE
# About 30 rows: what is computed from them stays in a core's own cache. It is so much longer than
# a row that a block without a line end can only be another kind of file.
_BLOCK = 256 * 1024
_SPACE, _ZERO = 32, 48
_WORDS = {usage.encode(): usage for usage in USAGES}
_DIGITS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class PixelRows:
    """Some rows of the file.

    Parameters
    ----------
    images : ndarray of uint8, shape (k, 48, 48, 1)
        Pixels in 0..255.
    emotions : ndarray of int64, shape (k,)
        In 0..6.
    usages : list of str
        Of `USAGES`.
    numbers : ndarray of int64, shape (k,)
        Which rows of the file they are, the header being 1; empty lines are not counted.
    """

    images: NDArray[np.uint8]
    emotions: NDArray[np.int64]
    usages: list[str]
    numbers: NDArray[np.int64]


def read_pixel_csv(stream: BinaryIO, *, where: str, faults: Faults) -> Iterator[PixelRows]:
    """Read the rows of an open CSV file, some at a time.

    Parameters
    ----------
    stream : binary file
        With the columns ``emotion``, ``pixels`` and ``Usage`` in any order.
    where : str
        What to call the file in an error.
    faults : Faults
        Takes the rows that are not as they should be.

    Yields
    ------
    PixelRows
        At least one row.

    Raises
    ------
    TableError
        If the file is empty, lacks a column or has a line that is too long to be a row; if a row
        is not as it should be, unless `faults` collects it.
    """
    blocks = _whole_lines(stream, where)
    header, block = _read_header(blocks, where)
    reader = _Reader(header, where, faults)
    while block is not None:
        rows = reader.read(block)
        if len(rows.usages):
            yield rows
        block = next(blocks, None)


def has_columns(line: bytes) -> bool:
    """Tell whether a CSV that begins with this line has the columns that are needed."""
    return set(_names(line)) >= {column.lower() for column in _COLUMNS}


def _whole_lines(stream: BinaryIO, where: str) -> Iterator[bytes]:
    """Cut the stream into blocks that end at the end of a line."""
    buffer = bytearray(_BLOCK)
    view = memoryview(buffer)
    filled, position, at_end = 0, 0, False
    while not at_end:
        while filled < _BLOCK and not at_end:
            got = stream.readinto(view[filled:])  # type: ignore[attr-defined]
            at_end = not got
            filled += got
        cut = filled if at_end else buffer.rfind(b"\n", 0, filled) + 1
        if not cut and not at_end:
            raise TableError(
                f"{where} has no line end in the {_BLOCK:,} bytes from byte {position:,}: "
                f"expected a CSV with {_PIXELS:,} pixels a line"
            )
        block = bytes(view[:cut])
        if at_end and block and not block.endswith(b"\n"):
            block += b"\n"
        if block:
            yield block
        position += cut
        view[: filled - cut] = view[cut:filled]
        filled -= cut


def _read_header(blocks: Iterator[bytes], where: str) -> tuple[list[str], bytes | None]:
    """Return the names of the columns and what follows them in the first block."""
    block = next(blocks, b"")
    line, _, rest = block.partition(b"\n")
    names = _names(line)
    if not any(names):
        if line.strip():
            raise TableError(
                f"{where} has the header {line[:60]!r}: expected {','.join(_COLUMNS)} and lines "
                "that end in LF or CRLF"
            )
        raise TableError(f"{where} is empty: expected a header {','.join(_COLUMNS)}")
    missing = [column for column in _COLUMNS if column.lower() not in names]
    if missing:
        raise TableError(
            f"{where} has no column {' and no column '.join(missing)}: expected "
            f"{', '.join(_COLUMNS)}, found {', '.join(names)[:200]}"
        )
    return names, rest or next(blocks, None)


def _names(header: bytes) -> list[str]:
    return [name.lower() for name in _split(header.removeprefix(codecs.BOM_UTF8))]


def _split(line: bytes) -> list[str]:
    """Split a line at its commas as the csv module does, or into nothing that is a column."""
    text = line.decode(errors="replace").strip("\r\n")
    try:
        fields = next(csv.reader([text], skipinitialspace=True, strict=True), [])
        return [field.strip() for field in fields]
    except csv.Error:
        return []


class _Reader:
    """Turns blocks of lines into rows and counts them."""

    def __init__(self, header: Sequence[str], where: str, faults: Faults) -> None:
        self._width = len(header)
        self._columns = [header.index(column.lower()) for column in _COLUMNS]
        self._where, self._faults = where, faults
        self._row = 2
        self._layout: _Layout | None = None

    def read(self, block: bytes) -> PixelRows:
        if self._layout is None:
            self._layout = self._learn(block[: block.index(b"\n") + 1])
        parsed = self._layout.parse(block) if self._layout else None
        if parsed is None:
            return self._read_exactly(block)
        images, emotions, usages = parsed
        numbers = np.arange(self._row, self._row + len(usages))
        self._row += len(usages)
        return PixelRows(images, emotions, usages, numbers)

    def _learn(self, line: bytes) -> "_Layout | None":
        """Learn the layout of the file from a row, if that reads the same in both ways."""
        layout = _Layout.of(line, self._columns, self._width)
        parsed = layout.parse(line) if layout else None
        if parsed is None:
            return None
        images, emotions, usages = parsed
        try:
            same = self._read_row(line) == (emotions[0], images.tobytes(), usages[0])
        except TableError:
            return None
        return layout if same else None

    def _read_exactly(self, block: bytes) -> PixelRows:
        pixels, emotions, usages, numbers = [], [], [], []
        for line in filter(bytes.strip, block.split(b"\n")):
            try:
                emotion, values, usage = self._read_row(line)
            except TableError as error:
                self._faults.add(f"row {self._row}", error)
            else:
                emotions.append(emotion)
                pixels.append(values)
                usages.append(usage)
                numbers.append(self._row)
            self._row += 1
        images = np.frombuffer(b"".join(pixels), np.uint8).reshape(-1, SIDE, SIDE, 1)
        return PixelRows(images, np.array(emotions, np.int64), usages, np.array(numbers, np.int64))

    def _read_row(self, line: bytes) -> tuple[int, bytes, str]:
        at = f"{self._where}, row {self._row}"
        fields = _split(line)
        if len(fields) != self._width:
            raise TableError(
                f"{at} has {len(fields)} columns: expected {self._width} as in the header"
            )
        emotion, pixels, usage = (fields[column] for column in self._columns)
        if not _DIGITS.fullmatch(emotion) or int(emotion) >= _CLASSES:
            raise TableError(f"{at} has emotion {emotion[:20]!r}: expected 0 to {_CLASSES - 1}")
        if usage not in USAGES:
            raise TableError(f"{at} has Usage {usage[:20]!r}: expected {', '.join(USAGES)}")
        values = pixels.split()
        for place, value in enumerate(values, 1):
            if not _DIGITS.fullmatch(value) or int(value) > 255:
                raise TableError(f"{at} has {value[:20]!r} as pixel {place:,}: expected 0 to 255")
        if len(values) != _PIXELS:
            raise TableError(
                f"{at} has {len(values):,} pixels: expected {_PIXELS:,} ({SIDE}x{SIDE})"
            )
        return int(emotion), bytes(map(int, values)), usage


class _Layout:
    """Where the separators of a row stand; every byte below "0" is one.

    Parameters
    ----------
    line : bytes
        A row with its line end, in which no separator but spaces stands inside a field.
    emotion, pixels, usage : int
        Which separator of a row ends the field (of `pixels`: its first value).
    """

    def __init__(self, line: bytes, *, emotion: int, pixels: int, usage: int) -> None:
        text = np.frombuffer(line, np.uint8)
        ends = np.flatnonzero(text < _ZERO)
        self._marks = text[ends]
        self._special = np.flatnonzero(self._marks != _SPACE)
        self._touching = np.flatnonzero(np.diff(ends) == 1)
        self._emotion, self._pixels, self._usage = emotion, pixels, usage
        self._flags = np.empty((3, _BLOCK + 1), bool)
        self._bytes = np.empty((5, _BLOCK + 1), np.uint8)

    @classmethod
    def of(cls, line: bytes, columns: Sequence[int], width: int) -> "_Layout | None":
        """Learn the layout from a row; None if it has not the usual one."""
        fields = line.rstrip(b"\r\n").split(b",")
        if len(fields) != width or width != len(_COLUMNS) or line.startswith(b'"'):
            return None
        ends, count = [], 0  # which separator ends each field: a quote, where there is one
        for field in fields:
            quoted = field[:1] == field[-1:] == b'"' and len(field) > 1
            ends.append(count + quoted)
            count += sum(byte < _ZERO for byte in field) + 1
        emotion, pixels, usage = (ends[column] for column in columns)
        if fields[columns[1]].count(b" ") != _PIXELS - 1:
            return None
        return cls(line, emotion=emotion, pixels=pixels, usage=usage)

    def parse(self, block: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]] | None:
        """Compute all rows of a block; None if a byte of it is not where the layout has it."""
        text = np.frombuffer(block, np.uint8)
        if len(text) > _BLOCK:
            return None
        ends = self._find_ends(text)
        values = None if ends is None else self._values(text)
        if ends is None or values is None:
            return None
        starts = ends[:, self._usage - 1] + 1 if self._usage else self._line_starts(ends)
        words = [
            block[start:end]
            for start, end in zip(starts.tolist(), ends[:, self._usage].tolist(), strict=True)
        ]
        before = ends[:, self._emotion - 1] + 1 if self._emotion else self._line_starts(ends)
        letters = np.greater(text, _ZERO + 9, out=self._flags[0, : len(text)])
        if (
            not all(word in _WORDS for word in words)
            or np.count_nonzero(letters) != sum(map(len, words))
            or (ends[:, self._emotion] - before != 1).any()
        ):
            return None
        found = values.take(ends)
        emotions = found[:, self._emotion].astype(np.int64)
        if emotions.max() >= _CLASSES:
            return None
        pixels = found[:, self._pixels : self._pixels + _PIXELS]
        return (
            pixels.reshape(-1, SIDE, SIDE, 1),
            emotions,
            [_WORDS[word] for word in words],
        )

    def _line_starts(self, ends: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.concatenate(([0], ends[:-1, -1] + 1))

    def _find_ends(self, text: NDArray[np.uint8]) -> NDArray[np.int64] | None:
        """Find the separators of each row, shape (rows, separators), if all are as expected."""
        n = len(text)
        marks = np.less(text, _ZERO, out=self._flags[0, :n])
        found = np.flatnonzero(marks)
        if len(found) % len(self._marks):
            return None
        ends = found.reshape(-1, len(self._marks))
        touch = np.logical_and(marks[1:], marks[:-1], out=self._flags[1, : n - 1])
        spaces = np.equal(text, _SPACE, out=self._flags[2, :n])
        # With as many spaces as there should be, and something else wherever something else
        # should be, every other separator can only be a space; likewise for those that touch.
        fits = (
            np.count_nonzero(spaces) == len(ends) * (len(self._marks) - len(self._special))
            and (text[ends[:, self._special]] == self._marks[self._special]).all()
            and np.count_nonzero(touch) == len(ends) * len(self._touching)
            and (ends[:, self._touching + 1] - ends[:, self._touching] == 1).all()
        )
        return ends if fits else None

    def _values(self, text: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        """Compute, for each place, the number that ends before it; None if one exceeds 255."""
        n = len(text)
        digit, low, scaled, high, values = (row[:n] for row in self._bytes)
        is_digit, pair, run = (row[:n] for row in self._flags)
        np.subtract(text, _ZERO, out=digit)
        np.less(digit, 10, out=is_digit)
        np.multiply(digit, is_digit.view(np.uint8), out=digit)
        np.multiply(digit, 10, out=scaled)
        low[0] = digit[0]
        np.add(digit[1:], scaled[:-1], out=low[1:])
        np.logical_and(is_digit[1:], is_digit[:-1], out=pair[1:])
        np.logical_and(pair[3:], pair[1:-2], out=run[3:])
        np.multiply(digit[:-2], pair[2:].view(np.uint8), out=high[2:])
        if run[3:].any() or high[2:].max() > 2:
            return None
        values[0] = 0
        np.multiply(high[2:], 100, out=high[2:])
        values[1:3] = low[:2]
        np.add(low[2:-1], high[2:-1], out=values[3:])
        return None if (values[3:] < low[2:-1]).any() else values
