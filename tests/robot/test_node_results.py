"""Lasting ids, targets, clouds and compressed images of the node, over real DDS."""

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'saom_ros[ros]' or source a ROS 2")

import ros_harness as harness
from geometry_msgs.msg import PointStamped
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from tiny_bundle import BACKGROUND, COLORS, color_blocks

HEIGHT, WIDTH = 240, 320
FOCAL = 300.0
POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4"), ("label", "<u4")])


@pytest.fixture(scope="module")
def node(peer, tiny_bundle, tmp_path_factory):
    """An active node that segments what is published, and the masks that it made."""
    process = harness.NodeProcess(
        "segment_node", tmp_path_factory.mktemp("log") / "log", model=tiny_bundle, points_stride=2
    )
    masks = peer.collect("segment_node/instance_mask")
    peer.wait_until_wanted("segment_node")
    yield masks
    assert process.running, process.log()
    assert "Traceback" not in process.log()
    process.stop()


@pytest.fixture(scope="module")
def clock():
    """Stamps that go on by a tenth of a second, in nanoseconds."""
    return iter(range(10**9, 10**12, 10**8))


def stamped(message, nanoseconds: int, frame_id: str = "camera"):
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(nanoseconds, 10**9)
    message.header.frame_id = frame_id
    return message


def blocks(nanoseconds: int, shift: int = 0) -> Image:
    """The four coloured blocks, moved to the right by `shift` px."""
    rgb, _ = color_blocks(HEIGHT, WIDTH)
    moved = np.roll(rgb, shift, axis=1)
    moved[:, :shift] = BACKGROUND
    return stamped(harness.image_message(moved), nanoseconds)


def point_message(x: float, y: float, z: float = 0.0, frame_id: str = "camera") -> PointStamped:
    message = stamped(PointStamped(), 0, frame_id)
    message.point.x, message.point.y, message.point.z = x, y, z
    return message


def camera_info() -> CameraInfo:
    info = stamped(CameraInfo(width=WIDTH, height=HEIGHT), 1)
    info.k = [FOCAL, 0.0, WIDTH / 2, 0.0, FOCAL, HEIGHT / 2, 0.0, 0.0, 1.0]
    return info


def target_of(peer, text: str):
    return peer.diagnostics("segment_node", lambda _, __, v: text in v["target"], f"a target that is {text!r}")


def test_an_object_that_moves_keeps_its_id(peer, node, clock):
    red = (60, 60)
    first = harness.labels_of(peer.segment(node, blocks(next(clock))))[red]
    ids = [harness.labels_of(peer.segment(node, blocks(next(clock), shift)))[red] for shift in (8, 16, 24)]
    assert first > 0
    assert set(ids) == {first}


def test_stamps_that_go_backwards_start_new_ids_and_are_mentioned_once(peer, node, clock):
    before = set(np.unique(harness.labels_of(peer.segment(node, blocks(next(clock))))))
    again = set(np.unique(harness.labels_of(peer.segment(node, blocks(5)))))
    more = set(np.unique(harness.labels_of(peer.segment(node, blocks(6)))))

    assert again & before == {0}
    assert again == more
    _, _, values = peer.diagnostics("segment_node", lambda _, __, v: "stamps went back by" in v["ids_reset"])
    assert values["notes"].count("went backwards") == 1


def test_a_target_pixel_picks_an_object_that_is_followed(peer, node, clock):
    targets = peer.collect("segment_node/target_mask")
    peer.spin_until(lambda: peer.subscribed_to("segment_node/target_mask"), "the target mask's topic")
    peer.publish(point_message(60.0, 60.0), "target_pixel")
    target_of(peer, "waiting")

    peer.segment(node, blocks(next(clock)))
    mask = peer.segment(targets, blocks(next(clock), shift=16))
    labels = harness.labels_of(peer.segment(node, blocks(next(clock), shift=16)))

    assert (mask.encoding, mask.height, mask.width) == ("mono8", HEIGHT, WIDTH)
    pixels = np.frombuffer(mask.data, np.uint8).reshape(HEIGHT, WIDTH)
    assert set(np.unique(pixels)) == {0, 255}
    assert ((pixels > 0) == (labels == labels[60, 60])).all()
    target_of(peer, f"following object {labels[60, 60]}")


