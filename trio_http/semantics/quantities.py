"""Descriptions of configurable numbers and switches.

A dataclass field carries its description as metadata. Docstrings, command-line options,
environment variables and the README's table are generated from it, so they always agree.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from inspect import cleandoc
from textwrap import wrap
from typing import Any, Literal, TypeAlias, TypeVar

Unit: TypeAlias = Literal["seconds", "bytes", "fields", "connections"]

Described = TypeVar("Described")

_COUNT: Mapping[str, float] = {"": 1}
_SCALES: Mapping[Unit, Mapping[str, float]] = {
    "seconds": {"": 1, "ms": 0.001, "s": 1, "min": 60, "h": 3600},
    "bytes": {"": 1, "B": 1, "kB": 1000, "KiB": 1024, "MB": 1000**2, "MiB": 1024**2}
    | {"GB": 1000**3, "GiB": 1024**3, "TB": 1000**4, "TiB": 1024**4},
    "fields": _COUNT,
    "connections": _COUNT,
}
_EXAMPLES: Mapping[Unit, str] = {
    "seconds": "75, 500ms or 5min",
    "bytes": "32768 or 32KiB",
    "fields": "100",
    "connections": "1000",
}

# The digits are limited because int() takes quadratic time for thousands of them.
_NUMBER = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]*)", re.ASCII)

# Users write this word for infinity.
NONE = "none"

_KEY = "quantity"


@dataclass(frozen=True, slots=True)
class Quantity:
    """The description of a number.

    Args:
        unit: the unit of the number.
        meaning: a phrase for help texts.
        reason: why the default was chosen, in sentences.
        least: the smallest valid number.
        most: the largest valid number. If it is finite, only whole numbers are valid.
    """

    unit: Unit
    meaning: str
    reason: str
    least: float = 0
    most: float = math.inf

    def parse(self, text: str) -> float:
        """Parse a number with an optional unit, such as ``75``, ``32KiB`` or ``none``.

        Raises:
            ValueError: the text is malformed, or the number is too small or too large.
        """
        if text == NONE and self.most == math.inf:
            return math.inf
        match = _NUMBER.fullmatch(text)
        scales = {name.lower(): scale for name, scale in _SCALES[self.unit].items()}
        scale = scales.get(match[2].lower()) if match else None
        if match is None or scale is None:
            raise ValueError(
                f"not a valid number of {self.unit}, such as {self._examples()}: {text}"
            )
        number: float = int(match[1]) if match[1].isdigit() else float(match[1])
        number *= scale
        if self.unit != "seconds":
            if number != int(number):
                raise ValueError(f"not a whole number of {self.unit}: {text}")
            number = int(number)
        self.check(number)
        return number

    def _examples(self) -> str:
        return _EXAMPLES[self.unit] + (f" ({NONE}: no limit)" if self.most == math.inf else "")

    def text_of(self, number: float) -> str:
        """Return the shortest text that ``parse`` reads as this number."""
        if number == math.inf:
            return NONE
        if self.unit == "bytes" and number:
            for name in ("TiB", "GiB", "MiB", "KiB"):
                if number % _SCALES["bytes"][name] == 0:
                    return f"{number / _SCALES['bytes'][name]:.0f}{name}"
        return f"{number:.12g}"

    def check(self, number: float) -> None:
        """Raise ``ValueError`` if a number is not valid; the message says which numbers are."""
        if not number >= self.least:  # not `<`, because every comparison with NaN is false
            raise ValueError(f"must be {self.least} or more, not {number}")
        if number > self.most:
            raise ValueError(f"must be at most {self.text_of(self.most)}, not {number}")
        if self.most < math.inf and not isinstance(number, int):
            raise ValueError(f"must be a whole number, not {number}")


@dataclass(frozen=True, slots=True)
class Switch:
    """The description of a setting that is on or off.

    Args:
        meaning: a phrase for help texts.
        reason: why the default was chosen, in sentences.
    """

    meaning: str
    reason: str

    def text_of(self, value: object) -> str:
        """Return ``yes`` or ``no``."""
        return "yes" if value else "no"


def described(default: float, description: Quantity | Switch) -> Any:
    """Return a dataclass field that has a description as metadata."""
    return field(default=default, metadata={_KEY: description})


def described_fields(kind: Any) -> Iterator[tuple[str, Any, Quantity | Switch]]:
    """Yield the name, the default and the description of each field that has one."""
    for each in fields(kind):
        description: Quantity | Switch | None = each.metadata.get(_KEY)
        if description is not None:
            yield each.name, each.default, description


def quantities_of(numbers: Any) -> Iterator[tuple[str, float, Quantity]]:
    """Yield the name, the default and the description of each field that is a number.

    Args:
        numbers: a dataclass, or one of its instances.
    """
    for name, default, description in described_fields(numbers):
        if isinstance(description, Quantity):
            yield name, default, description


def check(numbers: Any) -> None:
    """Raise ``ValueError`` for the first field whose number is not valid."""
    for name, _, quantity in quantities_of(numbers):
        try:
            quantity.check(getattr(numbers, name))
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None


def documented(numbers: type[Described]) -> type[Described]:
    """Append the descriptions of the fields to the docstring of a dataclass."""
    lines = [cleandoc(numbers.__doc__ or ""), "", "Args:"]
    for name, default, each in described_fields(numbers):
        text = f"{name}: {each.meaning} (default: {each.text_of(default)})."
        lines += wrap(
            f"{text} {each.reason}", 92, initial_indent=" " * 4, subsequent_indent=" " * 8
        )
    numbers.__doc__ = "\n".join(lines) + "\n"
    return numbers
