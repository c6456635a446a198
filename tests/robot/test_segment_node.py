"""The segmentation node as its users meet it: a process of its own, reached over real DDS."""

import signal
import time

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'saom_ros[ros]' or source a ROS 2")

import ros_harness as harness
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image, PointCloud2, PointField
from tiny_bundle import COLORS, WITHOUT_GPU, color_blocks, write_tiny_bundle

from saom_ros import tracker
from saom_ros.nodes import pipeline
from saom_ros.nodes.diagnostics import ERROR, OK, WARN
from saom_ros.nodes.parameters import SegmentParameters
from saom_ros.segmenter import Segmenter

HEIGHT, WIDTH = 240, 320


@pytest.fixture(scope="module")
def running(peer, tiny_bundle, tmp_path_factory):
    """One active node with the tiny bundle for all tests that do not change its state, and its masks.

    It numbers the objects of each frame anew: these tests jump in time.
    """
    log = tmp_path_factory.mktemp("log") / "segment_node.log"
    shipped = harness.ROOT / "config" / "segment.yaml"
    process = harness.NodeProcess("segment_node", log, "--params-file", str(shipped), model=tiny_bundle, track=False)
    masks = peer.collect("segment_node/instance_mask")
    peer.wait_until_wanted("segment_node")
    yield process, masks
    process.stop()


# What comes out --------------------------------------------------------------------------------------------------


def test_the_mask_has_the_header_and_size_of_the_image_and_one_id_per_block(peer, running):
    rgb, truth = color_blocks(HEIGHT, WIDTH)
    message = harness.image_message(rgb, stamp=11, frame_id="wrist_optical")
    message.header.stamp.nanosec = 123456789

    mask = peer.segment(running[1], message)

    assert mask.header == message.header
    assert (mask.height, mask.width) == (HEIGHT, WIDTH)
    labels = harness.labels_of(mask)
    ids = {int(np.bincount(labels[truth == k]).argmax()) for k in range(1, len(COLORS) + 1)}
    assert ids == {1, 2, 3, 4}
    for k in range(1, len(COLORS) + 1):
        block = labels[truth == k]
        assert (block == np.bincount(block).argmax()).mean() > 0.9
    assert (labels[truth == 0] == 0).mean() > 0.9


@pytest.mark.parametrize(("encoding", "objects"), [("rgb8", 1), ("bgr8", 1), ("rgba8", 1), ("bgra8", 1), ("mono8", 0)])
def test_colours_are_right_in_every_encoding(peer, running, encoding, objects):
    rgb = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    rgb[50:150, 60:200] = COLORS["yellow"]  # with red and blue swapped it would be cyan, which the model does not know
    stamp = 20 + ["rgb8", "bgr8", "rgba8", "bgra8", "mono8"].index(encoding)

    labels = harness.labels_of(peer.segment(running[1], harness.image_message(rgb, encoding, stamp)))

    assert labels.max() == objects
    assert (labels[60:140, 70:190] == objects).all()


def test_rows_with_padding_are_read_by_their_step(peer, running):
    rgb, _ = color_blocks(HEIGHT, WIDTH)
    plain = harness.image_message(rgb, stamp=30)
    padded = harness.image_message(rgb, stamp=31)
    rows = np.frombuffer(padded.data, np.uint8).reshape(HEIGHT, -1)
    padded.step += 13
    padded.data = np.pad(rows, ((0, 0), (0, 13)), constant_values=255).tobytes()

    first, second = peer.segment(running[1], plain), peer.segment(running[1], padded)

    assert harness.labels_of(first).tolist() == harness.labels_of(second).tolist()


def test_the_overlay_is_the_image_with_drawn_objects(peer, running):
    overlays = peer.collect("segment_node/overlay")
    peer.spin_until(lambda: peer.subscribed_to("segment_node/overlay"), "the overlay topic")
    rgb, truth = color_blocks(HEIGHT, WIDTH)
    stamps = iter(range(40, 60))

    def overlay():
        peer.segment(running[1], harness.image_message(rgb, stamp=next(stamps)))
        return overlays and overlays[-1]

    drawn = peer.spin_until(overlay, "an overlay")

    assert (drawn.encoding, drawn.height, drawn.width, drawn.header.frame_id) == ("bgr8", HEIGHT, WIDTH, "camera")
    pixels = np.frombuffer(drawn.data, np.uint8).reshape(HEIGHT, WIDTH, 3)
    background = pixels[truth == 0].astype(int)
    assert (np.ptp(background, axis=1) < 30).mean() > 0.8, "grey background stays grey"
    assert (pixels[truth == 1] != (0, 0, 255)).any(axis=1).mean() > 0.9, "objects are tinted"


