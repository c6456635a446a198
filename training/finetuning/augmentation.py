"""How training images stray from the rendered frames: crops, mirrors and letterboxes, then exposure, colour and
compression. Pure functions of arrays and a random generator.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from saom_ros.letterbox import Letterbox, letterbox_image, letterbox_labels

SHARES = ("letterbox", "paste", "shade", "grey", "blur", "noise", "jpeg")
"""Fields of ``Augmentation`` that are shares of the images, 0..1."""


@dataclass(frozen=True)
class Augmentation:
    """How far training images stray from the rendered frames. Every field is a probability or a range."""

    crop: tuple[float, float] = (0.3, 1.0)
    """Side of the crop as a share of the frame's."""
    stretch: float = 0.2
    """Largest change of the aspect ratio, as natural logarithm."""
    letterbox: float = 0.2
    """Share of images with an aspect ratio other than the input's, which leaves padding as in real use."""
    paste: float = 0.0
    """Share of images that objects of another frame are pasted into (``pasting.py``)."""
    shade: float = 0.0
    """Share of images under uneven light: a slope, shadows with an edge, a bright patch."""
    gain: tuple[float, float] = (0.6, 1.4)
    """Brightness factor."""
    offset: float = 25.0
    """Largest brightness offset, in grey levels."""
    colour: float = 0.2
    """Largest change of each channel's gain."""
    gamma: float = 0.3
    """Largest change of gamma, as natural logarithm."""
    grey: float = 0.12
    """Share of grey images."""
    blur: float = 0.25
    """Share of images blurred by a Gaussian of 0.4 to 1.4 px."""
    noise: float = 0.3
    """Share of images with sensor noise of 2 to 12 grey levels."""
    jpeg: float = 0.25
    """Share of images compressed once more, quality 25 to 85."""


def augment_geometry(
    rgb: NDArray[np.uint8],
    maps: Sequence[NDArray[np.integer]],
    height: int,
    width: int,
    augmentation: Augmentation,
    random: np.random.Generator,
) -> tuple[NDArray[np.uint8], list[NDArray[np.integer]], Letterbox]:
    """Crop, mirror and letterbox a frame uint8 (H, W, 3) and its label maps (H, W) alike to ``(height, width)``.

    Returns image, label maps and the letterbox.
    """
    frame_height, frame_width = rgb.shape[:2]
    aspect = width / height
    if random.random() < augmentation.letterbox:
        aspect *= float(np.exp(random.uniform(-0.8, 0.5)))
        stretch = 1.0
    else:
        stretch = float(np.exp(random.uniform(-augmentation.stretch, augmentation.stretch)))
    side = random.uniform(*augmentation.crop)
    crop_aspect = aspect * stretch
    crop_height = min(frame_height, frame_width / crop_aspect) * side
    h, w = max(16, round(crop_height)), max(16, round(crop_height * crop_aspect))
    h, w = min(h, frame_height), min(w, frame_width)
    y, x = int(random.integers(frame_height - h + 1)), int(random.integers(frame_width - w + 1))
    step = -1 if random.random() < 0.5 else 1
    rgb, cropped = rgb[y : y + h, x : x + w][:, ::step], [labels[y : y + h, x : x + w][:, ::step] for labels in maps]
    # The crop is taken as an image of the unstretched aspect, so that the letterbox fills the input where it should.
    virtual_height = h
    virtual_width = max(1, round(w / stretch))
    box = Letterbox.fit(virtual_height, virtual_width, height, width)
    box = Letterbox(h, w, height, width, box.content_height, box.content_width)
    boxed = [letterbox_labels(np.ascontiguousarray(labels), box) for labels in cropped]
    return letterbox_image(np.ascontiguousarray(rgb), box), boxed, box


def augment_look(
    image: NDArray[np.uint8], augmentation: Augmentation, random: np.random.Generator
) -> NDArray[np.uint8]:
    """Change light, exposure, colour, sharpness and compression of RGB uint8 (H, W, 3); geometry stays."""
    if random.random() < augmentation.shade:
        light = uneven_light(image.shape[0], image.shape[1], random)
        image = np.clip(image * light[..., None], 0, 255).astype(np.uint8)
    gain = random.uniform(*augmentation.gain) * (1 + random.uniform(-augmentation.colour, augmentation.colour, 3))
    gamma = np.exp(random.uniform(-augmentation.gamma, augmentation.gamma))
    offset = random.uniform(-augmentation.offset, augmentation.offset)
    levels = 255 * (np.arange(256) / 255) ** gamma
    table = np.clip(levels[:, None] * gain + offset, 0, 255).astype(np.uint8)
    image = np.asarray(cv2.LUT(image, table[None]), np.uint8)
    if random.random() < augmentation.grey:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None], 3, 2).astype(np.uint8, copy=False)
    if random.random() < augmentation.blur:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), random.uniform(0.4, 1.4)), np.uint8)
    if random.random() < augmentation.noise:
        noise = random.standard_normal(image.shape, np.float32) * random.uniform(2, 12)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    if random.random() < augmentation.jpeg:
        quality = int(random.integers(25, 86))
        encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        image = np.ascontiguousarray(np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])
    return image


def uneven_light(height: int, width: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Factors float32 (height, width) around 1: a slope of brightness, up to two shadows and perhaps a bright patch.

    Their outlines have nothing to do with those of the objects.
    """
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    angle = random.uniform(0, 2 * np.pi)
    exponent = random.uniform(0, 0.5) * (np.cos(angle) * x + np.sin(angle) * y)
    for _ in range(int(random.integers(0, 3))):
        corners = random.uniform(-0.2, 1.2, (int(random.integers(3, 6)), 2)) * (width, height)
        hull = cv2.convexHull(corners.astype(np.int32))
        shadow = np.asarray(cv2.fillConvexPoly(np.zeros((height, width), np.float32), hull, 1.0), np.float32)
        exponent += np.log(random.uniform(0.4, 0.85)) * _softened(shadow, random)
    if random.random() < 0.4:
        centre = int(random.uniform(0, width)), int(random.uniform(0, height))
        axes = [int(random.uniform(0.1, 0.6) * side) for side in (width, height)]
        patch = np.zeros((height, width), np.float32)
        cv2.ellipse(patch, centre, axes, float(random.uniform(0, 180)), 0, 360, 1.0, -1)
        exponent += np.log(random.uniform(1.2, 2.0)) * _softened(patch, random)
    return np.exp(exponent).astype(np.float32)


def _softened(shape: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """The shape, blurred by a sigma of 0.2 to 10 % of the image's width."""
    blur = shape.shape[1] * np.exp(random.uniform(np.log(0.002), np.log(0.1)))
    return np.asarray(cv2.GaussianBlur(shape, (0, 0), blur), np.float32)
