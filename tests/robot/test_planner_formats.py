"""What grasp planners and pose estimators get from us, byte for byte, and the recipes of docs/grasp-planners.md.

Messages are made by the node's own pipeline from a picture whose objects are known, and read by readers written here
from the message definitions and from PCL's layout of colours. The Python blocks of the page are run as they stand.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("sensor_msgs.msg", reason="the ROS messages are not installed: pip install 'saom_ros[ros]'")

from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from tiny_bundle import COLORS, color_blocks

from saom_ros.nodes import pipeline
from saom_ros.nodes.parameters import SegmentParameters
from saom_ros.nodes.pipeline import MASK, POINTS, TARGET_MASK, Frame, Pipeline
from saom_ros.segmenter import Segmenter

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "grasp-planners.md").read_text(encoding="utf-8")
HEIGHT, WIDTH, FOCAL, DISTANCE = 240, 320, 300.0, 1.25
CLASSES = pipeline.Messages(Image, PointCloud2, PointField, vision=None)
RED = (60, 60)
"""Row and column of a pixel of the red block."""

Messages = dict[str, Any]


def stamped(message: Any) -> Any:
    message.header.frame_id = "camera_color_optical_frame"
    message.header.stamp.sec, message.header.stamp.nanosec = 1_790_000_000, 123_456_789
    return message


def image_of(pixels: np.ndarray, encoding: str) -> Image:
    """A message of pixels (H, W) or (H, W, C), written without the code under test."""
    image = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, step=pixels.strides[0])
    image.data.frombytes(pixels.tobytes())
    return stamped(image)


def frame_of(image: Image, wanted: frozenset[str], info: CameraInfo | None = None) -> Frame:
    return Frame(1, image.header, pipeline.pixel_reader(image), wanted, info)


@pytest.fixture
def messages(segmenter: Segmenter) -> Messages:
    """Image, depth (16UC1, unknown at RED), camera_info and the node's results, by the page's names."""
    rgb, _ = color_blocks(HEIGHT, WIDTH)
    millimetres = np.full((HEIGHT, WIDTH), round(DISTANCE * 1000), np.uint16)
    millimetres[RED] = 0
    info = stamped(CameraInfo(width=WIDTH, height=HEIGHT))
    info.k = [FOCAL, 0.0, WIDTH / 2, 0.0, FOCAL, HEIGHT / 2, 0.0, 0.0, 1.0]
    image, depth = image_of(rgb, "rgb8"), image_of(millimetres, "16UC1")
    camera = Pipeline(CLASSES)
    camera.target.ask_pixel(RED[1], RED[0])
    wanted = frozenset({MASK, TARGET_MASK, POINTS})
    result = camera.segment(frame_of(image, wanted, info), segmenter, SegmentParameters())
    assert result.segmented is not None
    assert result.segmented.scene is not None, result.segmented.no_cloud
    cloud = camera.make_cloud(result.segmented.scene, depth, 1).messages[POINTS]
    return {
        "image": image,
        "depth": depth,
        "info": info,
        "mask": result.messages[MASK],
        "target": result.messages[TARGET_MASK],
        "cloud": cloud,
    }


def blocks_that_run_with(what: str) -> list[str]:
    """Python blocks of the page that are marked so."""
    return re.findall(rf"<!-- runs: {what} -->\n```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def page(messages: Messages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Messages:
    """All names that are defined once the page's blocks for messages have run, one after the other."""
    monkeypatch.chdir(tmp_path)
    names = dict(messages)
    for block in blocks_that_run_with("messages"):
        exec(compile(block, "docs/grasp-planners.md", "exec"), names)
    return names


def test_every_python_block_of_the_page_is_marked_to_run():
    assert len(blocks_that_run_with("messages")) == 5
    assert len(blocks_that_run_with("node")) == 1
    assert PAGE.count("```python") == 6


# Formats


