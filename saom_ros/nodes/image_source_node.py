"""Plays images as a camera would: the shipped sample, a folder, an image, a video or a webcam, on the topic `image`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from saom_ros.nodes import compat, images, parameters
from saom_ros.nodes.process import Finished, run_node
from saom_ros.nodes.sources import open_source
from saom_ros.nodes.topics import results


class ImageSourceNode(Node):
    """Publishes the images of one source at a steady rate. Raises `SaomError` when the source cannot be played."""

    def __init__(self) -> None:
        super().__init__("image_source_node")
        overrides = compat.parameter_overrides(self)
        self._settings, wrong = parameters.resolve(parameters.ImageSourceParameters, overrides)
        if wrong:
            raise parameters.ParameterError("; ".join(wrong.values()))
        parameters.declare(self, self._settings)
        for line in parameters.unknown_names(parameters.ImageSourceParameters, overrides):
            self.get_logger().warning(line)

        settings = self._settings
        source = open_source(settings.source, self.get_logger().warning)
        rate = settings.rate or source.rate
        stream = source.images(settings.loop)
        first = next(stream)  # a source that has nothing to show fails here and not later
        self._images = itertools.chain([first], stream)
        self._publisher = self.create_publisher(Image, "image", results())
        self._published = 0
        self.create_timer(1.0 / rate, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(f"playing {settings.source} at {rate:g} Hz on {self._publisher.topic_name}")

    def _publish(self) -> None:
        if not self._settings.loop and self._published == 0 and self._publisher.get_subscription_count() == 0:
            return  # what is played only once waits for somebody to see it
        rgb = next(self._images, None)
        if rgb is None:
            self._publisher.wait_for_all_acked(Duration(seconds=2))
            self.get_logger().info(f"played {self._published} images; done")
            raise Finished
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self._settings.frame_id)
        pixels = images.encode_rgb(rgb, self._settings.encoding)
        self._publisher.publish(images.fill_message(Image(), pixels, self._settings.encoding, header))
        self._published += 1


def main(args: Sequence[str] | None = None) -> int:
    """Entry point of `ros2 run saom_ros image_source_node`; returns the exit status."""
    return run_node(ImageSourceNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
