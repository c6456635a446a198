"""The moving average of the weights, which is what is saved and exported."""

from collections.abc import Callable

from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

Average = Callable[[list[Tensor], list[Tensor], Tensor], None]


def moving_average(decay: float) -> Average:
    """How `torch.optim.swa_utils.AveragedModel` updates its tensors.

    The decay rises to ``decay``, (1 + n) / (10 + n) after n updates: with 0.998 from the start, a run of 750 steps
    would keep 22 % of the weights that it began with. As interpolation, so that frozen weights stay as they are to the
    last bit: caches are keyed by them.
    """

    def update(averaged: list[Tensor], current: list[Tensor], updates: Tensor) -> None:
        n = int(updates)
        get_ema_multi_avg_fn(min(decay, (1 + n) / (10 + n)))(averaged, current, updates)

    return update
