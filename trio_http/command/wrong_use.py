"""The error that ends a command with exit status 2."""

from __future__ import annotations


class WrongUseError(Exception):
    """A wrong option, argument or app; the message is shown to the user as one line."""
