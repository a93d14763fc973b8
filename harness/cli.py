# SPDX-License-Identifier: MIT
# Copyright (c) The eTran artifact authors
"""`./run`: the subcommands and how every one of them ends.

Exit status: 0 done, 1 something ran and failed, 2 the user can mend it, 130 interrupted.
"""

from __future__ import annotations

import argparse
import signal
import sys

from harness import console, packages
from harness.errors import UserError

DESCRIPTION = """\
eTran as an experiment: provision a cluster, run every figure, compare with the paper.

  ./run reproduce               all runnable figures on an emulated cluster (about 25 min)
  ./run reproduce --scale smoke one figure in under a minute (after the first build)
  ./run test                    every test
"""


def _commands() -> dict[str, tuple[str, str]]:
    """name -> (module with add_arguments and main, one line of help). To add one: here."""
    return {
        "reproduce": ("harness.commands.reproduce", "run experiments, plot them, compare them"),
        "test": ("harness.commands.test", "run the tests"),
        "list": ("harness.commands.list", "the experiments and what each is waiting for"),
        "compare": ("harness.commands.compare", "our numbers beside the paper's"),
        "plot": ("plots.cli", "draw plots and the report from stored results"),
        "kernel": ("kernel.cli", "build the kernel, or say where it is"),
        "cluster": ("testbed.cluster.cli", "an emulated cluster to log in to"),
        "doctor": ("harness.commands.doctor", "what works on this machine, and why not"),
    }


# What must be installed before a subcommand's module can be imported.
_NEEDS = {"plot": ["plot"]}


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    import importlib

    parser = argparse.ArgumentParser(
        prog="./run", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--no-install",
        action="store_true",
        help="name missing Debian packages and stop, instead of installing them",
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, summary) in _commands().items():
        sub = subparsers.add_parser(
            name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == chosen:
            loaded = importlib.import_module(module)
            sub.description = loaded.__doc__
            loaded.add_arguments(sub)
            sub.set_defaults(handler=loaded.main)
        # also accepted after the subcommand
        sub.add_argument("--no-install", action="store_true", default=argparse.SUPPRESS)
    return parser


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    # All unwind like Ctrl-C, so that machines and files are cleaned up; SIGINT too when the caller
    # had it ignored, as shells do for background jobs.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        packages.refuse_install = "--no-install" in argv
        chosen = next((a for a in argv if not a.startswith("-")), None)
        if chosen in _NEEDS:
            packages.ensure(_NEEDS[chosen])
        args = _parser(chosen).parse_args(argv)
        return args.handler(args)
    except UserError as error:
        console.info(f"error: {error}")
        return 2
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        console.info("interrupted; everything that was started has been ended")
        return 130
