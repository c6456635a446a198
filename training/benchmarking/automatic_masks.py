"""Everything mode against `segment_anything.SamAutomaticMaskGenerator` unmodified, on the same weights and frames.

The systems take turns on every frame. With a trained checkpoint each has its thresholds chosen on validation frames,
and quality is scored; random weights tell times only: nothing passes a threshold, so no side filters or paints.
"""

from __future__ import annotations

import copy
import multiprocessing
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from torch import Tensor, nn

from saom_ros.benchmark_rows import Row, peak_megabytes, ratio_row
from saom_ros.instances import Instances
from saom_ros.segmenter import Segmenter
from training import metrics
from training.benchmarking.frames import labelled_frames
from training.evaluation import automatic_masks
from training.evaluation.automatic_masks import AutomaticMasks
from training.evaluation.choosing import choose_thresholds
from training.evaluation.frames import LabelledFrame
from training.evaluation.run import evaluate
from training.evaluation.systems import System
from training.experiment.systems import FULL_GRID_THRESHOLDS, FullGrid
from training.export import TorchRuntime, everything_mode, write_bundle
from training.sam.checkpoint import describe
from training.sam.registry import build_model
from training.sam.separate import SeparateSam

AREA = "everything mode"
AMG = "SamAutomaticMaskGenerator"
ONE_ANSWER = f"{AMG}, one answer a point"
FULL_GRID, OBJECTNESS, FASTEST = "full grid", "objectness prompts", "objectness prompts, fastest runtime"
IN_TORCH = (AMG, ONE_ANSWER, FULL_GRID, OBJECTNESS)
FIGURES = ("overlap_f", "boundary_f", "recall_75", "ap", "pq")
"""Of `training.metrics.summarize`, in percent."""
TARGET = 20
"""How many times faster than the generator objectness prompts shall be."""
QUICK_SHAPE: dict[str, Any] = {"image_size": 128, "encoder_channels": [16, 16, 16, 16]}
QUICK_GRID, SAM_GRID = 8, 32
FRAMES, QUICK_FRAMES, OFFICIAL_FRAMES = 5, 2, 1


@dataclass(frozen=True)
class Trained:
    """A separately decoding checkpoint after SAOM, and what it is judged on."""

    checkpoint: Path
    test: Sequence[LabelledFrame]
    validation: Sequence[LabelledFrame]
    """Frames that thresholds are chosen on."""


@dataclass
class Remembering:
    """A system whose label maps are kept."""

    segment: Callable[[NDArray[np.uint8]], Instances]
    label_maps: list[NDArray[np.uint16]] = field(default_factory=list)

    def __call__(self, rgb: NDArray[np.uint8]) -> Instances:
        """Segment an RGB image uint8 (H, W, 3)."""
        instances = self.segment(rgb)
        self.label_maps.append(instances.label_map)
        return instances


