"""`saom bag`: recordings in, recordings with the node's topics out. Read back by rosbags' own reader."""

from dataclasses import asdict

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="rosbags is not installed: pip install 'saom_ros[bag]'")

import bag_files as bags
from bag_files import HEIGHT, PERIOD, START, WIDTH, blocks, frames, labels, messages
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import Reader
from tiny_bundle import BACKGROUND, COLORS

from saom_ros import Segmenter, cli

MASKS, DETECTIONS = "/segment_node/instance_mask", "/segment_node/detections"
LABEL_INFO, OVERLAYS, POINTS = "/segment_node/label_info", "/segment_node/overlay", "/segment_node/points"


@pytest.fixture
def saom_bag(tiny_bundle, tmp_path):
    """Run `saom bag IN tmp_path/out OPTIONS`; returns the exit code."""
    return lambda source, *options: cli.main(
        ["bag", str(source), str(tmp_path / "out"), "--model", str(tiny_bundle), *map(str, options)]
    )


@pytest.mark.parametrize("storage", ["MCAP", "SQLITE3"])
def test_every_image_gets_its_mask_with_its_header_at_its_time(saom_bag, tiny_bundle, tmp_path, capsys, storage):
    source = bags.write_bag(tmp_path / "in", frames(), storage)

    assert saom_bag(source) == 0

    assert capsys.readouterr().out == f"3 images, 12 objects -> {tmp_path / 'out'}\n"
    segmenter = Segmenter.load(tiny_bundle, threads=1)
    for (_, when, sent), (at, mask) in zip(frames(), messages(tmp_path / "out", MASKS), strict=True):
        assert at == when
        assert asdict(mask.header) == asdict(sent.header)
        expected = segmenter(sent.data.reshape(HEIGHT, WIDTH, 3)).label_map
        assert ((labels(mask) > 0) == (expected > 0)).all()


def test_ids_last_from_image_to_image_unless_switched_off(saom_bag, tmp_path):
    recorded = frames(4)
    recorded[1] = (*recorded[1][:2], bags.image(np.full((HEIGHT, WIDTH, 3), BACKGROUND, np.uint8), START + PERIOD))
    source = bags.write_bag(tmp_path / "in", recorded)
    saom_bag(source)
    masks = [labels(mask) for _, mask in messages(tmp_path / "out", MASKS)]
    red = [int(mask[15, 40]) for mask in masks]
    assert red == [red[0], 0, red[0], red[0]]
    assert red[0] > 0


def test_a_jump_of_the_stamps_begins_new_ids(saom_bag, tmp_path):
    first, second = frames(1), frames(1)
    again = [("/camera/image", START + 10**9, message) for _, _, message in second]
    again[0][2].header.stamp.sec -= 100
    saom_bag(bags.write_bag(tmp_path / "in", first + again))
    before, after = (set(np.unique(labels(mask))) for _, mask in messages(tmp_path / "out", MASKS))
    assert before & after == {0}


def test_detections_have_the_ids_boxes_and_classes_of_the_mask(saom_bag, tmp_path):
    saom_bag(bags.write_bag(tmp_path / "in", frames(2)))
    masks, arrays = messages(tmp_path / "out", MASKS), messages(tmp_path / "out", DETECTIONS)
    for (_, mask), (_, array) in zip(masks, arrays, strict=True):
        assert asdict(array.header) == asdict(mask.header)
        assert len(array.detections) == 4
        assert {d.results[0].hypothesis.class_id for d in array.detections} == set(COLORS)
        for detection in array.detections:
            ys, xs = np.nonzero(labels(mask) == int(detection.id))
            center = detection.bbox.center.position
            assert (center.x, center.y) == ((xs.min() + xs.max() + 1) / 2, (ys.min() + ys.max() + 1) / 2)
            assert (detection.bbox.size_x, detection.bbox.size_y) == (np.ptp(xs) + 1, np.ptp(ys) + 1)
            assert 0.6 < detection.results[0].hypothesis.score < 1


def test_vision_msgs_are_defined_as_ros_defines_them(saom_bag, tmp_path):
    saom_bag(bags.write_bag(tmp_path / "in", frames(1)))
    # Type hashes that ROS 2 Jazzy's rosidl made of vision_msgs 4.1.
    expected = {
        DETECTIONS: "RIHS01_214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968",
        LABEL_INFO: "RIHS01_3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783",
    }
    with Reader(tmp_path / "out") as reader:
        hashes = {connection.topic: connection.digest for connection in reader.connections}
    assert {topic: hashes[topic] for topic in expected} == expected
    with Reader(bags.storage_file(tmp_path / "out")) as reader:
        definitions = {connection.topic: connection.msgdef.data for connection in reader.connections}
    for part in ("MSG: vision_msgs/BoundingBox2D", "MSG: geometry_msgs/Quaternion", "MSG: std_msgs/Header"):
        assert part in definitions[DETECTIONS]


