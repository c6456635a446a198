"""What is one object, by example: small scenes that show where the rooms draw the line, and a picture of them all.

docs/objects.md states the convention; its picture is made by `python -m training.simulators.rooms.convention FILE`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import SaomError
from training.data.sheet import arrange, tile
from training.simulators.rooms import furniture, furniture_wall, objects_home
from training.simulators.rooms.baking import bake
from training.simulators.rooms.camera import View, look_at
from training.simulators.rooms.clutter import Clutter, PlacedSurface
from training.simulators.rooms.lighting import light_scene
from training.simulators.rooms.materials import Palette
from training.simulators.rooms.objects import ObjectModel
from training.simulators.rooms.opengl import create_context
from training.simulators.rooms.renderer import GroundTruth, Renderer
from training.simulators.rooms.scene import IDENTITY, Scene, SceneObject
from training.simulators.rooms.sensor import Sensor, develop
from training.simulators.rooms.settle import settle
from training.simulators.rooms.structure import build_shell
from training.simulators.rooms.textures import texture_bank

HALF_SIZE = (4.6, 4.6, 3.4)
"""(W, D, H) m of the room that each example stands in."""
_WIDTH, _HEIGHT, _COLUMNS, _TILE_WIDTH = 512, 384, 4, 256
_CAPTION = 22
"""px."""
_RISES = (0.45, 1.0, 2.0)
"""How far above an object the camera stands, as a multiple of how far before it."""
_VISIBLE_PIXELS = 200


@dataclass(frozen=True)
class Example:
    """A few things in an otherwise empty room."""

    caption: str
    build: Callable[[Palette], list[SceneObject]]
    """Places things; what stands loose falls into place afterwards."""
    objects: tuple[str, ...]
    """Classes of the whole objects that it shows; a class comes as often as there are objects of it."""


def example_scene(example: Example, paint: Palette) -> Scene:
    """The example at rest, ready to be rendered."""
    placed = example.build(paint)
    fixed = [item for item in placed if item.furniture]
    kept = settle(fixed, [item for item in placed if not item.furniture], HALF_SIZE)
    shell = build_shell(paint, HALF_SIZE, None)
    colors = (shell.wall_color, shell.floor_color, shell.ceiling_color)
    return Scene("example", HALF_SIZE, fixed + kept, shell.parts, None, *colors)


# The examples


def _alone(build: Callable[[Palette], ObjectModel]) -> Callable[[Palette], list[SceneObject]]:
    return lambda paint: [_fixed(build(paint))]


def _fixed(model: ObjectModel, at: Sequence[float] = (0, 0, 0)) -> SceneObject:
    return model.placed(np.array(at, np.float64), IDENTITY, furniture=True)


def _on(paint: Palette, stand: ObjectModel, things: dict[str, tuple[float, float]]) -> list[SceneObject]:
    """Small objects on the highest surface of a fixed piece, each at its spot of it in m."""
    item, clutter = _fixed(stand), Clutter(paint, frozenset())
    surface = PlacedSurface.of(item, stand, max(stand.surfaces, key=lambda candidate: candidate.z))
    for name, spot in things.items():
        clutter.put(surface, clutter.build(name), yaw=0.0, at=spot, gap=-0.05)
    return [item, *clutter.loose]


def _in(paint: Palette, holder: SceneObject, floor: float, names: Sequence[str]) -> list[SceneObject]:
    """Small objects side by side inside a holder whose floor is so many m high."""
    clutter = Clutter(paint, frozenset())
    inside = PlacedSurface(holder.position + np.array([0, 0, floor]), IDENTITY, 0.1, 0.1, 1.0)
    for number, name in enumerate(names):
        clutter.put(inside, clutter.build(name), at=(0.06 * (number - (len(names) - 1) / 2), 0.0), gap=-0.1)
    return clutter.loose


def _bed(paint: Palette) -> list[SceneObject]:
    bed, clutter = furniture.bed(paint), Clutter(paint, frozenset())
    item = _fixed(bed)
    surface = PlacedSurface.of(item, bed, bed.surfaces[0])
    for side in (-1, 1):
        clutter.put(surface, objects_home.pillow(paint, 0.16), yaw=0.0, at=(side * 0.19, 0.0))
    return [item, *clutter.loose]


def _row_of_books(paint: Palette) -> list[SceneObject]:
    shelf, clutter = furniture.bookshelf(paint), Clutter(paint, frozenset())
    item = _fixed(shelf)
    surface = PlacedSurface.of(item, shelf, shelf.surfaces[1])
    while len(clutter.loose) < 4:  # a row of random books may come out shorter
        clutter.loose.clear()
        clutter.book_row(surface)
    return [item, *clutter.loose[:4]]


def _fruit(paint: Palette) -> list[SceneObject]:
    table_and_bowl = _on(paint, furniture.table(paint, "CoffeeTable"), {"Bowl": (0, 0)})
    return [*table_and_bowl, *_in(paint, table_and_bowl[-1], 0.02, ["Lemon", "Lemon"])]


def _crate(paint: Palette) -> list[SceneObject]:
    crate = _fixed(objects_home.basket(paint, "Crate"))
    return [crate, *_in(paint, crate, 0.03, ["PuzzleCube", "Onion"])]


def _towel(paint: Palette) -> list[SceneObject]:
    at = (0, HALF_SIZE[1], 1.2)
    rail, towel = furniture_wall.towel_holder(paint, 0.25), furniture_wall.hanging_towel(paint, 0.16)
    return [_fixed(rail, at), _fixed(towel, at)]


def _paper(paint: Palette) -> list[SceneObject]:
    at = (0, HALF_SIZE[1], 0.8)
    return [_fixed(furniture_wall.toilet_paper_hanger(paint), at), _fixed(furniture_wall.hanging_roll(paint), at)]


def _curtains(paint: Palette) -> list[SceneObject]:
    y = HALF_SIZE[1] - 0.05
    window = _fixed(furniture_wall.window(paint, 0.5, 0.5), (0, y, 1.4))
    sides = [_fixed(furniture_wall.curtain(paint, 1.2), (side * 0.55, y - 0.1, 1.97)) for side in (-1, 1)]
    return [window, *sides]


def _shower(paint: Palette) -> list[SceneObject]:
    tub = furniture.bathtub(paint)
    low, high = tub.bounds()
    curtain = furniture_wall.shower_curtain(paint, float(high[0]), 1.7)
    return [_fixed(tub), _fixed(curtain, (0, low[1] - 0.03, 1.95))]


def _desk(paint: Palette) -> list[SceneObject]:
    things = {"Monitor": (0, 0.12), "Keyboard": (-0.05, -0.12), "Mouse": (0.3, -0.12), "PencilCup": (-0.35, 0.1)}
    return _on(paint, furniture.desk(paint), things)


def _stove(paint: Palette) -> list[SceneObject]:
    return _on(paint, furniture.appliance(paint, "Stove"), {"Pan": (0, 0)})


def _table(category: str, things: dict[str, tuple[float, float]]) -> Callable[[Palette], list[SceneObject]]:
    return lambda paint: _on(paint, furniture.table(paint, category), things)


_POTS = {"Pot": (-0.3, 0.0), "HousePlant": (0.0, 0.0), "DeskLamp": (0.3, 0.0)}
_BUNCHES = {"Grapes": (-0.2, 0.0), "Banana": (0.0, 0.0), "EggCarton": (0.22, 0.0)}
_GLASSES = {"WineGlass": (-0.15, 0.0), "Jar": (0.0, 0.0), "Bottle": (0.15, 0.0)}

EXAMPLES = (
    Example("bed | pillow | pillow", _bed, ("Bed", "Pillow", "Pillow")),
    Example("sofa with its cushions", _alone(lambda paint: furniture.sofa(paint, "Sofa")), ("Sofa",)),
    Example("dresser with its drawers", _alone(lambda paint: furniture.chest(paint, "Dresser")), ("Dresser",)),
    Example(
        "counter with cupboards and sink", _alone(lambda paint: furniture.chest(paint, "CounterTop")), ("CounterTop",)
    ),
    Example("stove with its knobs | pan", _stove, ("Stove", "Pan")),
    Example("pot with lid | plant with pot | lamp", _table("DiningTable", _POTS), ("DiningTable", *_POTS)),
    Example("shelf | every book", _row_of_books, ("Shelf", "Book", "Book", "Book", "Book")),
    Example("bowl | every fruit", _fruit, ("CoffeeTable", "Bowl", "Lemon", "Lemon")),
    Example("crate | what is in it", _crate, ("Crate", "PuzzleCube", "Onion")),
    Example("bunch | bunch | carton with its eggs", _table("CoffeeTable", _BUNCHES), ("CoffeeTable", *_BUNCHES)),
    Example("desk | screen | keys | mouse | cup of pens", _desk, ("Desk", "Monitor", "Keyboard", "Mouse", "PencilCup")),
    Example("glasses with their contents", _table("CoffeeTable", _GLASSES), ("CoffeeTable", *_GLASSES)),
    Example("rail | towel", _towel, ("TowelHolder", "Cloth")),
    Example("hanger | roll", _paper, ("ToiletPaperHanger", "ToiletPaper")),
    Example("window | curtain | curtain", _curtains, ("Window", "Curtains", "Curtains")),
    Example("tub | shower curtain with its rod", _shower, ("Bathtub", "ShowerCurtain")),
)


# The picture


def main() -> int:
    """Draw all examples, each above its whole objects coloured, into one JPEG."""
    parser = argparse.ArgumentParser(prog="python -m training.simulators.rooms.convention", description=main.__doc__)
    parser.add_argument("out", type=Path, metavar="FILE", help="JPEG to write")
    parser.add_argument("--seed", type=int, default=2)
    args = parser.parse_args()
    context = create_context()
    bank, textures = texture_bank(args.seed)
    renderer = Renderer(context, _WIDTH, _HEIGHT, bank)
    tiles = []
    for number, example in enumerate(EXAMPLES):
        rng = np.random.default_rng([args.seed, number])
        scene = example_scene(example, Palette(rng, textures))
        renderer.load(bake(scene), light_scene(scene, rng))
        view, truth = _clear_view(renderer, scene)
        tiles.append(
            _captioned(tile(develop(renderer.color(view), Sensor(), rng), truth.instances, _TILE_WIDTH), example)
        )
    renderer.release()
    picture = np.ascontiguousarray(arrange(tiles, _COLUMNS)[..., ::-1])
    if not cv2.imwrite(str(args.out), picture, [cv2.IMWRITE_JPEG_QUALITY, 82]):
        raise SaomError(f"cannot write {args.out}; is the folder there and writable?")
    print(args.out)
    return 0


def _clear_view(renderer: Renderer, scene: Scene) -> tuple[View, GroundTruth]:
    """The lowest view that shows every object: what lies in a crate is seen from above only."""
    for rise in _RISES:
        view = _view(scene, rise)
        truth = renderer.ground_truth(view)
        if np.bincount(truth.instances.ravel(), minlength=len(scene.objects) + 1)[1:].min() >= _VISIBLE_PIXELS:
            break
    return view, truth


def _view(scene: Scene, rise: float) -> View:
    """From the front and a little to the right, at what is smallest in the example and what it belongs to."""
    shown = [item for item in scene.objects if not item.furniture] or scene.objects
    bounds = [item.bounds() for item in shown]
    low, high = np.min([low for low, _ in bounds], axis=0), np.max([high for _, high in bounds], axis=0)
    centre, size = (low + high) / 2, float(np.linalg.norm(high - low))
    fov = np.radians(40)
    away = np.array([0.35, -1.0, rise]) / np.linalg.norm([0.35, -1.0, rise])
    distance = max(0.62 * size / np.tan(fov / 2), 0.6)
    return View("object", centre + distance * away, look_at(centre + distance * away, centre), float(fov))


def _captioned(picture: NDArray[np.uint8], example: Example) -> NDArray[np.uint8]:
    band = np.full((_CAPTION, picture.shape[1], 3), 255, np.uint8)
    cv2.putText(band, example.caption, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 1, cv2.LINE_AA)
    return np.concatenate([band, picture])


if __name__ == "__main__":
    raise SystemExit(main())
