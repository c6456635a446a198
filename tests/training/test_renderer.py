"""The renderer against geometry computed by hand: depth, intrinsics, pose, ids, light and shadow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import hand_made_scene as hand
import moderngl
import numpy as np
import pytest
from numpy.typing import NDArray

from saom_ros.errors import SaomError
from training.simulators.rooms.baking import bake
from training.simulators.rooms.camera import View, look_at
from training.simulators.rooms.opengl import create_context
from training.simulators.rooms.renderer import Renderer, back_to_front
from training.simulators.rooms.scene import Part, SceneObject

WIDTH, HEIGHT = 96, 72


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    made = Renderer(create_context(), WIDTH, HEIGHT, hand.TEXTURES, shadow_size=256)
    yield made
    made.release()


def view(eye: tuple[float, float, float], target: tuple[float, float, float], roll: float = 0.0) -> View:
    at = np.array(eye, np.float64)
    return View("object", at, look_at(at, np.array(target), roll), float(np.radians(60)))


def test_depth_is_the_distance_along_the_optical_axis(renderer: Renderer) -> None:
    renderer.load(bake(hand.scene([hand.box_object((0, 1.0, 1.0), 0.25)])), hand.lighting())
    truth = renderer.ground_truth(view((0, -1, 1), (0, 1, 1)))
    # The cube's front is at y = 0.75, the wall at y = 2; both are planes that face the camera.
    np.testing.assert_allclose(truth.depth[truth.instances == 1], 1.75, atol=1e-4)
    assert truth.depth[0, WIDTH // 2] == pytest.approx(3.0, abs=1e-4)


def test_box_covers_the_pixels_that_the_intrinsics_say(renderer: Renderer) -> None:
    renderer.load(bake(hand.scene([hand.box_object((0.2, 1.0, 1.1), 0.25)])), hand.lighting())
    looking = view((0, -1, 1), (0, 1, 1))
    truth = renderer.ground_truth(looking)
    camera = looking.intrinsics(WIDTH, HEIGHT)
    rows, columns = np.nonzero(truth.instances == 1)
    # Front face: x from -0.05 to 0.45 to the right, z from 0.85 to 1.35, so y down from -0.35 to 0.15, at depth 1.75.
    expected = {
        "left": camera.fx * -0.05 / 1.75 + camera.cx,
        "right": camera.fx * 0.45 / 1.75 + camera.cx,
        "top": camera.fy * -0.35 / 1.75 + camera.cy,
        "bottom": camera.fy * 0.15 / 1.75 + camera.cy,
    }
    # Pixel centres are integers, so their outer edges lie half a pixel further out.
    found = {
        "left": columns.min() - 0.5,
        "right": columns.max() + 0.5,
        "top": rows.min() - 0.5,
        "bottom": rows.max() + 0.5,
    }
    assert found == pytest.approx(expected, abs=0.51)


@pytest.mark.parametrize("roll", [0.0, 0.4])
def test_depth_and_pose_put_every_pixel_on_the_surface_it_shows(renderer: Renderer, roll: float) -> None:
    position, half = np.array([0.3, 0.6, 0.8]), 0.3
    renderer.load(bake(hand.scene([hand.box_object(tuple(position), half)])), hand.lighting())
    looking = view((-1.2, -0.9, 1.9), (0.3, 0.6, 0.8), roll=roll)
    truth = renderer.ground_truth(looking)
    camera, pose = looking.intrinsics(WIDTH, HEIGHT), looking.pose()
    rows, columns = np.nonzero(truth.instances == 1)
    depth = truth.depth[rows, columns]
    rays = np.stack([(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy, np.ones(len(rows))])
    points = (pose[:3, :3] @ (rays * depth) + pose[:3, 3:]).T
    assert len(points) > 100
    # Every point lies on the cube's surface: its largest coordinate from the centre is half the edge.
    np.testing.assert_allclose(np.abs(points - position).max(axis=1), half, atol=2e-3)


def test_instance_ids_number_the_objects_and_structure_is_zero(renderer: Renderer) -> None:
    boxes = [hand.box_object((x, 1.0, 1.0), 0.2) for x in (-0.6, 0.0, 0.6)]
    renderer.load(bake(hand.scene(boxes)), hand.lighting())
    truth = renderer.ground_truth(view((0, -1, 1), (0, 1, 1)))
    middle = truth.instances[HEIGHT // 2]
    assert [int(k) for k in dict.fromkeys(middle)] == [0, 1, 2, 3]


def test_parts_refine_instances(renderer: Renderer) -> None:
    boxes = [hand.box_object((x, 1.0, 0.6), 0.25, parts=3) for x in (-0.5, 0.4)]
    geometry = bake(hand.scene(boxes))
    renderer.load(geometry, hand.lighting())
    truth = renderer.ground_truth(view((0, -1, 1.2), (0, 1, 1)))
    assert geometry.part_to_object.tolist() == [0, 1, 1, 1, 2, 2, 2]
    assert set(np.unique(truth.parts)) == set(range(7))
    np.testing.assert_array_equal(geometry.part_to_object[truth.parts], truth.instances)


def test_nearer_object_hides_the_one_behind(renderer: Renderer) -> None:
    boxes = [hand.box_object((0, 1.5, 1.0), 0.2), hand.box_object((0, 0.5, 1.0), 0.4)]
    renderer.load(bake(hand.scene(boxes)), hand.lighting())
    assert set(np.unique(renderer.ground_truth(view((0, -1, 1), (0, 1, 1))).instances)) == {0, 2}


def test_same_scene_gives_the_same_bytes(renderer: Renderer) -> None:
    geometry = bake(hand.scene([hand.box_object((0, 0, 1), 0.4, parts=2)]))
    looking = view((-1, -1, 2), (0, 0, 1))
    pictures = []
    for _ in range(2):
        renderer.load(geometry, hand.lighting())
        truth = renderer.ground_truth(looking)
        pictures.append((truth, renderer.color(looking)))
    assert pictures[0][1].tobytes() == pictures[1][1].tobytes()
    assert all(a.tobytes() == b.tobytes() for a, b in zip(pictures[0][0], pictures[1][0], strict=True))


def test_object_throws_a_shadow_on_the_floor(renderer: Renderer) -> None:
    floor = view((0, -1.5, 1.0), (0, 0, 0))
    light = []
    for boxes in ([], [hand.box_object((0, 0, 2.0), 0.3)]):
        renderer.load(bake(hand.scene(boxes)), hand.lighting())
        renderer.ground_truth(floor)
        light.append(renderer.color(floor)[HEIGHT // 2, WIDTH // 2].mean())
    assert light[1] < 0.5 * light[0]


def test_color_shows_the_material(renderer: Renderer) -> None:
    renderer.load(bake(hand.scene([hand.box_object((0, 1.0, 1.0), 0.4)])), hand.lighting())
    looking = view((0, -1, 1), (0, 1, 1))
    renderer.ground_truth(looking)
    red, green, blue = renderer.color(looking)[HEIGHT // 2, WIDTH // 2]
    assert red > 3 * max(green, blue)


AHEAD = view((0, -1, 1), (0, 1, 1))
MIDDLE = (HEIGHT // 2, WIDTH // 2)


def photograph(renderer: Renderer, objects: list[SceneObject], looking: View = AHEAD) -> NDArray[np.float32]:
    renderer.load(bake(hand.scene(objects)), hand.lighting())
    renderer.ground_truth(looking)
    return renderer.color(looking)


def coloured_box(color: tuple[float, float, float]) -> SceneObject:
    box = hand.box_object((0, 1.6, 1.0), 0.3)
    box.parts[0] = hand.cube((0, 0, 0), 0.3, color)
    return box


@pytest.mark.parametrize("alpha", [0.1, 0.5])
def test_glass_adds_its_own_light_to_its_share_of_what_is_behind(renderer: Renderer, alpha: float) -> None:
    boxes = [coloured_box(color) for color in ((0.9, 0.2, 0.1), (0.1, 0.3, 0.9))]
    bare = [photograph(renderer, [box])[MIDDLE] for box in boxes]
    behind = [photograph(renderer, [box, hand.pane(0.0, 0.8, alpha)])[MIDDLE] for box in boxes]
    # Seen head-on, alpha is absorbed and 4 % (f0 of glass) reflected; what the pane adds is the same before both boxes.
    let_through = (1 - alpha) * (1 - 0.04)
    np.testing.assert_allclose(behind[0] - behind[1], let_through * (bare[0] - bare[1]), rtol=0.02, atol=2e-3)
    added = behind[0] - let_through * bare[0]
    assert (added > 0).all()
    assert added[1] > max(added[0], added[2])  # the pane is green


def test_ids_parts_and_depth_of_glass_are_those_of_an_opaque_pane(renderer: Renderer) -> None:
    box, truths = coloured_box((0.9, 0.2, 0.1)), []
    for alpha in (1.0, 0.3):
        renderer.load(bake(hand.scene([box, hand.pane(0.0, 0.5, alpha)])), hand.lighting())
        truths.append(renderer.ground_truth(AHEAD))
        renderer.color(AHEAD)
        truths.append(renderer.ground_truth(AHEAD))
    assert truths[0].instances[MIDDLE] == 2
    assert truths[0].parts[MIDDLE] == 2
    assert truths[0].depth[MIDDLE] == pytest.approx(1.0, abs=1e-4)
    for truth in truths[1:]:
        assert all(a.tobytes() == b.tobytes() for a, b in zip(truths[0], truth, strict=True))


def test_glass_behind_something_opaque_does_not_show(renderer: Renderer) -> None:
    box = hand.box_object((0, 0.0, 1.0), 0.4)
    np.testing.assert_array_equal(
        photograph(renderer, [box])[MIDDLE], photograph(renderer, [box, hand.pane(1.0, 0.3, 0.5)])[MIDDLE]
    )


def test_picture_does_not_depend_on_the_order_in_which_glass_was_made(renderer: Renderer) -> None:
    green, blue = hand.pane(0.3, 0.6, 0.5), hand.pane(-0.2, 0.5, 0.5, (0.1, 0.2, 0.9))
    box = coloured_box((0.9, 0.2, 0.1))
    pictures = [photograph(renderer, order) for order in ([box, green, blue], [blue, box, green], [green, blue, box])]
    assert pictures[0].tobytes() == pictures[1].tobytes() == pictures[2].tobytes()
    _, green_light, blue_light = pictures[0][MIDDLE]
    assert blue_light > green_light  # the nearer pane tints more


def test_glass_out_of_view_changes_nothing(renderer: Renderer) -> None:
    box, out_of_view = coloured_box((0.9, 0.2, 0.1)), hand.pane(-1.8, 0.1, 0.5)
    out_of_view.casts_shadow = False
    assert photograph(renderer, [box]).tobytes() == photograph(renderer, [box, out_of_view]).tobytes()


def test_far_glass_is_drawn_before_near_glass() -> None:
    centres = np.array([[0, 1.0, 0], [0, 3, 0], [0, 2, 0], [0, -3, 0], [0, 9, 0]])
    radii, keep = np.array([1.0, 1, 1, 2, 1]), np.array([True, True, True, True, False])
    assert back_to_front(centres, radii, np.zeros(3), keep) == [3, 1, 2, 0]


def test_glass_is_more_opaque_at_grazing_angles(renderer: Renderer) -> None:
    shares = []
    for looking in (AHEAD, view((1.6, -0.35, 1), (0, 0.0, 1))):
        through = [photograph(renderer, [hand.pane(0.0, 0.8, 0.1)][:glass], looking)[MIDDLE] for glass in (0, 1)]
        mine = photograph(renderer, [hand.pane(0.0, 0.8, 1.0)], looking)[MIDDLE]
        shares.append(float(np.linalg.norm(through[1] - through[0]) / np.linalg.norm(mine - through[0])))
    assert shares[1] > 1.5 * shares[0]


def test_glass_throws_a_lighter_shadow(renderer: Renderer) -> None:
    floor = view((0, -1.5, 1.0), (0, 0, 0))
    light = []
    for alpha in (None, 0.1, 1.0):
        box = hand.box_object((0, 0, 2.0), 0.3)
        box.parts = [Part(part.mesh, replace(part.material, alpha=alpha or 1.0)) for part in box.parts]
        picture = photograph(renderer, [box] if alpha else [], floor)
        light.append(picture[HEIGHT // 2 - 3 : HEIGHT // 2 + 4, WIDTH // 2 - 3 : WIDTH // 2 + 4].mean())
    none, glass, opaque = light
    assert opaque + 0.5 * (none - opaque) < glass < none - 0.05 * (none - opaque)


def test_opaque_part_of_an_object_keeps_its_place_before_and_behind_its_glass() -> None:
    parts = [hand.cube((0, 0, 0.2 * k), 0.05) for k in range(4)]
    for k in (1, 2):
        parts[k] = Part(parts[k].mesh, replace(parts[k].material, alpha=0.2))
    thing = hand.box_object((0, 0, 1), 0.1)
    thing.parts = parts
    geometry = bake(hand.scene([thing]))
    assert [draw.alpha for draw in geometry.draws] == [
        1.0,
        1.0,
        0.2,
        0.2,
        1.0,
    ]  # the room, then the parts in their order
    assert geometry.part_to_object.tolist() == [0, 1, 1, 1, 1]
    assert [draw.first for draw in geometry.draws[1:]] == [draw.first + draw.count for draw in geometry.draws[:-1]]


def test_too_many_parts_are_refused() -> None:
    part = hand.cube((0, 0, 0), 0.1)
    many = hand.box_object((0, 0, 1), 0.1)
    many.parts = [part] * 65536
    with pytest.raises(ValueError, match="65536 parts; 16-bit part maps hold at most 65535"):
        bake(hand.scene([many]))


def test_missing_egl_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise ImportError("libEGL.so.1: cannot open shared object file")

    monkeypatch.setattr(moderngl, "create_context", fail)
    with pytest.raises(SaomError, match="apt install libegl1 libgl1 libgl1-mesa-dri"):
        create_context()
