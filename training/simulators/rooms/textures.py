"""The bank of procedural textures that every material of a room draws from.

Pattern layers (wood, tiles, fabric, ...) carry no colour of their own: R mixes two material colours, G darkens, B
varies roughness, A is the height for bump mapping. Label layers (packaging, screens, pictures) have full colour in RGB.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

FloatImage = npt.NDArray[np.float32]
ByteImage = npt.NDArray[np.uint8]

TEXTURE_SIZE = 256
# Bookshelves and kitchens show mostly packaging, so labels come more often than the other printed kinds.
_LABEL_CYCLE = (
    ("label",) * 4 + ("page", "screen", "art", "art", "keys", "sky", "dial") + ("label",) * 3 + ("page", "art")
)


def texture_bank(seed: int, patterns: int = 126, labels: int = 128) -> tuple[ByteImage, dict[str, list[int]]]:
    """Make the texture array and the layers that each kind owns.

    Args:
        seed: same seed, same bytes.
        patterns, labels: number of layers of each sort; kinds take turns.

    Returns:
        layers: uint8 (L, S, S, 4) with S = TEXTURE_SIZE, row 0 at v = 0 (the bottom of a label).
        kinds: kind name -> layer numbers, for example `{"wood": [2, 20, ...], "label": [126, ...]}`.
    """
    rng = np.random.default_rng(seed)
    # Painted into their place: a list of layers would double what a worker holds.
    layers = np.empty((patterns + labels, TEXTURE_SIZE, TEXTURE_SIZE, 4), np.uint8)
    kinds: dict[str, list[int]] = {}
    pattern_kinds = list(PATTERNS)
    for number in range(patterns):
        kind = pattern_kinds[number % len(pattern_kinds)]
        kinds.setdefault(kind, []).append(number)
        layers[number] = paint_pattern(rng, kind)
    for number in range(patterns, patterns + labels):
        kind = _LABEL_CYCLE[(number - patterns) % len(_LABEL_CYCLE)]
        kinds.setdefault(kind, []).append(number)
        layers[number] = paint_label(rng, kind)
    return layers, kinds


def paint_pattern(rng: np.random.Generator, kind: str) -> ByteImage:
    """Paint one tileable pattern: uint8 (S, S, 4) of mask, value, roughness variation and height."""
    ground = _Ground(
        rng=rng,
        noise=fractal_noise(rng),
        value=0.5 + 0.5 * fractal_noise(rng, base=16, octaves=4),
        height=fractal_noise(rng, base=16, octaves=4),
    )
    layers = PATTERNS[kind](ground)
    value = ground.value if layers.value is None else layers.value
    height = ground.height if layers.height is None else layers.height
    stacked = np.stack(np.broadcast_arrays(layers.mask, value, ground.noise, height), -1)
    return _to_bytes(stacked)


def paint_label(rng: np.random.Generator, kind: str) -> ByteImage:
    """Paint one full-colour print: uint8 (S, S, 4), RGB plus an unused alpha of 128."""
    image = LABELS[kind](rng)
    alpha = np.full(image.shape[:2], 128, np.uint8)
    return np.ascontiguousarray(np.dstack([image[::-1], alpha]))


def fractal_noise(
    rng: np.random.Generator,
    base: int = 4,
    octaves: int = 5,
    gain: float = 0.55,
    stretch: tuple[float, float] = (1.0, 1.0),
) -> FloatImage:
    """Tileable fractal noise in [0, 1], float32 (S, S).

    Args:
        base: cells across the image in the first octave; each octave doubles them.
        stretch: factor on the number of cells along x and y; unequal factors give grain.
    """
    size = TEXTURE_SIZE
    total = np.zeros((size, size), np.float32)
    amplitude = 1.0
    for octave in range(octaves):
        cells_x = max(1, int(base * 2**octave * stretch[0]))
        cells_y = max(1, int(base * 2**octave * stretch[1]))
        if max(cells_x, cells_y) > size:
            break
        values = rng.random((cells_y, cells_x), dtype=np.float32)
        # Wrapped margins let the cubic interpolation see across the border, so that the result tiles.
        values = np.pad(values, ((1, 2), (1, 2)), mode="wrap")
        enlarged = cv2.resize(
            values,
            (int(size * (cells_x + 3) / cells_x), int(size * (cells_y + 3) / cells_y)),
            interpolation=cv2.INTER_CUBIC,
        )
        left, top = int(1.5 * size / cells_x), int(1.5 * size / cells_y)
        total += amplitude * enlarged[top : top + size, left : left + size]
        amplitude *= gain
    low, high = total.min(), total.max()
    return np.asarray(np.clip((total - low) / (high - low + 1e-6), 0, 1), np.float32)


class _Ground(NamedTuple):
    """What every pattern starts from; float32 (S, S) each."""

    rng: np.random.Generator
    noise: FloatImage
    value: FloatImage
    height: FloatImage


class _Layers(NamedTuple):
    """Mask between the two colours, and value and height where they differ from the ground's."""

    mask: npt.NDArray[np.floating] | float
    value: npt.NDArray[np.floating] | float | None = None
    height: npt.NDArray[np.floating] | float | None = None


