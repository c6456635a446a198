"""A training run that is part of something larger, an experiment or a recipe: begun, gone on with, never mixed.

Its folder holds `config.yaml` with everything that was set, `last.ckpt`, the logs, and in the end the file `trained`.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from saom_ros.errors import SaomError
from saom_ros.image_files import write_atomically
from training.finetuning.config import FinetuneConfig, learned_before, load_config, plain
from training.run_verb import run_verb


def changed_config(base: Path, changes: Mapping[str, Any]) -> FinetuneConfig:
    """The configuration of a file with changes, given as in a file that starts from it.

    Raises:
        SaomError: the file or a change does not fit.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "changed.yaml"
        path.write_text(yaml.safe_dump({"base": str(base.resolve()), **changes}))
        try:
            return load_config(path)
        except SaomError as error:
            raise SaomError(f"{base}: {str(error).removeprefix(f'{path}: ')}") from error


def is_trained(folder: Path) -> bool:
    """Whether `train_once` came to the end there."""
    return (folder / "trained").exists() and checkpoint_of(folder).exists()


def checkpoint_of(folder: Path) -> Path:
    """The checkpoint of a run's folder."""
    return folder / "last.ckpt"


def train_once(
    folder: Path,
    config: FinetuneConfig,
    start: Path | None = None,
    data: Path | None = None,
    validation: Path | None = None,
) -> Path:
    """Train into a folder, or go on training there; nothing where it is done. Returns the checkpoint.

    `start`, `data` and `validation` as `finetune --init`, `--data` and `--validation`.

    Raises:
        SaomError: the folder holds a run with other settings, of those that decide what is learned.
    """
    settings, wanted = folder / "config.yaml", yaml.safe_dump(plain(config), sort_keys=False)
    if settings.exists() and not _learns_the_same(settings, config):
        raise SaomError(f"{settings}: this run was begun with other settings; give another --out, or remove {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(settings, wanted.encode())
    if not is_trained(folder):
        given = {"--init": start, "--data": data, "--validation": validation}
        options = [text for option, path in given.items() if path for text in (option, path)]
        run_verb("finetune", "--config", settings, *options, "--out", folder)
        (folder / "trained").touch()
    return checkpoint_of(folder)


def _learns_the_same(settings: Path, config: FinetuneConfig) -> bool:
    """Whether a run that was begun with the settings of this file would learn what the configuration says."""
    try:
        before = learned_before(yaml.safe_load(settings.read_text()))
    except (yaml.YAMLError, SaomError, AttributeError, TypeError):  # no file of ours
        return False
    wanted = config.learned()
    return {name: before.get(name) for name in wanted} == wanted
