import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_bundle import COLORS, color_blocks

import saom_ros
from saom_ros import cli

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def photos(tmp_path):
    """Three images of different sizes in a folder."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, size in (("a", (96, 128)), ("b", (120, 90)), ("c", (48, 64))):
        cv2.imwrite(str(folder / f"{name}.png"), color_blocks(*size)[0][:, :, ::-1])
    return folder


def saom(*arguments):
    return cli.main([str(argument) for argument in arguments])


def run_saom(*arguments):
    command = [sys.executable, "-m", "saom_ros", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def written(out):
    return sorted(path.name for path in out.iterdir())


def test_an_image_gives_label_map_overlay_and_json(tiny_bundle, photos, tmp_path):
    out = tmp_path / "out"
    result = run_saom("segment", photos / "b.png", "-o", out, "--model", tiny_bundle)
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"1 image, 4 objects -> {out}\n"
    assert written(out) == ["b.json", "b.labels.png", "b.overlay.png"]

    labels = cv2.imread(str(out / "b.labels.png"), cv2.IMREAD_UNCHANGED)
    assert (labels.dtype, labels.shape) == (np.uint16, (120, 90))
    assert cv2.imread(str(out / "b.overlay.png")).shape == (120, 90, 3)
    summary = json.loads((out / "b.json").read_text())
    assert summary["image"] == {"file": "b.png", "width": 90, "height": 120}
    assert summary["model"] == {"name": "tiny", "version": "1"}
    assert sorted(found["class"] for found in summary["objects"]) == sorted(COLORS)
    for found in summary["objects"]:
        assert sorted(found) == ["area", "box", "class", "id", "score"]
        ys, xs = np.nonzero(labels == found["id"])
        assert found["area"] == len(ys)
        assert found["box"] == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        assert 0.6 < found["score"] < 1


def test_a_folder_is_segmented_whole(tiny_bundle, photos, tmp_path, capsys):
    assert saom("segment", photos, "-o", tmp_path / "out", "--model", tiny_bundle) == 0
    assert len(written(tmp_path / "out")) == 9
    assert capsys.readouterr().out.startswith("3 images, 12 objects")


def test_results_beside_the_images_are_no_input_of_the_next_run(tiny_bundle, photos, capsys):
    assert saom("segment", photos, "-o", photos, "--model", tiny_bundle) == 0
    assert saom("segment", photos, "-o", photos, "--model", tiny_bundle) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("3 images")


def test_a_video_gives_results_per_frame(tiny_bundle, tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (128, 96))
    for _ in range(2):
        writer.write(color_blocks(96, 128)[0][:, :, ::-1])
    writer.release()
    assert saom("segment", tmp_path / "clip.avi", "-o", tmp_path / "out", "--model", tiny_bundle) == 0
    stems = {name.partition(".")[0] for name in written(tmp_path / "out")}
    assert stems == {"clip_000001", "clip_000002"}


def test_one_bad_file_of_many_is_named_and_the_others_are_done(tiny_bundle, photos, tmp_path):
    (photos / "b.png").write_bytes((photos / "b.png").read_bytes()[:100])
    result = run_saom("segment", photos, "-o", tmp_path / "out", "--model", tiny_bundle)
    assert result.returncode == 1
    assert f"error: {photos / 'b.png'}: is truncated" in result.stderr
    assert "1 of 3 could not be segmented" in result.stderr
    assert "Traceback" not in result.stderr
    assert {name.partition(".")[0] for name in written(tmp_path / "out")} == {"a", "c"}


def test_the_only_file_being_bad_is_an_error(tiny_bundle, tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"")
    assert saom("segment", tmp_path / "a.png", "-o", tmp_path / "out", "--model", tiny_bundle) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'a.png'}: is empty (0 bytes)\n"


def test_a_video_that_cannot_be_read_is_an_error(tiny_bundle, tmp_path, capsys):
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    assert saom("segment", tmp_path / "clip.mp4", "-o", tmp_path / "out", "--model", tiny_bundle) == 2
    assert "clip.mp4: no frame that OpenCV" in capsys.readouterr().err


def test_an_image_above_the_limit_is_named_and_the_others_are_done(tiny_bundle, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("saom_ros.segmenter.MAX_PIXELS", 100 * 130)
    cv2.imwrite(str(photos / "d.png"), np.zeros((130, 130, 3), np.uint8))
    assert saom("segment", photos, "-o", tmp_path / "out", "--model", tiny_bundle) == 1
    assert "d.png: image of 130x130 px is above the limit of 13000 pixels" in capsys.readouterr().err
    assert len(written(tmp_path / "out")) == 9


def test_a_full_disk_ends_the_run_with_one_line(tiny_bundle, photos, tmp_path, capsys, monkeypatch):
    write = cli.write_atomically

    def write_on_a_full_disk(path, content):
        if content:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(path, content)

    monkeypatch.setattr(cli, "write_atomically", write_on_a_full_disk)
    assert saom("segment", photos, "-o", tmp_path / "out", "--model", tiny_bundle) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'out'}: cannot be written: No space left on device\n"


def test_an_interrupt_ends_the_run_without_traceback(tiny_bundle, photos, tmp_path, capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_segment_frame", interrupt)
    assert saom("segment", photos, "-o", tmp_path / "out", "--model", tiny_bundle) == 130
    assert capsys.readouterr().err == "interrupted; finished files are complete\n"


def test_a_user_error_is_one_line_without_traceback(tmp_path):
    result = run_saom("segment", tmp_path / "gone.png", "-o", tmp_path / "out")
    assert result.returncode == 2
    assert result.stderr == f"error: {tmp_path / 'gone.png'}: no such file or folder\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--runtime", "tensorflow"], "unknown runtime 'tensorflow'"),
        (["--threads", "-2"], "threads is -2"),
        (["--score-threshold", "1.5"], "thresholds.score is 1.5; it must be a number in 0..1"),
        (["--objectness-threshold", "nan"], "thresholds.objectness is nan"),
        (["--overlap-threshold", "-1"], "thresholds.overlap is -1.0"),
        (["--min-area", "0"], "min_area is 0"),
        (["--model", "nowhere"], "nowhere: no such model bundle"),
    ],
)
def test_wrong_options_are_user_errors(tiny_bundle, photos, tmp_path, capsys, options, message):
    code = saom("segment", photos, "-o", tmp_path / "out", "--model", tiny_bundle, *options)
    assert code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [[], ["segment"], ["segment", "a.png"], ["nonsense"], ["segment", "--min-area", "x"]]
)
def test_a_wrong_command_line_exits_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    assert "usage: saom" in capsys.readouterr().err


def test_equal_stems_are_refused(tiny_bundle, photos, tmp_path, capsys):
    (photos / "a.jpg").write_bytes((photos / "a.png").read_bytes())
    assert saom("segment", photos, "-o", tmp_path / "out", "--model", tiny_bundle) == 2
    assert "would write results of the same name" in capsys.readouterr().err


def test_an_output_that_is_a_file_is_refused(tiny_bundle, photos, capsys):
    assert saom("segment", photos, "-o", photos / "a.png", "--model", tiny_bundle) == 2
    assert "a.png: is a file; --out must be a folder" in capsys.readouterr().err


def test_an_output_that_cannot_be_made_is_refused(tiny_bundle, photos, capsys):
    assert saom("segment", photos, "-o", photos / "a.png" / "deeper", "--model", tiny_bundle) == 2
    assert "cannot be written: Not a directory; choose another --out" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["segment", "--out", "--model"])
def test_a_path_that_is_too_long_is_a_user_error(tiny_bundle, photos, tmp_path, capsys, option):
    paths = {"segment": photos, "--out": tmp_path / "out", "--model": tiny_bundle, option: "x" * 300}
    assert saom("segment", paths["segment"], "-o", paths["--out"], "--model", paths["--model"]) == 2
    error = capsys.readouterr().err
    assert "File name too long" in error
    assert error.count("\n") == 1


def test_a_model_of_an_unknown_user_is_a_user_error(photos, tmp_path, capsys):
    assert saom("segment", photos, "-o", tmp_path / "out", "--model", "~nobody_of_this_name/model") == 2
    assert "no such model bundle" in capsys.readouterr().err


def test_a_name_too_long_for_its_results_is_named_and_the_others_are_done(tiny_bundle, photos, tmp_path, capsys):
    (photos / ("L" * 245 + ".png")).write_bytes((photos / "a.png").read_bytes())
    assert saom("segment", photos, "-o", tmp_path / "out", "--model", tiny_bundle) == 1
    assert "L.png: its results cannot be written: File name too long; shorten its name" in capsys.readouterr().err
    assert len(written(tmp_path / "out")) == 9


def test_thresholds_and_min_area_reach_the_segmenter(tiny_bundle, photos, tmp_path, capsys):
    common = ["segment", photos / "a.png", "-o", tmp_path / "out", "--model", tiny_bundle]
    assert saom(*common, "--score-threshold", "0.99") == 0
    assert saom(*common, "--objectness-threshold", "1") == 0
    assert saom(*common, "--min-area", "100000") == 0
    assert [line.split(",")[1].split()[0] for line in capsys.readouterr().out.splitlines()] == ["0"] * 3
    assert not cv2.imread(str(tmp_path / "out" / "a.labels.png"), cv2.IMREAD_UNCHANGED).any()


def test_info_shows_bundle_runtimes_and_versions(tiny_bundle, capsys):
    assert saom("info", "--model", tiny_bundle) == 0
    shown = capsys.readouterr().out
    for fact in (saom_ros.__version__, np.__version__, cv2.__version__, "onnxruntime", "tiny 1", "128 x 96 px"):
        assert fact in shown


def test_info_about_a_bad_bundle_exits_2_after_the_versions(tmp_path, capsys):
    assert saom("info", "--model", tmp_path) == 2
    shown = capsys.readouterr()
    assert np.__version__ in shown.out
    assert "model.yaml: missing" in shown.err


def test_progress_is_drawn_on_terminals_only():
    class Terminal:
        def __init__(self, tty):
            self.tty, self.text = tty, ""

        def isatty(self):
            return self.tty

        def write(self, text):
            self.text += text

        def flush(self):
            pass

    for tty, total in ((True, 3), (True, 1), (False, 3)):
        stream = Terminal(tty)
        progress = cli._Progress(total, stream)
        for name in "abc"[:total]:
            progress.step(name)
        progress.close()
        assert ("3/3" in stream.text) == (tty and total == 3)
