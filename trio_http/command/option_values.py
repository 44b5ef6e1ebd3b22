"""Parsers of option values; each raises ``ValueError`` for malformed text.

Modules that only one option needs are imported in its parser, so that ``--help`` is fast.
"""

from __future__ import annotations

import os
from pathlib import Path

# Windows cannot pass listening sockets to a new process.
CAN_HAVE_WORKERS = os.name == "posix"


def address(text: str) -> str:
    """Return ``HOST:PORT`` unchanged, after checking it."""
    from trio_http.serving.listeners import parse_address  # noqa: PLC0415 - see above

    parse_address(text)
    return text


def port(text: str) -> int:
    """Return a port number, from 0 (any free port) to 65535."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise ValueError(f"not a valid port number (0 to 65535): {text}")
    return int(text)


def host(text: str) -> str:
    """Return a domain name or an IP address in its normal form."""
    from trio_http.semantics.authority import host_named  # noqa: PLC0415 - see above

    return host_named(text)


def directory(text: str) -> Path:
    """Return the path of a directory that can be entered, even if it cannot be listed."""
    if not text:  # perhaps an unset shell variable
        raise ValueError("the name of the directory is empty")
    try:
        os.stat(os.path.join(text, "."))  # noqa: PTH116, PTH118 - a Path drops the dot
    except OSError as error:
        raise ValueError(f"cannot serve {text}: {error.strerror}") from None
    return Path(text)


def workers(text: str) -> int:
    """Return a number of processes; ``auto`` means one per processor."""
    from trio_http.command.processors import (  # noqa: PLC0415 - see above
        WORKERS_FOR_EACH,
        processors,
    )

    most = WORKERS_FOR_EACH * processors()
    # int() refuses thousands of digits, and every valid number has fewer than ten.
    is_number = text.isascii() and text.isdigit() and len(text) <= 9 and int(text) > 0
    if not (is_number or text == "auto"):
        raise ValueError(f"not a valid number of processes (1 to {most}, or auto): {text}")
    number = processors() if text == "auto" else int(text)
    if number > 1 and not CAN_HAVE_WORKERS:
        raise ValueError(f"this system allows only one process: {text}")
    if number > most:
        raise ValueError(
            f"must be at most {most} processes ({WORKERS_FOR_EACH} per processor), not {text}"
        )
    return number
