"""Fruit, vegetables, baked goods and packaged groceries."""

from __future__ import annotations

from functools import partial

import numpy as np

from training.simulators.rooms.materials import CARDBOARD, Color, Palette
from training.simulators.rooms.mesh import (
    arc,
    box,
    cylinder,
    ellipsoid,
    lathe,
    leaf,
    merge,
    place,
    prism,
    ring,
    rotation,
    tube,
)
from training.simulators.rooms.objects import Builder, ObjectModel
from training.simulators.rooms.scene import Material

# category: (height / width, (first colour, second colour), ...): one pair is drawn.
ROUND_FRUIT: dict[str, tuple[float, list[tuple[tuple[float, float, float], tuple[float, float, float]]]]] = {
    "Apple": (0.92, [((0.7, 0.1, 0.08), (0.85, 0.75, 0.2)), ((0.45, 0.65, 0.15), (0.7, 0.75, 0.3))]),
    "Orange": (0.98, [((0.95, 0.5, 0.08), (0.9, 0.42, 0.05))]),
    "Tomato": (0.78, [((0.8, 0.12, 0.07), (0.85, 0.25, 0.1))]),
    "Peach": (0.95, [((0.95, 0.6, 0.35), (0.85, 0.25, 0.2))]),
    "Onion": (0.85, [((0.8, 0.55, 0.25), (0.65, 0.4, 0.15)), ((0.5, 0.12, 0.25), (0.65, 0.3, 0.4))]),
    "Potato": (0.7, [((0.66, 0.5, 0.3), (0.5, 0.36, 0.2))]),
}


def round_fruit(paint: Palette, category: str) -> ObjectModel:
    """Fruit or vegetable close to a ball, with stem and leaves."""
    rng = paint.rng
    model = ObjectModel(category, tips=False)
    squash, colors = ROUND_FRUIT[category]
    radius = rng.uniform(0.028, 0.045)
    stretch = rng.uniform(1.1, 1.5) if category == "Potato" else 1.0
    noise = 0.05 if category == "Potato" else 0.015
    body = ellipsoid(radius * stretch, radius, radius * squash, noise=noise, rng=rng)
    model.add(body, paint.food(*paint.pick(colors)), (0, 0, radius * squash))
    top = 2 * radius * squash - 0.003
    if category != "Potato":
        stem = paint.plain((0.3, 0.2, 0.08))
        model.add(tube([(0, 0, top - 0.002), (0.003, 0, top + 0.012)], 0.002, 5), stem)
    leaves = 5 if category == "Tomato" else int(category in ("Apple", "Peach", "Orange") and paint.chance(0.5))
    if leaves:
        blades = [place(leaf(0.022, 0.007, -0.6, 4), (0, 0, top), rotation("z", 72 * i)) for i in range(leaves)]
        model.add(merge(blades), paint.plain((0.15, 0.4, 0.1)))
    model.solid_sphere(radius * squash, (0, 0, radius * squash))
    if stretch > 1:
        for side in (-1, 1):
            model.solid_sphere(radius * 0.75 * squash, (side * radius * (stretch - 0.75), 0, radius * squash))
    return model


def pear(paint: Palette) -> ObjectModel:
    """Lathed body with a stem."""
    radius = paint.rng.uniform(0.028, 0.038)
    model = ObjectModel("Pear")
    skin = paint.food((0.7, 0.72, 0.25), (0.55, 0.5, 0.15))
    outline = [(0, 0), (0.6, 0.02), (0.95, 0.5), (1, 0.85), (0.88, 1.4), (0.5, 2.1), (0.42, 2.5), (0.2, 2.68), (0, 2.7)]
    model.add(lathe([(r * radius, z * radius) for r, z in outline], 20, crease=80), skin)
    top = radius * 2.65
    model.add(tube([(0, 0, top), (0.004, 0, top + 0.018)], 0.002, 5), paint.plain((0.3, 0.2, 0.08)))
    return model.solid_cylinder(radius * 0.95, 0, radius * 1.6).solid_cylinder(radius * 0.5, radius * 1.6, radius * 2.7)


