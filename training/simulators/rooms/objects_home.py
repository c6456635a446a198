"""Decoration, cleaning things, textiles, bags and what else stands around in a home."""

from __future__ import annotations

from functools import partial

import numpy as np

from training.simulators.rooms.materials import WHITE, Palette
from training.simulators.rooms.mesh import (
    arc,
    box,
    cylinder,
    ellipsoid,
    lathe,
    leaf,
    loft,
    merge,
    place,
    ring,
    rotation,
    sheet,
    tube,
)
from training.simulators.rooms.objects import Builder, ObjectModel, Piece, Surface
from training.simulators.rooms.scene import Mesh


def house_plant(paint: Palette, size: float | None = None) -> ObjectModel:
    """Pot, soil, leaves on stems or grass, perhaps flowers; `size` 1 is about 30 cm."""
    rng = paint.rng
    model = ObjectModel("HousePlant", tips=False)
    size = rng.uniform(0.6, 1.5) if size is None else size
    radius, height = 0.065 * size, rng.uniform(0.08, 0.13) * size
    foot = radius * rng.uniform(0.6, 0.95)
    pot = paint.ceramic() if paint.chance(0.7) else paint.pattern(("plain", "noise"), 0.85, color=(0.68, 0.36, 0.24))
    walls = [(0, 0), (foot, 0), (radius, height), (radius * 0.92, height), (radius * 0.9, height * 0.86)]
    model.add(lathe(walls), pot)
    if paint.chance(0.6):
        rim = [
            (radius, height * 0.82),
            (radius * 1.1, height * 0.83),
            (radius * 1.12, height),
            (radius * 0.95, height + 0.002),
        ]
        model.add(lathe(rim), paint.ceramic() if paint.chance(0.5) else pot)
    soil = paint.pattern(("carpet", "speckle"), 1.0, color=(0.16, 0.1, 0.06), scale=0.05)
    model.add(lathe([(radius * 0.93, height * 0.86), (0, height * 0.88)], wrapped=False), soil)
    green = np.array([rng.uniform(0.05, 0.35), rng.uniform(0.3, 0.65), rng.uniform(0.05, 0.25)])
    kinds = ("grad", "noise", "stripes", "plain")
    blade = paint.pattern(kinds, 0.45, color=green, color2=green * rng.uniform(0.5, 1.6), scale=0.4)
    grassy, flowers = paint.chance(0.33), paint.chance(0.3)
    leaves: list[Mesh] = []
    stems: list[Mesh] = []
    petals: list[Mesh] = []
    base = np.array([0, 0, height * 0.87])
    for i in range(int(rng.integers(9, 26))):
        yaw = 137.5 * i + rng.uniform(-20, 20)
        length = rng.uniform(0.09, 0.2) * size
        width = length * (rng.uniform(0.1, 0.16) if grassy else rng.uniform(0.22, 0.35))
        pitch = rng.uniform(35, 85) if grassy else rng.uniform(5, 60)
        tip = base
        if not grassy:
            lean = rotation("z", yaw) @ np.array([np.sin(np.radians(25)), 0, np.cos(np.radians(25))])
            rise = rng.uniform(0.02, 0.12) * size
            tip = base + 2 * rise * lean
            stems.append(tube([base, base + rise * lean + [0, 0, rise * 0.15], tip], 0.0022 * size, 5))
        turned = place(leaf(length, width, rng.uniform(-1.4, -0.2)), tip, rotation("z", yaw) @ rotation("y", -pitch))
        (petals if flowers and i % 4 == 0 else leaves).append(turned)
    model.add(merge(leaves), blade)
    if stems:
        model.add(merge(stems), paint.plain(green * 0.6 + np.array([0.1, 0.03, 0])))
    if petals:
        model.add(merge(petals), paint.plain(paint.vivid()))
    return model.solid_cylinder(radius * 1.12, 0, height)


def vase(paint: Palette) -> ObjectModel:
    """Vase, mostly with flowers that belong to it."""
    rng = paint.rng
    model = ObjectModel("Vase", tips=False)
    height = rng.uniform(0.14, 0.32)
    radius = height * rng.uniform(0.2, 0.38)
    belly = [
        (
            radius * (0.6 + 0.4 * np.sin(np.pi * (z * 0.9 + 0.05) + rng.uniform(-0.02, 0.02)) * (1 - 0.35 * z)),
            z * height,
        )
        for z in np.linspace(0.05, 0.95, 9)
    ]
    neck = belly[-1][0]
    lip = [(neck * 1.15, height), (neck * 0.9, height), (neck * 0.75, height * 0.9)]
    see_through = paint.chance(0.35)
    body = paint.glass() if see_through else paint.ceramic()
    model.add(lathe([(0, 0), (radius * 0.6, 0), *belly, *lip], 28, crease=60), body)
    if paint.chance(0.6) and not see_through:
        band = [(r + 0.001, z) for r, z in belly[3:6]]
        model.add(lathe(band, 28, crease=70), paint.ceramic())
    if paint.chance(0.7):
        _bouquet(model, paint, height, 0.06 if see_through else 0.8)
    return model.solid_cylinder(radius, 0, height)


