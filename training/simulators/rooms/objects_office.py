"""Books, paper, stationery and electronics."""

from __future__ import annotations

from functools import partial

import numpy as np

from training.simulators.rooms.materials import BLACK, STEEL, WARM_WHITE, Palette
from training.simulators.rooms.mesh import (
    arc,
    box,
    cylinder,
    disc,
    ellipsoid,
    lathe,
    merge,
    place,
    prism,
    ring,
    rotation,
    tube,
)
from training.simulators.rooms.objects import Builder, ObjectModel
from training.simulators.rooms.scene import Material, Mesh, PointLight

FACE_FRONT = rotation("x", 90)
"""Turns a lathed dial or knob so that its top looks to the front, -y."""


def book(paint: Palette) -> ObjectModel:
    """Two covers, a spine and the block of pages."""
    rng = paint.rng
    model = ObjectModel("Book", flat=True, tips=False)
    w, d, t, cover = rng.uniform(0.06, 0.11), rng.uniform(0.09, 0.14), rng.uniform(0.008, 0.028), 0.0025
    front = paint.printed() if paint.chance(0.75) else paint.fabric(scale=0.1)
    back = paint.printed() if paint.chance(0.3) else front
    pages = paint.pattern(("stripes",), 0.9, color=(0.95, 0.93, 0.88), color2=(0.8, 0.78, 0.72), scale=0.016)
    model.add(box(w, d, cover / 2, 0.001, True), back, (0, 0, cover / 2))
    model.add(box(w, d, cover / 2, 0.001, True), front, (0, 0, 2 * t - cover / 2))
    model.add(
        box(cover, d, t, 0.001, True), paint.printed() if paint.chance(0.5) else paint.plain(), (-w + cover, 0, t)
    )
    model.add(box(w - 0.004, d - 0.004, t - cover, 0.0005), pages, (0.001, 0, t))
    return model.solid_box(w, d, t, (0, 0, t))


def open_book(paint: Palette) -> ObjectModel:
    """A book or magazine that lies open: two printed pages over covers."""
    rng = paint.rng
    model = ObjectModel("Book", tips=False)
    w, d, t = rng.uniform(0.07, 0.11), rng.uniform(0.1, 0.14), rng.uniform(0.004, 0.012)
    cover = paint.printed()
    for side in (-1, 1):
        lean = rotation("y", -side * 4)
        model.add(box(w / 1.0, d, 0.0015, 0.001, True), cover, (side * w, 0, 0.0015))
        pages = paint.printed("page", 0.9) if paint.chance(0.7) else paint.printed("art", 0.6)
        model.add(box(w - 0.003, d - 0.003, t / 2, 0.002, True), pages, (side * w, 0, 0.003 + t / 2 + w * 0.035), lean)
    return model.solid_box(2 * w, d, t / 2 + 0.003, (0, 0, t / 2 + 0.003))


def newspaper(paint: Palette) -> ObjectModel:
    """Folded printed sheets with a picture."""
    rng = paint.rng
    model = ObjectModel("Newspaper", flat=True, tips=False)
    w, d = rng.uniform(0.11, 0.16), rng.uniform(0.15, 0.2)
    layers = int(rng.integers(2, 5))
    for i in range(layers):
        sheet = paint.printed("page", 0.9, tint=(0.9, 0.89, 0.85))
        model.add(box(w, d, 0.002, 0.0015, True), sheet, (*rng.normal(0, 0.003, 2), 0.002 + 0.0038 * i))
    picture = box(w * 0.5, d * 0.3, 0.0004, 0.0002, True)
    model.add(picture, paint.printed("art", 0.8), (0, d * 0.25, 0.0038 * layers + 0.0006))
    return model.solid_box(w, d, 0.0019 * layers, (0, 0, 0.0019 * layers))


def notebook(paint: Palette) -> ObjectModel:
    """Spiral-bound pad, closed or with its lined first page showing."""
    rng = paint.rng
    model = ObjectModel("Notebook", flat=True, tips=False)
    w, d, t = rng.uniform(0.05, 0.1), rng.uniform(0.07, 0.14), rng.uniform(0.003, 0.007)
    model.add(box(w, d, t, 0.001), paint.plain((0.94, 0.93, 0.9), 0.9), (0, 0, t))
    face = paint.printed("page", 0.9) if paint.chance(0.4) else paint.plain(paint.vivid(), 0.5)
    model.add(box(w, d, 0.0008, 0.0004, True), face, (0, 0, 2 * t))
    wire = [
        place(ring(t * 1.5, 0.0009, 10, 4), (x, d - 0.004, t), rotation("y", 90))
        for x in np.linspace(-w * 0.9, w * 0.9, 13)
    ]
    model.add(merge(wire), paint.metal(STEEL))
    return model.solid_box(w, d, t, (0, 0, t))


