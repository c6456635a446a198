"""Toys, sports gear and tools."""

from __future__ import annotations

from functools import partial

import numpy as np

from training.simulators.rooms.materials import STEEL, WARM_WHITE, Palette
from training.simulators.rooms.mesh import (
    arc,
    box,
    cylinder,
    ellipsoid,
    lathe,
    merge,
    place,
    prism,
    ring,
    rotation,
    tube,
)
from training.simulators.rooms.objects import Builder, ObjectModel, Piece
from training.simulators.rooms.scene import Material, Mesh

ALONG_X = rotation("y", 90)
"""Turns a lathed shape so that its axis lies along x."""


def teddy_bear(paint: Palette) -> ObjectModel:
    """Sitting bear: head, ears, muzzle, belly, four limbs, perhaps a scarf."""
    rng = paint.rng
    model = ObjectModel("TeddyBear", tips=False)
    size = rng.uniform(0.7, 1.8)
    fur_color = paint.wood_color() if paint.chance(0.6) else paint.color(0.0)
    fur = paint.pattern(("carpet", "noise", "plain"), 1.0, bump=0.001, color=fur_color, scale=0.1)
    patch, eye = paint.fabric(), paint.black(0.2)

    def add(
        radii: tuple[float, float, float], at: tuple[float, float, float], material: Material, around: int = 14
    ) -> None:
        mesh = ellipsoid(size * radii[0], size * radii[1], size * radii[2], around=around, along=10)
        model.add(mesh, material, np.array(at) * size)

    add((0.055, 0.05, 0.065), (0, 0, 0.07), fur)
    add((0.038, 0.012, 0.045), (0, -0.042, 0.07), patch if paint.chance(0.6) else fur)
    add((0.05, 0.045, 0.045), (0, 0, 0.165), fur)
    add((0.02, 0.018, 0.016), (0, -0.042, 0.155), patch)
    add((0.007, 0.005, 0.005), (0, -0.06, 0.16), eye, 8)
    for side in (-1, 1):
        add((0.018, 0.01, 0.018), (side * 0.04, 0, 0.207), fur)
        add((0.011, 0.008, 0.011), (side * 0.04, -0.006, 0.207), patch, 10)
        add((0.006, 0.005, 0.006), (side * 0.018, -0.04, 0.178), eye, 8)
        add((0.02, 0.02, 0.042), (side * 0.058, -0.02, 0.09), fur)
        add((0.024, 0.048, 0.022), (side * 0.04, -0.06, 0.024), fur)
        add((0.016, 0.005, 0.016), (side * 0.04, -0.106, 0.026), patch, 10)
    if paint.chance(0.5):
        model.add(ring(0.038 * size, 0.008 * size, 16, 6), paint.fabric(), (0, 0, 0.122 * size))
    model.solid_box(0.06 * size, 0.055 * size, 0.08 * size, (0, -0.02 * size, 0.08 * size))
    model.solid_box(0.058 * size, 0.045 * size, 0.022 * size, (0, -0.06 * size, 0.023 * size))
    return model.solid_box(0.045 * size, 0.04 * size, 0.045 * size, (0, 0, 0.18 * size))


def toy_car(paint: Palette) -> ObjectModel:
    """Car or truck with windows, wheels with hubs and head lamps."""
    rng = paint.rng
    model = ObjectModel("ToyCar")
    size = rng.uniform(0.7, 1.6)
    truck = paint.chance(0.4)
    paintwork = paint.plastic(paint.vivid())
    pieces: list[Piece] = [(box(0.06, 0.026, 0.013, 0.006), paintwork, (0, 0, 0.024))]
    glass = paint.plain((0.1, 0.13, 0.16), 0.1)
    if truck:
        pieces.append((box(0.016, 0.024, 0.016, 0.005), paint.plastic(paint.vivid()), (0.042, 0, 0.05)))
        pieces.append((box(0.0165, 0.0205, 0.008, 0.003), glass, (0.0425, 0, 0.054)))
        bed = paint.plastic(paint.vivid())
        for y in (-1, 1):
            pieces.append((box(0.038, 0.002, 0.014, 0.001), bed, (-0.02, y * 0.024, 0.05)))
        pieces.append((box(0.002, 0.026, 0.014, 0.001), bed, (-0.058, 0, 0.05)))
    else:
        pieces.append((box(0.03, 0.022, 0.012, 0.007), paint.plastic(), (-0.006, 0, 0.046)))
        pieces.append((box(0.0305, 0.0225, 0.007, 0.003), glass, (-0.006, 0, 0.046)))
    rubber, hub = paint.black(0.9), paint.metal()
    for x in (-1, 1):
        for y in (-1, 1):
            at = (x * 0.036, y * 0.025, 0.014)
            pieces.append((place(cylinder(0.014, -0.006, 0.006, 16), turn=rotation("x", 90)), rubber, at))
            pieces.append((place(cylinder(0.008, -0.0065, 0.0065, 12), turn=rotation("x", 90)), hub, at))
        lens = ellipsoid(0.003, 0.005, 0.004, around=8, along=6)
        pieces.append((lens, paint.plain((1, 1, 0.7), 0.2), (0.0595, x * 0.016, 0.026)))
    model.add_scaled(pieces, size)
    return model.solid_box(0.06 * size, 0.03 * size, 0.026 * size, (0, 0, 0.028 * size))


