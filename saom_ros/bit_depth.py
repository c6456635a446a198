"""From 16 bits per value to the 8 that the network takes, also for cameras that fill only 10, 12 or 14 of them.

Neither `sensor_msgs/Image` nor PNG says how many of its 16 bits a camera uses. Some drivers shift their values up to
the full range, others (infrared sensors above all) leave them at 10 or 12 bits, whose high bytes are all but black.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SENSOR_DEPTHS = (10, 12, 14, 16)
"""Bits per value of the sensors that publish 16-bit images."""


def eight_bit(values: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """The 8 high bits in use of uint16 values of any shape and byte order; at least one value. Pass colours only.

    The camera's depth is taken to be the least of 10, 12, 14 and 16 bits that holds the brightest value, so nothing
    ever saturates and a full-range camera gives its high bytes. It depends on this image alone: no state, the same
    result every time. An image whose brightest value lies below a quarter of its camera's range comes out brighter than
    the camera meant; no image comes out darker.
    """
    brightest = int(values.max())
    depth = next(bits for bits in _SENSOR_DEPTHS if brightest < 1 << bits)
    return (values >> (depth - 8)).astype(np.uint8)