def test_a_target_on_background_gives_an_empty_mask_and_the_reason(peer, node, clock):
    targets = peer.collect("segment_node/target_mask")
    peer.publish(point_message(WIDTH - 5.0, 5.0), "target_pixel")
    target_of(peer, "waiting")
    mask = peer.segment(targets, blocks(next(clock)))
    assert not np.frombuffer(mask.data, np.uint8).any()
    target_of(peer, f"no object at pixel ({WIDTH - 5}, 5)")


def test_a_target_point_picks_the_object_seen_there(peer, node, clock):
    x, y = 60 - WIDTH / 2, 60 - HEIGHT / 2
    peer.publish(camera_info(), "camera_info")
    peer.publish(point_message(x / FOCAL, y / FOCAL, 1.0), "target_point")
    target = peer.segment(node, blocks(next(clock)))
    # The camera_info may come after that image, since its subscription is best effort: ask again until it has.
    while "following" not in peer.diagnostics("segment_node")[2]["target"]:
        peer.publish(camera_info(), "camera_info")
        peer.publish(point_message(x / FOCAL, y / FOCAL, 1.0), "target_point")
        target = peer.segment(node, blocks(next(clock)))
    target_of(peer, f"following object {harness.labels_of(target)[60, 60]}")


def test_a_target_point_of_another_frame_says_what_is_missing(peer, node, clock):
    peer.publish(point_message(0.0, 0.0, 1.0, frame_id="base_link"), "target_point")

    def refused():
        peer.segment(node, blocks(next(clock)))
        return "refused" in (said := peer.diagnostics("segment_node")[2]["target"]) and said

    assert "'base_link'" in peer.spin_until(refused, "the refusal")


def test_depth_is_received_only_for_a_subscriber_of_points_and_becomes_their_cloud(peer, node, clock):
    assert peer.node.count_subscribers("depth") == 0
    clouds = peer.collect("segment_node/points", kind=PointCloud2)
    peer.spin_until(lambda: peer.node.count_subscribers("depth") == 1, "the depth subscription")
    depth = np.full((HEIGHT, WIDTH), 1500, np.uint16)
    depth[1::2] = 0  # unknown, where points_stride 2 does not look

    def cloud():
        stamp = next(clock)
        message = stamped(Image(height=HEIGHT, width=WIDTH, encoding="16UC1", step=2 * WIDTH), stamp)
        message.data.frombytes(depth.tobytes())
        peer.publish(camera_info(), "camera_info")
        peer.publish(message, "depth")
        peer.segment(node, blocks(stamp))
        return next(((m, c) for c in clouds for m in node if c.header == m.header), None)

    mask, cloud = peer.spin_until(cloud, "a cloud")

    points = np.frombuffer(cloud.data, POINT)
    labels = harness.labels_of(mask)[::2, ::2]
    assert (cloud.height, cloud.width, cloud.is_dense) == (1, np.count_nonzero(labels), True)
    assert sorted(points["label"].tolist()) == sorted(labels[labels > 0].tolist())
    assert (points["z"] == 1.5).all()
    assert points["x"].min() == pytest.approx((2 * np.nonzero(labels)[1].min() - WIDTH / 2) / FOCAL * 1.5, abs=1e-5)
    assert set(points["rgb"].tolist()) <= {r << 16 | g << 8 | b for r, g, b in (*COLORS.values(), BACKGROUND)}


