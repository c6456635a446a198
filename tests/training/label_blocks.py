"""Label maps whose figures can be counted by hand."""

import cv2
import numpy as np

HEIGHT, WIDTH = 384, 512


def blocks(*boxes, shift=0):
    """Label map with rectangles (top, left, height, width) numbered from 1, moved to the right by `shift` px."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    for label, (top, left, height, width) in enumerate(boxes, start=1):
        labels[top : top + height, left + shift : left + shift + width] = label
    return labels


def random_labels(rng, count):
    """Label map of up to `count` ellipses, later ones on top."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint16)
    for label in range(1, count + 1):
        centre = int(rng.integers(WIDTH)), int(rng.integers(HEIGHT))
        axes = int(rng.integers(3, 70)), int(rng.integers(3, 70))
        cv2.ellipse(labels, centre, axes, float(rng.integers(180)), 0, 360, label, -1)
    return labels
