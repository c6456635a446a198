"""Whether what is exported reproduces the torch module: limits and checks, each ending in a clear error."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import SaomError
from saom_ros.golden import MIN_MASK_IOU, compare, mask_iou

MAX_SCORE_DIFFERENCE = 1e-3
MIN_EQUAL_CELLS = 0.999
MIN_INT8_MASK_IOU = 0.9

Arrays = Mapping[str, NDArray]


def check_parity(expected: Arrays, found: Arrays) -> None:
    """Raise SaomError unless scores agree within 1e-3 and 99.9 % of the used masks' cells are the same side of one
    half, or where there is no mask to compare.
    """
    difference = float(np.abs(expected["scores"] - found["scores"]).max())
    masks = used_masks(expected), found["masks"][expected["scores"] > 0]
    same = float(((masks[0] > 127) == (masks[1] > 127)).mean())
    if difference > MAX_SCORE_DIFFERENCE or same < MIN_EQUAL_CELLS:
        raise SaomError(
            f"ONNX Runtime differs from torch: scores by {difference:.2g} (limit {MAX_SCORE_DIFFERENCE}), equal mask"
            f" cells {100 * same:.2f} % (limit {100 * MIN_EQUAL_CELLS} %); the export is not written"
        )


def check_half_parity(expected: Arrays, found: Arrays) -> None:
    """Raise SaomError unless the used masks have, on average, an IoU of 0.98 with the likest of the half graph's, or
    where there is no mask to compare.
    """
    iou = mask_iou(used_masks(expected), found["masks"][found["scores"] > 0])
    mean = float(iou.max(1, initial=0).mean())
    if mean < MIN_MASK_IOU:
        raise SaomError(
            f"half precision differs from single: mean IoU of matched masks {mean:.3f} (limit {MIN_MASK_IOU});"
            " export without --fp16"
        )


def check_int8_parity(pairs: Iterable[tuple[Arrays, Arrays]]) -> None:
    """Raise SaomError unless masks in 8 bits and in fp32, of pictures in turn, have a mean IoU of 0.9 with their
    likest; a missing mask and a surplus one count as 0.
    """
    agreed = [compare(single, int8).mask_iou for single, int8 in pairs]
    mean = float(np.mean(agreed))
    if mean < MIN_INT8_MASK_IOU:
        raise SaomError(
            f"8 bits differ from single precision: mean IoU of matched masks {mean:.3f} on {len(agreed)} pictures"
            f" (limit {MIN_INT8_MASK_IOU}); export without --int8"
        )


def used_masks(outputs: Arrays) -> NDArray[np.uint8]:
    """The masks uint8 (N, h/4, w/4) whose score is not 0; SaomError where there are none."""
    used = outputs["scores"] > 0
    if not used.any():
        raise SaomError(
            "the model finds nothing in the picture, so there is nothing to compare runtimes by; give --image a picture"
            " with objects, or train the model further"
        )
    return np.asarray(outputs["masks"][used])