_Y, _X = np.mgrid[0:TEXTURE_SIZE, 0:TEXTURE_SIZE].astype(np.float32) / TEXTURE_SIZE


def _triangle(phase: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Triangle wave in [0, 1], 0 in the middle of each period."""
    return np.abs(phase % 1 - 0.5) * 2


def _plain(g: _Ground) -> _Layers:
    return _Layers(0.0, 0.93 + 0.07 * g.value, 0.15 * g.height)


def _noise(g: _Ground) -> _Layers:
    blotches = fractal_noise(g.rng, base=int(g.rng.integers(2, 9)))
    return _Layers(np.clip((blotches - 0.5) * g.rng.uniform(1, 4) + 0.5, 0, 1))


def _wood(g: _Ground) -> _Layers:
    warp = fractal_noise(g.rng, base=2, octaves=4, stretch=(1, 0.5))
    grain = fractal_noise(g.rng, base=4, octaves=6, stretch=(8, 0.5))
    rings = _triangle(_X * g.rng.integers(3, 9) + warp * g.rng.uniform(0.4, 2.5))
    return _Layers(np.clip(0.6 * rings + 0.5 * grain, 0, 1), 0.75 + 0.25 * grain, grain)


def _planks(g: _Ground) -> _Layers:
    columns = int(g.rng.integers(4, 9))
    column = np.floor(_X * columns).astype(int)
    along = _Y + g.rng.random(columns)[column]
    plank = np.floor(along * 2).astype(int) % 4
    shade = g.rng.random((columns, 4))[column, plank]
    grain = fractal_noise(g.rng, base=4, octaves=6, stretch=(10, 0.6))
    edge = np.minimum(_triangle(_X * columns + 0.5), _triangle(along * 2 + 0.5) * columns / 2)
    gap = edge < 0.04
    value = (0.7 + 0.3 * shade) * (1 - 0.6 * gap)
    return _Layers(np.clip(0.35 * shade + 0.5 * grain, 0, 1), value, np.clip(0.4 * grain + 0.6 - 0.6 * gap, 0, 1))


def _tiles(g: _Ground) -> _Layers:
    count = int(g.rng.integers(2, 7))
    return _mortared(g, count, count, np.zeros_like(_X))


def _bricks(g: _Ground) -> _Layers:
    count = int(g.rng.integers(2, 7))
    return _mortared(g, count, 2 * count, 0.5 * (np.floor(_Y * 2 * count) % 2))


def _mortared(g: _Ground, columns: int, rows: int, shift: npt.NDArray[np.floating]) -> _Layers:
    x, y = _X * columns + shift, _Y * rows
    shade = g.rng.random((rows, columns))[np.floor(y).astype(int) % rows, np.floor(x).astype(int) % columns]
    width = g.rng.uniform(0.02, 0.08)
    gap = (_triangle(x + 0.5) < width) | (_triangle(y + 0.5) < width * rows / columns)
    checkered = g.rng.random() < 0.35
    faces = ((np.floor(x) + np.floor(y)) % 2) * 0.8 if checkered else 0.25 * shade + 0.2 * g.noise
    return _Layers(np.where(gap, 1.0, faces), 0.8 + 0.2 * shade * ~gap, 1 - 0.9 * gap)


def _stripes(g: _Ground) -> _Layers:
    count = int(g.rng.integers(2, 20))
    axis = (_X, _Y, _X + _Y)[g.rng.integers(3)]
    return _Layers(((axis * count) % 1 < g.rng.uniform(0.2, 0.8)).astype(np.float32), None, 0.2 * g.height)


def _checks(g: _Ground) -> _Layers:
    count = int(g.rng.integers(2, 12))
    return _Layers((np.floor(_X * count) + np.floor(_Y * count)) % 2)


def _plaid(g: _Ground) -> _Layers:
    count = int(g.rng.integers(2, 6))

    def bands(axis: FloatImage) -> npt.NDArray[np.floating]:
        total = np.zeros_like(axis)
        for frequency, phase, width in zip((1, 2, 1), g.rng.random(3), g.rng.uniform(0.1, 0.6, 3), strict=True):
            total += 0.33 * (_triangle(axis * count * frequency + phase) < width)
        return total

    thread = np.sign(np.sin(_X * 400) * np.sin(_Y * 400))
    return _Layers((bands(_X) + bands(_Y)) / 2, 0.85 + 0.15 * thread)


def _dots(g: _Ground) -> _Layers:
    count, radius = int(g.rng.integers(3, 12)), g.rng.uniform(0.15, 0.42)
    y = _Y * count
    x = _X * count + 0.5 * (np.floor(y) % 2)
    return _Layers(((x % 1 - 0.5) ** 2 + (y % 1 - 0.5) ** 2 < radius**2).astype(np.float32))


def _weave(g: _Ground) -> _Layers:
    count = int(g.rng.integers(16, 48))
    warp = 0.5 + 0.5 * np.sin(_X * count * 2 * np.pi)
    weft = 0.5 + 0.5 * np.sin(_Y * count * 2 * np.pi)
    over = (np.floor(_X * count) + np.floor(_Y * count)) % 2 > 0
    thread = np.where(over, warp, weft)
    return _Layers(0.5 * thread + 0.3 * g.noise, 0.6 + 0.4 * thread, thread)


def _folds(g: _Ground) -> _Layers:
    """Cloth that does not lie flat: ridges between hollows, far larger than its thread."""
    hollows = 1 - np.abs(2 * fractal_noise(g.rng, base=int(g.rng.integers(2, 6)), octaves=3, gain=0.4) - 1)
    soft = cv2.GaussianBlur(np.tile(hollows, (3, 3)), (0, 0), g.rng.uniform(1.5, 4))
    size = TEXTURE_SIZE
    height = np.asarray(soft[size : 2 * size, size : 2 * size], np.float32)
    return _Layers(g.noise, 0.85 + 0.15 * g.value, height)


def _speckle(g: _Ground) -> _Layers:
    grains = fractal_noise(g.rng, base=64, octaves=2)
    return _Layers((grains > g.rng.uniform(0.6, 0.8)).astype(np.float32))


def _marble(g: _Ground) -> _Layers:
    warp = fractal_noise(g.rng, base=3, octaves=6)
    slope_x, slope_y = g.rng.integers(0, 3, 2)
    vein = np.sin((_X * slope_x + _Y * slope_y) * 2 * np.pi + warp * g.rng.uniform(6, 14))
    mask = np.clip(1.5 * (1 - np.abs(vein) ** g.rng.uniform(0.3, 1)), 0, 1)
    return _Layers(mask, 0.9 + 0.1 * g.noise, 0.05 * g.height)


def _carpet(g: _Ground) -> _Layers:
    pile = 0.55 + 0.45 * fractal_noise(g.rng, base=128, octaves=1)
    return _Layers(0.6 * fractal_noise(g.rng, base=64, octaves=2) + 0.4 * g.noise, pile, pile)


def _voronoi(g: _Ground) -> _Layers:
    points = g.rng.random((int(g.rng.integers(8, 40)), 2)).astype(np.float32)
    nearest = np.full(_X.shape, np.inf, np.float32)
    second = nearest.copy()
    for x, y in np.concatenate([points + np.array((i, j), np.float32) for i in (-1, 0, 1) for j in (-1, 0, 1)]):
        distance = np.hypot(_X - x, _Y - y)
        second = np.minimum(second, np.maximum(nearest, distance))
        nearest = np.minimum(nearest, distance)
    crack = (second - nearest < g.rng.uniform(0.008, 0.03)).astype(np.float32)
    return _Layers(crack, None, 1 - crack)


def _damask(g: _Ground) -> _Layers:
    count = int(g.rng.integers(2, 6))
    x = _triangle(_X * count)
    y = _triangle(_Y * count + 0.5 * np.floor(_X * count))
    weights = g.rng.normal(size=(4, 4))
    figure = sum(weights[i, j] * np.cos(np.pi * i * x) * np.cos(np.pi * j * y) for i in range(4) for j in range(4))
    return _Layers((figure > np.quantile(figure, g.rng.uniform(0.4, 0.75))).astype(np.float32))


def _brushed(g: _Ground) -> _Layers:
    lines = fractal_noise(g.rng, base=2, octaves=7, stretch=(0.5, 24))
    return _Layers(lines, 0.85 + 0.15 * lines, 0.3 * lines)


def _gradient(g: _Ground) -> _Layers:
    return _Layers(np.clip(_Y + 0.3 * (g.noise - 0.5), 0, 1))


PATTERNS: dict[str, Callable[[_Ground], _Layers]] = {
    "plain": _plain,
    "noise": _noise,
    "wood": _wood,
    "planks": _planks,
    "tiles": _tiles,
    "bricks": _bricks,
    "stripes": _stripes,
    "checks": _checks,
    "plaid": _plaid,
    "dots": _dots,
    "weave": _weave,
    "folds": _folds,
    "speckle": _speckle,
    "marble": _marble,
    "carpet": _carpet,
    "voronoi": _voronoi,
    "damask": _damask,
    "brushed": _brushed,
    "grad": _gradient,
}


_Color = tuple[int, int, int]
# fmt: off
_WORDS = [
    "Fresh", "Crunch", "Nova", "Milk", "Tea", "Organic", "Pasta", "Sugar", "Bean", "Cola", "Mint", "Oat", "Rice",
    "Pure", "Super", "Clean", "Herbal", "Lemon", "Choco", "Classic", "Daily", "Extra", "Snack", "Tomato", "Soup",
    "Coffee", "Honey", "Salt", "Wave", "Orbit", "Alpine", "Sunny", "Golden", "Power", "Soft", "Care", "Bright",
    "Paper", "Story", "Atlas", "Guide", "History", "of", "Art", "Night", "River", "World",
]
# fmt: on
_FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
    cv2.FONT_HERSHEY_PLAIN,
)


def _color(rng: np.random.Generator) -> _Color:
    hue, saturation, value = rng.random(), rng.random(), rng.uniform(0.08, 1)
    pixel = np.array([[[hue * 360, saturation, value]]], np.float32)
    red, green, blue = (cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0] * 255).astype(int).tolist()
    return red, green, blue


def _sheet(color: _Color) -> ByteImage:
    return np.full((TEXTURE_SIZE, TEXTURE_SIZE, 3), color, np.uint8)


def _blend(first: _Color, second: _Color, weight: npt.NDArray[np.floating]) -> ByteImage:
    """Mix two colours by a (S, S) weight of the second."""
    mixed = np.array(first) * (1 - weight[..., None]) + np.array(second) * weight[..., None]
    return np.ascontiguousarray(np.clip(mixed, 0, 255).astype(np.uint8))


def _point(rng: np.random.Generator, low: int = 0, high: int = TEXTURE_SIZE) -> tuple[int, int]:
    x, y = rng.integers(low, high, 2).tolist()
    return x, y


def _write(
    image: ByteImage, rng: np.random.Generator, text: str, corner: tuple[int, int], width: float, color: _Color
) -> None:
    """Write text with its lower left corner there, about `width` pixels wide."""
    font = _FONTS[rng.integers(len(_FONTS))]
    (unit_width, _), _ = cv2.getTextSize(text, font, 1, 2)
    scale = min(width / max(unit_width, 1), 3.0)
    cv2.putText(image, text, corner, font, scale, color, max(1, int(scale * 2)), cv2.LINE_AA)


def _package(rng: np.random.Generator) -> ByteImage:
    image = _sheet(_color(rng))
    if rng.random() < 0.6:
        kind = str(rng.choice(["stripes", "dots", "grad", "noise", "checks", "damask"]))
        image = _blend(_color(rng), _color(rng), paint_pattern(rng, kind)[..., 0] / 255.0)
    for _ in range(rng.integers(1, 5)):
        _add_shape(image, rng)
    _write(
        image,
        rng,
        str(rng.choice(_WORDS)),
        (int(rng.integers(10, 50)), int(rng.integers(60, 180))),
        rng.uniform(120, 220),
        _color(rng),
    )
    for _ in range(rng.integers(0, 3)):
        words = " ".join(rng.choice(_WORDS, 2))
        corner = (int(rng.integers(10, 70)), int(rng.integers(30, 250)))
        _write(image, rng, words, corner, rng.uniform(60, 160), _color(rng))
    if rng.random() < 0.4:
        _add_barcode(image, rng)
    if rng.random() < 0.4:
        ink = (30, 30, 30) if image.mean() > 100 else (220, 220, 220)
        for row in range(150, 222, 9):
            cv2.line(image, (150, row), (150 + int(rng.integers(40, 95)), row), ink, 2)
    return image


def _add_shape(image: ByteImage, rng: np.random.Generator) -> None:
    corner, extent, color = _point(rng), _point(rng, 20, 160), _color(rng)
    shape = rng.integers(4)
    if shape == 0:
        cv2.rectangle(image, corner, (corner[0] + extent[0], corner[1] + extent[1]), color, -1)
    elif shape == 1:
        cv2.circle(image, corner, extent[0] // 2, color, -1, cv2.LINE_AA)
    elif shape == 2:
        axes = (extent[0] // 2, extent[1] // 2)
        cv2.ellipse(image, corner, axes, float(rng.uniform(0, 180)), 0, 360, color, -1, cv2.LINE_AA)
    else:
        polygon = np.array(corner) + rng.integers(-80, 80, (rng.integers(3, 7), 2))
        cv2.fillPoly(image, [polygon.astype(np.int32)], color, cv2.LINE_AA)


def _add_barcode(image: ByteImage, rng: np.random.Generator) -> None:
    left, top = int(rng.integers(10, 150)), int(rng.integers(150, 210))
    cv2.rectangle(image, (left, top), (left + 80, top + 36), (250, 250, 250), -1)
    for column in range(left + 4, left + 76, 3):
        if rng.random() < 0.6:
            cv2.line(image, (column, top + 3), (column, top + 32), (10, 10, 10), int(rng.integers(1, 3)))


def _page(rng: np.random.Generator) -> ByteImage:
    shade = int(rng.integers(225, 255))
    image = _sheet((shade, shade, shade))
    for row in range(20, 240, 9):
        cv2.line(image, (18, row), (int(rng.integers(150, 238)), row), (60, 60, 60), 2)
    return image


def _screen(rng: np.random.Generator) -> ByteImage:
    if rng.random() < 0.35:
        shade = int(rng.integers(4, 30))
        return _sheet((shade, shade, shade))
    image = _blend(_color(rng), _color(rng), _Y)
    for _ in range(rng.integers(1, 5)):
        (x, y), (width, height) = _point(rng, 0, 160), _point(rng, 40, 140)
        cv2.rectangle(image, (x, y), (x + width, y + height), _color(rng), -1)
        cv2.rectangle(image, (x, y), (x + width, y + 10), _color(rng), -1)
        for row in range(y + 18, y + height - 4, 8):
            cv2.line(image, (x + 5, row), (x + 5 + int(rng.integers(5, max(6, width - 8))), row), _color(rng), 2)
    return image


def _art(rng: np.random.Generator) -> ByteImage:
    image = _blend(_color(rng), _color(rng), fractal_noise(rng, base=3))
    weight = fractal_noise(rng, base=3)[..., None]
    image = np.ascontiguousarray((image * weight + np.array(_color(rng)) * (1 - weight)).astype(np.uint8))
    if rng.random() < 0.6:
        horizon = int(rng.integers(90, 190))
        image[horizon:] = (image[horizon:] * 0.4 + np.array(_color(rng)) * 0.6).astype(np.uint8)
    for _ in range(rng.integers(0, 9)):
        axes = _point(rng, 5, 70)
        cv2.ellipse(image, _point(rng), axes, float(rng.uniform(0, 180)), 0, 360, _color(rng), -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 2)), np.uint8)


def _keys(rng: np.random.Generator) -> ByteImage:
    shade = int(rng.integers(10, 60) if rng.random() < 0.7 else rng.integers(180, 240))
    image = _sheet((shade, shade, shade))
    key_shade = int(rng.integers(15, 80) if rng.random() < 0.7 else rng.integers(200, 250))
    key = _color(rng) if rng.random() < 0.3 else (key_shade, key_shade, key_shade)
    ink = (220, 220, 220) if np.mean(key) < 120 else (20, 20, 20)
    for top in range(6, 256, 50):
        x = 4 + int(rng.integers(0, 8))
        while x < TEXTURE_SIZE - 14:
            width = 14 + (int(rng.integers(8, 60)) if rng.random() < 0.15 else 0)
            cv2.rectangle(image, (x, top), (min(x + width, TEXTURE_SIZE - 4), top + 40), key, -1)
            letter = chr(65 + int(rng.integers(26)))
            cv2.putText(image, letter, (x + 3, top + 24), cv2.FONT_HERSHEY_SIMPLEX, 0.4, ink, 1, cv2.LINE_AA)
            x += width + 4
    return image


def _sky(rng: np.random.Generator) -> ByteImage:
    zenith = (int(rng.integers(120, 200)), int(rng.integers(170, 230)), 255)
    image = _blend(zenith, (zenith[0] // 2 + 100, zenith[1] // 2 + 100, 227), _Y)
    image = _blend_white(image, 0.5 * fractal_noise(rng, base=3))
    ground = TEXTURE_SIZE - int(rng.integers(0, 120))
    image[ground:] = (np.array(_color(rng)) * 0.5 + 60).astype(np.uint8)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 2), np.uint8)


def _blend_white(image: ByteImage, weight: FloatImage) -> ByteImage:
    return np.ascontiguousarray((image * (1 - weight[..., None]) + 255 * weight[..., None]).astype(np.uint8))


def _dial(rng: np.random.Generator) -> ByteImage:
    shade = int(rng.integers(200, 255) if rng.random() < 0.7 else rng.integers(5, 60))
    image = _sheet((shade, shade, shade))
    ink = (20, 20, 20) if shade > 100 else (230, 230, 230)
    centre = TEXTURE_SIZE / 2
    for hour in range(12):
        direction = np.array([np.cos(hour * np.pi / 6), np.sin(hour * np.pi / 6)])
        inner, outer = (centre + 95 * direction).astype(int), (centre + 112 * direction).astype(int)
        cv2.line(image, inner.tolist(), outer.tolist(), ink, 5)
    return image


LABELS: dict[str, Callable[[np.random.Generator], ByteImage]] = {
    "label": _package,
    "page": _page,
    "screen": _screen,
    "art": _art,
    "keys": _keys,
    "sky": _sky,
    "dial": _dial,
}


def _to_bytes(values: npt.NDArray[np.floating]) -> ByteImage:
    return np.asarray(np.clip(values, 0, 1) * 255, np.uint8)
