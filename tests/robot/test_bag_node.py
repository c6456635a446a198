"""`saom bag` against the node: the same messages through both, bit for bit."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'saom_ros[ros]' or source a ROS 2")
pytest.importorskip("rosbags", reason="rosbags is not installed: pip install 'saom_ros[bag]'")

import bag_files as bags
from bag_files import PERIOD, START, blocks
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

from saom_ros import cli


def recorded_frames():
    """Moving objects, objects that vanish and come back, several encodings, and time that jumps backwards."""
    nothing, grey = np.full_like(blocks(), 128), blocks()[..., 1]
    pictures = [
        (blocks(), "rgb8", START),
        (blocks(6)[..., ::-1], "bgr8", START + PERIOD),
        (nothing, "rgb8", START + 2 * PERIOD),
        (blocks(12), "rgb8", START + 3 * PERIOD),
        (grey, "mono8", START + 4 * PERIOD),
        (blocks(18), "rgb8", START - 50 * PERIOD),
        (blocks(24), "rgb8", START - 49 * PERIOD),
    ]
    return [
        ("/image", START + k * PERIOD, bags.image(pixels, stamp, encoding))
        for k, (pixels, encoding, stamp) in enumerate(pictures)
    ]


def test_masks_and_ids_are_those_of_the_node(peer, start, tiny_bundle, tmp_path):
    source = bags.write_bag(tmp_path / "in", recorded_frames())
    assert cli.main(["bag", str(source), str(tmp_path / "out"), "--model", str(tiny_bundle)]) == 0
    offline = [
        deserialize_message(raw, Image) for _, raw in bags.read_raw(tmp_path / "out")["/segment_node/instance_mask"]
    ]

    start("segment_node", "-r", "__node:=online", model=tiny_bundle)
    masks = peer.collect("online/instance_mask")
    peer.wait_until_wanted("online")
    sent = [deserialize_message(raw, Image) for _, raw in bags.read_raw(source)["/image"]]
    online = [peer.segment(masks, message) for message in sent]

    assert offline == online
    ids = [set(np.unique(np.frombuffer(mask.data, "<u2"))) - {0} for mask in online]
    assert [len(found) for found in ids] == [4, 4, 0, 4, 0, 4, 4]
    assert ids[0] == ids[1] == ids[3] != ids[5] == ids[6]
