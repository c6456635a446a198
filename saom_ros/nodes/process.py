"""How the processes of our nodes start and end: exit 0 on SIGINT and SIGTERM, one clear line on a user's mistake."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from saom_ros.errors import SaomError

USER_ERROR = 2
"""Exit status for a mistake of the user, as on our command lines."""


class Finished(Exception):  # noqa: N818  (no error: like StopIteration)
    """Raised in a node's callback when its work is done and the process shall end with status 0."""


def run_node(make_node: Callable[[], Any], args: Sequence[str] | None = None) -> int:
    """Spin a node until a signal, `Finished` or a `SaomError` ends it; returns the exit status of the process.

    A node that has `close()` is closed before it is destroyed.
    """
    node = None
    status = 0
    try:
        _init(args)
        node = make_node()
        _spin(node)
    except (KeyboardInterrupt, ExternalShutdownException, Finished):
        pass
    except SaomError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        status = USER_ERROR
    finally:
        # A terminal and `ros2 launch` both send SIGINT: the second one must not interrupt the clean-up.
        with contextlib.suppress(KeyboardInterrupt):
            signal.signal(signal.SIGINT, lambda *_: None)
        _clean_up(node)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return status


def _init(args: Sequence[str] | None) -> None:
    try:
        rclpy.init(args=args)
    except Exception as error:
        reason = re.sub(r", at \S+:\d+", "", str(error))  # lines of ROS's own sources help nobody here
        raise SaomError(f"ROS does not take the arguments of this process: {reason}") from None


def _spin(node: Any) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        executor.spin()
    except Exception:
        # A signal shuts the context down under a running callback, whose next ROS call then fails: no error of ours.
        if rclpy.ok():
            raise


def _clean_up(node: Any) -> None:
    if node is not None:
        if hasattr(node, "close") and not node.close():
            # A thread is still inside native code; tearing down the interpreter around it could crash.
            sys.stderr.flush()
            sys.stdout.flush()
            os._exit(0)
        with contextlib.suppress(Exception):
            node.destroy_node()
    with contextlib.suppress(Exception):
        rclpy.try_shutdown()
