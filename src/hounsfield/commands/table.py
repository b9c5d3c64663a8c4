"""The commands by name, and how one is run."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from hounsfield.errors import ArchiveError

COMMANDS = ("diff", "dump", "echo", "find", "retrieve", "send", "worklist")
"""Their modules have the same names, and only the one that is run is loaded."""
FAILURE = 1
_BROKEN_PIPE = 128 + 13
"""As a shell tells of a program that ended by the signal SIGPIPE."""


def run(name: str, arguments: Sequence[str]) -> int:
    """Run a command; the exit status is returned: 0 if all went well, 1 if not, 2 if it was not understood."""
    module = import_module(f"hounsfield.commands.{name}")
    parser = argparse.ArgumentParser(
        prog=f"hounsfield {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add(parser)
    try:
        parsed = parser.parse_intermixed_args(arguments)
    except SystemExit as leaving:  # argparse has said why.
        return leaving.code if isinstance(leaving.code, int) else 2
    try:
        status: int = module.run(parsed)
        sys.stdout.flush()
    except ArchiveError as error:
        sys.stderr.write(f"hounsfield {name}: {error}\n")
        return FAILURE
    except BrokenPipeError:  # Who reads what we print has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end.
        return _BROKEN_PIPE
    except OSError as error:
        sys.stderr.write(f"hounsfield {name}: {error.filename or ''}: {error.strerror}\n")
        return FAILURE
    except KeyboardInterrupt:
        return 130
    return status
