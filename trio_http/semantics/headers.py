"""The header fields of a message, in the order in which they are sent.

Names and values are stored as bytes and decoded on access. Text is UTF-8; bytes that are not
valid UTF-8 become surrogates, so that received fields can be sent unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import TypeAlias

from trio_http.semantics.tokens import is_token

Fields = Mapping[str, str] | Iterable[tuple[str, str]]
RawFields: TypeAlias = tuple[tuple[bytes, bytes], ...]

# RFC 9110 5.5: visible characters and obs-text, with spaces and tabs only between them.
_VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff]+(?:[ \t]+[\x21-\x7e\x80-\xff]+)*)?")

# Clients send the same header fields again and again. The parsed form of blocks of up to this
# many bytes is cached.
KEPT = 1024


def text_of(raw: bytes) -> str:
    """Return the text for some bytes; ``bytes_of`` returns exactly the same bytes."""
    return raw.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """Return the bytes of a text; the inverse of ``text_of``."""
    return text.encode("utf-8", "surrogateescape")


@lru_cache(maxsize=1024)
def _folded_name(name: str) -> bytes:
    return bytes_of(name).lower()  # as bytes, because str.lower() changes more than ASCII


@lru_cache(maxsize=1024)
def _checked(name: str, value: str) -> tuple[bytes, bytes]:
    raw_name, raw_value = bytes_of(name), bytes_of(value)
    if not is_token(raw_name):
        raise ValueError(f"not a field name: {name!r}")
    if not _VALUE.fullmatch(raw_value):
        raise ValueError(f"not a field value, for {name}: {value!r}")
    return raw_name, raw_value


class Headers:
    """The header fields of a message: ordered, repeatable, case-insensitive, immutable.

    ``headers["Name"]`` raises ``KeyError`` for an absent field; ``get`` returns None.
    ``name in headers`` and iteration over pairs of texts work as in a mapping, except that a
    name can occur more than once.

    Args:
        fields: pairs of texts, or a mapping. Values are texts, so convert numbers first.

    Attributes:
        raw: the pairs as bytes.

    Raises:
        ValueError: a name or a value is malformed (RFC 9110 5.1, 5.5), such as a value with a
            line break, with NUL, or with spaces at an end. A client's value therefore cannot
            add fields to a response.
    """

    __slots__ = ("_names", "raw")
    raw: RawFields

    def __init__(self, fields: Fields = ()) -> None:
        pairs = fields.items() if isinstance(fields, Mapping) else fields
        self.raw = tuple([_checked(name, value) for name, value in pairs])
        self._names: frozenset[bytes] | None = None  # in lower case, computed on first use

    @classmethod
    def received(cls, raw: Iterable[tuple[bytes, bytes]]) -> Headers:
        """Return header fields that a parser has already checked, without checking them again."""
        headers = cls.__new__(cls)
        headers.raw = tuple(raw)
        headers._names = None  # noqa: SLF001 - of this same class
        return headers

    @staticmethod
    def parse(block: bytes) -> Headers:
        """Return the header fields in well-formed lines, each ending with CRLF (RFC 9112 5)."""
        return _parsed(block) if len(block) <= KEPT else _parse(block)

    @property
    def names(self) -> frozenset[bytes]:
        """The names of all fields, in lower case.

        They are computed once, because most look-ups are for absent fields.
        """
        if self._names is None:
            self._names = frozenset([found.lower() for found, _ in self.raw])
        return self._names

    def raw_values(self, name: str) -> list[bytes]:
        """Return the value of each field with this name, in order, as bytes."""
        wanted = _folded_name(name)
        if wanted not in self.names:
            return []
        return [value for found, value in self.raw if found.lower() == wanted]

    def values(self, name: str) -> list[str]:
        """Return the value of each field with this name, in order; an empty list if absent.

        Use it for ``Set-Cookie`` and ``Cookie``, whose values cannot be joined with commas.
        """
        return [text_of(value) for value in self.raw_values(name)]

    def get(self, name: str) -> str | None:
        """Return the values of a field joined with commas (RFC 9110 5.2), or None if absent."""
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
        """Return these header fields plus one more, even if the name is already present."""
        return Headers.received((*self.raw, _checked(name, value)))

    def without(self, name: str) -> Headers:
        """Return these header fields without those of this name."""
        unwanted = _folded_name(name)
        if unwanted not in self.names:
            return self
        return Headers.received(pair for pair in self.raw if pair[0].lower() != unwanted)

    def replacing(self, name: str, value: str) -> Headers:
        """Return these header fields with this field in place of all with the same name."""
        return self.without(name).adding(name, value)

    def defaulting(self, name: str, value: str) -> Headers:
        """Return these header fields, plus this field if its name is absent."""
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
