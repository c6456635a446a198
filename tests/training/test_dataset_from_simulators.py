"""Imports of label maps, BOP and Replicator from small folders laid out as their documentation says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from saom_ros.errors import SaomError
from training.__main__ import main
from training.data.check import FolderCheck
from training.data.interchange.bop import find_bop_frames
from training.data.interchange.importing import millimetres, to_frame
from training.data.interchange.label_folders import find_label_maps
from training.data.interchange.replicator import find_replicator_frames
from training.data.shards import Sample, read_shards
from training.simulators.base import Frame

HEIGHT, WIDTH = 16, 24
LABELS = np.zeros((HEIGHT, WIDTH), np.uint16)
LABELS[2:8, 3:9] = 1
LABELS[4:12, 12:20] = 2
RGB = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def picture(path: Path, image: np.ndarray = RGB) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def imported(*arguments: str | Path) -> list[Sample]:
    """Run the command, see that the shards pass `check`, and read them."""
    assert main(["dataset", *map(str, arguments)]) == 0
    out = Path(arguments[3] if arguments[0] == "from-labels" else arguments[2])
    assert [problem for problem in FolderCheck(out).problems() if problem] == []
    return list(read_shards(out))


def first(loaders: list[Any]) -> Frame:
    return to_frame(loaders[0](), "x", "test")


# Label maps


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    picture(tmp_path / "images" / "a.png")
    cv2.imwrite(str(tmp_path / "images" / "b.jpg"), RGB)
    picture(tmp_path / "labels" / "a.png", LABELS * 500)
    picture(tmp_path / "labels" / "b.png", LABELS)
    return tmp_path


def test_label_maps_come_in_with_their_ids(labelled: Path) -> None:
    samples = imported("from-labels", labelled / "images", labelled / "labels", labelled / "out")
    np.testing.assert_array_equal(samples[0].instances, LABELS * 500)
    np.testing.assert_array_equal(samples[1].instances, LABELS)
    assert samples[0].meta["objects"] == [{"id": 500, "class": "Unknown"}, {"id": 1000, "class": "Unknown"}]
    assert [sample.meta["source"] for sample in samples] == ["a.png", "b.jpg"]
    assert np.abs(samples[0].rgb.mean(axis=(0, 1)) - RGB.mean(axis=(0, 1))).max() < 3


def test_palette_indices_are_ids_whatever_their_colours(tmp_path: Path) -> None:
    palette = Image.fromarray(np.where(LABELS == 2, 255, LABELS).astype(np.uint8), mode="P")
    palette.putpalette([0, 0, 0] * 200 + [9, 9, 9] * 56)
    (tmp_path / "labels").mkdir()
    palette.save(tmp_path / "labels" / "a.png")
    picture(tmp_path / "images" / "a.png")
    frame = first(find_label_maps(tmp_path / "images", tmp_path / "labels"))
    np.testing.assert_array_equal(frame.instances, np.where(LABELS == 2, 255, LABELS))
    frame = first(find_label_maps(tmp_path / "images", tmp_path / "labels", frozenset({255})))
    np.testing.assert_array_equal(frame.instances, LABELS == 1)


def test_label_maps_beside_pictures_are_found(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "a.labels.png", LABELS)
    picture(tmp_path / "a.overlay.png")
    np.testing.assert_array_equal(first(find_label_maps(tmp_path, tmp_path)).instances, LABELS)


def test_picture_without_label_map_is_named(labelled: Path) -> None:
    (labelled / "labels" / "b.png").unlink()
    with pytest.raises(SaomError, match=r"1 of 2 files without a label map .*images/b\.jpg; add what is missing"):
        find_label_maps(labelled / "images", labelled / "labels")


def test_label_map_without_picture_is_named(labelled: Path) -> None:
    (labelled / "images" / "b.jpg").unlink()
    with pytest.raises(SaomError, match=r"1 of 2 files without a picture .*labels/b\.png"):
        find_label_maps(labelled / "images", labelled / "labels")


def test_two_pictures_of_one_stem_are_refused(labelled: Path) -> None:
    picture(labelled / "images" / "b.png")
    with pytest.raises(SaomError, match="have the same stem"):
        find_label_maps(labelled / "images", labelled / "labels")


@pytest.mark.parametrize(
    ("label_map", "problem"),
    [
        (RGB, r"labels/a\.png: is a colour image; expected 8- or 16-bit grey"),
        (LABELS[:5], r"a\.png: the picture is 24x16 px, its instance map 24x5"),
    ],
)
def test_map_that_does_not_fit_is_named(labelled: Path, label_map: np.ndarray, problem: str) -> None:
    picture(labelled / "labels" / "a.png", label_map)
    with pytest.raises(SaomError, match=problem):
        first(find_label_maps(labelled / "images", labelled / "labels"))


@pytest.mark.parametrize("damage", [b"", b"no picture", None])
def test_damaged_label_map_is_named_and_nothing_is_left(
    labelled: Path, damage: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    path = labelled / "labels" / "b.png"
    path.write_bytes(path.read_bytes()[:-40] if damage is None else damage)
    assert main(["dataset", "from-labels", *(str(labelled / name) for name in ("images", "labels", "out"))]) == 2
    assert f"error: {path}: cannot be decoded" in capsys.readouterr().err
    assert sorted(path.name for path in labelled.iterdir()) == ["images", "labels"]


def test_empty_or_missing_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(SaomError, match="images: no such folder"):
        find_label_maps(tmp_path / "images", tmp_path)
    with pytest.raises(SaomError, match="no images in this folder"):
        find_label_maps(tmp_path, tmp_path)


# BOP


@pytest.fixture
def bop(tmp_path: Path) -> Path:
    """One image of one scene, as BlenderProc's write_bop lays it out."""
    root = tmp_path / "dataset" / "train_pbr"
    scene = root / "000003"
    for k, label in enumerate((1, 2)):
        picture(scene / "mask_visib" / f"000007_{k:06d}.png", np.where(label == LABELS, 255, 0).astype(np.uint8))
        picture(scene / "mask" / f"000007_{k:06d}.png", np.full((HEIGHT, WIDTH), 255, np.uint8))
    picture(scene / "rgb" / "000007.jpg")
    picture(scene / "depth" / "000007.png", np.full((HEIGHT, WIDTH), 12345, np.uint16))
    pose = {"cam_R_m2c": [1, 0, 0, 0, 1, 0, 0, 0, 1], "cam_t_m2c": [0.0, 0.0, 800.0]}
    truth = {"7": [{"obj_id": 5, **pose}, {"obj_id": 12, **pose}]}
    camera = {
        "cam_K": [500.0, 0.0, 12.5, 0.0, 510.0, 8.5, 0.0, 0.0, 1.0],
        "depth_scale": 0.1,
        "cam_R_w2c": [0, 1, 0, -1, 0, 0, 0, 0, 1],
        "cam_t_w2c": [1000.0, 2000.0, 3000.0],
    }
    (scene / "scene_gt.json").write_text(json.dumps(truth))
    (scene / "scene_camera.json").write_text(json.dumps({"7": camera}))
    return root


