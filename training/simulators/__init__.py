"""Simulators: each turns a seed into frames with whole-object ground truth; `base` is their common interface."""