def test_the_overlay_is_drawn_only_for_a_subscriber(tiny_bundle, monkeypatch):
    def draw(*_):
        raise AssertionError("drawn for nobody")

    monkeypatch.setattr(pipeline, "draw_overlay", draw)
    messages = pipeline.Messages(Image, PointCloud2, PointField, vision=None)
    camera, segmenter = pipeline.Pipeline(messages), Segmenter.load(tiny_bundle)
    message = harness.image_message(color_blocks(HEIGHT, WIDTH)[0])

    def segment_for(*wanted: str) -> pipeline.Result:
        frame = pipeline.Frame(1, message.header, pipeline.pixel_reader(message), frozenset(wanted), None)
        return camera.segment(frame, segmenter, SegmentParameters())

    assert list(segment_for("instance_mask").messages) == ["instance_mask"]
    with pytest.raises(AssertionError, match="drawn for nobody"):
        segment_for("overlay")


def segment_still(camera, segmenter, stamp, rgb, settings):
    """The mask of a picture taken at `stamp` (s)."""
    message = harness.image_message(rgb, stamp=stamp)
    wanted = frozenset({"instance_mask", "target_mask"})
    frame = pipeline.Frame(1, message.header, pipeline.pixel_reader(message), wanted, None)
    return camera.segment(frame, segmenter, settings).messages


@pytest.mark.parametrize(("mode", "kept"), [("on_demand", True), ("continuous", False)])
def test_objects_keep_their_ids_between_triggers_minutes_apart(tiny_bundle, mode, kept):
    camera = pipeline.Pipeline(pipeline.Messages(Image, PointCloud2, PointField, vision=None))
    segmenter, settings = Segmenter.load(tiny_bundle), SegmentParameters(mode=mode)
    rgb, _ = color_blocks(HEIGHT, WIDTH)
    first = segment_still(camera, segmenter, 100, rgb, settings)["instance_mask"]
    later = segment_still(camera, segmenter, 300, rgb, settings)["instance_mask"]
    assert any(first.data)
    assert (first.data == later.data) is kept


def test_a_lost_target_does_not_follow_another_object_under_its_id(tiny_bundle, monkeypatch):
    rgb, _ = color_blocks(HEIGHT, WIDTH)
    segmenter, settings = Segmenter.load(tiny_bundle), SegmentParameters()
    objects = segmenter(rgb)
    monkeypatch.setattr(tracker, "MAX_INSTANCES", len(objects))  # ids come round at once
    camera = pipeline.Pipeline(pipeline.Messages(Image, PointCloud2, PointField, vision=None))
    y, x = (int(k[0]) for k in np.nonzero(objects.label_map))
    camera.target.ask_pixel(x, y)
    assert any(segment_still(camera, segmenter, 100, rgb, settings)["target_mask"].data)
    for stamp in (101, 103):
        segment_still(camera, segmenter, stamp, np.zeros_like(rgb), settings)
    found = segment_still(camera, segmenter, 104, rgb, settings)
    assert any(found["instance_mask"].data)
    assert not any(found["target_mask"].data)
    assert "another one has its id now" in str(camera.target.state)


# Bad input -------------------------------------------------------------------------------------------------------


