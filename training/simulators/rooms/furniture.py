"""Tables, seats, storage, beds and appliances: what stands on the floor and carries the small objects.
A sofa's cushions, a desk's drawers and a stove's knobs are parts of it; a pillow on a bed is an object of its own."""

from __future__ import annotations

from functools import partial

import numpy as np

from training.simulators.rooms.materials import BLACK, WHITE, Palette
from training.simulators.rooms.mesh import box, cylinder, ellipsoid, lathe, merge, place, ring, rotation, tube
from training.simulators.rooms.objects import Builder, ObjectModel, Surface
from training.simulators.rooms.objects_office import FACE_FRONT, lamp
from training.simulators.rooms.scene import Material

# category: half width, half depth and height ranges in m
TABLE_SIZES = {
    "DiningTable": ((0.5, 0.9), (0.38, 0.5), (0.7, 0.78)),
    "CoffeeTable": ((0.4, 0.6), (0.25, 0.35), (0.38, 0.48)),
    "SideTable": ((0.2, 0.3), (0.2, 0.28), (0.45, 0.65)),
}


def add_legs(model: ObjectModel, paint: Palette, w: float, d: float, height: float, material: Material) -> None:
    """Four legs under a top of half extents w, d: square, turned or splayed."""
    rng = paint.rng
    style, thick, inset = int(rng.integers(3)), rng.uniform(0.016, 0.03), 0.03
    shoe = paint.chance(0.25)
    legs, shoes = [], []
    for x in (-w + inset, w - inset):
        for y in (-d + inset, d - inset):
            model.solid_box(thick, thick, height / 2, (x, y, height / 2))
            if style == 0:
                legs.append(place(box(thick, thick, height / 2), (x, y, height / 2)))
            elif style == 1:
                legs.append(place(cylinder(thick * 0.55, 0, height, 12, thick), (x, y, 0)))
            else:
                foot = (x + 0.03 * np.sign(x), y + 0.03 * np.sign(y), 0)
                legs.append(tube([foot, (x, y, height)], thick * 0.8, 8))
            if shoe:
                shoes.append(place(cylinder(thick * 1.1, 0, 0.02, 10), (x, y, 0)))
    for leg in legs:
        model.add(leg, material)
    if shoe:
        model.add(merge(shoes), paint.plastic())


def table(paint: Palette, category: str) -> ObjectModel:
    """Dining, coffee or side table: top, legs, perhaps apron, lower board and runner."""
    rng = paint.rng
    model = ObjectModel(category)
    (w, d, h) = (rng.uniform(*limits) for limits in TABLE_SIZES[category])
    t = rng.uniform(0.01, 0.022)
    top, stand = paint.surface(), paint.hard()
    if paint.chance(0.25):
        return _round_table(model, min(w, d) * 1.1, h, t, top, stand)
    model.add(box(w, d, t, 0.005), top, (0, 0, h - t)).solid_box(w, d, t, (0, 0, h - t))
    add_legs(model, paint, w, d, h - 2 * t, stand)
    if paint.chance(0.6):
        apron = paint.wood() if paint.chance(0.4) else stand
        z = h - 2 * t - 0.035
        for side in (-1, 1):
            model.add(box(w * 0.92, 0.01, 0.035, 0.003), apron, (0, side * d * 0.88, z))
            model.add(box(0.01, d * 0.88, 0.035, 0.003), apron, (side * w * 0.92, 0, z))
    if category != "DiningTable" and paint.chance(0.35):
        z = h * 0.3
        model.add(box(w * 0.93, d * 0.9, 0.01), paint.surface(), (0, 0, z)).solid_box(
            w * 0.93, d * 0.9, 0.01, (0, 0, z)
        )
        model.surfaces.append(Surface(0, 0, w * 0.8, d * 0.75, z + 0.01, h * 0.55))
    lift = 0.0
    if paint.chance(0.3):
        runner, lift = paint.fabric() if paint.chance(0.5) else paint.folded(), 0.0024
        covers = paint.chance(0.6)
        half, hangs = w + 0.003 if covers else w * 0.3, rng.uniform(0.03, 0.12)
        model.add(box(half, d + 0.003, 0.0012, 0.001), runner, (0, 0, h + 0.0012))
        model.solid_box(half, d + 0.003, 0.0012, (0, 0, h + 0.0012))
        for side in (-1, 1):
            model.add(box(half, 0.0015, hangs, 0.001), runner, (0, side * (d + 0.003), h + 0.002 - hangs))
            if covers:
                model.add(box(0.0015, d + 0.003, hangs, 0.001), runner, (side * half, 0, h + 0.002 - hangs))
    model.surfaces.append(Surface(0, 0, w * 0.93, d * 0.9, h + lift))
    return model


def _round_table(model: ObjectModel, radius: float, h: float, t: float, top: Material, stand: Material) -> ObjectModel:
    plate = [(0, h - 2 * t), (radius - 0.01, h - 2 * t), (radius, h - t), (radius - 0.004, h), (0, h)]
    model.add(lathe(plate, 40, wrapped=False), top)
    model.add(cylinder(0.035, 0.02, h - 2 * t, 16), stand)
    foot = radius * 0.6
    model.add(lathe([(0, 0), (foot, 0), (foot, 0.015), (0.06, 0.05), (0, 0.05)]), stand)
    model.solid_cylinder(radius, h - 2 * t, h).solid_cylinder(0.05, 0, h).solid_cylinder(foot, 0, 0.02)
    model.surfaces.append(Surface(0, 0, radius * 0.68, radius * 0.68, h))
    return model