def _bouquet(model: ObjectModel, paint: Palette, height: float, foot: float) -> None:
    """Flowers whose stems begin at the share `foot` of the vase's height: as far down as one sees them."""
    rng = paint.rng
    green = paint.plain(paint.near((0.15, 0.4, 0.12)))
    stems, leaves, centers = [], [], []
    for i in range(int(rng.integers(3, 9))):
        turn = rotation("z", 137.5 * i)
        head = turn @ np.array([rng.uniform(0.02, 0.1), 0, height * rng.uniform(1.2, 1.9)])
        stems.append(tube([(0, 0, height * foot), head * [0.4, 0.4, 0.8], head], 0.002, 5))
        petals = [
            place(leaf(0.035, 0.012, 0.5, 4), head, turn @ rotation("z", 60 * j) @ rotation("y", -20)) for j in range(6)
        ]
        model.add(merge(petals), paint.plain(paint.color(0.1)))
        centers.append(place(ellipsoid(0.009, 0.009, 0.007, around=8, along=6), head))
        if paint.chance(0.6):
            side = turn @ rotation("z", 90) @ rotation("y", -30)
            leaves.append(place(leaf(0.07, 0.018, -0.6, 4), head * [0.4, 0.4, 0.75], side))
    model.add(merge(stems + leaves), green)
    model.add(merge(centers), paint.plain((0.9, 0.75, 0.15)))


def candle(paint: Palette) -> ObjectModel:
    """Holder, wax, wick and perhaps a flame."""
    rng = paint.rng
    model = ObjectModel("Candle", tips=False)
    radius, height = rng.uniform(0.02, 0.04), rng.uniform(0.06, 0.18)
    holder = [(0, 0), (radius * 1.6, 0), (radius * 1.7, 0.008), (radius * 0.9, 0.014), (radius * 0.9, 0.02), (0, 0.02)]
    model.add(lathe(holder), paint.metal() if paint.chance(0.6) else paint.ceramic())
    model.add(cylinder(radius * 0.8, 0.018, height, 20), paint.pattern(("plain", "stripes", "grad"), 0.4))
    model.add(cylinder(0.0012, height - 0.001, height + 0.012, 5), paint.black())
    if paint.chance(0.4):
        flame = ellipsoid(0.005, 0.005, 0.014, around=10, along=8)
        model.add(flame, paint.plain((1, 0.75, 0.3), 0.9, 5.0), (0, 0, height + 0.022))
    return model.solid_cylinder(radius * 1.7, 0, 0.015).solid_cylinder(radius * 0.8, 0.015, height)


def tissue_box(paint: Palette) -> ObjectModel:
    """Printed box with a tissue standing out."""
    rng = paint.rng
    model = ObjectModel("TissueBox", tips=False)
    w, d, h = 0.11, 0.06, rng.uniform(0.03, 0.06)
    model.add(box(w, d, h, 0.002, True), paint.printed(), (0, 0, h))
    model.add(ellipsoid(w * 0.5, d * 0.4, 0.001), paint.black(), (0, 0, 2 * h + 0.0003))
    tissue = ellipsoid(w * 0.35, d * 0.25, 0.05, 1.6, 0.6, noise=0.25, rng=rng)
    model.add(tissue, paint.plain(WHITE * 1.03, 0.95), (0, 0, 2 * h + 0.02))
    return model.solid_box(w, d, h, (0, 0, h))