def lemon(paint: Palette) -> ObjectModel:
    """Lemon or lime with its two tips."""
    rng = paint.rng
    model = ObjectModel("Lemon", tips=False)
    radius = rng.uniform(0.024, 0.031)
    skin = (
        paint.food((0.93, 0.82, 0.15), (0.85, 0.75, 0.1))
        if paint.chance(0.7)
        else paint.food((0.4, 0.6, 0.15), (0.3, 0.5, 0.1))
    )
    model.add(ellipsoid(radius * 1.3, radius, radius, noise=0.01, rng=rng), skin, (0, 0, radius))
    model.add(ellipsoid(0.007, 0.006, 0.006, around=10, along=8), skin, (radius * 1.33, 0, radius))
    model.add(
        ellipsoid(0.004, 0.005, 0.005, around=10, along=8), paint.plain((0.3, 0.35, 0.1)), (-radius * 1.3, 0, radius)
    )
    return model.solid_sphere(radius, (radius * 0.2, 0, radius)).solid_sphere(radius, (-radius * 0.2, 0, radius))


def banana(paint: Palette) -> ObjectModel:
    """One banana, or a bunch of two to five that hang together and are one object."""
    rng = paint.rng
    model = ObjectModel("Banana", tips=False)
    skin = paint.food((0.93, 0.8, 0.2), (0.85, 0.7, 0.1))
    if paint.chance(0.2):
        skin = paint.food((0.6, 0.7, 0.2), (0.8, 0.75, 0.2))
    count = int(rng.integers(2, 6)) if paint.chance(0.4) else 1
    reach = rng.uniform(0.075, 0.095)
    thickness = 0.017 * np.sin(np.pi * np.linspace(0.12, 0.9, 11)) ** 0.4
    for i in range(count):
        spread = (i - (count - 1) / 2) * 0.027
        curve = arc((-reach, 0, 0.018), reach, -60, 60, 11, "xy")
        curve[:, 0] += spread * np.linspace(0.15, 1, 11) if count > 1 else 0
        curve[:, 2] += abs(spread) * 0.15
        model.add(tube(curve, thickness, 8), skin)
        for first, last in ((0, 4), (4, 7), (7, 10)):
            model.solid_rod(0.015, curve[first], curve[last])
        tip = ellipsoid(0.006, 0.006, 0.006, around=8, along=6)
        model.add(tip, paint.plain((0.15, 0.1, 0.05)), curve[-1])
    root = arc((-reach, 0, 0.018), reach, -60, 60, 11, "xy")[0]
    direction = arc((-reach, 0, 0.018), reach, -66, -60, 2, "xy")
    outward = (direction[0] - direction[1]) / np.linalg.norm(direction[0] - direction[1])
    model.add(tube([root, root + outward * 0.025], 0.005 + 0.002 * count, 6), paint.plain((0.35, 0.28, 0.08)))
    return model


def grapes(paint: Palette) -> ObjectModel:
    """Berries on a branched stem: one object."""
    rng = paint.rng
    model = ObjectModel("Grapes", tips=False)
    colors = [
        ((0.3, 0.1, 0.3), (0.45, 0.2, 0.4)),
        ((0.55, 0.65, 0.25), (0.7, 0.75, 0.35)),
        ((0.12, 0.1, 0.2), (0.25, 0.2, 0.35)),
    ]
    skin = paint.food(*paint.pick(colors), kinds=("grad", "noise"))
    berries = []
    for _ in range(int(rng.integers(22, 38))):
        x = rng.uniform(-0.065, 0.06)
        width = 0.036 * (1 - ((x + 0.02) / 0.1) ** 2)
        y, z = rng.uniform(-width, width), rng.uniform(0, 0.022) + 0.01
        berries.append(place(ellipsoid(0.0115, 0.0105, 0.0105, around=10, along=8), (x, y, z)))
    model.add(merge(berries), skin)
    model.add(
        tube([(0.05, 0, 0.03), (0.02, 0, 0.04), (-0.07, 0, 0.03), (-0.1, 0.01, 0.035)], 0.002, 5),
        paint.plain((0.4, 0.35, 0.15)),
    )
    return model.solid_box(0.06, 0.028, 0.019, (0, 0, 0.019))


