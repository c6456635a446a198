"""Bar charts as pictures, drawn with OpenCV: enough to see what a data set holds, without a plotting library."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

_INK, _PAPER, _BAR, _GRID = (40, 40, 40), 255, (31, 119, 180), (225, 225, 225)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_SMALL, _LARGE = 0.42, 0.6
_ROW = 18
_MARGIN = 16
_TITLE = 40


def rows_chart(title: str, names: Sequence[str], values: Sequence[int], width: int = 900) -> Image:
    """One horizontal bar for each name, with its value behind it: RGB uint8 `(H, width, 3)`."""
    image = _paper(title, _TITLE + _ROW * len(names) + _MARGIN, width)
    left = _MARGIN + max((_text_width(name) for name in names), default=0) + 10
    room = width - left - _MARGIN - max((_text_width(str(value)) for value in values), default=0) - 8
    largest = max([*values, 1])
    for row, (name, value) in enumerate(zip(names, values, strict=True)):
        top = _TITLE + row * _ROW
        end = left + round(room * value / largest)
        _text(image, name, (left - 10 - _text_width(name), top + 13))
        cv2.rectangle(image, (left, top + 3), (end, top + _ROW - 3), _BAR, cv2.FILLED)
        _text(image, str(value), (end + 6, top + 13))
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
