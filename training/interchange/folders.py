"""Output folders that appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from saom_ros.errors import SaomError


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A hidden folder beside `out` to write into; it becomes `out` when the block ends well and goes away when not.

    Raises SaomError when `out` exists and is not an empty folder, cannot be made, or the disk refuses.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise SaomError(f"output {out} exists already; remove it or choose another")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".partial", dir=out.parent))
    except OSError as error:
        raise SaomError(f"cannot write output {out}: {error.strerror}; choose a writable folder") from error
    try:
        yield partial
        partial.chmod(0o777 & ~_umask())  # mkdtemp makes private folders
        os.replace(partial, out)
    except OSError as error:
        if error.filename is not None and not str(error.filename).startswith(str(partial)):
            raise  # what could not be read is no fault of the output
        raise SaomError(
            f"cannot write output {out}: {error.strerror or error}; free space or choose another folder"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
