"""Procedural rooms: furniture and household objects built of many parts, rendered headless with OpenGL over EGL."""

VERSION = 2
"""Goes up when the same seeds give other kinds of objects or other shares of them; stands in every frame's json."""
