"""rclpy names and habits that differ between distributions; everything else imports them from here.

Jazzy and Kilted run in the tests (`make test`, `make test-kilted`). What is here for Humble was written after its
sources and documentation and never ran on it.
"""

from __future__ import annotations

import warnings
from importlib import metadata
from typing import Any

with warnings.catch_warnings():
    # Where both modules exist, the older name only warns; it is tried second.
    warnings.simplefilter("ignore")
    try:
        from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks  # Iron and later
    except ImportError:  # Humble
        from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

from rclpy.qos import qos_policy_name_from_kind

__all__ = [
    "PublisherEventCallbacks",
    "SubscriptionEventCallbacks",
    "lifecycle_state",
    "localhost_only",
    "parameter_overrides",
    "policy_name",
    "profile_variables",
    "survive_impossible_transitions",
]


def lifecycle_state(node: Any) -> str:
    """Label of a lifecycle node's present state: unconfigured, inactive, active, finalized."""
    return str(node._state_machine.current_state[1])


def parameter_overrides(node: Any) -> dict[str, Any]:
    """Name -> value of the parameters given at start (YAML files, `-p`), declared or not.

    rclpy has no public way to ask for them before they are declared, on any distribution.
    """
    return {name: parameter.value for name, parameter in getattr(node, "_parameter_overrides", {}).items()}


def policy_name(event: Any) -> str:
    """Name of the QoS policy that an incompatible-QoS event is about, for example RELIABILITY."""
    return str(qos_policy_name_from_kind(event.last_policy_kind))


def survive_impossible_transitions(node: Any) -> None:
    """Answer a lifecycle request that is impossible in the present state with `success: false`.

    rclpy raises instead, out of the executor, and the process would end because somebody asked to activate twice.
    """
    service = getattr(node, "_service_change_state", None)
    if service is None:
        return
    change_state = service.callback

    def answer(request: Any, response: Any) -> Any:
        try:
            return change_state(request, response)
        except RuntimeError as error:  # RCLError derives from it
            transition = request.transition.label or request.transition.id
            node.get_logger().error(f"lifecycle transition {transition} is not possible now: {error}")
            response.success = False
            return response

    service.callback = answer


def localhost_only() -> dict[str, str]:
    """Environment variables that keep ROS discovery on this machine."""
    if _rclpy_major() >= 4:  # Iron and later; they warn about the older variable
        return {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_STATIC_PEERS": ""}
    return {"ROS_LOCALHOST_ONLY": "1"}


def profile_variables() -> tuple[str, ...]:
    """Environment variables with a path of Fast DDS profiles that this distribution reads, the one to set first.

    Fast DDS 3 (Kilted and later) reads the old one, too, and complains when both name the same file.
    """
    old, new = "FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"
    return (new, old) if _rclpy_major() >= 8 else (old,)


def _rclpy_major() -> int:
    try:
        return int(metadata.version("rclpy").split(".")[0])
    except (metadata.PackageNotFoundError, ValueError):
        return 4