def pump_bottle(paint: Palette, category: str) -> ObjectModel:
    """Soap with a pump, or cleaner with a spray trigger."""
    rng = paint.rng
    model = ObjectModel(category)
    radius, height = rng.uniform(0.03, 0.042), rng.uniform(0.13, 0.2)
    profile = [
        (0, 0),
        (radius, 0),
        (radius, height * 0.65),
        (radius * 0.45, height * 0.85),
        (0.013, height),
        (0, height),
    ]
    clear = paint.chance(0.3)
    body = paint.glass(paint.color(0.1), rng.uniform(0.2, 0.6)) if clear else paint.plastic()
    model.add(lathe(profile, 20, crease=50), body)
    model.add(lathe([(radius + 0.0007, height * 0.12), (radius + 0.0007, height * 0.6)], 20), paint.printed())
    cap = paint.plastic()
    model.add(cylinder(0.016, height * 0.97, height + 0.015, 14), cap)
    if category == "SprayBottle":
        model.add(box(0.035, 0.013, 0.018, 0.006), cap, (0.015, 0, height + 0.031))
        model.add(
            place(cylinder(0.006, 0, 0.015, 10), turn=rotation("y", 90)), paint.plastic(), (0.049, 0, height + 0.038)
        )
        trigger = [(0.028, 0, height + 0.02), (0.034, 0, height), (0.028, 0, height - 0.02)]
        model.add(tube(trigger, 0.005, 6), paint.plastic())
    else:
        model.add(cylinder(0.004, height + 0.014, height + 0.04, 8), cap)
        model.add(box(0.022, 0.009, 0.005, 0.003), cap, (0.012, 0, height + 0.044))
    return model.solid_cylinder(radius, 0, height * 0.8).solid_cylinder(0.018, height * 0.8, height + 0.05)


def soap_bar(paint: Palette) -> ObjectModel:
    """Soap, often in its dish."""
    rng = paint.rng
    model = ObjectModel("SoapBar", tips=False)
    w, d, h = rng.uniform(0.032, 0.045), rng.uniform(0.02, 0.03), rng.uniform(0.01, 0.014)
    lift = 0.0
    if paint.chance(0.6):
        dish = [(0, 0), (0.8, 0), (1.0, 0.4), (1.05, 0.9), (1.0, 0.9), (0.75, 0.3), (0, 0.25)]
        model.add(place(lathe(dish, 28), scale=(w * 1.5, d * 1.5, 0.016)), paint.ceramic())
        model.solid_box(w * 1.3, d * 1.3, 0.006, (0, 0, 0.006))
        lift = 0.0045
    model.add(
        ellipsoid(w, d, h, 0.5, 0.6),
        paint.food(paint.color(0.4), paint.color(0.4), ("plain", "marble")),
        (0, 0, h + lift),
    )
    return model.solid_box(w * 0.95, d * 0.95, h * 0.95, (0, 0, h + lift))


def toothpaste(paint: Palette) -> ObjectModel:
    """Tube of paste or cream: round at the cap, pressed flat at the end."""
    rng = paint.rng
    model = ObjectModel("Toothpaste", tips=False)
    reach, radius = rng.uniform(0.06, 0.09), rng.uniform(0.014, 0.02)
    angles = np.linspace(0, 2 * np.pi, 17)
    rings = []
    for t in np.linspace(0, 1, 8):
        y, z = radius * (1 + 0.35 * t) * np.cos(angles), radius * (1 - 0.88 * t) * np.sin(angles) + radius
        rings.append(np.stack([np.full(17, -reach + 2 * reach * t), y, z], 1))
    model.add(loft(np.array(rings)), paint.printed(roughness=0.3))
    model.add(cylinder(radius * 0.75, 0, 0.022, 14), paint.plastic(), (-reach, 0, radius), rotation("y", -90))
    return model.solid_box(reach, radius * 1.1, radius * 0.7, (0, 0, radius * 0.75))


def pillow(paint: Palette, width: float | None = None) -> ObjectModel:
    """Stuffed cushion of half width `width` m, often with a seam or a motif."""
    rng = paint.rng
    model = ObjectModel("Pillow", tips=False)
    w = rng.uniform(0.18, 0.28) if width is None else width
    d, h = w * rng.uniform(0.6, 1), w * rng.uniform(0.27, 0.36)
    model.add(ellipsoid(w, d, h, 1, 0.35, 28, 14, 0.03, rng), paint.fabric(), (0, 0, h * 0.95))
    if paint.chance(0.5):
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        cos, sin = np.cos(angles), np.sin(angles)
        seam = np.stack(
            [
                0.97 * w * np.sign(cos) * np.abs(cos) ** 0.35,
                0.97 * d * np.sign(sin) * np.abs(sin) ** 0.35,
                0 * angles + h * 0.95,
            ],
            1,
        )
        model.add(tube(seam, 0.007, 6, closed=True), paint.fabric())
    if paint.chance(0.3):
        motif = ellipsoid(w * 0.35, d * 0.35, 0.012)
        model.add(motif, paint.printed("art", 0.9, repeat_u=3, repeat_v=3), (0, 0, h * 1.88))
    return model.solid_box(w * 0.88, d * 0.88, h * 0.88, (0, 0, h * 0.95))