def toy_train(paint: Palette) -> ObjectModel:
    """Wooden engine with one or two coupled wagons, pulled as one."""
    rng = paint.rng
    model = ObjectModel("ToyTrain", tips=False)
    wagons = int(rng.integers(0, 3))
    wheel_material = paint.black() if paint.chance(0.5) else paint.wood()
    wheels = []
    for i in range(wagons + 1):
        x = -0.085 * i
        model.add(box(0.036, 0.018, 0.006, 0.002), paint.wood(), (x, 0, 0.018))
        wheels += [
            place(cylinder(0.011, -0.004, 0.004, 14), (x + dx, dy, 0.011), rotation("x", 90))
            for dx in (-0.022, 0.022)
            for dy in (-0.02, 0.02)
        ]
        if i:
            load = paint.plastic(paint.vivid())
            cargo = box(0.03, 0.016, 0.014, 0.003) if paint.chance(0.6) else ellipsoid(0.028, 0.015, 0.014, 0.5, 0.5)
            model.add(cargo, load, (x, 0, 0.038))
            model.add(tube([(x + 0.034, 0, 0.018), (x + 0.052, 0, 0.018)], 0.002, 6), paint.metal())
    model.add(cylinder(0.014, -0.012, 0.034, 18), paint.plastic(paint.vivid()), (0, 0, 0.038), ALONG_X)
    model.add(box(0.013, 0.018, 0.022, 0.003), paint.plastic(paint.vivid()), (-0.022, 0, 0.046))
    model.add(cylinder(0.005, 0.048, 0.066, 12, 0.007), paint.plastic(), (0.022, 0, 0))
    model.add(merge(wheels), wheel_material)
    half = 0.036 + 0.0425 * wagons
    model.solid_box(half, 0.024, 0.024, (-0.0425 * wagons, 0, 0.024))
    return model.solid_box(0.03, 0.018, 0.03, (0, 0, 0.036))


