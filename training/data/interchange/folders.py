"""Output folders that appear whole or not at all."""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from saom_ros.errors import SaomError

_SUFFIX = ".partial"


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A hidden folder beside `out` to write into; it becomes `out` when the block ends well and goes away when not.

    Raises SaomError when `out` exists and is not an empty folder, cannot be made, or the disk refuses. What a
    killed run left in its place is removed first.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise SaomError(f"output {out} exists already; remove it or choose another")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(out)
        partial = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=_SUFFIX, dir=out.parent))
    except OSError as error:
        raise SaomError(f"cannot write output {out}: {error.strerror}; choose a writable folder") from error
    held = os.open(partial, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)  # goes with the process, however it ends
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
        os.close(held)
        shutil.rmtree(partial, ignore_errors=True)


def _remove_abandoned(out: Path) -> None:
    """Remove what killed runs left beside `out`; a folder that a living run writes into is locked."""
    for folder in out.parent.glob(f".{glob.escape(out.name)}.*{_SUFFIX}"):
        if "." in folder.name.removeprefix(f".{out.name}.").removesuffix(_SUFFIX):
            continue  # of another output, whose name begins with ours
        held = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(held)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
