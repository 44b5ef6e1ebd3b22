"""Digests of sent and of stored content (RFC 9530): parsed, chosen, written and compared."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from trio_http.semantics.field_values import is_overlong
from trio_http.semantics.tokens import TCHAR


class Hasher(Protocol):
    """A digest being computed."""

    def update(self, data: bytes | memoryview, /) -> object:
        """Add the next bytes."""
        ...

    def digest(self) -> bytes:
        """Return the digest of all bytes so far."""
        ...


# The two algorithms that RFC 9530 7.2 calls active. All others listed there are deprecated,
# because an attacker can make other content with the same digest.
ALGORITHMS: dict[str, Callable[[], Hasher]] = {
    "sha-256": hashlib.sha256,
    "sha-512": hashlib.sha512,
}

# Dictionaries (RFC 9651 3.2) without inner lists, which digests never are. In each alternative
# the next character decides, so a mismatch takes linear time.
_KEY = r"[a-z*][a-z0-9_.*\-]*"
_BYTES = r":[A-Za-z0-9+/=]*:"
_ITEM = "|".join(
    [
        _BYTES,
        r"-?[0-9]{1,15}(?:\.[0-9]{1,3})?",
        r'%?"(?:[ !#-\[\]-~]|\\["\\])*"',
        rf"[A-Za-z*][{TCHAR}:/]*",
        r"\?[01]",
        r"@-?[0-9]{1,15}",
    ]
)
_MEMBER = re.compile(rf"({_KEY})(?:=({_ITEM}))?(?:; *{_KEY}(?:=(?:{_ITEM}))?)*")
_SEPARATOR = re.compile(r"[ \t]*,[ \t]*")

_PREFERENCE = re.compile(r"10|[0-9]")


@dataclass(frozen=True, slots=True)
class Digest:
    """A digest and its algorithm; ``str`` returns both in the syntax of fields."""

    algorithm: str
    value: bytes

    def __str__(self) -> str:
        return f"{self.algorithm}=:{b64encode(self.value).decode()}:"


def parse_digests(field: str) -> list[Digest]:
    """Return the digests in a field, of the algorithms known to this server.

    Raises:
        ValueError: the field is overlong or malformed, even for unknown algorithms.
    """
    members = _members(field)
    return [Digest(name, _bytes_in(members[name])) for name in ALGORITHMS if name in members]


def wanted_algorithm(field: str | None) -> str | None:
    """Return the known algorithm that ``Want-Repr-Digest`` prefers, or None.

    A malformed or overlong field asks for nothing, and so does a preference of 0 (RFC 9530 4).
    """
    try:
        members = _members(field or "")
    except ValueError:
        return None
    best, most = None, 0
    for name in ALGORITHMS:
        preference = members.get(name, "0")
        if _PREFERENCE.fullmatch(preference) and int(preference) > most:
            best, most = name, int(preference)
    return best


def _members(field: str) -> dict[str, str]:
    """Return the members of a dictionary without parameters; the last of each name counts.

    A malformed or overlong dictionary raises ``ValueError``.
    """
    if is_overlong(field):
        raise ValueError("the dictionary is too long")
    text = field.strip(" ")
    members: dict[str, str] = {}
    position = 0
    # A comma must be followed by a member, never by the end of the text.
    while text:
        match = _MEMBER.match(text, position)
        if match is None:
            raise ValueError("the dictionary is malformed")
        members[match[1]] = match[2] or "?1"  # RFC 9651 3.2: without a value it is true
        position = match.end()
        if position == len(text):
            return members
        separator = _SEPARATOR.match(text, position)
        if separator is None:
            raise ValueError("the dictionary is malformed")
        position = separator.end()
    return members


def _bytes_in(item: str) -> bytes:
    if not re.fullmatch(_BYTES, item):
        raise ValueError("a digest is not a byte sequence")
    encoded = item[1:-1]
    padding = "=" * (-len(encoded) % 4)  # it may be left out (RFC 9651 4.2.7)
    return b64decode(encoded + padding, validate=True)


class Verification:
    """A comparison of received bytes with the digests that the sender promised."""

    def __init__(self, promised: Iterable[Digest]) -> None:
        self._promised = [(digest, ALGORITHMS[digest.algorithm]()) for digest in promised]

    def update(self, data: bytes | memoryview) -> None:
        """Add the next bytes; this may take a while."""
        for _, hasher in self._promised:
            hasher.update(data)

    def holds(self) -> bool:
        """Return whether the bytes so far have all promised digests."""
        return all(digest.value == hasher.digest() for digest, hasher in self._promised)
