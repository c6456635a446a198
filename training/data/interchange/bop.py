"""Data sets in the BOP format (https://bop.felk.cvut.cz), which BlenderProc writes among others.

A scene folder holds `scene_gt.json`, `scene_camera.json`, pictures in `rgb/` or `gray/`, a mask of the visible part of
every object in `mask_visib/IMAGE_OBJECT.png`, and perhaps `depth/`. Objects have numbers, no names: their class is the
name of their model, `obj_000005`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from saom_ros.errors import SaomError
from saom_ros.image_files import read_rgb
from training.data.interchange.importing import ImportedFrame, Loader, millimetres, paint, read_grey, read_json

_DEPTHS = ("scene_gt.json", "*/scene_gt.json", "*/*/scene_gt.json")
_PICTURES = [f"{folder}/{{:06d}}{suffix}" for folder in ("rgb", "gray") for suffix in (".png", ".jpg", ".tif")]


def find_bop_frames(folder: Path) -> list[Loader]:
    """One loader for each annotated image of a scene folder, of a split (`train_pbr`) or of a whole data set.

    Raises SaomError where there is no scene, or a scene's JSON files are missing or not as the format says.
    """
    if not folder.is_dir():
        raise SaomError(f"{folder}: no such folder")
    scenes = sorted(path.parent for pattern in _DEPTHS for path in folder.glob(pattern))
    if not scenes:
        raise SaomError(f"{folder}: holds no scene_gt.json; give a BOP scene, split or data set folder")
    loaders: list[Loader] = []
    for scene in scenes:
        truth = _entries(scene / "scene_gt.json", list)
        cameras = _entries(scene / "scene_camera.json", dict)
        for number in sorted(truth):
            if number not in cameras:
                raise SaomError(f"{scene / 'scene_camera.json'}: has no entry for image {number} of scene_gt.json")
            loaders.append(partial(_load, folder, scene, number, truth[number], cameras[number]))
    if not loaders:
        raise SaomError(f"{folder}: its scene_gt.json files list no image")
    return loaders


def _entries(path: Path, kind: type) -> dict[int, Any]:
    """Image number -> entry of one of a scene's JSON files."""
    content = read_json(path)
    if not isinstance(content, dict) or not all(
        key.isdecimal() and isinstance(value, kind) for key, value in content.items()
    ):
        raise SaomError(f"{path}: is not as BOP has it; expected image numbers, each with a {kind.__name__}")
    return {int(key): value for key, value in content.items()}


def _load(root: Path, scene: Path, number: int, truth: list[Any], camera: dict[str, Any]) -> ImportedFrame:
    picture = next((path for name in _PICTURES if (path := scene / name.format(number)).is_file()), None)
    if picture is None:
        raise SaomError(f"{scene}: has no picture rgb/{number:06d}.png (or gray/, .jpg, .tif) for scene_gt.json")
    rgb = read_rgb(picture)
    shape = (rgb.shape[0], rgb.shape[1])
    masks = []
    for k in range(len(truth)):
        path = scene / "mask_visib" / f"{number:06d}_{k:06d}.png"
        if not path.is_file():
            raise SaomError(f"{path}: no such mask; make them with scripts/calc_gt_masks.py of bop_toolkit")
        mask = read_grey(path) > 0
        if mask.shape != shape:
            raise SaomError(f"{path}: is {mask.shape[1]}x{mask.shape[0]} px, its picture {shape[1]}x{shape[0]}")
        masks.append((k + 1, mask))
    try:
        classes = {k: f"obj_{int(entry['obj_id']):06d}" for k, entry in enumerate(truth, start=1)}
        fx, _, cx, _, fy, cy = (float(value) for value in camera["cam_K"][:6])
        scale = float(camera.get("depth_scale", 1.0))
        pose = _pose(camera)
    except (KeyError, TypeError, ValueError) as error:
        raise SaomError(
            f"{scene}: scene_gt.json or scene_camera.json is not as BOP has it at image {number}: {error!r}"
        ) from None
    depth = scene / "depth" / f"{number:06d}.png"
    return ImportedFrame(
        source=str(picture.relative_to(root)),
        scene=str(scene.relative_to(root)) if scene != root else scene.name,
        rgb=rgb,
        instances=paint(masks, shape),
        classes=classes,
        depth=millimetres(read_grey(depth), scale) if depth.is_file() else None,
        intrinsics={"fx": fx, "fy": fy, "cx": cx, "cy": cy},
        pose=pose,
    )


def _pose(camera: dict[str, Any]) -> list[list[float]] | None:
    """Camera-to-world, m, where the camera's entry has the inverse, mm."""
    if "cam_R_w2c" not in camera or "cam_t_w2c" not in camera:
        return None
    rotation = np.array(camera["cam_R_w2c"], np.float64).reshape(3, 3)
    pose = np.eye(4)
    pose[:3, :3] = rotation.T
    pose[:3, 3] = -rotation.T @ np.array(camera["cam_t_w2c"], np.float64).reshape(3) / 1000
    return pose.tolist()
