"""Slides in the house style, by python-pptx, which is imported when a deck is begun."""

import io
import math
import textwrap
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image, UnidentifiedImageError

from emohelpers.errors import ConfigurationError, ImageError

__all__ = ["Slides"]

# In inches. Every slide has the same margins, and its title in the same place.
WIDTH, HEIGHT, MARGIN = 40 / 3, 7.5, 0.5
INNER = WIDTH - 2 * MARGIN
TITLE_TOP, TITLE_HEIGHT = 0.25, 0.75
BODY_TOP = TITLE_TOP + TITLE_HEIGHT + 0.1
BODY_HEIGHT = HEIGHT - MARGIN - BODY_TOP
FINDING_HEIGHT = 0.85
FINDING_TOP = HEIGHT - 0.15 - FINDING_HEIGHT
# In points. Calibri comes with PowerPoint; where it lacks, one of the same widths stands in.
FONT = "Calibri"
TITLE, FINDING, LEAD, TEXT, CELL = 28, 22, 24, 22, 16
# The house colours of emohelpers.plots, which would bring matplotlib along.
BLUE, INK, PALE, WHITE = "0072B2", "262626", "F2F2F2", "FFFFFF"
_LETTER, _LINE = (
    0.46,
    1.22,
)  # how wide a letter of Calibri is as a rule, and how high a line, per size
_DATE = datetime(2000, 1, 1)


class Slides:
    """A deck that is being made, slide by slide.

    Raises
    ------
    ConfigurationError
        If python-pptx is not installed.
    """

    def __init__(self, title: str) -> None:
        try:
            import pptx
        except ImportError as error:
            raise ConfigurationError(
                "python-pptx is not installed: expected pip install 'emohelpers[deck]'"
            ) from error
        self._presentation: Any = pptx.Presentation()
        self._widen()
        properties = self._presentation.core_properties
        properties.title, properties.author = title, "emohelpers"
        # Else the time of making, and the deck would differ each time.
        properties.created = properties.modified = _DATE
        properties.last_modified_by, properties.revision = "emohelpers", 1

    def _widen(self) -> None:
        """Make 16:9 of python-pptx's own template, which is as high but 10 inches wide."""
        presentation = self._presentation
        wider = _length(WIDTH) / presentation.slide_width
        presentation.slide_width, presentation.slide_height = _length(WIDTH), _length(HEIGHT)
        master = presentation.slide_master
        for shape in (shape for page in (master, *master.slide_layouts) for shape in page.shapes):
            # Reading a place that a layout takes from its master would write it down there.
            if shape.element.spPr.xfrm is not None:
                shape.left, shape.width = round(shape.left * wider), round(shape.width * wider)
        _place(master.slide_layouts[5].placeholders[0], TITLE_TOP, TITLE_HEIGHT)
        package = presentation.part.package
        for name, relation in list(package._rels.items()):
            if relation.reltype.endswith("/thumbnail"):  # that of the empty template
                package.drop_rel(name)

    def __len__(self) -> int:
        """Return how many slides there are."""
        return len(self._presentation.slides)

    def _add(self, title: str, notes: str) -> Any:
        slide = self._presentation.slides.add_slide(self._presentation.slide_layouts[5])
        _write(slide.shapes.title.text_frame, [(title, True)], TITLE, INK)
        slide.notes_slide.notes_text_frame.text = notes
        return slide

    def heading(self, title: str, text: str, notes: str) -> None:
        """Add a slide that begins a part: a title and some sentences, on colour."""
        slide = self._add(title, notes)
        slide.background.fill.solid()
        slide.background.fill.fore_color.rgb = _color(BLUE)
        _place(slide.shapes.title, 1.6, 1.9)
        _write(slide.shapes.title.text_frame, [(title, True)], 44, WHITE, anchor="bottom")
        _write(_text_box(slide, 3.7, 2.8), [(text, False)], LEAD, WHITE)

    def figure(self, path: Path, title: str, finding: str, notes: str) -> None:
        """Add a slide with a picture as large as fits, and one line beneath it."""
        width, height = _size(path)
        slide = self._add(title, notes)
        room = FINDING_TOP - BODY_TOP - 0.05
        scale = min(INNER / width, room / height)
        left, top = (WIDTH - width * scale) / 2, BODY_TOP + (room - height * scale) / 2
        picture = slide.shapes.add_picture(
            str(path), _length(left), _length(top), _length(width * scale), _length(height * scale)
        )
        picture.name = path.stem
        picture._element.nvPicPr.cNvPr.set("descr", f"{title}. {finding}")
        frame = _text_box(slide, FINDING_TOP, FINDING_HEIGHT)
        _write(frame, [(finding, False)], FINDING, INK, anchor="middle")

    def table(self, title: str, table: pd.DataFrame, widths: list[float], notes: str) -> None:
        """Add as many slides as a table needs; `widths` are shares of the slide's."""
        inches = [INNER * width / sum(widths) for width in widths]
        heading = list(map(str, table.columns))
        lines = table.astype(str).to_numpy().tolist()
        heights = [_row_height(line, inches) for line in lines]
        pages = _pages(heights, BODY_HEIGHT - _row_height(heading, inches))
        for number, page in enumerate(pages, 1):
            counted = f"{title} ({number} of {len(pages)})" if len(pages) > 1 else title
            self._table_page(counted, [heading, *lines[page]], inches, notes)

    def _table_page(
        self, title: str, lines: list[list[str]], inches: list[float], notes: str
    ) -> None:
        from pptx.enum.text import MSO_ANCHOR

        heights = [_row_height(line, inches) for line in lines]
        place = map(_length, (MARGIN, BODY_TOP, INNER, sum(heights)))
        shapes = self._add(title, notes).shapes
        frame = shapes.add_table(len(lines), len(inches), *place)
        frame._element.nvGraphicFramePr.cNvPr.set("descr", title)
        for column, width in zip(frame.table.columns, inches, strict=True):
            column.width = _length(width)
        for number, (line, row) in enumerate(zip(lines, frame.table.rows, strict=True)):
            row.height = _length(heights[number])
            fill, color = (PALE if number % 2 else WHITE, INK) if number else (BLUE, WHITE)
            for text, cell in zip(line, row.cells, strict=True):
                cell.fill.solid()
                cell.fill.fore_color.rgb = _color(fill)
                cell.margin_top = cell.margin_bottom = _length(0.03)
                _write(cell.text_frame, [(text, not number)], CELL, color)
                cell.vertical_anchor = MSO_ANCHOR.MIDDLE

    def items(self, title: str, items: tuple[tuple[str, str], ...], notes: str) -> None:
        """Add as many slides as paragraphs need, each of a lead in bold and the rest."""
        heights = [_height(f"{lead} {rest}", INNER - 0.2, TEXT) + 0.2 for lead, rest in items]
        for page in _pages(heights, BODY_HEIGHT):
            frame = _text_box(self._add(title, notes), BODY_TOP, BODY_HEIGHT)
            for number, (lead, rest) in enumerate(items[page]):
                if number:
                    frame.add_paragraph()
                runs = [(lead, True), (f" {rest}" if lead else rest, False)]
                _write(frame, runs, TEXT, INK, paragraph=number)
                frame.paragraphs[number].space_after = _points(14)

    def content(self) -> bytes:
        """Return the deck as a file, which has the same bytes each time."""
        buffer, fixed = io.BytesIO(), io.BytesIO()
        self._presentation.save(buffer)
        # The members of a zip file bear the time at which they were written.
        with zipfile.ZipFile(buffer) as made, zipfile.ZipFile(fixed, "w") as archive:
            for name in made.namelist():
                member = zipfile.ZipInfo(name)
                member.compress_type = zipfile.ZIP_DEFLATED
                member.create_system = 0
                archive.writestr(member, made.read(name))
        return fixed.getvalue()