def folded_cloth(paint: Palette) -> ObjectModel:
    """A folded towel or shirt: layers of one cloth."""
    rng = paint.rng
    model = ObjectModel("Cloth", flat=True, tips=False)
    w, d, layers = rng.uniform(0.1, 0.18), rng.uniform(0.07, 0.13), int(rng.integers(2, 5))
    cloth = paint.fabric()
    for i in range(layers):
        layer = ellipsoid(w, d, 0.011, 0.35, 0.3, 20, 8, 0.02, rng)
        model.add(layer, cloth, (*rng.normal(0, 0.003, 2), 0.011 + 0.02 * i))
    top = 0.01 * layers
    if paint.chance(0.5):
        model.add(box(w * 0.06, d * 1.005, top, 0.006), paint.fabric(), (w * 0.6, 0, top))
    return model.solid_box(w, d, top * 1.05, (0, 0, top * 1.05))


def crumpled_cloth(paint: Palette) -> ObjectModel:
    """A rag, garment or napkin dropped in a heap of folds."""
    rng = paint.rng
    model = ObjectModel("Cloth", tips=False)
    half_x, half_y = rng.uniform(0.07, 0.2), rng.uniform(0.06, 0.16)
    n = 26
    x, y = np.meshgrid(np.linspace(-1, 1, n), np.linspace(-1, 1, n), indexing="ij")
    folds = np.zeros((n, n))
    for _ in range(5):
        direction, phase, pace = rng.uniform(0, np.pi), rng.uniform(0, 6.28), rng.uniform(2, 6)
        wave = np.sin(pace * (x * np.cos(direction) + y * np.sin(direction)) + phase + 0.6 * np.sin(3 * x + phase))
        folds += (1 - np.abs(wave)) ** 1.5 * rng.uniform(0.3, 1.0)
    mound = np.clip(1 - (x**2 + y**2) / 1.9, 0.06, 1)
    height = rng.uniform(0.025, 0.07)
    heights = 0.004 + height * mound * (0.35 + folds / folds.max())
    cloth = sheet(heights, half_x, half_y, 0.003)
    # A drawn-in, wavy outline: cloth has no straight border once it is dropped.
    radius = np.hypot(cloth.vertices[:, 0] / half_x, cloth.vertices[:, 1] / half_y)
    angle = np.arctan2(cloth.vertices[:, 1], cloth.vertices[:, 0])
    shrink = 1 - 0.22 * np.clip(radius, 0, 1.4) ** 2 * (
        0.6 + 0.4 * np.sin(angle * int(rng.integers(2, 6)) + rng.uniform(0, 6))
    )
    moved = cloth.vertices * np.stack([shrink, shrink, np.ones_like(shrink)], 1)
    model.add(cloth._replace(vertices=moved.astype(np.float32)), paint.fabric())
    return model.solid_box(half_x * 0.7, half_y * 0.7, height * 0.45, (0, 0, height * 0.45))


def basket(paint: Palette, category: str) -> ObjectModel:
    """Open basket or crate with thin walls that other objects can lie in."""
    rng = paint.rng
    model = ObjectModel(category, tips=False)
    w, d, h = rng.uniform(0.12, 0.22), rng.uniform(0.1, 0.16), rng.uniform(0.05, 0.11)
    if category == "Basket":
        wall = paint.pattern(("weave", "bricks", "checks"), 0.9, bump=0.002, color=paint.wood_color(), scale=0.12)
    else:
        wall = paint.wood() if paint.chance(0.6) else paint.plastic()
    rim, t = paint.wood() if paint.chance(0.5) else paint.fabric(), 0.006
    sides = ((w, 0, t, d), (-w, 0, t, d), (0, d, w, t), (0, -d, w, t))
    model.add(box(w, d, t, 0.002), wall, (0, 0, t)).solid_box(w, d, t, (0, 0, t))
    for x, y, hx, hy in sides:
        model.add(box(hx, hy, h, 0.002), wall, (x, y, h)).solid_box(hx, hy, h, (x, y, h))
        model.add(box(hx + t * 0.7, hy + t * 0.7, 0.008, 0.004), rim, (x, y, 2 * h))
    if paint.chance(0.6):
        grip = paint.plastic() if paint.chance(0.5) else rim
        for side in (-1, 1):
            model.add(tube(arc((side * (w + t), 0, 2 * h), 0.03, 0, 180, 8, "yz"), 0.005, 6), grip)
    model.surfaces.append(Surface(0, 0, w - 2 * t, d - 2 * t, 2 * t, 0.5))
    return model


