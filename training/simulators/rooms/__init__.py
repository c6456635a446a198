"""Procedural furnished rooms and tabletops: a simulator that needs no download, no GPU and no display."""