def test_bad_frames_are_reported_and_the_next_good_one_is_segmented(peer, running):
    process, masks = running
    rgb, _ = color_blocks(HEIGHT, WIDTH)
    bad = {
        "image encoding 'yuv420' is not supported; expected one of rgb8": {"encoding": "yuv420"},
        "image data is empty: 0 bytes": {"data": b""},
        "image data is truncated: 100 bytes": {"data": bytes(100)},
        "image is 320x0 pixels": {"height": 0, "data": b""},
    }
    begun = time.monotonic()
    for problem, change in bad.items():
        message = harness.image_message(rgb, stamp=60)
        for name, value in change.items():
            setattr(message, name, value)
        level, said, _ = peer.diagnostics(
            "segment_node",
            lambda _, __, v, problem=problem: problem in v["last_problem"],
            problem,
            send=lambda message=message: peer.publish(message),
        )
        assert level in (WARN, ERROR)
        assert problem in said

    good = peer.segment(masks, harness.image_message(rgb, stamp=61))

    assert harness.labels_of(good).max() == 4
    assert process.running
    assert process.log().count("[ERROR]") <= 1 + (time.monotonic() - begun) / 5, "throttled"
    assert "Traceback" not in process.log()


@pytest.mark.parametrize(("sec", "nanosec"), [(-5, 0), (-(2**31), 0), (2**31 - 1, 2**32 - 1)])
def test_a_senseless_stamp_does_not_end_the_node(peer, running, sec, nanosec):
    process, masks = running
    rgb, _ = color_blocks(HEIGHT, WIDTH)
    message = harness.image_message(rgb, stamp=0)
    message.header.stamp.sec, message.header.stamp.nanosec = sec, nanosec

    assert peer.segment(masks, message).header == message.header
    assert harness.labels_of(peer.segment(masks, harness.image_message(rgb, stamp=69))).max() == 4
    assert process.running


def test_a_one_pixel_image_gets_a_one_pixel_mask(peer, running):
    mask = peer.segment(running[1], harness.image_message(np.zeros((1, 1, 3), np.uint8), stamp=70))
    assert (mask.height, mask.width, harness.labels_of(mask).tolist()) == (1, 1, [[0]])


# Parameters ------------------------------------------------------------------------------------------------------


def test_a_threshold_takes_effect_with_the_next_frame(peer, running):
    rgb, _ = color_blocks(HEIGHT, WIDTH)

    def objects(stamp: int) -> int:
        return int(harness.labels_of(peer.segment(running[1], harness.image_message(rgb, stamp=stamp))).max())

    assert peer.set_parameter("segment_node", "score_threshold", 1.0) == ""
    assert objects(80) == 0
    assert peer.set_parameter("segment_node", "score_threshold", -1.0) == ""
    assert objects(81) == 4
    assert peer.set_parameter("segment_node", "min_area", HEIGHT * WIDTH) == ""
    assert objects(82) == 0
    assert peer.set_parameter("segment_node", "min_area", 32) == ""


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("score_threshold", 1.5, "out of range"),
        ("score_threshold", -0.5, "score_threshold is -0.5; it must lie in 0..1, or be -1"),
        ("min_area", 0, "out of range"),
        ("model", "/elsewhere", "model is read when the node configures"),
        ("threads", 1, "deactivate and clean up the node first"),
        ("autostart", False, "read-only"),
    ],
)
def test_a_parameter_that_cannot_change_is_refused_with_the_reason(peer, running, name, value, reason):
    assert reason in peer.set_parameter("segment_node", name, value)


def test_parameters_describe_themselves(peer, running):
    score, model = peer.describe_parameters("segment_node", ["score_threshold", "model"])
    assert "score" in score.description
    assert (score.floating_point_range[0].from_value, score.floating_point_range[0].to_value) == (-1.0, 1.0)
    assert "bundle" in model.description


