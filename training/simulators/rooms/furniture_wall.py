"""What hangs on walls and ceilings or lies flat on the floor: windows, curtains, doors, pictures, shelves, rugs.

Wall pieces have their back at y = 0 or a little behind and are placed by their middle.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from training.simulators.rooms.materials import BLACK, WARM_WHITE, WHITE, Palette
from training.simulators.rooms.mesh import (
    box,
    cylinder,
    disc,
    ellipsoid,
    lathe,
    merge,
    place,
    ring,
    rotation,
    sheet_through,
    tube,
)
from training.simulators.rooms.objects import Builder, ObjectModel, Surface
from training.simulators.rooms.objects_office import FACE_FRONT
from training.simulators.rooms.scene import Material, PointLight

RAIL_REACH, RAIL_RADIUS = 0.06, 0.008
"""m from the wall to the middle of a towel rail, and the rail's radius."""
ROLL_REACH = 0.07
"""m from the wall to the middle of a roll of toilet paper."""


def rug(paint: Palette) -> ObjectModel:
    """Rectangular or round rug with a border, perhaps fringes."""
    rng = paint.rng
    model = ObjectModel("Rug")
    t = 0.005
    if paint.chance(0.25):
        radius = rng.uniform(0.5, 0.9)
        model.add(
            lathe([(0, 0), (radius, 0), (radius, t), (radius - 0.004, 2 * t), (0, 2 * t)], 40, wrapped=False),
            paint.fabric(scale=0.5),
        )
        if paint.chance(0.7):
            model.add(cylinder(radius * rng.uniform(0.5, 0.85), 0, 2 * t + 0.001, 40), paint.fabric(scale=0.5))
        return model.solid_cylinder(radius, 0, 2 * t)
    w, d = rng.uniform(0.5, 1.2), rng.uniform(0.35, 0.8)
    model.add(box(w, d, t, 0.003), paint.fabric(scale=0.5), (0, 0, t))
    if paint.chance(0.7):
        inner = rng.uniform(0.75, 0.93)
        model.add(box(w * inner, d * inner, t + 0.0008, 0.002), paint.fabric(scale=0.6), (0, 0, t))
    if paint.chance(0.4):
        fringe = paint.plain()
        for side in (-1, 1):
            model.add(box(0.03, d * 0.98, 0.002, 0.001), fringe, (side * (w + 0.025), 0, 0.002))
    return model.solid_box(w, d, t, (0, 0, t))


def picture(paint: Palette, category: str) -> ObjectModel:
    """Framed painting or mirror, centred on the origin."""
    rng = paint.rng
    model = ObjectModel(category)
    w, h, border = rng.uniform(0.12, 0.5), rng.uniform(0.12, 0.4), rng.uniform(0.012, 0.035)
    _frame(model, w, h, border, 0.014, paint.hard())
    mat = category == "Painting" and paint.chance(0.4)
    if mat:
        model.add(box(w, 0.004, h, 0.001), paint.plain((0.95, 0.94, 0.9), 0.9), (0, 0.004, 0))
    size = 0.7 if mat else 1.0
    image = paint.printed("art", 0.5) if category == "Painting" else paint.printed("sky", 0.05, tint=(0.8, 0.85, 0.88))
    model.add(box(w * size, 0.005, h * size, 0.001, True), image, (0, 0.002, 0))
    return model


def poster(paint: Palette) -> ObjectModel:
    """Printed sheet held by two strips of tape."""
    rng = paint.rng
    model = ObjectModel("Poster")
    w, h = rng.uniform(0.15, 0.35), rng.uniform(0.2, 0.45)
    model.add(
        box(w, 0.001, h, 0.0005, True), paint.printed("art" if paint.chance(0.7) else "label", 0.8), (0, -0.001, 0)
    )
    tape = paint.plastic()
    for x in (-1, 1):
        model.add(box(0.02, 0.0006, 0.01, 0.0003), tape, (x * w * 0.93, -0.0025, h * 0.96), rotation("y", 45 * x))
    return model


def wall_clock(paint: Palette) -> ObjectModel:
    """Case, rim, dial and hands."""
    rng = paint.rng
    model = ObjectModel("WallClock")
    radius = rng.uniform(0.1, 0.2)
    model.add(cylinder(radius, 0, 0.03, 36), paint.hard(), turn=FACE_FRONT)
    model.add(ring(radius * 0.96, radius * 0.07, 36), paint.hard(), (0, -0.03, 0), FACE_FRONT)
    repeats = 1 / (1.85 * radius)
    dial = paint.printed("dial", 0.3, repeat_u=repeats, repeat_v=repeats, offset=0.5)
    model.add(disc(radius * 0.92, 0.03, 0.0315, 36), dial, turn=FACE_FRONT)
    for reach in (radius * 0.5, radius * 0.75):
        hand = place(box(0.004, reach / 2, 0.001, 0.0005), (0, reach / 2, 0.034))
        model.add(hand, paint.black(), turn=FACE_FRONT @ rotation("z", rng.uniform(0, 360)))
    return model


