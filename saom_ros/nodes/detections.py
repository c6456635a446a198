"""Instances as `vision_msgs/Detection2DArray`, where vision_msgs is installed (apt has it, the ROS wheels do not)."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from saom_ros.instances import Instances

UNKNOWN_CLASS = "unknown"
"""class_id of objects whose class the model does not tell."""


def vision_messages() -> ModuleType | None:
    """The module `vision_msgs.msg`, or None where it is not installed."""
    try:
        return importlib.import_module("vision_msgs.msg")
    except ImportError:
        return None


def detections_message(messages: ModuleType, instances: Instances, classes: Sequence[str], header: Any) -> Any:
    """One Detection2D per instance: `id` is its value in the mask image, the box is in image pixels."""
    array = messages.Detection2DArray(header=header)
    for object_id, score, box, class_id in zip(
        instances.ids.tolist(),
        instances.scores.tolist(),
        instances.boxes.tolist(),
        instances.class_ids.tolist(),
        strict=True,
    ):
        x_min, y_min, x_max, y_max = box
        detection = messages.Detection2D(header=header, id=str(object_id))
        detection.bbox.center.position.x = (x_min + x_max) / 2
        detection.bbox.center.position.y = (y_min + y_max) / 2
        detection.bbox.size_x = x_max - x_min
        detection.bbox.size_y = y_max - y_min
        hypothesis = messages.ObjectHypothesisWithPose()
        hypothesis.hypothesis.class_id = classes[class_id] if 0 <= class_id < len(classes) else UNKNOWN_CLASS
        hypothesis.hypothesis.score = score
        detection.results.append(hypothesis)
        array.detections.append(detection)
    return array


def label_info_message(messages: ModuleType, classes: Sequence[str]) -> Any:
    """Class names by index, as a `vision_msgs/LabelInfo`; empty for a model that knows no classes."""
    return messages.LabelInfo(
        class_map=[messages.VisionClass(class_id=index, class_name=name) for index, name in enumerate(classes)]
    )