def test_bop_scene_comes_in_whole(bop: Path, tmp_path: Path) -> None:
    (sample,) = imported("from-bop", bop.parent, tmp_path / "out")
    np.testing.assert_array_equal(sample.instances, LABELS)
    assert sample.depth is not None
    assert (sample.depth == 1234).all()
    assert sample.key == "bop-dataset-test-000000"
    meta = sample.meta
    assert (meta["source"], meta["scene"]) == ("train_pbr/000003/rgb/000007.jpg", "train_pbr/000003")
    assert [entry["source_class"] for entry in meta["objects"]] == ["obj_000005", "obj_000012"]
    assert meta["intrinsics"] == {"fx": 500.0, "fy": 510.0, "cx": 12.5, "cy": 8.5, "width": WIDTH, "height": HEIGHT}
    world_to_camera = np.array([[0, 1, 0, 1], [-1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])
    np.testing.assert_allclose(np.array(meta["pose"]) @ world_to_camera, np.eye(4), atol=1e-12)


@pytest.mark.parametrize("levels", [0, 1, 2])
def test_bop_scene_split_and_dataset_are_accepted(bop: Path, levels: int) -> None:
    folder = [bop / "000003", bop, bop.parent][levels]
    np.testing.assert_array_equal(first(find_bop_frames(folder)).instances, LABELS)


def test_bop_object_that_is_hidden_altogether_is_left_out(bop: Path) -> None:
    picture(bop / "000003" / "mask_visib" / "000007_000000.png", np.zeros((HEIGHT, WIDTH), np.uint8))
    assert [entry["id"] for entry in first(find_bop_frames(bop)).meta["objects"]] == [2]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("mask_visib/000007_000001.png", None, "no such mask; make them with scripts/calc_gt_masks.py"),
        ("rgb/000007.jpg", None, r"000003: has no picture rgb/000007\.png"),
        ("scene_camera.json", None, r"scene_camera\.json: cannot be read"),
        ("scene_camera.json", "{}", r"scene_camera\.json: has no entry for image 7"),
        ("scene_camera.json", '{"7": {"cam_K": [1, 2]}}', "is not as BOP has it at image 7"),
        ("scene_camera.json", '{"7": {"cam_K": [1, 0, 2, 0, 1, 2], "cam_R_w2c": [1], "cam_t_w2c": []}}', "image 7"),
        ("scene_gt.json", "[", "is not valid JSON"),
        ("scene_gt.json", "[]", "is not as BOP has it; expected image numbers"),
        ("scene_gt.json", '{"seven": []}', "is not as BOP has it; expected image numbers"),
        ("scene_gt.json", "{}", "list no image"),
        ("scene_gt.json", '{"7": [{}, {}]}', "is not as BOP has it at image 7"),
    ],
)
def test_wrong_bop_file_is_named(bop: Path, name: str, content: str | None, problem: str) -> None:
    path = bop / "000003" / name
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(SaomError, match=problem):
        first(find_bop_frames(bop))


