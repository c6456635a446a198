"""What a grid of point prompts and the mask's resolution cannot reach: counted before training, told in its record."""

from dataclasses import dataclass

import numpy as np

from saom_ros.letterbox import Letterbox, letterbox_labels
from training.assignment import assign_grid_points
from training.finetuning.batches import Prompting, mask_cells
from training.finetuning.frame_store import FrameStore

_FRAMES = 128


@dataclass(frozen=True)
class GridReport:
    """Counts over whole frames, evenly drawn from a folder."""

    grid: tuple[int, int]
    """Rows and columns."""
    objects: int
    """Objects of at least the smallest area that is asked."""
    without_grid_point: int
    """Those without a grid point on their visible mask; they are asked at their own deepest point."""
    without_mask_cell: int
    """Those that would vanish at the masks' resolution; they keep one cell."""

    def __str__(self) -> str:
        rows, cols = self.grid
        point, cell = (100 * n / max(self.objects, 1) for n in (self.without_grid_point, self.without_mask_cell))
        without = f"{point:.1f} % without a point inside, {cell:.1f} % without a mask cell"
        return f"grid {rows}x{cols}, {self.objects} objects: {without}"


def grid_report(store: FrameStore, prompting: Prompting, height: int, width: int) -> GridReport:
    """Count over at most 128 frames, letterboxed to ``(height, width)`` px."""
    objects = without_point = without_cell = 0
    for index in np.linspace(0, len(store) - 1, min(_FRAMES, len(store))).astype(int):
        instances = store[int(index)][1]
        box = Letterbox.fit(instances.shape[0], instances.shape[1], height, width)
        labels = letterbox_labels(instances, box)
        assignment = assign_grid_points(labels, prompting.grid_of(box), prompting.sampling.min_area)
        objects += len(assignment.ids)
        without_point += int((~assignment.on_grid).sum())
        without_cell += int((~np.isin(assignment.ids, mask_cells(labels, box))).sum())
    rows, cols = prompting.grid or (height // prompting.stride, width // prompting.stride)
    return GridReport((rows, cols), objects, without_point, without_cell)
