"""The configuration of a training run: one dataclass, one YAML file (``training.settings_files``), read strictly."""

import math
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

import dacite
import yaml

from saom_ros.bundle import MASK_STRIDE
from saom_ros.errors import SaomError
from training.classes import class_names
from training.finetuning.augmentation import SHARES, Augmentation
from training.finetuning.batches import FINE_STRIDE, Prompting, Stage
from training.finetuning.optimizer import Decay
from training.finetuning.prompt_sampling import PromptSampling
from training.sam.registry import model_class, read_shape
from training.settings_files import merged, read_settings

MACHINE_FIELDS = ("precision", "loader_workers", "checkpoint_seconds", "compile")
"""Fields of ``FinetuneConfig`` that say how a machine trains, not what: a run may go on with others."""

Precision = Literal["32-true", "bf16-mixed"]
PRECISIONS = get_args(Precision)
AUXILIARY = ("edges", "depth", "semantics")
"""Losses of auxiliary maps, which only training has."""
_OF_WHOLES = ("classes", "edges", "semantics")
"""Losses that parts alone cannot teach."""


@dataclass(frozen=True)
class LossWeights:
    """Weight of each loss; 0 leaves it out. SAOM's published mix is focal, dice and classes at 1, over images."""

    mask: float = 1.0
    """Balanced binary cross-entropy of the masks."""
    dice: float = 2.0
    """Dice loss of the masks."""
    focal: float = 0.0
    """Focal loss of the masks, alpha 0.25, gamma 2, mean over pixels."""
    box: float = 0.5
    """Generalised IoU loss of the boxes that masks are decoded in, where the family has boxes."""
    classes: float = 0.0
    """Cross-entropy of the class head over objects whose class it knows."""
    score: float = 2.0
    """Squared error of the score against the mask's true IoU, mean over all points; 0 is the truth on background."""
    objectness: float = 0.5
    """Focal loss of the objectness map, per object."""
    edges: float = 0.0
    """Cross-entropy of an auxiliary map that tells edges of objects from edges of their parts (``auxiliary.py``)."""
    depth: float = 0.0
    """Error of an auxiliary map of relative depth."""
    semantics: float = 0.0
    """Cross-entropy of an auxiliary map of classes."""
    over: Literal["objects", "images"] = "objects"
    """Losses of masks, boxes and classes are means over objects, or sums over an image's objects as published."""


