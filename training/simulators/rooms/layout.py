"""Furnishes rooms and tabletops and fills them with clutter: from a seed and a texture bank to a scene at rest."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.simulators.rooms import furniture, furniture_wall
from training.simulators.rooms.clutter import Clutter, PlacedSurface
from training.simulators.rooms.materials import Palette
from training.simulators.rooms.mesh import rotation
from training.simulators.rooms.objects import ObjectModel
from training.simulators.rooms.objects_catalogue import ROOM_THEMES, THEMES
from training.simulators.rooms.objects_home import basket
from training.simulators.rooms.scene import Collider, Focus, Scene, SceneError, SceneObject, Window
from training.simulators.rooms.settle import settle
from training.simulators.rooms.structure import WALL_YAW, build_shell, wall_extent

TABLETOP_SHARE = 0.45
"""Part of the scenes that are one table, shelf or box seen from near."""
SIDE_BY_SIDE_SHARE = 0.35
"""Part of the tables among them on which long things (cutlery, pens, tools) lie side by side."""
ROOM_PIECES: dict[str, list[str]] = {
    "kitchen": ["CounterTop", "CounterTop", "Fridge", "Stove", "Dishwasher", "Shelf", "Cabinet", "WashingMachine"],
    "living": ["Sofa", "ArmChair", "TVStand", "Shelf", "Cabinet", "SideTable", "Ottoman", "Radiator"],
    "bedroom": ["Bed", "Dresser", "Wardrobe", "SideTable", "Desk", "Shelf", "Ottoman", "Bench"],
    "office": ["Desk", "Desk", "Shelf", "Shelf", "Cabinet", "Dresser", "Radiator", "Safe"],
    "bathroom": ["Bathtub", "Toilet", "Sink", "Cabinet", "WashingMachine", "Shelf", "Stool", "Radiator"],
}
"""What stands along the walls of a room, the first four nearly always."""
ANY_PIECE = sorted({name for names in ROOM_PIECES.values() for name in names} | {"CoffeeTable"})
THEME_OF = {
    "CounterTop": ("cooking", "produce", "groceries", "cooking"),
    "Stove": ("stove",),
    "DiningTable": ("dining", "dining", "produce", "groceries", "desk"),
    "Desk": ("desk",),
    "Sink": ("bathroom",),
    "Toilet": ("bathroom",),
    "CoffeeTable": ("living", "dining", "living"),
}
LARGE_FIRST = {
    "CounterTop": {"Microwave": 0.5, "CoffeeMachine": 0.3, "Toaster": 0.3, "Blender": 0.15, "Kettle": 0.2},
    "Desk": {"Monitor": 0.45, "Printer": 0.2, "DeskLamp": 0.2, "Keyboard": 0.2},
    "Dresser": {"Radio": 0.1, "Microwave": 0.05, "Printer": 0.05},
}
"""How often each of these is put on a surface before anything else is."""
IN_WALL = 0.05
"""m that a frame, a door or whatever else has no collider may reach into its wall."""
FLOAT_SLACK = 0.0005
"""m by which a solid piece may leave the room: what hangs at a wall touches it."""
CORNERS = tuple(itertools.product((-1, 1), repeat=3))
AT_FLOOR = 0.005
"""m above its own origin where a piece touches the floor."""
RUG_MARGIN = 0.004
"""m between a rug and what stands beside it."""
MIN_LOOSE = 6
"""A scene with fewer small objects at rest is refused."""


def build_scene(
    seed: int | np.random.SeedSequence, textures: dict[str, list[int]], exclude: frozenset[str] = frozenset()
) -> Scene:
    """One settled room or tabletop.

    `textures` maps texture kinds to layers of the texture bank. `exclude` are categories never to be placed.
    The same arguments give the same scene. Raises SceneError when a seed leads to a room without enough objects.
    """
    rng = np.random.default_rng(seed)
    paint = Palette(rng, textures)
    room = _Room(paint, exclude)
    try:
        kind = "tabletop" if paint.chance(TABLETOP_SHARE) else paint.pick(list(ROOM_PIECES))
        if kind == "tabletop":
            focus = _furnish_tabletop(room)
        else:
            focus = []
            _furnish_room(room, kind)
        shell = build_shell(paint, room.half_size, room.window)
        kept = settle(room.fixed, room.clutter.loose, room.half_size)
    except (ValueError, IndexError, FloatingPointError) as error:
        raise SceneError(f"building it failed: {error}") from error
    if len(kept) < MIN_LOOSE:
        raise SceneError(f"only {len(kept)} small objects came to rest; at least {MIN_LOOSE} are needed")
    return Scene(
        kind=kind,
        half_size=room.half_size,
        objects=room.fixed + kept,
        structure=shell.parts,
        window=room.window,
        wall_color=shell.wall_color,
        floor_color=shell.floor_color,
        ceiling_color=shell.ceiling_color,
        focus=focus,
    )


class _Room:
    """A room while it is being furnished: fixed pieces, what they occupy, and the surfaces they offer."""

    def __init__(self, paint: Palette, exclude: frozenset[str]) -> None:
        self.paint, self.rng, self.exclude = paint, paint.rng, exclude
        self.half_size = (2.0, 2.0, 2.5)
        self.fixed: list[SceneObject] = []
        self.boxes: list[NDArray[np.float64]] = []
        """`(N, 2, 3)` axis-aligned boxes of each fixed piece."""
        self.keep_free = np.zeros((0, 2, 3))
        """`(N, 2, 3)` boxes where no furniture may stand."""
        self.surfaces: list[PlacedSurface] = []
        self.window: Window | None = None
        self.clutter = Clutter(paint, exclude)

    def build(self, name: str) -> ObjectModel | None:
        builders = furniture.BUILDERS | furniture_wall.BUILDERS
        return None if name in self.exclude else builders[name](self.paint)

    def fix(self, model: ObjectModel, position: NDArray, turn: NDArray) -> SceneObject:
        """Add a piece where it is, without any test."""
        item = model.placed(np.asarray(position, np.float64), turn, furniture=True)
        self.fixed.append(item)
        self.boxes.append(_occupied(item))
        self.surfaces += [PlacedSurface.of(item, model, surface) for surface in model.surfaces]
        return item

    def try_fix(
        self,
        model: ObjectModel,
        x: float,
        y: float,
        yaw: float,
        z: float = 0.0,
        margin: float = 0.02,
        behind: SceneObject | None = None,
    ) -> SceneObject | None:
        """Add a piece if it stays inside the room and clear of all others by `margin` m; None otherwise.

        What stands on the floor may stand on a rug instead, with all its feet; half on a rug it would tilt. `behind` is
        a piece that it may touch: a curtain hangs in front of its window.
        """
        turn = rotation("z", yaw)
        probe = model.placed(np.array([x, y, z]), turn, furniture=True)
        rug = self._rug_below(probe) if z == 0 else None
        if rug is not None:
            probe = model.placed(np.array([x, y, rug.bounds()[1][2]]), turn, furniture=True)
        low, high = probe.bounds()
        w, d, h = self.half_size
        beyond = FLOAT_SLACK if model.colliders else IN_WALL
        if max(-low[0], high[0]) > w + beyond or max(-low[1], high[1]) > d + beyond or high[2] > h + 1e-3:
            return None
        boxes = _occupied(probe)
        if _overlap(boxes, self.keep_free, margin):
            return None
        for item, other in zip(self.fixed, self.boxes, strict=True):
            if item is not behind and item is not rug and _overlap(boxes, other, margin):
                return None
        return self.fix(model, probe.position, turn)

    def _rug_below(self, piece: SceneObject) -> SceneObject | None:
        """The rug that a piece stands on with all its feet, if there is one."""
        feet = _feet(piece)
        rugs = (item for item in self.fixed if item.category == "Rug")
        return next((rug for rug in rugs if len(feet) and _lies_under(rug, feet).all()), None)

    def along_wall(
        self, model: ObjectModel, wall: int, z: float = 0.0, gap: float = 0.015, tries: int = 6, u: float | None = None
    ) -> SceneObject | None:
        """Stand or hang a piece with its back to a wall at a random or given place along it."""
        length, distance = wall_extent(self.half_size, wall)
        low, high = model.bounds()
        reach = length - max(-low[0], high[0]) - 0.03
        if reach <= 0:
            return None
        turn = rotation("z", WALL_YAW[wall])
        for _ in range(tries if u is None else 1):
            along = self.rng.uniform(-reach, reach) if u is None else u
            x, y, _ = turn @ np.array([along, distance - high[1] - gap, 0])
            yaw = WALL_YAW[wall] + (self.rng.normal(0, 0.4) if z == 0 else 0)
            item = self.try_fix(model, x, y, yaw, z, margin=0.01)
            if item is not None:
                return item
        return None


# Rooms


def _furnish_room(room: _Room, kind: str) -> None:
    rng, paint = room.rng, room.paint
    room.half_size = (rng.uniform(1.5, 2.9), rng.uniform(1.5, 2.6), rng.uniform(2.3, 3.0))
    names = ROOM_PIECES[kind]
    chosen = names[:4] + [paint.pick(names[4:]) for _ in range(2)]
    chosen += [paint.pick(ANY_PIECE) for _ in range(int(rng.integers(1, 5)))]
    for name in chosen:
        model = room.build(name)
        if model is not None:
            _against_any_wall(room, model)
    for item in list(room.fixed):
        _accompany(room, item)
    if paint.chance(0.4) and not any(item.category == "Rug" for item in room.fixed):
        _rug_somewhere(room)
    if paint.chance(0.65) and kind != "bathroom":
        _dining_group(room)
    for name in ("FloorLamp", "SideTable", "Chair", "Stool", "ArmChair", "Bench", "Fan", "OfficeChair"):
        if paint.chance(0.25):
            _anywhere(room, name)
    if kind == "bathroom":
        _dress_bathroom(room)
    _dress_walls(room, kind)
    if paint.chance(0.7) and "CeilingLight" not in room.exclude:
        x, y = rng.uniform(-0.4, 0.4, 2) * room.half_size[:2]
        room.fix(furniture_wall.ceiling_light(paint), np.array([x, y, room.half_size[2]]), np.eye(3))
    _clutter_room(room, kind, int(rng.integers(50, 140)))


def _against_any_wall(room: _Room, model: ObjectModel) -> None:
    for _ in range(10):
        if room.along_wall(model, int(room.rng.integers(4)), tries=2, gap=0.03) is not None:
            return


def _anywhere(room: _Room, name: str) -> None:
    model = room.build(name)
    if model is None:
        return
    w, d, _ = room.half_size
    for _ in range(5):
        x, y = room.rng.uniform(-0.9, 0.9) * w, room.rng.uniform(-0.9, 0.9) * d
        if room.try_fix(model, x, y, 90.0 * int(room.rng.integers(4)) + room.rng.normal(0, 10), margin=0.03):
            return


def _accompany(room: _Room, item: SceneObject) -> None:
    """A chair at a desk, a table and a rug at a sofa, a television on its stand."""
    paint, rng = room.paint, room.rng
    yaw = float(np.degrees(np.arctan2(item.rotation[1, 0], item.rotation[0, 0])))
    _, high = _own_bounds(item)
    if item.category == "Desk" and paint.chance(0.9):
        model = room.build("OfficeChair" if paint.chance(0.6) else "Chair")
        if model is not None:
            for reach in (rng.uniform(0.0, 0.2), 0.3):
                ahead = item.position + item.rotation @ np.array([rng.uniform(-0.15, 0.15), -high[1] - reach, 0])
                if room.try_fix(model, ahead[0], ahead[1], yaw + 180 + rng.normal(0, 12), margin=0.003):
                    break
    elif item.category == "Sofa" and paint.chance(0.75):
        model = room.build("CoffeeTable")
        if model is not None:
            ahead = item.position + item.rotation @ np.array(
                [0, -high[1] - model.bounds()[1][1] - rng.uniform(0.2, 0.4), 0]
            )
            if paint.chance(0.6):
                _rug_under(room, model, ahead, yaw)
            room.try_fix(model, ahead[0], ahead[1], yaw)
    elif item.category in ("TVStand", "Dresser") and paint.chance(0.85 if item.category == "TVStand" else 0.25):
        model = room.build("Television")
        if model is not None:
            on_top = [surface for surface in room.surfaces if surface.category == item.category]
            for surface in on_top:
                if np.allclose(surface.origin[:2], item.position[:2], atol=0.05) and not surface.used:
                    at = surface.origin + item.rotation @ np.array([0, 0.03, 0.0005])
                    room.fix(model, at, item.rotation @ rotation("z", rng.normal(0, 4)))
                    surface.used.append((0, 0.03, model.bounds()[1][0], 0.11, 1.0))


def _dining_group(room: _Room) -> None:
    """A table in the room with chairs pushed in or pulled out around it."""
    paint, rng = room.paint, room.rng
    model = room.build("DiningTable")
    if model is None:
        return
    w, d, _ = room.half_size
    rugs = [item for item in room.fixed if item.category == "Rug"]
    for attempt in range(10):
        yaw = 90.0 * int(rng.integers(2))
        x, y = rng.uniform(-0.6, 0.6) * w, rng.uniform(-0.6, 0.6) * d
        if rugs and attempt < 3:
            x, y = paint.pick(rugs).position[:2]
        table = room.try_fix(model, x, y, yaw, margin=0.1)
        if table is None:
            continue
        half = model.bounds()[1]
        seat = "Stool" if paint.chance(0.15) else "Chair"
        for _ in range(int(rng.integers(2, 9))):
            chair = room.build(seat)
            if chair is None:
                break
            side = int(rng.integers(4))
            along, out = (half[0], half[1]) if side % 2 == 0 else (half[1], half[0])
            reach = out + rng.uniform(0.02, 0.35)
            offset = rotation("z", yaw + 90 * side) @ np.array([rng.uniform(-0.6, 0.6) * along, -reach, 0])
            at = table.position + offset
            room.try_fix(chair, at[0], at[1], yaw + 90 * side + 180 + rng.normal(0, 6), margin=0.003)
        return


def _rug_somewhere(room: _Room) -> None:
    """A rug where nothing stands yet; what comes later stands on it or beside it."""
    rng = room.rng
    for _ in range(8):
        model = room.build("Rug")
        if model is None:
            return
        x, y = rng.uniform(-0.5, 0.5, 2) * room.half_size[:2]
        if room.try_fix(model, x, y, 90.0 * int(rng.integers(2)), margin=RUG_MARGIN) is not None:
            return


def _rug_under(room: _Room, piece: ObjectModel, at: NDArray, yaw: float) -> None:
    """A rug large enough for all the feet of a piece that is to stand at `at`, before it is put there."""
    turn = rotation("z", yaw)
    feet = _feet(piece.placed(np.array([at[0], at[1], 0.0]), turn, furniture=True))
    for _ in range(8):
        model = room.build("Rug")
        if model is None:
            return
        # Towards the room: a deep one would lie under the sofa's edge.
        x, y, _ = np.array([at[0], at[1], 0]) + turn @ np.array([0, -room.rng.uniform(0, 0.15), 0])
        if not _lies_under(model.placed(np.array([x, y, 0.0]), turn, furniture=True), feet).all():
            continue
        if room.try_fix(model, x, y, yaw, margin=RUG_MARGIN) is not None:
            return


def _dress_walls(room: _Room, kind: str) -> None:
    paint, rng = room.paint, room.rng
    if paint.chance(0.75) and "Window" not in room.exclude:
        _add_window(room, int(rng.integers(4)))
    if paint.chance(0.55):
        model = room.build("Door")
        if model is not None:
            room.along_wall(model, int(rng.integers(4)), gap=-0.015)
    if kind == "kitchen" and "Cabinet" not in room.exclude:
        for _ in range(int(rng.integers(1, 4))):
            room.along_wall(furniture.wall_cabinet(paint), int(rng.integers(4)), z=rng.uniform(1.6, 1.75), gap=0.003)
    for _ in range(int(rng.integers(0, 6))):
        model = room.build(paint.pick(["Painting", "Painting", "Painting", "Mirror", "Poster", "WallClock"]))
        if model is not None:
            room.along_wall(model, int(rng.integers(4)), z=rng.uniform(1.35, 1.75), gap=0.002)
    for _ in range(int(rng.integers(0, 3))):
        if "Shelf" not in room.exclude:
            room.along_wall(furniture_wall.wall_shelf(paint), int(rng.integers(4)), z=rng.uniform(1.2, 1.6), gap=0.002)
    if kind in ("living", "bedroom") and paint.chance(0.25) and "Television" not in room.exclude:
        room.along_wall(furniture_wall.wall_television(paint), int(rng.integers(4)), z=rng.uniform(1.1, 1.5), gap=0.01)


def _dress_bathroom(room: _Room) -> None:
    """What hangs beside toilet, tub and basin: paper on its hanger, a towel on its rail, a shower curtain."""
    paint, rng = room.paint, room.rng
    hanger = room.build("ToiletPaperHanger")
    if hanger is not None:
        item = room.along_wall(hanger, int(rng.integers(4)), z=rng.uniform(0.6, 0.8), gap=0.0, tries=12)
        if item is not None and "ToiletPaper" not in room.exclude and paint.chance(0.85):
            room.fix(furniture_wall.hanging_roll(paint), item.position, item.rotation)
    for _ in range(int(rng.integers(1, 3))):
        if "TowelHolder" not in room.exclude:
            w = rng.uniform(0.18, 0.35)
            rail = furniture_wall.towel_holder(paint, w)
            item = room.along_wall(rail, int(rng.integers(4)), z=rng.uniform(0.9, 1.4), gap=0.0, tries=12)
            if item is not None and "Cloth" not in room.exclude and paint.chance(0.8):
                towel = furniture_wall.hanging_towel(paint, w * rng.uniform(0.45, 0.85))
                room.fix(towel, item.position, item.rotation)
    for tub in [item for item in room.fixed if item.category == "Bathtub"]:
        if paint.chance(0.5) and "ShowerCurtain" not in room.exclude:
            low, high = _own_bounds(tub)
            z = min(rng.uniform(1.85, 2.05), room.half_size[2] - 0.05)
            curtain = furniture_wall.shower_curtain(paint, float(high[0]), z - rng.uniform(0.1, 0.4))
            room.fix(curtain, tub.position + tub.rotation @ np.array([0, low[1] - 0.03, z]), tub.rotation)


def _add_window(room: _Room, wall: int) -> None:
    """Window, and curtains or a blind in front of it."""
    paint, rng = room.paint, room.rng
    length, distance = wall_extent(room.half_size, wall)
    half_width, half_height = rng.uniform(0.35, min(0.8, length * 0.6)), rng.uniform(0.4, 0.65)
    z = min(rng.uniform(1.35, 1.6), room.half_size[2] - half_height - 0.15)
    # The pane lies in the wall's opening: the frame's back half is inside the wall.
    item = room.along_wall(furniture_wall.window(paint, half_width, half_height), wall, z, gap=-0.04)
    if item is None:
        return
    turn = rotation("z", WALL_YAW[wall])
    u = float((turn.T @ item.position)[0])
    room.window = Window(wall, u, z, half_width, half_height)
    top = turn @ np.array([u, distance - 0.075, z + half_height + 0.05])
    if paint.chance(0.45) and "Curtains" not in room.exclude:
        drop = 2 * half_height + rng.uniform(0.05, 0.5)
        for side in (-1, 1):
            # Its folds hang clear of the sill.
            at = top + turn @ np.array([side * (half_width + 0.05), -0.02, 0.03])
            probe = furniture_wall.curtain(paint, drop)
            room.try_fix(probe, at[0], at[1], WALL_YAW[wall], at[2], margin=-0.005, behind=item)
    elif paint.chance(0.6) and "Blinds" not in room.exclude:
        at = top + turn @ np.array([0, 0.01, -0.06])
        room.fix(furniture_wall.blinds(paint, half_width - 0.005, 2 * half_height - 0.05), at, turn)


def _clutter_room(room: _Room, kind: str, count: int) -> None:
    """Fill surfaces in random order until about `count` small objects stand in the room."""
    paint, rng, clutter = room.paint, room.rng, room.clutter
    surfaces = [room.surfaces[i] for i in rng.permutation(len(room.surfaces))]
    for surface in surfaces:
        if len(clutter.loose) >= count:
            break
        theme = _theme(room, surface, ROOM_THEMES[kind])
        if surface.shelf:
            _fill_shelf(room, surface, theme)
        elif paint.chance(0.85):
            _put_large(room, surface)
            amount = 1 + int(rng.poisson(min(surface.area, 1.2) * rng.uniform(8, 36)))
            if theme == "stove":
                for name in ("Pan", "Pot", "Pan", "Kettle"):
                    if name not in room.exclude and paint.chance(0.6):
                        clutter.put(surface, clutter.build(name), gap=-0.01)
            elif paint.chance(0.15) and not surface.soft:
                clutter.heap(surface, theme, min(amount, 14), spread=rng.uniform(0.4, 0.9))
            else:
                clutter.spread(surface, theme, min(amount, 5) if surface.soft else amount)
    _clutter_floor(room, int(rng.integers(2, 12)))


def _put_large(room: _Room, surface: PlacedSurface) -> None:
    """What is too large for a surface that is strewn with things already: appliances and screens go first."""
    for name, share in LARGE_FIRST.get(surface.category, {}).items():
        if name not in room.exclude and room.paint.chance(share):
            room.clutter.put(surface, room.clutter.build(name), tries=12)


def _fill_shelf(room: _Room, surface: PlacedSurface, theme: str) -> None:
    paint, clutter = room.paint, room.clutter
    draw = room.rng.random()
    if draw < 0.14:
        clutter.book_row(surface)
        clutter.spread(surface, theme, 2)
    elif draw < 0.55:
        clutter.shelf_row(surface, theme)
    elif draw < 0.88:
        clutter.spread(surface, theme, int(room.rng.integers(2, 8)))
    elif paint.chance(0.8):
        clutter.heap(surface, theme, int(room.rng.integers(3, 8)))


def _theme(room: _Room, surface: PlacedSurface, usual: list[str]) -> str:
    if surface.category in THEME_OF and room.paint.chance(0.8):
        return room.paint.pick(THEME_OF[surface.category])
    return room.paint.pick(usual)


def _clutter_floor(room: _Room, count: int) -> None:
    w, d, h = room.half_size
    floor = PlacedSurface(np.array([0, 0, 0.011]), np.eye(3), w - 0.04, d - 0.04, h)
    for boxes, item in zip(room.boxes, room.fixed, strict=True):
        low, high = boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)
        if low[2] < 0.4 and item.category != "Rug":
            x, y = (low[:2] + high[:2]) / 2
            floor.used.append((x, y, (high[0] - low[0]) / 2, (high[1] - low[1]) / 2, high[2]))
    for _ in range(count):
        room.clutter.put(floor, room.clutter.draw("floor"), tries=4)


# Tabletops


def _furnish_tabletop(room: _Room) -> list[Focus]:
    """A small corner of a room around one densely filled table, shelf or box."""
    rng, paint = room.rng, room.paint
    room.half_size = (rng.uniform(1.1, 1.8), rng.uniform(1.1, 1.8), rng.uniform(2.3, 2.8))
    stage = paint.pick([_table_stage, _table_stage, _table_stage, _shelf_stage, _box_stage, _box_stage, _floor_stage])
    focus = stage(room)
    for name in ("Chair", "Stool", "SideTable", "Cabinet", "Sofa", "Shelf"):
        if paint.chance(0.2):
            _anywhere(room, name)
    _dress_walls(room, "tabletop")
    if paint.chance(0.4) and "CeilingLight" not in room.exclude:
        room.fix(furniture_wall.ceiling_light(paint), np.array([0, 0, room.half_size[2]]), np.eye(3))
    return focus


def _stage_piece(room: _Room, names: list[str]) -> SceneObject:
    """The table or shelf that carries the scene, at a wall or free in the room."""
    available = [name for name in names if name not in room.exclude]
    if not available:
        raise SceneError(f"all of {', '.join(names)} are excluded; nothing is left to carry a tabletop scene")
    name = room.paint.pick(available)
    for _ in range(20):
        model = room.build(name)
        assert model is not None
        if room.paint.chance(0.6) or model.shelf:
            item = room.along_wall(model, int(room.rng.integers(4)))
        else:
            x, y = room.rng.uniform(-0.3, 0.3, 2) * room.half_size[:2]
            item = room.try_fix(model, x, y, 90.0 * int(room.rng.integers(4)))
        if item is not None:
            return item
    raise SceneError(f"no room for a {name} of a tabletop scene")


def _table_stage(room: _Room) -> list[Focus]:
    rng, paint, clutter = room.rng, room.paint, room.clutter
    names = [
        "DiningTable",
        "DiningTable",
        "CoffeeTable",
        "Desk",
        "CounterTop",
        "SideTable",
        "Dresser",
        "Bench",
        "Stove",
    ]
    _stage_piece(room, names)
    surface = max(room.surfaces, key=lambda candidate: candidate.area)
    usual = ["dining", *THEMES]
    theme = paint.pick(usual) if paint.chance(0.6) else _theme(room, surface, usual)
    theme = "cooking" if theme == "stove" else theme
    # A part of a large table is enough: dense there rather than thin everywhere.
    stage = PlacedSurface(
        surface.origin, surface.rotation, min(surface.half_x, rng.uniform(0.25, 0.7)), surface.half_y, surface.headroom
    )
    if paint.chance(SIDE_BY_SIDE_SHARE):
        return _side_by_side_stage(room, stage)
    _put_large(room, stage)
    amount = int(rng.integers(14, 60))
    fill: Callable[[PlacedSurface, str, int], None] = paint.pick(
        [clutter.spread, clutter.spread, clutter.groups, clutter.heap]
    )
    if theme == "dining" and paint.chance(0.6) and "Plate" not in room.exclude:
        for _ in range(int(rng.integers(1, 4))):
            clutter.place_setting(stage)
    fill(stage, theme, amount)
    if paint.chance(0.4):
        clutter.spread(stage, paint.pick(usual), 12)
    return [_focus(stage)]


def _side_by_side_stage(room: _Room, stage: PlacedSurface) -> list[Focus]:
    """One to three rows of long things on a table that is empty but for a few others."""
    rng, clutter = room.rng, room.clutter
    focus = []
    for _ in range(int(rng.integers(1, 4))):
        row = clutter.side_by_side(stage, int(rng.integers(2, 9)))
        if row is not None:
            focus.append(_focus(row, top_only=room.paint.chance(0.6)))
    clutter.spread(stage, room.paint.pick(["dining", "cooking", "desk", "workshop"]), int(rng.integers(4, 14)))
    return focus or [_focus(stage)]


def _shelf_stage(room: _Room) -> list[Focus]:
    shelf = _stage_piece(room, ["Shelf"])
    theme = room.paint.pick(["groceries", "groceries", "living", "cooking", "desk", "produce", "toys", "workshop"])
    focus = []
    for surface in list(room.surfaces):
        if not surface.shelf:
            continue
        if room.paint.chance(0.7):
            room.clutter.shelf_row(surface, theme)
        else:
            _fill_shelf(room, surface, theme)
        if 0.3 < surface.origin[2] < 1.7:
            front = -shelf.rotation[:2, 1]
            focus.append(_focus(surface, (float(front[0]), float(front[1]))))
    return focus


def _box_stage(room: _Room) -> list[Focus]:
    """One or two open boxes heaped full, on a table or on the floor."""
    rng, paint = room.rng, room.paint
    boxes = [name for name in ("Crate", "Basket") if name not in room.exclude]
    if not boxes:
        raise SceneError("Crate and Basket are excluded; no box is left for this scene")
    if paint.chance(0.5):
        _stage_piece(room, ["DiningTable", "CoffeeTable", "CounterTop", "Desk"])
        ground = max(room.surfaces, key=lambda candidate: candidate.area)
    else:
        ground = PlacedSurface(np.array([0.0, 0.0, 0.0]), np.eye(3), 0.6, 0.5, 2.0)
    focus = []
    for _ in range(int(rng.integers(1, 4))):
        model = basket(paint, paint.pick(boxes))
        high = model.bounds()[1]
        half_x, half_y = float(high[0]), float(high[1])
        if half_x > ground.half_x or half_y > ground.half_y:
            continue
        for _ in range(6):
            x = rng.uniform(-1, 1) * max(ground.half_x - half_x, 0)
            y = rng.uniform(-1, 1) * max(ground.half_y - half_y, 0)
            if all(abs(x - ux) > half_x + hx or abs(y - uy) > half_y + hy for ux, uy, hx, hy, _ in ground.used):
                break
        else:
            continue
        ground.used.append((x, y, half_x, half_y, float(high[2])))
        at = ground.origin + ground.rotation @ np.array([x, y, 0])
        item = room.fix(model, at, ground.rotation)
        item.furniture = False
        inside = room.surfaces.pop()
        theme = paint.pick(["produce", "groceries", "toys", "toys", "workshop", "desk", "cooking", "dining", "living"])
        room.clutter.heap(inside, theme, int(rng.integers(8, 34)))
        focus.append(_focus(inside, top_only=True))
    room.clutter.spread(
        ground, paint.pick(["produce", "groceries", "cooking", "desk", "toys", "workshop"]), int(rng.integers(2, 12))
    )
    return focus


def _floor_stage(room: _Room) -> list[Focus]:
    """Things strewn over a piece of floor or rug."""
    rng, paint = room.rng, room.paint
    lift = 0.0
    if paint.chance(0.5) and "Rug" not in room.exclude:
        room.fix(furniture_wall.rug(paint), np.zeros(3), np.eye(3))
        lift = 0.011
    ground = PlacedSurface(np.array([0, 0, lift]), np.eye(3), 0.6, 0.55, 2.0)
    theme = paint.pick(["floor", "toys", "toys", "workshop", "living", "desk", "groceries"])
    room.clutter.spread(ground, theme, int(rng.integers(10, 36)))
    if paint.chance(0.5):
        room.clutter.heap(ground, paint.pick(["floor", "toys", "living", "groceries"]), 8, spread=0.5)
    room.keep_free = np.array([[[-0.7, -0.7, 0.0], [0.7, 0.7, 0.5]]])
    return [_focus(ground)]


def _focus(surface: PlacedSurface, front: tuple[float, float] | None = None, top_only: bool = False) -> Focus:
    yaw = float(np.arctan2(surface.rotation[1, 0], surface.rotation[0, 0]))
    x, y, z = (float(value) for value in surface.origin)
    return Focus((x, y, z), (surface.half_x, surface.half_y), yaw, front, top_only)


# Boxes


def _occupied(item: SceneObject) -> NDArray[np.float64]:
    """`(N, 2, 3)` axis-aligned boxes of an object's colliders, or of its whole extent where it has none."""
    if not item.colliders:
        low, high = item.bounds()
        return np.array([[low, high]])
    boxes = []
    for collider in item.colliders:
        center = item.rotation @ collider.position + item.position
        reach = np.abs(item.rotation @ collider.rotation) @ _half_extents(collider)
        boxes.append((center - reach, center + reach))
    return np.array(boxes)