def envelope(paint: Palette) -> ObjectModel:
    """Envelope from behind with its flap, or from the front with stamp and address."""
    rng = paint.rng
    model = ObjectModel("Envelope", flat=True, tips=False)
    w, d = rng.uniform(0.08, 0.12), rng.uniform(0.05, 0.08)
    paper = paint.plain(paint.pick([(0.93, 0.92, 0.9), (0.8, 0.68, 0.48)]), 0.9)
    model.add(box(w, d, 0.0015, 0.001), paper, (0, 0, 0.0015))
    if paint.chance(0.5):
        model.add(
            prism([(-w, d), (0, -d * 0.1), (w, d)], 0.0029, 0.0034), paint.plain(np.array(paper.color) * 0.93, 0.9)
        )
    else:
        model.add(box(0.011, 0.013, 0.0003, 0.0001, True), paint.printed("art"), (w * 0.8, d * 0.65, 0.0032))
        model.add(box(w * 0.4, d * 0.3, 0.0003, 0.0001, True), paint.printed("page"), (0, -d * 0.2, 0.0032))
    return model.solid_box(w, d, 0.0018, (0, 0, 0.0018))


def laptop(paint: Palette) -> ObjectModel:
    """Base with keys and touchpad, and an open lid with a screen."""
    rng = paint.rng
    model = ObjectModel("Laptop", tips=False)
    w, d, t = rng.uniform(0.14, 0.19), rng.uniform(0.1, 0.125), 0.008
    shell = paint.metal() if paint.chance(0.5) else paint.plastic()
    model.add(box(w, d, t, 0.004), shell, (0, 0, t))
    model.add(box(w * 0.88, d * 0.42, 0.0012, 0.0005, True), paint.printed("keys", 0.5), (0, d * 0.25, 2 * t))
    model.add(box(w * 0.28, d * 0.22, 0.0008, 0.0004), paint.plastic(), (0, -d * 0.6, 2 * t))
    turn = rotation("x", 90 - rng.uniform(70, 125))
    hinge = np.array([0, d - 0.004, 2 * t])
    glow = rng.uniform(0.2, 1.2) if paint.chance(0.7) else 0
    lid = [
        (box(w, 0.004, d, 0.003), shell, (0, 0, d)),
        (box(w * 0.94, 0.0008, d * 0.9, 0.0004, True), paint.printed("screen", 0.15, glow), (0, -0.0045, d * 1.02)),
        (box(w, 0.005, 0.006, 0.002), paint.black(), (0, 0, 0.006)),
    ]
    if paint.chance(0.5):
        lid.append((box(0.014, 0.0006, 0.014, 0.0003), paint.metal(), (0, 0.0043, d)))
    for mesh, material, at in lid:
        model.add(place(mesh, at), material, hinge, turn)
    model.solid_box(w, d, t, (0, 0, t))
    return model.solid_box(w, 0.004, d, hinge + turn @ np.array([0, 0, d]), turn)


def monitor(paint: Palette) -> ObjectModel:
    """Screen in a case, neck and foot."""
    rng = paint.rng
    model = ObjectModel("Monitor", tips=False)
    w = rng.uniform(0.22, 0.34)
    h, foot = w * 0.58, rng.uniform(0.08, 0.14)
    shell = paint.black() if paint.chance(0.6) else paint.plastic()
    glow = rng.uniform(0.2, 1.3) if paint.chance(0.75) else 0
    model.add(box(w, 0.014, h, 0.005), shell, (0, 0, foot + h))
    model.add(
        box(w * 0.96, 0.001, h * 0.93, 0.0005, True), paint.printed("screen", 0.12, glow), (0, -0.0142, foot + h * 1.02)
    )
    stand = paint.metal() if paint.chance(0.5) else shell
    model.add(box(0.02, 0.012, foot / 2 + 0.03, 0.004), stand, (0, 0.02, foot / 2 + 0.03))
    base = (
        cylinder(0.1, 0, 0.012, 28) if paint.chance(0.4) else place(box(w * 0.38, 0.085, 0.006, 0.004), (0, 0, 0.006))
    )
    model.add(base, stand)
    model.solid_box(w, 0.016, h, (0, 0, foot + h)).solid_box(0.02, 0.015, foot / 2, (0, 0.02, foot / 2))
    return model.solid_box(0.1, 0.085, 0.006, (0, 0, 0.006))


