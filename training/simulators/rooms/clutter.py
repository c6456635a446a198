"""Puts small objects on surfaces: spread out, in place settings, stacks, rows, and heaps that then fall into place."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from training.simulators.rooms.materials import Palette
from training.simulators.rooms.mesh import rotation
from training.simulators.rooms.objects import ObjectModel, Surface
from training.simulators.rooms.objects_catalogue import SMALL_OBJECTS, THEMES
from training.simulators.rooms.objects_home import pillow
from training.simulators.rooms.scene import Part, SceneObject

LIFT = 0.003
"""m between an object and its support before it settles."""
MIN_HALF_WIDTH = 0.0105
"""m; colliders of cutlery are no narrower."""
EDGE_ALIGNED = {
    "Laptop",
    "Keyboard",
    "Monitor",
    "Television",
    "Microwave",
    "Printer",
    "Toaster",
    "Book",
    "CuttingBoard",
}
"""Objects that people align with the edge of a table."""
CUTLERY = ("Knife", "Fork", "Spoon")
SLENDER_SETS = (
    CUTLERY,
    CUTLERY,
    CUTLERY,
    ("Spatula", "Ladle", "Whisk", "Knife", "Spoon"),
    ("Pen", "Pencil", "PaintBrush", "Ruler", "Screwdriver"),
    ("Screwdriver", "Wrench", "Pliers", "Hammer"),
    ("Toothbrush", "Toothpaste", "Pen", "Knife"),
    ("Carrot", "Cucumber", "Banana", "Knife"),
)
"""Long things that are laid side by side."""
SPINE_OUT = np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]])
"""Stands a lying book (spine at -x) upright with its spine to the front, -y: its width, length and thickness become
depth, height and the way along the row."""


@dataclass
class PlacedSurface:
    """A surface of an object in the room, and what stands on it already."""

    origin: NDArray[np.float64]
    """`(3,)` its centre in the room's frame."""
    rotation: NDArray[np.float64]
    """`(3, 3)` its frame; x and y span it."""
    half_x: float
    half_y: float
    headroom: float
    category: str = "Floor"
    soft: bool = False
    shelf: bool = False
    used: list[tuple[float, float, float, float, float]] = field(default_factory=list)
    """Rectangles x, y, half x, half y and the height of their top."""

    @classmethod
    def of(cls, owner: SceneObject, model: ObjectModel, surface: Surface) -> PlacedSurface:
        """The surface of a placed object in the room."""
        origin = owner.position + owner.rotation @ np.array([surface.x, surface.y, surface.z])
        half_x, half_y = surface.half_x, surface.half_y
        return cls(origin, owner.rotation, half_x, half_y, surface.headroom, owner.category, model.soft, model.shelf)

    @property
    def area(self) -> float:
        """m²."""
        return 4 * self.half_x * self.half_y


