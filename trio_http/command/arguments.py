"""The values of the command line's options, or one line that says what is wrong with them."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError
from pathlib import Path

from trio_http.semantics.origins import host_named
from trio_http.serving.listeners import parse_address


def address(text: str) -> str:
    """Return ``HOST:PORT`` as it is, if it is that."""
    try:
        parse_address(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None
    return text


def host(text: str) -> str:
    """Return a domain name or an IP address in its normal form."""
    try:
        return host_named(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def directory(text: str) -> Path:
    """Return the path of a directory that can be entered, if not listed."""
    try:
        os.stat(os.path.join(text, "."))  # noqa: PTH116, PTH118 - a Path forgets the dot
    except OSError as error:
        raise ArgumentTypeError(f"cannot serve {text}: {error.strerror}") from None
    return Path(text)