def small_round(paint: Palette, category: str) -> ObjectModel:
    """Nuts, eggs, strawberries and mushrooms: what lies loose on a table by the dozen."""
    rng = paint.rng
    model = ObjectModel(category, tips=False)
    if category == "Walnut":
        r = rng.uniform(0.015, 0.02)
        shell = paint.food((0.62, 0.45, 0.27), (0.45, 0.3, 0.16), ("noise", "voronoi", "speckle"))
        model.add(ellipsoid(r * 1.15, r, r * 0.95, noise=0.06, rng=rng, around=16, along=10), shell, (0, 0, r))
        model.add(
            tube(arc((0, 0, r), r * 1.17, 0, 345, 18, "xz", r * 0.98), 0.0012, 5, closed=True),
            paint.plain((0.5, 0.35, 0.2)),
        )
    elif category == "Egg":
        r = rng.uniform(0.02, 0.024)
        shell = paint.plain(paint.pick([(0.93, 0.9, 0.85), (0.8, 0.58, 0.42), (0.86, 0.72, 0.58)]), 0.5)
        egg = ellipsoid(r * 1.3, r, r, around=20, along=12)
        taper = 1 - 0.12 * egg.vertices[:, :1] / (r * 1.3)
        egg = egg._replace(
            vertices=egg.vertices * np.concatenate([np.ones_like(taper), taper, taper], 1).astype(np.float32)
        )
        model.add(egg, shell, (0, 0, r * 1.02))
    elif category == "Strawberry":
        r = rng.uniform(0.013, 0.018)
        berry = [(0, 0), (0.35, 0.1), (0.8, 0.7), (1, 1.4), (0.85, 1.85), (0.4, 2.05), (0, 2.1)]
        flesh = paint.food((0.8, 0.08, 0.08), (0.9, 0.6, 0.3), ("speckle", "dots"))
        turn = rotation("y", 90)
        model.add(lathe([(a * r, (z - 1.05) * r) for a, z in berry], 16, crease=80), flesh, (0, 0, r), turn)
        blades = [place(leaf(r * 0.9, r * 0.3, -0.5, 4), (0, 0, r * 1.05), rotation("z", 60 * i)) for i in range(6)]
        model.add(merge(blades), paint.plain((0.2, 0.45, 0.12)), (0, 0, r), turn)
    else:
        r = rng.uniform(0.018, 0.03)
        skin = paint.plain(paint.pick([(0.9, 0.85, 0.76), (0.6, 0.45, 0.32)]), 0.8)
        model.add(lathe([(0, 0), (r * 0.38, 0), (r * 0.35, r), (0, r)], 14), paint.plain((0.92, 0.88, 0.8), 0.8))
        cap = [
            (0, r * 0.8),
            (r * 0.95, r * 0.75),
            (r, r * 0.95),
            (r * 0.75, r * 1.45),
            (r * 0.3, r * 1.68),
            (0, r * 1.7),
        ]
        model.add(lathe(cap, 20, crease=60), skin)
        return model.solid_cylinder(r * 0.4, 0, r).solid_cylinder(r * 0.95, r * 0.75, r * 1.4)
    if category == "Strawberry":
        return model.solid_sphere(r * 0.95, (0, 0, r))
    return model.solid_sphere(r, (r * 0.12, 0, r)).solid_sphere(r, (-r * 0.12, 0, r))


def long_vegetable(paint: Palette, category: str) -> ObjectModel:
    """Carrot, cucumber or aubergine along x."""
    rng = paint.rng
    model = ObjectModel(category, tips=False)
    reach = rng.uniform(0.075, 0.11)
    if category == "Carrot":
        skin, thick = paint.food((0.92, 0.45, 0.1), (0.85, 0.35, 0.08)), rng.uniform(0.012, 0.017)
        radii = thick * np.array([0.75, 1.0, 0.85, 0.6, 0.35, 0.08])
        sprigs = [
            place(leaf(0.05, 0.008, -0.4, 4), (-reach, 0, thick), rotation("z", 180 + a) @ rotation("y", -20))
            for a in rng.uniform(-40, 40, 5)
        ]
        top = merge(sprigs)
    elif category == "Cucumber":
        skin, thick = paint.food((0.15, 0.38, 0.12), (0.25, 0.5, 0.2), ("stripes", "noise")), rng.uniform(0.016, 0.022)
        radii = thick * np.array([0.55, 0.95, 1.0, 1.0, 0.95, 0.5])
        top = ellipsoid(0.006, 0.005, 0.005, around=8, along=6)
        top = place(top, (-reach - 0.004, 0, thick))
    else:
        skin, thick = paint.food((0.2, 0.07, 0.22), (0.28, 0.1, 0.3), ("grad", "plain")), rng.uniform(0.028, 0.038)
        radii = thick * np.array([0.45, 0.6, 0.8, 1.0, 0.95, 0.5])
        top = place(
            lathe([(0, 0), (thick * 0.55, 0), (thick * 0.25, 0.014), (0.006, 0.035), (0, 0.036)], 14),
            (-reach, 0, thick),
            rotation("y", -90),
        )
    x = np.linspace(-reach, reach, 6)
    bend = rng.uniform(-0.012, 0.012) * (1 - (x / reach) ** 2)
    model.add(tube(np.stack([x, bend, np.full(6, thick)], 1), radii, 12), skin)
    model.add(ellipsoid(thick * 0.4, radii[-1], radii[-1], around=12, along=8), skin, (reach, 0, thick))
    model.add(top, paint.plain((0.2, 0.42, 0.12)))
    model.solid_rod(thick * 0.5, (-reach * 1.05, 0, thick), (reach * 1.05, 0, thick))
    return model.solid_rod(thick * 0.95, (-reach * 0.95, 0, thick), (reach * 0.75, 0, thick))


