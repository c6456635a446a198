"""A verb run by another verb, as its own command line would run it: experiments and recipes are made of verbs."""

from __future__ import annotations

import argparse
import importlib
import shlex
import signal
import sys

from saom_ros.errors import SaomError


def run_verb(verb: str, *options: object) -> None:
    """Run a verb in this process, and print its command first.

    Raises:
        SaomError: the verb did not come to its end.
        KeyboardInterrupt, SystemExit: it was interrupted, by Ctrl-C or by SIGTERM.
    """
    from training.__main__ import VERBS  # which knows the verbs that call us

    argv = [str(option) for option in options]
    command = ["python", "-m", "training", verb]
    print("$", shlex.join([*command, *argv]), flush=True)
    module = importlib.import_module(VERBS[verb][0])
    parser = argparse.ArgumentParser(prog=shlex.join(command))
    module.add_arguments(parser)
    # Reports quote their command from sys.argv, and Lightning starts its other processes by it.
    ours, sys.argv = sys.argv, [sys.argv[0], verb, *argv]
    try:
        status = module.main(parser.parse_args(argv))
    finally:
        sys.argv = ours
    if status == 128 + signal.SIGINT:
        raise KeyboardInterrupt
    if status == 128 + signal.SIGTERM:
        raise SystemExit(status)
    if status:
        raise SaomError(f"{verb} ended with status {status}; see its message above")
