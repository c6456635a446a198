"""AI2-THOR without AI2-THOR: what is a whole object, which rooms a split has, which views are worth keeping."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saom_ros.errors import SaomError
from training.classes import class_names
from training.simulators.ai2thor.places import houses, place_of_scene, rooms
from training.simulators.ai2thor.views import camera_pose, intrinsics, is_worth_learning, plan_views
from training.simulators.ai2thor.whole_objects import (
    DEFAULT_RULES,
    class_entry,
    class_table,
    load_rules,
    merge,
    whole_objects,
)

RULES = load_rules(DEFAULT_RULES)


def thing(name: str, centre: tuple[float, float, float], size: tuple[float, float, float]) -> dict[str, Any]:
    box = {"center": dict(zip("xyz", centre, strict=True)), "size": dict(zip("xyz", size, strict=True))}
    return {"objectId": name, "objectType": name.split("|")[0], "axisAlignedBoundingBox": box}


def owners(*objects: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return merge(objects, RULES)


def test_drawer_belongs_to_the_smallest_furniture_around_it() -> None:
    desk, table = thing("Desk|1", (0, 0.5, 0), (2, 1, 2)), thing("SideTable|1", (0, 0.4, 0), (0.5, 0.8, 0.5))
    found = owners(desk, table, thing("Drawer|1", (0.2, 0.4, 0.26), (0.4, 0.2, 0.02)))
    assert found["Drawer|1"] == ("SideTable|1", "SideTable")


def test_drawer_far_from_furniture_stays_an_object() -> None:
    found = owners(thing("Dresser|1", (0, 0.5, 0), (1, 1, 1)), thing("Drawer|1", (2, 0.5, 0), (0.4, 0.2, 0.5)))
    assert found["Drawer|1"] == ("Drawer|1", "Drawer")


def test_mug_on_a_dresser_stays_an_object() -> None:
    found = owners(thing("Dresser|1", (0, 0.5, 0), (1, 1, 1)), thing("Mug|1", (0, 1.0, 0), (0.1, 0.1, 0.1)))
    assert found["Mug|1"] == ("Mug|1", "Mug")


def test_burners_and_knobs_near_each_other_make_a_stove() -> None:
    parts = [thing(f"StoveBurner|{k}", (0.4 * k, 1, 0), (0.2, 0.02, 0.2)) for k in range(3)]
    far = thing("StoveBurner|9", (5, 1, 0), (0.2, 0.02, 0.2))
    found = owners(*parts, thing("StoveKnob|1", (0.2, 0.9, 0.4), (0.04, 0.04, 0.04)), far)
    assert {found[name] for name in found if name != "StoveBurner|9"} == {("StoveBurner|0", "Stove")}
    assert found["StoveBurner|9"] == ("StoveBurner|9", "StoveBurner")


def test_touching_cupboard_doors_make_one_cabinet_but_not_those_above() -> None:
    low = [thing(f"Cabinet|{k}", (0.5 * k, 0.5, 0), (0.48, 0.8, 0.5)) for k in range(3)]
    found = owners(
        *low, thing("Drawer|1", (1.5, 0.5, 0), (0.48, 0.3, 0.5)), thing("Cabinet|9", (0, 1.8, 0), (0.48, 0.8, 0.4))
    )
    assert found["Drawer|1"] == found["Cabinet|0"] == found["Cabinet|2"]
    assert found["Cabinet|9"] != found["Cabinet|0"]


def test_shelf_in_one_of_several_doors_belongs_to_their_cabinet() -> None:
    doors = [thing(f"Cabinet|{k}", (0.5 * k, 0.5, 0), (0.48, 0.8, 0.5)) for k in range(2)]
    found = owners(thing("Shelf|1", (0.5, 0.5, 0), (0.4, 0.02, 0.4)), *doors)
    assert found["Shelf|1"] == ("Cabinet|0", "Cabinet")


def test_structure_and_things_without_a_box_do_not_break_the_rule() -> None:
    boxless = {"objectId": "Drawer|1", "objectType": "Drawer", "axisAlignedBoundingBox": None}
    assert owners(thing("Floor|1", (0, 0, 0), (9, 0.1, 9)), boxless) == {"Drawer|1": ("Drawer|1", "Drawer")}


@given(st.data())
@settings(max_examples=40)
def test_order_of_objects_does_not_change_what_belongs_together(data: st.DataObject) -> None:
    kinds = ["Cabinet", "Drawer", "Dresser", "Shelf", "StoveBurner", "StoveKnob", "Sink", "SinkBasin"]
    place = st.tuples(*[st.floats(0, 2)] * 3)
    size = st.tuples(*[st.floats(0.05, 1)] * 3)
    objects = [thing(f"{data.draw(st.sampled_from(kinds))}|{k}", data.draw(place), data.draw(size)) for k in range(6)]
    shuffled = data.draw(st.permutations(objects))

    def partition(found: dict[str, tuple[str, str]]) -> set[frozenset[str]]:
        return {frozenset(n for n in found if found[n][0] == whole) for whole, _ in found.values()}

    assert partition(merge(objects, RULES)) == partition(merge(shuffled, RULES))


def test_label_maps_number_objects_and_keep_parts() -> None:
    objects = [thing("Sink|1", (0, 0.5, 0), (1, 1, 1)), thing("SinkBasin|1", (0, 0.6, 0), (0.5, 0.2, 0.5))]
    colors = [
        {"name": "Sink|1", "color": [1, 0, 0]},
        {"name": "Sink", "color": [0, 2, 0]},  # a class's colour, which an object has too
        {"name": "SinkBasin|1", "color": [0, 2, 0]},
        {"name": "Lamp|1|2", "color": [0, 0, 3]},
    ]
    ids = np.array([[[1, 0, 0], [0, 2, 0]], [[0, 0, 3], [9, 9, 9]]], np.uint8)
    found = whole_objects(ids, colors, objects, RULES)
    assert found.instances.tolist() == [[1, 1], [0, 0]]
    assert found.parts[0, 0] != found.parts[0, 1]
    assert found.parts[1].tolist() == [0, 0]
    assert set(found.part_to_object.values()) == {1}
    assert found.objects == [{"id": 1, "class": "Sink", "name": "Sink|1"}]
    assert found.scenery == ["Lamp"]


def test_the_55_classes_of_the_paper_keep_their_names() -> None:
    names = class_names()[:55]
    assert names[-1] == "WateringCan"
    assert [class_entry(1, name)["class"] for name in names] == list(names)


@pytest.mark.parametrize(
    ("object_type", "expected"),
    [
        ("HandTowel", {"id": 3, "class": "Cloth"}),
        ("DogBed", {"id": 3, "class": "Unknown", "source_class": "DogBed"}),
    ],
)
def test_other_types_are_mapped_or_keep_their_name_beside(object_type: str, expected: dict[str, Any]) -> None:
    assert class_entry(3, object_type) == expected


def test_mapped_types_are_classes_of_the_list() -> None:
    assert set(class_table().values()) <= set(class_names())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("structure: [Wall]\nparts: {}\nmargin: 0.1\ngroup: {}\n", "group"),
        ("structure: Wall\nparts: {}\nmargin: 0.1\n", "structure"),
        ("[", "is no merge rule"),
        ("", "is no merge rule"),
    ],
)
def test_broken_rule_file_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(content)
    with pytest.raises(SaomError, match=message):
        load_rules(path)


def test_missing_rule_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SaomError, match=r"cannot read --rules .*rules\.yaml"):
        load_rules(tmp_path / "rules.yaml")


def test_splits_share_no_room_and_have_all_120() -> None:
    names = [[place.name for place in rooms(split)] for split in ("train", "val", "test")]
    assert [len(listed) for listed in names] == [80, 20, 20]
    assert len(set().union(*names)) == 120
    assert {"FloorPlan1", "FloorPlan220"} <= set(names[0])
    assert {"FloorPlan321", "FloorPlan425"} <= set(names[1])
    assert {"FloorPlan26", "FloorPlan430"} <= set(names[2])


def test_every_place_comes_once_a_turn_in_an_order_of_the_seed() -> None:
    places = rooms("val")
    first, second, other = (
        [place_of_scene(places, "val", seed, scene).name for scene in scenes]
        for seed, scenes in ((0, range(20)), (0, range(20, 40)), (1, range(20)))
    )
    assert set(first) == set(second) == {place.name for place in places}
    assert len({tuple(first), tuple(second), tuple(other)}) == 3


HOUSE = {"metadata": {"agent": {}}, "rooms": []}


@pytest.mark.parametrize("name", ["test.json", "test.jsonl", "test.jsonl.gz"])
def test_houses_are_read_from_lists_and_lines(tmp_path: Path, name: str) -> None:
    lines = json.dumps([HOUSE, HOUSE]) if name.endswith(".json") else f"{json.dumps(HOUSE)}\n{json.dumps(HOUSE)}\n"
    content = gzip.compress(lines.encode()) if name.endswith(".gz") else lines.encode()
    (tmp_path / name).write_bytes(content)
    assert [place.name for place in houses(tmp_path / name)] == ["test-0", "test-1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"metadata": {"agent": {}}}\n{"meta', "line 2 is no JSON"),
        (b'[{"rooms": []}]', "house 0 has no metadata.agent"),
        (b"", "holds no house"),
        (b"\xff\xfe", "cannot read --houses"),
    ],
)
def test_broken_house_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "houses.jsonl"
    path.write_bytes(content)
    with pytest.raises(SaomError, match=message):
        houses(path)


def test_truncated_house_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "houses.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(HOUSE).encode() * 50)[:-20])
    with pytest.raises(SaomError, match="cannot read --houses"):
        houses(path)


def test_plan_does_not_depend_on_the_order_of_positions() -> None:
    positions = [{"x": float(x), "y": 0.9, "z": float(z)} for x in range(3) for z in range(3)]
    one = plan_views(positions, np.random.default_rng(0))
    assert one == plan_views(positions[::-1], np.random.default_rng(0))
    assert len({view["rotation"]["y"] for view in one}) > 5
    assert len({view["horizon"] for view in one}) > 2


def test_camera_facing_z_and_tilted_down_looks_along_our_y_and_down() -> None:
    metadata = {
        "agent": {"rotation": {"x": 0, "y": 0.0, "z": 0}, "cameraHorizon": 30.0},
        "cameraPosition": {"x": 1.0, "y": 1.5, "z": 2.0},
    }
    pose = camera_pose(metadata)
    np.testing.assert_allclose(pose[:3, 2], [0, np.cos(np.pi / 6), -0.5], atol=1e-12)
    np.testing.assert_allclose(pose[:3, 0], [1, 0, 0], atol=1e-12)
    assert pose[:3, 3].tolist() == [1.0, 2.0, 1.5]
    np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)


def test_field_of_view_is_vertical() -> None:
    camera = intrinsics(90.0, 640, 480)
    assert camera["fx"] == camera["fy"] == pytest.approx(240)
    assert (camera["cx"], camera["cy"]) == (319.5, 239.5)


def picture(objects: int, depth: float) -> tuple[np.ndarray, np.ndarray]:
    instances = np.zeros((48, 64), np.uint16)
    for number in range(objects):
        instances[10:30, 12 * number : 12 * number + 8] = number + 1
    return instances, np.full((48, 64), depth, np.float32)


@pytest.mark.parametrize(
    ("objects", "depth", "expected"), [(3, 2.0, True), (2, 2.0, False), (3, 0.4, False), (0, 2.0, False)]
)
def test_pictures_need_objects_and_room_before_the_camera(objects: int, depth: float, expected: bool) -> None:
    assert is_worth_learning(*picture(objects, depth)) is expected


def test_picture_filled_by_one_object_is_not_worth_learning() -> None:
    instances, depth = picture(3, 2.0)
    instances[instances == 0] = 1
    assert not is_worth_learning(instances, depth)