def pepper(paint: Palette) -> ObjectModel:
    """Lobed body and stem."""
    rng = paint.rng
    model = ObjectModel("BellPepper", tips=False)
    r, h = rng.uniform(0.032, 0.042), rng.uniform(0.07, 0.09)
    skin = paint.food(
        *paint.pick(
            [
                ((0.8, 0.1, 0.06), (0.85, 0.15, 0.08)),
                ((0.95, 0.75, 0.1), (0.9, 0.65, 0.05)),
                ((0.2, 0.45, 0.1), (0.25, 0.5, 0.15)),
            ]
        ),
        kinds=("plain", "grad"),
    )
    body = ellipsoid(r, r, h / 2, 0.6, 1.0, 28, 12)
    angles = np.arctan2(body.vertices[:, 1], body.vertices[:, 0])
    lobes = (1 + 0.09 * np.cos(4 * angles))[:, None] * np.array([1, 1, 0]) + np.array([0, 0, 1])
    model.add(body._replace(vertices=(body.vertices * lobes).astype(np.float32)), skin, (0, 0, h / 2))
    stem = lathe([(0.014, h * 0.97), (0.006, h * 1.02), (0.004, h * 1.25), (0, h * 1.26)], 10)
    model.add(stem, paint.plain((0.25, 0.45, 0.12)))
    return model.solid_cylinder(r * 0.95, 0, h * 0.98)


def lettuce(paint: Palette) -> ObjectModel:
    """Head within loose outer leaves."""
    rng = paint.rng
    model = ObjectModel("Lettuce", tips=False)
    r = rng.uniform(0.055, 0.08)
    green = np.array([0.35, 0.6, 0.2]) * rng.uniform(0.7, 1.3)
    model.add(
        ellipsoid(r * 0.8, r * 0.8, r * 0.75, noise=0.08, rng=rng), paint.food(green, green * 1.5), (0, 0, r * 0.8)
    )
    for i in range(9):
        turn = rotation("z", 137.5 * i) @ rotation("y", -8)
        model.add(
            leaf(r * 1.5, r * 0.9, 1.6, 6, -0.3), paint.food(green * 0.8, green * 1.2), (0, 0, 0.03 * r + 0.002), turn
        )
    return model.solid_cylinder(r * 0.85, 0, r * 1.5)


def bread(paint: Palette) -> ObjectModel:
    """Loaf with slashed crust."""
    rng = paint.rng
    model = ObjectModel("Bread", tips=False)
    crust = paint.food((0.75, 0.48, 0.22), (0.5, 0.28, 0.1))
    long, wide, high = rng.uniform(0.09, 0.15), rng.uniform(0.04, 0.06), rng.uniform(0.03, 0.05)
    model.add(ellipsoid(long, wide, high, 0.7, 0.8, noise=0.03, rng=rng), crust, (0, 0, high * 0.97))
    crumb = paint.plain((0.93, 0.82, 0.6))
    for x in np.linspace(-0.5, 0.5, int(rng.integers(2, 5))):
        cut = ellipsoid(0.008, wide * 0.7, 0.006, around=12, along=6)
        model.add(cut, crumb, (x * long, 0, high * (1.93 - 0.45 * x * x)), rotation("z", 25))
    return model.solid_box(long * 0.93, wide * 0.9, high * 0.95, (0, 0, high * 0.95))