def test_bop_mask_of_another_size_is_named(bop: Path) -> None:
    picture(bop / "000003" / "mask_visib" / "000007_000000.png", np.zeros((3, 4), np.uint8))
    with pytest.raises(SaomError, match=r"000007_000000\.png: is 4x3 px, its picture 24x16"):
        first(find_bop_frames(bop))


def test_folder_without_bop_scene_is_named(tmp_path: Path) -> None:
    with pytest.raises(SaomError, match=r"holds no scene_gt\.json"):
        find_bop_frames(tmp_path)
    with pytest.raises(SaomError, match="no such folder"):
        find_bop_frames(tmp_path / "nothing")


# Replicator

COLOURS = {0: (0, 0, 0, 0), 1: (140, 25, 255, 255), 2: (25, 255, 140, 255), 3: (0, 0, 0, 255)}


def write_replicator(folder: Path, colorize: bool = True, subfolders: bool = False) -> Path:
    """Frame 0000 of BasicWriter: a mug, a box, a strip without semantics and background."""

    def place(annotator: str) -> Path:
        made = folder / annotator if subfolders else folder
        made.mkdir(parents=True, exist_ok=True)
        return made

    ids = LABELS.copy()
    ids[15] = 3
    picture(place("rgb") / "rgb_0000.png", np.dstack([RGB, np.full((HEIGHT, WIDTH), 255, np.uint8)]))
    paths = {0: "BACKGROUND", 1: "/World/mug_01", 2: "/World/crate_7", 3: "UNLABELLED"}
    semantics = {0: {"class": "BACKGROUND"}, 1: {"class": "mug"}, 2: {"class": "gadget"}, 3: {"class": "UNLABELLED"}}
    # Without colorize the writer numbers background 0 and what has no semantics 1.
    numbers = {0: 0, 3: 1, 1: 2, 2: 3}
    keys = {k: str(COLOURS[k]) if colorize else str(numbers[k]) for k in COLOURS}
    table = np.array([COLOURS[k] if colorize else numbers[k] for k in range(4)], np.uint8 if colorize else np.uint16)
    made = place("instance_segmentation")
    picture(made / "instance_segmentation_0000.png", table[ids])
    for name, mapping in (("mapping", paths), ("semantics_mapping", semantics)):
        text = json.dumps({keys[k]: value for k, value in mapping.items()})
        (made / f"instance_segmentation_{name}_0000.json").write_text(text)
    depth = np.full((HEIGHT, WIDTH), 1.5, np.float32)
    depth[0] = np.inf
    np.save(place("distance_to_image_plane") / "distance_to_image_plane_0000.npy", depth)
    return folder


