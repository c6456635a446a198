"""Half precision of a model for export: all but where points lie, which fp16 does not resolve."""

import copy
from typing import TypeVar

from segment_anything.modeling.prompt_encoder import PositionEmbeddingRandom
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def half_precision(module: Module) -> Module:
    """A copy in fp16, whose Fourier codes of points stay fp32: two pixels of a large image share one fp16 number."""
    halved = copy.deepcopy(module).half()
    for exact, rounded in zip(module.modules(), halved.modules(), strict=True):
        if isinstance(exact, PositionEmbeddingRandom):
            rounded.positional_encoding_gaussian_matrix = exact.positional_encoding_gaussian_matrix.clone()
    return halved