def croissant(paint: Palette) -> ObjectModel:
    """Crescent of seven rolls of dough."""
    rng = paint.rng
    model = ObjectModel("Croissant", tips=False)
    reach = rng.uniform(0.045, 0.06)
    dough = paint.food((0.78, 0.5, 0.2), (0.6, 0.34, 0.12), ("stripes", "noise", "grad"))
    for i, angle in enumerate(np.linspace(-75, 75, 7)):
        size = 0.027 - 0.0048 * abs(i - 3)
        at = arc((-reach * 0.6, 0, size), reach, angle, angle + 1, 2, "xy")[0]
        model.add(ellipsoid(size, 0.018, size, 0.9, 0.9, 14, 10), dough, at, rotation("z", angle))
    return model.solid_box(0.035, reach * 0.9, 0.02, (0.0, 0, 0.02))


def cookie(paint: Palette) -> ObjectModel:
    """Flat biscuit with chocolate chips."""
    rng = paint.rng
    model = ObjectModel("Cookie", flat=True, tips=False)
    r, h = rng.uniform(0.025, 0.04), rng.uniform(0.007, 0.012)
    dough = paint.food((0.72, 0.5, 0.28), (0.6, 0.4, 0.2), ("noise", "speckle"))
    model.add(lathe([(0, 0), (r * 0.9, 0), (r, h * 0.5), (r * 0.85, h * 0.95), (0, h)], 24, crease=50), dough)
    chips = []
    for angle, reach in zip(rng.uniform(0, 2 * np.pi, 9), r * 0.75 * np.sqrt(rng.random(9)), strict=True):
        at = (reach * np.cos(angle), reach * np.sin(angle), h)
        chips.append(place(ellipsoid(0.004, 0.004, 0.003, around=8, along=6), at))
    model.add(merge(chips), paint.plain((0.2, 0.1, 0.05)))
    return model.solid_cylinder(r, 0, h)


def donut(paint: Palette) -> ObjectModel:
    """Ring with glaze and sprinkles."""
    rng = paint.rng
    model = ObjectModel("Donut", tips=False)
    r, thick = rng.uniform(0.026, 0.034), rng.uniform(0.014, 0.018)
    model.add(ring(r, thick, 26, 14), paint.food((0.8, 0.55, 0.28), (0.7, 0.45, 0.2)), (0, 0, thick))
    glaze = paint.plain(paint.pick([(0.9, 0.55, 0.65), (0.3, 0.15, 0.08), (0.95, 0.92, 0.88)]), 0.2)
    model.add(ring(r, thick * 0.82, 26, 14), glaze, (0, 0, thick * 1.35))
    for _ in range(3):
        sprinkles = []
        for angle, reach in zip(rng.uniform(0, 2 * np.pi, 7), r * rng.uniform(0.85, 1.15, 7), strict=True):
            at = (reach * np.cos(angle), reach * np.sin(angle), thick * 2.12)
            sprinkles.append(place(box(0.004, 0.0012, 0.0012, 0.001), at, rotation("z", rng.uniform(0, 180))))
        model.add(merge(sprinkles), paint.plastic(paint.vivid()))
    return model.solid_cylinder(r + thick, thick * 0.4, thick * 1.8).solid_cylinder(r, 0, thick * 2.1)