def desk(paint: Palette) -> ObjectModel:
    """Top on a chest of drawers and a side panel or two legs."""
    rng = paint.rng
    model = ObjectModel("Desk")
    w, d, h, t = rng.uniform(0.5, 0.75), rng.uniform(0.28, 0.38), rng.uniform(0.72, 0.78), 0.015
    top = paint.surface()
    body = paint.surface() if paint.chance(0.5) else top
    model.add(box(w, d, t, 0.004), top, (0, 0, h - t)).solid_box(w, d, t, (0, 0, h - t))
    side = 1 if paint.chance(0.5) else -1
    chest, half = 0.2, (h - 2 * t - 0.04) / 2
    x = side * (w - chest)
    model.add(box(chest, d * 0.95, half, 0.003), body, (x, 0, half + 0.04))
    model.solid_box(chest, d * 0.95, half, (x, 0, half + 0.04))
    front, handle = paint.surface() if paint.chance(0.6) else body, paint.metal()
    drawers = int(rng.integers(2, 5))
    for i in range(drawers):
        z = 0.04 + 2 * half * (i + 0.5) / drawers
        model.add(box(chest * 0.94, 0.008, half / drawers * 0.9, 0.002), front, (x, -d * 0.95 - 0.006, z))
        model.add(box(chest * 0.3, 0.008, 0.006, 0.003), handle, (x, -d * 0.95 - 0.02, z))
    if paint.chance(0.6):
        model.add(box(0.016, d * 0.9, (h - 2 * t) / 2), body, (-side * (w - 0.03), 0, (h - 2 * t) / 2))
    else:
        for end in (-1, 1):
            model.add(cylinder(0.02, 0, h - 2 * t, 12), handle, (-side * (w - 0.05), end * d * 0.8, 0))
    model.solid_box(0.02, d * 0.9, h / 2 - t, (-side * (w - 0.03), 0, h / 2 - t))
    model.surfaces.append(Surface(0, 0, w * 0.94, d * 0.88, h))
    return model


def chair(paint: Palette) -> ObjectModel:
    """Seat, legs, back of slats, board or rods, perhaps a cushion."""
    rng = paint.rng
    model = ObjectModel("Chair")
    w, h, back = rng.uniform(0.19, 0.23), rng.uniform(0.42, 0.48), rng.uniform(0.4, 0.52)
    frame = paint.hard()
    t = 0.017
    model.add(box(w, w, 0.018, 0.008), frame if paint.chance(0.5) else paint.surface(), (0, 0, h))
    for x in (-w + t, w - t):
        model.add(box(t, t, h / 2), frame, (x, -w + t, h / 2)).solid_box(t, t, h / 2, (x, -w + t, h / 2))
        post = [(x, w + 0.03, 0), (x, w - t, h * 0.6), (x, w, h), (x, w + 0.07, h + back)]
        model.add(tube(post, t, 8), frame).solid_box(t, t, h / 2, (x, w, h / 2))
    _chair_back(model, paint, w, h, back, frame)
    seat = h + 0.018
    if paint.chance(0.45):
        model.add(box(w * 0.92, w * 0.92, 0.018, 0.016), paint.fabric(), (0, -0.01, h + 0.034))
        seat = h + 0.052
        model.solid_box(w * 0.92, w * 0.92, 0.018, (0, -0.01, h + 0.034))
    model.solid_box(w, w, 0.018, (0, 0, h)).solid_box(w, 0.02, back / 2, (0, w + 0.04, h + back / 2))
    model.surfaces.append(Surface(0, -0.02, w * 0.7, w * 0.65, seat, 0.5))
    return model


def _chair_back(model: ObjectModel, paint: Palette, w: float, h: float, back: float, frame: Material) -> None:
    """Cross slats, a board or upright rods between the posts."""
    rng = paint.rng
    material = frame if paint.chance(0.5) else paint.surface()
    style = int(rng.integers(3))
    if style == 0:
        for part in np.linspace(0.3, 0.95, int(rng.integers(2, 5))):
            model.add(box(w - 0.02, 0.009, 0.03, 0.005), material, (0, w + 0.012 + 0.058 * part, h + back * part))
    elif style == 1:
        board = material if paint.chance(0.5) else paint.fabric()
        model.add(box(w - 0.02, 0.012, back * 0.42, 0.01), board, (0, w + 0.045, h + back * 0.55), rotation("x", -8))
    else:
        rods = [
            tube([(part * w * 0.75, w + 0.005, h), (part * w * 0.75, w + 0.07, h + back * 0.95)], 0.008, 6)
            for part in np.linspace(-1, 1, int(rng.integers(4, 7)))
        ]
        model.add(merge(rods), material)
        model.add(box(w, 0.014, 0.03, 0.01), material, (0, w + 0.07, h + back * 0.95))


