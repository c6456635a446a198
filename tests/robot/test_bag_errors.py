"""`saom bag` with what is wrong: one line that says the mend, the right exit code, and never half a result."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("rosbags", reason="rosbags is not installed: pip install 'saom_ros[bag]'")

import bag_files as bags
from bag_files import START, frames, messages
from rosbags.rosbag2 import StoragePlugin, Writer

from saom_ros import cli
from saom_ros.bag import BagOptions, choose_inputs
from saom_ros.errors import ImageError, SaomError
from saom_ros.rosbag2 import BagReader, MessageTypes
from saom_ros.segmenter import Segmenter

ROOT = Path(__file__).resolve().parents[2]
MASKS = "/segment_node/instance_mask"


@pytest.fixture
def refusal(tiny_bundle, tmp_path, capsys):
    """Run `saom bag IN OUT OPTIONS` that must exit with 2, write nothing and say one line, which is returned."""

    def run(source, *options, out=tmp_path / "out"):
        there = out.exists()
        assert cli.main(["bag", str(source), str(out), "--model", str(tiny_bundle), *options]) == 2
        assert out.exists() == there
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        return error

    return run


@pytest.fixture
def source(tmp_path):
    return bags.write_bag(tmp_path / "in", frames())


def test_paths_that_are_no_recording_are_refused_with_the_mend(refusal, tmp_path):
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n")
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "folder").mkdir()
    assert "gone: no such file or folder" in refusal(tmp_path / "gone")
    assert "rosbags-convert --src" in refusal(tmp_path / "old.bag")
    assert "expected a rosbag2 folder, or one of its .mcap or .db3 files" in refusal(tmp_path / "notes.txt")
    assert "ros2 bag reindex" in refusal(tmp_path / "folder")


@pytest.mark.parametrize("storage", ["MCAP", "SQLITE3"])
@pytest.mark.parametrize("keep", [0, 100, 0.5, 0.99])
def test_truncated_recordings_are_refused(refusal, tmp_path, storage, keep):
    source = bags.write_bag(tmp_path / "in", frames(), storage)
    file = bags.storage_file(source)
    content = file.read_bytes()
    file.write_bytes(content[: int(keep * len(content)) if keep < 1 else keep])
    for path in (source, file):
        assert f"{path}: is damaged or not complete" in refusal(path)


def test_a_damaged_metadata_file_is_refused(refusal, source):
    for text in ("", "{", "a: b", "rosbag2_bagfile_information: 3"):
        (source / "metadata.yaml").write_text(text)
        assert "is damaged or not complete" in refusal(source)


def test_an_empty_recording_is_refused(refusal, tmp_path):
    assert "holds no messages" in refusal(bags.write_bag(tmp_path / "in", []))


def test_a_recording_without_images_is_refused_with_what_it_holds(refusal, tmp_path):
    depth = bags.image(np.zeros((2, 2), np.uint16), START, "16UC1")
    source = bags.write_bag(tmp_path / "in", [("/info", START, bags.camera_info(2, 2, 1.0)), ("/depth", START, depth)])
    error = refusal(source)
    assert "has no colour image topic that could be told by itself" in error
    assert "/depth (sensor_msgs/msg/Image), /info (sensor_msgs/msg/CameraInfo)" in error


def test_topics_that_do_not_fit_are_refused(refusal, tmp_path):
    source = bags.write_bag(tmp_path / "in", [*frames(1), ("/info", START, bags.camera_info(2, 2, 1.0))])
    assert "no messages of topic /gone; it holds /camera/image" in refusal(source, "--image", "/gone")
    error = refusal(source, "--image", "/info")
    assert "--image /info is sensor_msgs/msg/CameraInfo; expected sensor_msgs/msg/Image or" in error
    assert "add --points" in refusal(source, "--depth", "/depth")
    assert "points_stride is 0" in refusal(source, "--points", "--points-stride", "0")


def test_another_definition_of_a_standard_message_is_refused(refusal, tmp_path):
    with Writer(tmp_path / "in", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/image", "sensor_msgs/msg/Image", msgdef="int8 x\n", rihs01="RIHS01_0")
        writer.write(connection, START, b"\0\1\0\0\1")
    for path in (tmp_path / "in", bags.storage_file(tmp_path / "in")):
        assert "the message definition of /image is not the sensor_msgs/msg/Image" in refusal(path)


def test_definitions_of_other_topics_need_not_be_understood(tiny_bundle, tmp_path):
    with Writer(tmp_path / "in", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        odd = writer.add_connection("/odd", "odd_msgs/msg/Odd", msgdef="what is this\n", rihs01="RIHS01_0")
        writer.write(odd, START, b"\0\1\0\0\1")
        ((topic, at, message),) = frames(1)
        images = writer.add_connection(topic, message.__msgtype__, typestore=bags.STORE)
        writer.write(images, at, bags.STORE.serialize_cdr(message, message.__msgtype__))
    assert cli.main(["bag", str(tmp_path / "in"), str(tmp_path / "out"), "--model", str(tiny_bundle)]) == 0


def test_an_output_that_exists_is_left_alone(refusal, source, tmp_path):
    for name in ("out", "out.part"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "mine").write_text("mine")
        assert f"{folder}: " in refusal(source)
        assert (folder / "mine").read_text() == "mine"
        (folder / "mine").unlink()
        folder.rmdir()
    assert "name it without .mcap" in refusal(source, out=tmp_path / "out.mcap")


def test_missing_rosbags_is_told_with_its_installation(refusal, source, monkeypatch):
    monkeypatch.setitem(sys.modules, "rosbags.rosbag2", None)
    assert "pip install 'saom_ros[bag]'" in refusal(source)


def test_bad_frames_are_named_and_the_others_are_done(tiny_bundle, tmp_path, capsys):
    recorded = frames(4)
    recorded[1][2].step = 5
    recorded[2] = (*recorded[2][:2], b"\0\1\0\0no image")
    source, out = bags.write_bag(tmp_path / "in", recorded), tmp_path / "out"
    assert cli.main(["bag", str(source), str(out), "--model", str(tiny_bundle)]) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("2 images, 8 objects")
    assert "error: /camera/image at 0.100 s: image step is 5 bytes" in shown.err
    assert "error: /camera/image at 0.200 s: message of 12 bytes is no sensor_msgs/msg/Image" in shown.err
    assert "2 of 4 could not be segmented" in shown.err
    times = [at for at, _ in messages(out, MASKS)]
    assert times == [recorded[0][1], recorded[3][1]]


def test_when_every_frame_is_bad_nothing_is_written(tiny_bundle, tmp_path, capsys):
    recorded = frames(2)
    for _, _, message in recorded:
        message.encoding = "yuv9"
    source, out = bags.write_bag(tmp_path / "in", recorded), tmp_path / "out"
    assert cli.main(["bag", str(source), str(out), "--model", str(tiny_bundle), "--image", "/camera/image"]) == 2
    assert "no image of /camera/image could be segmented" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_an_interrupt_leaves_nothing(tiny_bundle, source, tmp_path, monkeypatch):
    calls = []

    def interrupted(self, rgb):
        calls.append(rgb)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, rgb)

    original = Segmenter.__call__
    monkeypatch.setattr(Segmenter, "__call__", interrupted)
    assert cli.main(["bag", str(source), str(tmp_path / "out"), "--model", str(tiny_bundle)]) == 130
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_a_killed_run_leaves_nothing_that_looks_finished(refusal, tiny_bundle, tmp_path):
    source, out = bags.write_bag(tmp_path / "in", frames(500)), tmp_path / "out"
    command = [sys.executable, "-m", "saom_ros", "bag", str(source), str(out), "--model", str(tiny_bundle)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    part, deadline = tmp_path / "out.part", time.monotonic() + 120
    while not part.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    assert part.exists()
    assert not out.exists()
    assert f"{part}: left by a run that was killed" in refusal(source)


def test_ros_is_not_needed(tiny_bundle, source, tmp_path):
    without = "for name in ('rclpy', 'sensor_msgs', 'std_msgs', 'builtin_interfaces'): sys.modules[name] = None"
    code = f"import sys\n{without}\nfrom saom_ros.cli import main\nsys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "bag", str(source), str(tmp_path / "out"), "--model", str(tiny_bundle)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("storage", ["MCAP", "SQLITE3"])
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), value=st.integers(0, 255), data=st.data())
def test_damage_anywhere_is_an_error_of_ours_or_none(tmp_path_factory, storage, place, value, data):
    folder = tmp_path_factory.mktemp("damaged")
    file = bags.storage_file(bags.write_bag(folder / "in", frames(2), storage))
    content = bytearray(file.read_bytes())
    length = data.draw(st.integers(1, 16))
    start = int(place * len(content))
    content[start : start + length] = bytes([value] * length)[: len(content) - start]
    file.write_bytes(content)
    try:
        with BagReader(file, MessageTypes()) as reader:
            inputs = choose_inputs(reader, BagOptions())
            reader.check_type(inputs.image)
            for record in reader.records(inputs.names()):
                reader.decode(record)
    except (SaomError, ImageError):
        pass