def tablet(paint: Palette, category: str) -> ObjectModel:
    """Tablet or mobile phone lying face up or face down."""
    rng = paint.rng
    model = ObjectModel(category, flat=True, tips=False)
    w, d = (0.037, 0.078) if category == "CellPhone" else (rng.uniform(0.08, 0.1), rng.uniform(0.11, 0.135))
    t = 0.0042
    model.add(box(w, d, t, 0.004), paint.plastic() if paint.chance(0.6) else paint.metal(), (0, 0, t))
    if paint.chance(0.75):
        glow = rng.uniform(0, 0.8)
        model.add(
            box(w * 0.94, d * 0.95, 0.0004, 0.0002, True), paint.printed("screen", 0.1, glow), (0, 0, 2 * t + 0.0002)
        )
    else:
        bump = box(w * 0.35, w * 0.4, 0.0012, 0.001)
        model.add(bump, paint.black(), (w * 0.45, d * 0.72, 2 * t))
        for x, y in ((0.3, 0.62), (0.3, 0.82), (0.62, 0.72)):
            model.add(cylinder(w * 0.11, 0, 0.0016, 12), paint.glass(alpha=1.0), (w * x, d * y, 2 * t + 0.0005))
    return model.solid_box(w, d, t + 0.0003, (0, 0, t + 0.0003))


def remote(paint: Palette) -> ObjectModel:
    """Body with buttons in two colours and a round pad."""
    rng = paint.rng
    model = ObjectModel("RemoteControl", flat=True, tips=False)
    w, d, t = rng.uniform(0.018, 0.026), rng.uniform(0.07, 0.11), 0.009
    model.add(box(w, d, t, 0.006), paint.plastic(), (0, 0, t))
    buttons: list[list[Mesh]] = [[], []]
    for row in range(7):
        for column in range(3):
            if paint.chance(0.85):
                key = cylinder(w * 0.2, 2 * t - 0.001, 2 * t + 0.0022, 8)
                buttons[int(paint.chance(0.2))].append(
                    place(key, ((column - 1) * w * 0.58, -d * 0.8 + row * d * 0.19, 0))
                )
    for group in buttons:
        if group:
            model.add(merge(group), paint.plastic())
    model.add(cylinder(w * 0.6, 2 * t - 0.001, 2 * t + 0.003, 16), paint.plastic(), (0, d * 0.68, 0))
    return model.solid_box(w, d, t, (0, 0, t))


def calculator(paint: Palette) -> ObjectModel:
    """Body with display and two groups of keys."""
    rng = paint.rng
    model = ObjectModel("Calculator", flat=True, tips=False)
    w, d, t = rng.uniform(0.035, 0.05), rng.uniform(0.06, 0.085), 0.007
    model.add(box(w, d, t, 0.004), paint.plastic(), (0, 0, t))
    model.add(box(w * 0.85, d * 0.17, 0.0015, 0.001), paint.plain((0.55, 0.62, 0.5), 0.2), (0, d * 0.7, 2 * t))
    columns = 4
    keys = [
        place(box(w * 0.16, d * 0.07, 0.002, 0.001), ((i - 1.5) * w * 0.44, -d * 0.82 + j * d * 0.24, 2 * t))
        for i in range(columns)
        for j in range(5)
    ]
    model.add(merge(keys[:-5]), paint.plastic()).add(merge(keys[-5:]), paint.plastic(paint.vivid()))
    return model.solid_box(w, d, t, (0, 0, t))


def keyboard(paint: Palette) -> ObjectModel:
    """Body with some sixty keys in one or two colours."""
    rng = paint.rng
    model = ObjectModel("Keyboard", flat=True, tips=False)
    w, d = rng.uniform(0.15, 0.22), 0.065
    model.add(box(w, d, 0.008, 0.004), paint.plastic(), (0, 0, 0.008))
    keys: list[list[Mesh]] = [[], []]
    for row in range(5):
        x = -w * 0.95
        while x < w * 0.92:
            half = 0.045 if row == 0 and abs(x + 0.02) < 0.02 else 0.0085
            at = (min(x + half, w * 0.95 - half), -d * 0.78 + row * d * 0.39, 0.0185)
            keys[int(paint.chance(0.12))].append(place(box(half, 0.0085, 0.003, 0.0015), at))
            x += 2 * half + 0.003
    for group in keys:
        if group:
            model.add(merge(group), paint.plastic())
    return model.solid_box(w, d, 0.01, (0, 0, 0.01))


