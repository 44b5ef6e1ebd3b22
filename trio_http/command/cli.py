"""The entry point of the command line."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

from trio_http.command.settings_parsing import parse
from trio_http.command.standard_streams import drop_unwritable, tell
from trio_http.command.wrong_use import WrongUseError
from trio_http.observe.log_writer import Spool


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status.

    Args:
        arguments: the arguments after the program's name (default: those of this process).

    Returns:
        0 on success, 1 after a failure, 2 after wrong use, 130 after an early Ctrl-C.
    """
    try:
        with Spool(sys.stderr, _line_of_loss) as errors:
            return _main(arguments, errors)
    finally:
        drop_unwritable()


def _line_of_loss(lines: int) -> str:
    from trio_http.observe.access_log import line_of_loss  # noqa: PLC0415 - rarely needed

    return line_of_loss(lines)


def _main(arguments: Sequence[str] | None, errors: Spool) -> int:
    try:
        return _run(arguments, errors)
    except _OutputError as error:
        errors.write(f"trio-http: {error}\n")
        return 1
    except WrongUseError as error:
        errors.write(f"trio-http: {' '.join(str(error).split())}\n")
        return 2
    except KeyboardInterrupt:  # before the server handles signals
        return 130
    except Exception:  # noqa: BLE001 - Python itself would block on a full pipe
        errors.write(traceback.format_exc())
        return 1


class _OutputError(Exception):
    """The standard output cannot be written; the message is one line."""


def _run(arguments: Sequence[str] | None, errors: Spool) -> int:
    try:
        settings = parse(sys.argv[1:] if arguments is None else arguments)
        if settings is None:
            return 0
        if settings["show-settings"]:
            tell(settings.shown())
            return 0
    except OSError as error:
        raise _OutputError(f"cannot write to the standard output: {error.strerror}") from error
    # Loads Trio and h11, which help does not need.
    from trio_http.command.launching import start  # noqa: PLC0415

    return start(settings, _this_command(arguments), errors)


def _this_command(arguments: Sequence[str] | None) -> list[str]:
    """Return a command that repeats this one, with the same interpreter options."""
    if arguments is not None:  # called by a program, not from a shell
        return [sys.executable, "-m", "trio_http", *arguments]
    return [sys.executable, *sys.orig_argv[1:]]
