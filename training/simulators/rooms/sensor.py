"""Turns linear light into the picture of a cheap camera: exposure, lens, motion, noise, colour filters and tone curve.

Every effect is a pure function on float32 `(H, W, 3)`; `Sensor` says how strong each one is in one frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
_LUMA = np.array([0.3, 0.59, 0.11], np.float32)
_MIDDLE_GREY = 0.16
_SATURATION = 8.0
"""Light beyond which the pixels of a Bayer sensor are full; the tone curves are white long before."""
_DEMOSAICS: tuple[Literal["none", "bilinear", "edges"], ...] = ("none", "bilinear", "edges")
# OpenCV names a pattern by its second row and second column: RGGB is its BG.
_DEMOSAIC_CODES = {"bilinear": cv2.COLOR_BayerBG2RGB, "edges": cv2.COLOR_BayerBG2RGB_EA}


@dataclass(frozen=True)
class Sensor:
    """Settings of one exposure. The defaults are a clean camera."""

    exposure_stops: float = 0.0
    """Error of the automatic exposure, in stops."""
    bloom: float = 0.0
    """Share of over-bright light that spreads around its source."""
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Gain per channel."""
    vignette: float = 0.0
    """Light lost in the corners, 0..1."""
    blur: float = 0.0
    """Standard deviation of the defocus blur, px."""
    motion: tuple[float, float] = (0.0, 0.0)
    """Movement during the exposure along x and y, px."""
    shot_noise: float = 0.0
    """Variance of the noise per unit of light."""
    read_noise: float = 0.0
    """Variance of the noise in the dark."""
    demosaic: Literal["none", "bilinear", "edges"] = "none"
    """How the colours of a Bayer sensor are filled in; none: every pixel sees all three."""
    filmic: bool = True
    """Filmic tone curve (Narkowicz's ACES fit); otherwise Reinhard's."""
    gamma: float = 2.2
    saturation: float = 1.0
    jpeg_quality: int = 95


def sample_sensor(rng: np.random.Generator) -> Sensor:
    """Draw the settings of one frame: mostly mild, sometimes a dark, blurred or noisy picture."""
    blur, motion = 0.0, (0.0, 0.0)
    lens = rng.random()
    if lens < 0.18:
        blur = float(rng.uniform(0.5, 1.3))
    elif lens < 0.26:
        length, angle = rng.uniform(2, 8), rng.uniform(0, np.pi)
        motion = (float(length * np.cos(angle)), float(length * np.sin(angle)))
    noisy = rng.random() < 0.6
    red, green, blue = np.exp(rng.normal(0, 0.06, 3)).tolist()
    return Sensor(
        exposure_stops=float(rng.normal(0, 0.45)),
        bloom=0.25 if rng.random() < 0.3 else 0.0,
        white_balance=(red, green, blue),
        vignette=float(rng.uniform(0.05, 0.35)) if rng.random() < 0.5 else 0.0,
        blur=blur,
        motion=motion,
        shot_noise=float(rng.uniform(0, 0.004)) if noisy else 0.0,
        read_noise=float(rng.uniform(0, 0.00012)) if noisy else 0.0,
        demosaic=_DEMOSAICS[int(rng.choice(3, p=[0.4, 0.3, 0.3]))],
        filmic=bool(rng.random() < 0.6),
        gamma=float(rng.uniform(1.9, 2.4)),
        saturation=float(rng.uniform(0.5, 1.35)) if rng.random() < 0.3 else 1.0,
        jpeg_quality=int(rng.integers(55, 97)),
    )


def develop(hdr: FloatImage, sensor: Sensor, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Linear light float32 `(H, W, 3)`, any scale, to the camera's picture uint8 `(H, W, 3)` RGB."""
    light = hdr * np.float32(automatic_gain(hdr) * 2**sensor.exposure_stops)
    if sensor.bloom:
        light = add_bloom(light, sensor.bloom)
    light = light * np.array(sensor.white_balance, np.float32)
    if sensor.vignette:
        light = darken_corners(light, sensor.vignette)
    if sensor.blur:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), sensor.blur), np.float32)
    if sensor.motion != (0.0, 0.0):
        light = smear(light, *sensor.motion)
    if sensor.shot_noise or sensor.read_noise:
        light = add_noise(light, sensor.shot_noise, sensor.read_noise, rng)
    if sensor.demosaic != "none":
        light = through_bayer(light, sensor.demosaic)
    picture = tone_curve(np.maximum(light, 0), sensor.filmic) ** np.float32(1 / sensor.gamma)
    if sensor.saturation != 1.0:
        grey = picture.mean(axis=2, keepdims=True)
        picture = np.clip(grey + (picture - grey) * np.float32(sensor.saturation), 0, 1)
    return np.asarray(picture * 255 + 0.5, np.uint8)


def automatic_gain(hdr: FloatImage) -> float:
    """Gain that brings the geometric mean of the light to middle grey, within what a real camera can do."""
    mean = float(np.exp(np.log(hdr @ _LUMA + 1e-3).mean()))
    return float(np.clip(_MIDDLE_GREY / (mean + 0.02), 0.15, 6.0))


def add_bloom(light: FloatImage, strength: float) -> FloatImage:
    """Let over-bright light spill over its surroundings."""
    excess = np.clip(light - 1.2, 0, 6)
    return np.asarray(light + strength * cv2.GaussianBlur(excess, (0, 0), light.shape[0] / 60), np.float32)


def darken_corners(light: FloatImage, strength: float) -> FloatImage:
    """Vignette: a quadratic loss that reaches `strength` in the corners."""
    height, width = light.shape[:2]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    return light * (1 - np.float32(strength) * (x * x + y * y) / 2)[..., None]


def smear(light: FloatImage, dx: float, dy: float) -> FloatImage:
    """Motion blur along the vector (dx, dy) in px."""
    reach = int(np.ceil(max(abs(dx), abs(dy)) / 2))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    start = (round(reach - dx / 2), round(reach - dy / 2))
    stop = (round(reach + dx / 2), round(reach + dy / 2))
    cv2.line(kernel, start, stop, 1.0, 1)
    return np.asarray(cv2.filter2D(light, -1, kernel / kernel.sum()), np.float32)


def add_noise(light: FloatImage, shot: float, read: float, rng: np.random.Generator) -> FloatImage:
    """Sensor noise whose variance is shot * light + read."""
    deviation = np.sqrt(np.maximum(light, 0) * np.float32(shot) + np.float32(read))
    return light + rng.standard_normal(light.shape, dtype=np.float32) * deviation


def through_bayer(light: FloatImage, demosaic: Literal["bilinear", "edges"]) -> FloatImage:
    """What a sensor with a red, green or blue filter on each pixel (RGGB) makes of the light: the other two colours are
    filled in from the neighbours, which puts zips and colour fringes along edges and blotches into noise."""
    raw = np.empty(light.shape[:2], np.float32)
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        raw[row::2, column::2] = light[row::2, column::2, channel]
    counts = np.clip(raw * np.float32(65535 / _SATURATION), 0, 65535).astype(np.uint16)
    colors = cv2.cvtColor(counts, _DEMOSAIC_CODES[demosaic])
    return np.asarray(colors, np.float32) * np.float32(_SATURATION / 65535)


def tone_curve(light: FloatImage, filmic: bool) -> FloatImage:
    """Compress linear light >= 0 to 0..1."""
    if filmic:
        mapped = (light * (2.51 * light + 0.03)) / (light * (2.43 * light + 0.59) + 0.14)
    else:
        mapped = light * (1 + light / 9) / (1 + light) * 1.25
    return np.asarray(np.clip(mapped, 0, 1), np.float32)
