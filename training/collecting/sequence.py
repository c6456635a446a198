"""Render a camera path through one room as numbered JPEGs: the sample that ships in ``saom_ros/sample``."""

import argparse
import math
from pathlib import Path

import cv2

from saom_ros.errors import SaomError
from training.simulators.base import SceneSkippedError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``python -m training sequence``."""
    parser.add_argument("--out", type=Path, required=True, help="folder for the JPEGs; must be empty or new")
    parser.add_argument("--frames", type=int, default=48, help="pictures (default: 48)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the rooms (default: 0)")
    parser.add_argument("--scene", type=int, default=0, help="number of the room (default: 0)")
    parser.add_argument("--width", type=int, default=640, help="px (default: 640)")
    parser.add_argument("--height", type=int, default=480, help="px (default: 480)")
    parser.add_argument("--arc", type=float, default=30.0, help="length of the path in degrees (default: 30)")


def main(args: argparse.Namespace) -> int:
    """Render the sequence from the rooms of the test split, which no model has seen."""
    from training.simulators.rooms.simulator import RoomSimulator

    if not 1 <= args.frames <= 10000:
        raise SaomError(f"--frames is {args.frames}; it must lie in 1..10000")
    if not 0 <= args.arc <= 360:
        raise SaomError(f"--arc is {args.arc}; it must lie in 0..360 degrees")
    if args.out.exists() and any(args.out.iterdir()):
        raise SaomError(f"{args.out}: not empty; give a new folder")
    args.out.mkdir(parents=True, exist_ok=True)
    simulator = RoomSimulator("test", args.seed, args.width, args.height)
    try:
        for number, frame in enumerate(simulator.sequence(args.scene, args.frames, math.radians(args.arc))):
            path = args.out / f"{number:03d}.jpg"
            if not cv2.imwrite(str(path), frame.rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88]):
                raise SaomError(f"{path}: cannot be written; is the disk full?")
    except SceneSkippedError as error:
        raise SaomError(
            f"room {args.scene} of seed {args.seed} cannot be shown: {error}; try another --scene"
        ) from error
    finally:
        simulator.close()
    print(f"rendered: {args.frames} pictures in {args.out}")
    return 0