def wall_shelf(paint: Palette) -> ObjectModel:
    """Board on two brackets."""
    rng = paint.rng
    model = ObjectModel("Shelf", shelf=True)
    w, d = rng.uniform(0.25, 0.6), rng.uniform(0.09, 0.14)
    model.add(box(w, d, 0.012, 0.003), paint.surface())
    bracket = paint.metal()
    for side in (-1, 1):
        model.add(box(0.008, d * 0.9, 0.008, 0.002), bracket, (side * w * 0.7, 0, -0.02))
        model.add(box(0.008, 0.008, 0.07, 0.002), bracket, (side * w * 0.7, d * 0.9, -0.08))
    model.surfaces.append(Surface(0, -0.005, w * 0.95, d * 0.85, 0.012, 0.6))
    return model.solid_box(w, d, 0.012, (0, 0, 0))


def wall_television(paint: Palette) -> ObjectModel:
    """Flat screen that hangs on the wall."""
    rng = paint.rng
    model = ObjectModel("Television")
    w = rng.uniform(0.4, 0.65)
    h = w * 0.57
    model.add(box(w, 0.025, h, 0.006), paint.plastic(BLACK))
    screen = paint.printed(
        "screen" if paint.chance(0.7) else "art", 0.1, rng.uniform(0, 1.3) if paint.chance(0.6) else 0
    )
    model.add(box(w * 0.975, 0.001, h * 0.96, 0.0005, True), screen, (0, -0.0255, 0))
    return model


def window(paint: Palette, w: float, h: float) -> ObjectModel:
    """Frame, mullions, sill and the bright view outside; half width w, half height h."""
    rng = paint.rng
    model = ObjectModel("Window", casts_shadow=False)
    frame = paint.plain(WHITE * rng.uniform(0.4, 1)) if paint.chance(0.7) else paint.wood()
    _frame(model, w, h, 0.03, 0.04, frame)
    for x in np.linspace(-1, 1, int(rng.integers(2, 5)))[1:-1]:
        model.add(box(0.014, 0.02, h, 0.004), frame, (x * w, 0, 0))
    if paint.chance(0.5):
        model.add(box(w, 0.02, 0.014, 0.004), frame, (0, 0, rng.uniform(-0.3, 0.4) * h))
    model.add(box(w, 0.001, h, 0.0005, True), paint.printed("sky", 0.15, rng.uniform(1.0, 5.0)), (0, 0.03, 0))
    return model.add(box(w + 0.06, 0.05, 0.012, 0.004), frame, (0, -0.01, -h - 0.035))


def curtain(paint: Palette, drop: float) -> ObjectModel:
    """Folded cloth of height `drop` below its rod; the origin is the middle of the rod."""
    rng = paint.rng
    model = ObjectModel("Curtains")
    w, folds = rng.uniform(0.12, 0.3), rng.uniform(5, 10)
    x, z = np.meshgrid(np.linspace(-w, w, 44), np.linspace(0, -drop, 6), indexing="ij")
    deep = 0.012 + 0.016 * (-z / drop)
    y = deep * np.sin(x / w * folds * np.pi / 2 + rng.uniform(0, 6))
    model.add(sheet_through(np.stack([x, y, z], -1), 0.003), paint.fabric(scale=0.4))
    model.add(tube([(-w * 1.1, 0, 0), (w * 1.1, 0, 0)], 0.012, 8), paint.metal() if paint.chance(0.5) else paint.wood())
    if paint.chance(0.3):
        model.add(box(w * 0.9, 0.036, 0.02, 0.01), paint.fabric(), (0, 0, -drop * 0.6))
    return model


def blinds(paint: Palette, w: float, drop: float) -> ObjectModel:
    """Slatted blind of half width w in front of a window; the origin is the middle of its top."""
    rng = paint.rng
    model = ObjectModel("Blinds")
    length, tilt = drop * rng.uniform(0.3, 1.0), rng.uniform(-50, 50)
    slats = [
        place(box(w, 0.012, 0.0008, 0.0005), (0, 0, -z), rotation("x", tilt)) for z in np.arange(0.03, length, 0.022)
    ]
    model.add(merge(slats), paint.plain() if paint.chance(0.7) else paint.wood())
    rail = paint.plastic()
    model.add(box(w + 0.005, 0.015, 0.014, 0.004), rail, (0, 0, 0)).add(
        box(w, 0.013, 0.007, 0.003), rail, (0, 0, -length - 0.01)
    )
    cords = [place(cylinder(0.0012, -length, 0, 5), (x * w, -0.012, 0)) for x in (-0.7, 0.7)]
    return model.add(merge(cords), paint.plain())


