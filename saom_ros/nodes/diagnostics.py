"""What `segment_node` says about itself on `/diagnostics`: how bad it is, one sentence, and the figures behind it.

`Health` is a snapshot of the node; turning it into level and sentence is plain Python and tested without ROS.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from saom_ros.nodes.frames import FrameStatistics, RecentFrames

OK, WARN, ERROR = 0, 1, 2
"""Levels of `diagnostic_msgs/DiagnosticStatus`."""

QUIET_SECONDS = 3.0
"""Without an image for longer than this, an active node warns."""

PROBLEM_SECONDS = 5.0
"""For this long after a bad frame the node warns."""


@dataclass(frozen=True)
class Health:
    """A snapshot of one camera of the node. Times are seconds of a monotonic clock."""

    state: str
    """Lifecycle state: unconfigured, inactive, active."""
    model: str
    """Name and version of the model, or empty when none is loaded."""
    runtime: str
    """Name of the inference runtime, or empty."""
    failure: str
    """Why the last configure failed, or empty."""
    runtime_note: str = ""
    """What the runtime runs on, and why no faster one."""
    engine: str = ""
    """How far the building of a TensorRT engine is, or empty."""
    counts: FrameStatistics = field(default_factory=FrameStatistics)
    unpaired: int = 0
    """Segmented images that a newer one replaced before their depth came."""
    recent: RecentFrames = field(default_factory=RecentFrames)
    wanted: bool = False
    """Whether anybody subscribes to a result."""
    on_demand: bool = False
    """Whether frames are segmented only for callers of `~/trigger`."""
    topic: str = ""
    """Resolved name of the image topic."""
    publishers: int = 0
    """Nodes that publish on it."""
    quiet: float = 0.0
    """Seconds since the last image, or since activation."""
    problem: str = ""
    """The last frame that could not be used, and why; or empty."""
    problem_age: float = 0.0
    """Seconds since then."""
    target: str = ""
    """What became of the target asked for."""
    ids_reset: str = ""
    """Why the object ids last began anew, or empty."""
    notes: tuple[str, ...] = ()
    """Lasting remarks: unknown parameters, incompatible QoS, odd stamps."""


def level_and_message(health: Health) -> tuple[int, str]:
    """The level and the one sentence that a person should read first."""
    if health.failure:
        return ERROR, f"{health.state}: {health.failure}"
    if health.state != "active":
        return OK, health.state
    if health.quiet > QUIET_SECONDS:
        if health.publishers == 0:
            return WARN, f"nobody publishes images on {health.topic}; check the name or remap 'image'"
        return WARN, f"no image on {health.topic} for {health.quiet:.0f} s, though {health.publishers} publish there"
    if health.problem and health.problem_age <= PROBLEM_SECONDS:
        # A bad frame among good ones is a warning; nothing but bad ones is a failure.
        return (WARN if health.recent.rate > 0.0 else ERROR), health.problem
    if health.on_demand:
        return OK, "on demand: segmenting what ~/trigger asks for"
    if not health.wanted:
        return OK, "idle: nobody subscribes to a result"
    return OK, f"segmenting {health.recent.rate:.1f} frames/s"


def key_values(health: Health) -> dict[str, str]:
    """The figures, in the order in which they are shown."""
    return {
        "state": health.state,
        "model": health.model or "none",
        "runtime": health.runtime or "none",
        "runtime_note": health.runtime_note or "none",
        "engine_build": health.engine or "none",
        "rate_hz": f"{health.recent.rate:.2f}",
        "latency_ms": _milliseconds(health.recent.latency),
        "inference_ms": _milliseconds(health.recent.inference),
        "overhead_ms": _milliseconds(health.recent.overhead),
        "received_frames": str(health.counts.received),
        "segmented_frames": str(health.counts.segmented),
        "dropped_frames": str(health.counts.dropped),
        "skipped_frames": str(health.counts.skipped),
        "rejected_frames": str(health.counts.rejected),
        "unwanted_frames": str(health.counts.unwanted),
        "missed_clouds": str(health.counts.missed_clouds),
        "unpaired_frames": str(health.unpaired),
        "last_problem": f"{health.problem_age:.0f} s ago: {health.problem}" if health.problem else "none",
        "target": health.target or "none",
        "ids_reset": health.ids_reset or "never",
        "notes": "; ".join(health.notes) or "none",
    }


def _milliseconds(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds * 1e3:.1f}"
