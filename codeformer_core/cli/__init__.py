"""The command `codeformer`."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from .. import __version__
from ..messages import describe_error
from . import (
    app,
    compare,
    convert,
    demo,
    download,
    evaluate,
    inspect,
    pack,
    personalize,
    prepare,
    restore,
    train,
    unpack,
)

COMMANDS = (
    demo,
    restore,
    personalize,
    compare,
    app,
    inspect,
    convert,
    download,
    prepare,
    pack,
    unpack,
    train,
    evaluate,
)
"""Each offers `add_parser(commands)`, which sets `run`; heavy imports wait until it runs."""

DONE, FAILED, INTERRUPTED = 0, 1, 130
"""Exit codes; argparse itself uses 2 for a command it does not understand."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: what follows `codeformer`; the command line if left out.

    Returns:
        The exit code: 0 done, 1 something failed, 130 stopped by Ctrl-C.
    """
    _never_fail_to_print()
    options = make_parser().parse_args(arguments)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `codeformer ... | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if options.debug:
            traceback.print_exc()
        print(f"codeformer: {describe_error(error)}", file=sys.stderr)
        return FAILED


def make_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="codeformer", description="Restore faces in photos with CodeFormer."
    )
    parser.add_argument("--version", action="version", version=f"codeformer {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(commands).add_argument(
            "--debug", action="store_true", help="show where an error comes from"
        )
    return parser


def _never_fail_to_print() -> None:
    """File names may hold characters the terminal cannot show."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