def test_masks_have_the_size_and_the_very_header_of_the_image(messages):
    for name in ("mask", "target"):
        assert messages[name].header == messages["image"].header
        assert (messages[name].height, messages[name].width) == (HEIGHT, WIDTH)


def test_the_target_mask_is_mono8_with_nothing_but_0_and_255(messages):
    target = messages["target"]
    assert (target.encoding, target.step, len(target.data)) == ("mono8", WIDTH, HEIGHT * WIDTH)
    pixels = np.array(target.data).reshape(HEIGHT, WIDTH)
    assert set(np.unique(pixels)) == {0, 255}
    assert pixels[RED] == 255
    assert pixels[0, -1] == 0


def test_the_instance_mask_is_mono16_with_0_for_background(messages):
    mask = messages["mask"]
    assert (mask.encoding, mask.step, mask.is_bigendian) == ("mono16", 2 * WIDTH, 0)
    ids = np.array(struct.unpack(f"<{HEIGHT * WIDTH}H", mask.data.tobytes())).reshape(HEIGHT, WIDTH)
    _, truth = color_blocks(HEIGHT, WIDTH)
    assert ids[0, -1] == 0
    owners = {int(np.bincount(ids[truth == k]).argmax()) for k in range(1, 5)}
    assert len(owners - {0}) == 4
    assert owners | {0} == set(np.unique(ids))


def read_cloud(cloud: PointCloud2) -> list[dict[str, Any]]:
    """Points of a cloud as PCL reads them: fields by name at their offsets, and the colour out of `rgb`'s bytes."""
    formats = {6: "I", 7: "f"}  # UINT32, FLOAT32 of sensor_msgs/PointField
    data, points = cloud.data.tobytes(), []
    for start in range(0, len(data), cloud.point_step):
        point: dict[str, Any] = {}
        for field in cloud.fields:
            (point[field.name],) = struct.unpack_from("<" + formats[field.datatype], data, start + field.offset)
            if field.name == "rgb":
                # pcl::PointXYZRGB: a union of the float and the bytes b, g, r, a.
                point["blue"], point["green"], point["red"], _ = data[start + field.offset : start + field.offset + 4]
        points.append(point)
    return points


def test_the_cloud_describes_itself_in_full(messages):
    cloud = messages["cloud"]
    assert cloud.header == messages["image"].header
    assert [(f.name, f.offset, f.datatype, f.count) for f in cloud.fields] == [
        ("x", 0, 7, 1),
        ("y", 4, 7, 1),
        ("z", 8, 7, 1),
        ("rgb", 12, 7, 1),
        ("label", 16, 6, 1),
    ]
    assert (cloud.point_step, cloud.height, cloud.is_dense, cloud.is_bigendian) == (20, 1, True, False)
    assert cloud.row_step == len(cloud.data) == 20 * cloud.width


def test_points_lie_in_the_optical_frame_where_their_pixels_look_and_carry_their_colour_and_id(messages):
    rgb, _ = color_blocks(HEIGHT, WIDTH)
    ids = np.frombuffer(messages["mask"].data, "<u2").reshape(HEIGHT, WIDTH)
    points = read_cloud(messages["cloud"])
    assert len(points) == np.count_nonzero(ids) - 1  # the pixel without depth
    for point in points[::97]:
        column = round(point["x"] / point["z"] * FOCAL + WIDTH / 2)
        row = round(point["y"] / point["z"] * FOCAL + HEIGHT / 2)
        assert point["z"] == DISTANCE
        assert point["label"] == ids[row, column]
        assert (point["red"], point["green"], point["blue"]) == tuple(rgb[row, column])


def test_a_target_that_nobody_asked_for_is_all_zero(segmenter):
    rgb, _ = color_blocks(HEIGHT, WIDTH)
    frame = frame_of(image_of(rgb, "rgb8"), frozenset({TARGET_MASK}))
    result = Pipeline(CLASSES).segment(frame, segmenter, SegmentParameters())
    assert not any(result.messages[TARGET_MASK].data)