class Clutter:
    """Draws small objects by theme, rarer ones preferred as a scene fills up, and places them on surfaces."""

    def __init__(self, paint: Palette, exclude: frozenset[str]) -> None:
        self.paint = paint
        self.rng = paint.rng
        self.exclude = exclude
        self.loose: list[SceneObject] = []
        self.names = sorted(set(SMALL_OBJECTS) - exclude)
        self._seen: dict[str, int] = {}

    def draw_name(self, theme: str) -> str:
        """A category of the theme, or now and then any category at all."""
        if self.paint.chance(0.12):
            weights = dict.fromkeys(self.names, 1.0)
        else:
            weights = {name: weight for name, weight in THEMES[theme].items() if name not in self.exclude}
        names = list(weights)
        pull = np.array([weights[name] / (1 + self._seen.get(name, 0)) for name in names])
        return names[int(self.rng.choice(len(names), p=pull / pull.sum()))]

    def build(self, name: str) -> ObjectModel:
        """A new object of a category, other than the last one in size and look."""
        return SMALL_OBJECTS[name](self.paint)

    def draw(self, theme: str) -> ObjectModel:
        """A new object of the theme."""
        return self.build(self.draw_name(theme))

    # Ways to fill a surface

    def spread(self, surface: PlacedSurface, theme: str, count: int) -> None:
        """Objects beside each other, a few of them on their side; now and then a setting, a stack or a fruit bowl."""
        if surface.soft:
            self._on_cushions(surface, count)
            return
        goal = len(self.loose) + count
        for _ in range(3 * count):
            if len(self.loose) >= goal:
                return
            draw = self.rng.random()
            if draw < 0.08 and theme in ("dining", "cooking") and "Plate" not in self.exclude:
                self.place_setting(surface)
            elif draw < 0.16 and theme in ("dining", "cooking", "produce", "snacks"):
                self.serve(surface)
            elif draw < 0.24:
                self.stack(surface, theme)
            else:
                model = self.draw(theme)
                self.put(surface, model, tip=model.tips and self.paint.chance(0.12), beside=0.2)

    def groups(self, surface: PlacedSurface, theme: str, count: int) -> None:
        """A few categories, several of each close together, as nuts, cutlery and toys are laid out for a photograph."""
        kinds = [self.draw_name(theme) for _ in range(int(self.rng.integers(1, 6)))]
        for i in range(count):
            self.put(surface, self.build(kinds[i % len(kinds)]), gap=0.0005, tries=25, beside=0.6)

    def side_by_side(self, surface: PlacedSurface, count: int) -> PlacedSurface | None:
        """Long things laid out as for a meal, a job or a photograph: parallel, in a fan, or across each other.

        Returns the part of the surface that they lie on, or None where nothing fitted.
        """
        rng, paint = self.rng, self.paint
        models = self._slender(count)
        row_yaw, spread = rng.uniform(0, 360), paint.pick((0.0, 2.0, 5.0, 25.0))
        fan = paint.pick((0.0, 0.0, 0.0, 7.0, 13.0)) if spread < 10 else 0.0
        gap = paint.pick((0.001, 0.006, 0.02, 0.05))
        start = rng.uniform(-0.6, 0.6, 2) * (surface.half_x, surface.half_y)
        along, laid = 0.0, len(surface.used)
        for number, model in enumerate(models):
            turned = 180.0 if paint.chance(0.08) else 0.0
            turn = rotation("z", row_yaw + turned + fan * (number - count / 2) + rng.normal(0, spread))
            low, high = model.bounds()
            half_width = max((high[1] - low[1]) / 2, MIN_HALF_WIDTH)
            along += half_width
            x, y = start + rotation("z", row_yaw)[:2, :2] @ (rng.normal(0, 0.012), along)
            along += half_width + gap * rng.uniform(0.3, 1.3)
            if abs(x) > surface.half_x or abs(y) > surface.half_y or max(abs(low[1]), high[1]) > 0.12:
                continue
            # Where they may cross, each begins above the last and falls onto it.
            lift = LIFT + (number * 0.012 if spread > 10 or fan else 0.0)
            self._drop(surface, model, x, y, lift - low[2], turn)
            surface.used.append((x, y, *_half_extents(model, turn), lift + high[2] - low[2]))
        return _region(surface, surface.used[laid:])

    def _slender(self, count: int) -> list[ObjectModel]:
        """Long things that belong together; cutlery is often of one set."""
        names = SLENDER_SETS[int(self.rng.integers(len(SLENDER_SETS)))]
        kinds = [name for name in names if name not in self.exclude]
        if self.paint.chance(0.3):
            kinds = kinds[:1]
        models = [self.build(self.paint.pick(kinds)) for _ in range(count)] if kinds else []
        if models and set(kinds) <= set(CUTLERY) and self.paint.chance(0.75):
            models = [_dressed_like(models[0], model) for model in models]
        return models

    def heap(self, surface: PlacedSurface, theme: str, count: int, spread: float = 1.0) -> None:
        """Objects dropped on each other; `spread` is the part of the surface they fall on."""
        kinds = [self.draw_name(theme) for _ in range(int(self.rng.integers(2, 9)))]
        goal = len(self.loose) + count
        for _ in range(4 * count):
            if len(self.loose) >= goal:
                return
            model = self.build(self.paint.pick(kinds)) if self.paint.chance(0.7) else self.draw(theme)
            if not _fits(model, surface):
                continue
            turn = rotation("z", self.rng.uniform(0, 360))
            if self.paint.chance(0.5):
                steepest = 100.0 if model.tips else 40.0
                turn = turn @ rotation("x", self.rng.uniform(-steepest, steepest))
            half_x, half_y = _half_extents(model, turn)
            x = self.rng.uniform(-1, 1) * max(surface.half_x * spread - half_x, 0)
            y = self.rng.uniform(-1, 1) * max(surface.half_y * spread - half_y, 0)
            base = _support(surface, x, y, half_x, half_y)
            low, high = _heights(model, turn)
            if base + high - low > min(surface.headroom, 0.45):
                continue
            self._drop(surface, model, x, y, base + LIFT - low, turn)
            surface.used.append((x, y, half_x * 0.9, half_y * 0.9, base + LIFT + high - low))

    def book_row(self, surface: PlacedSurface) -> None:
        """Books upright side by side with their spines to the front, from the left."""
        x, end = -surface.half_x, self.rng.uniform(-0.8, 0.4) * surface.half_x
        while x < end and "Book" not in self.exclude:
            model = SMALL_OBJECTS["Book"](self.paint)
            low, high = model.bounds()
            half_thick = high[2] / 2
            if high[1] - low[1] > surface.headroom - 0.01 or high[0] > 0.12 or half_thick < 0.006:
                x += 0.01
                continue
            x += half_thick + 0.001
            y = -surface.half_y * 0.2 + self.rng.normal(0, 0.004)
            self._drop(surface, model, x - half_thick, y, (high[1] - low[1]) / 2 + 0.002, SPINE_OUT)
            surface.used.append((x, y, half_thick + 0.002, high[0], high[1] - low[1]))
            x += half_thick

    def shelf_row(self, surface: PlacedSurface, theme: str) -> None:
        """Groceries, toys or jars side by side, front to the open side, often several of a kind."""
        x = -surface.half_x
        model_name = self.draw_name(theme)
        while x < surface.half_x:
            if self.paint.chance(0.45):
                model_name = self.draw_name(theme)
            model = self.build(model_name)
            turn = rotation("z", self.rng.normal(0, 8))
            half_x, half_y = _half_extents(model, turn)
            low, high = _heights(model, turn)
            if (
                half_y > surface.half_y * 1.05
                or high - low > surface.headroom - 0.01
                or x + 2 * half_x > surface.half_x
            ):
                x += 0.03
                continue
            x += half_x + self.rng.uniform(0.001, 0.015)
            y = -surface.half_y + half_y + self.rng.uniform(0, 1) * 2 * max(surface.half_y - half_y, 0) * 0.5
            self._drop(surface, model, x, y, LIFT - low, turn)
            surface.used.append((x, y, half_x, half_y, high - low))
            x += half_x

    def place_setting(self, surface: PlacedSurface) -> None:
        """Plate with cutlery beside it and a drink above."""
        plate = self.build("Plate")
        x, y = self.rng.uniform(-0.8, 0.8) * surface.half_x, float(self.rng.choice([-0.55, 0.55])) * surface.half_y
        if not self.put(surface, plate, at=(x, y)):
            return
        radius = plate.bounds()[1][0]
        facing = 90.0 if y < 0 else 270.0
        offset = radius + 0.02
        for side, names in ((-1, ("Fork",)), (1, ("Knife", "Spoon"))):
            for i, name in enumerate(names):
                if name not in self.exclude and self.paint.chance(0.8):
                    at = (x + side * (offset + 0.03 * i), y)
                    self.put(surface, self.build(name), yaw=facing + self.rng.normal(0, 5), at=at, gap=0.0)
        drink = self.paint.pick([name for name in ("Mug", "Cup", "WineGlass") if name not in self.exclude])
        self.put(surface, self.build(drink), at=(x + radius * 0.9, y * 0.3))

    def serve(self, surface: PlacedSurface) -> None:
        """A bowl of fruit, or a plate, board or tray with something to eat."""
        dishes = [name for name in ("Bowl", "Plate", "Plate", "CuttingBoard", "Tray") if name not in self.exclude]
        if not dishes:
            return
        dish = self.build(self.paint.pick(dishes))
        if not self.put(surface, dish):
            return
        x, y, half_x, half_y, top = surface.used[-1]
        low = {"Bowl": 0.2 * top + 0.006, "Plate": 0.012, "Tray": 0.01}.get(dish.category, top)
        inside = PlacedSurface(
            surface.origin + surface.rotation @ np.array([x, y, low]),
            surface.rotation,
            0.62 * half_x,
            0.62 * half_y,
            surface.headroom - low,
        )
        theme = "produce" if dish.category == "Bowl" else self.paint.pick(("snacks", "snacks", "produce"))
        self.heap(inside, theme, int(self.rng.integers(1, 7)))

    def stack(self, surface: PlacedSurface, theme: str) -> None:
        """Two to four flat things on each other, perhaps with something on top."""
        bases = [name for name in ("Book", "Plate", "CuttingBoard", "Box", "Cloth", "Tray") if name not in self.exclude]
        base = self.build(self.paint.pick(bases))
        if not self.put(surface, base):
            return
        x, y, half_x, half_y, top = surface.used[-1]
        for _ in range(int(self.rng.integers(1, 4))):
            repeat = base.flat and self.paint.chance(0.55)
            model = self.build(base.category) if repeat else self.draw(theme)
            turn = rotation("z", self.rng.uniform(0, 360))
            low, high = _heights(model, turn)
            if max(_half_extents(model, turn)) > 1.1 * max(half_x, half_y) or top + high - low > surface.headroom:
                continue
            self._drop(surface, model, x, y, top + LIFT - low, turn)
            top += high - low + LIFT
            surface.used[-1] = (x, y, half_x, half_y, top)
            if not model.flat:
                break

    # One object

    def put(
        self,
        surface: PlacedSurface,
        model: ObjectModel,
        *,
        yaw: float | None = None,
        tip: bool = False,
        at: tuple[float, float] | None = None,
        gap: float = 0.004,
        tries: int = 8,
        beside: float = 0.0,
    ) -> bool:
        """Stand the model on a free spot; False if there is none. Yaw in degrees, `at` in m, in the surface's frame."""
        if yaw is None:
            aligned = model.category in EDGE_ALIGNED
            yaw = (
                self.rng.normal(0, 8) + 90 * int(self.rng.integers(-1, 2)) * int(self.paint.chance(0.3))
                if aligned
                else self.rng.uniform(0, 360)
            )
        turn = rotation("z", yaw)
        if tip:
            turn = turn @ rotation("xy"[int(self.rng.integers(2))], 90.0 if self.paint.chance(0.5) else -90.0)
        half_x, half_y = _half_extents(model, turn)
        low, high = _heights(model, turn)
        if high - low > surface.headroom - 0.01 or half_x > surface.half_x * 1.05 or half_y > surface.half_y * 1.1:
            return False
        for _ in range(tries if at is None else 1):
            if at is not None:
                x, y = at
            elif surface.used and self.paint.chance(beside):
                x, y = self._spot_beside(surface, half_x, half_y, gap)
            else:
                x = self.rng.uniform(-1, 1) * max(surface.half_x - half_x, 0)
                y = self.rng.uniform(-1, 1) * max(surface.half_y - half_y, 0)
            if all(
                abs(x - ux) > half_x + hx + gap or abs(y - uy) > half_y + hy + gap for ux, uy, hx, hy, _ in surface.used
            ):
                self._drop(surface, model, x, y, LIFT - low, turn)
                surface.used.append((x, y, half_x, half_y, high - low))
                return True
        return False

    def _spot_beside(self, surface: PlacedSurface, half_x: float, half_y: float, gap: float) -> tuple[float, float]:
        """A spot that touches something on the surface, kept within it."""
        ux, uy, hx, hy, _ = self.paint.pick(surface.used)
        side, shift = float(self.rng.choice([-1.0, 1.0])), self.rng.normal(0, 0.3)
        if self.paint.chance(0.5):
            x, y = ux + side * (hx + half_x + gap + 1e-4), uy + shift * hy
        else:
            x, y = ux + shift * hx, uy + side * (hy + half_y + gap + 1e-4)
        reach_x, reach_y = max(surface.half_x - half_x, 0), max(surface.half_y - half_y, 0)
        return float(np.clip(x, -reach_x, reach_x)), float(np.clip(y, -reach_y, reach_y))

    def _on_cushions(self, surface: PlacedSurface, count: int) -> None:
        for _ in range(count):
            if self.paint.chance(0.6) and "Pillow" not in self.exclude:
                self.put(surface, pillow(self.paint, self.rng.uniform(0.15, 0.24)))
            else:
                self.put(surface, self.draw("soft"))

    def _drop(self, surface: PlacedSurface, model: ObjectModel, x: float, y: float, z: float, turn: NDArray) -> None:
        """Place the model's bounding-box centre over (x, y) of the surface, its origin at height z above it."""
        center = _center(model, turn)
        offset = np.array([x - center[0], y - center[1], z])
        self._seen[model.category] = self._seen.get(model.category, 0) + 1
        at, turned = surface.origin + surface.rotation @ offset, surface.rotation @ turn
        self.loose.append(model.placed(at, turned, furniture=False))


