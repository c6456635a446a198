"""Charts of a data set as PNG files: objects per class, how large objects look, objects per frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from saom_ros.errors import SaomError
from saom_ros.image_files import encode_png, write_atomically
from training.data.info import DatasetInfo
from training.reports.charts import Image, columns_chart, rows_chart

_AREA_EDGES = np.array([2**-k for k in range(16, -1, -1)])
"""Shares of an image, doubling: 1/65536 to all of it."""
_MOST_COLUMNS = 40


def write_plots(info: DatasetInfo, folder: Path) -> list[Path]:
    """Draw the charts into `folder`, which is made where it is missing; returns their paths.

    Raises SaomError for data without frames and a folder that cannot be written.
    """
    if not info.frames:
        raise SaomError(f"{info.folder} holds no frames; there is nothing to draw")
    charts = {
        "objects_per_class.png": _classes(info),
        "object_areas.png": _areas(info),
        "objects_per_frame.png": _frames(info),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, image in charts.items():
            write_atomically(folder / name, encode_png(image))
    except OSError as error:
        raise SaomError(f"cannot write charts to {folder}: {error.strerror}; choose a writable folder") from error
    return [folder / name for name in charts]


def _classes(info: DatasetInfo) -> Image:
    names, counts = zip(*info.objects_per_class.most_common(), strict=True) if info.areas else ((), ())
    return rows_chart(f"Objects per class: {len(info.areas)} of {len(names)} classes", names, counts)


def _areas(info: DatasetInfo) -> Image:
    counts = np.histogram(np.clip(info.shares, _AREA_EDGES[0], 1), _AREA_EDGES)[0]
    labels = [f"{100 * edge:.2g}" if edge < 0.1 else f"{100 * edge:.0f}" for edge in _AREA_EDGES]
    return columns_chart("Visible area of objects", "% of the image", labels, counts.tolist())


def _frames(info: DatasetInfo) -> Image:
    most = max(info.objects_per_frame)
    step = most // _MOST_COLUMNS + 1
    edges = np.arange(0, most + step + 1, step)
    counts = np.histogram(info.objects_per_frame, edges)[0]
    return columns_chart("Objects in a frame", "objects", [str(edge) for edge in edges], counts.tolist())
