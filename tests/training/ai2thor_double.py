"""A double of the wire protocol of AI2-THOR's executable: it speaks to the real client library through named pipes.

It is not AI2-THOR. It serves small hand-made scenes of boxes, drawn by casting a ray a pixel, in AI2-THOR's frame
(left-handed, y up, yaw clockwise from z), so that geometry can be checked exactly. With `AI2THOR_DOUBLE_PICTURES`, a
file of `Pictures`, it serves those in turn instead, whatever view is asked for, and says where they were taken.

Faults are asked for in `AI2THOR_DOUBLE_FAULT`, a JSON object: `kind`, `teleport` (which view it strikes at), `launches`
(how many launches are struck) and `journal` (a file with the process id of each launch).
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import msgpack
import numpy as np

METADATA, ACTION, RGB, DEPTH, IDS, END = 1, 2, 4, 5, 9, 255
HEADER = struct.Struct("!BI")
SCENES = [f"FloorPlan{kind + number}_physics" for kind in (0, 200, 300, 400) for number in range(1, 31)]
ROOM = np.array([4.0, 2.6, 4.0])
"""Size in m; the floor's corner is the origin."""
NEAR, FAR = 0.1, 20.0

# type: (centre, size), m. A dresser with two drawers, a sink with its basin, a stove of two burners and a knob without a
# body, two cupboard doors side by side, and things that stand on furniture.
FURNITURE = {
    "Dresser|1": ((2.0, 0.4, 3.7), (1.2, 0.8, 0.5)),
    "Drawer|1": ((1.7, 0.4, 3.44), (0.5, 0.6, 0.04)),
    "Drawer|2": ((2.3, 0.4, 3.44), (0.5, 0.6, 0.04)),
    "Sink|1": ((3.7, 0.45, 2.0), (0.5, 0.9, 0.8)),
    "Sink|1|SinkBasin": ((3.6, 0.89, 2.0), (0.3, 0.06, 0.5)),
    "CounterTop|1": ((0.3, 0.45, 2.0), (0.6, 0.9, 1.6)),
    "StoveBurner|1": ((0.3, 0.92, 1.7), (0.2, 0.03, 0.2)),
    "StoveBurner|2": ((0.3, 0.92, 2.1), (0.2, 0.03, 0.2)),
    "StoveKnob|1": ((0.62, 0.8, 1.9), (0.04, 0.06, 0.06)),
    "Cabinet|1": ((0.2, 1.7, 1.6), (0.4, 0.6, 0.5)),
    "Cabinet|2": ((0.2, 1.7, 2.1), (0.4, 0.6, 0.48)),
    "SideTable|1": ((2.0, 0.3, 0.3), (0.8, 0.6, 0.5)),
}
SMALL = {
    "Mug|1": ((2.0, 0.86, 3.6), (0.12, 0.12, 0.12)),
    "Book|1": ((1.6, 0.83, 3.6), (0.3, 0.06, 0.2)),
    "HandTowel|1": ((2.4, 0.85, 3.65), (0.2, 0.1, 0.2)),
    "TeddyBear|1": ((2.0, 0.75, 0.3), (0.3, 0.3, 0.3)),
    "CreditCard|1": ((2.25, 0.63, 0.35), (0.2, 0.06, 0.2)),
}
SCENERY = {"Clutter|7": ((3.6, 0.2, 0.4), (0.5, 0.4, 0.5))}
"""Has an id with a bar, as lights and decoration have, but is no object."""
WATERING_CAN = {"WateringCan|1": ((1.0, 0.15, 3.7), (0.3, 0.3, 0.3))}
"""Of a held-out class; stands in even rooms only."""


