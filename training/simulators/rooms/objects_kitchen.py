"""Crockery, cookware, cutlery and small kitchen machines.

Every builder draws its own dimensions and materials; most objects show several parts in unlike materials, because a
model that takes whole objects has to see parts that belong together.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from training.simulators.rooms.materials import BLACK, STEEL, WHITE, Palette
from training.simulators.rooms.mesh import (
    arc,
    box,
    cylinder,
    disc,
    ellipsoid,
    lathe,
    place,
    prism,
    ring,
    rotation,
    tube,
)
from training.simulators.rooms.objects import Builder, ObjectModel
from training.simulators.rooms.scene import Material, Mesh


def mug(paint: Palette) -> ObjectModel:
    """Outer and inner glaze, handle, often a print and a drink."""
    rng = paint.rng
    model = ObjectModel("Mug")
    radius, height, wall = rng.uniform(0.034, 0.048), rng.uniform(0.08, 0.115), 0.0035
    foot = radius * rng.uniform(0.8, 1.05)
    glaze = paint.ceramic()
    inside = paint.ceramic() if paint.chance(0.6) else glaze
    outer = [(0, 0), (foot * 0.92, 0), (foot, 0.006), (radius, height * 0.97), (radius - 0.001, height)]
    inner = [(radius - 0.001, height), (radius - wall, height), (foot - wall - 0.002, 0.012), (0, 0.008)]
    model.add(lathe(outer), glaze).add(lathe(inner), inside)
    handle = arc((radius * 0.97, 0, height * 0.52), height * 0.26, 100, -100, 12, "xz", height * 0.33)
    model.add(tube(handle, rng.uniform(0.004, 0.006), flatness=1.3), glaze if paint.chance(0.55) else paint.ceramic())
    if paint.chance(0.5):
        drink = paint.pick([(0.12, 0.06, 0.03), (0.55, 0.35, 0.2), (0.75, 0.55, 0.15)])
        level = height * rng.uniform(0.6, 0.85)
        model.add(
            disc(_between(foot, radius, level / height) - wall - 0.0005, level - 0.002, level), paint.plain(drink, 0.1)
        )
    if paint.chance(0.5):
        band = [(_between(foot, radius, part) + 0.0008, height * part) for part in (0.25, 0.75)]
        model.add(lathe(band), paint.printed() if paint.chance(0.6) else paint.ceramic())
    model.solid_cylinder(max(radius, foot), 0, height)
    return model.solid_box(height * 0.12, 0.005, height * 0.3, (radius + height * 0.13, 0, height * 0.52))


def cup(paint: Palette) -> ObjectModel:
    """Drinking glass or beaker, sometimes with a straw."""
    rng = paint.rng
    model = ObjectModel("Cup")
    radius, height = rng.uniform(0.03, 0.042), rng.uniform(0.08, 0.15)
    foot = radius * rng.uniform(0.7, 0.95)
    body = paint.glass() if paint.chance(0.5) else paint.plastic()
    profile = [(0, 0), (foot, 0), (radius, height), (radius - 0.002, height), (foot - 0.002, 0.006), (0, 0.006)]
    model.add(lathe(profile), body)
    if paint.chance(0.7):
        level = rng.uniform(0.4, 0.85)
        inside = [(foot - 0.0025, 0.0065), (_between(foot, radius, level) - 0.0025, height * level)]
        model.add(_filling(inside), _drink(paint))
    if paint.chance(0.35):
        straw = [(0, 0, 0.01), (radius * 0.9, 0, height * 1.25), (radius * 1.3, 0, height * 1.35)]
        model.add(tube(straw, 0.003, 6), paint.plastic())
    if paint.chance(0.4):
        band = [(_between(foot, radius, part) + 0.0008, height * part) for part in (0.3, 0.6)]
        model.add(lathe(band), paint.ceramic())
    return model.solid_cylinder(radius, 0, height)


def wine_glass(paint: Palette) -> ObjectModel:
    """Foot and stem, bowl, perhaps wine."""
    rng = paint.rng
    model = ObjectModel("WineGlass")
    radius, height = rng.uniform(0.03, 0.042), rng.uniform(0.15, 0.21)
    stem = height * rng.uniform(0.35, 0.5)
    glass = paint.glass()
    model.add(
        lathe([(0, 0), (radius, 0), (radius * 0.9, 0.003), (0.006, 0.008), (0.004, stem - 0.01), (0.01, stem)]), glass
    )
    belly = stem + (height - stem) * 0.5
    bowl_outside = [(0.01, stem), (radius * 0.9, stem + 0.02), (radius, belly), (radius * 0.8, height)]
    bowl_inside = [(radius * 0.78, height), (radius * 0.97, belly), (radius * 0.85, stem + 0.024), (0, stem + 0.01)]
    model.add(lathe(bowl_outside + bowl_inside, crease=60), glass)
    if paint.chance(0.6):
        wine = paint.pick([(0.4, 0.03, 0.08), (0.85, 0.75, 0.3), (0.9, 0.5, 0.45)])
        inside = [(0.0, stem + 0.011), (radius * 0.84, stem + 0.0245), (radius * 0.96, belly)]
        model.add(_filling(inside), replace(paint.plain(wine, 0.1), alpha=rng.uniform(0.5, 0.8)))
    return model.solid_cylinder(radius, 0, 0.006).solid_cylinder(0.008, 0, stem).solid_cylinder(radius, stem, height)


def bottle(paint: Palette) -> ObjectModel:
    """Body, cap, label, sometimes a collar at the neck."""
    rng = paint.rng
    model = ObjectModel("Bottle")
    radius, height = rng.uniform(0.028, 0.045), rng.uniform(0.18, 0.32)
    shoulder, neck = rng.uniform(0.5, 0.72), radius * rng.uniform(0.28, 0.5)
    slope = rng.uniform(0.06, 0.2)
    see_through = paint.chance(0.5)
    wall = [
        (radius * 0.9, 0),
        (radius, 0.008),
        (radius, height * shoulder),
        (radius * 0.93, height * (shoulder + slope * 0.3)),
        (neck * 1.1, height * (shoulder + slope)),
        (neck, height * 0.95),
    ]
    if see_through:
        tinted = paint.chance(0.6)
        body = paint.glass(paint.glass_color(), rng.uniform(0.25, 0.55)) if tinted else paint.glass()
    else:
        body = paint.pattern(("plain", "grad"), 0.1, color=paint.color(0.2))
    model.add(lathe([(0, 0), *wall, (0, height * 0.95)], crease=50), body)
    if see_through and paint.chance(0.6):  # full, so that it looks right lying as well
        model.add(_filling([(r - 0.002, max(z, 0.003)) for r, z in wall[:5]]), _drink(paint))
    cap = paint.plastic() if paint.chance(0.7) else paint.metal()
    model.add(cylinder(neck * 1.15, height * 0.92, height, 18), cap)
    low = rng.uniform(0.08, 0.3)
    label = [(radius + 0.0007, height * low), (radius + 0.0007, height * rng.uniform(low + 0.12, shoulder))]
    model.add(lathe(label), paint.printed(repeat_u=int(rng.integers(1, 4))))
    if paint.chance(0.3):
        collar = height * (shoulder + slope)
        model.add(cylinder(neck * 1.25, collar, collar + 0.012, 18), paint.plastic())
    model.solid_cylinder(radius, 0, height * shoulder)
    return model.solid_cylinder(neck * 1.15, height * shoulder, height)


def bowl(paint: Palette) -> ObjectModel:
    """Open bowl whose wall is a ring of thin boxes, so that fruit really lies inside it."""
    rng = paint.rng
    model = ObjectModel("Bowl", tips=False)
    radius, height = rng.uniform(0.06, 0.13), rng.uniform(0.04, 0.08)
    foot, wall = radius * 0.45, 0.004
    swing = np.linspace(0.05, np.pi / 2, 8)
    curve = [(foot + (radius - foot) * np.sin(a) ** 0.9, height * (0.1 + 0.9 * (1 - np.cos(a)))) for a in swing]
    see_through = paint.chance(0.15)
    glaze = paint.ceramic() if paint.chance(0.75) else paint.wood() if paint.chance(0.5) else paint.metal()
    if see_through:
        glaze = paint.glass()
    model.add(lathe([(0, 0.003), (foot * 0.9, 0), (foot, height * 0.1), *curve], 32), glaze)
    inside = [(r - wall, z + 0.002) for r, z in curve[::-1]]
    inner = [curve[-1], *inside, (foot - wall, height * 0.12), (0, height * 0.12)]
    model.add(lathe(inner, 32), paint.ceramic() if paint.chance(0.6) and not see_through else glaze)
    if paint.chance(0.5) and not see_through:
        rim = paint.ceramic() if paint.chance(0.7) else paint.metal()
        model.add(ring(radius - wall / 2, 0.003, 32, 6), rim, (0, 0, height))
    model.solid_cylinder(foot, 0, height * 0.12)
    lean = np.degrees(np.arctan2(radius - foot, height * 0.9))
    for angle in range(0, 360, 30):
        turn = rotation("z", angle)
        center = turn @ np.array([(radius + foot) / 2 + 0.002, 0, height * 0.55])
        half_slope = float(np.hypot(height * 0.45, (radius - foot) / 2))
        model.solid_box(0.003, radius * 0.28, half_slope, center, turn @ rotation("y", lean))
    return model


def plate(paint: Palette) -> ObjectModel:
    """Rim and well in one or two glazes."""
    rng = paint.rng
    model = ObjectModel("Plate", flat=True)
    radius, height = rng.uniform(0.08, 0.15), 0.018
    well = radius * rng.uniform(0.55, 0.72)
    glaze = paint.ceramic()
    model.add(lathe([(0, 0), (well * 0.9, 0), (radius, height - 0.003), (radius, height), (well, 0.007)], 36), glaze)
    center = paint.ceramic() if paint.chance(0.7) else glaze
    model.add(lathe([(well, 0.007), (0, 0.007)], 36, wrapped=False), center)
    if paint.chance(0.5):
        rim = paint.ceramic() if paint.chance(0.6) else paint.metal()
        edge = [
            (radius + 0.0005, height - 0.003),
            (radius - 0.002, height + 0.001),
            (radius * 0.93, height * 0.87 + 0.001),
        ]
        model.add(lathe(edge, 36), rim)
    # The rim is a ring of leaning boxes, so that food lies in the well and plates nest.
    model.solid_cylinder(well, 0, 0.007)
    lean = np.degrees(np.arctan2(height - 0.008, radius - well))
    for angle in range(0, 360, 36):
        turn = rotation("z", angle)
        center = turn @ np.array([(radius + well) / 2, 0, 0.0105])
        half_slope = float(np.hypot(radius - well, height - 0.008)) / 2
        model.solid_box(half_slope, radius * 0.3, 0.0015, center, turn @ rotation("y", -lean))
    return model


def pan(paint: Palette) -> ObjectModel:
    """Vessel with a coated bottom, riveted handle, perhaps food in it."""
    rng = paint.rng
    model = ObjectModel("Pan")
    radius, height = rng.uniform(0.09, 0.14), rng.uniform(0.035, 0.055)
    body = paint.metal() if paint.chance(0.6) else paint.plastic()
    model.add(lathe(_vessel(radius, height), 32), body)
    model.add(disc(radius * 0.8, 0.0052, 0.0062), paint.plain(BLACK * 2, 0.5))
    reach = rng.uniform(0.13, 0.2)
    grip = [
        (radius * 0.98, 0, height * 0.7),
        (radius + 0.04, 0, height * 0.95),
        (radius + reach * 0.6, 0, height * 1.1),
        (radius + reach, 0, height * 1.05),
    ]
    handle = paint.wood() if paint.chance(0.4) else paint.plastic()
    model.add(tube(grip, [0.008, 0.009, 0.012, 0.009], 8, flatness=0.6), handle)
    model.add(box(0.014, 0.01, 0.003, 0.001), paint.metal(), (radius * 1.02, 0, height * 0.75))
    if paint.chance(0.35):
        food = paint.food(paint.vivid(), paint.vivid())
        model.add(ellipsoid(radius * 0.7, radius * 0.7, height * 0.3, noise=0.08, rng=rng), food, (0, 0, height * 0.25))
    model.solid_cylinder(radius, 0, height)
    return model.solid_box(reach / 2, 0.012, 0.008, (radius + reach / 2, 0, height))


def pot(paint: Palette) -> ObjectModel:
    """Vessel with two handles, and a lid with a knob or food."""
    rng = paint.rng
    model = ObjectModel("Pot")
    radius, height = rng.uniform(0.08, 0.14), rng.uniform(0.08, 0.15)
    body = paint.metal() if paint.chance(0.6) else paint.ceramic()
    model.add(lathe(_vessel(radius, height), 32), body)
    grip = paint.plastic() if paint.chance(0.5) else paint.metal()
    for side in (0, 180):
        handle = arc((radius, 0, height * 0.8), 0.028, -90, 90, 8, "xy")
        model.add(tube(handle, 0.005, 6), grip, turn=rotation("z", side))
        model.solid_box(
            0.014, 0.026, 0.005, rotation("z", side) @ np.array([radius + 0.014, 0, height * 0.8]), rotation("z", side)
        )
    top = height
    if paint.chance(0.75):
        lid = [
            (0, height),
            (radius * 1.01, height),
            (radius * 1.01, height + 0.004),
            (radius * 0.6, height + 0.018),
            (0, height + 0.022),
        ]
        model.add(lathe(lid, 32), paint.glass() if paint.chance(0.3) else paint.metal())
        model.add(_knob(0.016, 0.028), paint.plastic(), (0, 0, height + 0.02))
        top = height + 0.04
    else:
        model.add(disc(radius * 0.96, height * 0.7 - 0.002, height * 0.7), paint.food(paint.vivid(), paint.vivid()))
    return model.solid_cylinder(radius, 0, top)


def kettle(paint: Palette) -> ObjectModel:
    """Body with spout, lid, knob, handle and base plate."""
    rng = paint.rng
    model = ObjectModel("Kettle", tips=False)
    radius, height = rng.uniform(0.07, 0.09), rng.uniform(0.14, 0.2)
    body = paint.metal() if paint.chance(0.6) else paint.ceramic()
    model.add(cylinder(radius * 1.08, 0, 0.014), paint.plastic())
    model.add(lathe([(0, 0.013), (radius, 0.013), (radius * 1.03, 0.03), (radius * 0.72, height), (0, height)]), body)
    lid = paint.plastic() if paint.chance(0.5) else body
    model.add(lathe([(radius * 0.73, height - 0.002), (radius * 0.7, height + 0.008), (0, height + 0.022)]), lid)
    model.add(_knob(0.015, 0.022), paint.plastic(), (0, 0, height + 0.018))
    spout = [(radius * 0.75, 0, height * 0.5), (radius * 1.15, 0, height * 0.7), (radius * 1.35, 0, height * 0.93)]
    model.add(tube(spout, [0.02, 0.014, 0.01], 10), body if paint.chance(0.6) else paint.metal())
    grip = [
        (-radius * 0.7, 0, height * 0.92),
        (-radius * 1.5, 0, height * 0.95),
        (-radius * 1.65, 0, height * 0.6),
        (-radius * 1.02, 0, height * 0.22),
    ]
    model.add(tube(grip, 0.009, 8, flatness=1.4), paint.plastic())
    model.solid_cylinder(radius * 1.08, 0, height)
    model.solid_cylinder(0.015, height, height + 0.04)
    model.solid_rod(0.012, (radius * 0.8, 0, height * 0.55), (radius * 1.4, 0, height * 0.93))
    return model.solid_box(radius * 0.3, 0.012, height * 0.4, (-radius * 1.38, 0, height * 0.57))


def teapot(paint: Palette) -> ObjectModel:
    """Belly with spout, handle and lid."""
    rng = paint.rng
    model = ObjectModel("Teapot", tips=False)
    radius, squash = rng.uniform(0.06, 0.085), rng.uniform(0.7, 0.95)
    glaze = paint.ceramic()
    angles = np.linspace(-75, 70, 12)
    belly = [(radius * np.cos(np.radians(a)), radius * squash * (np.sin(np.radians(a)) + 0.966)) for a in angles]
    top = belly[-1][1]
    model.add(lathe([(0, 0), *belly, (0, top)], crease=60), glaze)
    lid = glaze if paint.chance(0.6) else paint.ceramic()
    lid_radius = belly[-1][0] * 1.05
    model.add(
        lathe([(0, top - 0.001), (lid_radius, top - 0.001), (lid_radius * 0.7, top + 0.012), (0, top + 0.016)]), lid
    )
    model.add(_knob(0.013, 0.022), paint.ceramic() if paint.chance(0.5) else lid, (0, 0, top + 0.012))
    spout = [(radius * 0.85, 0, top * 0.35), (radius * 1.35, 0, top * 0.5), (radius * 1.6, 0, top * 0.95)]
    model.add(tube(spout, [0.018, 0.012, 0.008], 10), glaze)
    grip = arc((-radius * 0.9, 0, top * 0.5), radius * 0.65, 70, 290, 12, "xz", top * 0.36)
    model.add(tube(grip, 0.006, 8, flatness=1.4), glaze if paint.chance(0.6) else paint.wood())
    model.solid_cylinder(radius, 0, top).solid_cylinder(0.013, top, top + 0.034)
    model.solid_box(radius * 0.35, 0.012, top * 0.3, (radius * 1.3, 0, top * 0.6))
    return model.solid_box(radius * 0.3, 0.006, top * 0.34, (-radius * 1.25, 0, top * 0.5))


def toaster(paint: Palette) -> ObjectModel:
    """Housing with two slots, lever, dial and feet; perhaps with bread."""
    rng = paint.rng
    model = ObjectModel("Toaster", tips=False)
    w, d, h = rng.uniform(0.12, 0.15), rng.uniform(0.075, 0.095), rng.uniform(0.08, 0.1)
    body = paint.metal() if paint.chance(0.5) else paint.plastic()
    model.add(box(w, d, h, 0.03), body, (0, 0, h + 0.012))
    dark = paint.black()
    for side in (-1, 1):
        model.add(box(w * 0.75, 0.013, 0.002, 0.001), dark, (0, side * 0.03, 2 * h + 0.0125))
        for end in (-1, 1):
            model.add(cylinder(0.012, 0, 0.015, 8), dark, (side * w * 0.75, end * d * 0.7, 0))
    if paint.chance(0.5):
        bread = paint.pattern(("noise", "carpet"), 0.9, color=(0.8, 0.6, 0.35), scale=0.1)
        model.add(box(w * 0.6, 0.009, 0.04, 0.006), bread, (0, 0.03, 2 * h + 0.02))
    model.add(box(0.01, 0.02, 0.008, 0.003), paint.plastic(), (w + 0.006, 0, h * 1.3))
    model.add(cylinder(0.013, 0, 0.01, 14), paint.plastic(), (w - 0.001, 0.045, h * 0.7), rotation("y", 90))
    model.add(box(w + 0.001, d + 0.001, 0.012, 0.01), paint.plastic(), (0, 0, 0.024))
    return model.solid_box(w, d, h + 0.006, (0, 0, h + 0.006))


def microwave(paint: Palette) -> ObjectModel:
    """Housing with door, window, handle and a panel of keys."""
    rng = paint.rng
    model = ObjectModel("Microwave", tips=False)
    w, d, h = rng.uniform(0.22, 0.27), rng.uniform(0.16, 0.2), rng.uniform(0.125, 0.16)
    body = paint.metal() if paint.chance(0.4) else paint.plain()
    model.add(box(w, d, h, 0.008), body, (0, 0, h + 0.012))
    split = w * rng.uniform(0.35, 0.5)
    front, center = -d - 0.006, -split * 0.5 - 0.004
    model.add(box(w - split * 0.5 - 0.006, 0.008, h * 0.93, 0.004), paint.plain(BLACK, 0.2), (center, front, h + 0.012))
    model.add(
        box(w - split * 0.95, 0.003, h * 0.6, 0.002), paint.plain(BLACK * 2.2, 0.1), (center, front - 0.008, h + 0.012)
    )
    panel_x = w - split * 0.5
    model.add(box(split * 0.44, 0.007, h * 0.93, 0.003), paint.plastic(), (panel_x, front, h + 0.012))
    model.add(
        box(split * 0.32, 0.002, h * 0.14, 0.001, True),
        paint.printed("screen", 0.2, 0.6),
        (panel_x, front - 0.008, h * 1.6),
    )
    keys = paint.plastic()
    for row in range(4):
        for column in range(3):
            at = (panel_x + (column - 1) * split * 0.24, front - 0.008, h * (0.45 + 0.25 * row))
            model.add(box(split * 0.09, 0.003, h * 0.07, 0.002), keys, at)
    model.add(box(0.008, 0.012, h * 0.7, 0.005), paint.metal(), (w - split - 0.012, front - 0.018, h + 0.012))
    for x in (-0.85, 0.85):
        for y in (-0.8, 0.8):
            model.add(cylinder(0.013, 0, 0.014, 8), paint.black(), (x * w, y * d, 0))
    return model.solid_box(w, d + 0.008, h + 0.006, (0, 0, h + 0.006))


def coffee_machine(paint: Palette) -> ObjectModel:
    """Column with drip plate, head, jug and buttons."""
    rng = paint.rng
    model = ObjectModel("CoffeeMachine", tips=False)
    w, d, h = rng.uniform(0.08, 0.11), rng.uniform(0.1, 0.13), rng.uniform(0.26, 0.34)
    body = paint.plastic() if paint.chance(0.6) else paint.metal()
    model.add(box(w, d, 0.018, 0.006), body, (0, 0, 0.018))
    model.add(box(w, d * 0.38, h / 2 - 0.01, 0.01), body, (0, d * 0.62, h / 2))
    head = body if paint.chance(0.5) else paint.plastic()
    model.add(box(w, d, h * 0.13, 0.012), head, (0, 0, h * 0.87))
    glass = paint.glass()
    pot_radius, pot_height = w * 0.68, h * 0.42
    jug = [
        (0, 0),
        (pot_radius, 0),
        (pot_radius * 1.05, pot_height * 0.4),
        (pot_radius * 0.6, pot_height),
        (0, pot_height),
    ]
    model.add(lathe(jug, crease=60), glass, (0, -d * 0.3, 0.037))
    coffee = [(pot_radius - 0.001, 0.002), (pot_radius * 1.05 - 0.001, pot_height * 0.4)]
    model.add(_filling(coffee), paint.plain((0.1, 0.05, 0.03), 0.1), (0, -d * 0.3, 0.037))
    grip = arc((0, -d * 0.3 - pot_radius, 0.037 + pot_height * 0.5), 0.035, 90, 270, 10, "yz", pot_height * 0.4)
    model.add(tube(grip, 0.007, 6), paint.black())
    for x in (-0.5, 0, 0.5):
        model.add(cylinder(0.011, 0, 0.01, 12), paint.plastic(), (x * w, -d, h * 0.87), rotation("x", 90))
    model.solid_box(w, d, 0.018, (0, 0, 0.018)).solid_box(w, d, h * 0.13, (0, 0, h * 0.87))
    return model.solid_box(w, d * 0.4, h / 2, (0, d * 0.6, h / 2)).solid_cylinder(pot_radius, 0, h * 0.5, 0, -d * 0.3)


def blender(paint: Palette) -> ObjectModel:
    """Motor base, jug with handle and lid, perhaps a drink."""
    rng = paint.rng
    model = ObjectModel("Blender", tips=False)
    base, height = rng.uniform(0.065, 0.085), rng.uniform(0.3, 0.38)
    foot = height * 0.32
    model.add(
        lathe([(0, 0), (base, 0), (base, foot * 0.4), (base * 0.7, foot), (0, foot)]),
        paint.plastic() if paint.chance(0.6) else paint.metal(),
    )
    jug_bottom, jug_top = base * 0.66, base * 0.95
    jug = [(0, foot), (jug_bottom, foot), (jug_top, height * 0.92), (0, height * 0.92)]
    model.add(lathe(jug), paint.glass())
    if paint.chance(0.6):
        level = rng.uniform(0.3, 0.8)
        shake = [
            (jug_bottom - 0.001, foot + 0.004),
            (_between(jug_bottom, jug_top, level) - 0.001, foot + (height * 0.92 - foot) * level),
        ]
        model.add(_filling(shake), paint.plain(paint.vivid(), 0.1))
    model.add(cylinder(jug_top * 1.03, height * 0.91, height, 24), paint.black())
    grip = [
        (jug_bottom, 0, foot + 0.03),
        (jug_top * 1.6, 0, foot + 0.05),
        (jug_top * 1.6, 0, height * 0.85),
        (jug_top, 0, height * 0.88),
    ]
    model.add(tube(grip, 0.009, 8), paint.plastic())
    model.add(cylinder(0.018, 0, 0.014, 14), paint.metal(), (0, -base, foot * 0.35), rotation("x", 90))
    return model.solid_cylinder(base, 0, foot).solid_cylinder(jug_top, foot, height)


def cutlery(paint: Palette, category: str) -> ObjectModel:
    """Knife, fork, spoon or spatula along +x: a handle and a metal end."""
    rng = paint.rng
    model = ObjectModel(category, tips=False)
    length = rng.uniform(0.085, 0.11)
    steel = paint.metal(STEEL * rng.uniform(0.8, 1.15)) if paint.chance(0.85) else paint.metal()
    one_piece = paint.chance(0.45)
    handle = steel if one_piece else paint.plastic() if paint.chance(0.5) else paint.wood()
    thin = 0.003 if one_piece else 0.0045
    model.add(
        ellipsoid(length * 0.52, rng.uniform(0.006, 0.010), thin, 0.6, 0.7, 16, 8), handle, (-length * 0.5, 0, 0.005)
    )
    if category == "Knife":
        depth = rng.uniform(0.008, 0.022)
        blade = [
            (0, -depth),
            (length * 0.9, -depth),
            (length * 1.15, -depth * 0.2),
            (length * 1.1, depth * 0.4),
            (0, depth * 0.6),
        ]
        model.add(prism(blade, 0.004, 0.0056), steel)
    elif category == "Spatula":
        head = paint.plastic() if paint.chance(0.5) else steel
        model.add(box(length * 0.4, 0.004, 0.002, 0.001), steel, (length * 0.4, 0, 0.005))
        model.add(box(length * 0.35, 0.03, 0.0015, 0.001), head, (length * 1.1, 0, 0.004))
    else:
        neck = [(0, 0, 0.005), (length * 0.5, 0, 0.007), (length * 0.78, 0, 0.004)]
        model.add(tube(neck, 0.0028, 6, flatness=0.6), steel)
        if category == "Spoon":
            size = rng.uniform(0.7, 1.25)
            bowl_outside = [
                (0, 0),
                (0.5, 0.05),
                (0.85, 0.3),
                (1.0, 0.62),
                (0.96, 0.62),
                (0.8, 0.36),
                (0.45, 0.14),
                (0, 0.1),
            ]
            dish = lathe([(r, z) for r, z in bowl_outside], 20, crease=60)
            dish = place(dish, scale=(0.026 * size, 0.018 * size, 0.011))
            model.add(dish, steel, (length * 0.75 + 0.024 * size, 0, 0.0006))
        else:
            root = length * 0.75
            tines = int(rng.integers(3, 5))
            half = 0.009 if tines == 4 else 0.007
            model.add(box(0.012, half + 0.0014, 0.001, 0.0008), steel, (root + 0.01, 0, 0.004))
            for y in np.linspace(-half, half, tines):
                model.add(box(0.02, 0.0014, 0.001, 0.0005), steel, (root + 0.038, y, 0.0045))
    if category == "Spatula":
        model.solid_box(length * 0.35, 0.03, 0.002, (length * 1.1, 0, 0.004))
    low, high = model.bounds()
    middle, half = (low[0] + high[0]) / 2, (high[0] - low[0]) / 2
    return model.solid_box(half, 0.01, 0.0045, (middle, 0, 0.0045))


def ladle(paint: Palette) -> ObjectModel:
    """Round bowl, stem and grip."""
    rng = paint.rng
    model = ObjectModel("Ladle", tips=False)
    size = rng.uniform(0.03, 0.045)
    steel = paint.metal(STEEL) if paint.chance(0.7) else paint.plastic()
    swing = np.radians(np.linspace(-88, 0, 8))
    outer = [(size * np.cos(a), size * (1 + np.sin(a))) for a in swing]
    inner = [(r * 0.94, z * 0.94 + size * 0.06) for r, z in outer[::-1]]
    model.add(lathe([(0, 0), *outer, *inner, (0, size * 0.06)], crease=60), steel)
    reach = rng.uniform(0.18, 0.25)
    stem = [(size * 0.97, 0, size * 0.9), (size + 0.02, 0, size * 1.1), (size + reach * 0.6, 0, size * 0.7)]
    model.add(tube(stem, 0.003, 6), steel)
    grip = [(size + reach * 0.55, 0, size * 0.72), (size + reach, 0, size * 0.4)]
    model.add(tube(grip, 0.008, 8), paint.plastic() if paint.chance(0.6) else paint.wood())
    model.solid_cylinder(size, 0, size)
    return model.solid_box(reach / 2, 0.008, 0.01, (size + reach / 2, 0, size * 0.75))


def whisk(paint: Palette) -> ObjectModel:
    """Wire loops in a handle."""
    rng = paint.rng
    model = ObjectModel("Whisk", tips=False)
    half, reach = rng.uniform(0.025, 0.035), rng.uniform(0.1, 0.14)
    wire = paint.metal(STEEL)
    angles = np.linspace(0, np.pi, 12)
    for spin in (0, 45, 90, 135):
        loop = np.stack([0.02 + reach * np.sin(angles) ** 0.8, half * np.cos(angles), 0 * angles], 1)
        loop[[0, -1], 1] *= 0.15
        model.add(tube(loop, 0.0011, 5), wire, (0, 0, half), rotation("x", spin))
    model.add(tube([(0.025, 0, half), (-0.02, 0, half), (-0.12, 0, half)], [0.007, 0.01, 0.008], 10), paint.hard())
    model.solid_box(0.05, half, half, (0.07, 0, half))
    return model.solid_box(0.07, 0.01, 0.01, (-0.05, 0, half))


def rolling_pin(paint: Palette) -> ObjectModel:
    """Roll with two handles, lying along x."""
    rng = paint.rng
    model = ObjectModel("RollingPin", tips=False)
    radius, half = rng.uniform(0.02, 0.028), rng.uniform(0.1, 0.14)
    along = rotation("y", 90)
    model.add(place(cylinder(radius, -half, half), turn=along), paint.wood(), (0, 0, radius))
    grip = paint.wood() if paint.chance(0.6) else paint.plastic()
    for side in (-1, 1):
        handle = lathe([(0, 0), (0.008, 0), (0.012, 0.04), (0.011, 0.085), (0, 0.09)], 16, crease=60)
        model.add(place(handle, turn=rotation("y", 90 * side)), grip, (side * half, 0, radius))
    model.solid_rod(0.011, (-half - 0.09, 0, radius), (half + 0.09, 0, radius))
    return model.solid_rod(radius, (-half, 0, radius), (half, 0, radius))


def cutting_board(paint: Palette) -> ObjectModel:
    """Slab, often with an inlaid strip, and a ring to hang it."""
    rng = paint.rng
    model = ObjectModel("CuttingBoard", flat=True, tips=False)
    w, d, h = rng.uniform(0.14, 0.2), rng.uniform(0.09, 0.13), rng.uniform(0.006, 0.01)
    model.add(box(w, d, h, 0.004), paint.wood() if paint.chance(0.75) else paint.plastic(), (0, 0, h))
    if paint.chance(0.6):
        model.add(box(w * 0.08, d + 0.0005, h + 0.0005, 0.004), paint.wood(), (w * 0.92, 0, h))
    model.add(ring(0.015, 0.003, 14, 6), paint.metal(), (-w * 0.85, 0, 2 * h))
    return model.solid_box(w, d, h, (0, 0, h))


def tray(paint: Palette) -> ObjectModel:
    """Flat base with a low rim and often two handles."""
    rng = paint.rng
    model = ObjectModel("Tray", flat=True, tips=False)
    w, d, h = rng.uniform(0.16, 0.24), rng.uniform(0.11, 0.16), 0.018
    base = paint.surface()
    model.add(box(w, d, 0.004, 0.002), base, (0, 0, 0.004))
    edge = base if paint.chance(0.5) else paint.hard()
    for side in (-1, 1):
        model.add(box(w, 0.005, h, 0.003), edge, (0, side * d, h))
        model.add(box(0.005, d, h, 0.003), edge, (side * w, 0, h))
        model.solid_box(w, 0.005, h, (0, side * d, h)).solid_box(0.005, d, h, (side * w, 0, h))
        if paint.chance(0.6):
            grip = arc((side * w, 0, 2 * h), 0.035, 0, 180, 9, "yz", 0.025)
            model.add(tube(grip, 0.005, 6), paint.metal())
    return model.solid_box(w, d, 0.004, (0, 0, 0.004))


def jar(paint: Palette) -> ObjectModel:
    """Filled glass with lid and label."""
    rng = paint.rng
    model = ObjectModel("Jar")
    radius, height = rng.uniform(0.03, 0.05), rng.uniform(0.07, 0.14)
    content = paint.pattern(("speckle", "noise", "grad", "plain"), 0.1)
    wall = [(radius * 0.93, 0), (radius, 0.006), (radius, height * 0.78), (radius * 0.8, height * 0.86)]
    see_through = paint.chance(0.65)
    body = paint.glass() if see_through else content
    model.add(lathe([(0, 0), *wall, (0, height * 0.86)], 24, crease=50), body)
    if see_through and paint.chance(0.8):
        level = height * rng.uniform(0.3, 0.76)
        inside = [(radius * 0.93 - 0.002, 0.003), (radius - 0.002, 0.008), (radius - 0.002, level)]
        model.add(_filling(inside), content)
    lid = paint.metal() if paint.chance(0.5) else paint.pattern(("checks", "plaid", "plain"), 0.5, scale=0.05)
    model.add(cylinder(radius * 0.88, height * 0.84, height), lid)
    if paint.chance(0.8):
        label = [(radius + 0.0006, height * 0.2), (radius + 0.0006, height * 0.62)]
        model.add(lathe(label, 24), paint.printed(repeat_u=int(rng.integers(1, 3))))
    return model.solid_cylinder(radius, 0, height)


def shaker(paint: Palette) -> ObjectModel:
    """Salt or pepper."""
    rng = paint.rng
    model = ObjectModel("SaltShaker")
    radius, height = rng.uniform(0.016, 0.024), rng.uniform(0.06, 0.12)
    body = paint.pick((paint.ceramic, paint.glass, paint.wood))()
    waist = rng.uniform(0.65, 1.0)
    profile = [(0, 0), (radius, 0), (radius * waist, height * 0.5), (radius * 0.85, height * 0.8), (0, height * 0.8)]
    model.add(lathe(profile, 20, crease=50), body)
    top = [(radius * 0.9, height * 0.78), (radius * 0.9, height * 0.88), (radius * 0.5, height), (0, height)]
    model.add(lathe(top, 20, crease=60), paint.metal() if paint.chance(0.6) else paint.wood())
    dark = paint.black()
    for angle in (0, 120, 240):
        at = rotation("z", angle) @ np.array([radius * 0.25, 0, height])
        model.add(cylinder(0.0015, -0.001, 0.0006, 6), dark, at)
    return model.solid_cylinder(radius, 0, height)


def sponge(paint: Palette) -> ObjectModel:
    """Soft foam with a scouring layer."""
    rng = paint.rng
    model = ObjectModel("DishSponge")
    w, d, h = rng.uniform(0.04, 0.055), rng.uniform(0.028, 0.038), rng.uniform(0.009, 0.014)
    foam = paint.pattern(("speckle", "carpet", "noise"), 1.0, bump=0.001, color=paint.vivid(), scale=0.05)
    model.add(box(w, d, h, 0.006), foam, (0, 0, h))
    scrub = paint.pattern(("carpet", "noise"), 1.0, bump=0.001, color=paint.vivid() * 0.7, scale=0.04)
    model.add(box(w, d, h * 0.35, 0.003), scrub, (0, 0, h * 2.1))
    return model.solid_box(w, d, h * 1.2, (0, 0, h * 1.2))


def brush(paint: Palette, category: str) -> ObjectModel:
    """Scrubbing brush (short, broad) or toothbrush (long, narrow), bristles up or sideways."""
    rng = paint.rng
    model = ObjectModel(category, tips=False)
    small = category == "Toothbrush"
    reach, width = (rng.uniform(0.08, 0.1), 0.005) if small else (rng.uniform(0.1, 0.14), rng.uniform(0.012, 0.018))
    body = paint.plastic(paint.vivid()) if small or paint.chance(0.5) else paint.wood()
    thick = 0.004 if small else 0.008
    spine = [(-reach, 0, thick), (-reach * 0.3, 0, thick * 1.2), (reach * 0.45, 0, thick), (reach, 0, thick)]
    model.add(tube(spine, [width, width * 1.1, width * 0.7, width * 1.3], 10, flatness=thick / width), body)
    tuft = 0.009 if small else 0.022
    bristles = paint.pattern(("stripes", "carpet", "plain"), 1.0, bump=0.001, scale=0.01)
    model.add(
        box(reach * 0.16 if small else reach * 0.3, width, tuft / 2, 0.001),
        bristles,
        (reach * 0.82, 0, thick * 1.7 + tuft / 2),
    )
    if small:
        model.add(
            box(reach * 0.06, width * 1.01, tuft / 2 + 0.0004, 0.001),
            paint.plastic(),
            (reach * 0.82, 0, thick * 1.7 + tuft / 2),
        )
    return model.solid_box(reach, width * 1.1, thick + tuft * 0.3, (0, 0, thick + tuft * 0.3))


def paper_roll(paint: Palette, category: str) -> ObjectModel:
    """Paper on a cardboard core; kitchen rolls may stand on a holder."""
    rng = paint.rng
    kitchen = category == "PaperTowelRoll"
    radius, height = (rng.uniform(0.05, 0.07), rng.uniform(0.2, 0.24)) if kitchen else (rng.uniform(0.045, 0.06), 0.1)
    model = ObjectModel(category)
    core = 0.02
    paper = paint.pattern(("plain", "dots", "damask"), 0.95, bump=0.0005, color=WHITE, scale=0.05)
    profile = [(core, 0), (radius, 0), (radius, height), (core, height), (core, 0)]
    model.add(lathe(profile, 28), paper)
    model.add(lathe([(core - 0.002, height + 0.0006), (core - 0.002, 0.001)], 20), paint.plain((0.6, 0.48, 0.34), 0.9))
    model.add(
        lathe([(core + 0.002, height + 0.0006), (core - 0.002, height + 0.0006)], 20),
        paint.plain((0.6, 0.48, 0.34), 0.9),
    )
    flap = box(0.0008, radius * 0.35, height / 2, 0.0004)
    model.add(flap, paper, (radius - 0.0005, radius * 0.3, height / 2))
    if kitchen and paint.chance(0.5):
        model.add(cylinder(radius * 1.15, -0.012, 0), paint.hard(), (0, 0, 0.0))
        model.add(cylinder(0.008, 0, height + 0.04, 12), paint.hard())
        for part in model.parts:
            part.mesh = place(part.mesh, (0, 0, 0.012))
        model.solid_cylinder(0.008, 0, height + 0.052)
        return model.solid_cylinder(radius * 1.15, 0, 0.012).solid_cylinder(radius, 0.012, height + 0.012)
    return model.solid_cylinder(radius, 0, height)


def utensil_holder(paint: Palette) -> ObjectModel:
    """Crock of cooking spoons: one whole object, as a robot would carry it."""
    rng = paint.rng
    model = ObjectModel("UtensilHolder", tips=False)
    radius, height = rng.uniform(0.045, 0.06), rng.uniform(0.11, 0.15)
    model.add(
        lathe([(0, 0), (radius, 0), (radius, height), (radius - 0.004, height), (radius - 0.004, 0.008), (0, 0.008)]),
        paint.ceramic(),
    )
    for _ in range(int(rng.integers(3, 7))):
        angle, lean = rng.uniform(0, 360), rng.uniform(5, 16)
        turn = rotation("z", angle) @ rotation("y", lean)
        reach = rng.uniform(0.22, 0.3)
        root = rotation("z", angle + 180) @ np.array([radius * 0.25, 0, 0.012])
        tool = paint.wood() if paint.chance(0.6) else paint.plastic()
        model.add(place(cylinder(0.005, 0, reach, 8), turn=turn), tool, root)
        head = ellipsoid(0.026, 0.006, 0.036) if paint.chance(0.5) else box(0.024, 0.003, 0.036, 0.002)
        model.add(place(head, (0, 0, reach), None), tool, root, turn)
    return model.solid_cylinder(radius, 0, height)


def _filling(wall: list[tuple[float, float]]) -> Mesh:
    """What fills a vessel as far up as its inner wall, (radius, height) from the bottom up, is given."""
    return lathe([(0, wall[0][1]), *wall, (0, wall[-1][1])], 24, crease=50)


def _drink(paint: Palette) -> Material:
    """Milk, coffee or juice that nothing shows through, or lemonade and tea that are clear."""
    drink = paint.plain(None, 0.1)
    return replace(drink, alpha=float(paint.rng.uniform(0.15, 0.6))) if paint.chance(0.5) else drink


def _between(a: float, b: float, part: float) -> float:
    return a + (b - a) * part


def _vessel(radius: float, height: float) -> list[tuple[float, float]]:
    """Closed profile of a pan or pot with a 3 mm wall."""
    return [
        (0, 0),
        (radius * 0.85, 0),
        (radius * 0.97, height * 0.3),
        (radius, height),
        (radius - 0.003, height),
        (radius * 0.94, height * 0.32),
        (radius * 0.82, 0.005),
        (0, 0.005),
    ]


def _knob(radius: float, height: float) -> Mesh:
    stem = radius * 0.45
    return lathe(
        [(stem, 0), (stem, height * 0.35), (radius, height * 0.6), (radius * 0.9, height * 0.9), (0, height)],
        16,
        crease=50,
    )


BUILDERS: dict[str, Builder] = {
    "Mug": mug,
    "Cup": cup,
    "WineGlass": wine_glass,
    "Bottle": bottle,
    "Bowl": bowl,
    "Plate": plate,
    "Pan": pan,
    "Pot": pot,
    "Kettle": kettle,
    "Teapot": teapot,
    "Toaster": toaster,
    "Microwave": microwave,
    "CoffeeMachine": coffee_machine,
    "Blender": blender,
    **{name: partial(cutlery, category=name) for name in ("Knife", "Fork", "Spoon", "Spatula")},
    "Ladle": ladle,
    "Whisk": whisk,
    "RollingPin": rolling_pin,
    "CuttingBoard": cutting_board,
    "Tray": tray,
    "Jar": jar,
    "SaltShaker": shaker,
    "DishSponge": sponge,
    "ScrubBrush": partial(brush, category="ScrubBrush"),
    "Toothbrush": partial(brush, category="Toothbrush"),
    "PaperTowelRoll": partial(paper_roll, category="PaperTowelRoll"),
    "ToiletPaper": partial(paper_roll, category="ToiletPaper"),
    "UtensilHolder": utensil_holder,
}
