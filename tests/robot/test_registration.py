"""Depth and camera_info that do not fit the image are refused; those that fit give the right intrinsics."""

from types import SimpleNamespace

import pytest

from saom_ros.clouds import Intrinsics
from saom_ros.errors import ImageError
from saom_ros.nodes.registration import check_registered, distortion_note, intrinsics_from_message

FRAME = "camera_color_optical_frame"


def camera_info(frame=FRAME, width=640, height=480, binning=(0, 0), d=(), k=None, p=None, roi=()):
    """A CameraInfo as drivers send it; K differs from P so that a test sees which one counted."""
    roi = dict(zip(("x_offset", "y_offset", "width", "height", "do_rectify"), roi or (0, 0, 0, 0, False), strict=True))
    return SimpleNamespace(
        header=SimpleNamespace(frame_id=frame),
        width=width,
        height=height,
        d=list(d),
        k=k or [600.0, 0, 320.0, 0, 601.0, 240.0, 0, 0, 1],
        p=p or [500.0, 0, 310.0, 0, 0, 501.0, 230.0, 0, 0, 0, 1, 0],
        binning_x=binning[0],
        binning_y=binning[1],
        roi=SimpleNamespace(**roi),
    )


def depth_image(width=640, height=480, frame=FRAME):
    return SimpleNamespace(width=width, height=height, header=SimpleNamespace(frame_id=frame))


def test_the_intrinsics_are_those_of_the_rectified_image():
    assert intrinsics_from_message(camera_info(), 640, 480, FRAME) == Intrinsics(500.0, 501.0, 310.0, 230.0)


def test_without_p_k_counts():
    info = camera_info(p=[0.0] * 12)
    assert intrinsics_from_message(info, 640, 480, FRAME) == Intrinsics(600.0, 601.0, 320.0, 240.0)


def test_the_baseline_of_a_stereo_pair_is_left_out():
    info = camera_info(p=[500.0, 0, 310.0, -60.0, 0, 501.0, 230.0, 0, 0, 0, 1, 0])
    assert intrinsics_from_message(info, 640, 480, FRAME) == Intrinsics(500.0, 501.0, 310.0, 230.0)


def test_binning_divides_everything():
    info = camera_info(binning=(2, 3))
    assert intrinsics_from_message(info, 320, 160, FRAME) == Intrinsics(250.0, 167.0, 155.0, pytest.approx(230 / 3))


def test_a_region_of_interest_moves_the_principal_point():
    info = camera_info(roi=(100, 50, 200, 120, False))
    assert intrinsics_from_message(info, 200, 120, FRAME) == Intrinsics(500.0, 501.0, 210.0, 180.0)


def test_the_region_is_taken_off_before_binning_divides():
    info = camera_info(roi=(100, 50, 200, 120, False), binning=(2, 2))
    assert intrinsics_from_message(info, 100, 60, FRAME) == Intrinsics(250.0, 250.5, 105.0, 90.0)


@pytest.mark.parametrize(
    ("info", "problem"),
    [
        (camera_info(k=[0.0] * 9, p=[0.0] * 12), "not calibrated .K is zero.; calibrate it"),
        (camera_info(frame="other"), f"of frame 'other', the image of '{FRAME}'; remap 'camera_info'"),
        (camera_info(width=1280, height=720), "for 1280x720 pixels, the image is 640x480"),
        (camera_info(binning=(2, 2)), "for 320x240 pixels, the image is 640x480"),
        (camera_info(roi=(0, 0, 320, 240, False)), "for 320x240 pixels, the image is 640x480"),
        (camera_info(roi=(0, 0, 640, 480, True), d=[0.1, 0, 0, 0, 0]), "rectified region of interest"),
        (camera_info(p=[500.0] + [0.0] * 11), "fx 500, fy 0"),
        (camera_info(p=[-500.0, 0, 310.0, 0, 0, 501.0, 230.0, 0, 0, 0, 1, 0]), "fx -500, fy 501"),
        (camera_info(k=[float("nan")] * 9, p=[float("nan")] * 12), "fx nan"),
        (camera_info(p=[500.0, 0, float("inf"), 0, 0, 501.0, 230.0, 0, 0, 0, 1, 0]), "cx inf"),
    ],
)
def test_a_camera_info_that_cannot_be_used_is_refused_with_a_reason(info, problem):
    with pytest.raises(ImageError, match=problem):
        intrinsics_from_message(info, 640, 480, FRAME)


def test_depth_on_the_pixels_of_the_image_is_welcome():
    check_registered(depth_image(), 640, 480, FRAME)


def test_depth_of_another_size_is_refused_with_both_sizes_and_the_mend():
    with pytest.raises(ImageError, match=r"depth is 848x480, the image 640x480 pixels; .*align_depth\.enable"):
        check_registered(depth_image(width=848), 640, 480, FRAME)


def test_depth_of_another_frame_is_refused_though_its_size_fits():
    with pytest.raises(ImageError, match=f"in frame 'depth_optical', the image in '{FRAME}'.*align_depth"):
        check_registered(depth_image(frame="depth_optical"), 640, 480, FRAME)


def test_lens_distortion_is_said_and_its_absence_is_not():
    assert distortion_note(camera_info(d=[0.0] * 5)) == ""
    assert distortion_note(camera_info(d=[])) == ""
    assert "image_rect" in distortion_note(camera_info(d=[0.1, 0, 0, 0, 0]))