def picture_frame(paint: Palette) -> ObjectModel:
    """Standing frame with a photograph and a prop behind."""
    rng = paint.rng
    model = ObjectModel("PictureFrame", tips=False)
    w, h, border = rng.uniform(0.05, 0.11), rng.uniform(0.06, 0.13), rng.uniform(0.006, 0.016)
    lean = rotation("x", -rng.uniform(8, 16))
    frame = paint.hard()
    for x, z, hx, hz in (
        (0, h, w + border, border),
        (0, -h, w + border, border),
        (w, 0, border, h),
        (-w, 0, border, h),
    ):
        model.add(place(box(hx, 0.008, hz, 0.003), (x, 0, z)), frame, (0, 0, h + border + 0.003), lean)
    model.add(box(w, 0.004, h, 0.001, True), paint.printed("art", 0.2), (0, 0, h + border + 0.003), lean)
    prop = [(0, 0.005, h * 1.1), (0, 0.04 + h * 0.45, 0.003)]
    model.add(tube(prop, 0.006, 6, flatness=0.4), paint.black(0.9))
    top = h + border
    model.solid_box(w + border, 0.008, top, (0, 0, top + 0.002), lean)
    return model.solid_box(0.02, 0.02, 0.005, (0, 0.03 + h * 0.4, 0.005))


def statue(paint: Palette) -> ObjectModel:
    """Figure of smooth bodies on a plinth."""
    rng = paint.rng
    model = ObjectModel("Statue")
    size = rng.uniform(0.7, 1.4)
    stone = paint.pick((paint.stone, paint.metal, paint.ceramic, paint.wood))()
    base = paint.stone() if paint.chance(0.5) else paint.wood()
    model.add(box(0.04 * size, 0.04 * size, 0.012 * size, 0.003), base, (0, 0, 0.012 * size))
    z = 0.024 * size
    if paint.chance(0.5):
        bust = [
            (0, 0),
            (0.03, 0),
            (0.02, 0.02),
            (0.038, 0.06),
            (0.03, 0.085),
            (0.012, 0.092),
            (0.011, 0.105),
            (0, 0.105),
        ]
        model.add(lathe([(r * size, v * size) for r, v in bust], 24, crease=60), stone, (0, 0, z))
        model.add(ellipsoid(0.021 * size, 0.024 * size, 0.03 * size), stone, (0, 0, z + 0.13 * size))
        height = 0.16 * size
    else:
        model.add(ellipsoid(0.045 * size, 0.024 * size, 0.026 * size), stone, (0, 0, z + 0.055 * size))
        model.add(ellipsoid(0.018 * size, 0.015 * size, 0.016 * size), stone, (0.05 * size, 0, z + 0.085 * size))
        model.add(
            tube([(-0.04 * size, 0, z + 0.06 * size), (-0.065 * size, 0, z + 0.09 * size)], 0.005 * size, 6), stone
        )
        for x in (-0.026, 0.026):
            for y in (-0.012, 0.012):
                model.add(cylinder(0.006 * size, 0, 0.045 * size, 8), stone, (x * size, y * size, z))
        height = 0.1 * size
    return model.solid_box(0.04 * size, 0.04 * size, 0.012 * size, (0, 0, 0.012 * size)).solid_box(
        0.035 * size, 0.02 * size, height / 2, (0, 0, z + height / 2)
    )


def shoe(paint: Palette) -> ObjectModel:
    """Sole, upper, heel, opening and laces."""
    rng = paint.rng
    model = ObjectModel("Shoe", tips=False)
    size = rng.uniform(0.9, 1.2)
    upper = paint.fabric()
    model.add(ellipsoid(0.13 * size, 0.045 * size, 0.014 * size, 0.4, 0.7), paint.plastic(), (0, 0, 0.014 * size))
    model.add(ellipsoid(0.12 * size, 0.04 * size, 0.04 * size, 0.9, 0.8), upper, (0.005, 0, 0.045 * size))
    heel = upper if paint.chance(0.5) else paint.fabric()
    model.add(ellipsoid(0.05 * size, 0.038 * size, 0.05 * size, 0.7, 0.8), heel, (-0.06 * size, 0, 0.07 * size))
    model.add(ellipsoid(0.038 * size, 0.027 * size, 0.008), paint.black(1.0), (-0.065 * size, 0, 0.117 * size))
    laces = [
        place(box(0.003, 0.022, 0.002, 0.001), (0.018 * i * size, 0, (0.085 - 0.006 * i) * size)) for i in range(4)
    ]
    model.add(merge(laces), paint.plain())
    return model.solid_box(0.12 * size, 0.042 * size, 0.05 * size, (0, 0, 0.05 * size))


