"""The fields of a message, in order, as they are on the wire.

Names and values stay bytes until somebody asks. Text is UTF-8 in which other
bytes survive as surrogates, so whatever came in can go out again unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TypeAlias

from trio_http.semantics.tokens import is_token

Fields = Mapping[str, str] | Iterable[tuple[str, str]]
RawFields: TypeAlias = tuple[tuple[bytes, bytes], ...]

# RFC 9110 5.5: visible characters, obs-text, and blanks only between them.
_VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff]+(?:[ \t]+[\x21-\x7e\x80-\xff]+)*)?")

# Clients send the same fields again and again. Of short ones it is known for a while
# what they are when taken apart.
KEPT = 1024


def text_of(raw: bytes) -> str:
    """Text that ``bytes_of`` turns back into exactly these bytes."""
    return raw.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """The bytes that a text stands for."""
    return text.encode("utf-8", "surrogateescape")


@lru_cache(maxsize=1024)
def _folded_name(name: str) -> bytes:
    return bytes_of(name).lower()  # bytes, because text folds more than ASCII


@lru_cache(maxsize=1024)
def _checked(name: str, value: str) -> tuple[bytes, bytes]:
    raw_name, raw_value = bytes_of(name), bytes_of(value)
    if not is_token(raw_name):
        raise ValueError(f"not a field name: {name!r}")
    if not _VALUE.fullmatch(raw_value):
        raise ValueError(f"not a field value, for {name}: {value!r}")
    return raw_name, raw_value


class Headers:
    """A message's fields: ordered, repeatable, found in any case, never changed.

    ``raw`` is the pairs of bytes. A name or value that RFC 9110 5.1 and 5.5 do
    not allow (a line break, NUL, blanks at an end) raises ``ValueError`` where
    the fields are made, so it surfaces in the handler that wrote it.
    """

    __slots__ = ("_names", "raw")
    raw: RawFields

    def __init__(self, fields: Fields = ()) -> None:
        pairs = fields.items() if isinstance(fields, Mapping) else fields
        self.raw = tuple([_checked(name, value) for name, value in pairs])
        self._names: frozenset[bytes] | None = None  # in lower case, once somebody asks

    @classmethod
    def received(cls, raw: Iterable[tuple[bytes, bytes]]) -> Headers:
        """Fields that a parser has checked already."""
        headers = cls.__new__(cls)  # there is nothing to check
        headers.raw = tuple(raw)
        headers._names = None  # noqa: SLF001 - it is one of these
        return headers

    @staticmethod
    def parse(block: bytes) -> Headers:
        """Fields from well-formed lines, each with its CRLF (RFC 9112 5)."""
        return _parsed(block) if len(block) <= KEPT else _parse(block)

    @property
    def names(self) -> frozenset[bytes]:
        """The names of all lines, in lower case.

        They are gathered once: most questions about a message are about fields
        that it does not have.
        """
        if self._names is None:
            self._names = frozenset([found.lower() for found, _ in self.raw])
        return self._names

    def raw_values(self, name: str) -> list[bytes]:
        """The value of each line with this name, in order."""
        wanted = _folded_name(name)
        if wanted not in self.names:
            return []
        return [value for found, value in self.raw if found.lower() == wanted]

    def values(self, name: str) -> list[str]:
        """The value of each line with this name, as text."""
        return [text_of(value) for value in self.raw_values(name)]

    def get(self, name: str) -> str | None:
        """The field's value, its lines joined with commas (RFC 9110 5.2), or None."""
        values = self.raw_values(name)
        return text_of(b", ".join(values)) if values else None

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: str) -> bool:
        return _folded_name(name) in self.names

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((text_of(name), text_of(value)) for name, value in self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def adding(self, name: str, value: str) -> Headers:
        """These fields and one line more."""
        return Headers.received((*self.raw, _checked(name, value)))

    def without(self, name: str) -> Headers:
        """These fields less every line with this name."""
        unwanted = _folded_name(name)
        if unwanted not in self.names:
            return self
        return Headers.received(pair for pair in self.raw if pair[0].lower() != unwanted)

    def replacing(self, name: str, value: str) -> Headers:
        """These fields, with this line in place of all that had its name."""
        return self.without(name).adding(name, value)

    def defaulting(self, name: str, value: str) -> Headers:
        """These fields, with this line where none has its name yet."""
        return self if name in self else self.adding(name, value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return self._folded() == other._folded()

    def __hash__(self) -> int:
        return hash(self._folded())

    def _folded(self) -> tuple[tuple[bytes, bytes], ...]:
        return tuple([(name.lower(), value) for name, value in self.raw])

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"


def _parse(block: bytes) -> Headers:
    pairs = [line.partition(b":") for line in block.split(b"\r\n")[:-1]]
    return Headers.received([(name, value.strip(b" \t")) for name, _, value in pairs])


_parsed = lru_cache(maxsize=256)(_parse)

NO_FIELDS = Headers()
