"""The command line: what it was told, done, and the exit status of that."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence

from trio_http.command.settings_parsing import parse
from trio_http.command.standard_streams import drop_unwritable, tell
from trio_http.command.wrong_use import WrongUseError
from trio_http.observe.log_writer import Spool


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0, 1 after a failure, 2 after wrong use."""
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
    except _NotToldError as error:
        errors.write(f"trio-http: {error}\n")
        return 1
    except WrongUseError as error:
        errors.write(f"trio-http: {' '.join(str(error).split())}\n")
        return 2
    except KeyboardInterrupt:  # before there was a server that could drain
        return 130
    except Exception:  # noqa: BLE001 - Python itself would wait for somebody to read this
        errors.write(traceback.format_exc())
        return 1


class _NotToldError(Exception):
    """What was asked for could not be written; the text says why, in one line."""


def _run(arguments: Sequence[str] | None, errors: Spool) -> int:
    try:
        settings = parse(sys.argv[1:] if arguments is None else arguments)
        if settings is None:
            return 0
        if settings["show-settings"]:
            tell(settings.shown())
            return 0
    except OSError as error:
        raise _NotToldError(f"cannot write to the standard output: {error.strerror}") from error
    # With it come Trio, h11 and all others, which help does not need.
    from trio_http.command.launching import start  # noqa: PLC0415

    return start(settings, _this_command(arguments), errors)


def _this_command(arguments: Sequence[str] | None) -> list[str]:
    """Return what starts this command again, with the same options of the interpreter."""
    if arguments is not None:  # it was not started as a command, but called
        return [sys.executable, "-m", "trio_http", *arguments]
    return [sys.executable, *sys.orig_argv[1:]]