def suitcase(paint: Palette) -> ObjectModel:
    """Ribbed shell with zip, handle and four wheels."""
    rng = paint.rng
    model = ObjectModel("Suitcase", tips=False)
    w, d, h = rng.uniform(0.17, 0.25), rng.uniform(0.1, 0.14), rng.uniform(0.25, 0.34)
    model.add(box(w, d, h, 0.035), paint.plastic(), (0, 0, h + 0.04))
    ribs = [place(box(0.008, d + 0.004, h * 0.9, 0.003), (x * w * 0.5, 0, h + 0.04)) for x in (-1, 0, 1)]
    model.add(merge(ribs), paint.plastic())
    model.add(box(w + 0.002, 0.006, h + 0.002, 0.003), paint.metal(), (0, 0, h + 0.04))
    top = 2 * h + 0.04
    model.add(
        tube([(-0.07, 0, top - 0.01), (-0.07, 0, top + 0.06), (0.07, 0, top + 0.06), (0.07, 0, top - 0.01)], 0.008, 6),
        paint.plastic(),
    )
    for x in (-1, 1):
        for y in (-1, 1):
            wheel = place(cylinder(0.025, -0.012, 0.012, 14), turn=rotation("y", 90))
            model.add(wheel, paint.black(), (x * w * 0.75, y * d * 0.6, 0.025))
    return model.solid_box(w, d, h + 0.02, (0, 0, h + 0.02))


def backpack(paint: Palette) -> ObjectModel:
    """Bag with pocket, zip, loop and two straps."""
    rng = paint.rng
    model = ObjectModel("Backpack", tips=False)
    size = rng.uniform(0.75, 1.1)
    body, trim = paint.fabric(), paint.fabric()
    pieces: list[Piece] = [
        (ellipsoid(0.16, 0.09, 0.22, 0.5, 0.5, noise=0.03, rng=rng), body, (0, 0, 0.215)),
        (ellipsoid(0.12, 0.05, 0.1, 0.4, 0.4), trim if paint.chance(0.6) else paint.fabric(), (0, -0.075, 0.13)),
        (tube(arc((0, 0, 0.425), 0.05, 0, 180, 8, "xz"), 0.007, 6), trim, (0, 0, 0)),
        (tube(arc((0, -0.124, 0.13), 0.09, 0, 180, 14, "xz", 0.07), 0.003, 5), paint.metal(), (0, 0, 0)),
    ]
    for side in (-1, 1):
        strap = [(side * 0.08, 0.08, 0.4), (side * 0.1, 0.14, 0.3), (side * 0.1, 0.08, 0.1)]
        pieces.append((tube(strap, 0.014, 6, flatness=0.4), trim, (0, 0, 0)))
    model.add_scaled(pieces, size)
    return model.solid_box(0.14 * size, 0.09 * size, 0.21 * size, (0, 0, 0.21 * size))


def handbag(paint: Palette) -> ObjectModel:
    """Bag or paper carrier with two handles."""
    rng = paint.rng
    model = ObjectModel("Handbag", tips=False)
    w, d, h = rng.uniform(0.1, 0.18), rng.uniform(0.04, 0.08), rng.uniform(0.08, 0.16)
    printed = paint.chance(0.3)
    skin = paint.printed() if printed else paint.fabric()
    model.add(box(w, d, h, 0.004 if printed else 0.025, printed), skin, (0, 0, h))
    if not printed:
        model.add(box(w * 0.9, d * 0.15, 0.006, 0.003), paint.metal(), (0, 0, 2 * h))
        model.add(box(0.018, 0.006, 0.014, 0.003), paint.metal(), (0, -d, h * 1.6))
    strap = paint.fabric()
    for side in (-1, 1):
        grip = arc((0, side * d * 0.8, 2 * h - 0.01), w * 0.45, 0, 180, 12, "xz", h * rng.uniform(0.6, 0.9))
        model.add(tube(grip, 0.005, 6), strap)
    return model.solid_box(w, d, h, (0, 0, h))