def test_depth_of_another_size_is_refused_with_the_mend(peer, node, clock):
    clouds = peer.collect("segment_node/points", kind=PointCloud2)
    peer.spin_until(lambda: peer.node.count_subscribers("depth") == 1, "the depth subscription")
    refused_at = []

    def refused():
        stamp = next(clock)
        refused_at.append(stamped(Image(), stamp).header)
        message = stamped(Image(height=2, width=2, encoding="16UC1", step=4), stamp)
        message.data.frombytes(bytes(8))
        peer.publish(camera_info(), "camera_info")
        peer.publish(message, "depth")
        peer.segment(node, blocks(stamp))
        return "no cloud: depth is 2x2" in peer.diagnostics("segment_node")[2]["last_problem"]

    peer.spin_until(refused, "the refusal")
    assert not [cloud for cloud in clouds if cloud.header in refused_at]  # the test before may have sent an image twice


def test_depth_that_cannot_be_read_is_told_when_it_comes(peer, node, clock):
    peer.collect("segment_node/points", kind=PointCloud2)
    peer.spin_until(lambda: peer.node.count_subscribers("depth") == 1, "the depth subscription")
    message = stamped(Image(height=2, width=2, encoding="rgb8", step=6), next(clock))
    message.data.frombytes(bytes(12))
    peer.diagnostics(
        "segment_node",
        lambda _, __, v: "depth encoding 'rgb8' is not supported" in v["last_problem"],
        "the problem",
        send=lambda: peer.publish(message, "depth"),
    )


def test_images_that_found_no_depth_are_counted(peer, node, clock):
    peer.collect("segment_node/points", kind=PointCloud2)
    peer.spin_until(lambda: peer.node.count_subscribers("depth") == 1, "the depth subscription")

    def counted():
        peer.publish(camera_info(), "camera_info")
        peer.segment(node, blocks(next(clock)))
        return int(peer.diagnostics("segment_node")[2]["unpaired_frames"]) > 0

    peer.spin_until(counted, "the count")


def test_what_was_said_of_inputs_is_forgotten_with_them(peer, node, clock):
    for stamp in (next(clock), 5):
        peer.segment(node, blocks(stamp))
    peer.diagnostics("segment_node", lambda _, __, v: "went backwards" in v["notes"])
    for transition in ("deactivate", "activate"):
        assert peer.change_state("segment_node", transition)
    peer.wait_until_wanted("segment_node")
    peer.diagnostics("segment_node", lambda _, __, v: v["notes"] == "none")


def test_camera_info_from_before_a_deactivation_is_not_used_after_it(peer, node, clock):
    peer.collect("segment_node/points", kind=PointCloud2)

    def said():
        peer.segment(node, blocks(next(clock)))
        return peer.diagnostics("segment_node")[2]["last_problem"]

    for transition in ("deactivate", "activate"):
        assert peer.change_state("segment_node", transition)
    peer.wait_until_wanted("segment_node")
    peer.spin_until(lambda: "no camera_info has come" in said(), "the complaint")


def test_compressed_images_are_segmented_like_raw_ones(peer, start, tiny_bundle):
    start(
        "segment_node", "-r", "__node:=jpeg", "-r", "image:=/cam/color", model=tiny_bundle, image_transport="compressed"
    )
    masks = peer.collect("jpeg/instance_mask")
    peer.wait_until_wanted("jpeg")
    rgb, truth = color_blocks(HEIGHT, WIDTH)
    message = stamped(CompressedImage(format="bgr8; jpeg compressed bgr8"), 7, "wrist")
    message.data.frombytes(cv2.imencode(".jpg", rgb[..., ::-1])[1].tobytes())

    mask = peer.segment(masks, message, "/cam/color/compressed")

    labels = harness.labels_of(mask)
    assert mask.header == message.header
    assert len({int(np.bincount(labels[truth == k]).argmax()) for k in range(1, 5)} - {0}) == 4
    broken = stamped(CompressedImage(format="jpeg", data=message.data[:100]), 8)
    peer.diagnostics(
        "jpeg",
        lambda _, __, v: int(v["rejected_frames"]) > 0,
        "the rejection",
        send=lambda: peer.publish(broken, "/cam/color/compressed"),
    )
