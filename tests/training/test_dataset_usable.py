"""What an import makes can be read for training and scored by `evaluate`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.robot.tiny_bundle import color_blocks, write_tiny_bundle
from training.__main__ import main
from training.finetuning.batches import FrameStore


def test_imported_frames_are_read_for_training_and_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rgb, labels = color_blocks(192, 256)
    for name, image in (("images", rgb), ("labels", labels.astype(np.uint16))):
        (tmp_path / name).mkdir()
        Image.fromarray(image).save(tmp_path / name / "blocks.png")
    out = tmp_path / "out"
    assert main(["dataset", "from-labels", str(tmp_path / "images"), str(tmp_path / "labels"), str(out)]) == 0
    stored_rgb, stored_labels = FrameStore(out, show_progress=False)[0]
    np.testing.assert_array_equal(stored_labels, labels)
    assert np.abs(stored_rgb.astype(int) - rgb).mean() < 3
    bundle = write_tiny_bundle(tmp_path / "bundle")
    assert main(["evaluate", "--model", str(bundle), "--data", str(out), "--no-baseline"]) == 0
    recall = next(line for line in capsys.readouterr().out.splitlines() if "recall@0.75 " in line)
    assert "100.0" in recall