def mouse(paint: Palette) -> ObjectModel:
    """Shell, wheel and the slit between its buttons."""
    model = ObjectModel("Mouse", tips=False)
    size = paint.rng.uniform(0.85, 1.1)
    model.add(ellipsoid(0.03 * size, 0.055 * size, 0.018, 0.8, 0.8), paint.plastic(), (0, 0, 0.017))
    model.add(place(cylinder(0.006, -0.004, 0.004, 14), turn=rotation("y", 90)), paint.plastic(), (0, 0.03, 0.031))
    model.add(box(0.001, 0.02, 0.001, 0.0004), paint.black(), (0, 0.03, 0.0342))
    return model.solid_box(0.026 * size, 0.048 * size, 0.016, (0, 0, 0.016))


def headphones(paint: Palette) -> ObjectModel:
    """Padded band with two cups, lying flat."""
    model = ObjectModel("Headphones", tips=False)
    radius = 0.08
    band = paint.plastic()
    model.add(tube(arc((0, 0, 0.03), radius, 0, 180, 16, "xy"), 0.007, 8, flatness=1.6), band)
    model.add(tube(arc((0, 0, 0.03), radius - 0.008, 30, 150, 12, "xy"), 0.006, 8), paint.fabric())
    cup = band if paint.chance(0.5) else paint.plastic()
    sideways = rotation("y", 90)
    for side in (-1, 1):
        model.add(cylinder(0.036, -0.012, 0.012, 18), cup, (side * radius, -0.01, 0.036), sideways)
        model.add(ring(0.026, 0.011, 18), paint.black(0.9), (side * (radius - 0.016), -0.01, 0.036), sideways)
        model.solid_box(0.02, 0.036, 0.034, (side * radius, -0.01, 0.036))
    return model.solid_box(0.06, 0.012, 0.008, (0, radius * 0.85, 0.03))


def game_controller(paint: Palette) -> ObjectModel:
    """Shell with grips, two sticks, four coloured and four direction buttons."""
    model = ObjectModel("GameController", tips=False)
    shell = paint.plastic()
    model.add(ellipsoid(0.055, 0.03, 0.016, 0.6, 0.7), shell, (0, 0, 0.022))
    for side in (-1, 1):
        grip = [(side * 0.045, 0.005, 0.022), (side * 0.068, -0.025, 0.018), (side * 0.072, -0.055, 0.014)]
        model.add(tube(grip, [0.02, 0.019, 0.013], 12), shell)
        stick = lathe([(0.006, 0), (0.006, 0.008), (0.01, 0.01), (0.009, 0.014), (0, 0.013)], 14)
        model.add(stick, paint.black(), (side * 0.024, -0.014, 0.034))
    for i, (x, y) in enumerate(((0, 1), (1, 0), (0, -1), (-1, 0))):
        at = (0.04 + 0.009 * x, 0.012 + 0.009 * y, 0.033)
        model.add(cylinder(0.0042, 0, 0.005, 10), paint.plastic(paint.vivid()), at)
        model.add(
            box(0.0035, 0.0035, 0.003, 0.001),
            paint.black() if i else paint.plastic(),
            (-0.04 + 0.007 * x, 0.012 + 0.007 * y, 0.035),
        )
    return model.solid_box(0.07, 0.03, 0.02, (0, 0, 0.02)).solid_box(0.075, 0.02, 0.012, (0, -0.04, 0.014))


def camera(paint: Palette) -> ObjectModel:
    """Body with grip, lens with a ring, viewfinder and release."""
    rng = paint.rng
    model = ObjectModel("Camera", tips=False)
    w, d, h = rng.uniform(0.05, 0.07), rng.uniform(0.018, 0.03), rng.uniform(0.035, 0.045)
    body = paint.black() if paint.chance(0.6) else paint.plastic()
    model.add(box(w, d, h, 0.008), body, (0, 0, h))
    model.add(
        box(w * 1.004, d * 1.004, h * 0.2, 0.006),
        paint.metal() if paint.chance(0.5) else body,
        (0, 0, 2 * h - h * 0.22),
    )
    reach = rng.uniform(0.025, 0.06)
    barrel = [
        (0.03, 0),
        (0.03, reach * 0.5),
        (0.027, reach * 0.55),
        (0.027, reach),
        (0.022, reach),
        (0.02, reach * 0.9),
        (0, reach * 0.86),
    ]
    model.add(lathe(barrel, 24), paint.black(0.4), (0, -d, h), FACE_FRONT)
    model.add(ring(0.0285, 0.0022, 20, 6), paint.metal(), (0, -d - reach * 0.5, h), FACE_FRONT)
    model.add(box(0.018, 0.018, 0.008, 0.004), body, (0, 0, 2 * h + 0.006))
    model.add(cylinder(0.007, 0, 0.006, 12), paint.metal(), (-w * 0.7, 0, 2 * h))
    return model.solid_box(w, d, h, (0, 0, h)).solid_rod(0.03, (0, -d, h), (0, -d - reach, h))