def office_chair(paint: Palette) -> ObjectModel:
    """Star base with wheels, column, seat, back and perhaps arm rests."""
    rng = paint.rng
    model = ObjectModel("OfficeChair")
    w, h = rng.uniform(0.2, 0.25), rng.uniform(0.42, 0.5)
    star, cover = paint.plastic(), paint.fabric()
    wheels = []
    for i in range(5):
        turn = rotation("z", 72 * i)
        tip = turn @ np.array([0.26, 0, 0.06])
        model.add(tube([(0, 0, 0.09), tip], [0.025, 0.014], 8), star)
        wheel = place(cylinder(0.026, -0.012, 0.012, 12), turn=turn @ rotation("x", 90))
        wheels.append(place(wheel, tip * [1, 1, 0] + [0, 0, 0.026]))
    model.add(merge(wheels), paint.black())
    model.add(cylinder(0.025, 0.06, h - 0.03, 12), paint.metal())
    model.add(box(w, w, 0.035, 0.03), cover, (0, 0, h))
    spine = [(0, w * 0.9, h - 0.03), (0, w * 1.15, h + 0.02), (0, w * 1.1, h + 0.25)]
    model.add(tube(spine, 0.018, 8, flatness=1.5), star)
    back = cover if paint.chance(0.6) else paint.fabric()
    model.add(box(w * 0.92, 0.03, 0.24, 0.028), back, (0, w * 1.02, h + 0.36), rotation("x", -8))
    if paint.chance(0.6):
        pad = paint.black()
        for side in (-1, 1):
            rest = [(side * w * 0.9, 0, h), (side * w * 1.15, 0, h + 0.02), (side * w * 1.15, 0, h + 0.2)]
            model.add(tube(rest, 0.014, 6), star)
            model.add(box(0.028, 0.12, 0.014, 0.01), pad, (side * w * 1.15, 0, h + 0.21))
    model.solid_cylinder(0.26, 0, 0.06).solid_cylinder(0.03, 0, h)
    model.solid_box(w, w, 0.035, (0, 0, h)).solid_box(w, 0.03, 0.24, (0, w * 1.02, h + 0.36))
    model.surfaces.append(Surface(0, -0.03, w * 0.6, w * 0.6, h + 0.035, 0.4))
    return model


def stool(paint: Palette) -> ObjectModel:
    """Round seat on four splayed legs with a foot ring."""
    rng = paint.rng
    model = ObjectModel("Stool")
    h, radius = rng.uniform(0.45, 0.7), rng.uniform(0.15, 0.19)
    seat = paint.fabric() if paint.chance(0.5) else paint.wood()
    profile = [(0, h - 0.05), (radius, h - 0.05), (radius, h - 0.01), (radius - 0.02, h), (0, h)]
    model.add(lathe(profile, 28, wrapped=False), seat)
    frame = paint.hard()
    for i in range(4):
        turn = rotation("z", 45 + 90 * i)
        model.add(tube([turn @ [radius * 1.05, 0, 0], turn @ [radius * 0.7, 0, h - 0.04]], 0.014, 8), frame)
    model.add(ring(radius * 0.93, 0.008, 24, 6), paint.metal(), (0, 0, h * 0.35))
    model.solid_cylinder(radius, h - 0.05, h).solid_cylinder(radius, 0, h * 0.3)
    model.surfaces.append(Surface(0, 0, radius * 0.65, radius * 0.65, h, 0.6))
    return model


def ottoman(paint: Palette) -> ObjectModel:
    """Upholstered block with a lid and feet."""
    rng = paint.rng
    model = ObjectModel("Ottoman")
    w, d, h = rng.uniform(0.2, 0.4), rng.uniform(0.2, 0.3), rng.uniform(0.34, 0.45)
    cover = paint.fabric(scale=0.3)
    model.add(box(w, d, h / 2 - 0.06, 0.03), cover, (0, 0, h / 2 - 0.01))
    model.add(box(w + 0.008, d + 0.008, 0.05, 0.035), cover if paint.chance(0.5) else paint.fabric(), (0, 0, h - 0.05))
    foot = paint.hard()
    for x in (-w + 0.05, w - 0.05):
        for y in (-d + 0.05, d - 0.05):
            model.add(cylinder(0.018, 0, 0.06, 10, 0.025), foot, (x, y, 0))
    model.solid_box(w, d, h / 2, (0, 0, h / 2))
    model.surfaces.append(Surface(0, 0, w * 0.8, d * 0.8, h, 0.6))
    model.soft = True
    return model


def bench(paint: Palette) -> ObjectModel:
    """Slatted seat on four legs."""
    rng = paint.rng
    model = ObjectModel("Bench")
    w, d, h, t = rng.uniform(0.45, 0.75), rng.uniform(0.15, 0.2), rng.uniform(0.42, 0.48), 0.018
    seat = paint.wood() if paint.chance(0.6) else paint.surface()
    slats = int(rng.integers(1, 5))
    for y in (np.arange(slats) + 0.5) / slats * 2 * d - d:
        model.add(box(w, d / slats - 0.004, t, 0.004), seat, (0, y, h - t))
    add_legs(model, paint, w, d, h - 2 * t, paint.hard())
    model.solid_box(w, d, t, (0, 0, h - t))
    model.surfaces.append(Surface(0, 0, w * 0.9, d * 0.8, h, 0.8))
    return model


def bookshelf(paint: Palette) -> ObjectModel:
    """Open shelf with boards, sides and perhaps a back."""
    rng = paint.rng
    model = ObjectModel("Shelf", shelf=True)
    w, d, h, t = rng.uniform(0.3, 0.75), rng.uniform(0.13, 0.2), rng.uniform(0.8, 2.1), 0.011
    boards = max(3, int(h / rng.uniform(0.26, 0.42)))
    frame = paint.surface() if paint.chance(0.7) else paint.wood()
    board = frame if paint.chance(0.5) else paint.surface()
    for x in (-w + t, w - t):
        model.add(box(t, d, h / 2, 0.003), frame, (x, 0, h / 2)).solid_box(t, d, h / 2, (x, 0, h / 2))
    if paint.chance(0.7):
        back = board if paint.chance(0.5) else paint.surface()
        model.add(box(w - 0.005, 0.004, h / 2, 0.001), back, (0, d - 0.004, h / 2))
        model.solid_box(w, 0.005, h / 2, (0, d - 0.004, h / 2))
    pitch = (h - 0.06) / (boards - 1)
    for i in range(boards):
        z = 0.05 + i * pitch
        model.add(box(w - 2 * t, d * 0.985, t, 0.003), board, (0, 0, z)).solid_box(w, d, t, (0, 0, z))
        if i < boards - 1:
            model.surfaces.append(Surface(0, 0, w - 2 * t - 0.02, d * 0.85, z + t, pitch - 2 * t - 0.01))
        elif h < 1.5:
            model.surfaces.append(Surface(0, 0, w - 0.06, d * 0.8, z + t, 0.5))
    return model


