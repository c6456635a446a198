"""Where shards lie: a local folder, or anything that fsspec reaches (s3://, gs://, sftp://, memory:// and so on).

A `Place` is used like a path of pathlib wherever it lies. What goes to a URL is uploaded whole from a local file, so
that there, too, a shard that has its name is complete.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from fsspec.core import split_protocol
from upath import UPath

from saom_ros.errors import SaomError

Place: TypeAlias = Path | UPath

_SCRATCH = "saom_ros-collect-"
_SCRATCH_AGE = 60.0  # s


def as_place(text: str) -> Place:
    """A folder as the user writes it: a local path, `file://` and a path, or a URL of fsspec.

    Raises SaomError where no driver for the URL's protocol is installed or known.
    """
    protocol, path = split_protocol(text)
    if protocol is None:
        return Path(text)
    if protocol in ("file", "local"):
        return Path(path)
    try:
        with warnings.catch_warnings():  # of protocols that UPath has no class of its own for; its general one will do
            warnings.simplefilter("ignore")
            place = UPath(text)
        _ = place.fs
    except ImportError as error:
        raise SaomError(
            f"{text}: the driver of {protocol}:// is not installed ({error}); install it with pip, on this machine"
        ) from error
    except Exception as error:  # an unknown protocol, or a driver's own words about credentials or a host
        raise SaomError(
            f"{text} cannot be opened: {error}; give a local folder or a URL that fsspec knows, such as s3://bucket/name"
        ) from error
    return place


def upload(file: Path, folder: UPath) -> None:
    """Copy a local file into a folder behind a URL, under its own name; the copy appears whole or not at all.

    Raises SaomError where the other side refuses.
    """
    target = folder / file.name
    with (
        refusals(f"cannot write {target}"),
        target.fs.transaction,
        file.open("rb") as content,
        target.fs.open(target.path, "wb") as copy,
    ):
        shutil.copyfileobj(content, copy, 1 << 20)


def write_text(target: Place, text: str) -> None:
    """Write a small file that appears whole or not at all. Raises what the disk or the driver raises."""
    if isinstance(target, Path):
        partial = target.with_suffix(".partial")
        partial.write_text(text)
        os.replace(partial, target)
    else:
        with target.fs.transaction, target.fs.open(target.path, "wb") as file:
            file.write(text.encode())


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder on this machine. What killed processes left is removed; a living one locks its own."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        with suppress(OSError):  # another user's, or gone meanwhile
            # A new one is not locked yet.
            if time.time() - folder.stat().st_mtime > _SCRATCH_AGE:
                with _locked(folder):
                    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_SCRATCH) as name, _locked(Path(name)):
        yield Path(name)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, which goes with the process. Raises BlockingIOError where another process holds it."""
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(held)


@contextmanager
def refusals(what: str) -> Iterator[None]:
    """Turn whatever a driver raises into a SaomError that begins with `what`: each driver has exceptions of its own."""
    try:
        yield
    except SaomError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or "no reason given"
        raise SaomError(
            f"{what}: {type(error).__name__}: {reason}; check the address, your access and the free space, then run "
            "the same command again: finished shards are kept"
        ) from error
