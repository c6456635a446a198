"""The process that holds one AI2-THOR Controller: `python -m training.simulators.ai2thor.child CONNECTION LIFELINE`.

It answers the requests of `process.ControllerProcess` until that ends, and never outlives its parent or its executable.
"""

from __future__ import annotations

import ctypes.util
import os
import shlex
import shutil
import signal
import sys
import tempfile
import threading
import time
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from training.simulators.ai2thor.process import INSTALL, ControllerOptions

_RELEASES = Path("~/.ai2thor/releases")
_LOG = "~/.config/unity3d/Allen Institute for Artificial Intelligence/AI2-THOR/Player.log"
_OBJECT_KEYS = ("objectId", "objectType", "axisAlignedBoundingBox")
_METADATA_KEYS = ("agent", "cameraPosition", "colors")
_WATCH_SECONDS = 0.05


class SetupError(Exception):
    """AI2-THOR cannot run on this machine as it is; trying again does not help."""


class Session:
    """One Controller and how to talk to it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._speaking = threading.Lock()
        self._arguments: dict[str, Any] = {}
        self._controller: Any = None

    def serve(self) -> None:
        """Answer requests until the parent hangs up."""
        while True:
            request, arguments = self._connection.recv()
            try:
                answer = getattr(self, request)(**arguments)
            except SetupError as error:
                self._say("setup", str(error))
            except Exception as error:  # whatever the client library raises: the parent decides what to do about it
                reason = f"{type(error).__name__}: {error}" + (f" ({error.__cause__})" if error.__cause__ else "")
                self._say("lost", f"{reason}; see {_LOG}")
            else:
                self._say("ok", answer)

    def prepare(self, options: dict[str, Any]) -> None:
        """Find the build, downloading it where it is missing."""
        _library()
        chosen = ControllerOptions(**options)
        self._arguments = {
            "width": chosen.width,
            "height": chosen.height,
            "renderInstanceSegmentation": True,
            "renderDepthImage": True,
            "server_timeout": None,  # the parent keeps the time; the library's own timeout spins
            **(_external(chosen.executable) if chosen.executable else _download(chosen)),
        }

    def start(self) -> None:
        """Start the executable; it comes up with some room, which `reset` replaces."""
        self._controller = _watched_controller(self._farewell)(**self._arguments)

    def reset(self, scene: str | dict[str, Any], initialization: dict[str, Any]) -> dict[str, Any]:
        """See `ControllerProcess.reset`."""
        known = self._controller.scenes_in_build  # empty where a build does not tell
        if isinstance(scene, str) and known and self._controller.normalize_scene(scene) not in known:
            raise SetupError(f"this build of AI2-THOR has no room {scene}; give another --executable")
        return _snapshot(self._controller.reset(scene, **initialization), images=False)

    def step(self, action: str, images: bool, arguments: dict[str, Any]) -> dict[str, Any]:
        """See `ControllerProcess.step`."""
        try:
            event = self._controller.step(action=action, renderImage=images, **arguments)
        except ValueError as error:  # how the library tells of arguments that the executable refuses
            return {**_snapshot(self._controller.last_event, images=False), "success": False, "error": str(error)}
        return _snapshot(event, images)

    def _farewell(self, status: int) -> None:
        """The executable is gone: say so and go too, whatever the library is waiting for."""
        self._say("lost", f"the executable exited with status {status}; see {_LOG}")
        os._exit(1)

    def _say(self, kind: str, content: Any) -> None:
        with self._speaking:
            self._connection.send((kind, content))


def main() -> None:
    """Serve until the parent is gone, however it went."""
    connection, lifeline = Connection(int(sys.argv[1])), int(sys.argv[2])
    threading.Thread(target=_end_with_parent, args=(lifeline,), daemon=True).start()
    warnings.filterwarnings("ignore", module="ai2thor")
    try:
        Session(connection).serve()
    except (EOFError, ConnectionError):
        _end()


def _end_with_parent(lifeline: int) -> None:
    os.read(lifeline, 1)  # returns when the parent closes its end, or dies
    _end()


def _end() -> None:
    """End this process and the executable. Nothing is worth saving, and an orphaned executable holds a GPU for ever."""
    shutil.rmtree(tempfile.gettempdir(), ignore_errors=True)  # ours alone, see process._environment
    os.killpg(0, signal.SIGKILL)


def _watched_controller(farewell: Any) -> Any:
    """The library's Controller, which also calls `farewell(status)` when its executable exits."""
    controller = _library().controller.Controller

    class WatchedController(controller):  # type: ignore[misc, valid-type]
        def _start_unity_thread(self, *args: Any, **kwargs: Any) -> None:
            super()._start_unity_thread(*args, **kwargs)
            threading.Thread(target=watch, args=(self.server.unity_proc,), daemon=True).start()

    def watch(process: Any) -> None:
        while process.poll() is None:
            time.sleep(_WATCH_SECONDS)
        farewell(process.returncode)

    return WatchedController