def rows(quick: bool, trained: Trained | None = None) -> list[Row]:
    """The comparison on the trained checkpoint, or else on random weights; unless `quick` also on an official shape."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if trained is not None:
            found = compare("trained", trained.checkpoint, trained.test, folder, trained.validation)
        else:
            shape, side = (QUICK_SHAPE, QUICK_GRID) if quick else ({"image_size": 256}, SAM_GRID)
            checkpoint = random_checkpoint(folder, "sam_small", shape, side)
            frames = labelled_frames(QUICK_FRAMES if quick else FRAMES)
            found = compare("sam_small, random weights", checkpoint, frames, folder)
        if not quick:
            checkpoint = random_checkpoint(folder, "vit_b", {}, SAM_GRID)
            frames = labelled_frames(OFFICIAL_FRAMES)
            found += compare("vit_b, random weights", checkpoint, frames, folder, time_only=True)
    return found


def compare(
    what: str,
    checkpoint: Path,
    frames: Sequence[LabelledFrame],
    folder: Path,
    validation: Sequence[LabelledFrame] = (),
    time_only: bool = False,
) -> list[Row]:
    """Rows of each system on the same frames; quality where there are validation frames to choose thresholds on.

    `folder` takes the bundle of the fastest runtime. `time_only`: in torch alone and without memory, for models whose
    every run takes minutes.
    """
    names = IN_TORCH if time_only else (*IN_TORCH, FASTEST)
    systems = {name: Remembering(make_system(name, checkpoint, folder)) for name in names}
    for system in systems.values():
        if validation:
            choose(system.segment, validation)
        if not time_only:
            system.segment(frames[0].rgb)  # warms up
    results = evaluate({name: System(system) for name, system in systems.items()}, frames)
    milliseconds = {name: float(np.median(result.milliseconds)) for name, result in results.items()}
    found = []
    for name, system in systems.items():
        found.append(Row(AREA, f"{what}: {name}", round(milliseconds[name], 1), "ms"))
        for slower in (AMG, ONE_ANSWER):
            if name not in (AMG, slower):
                faster = milliseconds[slower] / milliseconds[name]
                beside = f"{what}: {name}, speed beside {slower}"
                found.append(ratio_row(AREA, beside, faster, _target(name, slower)))
        if validation:
            figures = metrics.summarize(results[name].frames)
            there = [figure for figure in FIGURES if not np.isnan(figures[figure])]
            found += [Row(AREA, f"{what}: {name}, {figure}", round(figures[figure], 1), "%") for figure in there]
            found += _agreement(f"{what}: {name}", system, systems)
        if not time_only:
            peak = round(_peak(name, checkpoint, folder))
            found.append(Row(AREA, f"{what}: {name}, memory of a process (peak RSS)", peak, "MB"))
    return found


def make_system(name: str, checkpoint: Path, folder: Path) -> Callable[[NDArray[np.uint8]], Instances]:
    """A system of the comparison by its name; `folder` holds or gets the bundle of the fastest runtime."""
    module, config = everything_mode(checkpoint)
    assert isinstance(module.model, SeparateSam)
    if name == AMG:
        return AutomaticMasks(module.model.sam, config.grid.rows)
    if name == ONE_ANSWER:
        return AutomaticMasks(answering_once(module.model.sam), config.grid.rows)
    if name == FULL_GRID:
        module, config = everything_mode(checkpoint, max_prompts=config.grid.rows * config.grid.cols)
        return FullGrid(Segmenter(config, TorchRuntime(module, "cpu")))
    if name == OBJECTNESS:
        return Segmenter(config, TorchRuntime(module, "cpu"))
    bundle = folder / f"{checkpoint.stem}-bundle"
    if not bundle.exists():
        write_bundle(module, config, bundle, labelled_frames(1)[0].rgb, f"# {config.name}\n")
    return Segmenter.load(bundle)


def answering_once(sam: Sam) -> Sam:
    """A copy of the model that answers a point with its one whole-object mask, also when it is asked for three.

    So the generator asks the very answers that everything mode asks: three of four masks that it filters otherwise are
    of tokens that SAOM does not train.
    """
    sam = copy.deepcopy(sam)
    sam.mask_decoder = _OneAnswer(sam.mask_decoder)
    return sam


def choose(segment: Callable[[NDArray[np.uint8]], Instances], frames: Sequence[LabelledFrame]) -> None:
    """Set the system's thresholds to the best on validation frames."""
    if isinstance(segment, AutomaticMasks):
        automatic_masks.tune(segment, frames)
    elif isinstance(segment, FullGrid):
        choose_thresholds(segment, frames, FULL_GRID_THRESHOLDS)
    elif isinstance(segment, Segmenter):
        choose_thresholds(segment, frames)


def matched_iou(reference: NDArray[np.uint16], found: NDArray[np.uint16]) -> NDArray[np.float64]:
    """IoU (N,) of each object of a label map (H, W) with the likest one of another."""
    shared = metrics.contingency(metrics.compact_labels(reference)[0], metrics.compact_labels(found)[0])
    return metrics.iou_matrix(shared).max(1, initial=0)


def random_checkpoint(folder: Path, family: str, shape: Mapping[str, Any], side: int) -> Path:
    """A checkpoint with random weights, whose everything mode asks `side` x `side` points."""
    torch.manual_seed(0)
    model = build_model(family, shape)
    size = model.config.image_size
    record = {"config": {"name": family, "stages": [{"height": size, "width": size}], "grid": [side, side]}}
    weights = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    path = folder / f"{family}.ckpt"
    torch.save({"state_dict": weights, "saom": describe(model, record)}, path)
    return path


class _OneAnswer(nn.Module):
    """SAM's mask decoder with its single answer always."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, *, multimask_output: bool, **prompts: Tensor) -> tuple[Tensor, Tensor]:
        """As `segment_anything`'s; whether three answers are asked for does not matter."""
        return self.decoder(multimask_output=False, **prompts)


def _agreement(what: str, system: Remembering, systems: Mapping[str, Remembering]) -> list[Row]:
    """How alike a system's masks are to those of the generator."""
    found = []
    for name in (AMG, ONE_ANSWER):
        pairs = zip(systems[name].label_maps, system.label_maps, strict=True)
        iou = np.concatenate([matched_iou(*pair) for pair in pairs])
        if systems[name] is not system and len(iou):
            found.append(Row(AREA, f"{what}, IoU of masks matched with those of {name}", round(float(iou.mean()), 3)))
    return found


def _target(name: str, slower: str) -> str:
    return f"{slower} (target: at least {TARGET})" if (name, slower) == (FASTEST, AMG) else slower


def _peak(name: str, checkpoint: Path, folder: Path) -> float:
    """Peak memory in MB of a fresh process in which a system segments a frame."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_segment_once, name, checkpoint, folder).result()


def _segment_once(name: str, checkpoint: Path, folder: Path) -> float:
    make_system(name, checkpoint, folder)(labelled_frames(1)[0].rgb)
    return peak_megabytes()
