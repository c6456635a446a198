"""Procedural rooms: furniture and household objects built of many parts, rendered headless with OpenGL over EGL."""