@dataclass(frozen=True)
class FinetuneConfig:
    """A whole training run, as in the YAML file."""

    name: str
    """Name of the run; its folder below ``runs/``."""
    data: str
    """Folder of training shards."""
    validation: str
    """Folder of validation shards, from other rooms."""
    stages: list[Stage]
    """Input sizes and how long to train at each, smallest first."""
    family: str = "small"
    """Family of the model, as in training/sam/registry.py."""
    model: dict[str, Any] = field(default_factory=dict)
    """Shape of the model: fields of the family's dataclass in training/sam/registry.py."""
    grid: tuple[int, int] | None = None
    """Rows and columns of everything mode's grid of points; left out: one point per objectness cell with joint
    decoding, SAM's 32 x 32 with separate."""
    target: Literal["whole_objects", "ambiguous"] = "whole_objects"
    """What a point asks for: its whole object, or as SAM is trained, a part or the whole under it, best of three masks
    (then no background and no own peaks are asked)."""
    target_stride: Literal[2, 4] = 4
    """Input px per cell of the masks that losses compare: 4, as masks are read, or 2: enlarged twice bilinearly, as
    they are painted, so that they learn where between two cells an outline runs."""
    train_encoder: bool = True
    """Whether the image encoder learns; false: only what decodes its embeddings."""
    cache_embeddings: bool = False
    """Whether a frozen encoder's embeddings are computed once and kept beside the shards; no augmentation then."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """How far training images stray from the frames."""
    prompts: PromptSampling = field(default_factory=PromptSampling)
    """Which points are asked."""
    loss: LossWeights = field(default_factory=LossWeights)
    """Weights of the losses."""
    learning_rate: float = 8e-4
    """Peak learning rate of AdamW (betas 0.9, 0.98)."""
    decay: Decay = "cosine"
    """How the learning rate falls to one hundredth after the warm-up: half a cosine, or a straight line."""
    warmup: int = 200
    """Optimizer steps of linear warm-up; short runs take a tenth of theirs at most."""
    weight_decay: float = 0.02
    """Decay of matrices and kernels; biases and norms have none."""
    clip: float = 1.0
    """Largest gradient norm; 0 for no limit."""
    accumulate: int = 1
    """Batches whose gradients are averaged for one optimizer step."""
    ema_decay: float = 0.998
    """Decay of the exponential moving average of the weights, after a beginning with less (`averaging.py`); the average
    is what is saved and exported."""
    seed: int = 0
    """Seed of weights and batches."""
    precision: Precision = "32-true"
    """Lightning's precision: 32-true, or bf16-mixed where the device has it."""
    devices: int = 1
    """Devices to train on (processes, on CPU), per node."""
    nodes: int = 1
    """Machines to train on; start the same command on each, as Lightning's cluster environments want it."""
    loader_workers: int = 1
    """Processes that make batches, per device."""
    checkpoint_seconds: float = 60.0
    """Seconds between checkpoints, at least; 0 for one after every optimizer step."""
    compile: bool | None = None
    """Whether PyTorch compiles the model's encoder and joint decoder; left out: on GPUs. Minutes at the first step."""
    validate_every: int = 1000
    """Batches between validations at most; runs too short for five of them validate oftener."""
    validation_frames: int = 64
    """Frames of a validation."""

    def prompting(self, stride: int) -> Prompting:
        """How frames become prompts and targets for a model of this objectness stride (px)."""
        decoding = model_class(self.family).decoding
        ambiguous, fine = self.target == "ambiguous", self.target_stride == FINE_STRIDE
        return Prompting(self.prompts, stride, self.grid, ambiguous, decoding, fine)

    def needed_maps(self) -> tuple[str, ...]:
        """Which maps frames must have besides instances: parts, depth."""
        of_parts = self.target == "ambiguous" or self.loss.edges > 0 or any(stage.parts for stage in self.stages)
        needed = {"parts": of_parts, "depth": self.loss.depth > 0}
        return tuple(name for name, wanted in needed.items() if wanted)

    def learned(self) -> dict[str, Any]:
        """What decides the weights, as plain values: all but MACHINE_FIELDS."""
        return {name: value for name, value in plain(self).items() if name not in MACHINE_FIELDS}


def load_config(path: Path) -> FinetuneConfig:
    """Read a YAML file strictly; SaomError names the file and the key that does not fit."""
    try:
        values = read_settings(path)
        config = dacite.from_dict(FinetuneConfig, values, dacite.Config(cast=[tuple, float], strict=True))
        config = replace(config, model=plain(read_shape(config.family, config.model)))
        _check(config)
    except (yaml.YAMLError, dacite.DaciteError, TypeError, ValueError, AttributeError) as error:
        raise SaomError(f"{path}: {error}; the fields are described in training/finetuning/config.py") from error
    except SaomError as error:
        raise SaomError(f"{path}: {error}") from error
    return config


def learned_before(settings: dict[str, Any]) -> dict[str, Any]:
    """``FinetuneConfig.learned`` of a run that was begun with these plain values, perhaps by an earlier version.

    What this one has gained has its defaults; what it has lost stays, so that such a run is not taken for another.

    SaomError for a family that is not known.
    """
    blank = FinetuneConfig(name="", data="", validation="", stages=[], family=settings.get("family", "small"))
    before = merged(plain(replace(blank, model=plain(read_shape(blank.family, {})))), settings)
    gained = {each.name: each.default for each in fields(Stage) if each.default is not MISSING}
    before["stages"] = [{**gained, **stage} for stage in before["stages"]]
    return {name: value for name, value in before.items() if name not in MACHINE_FIELDS}


def plain(settings: Any) -> dict[str, Any]:
    """A dataclass of settings as plain values (lists for tuples), as in its YAML file."""
    return _without_tuples(asdict(settings))


def _without_tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_tuples(item) for key, item in value.items()}
    return [_without_tuples(item) for item in value] if isinstance(value, list | tuple) else value