# category: half width, half depth, height ranges
CHEST_SIZES = {
    "Dresser": ((0.4, 0.6), (0.21, 0.25), (0.75, 1.0)),
    "Cabinet": ((0.35, 0.5), (0.2, 0.24), (0.8, 1.4)),
    "TVStand": ((0.55, 0.8), (0.18, 0.22), (0.4, 0.55)),
    "CounterTop": ((0.6, 1.2), (0.28, 0.32), (0.86, 0.92)),
    "Wardrobe": ((0.4, 0.75), (0.26, 0.31), (1.8, 2.15)),
}


def chest(paint: Palette, category: str) -> ObjectModel:
    """Closed storage with doors and drawers; the counter top may carry a sink."""
    rng = paint.rng
    model = ObjectModel(category)
    (w, d, h) = (rng.uniform(*limits) for limits in CHEST_SIZES[category])
    counter = category == "CounterTop"
    body = paint.surface()
    lift = 0.06 if counter else rng.uniform(0.03, 0.12)
    half = (h - lift - 0.03) / 2
    model.add(box(w, d, half, 0.003), body, (0, 0, lift + half))
    top = paint.stone() if counter else body if paint.chance(0.5) else paint.surface()
    model.add(box(w + 0.01, d + 0.012, 0.015, 0.004), top, (0, 0, h - 0.015))
    model.solid_box(w + 0.01, d + 0.012, h / 2, (0, 0, h / 2))
    if not counter and paint.chance(0.7):
        foot = paint.hard()
        feet = [
            place(cylinder(0.016, 0, lift + 0.002, 10, 0.022), (x * (w - 0.04), y * (d - 0.04), 0))
            for x in (-1, 1)
            for y in (-1, 1)
        ]
        model.add(merge(feet), foot)
    else:
        model.add(box(w - 0.01, d - 0.03, lift / 2 + 0.002, 0.002), paint.black(), (0, 0.01, lift / 2 + 0.002))
    _fronts(model, paint, category, (w, d, lift, half), body)
    if counter and paint.chance(0.5):
        _kitchen_sink(model, paint, w, h)
        model.surfaces.append(Surface(-w * 0.33, 0, w * 0.6, d * 0.88, h))
    elif category != "Wardrobe":
        model.surfaces.append(Surface(0, 0, w * 0.95, d * 0.9, h))
    return model


def _fronts(
    model: ObjectModel, paint: Palette, category: str, size: tuple[float, float, float, float], body: Material
) -> None:
    """Doors or drawers with handles over the front of a chest of half width w, half depth d."""
    rng = paint.rng
    w, d, lift, half = size
    columns = max(1, round(2 * w / rng.uniform(0.35, 0.6)))
    rows = int(rng.integers(2, 5)) if category == "Dresser" else 1
    front = paint.surface() if paint.chance(0.65) else body
    other = paint.surface() if paint.chance(0.15) else front
    handle = paint.metal() if paint.chance(0.7) else paint.plastic()
    bars, panel = paint.chance(0.5), paint.chance(0.5)
    inlay = front if paint.chance(0.6) else paint.surface()
    for i in range(columns):
        for j in range(rows):
            x, z = -w + (i + 0.5) * 2 * w / columns, lift + (j + 0.5) * 2 * half / rows
            a, b = w / columns - 0.006, half / rows - 0.006
            model.add(box(a, 0.009, b, 0.003), front if (i + j) % 2 == 0 else other, (x, -d - 0.007, z))
            if panel and b > 0.1:
                model.add(box(a * 0.7, 0.004, b * 0.75, 0.003), inlay, (x, -d - 0.016, z))
            grip_x = x if rows > 1 else x + (0.75 * a if i % 2 == 0 else -0.75 * a)
            if bars:
                size_xyz = (a * 0.4, 0.008, 0.006) if rows > 1 else (0.006, 0.008, b * 0.25)
                model.add(box(*size_xyz, 0.003), handle, (grip_x, -d - 0.028, z))
            else:
                knob = lathe([(0.005, 0), (0.005, 0.012), (0.014, 0.018), (0.012, 0.026), (0, 0.028)], 10)
                model.add(knob, handle, (grip_x, -d - 0.014, z), FACE_FRONT)


def _kitchen_sink(model: ObjectModel, paint: Palette, w: float, h: float) -> None:
    steel, x = paint.metal(), w * 0.65
    model.add(box(0.2, 0.17, 0.003, 0.002), steel, (x, -0.02, h + 0.003))
    model.add(box(0.175, 0.14, 0.002, 0.001), paint.plain(np.array(steel.color) * 0.35, 0.4), (x, -0.02, h + 0.0052))
    model.add(cylinder(0.02, 0, 0.004, 14), paint.metal(), (x, -0.02, h + 0.005))
    tap = [(x, 0.2, h), (x, 0.2, h + 0.25), (x, 0.13, h + 0.3), (x, 0.05, h + 0.24)]
    model.add(tube(tap, 0.011, 8), paint.metal())
    model.add(box(0.006, 0.025, 0.005, 0.003), steel, (x + 0.04, 0.2, h + 0.04)).add(
        cylinder(0.012, 0, 0.04, 10), steel, (x + 0.04, 0.2, h)
    )


