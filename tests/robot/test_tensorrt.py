"""The runner of TensorRT engines, on the stand-in for driver and TensorRT of `fake_gpu`: buffers, calls and errors.

Only this thin seam is tested so; what a real engine computes, and how fast, needs a GPU.
"""

import gc
import sys
import threading
from dataclasses import replace
from pathlib import Path

import fake_gpu
import numpy as np
import pytest
from golden_bundle import engine_of, write_golden_bundle

from saom_ros import runtimes
from saom_ros.bundle import load_config
from saom_ros.errors import BundleError
from saom_ros.golden import load_golden
from saom_ros.runtimes import cuda
from saom_ros.runtimes.tensorrt import TensorRt


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    return write_golden_bundle(tmp_path_factory.mktemp("golden") / "tiny")


@pytest.fixture
def driver(monkeypatch):
    driver = fake_gpu.Driver()
    monkeypatch.setattr(cuda.ctypes, "CDLL", lambda name: driver)
    monkeypatch.setitem(sys.modules, "tensorrt", fake_gpu.tensorrt_module())
    return driver


def open_engine(bundle, engine=None):
    return TensorRt(engine or engine_of(bundle), Path("cache/a.engine"), load_config(bundle))


def test_an_engine_gives_its_outputs_again_and_again(driver, bundle):
    inputs, expected = load_golden(bundle, load_config(bundle))
    runtime = open_engine(bundle)
    black = inputs | {"image": np.zeros_like(inputs["image"])}
    for _ in range(2):
        found = runtime.run(inputs)
        assert all(np.array_equal(found[name], expected[name]) for name in expected)
        assert not runtime.run(black)["scores"].any()
        assert found["scores"].any(), "outputs are the caller's, not overwritten by the next run"


def test_another_thread_may_run_it(driver, bundle):
    inputs, expected = load_golden(bundle, load_config(bundle))
    runtime, found = open_engine(bundle), {}
    driver.current = None  # contexts are per thread
    thread = threading.Thread(target=lambda: found.update(runtime.run(inputs)))
    thread.start()
    thread.join()
    assert np.array_equal(found["masks"], expected["masks"])
    assert driver.current == 7


def test_an_array_that_would_overrun_its_buffer_is_refused(driver, bundle):
    inputs, _ = load_golden(bundle, load_config(bundle))
    with pytest.raises(ValueError, match=r"tensor points is float32 \(193, 2\); expected float32 \(192, 2\)"):
        open_engine(bundle).run(inputs | {"points": np.zeros((193, 2), np.float32)})


def test_an_array_that_is_not_contiguous_is_copied(driver, bundle):
    inputs, expected = load_golden(bundle, load_config(bundle))
    found = open_engine(bundle).run(inputs | {"image": np.asfortranarray(inputs["image"])})
    assert np.array_equal(found["masks"], expected["masks"])


def test_the_memory_on_the_gpu_goes_with_the_runtime(driver, bundle):
    runtime = open_engine(bundle)
    assert len(driver.memory) == 9
    assert driver.streams == 1
    del runtime
    gc.collect()
    assert not driver.memory
    assert driver.streams == 0


def test_an_engine_that_tensorrt_refuses_is_an_error_of_the_file(driver, bundle):
    with pytest.raises(BundleError, match=r"a\.engine: TensorRT 10\.3\.0 refuses this engine; build it again"):
        open_engine(bundle, b"of another device")


def test_an_engine_of_another_graph_is_refused(driver, bundle):
    config = replace(load_config(bundle), max_instances=7)
    with pytest.raises(BundleError, match=r"graph output masks is uint8 \(4, 24, 32\), model.yaml implies"):
        TensorRt(engine_of(bundle), Path("a.engine"), config)


def test_an_engine_that_does_not_run_is_told(driver, bundle, monkeypatch):
    monkeypatch.setattr(fake_gpu.Context, "works", False)
    inputs, _ = load_golden(bundle, load_config(bundle))
    with pytest.raises(BundleError, match=r"a\.engine: TensorRT cannot run this engine"):
        open_engine(bundle).run(inputs)


def test_too_little_memory_is_told(driver, bundle):
    driver.limit = 1000
    with pytest.raises(cuda.CudaError, match=r"cuMemAlloc_v2: CUDA error 2 \(out of memory\)"):
        open_engine(bundle)


def test_the_gpu_tells_what_it_is(driver):
    assert cuda.find_gpu() == (fake_gpu.NAME, fake_gpu.UUID, "8.7", "12.6")


def test_a_driver_without_a_gpu_is_told(driver):
    driver.devices = 0
    with pytest.raises(cuda.CudaError, match="the NVIDIA driver finds no GPU"):
        cuda.find_gpu()


def test_a_machine_without_the_driver_is_told(monkeypatch):
    monkeypatch.setattr(cuda, "_LIBRARY", "libnowhere.so.1")
    with pytest.raises(cuda.CudaError, match=r"no NVIDIA driver \(libnowhere.so.1 is not there\)"):
        cuda.find_gpu()


def test_onnx_runtime_runs_on_the_cpu_where_its_cuda_provider_does_not_start(driver, bundle, monkeypatch):
    import onnxruntime

    real = onnxruntime.InferenceSession
    asked = []

    def session(path, options, providers):
        asked.append(providers[0])
        return real(path, options, providers=["CPUExecutionProvider"])  # what happens without cuDNN

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    runtime = runtimes.create(bundle, load_config(bundle), "onnxruntime")
    assert asked == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert runtime.note.startswith("on the CPU, as its CUDA provider does not start: CUDA's or cuDNN's libraries")
