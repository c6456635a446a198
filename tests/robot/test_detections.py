"""Instances as vision_msgs detections, against stand-ins that have exactly the fields of vision_msgs 4 (Humble, Jazzy).

The ROS wheels hold no vision_msgs, so the real classes cannot be used here.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from saom_ros.instances import Instances
from saom_ros.nodes.detections import detections_message


def message_class(name: str, **fields):
    """A class that, like a ROS message, takes its fields as keywords and refuses any other attribute."""

    def initialise(self, **values):
        for field, make in fields.items():
            setattr(self, field, values.pop(field) if field in values else make())
        assert not values, f"{name} has no fields {list(values)}"

    return type(name, (), {"__slots__": tuple(fields), "__init__": initialise})


Point2D = message_class("Point2D", x=float, y=float)
Pose2D = message_class("Pose2D", position=Point2D, theta=float)
BoundingBox2D = message_class("BoundingBox2D", center=Pose2D, size_x=float, size_y=float)
ObjectHypothesis = message_class("ObjectHypothesis", class_id=str, score=float)
MESSAGES = SimpleNamespace(
    ObjectHypothesisWithPose=message_class("ObjectHypothesisWithPose", hypothesis=ObjectHypothesis, pose=object),
    Detection2D=message_class("Detection2D", header=object, results=list, bbox=BoundingBox2D, id=str),
    Detection2DArray=message_class("Detection2DArray", header=object, detections=list),
)


@pytest.fixture
def instances() -> Instances:
    return Instances(
        label_map=np.zeros((40, 60), np.uint16),
        ids=np.array([7, 300], np.int32),
        scores=np.array([0.75, 0.5], np.float32),
        boxes=np.array([[10, 20, 30, 26], [0, 0, 5, 40]], np.float32),
        class_ids=np.array([1, -1], np.int32),
        areas=np.array([100, 50], np.int64),
    )


def test_each_object_has_the_id_of_its_mask_its_box_class_and_score(instances):
    array = detections_message(MESSAGES, instances, ("mug", "bowl"), header="the header")
    assert array.header == "the header"
    assert [d.header for d in array.detections] == ["the header"] * 2
    assert [d.id for d in array.detections] == ["7", "300"]
    box = array.detections[0].bbox
    assert (box.center.position.x, box.center.position.y, box.size_x, box.size_y) == (20.0, 23.0, 20.0, 6.0)
    hypotheses = [d.results[0].hypothesis for d in array.detections]
    assert [(h.class_id, h.score) for h in hypotheses] == [("bowl", 0.75), ("unknown", 0.5)]
    assert all(type(value) is float for value in (box.center.position.x, box.size_x, hypotheses[0].score))


def test_no_object_gives_an_empty_array():
    array = detections_message(MESSAGES, Instances.empty(4, 4), (), header="h")
    assert array.detections == []
