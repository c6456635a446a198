"""Where evaluation gets its frames from: shards, COCO, label maps with ignored regions; and what it refuses."""

import json

import cv2
import numpy as np
import pytest

from saom_ros.errors import SaomError
from training.data.shards import ShardWriter
from training.evaluation.frames import open_frames
from training.simulators.base import Frame

HEIGHT, WIDTH = 60, 80
RGB = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)


def labels(**at):
    """Label map with a block of 20 x 20 px for each keyword, `id5=(top, left)`."""
    found = np.zeros((HEIGHT, WIDTH), np.uint16)
    for name, (top, left) in at.items():
        found[top : top + 20, left : left + 20] = int(name.removeprefix("id"))
    return found


TRUTH = labels(id1=(0, 0), id2=(30, 30))


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def label_maps(tmp_path):
    """Two pictures, `one` and `two`, with two objects each."""
    for stem in ("one", "two"):
        write(tmp_path / "images" / f"{stem}.jpg", RGB)
        write(tmp_path / "labels" / f"{stem}.png", TRUTH)
    return tmp_path


@pytest.fixture
def coco(tmp_path):
    """A picture with a mug, and a crowd of books that lies partly over it."""
    write(tmp_path / "images" / "one.png", RGB)
    entries = [
        {"id": 1, "image_id": 7, "category_id": 1, "iscrowd": 0, "segmentation": [[0, 0, 20, 0, 20, 20, 0, 20]]},
        {"id": 2, "image_id": 7, "category_id": 2, "iscrowd": 1, "segmentation": crowd(slice(10, 40), slice(0, 20))},
    ]
    content = {
        "images": [{"id": 7, "file_name": "one.png", "width": WIDTH, "height": HEIGHT}],
        "annotations": entries,
        "categories": [{"id": 1, "name": "mug"}, {"id": 2, "name": "prayer book"}],
    }
    return change(tmp_path / "instances.json", content)


def crowd(rows, columns):
    """Uncompressed RLE."""
    mask = np.zeros((HEIGHT, WIDTH), int)
    mask[rows, columns] = 1
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat, prepend=0))
    return {"size": [HEIGHT, WIDTH], "counts": np.diff([0, *edges, flat.size]).tolist()}


def change(path, content):
    path.write_text(json.dumps(content))
    return path


def only(frames):
    (frame,) = frames
    return frame


def test_a_folder_of_label_maps_is_exhaustive_and_ignores_nothing_by_itself(label_maps):
    frames = list(open_frames(label_maps))
    assert [frame.key for frame in frames] == ["one", "two"]
    np.testing.assert_array_equal(frames[0].instances, TRUTH)
    assert frames[0].rgb.shape == (HEIGHT, WIDTH, 3)
    assert frames[0].exhaustive
    assert frames[0].ignore is None
    assert frames[0].classes == {1: "Unknown", 2: "Unknown"}


def test_an_ignore_map_marks_pixels_of_its_picture_alone(label_maps):
    write(label_maps / "ignore" / "two.png", np.where(TRUTH == 2, 255, 0).astype(np.uint8))
    one, two = open_frames(label_maps)
    assert one.ignore is None
    np.testing.assert_array_equal(two.ignore, TRUTH == 2)


def test_the_index_says_what_is_ignored_exhaustive_and_named(label_maps):
    frame = {"exhaustive": True, "ignore": [2], "classes": {"1": "mug", "2": "gramophone"}}
    change(label_maps / "index.json", {"exhaustive": False, "ignore": [1], "split": "val", "frames": {"two": frame}})
    one, two = open_frames(label_maps)
    assert (one.exhaustive, two.exhaustive) == (False, True)
    assert (one.split, two.split) == ("val", "val")
    np.testing.assert_array_equal(one.ignore, TRUTH == 1)
    np.testing.assert_array_equal(two.ignore, TRUTH > 0)
    assert two.classes == {1: "Mug", 2: "gramophone"}


def test_crowds_of_coco_are_ignored_where_no_object_is(coco):
    frame = only(open_frames(coco))
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[20:40, 0:20] = True
    np.testing.assert_array_equal(frame.ignore, expected)
    assert frame.classes == {1: "Mug"}
    assert (frame.instances == 1).sum() == 400
    assert frame.exhaustive


def test_a_coco_picture_can_say_that_it_is_annotated_in_part(coco):
    content = json.loads(coco.read_text())
    content["images"][0]["exhaustive"] = False
    change(coco, content)
    assert not only(open_frames(coco)).exhaustive


def test_coco_pictures_lie_where_the_user_says(coco, tmp_path):
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    with pytest.raises(SaomError, match=r"one\.png: no such file"):
        open_frames(coco)
    assert only(open_frames(coco, images=tmp_path / "elsewhere")).key == "one"


