"""The learning rate over a run, and when it is validated."""

import pytest
import torch

from training.finetuning.config import FinetuneConfig, Stage
from training.finetuning.optimizer import warmup_and_decay
from training.finetuning.verb import validation_interval


def rates(warmup, steps, decay="cosine"):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = warmup_and_decay(optimizer, warmup, steps, decay)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_it_rises_over_the_warm_up_and_falls_to_a_hundredth():
    found = rates(20, 1000)
    assert found[:3] == pytest.approx([1 / 20, 2 / 20, 3 / 20], rel=1e-3)
    assert max(found) == found[19] == pytest.approx(1, abs=2e-3)
    assert found[-1] == pytest.approx(0.01, abs=1e-4)


def test_it_falls_along_a_cosine_or_a_line():
    """Three quarters of the way: (1 - cos 45 degrees) / 2 and a quarter of what lies above one hundredth."""
    assert rates(20, 1000)[750] == pytest.approx(0.01 + 0.99 * 0.1464, abs=1e-3)
    assert rates(20, 1000, "linear")[750] == pytest.approx(0.01 + 0.99 * 0.25, abs=1e-6)
    assert rates(20, 1000, "linear")[-1] == pytest.approx(0.01, abs=2e-3)


def test_a_short_run_warms_up_for_a_tenth_of_it():
    assert rates(200, 100)[9] == max(rates(200, 100))


def test_a_run_of_one_step_learns():
    assert rates(200, 1) == [1.0]


@pytest.mark.parametrize(("batches", "interval"), [(7600, 1000), (375, 75), (30, 30), (4, 4)])
def test_short_runs_validate_oftener_and_tiny_ones_once(batches, interval):
    stages = [Stage(width=64, height=64, images=8 * batches, batch_size=8)]
    config = FinetuneConfig(name="run", data="d", validation="v", stages=stages)
    assert validation_interval(config) == interval