def towel_holder(paint: Palette, w: float) -> ObjectModel:
    """Rail of half width w on two posts; a towel may hang over it. The origin is the middle of the rail's wall side."""
    model = ObjectModel("TowelHolder")
    steel = paint.metal() if paint.chance(0.8) else paint.wood()
    model.add(tube([(-w, -RAIL_REACH, 0), (w, -RAIL_REACH, 0)], RAIL_RADIUS, 10), steel)
    for side in (-1, 1):
        model.add(tube([(side * w * 0.97, 0, 0), (side * w * 0.97, -RAIL_REACH, 0)], 0.007, 8), steel)
        model.add(disc(0.022, 0, 0.006, 16), steel, (side * w * 0.97, 0, 0), FACE_FRONT)
    return model.solid_rod(RAIL_RADIUS, (-w, -RAIL_REACH, 0), (w, -RAIL_REACH, 0))


def hanging_towel(paint: Palette, w: float) -> ObjectModel:
    """Towel of half width w over a rail, whose middle is the origin of both."""
    rng = paint.rng
    model = ObjectModel("Cloth")
    front, back, r = rng.uniform(0.25, 0.5), rng.uniform(0.1, 0.25), RAIL_RADIUS + 0.0045
    over = [(r * np.cos(angle), r * np.sin(angle)) for angle in np.linspace(0, np.pi, 7)]
    profile = np.array(
        [(r + 0.006, -back), (r + 0.002, -back / 2), *over, (-r - 0.004, -front / 2), (-r - 0.01, -front)]
    )
    x = np.linspace(w, -w, 12)
    ripple = (
        0.004 * np.sin(x / w * rng.uniform(3, 8) + rng.uniform(0, 6))[:, None] * np.clip(-profile[:, 1], 0, 0.2) * 5
    )
    points = np.empty((len(x), len(profile), 3))
    points[..., 0] = x[:, None]
    points[..., 1] = profile[:, 0] - RAIL_REACH + ripple
    points[..., 2] = profile[:, 1]
    return model.add(sheet_through(points, 0.004), paint.fabric(scale=0.2))


def toilet_paper_hanger(paint: Palette) -> ObjectModel:
    """Plate at the wall with an arm, perhaps a lid; the origin is the middle of the plate's back. A roll on the arm is
    an object of its own."""
    model = ObjectModel("ToiletPaperHanger")
    steel = paint.metal()
    model.add(box(0.03, 0.004, 0.03, 0.003), steel, (-0.075, -0.004, 0))
    model.add(tube([(-0.075, 0, 0), (-0.075, -ROLL_REACH, 0), (0.07, -ROLL_REACH, 0)], 0.006, 8), steel)
    if paint.chance(0.4):
        model.add(box(0.065, 0.045, 0.002, 0.001), steel, (0, -0.045, 0.062))
        model.add(box(0.065, 0.002, 0.03, 0.001), steel, (0, -0.002, 0.034))
    return model.solid_box(0.085, 0.06, 0.06, (0, -0.06, 0))


def hanging_roll(paint: Palette) -> ObjectModel:
    """Toilet paper on the arm of its hanger, whose origin it shares, with a loose end."""
    rng = paint.rng
    model = ObjectModel("ToiletPaper")
    paper = paint.plain(WHITE * rng.uniform(0.75, 1.0), 0.95)
    radius, half = rng.uniform(0.03, 0.055), 0.05
    ring_profile = [(0.02, -half), (radius, -half), (radius, half), (0.02, half), (0.02, -half)]
    at = (0, -ROLL_REACH, -0.013)
    model.add(lathe(ring_profile, 28), paper, at, rotation("y", 90))
    end = rng.uniform(0.03, 0.12)
    return model.add(box(half, 0.0006, end / 2, 0.0003), paper, (0, at[1] - radius - 0.0004, at[2] - end / 2))


