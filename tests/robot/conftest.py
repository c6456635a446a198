"""Fixtures of the robot side's tests: no torch, no `training`."""

from pathlib import Path

import pytest
from hypothesis import settings
from tiny_bundle import write_tiny_bundle

from saom_ros import Segmenter

# A busy machine is no defect of the code.
settings.register_profile("saom", deadline=None)
settings.load_profile("saom")


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The colour-block bundle. Read only: tests that damage a bundle write their own."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def segmenter(tiny_bundle: Path) -> Segmenter:
    return Segmenter.load(tiny_bundle, threads=1)
