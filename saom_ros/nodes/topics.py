"""Topics of a camera: their QoS, which users may override, and a word where the other side's does not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from saom_ros.nodes import compat
from saom_ros.nodes.notes import Notes


def newest(depth: int = 1) -> QoSProfile:
    """For what comes from sensors: no queue of old messages; best effort also matches reliable publishers."""
    return QoSProfile(depth=depth, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)


def results() -> QoSProfile:
    """For what we publish: reliable matches every subscriber."""
    return QoSProfile(depth=5, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.RELIABLE)


class Topics:
    """Creates a node's publishers and subscriptions."""

    def __init__(self, node: LifecycleNode, subscriber_notes: Notes, publisher_notes: Notes) -> None:
        """The notes are told of subscribers of our topics and of publishers of our inputs whose QoS does not fit."""
        self._node, self._subscriber_notes, self._publisher_notes = node, subscriber_notes, publisher_notes

    def publisher(self, kind: type, topic: str, qos: QoSProfile) -> Any:
        """A lifecycle publisher."""
        tell = _teller(self._subscriber_notes, f"a subscriber of {topic}")
        return self._node.create_lifecycle_publisher(
            kind,
            topic,
            qos,
            event_callbacks=compat.PublisherEventCallbacks(incompatible_qos=tell),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )

    def subscription(self, kind: type, topic: str, callback: Callable[[Any], None], qos: QoSProfile) -> Any:
        """A subscription; its messages come to the executor's thread."""
        tell = _teller(self._publisher_notes, f"the publisher of {topic}")
        events = compat.SubscriptionEventCallbacks(incompatible_qos=tell)
        options = QoSOverridingOptions.with_default_policies()
        return self._node.create_subscription(
            kind, topic, callback, qos, event_callbacks=events, qos_overriding_options=options
        )


def _teller(notes: Notes, who: str) -> Callable[[Any], None]:
    def tell(event: Any) -> None:
        notes.add(who, f"{who} has an incompatible {compat.policy_name(event)} QoS and gets or gives nothing")

    return tell