# Recipes


def test_the_page_reads_messages_into_arrays(page, messages):
    assert np.array_equal(page["rgb"], color_blocks(HEIGHT, WIDTH)[0])
    assert page["ids"].tobytes() == messages["mask"].data.tobytes()
    assert page["one"].dtype == bool
    assert np.array_equal(page["one"], page["ids"] == page["ids"][RED[0] + 1, RED[1]])
    assert page["metres"][RED] == 0.0
    assert page["metres"][0, 0] == np.float32(DISTANCE)
    assert page["K"].tolist() == [[FOCAL, 0.0, WIDTH / 2], [0.0, FOCAL, HEIGHT / 2], [0.0, 0.0, 1.0]]


def test_gqcnn_gets_depth_in_metres_and_a_mask_of_one_size(page, messages):
    depth = page["depth_image"]
    assert (depth.encoding, depth.step, depth.header) == ("32FC1", 4 * WIDTH, messages["depth"].header)
    assert struct.unpack_from("<f", depth.data.tobytes(), 0) == (DISTANCE,)
    assert page["segmask"] is messages["target"]


def test_contact_graspnet_gets_its_file(page, tmp_path):
    with np.load(tmp_path / "scene.npz") as scene:
        assert sorted(scene.files) == ["K", "depth", "rgb", "segmap"]
        assert scene["depth"].dtype == np.float32
        assert scene["depth"].max() == np.float32(DISTANCE)
        assert scene["segmap"].dtype.kind == "i"
        assert scene["segmap"][0, -1] == 0
        assert len(np.unique(scene["segmap"])) == 1 + len(COLORS)
        # It converts from OpenCV's order.
        assert tuple(cv2.cvtColor(scene["rgb"], cv2.COLOR_BGR2RGB)[RED]) == COLORS["red"]


def test_graspnet_gets_a_boolean_mask_of_the_depths_size(page):
    assert page["workspace_mask"].dtype == bool
    assert page["workspace_mask"].shape == page["metres"].shape
    assert not page["valid"][RED]


def test_anygrasp_gets_the_points_and_colours_that_graspnets_way_gives(messages, page):
    # The block for GraspNet calculates points from depth, the one for AnyGrasp reads the node's cloud.
    names = dict(messages)
    for block in blocks_that_run_with("messages")[:4]:
        exec(block, names)
    assert page["points"].dtype == page["colors"].dtype == np.float32
    np.testing.assert_allclose(page["points"], names["points"], atol=1e-6)
    np.testing.assert_array_equal(page["colors"], names["colors"])
    assert page["colors"].max() == 1.0
    assert page["object_ids"].tolist() == page["ids"][page["valid"]].tolist()
    low, high = page["points"].min(axis=0), page["points"].max(axis=0)
    assert page["lims"] == [low[0], high[0], low[1], high[1], low[2], high[2]]


def test_the_page_asks_the_node_for_one_object(peer, start, tiny_bundle, tmp_path):
    rgb, truth = color_blocks(HEIGHT, WIDTH)
    cv2.imwrite(str(tmp_path / "blocks.png"), rgb[:, :, ::-1])
    start("segment_node", model=tiny_bundle, mode="on_demand")
    start("image_source_node", source=tmp_path / "blocks.png", rate=5.0)
    names: Messages = {}
    (block,) = blocks_that_run_with("node")
    try:
        exec(compile(block, "docs/grasp-planners.md", "exec"), names)
        pixels = np.array(names["target"].data).reshape(HEIGHT, WIDTH)
    finally:
        if "planner" in names:
            names["planner"].destroy_node()
    assert names["target"].header.frame_id == "camera"
    assert pixels[RED] == 255
    assert ((pixels == 255) == (truth == truth[RED])).mean() > 0.99