def test_topics_have_the_types_and_qos_of_the_node(saom_bag, tmp_path):
    saom_bag(bags.write_bag(tmp_path / "in", frames(1)), "--overlay")
    with Reader(tmp_path / "out") as reader:
        found = {connection.topic: connection for connection in reader.connections}
    assert {topic: connection.msgtype for topic, connection in found.items()} == {
        "/camera/image": "sensor_msgs/msg/Image",
        MASKS: "sensor_msgs/msg/Image",
        DETECTIONS: "vision_msgs/msg/Detection2DArray",
        LABEL_INFO: "vision_msgs/msg/LabelInfo",
        OVERLAYS: "sensor_msgs/msg/Image",
    }
    assert found["/camera/image"].ext.offered_qos_profiles == [bags.SENSOR_QOS]
    qos = {topic: connection.ext.offered_qos_profiles[0] for topic, connection in found.items()}
    assert all(qos[topic].reliability == QosReliability.RELIABLE for topic in (MASKS, DETECTIONS, LABEL_INFO, OVERLAYS))
    assert qos[LABEL_INFO].durability == QosDurability.TRANSIENT_LOCAL
    assert qos[MASKS].durability == QosDurability.VOLATILE


def test_the_images_are_copied_byte_for_byte_unless_switched_off(saom_bag, tmp_path):
    source = bags.write_bag(tmp_path / "in", [*frames(2), ("/other", START, bags.camera_info(1, 1, 1.0))])
    assert saom_bag(source) == 0
    copied = bags.read_raw(tmp_path / "out")
    assert copied["/camera/image"] == bags.read_raw(source)["/camera/image"]
    assert "/other" not in copied

    (tmp_path / "out").rename(tmp_path / "before")
    assert saom_bag(source, "--no-copy") == 0
    assert set(bags.read_raw(tmp_path / "out")) == {MASKS, DETECTIONS, LABEL_INFO}


def test_overlays_are_drawn_when_asked_for(saom_bag, tmp_path):
    saom_bag(bags.write_bag(tmp_path / "in", frames(1)), "--overlay")
    ((_, overlay),) = messages(tmp_path / "out", OVERLAYS)
    assert (overlay.encoding, overlay.height, overlay.width) == ("bgr8", HEIGHT, WIDTH)
    drawn = overlay.data.reshape(HEIGHT, WIDTH, 3)
    assert (drawn != blocks()[..., ::-1]).any()
    assert drawn[20, 20, 2] > drawn[20, 20, 0]  # the red block is still more red than blue


def test_compressed_images_are_segmented(saom_bag, tmp_path):
    jpeg = cv2.imencode(".jpg", blocks()[..., ::-1])[1].tobytes()
    recorded = [("/camera/image/compressed", START, bags.compressed_image(jpeg, START))]
    assert saom_bag(bags.write_bag(tmp_path / "in", recorded)) == 0
    ((_, mask),) = messages(tmp_path / "out", MASKS)
    assert len(np.unique(labels(mask))) == 5


def test_of_raw_and_compressed_copies_of_one_topic_the_raw_one_is_taken(saom_bag, tmp_path):
    png = cv2.imencode(".png", blocks())[1].tobytes()
    recorded = [*frames(1), ("/camera/image/compressed", START, bags.compressed_image(png, START, "png"))]
    assert saom_bag(bags.write_bag(tmp_path / "in", recorded)) == 0
    assert "/camera/image" in bags.read_raw(tmp_path / "out")


def test_of_several_image_topics_one_must_be_chosen(saom_bag, tmp_path, capsys):
    source = bags.write_bag(tmp_path / "in", [*frames(1, "/front"), *frames(2, "/wrist")])
    assert saom_bag(source) == 2
    error = capsys.readouterr().err
    assert error == f"error: {source}: has 2 colour image topics: /front, /wrist; choose one with --image\n"
    assert not (tmp_path / "out").exists()

    assert saom_bag(source, "--image", "/wrist") == 0
    assert len(messages(tmp_path / "out", MASKS)) == 2


def test_a_single_storage_file_is_a_recording_too(saom_bag, tmp_path):
    source = bags.write_bag(tmp_path / "in", frames(2), "SQLITE3")
    assert saom_bag(bags.storage_file(source)) == 0
    assert len(messages(bags.storage_file(tmp_path / "out"), MASKS)) == 2
