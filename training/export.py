"""From a checkpoint to a model bundle: the everything-mode graph as ONNX, its description, checksums and a golden
pair. Nothing is written that does not reproduce the torch module.
"""

import argparse
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from saom_ros import runtimes
from saom_ros.bundle import (
    CONFIG_NAME,
    GRAPH_NAME,
    HALF_GRAPH_NAME,
    RANGES_NAME,
    SPLIT_NAMES,
    BundleConfig,
    Grid,
    InputSize,
    Thresholds,
    load_config,
    sha256,
)
from saom_ros.errors import SaomError
from saom_ros.image_files import read_rgb
from saom_ros.letterbox import Letterbox, grid_points, letterbox_image
from saom_ros.runtimes.base import whole_graph
from saom_ros.runtimes.int8 import load_ranges
from saom_ros.runtimes.onnxruntime import OnnxRuntime
from saom_ros.runtimes.openvino import OpenVino
from saom_ros.segmenter import Segmenter
from training.classes import class_names
from training.evaluation.frames import open_frames
from training.sam.checkpoint import load_checkpoint
from training.sam.everything import INPUT_NAMES, OUTPUT_NAMES, EverythingMode
from training.sam.half import half_precision
from training.sam.int8 import measure_ranges
from training.sam.model import grid_shape
from training.sam.onnx_graph import export_onnx, export_split
from training.sam.parity import check_half_parity, check_int8_parity, check_parity, used_masks
from training.sam.registry import model_class

MODEL_VERSION = "0.1.0"
MAX_PROMPTS = {"joint": 96, "separate": 128}
"""Points asked at most unless said otherwise."""
GRAPH_PROMPTS = 256
"""Points that one graph decodes at most; separate decoding is unrolled over them. More need ``--split``."""
MAX_INSTANCES = 64
THRESHOLDS = Thresholds(score=0.4, objectness=0.15, overlap=0.5)
"""Used until ``evaluate --choose-thresholds`` has chosen on validation frames."""
CALIBRATION_FRAMES = 24
"""Pictures that tell the ranges for 8 bits."""


