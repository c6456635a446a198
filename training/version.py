"""Which code makes data and models: the package's version, with the commit where it runs from a git checkout."""

from __future__ import annotations

import subprocess
from pathlib import Path

from saom_ros import __version__


def code_version() -> str:
    """For example "0.4.0+4402b55", with ".dirty" where files differ from the commit; "0.4.0" outside git."""
    command = ["git", "describe", "--always", "--abbrev=9", "--exclude=*", "--dirty=.dirty"]
    try:
        asked = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True)
    except OSError:  # no git here
        return __version__
    return f"{__version__}+{asked.stdout.strip()}" if asked.returncode == 0 else __version__