def cake(paint: Palette) -> ObjectModel:
    """A slice or a whole cake of two or three layers."""
    rng = paint.rng
    model = ObjectModel("Cake", tips=False)
    r, layers = rng.uniform(0.08, 0.12), int(rng.integers(2, 4))
    layer = rng.uniform(0.016, 0.024)
    opening = paint.pick([30.0, 40.0, 50.0]) if paint.chance(0.6) else 360.0
    dough = paint.food(
        paint.pick([(0.85, 0.7, 0.4), (0.3, 0.17, 0.1), (0.7, 0.25, 0.2)]), (0.7, 0.5, 0.3), ("speckle", "noise")
    )
    cream = paint.plain(paint.pick([(0.95, 0.92, 0.86), (0.9, 0.6, 0.65), (0.35, 0.2, 0.12)]), 0.6)
    steps = max(4, int(opening / 10))
    angles = np.radians(np.linspace(-opening / 2, opening / 2, steps + 1))
    edge = np.stack([r * np.cos(angles), r * np.sin(angles)], 1)
    outline = np.concatenate([[[0, 0]], edge]) if opening < 360 else edge[:-1]
    if opening < 360:
        outline = outline - np.array([r * 0.55, 0])
    z = 0.0
    for _ in range(layers):
        model.add(prism(outline, z, z + layer), dough)
        model.add(prism(outline * 1.004, z + layer, z + layer + 0.006), cream)
        z += layer + 0.006
    center = (r * 0.1, 0.0) if opening < 360 else (0.0, 0.0)
    model.add(
        ellipsoid(0.011, 0.011, 0.011, around=12, along=8), paint.plain((0.7, 0.05, 0.08), 0.2), (*center, z + 0.009)
    )
    if opening < 360:
        return model.solid_box(r * 0.42, r * 0.2, z / 2, (0.02, 0, z / 2)).solid_box(
            r * 0.15, r * 0.38 * opening / 50, z / 2, (r * 0.25, 0, z / 2)
        )
    return model.solid_cylinder(r, 0, z)


def pizza(paint: Palette) -> ObjectModel:
    """Crust, sauce and three kinds of toppings."""
    rng = paint.rng
    model = ObjectModel("Pizza", flat=False, tips=False)
    r = rng.uniform(0.11, 0.15)
    crust = paint.food((0.8, 0.58, 0.3), (0.65, 0.42, 0.2))
    model.add(
        lathe([(0, 0), (r * 0.95, 0), (r, 0.008), (r * 0.95, 0.018), (r * 0.87, 0.01), (0, 0.01)], 36, crease=60), crust
    )
    model.add(
        cylinder(r * 0.88, 0.009, 0.012, 32), paint.food((0.85, 0.6, 0.25), (0.75, 0.2, 0.1), ("noise", "voronoi"))
    )
    for color in ((0.65, 0.1, 0.08), (0.2, 0.35, 0.1), (0.15, 0.1, 0.12)):
        toppings = []
        for _ in range(int(rng.integers(3, 8))):
            a, q = rng.uniform(0, 6.28), r * 0.78 * np.sqrt(rng.random())
            toppings.append(
                place(cylinder(rng.uniform(0.008, 0.016), 0.011, 0.0145, 12), (q * np.cos(a), q * np.sin(a), 0))
            )
        model.add(merge(toppings), paint.plain(paint.near(color), 0.4))
    return model.solid_cylinder(r, 0, 0.014)


def sandwich(paint: Palette) -> ObjectModel:
    """Bun or toast with fillings."""
    rng = paint.rng
    model = ObjectModel("Sandwich", tips=False)
    r = rng.uniform(0.04, 0.055)
    crust = paint.food((0.78, 0.52, 0.25), (0.65, 0.4, 0.18), ("grad", "speckle"))
    model.add(lathe([(0, 0), (r * 0.9, 0), (r, 0.012), (r * 0.97, 0.02), (0, 0.02)], 24, crease=50), crust)
    z = 0.02
    for color in (paint.pick([(0.35, 0.6, 0.15), (0.9, 0.7, 0.2)]), (0.35, 0.18, 0.1), (0.8, 0.15, 0.1)):
        thick = rng.uniform(0.004, 0.01)
        filling = ellipsoid(
            r * rng.uniform(1.0, 1.12), r * rng.uniform(1.0, 1.12), thick * 0.8, 0.5, 1.0, 24, 8, 0.04, rng
        )
        model.add(filling, paint.food(color, np.asarray(color) * 0.8), (0, 0, z + thick * 0.5))
        z += thick
    top = [(0, z), (r, z), (r * 1.02, z + 0.008), (r * 0.8, z + 0.024), (r * 0.4, z + 0.032), (0, z + 0.034)]
    model.add(lathe(top, 24, crease=60), crust)
    return model.solid_cylinder(r, 0, z + 0.028)


