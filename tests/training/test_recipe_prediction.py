"""What a recipe measures before it spends anything, where the simulator does not go along."""

import multiprocessing

import pytest
import striped_simulator

from saom_ros.errors import SaomError
from training.collecting.job import Job
from training.recipe.simulator_timing import time_simulator

JOB = Job("stripes", "train", 0, 64, 48, 8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (striped_simulator.make_barren, "50 scenes in a row gave no frame"),
        (striped_simulator.make_dying, r"process died while it was timed, .* make frames smaller than 64x48"),
    ],
)
def test_a_simulator_that_gives_no_frames_ends_in_one_clear_error(make, message):
    with pytest.raises(SaomError, match=message):
        time_simulator(JOB, make)
    assert multiprocessing.active_children() == []
