"""The error of a command that was told something wrong."""

from __future__ import annotations


class WrongUseError(Exception):
    """The command cannot do what it was told; the text says why, in one line."""