def radio(paint: Palette) -> ObjectModel:
    """Case with grille, display, knobs and a handle or antenna."""
    rng = paint.rng
    model = ObjectModel("Radio", tips=False)
    w, d, h = rng.uniform(0.1, 0.15), 0.045, rng.uniform(0.06, 0.09)
    model.add(box(w, d, h, 0.008), paint.wood() if paint.chance(0.5) else paint.plastic(), (0, 0, h))
    model.add(box(w * 0.42, 0.002, h * 0.75, 0.001), _grille(paint), (-w * 0.45, -d, h))
    model.add(box(w * 0.35, 0.002, h * 0.25, 0.001, True), paint.printed("screen", 0.2, 0.5), (w * 0.5, -d, h * 1.45))
    for i in range(2):
        model.add(cylinder(0.014, 0, 0.012, 14), paint.metal(), (w * (0.3 + 0.4 * i), -d, h * 0.6), FACE_FRONT)
    if paint.chance(0.6):
        model.add(tube(arc((0, 0, 2 * h - 0.004), w * 0.5, 0, 180, 10, "xz", 0.03), 0.006, 6), paint.metal())
    else:
        model.add(tube([(w * 0.8, d * 0.6, 2 * h - 0.002), (w * 0.95, d * 0.6, 2 * h + 0.15)], 0.002, 5), paint.metal())
    return model.solid_box(w, d, h, (0, 0, h))


def speaker(paint: Palette) -> ObjectModel:
    """Box with two cones and their rings."""
    rng = paint.rng
    model = ObjectModel("Speaker", tips=False)
    w, d, h = rng.uniform(0.06, 0.1), 0.08, rng.uniform(0.1, 0.18)
    model.add(box(w, d, h, 0.006), paint.wood() if paint.chance(0.5) else paint.plastic(), (0, 0, h))
    for z, radius in ((h * 0.65, w * 0.7), (h * 1.5, w * 0.35)):
        cone = [(radius, 0), (radius, 0.006), (radius * 0.85, 0.006), (radius * 0.3, 0.001), (0, 0.003)]
        model.add(lathe(cone, 24), _grille(paint), (0, -d, z), FACE_FRONT)
        model.add(ring(radius * 0.95, 0.003, 22, 5), paint.metal(), (0, -d - 0.004, z), FACE_FRONT)
    return model.solid_box(w, d, h, (0, 0, h))


def alarm_clock(paint: Palette) -> ObjectModel:
    """Round with bells and hands, or a digital block."""
    rng = paint.rng
    model = ObjectModel("AlarmClock", tips=False)
    if paint.chance(0.3):
        w, d, h = rng.uniform(0.06, 0.09), 0.03, rng.uniform(0.03, 0.045)
        model.add(box(w, d, h, 0.008), paint.plastic(), (0, 0, h))
        model.add(box(w * 0.85, 0.002, h * 0.6, 0.001, True), paint.printed("screen", 0.2, 1.0), (0, -d, h))
        model.add(box(w * 0.5, 0.01, 0.004, 0.002), paint.plastic(), (0, 0, 2 * h + 0.001))
        return model.solid_box(w, d, h, (0, 0, h))
    radius = rng.uniform(0.045, 0.08)
    center = (0, 0, radius + 0.012)
    model.add(
        cylinder(radius, -0.02, 0.02, 28), paint.plastic() if paint.chance(0.6) else paint.metal(), center, FACE_FRONT
    )
    repeats = 1 / (1.8 * radius)
    dial = paint.printed("dial", 0.3, repeat_u=repeats, repeat_v=repeats, offset=0.5)
    face = place(disc(radius * 0.9, 0.02, 0.0212), turn=FACE_FRONT)
    model.add(face, dial, center)
    for reach in (radius * 0.5, radius * 0.75):
        hand = place(box(0.0018, reach / 2, 0.0006, 0.0003), (0, reach / 2, 0.0218))
        model.add(hand, paint.black(), center, FACE_FRONT @ rotation("z", rng.uniform(0, 360)))
    for side in (-1, 1):
        model.add(cylinder(0.006, 0, 0.03, 8), paint.metal(), (side * radius * 0.6, 0, 0))
        bell = ellipsoid(radius * 0.35, 0.018, radius * 0.28)
        model.add(bell, paint.metal(), (side * radius * 0.6, 0, 2 * radius + 0.012))
    return model.solid_box(radius, 0.02, radius + 0.006, (0, 0, radius + 0.006))


