"""Procedural rooms: furniture and household objects built of many parts, rendered headless with OpenGL over EGL."""

VERSION = 4
"""Goes up when the same seeds give other kinds of objects, other shares of them or another look; stands in every
frame's json."""
