"""A graph again with convolutions in 8 bits, by ONNX Runtime's quantiser (Q/DQ operators), for CPUs.

Ranges of activations are the smallest and largest values on calibration pictures, whatever their percentiles: cutting
off the rarest costs a point of Overlap F. Weights have a range for each channel and 7 bits, because CPUs without VNNI
add products of bytes in 16 bits, which overflow with 8. Matrix products stay in floating point: in 8 bits they bring no
speed and cost precision.
"""

import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

Inputs = Mapping[str, NDArray]


def quantize(graph: Path, out: Path, calibration: Iterable[Inputs]) -> None:
    """Write ``graph`` with convolutions in 8 bits to ``out``.

    ``calibration``: inputs of the graph by name, of pictures like those that it will see; at least one.
    """
    with tempfile.TemporaryDirectory() as name:
        prepared = Path(name) / graph.name
        quant_pre_process(graph, prepared, skip_symbolic_shape=True)
        quiet = logging.getLogger()
        level = quiet.level
        quiet.setLevel(logging.ERROR)  # it advises to prepare the graph, which has been done
        try:
            quantize_static(
                prepared,
                out,
                _Reader(calibration),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
            )
        finally:
            quiet.setLevel(level)


class _Reader(CalibrationDataReader):
    def __init__(self, inputs: Iterable[Inputs]) -> None:
        self._inputs: Iterator[Inputs] = iter(inputs)

    def get_next(self) -> Inputs | None:
        return next(self._inputs, None)