def shower_curtain(paint: Palette, w: float, drop: float) -> ObjectModel:
    """Curtain with its rod along a bathtub of half length w; the origin is the middle of the rod."""
    rng = paint.rng
    model = ObjectModel("ShowerCurtain")
    left, right = (-w, rng.uniform(-0.4, 0.9) * w) if paint.chance(0.5) else (rng.uniform(-0.9, 0.4) * w, w)
    x, z = np.meshgrid(np.linspace(left, right, 60), np.linspace(-0.02, -drop, 5), indexing="ij")
    y = 0.02 * np.sin((x - left) / (right - left) * rng.uniform(25, 50) + rng.uniform(0, 6))
    cloth = paint.fabric(scale=0.5) if paint.chance(0.6) else paint.plastic()
    model.add(sheet_through(np.stack([x, y, z], -1), 0.002), cloth)
    return model.add(tube([(-w * 1.05, 0, 0), (w * 1.05, 0, 0)], 0.011, 8), paint.metal())


def door(paint: Palette) -> ObjectModel:
    """Closed door in its frame, standing at the wall; the origin is on the floor."""
    rng = paint.rng
    model = ObjectModel("Door")
    w, h = 0.42, 2.02
    leaf_material = paint.wood() if paint.chance(0.5) else paint.plain()
    frame = leaf_material if paint.chance(0.3) else paint.plain()
    model.add(box(w, 0.02, h / 2, 0.004), leaf_material, (0, 0, h / 2))
    for side in (-1, 1):
        model.add(box(0.04, 0.035, h / 2 + 0.04, 0.005), frame, (side * (w + 0.04), 0, h / 2 + 0.04))
    model.add(box(w + 0.08, 0.035, 0.04, 0.005), frame, (0, 0, h + 0.04))
    panels = int(rng.integers(1, 4))
    inlay = leaf_material if paint.chance(0.6) else paint.plain()
    for i in range(panels):
        model.add(box(w * 0.7, 0.006, h / 2 / panels * 0.75, 0.004), inlay, (0, -0.022, h * (i + 0.5) / panels))
    knob = lathe([(0.012, 0), (0.012, 0.03), (0.027, 0.04), (0.02, 0.06), (0, 0.062)], 14)
    return model.add(knob, paint.metal(), (w * 0.85, -0.02, 1.0), FACE_FRONT)


def ceiling_light(paint: Palette) -> ObjectModel:
    """Hanging lamp; the origin is on the ceiling."""
    rng = paint.rng
    model = ObjectModel("CeilingLight", casts_shadow=False)
    drop, radius, glow = rng.uniform(0.1, 0.7), rng.uniform(0.12, 0.25), rng.uniform(1, 5)
    model.add(cylinder(0.004, -drop, 0, 6), paint.black())
    model.add(cylinder(0.05, -0.025, 0, 16), paint.metal())
    bulb = paint.plain(WARM_WHITE, 0.8, glow)
    style = int(rng.integers(3))
    if style == 0:
        model.add(lathe([(radius, -drop - 0.16), (radius * 0.5, -drop), (0, -drop)]), paint.plain(None, None, 0.3))
        model.add(
            lathe([(0, -drop - 0.002), (radius * 0.49, -drop - 0.002), (radius - 0.003, -drop - 0.159)]),
            paint.plain(WHITE, 0.8, 0.5),
        )
        model.add(ellipsoid(0.05, 0.05, 0.06), bulb, (0, 0, -drop - 0.1))
    elif style == 1:
        model.add(ellipsoid(radius * 0.7, radius * 0.7, radius * 0.7), bulb, (0, 0, -drop - radius * 0.6))
    else:
        model.add(lathe([(radius, -drop - 0.12), (radius, -drop), (0, -drop)]), paint.fabric())
        model.add(lathe([(0, -drop - 0.119), (radius - 0.002, -drop - 0.119)]), bulb)
    model.light = PointLight((0, 0, -drop - 0.3), (1.0, 0.95, 0.85), glow)
    return model


def _frame(model: ObjectModel, w: float, h: float, border: float, thick: float, material: Material) -> None:
    """Four bars around an opening of half extents w, h in the x z plane."""
    for x, z, hx, hz in (
        (0, h, w + border, border),
        (0, -h, w + border, border),
        (w, 0, border, h - border),
        (-w, 0, border, h - border),
    ):
        model.add(box(hx, thick, hz, 0.005), material, (x, 0, z))


BUILDERS: dict[str, Builder] = {
    "Rug": rug,
    "TowelHolder": partial(towel_holder, w=0.25),
    "ToiletPaperHanger": toilet_paper_hanger,
    "ShowerCurtain": partial(shower_curtain, w=0.8, drop=1.6),
    "Painting": partial(picture, category="Painting"),
    "Mirror": partial(picture, category="Mirror"),
    "Poster": poster,
    "WallClock": wall_clock,
    "Door": door,
    "CeilingLight": ceiling_light,
}
