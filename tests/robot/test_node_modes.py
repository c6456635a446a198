"""When the node segments: on demand, for several cameras, and not at all while it is inactive. Over real DDS."""

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed: pip install 'saom_ros[ros]' or source a ROS 2")

import ros_harness as harness
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger
from tiny_bundle import color_blocks

from saom_ros.nodes.diagnostics import ERROR

HEIGHT, WIDTH = 120, 160


@pytest.fixture(scope="module")
def on_demand(peer, tiny_bundle, tmp_path_factory):
    """An active node that waits for calls, and the masks that it made."""
    process = harness.NodeProcess(
        "segment_node",
        tmp_path_factory.mktemp("log") / "log",
        "-r",
        "__node:=on_demand",
        model=tiny_bundle,
        mode="on_demand",
        trigger_timeout=20.0,
    )
    masks = peer.collect("on_demand/instance_mask")
    peer.wait_until_wanted("on_demand")
    yield masks
    assert "Traceback" not in process.log()
    process.stop()


def image(stamp: int):
    return harness.image_message(color_blocks(HEIGHT, WIDTH)[0], stamp=stamp)


def call(peer, node: str):
    return peer.call_async(Trigger, f"{node}/trigger", Trigger.Request())


def serve(peer, stamps, *calls, topic: str = "image") -> None:
    """Publish images until all calls are answered."""
    due = iter(stamps)

    def answered():
        if all(future.done() for future in calls):
            return True
        peer.publish(image(next(due)), topic)
        peer.spin_for(0.3)
        return False

    peer.spin_until(answered, "the answers")


def test_an_image_is_segmented_only_for_a_call_and_the_answer_tells_what_was_found(peer, on_demand):
    peer.diagnostics(
        "on_demand",
        lambda _, __, v: int(v["unwanted_frames"]) > 0,
        "the image that nobody asked for",
        send=lambda: peer.publish(image(1)),
    )
    assert not on_demand

    answer = call(peer, "on_demand")
    serve(peer, range(2, 100), answer)

    assert answer.result().success
    mask = peer.spin_until(lambda: on_demand and on_demand[-1], "the mask")
    assert answer.result().message.startswith(f"stamp {mask.header.stamp.sec}.000000000: 4 objects in ")


def test_two_callers_at_once_are_both_answered(peer, on_demand):
    answers = [call(peer, "on_demand") for _ in range(2)]
    serve(peer, range(100, 200), *answers)
    assert all(answer.result().success for answer in answers)


def test_a_bad_image_does_not_answer_a_caller_but_the_next_good_one_does(peer, on_demand):
    answer = call(peer, "on_demand")
    before = int(peer.diagnostics("on_demand")[2]["rejected_frames"])
    bad = image(200)
    bad.encoding = "unheard_of"
    peer.diagnostics(
        "on_demand",
        lambda _, __, v: int(v["rejected_frames"]) > before,
        "the rejection",
        send=lambda: peer.publish(bad),
    )
    assert not answer.done()
    serve(peer, range(201, 300), answer)
    assert answer.result().success


def test_without_a_camera_a_caller_is_told_after_the_time_out(peer, on_demand):
    assert peer.set_parameter("on_demand", "trigger_timeout", 0.5) == ""
    answer = call(peer, "on_demand")
    peer.spin_until(answer.done, "the answer")
    assert peer.set_parameter("on_demand", "trigger_timeout", 20.0) == ""
    assert (answer.result().success, answer.result().message) == (
        False,
        "no image of /image was segmented within 0.5 s",
    )


def test_deactivating_answers_who_waits_and_releases_every_subscription(peer, on_demand):
    answer = call(peer, "on_demand")
    peer.spin_for(0.5)
    assert peer.change_state("on_demand", "deactivate")
    peer.spin_until(answer.done, "the answer")
    assert (answer.result().success, answer.result().message) == (False, "the node was deactivated")
    for topic in ("image", "depth", "camera_info", "target_pixel", "target_point"):
        peer.spin_until(lambda t=topic: peer.node.count_subscribers(t) == 0, f"nobody to listen to {topic}")

    late = call(peer, "on_demand")
    peer.spin_until(late.done, "the answer")
    assert (late.result().success, late.result().message) == (False, "the node is inactive; activate it first")

    assert peer.change_state("on_demand", "activate")
    again = call(peer, "on_demand")
    serve(peer, range(300, 400), again)
    assert again.result().success


def test_a_call_is_answered_in_continuous_mode_though_nobody_subscribes(peer, start, tiny_bundle):
    start("segment_node", "-r", "__node:=lonely", "-r", "image:=lonely_image", model=tiny_bundle)
    peer.diagnostics("lonely", lambda _, __, v: v["state"] == "active")
    answer = call(peer, "lonely")
    serve(peer, range(1, 100), answer, topic="lonely_image")
    assert answer.result().success