def bucket(paint: Palette, category: str) -> ObjectModel:
    """Waste bin, laundry hamper or bucket: a tapered round or square vessel."""
    rng = paint.rng
    model = ObjectModel(category, tips=False)
    sizes = {
        "GarbageCan": ((0.1, 0.16), (0.25, 0.5)),
        "LaundryHamper": ((0.17, 0.24), (0.4, 0.6)),
        "Bucket": ((0.1, 0.15), (0.18, 0.28)),
    }
    (low, high), (short, tall) = sizes[category]
    radius, height = rng.uniform(low, high), rng.uniform(short, tall)
    if category == "LaundryHamper":
        shell = paint.pattern(("weave", "bricks", "dots"), 0.9, bump=0.002, color=paint.color(0.7), scale=0.1)
    else:
        shell = paint.plastic() if paint.chance(0.5) else paint.metal()
    walls = [(0, 0), (radius * 0.85, 0), (radius, height), (radius - 0.006, height), (radius * 0.83, 0.01), (0, 0.012)]
    model.add(lathe(walls, 28), shell)
    model.add(ring(radius, 0.008, 28, 6), paint.plastic(), (0, 0, height))
    if category == "Bucket":
        bail = arc((0, 0, height), radius, 0, 180, 16, "xz", radius * 0.9)
        model.add(tube(bail, 0.003, 6), paint.metal(), (0, 0, 0), None)
    elif category == "GarbageCan" and paint.chance(0.5):
        lid = [
            (0, height),
            (radius * 1.03, height),
            (radius * 1.03, height + 0.015),
            (radius * 0.6, height + 0.06),
            (0, height + 0.07),
        ]
        model.add(lathe(lid, 28), paint.plastic())
    else:
        filling = paint.plain(WHITE, 0.6) if category == "GarbageCan" else paint.fabric()
        model.add(ellipsoid(radius * 0.85, radius * 0.85, 0.06, noise=0.2, rng=rng), filling, (0, 0, height - 0.03))
    return model.solid_cylinder(radius, 0, height + 0.02)


def watering_can(paint: Palette) -> ObjectModel:
    """Body with spout, rose and handle."""
    rng = paint.rng
    model = ObjectModel("WateringCan", tips=False)
    radius, height = rng.uniform(0.06, 0.09), rng.uniform(0.12, 0.18)
    body = paint.metal() if paint.chance(0.4) else paint.plastic()
    model.add(lathe([(0, 0), (radius, 0), (radius * 0.92, height), (radius * 0.85, height), (0, height * 0.95)]), body)
    spout = [(radius * 0.8, 0, height * 0.2), (radius * 1.5, 0, height * 0.6), (radius * 2.1, 0, height * 1.15)]
    model.add(tube(spout, [0.016, 0.012, 0.009], 10), body)
    rose = place(lathe([(0.008, 0), (0.026, 0.025), (0, 0.028)], 18), spout[-1], rotation("y", 50))
    model.add(rose, paint.plastic() if paint.chance(0.5) else body)
    grip = arc((-radius * 0.75, 0, height * 0.65), radius * 0.8, 60, 280, 12, "xz", height * 0.5)
    model.add(tube(grip, 0.008, 8), body if paint.chance(0.6) else paint.plastic())
    model.solid_cylinder(radius, 0, height)
    return model.solid_box(radius * 0.5, 0.012, height * 0.3, (radius * 1.5, 0, height * 0.7))


def plunger(paint: Palette, category: str) -> ObjectModel:
    """Plunger or toilet brush in its stand."""
    rng = paint.rng
    model = ObjectModel(category, tips=False)
    radius, height = rng.uniform(0.05, 0.07), rng.uniform(0.35, 0.5)
    if category == "Plunger":
        rubber = [(0, 0), (radius, 0), (radius, 0.015), (radius * 0.8, 0.05), (0.02, 0.085), (0, 0.085)]
        model.add(lathe(rubber, 24, crease=60), paint.plain(paint.pick([(0.6, 0.2, 0.12), (0.1, 0.1, 0.1)]), 0.6))
        top = 0.08
    else:
        cup = [(0, 0), (radius * 0.8, 0), (radius * 0.9, 0.13), (radius * 0.82, 0.13), (radius * 0.75, 0.01), (0, 0.01)]
        model.add(lathe(cup, 24), paint.ceramic() if paint.chance(0.5) else paint.plastic())
        model.add(
            ellipsoid(0.035, 0.035, 0.045),
            paint.pattern(("carpet",), 1.0, bump=0.002, color=WHITE, scale=0.02),
            (0, 0, 0.1),
        )
        top = 0.1
    model.add(cylinder(0.01, top, height, 12), paint.hard())
    model.add(ellipsoid(0.014, 0.014, 0.02), paint.plastic(), (0, 0, height))
    return model.solid_cylinder(radius * 0.9, 0, 0.08).solid_cylinder(0.014, 0.08, height + 0.015)