def _check(config: FinetuneConfig) -> None:
    """SaomError for values that no run can have."""
    if not config.stages:
        raise SaomError("stages is empty; give at least one")
    for stage in config.stages:
        _check_stage(stage, config)
    if not 0 < config.learning_rate < math.inf:
        raise SaomError(f"learning_rate is {config.learning_rate}; it must be a number above 0")
    lowest = {"devices": 1, "nodes": 1, "accumulate": 1, "validate_every": 1}
    lowest |= {"validation_frames": 1, "checkpoint_seconds": 0, "loader_workers": 0, "warmup": 0, "seed": 0}
    for name, least in lowest.items():
        if not getattr(config, name) >= least:  # nor NaN
            raise SaomError(f"{name} is {getattr(config, name)}; it must be at least {least}")
    for name, least in {"objects": 1, "background": 0, "own_peaks": 0, "min_area": 1}.items():
        if getattr(config.prompts, name) < least:
            raise SaomError(f"prompts.{name} is {getattr(config.prompts, name)}; it must be at least {least}")
    if not any((config.loss.mask, config.loss.dice, config.loss.focal)):
        raise SaomError("loss: mask, dice and focal are all 0; masks need at least one of them")
    if not 0 <= config.ema_decay < 1:
        raise SaomError(f"ema_decay is {config.ema_decay}; it must be in 0 to below 1")
    if config.grid and not all(1 <= side <= 256 for side in config.grid):
        raise SaomError(f"grid is {list(config.grid)}; rows and columns must be in 1..256")
    if config.target == "ambiguous" and config.family == "small":
        raise SaomError("target ambiguous: family small answers with one mask; use sam_small or an official SAM")
    if config.target == "ambiguous" and config.target_stride != MASK_STRIDE:
        raise SaomError(f"target_stride is {config.target_stride}; with target ambiguous it must be {MASK_STRIDE}")
    for name, weight in vars(config.loss).items():
        if name != "over" and not 0 <= weight < math.inf:  # nor NaN
            raise SaomError(f"loss.{name} is {weight}; it must be a number from 0")
    for name in SHARES:
        if not 0 <= getattr(config.augmentation, name) <= 1:
            raise SaomError(f"augmentation.{name} is {getattr(config.augmentation, name)}; it must be in 0..1")
    for name in AUXILIARY:
        weight = getattr(config.loss, name)
        if weight and (config.family != "small" or config.cache_embeddings):
            raise SaomError(
                f"loss.{name} is {weight}; only family small has the features that it is read from, and only where "
                "images are not cached as embeddings"
            )
    _check_classes(config)
    _check_cache(config)


def _check_stage(stage: Stage, config: FinetuneConfig) -> None:
    size = f"stage {stage.width}x{stage.height}"
    if stage.height % 32 or stage.width % 32 or min(stage.height, stage.width) < 64:
        raise SaomError(f"{size}: sides must be multiples of 32, at least 64")
    side = config.model.get("image_size", stage.width)
    if "image_size" in config.model and (stage.height, stage.width) != (side, side):
        raise SaomError(f"{size}: family {config.family} takes {side}x{side} (model.image_size)")
    if stage.images < 1 or stage.batch_size < 1:
        raise SaomError(f"{size}: images and batch_size must be at least 1")
    if stage.parts and config.target == "ambiguous":
        raise SaomError(f"{size}: parts is true; with target ambiguous every stage asks for parts and wholes")
    if stage.parts and (names := [name for name in _OF_WHOLES if getattr(config.loss, name)]):
        raise SaomError(
            f"{size}: parts is true, and loss.{names[0]} is {getattr(config.loss, names[0])}; it must be 0 then, for "
            "it needs to know whole objects"
        )


def _check_classes(config: FinetuneConfig) -> None:
    known, most = config.model.get("classes", 0), len(class_names())
    if known > most:
        raise SaomError(f"model.classes is {known}; training/classes.yaml has {most}")
    if config.loss.classes and not known:
        raise SaomError(f"loss.classes is {config.loss.classes}, but the model has no class head; set model.classes")
    if config.loss.classes and config.target == "ambiguous":
        raise SaomError(
            f"loss.classes is {config.loss.classes}; with target ambiguous it must be 0: parts have no class"
        )


def _check_cache(config: FinetuneConfig) -> None:
    if not config.cache_embeddings:
        return
    if config.train_encoder:
        raise SaomError("cache_embeddings: a learning encoder has no lasting embeddings; set train_encoder: false")
    if len({(stage.height, stage.width) for stage in config.stages}) > 1:
        raise SaomError("cache_embeddings: all stages must have one input size")