def test_two_cameras_share_a_model_and_do_not_mix(peer, start, tiny_bundle):
    start("segment_node", "-r", "__node:=pair", model=tiny_bundle, cameras="[front, wrist]")
    masks = {name: peer.collect(f"pair/{name}/instance_mask") for name in ("front", "wrist")}
    rgb, _ = color_blocks(HEIGHT, WIDTH)
    for stamp, name in enumerate(masks, start=1):
        peer.wait_until_wanted(f"pair: {name}")
        peer.segment(masks[name], harness.image_message(rgb, stamp=stamp, frame_id=name), f"{name}/image")
    for stamp, name in enumerate(masks, start=1):
        assert {(m.header.stamp.sec, m.header.frame_id) for m in masks[name]} == {(stamp, name)}
        assert len(np.unique(harness.labels_of(masks[name][0]))) == 5


def test_the_qos_of_images_and_masks_can_be_overridden(peer, start, tiny_bundle):
    start(
        "segment_node",
        "-r",
        "__node:=careful",
        "-r",
        "image:=/reliable_image",
        "-p",
        "qos_overrides./reliable_image.subscription.reliability:=reliable",
        "-p",
        "qos_overrides./careful/instance_mask.publisher.reliability:=best_effort",
        model=tiny_bundle,
    )
    peer.diagnostics("careful", lambda _, __, v: v["state"] == "active")

    def reliability(infos) -> set[str]:
        return {info.qos_profile.reliability.name for info in infos}

    images, masks = "/reliable_image", "/careful/instance_mask"
    peer.spin_until(lambda: peer.node.get_subscriptions_info_by_topic(images), "the subscription")
    assert reliability(peer.node.get_subscriptions_info_by_topic(images)) == {"RELIABLE"}
    assert reliability(peer.node.get_publishers_info_by_topic(masks)) == {"BEST_EFFORT"}


def test_a_quality_of_service_that_does_not_exist_is_reported(peer, start, tiny_bundle):
    misspelt = "qos_overrides./hasty_image.subscription.reliability:=relaible"
    start("segment_node", "-r", "__node:=hasty", "-r", "image:=/hasty_image", "-p", misspelt, model=tiny_bundle)
    level, said, values = peer.diagnostics("hasty", lambda _, said, v: "cannot" in said, "the failure")
    assert (level, values["state"]) == (ERROR, "inactive")
    assert "cannot activate" in said
    assert "relaible" in said


def test_latency_is_measured_by_simulated_time_and_a_clock_that_restarts_is_survived(peer, start, tiny_bundle):
    process = start("segment_node", "-r", "__node:=sim", "-r", "image:=sim_image", model=tiny_bundle, use_sim_time=True)
    masks = peer.collect("sim/instance_mask")
    peer.wait_until_wanted("sim")

    told = peer.collect("/diagnostics", kind=DiagnosticArray)

    def tick(seconds: int) -> bool:
        peer.publish(Clock(clock=Time(sec=seconds)), "/clock")
        peer.spin_for(0.2)
        return any(array.header.stamp.sec == seconds for array in told)

    def latency_at(clock: int, stamp: int) -> float:
        peer.spin_until(lambda: tick(clock), "the node's clock to follow")
        peer.segment(masks, harness.image_message(color_blocks(HEIGHT, WIDTH)[0], stamp=stamp), "sim_image")
        masks.clear()
        return float(peer.diagnostics("sim", lambda _, __, v: v["latency_ms"] != "unknown")[2]["latency_ms"])

    peer.segment(masks, harness.image_message(color_blocks(HEIGHT, WIDTH)[0], stamp=999), "sim_image")
    _, _, values = peer.diagnostics("sim", lambda _, __, v: v["segmented_frames"] != "0")
    assert (values["latency_ms"], values["notes"]) == ("unknown", "none"), "simulated time has not begun"
    assert latency_at(clock=1002, stamp=1000) == 2000.0
    assert latency_at(clock=11, stamp=10) is not None, "the simulation restarted"
    _, _, values = peer.diagnostics("sim", lambda _, __, v: "went backwards" in v["notes"])
    assert "ahead of the node's clock" not in values["notes"]
    assert process.running


@pytest.mark.parametrize(
    ("name", "cameras", "reason"),
    [
        ("doubled", "[front, front]", "each name may be there once"),
        ("nameless", "[front, '']", "a name must begin with a letter"),
        ("slashed", "['a/b']", "a name must begin with a letter"),
        ("unlisted", "front", "cameras is 'front' (str); it must be a list of texts"),
    ],
)
def test_camera_names_that_cannot_be_topics_are_refused(peer, start, tiny_bundle, name, cameras, reason):
    start("segment_node", "-r", f"__node:={name}", model=tiny_bundle, cameras=cameras)
    _, message, _ = peer.diagnostics(name, lambda level, *_: level == ERROR)
    assert reason in message