class Pictures:
    """Rendered pictures of one room and its objects, in its own frame (right-handed, z up); 90 degrees high.

    The file is an npz of `rgb` `(N, H, W, 3)`, `instances` `(N, H, W)`, `depth` `(N, H, W)` m, `pose` `(N, 4, 4)`
    camera to room, and `name`, `low` and `high` of the objects 1, 2, ...
    """

    def __init__(self, path: str) -> None:
        with np.load(path) as stored:
            self.rgb, self.instances, self.depth = stored["rgb"], stored["instances"], stored["depth"]
            self.pose, self.name = stored["pose"], stored["name"].tolist()
            self.boxes = ((stored["low"] + stored["high"]) / 2, stored["high"] - stored["low"])
        self.ids = np.array([color("Wall|0"), *map(color, self.name)], np.uint8)

    def pixels(self, fov: float, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows `(height, 1)` and columns `(1, width)` of the pictures that a narrower and smaller one shows."""
        reach = np.tan(np.deg2rad(fov) / 2) / height
        full_height, full_width = self.depth.shape[1:]
        rows = (np.arange(height) - (height - 1) / 2) * reach * full_height + (full_height - 1) / 2
        columns = (np.arange(width) - (width - 1) / 2) * reach * full_height + (full_width - 1) / 2
        return rows.round().astype(int)[:, None], columns.round().astype(int)[None, :]

    def draw(self, number: int, fov: float, width: int, height: int) -> dict[int, np.ndarray]:
        pixels = (number % len(self.rgb), *self.pixels(fov, width, height))
        alpha = np.full((height, width, 1), 255, np.uint8)
        ids = np.concatenate([self.ids[self.instances[pixels]], alpha], axis=2)
        return {RGB: self.rgb[pixels], DEPTH: self.depth[pixels].astype(np.float32), IDS: ids}

    def metadata(self, number: int) -> dict[str, Any]:
        """The camera and the objects in AI2-THOR's frame: (x, z, y) there is our (x, y, z)."""
        pose = self.pose[number % len(self.pose)]
        x, y, z = pose[:3, 2]
        yaw, horizon = np.rad2deg(np.arctan2(x, y)), np.rad2deg(np.arcsin(-z))
        eye = dict(zip("xzy", pose[:3, 3].tolist(), strict=True))
        boxes = [bounds(*(size[[0, 2, 1]].tolist() for size in box)) for box in zip(*self.boxes, strict=True)]
        return {
            "objects": [
                {"objectId": name, "objectType": object_type(name), "axisAlignedBoundingBox": box, "visible": True}
                for name, box in zip(self.name, boxes, strict=True)
            ],
            "colors": [{"name": name, "color": list(color(name))} for name in [*self.name, "Wall|0"]],
            "agent": {
                "position": eye,
                "rotation": {"x": 0.0, "y": float(yaw), "z": 0.0},
                "cameraHorizon": float(horizon),
            },
            "cameraPosition": eye,
        }


class Executable:
    """The far side of the pipes."""

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self.fov, self.scene, self.bright = 90.0, SCENES[0], 1.0
        self.agent = {"x": 2.0, "z": 2.0, "yaw": 0.0, "horizon": 0.0, "standing": True}
        self.teleports = 0
        pictures = os.environ.get("AI2THOR_DOUBLE_PICTURES")
        self.pictures = None if pictures is None else Pictures(pictures)
        self.load()

    def load(self) -> None:
        number = int("".join(filter(str.isdigit, self.scene)) or 0)
        self.boxes = {**FURNITURE, **SMALL, **SCENERY, **(WATERING_CAN if number % 2 == 0 else {})}
        self.paint = np.random.default_rng(number)

    def act(self, action: dict[str, Any]) -> dict[str, Any]:
        """Do an action; returns what its metadata says of it."""
        does = getattr(self, f"do_{action['action']}", None)
        if does is None:
            return refusal("InvalidAction", f"{action['action']} is not a valid action")
        return does(action) or {}

    def do_GetScenesInBuild(self, action: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"actionReturn": [*SCENES, "Procedural"]}

    def do_Reset(self, action: dict[str, Any]) -> None:  # noqa: N802
        self.scene = action["sceneName"]
        self.load()

    def do_ChangeResolution(self, action: dict[str, Any]) -> None:  # noqa: N802
        self.size = (action["x"], action["y"])

    def do_Initialize(self, action: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        assert action["renderDepthImage"]
        assert action["renderInstanceSegmentation"]
        self.fov = action.get("fieldOfView", 90.0)
        return {"actionReturn": {"cameraNearPlane": NEAR, "cameraFarPlane": FAR}}

    def do_CreateHouse(self, action: dict[str, Any]) -> None:  # noqa: N802
        self.boxes = {name: tuple(map(tuple, box)) for name, box in action["house"]["boxes"].items()}

    def do_SetRandomSeed(self, action: dict[str, Any]) -> None:  # noqa: N802
        self.paint = np.random.default_rng(action["seed"])

    def do_InitialRandomSpawn(self, action: dict[str, Any]) -> None:  # noqa: N802
        moves = np.random.default_rng(action["randomSeed"])
        for name in SMALL:
            if name in self.boxes:
                (x, y, z), size = self.boxes.pop(name)
                self.boxes[f"{name}|{moves.integers(1000)}"] = ((x + moves.uniform(-0.1, 0.1), y, z), size)

    def do_RandomizeMaterials(self, action: dict[str, Any]) -> dict[str, Any] | None:  # noqa: N802
        number = int(self.scene.removeprefix("FloorPlan").removesuffix("_physics")) % 100
        split = "Train" if number <= 20 else "Val" if number <= 25 else "Test"
        if not action[f"use{split}Materials"]:
            return refusal("InvalidOperation", f"{self.scene} needs {split} materials")
        return None

    def do_RandomizeLighting(self, action: dict[str, Any]) -> None:  # noqa: N802
        self.bright = action["brightness"][0]

    def do_GetReachablePositions(self, action: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        grid = np.arange(1.0, 3.01, 0.25)
        return {"actionReturn": [{"x": float(x), "y": 0.9, "z": float(z)} for x in grid for z in grid]}

    def do_TeleportFull(self, action: dict[str, Any]) -> dict[str, Any] | None:  # noqa: N802
        position = action.get("position", action)
        if not 0 < position["x"] < ROOM[0] or not 0 < position["z"] < ROOM[2]:
            return refusal("", "target is out of the room")
        self.agent = {
            "x": position["x"],
            "z": position["z"],
            "yaw": action["rotation"]["y"],
            "horizon": action["horizon"],
            "standing": action["standing"],
        }
        self.teleports += 1
        return None

    def metadata(self, action: dict[str, Any], outcome: dict[str, Any]) -> dict[str, Any]:
        centre = {"x": self.agent["x"], "y": 0.9, "z": self.agent["z"]}
        objects = [
            {"objectId": name, "objectType": object_type(name), "axisAlignedBoundingBox": bounds(*box), "visible": True}
            for name, box in self.boxes.items()
            if name not in SCENERY
        ]
        objects.append({"objectId": "Floor|0", "objectType": "Floor", "axisAlignedBoundingBox": None, "visible": True})
        return {
            "screenWidth": self.size[0],
            "screenHeight": self.size[1],
            "objects": objects,
            "colors": [
                {"name": name, "color": list(color(name))} for name in [*self.boxes, "Floor|0", "Wall|0", "Mug"]
            ],
            "agent": {
                "position": centre,
                "rotation": {"x": 0.0, "y": self.agent["yaw"], "z": 0.0},
                "cameraHorizon": self.agent["horizon"],
            },
            "cameraPosition": dict(zip("xyz", self.eye().tolist(), strict=True)),
            "lastAction": action["action"],
            "lastActionSuccess": True,
            "errorMessage": "",
            "errorCode": "",
            "actionReturn": None,
            "thirdPartyCameras": [],
            "sceneName": self.scene,
            "depthFormat": "Meters",
            **(self.pictures.metadata(self.teleports) if self.pictures is not None else {}),
            **outcome,
        }

    def eye(self) -> np.ndarray:
        return np.array([self.agent["x"], 1.576 if self.agent["standing"] else 0.9, self.agent["z"]])

    def draw(self) -> dict[int, bytes]:
        """The three images as they go over the wire: bottom row first."""
        width, height = self.size
        if self.pictures is not None:
            seen = self.pictures.draw(self.teleports, self.fov, width, height)
            return {kind: image[::-1].tobytes() for kind, image in seen.items()}
        depth, hit = cast_rays(self.eye(), self.directions(), np.array(list(self.boxes.values())))
        names = ["Floor|0", "Wall|0", *self.boxes]
        ids = np.array([color(name) for name in names], np.uint8)[hit]
        shades = self.paint.bit_generator.state["state"]["state"] % 97
        rgb = np.clip((ids * 0.8 + shades) * self.bright * (1 - depth[..., None] / 12), 0, 255).astype(np.uint8)
        alpha = np.full((height, width, 1), 255, np.uint8)
        images = {RGB: rgb, DEPTH: depth.astype(np.float32), IDS: np.concatenate([ids, alpha], axis=2)}
        return {kind: image[::-1].tobytes() for kind, image in images.items()}

    def directions(self) -> np.ndarray:
        """World direction of each pixel's ray, `(H, W, 3)`; its length along the optical axis is 1."""
        width, height = self.size
        yaw, horizon = np.deg2rad(self.agent["yaw"]), np.deg2rad(self.agent["horizon"])
        forward = np.array([np.sin(yaw) * np.cos(horizon), -np.sin(horizon), np.cos(yaw) * np.cos(horizon)])
        right = np.array([np.cos(yaw), 0, -np.sin(yaw)])
        up = np.array([np.sin(yaw) * np.sin(horizon), np.cos(horizon), np.cos(yaw) * np.sin(horizon)])
        reach = np.tan(np.deg2rad(self.fov) / 2) / (height / 2)
        columns = (np.arange(width) - (width - 1) / 2) * reach
        rows = ((height - 1) / 2 - np.arange(height)) * reach
        return forward + columns[None, :, None] * right + rows[:, None, None] * up


def cast_rays(eye: np.ndarray, directions: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Depth along the axis `(H, W)` and what is hit: 0 floor, 1 wall or ceiling, 2 + k box k."""
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / directions
        far_side = np.where(directions > 0, ROOM, 0.0)
        walls = (far_side - eye) * inverse
        depth = np.nanmin(np.where(directions == 0, np.inf, walls), axis=2)
        hit = np.where((walls[..., 1] <= depth) & (directions[..., 1] < 0), 0, 1)
        for index, (centre, size) in enumerate(boxes):
            first = (centre - size / 2 - eye) * inverse
            second = (centre + size / 2 - eye) * inverse
            enter = np.fmin(first, second).max(axis=2)
            leave = np.fmax(first, second).min(axis=2)
            nearer = (enter < leave) & (enter > 0) & (enter < depth)
            depth = np.where(nearer, enter, depth)
            hit = np.where(nearer, index + 2, hit)
    return depth, hit


def object_type(name: str) -> str:
    """As AI2-THOR names things: the type first, but parts carry their own at the end (Sink|...|SinkBasin)."""
    words = [word for word in name.split("|") if word[0].isalpha()]
    return words[-1]


def bounds(centre: tuple[float, ...], size: tuple[float, ...]) -> dict[str, Any]:
    return {"center": dict(zip("xyz", centre, strict=True)), "size": dict(zip("xyz", size, strict=True))}


def color(name: str) -> tuple[int, int, int]:
    """A colour of its own for each name, the same in every run."""
    mixed = int.from_bytes(name.encode(), "big") * 2654435761 % 16777213
    return mixed >> 16, mixed >> 8 & 255, mixed & 255


def refusal(code: str, message: str) -> dict[str, Any]:
    return {"lastActionSuccess": False, "errorCode": code, "errorMessage": message}


class Fault:
    """What goes wrong in this launch, if anything."""

    def __init__(self) -> None:
        asked = json.loads(os.environ.get("AI2THOR_DOUBLE_FAULT", "{}"))
        self.kind, self.teleport = asked.get("kind", ""), asked.get("teleport", 0)
        if asked:
            with Path(asked["journal"]).open("a+") as journal:
                journal.write(f"{os.getpid()}\n")
                journal.seek(0)
                launch = len(journal.readlines())
            if launch > asked["launches"]:
                self.kind = ""

    def at_start(self) -> None:
        if self.kind == "exits at start":
            sys.exit(3)
        if self.kind == "hangs at start":
            time.sleep(600)

    def strikes(self, teleports: int, action: str, kind: str) -> bool:
        return self.kind == kind and action == "TeleportFull" and teleports == self.teleport


def serve(to_client: BinaryIO, from_client_path: str, executable: Executable, fault: Fault) -> None:
    send(to_client, 0, executable.metadata({"action": "Initialize"}, {}), {})
    with open(from_client_path, "rb") as from_client:
        while (action := receive(from_client)) is not None:
            outcome = executable.act(action)
            strikes = partial(fault.strikes, executable.teleports, action["action"])
            if strikes("dies in a step"):
                os.kill(os.getpid(), signal.SIGKILL)
            if strikes("hangs in a step"):
                time.sleep(600)
            images = executable.draw() if action.get("renderImage", True) else {}
            if strikes("truncated image"):
                images[RGB] = images[RGB][: len(images[RGB]) // 2 + 1]
            if strikes("missing image"):
                del images[DEPTH]
            number = action["sequenceId"] + (1 if strikes("wrong sequence number") else 0)
            send(to_client, number, executable.metadata(action, outcome), images)
            if strikes("dies between steps"):
                time.sleep(0.2)  # the answer is read before the pipe breaks
                os.kill(os.getpid(), signal.SIGKILL)


def send(pipe: BinaryIO, sequence: int, agent: dict[str, Any], images: dict[int, bytes]) -> None:
    message = {"sequenceId": sequence, "activeAgentId": 0, "agents": [agent], "thirdPartyCameras": []}
    fields = {METADATA: msgpack.dumps(message), **images}
    for kind, body in fields.items():
        pipe.write(HEADER.pack(kind, len(body)) + body)
    pipe.write(HEADER.pack(END, 0))
    pipe.flush()


def receive(pipe: BinaryIO) -> dict[str, Any] | None:
    """The next action, or None when the client has closed its end."""
    action = None
    while len(header := pipe.read(HEADER.size)) == HEADER.size:
        kind, length = HEADER.unpack(header)
        if kind == END:
            return action
        body = pipe.read(length)
        if kind == ACTION:
            action = json.loads(body)
    return None


def main() -> None:
    fault = Fault()
    fault.at_start()
    options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
    executable = Executable(int(options["-screen-width"]), int(options["-screen-height"]))
    with open(os.environ["AI2THOR_FIFO_SERVER_PIPE_PATH"], "wb") as to_client:
        serve(to_client, os.environ["AI2THOR_FIFO_CLIENT_PIPE_PATH"], executable, fault)


if __name__ == "__main__":
    main()