def desk_lamp(paint: Palette) -> ObjectModel:
    """Lamp of table height."""
    return lamp(paint, "DeskLamp", height=paint.rng.uniform(0.3, 0.5), foot=paint.rng.uniform(0.06, 0.09))


def lamp(paint: Palette, category: str, height: float, foot: float) -> ObjectModel:
    """Foot, pole, shade and bulb; also the tall lamp that stands on the floor."""
    rng = paint.rng
    model = ObjectModel(category, tips=False)
    tall = height > 1
    stand = paint.metal() if paint.chance(0.6) else paint.ceramic()
    model.add(lathe([(0, 0), (foot, 0), (foot, 0.012), (foot * 0.3, 0.03), (0, 0.03)]), stand)
    pole = stand if paint.chance(0.6) else paint.wood()
    model.add(cylinder(0.011 if tall else 0.006, 0.02, height * 0.85, 12), pole)
    if not tall and paint.chance(0.5):
        model.add(ellipsoid(foot * 0.8, foot * 0.8, height * 0.22), paint.ceramic(), (0, 0, height * 0.25))
    wide = 0.2 if tall else rng.uniform(0.08, 0.13)
    narrow, low, high = wide * rng.uniform(0.45, 0.95), height * 0.72, height
    glow = rng.uniform(0.4, 2) if paint.chance(0.6) else 0.0
    kinds = ("plain", "weave", "stripes", "dots", "damask")
    shade = paint.pattern(kinds, 0.9, color=paint.color(0.6), scale=0.3, emission=glow)
    model.add(lathe([(wide, low), (narrow, high)], 28), shade)
    model.add(lathe([(narrow - 0.003, high), (wide - 0.003, low)], 28), paint.plain((0.95, 0.92, 0.85), 0.9, glow))
    middle = (low + high) / 2
    model.add(ellipsoid(0.03, 0.03, 0.04), paint.plain(WARM_WHITE, 0.3, 4 * glow), (0, 0, middle))
    model.add(ring(narrow, 0.0025, 24, 5), stand, (0, 0, high))
    if glow > 0:
        model.light = PointLight((0, 0, middle), (1.0, 0.8, 0.5), glow)
        model.casts_shadow = False
    model.solid_cylinder(foot, 0, 0.03).solid_cylinder(0.02, 0, low)
    return model.solid_cylinder(wide, low, high)


def pen(paint: Palette, category: str) -> ObjectModel:
    """Pen or pencil lying along x."""
    rng = paint.rng
    model = ObjectModel(category, tips=False)
    reach, thick = rng.uniform(0.06, 0.085), rng.uniform(0.0035, 0.0055)
    along = rotation("y", 90)
    body = paint.plastic(paint.vivid()) if category == "Pencil" or paint.chance(0.5) else paint.metal()
    sides = 6 if category == "Pencil" else 14
    model.add(cylinder(thick, -reach, reach * 0.75, sides), body, (0, 0, thick), along)
    if category == "Pencil":
        model.add(
            cylinder(thick, reach * 0.75, reach * 0.98, 10, thick * 0.25),
            paint.plain((0.85, 0.68, 0.45)),
            (0, 0, thick),
            along,
        )
        model.add(cylinder(thick * 0.25, reach * 0.97, reach * 1.03, 8, 0.0003), paint.black(), (0, 0, thick), along)
        model.add(
            cylinder(thick * 0.95, -reach * 1.09, -reach * 1.0, 10), paint.plain((0.85, 0.5, 0.5)), (0, 0, thick), along
        )
        model.add(cylinder(thick * 1.05, -reach * 1.01, -reach * 0.92, 10), paint.metal(), (0, 0, thick), along)
    else:
        model.add(cylinder(thick, reach * 0.74, reach, 12, thick * 0.2), paint.metal(), (0, 0, thick), along)
        model.add(cylinder(thick * 1.08, -reach * 1.02, -reach * 0.25, 14), paint.plastic(), (0, 0, thick), along)
        model.add(box(reach * 0.25, 0.0015, 0.0008, 0.0004), paint.metal(), (-reach * 0.72, 0, 2 * thick + 0.001))
    return model.solid_box(reach, thick, thick, (0, 0, thick))