def _turned(model: ObjectModel, turn: NDArray) -> tuple[NDArray, NDArray]:
    """Bounds of the turned model: the vertices' own, not those of its box, so that round things pack closely."""
    points = np.concatenate([part.mesh.vertices for part in model.parts]) @ turn.T
    return points.min(axis=0), points.max(axis=0)


def _half_extents(model: ObjectModel, turn: NDArray) -> tuple[float, float]:
    low, high = _turned(model, turn)
    return float(high[0] - low[0]) / 2, float(high[1] - low[1]) / 2


def _heights(model: ObjectModel, turn: NDArray) -> tuple[float, float]:
    low, high = _turned(model, turn)
    return float(low[2]), float(high[2])


def _center(model: ObjectModel, turn: NDArray) -> NDArray:
    low, high = _turned(model, turn)
    return (low + high) / 2


def _region(surface: PlacedSurface, used: list[tuple[float, float, float, float, float]]) -> PlacedSurface | None:
    """The part of a surface that entries of its `used` cover; None for none."""
    if not used:
        return None
    x, y, half_x, half_y, _ = np.array(used).T
    first, last = np.array([x - half_x, y - half_y]).min(1), np.array([x + half_x, y + half_y]).max(1)
    origin = surface.origin + surface.rotation @ np.array([*(first + last) / 2, 0.0])
    half = (last - first) / 2
    return PlacedSurface(origin, surface.rotation, float(half[0]), float(half[1]), surface.headroom)


def _dressed_like(first: ObjectModel, model: ObjectModel) -> ObjectModel:
    """The model with the materials of the first one's handle and end: they are of one set."""
    last = len(first.parts) - 1
    model.parts = [Part(part.mesh, first.parts[min(i, last)].material) for i, part in enumerate(model.parts)]
    return model


def _fits(model: ObjectModel, surface: PlacedSurface) -> bool:
    """Whether the model can lie within the surface when it is turned suitably."""
    sides = sorted(_half_extents(model, np.eye(3)))
    room = sorted((surface.half_x, surface.half_y))
    return sides[0] < 0.95 * room[0] and sides[1] < 0.95 * room[1]


def _support(surface: PlacedSurface, x: float, y: float, half_x: float, half_y: float) -> float:
    """Height of the highest thing under a rectangle."""
    tops = [top for ux, uy, hx, hy, top in surface.used if abs(x - ux) < half_x + hx and abs(y - uy) < half_y + hy]
    return max(tops, default=0.0)
