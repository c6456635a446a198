"""A TensorRT engine takes the place of a running segmenter's runtime, or says why not; no ROS and no GPU needed."""

import threading

import pytest

from saom_ros.engine_build import Cancelled
from saom_ros.errors import SaomError
from saom_ros.nodes.engine_swap import EngineSwap, start


class Build:
    """A build that ends when it is told to."""

    def __init__(self, error=None):
        self.progress = "building a TensorRT engine in weak fp16 for 3 s"
        self.end = threading.Event()
        self.error = error

    def run(self):
        assert self.end.wait(30)
        if self.error is not None:
            raise self.error

    def cancel(self):
        self.error = Cancelled("the building of the engine was given up")
        self.end.set()


class Runtime:
    name, note = "tensorrt", "10.3.0 on Orin in weak fp16"


class Segmenter:
    def __init__(self, runtime):
        self.runtime = runtime


def finish(swap, build):
    build.end.set()
    swap.wait(lambda: True)


def test_the_engine_is_swapped_in_once_it_is_ready():
    build, lines, segmenter = Build(), [], Segmenter("onnxruntime")
    swap = EngineSwap(build, Runtime, lines.append)
    swap.swap(segmenter)
    assert segmenter.runtime == "onnxruntime"
    assert swap.status == "building a TensorRT engine in weak fp16 for 3 s"
    finish(swap, build)
    swap.swap(segmenter)
    assert segmenter.runtime.name == "tensorrt"
    assert swap.status == "done: tensorrt 10.3.0 on Orin in weak fp16"
    assert lines == ["the TensorRT engine is ready: 10.3.0 on Orin in weak fp16"]
    segmenter.runtime = "another"
    swap.swap(segmenter)
    assert segmenter.runtime == "another", "it is swapped in once"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (SaomError("the disk is full"), "no TensorRT engine: the disk is full"),
        (RuntimeError("odd"), "no TensorRT engine: RuntimeError: odd"),
    ],
)
def test_a_build_that_fails_leaves_the_runtime_and_one_line(error, line):
    build, lines, segmenter = Build(error), [], Segmenter("onnxruntime")
    swap = EngineSwap(build, Runtime, lines.append)
    finish(swap, build)
    swap.swap(segmenter)
    assert segmenter.runtime == "onnxruntime"
    assert [swap.status] == lines == [line]


def test_an_engine_that_cannot_be_loaded_leaves_the_runtime():
    def fail():
        raise SaomError("refused")

    build, lines, segmenter = Build(), [], Segmenter("onnxruntime")
    swap = EngineSwap(build, fail, lines.append)
    finish(swap, build)
    swap.swap(segmenter)
    assert (segmenter.runtime, swap.status) == ("onnxruntime", "no TensorRT engine: refused")


def test_stopping_gives_the_build_up_without_a_complaint():
    lines = []
    swap = EngineSwap(Build(), Runtime, lines.append)
    swap.stop()
    assert swap.status == "the building of the engine was given up"
    assert lines == []


def test_waiting_ends_with_the_process():
    swap = EngineSwap(Build(), Runtime, print)
    with pytest.raises(SaomError, match="the process ends before the engine is built"):
        swap.wait(lambda: False)


def test_without_tensorrt_nothing_is_started(segmenter, tiny_bundle):
    assert start(tiny_bundle, segmenter, None, print) is None