def pencil_cup(paint: Palette) -> ObjectModel:
    """Cup with pens in it: carried as one."""
    rng = paint.rng
    model = ObjectModel("PencilCup", tips=False)
    radius, height = rng.uniform(0.032, 0.042), rng.uniform(0.085, 0.11)
    walls = [(0, 0), (radius, 0), (radius, height), (radius - 0.003, height), (radius - 0.003, 0.006), (0, 0.006)]
    model.add(lathe(walls), paint.pick((paint.ceramic, paint.metal, paint.plastic))())
    for _ in range(int(rng.integers(2, 8))):
        turn = rotation("z", rng.uniform(0, 360)) @ rotation("y", rng.uniform(4, 14))
        root = turn @ np.array([-radius * 0.4, 0, 0]) * np.array([1, 1, 0]) + np.array([0, 0, 0.012])
        reach = rng.uniform(0.12, 0.17)
        model.add(cylinder(0.004, 0, reach, 8), paint.plastic(paint.vivid()), root, turn)
        model.add(cylinder(0.0041, reach, reach + 0.012, 8, 0.0015), paint.plain(), root, turn)
    return model.solid_cylinder(radius, 0, height)


def scissors(paint: Palette) -> ObjectModel:
    """Two crossed blades with ring grips."""
    rng = paint.rng
    model = ObjectModel("Scissors", tips=False)
    reach, opening = rng.uniform(0.07, 0.1), rng.uniform(3, 14)
    steel, grip = paint.metal(STEEL), paint.plastic(paint.vivid()) if paint.chance(0.7) else paint.black()
    for side, z in ((-1, 0.0035), (1, 0.0055)):
        turn = rotation("z", side * opening)
        blade = [(-0.025, -0.006), (reach * 0.5, -0.006), (reach, 0.0), (0, 0.006), (-0.025, 0.006)]
        model.add(prism(blade, -0.001, 0.001), steel, (0, 0, z), turn)
        hole = np.stack(
            [
                0.019 * np.cos(np.linspace(0, 6.283, 16, endpoint=False)),
                0.013 * np.sin(np.linspace(0, 6.283, 16, endpoint=False)),
                np.zeros(16),
            ],
            1,
        )
        model.add(
            tube(hole, 0.0045, 8, closed=True), grip, turn @ np.array([-0.045, -side * 0.009, 0]) + [0, 0, 0.0045], turn
        )
    model.add(cylinder(0.004, 0, 0.0078, 12), steel)
    return model.solid_box(reach * 0.5, 0.01, 0.0035, (reach * 0.5, 0, 0.0035)).solid_box(
        0.02, 0.025, 0.0045, (-0.045, 0, 0.0045)
    )


def stapler(paint: Palette) -> ObjectModel:
    """Base, magazine and lever."""
    rng = paint.rng
    model = ObjectModel("Stapler", tips=False)
    reach = rng.uniform(0.055, 0.075)
    body = paint.plastic(paint.vivid()) if paint.chance(0.6) else paint.black()
    model.add(box(reach, 0.014, 0.004, 0.002), paint.black() if paint.chance(0.6) else body, (0, 0, 0.004))
    model.add(box(reach * 0.92, 0.009, 0.006, 0.002), paint.metal(STEEL), (0, 0, 0.02), rotation("y", -6))
    model.add(box(reach * 0.97, 0.013, 0.009, 0.008), body, (0, 0, 0.034), rotation("y", -8))
    model.add(box(0.014, 0.015, 0.014, 0.004), body, (-reach * 0.82, 0, 0.02))
    return model.solid_box(reach, 0.014, 0.02, (0, 0, 0.02))


def tape(paint: Palette) -> ObjectModel:
    """Roll of adhesive tape lying flat."""
    rng = paint.rng
    model = ObjectModel("Tape", flat=True)
    outer, inner, h = rng.uniform(0.03, 0.055), rng.uniform(0.02, 0.028), rng.uniform(0.012, 0.05)
    model.add(
        lathe([(inner + 0.002, 0), (outer, 0), (outer, h), (inner + 0.002, h), (inner + 0.002, 0)]), paint.plastic()
    )
    core = [(inner, 0.0005), (inner + 0.003, 0.0005), (inner + 0.003, h + 0.0005), (inner, h + 0.0005), (inner, 0.0005)]
    model.add(lathe(core), paint.plain((0.7, 0.55, 0.38), 0.9))
    return model.solid_cylinder(outer, 0, h)