def cheese(paint: Palette) -> ObjectModel:
    """Wedge with rind."""
    rng = paint.rng
    model = ObjectModel("Cheese", tips=False)
    reach, half, high = rng.uniform(0.07, 0.1), rng.uniform(0.03, 0.045), rng.uniform(0.02, 0.035)
    wedge = [(-reach * 0.6, 0), (reach * 0.4, -half), (reach * 0.4, half)]
    flesh = paint.food((0.93, 0.78, 0.35), (0.88, 0.7, 0.25), ("plain", "dots", "voronoi"))
    model.add(prism(wedge, 0, 2 * high), flesh)
    rind = paint.plain(paint.pick([(0.7, 0.12, 0.1), (0.85, 0.65, 0.3), (0.9, 0.88, 0.82)]), 0.5)
    model.add(box(0.003, half * 1.01, high * 1.01, 0.001), rind, (reach * 0.4, 0, high))
    return model.solid_box(reach * 0.2, half * 0.8, high, (reach * 0.2, 0, high)).solid_box(
        reach * 0.3, half * 0.35, high, (-reach * 0.2, 0, high)
    )


def can(paint: Palette) -> ObjectModel:
    """Drink or food tin; the flat ones are fish and pet food."""
    rng = paint.rng
    model = ObjectModel("Can")
    drink = paint.chance(0.5)
    radius, height = (
        (0.033, rng.uniform(0.09, 0.16)) if drink else (rng.uniform(0.036, 0.055), rng.uniform(0.035, 0.12))
    )
    tin, b = paint.metal((0.75, 0.75, 0.77)), 0.004
    profile = [
        (0, 0.002),
        (radius * 0.8, 0),
        (radius - 0.003, b),
        (radius, b * 2),
        (radius, height - b * 2),
        (radius - 0.004, height - b),
        (radius - 0.005, height),
        (radius - 0.007, height - 0.003),
        (0, height - 0.003),
    ]
    model.add(lathe(profile), tin)
    sleeve = [(radius + 0.0005, b * 2.2), (radius + 0.0005, height - b * 2.2)]
    model.add(lathe(sleeve), paint.printed(repeat_u=int(rng.integers(1, 3))))
    if paint.chance(0.6):
        model.add(box(0.004, 0.011, 0.0008, 0.0004), paint.metal(), (0.006, 0, height - 0.0018))
    return model.solid_cylinder(radius, 0, height)


def milk_carton(paint: Palette) -> ObjectModel:
    """Printed box with a gabled top, seam and cap."""
    rng = paint.rng
    model = ObjectModel("MilkCarton")
    w, h = rng.uniform(0.035, 0.05), rng.uniform(0.14, 0.22)
    print_ = paint.printed()
    model.add(box(w, w, h / 2, 0.002, True), print_, (0, 0, h / 2))
    roof = place(prism([(-w, 0), (w, 0), (0, w * 1.1)], -w, w), turn=rotation("x", 90))
    model.add(roof, print_ if paint.chance(0.4) else paint.plain(), (0, 0, h))
    model.add(box(0.004, w, 0.012, 0.001), paint.plain(), (0, 0, h + w * 1.05))
    if paint.chance(0.7):
        model.add(cylinder(0.013, 0, 0.02, 16), paint.plastic(), (w * 0.45, 0, h + w * 0.45), rotation("y", 48))
    model.solid_box(w, w, h / 2, (0, 0, h / 2))
    return model.solid_box(w * 0.4, w, w * 0.5, (0, 0, h + w * 0.5))


def cereal_box(paint: Palette) -> ObjectModel:
    """Printed box with another print on its front."""
    rng = paint.rng
    model = ObjectModel("CerealBox")
    w, d, h = rng.uniform(0.05, 0.1), rng.uniform(0.02, 0.04), rng.uniform(0.08, 0.16)
    model.add(box(w, d, h, 0.0015, True), paint.printed(), (0, 0, h))
    model.add(box(w * 0.98, 0.0008, h * 0.98, 0.0004, True), paint.printed(), (0, -d - 0.0003, h))
    model.add(box(w, d, 0.002, 0.0008), paint.plain(), (0, 0, 2 * h))
    return model.solid_box(w, d, h, (0, 0, h))


def carton(paint: Palette) -> ObjectModel:
    """Cardboard box with tape and stickers, or a printed gift or product box."""
    rng = paint.rng
    model = ObjectModel("Box")
    w, d, h = rng.uniform(0.04, 0.2), rng.uniform(0.04, 0.16), rng.uniform(0.02, 0.14)
    printed = paint.chance(0.45)
    shell = paint.printed() if printed else _cardboard(paint)
    model.add(box(w, d, h, 0.002, printed), shell, (0, 0, h))
    if not printed or paint.chance(0.3):
        tape = paint.plastic(np.array([0.8, 0.72, 0.5]) * rng.uniform(0.6, 1.1)) if not printed else paint.fabric()
        model.add(box(w + 0.0008, min(0.022, d * 0.4), h + 0.0008, 0.001), tape, (0, 0, h))
    for side in (-1, 1):
        if paint.chance(0.6):
            at = (rng.uniform(-0.4, 0.4) * w, side * (d + 0.001), h * rng.uniform(0.7, 1.3))
            model.add(box(w * 0.45, 0.0006, h * 0.4, 0.0003, True), paint.printed(), at)
    return model.solid_box(w, d, h, (0, 0, h))


