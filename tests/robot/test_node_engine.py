"""The node and its TensorRT engine, in real processes: it starts at once, builds beside, swaps, and ends its builder.

Driver, TensorRT and Polygraphy are the stand-ins of `fake_gpu`: what a real engine does shows only on a GPU.
"""

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'saom_ros[ros]' or source a ROS 2")

import ros_harness as harness
from golden_bundle import write_golden_bundle
from test_engine_build import alive
from tiny_bundle import WITHOUT_GPU, color_blocks

TENSORRT = """
import fake_gpu
from fake_gpu import Logger, Runtime, TensorIOMode
from saom_ros.runtimes import cuda
__version__ = "10.3.0"
driver = fake_gpu.Driver()
cuda._load_driver = lambda: driver
"""
POLYGRAPHY = """
import os, pathlib, time
from fake_gpu import PREFIX

def CreateConfig(**options):
    return options

def network_from_onnx_path(path, strongly_typed):
    return pathlib.Path(path).read_bytes()

def engine_bytes_from_network(network, config, save_timing_cache):
    folder = pathlib.Path(__file__).parents[2]
    (folder / "builder.pid").write_text(str(os.getpid()))
    while not (folder / "go on").exists():
        time.sleep(0.05)
    return PREFIX + network
"""


@pytest.fixture
def stand_ins(tmp_path, monkeypatch):
    """A folder with modules `tensorrt` and `polygraphy` that new processes find; its builder waits for `go on`."""
    folder = tmp_path / "stand_ins"
    (folder / "polygraphy" / "backend").mkdir(parents=True)
    (folder / "tensorrt.py").write_text(TENSORRT)
    for package in ("polygraphy", "polygraphy/backend"):
        (folder / package / "__init__.py").write_text("")
    (folder / "polygraphy" / "backend" / "trt.py").write_text(POLYGRAPHY)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    return folder


@pytest.fixture
def start(tmp_path, stand_ins):
    """A function that starts a node with a fresh engine cache."""
    bundle = write_golden_bundle(tmp_path / "tiny")
    processes = []

    def start(**parameters):
        given = {"model": bundle, "engine_cache": tmp_path / "engines", "track": False} | parameters
        processes.append(harness.NodeProcess("segment_node", tmp_path / f"{len(processes)}.log", **given))
        return processes[-1]

    yield start
    for process in processes:
        process.stop()


def test_the_node_runs_at_once_and_swaps_the_engine_in_between_frames(peer, start, stand_ins):
    process = start()
    masks = peer.collect("segment_node/instance_mask")
    peer.wait_until_wanted("segment_node")
    building = "building a TensorRT engine in weak fp16 for"
    _, _, values = peer.diagnostics("segment_node", lambda _, __, v: v["engine_build"].startswith(building))
    assert values["runtime"] == WITHOUT_GPU
    rgb, _ = color_blocks(96, 128)
    before = harness.labels_of(peer.segment(masks, harness.image_message(rgb, stamp=1)))

    (stand_ins / "go on").touch()
    peer.diagnostics("segment_node", lambda _, __, v: v["engine_build"].startswith("done: tensorrt"))
    after = harness.labels_of(peer.segment(masks, harness.image_message(rgb, stamp=2)))
    _, _, values = peer.diagnostics("segment_node", lambda _, __, v: v["runtime"] == "tensorrt")

    assert np.array_equal(before, after)
    assert values["runtime_note"].startswith("10.3.0 on Orin in weak fp16")
    assert "the TensorRT engine is ready" in process.log()

    process.stop()
    again = start()
    peer.diagnostics("segment_node", lambda _, __, v: v["runtime"] == "tensorrt" and v["engine_build"] == "none")
    assert "on tensorrt 10.3.0 on Orin in weak fp16" in again.log()


def test_the_builder_ends_with_the_node_and_is_not_started_where_nobody_wants_it(peer, start, stand_ins):
    killed = start()
    peer.diagnostics("segment_node", lambda _, __, v: v["engine_build"].startswith("building"))
    noted = stand_ins / "builder.pid"
    pid = int(peer.spin_until(lambda: noted.exists() and noted.read_text(), "the builder"))
    killed.kill()
    peer.spin_until(lambda: not alive(pid), "the builder's end")
    (stand_ins / "builder.pid").unlink()

    start(engine_build="never")
    peer.diagnostics("segment_node", lambda _, __, v: v["state"] == "active" and v["engine_build"] == "none")
    assert not (stand_ins / "builder.pid").exists()


def test_a_node_told_to_wait_is_active_with_its_engine(peer, start, stand_ins):
    (stand_ins / "go on").touch()
    start(engine_build="wait")
    _, _, values = peer.diagnostics("segment_node", lambda _, __, v: v["state"] == "active")
    assert values["runtime"] == "tensorrt"