def wall_cabinet(paint: Palette) -> ObjectModel:
    """Kitchen cupboard that hangs on the wall."""
    rng = paint.rng
    model = ObjectModel("Cabinet")
    w, d, h = rng.uniform(0.3, 0.8), rng.uniform(0.14, 0.18), rng.uniform(0.25, 0.38)
    body = paint.surface()
    model.add(box(w, d, h, 0.003), body)
    _fronts(model, paint, "Cabinet", (w, d, -h, h), body)
    return model.solid_box(w, d, h, (0, 0, 0))


def sofa(paint: Palette, category: str) -> ObjectModel:
    """Frame, arms, back and cushions for one to three; the cushions are its parts."""
    rng = paint.rng
    seats = 1 if category == "ArmChair" else int(rng.integers(2, 4))
    model = ObjectModel(category, soft=True)
    w, d = 0.32 * seats + 0.02, rng.uniform(0.36, 0.44)
    seat, arm, arm_top, back = (
        rng.uniform(0.38, 0.46),
        rng.uniform(0.06, 0.11),
        rng.uniform(0.55, 0.65),
        rng.uniform(0.75, 0.92),
    )
    cover = paint.fabric(scale=0.3) if paint.chance(0.8) else paint.plain()
    cushion = cover if paint.chance(0.5) else paint.fabric()
    lean = rotation("x", -rng.uniform(4, 12))
    model.add(box(w, d, (seat - 0.2) / 2, 0.02), cover, (0, 0, (seat - 0.2) / 2 + 0.08))
    model.add(box(w + arm * 0.5, 0.07, (back - 0.1) / 2, 0.04), cover, (0, d - 0.06, (back + 0.1) / 2), lean)
    model.solid_box(w + arm * 2, d, seat / 2 - 0.06, (0, 0, seat / 2 - 0.06))
    model.solid_box(w + arm, 0.08, back / 2, (0, d - 0.07, back / 2))
    leg = paint.hard()
    for side in (-1, 1):
        x = side * (w + arm * 0.9)
        model.add(
            box(arm, d, (arm_top - 0.08) / 2, 0.04),
            cover if paint.chance(0.85) else paint.fabric(),
            (x, 0, (arm_top + 0.08) / 2),
        )
        model.solid_box(arm, d, arm_top / 2, (x, 0, arm_top / 2))
        for end in (-1, 1):
            model.add(cylinder(0.02, 0, 0.085, 10, 0.028), leg, (side * w, end * d * 0.85, 0))
    rest = cushion if paint.chance(0.7) else paint.fabric()
    for i in range(seats):
        x = -w + (i + 0.5) * 2 * w / seats
        model.add(box(w / seats - 0.005, d * 0.86, 0.075, 0.045), cushion, (x, -d * 0.13, seat - 0.06))
        model.add(box(w / seats - 0.008, 0.065, 0.17, 0.05), rest, (x, d - 0.2, seat + 0.19), lean)
        model.surfaces.append(Surface(x, -d * 0.25, w / seats * 0.8, d * 0.45, seat + 0.016, 0.6))
    model.solid_box(w, 0.065, 0.17, (0, d - 0.2, seat + 0.19), lean)
    return model.solid_box(w, d * 0.86, 0.075, (0, -d * 0.13, seat - 0.06))


def bed(paint: Palette) -> ObjectModel:
    """Bed with mattress and cover; the headboard is at the back."""
    rng = paint.rng
    model = ObjectModel("Bed", soft=True)
    w, d, h = rng.uniform(0.45, 0.85), 1.0, rng.uniform(0.42, 0.55)
    frame = paint.wood() if paint.chance(0.6) else paint.fabric()
    model.add(box(w + 0.02, d, 0.07, 0.01), frame, (0, 0, 0.22))
    add_legs(model, paint, w, d, 0.17, paint.wood())
    head = frame if paint.chance(0.5) else paint.fabric()
    board = rng.uniform(0.4, 0.6)
    model.add(box(w + 0.03, 0.025, board, 0.02), head, (0, d + 0.02, max(0.5, board)))
    model.add(box(w, d - 0.01, (h - 0.27) / 2, 0.05), paint.plain(WHITE, 0.95), (0, -0.01, (h + 0.27) / 2))
    middle, cover = (h + 0.26) / 2, rng.uniform(0.5, 0.8)
    spread = (h - 0.24) / 2
    layers = [(0.015, cover, 0.012, -d + d * cover - 0.012)]
    if paint.chance(0.6):
        layers.append((0.02, 0.15, 0.018, -d + d * cover * 1.75))
    if paint.chance(0.4):
        layers.append((0.025, 0.2, 0.024, -d * 0.75))
    for wider, long, thick, y in layers:
        half = (w + wider, d * long, spread + thick)
        model.add(box(*half, 0.04), paint.fabric(scale=0.5), (0, y, middle)).solid_box(*half, (0, y, middle))
    top = middle + spread
    model.solid_box(w + 0.02, d, h / 2, (0, 0, h / 2))
    model.solid_box(w + 0.03, 0.03, 0.5, (0, d + 0.02, 0.5))
    model.surfaces.append(Surface(0, d * 0.68, w * 0.85, 0.24, top + 0.01, 0.7))
    model.surfaces.append(Surface(0, -d * 0.2, w * 0.85, d * 0.55, top + 0.024, 0.7))
    return model


