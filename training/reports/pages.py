"""Sections as Markdown, and as one self-contained HTML page: no script, no link, pictures inside."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import SaomError
from saom_ros.image_files import write_atomically

_WIDEST = 1400
"""Pictures are scaled down to this many pixels, so that a page stays a few megabytes."""
_JPEG_QUALITY = 88
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1100px; margin: 2em auto; padding: 0 1em; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2em; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15em .8em; border-bottom: 1px solid #e4e4e4; text-align: right; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #888; }
figure { margin: 1em 0; } img { max-width: 100%; height: auto; } figcaption { color: #666; font-size: 90%; }
"""


@dataclass(frozen=True)
class Picture:
    """A picture of a report, RGB uint8 (H, W, 3), and the line below it."""

    caption: str
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Section:
    """A part of a report: paragraphs, then a table (header first), then pictures."""

    title: str
    paragraphs: Sequence[str] = ()
    table: Sequence[Sequence[str]] = ()
    pictures: Sequence[Picture] = ()


def markdown_page(title: str, sections: Sequence[Section]) -> str:
    """Title, text and tables; Markdown cannot hold pictures, so it has none, nor sections of nothing else."""
    lines = [f"# {title}", ""]
    for section in sections:
        if not section.table and section.pictures:
            continue
        lines += [f"## {section.title}", ""]
        for paragraph in section.paragraphs:
            lines += [paragraph, ""]
        if section.table:
            lines += [markdown_table(section.table), ""]
    return "\n".join(lines).rstrip() + "\n"


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """An aligned table; the first row is its header, the first column is aligned left, the others right."""
    cells = [[text.replace("|", "\\|") for text in row] for row in rows]
    widths = [max(3, *(len(row[k]) for row in cells)) for k in range(len(cells[0]))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]

    def line(row: Sequence[str]) -> str:
        padded = [
            row[0].ljust(widths[0]),
            *(text.rjust(width) for text, width in zip(row[1:], widths[1:], strict=True)),
        ]
        return f"| {' | '.join(padded)} |"

    return "\n".join(line(row) for row in [cells[0], rule, *cells[1:]])


def html_page(title: str, sections: Sequence[Section]) -> str:
    """One page that needs nothing beside itself."""
    name = html.escape(title)
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{name}</title><style>{_STYLE}</style></head><body>',
        f"<h1>{name}</h1>",
    ]
    for section in sections:
        parts.append(f"<section><h2>{html.escape(section.title)}</h2>")
        parts += [f"<p>{_inline(paragraph)}</p>" for paragraph in section.paragraphs]
        if section.table:
            parts.append(_html_table(section.table))
        parts += [_figure(picture) for picture in section.pictures]
        parts.append("</section>")
    return "\n".join([*parts, "</body></html>"]) + "\n"


def write_pictures(folder: Path, sections: Sequence[Section]) -> None:
    """Write the first picture of each section into `folder`, which exists, as `TITLE.png` or `.jpeg`."""
    for section in sections:
        if section.pictures:
            kind, content = _encoded(section.pictures[0].pixels)
            write_atomically(folder / f"{section.title.lower()}.{kind}", content)


def _inline(text: str) -> str:
    """Text with Markdown's `code` spans."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return html.escape(text)
    return "".join(f"<code>{html.escape(p)}</code>" if k % 2 else html.escape(p) for k, p in enumerate(pieces))


def _html_table(rows: Sequence[Sequence[str]]) -> str:
    def line(row: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(text)}</{tag}>" for text in row) + "</tr>"

    body = "\n".join(line(row, "td") for row in rows[1:])
    return f"<table><thead>{line(rows[0], 'th')}</thead>\n<tbody>{body}</tbody></table>"


def _figure(picture: Picture) -> str:
    caption = html.escape(picture.caption)
    return f'<figure><img alt="{caption}" src="{_data_uri(picture.pixels)}"><figcaption>{caption}</figcaption></figure>'


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    suffix, content = _encoded(pixels)
    return f"data:image/{suffix};base64,{base64.b64encode(content).decode('ascii')}"


def _encoded(pixels: NDArray[np.uint8]) -> tuple[str, bytes]:
    """PNG of charts, which have few colours, and JPEG of photographs, whichever is smaller; its kind and content."""
    bgr = np.ascontiguousarray(pixels[..., ::-1])
    if bgr.shape[1] > _WIDEST:
        size = (_WIDEST, max(1, round(bgr.shape[0] * _WIDEST / bgr.shape[1])))
        bgr = np.asarray(cv2.resize(bgr, size, interpolation=cv2.INTER_AREA), np.uint8)
    encoded = []
    for kind, options in (
        ("png", [cv2.IMWRITE_PNG_COMPRESSION, 9]),
        ("jpeg", [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]),
    ):
        done, content = cv2.imencode(f".{kind}", bgr, options)
        if not done:
            raise SaomError(f"a picture of {pixels.shape[1]}x{pixels.shape[0]} px could not be encoded for the page")
        encoded.append((kind, content.tobytes()))
    return min(encoded, key=lambda entry: len(entry[1]))
