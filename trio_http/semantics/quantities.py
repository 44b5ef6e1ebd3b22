"""Numbers that a user may change, and which of them make sense."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, fields
from typing import Any


def check(numbers: Any, least: Mapping[str, float]) -> None:
    """Raise ``ValueError`` for the first number that is smaller than makes sense, or NaN.

    Args:
        numbers: a dataclass whose fields are numbers.
        least: the smallest number that makes sense for a field, where that is not 0.
    """
    for field, number in zip(fields(numbers), astuple(numbers), strict=True):
        smallest = least.get(field.name, 0)
        if not number >= smallest:  # NaN is neither smaller nor larger than anything
            raise ValueError(f"{field.name} must be {smallest} or more, not {number}")