class TorchRuntime:
    """A ``saom_ros`` runtime over the torch module that is exported, so that evaluation runs what robots will run."""

    name = "torch"

    def __init__(self, module: EverythingMode, device: torch.device | str | None = None) -> None:
        """``device``: where the module runs, and is moved to; None = a GPU where there is one."""
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.module = module.eval().to(self.device)
        self.note = f"in this process, on {self.device}"

    def run(self, inputs: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Run the graph once; see ``saom_ros.runtimes.base.Runtime``."""
        tensors = (torch.from_numpy(np.ascontiguousarray(inputs[name])).to(self.device) for name in INPUT_NAMES)
        with torch.inference_mode():
            outputs = self.module(*tensors)
        return {name: tensor.cpu().numpy() for name, tensor in zip(OUTPUT_NAMES, outputs, strict=True)}


def load_checkpoint_segmenter(path: Path, height: int = 0, width: int = 0, max_prompts: int = 0) -> Segmenter:
    """A ``Segmenter`` that runs a checkpoint in torch; see ``everything_mode``."""
    module, config = everything_mode(path, height, width, max_prompts)
    return Segmenter(config, TorchRuntime(module))


def everything_mode(
    checkpoint: Path, height: int = 0, width: int = 0, max_prompts: int = 0, full_grid: bool = False
) -> tuple[EverythingMode, BundleConfig]:
    """The graph of a checkpoint and its description (without files).

    Size 0 means the size that training ended at. ``max_prompts`` 0 means the usual, or with ``full_grid`` all rows x
    cols of the grid, which ``segmenter(rgb, points=grid)`` then asks. Raises SaomError for sizes and counts that cannot
    be.
    """
    model, described = load_checkpoint(checkpoint)
    config = describe_bundle(described, height, width, max_prompts, full_grid)
    size, grid = (config.input.height, config.input.width), (config.grid.rows, config.grid.cols)
    module = EverythingMode(model, *size, grid, config.max_prompts, config.max_instances)
    return module.eval(), config


def describe_bundle(
    described: Mapping[str, Any], height: int = 0, width: int = 0, max_prompts: int = 0, full_grid: bool = False
) -> BundleConfig:
    """The description alone, from what a checkpoint tells of itself (``training.sam.checkpoint.describe``), so that it
    can be checked before there are weights. The rest, and what is raised, as in ``everything_mode``.
    """
    training, kind = described["training"], model_class(described["family"])
    last, side = training["config"]["stages"][-1], described["model"].get("image_size")
    size = InputSize(height or last["height"], width or last["width"])
    if side and (size.height, size.width) != (side, side):
        raise SaomError(f"input {size.width}x{size.height}: this model takes {side}x{side} only")
    chosen = training["config"].get("grid")
    grid = Grid(*grid_shape(chosen, kind.decoding, kind.objectness_stride, size.height, size.width))
    points = grid.rows * grid.cols
    if not 0 <= max_prompts <= points:
        raise SaomError(f"{max_prompts} prompts: the grid has {points} points")
    prompts = max_prompts or (points if full_grid else min(MAX_PROMPTS[kind.decoding], points))
    return BundleConfig(
        name=f"saom-{training['config']['name']}",
        version=MODEL_VERSION,
        family=described["family"],
        decoding=kind.decoding,
        input=size,
        grid=grid,
        max_prompts=prompts,
        max_instances=min(MAX_INSTANCES, prompts),
        classes=class_names()[: described["model"].get("classes", 0)],
        thresholds=THRESHOLDS,
        licence="Apache-2.0",
        training=training,
    )


def write_bundle(
    module: EverythingMode,
    config: BundleConfig,
    out: Path,
    image: NDArray[np.uint8],
    card: str,
    half: bool = False,
    split: bool = False,
    calibration: Sequence[NDArray[np.uint8]] = (),
) -> None:
    """Write ``model.onnx``, ``golden.npz``, ``README.md`` and ``model.yaml`` into ``out``, replacing a bundle that is
    there; with ``half`` also ``model.fp16.onnx``; with ``calibration``, pictures uint8 (H, W, 3), also
    ``ranges.json``; with ``split`` three graphs in the place of ``model.onnx``, and no ranges.

    ``image`` uint8 (H, W, 3) becomes the golden input. The folder appears whole or not at all. Raises SaomError when
    ONNX Runtime does not reproduce the torch module, or torch itself does not in half precision, or masks in 8
    bits differ too much on the pictures, or nothing is found in ``image``.
    """
    out = out.resolve()
    _refuse_foreign(out)
    temporary = out.with_name(out.name + ".part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    inputs, outputs = golden_pair(module, config, image)
    if split:
        export_split(module, temporary)
    else:
        export_onnx(module, temporary / GRAPH_NAME)
    if half:
        halved = half_precision(module)
        check_half_parity(outputs, TorchRuntime(halved, "cpu").run(inputs))
        export_onnx(halved, temporary / HALF_GRAPH_NAME)
    if len(calibration):
        write_ranges(temporary, config, calibration)
    np.savez_compressed(temporary / "golden.npz", **inputs, **outputs)  # type: ignore[arg-type]
    (temporary / "README.md").write_text(card)
    files = {path.name: sha256(path) for path in sorted(temporary.iterdir())}
    mapping = replace(config, files=files).to_mapping()
    (temporary / CONFIG_NAME).write_text(yaml.safe_dump(mapping, sort_keys=False, width=120))
    check_parity(outputs, runtimes.create(temporary, load_config(temporary), "onnxruntime").run(inputs))
    replace_bundle(temporary, out)


def write_ranges(folder: Path, config: BundleConfig, pictures: Sequence[NDArray[np.uint8]]) -> None:
    """Write ``ranges.json`` beside ``model.onnx`` in ``folder``, from what convolutions see of ``pictures`` uint8
    (H, W, 3).

    Needs OpenVINO. Raises SaomError where masks in 8 bits have, on these pictures, a mean IoU below 0.9 with those in
    fp32.
    """
    inputs = [everything_inputs(config, rgb) for rgb in pictures]
    (folder / RANGES_NAME).write_text(json.dumps(measure_ranges(folder / GRAPH_NAME, inputs), indent=1))
    single = OnnxRuntime(folder, whole_graph(config))
    int8 = OpenVino(folder, whole_graph(config), ranges=load_ranges(folder))
    check_int8_parity((single.run(given), int8.run(given)) for given in inputs)


def require_openvino(option: str) -> None:
    """Raise SaomError, which names the option, where masks in 8 bits cannot be compared."""
    if runtimes.OPENVINO not in runtimes.installed():
        mend = runtimes.RUNTIMES[runtimes.OPENVINO]
        raise SaomError(f"{option} compares masks in OpenVINO, which is not installed; run: {mend}")


def replace_bundle(whole: Path, out: Path) -> None:
    """Move a bundle to ``out``, in the place of one that is there. Raises SaomError where that is something else."""
    _refuse_foreign(out)
    replaced = out.with_name(out.name + ".old")
    shutil.rmtree(replaced, ignore_errors=True)
    if out.exists():
        os.replace(out, replaced)
    os.replace(whole, out)
    shutil.rmtree(replaced, ignore_errors=True)


def _refuse_foreign(out: Path) -> None:
    if out.exists() and not (out / CONFIG_NAME).exists():
        raise SaomError(f"{out}: exists and is no bundle; give another folder")


def golden_pair(
    module: EverythingMode, config: BundleConfig, image: NDArray[np.uint8]
) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """Inputs for one image uint8 (H, W, 3) and torch's outputs, at the bundle's own thresholds.

    Where nothing passes those the thresholds are 0: a pair without an instance would compare nothing. Raises SaomError
    where even then no point gets a mask.
    """
    inputs = everything_inputs(config, image)
    runtime = TorchRuntime(module, "cpu")  # the same pair on every machine; export needs the module there, too
    outputs = runtime.run(inputs)
    if not (outputs["scores"] > 0).any():
        inputs |= {name: np.zeros(1, np.float32) for name in ("score_threshold", "objectness_threshold")}
        outputs = runtime.run(inputs)
    used_masks(outputs)
    return inputs, outputs


def everything_inputs(config: BundleConfig, image: NDArray[np.uint8]) -> dict[str, NDArray]:
    """Everything mode's inputs for an image uint8 (H, W, 3) at the bundle's own thresholds."""
    box = Letterbox.fit(image.shape[0], image.shape[1], config.input.height, config.input.width)
    return {
        "image": letterbox_image(image, box)[None],
        "points": grid_points(config.grid.rows, config.grid.cols, box),
        **{f"{name}_threshold": np.array([value], np.float32) for name, value in asdict(config.thresholds).items()},
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``python -m training export``."""
    parser.add_argument("--checkpoint", type=Path, required=True, help="checkpoint of a run, e.g. runs/small/last.ckpt")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle; one that is there is replaced")
    parser.add_argument("--image", type=Path, required=True, help="picture for the golden pair, e.g. a rendered frame")
    parser.add_argument("--size", metavar="WxH", help="input size in px, multiples of 32 (default: training's last)")
    parser.add_argument(
        "--max-prompts",
        type=int,
        default=0,
        help=f"points asked at most, up to {GRAPH_PROMPTS} without --split (default: the usual; with --split the grid)",
    )
    graphs = parser.add_mutually_exclusive_group()
    graphs.add_argument("--fp16", action="store_true", help=f"write {HALF_GRAPH_NAME} too, for GPUs")
    graphs.add_argument(
        "--split", action="store_true", help=f"encoder and decoder apart ({', '.join(SPLIT_NAMES)}), for the full grid"
    )
    parser.add_argument(
        "--int8",
        type=Path,
        metavar="DATA",
        help=f"write {RANGES_NAME} too, for 8 bits on CPUs, from {CALIBRATION_FRAMES} of these validation frames",
    )
    parser.add_argument("--name", help="name of the model (default: saom-RUN)")
    parser.add_argument("--model-version", default=MODEL_VERSION, help="version of the model")
    parser.add_argument("--evaluation", type=Path, help="JSON of 'evaluate', whose thresholds and figures go in")
    parser.add_argument("--card", type=Path, help="model card (Markdown) to ship as the bundle's README.md")


def main(args: argparse.Namespace) -> int:
    """Export a checkpoint."""
    width, height = parse_size(args.size) if args.size else (0, 0)
    if not args.split and not 0 <= args.max_prompts <= GRAPH_PROMPTS:
        raise SaomError(f"--max-prompts is {args.max_prompts}; one graph decodes 1..{GRAPH_PROMPTS}, more need --split")
    if args.split and args.int8:
        raise SaomError("--int8 is for one whole graph; leave --split or --int8 out")
    if args.int8:
        require_openvino("--int8")
    calibration = [frame.rgb for frame in open_frames(args.int8, limit=CALIBRATION_FRAMES)] if args.int8 else []
    module, config = everything_mode(args.checkpoint, height, width, args.max_prompts, full_grid=args.split)
    changes: dict[str, Any] = {"version": args.model_version, "name": args.name or config.name}
    if args.evaluation:
        changes["thresholds"], changes["metrics"] = read_evaluation(args.evaluation)
    image = read_rgb(args.image)
    config = replace(config, **changes)
    card = args.card.read_text() if args.card else f"# {config.name}\n\nExported from a checkpoint; see `model.yaml`.\n"
    write_bundle(module, config, args.out, image, card, args.fp16, args.split, calibration)
    size = sum(path.stat().st_size for path in args.out.iterdir())
    print(f"exported: {args.out} ({size / 1e6:.1f} MB, input {config.input.width}x{config.input.height})")
    return 0


def read_evaluation(path: Path) -> tuple[Thresholds, dict[str, Any]]:
    """Thresholds and figures in a JSON of ``evaluate``, from choosing thresholds or from scoring with them.

    Raises SaomError where the file cannot be read or holds neither.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        if "best" in report:
            figures = {"objective": report["value"], "frames": report["frames"]}
            return Thresholds(**report["best"]), figures
        system = report["systems"][report["model"]["name"]]
        figures = {"splits": report["data"]["splits"], **system["figures"], **system["counts"]}
        return Thresholds(**report["model"]["thresholds"]), figures
    except OSError as error:
        raise SaomError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise SaomError(
            f"{path}: holds no thresholds of a model; write it with 'evaluate --json FILE', plain or choosing"
        ) from None


def parse_size(text: str) -> tuple[int, int]:
    """``"384x288"`` to (384, 288); SaomError names what does not fit."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        raise SaomError(f"size {text!r} is not WIDTHxHEIGHT; for example 384x288")
    return int(parts[0]), int(parts[1])
