"""The command line, ``vigie``: each verb reads what it needs and nothing else.

Exit status: 0 done; 1 something is wrong, and standard error says what in one line for each
problem; 2 the command was not understood. ``explain`` also has 3: some statement would be refused.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from typer.exceptions import TyperException

from proxy.cli.complaints import complain
from proxy.errors import ConfigurationError, VigieError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

PROBLEM: Final = 1
_NAME: Final = "vigie"


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line and return its exit status; None: that of this process."""
    from proxy.cli.app import app  # noqa: PLC0415 - not for those who import the name alone

    for stream in (sys.stdout, sys.stderr):
        if (reconfigure := getattr(stream, "reconfigure", None)) is not None:
            reconfigure(errors="backslashreplace")  # a terminal that cannot show a character
    try:
        status = app(
            args=None if arguments is None else list(arguments),
            prog_name=_NAME,
            standalone_mode=False,
        )
        sys.stdout.flush()
    except TyperException as error:
        complain([_word_usage(error, sys.argv[1:] if arguments is None else arguments)])
        return error.exit_code
    except ConfigurationError as error:
        complain(error.problems)
        return PROBLEM
    except VigieError as error:
        complain([f"{_NAME}: {error}"])
        return PROBLEM
    except BrokenPipeError:
        # Whoever read our output has gone; Python must not complain of it at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PROBLEM
    except OSError as error:
        complain([f"{_NAME}: {error.strerror or error}{_word_file(error)}"])
        return PROBLEM
    return status if isinstance(status, int) else 0


def _word_usage(error: TyperException, arguments: Sequence[str]) -> str:
    """Return what is wrong with the command line, and where help is."""
    context = getattr(error, "ctx", None)
    verb = context.command_path if context is not None else f"{_NAME} {arguments[0]}"
    message = error.format_message().replace("Value error, ", "").rstrip(". ")
    return f"{verb}: {message[:1].lower()}{message[1:]}; see {verb} --help"


def _word_file(error: OSError) -> str:
    return f": {error.filename}" if error.filename else ""