def test_wrong_values_and_unknown_keys_of_a_yaml_file_are_named(peer, start, tiny_bundle, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(
        f"/**:\n  ros__parameters:\n    model: {tiny_bundle}\n    scor_threshold: 0.4\n    min_area: small\n"
    )
    process = start("segment_node", "--params-file", str(path), "-r", "__node:=wrong")

    _, message, values = peer.diagnostics("wrong", lambda level, *_: level == ERROR)

    assert message == "unconfigured: cannot configure: min_area is 'small' (str); it must be an integer"
    assert "unknown parameter 'scor_threshold' is ignored; did you mean score_threshold?" in values["notes"]
    assert peer.set_parameter("wrong", "min_area", 50) == ""
    assert peer.change_state("wrong", "configure")
    assert peer.state("wrong") == "inactive"
    assert "Traceback" not in process.log()


@pytest.mark.parametrize(("text", "reason"), [(None, "Error opening YAML file"), ("/**:\n  min_area: 3\n", "line 2")])
def test_a_parameter_file_that_ros_cannot_read_ends_the_node_with_a_reason(peer, start, tmp_path, text, reason):
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_text(text)
    process = start("segment_node", "--params-file", str(path))
    assert process.wait() == 2
    said = process.log().splitlines()[-1]
    assert said.startswith("error: ROS does not take the arguments of this process: ")
    assert str(path) in said
    assert reason in said
    assert "Traceback" not in process.log()


# Diagnostics -----------------------------------------------------------------------------------------------------


def test_diagnostics_tell_rate_latency_and_model(peer, running):
    rgb, _ = color_blocks(HEIGHT, WIDTH)

    def message() -> Image:
        message = harness.image_message(rgb)
        message.header.stamp = peer.node.get_clock().now().to_msg()
        return message

    before = int(peer.diagnostics("segment_node")[2]["segmented_frames"])
    for _ in range(10):
        peer.segment(running[1], message())
    _, said, values = peer.diagnostics(
        "segment_node", lambda level, _, v: level == OK and int(v["segmented_frames"]) >= before + 10
    )

    assert said.startswith("segmenting ")
    assert (values["state"], values["model"], values["runtime"]) == ("active", "tiny 1", WITHOUT_GPU)
    assert float(values["rate_hz"]) > 1.0
    assert 0.0 < float(values["inference_ms"]) < float(values["latency_ms"]) < 20_000


def test_a_subscriber_with_an_incompatible_qos_is_told_of(peer, running):
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    subscription = peer.node.create_subscription(Image, "segment_node/instance_mask", lambda _: None, latched)
    notes = "a subscriber of ~/instance_mask has an incompatible DURABILITY QoS"
    peer.diagnostics("segment_node", lambda _, __, values: notes in values["notes"], notes)
    peer.node.destroy_subscription(subscription)


def test_nothing_is_segmented_while_nobody_subscribes(peer, start, tiny_bundle):
    start("segment_node", "-r", "__node:=idle", "-r", "image:=idle_image", model=tiny_bundle)
    peer.diagnostics("idle", lambda _, __, values: values["state"] == "active")

    message = harness.image_message(color_blocks(HEIGHT, WIDTH)[0])
    level, said, values = peer.diagnostics(
        "idle", lambda _, __, v: int(v["received_frames"]) > 0, send=lambda: peer.publish(message, "idle_image")
    )

    assert (level, said) == (OK, "idle: nobody subscribes to a result")
    assert values["unwanted_frames"] == values["received_frames"]
    assert values["segmented_frames"] == "0"


# Lifecycle -------------------------------------------------------------------------------------------------------


def test_a_lifecycle_manager_leads_the_node_through_its_states(peer, start, tiny_bundle):
    process = start("segment_node", "-r", "__node:=managed", model=tiny_bundle, autostart=False)

    assert peer.state("managed") == "unconfigured"
    assert peer.change_state("managed", "configure")
    assert peer.state("managed") == "inactive"
    assert peer.change_state("managed", "activate")
    assert peer.state("managed") == "active"
    assert not peer.change_state_by_id("managed", 3), "activating twice is refused and harmless"
    assert peer.state("managed") == "active"

    masks = peer.collect("managed/instance_mask")
    peer.wait_until_wanted("managed")
    rgb, _ = color_blocks(HEIGHT, WIDTH)
    peer.segment(masks, harness.image_message(rgb, stamp=90))
    assert peer.change_state("managed", "deactivate")
    assert peer.change_state("managed", "activate")
    peer.segment(masks, harness.image_message(rgb, stamp=91))
    assert peer.change_state("managed", "deactivate")
    assert peer.change_state("managed", "cleanup")
    assert peer.set_parameter("managed", "threads", 1) == "", "an unconfigured node takes it"
    assert peer.change_state("managed", "configure")
    assert peer.change_state("managed", "shutdown")
    assert peer.state("managed") == "finalized"
    assert "Traceback" not in process.log()


def test_a_corrupt_bundle_leaves_the_node_unconfigured_until_it_gets_a_good_one(peer, start, tiny_bundle, tmp_path):
    corrupt = write_tiny_bundle(tmp_path / "corrupt")
    with open(corrupt / "model.onnx", "ab") as graph:
        graph.write(b"damage")
    process = start("segment_node", "-r", "__node:=corrupt", model=corrupt)

    level, message, values = peer.diagnostics("corrupt", lambda level, *_: level == ERROR)

    assert message.startswith(f"unconfigured: cannot configure: {corrupt}/model.onnx: SHA-256 is ")
    assert (values["state"], values["model"]) == ("unconfigured", "none")
    assert process.running
    assert f"{corrupt}/model.onnx" in process.log()
    assert peer.set_parameter("corrupt", "model", str(tiny_bundle)) == ""
    assert peer.change_state("corrupt", "configure")
    assert peer.change_state("corrupt", "activate")
    level, _, values = peer.diagnostics("corrupt", lambda _, __, v: v["state"] == "active")
    assert values["model"] == "tiny 1"
    assert level != ERROR
    assert "Traceback" not in process.log()


@pytest.mark.parametrize(
    ("name", "signals"),
    [
        ("interrupted", [signal.SIGINT]),
        ("terminated", [signal.SIGTERM]),
        ("interrupted_twice", [signal.SIGINT, signal.SIGINT]),
    ],
)
def test_signals_end_the_node_with_status_zero(peer, start, tiny_bundle, name, signals):
    process = start("segment_node", "-r", f"__node:={name}", model=tiny_bundle)
    peer.diagnostics(name, lambda _, __, values: values["state"] == "active")
    for number in signals:
        process.signal(number)
    assert process.wait() == 0, process.log()
    assert "Traceback" not in process.log()


def test_two_nodes_in_two_namespaces_do_not_mix(peer, start, tiny_bundle):
    for name in ("left", "right"):
        start("segment_node", namespace=f"/{name}", model=tiny_bundle)
    masks = {name: peer.collect(f"/{name}/segment_node/instance_mask") for name in ("left", "right")}
    rgb, _ = color_blocks(HEIGHT, WIDTH)
    for name in masks:
        peer.wait_until_wanted(f"{name}/segment_node")
    for stamp, name in enumerate(masks, start=100):
        peer.segment(masks[name], harness.image_message(rgb, stamp=stamp, frame_id=name), f"/{name}/image")
    for stamp, name in enumerate(masks, start=100):
        assert {(m.header.stamp.sec, m.header.frame_id) for m in masks[name]} == {(stamp, name)}


# Image source ----------------------------------------------------------------------------------------------------


def test_the_image_source_plays_a_folder_once(peer, start, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for index, color in enumerate([(10, 20, 200), (20, 200, 10)]):
        cv2.imwrite(str(folder / f"{index}.png"), np.full((20, 30, 3), color[::-1], np.uint8))
    (folder / "broken.jpg").write_bytes(b"no image")
    (folder / "notes.txt").write_text("not an image")
    received = peer.collect("played")
    process = start(
        "image_source_node",
        "-r",
        "image:=played",
        source=folder,
        rate=4.0,
        loop=False,
        frame_id="head",
        encoding="bgr8",
    )

    peer.spin_until(lambda: not process.running, "the end of the folder")
    peer.spin_until(lambda: len(received) >= 2, "two images")

    assert process.wait() == 0, process.log()
    assert [np.frombuffer(m.data, np.uint8)[:3].tolist() for m in received] == [[200, 20, 10], [10, 200, 20]]
    assert all((m.encoding, m.height, m.width, m.header.frame_id) == ("bgr8", 20, 30, "head") for m in received)
    assert all(m.header.stamp.sec > 0 for m in received)
    assert process.log().count("broken.jpg") == process.log().count("; left out") == 1
    assert "played 2 images; done" in process.log()


def test_a_source_that_cannot_be_played_ends_with_one_line(peer, start, tmp_path):
    process = start("image_source_node", source=tmp_path / "nowhere")
    assert process.wait() == 2
    assert process.log().startswith(f"error: {tmp_path}/nowhere: no such file or folder")
    assert process.log().count("\n") == 1