def _length(inches: float) -> Any:
    from pptx.util import Inches

    return Inches(inches)


def _points(points: float) -> Any:
    from pptx.util import Pt

    return Pt(points)


def _color(name: str) -> Any:
    from pptx.dml.color import RGBColor

    return RGBColor.from_string(name)


def _place(shape: Any, top: float, height: float) -> None:
    """Let a shape reach from margin to margin."""
    shape.left, shape.top = _length(MARGIN), _length(top)
    shape.width, shape.height = _length(INNER), _length(height)


def _text_box(slide: Any, top: float, height: float) -> Any:
    box = slide.shapes.add_textbox(*map(_length, (MARGIN, top, INNER, height)))
    box.text_frame.word_wrap = True
    return box.text_frame


def _write(
    frame: Any,
    runs: list[tuple[str, bool]],
    size: int,
    color: str,
    *,
    paragraph: int = 0,
    anchor: str = "",
) -> None:
    """Write texts, each bold or not, into a paragraph in place of what stands there."""
    from pptx.enum.text import MSO_ANCHOR, PP_ALIGN

    place = frame.paragraphs[paragraph]
    place.clear()
    place.alignment = PP_ALIGN.LEFT
    if anchor:
        frame.vertical_anchor = MSO_ANCHOR[anchor.upper()]
    for text, bold in runs:
        run = place.add_run()
        run.text = text
        run.font.name, run.font.size, run.font.bold = FONT, _points(size), bold
        run.font.color.rgb = _color(color)


def _size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            if image.format != "PNG":
                raise ImageError(f"{path} is {image.format}: expected a PNG")
            return image.size
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path} can not be read as a picture: {error}") from error


def _pages(heights: list[float], room: float) -> list[slice]:
    """Divide rows into as few pages as hold them, about equally full."""
    least = max(1, math.ceil(sum(heights) / room))
    starts, height = [0], 0.0
    for row, needed in enumerate(heights):
        full = height + needed > room or height + needed / 2 > sum(heights) / least
        if row > starts[-1] and full:
            starts.append(row)
            height = 0.0
        height += needed
    return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(heights)], strict=True)]


def _row_height(line: list[str], inches: list[float]) -> float:
    """Return what a row of a table needs: the lines of its fullest cell."""
    cells = zip(line, inches, strict=True)
    return 0.1 + max(_height(text, width - 0.2, CELL) for text, width in cells)


def _height(text: str, width: float, size: int) -> float:
    """Return about how high a text is that is broken into lines of some width, in inches."""
    lines = textwrap.wrap(text, max(1, int(width * 72 / (size * _LETTER))))
    return max(len(lines), 1) * size * _LINE / 72
