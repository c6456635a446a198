"""The moving average of weights forgets where a run began, soon and then at the pace that is asked for."""

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from training.finetuning.averaging import moving_average


def weight(value):
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(layer.weight, value)
    return layer


def test_a_short_run_keeps_nothing_of_the_weights_that_it_began_with():
    average = AveragedModel(weight(0.0), multi_avg_fn=moving_average(0.998))
    average.update_parameters(weight(0.0))
    for _ in range(50):
        average.update_parameters(weight(1.0))
    assert average.module.weight.item() > 0.999


def test_later_the_decay_is_the_one_asked_for():
    averaged = [torch.zeros(1)]
    moving_average(0.998)(averaged, [torch.ones(1)], torch.tensor(100_000))
    assert averaged[0].item() == pytest.approx(0.002)


def test_weights_that_stand_still_stay_to_the_last_bit():
    averaged = [torch.rand(1000)]
    before = averaged[0].clone()
    for n in range(1, 30):
        moving_average(0.998)(averaged, [before], torch.tensor(n))
    assert torch.equal(averaged[0], before)
