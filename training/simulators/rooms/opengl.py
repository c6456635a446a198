"""OpenGL 3.3 without a window: the context over EGL, shaders with constants, and uniforms."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import moderngl
import numpy as np
from numpy.typing import NDArray

from saom_ros.errors import SaomError

_SHADERS = Path(__file__).parent / "shaders"
# Unversioned library names exist only where -dev packages are installed.
_CONTEXT: dict[str, Any] = {
    "standalone": True,
    "require": 330,
    "backend": "egl",
    "libgl": "libGL.so.1",
    "libegl": "libEGL.so.1",
}


def create_context() -> moderngl.Context:
    """A headless OpenGL 3.3 context.

    Raises SaomError with the packages to install where EGL or OpenGL is missing.
    """
    # One process draws one scene; several processes use the other cores, so more threads would only fight over them.
    os.environ.setdefault("LP_NUM_THREADS", "1")
    try:
        return moderngl.create_context(**_CONTEXT)
    except Exception as error:  # moderngl raises bare Exception, ImportError and OSError alike
        raise SaomError(
            f"no OpenGL 3.3 over EGL on this machine ({error}); the room simulator draws with it. "
            "On Debian or Ubuntu: sudo apt install libegl1 libgl1 libgl1-mesa-dri"
        ) from error


def shader(name: str, constants: dict[str, int] | None = None) -> str:
    """Source of a shader, with `#define`s after its version line."""
    source = (_SHADERS / name).read_text()
    version, rest = source.split("\n", 1)
    defines = "".join(f"#define {key} {value}\n" for key, value in (constants or {}).items())
    return f"{version}\n{defines}{rest}"


def nearest(texture: moderngl.Texture) -> moderngl.Texture:
    """The texture, read without interpolation and without repetition."""
    texture.filter = (moderngl.NEAREST, moderngl.NEAREST)
    texture.repeat_x = texture.repeat_y = False
    return texture


def set_uniform(program: moderngl.Program, name: str, value: Any) -> None:
    """Set a uniform, unless the compiler dropped it as unused."""
    uniform = program.get(name, None)
    if isinstance(uniform, moderngl.Uniform):
        uniform.value = value


def set_rows(program: moderngl.Program, name: str, rows: list[Any]) -> None:
    """Set a uniform array of vectors or matrices, one for each row."""
    uniform = program[name]
    assert isinstance(uniform, moderngl.Uniform)
    uniform.write(np.array(rows, np.float32).tobytes())


def set_matrix(program: moderngl.Program, matrix: NDArray[np.float64]) -> None:
    """Set the uniform `view_projection` to a matrix `(4, 4)`."""
    set_rows(program, "view_projection", [matrix.T])
