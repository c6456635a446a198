"""Charts as pictures, drawn with OpenCV: enough to see what data and reports hold, without a plotting library."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

_INK, _PAPER, _BAR, _GRID = (40, 40, 40), 255, (31, 119, 180), (225, 225, 225)
_LINES = (
    (31, 119, 180),
    (214, 96, 20),
    (44, 140, 60),
    (148, 80, 180),
    (140, 86, 75),
    (20, 160, 170),
    (200, 60, 120),
    (120, 120, 20),
)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SMALL, _LARGE = 0.42, 0.6
_ROW = 18
_LEGEND_ROW = 20
_MARGIN = 16
_TITLE = 40


def rows_chart(
    title: str, names: Sequence[str], values: Sequence[float], width: int = 900, full: float | None = None
) -> Image:
    """One horizontal bar for each name, with its value behind it (- where it is NaN): RGB uint8 `(H, width, 3)`.

    `full` is the value of the longest bar that could be; None = the largest of the values.
    """
    image = _paper(title, _TITLE + _ROW * len(names) + _MARGIN, width)
    texts = ["-" if value != value else str(value) for value in values]
    left = _MARGIN + max((_text_width(name) for name in names), default=0) + 10
    room = width - left - _MARGIN - max((_text_width(text) for text in texts), default=0) - 8
    largest = full or max([*values, 1])
    for row, (name, value, text) in enumerate(zip(names, values, texts, strict=True)):
        top = _TITLE + row * _ROW
        end = left + (0 if value != value else round(room * value / largest))
        _text(image, name, (left - 10 - _text_width(name), top + 13))
        if end > left:
            cv2.rectangle(image, (left, top + 3), (end, top + _ROW - 3), _BAR, cv2.FILLED)
        _text(image, text, (end + 6, top + 13))
    return image


def columns_chart(
    title: str, axis: str, edges: Sequence[str], values: Sequence[int], width: int = 900, height: int = 420
) -> Image:
    """A histogram: `len(values)` columns between `len(values) + 1` labelled edges: RGB uint8 `(height, width, 3)`."""
    image = _paper(title, height, width)
    left, right, top, bottom = 70, width - _MARGIN - 20, _TITLE + 14, height - 58
    largest = max([*values, 1])
    for value in _ticks(largest):
        y = bottom - round((bottom - top) * value / largest)
        cv2.line(image, (left, y), (right, y), _GRID)
        _text(image, str(value), (left - 8 - _text_width(str(value)), y + 5))
    step = (right - left) / len(values)
    label_every = max(1, round(60 / step))
    for k, value in enumerate(values):
        x = left + round(k * step)
        y = bottom - round((bottom - top) * value / largest)
        if value:
            cv2.rectangle(image, (x + 1, y), (left + round((k + 1) * step) - 1, bottom), _BAR, cv2.FILLED)
    for k in range(0, len(edges), label_every):
        x = left + round(k * step)
        cv2.line(image, (x, bottom), (x, bottom + 4), _INK)
        _text(image, edges[k], (x - _text_width(edges[k]) // 2, bottom + 20))
    cv2.line(image, (left, bottom), (right, bottom), _INK)
    _text(image, axis, ((left + right - _text_width(axis)) // 2, height - 14))
    return image


def unit_chart(title: str, axes: tuple[str, str], curves: Mapping[str, Sequence[tuple[float, float]]]) -> Image:
    """Curves through points x, y of 0 to 1, and the diagonal that they are held against: RGB uint8 `(520, 620, 3)`."""
    image = _paper(title, 520, 620)
    left, top, side = 70, _TITLE + 24, 400

    def place(x: float, y: float) -> tuple[int, int]:
        return left + round(side * x), top + round(side * (1 - y))

    for tick in range(0, 11, 2):
        text, value = f"{tick / 10:g}", tick / 10
        cv2.line(image, place(0, value), place(1, value), _GRID)
        cv2.line(image, place(value, 0), place(value, 1), _GRID)
        _text(image, text, (left - 10 - _text_width(text), place(0, value)[1] + 5))
        _text(image, text, (place(value, 0)[0] - _text_width(text) // 2, top + side + 18))
    cv2.line(image, place(0, 0), place(1, 1), (160, 160, 160), 1, cv2.LINE_AA)
    _text(image, axes[0], (left + (side - _text_width(axes[0])) // 2, top + side + 42))
    _text(image, axes[1], (_MARGIN, top - 12))
    for k, (name, points) in enumerate(curves.items()):
        color = _LINES[k % len(_LINES)]
        corners = [place(x, y) for x, y in points]
        for start, end in pairwise(corners):
            cv2.line(image, start, end, color, 2, cv2.LINE_AA)
        for corner in corners:
            cv2.circle(image, corner, 4, color, cv2.FILLED, cv2.LINE_AA)
        cv2.line(image, (left + side + 16, top + 20 * k + 6), (left + side + 36, top + 20 * k + 6), color, 2)
        _text(image, name, (left + side + 42, top + 20 * k + 10))
    return image


def lines_chart(
    title: str,
    axis: str,
    curves: Mapping[str, Sequence[tuple[float, float]]],
    width: int = 900,
    height: int = 460,
) -> Image:
    """Curves through points x, y of 0 and more, with a legend beside them: RGB uint8 `(H, width, 3)`, `height` px high
    or as high as the legend needs.
    """
    height = max(height, _TITLE + 14 + _LEGEND_ROW * len(curves))
    image = _paper(title, height, width)
    legend = max((_text_width(name) for name in curves), default=0) + 50
    left, right, top, bottom = 60, width - _MARGIN - legend, _TITLE + 14, height - 58
    corners = [corner for points in curves.values() for corner in points]
    widest, highest = (max((value[k] for value in corners), default=0) or 1 for k in (0, 1))

    def place(x: float, y: float) -> tuple[int, int]:
        return left + round((right - left) * x / widest), bottom - round((bottom - top) * y / highest)

    for value in _ticks(max(1, round(highest))):
        cv2.line(image, place(0, value), place(widest, value), _GRID)
        _text(image, str(value), (left - 8 - _text_width(str(value)), place(0, value)[1] + 5))
    for value in _ticks(max(1, round(widest))):
        x = place(value, 0)[0]
        cv2.line(image, (x, bottom), (x, bottom + 4), _INK)
        _text(image, str(value), (x - _text_width(str(value)) // 2, bottom + 20))
    cv2.line(image, (left, bottom), (right, bottom), _INK)
    _text(image, axis, ((left + right - _text_width(axis)) // 2, height - 14))
    for k, (name, points) in enumerate(curves.items()):
        color = _line_color(k, len(curves))
        for start, end in pairwise(points):
            cv2.line(image, place(*start), place(*end), color, 2, cv2.LINE_AA)
        for corner in points:  # a curve may have but one
            cv2.circle(image, place(*corner), 4, color, cv2.FILLED, cv2.LINE_AA)
        y = top + _LEGEND_ROW * k
        cv2.line(image, (right + 16, y), (right + 36, y), color, 2)
        _text(image, name, (right + 42, y + 4))
    return image


def _line_color(number: int, count: int) -> tuple[int, int, int]:
    """The colour of a curve, of those that are easily told apart, or of a colour wheel where these are too few."""
    if count <= len(_LINES):
        return _LINES[number]
    turn = number / count
    red, green, blue = colorsys.hsv_to_rgb(turn, 1.0, (0.85, 0.55)[number % 2])
    return round(255 * red), round(255 * green), round(255 * blue)


def _paper(title: str, height: int, width: int) -> Image:
    image = np.full((height, width, 3), _PAPER, np.uint8)
    _text(image, title, (_MARGIN, 26), _LARGE)
    return image


def _ticks(largest: int, wanted: int = 5) -> list[int]:
    """Round values from 0 to `largest`."""
    step = next(
        digit * 10**power for power in range(20) for digit in (1, 2, 5) if digit * 10**power * wanted >= largest
    )
    return list(range(0, largest + 1, step))


def _text(image: Image, text: str, origin: tuple[int, int], size: float = _SMALL) -> None:
    printable = text.encode("ascii", "replace").decode()  # the Hershey fonts have no other letters
    cv2.putText(image, printable, origin, _FONT, size, _INK, 1, cv2.LINE_AA)


def _text_width(text: str) -> int:
    return int(cv2.getTextSize(text, _FONT, _SMALL, 1)[0][0])
