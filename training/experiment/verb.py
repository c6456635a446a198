"""Train arms that differ in one thing, score them alike on rooms and classes that none has seen, and tell it.

    python -m training experiment saom-claim                      the usual arms, two seeds each
    python -m training experiment saom-claim --arm outside        one more arm; what is done already is kept
    python -m training experiment architecture                    encoders, sizes, decoders, prompts at equal compute
    python -m training experiment saom-claim --quick --out DIR    a run of minutes on tiny data, to see that it runs

saom-claim proves SAOM's claim, or sees it fail: a base trained like SAM on parts and wholes, then SAOM and what it is
held against, everything small and from simulated rooms alone. The report (`OUT/report.md`, `.html`, `.json`) is written
anew after every run, arms that have not run among it.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from saom_ros.errors import SaomError
from training.evaluation.frames import FrameSet, open_frames
from training.experiment.arms import EXPERIMENTS, Experiment
from training.experiment.report import write_report
from training.experiment.run import Setting, score, train
from training.finetuning.config import PRECISIONS
from training.run_verb import run_verb

_QUICK_FRAMES = {"train": 6, "val": 1, "test": 1}
_QUICK_IMAGES = 0.001


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `python -m training experiment`."""
    parser.add_argument("name", choices=EXPERIMENTS, help="which experiment")
    arms = "; ".join(f"of {experiment.name}: {', '.join(experiment.arms)}" for experiment in EXPERIMENTS.values())
    parser.add_argument("--arm", action="append", metavar="A", help=f"run this arm (again for more), {arms}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], metavar="S", help="(default: 0 1)")
    parser.add_argument("--out", type=Path, help="(default: runs/NAME)")
    parser.add_argument("--train", type=Path, default=Path("data/rooms-train"), help="(default: data/rooms-train)")
    parser.add_argument("--val", type=Path, default=Path("data/rooms-val"), help="(default: data/rooms-val)")
    parser.add_argument("--test", type=Path, default=Path("data/rooms-test"), help="(default: data/rooms-test)")
    parser.add_argument("--photos", type=Path, help="photographs to score on, too: whatever `evaluate --data` takes")
    parser.add_argument("--frames", type=int, default=120, help="test frames to score on (default: 120)")
    parser.add_argument(
        "--images", type=float, default=1.0, help="factor on the images that every arm sees (default: 1)"
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=PRECISIONS[0],
        help="how this machine trains; bf16-mixed where its CPU (AMX, AVX512-BF16) or GPU has bfloat16",
    )
    parser.add_argument("--quick", action="store_true", help="tiny data (made in OUT/data), tiny models, one seed")


def main(args: argparse.Namespace) -> int:
    """Run the arms that have not run yet, and write the report."""
    if args.frames < 1 or not args.images > 0:
        raise SaomError(f"--frames is {args.frames}, --images {args.images:g}; both must be above 0")
    experiment = EXPERIMENTS[args.name]
    arms = experiment.chosen(args.arm)
    args.out = args.out or Path("runs") / experiment.name
    if args.quick:
        make_tiny_data(args)
    test = {"unseen rooms": open_frames(args.test, limit=args.frames)}
    if args.photos:
        test["photographs"] = open_frames(args.photos)
    setting = setting_of(experiment, args, test)
    write_report(setting, args.seeds, command())
    for seed in args.seeds:
        for arm in arms:
            print(f"{arm.name}, seed {seed}: {arm.question}")
            score(setting, arm, seed, train(setting, arm, seed))
            write_report(setting, args.seeds, command())
    print(f"report: {setting.out / 'report.md'}")
    return 0


def setting_of(experiment: Experiment, args: argparse.Namespace, test: dict[str, FrameSet]) -> Setting:
    """What all runs share, from the command line."""
    return Setting(
        experiment=experiment,
        out=args.out,
        train=args.train,
        validation=args.val,
        test=test,
        choice_frames=1 if args.quick else 24,
        images=_QUICK_IMAGES if args.quick else args.images,
        tiny=args.quick,
        precision=args.precision,
    )


def make_tiny_data(args: argparse.Namespace) -> None:
    """Render a few small frames below `args.out`, and let `args` name them and one seed only."""
    args.seeds = args.seeds[:1]
    for option, (split, frames) in zip(("train", "val", "test"), _QUICK_FRAMES.items(), strict=True):
        folder = args.out / "data" / split
        size = ["--width", "128", "--height", "96", "--frames", str(frames), "--workers", "1"]
        run_verb("collect", "--split", split, *size, "--out", folder)
        setattr(args, option, folder)


def command() -> str:
    """The command that the report names."""
    return shlex.join(["python", "-m", "training", "experiment", *sys.argv[2:]])