def test_what_to_coco_writes_is_read_as_a_folder(coco):
    coco.rename(coco.with_name("annotations.json"))
    assert only(open_frames(coco.parent)).key == "one"


def test_shards_carry_classes_split_and_whether_all_is_annotated(tmp_path):
    meta = {"simulator": "rooms", "split": "test", "objects": [{"id": 2, "class": "Mug"}], "exhaustive": False}
    with ShardWriter(tmp_path / "rooms-000000.tar") as writer:
        writer.add("a", Frame(RGB, TRUTH, None, None, meta))
        writer.add("b", Frame(RGB, TRUTH, None, None, {"objects": []}))
    first, second = open_frames(tmp_path)
    assert (first.simulator, first.split, first.exhaustive, first.classes) == ("rooms", "test", False, {2: "Mug"})
    assert (second.simulator, second.split, second.exhaustive) == ("unknown", "unknown", True)


def test_the_user_can_call_all_annotation_partial(label_maps):
    assert not any(frame.exhaustive for frame in open_frames(label_maps, exhaustive=False))


def test_a_limit_spreads_over_all_frames_and_can_be_read_again(label_maps):
    frames = open_frames(label_maps, limit=1)
    assert len(frames) == 1
    assert [frame.key for frame in frames] == [frame.key for frame in frames] == ["one"]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([], "is no index of label maps"),
        ({"exhaustve": True}, "expected the keys exhaustive"),
        ({"exhaustive": "yes"}, "exhaustive is 'yes'; expected true or false"),
        ({"ignore": 255}, "expected a list of ids"),
        ({"frames": {"one": {"classes": ["mug"]}}}, "frame 'one': classes are"),
        ({"frames": {"three": {}}}, "frame 'three' has no picture"),
    ],
)
def test_an_index_that_is_not_understood_is_refused(label_maps, index, message):
    change(label_maps / "index.json", index)
    with pytest.raises(SaomError, match=f"index.json: .*{message}"):
        open_frames(label_maps)


def broken_picture(folder):
    (folder / "images" / "one.jpg").write_bytes(b"\xff\xd8 no picture")


def broken_labels(folder):
    path = folder / "labels" / "one.png"
    path.write_bytes(path.read_bytes()[:40])


def larger_labels(folder):
    write(folder / "labels" / "one.png", np.zeros((HEIGHT, WIDTH + 1), np.uint16))


def larger_ignore_map(folder):
    write(folder / "ignore" / "one.png", np.zeros((HEIGHT + 1, WIDTH), np.uint8))


def lonely_ignore_map(folder):
    write(folder / "ignore" / "three.png", np.zeros((HEIGHT, WIDTH), np.uint8))


def coloured_labels(folder):
    write(folder / "labels" / "one.png", RGB)


def missing_labels(folder):
    (folder / "labels" / "one.png").unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (broken_picture, "one.jpg: "),
        (broken_labels, "one.png: cannot be decoded"),
        (larger_labels, "80x60 px, its instance map 81x60"),
        (larger_ignore_map, "ignore/one.png: is 80x61 px, the label map 80x60"),
        (lonely_ignore_map, "three.png: has no picture of the same stem"),
        (coloured_labels, "one.png: is a colour image"),
        (missing_labels, "without a label map"),
    ],
)
def test_damaged_label_maps_are_named(label_maps, damage, message):
    damage(label_maps)
    with pytest.raises(SaomError, match=message):
        list(open_frames(label_maps))


def test_coco_that_contradicts_itself_is_refused(coco):
    content = json.loads(coco.read_text())
    content["annotations"][0]["image_id"] = 8
    change(coco, content)
    with pytest.raises(SaomError, match="annotation 1 names image 8"):
        open_frames(coco)


def test_coco_of_another_size_than_its_picture_is_refused(coco):
    content = json.loads(coco.read_text())
    content["images"][0]["width"] = WIDTH + 1
    change(coco, content)
    with pytest.raises(SaomError, match="masks would not fit"):
        list(open_frames(coco))


def test_no_data_is_refused_by_name(label_maps, coco, tmp_path):
    (tmp_path / "bare").mkdir()
    (tmp_path / "text.json").write_text("no json")
    for path, options, message in [
        (tmp_path / "nowhere", {}, "nowhere does not exist; give a folder"),
        (tmp_path / "bare", {}, "holds no .*tar shard, no labels/ beside images/ and no annotations.json"),
        (tmp_path / "text.json", {}, "text.json: is not valid JSON"),
        (label_maps, {"images": label_maps}, "--images goes with a COCO JSON file"),
        (coco, {"images": tmp_path / "nowhere"}, "nowhere: no such folder"),
    ]:
        with pytest.raises(SaomError, match=message):
            open_frames(path, **options)
