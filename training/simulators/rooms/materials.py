"""Random but plausible surfaces: every method of a palette draws one material (painted wood, brushed steel, a label).

Variety is the point: a model that has seen every colour and texture on every shape has to learn shapes.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.simulators.rooms.scene import Material

T = TypeVar("T")
Color = NDArray[np.float64]

NEUTRALS = [
    np.array(rgb)
    for rgb in (
        (0.93, 0.92, 0.90),
        (0.85, 0.83, 0.78),
        (0.70, 0.66, 0.60),
        (0.50, 0.48, 0.46),
        (0.30, 0.30, 0.32),
        (0.12, 0.12, 0.13),
        (0.95, 0.90, 0.80),
        (0.60, 0.45, 0.32),
        (0.75, 0.72, 0.70),
        (0.25, 0.22, 0.20),
    )
]
STEEL = np.array((0.75, 0.75, 0.77))
METALS = [
    np.array(rgb)
    for rgb in (
        (0.80, 0.80, 0.82),
        (0.55, 0.55, 0.57),
        (0.83, 0.68, 0.35),
        (0.72, 0.45, 0.32),
        (0.16, 0.16, 0.17),
        (0.90, 0.90, 0.90),
    )
]
BLACK = np.array((0.05, 0.05, 0.05))
WHITE = np.array((0.93, 0.93, 0.92))
WARM_WHITE = np.array((1.0, 0.96, 0.88))
CARDBOARD = np.array((0.62, 0.47, 0.32))


class Palette:
    """Draws materials from one random generator and one texture bank."""

    def __init__(self, rng: np.random.Generator, textures: dict[str, list[int]]) -> None:
        self.rng = rng
        self.textures = textures

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return bool(self.rng.random() < probability)

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all equally likely."""
        return options[int(self.rng.integers(len(options)))]

    # Colours

    def color(self, neutral: float = 0.45) -> Color:
        """Any colour; with probability `neutral` one of the whites, greys, beiges and browns of interiors."""
        rng = self.rng
        if self.chance(neutral):
            return self.pick(NEUTRALS) * rng.uniform(0.75, 1.05)
        return np.array(colorsys.hsv_to_rgb(rng.random(), rng.beta(1.6, 1.6), rng.uniform(0.25, 0.98)))

    def vivid(self) -> Color:
        """A saturated colour, as of toys and packaging."""
        rng = self.rng
        return np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.55, 0.95), rng.uniform(0.45, 0.95)))

    def wood_color(self) -> Color:
        """Pale birch to dark walnut."""
        rng = self.rng
        return np.array(colorsys.hsv_to_rgb(rng.uniform(0.04, 0.12), rng.uniform(0.2, 0.65), rng.uniform(0.18, 0.85)))

    def near(self, color: ArrayLike, spread: float = 0.15) -> Color:
        """The colour a little lighter, darker or shifted."""
        base = np.asarray(color, np.float64)
        return np.clip(base * self.rng.uniform(1 - spread, 1 + spread) * self.rng.uniform(0.95, 1.05, 3), 0, 1)

    # Materials

    def pattern(
        self,
        kinds: Sequence[str],
        roughness: float,
        *,
        metallic: float = 0.0,
        bump: float = 0.0,
        scale: float = 0.2,
        color: ArrayLike | None = None,
        color2: ArrayLike | None = None,
        contrast: float = 0.25,
        rotation: float = 0.0,
        emission: float = 0.0,
    ) -> Material:
        """Two colours mixed by a pattern of one of `kinds` that repeats about every `scale` m."""
        first = self.color() if color is None else np.asarray(color, np.float64)
        if color2 is not None:
            second = np.asarray(color2, np.float64)
        elif self.chance(0.6):
            second = first * self.rng.uniform(1 - 2 * contrast, 1 + 2 * contrast)
        else:
            second = self.color()
        repeats = 1 / (scale * self.rng.uniform(0.6, 1.6))
        return Material(
            color=_rgb(first),
            layer=self._layer(self.pick(kinds)),
            color2=_rgb(second),
            mode=0,
            roughness=float(roughness),
            metallic=float(metallic),
            bump=bump,
            emission=float(emission),
            scale_u=repeats,
            scale_v=repeats,
            rotation=rotation,
            offset=float(self.rng.random()),
        )

    def plain(self, color: ArrayLike | None = None, roughness: float | None = None, emission: float = 0.0) -> Material:
        """Paint of one colour; random where none is given."""
        first = self.color() if color is None else np.asarray(color, np.float64)
        second = first * self.rng.uniform(0.84, 1.16)
        rough = self.rng.uniform(0.2, 0.7) if roughness is None else roughness
        return self.pattern(
            ("plain", "plain", "noise"), rough, color=first, color2=second, scale=0.3, emission=emission
        )

    def black(self, roughness: float = 0.5) -> Material:
        """Nearly black, slightly rough."""
        return self.plain(BLACK * self.rng.uniform(0.5, 1.5), roughness)

    def plastic(self, color: ArrayLike | None = None) -> Material:
        """Smooth and of one colour."""
        first = self.color() if color is None else np.asarray(color, np.float64)
        second = first * self.rng.uniform(0.92, 1.08)
        return self.pattern(("plain",), self.rng.uniform(0.2, 0.55), color=first, color2=second)

    def metal(self, color: ArrayLike | None = None) -> Material:
        """Brushed or polished metal, of a given colour or one of steel, brass, copper, black and chrome."""
        first = self.pick(METALS) if color is None else np.asarray(color, np.float64)
        rough, metallic = self.rng.uniform(0.15, 0.45), self.rng.uniform(0.75, 1.0)
        kinds = ("brushed", "plain")
        return self.pattern(kinds, rough, metallic=metallic, color=first, color2=first * 0.85, scale=0.15)

    def ceramic(self, color: ArrayLike | None = None) -> Material:
        """Glazed, plain or with a simple pattern."""
        kinds = ("plain", "plain", "speckle", "dots", "stripes", "grad", "noise", "damask", "checks")
        return self.pattern(kinds, self.rng.uniform(0.1, 0.5), color=color, scale=0.12)

    def wood(self, color: ArrayLike | None = None, scale: float = 0.35, rotation: float = 0.0) -> Material:
        """Grained wood; `rotation` of the grain in rad."""
        first = self.wood_color() if color is None else np.asarray(color, np.float64)
        grain = first * self.rng.uniform(0.45, 0.8)
        rough = self.rng.uniform(0.3, 0.75)
        return self.pattern(("wood",), rough, bump=0.0004, color=first, color2=grain, scale=scale, rotation=rotation)

    def fabric(self, color: ArrayLike | None = None, scale: float = 0.18) -> Material:
        """Woven, printed or plain cloth."""
        if self.chance(0.25):
            return self.folded(color)
        kinds = ("weave", "weave", "plaid", "carpet", "stripes", "dots", "damask", "plain", "noise", "checks")
        return self.pattern(kinds, self.rng.uniform(0.8, 1.0), bump=0.0006, color=color, scale=scale)

    def folded(self, color: ArrayLike | None = None) -> Material:
        """Cloth of nearly one colour in folds of some centimetres."""
        first = self.color() if color is None else np.asarray(color, np.float64)
        second = first * self.rng.uniform(0.85, 1.1)
        rough, height = self.rng.uniform(0.8, 1.0), self.rng.uniform(0.002, 0.012)
        return self.pattern(("folds",), rough, bump=height, color=first, color2=second, scale=0.35)

    def stone(self) -> Material:
        """Marble, granite, terrazzo or plain stone."""
        return self.pattern(("marble", "speckle", "voronoi", "noise", "plain"), self.rng.uniform(0.1, 0.7), scale=0.5)

    def glass(self, color: ArrayLike | None = None, alpha: float | None = None) -> Material:
        """Smooth and see-through, mostly clear, sometimes tinted or frosted; no refraction. `alpha` as in Material."""
        rng, draw = self.rng, self.rng.random()
        rough = 0.06
        if color is not None or draw < 0.72:
            tint = np.array((0.40, 0.46, 0.45)) * rng.uniform(0.5, 1.3) if color is None else np.asarray(color)
            seen = rng.uniform(0.02, 0.08)
        elif draw < 0.92:
            tint, seen = self.glass_color(), rng.uniform(0.12, 0.4)
        else:
            tint, seen, rough = np.array((0.8, 0.84, 0.85)) * rng.uniform(0.8, 1.1), rng.uniform(0.35, 0.6), 0.4
        body = self.pattern(("plain",), rough, color=tint, color2=tint)
        return replace(body, alpha=float(seen if alpha is None else alpha))

    def glass_color(self) -> Color:
        """Of bottles and coloured glass: green, brown, blue, seldom any other."""
        rng = self.rng
        hue = self.pick((0.28, 0.38, 0.07, 0.55, 0.62, rng.random())) + rng.uniform(-0.03, 0.03)
        return np.array(colorsys.hsv_to_rgb(hue % 1.0, rng.uniform(0.5, 0.9), rng.uniform(0.3, 0.75)))

    def food(
        self, color: ArrayLike, color2: ArrayLike, kinds: Sequence[str] = ("noise", "speckle", "grad")
    ) -> Material:
        """Skin or dough of two given colours, each varied a little."""
        rough = self.rng.uniform(0.25, 0.6)
        return self.pattern(kinds, rough, color=self.near(color), color2=self.near(color2), scale=0.12)

    def surface(self, scale: float = 0.35) -> Material:
        """What furniture fronts and tops are made of."""
        draw = self.rng.random()
        if draw < 0.50:
            return self.wood(scale=scale)
        if draw < 0.72:
            return self.plain()
        if draw < 0.82:
            return self.stone()
        if draw < 0.87:
            return self.metal()
        kinds = ("grad", "stripes", "checks", "noise", "speckle")
        return self.pattern(kinds, self.rng.uniform(0.2, 0.8), scale=scale)

    def hard(self) -> Material:
        """Legs, feet, handles: wood, metal or paint."""
        return self.pick((self.wood, self.metal, self.plain))()

    def printed(
        self,
        kind: str = "label",
        roughness: float | None = None,
        emission: float = 0.0,
        repeat_u: float = 1.0,
        repeat_v: float = 1.0,
        tint: ArrayLike = (1, 1, 1),
        offset: float = 0.0,
    ) -> Material:
        """A picture of the texture bank ('label', 'page', 'screen', 'art', 'keys', 'sky', 'dial') over uv 0..1."""
        return Material(
            color=_rgb(tint),
            layer=self._layer(kind),
            color2=_rgb(tint),
            mode=1,
            roughness=float(self.rng.uniform(0.2, 0.7) if roughness is None else roughness),
            emission=float(emission),
            scale_u=float(repeat_u),
            scale_v=float(repeat_v),
            offset=float(offset),
        )

    def _layer(self, kind: str) -> int:
        return int(self.pick(self.textures[kind]))


def _rgb(color: ArrayLike) -> tuple[float, float, float]:
    r, g, b = np.clip(np.asarray(color, np.float64), 0, 1)
    return float(r), float(g), float(b)