def snack_bag(paint: Palette) -> ObjectModel:
    """Foil bag, blown up like crisps or flat and floppy like sweets, lying on its back."""
    rng = paint.rng
    model = ObjectModel("SnackBag", tips=False)
    w, d, h = rng.uniform(0.06, 0.11), rng.uniform(0.08, 0.15), rng.uniform(0.014, 0.035)
    foil = paint.printed(roughness=rng.uniform(0.15, 0.4), repeat_u=1 / (4 * w), repeat_v=1 / (2.5 * h + 0.08))
    model.add(ellipsoid(w, d * 0.92, h, 1.0, 0.35, 30, 14, 0.03, rng), foil, (0, 0, h))
    seam = paint.metal()
    for side in (-1, 1):
        model.add(box(w * 0.97, 0.009, 0.0012, 0.0008), seam, (0, side * d * 0.93, h))
    return model.solid_box(w * 0.9, d * 0.85, h * 0.85, (0, 0, h * 0.87))


def egg_carton(paint: Palette) -> ObjectModel:
    """Open carton with its eggs: sold and carried as one."""
    rng = paint.rng
    model = ObjectModel("EggCarton", tips=False)
    pulp = paint.pattern(
        ("noise", "carpet"),
        0.95,
        bump=0.001,
        color=paint.pick([(0.6, 0.58, 0.54), (0.55, 0.45, 0.35), (0.5, 0.6, 0.65)]),
    )
    columns, pitch = int(rng.integers(3, 6)), 0.046
    half = columns * pitch / 2 + 0.004
    model.add(box(half, pitch + 0.004, 0.018, 0.008), pulp, (0, 0, 0.018))
    model.add(box(half, 0.004, pitch * 0.95, 0.004), pulp, (0, pitch + 0.012, 0.03 + pitch * 0.9), rotation("x", -18))
    shell = paint.plain(paint.pick([(0.93, 0.9, 0.85), (0.8, 0.58, 0.42)]), 0.5)
    spots = [((i - (columns - 1) / 2) * pitch, (j - 0.5) * pitch) for i in range(columns) for j in range(2)]
    eggs = [
        place(ellipsoid(0.02, 0.02, 0.026, around=14, along=10), (x, y, 0.036)) for x, y in spots if paint.chance(0.8)
    ]
    if eggs:
        model.add(merge(eggs), shell)
    return model.solid_box(half, pitch + 0.004, 0.024, (0, 0, 0.024)).solid_box(
        half, 0.008, 0.045, (0, pitch + 0.012, 0.07)
    )


def _cardboard(paint: Palette) -> Material:
    color: Color = CARDBOARD * paint.rng.uniform(0.7, 1.2)
    return paint.pattern(("noise", "plain", "carpet"), 0.9, color=color, contrast=0.1)


BUILDERS: dict[str, Builder] = {
    **{name: partial(round_fruit, category=name) for name in ROUND_FRUIT},
    "Pear": pear,
    "Lemon": lemon,
    "Banana": banana,
    "Grapes": grapes,
    **{name: partial(small_round, category=name) for name in ("Walnut", "Egg", "Strawberry", "Mushroom")},
    **{name: partial(long_vegetable, category=name) for name in ("Carrot", "Cucumber", "Eggplant")},
    "BellPepper": pepper,
    "Lettuce": lettuce,
    "Bread": bread,
    "Croissant": croissant,
    "Cookie": cookie,
    "Donut": donut,
    "Cake": cake,
    "Pizza": pizza,
    "Sandwich": sandwich,
    "Cheese": cheese,
    "Can": can,
    "MilkCarton": milk_carton,
    "CerealBox": cereal_box,
    "Box": carton,
    "SnackBag": snack_bag,
    "EggCarton": egg_carton,
}
