"""`dataset from-coco`: RLE and polygons become instance maps as the conventions say; wrong files are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from shard_files import mug_on_book, write_shards

from saom_ros.errors import SaomError
from training.__main__ import main
from training.data.check import FolderCheck
from training.data.interchange.coco_export import encode_rle
from training.data.interchange.coco_import import decode_segmentation, find_coco_frames
from training.data.interchange.importing import paint, to_frame
from training.data.shards import read_shards

HEIGHT, WIDTH = 20, 30
SQUARE = [5, 5, 15, 5, 15, 15, 5, 15]


def block(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


def annotation(number: int, segmentation: Any, **more: Any) -> dict[str, Any]:
    return {"id": number, "image_id": 5, "category_id": 1, "segmentation": segmentation, "iscrowd": 0} | more


@pytest.fixture
def content() -> dict[str, Any]:
    """A table that a mug stands on, both as if nothing hid them."""
    return {
        "images": [{"id": 5, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
        "annotations": [
            annotation(1, [SQUARE]),
            annotation(2, encode_rle(block(7, 7, 10, 10)), category_id=2),
        ],
        "categories": [{"id": 1, "name": "dining table"}, {"id": 2, "name": "zebra"}],
    }


def write(folder: Path, content: Any) -> tuple[Path, Path]:
    (folder / "images").mkdir(exist_ok=True)
    rgb = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    cv2.imwrite(str(folder / "images" / "a.png"), rgb)
    (folder / "instances.json").write_text(json.dumps(content))
    return folder / "instances.json", folder / "images"


def instances(folder: Path, content: Any) -> np.ndarray:
    (load,) = find_coco_frames(*write(folder, content))
    return to_frame(load(), "coco", "test").instances


def test_smaller_object_lies_on_the_larger_one(tmp_path: Path, content: dict[str, Any]) -> None:
    expected = np.where(block(7, 7, 10, 10), 2, np.where(block(5, 5, 15, 15), 1, 0))
    np.testing.assert_array_equal(instances(tmp_path, content), expected)


def test_crowds_are_background(tmp_path: Path, content: dict[str, Any]) -> None:
    content["annotations"][0]["iscrowd"] = 1
    np.testing.assert_array_equal(instances(tmp_path, content), block(7, 7, 10, 10))


def test_known_and_unknown_classes(tmp_path: Path, content: dict[str, Any]) -> None:
    (load,) = find_coco_frames(*write(tmp_path, content))
    assert to_frame(load(), "coco", "test").meta["objects"] == [
        {"id": 1, "class": "DiningTable"},
        {"id": 2, "class": "Unknown", "source_class": "zebra"},
    ]


def test_structure_is_background(tmp_path: Path, content: dict[str, Any]) -> None:
    content["categories"][0]["name"] = "Wall"
    np.testing.assert_array_equal(instances(tmp_path, content), 2 * block(7, 7, 10, 10))


def test_shards_pass_check_and_keep_the_split(
    tmp_path: Path, content: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    annotations, images = write(tmp_path, content)
    out = tmp_path / "out"
    assert main(["dataset", "from-coco", str(annotations), str(images), str(out), "--split", "val"]) == 0
    assert list(FolderCheck(out).problems()) == [None]
    (sample,) = read_shards(out)
    assert sample.key == "coco-instances-val-000000"
    assert (sample.meta["split"], sample.meta["source"]) == ("val", "a.png")
    assert "1 frames in" in capsys.readouterr().out


def test_what_was_exported_comes_back(tmp_path: Path) -> None:
    data = write_shards(tmp_path / "data", [mug_on_book(scene) for scene in range(3)])
    coco, back = tmp_path / "coco", tmp_path / "back"
    assert main(["dataset", "to-coco", str(data), str(coco)]) == 0
    assert main(["dataset", "from-coco", str(coco / "annotations.json"), str(coco / "images"), str(back)]) == 0
    for before, after in zip(read_shards(data), read_shards(back), strict=True):
        np.testing.assert_array_equal(after.instances, np.searchsorted([0, 3, 7], before.instances))
        assert [entry["class"] for entry in after.meta["objects"]] == ["Book", "Mug"]


@settings(max_examples=30)
@given(arrays.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_both_kinds_of_rle_are_exact(mask: np.ndarray) -> None:
    height, width = mask.shape
    runs, value = [0], False
    for pixel in mask.ravel(order="F").tolist():
        if pixel != value:
            runs.append(0)
            value = pixel
        runs[-1] += 1
    np.testing.assert_array_equal(decode_segmentation({"size": [height, width], "counts": runs}, height, width), mask)
    np.testing.assert_array_equal(decode_segmentation(encode_rle(mask), height, width), mask)


def test_polygons_of_one_object_are_joined() -> None:
    mask = decode_segmentation([SQUARE, [20, 2, 24, 2, 24, 6, 20, 6], [1, 1, 2, 2]], HEIGHT, WIDTH)
    np.testing.assert_array_equal(mask, block(5, 5, 15, 15) | block(2, 20, 6, 24))


def test_equal_masks_keep_the_later_object() -> None:
    mask = np.ones((2, 2), bool)
    assert (paint([(1, mask), (2, mask)], (2, 2)) == 2).all()


@pytest.mark.parametrize(
    ("segmentation", "problem"),
    [
        (None, "has no segmentation; boxes alone"),
        ([], "has no segmentation"),
        ([[1, 2, 3, 4]], "has no polygon of three corners"),
        ([[1, 2, 3, 4, 5]], "has a polygon that is no list"),
        ([["a"]], "has a polygon that is no list"),
        ([[0, 0, 1e12, 0, 0, 1e12]], "has a polygon that is no list"),
        ([[0, 0, float("nan"), 0, 0, 9]], "has a polygon that is no list"),
        ({"size": [30, 20], "counts": "0"}, r"has an RLE of size \[30, 20\]; its picture is \[20, 30\]"),
        ({"size": [20, 30], "counts": [1, 2]}, "do not sum up to its picture's 600 px"),
        ({"size": [20, 30], "counts": [-5, 605]}, "do not sum up"),
        ({"size": [20, 30], "counts": 7}, "neither a list nor text"),
        ({"size": [20, 30], "counts": "0g0jk9"}, "has a damaged RLE"),
    ],
)
def test_wrong_segmentation_is_named(tmp_path: Path, content: dict[str, Any], segmentation: Any, problem: str) -> None:
    content["annotations"][0]["segmentation"] = segmentation
    with pytest.raises(SaomError, match=f"annotation 1 of a.png .*{problem}"):
        instances(tmp_path, content)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"images": None}, "is no COCO instance file; expected lists images, annotations, categories"),
        ({"images": []}, "annotation 1 names image 5 and category 1, which are not both listed"),
        ({"categories": []}, "which are not both listed"),
        ({"images": [{"id": 5}]}, r"KeyError\('file_name'\)"),
        ({"images": [], "annotations": []}, "lists no image"),
        ({"images": [{"id": 5, "file_name": "b.png"}]}, r"b\.png: no such file; 1 of 1 pictures are missing"),
        (
            {"images": [{"id": 5, "file_name": "a.png", "height": 9, "width": 9}]},
            "is 30x20 px, but instances.json says",
        ),
    ],
)
def test_wrong_file_is_named(tmp_path: Path, content: dict[str, Any], change: dict[str, Any], problem: str) -> None:
    with pytest.raises(SaomError, match=problem):
        instances(tmp_path, content | change)


def test_file_that_is_no_json_is_named(tmp_path: Path, content: dict[str, Any]) -> None:
    annotations, images = write(tmp_path, content)
    annotations.write_text("{")
    with pytest.raises(SaomError, match=r"instances\.json: is not valid JSON"):
        find_coco_frames(annotations, images)
    with pytest.raises(SaomError, match=r"nothing\.json: cannot be read"):
        find_coco_frames(tmp_path / "nothing.json", images)
    write(tmp_path, content)
    with pytest.raises(SaomError, match="nowhere: no such folder"):
        find_coco_frames(annotations, tmp_path / "nowhere")


def test_failed_import_leaves_nothing(
    tmp_path: Path, content: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    annotations, images = write(tmp_path, content)
    picture = images / "a.png"
    picture.write_bytes(picture.read_bytes()[:-30])
    assert main(["dataset", "from-coco", str(annotations), str(images), str(tmp_path / "out")]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert errors[-1].startswith(f"error: {picture}: ")
    assert "truncated" in errors[-1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "instances.json"]
