"""A Controller of AI2-THOR in a process of its own, with deadlines: whatever hangs or dies, the caller hears of it.

The client library waits for ever when its executable exits before it speaks, and spins when it dies in a step; so the
Controller lives in `child.py`, which ends when its executable or its parent does, and which is killed when it is late.
"""

from __future__ import annotations

import contextlib
import importlib.util
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import SaomError

INSTALL = "pip install -e '.[ai2thor]' && pip install --no-deps ai2thor==5.0.0"
"""Without its dependencies: it asks for opencv-python, which overwrites opencv-python-headless."""


class ControllerLostError(Exception):
    """The Controller or its executable died, hung or spoke nonsense. A new one may fare better."""


@dataclass(frozen=True)
class Patience:
    """Seconds after which AI2-THOR is taken for dead."""

    download: float = 3600.0
    """For fetching the build, which happens once on a machine; about 1 GB."""
    start: float = 300.0
    """For starting the executable, and for loading a scene."""
    step: float = 100.0
    """For one action."""


@dataclass(frozen=True)
class ControllerOptions:
    """How to start the Controller."""

    width: int
    """px."""
    height: int
    """px."""
    executable: str | None = None
    """Path of AI2-THOR's executable; None = the build that belongs to the client library, downloaded when missing."""


@dataclass
class Snapshot:
    """What AI2-THOR answered to one action."""

    success: bool
    error: str
    """Why the action was refused; empty after a success."""
    action_return: Any
    metadata: dict[str, Any]
    """The answer's `agent`, `cameraPosition`, `colors`, and of `objects` id, type and bounding box."""
    rgb: NDArray[np.uint8] | None
    """`(H, W, 3)`, like the others only where asked for."""
    depth: NDArray[np.float32] | None
    """`(H, W)` m along the optical axis."""
    ids: NDArray[np.uint8] | None
    """`(H, W, 3)`: the colour of each pixel's id."""


class ControllerProcess:
    """A running Controller. Raises SaomError where AI2-THOR is missing, ControllerLostError where it fails."""

    def __init__(self, options: ControllerOptions, patience: Patience) -> None:
        if importlib.util.find_spec("ai2thor") is None:
            raise SaomError(f"the simulator ai2thor needs the client library of AI2-THOR; install it with `{INSTALL}`")
        if options.executable is not None and not os.access(options.executable, os.X_OK):
            raise SaomError(
                f"--executable {options.executable} is no program that may be run; give AI2-THOR's executable"
            )
        self._patience = patience
        self._pipes = tempfile.TemporaryDirectory(prefix="ai2thor-")
        lifeline, ours = os.pipe()
        self._lifeline = open(ours, "wb")  # noqa: SIM115 closed in close(), or when this process dies
        self._connection, theirs = multiprocessing.Pipe()
        command = [sys.executable, "-m", "training.simulators.ai2thor.child", str(theirs.fileno()), str(lifeline)]
        self._process = subprocess.Popen(
            command, env=_environment(self._pipes.name), pass_fds=(theirs.fileno(), lifeline), start_new_session=True
        )
        theirs.close()
        os.close(lifeline)
        try:
            self._ask("prepare", patience.download, options=asdict(options))
            self._ask("start", patience.start)
        except BaseException:
            self.close()
            raise

    def reset(self, scene: str | dict[str, Any], **initialization: Any) -> Snapshot:
        """Load a room by name, or a ProcTHOR house, with parameters of the action Initialize."""
        return self._ask("reset", self._patience.start, scene=scene, initialization=initialization)

    def step(self, action: str, images: bool = False, **arguments: Any) -> Snapshot:
        """Do one action; `images` asks for what the camera sees after it. A refusal is told in `success`."""
        return self._ask("step", self._patience.step, action=action, images=images, arguments=arguments)

    def close(self) -> None:
        """End the Controller and its executable, at once and whatever they do."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._connection.close()
        self._lifeline.close()
        self._pipes.cleanup()

    def _ask(self, request: str, seconds: float, **arguments: Any) -> Any:
        with contextlib.suppress(ConnectionError):  # dead already; its last words may still be in the pipe
            self._connection.send((request, arguments))
        try:
            if not self._connection.poll(seconds):
                raise ControllerLostError(f"no answer to {request} {arguments.get('action', '')} within {seconds:g} s")
            kind, answer = self._connection.recv()
        except (EOFError, ConnectionError):
            self._process.wait()
            raise ControllerLostError(f"its process ended with status {self._process.returncode}") from None
        if kind == "setup":
            raise SaomError(answer)
        if kind == "lost":
            raise ControllerLostError(answer)
        return Snapshot(**answer) if answer is not None else None


def _environment(pipes: str) -> dict[str, str]:
    """The child finds this package wherever it is run, and puts its named pipes where we can clear them away."""
    root = str(Path(__file__).parents[3])
    paths = [root, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TMPDIR": pipes}