def glasses(paint: Palette) -> ObjectModel:
    """Two lenses in a frame with temples."""
    rng = paint.rng
    model = ObjectModel("Glasses", tips=False)
    frame = paint.black() if paint.chance(0.4) else paint.plastic()
    lens = paint.plain((0.1, 0.12, 0.14), 0.08) if paint.chance(0.4) else paint.glass()
    half, lens_height = rng.uniform(0.028, 0.034), rng.uniform(0.018, 0.024)
    upright = rotation("x", 90)
    for side in (-1, 1):
        loop = np.stack(
            [
                0.026 * np.cos(np.linspace(0, 6.283, 18, endpoint=False)),
                lens_height * np.sin(np.linspace(0, 6.283, 18, endpoint=False)),
                np.zeros(18),
            ],
            1,
        )
        at = (side * half, 0, lens_height + 0.003)
        model.add(tube(loop, 0.002, 6, closed=True), frame, at, upright)
        model.add(ellipsoid(0.0255, lens_height, 0.001, around=20, along=6), lens, at, upright)
        temple = [
            (side * (half + 0.026), 0, lens_height * 1.3),
            (side * (half + 0.028), 0.1, lens_height * 1.25),
            (side * (half + 0.026), 0.135, 0.006),
        ]
        model.add(tube(temple, 0.002, 6), frame)
    model.add(
        tube([(-0.008, 0, lens_height * 1.5), (0, 0, lens_height * 1.7), (0.008, 0, lens_height * 1.5)], 0.002, 6),
        frame,
    )
    return model.solid_box(half + 0.027, 0.004, lens_height, (0, 0, lens_height)).solid_box(
        half + 0.02, 0.01, 0.008, (0, 0.12, 0.011)
    )


def watch(paint: Palette) -> ObjectModel:
    """Case with face, hand and crown on a strap."""
    rng = paint.rng
    model = ObjectModel("Watch", tips=False)
    radius = rng.uniform(0.015, 0.021)
    strap = paint.metal() if paint.chance(0.4) else paint.fabric(scale=0.05)
    for side in (-1, 1):
        model.add(
            box(radius * 0.6, 0.045, 0.0014, 0.0012),
            strap,
            (0, side * (radius + 0.042), 0.003),
            rotation("x", -side * 2),
        )
    model.add(cylinder(radius, 0, 0.009, 24), paint.metal())
    model.add(
        ellipsoid(radius * 0.85, radius * 0.85, 0.001),
        paint.plain(paint.pick([(0.9, 0.9, 0.88), (0.05, 0.05, 0.06)]), 0.1),
        (0, 0, 0.009),
    )
    model.add(box(0.0008, radius * 0.5, 0.0003, 0.0002), paint.metal(), (0, radius * 0.3, 0.0102))
    model.add(cylinder(0.0025, 0, 0.004, 8), paint.metal(), (radius - 0.001, 0, 0.0045), rotation("y", 90))
    return model.solid_box(radius, radius + 0.08, 0.0045, (0, 0, 0.0045))


def wallet(paint: Palette) -> ObjectModel:
    """Two leather covers around a filling."""
    rng = paint.rng
    model = ObjectModel("Wallet", flat=True, tips=False)
    w, d, t = rng.uniform(0.045, 0.06), rng.uniform(0.035, 0.048), rng.uniform(0.004, 0.008)
    leather = paint.pattern(
        ("noise", "plain", "carpet"),
        0.6,
        bump=0.0005,
        color=paint.pick([(0.3, 0.16, 0.08), (0.08, 0.08, 0.08), (0.5, 0.15, 0.12)]),
        scale=0.08,
    )
    model.add(box(w, d, t * 0.45, 0.002), leather, (0, 0, t * 0.45)).add(
        box(w, d, t * 0.45, 0.002), leather, (0.001, 0.001, t * 1.5)
    )
    model.add(box(w * 0.9, d * 0.98, t * 0.25, 0.001), paint.plastic(), (0.003, 0.002, t))
    return model.solid_box(w, d, t, (0, 0, t))


BUILDERS: dict[str, Builder] = {
    "HousePlant": house_plant,
    "Vase": vase,
    "Candle": candle,
    "TissueBox": tissue_box,
    "SprayBottle": partial(pump_bottle, category="SprayBottle"),
    "SoapBottle": partial(pump_bottle, category="SoapBottle"),
    "SoapBar": soap_bar,
    "Toothpaste": toothpaste,
    "Pillow": pillow,
    "Cloth": lambda paint: folded_cloth(paint) if paint.chance(0.45) else crumpled_cloth(paint),
    "Basket": partial(basket, category="Basket"),
    "Crate": partial(basket, category="Crate"),
    "PictureFrame": picture_frame,
    "Statue": statue,
    "Shoe": shoe,
    "Suitcase": suitcase,
    "Backpack": backpack,
    "Handbag": handbag,
    "GarbageCan": partial(bucket, category="GarbageCan"),
    "LaundryHamper": partial(bucket, category="LaundryHamper"),
    "Bucket": partial(bucket, category="Bucket"),
    "WateringCan": watering_can,
    "Plunger": partial(plunger, category="Plunger"),
    "ToiletBrush": partial(plunger, category="ToiletBrush"),
    "Glasses": glasses,
    "Watch": watch,
    "Wallet": wallet,
}
