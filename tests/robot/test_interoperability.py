"""What we publish, received by another maker's DDS: Eclipse Cyclone DDS without any ROS, in a process of its own.

Run as a program, this file is that process: `python test_interoperability.py DOMAIN TOPIC` waits for one image on a
topic and prints it as one line of JSON. The types are written here from the .msg files and ROS 2's mapping to DDS:
the topic `rt/NAME`, the type `PACKAGE::msg::dds_::NAME_`. (Cyclone reads the annotations, so they stay unquoted.)
"""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

pytest.importorskip("cyclonedds", reason="cyclonedds is not installed: pip install 'cyclonedds>=11,<12'")

from cyclonedds.core import Policy, Qos
from cyclonedds.domain import DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.idl.types import int32, sequence, uint8, uint32
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration

SECONDS = 180
"""For how long the other process listens."""

LOOPBACK = """<CycloneDDS><Domain>
<General><Interfaces><NetworkInterface name="lo"/></Interfaces><AllowMulticast>false</AllowMulticast></General>
<Discovery><ParticipantIndex>auto</ParticipantIndex><MaxAutoParticipantIndex>32</MaxAutoParticipantIndex>
<Peers><Peer address="127.0.0.1"/></Peers></Discovery>
<Compatibility><IgnoreTypeInformation>1.15</IgnoreTypeInformation></Compatibility>
</Domain></CycloneDDS>"""
"""Configuration of Cyclone DDS that stays on this machine, as our processes do in tests.

Types match by their names: Cyclone calls what Fast DDS 3 (vendor 1.15, from ROS 2 Kilted) says about their structure
an invalid type object, and would not match at all.
"""


@dataclass
class Time(IdlStruct, typename="builtin_interfaces.msg.dds_.Time_"):
    sec: int32
    nanosec: uint32


@dataclass
class Header(IdlStruct, typename="std_msgs.msg.dds_.Header_"):
    stamp: Time
    frame_id: str


@dataclass
class Image(IdlStruct, typename="sensor_msgs.msg.dds_.Image_"):
    header: Header
    height: uint32
    width: uint32
    encoding: str
    is_bigendian: uint8
    step: uint32
    data: sequence[uint8]


def fields(image) -> dict:
    """Everything that an image message says, its pixels by their SHA-256. Takes Cyclone's and rclpy's images alike."""
    return {
        "stamp": [image.header.stamp.sec, image.header.stamp.nanosec],
        "frame_id": image.header.frame_id,
        "height": image.height,
        "width": image.width,
        "encoding": image.encoding,
        "is_bigendian": image.is_bigendian,
        "step": image.step,
        "bytes": len(image.data),
        "sha256": hashlib.sha256(bytes(image.data)).hexdigest(),
    }


def receive(domain: int, topic: str) -> Image:
    """The first image on a topic. StopIteration when none comes in time."""
    participant = DomainParticipant(domain)
    qos = Qos(Policy.Reliability.Reliable(duration(seconds=1)), Policy.History.KeepLast(5))
    reader = DataReader(participant, Topic(participant, topic, Image, qos=qos), qos=qos)
    return next(reader.take_iter(timeout=duration(seconds=SECONDS)))


def test_another_dds_receives_our_mask_intact(peer, start, tiny_bundle):
    import ros_harness as harness
    from tiny_bundle import color_blocks

    node = start("segment_node", model=tiny_bundle)
    listener = subprocess.Popen(
        [sys.executable, __file__, os.environ["ROS_DOMAIN_ID"], "rt/segment_node/instance_mask"],
        env=os.environ | {"CYCLONEDDS_URI": LOOPBACK},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        # Nobody but Cyclone listens: the node segments only because it has discovered a subscriber of another DDS.
        peer.wait_until_wanted("segment_node")
        masks = peer.collect("segment_node/instance_mask")
        peer.spin_until(lambda: peer.subscribed_to("segment_node/instance_mask"), "the mask's topic")
        message = harness.image_message(color_blocks(241, 323)[0], stamp=1_790_000_000, frame_id="camera_optical_frame")
        # The node may have found the listener before the listener has found the node: go on until it has its mask.
        while listener.poll() is None and message.header.stamp.sec < 1_790_000_000 + SECONDS:
            message.header.stamp.sec += 1
            message.header.stamp.nanosec = 123_456_789
            peer.segment(masks, message)
            peer.spin_for(0.5)
        received = json.loads(listener.communicate(timeout=1)[0])
    finally:
        listener.kill()
        listener.wait()

    mask = next(mask for mask in masks if mask.header.stamp.sec == received["stamp"][0])
    assert received == fields(mask)
    assert received["stamp"][1] == 123_456_789
    assert len(set(harness.labels_of(mask).flat)) == 5, node.log()


if __name__ == "__main__":
    print(json.dumps(fields(receive(int(sys.argv[1]), sys.argv[2]))))
