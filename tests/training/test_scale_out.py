"""Collecting over a Ray cluster: the bytes of a local run whatever happens to nodes and workers, and clear refusals."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import striped_simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from saom_ros.errors import SaomError
from training.__main__ import main
from training.collecting import ray_cluster as scale_out
from training.collecting.job import Job
from training.collecting.ray_cluster import share_out
from training.collecting.verb import collect
from training.data.shards import read_shards

JOB = Job("stripes", "train", 0, 32, 32, 5)
QUICK_TO_NOTICE = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_failure_threshold": 3,
}


class TwoNodes:
    """A cluster of two nodes of one core each, all on this machine; the second may be killed."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "object_store_memory": 80_000_000, "include_dashboard": False}
        self.cluster = Cluster(initialize_head=True, head_node_args={"_system_config": QUICK_TO_NOTICE, **node})
        self.second = self.cluster.add_node(**node)
        self.address: str = self.cluster.address

    def kill_second(self) -> None:
        self.cluster.remove_node(self.second, allow_graceful=False)


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[TwoNodes]:
    pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{Path(__file__).parents[2]}:{Path(__file__).parent}")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        nodes = TwoNodes()
        yield nodes
        nodes.cluster.shutdown()


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_error_of_a_worker_names_shard_and_machine(two_nodes: TwoNodes, tmp_path: Path) -> None:
    with pytest.raises(SaomError, match=r"shard 0 on \S+: no OpenGL here; sudo apt install libegl1"):
        collect(JOB, 5, None, tmp_path, striped_simulator.make_without_graphics, two_nodes.address)
    assert not list(tmp_path.iterdir())


def test_shard_that_kills_every_worker_ends_the_run(
    two_nodes: TwoNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale_out, "_LOSSES_ALLOWED", 1)
    with pytest.raises(SaomError, match=r"2 workers in a row were lost at shard 0.*the same command continues"):
        collect(JOB, 5, None, tmp_path, striped_simulator.make_dying, two_nodes.address)
    assert not list(tmp_path.iterdir())


def test_shards_of_a_node_killed_half_way_are_made_again_to_the_same_bytes(
    two_nodes: TwoNodes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    local, spread, hanging = tmp_path / "local", tmp_path / "spread", tmp_path / "hanging"
    local.mkdir()
    spread.mkdir()
    collect(JOB, 48, 1, local, striped_simulator.make)

    def kill_while_it_hangs() -> None:
        deadline = time.monotonic() + 60
        while not hanging.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        two_nodes.kill_second()

    killer = Thread(target=kill_while_it_hangs)
    killer.start()
    make = partial(striped_simulator.make_hanging, node=two_nodes.second.node_id, hanging=hanging)
    collect(JOB, 48, None, spread, make, two_nodes.address)
    killer.join()
    assert "lost: a worker at shard" in capsys.readouterr().err
    assert digests(spread) == digests(local)
    keys = [sample.key for sample in read_shards(spread)]
    assert len(keys) == len(set(keys)) == 48


@given(gpus=st.integers(1, 16), workers=st.integers(1, 200))
@settings(max_examples=50)
def test_all_workers_find_room_on_the_gpus(gpus: int, workers: int) -> None:
    count, share = share_out([{"CPU": workers, "GPU": gpus}], None, 1000)
    assert count == workers
    assert 0 < share <= 1
    assert gpus * int(1 / share) >= workers


@pytest.mark.parametrize(
    ("nodes", "workers", "shards", "expected"),
    [
        ([{"CPU": 4.0}, {"CPU": 2.0}], None, 100, (6, 0.0)),
        ([{"CPU": 4.0}], 9, 100, (9, 0.0)),
        ([{"CPU": 4.0}], None, 3, (3, 0.0)),
        ([{}], None, 3, (1, 0.0)),
        ([{"CPU": 4.0, "GPU": 2.0}, {"CPU": 16.0}], None, 100, (4, 0.5)),
    ],
    ids=["all CPUs", "as many as asked for", "no more than shards", "no CPU", "only nodes with a GPU"],
)
def test_workers_are_shared_out(
    nodes: list[dict[str, float]], workers: int | None, shards: int, expected: tuple[int, float]
) -> None:
    assert share_out(nodes, workers, shards) == expected


COMMAND = ["collect", "--split", "train", "--frames", "5"]


def refusal(tmp_path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main([*COMMAND, "--out", str(tmp_path / "data"), *options]) == 2
    return capsys.readouterr().err


def test_missing_ray_is_named_with_its_mend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent: Any = None
    monkeypatch.setitem(sys.modules, "ray", absent)
    assert "pip install -e '.[ray]'" in refusal(tmp_path, capsys, "--ray", "auto")


@pytest.mark.parametrize(
    ("address", "reason"),
    [("cluster", "expected auto, local or host:port"), ("127.0.0.1:9", "Connection refused")],
)
def test_absent_cluster_is_named_with_its_mend(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str, reason: str
) -> None:
    pytest.importorskip("ray")
    message = refusal(tmp_path, capsys, "--ray", address)
    assert f"no Ray cluster at --ray {address}: " in message
    assert reason in message
    assert "ray start --head" in message
