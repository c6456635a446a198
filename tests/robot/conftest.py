"""Fixtures of the robot side's tests: no torch, no `training`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tiny_bundle import write_tiny_bundle

from saom_ros import Segmenter

if TYPE_CHECKING:
    from ros_harness import NodeProcess, Peer


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The colour-block bundle. Read only: tests that damage a bundle write their own."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def segmenter(tiny_bundle: Path) -> Segmenter:
    return Segmenter.load(tiny_bundle, threads=1)


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    """A node in the test process, in a ROS domain of its own on this machine only."""
    rclpy = pytest.importorskip("rclpy")
    from ros_harness import Peer

    from saom_ros.nodes.dds import isolated_environment, large_image_environment

    with pytest.MonkeyPatch.context() as patch:
        for name, value in (isolated_environment() | large_image_environment()).items():
            patch.setenv(name, value)
        rclpy.init()
        peer = Peer()
        yield peer
        peer.close()
        rclpy.shutdown()


@pytest.fixture
def start(peer: Peer, tmp_path: Path) -> Iterator[Callable[..., NodeProcess]]:
    """Start node processes that are ended after the test: `start("segment_node", *ros_args, parameter=value)`."""
    from ros_harness import NodeProcess

    processes: list[NodeProcess] = []

    def start(module: str, *ros_args: str, **keywords) -> NodeProcess:
        log = tmp_path / f"{module}_{len(processes)}.log"
        processes.append(NodeProcess(module, log, *ros_args, **keywords))
        return processes[-1]

    yield start
    for process in processes:
        process.stop()