def glue_stick(paint: Palette) -> ObjectModel:
    """Printed tube with base and cap."""
    rng = paint.rng
    model = ObjectModel("GlueStick")
    radius, height = rng.uniform(0.009, 0.014), rng.uniform(0.07, 0.1)
    model.add(cylinder(radius, 0.01, height * 0.7, 16), paint.printed())
    model.add(cylinder(radius * 0.9, 0, 0.012, 16), paint.plastic())
    model.add(cylinder(radius * 1.05, height * 0.68, height, 16), paint.plastic(paint.vivid()))
    return model.solid_cylinder(radius * 1.03, 0, height)


def ruler(paint: Palette) -> ObjectModel:
    """Strip with marks."""
    rng = paint.rng
    model = ObjectModel("Ruler", tips=False)
    reach = rng.uniform(0.08, 0.16)
    model.add(box(reach, 0.015, 0.0015, 0.0008), paint.pick((paint.wood, paint.metal, paint.plastic))(), (0, 0, 0.0015))
    marks = [
        place(box(0.0004, 0.0045 if i % 5 == 0 else 0.0025, 0.0002, 0.0001), (-reach * 0.95 + 0.01 * i, 0.01, 0.0031))
        for i in range(int(reach * 190))
    ]
    model.add(merge(marks), paint.black())
    return model.solid_box(reach, 0.015, 0.0017, (0, 0, 0.0017))


def printer(paint: Palette) -> ObjectModel:
    """Case with lid, output slot, tray with paper and a small screen."""
    rng = paint.rng
    model = ObjectModel("Printer", tips=False)
    w, d, h = rng.uniform(0.19, 0.24), rng.uniform(0.15, 0.19), rng.uniform(0.08, 0.13)
    body = paint.plastic(paint.pick([BLACK * 2, np.array([0.9, 0.9, 0.88]), np.array([0.5, 0.5, 0.52])]))
    model.add(box(w, d, h, 0.012), body, (0, 0, h))
    model.add(box(w * 0.98, d * 0.6, 0.008, 0.005), paint.plastic(), (0, d * 0.3, 2 * h + 0.004))
    model.add(box(w * 0.8, 0.004, h * 0.22, 0.002), paint.black(), (0, -d - 0.001, h * 0.8))
    model.add(box(w * 0.7, d * 0.3, 0.004, 0.002), paint.plastic(), (0, -d * 1.2, h * 0.5))
    model.add(box(w * 0.6, d * 0.3, 0.0015, 0.0005, True), paint.printed("page", 0.9), (0, -d * 1.18, h * 0.5 + 0.0055))
    model.add(
        box(w * 0.22, d * 0.14, 0.003, 0.001, True), paint.printed("screen", 0.2, 0.5), (w * 0.6, -d * 0.7, 2 * h)
    )
    return model.solid_box(w, d, h + 0.006, (0, 0, h + 0.006)).solid_box(
        w * 0.7, d * 0.3, 0.005, (0, -d * 1.2, h * 0.5)
    )


def _grille(paint: Palette) -> Material:
    return paint.pattern(("dots", "weave", "carpet"), 0.9, color=BLACK * 2, scale=0.03)


BUILDERS: dict[str, Builder] = {
    "Book": lambda paint: open_book(paint) if paint.chance(0.12) else book(paint),
    "Newspaper": newspaper,
    "Notebook": notebook,
    "Envelope": envelope,
    "Laptop": laptop,
    "Monitor": monitor,
    "Tablet": partial(tablet, category="Tablet"),
    "CellPhone": partial(tablet, category="CellPhone"),
    "RemoteControl": remote,
    "Calculator": calculator,
    "Keyboard": keyboard,
    "Mouse": mouse,
    "Headphones": headphones,
    "GameController": game_controller,
    "Camera": camera,
    "Radio": radio,
    "Speaker": speaker,
    "AlarmClock": alarm_clock,
    "DeskLamp": desk_lamp,
    "Pen": partial(pen, category="Pen"),
    "Pencil": partial(pen, category="Pencil"),
    "PencilCup": pencil_cup,
    "Scissors": scissors,
    "Stapler": stapler,
    "Tape": tape,
    "GlueStick": glue_stick,
    "Ruler": ruler,
    "Printer": printer,
}
