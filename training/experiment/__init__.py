"""Experiments: arms that differ in one thing, trained alike, measured alike, told in one report."""