def television(paint: Palette) -> ObjectModel:
    """Television on a foot."""
    rng = paint.rng
    model = ObjectModel("Television", tips=False)
    w, foot = rng.uniform(0.35, 0.6), 0.07
    h = w * 0.58
    case = paint.plastic(BLACK) if paint.chance(0.8) else paint.plastic()
    model.add(box(w, 0.018, h, 0.006), case, (0, 0, foot + h))
    glow = rng.uniform(0, 1.5) if paint.chance(0.6) else 0
    screen = paint.printed("screen" if paint.chance(0.7) else "art", 0.1, glow)
    model.add(box(w * 0.97, 0.001, h * 0.95, 0.0005, True), screen, (0, -0.0185, foot + h * 1.01))
    model.add(box(0.03, 0.02, foot / 2 + 0.03, 0.005), case, (0, 0.02, foot / 2 + 0.03))
    model.add(box(w * 0.4, 0.09, 0.007, 0.004), paint.metal() if paint.chance(0.5) else case, (0, 0, 0.007))
    model.solid_box(w, 0.02, h, (0, 0, foot + h)).solid_box(w * 0.4, 0.09, 0.007, (0, 0, 0.007))
    return model.solid_box(0.03, 0.02, foot / 2, (0, 0.02, foot / 2))


def fridge(paint: Palette) -> ObjectModel:
    """Two doors with handles, and notes stuck to them."""
    rng = paint.rng
    model = ObjectModel("Fridge")
    w, d, h = rng.uniform(0.28, 0.36), 0.3, rng.uniform(1.4, 1.85)
    body = paint.metal() if paint.chance(0.4) else paint.plain()
    model.add(box(w, d, h / 2, 0.015), body, (0, 0, h / 2))
    split = h * rng.uniform(0.55, 0.7)
    door = body if paint.chance(0.7) else paint.plain()
    model.add(box(w * 0.99, 0.02, split / 2 - 0.01, 0.01), door, (0, -d - 0.02, split / 2))
    model.add(box(w * 0.99, 0.02, (h - split) / 2 - 0.008, 0.01), door, (0, -d - 0.02, (h + split) / 2))
    handle = paint.metal()
    for low, high in ((split * 0.55, split * 0.95), (split + 0.06, split + 0.06 + (h - split) * 0.4)):
        y = -d - 0.04
        grip = [
            (-w * 0.85, y, low),
            (-w * 0.85, y - 0.04, low + 0.02),
            (-w * 0.85, y - 0.04, high - 0.02),
            (-w * 0.85, y, high),
        ]
        model.add(tube(grip, 0.01, 6), handle)
    for _ in range(int(rng.integers(0, 7))):
        note = box(rng.uniform(0.02, 0.06), 0.001, rng.uniform(0.02, 0.06), 0.0005, True)
        at = (rng.uniform(-0.5, 0.8) * w, -d - 0.041, rng.uniform(split * 0.5, h * 0.95))
        model.add(note, paint.printed("art" if paint.chance(0.5) else "label"), at)
    return model.solid_box(w, d + 0.02, h / 2, (0, -0.02, h / 2))


def appliance(paint: Palette, category: str) -> ObjectModel:
    """Washing machine, dishwasher or stove, counter high."""
    rng = paint.rng
    model = ObjectModel(category)
    w, d, h = 0.3, 0.3, rng.uniform(0.84, 0.9)
    body = paint.metal() if paint.chance(0.4) else paint.plain(WHITE * rng.uniform(0.5, 1))
    model.add(box(w, d, h / 2, 0.012), body, (0, 0, h / 2))
    model.add(box(w * 0.98, 0.006, 0.05, 0.004), paint.plain(), (0, -d - 0.004, h - 0.07))
    knob = paint.plastic()
    for x in (-0.7, -0.35, 0.35, 0.7):
        model.add(cylinder(0.02, 0, 0.025, 14), knob, (x * w, -d - 0.008, h - 0.07), FACE_FRONT)
    lift = 0.0
    if category == "WashingMachine":
        model.add(ring(0.16, 0.025, 28), paint.metal(), (0, -d - 0.01, 0.42), FACE_FRONT)
        model.add(ellipsoid(0.14, 0.14, 0.05), paint.plain((0.1, 0.12, 0.15), 0.08), (0, -d + 0.01, 0.42), FACE_FRONT)
        model.add(box(0.08, 0.006, 0.025, 0.003, True), paint.printed("screen", 0.2, 0.6), (0, -d - 0.012, h - 0.07))
    else:
        model.add(box(w * 0.9, 0.01, 0.22, 0.01), paint.plain(BLACK * 1.4, 0.1), (0, -d - 0.01, 0.42))
        y = -d - 0.01
        bar = [(-w * 0.8, y, 0.68), (-w * 0.8, y - 0.04, 0.68), (w * 0.8, y - 0.04, 0.68), (w * 0.8, y, 0.68)]
        model.add(tube(bar, 0.01, 6), paint.metal())
        if category == "Stove":
            lift = 0.012
            burners = [
                place(ring(radius, 0.006, 20, 6), (x * 0.14, y * 0.13, h + 0.006))
                for x in (-1, 1)
                for y in (-1, 1)
                for radius in (0.04, 0.075)
            ]
            model.add(merge(burners), paint.black())
            for x in (-1, 1):
                for y in (-1, 1):
                    model.solid_cylinder(0.078, h, h + lift, x * 0.14, y * 0.13)
    model.surfaces.append(Surface(0, 0, w * 0.9, d * 0.88, h + lift))
    return model.solid_box(w, d + 0.01, h / 2, (0, -0.01, h / 2))


