"""The benchmark of the simulator: its stages exist, and its clocks add up what they enclose."""

from __future__ import annotations

import pkgutil

import pytest

from training.benchmarking import simulation as benchmark
from training.simulators.rooms import settle


@pytest.mark.parametrize("stage", benchmark._STAGES)
def test_stage_is_a_function_of_the_simulator(stage: str) -> None:
    assert callable(pkgutil.resolve_name(benchmark._STAGES[stage]))


def test_clocks_measure_while_their_context_lasts_and_go_again() -> None:
    spent = dict.fromkeys(benchmark._STAGES, 0.0)
    layout = pkgutil.resolve_name("training.simulators.rooms.layout")
    with benchmark._clocks(spent):
        assert layout.settle([], [], (1.0, 1.0, 2.0)) == []
    assert spent["settle"] > 0
    assert spent["layout"] == 0
    assert layout.settle is settle.settle
