"""docs/objects.md, line by line: what is one object in the rooms, and what is only a part of one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml
from any_texture import palette

from training.simulators.rooms import furniture
from training.simulators.rooms.baking import bake
from training.simulators.rooms.convention import EXAMPLES, Example, example_scene
from training.simulators.rooms.objects_catalogue import SMALL_OBJECTS
from training.simulators.rooms.scene import Scene

ROOT = Path(__file__).parents[2]
BY_CAPTION = {example.caption: example for example in EXAMPLES}


def scene(caption: str, seed: int = 2) -> Scene:
    return example_scene(BY_CAPTION[caption], palette(seed))


def classes(caption: str) -> list[str]:
    return [item.category for item in scene(caption).objects]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.caption)
def test_example_of_the_convention_shows_just_its_whole_objects(example: Example) -> None:
    for seed in (2, 3):
        built = example_scene(example, palette(seed))
        assert Counter(item.category for item in built.objects) == Counter(example.objects)


def test_pillow_on_a_bed_is_an_object_of_its_own() -> None:
    assert classes("bed | pillow | pillow") == ["Bed", "Pillow", "Pillow"]


def test_sofa_cushions_are_parts_of_the_sofa() -> None:
    (sofa,) = scene("sofa with its cushions").objects
    assert sofa.category == "Sofa"
    assert len(sofa.parts) >= 8, "frame, back, two arms, feet, and two cushions a seat"


def test_drawers_and_their_handles_are_parts_of_their_furniture() -> None:
    (dresser,) = scene("dresser with its drawers").objects
    assert len(dresser.parts) >= 2 + 2 * 2


def test_counter_is_one_object_with_its_cupboards_and_sink() -> None:
    assert classes("counter with cupboards and sink") == ["CounterTop"]


def test_pan_is_no_part_of_the_stove_that_carries_it() -> None:
    assert classes("stove with its knobs | pan") == ["Stove", "Pan"]


def test_lid_is_part_of_its_pot_and_pot_part_of_its_plant() -> None:
    assert classes("pot with lid | plant with pot | lamp")[1:] == ["Pot", "HousePlant", "DeskLamp"]


def test_every_book_of_a_row_and_every_fruit_of_a_bowl_is_an_object() -> None:
    assert classes("shelf | every book").count("Book") == 4
    assert classes("bowl | every fruit").count("Lemon") == 2


def test_bunches_and_cartons_are_one_object() -> None:
    assert classes("bunch | bunch | carton with its eggs")[1:] == ["Grapes", "Banana", "EggCarton"]


def test_towel_and_roll_are_objects_beside_rail_and_hanger() -> None:
    assert classes("rail | towel") == ["TowelHolder", "Cloth"]
    assert classes("hanger | roll") == ["ToiletPaperHanger", "ToiletPaper"]


def test_each_curtain_of_a_pair_is_an_object() -> None:
    assert classes("window | curtain | curtain") == ["Window", "Curtains", "Curtains"]


def test_pens_are_part_of_the_cup_they_stand_in() -> None:
    assert len(SMALL_OBJECTS["PencilCup"](palette()).parts) > 2
    assert "Pen" not in classes("desk | screen | keys | mouse | cup of pens")


def test_walls_floor_and_ceiling_are_background() -> None:
    built = scene("bed | pillow | pillow")
    geometry = bake(built)
    parts = sum(len(item.parts) for item in built.objects)
    assert len(built.structure) >= 6
    assert len(geometry.part_to_object) == parts + 1, "structure has no part numbers of its own but 0"
    assert geometry.part_to_object[0] == 0
    assert geometry.part_to_object[1:].min() == 1


def test_crate_is_an_object_and_so_is_everything_in_it() -> None:
    assert classes("crate | what is in it") == ["Crate", "PuzzleCube", "Onion"]


def test_parts_of_ai2thor_and_of_rooms_agree() -> None:
    rules = yaml.safe_load((ROOT / "training" / "configs" / "ai2thor.yaml").read_text())
    made = {*SMALL_OBJECTS, *furniture.BUILDERS}
    always_parts = {"Drawer", "BathtubBasin", "SinkBasin", "StoveBurner", "StoveKnob", "LaundryHamperLid"}
    assert always_parts <= set(rules["parts"])
    assert not always_parts & made
    assert {"Wall", "Floor", "Ceiling"} <= set(rules["structure"])
    assert not {"Wall", "Floor", "Ceiling"} & made


def test_every_class_that_the_convention_names_is_in_the_list() -> None:
    listed = set(yaml.safe_load((ROOT / "training" / "classes.yaml").read_text())["classes"])
    assert {name for example in EXAMPLES for name in example.objects} <= listed
