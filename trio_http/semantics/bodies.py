"""What a message carries, described but not yet read, made or sent.

A body is plain data: it can be measured, cut, nested and compared without
touching a file or a socket. ``http1/response_body`` is the one place that runs it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

Send: TypeAlias = Callable[[bytes], Awaitable[None]]
"""Passes one piece on; returns when the client has room for more."""


@dataclass(frozen=True, slots=True)
class FileSlice:
    """Some bytes of an open file; whoever opened it keeps it open until they have left.

    Those ``at_hand`` are in memory, as far as one can know, so that to send them
    waits for no disk.
    """

    descriptor: int
    offset: int
    length: int
    at_hand: bool = False

    def __len__(self) -> int:
        return self.length

    def first(self, size: int) -> FileSlice:
        """The first so many of them."""
        return FileSlice(self.descriptor, self.offset, size)

    def behind(self, size: int) -> FileSlice:
        """What there is behind the first so many."""
        return FileSlice(self.descriptor, self.offset + size, self.length - size)


@dataclass(frozen=True, slots=True)
class Pulse:
    """The ``data`` to send whenever nothing else was sent for a number of seconds.

    ``seconds`` must be more than 0, or ``ValueError``; ``math.inf`` sends none.
    """

    seconds: float
    data: bytes

    def __post_init__(self) -> None:
        if not self.seconds > 0:  # as NaN is not, either
            raise ValueError(f"a pulse needs more than 0 seconds: {self.seconds}")


@dataclass(frozen=True, slots=True)
class Stream:
    """Bytes made while they are sent, by a function that is given ``send``.

    ``length``, where it is known, is a promise: a stream that sends more or
    less than that ends the connection, because the client cannot be told.
    """

    produce: Callable[[Send], Awaitable[None]]
    length: int | None = None
    pulse: Pulse | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """A body in a content coding (RFC 9110 8.4), not coded yet."""

    body: Body
    coding: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Bodies, one after the other."""

    parts: tuple[Body, ...]


Body: TypeAlias = bytes | FileSlice | Stream | Encoded | Chain


def length_of(body: Body) -> int | None:
    """How many bytes it is, or None where only sending can tell."""
    match body:
        case bytes():
            return len(body)
        case FileSlice() | Stream():
            return body.length
        case Encoded():
            return None
        case Chain():
            total = 0
            for part in body.parts:
                length = length_of(part)
                if length is None:
                    return None
                total += length
            return total
        case _:
            raise TypeError(f"not a body: {body!r}")