def ball(paint: Palette, category: str) -> ObjectModel:
    """Beach ball of coloured sectors, patterned ball, or basketball with its seams."""
    rng = paint.rng
    model = ObjectModel(category, tips=False)
    radius = rng.uniform(0.1, 0.125) if category == "BasketBall" else rng.uniform(0.02, 0.1)
    center = (0, 0, radius)
    if category == "BasketBall":
        leather = paint.pattern(("speckle", "noise"), 0.8, bump=0.0006, color=paint.near((0.8, 0.38, 0.15)), scale=0.05)
        model.add(ellipsoid(radius, radius, radius, around=32, along=20), leather, center)
        seams = [
            place(ring(radius, 0.0025, 36, 5), turn=turn) for turn in (np.eye(3), rotation("x", 90), rotation("y", 90))
        ]
        for side in (-1, 1):
            seams.append(place(ring(radius * 0.82, 0.0025, 30, 5), (side * radius * 0.57, 0, 0), ALONG_X))
        model.add(
            merge(seams), paint.black(), center, rotation("x", rng.uniform(0, 90)) @ rotation("z", rng.uniform(0, 90))
        )
        return model.solid_sphere(radius, center)
    sectors = int(rng.choice([1, 2, 4, 6]))
    angles = np.linspace(-np.pi / 2, np.pi / 2, 13)
    profile = [(max(radius * np.cos(a), 0), radius + radius * np.sin(a)) for a in angles]
    colors = [paint.plain(paint.color(0.2)) for _ in range(max(sectors, 2))]
    for i in range(sectors):
        patterned = paint.pattern(("dots", "stripes", "checks", "voronoi"), 0.5, scale=0.4)
        wedge = lathe(profile, max(4, 28 // sectors), crease=80, start=360 * i / sectors, end=360 * (i + 1) / sectors)
        model.add(wedge, colors[i % len(colors)] if sectors > 1 else patterned)
    if sectors > 1:
        model.add(
            ellipsoid(radius * 0.25, radius * 0.25, radius * 0.03), colors[-1], (0, 0, 2 * radius - radius * 0.03)
        )
    return model.solid_sphere(radius, center)


def toy_block(paint: Palette) -> ObjectModel:
    """Wooden block with pictures, an arch, a cylinder or a studded brick."""
    rng = paint.rng
    model = ObjectModel("ToyBlock", flat=True)
    style = int(rng.integers(4))
    if style == 0:
        half = rng.uniform(0.015, 0.025)
        model.add(
            box(half, half, half, 0.003),
            paint.wood() if paint.chance(0.5) else paint.plastic(paint.vivid()),
            (0, 0, half),
        )
        for turn in (np.eye(3), rotation("x", 90), rotation("y", 90), rotation("x", -90)):
            picture = place(box(half * 0.72, half * 0.72, 0.0004, 0.0002, True), (0, 0, half))
            model.add(picture, paint.printed("art" if paint.chance(0.5) else "label"), (0, 0, half), turn)
        return model.solid_box(half, half, half, (0, 0, half))
    if style == 1:
        nx, ny, pitch = int(rng.integers(1, 5)), int(rng.integers(1, 3)), rng.uniform(0.008, 0.016)
        shell = paint.plastic(paint.vivid())
        w, d, h = nx * pitch / 2 * 2, ny * pitch, pitch * 1.1
        model.add(box(w, d, h / 2, 0.0008), shell, (0, 0, h / 2))
        studs = [
            place(cylinder(pitch * 0.6, 0, pitch * 0.4, 12), (-w + pitch * (2 * i + 1), -d + pitch * (2 * j + 1), h))
            for i in range(nx)
            for j in range(ny)
        ]
        model.add(merge(studs), shell)
        return model.solid_box(w, d, h / 2 + pitch * 0.2, (0, 0, h / 2 + pitch * 0.2))
    if style == 2:
        radius, height = rng.uniform(0.012, 0.02), rng.uniform(0.02, 0.06)
        model.add(cylinder(radius, 0, height), paint.plastic(paint.vivid()) if paint.chance(0.6) else paint.wood())
        return model.solid_cylinder(radius, 0, height)
    half, depth = rng.uniform(0.025, 0.04), rng.uniform(0.012, 0.018)
    roof = place(prism([(-half, 0), (half, 0), (0, half)], -depth, depth), turn=rotation("x", 90))
    model.add(roof, paint.plastic(paint.vivid()) if paint.chance(0.6) else paint.wood())
    model.flat = False
    return model.solid_box(half * 0.75, depth, half * 0.25, (0, 0, half * 0.25)).solid_box(
        half * 0.3, depth, half * 0.2, (0, 0, half * 0.6)
    )


def puzzle_cube(paint: Palette) -> ObjectModel:
    """Black cube with six colours of tiles, scrambled."""
    model = ObjectModel("PuzzleCube", flat=True)
    half = paint.rng.uniform(0.024, 0.03)
    model.add(box(half, half, half, 0.002), paint.black(), (0, 0, half))
    pitch = half * 2 / 3
    tiles: list[list[Mesh]] = [[] for _ in range(6)]
    for turn in (np.eye(3), *(rotation("x", a) for a in (90, 180, 270)), rotation("y", 90), rotation("y", -90)):
        for i in (-1, 0, 1):
            for j in (-1, 0, 1):
                tile = place(box(pitch * 0.43, pitch * 0.43, 0.0006, 0.0004), (i * pitch, j * pitch, half))
                tiles[int(paint.rng.integers(6))].append(place(tile, turn=turn))
    faces = ((0.8, 0.1, 0.1), (0.1, 0.55, 0.2), (0.1, 0.25, 0.7), (0.9, 0.8, 0.1), (0.9, 0.45, 0.1), (0.92, 0.92, 0.92))
    for group, color in zip(tiles, faces, strict=True):
        if group:
            model.add(merge(group), paint.plastic(paint.near(color)), (0, 0, half))
    return model.solid_box(half, half, half, (0, 0, half))


def rubber_duck(paint: Palette) -> ObjectModel:
    """Body, wings, head, beak and eyes."""
    model = ObjectModel("RubberDuck", tips=False)
    size = paint.rng.uniform(0.8, 1.4)
    skin = paint.plastic(paint.near((0.95, 0.8, 0.15)) if paint.chance(0.7) else paint.vivid())
    beak = paint.plastic(paint.near((0.95, 0.45, 0.1)))
    eye = paint.black(0.2)
    pieces: list[Piece] = [
        (ellipsoid(0.045, 0.034, 0.028, noise=0.02, rng=paint.rng), skin, (0, 0, 0.027)),
        (ellipsoid(0.024, 0.023, 0.023), skin, (0.026, 0, 0.066)),
        (ellipsoid(0.014, 0.011, 0.005), beak, (0.05, 0, 0.062)),
        (ellipsoid(0.018, 0.008, 0.012), skin, (-0.045, 0, 0.042)),
    ]
    for side in (-1, 1):
        pieces.append((ellipsoid(0.004, 0.003, 0.005, around=8, along=6), eye, (0.042, side * 0.014, 0.073)))
        pieces.append((ellipsoid(0.024, 0.006, 0.014), skin, (-0.008, side * 0.033, 0.034)))
    model.add_scaled(pieces, size)
    model.solid_box(0.04 * size, 0.03 * size, 0.026 * size, (0, 0, 0.027 * size))
    return model.solid_sphere(0.022 * size, (0.026 * size, 0, 0.066 * size))


def doll(paint: Palette) -> ObjectModel:
    """Figure of head, hair, dress or trousers, arms and legs, lying or standing."""
    rng = paint.rng
    model = ObjectModel("Doll")
    size = rng.uniform(0.6, 1.3)
    skin = paint.plain(paint.pick([(0.9, 0.72, 0.6), (0.6, 0.42, 0.3), (0.35, 0.23, 0.17), (0.85, 0.8, 0.2)]), 0.5)
    hair, clothes, legs = paint.plain(paint.color(0.5), 0.9), paint.fabric(scale=0.05), paint.fabric(scale=0.05)
    pieces: list[Piece] = [
        (ellipsoid(0.026, 0.024, 0.028), skin, (0, 0, 0.19)),
        (ellipsoid(0.028, 0.027, 0.021), hair, (0, 0.004, 0.203)),
    ]
    dressed = paint.chance(0.5)
    if dressed:
        skirt = lathe([(0, 0.05), (0.05, 0.05), (0.026, 0.11), (0.024, 0.16), (0.008, 0.17), (0, 0.17)], 20, crease=60)
        pieces.append((skirt, clothes, (0, 0, 0)))
    else:
        pieces.append((ellipsoid(0.03, 0.02, 0.042, 0.6, 0.7), clothes, (0, 0, 0.128)))
    for side in (-1, 1):
        leg_x = side * 0.015
        pieces.append((cylinder(0.012, 0.006, 0.1, 12), legs if not dressed else skin, (leg_x, 0, 0)))
        pieces.append((box(0.012, 0.02, 0.007, 0.004), paint.plastic(), (leg_x, -0.006, 0.007)))
        arm = [(side * 0.026, 0, 0.155), (side * 0.05, -0.008, 0.125), (side * 0.055, -0.02, 0.1)]
        pieces.append((tube(arm, [0.01, 0.009, 0.008], 8), clothes, (0, 0, 0)))
        pieces.append((ellipsoid(0.009, 0.009, 0.01, around=10, along=8), skin, (side * 0.056, -0.022, 0.094)))
        pieces.append(
            (ellipsoid(0.003, 0.003, 0.004, around=8, along=6), paint.black(0.2), (side * 0.009, -0.022, 0.194))
        )
    model.add_scaled(pieces, size)
    model.solid_box(0.032 * size, 0.025 * size, 0.09 * size, (0, 0, 0.09 * size))
    return model.solid_sphere(0.027 * size, (0, 0, 0.19 * size))


def stacking_rings(paint: Palette) -> ObjectModel:
    """Rings of falling size on a post."""
    rng = paint.rng
    model = ObjectModel("StackingRings", tips=False)
    size, count = rng.uniform(0.8, 1.3), int(rng.integers(3, 7))
    model.add(cylinder(0.045 * size, 0, 0.012 * size), paint.wood() if paint.chance(0.5) else paint.plastic())
    height = 0.012 * size
    for i in range(count):
        thick = (0.013 - 0.0009 * i) * size
        hole = (0.03 - 0.0032 * i) * size
        model.add(ring(hole, thick, 24, 10), paint.plastic(paint.vivid()), (0, 0, height + thick))
        height += 2 * thick - 0.001
    model.add(cylinder(0.009 * size, 0.01 * size, height + 0.005, 14), paint.wood())
    model.add(
        ellipsoid(0.014 * size, 0.014 * size, 0.014 * size), paint.plastic(paint.vivid()), (0, 0, height + 0.014 * size)
    )
    return model.solid_cylinder(0.045 * size, 0, height * 0.5).solid_cylinder(
        0.028 * size, height * 0.5, height + 0.02 * size
    )


def baseball_bat(paint: Palette) -> ObjectModel:
    """Bat with a wrapped grip, lying along x."""
    rng = paint.rng
    model = ObjectModel("BaseballBat", tips=False)
    length, radius = rng.uniform(0.6, 0.8), rng.uniform(0.027, 0.033)
    shape = [
        (0, 0),
        (0.8, 0),
        (0.85, 0.02),
        (0.42, 0.035),
        (0.4, 0.3),
        (0.85, 0.65),
        (1, 0.85),
        (0.95, 0.98),
        (0.6, 1),
        (0, 1),
    ]
    profile = [(r * radius, z * length) for r, z in shape]
    model.add(
        lathe(profile, 24, crease=60),
        paint.wood() if paint.chance(0.6) else paint.metal(),
        (-length / 2, 0, radius),
        ALONG_X,
    )
    grip = [(0.43 * radius + 0.001, 0.04 * length), (0.43 * radius + 0.001, 0.3 * length)]
    model.add(lathe(grip, 20), paint.fabric(scale=0.03), (-length / 2, 0, radius), ALONG_X)
    model.solid_rod(radius, (0.05 * length, 0, radius), (length / 2, 0, radius))
    return model.solid_rod(radius * 0.8, (-length / 2, 0, radius * 0.85), (-0.45 * length, 0, radius * 0.85))


def dumbbell(paint: Palette) -> ObjectModel:
    """Bar with two weights, round or hexagonal."""
    rng = paint.rng
    model = ObjectModel("Dumbbell", tips=False)
    radius, half = rng.uniform(0.03, 0.06), rng.uniform(0.07, 0.11)
    weight = paint.black() if paint.chance(0.5) else paint.plastic(paint.vivid())
    sides = 6 if paint.chance(0.5) else 24
    lift = radius * (np.cos(np.pi / 6) if sides == 6 else 1.0)
    spin = rotation("z", 30) if sides == 6 else np.eye(3)
    for side in (-1, 1):
        disc = place(cylinder(radius, -0.025, 0.025, sides), turn=ALONG_X @ spin)
        model.add(disc, weight, (side * half, 0, lift))
        model.add(cylinder(radius * 0.5, -0.028, 0.028, 16), paint.metal(), (side * half, 0, lift), ALONG_X)
        model.solid_box(0.025, radius * 0.8, lift, (side * half, 0, lift))
    model.add(cylinder(0.013, -half, half, 16), paint.metal(), (0, 0, lift), ALONG_X)
    return model.solid_rod(0.013, (-half, 0, lift), (half, 0, lift))


def hammer(paint: Palette) -> ObjectModel:
    """Handle, head and claw, lying."""
    rng = paint.rng
    model = ObjectModel("Hammer", tips=False)
    reach, head = rng.uniform(0.2, 0.28), rng.uniform(0.045, 0.06)
    steel = paint.metal(STEEL * rng.uniform(0.4, 1.1))
    z = 0.016
    shaft = [(-reach, 0, z), (-reach * 0.4, 0, z), (0, 0, z)]
    model.add(tube(shaft, [0.013, 0.011, 0.01], 10, flatness=0.8), paint.wood() if paint.chance(0.6) else steel)
    if paint.chance(0.5):
        model.add(
            tube([(-reach * 1.01, 0, z), (-reach * 0.55, 0, z)], [0.0155, 0.014], 10, flatness=0.85), paint.plastic()
        )
    model.add(box(0.013, head * 0.4, 0.013, 0.003), steel, (0, 0, z))
    model.add(cylinder(0.0155, 0, head * 0.55, 16), steel, (0, -head * 0.35, z), rotation("x", 90))
    claw = [(0, head * 0.35, z), (-0.006, head * 0.75, z), (-0.022, head * 1.1, z)]
    model.add(tube(claw, [0.012, 0.009, 0.003], 8, flatness=1.1), steel)
    return model.solid_box(reach / 2, 0.012, 0.014, (-reach / 2, 0, z)).solid_box(0.015, head * 0.9, 0.0155, (0, 0, z))


def screwdriver(paint: Palette) -> ObjectModel:
    """Grip with a ring, shaft and blade, lying."""
    rng = paint.rng
    model = ObjectModel("Screwdriver", tips=False)
    grip, blade, radius = rng.uniform(0.08, 0.11), rng.uniform(0.08, 0.14), rng.uniform(0.011, 0.016)
    shape = [(0, 0), (0.8, 0.02), (1, 0.15), (0.85, 0.5), (1, 0.75), (0.7, 0.95), (0.35, 1), (0, 1)]
    handle = [(r * radius, z * grip) for r, z in shape]
    model.add(lathe(handle, 16, crease=60), paint.plastic(paint.vivid()), (-grip, 0, radius), ALONG_X)
    model.add(
        lathe([(radius + 0.0006, grip * 0.1), (radius + 0.0006, grip * 0.22)], 16),
        paint.black(),
        (-grip, 0, radius),
        ALONG_X,
    )
    steel = paint.metal(STEEL)
    model.add(cylinder(0.0032, -0.004, blade, 10), steel, (0, 0, radius), ALONG_X)
    model.add(box(0.008, 0.004, 0.0012, 0.0008), steel, (blade, 0, radius))
    return model.solid_box(grip / 2, radius * 0.8, radius, (-grip / 2, 0, radius)).solid_box(
        blade / 2, 0.004, 0.004, (blade / 2, 0, radius)
    )


def wrench(paint: Palette) -> ObjectModel:
    """Ring at one end, jaw at the other."""
    rng = paint.rng
    model = ObjectModel("Wrench", tips=False)
    reach, jaw, t = rng.uniform(0.07, 0.12), rng.uniform(0.014, 0.024), rng.uniform(0.003, 0.005)
    steel = paint.metal(STEEL * rng.uniform(0.6, 1.1))
    model.add(box(reach, jaw * 0.42, t, 0.003), steel, (0, 0, t))
    model.add(
        lathe([(jaw * 0.55, 0), (jaw, 0), (jaw, 2 * t), (jaw * 0.55, 2 * t), (jaw * 0.55, 0)], 24),
        steel,
        (-reach - jaw * 0.6, 0, 0),
    )
    for side in (-1, 1):
        finger = [
            (reach - 0.004, side * jaw * 0.3),
            (reach + jaw, side * jaw * 0.55),
            (reach + jaw * 1.9, side * jaw * 0.75),
            (reach + jaw * 1.9, side * jaw * 1.15),
            (reach + jaw * 0.4, side * jaw),
        ]
        model.add(prism(finger if side > 0 else finger[::-1], 0, 2 * t), steel)
    if paint.chance(0.4):
        model.add(box(reach * 0.7, jaw * 0.46, t * 1.15, 0.003), paint.plastic(paint.vivid()), (0, 0, t * 1.05))
    return model.solid_box(reach + jaw * 1.6, jaw * 0.9, t, (0, 0, t))


def pliers(paint: Palette) -> ObjectModel:
    """Two jaws, joint and coated handles, a little open."""
    rng = paint.rng
    model = ObjectModel("Pliers", tips=False)
    reach, opening = rng.uniform(0.09, 0.12), rng.uniform(4, 12)
    steel, grip = paint.metal(STEEL * rng.uniform(0.5, 1.1)), paint.plastic(paint.vivid())
    z = 0.008
    for side in (-1, 1):
        turn = rotation("z", side * opening * 0.5)
        jaw = [(-0.012, side * 0.004, z), (0.02, side * 0.008, z), (0.06, side * 0.003, z)]
        model.add(tube(jaw, [0.008, 0.008, 0.003], 8, flatness=0.8), steel, turn=turn)
        handle = [
            (0, -side * 0.004, z),
            (-0.03, -side * 0.016, z),
            (-reach * 0.7, -side * 0.024, z),
            (-reach, -side * 0.02, z),
        ]
        model.add(tube(handle, 0.0045, 8), steel, turn=turn)
        model.add(tube(handle[1:], [0.007, 0.0078, 0.007], 8), grip, turn=turn)
    model.add(cylinder(0.011, 0, 0.016, 16), steel)
    return model.solid_box(0.03, 0.012, z, (0.03, 0, z)).solid_box(reach / 2, 0.028, z, (-reach / 2, 0, z))


def tape_measure(paint: Palette) -> ObjectModel:
    """Case with label, bumper and a piece of tape pulled out."""
    rng = paint.rng
    model = ObjectModel("TapeMeasure", tips=False)
    size = rng.uniform(0.8, 1.2)
    w, d, h = 0.034 * size, 0.018 * size, 0.032 * size
    model.add(box(w, d, h, 0.009), paint.plastic(paint.vivid()), (0, 0, h))
    for side in (-1, 1):
        model.add(
            cylinder(0.02 * size, 0, 0.002, 20),
            paint.metal() if side > 0 else paint.printed(),
            (0, side * d * 0.99, h),
            rotation("x", -90 * side),
        )
    pulled = rng.uniform(0.01, 0.12)
    model.add(
        box(pulled / 2, 0.01, 0.0006, 0.0004), paint.plain((0.9, 0.8, 0.2), 0.4), (w + pulled / 2 - 0.002, 0, 0.004)
    )
    model.add(box(0.0012, 0.01, 0.006, 0.0005), paint.metal(), (w + pulled, 0, 0.006))
    model.add(box(w * 0.8, d * 1.02, h * 0.15, 0.004), paint.black(), (0, 0, h * 1.84))
    model.solid_box((w + pulled) / 2, 0.01, 0.003, ((w + pulled) / 2, 0, 0.003))
    return model.solid_box(w, d, h, (0, 0, h))


def drill(paint: Palette) -> ObjectModel:
    """Cordless drill standing on its battery."""
    rng = paint.rng
    model = ObjectModel("Drill")
    size = rng.uniform(0.85, 1.15)
    shell, dark = paint.plastic(paint.vivid()), paint.black()
    pieces: list[Piece] = [
        (box(0.045, 0.034, 0.02, 0.007), dark, (0, 0, 0.02)),
        (ellipsoid(0.02, 0.018, 0.062, 0.5, 0.8), shell, (-0.004, 0, 0.085)),
        (box(0.007, 0.012, 0.04, 0.005), dark, (-0.022, 0, 0.085)),
        (place(cylinder(0.03, -0.07, 0.035, 20), turn=ALONG_X), shell, (0, 0, 0.16)),
        (place(cylinder(0.024, 0.033, 0.062, 20, 0.021), turn=ALONG_X), dark, (0, 0, 0.16)),
        (place(cylinder(0.017, 0.06, 0.09, 16, 0.011), turn=ALONG_X), paint.black(0.3), (0, 0, 0.16)),
        (place(cylinder(0.0028, 0.085, 0.15, 8), turn=ALONG_X), paint.metal(STEEL), (0, 0, 0.16)),
        (box(0.006, 0.009, 0.016, 0.004), dark, (0.018, 0, 0.115)),
        (box(0.03, 0.031, 0.008, 0.003, True), paint.printed(), (-0.02, 0, 0.165)),
    ]
    model.add_scaled(pieces, size)
    model.solid_box(0.045 * size, 0.034 * size, 0.02 * size, (0, 0, 0.02 * size))
    model.solid_box(0.02 * size, 0.016 * size, 0.06 * size, (0, 0, 0.085 * size))
    model.solid_rod(0.018 * size, (0, 0, 0.16 * size), (0.12 * size, 0, 0.16 * size))
    return model.solid_rod(0.03 * size, (-0.07 * size, 0, 0.16 * size), (0.06 * size, 0, 0.16 * size))


def flashlight(paint: Palette) -> ObjectModel:
    """Tube with grip, switch, head and lens."""
    rng = paint.rng
    model = ObjectModel("Flashlight")
    radius, length = rng.uniform(0.012, 0.018), rng.uniform(0.1, 0.16)
    head = radius * rng.uniform(1.2, 1.6)
    shell = paint.metal() if paint.chance(0.5) else paint.plastic()
    outline = [(0, 0), (radius, 0), (radius, length * 0.7), (head, length * 0.82), (head, length), (head * 0.9, length)]
    model.add(lathe([*outline, (head * 0.85, length - 0.006)], 24), shell)
    model.add(
        lathe([(head * 0.86, length - 0.005), (0, length - 0.005)], 20),
        paint.plain(WARM_WHITE, 0.1, 0.8 if paint.chance(0.3) else 0),
    )
    model.add(lathe([(radius + 0.001, length * 0.15), (radius + 0.001, length * 0.5)], 20), paint.black(0.9))
    model.add(box(0.004, 0.006, 0.009, 0.002), paint.plastic(paint.vivid()), (radius, 0, length * 0.6))
    return model.solid_cylinder(radius, 0, length * 0.75).solid_cylinder(head, length * 0.78, length)


def light_bulb(paint: Palette) -> ObjectModel:
    """Glass and threaded base, lying."""
    rng = paint.rng
    model = ObjectModel("LightBulb", tips=False)
    radius = rng.uniform(0.025, 0.033)
    glass = paint.plain((0.93, 0.93, 0.9), 0.15) if paint.chance(0.6) else paint.glass()
    bulb = [
        (0.013, 0),
        (0.015, 0.012),
        (radius * 0.85, radius),
        (radius, radius * 1.6),
        (radius * 0.75, radius * 2.35),
        (0, radius * 2.65),
    ]
    base = [(0, -0.028), (0.006, -0.028), (0.012, -0.022), (0.013, 0.001)]
    lie = ALONG_X
    model.add(lathe(bulb, 22, crease=70), glass, (0, 0, radius), lie)
    model.add(lathe(base, 18), paint.metal(STEEL), (0, 0, radius), lie)
    threads = [place(ring(0.0132, 0.0012, 16, 5), (0, 0, z)) for z in (-0.006, -0.011, -0.016)]
    model.add(merge(threads), paint.metal(STEEL), (0, 0, radius), lie)
    model.solid_sphere(radius, (radius * 1.6, 0, radius))
    return model.solid_rod(0.014, (-0.026, 0, radius), (radius, 0, radius))


def battery(paint: Palette) -> ObjectModel:
    """Printed jacket with metal poles."""
    rng = paint.rng
    model = ObjectModel("Battery")
    radius, height = rng.uniform(0.005, 0.016), rng.uniform(0.044, 0.058)
    model.add(cylinder(radius, 0.0008, height, 18), paint.printed("label", 0.3))
    model.add(cylinder(radius * 1.003, height * 0.7, height + 0.0003, 18), paint.metal())
    model.add(cylinder(radius * 0.35, height, height + 0.0022, 10), paint.metal(STEEL))
    model.add(cylinder(radius * 0.9, 0, 0.001, 14), paint.metal(STEEL))
    return model.solid_cylinder(radius, 0, height + 0.001)


def padlock(paint: Palette) -> ObjectModel:
    """Body with shackle, keyhole and print."""
    rng = paint.rng
    model = ObjectModel("Padlock", tips=False)
    w, d, t = rng.uniform(0.016, 0.025), rng.uniform(0.014, 0.02), rng.uniform(0.006, 0.009)
    model.add(box(w, d, t, 0.003), paint.metal(), (0, 0, t))
    shackle = np.array(
        [(-w * 0.65, d - 0.004, t), *arc((0, d + 0.012, t), w * 0.65, 180, 0, 10, "xy"), (w * 0.65, d - 0.004, t)]
    )
    model.add(tube(shackle, 0.0032, 8), paint.metal(STEEL))
    model.add(cylinder(0.004, 0, 0.002, 12), paint.black(), (0, -d * 0.99, t), rotation("x", 90))
    model.add(box(w * 0.6, d * 0.3, 0.0006, 0.0003, True), paint.printed(), (0, 0, 2 * t))
    return model.solid_box(w, d, t, (0, 0, t)).solid_box(w * 0.7, 0.012, 0.0035, (0, d + 0.014, t))


def key(paint: Palette) -> ObjectModel:
    """One to four keys on a ring, perhaps with a tag."""
    rng = paint.rng
    model = ObjectModel("Key", tips=False)
    for i in range(int(rng.integers(1, 5))):
        turn, brass = rotation("z", rng.uniform(-60, 60)), paint.metal()
        z = 0.0012 + 0.0021 * i
        bow = place(cylinder(0.011, -0.001, 0.001, 18), (0.016, 0, 0))
        blade = place(box(0.016, 0.003, 0.001, 0.0005), (0.04, 0, 0))
        teeth = [place(box(0.0015, 0.0018, 0.001, 0.0004), (0.036 + 0.005 * j, 0.004, 0)) for j in range(4)]
        model.add(merge([bow, blade, *teeth]), brass, (0, 0, z), turn)
    model.add(ring(0.012, 0.0011, 22, 6), paint.metal(STEEL), (0, 0, 0.0035))
    if paint.chance(0.5):
        model.add(
            box(0.014, 0.02, 0.002, 0.002), paint.plastic(paint.vivid()), (-0.012, 0.02, 0.0025), rotation("z", 25)
        )
    return model.solid_box(0.03, 0.014, 0.003, (0.026, 0, 0.003))


def paint_brush(paint: Palette) -> ObjectModel:
    """Handle, ferrule and bristles, perhaps with paint."""
    rng = paint.rng
    model = ObjectModel("PaintBrush", tips=False)
    w, reach = rng.uniform(0.008, 0.03), rng.uniform(0.07, 0.1)
    t = 0.006
    handle = [(-reach * 1.3, 0, t), (-reach * 0.6, 0, t), (-0.02, 0, t), (0, 0, t)]
    model.add(
        tube(handle, [0.006, 0.01, 0.007, 0.011], 10, flatness=0.55),
        paint.wood() if paint.chance(0.6) else paint.plastic(),
    )
    model.add(box(0.014, w, t, 0.002), paint.metal(), (0.01, 0, t))
    bristle = paint.pattern(
        ("stripes", "noise"), 1.0, color=paint.pick([(0.2, 0.15, 0.1), (0.8, 0.7, 0.5), (0.1, 0.1, 0.1)]), scale=0.01
    )
    model.add(box(0.02, w * 0.95, t * 0.85, 0.003), bristle, (0.042, 0, t))
    if paint.chance(0.5):
        model.add(box(0.009, w * 0.97, t * 0.88, 0.003), paint.plain(paint.vivid(), 0.3), (0.055, 0, t))
    return model.solid_box(reach * 0.65, 0.009, t, (-reach * 0.65, 0, t)).solid_box(0.03, w, t, (0.03, 0, t))


def bolt(paint: Palette) -> ObjectModel:
    """Screw or bolt with its nut, lying."""
    rng = paint.rng
    model = ObjectModel("Bolt", tips=False)
    radius, length = rng.uniform(0.003, 0.006), rng.uniform(0.025, 0.06)
    steel = paint.metal(STEEL) if paint.chance(0.7) else paint.metal()
    head = radius * 1.9
    lift = head * 0.9
    model.add(cylinder(radius, 0, length, 12), steel, (-length / 2, 0, lift), ALONG_X)
    model.add(cylinder(head, -radius * 1.4, 0, 6), steel, (-length / 2, 0, lift), ALONG_X)
    threads = [
        place(ring(radius, radius * 0.16, 12, 4), (0, 0, z)) for z in np.linspace(length * 0.35, length * 0.97, 9)
    ]
    model.add(merge(threads), steel, (-length / 2, 0, lift), ALONG_X)
    if paint.chance(0.5):
        at = rng.uniform(0.4, 0.8) * length
        model.add(cylinder(head, at, at + radius * 1.6, 6), paint.metal(), (-length / 2, 0, lift), ALONG_X)
    return model.solid_box(length / 2 + radius, lift, lift, (0, 0, lift))


def toolbox(paint: Palette) -> ObjectModel:
    """Case with lid, latches, handle and label."""
    rng = paint.rng
    model = ObjectModel("Toolbox", tips=False)
    w, d, h = rng.uniform(0.15, 0.24), rng.uniform(0.08, 0.12), rng.uniform(0.06, 0.1)
    shell = paint.plastic(paint.vivid()) if paint.chance(0.6) else paint.metal()
    model.add(box(w, d, h * 0.7, 0.008), shell, (0, 0, h * 0.7))
    model.add(
        box(w * 1.015, d * 1.02, h * 0.3, 0.01),
        paint.black() if paint.chance(0.5) else paint.plastic(),
        (0, 0, h * 1.68),
    )
    for x in (-0.5, 0.5):
        model.add(box(0.018, 0.004, 0.022, 0.003), paint.metal(), (x * w, -d - 0.003, h * 1.36))
    grip = [
        (-w * 0.4, 0, 2 * h - 0.008),
        (-w * 0.35, 0, 2 * h + 0.035),
        (w * 0.35, 0, 2 * h + 0.035),
        (w * 0.4, 0, 2 * h - 0.008),
    ]
    model.add(tube(grip, 0.01, 8), paint.black())
    model.add(box(w * 0.4, 0.001, h * 0.25, 0.0005, True), paint.printed(), (0, -d - 0.0005, h * 0.6))
    return model.solid_box(w, d, h, (0, 0, h)).solid_box(w * 0.4, 0.012, 0.02, (0, 0, 2 * h + 0.02))


def umbrella(paint: Palette) -> ObjectModel:
    """Rolled umbrella lying along x."""
    rng = paint.rng
    model = ObjectModel("Umbrella", tips=False)
    half, radius = rng.uniform(0.25, 0.4), rng.uniform(0.022, 0.032)
    folds = [(0, 0), (0.6, 0.01), (1, 0.1), (0.8, 0.6), (0.3, 0.97), (0.12, 1), (0, 1)]
    canopy = [(r * radius, z * half * 1.5) for r, z in folds]
    model.add(lathe(canopy, 16, crease=60), paint.fabric(), (-half * 0.5, 0, radius), ALONG_X)
    model.add(
        lathe([(radius * 0.95, half * 0.45), (radius * 0.9, half * 0.52)], 16),
        paint.fabric(),
        (-half * 0.5, 0, radius + 0.0005),
        ALONG_X,
    )
    model.add(cylinder(0.004, -half * 0.45, half * 1.62, 10), paint.metal(), (-half * 0.5, 0, radius), ALONG_X)
    hook = arc((-half * 0.95, 0.03, radius), 0.03, -90, -290, 10, "xy")
    model.add(tube(hook, 0.009, 8), paint.wood() if paint.chance(0.5) else paint.plastic())
    model.solid_rod(0.005, (-half, 0, radius), (half * 1.1, 0, radius))
    return model.solid_rod(radius * 0.9, (-half * 0.5, 0, radius), (half * 0.6, 0, radius)).solid_box(
        0.03, 0.03, 0.009, (-half * 0.95, 0.03, radius)
    )


def hat(paint: Palette) -> ObjectModel:
    """Brimmed hat with a band, or a cap with visor."""
    rng = paint.rng
    model = ObjectModel("Hat", tips=False)
    radius, height = rng.uniform(0.085, 0.1), rng.uniform(0.08, 0.12)
    cloth = paint.fabric()
    if paint.chance(0.5):
        brim = rng.uniform(1.3, 1.7)
        outline = [
            (0, 0),
            (radius * brim, 0),
            (radius * brim, 0.004),
            (radius, 0.006),
            (radius * 0.88, height * 0.9),
            (radius * 0.7, height),
            (0, height * 0.95),
        ]
        model.add(lathe(outline, 32, crease=40), cloth)
        model.add(lathe([(radius + 0.0015, 0.007), (radius * 0.97 + 0.0015, 0.03)], 32), paint.fabric())
    else:
        crown = [
            (0, 0),
            (radius, 0),
            (radius, height * 0.35),
            (radius * 0.8, height * 0.8),
            (radius * 0.4, height),
            (0, height * 1.03),
        ]
        model.add(lathe(crown, 28, crease=60), cloth)
        visor = place(ellipsoid(radius * 0.75, radius * 0.75, 0.004, 0.6, 1.0), (0, -radius * 0.85, 0.006))
        model.add(visor, paint.fabric() if paint.chance(0.5) else cloth)
        model.add(ellipsoid(0.008, 0.008, 0.005, around=12, along=6), paint.fabric(), (0, 0, height * 1.03))
        model.add(box(0.02, 0.001, 0.015, 0.0005, True), paint.printed(), (0, -radius * 1.0, height * 0.32))
    brim_radius = float(model.bounds()[1][0])
    return model.solid_cylinder(brim_radius, 0, 0.006).solid_cylinder(radius * 0.95, 0, height * 0.95)


BUILDERS: dict[str, Builder] = {
    "TeddyBear": teddy_bear,
    "ToyCar": toy_car,
    "ToyTrain": toy_train,
    "Ball": partial(ball, category="Ball"),
    "BasketBall": partial(ball, category="BasketBall"),
    "ToyBlock": toy_block,
    "PuzzleCube": puzzle_cube,
    "RubberDuck": rubber_duck,
    "Doll": doll,
    "StackingRings": stacking_rings,
    "BaseballBat": baseball_bat,
    "Dumbbell": dumbbell,
    "Hammer": hammer,
    "Screwdriver": screwdriver,
    "Wrench": wrench,
    "Pliers": pliers,
    "TapeMeasure": tape_measure,
    "Drill": drill,
    "Flashlight": flashlight,
    "LightBulb": light_bulb,
    "Battery": battery,
    "Padlock": padlock,
    "Key": key,
    "PaintBrush": paint_brush,
    "Bolt": bolt,
    "Toolbox": toolbox,
    "Umbrella": umbrella,
    "Hat": hat,
}
