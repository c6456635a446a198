"""``python -m training VERB``: one verb a module, imported only when asked for, so that ``collect`` needs no torch."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from saom_ros.errors import SaomError

VERBS = {
    "collect": ("training.collecting.verb", "render labelled frames with a simulator into shards"),
    "dataset": ("training.data.verb", "look at shards, check them, exchange them with COCO, BOP, Replicator"),
    "sequence": ("training.collecting.sequence", "render a camera path through one room as pictures"),
    "finetune": ("training.finetuning.verb", "train a model on shards"),
    "evaluate": ("training.evaluation.verb", "score a model on annotated frames, beside a classical baseline"),
    "recipe": ("training.recipe.verb", "from nothing to a model bundle: simulate, finetune, evaluate, export"),
    "experiment": ("training.experiment.verb", "compare arms that differ in one thing: SAOM's claim, the architecture"),
    "track": ("training.tracking.verb", "measure how well ids last along camera paths, beside a box tracker"),
    "benchmark": ("training.benchmarking.verb", "measure speed and memory, beside SAM's own mask generator"),
    "export": ("training.export", "turn a checkpoint into a model bundle for robots"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit status: 0 done, 2 a mistake of the user, 130 or 143 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="python -m training",
        description=__doc__,
        epilog="\n".join(f"{verb:10s} {text}" for verb, (_, text) in VERBS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=VERBS)
    chosen = parser.parse_args(arguments[:1]).verb
    module = importlib.import_module(VERBS[chosen][0])
    verb_parser = argparse.ArgumentParser(
        prog=f"python -m training {chosen}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(verb_parser)
    try:
        return int(module.main(verb_parser.parse_args(arguments[1:])))
    except SaomError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # a file that is missing, a folder that may not be written, a disk that is full
        print(f"error: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