def _library() -> Any:
    try:
        import ai2thor.controller
        import ai2thor.platform
    except ImportError as error:
        raise SetupError(f"the client library of AI2-THOR cannot be imported ({error}); run `{INSTALL}`") from error
    return ai2thor


def _external(executable: str) -> dict[str, Any]:
    """Arguments of a Controller for a build that the user brought."""
    display = os.environ.get("DISPLAY")
    if not display and "CloudRendering" not in Path(executable).name:
        raise SetupError(
            f"--executable {executable} needs an X display and DISPLAY is not set; start one (`sudo ai2thor-xorg "
            "start`) and set DISPLAY, or give a CloudRendering build, which draws without"
        )
    # The library splits the path like a shell and hands DISPLAY on unseen; a CloudRendering build does not look at it.
    return {"local_executable_path": shlex.quote(os.path.abspath(executable)), "x_display": display or ":0"}


def _download(options: ControllerOptions) -> dict[str, Any]:
    """Arguments of a Controller for the build that belongs to the library. Raises SetupError that says the mend."""
    library = _library()
    if ctypes.util.find_library("vulkan"):
        platform = library.platform.CloudRendering
    elif os.environ.get("DISPLAY"):
        platform = library.platform.Linux64
    else:
        raise SetupError(
            "AI2-THOR can draw neither without a display (libvulkan1 is missing) nor on one (DISPLAY is not set); "
            "run `sudo apt-get install libvulkan1` and have a GPU driver with Vulkan, or start an X server"
        )
    name = f"thor-{platform.name()}-{library.build.COMMIT_ID}"
    try:
        library.controller.Controller(platform=platform, width=options.width, height=options.height, download_only=True)
    except Exception as error:  # the library hides network errors behind "Invalid commit_id"
        raise SetupError(
            f"the build of AI2-THOR cannot be had ({str(error).strip().splitlines()[0] if str(error) else error!r}). "
            f"It would lie in {_RELEASES}/{name}; on a machine without internet, download "
            f"{library.build.base_url}builds/{name}.zip elsewhere and unpack it there, or give --executable PATH"
        ) from error
    return {"platform": platform}


def _snapshot(event: Any, images: bool) -> dict[str, Any]:
    """The fields of `process.Snapshot`. Raises ValueError for images that are missing or of another size."""
    metadata = event.metadata
    kept = {key: metadata[key] for key in _METADATA_KEYS if key in metadata}
    kept["objects"] = [{key: found[key] for key in _OBJECT_KEYS} for found in metadata["objects"]]
    answer = {
        "success": bool(metadata["lastActionSuccess"]),
        "error": metadata["errorMessage"] or "",
        "action_return": metadata["actionReturn"],
        "metadata": kept,
        "rgb": None,
        "depth": None,
        "ids": None,
    }
    if images:
        size = (event.screen_height, event.screen_width)
        for name, image, shape in (
            ("rgb", event.frame, (*size, 3)),
            ("depth", event.depth_frame, size),
            ("ids", event.instance_segmentation_frame, (*size, 3)),
        ):
            if image is None or image.shape != shape:
                raise ValueError(f"image {name} is {None if image is None else image.shape}; expected {shape}")
            answer[name] = np.ascontiguousarray(image)  # the library gives flipped views of read-only buffers
    return answer


if __name__ == "__main__":
    main()