@pytest.mark.parametrize("colorize", [True, False])
@pytest.mark.parametrize("camera", ["", "Camera_1"])
def test_replicator_output_comes_in_whole(tmp_path: Path, colorize: bool, camera: str) -> None:
    write_replicator(tmp_path / "run" / camera, colorize, subfolders=bool(camera))
    (sample,) = imported("from-replicator", tmp_path / "run", tmp_path / "out")
    objects = {entry.get("source_class", entry["class"]): entry["id"] for entry in sample.meta["objects"]}
    assert set(objects) == {"Mug", "gadget"}
    np.testing.assert_array_equal(sample.instances == objects["Mug"], LABELS == 1)
    np.testing.assert_array_equal(sample.instances == objects["gadget"], LABELS == 2)
    assert sample.depth is not None
    assert (sample.depth[0] == 0).all()
    assert (sample.depth[1:] == 1500).all()
    assert sample.meta["scene"] == (camera or "run")


def test_replicator_without_semantics_uses_prim_names(tmp_path: Path) -> None:
    write_replicator(tmp_path)
    (tmp_path / "instance_segmentation_semantics_mapping_0000.json").unlink()
    (tmp_path / "distance_to_image_plane_0000.npy").unlink()
    frame = first(find_replicator_frames(tmp_path))
    assert {entry["source_class"] for entry in frame.meta["objects"]} == {"mug_01", "crate_7"}
    assert frame.depth is None


@pytest.mark.parametrize("annotator", ["instance_segmentation_0000.png", "instance_segmentation_mapping_0000.json"])
def test_replicator_frame_without_segmentation_is_named(tmp_path: Path, annotator: str) -> None:
    (write_replicator(tmp_path) / annotator).unlink()
    with pytest.raises(SaomError, match=rf"rgb_0000\.png: lacks {annotator} beside it"):
        find_replicator_frames(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("instance_segmentation_mapping_0000.json", b"{", "is not valid JSON"),
        ("instance_segmentation_mapping_0000.json", b"[]", "expected colours"),
        ("instance_segmentation_mapping_0000.json", b'{"(1, 2)": "a"}', r"has the key '\(1, 2\)'; expected colours"),
        ("instance_segmentation_0000.png", b"\x89PNG", "cannot be decoded"),
        ("distance_to_image_plane_0000.npy", b"\x93NUMPY", "cannot be read as a NumPy array"),
        ("rgb_0000.png", b"", "is empty"),
    ],
)
def test_wrong_replicator_file_is_named(tmp_path: Path, name: str, content: bytes, problem: str) -> None:
    (write_replicator(tmp_path) / name).write_bytes(content)
    with pytest.raises(SaomError, match=rf"{name}.*{problem}"):
        first(find_replicator_frames(tmp_path))


def test_colour_that_the_mapping_lacks_is_named(tmp_path: Path) -> None:
    path = write_replicator(tmp_path) / "instance_segmentation_mapping_0000.json"
    for other in (path, tmp_path / "instance_segmentation_semantics_mapping_0000.json"):
        content = json.loads(other.read_text())
        del content["(25, 255, 140, 255)"]
        other.write_text(json.dumps(content))
    with pytest.raises(SaomError, match=r"shows the colour \(25, 255, 140, 255\), which .*mapping_0000\.json does not"):
        first(find_replicator_frames(tmp_path))


def test_depth_of_another_kind_is_named(tmp_path: Path) -> None:
    np.save(write_replicator(tmp_path) / "distance_to_image_plane_0000.npy", np.zeros((4, 4), int))
    with pytest.raises(SaomError, match=r"is int64 \(4, 4\); expected float32 \(H, W\), metres"):
        first(find_replicator_frames(tmp_path))


def test_folder_without_replicator_output_is_named(tmp_path: Path) -> None:
    with pytest.raises(SaomError, match=r"holds no rgb_\*\.png"):
        find_replicator_frames(tmp_path)


def test_depth_beyond_what_millimetres_hold_is_unknown() -> None:
    depth = np.array([[0.0, 0.0004, 1.0006, 65.535, 65.536, np.inf, np.nan, -1.0]])
    assert millimetres(depth, 1000).tolist() == [[0, 0, 1001, 65535, 0, 0, 0, 0]]
