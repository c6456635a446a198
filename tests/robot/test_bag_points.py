"""`saom bag --points`: clouds of the objects from recorded depth and camera_info."""

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="rosbags is not installed: pip install 'saom_ros[bag]'")

import bag_files as bags
from bag_files import HEIGHT, PERIOD, START, WIDTH, blocks, frames, labels, messages

from saom_ros import cli

FOCAL = 150.0
POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<u4"), ("label", "<u4")])
INFO = [("/camera/camera_info", START, bags.camera_info(WIDTH, HEIGHT, FOCAL))]


def depth(millimetres, stamp, time=None, size=(HEIGHT, WIDTH)):
    pixels = np.full(size, millimetres, np.uint16)
    return ("/camera/depth", stamp if time is None else time, bags.image(pixels, stamp, "16UC1"))


@pytest.fixture
def saom_bag(tiny_bundle, tmp_path):
    """Record messages and run `saom bag --points` on them; returns exit code and clouds."""

    def run(recorded, *options):
        recorded = sorted(recorded, key=lambda entry: entry[1])
        source, out = bags.write_bag(tmp_path / "in", recorded), tmp_path / "out"
        code = cli.main(["bag", str(source), str(out), "--model", str(tiny_bundle), "--points", *options])
        return code, messages(out, "/segment_node/points") if out.exists() else None

    return run


def test_clouds_have_the_ids_of_the_mask_and_the_place_that_depth_gives(saom_bag, tmp_path, capsys):
    recorded = frames(2) + INFO + [depth(1500, START), depth(2000, START + PERIOD)]
    code, clouds = saom_bag(recorded)

    assert code == 0
    assert capsys.readouterr().out == f"2 images, 8 objects, 2 clouds -> {tmp_path / 'out'}\n"
    masks = messages(tmp_path / "out", "/segment_node/instance_mask")
    for (time, cloud), (mask_time, mask), z in zip(clouds, masks, (1.5, 2.0), strict=True):
        assert (time, cloud.header.stamp) == (mask_time, mask.header.stamp)
        assert [field.name for field in cloud.fields] == list(POINT.names)
        points, ids = np.frombuffer(cloud.data, POINT), labels(mask)
        assert points["label"].tolist() == ids[ids > 0].tolist()
        assert (points["z"] == z).all()
        assert points["x"].min() == pytest.approx((np.nonzero(ids)[1].min() - WIDTH / 2) / FOCAL * z)
    copied = bags.read_raw(tmp_path / "out")
    assert {"/camera/image", "/camera/depth", "/camera/camera_info"} <= set(copied)


def test_an_image_gets_the_nearest_depth_also_where_it_was_recorded_later(saom_bag):
    near = depth(1000, START - 10_000_000)
    exact = depth(1500, START, time=START + 50_000_000)
    code, ((_, cloud),) = saom_bag(frames(1) + INFO + [near, exact])
    assert code == 0
    assert (np.frombuffer(cloud.data, POINT)["z"] == 1.5).all()


def test_stride_and_tolerance_are_those_of_the_node(saom_bag):
    recorded = frames(1) + INFO + [depth(1500, START - 30_000_000)]
    code, ((_, cloud),) = saom_bag(recorded, "--sync-tolerance", "0.03", "--points-stride", "4")
    assert code == 0
    assert 0 < cloud.width < HEIGHT * WIDTH / 16


def test_depth_beyond_the_tolerance_gives_no_cloud_and_the_reason(saom_bag, tmp_path, capsys):
    code, clouds = saom_bag(frames(1) + INFO + [depth(1500, START - 30_000_000)])
    assert (code, clouds) == (1, [])
    shown = capsys.readouterr()
    assert "no cloud (1 times): no image of /camera/depth has a stamp within 20 ms" in shown.err
    assert len(messages(tmp_path / "out", "/segment_node/instance_mask")) == 1


def test_depth_of_another_size_gives_no_cloud_and_the_mend(saom_bag, capsys):
    code, clouds = saom_bag(frames(2) + INFO + [depth(1500, START + k * PERIOD, size=(2, 2)) for k in range(2)])
    assert (code, clouds) == (1, [])
    assert (
        "no cloud (2 times): depth is 2x2, the image 128x96 pixels; publish depth registered" in capsys.readouterr().err
    )


def test_camera_info_that_comes_after_the_images_counts_for_them(saom_bag):
    late = [(topic, START + 10**9, message) for topic, _, message in INFO]
    code, clouds = saom_bag(frames(1) + late + [depth(1500, START)])
    assert (code, len(clouds)) == (0, 1)


def test_the_camera_info_beside_the_images_is_taken(saom_bag):
    other = [("/other/camera_info", START, bags.camera_info(2, 2, 1.0))]
    code, clouds = saom_bag(frames(1) + other + INFO + [depth(1500, START)])
    assert (code, len(clouds)) == (0, 1)


def test_a_recording_without_depth_is_refused(saom_bag, capsys):
    assert saom_bag(frames(1) + INFO) == (2, None)
    assert "has no depth image topic that could be told by itself; it holds /camera/" in capsys.readouterr().err


def test_clouds_without_tracking_have_the_ids_of_the_mask(saom_bag, tmp_path):
    shifted = [("/camera/image", START + PERIOD, bags.image(blocks(20), START + PERIOD))]
    _, clouds = saom_bag(frames(1) + shifted + INFO + [depth(1500, START), depth(1500, START + PERIOD)], "--no-track")
    masks = messages(tmp_path / "out", "/segment_node/instance_mask")
    for (_, cloud), (_, mask) in zip(clouds, masks, strict=True):
        assert set(np.frombuffer(cloud.data, POINT)["label"]) == set(np.unique(labels(mask))) - {0} == {1, 2, 3, 4}