def toilet(paint: Palette) -> ObjectModel:
    """Bowl, seat, lid, cistern and button."""
    rng = paint.rng
    model = ObjectModel("Toilet")
    white = paint.plain(WHITE if paint.chance(0.8) else paint.color(), 0.15)
    h = rng.uniform(0.38, 0.43)
    bowl = lathe(
        [(0, 0), (0.6, 0), (0.5, 0.4), (0.8, 0.75), (1.0, 0.95), (0.97, 1.0), (0.7, 1.0), (0.5, 0.6), (0, 0.5)],
        32,
        crease=50,
    )
    model.add(place(bowl, scale=(0.19, 0.25, h)), white, (0, -0.1, 0))
    seat = white if paint.chance(0.6) else paint.plastic()
    model.add(place(ring(1, 0.16, 28), scale=(0.155, 0.205, 0.09)), seat, (0, -0.1, h + 0.012))
    model.add(box(0.19, 0.02, 0.22, 0.015), seat, (0, 0.15, h + 0.22), rotation("x", -12))
    model.add(box(0.2, 0.085, 0.18, 0.025), white, (0, 0.26, h + 0.17))
    model.add(box(0.21, 0.095, 0.018, 0.01), white, (0, 0.26, h + 0.36))
    model.add(cylinder(0.02, 0, 0.012, 14), paint.metal(), (0, 0.26, h + 0.375))
    model.surfaces.append(Surface(0, 0.26, 0.18, 0.07, h + 0.378, 0.5))
    model.solid_box(0.18, 0.24, h / 2, (0, -0.1, h / 2))
    return model.solid_box(0.21, 0.095, (h + 0.378) / 2, (0, 0.26, (h + 0.378) / 2))


def wash_basin(paint: Palette) -> ObjectModel:
    """Wash basin on a pedestal or a cupboard."""
    rng = paint.rng
    model = ObjectModel("Sink")
    w, d, h = rng.uniform(0.25, 0.35), rng.uniform(0.2, 0.24), rng.uniform(0.8, 0.87)
    white = paint.plain(WHITE if paint.chance(0.8) else paint.color(), 0.15)
    if paint.chance(0.5):
        model.add(cylinder(0.09, 0, h - 0.1, 20, 0.07), white)
        model.solid_cylinder(0.09, 0, h - 0.1)
    else:
        body = paint.surface()
        model.add(box(w * 0.95, d * 0.9, (h - 0.12) / 2, 0.004), body, (0, 0.02, (h - 0.12) / 2))
        _fronts(model, paint, "Cabinet", (w * 0.95, d * 0.9 - 0.02, 0.03, (h - 0.16) / 2), body)
        model.solid_box(w * 0.95, d * 0.9, (h - 0.12) / 2, (0, 0.02, (h - 0.12) / 2))
    model.add(box(w, d, 0.07, 0.03), white, (0, 0, h - 0.07))
    basin = lathe([(1.0, 1.0), (0.85, 0.6), (0.5, 0.15), (0, 0.0)], 32, crease=60)
    model.add(
        place(basin, scale=(w * 0.72, d * 0.6, 0.02)),
        paint.plain(np.array(white.color) * 0.82, 0.1),
        (0, -0.04, h - 0.018),
    )
    model.add(cylinder(0.018, 0, 0.004, 14), paint.metal(), (0, -0.04, h - 0.016))
    steel = paint.metal()
    model.add(
        tube(
            [(0, d * 0.7, h - 0.005), (0, d * 0.7, h + 0.14), (0, d * 0.45, h + 0.16), (0, d * 0.2, h + 0.12)], 0.011, 8
        ),
        steel,
    )
    for side in (-1, 1):
        model.add(cylinder(0.016, 0, 0.045, 12), steel, (side * 0.07, d * 0.75, h - 0.002))
    model.surfaces.append(Surface(-w * 0.72, d * 0.55, w * 0.2, d * 0.3, h, 0.5))
    model.surfaces.append(Surface(w * 0.72, d * 0.55, w * 0.2, d * 0.3, h, 0.5))
    return model.solid_box(w, d, 0.07, (0, 0, h - 0.07))


def bathtub(paint: Palette) -> ObjectModel:
    """Open tub with tap and knobs, perhaps with water."""
    rng = paint.rng
    model = ObjectModel("Bathtub")
    w, d, h, t = rng.uniform(0.7, 0.85), rng.uniform(0.34, 0.4), rng.uniform(0.5, 0.58), 0.045
    white = paint.plain(WHITE if paint.chance(0.8) else paint.color(), 0.12)
    panel = white if paint.chance(0.6) else paint.surface()
    for side in (-1, 1):
        model.add(box(w, t, h / 2, 0.02), panel, (0, side * (d - t), h / 2)).solid_box(
            w, t, h / 2, (0, side * (d - t), h / 2)
        )
        model.add(box(t, d - 2 * t + 0.01, h / 2, 0.02), white, (side * (w - t), 0, h / 2))
        model.solid_box(t, d, h / 2, (side * (w - t), 0, h / 2))
    model.add(box(w - 0.02, d - 0.02, 0.06, 0.01), white, (0, 0, 0.09)).solid_box(w, d, 0.075, (0, 0, 0.075))
    if paint.chance(0.4):
        water = paint.plain((0.6, 0.75, 0.78), 0.05)
        model.add(box(w - 2 * t, d - 2 * t, 0.004, 0.001), water, (0, 0, h * 0.62))
    steel = paint.metal()
    model.add(tube([(w - t, 0, h - 0.01), (w - t, 0, h + 0.12), (w - t - 0.1, 0, h + 0.13)], 0.013, 8), steel)
    model.add(cylinder(0.02, 0, 0.05, 12), steel, (w - t, 0.1, h - 0.002)).add(
        cylinder(0.02, 0, 0.05, 12), steel, (w - t, -0.1, h - 0.002)
    )
    return model


def floor_lamp(paint: Palette) -> ObjectModel:
    """Lamp that stands on the floor."""
    return lamp(paint, "FloorLamp", height=paint.rng.uniform(1.3, 1.6), foot=0.15)