def _half_extents(collider: Collider) -> NDArray[np.float64]:
    """`(3,)` m of the box around a collider, along its own axes."""
    if collider.shape == "box":
        return np.asarray(collider.size)
    if collider.shape == "cylinder":
        return np.array([collider.size[0], collider.size[0], collider.size[1]])
    return np.full(3, collider.size[0])


def _feet(item: SceneObject) -> NDArray[np.float64]:
    """`(N, 2)` corners of what a piece touches the floor with, from above, m; none for what hangs."""
    corners = [
        item.rotation[:2] @ (collider.rotation @ (np.array(signs) * _half_extents(collider)) + collider.position)
        + item.position[:2]
        for collider in item.colliders
        for signs in CORNERS
        if collider.position[2] - np.abs(collider.rotation[2]) @ _half_extents(collider) < AT_FLOOR
    ]
    return np.array(corners).reshape(-1, 2)


def _lies_under(rug: SceneObject, points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """bool `(N,)`: which of the points `(N, 2)` of the floor a rug covers."""
    (collider,) = rug.colliders
    own = np.abs((points - rug.position[:2]) @ rug.rotation[:2, :2])
    if collider.shape == "cylinder":
        return np.hypot(own[:, 0], own[:, 1]) < collider.size[0]
    return (own[:, 0] < collider.size[0]) & (own[:, 1] < collider.size[1])


def _overlap(a: NDArray[np.float64], b: NDArray[np.float64], margin: float) -> bool:
    """Whether any two boxes come closer than `margin` m."""
    apart = (a[:, None, 0] > b[None, :, 1] + margin) | (b[None, :, 0] > a[:, None, 1] + margin)
    return bool((~apart.any(axis=-1)).any())


def _own_bounds(item: SceneObject) -> tuple[NDArray, NDArray]:
    points = np.concatenate([part.mesh.vertices for part in item.parts])
    return points.min(axis=0), points.max(axis=0)
