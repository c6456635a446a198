"""What goes into a graph's convolutions, for runtimes that compute them in 8 bits (``saom_ros.runtimes.int8``)."""

import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader
from onnxruntime.quantization.calibrate import create_calibrator

Inputs = Mapping[str, NDArray]


def measure_ranges(graph: Path, calibration: Iterable[Inputs]) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of what goes into each convolution, by the tensor's name in the ONNX file ``graph``.

    ``calibration``: inputs of the graph by name, of pictures like those that it will see; at least one. Not
    percentiles: to cut off the rarest values costs a point of Overlap F. What is the same everywhere is left out.
    """
    wanted = {node.input[0] for node in onnx.load(graph).graph.node if node.op_type == "Conv"}
    quiet = logging.getLogger()
    level = quiet.level
    quiet.setLevel(logging.ERROR)  # it advises to prepare graphs for its own quantiser
    try:
        with tempfile.TemporaryDirectory() as folder:
            observed = Path(folder) / "observed.onnx"
            calibrator = create_calibrator(graph, op_types_to_calibrate=["Conv"], augmented_model_path=str(observed))
            calibrator.collect_data(_Reader(calibration))
            found = calibrator.compute_data()
    finally:
        quiet.setLevel(level)
    ends = {name: [float(np.ravel(end)[0]) for end in found[name].range_value] for name in wanted if name in found}
    return {name: (low, high) for name, (low, high) in sorted(ends.items()) if low < high}


class _Reader(CalibrationDataReader):
    def __init__(self, inputs: Iterable[Inputs]) -> None:
        self._inputs: Iterator[Inputs] = iter(inputs)

    def get_next(self) -> Inputs | None:
        return next(self._inputs, None)