def safe(paint: Palette) -> ObjectModel:
    """Steel cabinet on the floor with a door, a dial or keypad and a handle."""
    rng = paint.rng
    model = ObjectModel("Safe")
    w, d, h = rng.uniform(0.16, 0.26), rng.uniform(0.15, 0.24), rng.uniform(0.3, 0.6)
    steel = paint.plain(rng.uniform(0.08, 0.45) * np.ones(3), 0.4) if paint.chance(0.7) else paint.metal()
    model.add(box(w, d, h / 2, 0.006), steel, (0, 0, h / 2)).solid_box(w, d + 0.014, h / 2, (0, 0, h / 2))
    model.add(box(w * 0.88, 0.008, h * 0.43, 0.004), steel, (0, -d - 0.006, h / 2))
    chrome = paint.metal()
    if paint.chance(0.5):
        dial = lathe([(0.04, 0), (0.04, 0.008), (0.025, 0.012), (0.022, 0.03), (0, 0.031)], 24)
        model.add(dial, chrome, (0, -d - 0.013, h * 0.62), FACE_FRONT)
    else:
        keys = [place(box(0.009, 0.003, 0.009, 0.002), (0.025 * (i % 3 - 1), 0, 0.025 * (i // 3))) for i in range(12)]
        model.add(box(0.045, 0.004, 0.06, 0.003), paint.black(), (0, -d - 0.016, h * 0.62))
        model.add(merge(keys), paint.plastic(), (0, -d - 0.021, h * 0.62 - 0.037))
    model.add(box(0.05, 0.008, 0.009, 0.004), chrome, (w * 0.4, -d - 0.03, h * 0.4))
    model.add(cylinder(0.008, 0, 0.022, 10), chrome, (w * 0.4, -d - 0.01, h * 0.4), FACE_FRONT)
    model.surfaces.append(Surface(0, 0, w * 0.9, d * 0.9, h))
    return model


def radiator(paint: Palette) -> ObjectModel:
    """Row of fins with tubes and a valve."""
    rng = paint.rng
    model = ObjectModel("Radiator")
    columns, h = int(rng.integers(8, 18)), rng.uniform(0.45, 0.65)
    w = columns * 0.03
    enamel = paint.plain(WHITE * rng.uniform(0.8, 1), 0.4)
    fins = [
        place(box(0.012, 0.035, h / 2 - 0.05, 0.01), (-w + (i + 0.5) * 0.06, 0, h / 2 + 0.05)) for i in range(columns)
    ]
    model.add(merge(fins), enamel)
    for z in (0.14, h - 0.04):
        model.add(place(cylinder(0.016, -w, w, 10), turn=rotation("y", 90)), enamel, (0, 0, z))
    model.add(cylinder(0.02, 0, 0.06, 14), paint.plastic(), (w + 0.004, 0, h - 0.04), rotation("y", 90))
    for x in (-w * 0.8, w * 0.8):
        model.add(cylinder(0.014, 0, 0.14, 8), enamel, (x, 0, 0))
    return model.solid_box(w, 0.035, h / 2, (0, 0, h / 2))


def fan(paint: Palette) -> ObjectModel:
    """Pedestal fan with cage and blades."""
    rng = paint.rng
    model = ObjectModel("Fan")
    h, radius = rng.uniform(0.7, 1.2), rng.uniform(0.15, 0.2)
    shell = paint.plastic()
    model.add(lathe([(0, 0), (0.17, 0), (0.17, 0.015), (0.05, 0.035), (0, 0.035)]), shell)
    model.add(cylinder(0.014, 0.02, h - radius * 0.2, 12), paint.metal())
    model.add(ellipsoid(0.06, 0.1, 0.06), shell, (0, 0.06, h))
    wires = [
        place(ring(radius * part, 0.0022, 28, 5), (0, 0, z))
        for part, z in ((1, 0), (1, 0.05), (0.7, 0.075), (0.35, 0.085), (0.7, -0.025))
    ]
    spokes = [
        place(
            tube([(0.03, 0, 0.085), (radius * 0.7, 0, 0.075), (radius, 0, 0.05), (radius, 0, 0)], 0.002, 5),
            turn=rotation("z", a),
        )
        for a in range(0, 360, 20)
    ]
    model.add(merge(wires + spokes), paint.metal(), (0, -0.04, h), FACE_FRONT)
    blades = [
        place(ellipsoid(radius * 0.42, 0.05, 0.004), (radius * 0.45, 0, 0.03), rotation("x", 25)) for _ in range(1)
    ]
    turned = [place(blade, turn=rotation("z", a)) for a in (0, 120, 240) for blade in blades]
    model.add(merge(turned), paint.plastic(), (0, -0.04, h), FACE_FRONT)
    model.add(cylinder(0.03, 0.02, 0.09, 16), paint.plastic(), (0, -0.04, h), FACE_FRONT)
    model.solid_cylinder(0.17, 0, 0.03).solid_cylinder(0.02, 0, h)
    return model.solid_box(radius, 0.09, radius, (0, -0.03, h))


BUILDERS: dict[str, Builder] = {
    **{name: partial(table, category=name) for name in TABLE_SIZES},
    "Desk": desk,
    "Chair": chair,
    "OfficeChair": office_chair,
    "Stool": stool,
    "Ottoman": ottoman,
    "Bench": bench,
    "Shelf": bookshelf,
    **{name: partial(chest, category=name) for name in CHEST_SIZES},
    "Sofa": partial(sofa, category="Sofa"),
    "ArmChair": partial(sofa, category="ArmChair"),
    "Bed": bed,
    "Television": television,
    "Fridge": fridge,
    **{name: partial(appliance, category=name) for name in ("WashingMachine", "Dishwasher", "Stove")},
    "Toilet": toilet,
    "Sink": wash_basin,
    "Bathtub": bathtub,
    "FloorLamp": floor_lamp,
    "Radiator": radiator,
    "Fan": fan,
    "Safe": safe,
}
