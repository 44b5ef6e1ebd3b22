"""Response bodies as data, not yet read, produced or sent.

A body can be measured, cut, nested and compared without touching a file or a socket. Only
``http1/response_body`` runs it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

Send: TypeAlias = Callable[[bytes], Awaitable[None]]
"""Sends one piece of a body; returns when the client has room for more."""


@dataclass(frozen=True, slots=True)
class FileSlice:
    """A range of the bytes of an open file.

    The server does not close the descriptor. It must stay open until the response has been
    sent, so a handler cannot close it before returning: an App can respond within
    ``with open(...)``, and ``files`` serves whole directories.

    Args:
        descriptor: the file descriptor.
        offset: the position of the first byte.
        length: the number of bytes. If the file ends earlier, the connection is closed.
        at_hand: whether the bytes are probably in memory, so that sending them does not wait
            for the disk.
    """

    descriptor: int
    offset: int
    length: int
    at_hand: bool = False

    def __len__(self) -> int:
        return self.length

    def first(self, size: int) -> FileSlice:
        """Return the first ``size`` bytes."""
        return FileSlice(self.descriptor, self.offset, size)

    def after(self, size: int) -> FileSlice:
        """Return everything after the first ``size`` bytes."""
        return FileSlice(self.descriptor, self.offset + size, self.length - size)


@dataclass(frozen=True, slots=True)
class Pulse:
    """Bytes that a stream sends whenever it has been silent for some time.

    The bytes become part of the body, so they must be meaningless to the client, such as a
    comment in server-sent events.

    Args:
        seconds: the silence after which the bytes are sent; ``math.inf`` for never.
        data: the bytes.

    Raises:
        ValueError: ``seconds`` is not positive.
    """

    seconds: float
    data: bytes

    def __post_init__(self) -> None:
        if not self.seconds > 0:  # also rejects NaN
            raise ValueError(f"a pulse needs more than 0 seconds: {self.seconds}")


@dataclass(frozen=True, slots=True)
class Stream:
    """A body that is produced while it is sent.

    It can be sent once: make a new one for each response. An exception raised by ``produce``
    closes the connection, because the head of the response has already been sent.

    Args:
        produce: called with ``send``, an async function that takes bytes and returns when the
            client has room for more. The body ends when ``produce`` returns. If the client
            leaves, ``produce`` is cancelled, or ``send`` raises ``ClientDisconnected``.
        length: the number of bytes, if known in advance. Sending more or fewer closes the
            connection.
        pulse: bytes to send in times of silence.
    """

    produce: Callable[[Send], Awaitable[None]]
    length: int | None = None
    pulse: Pulse | None = None


@dataclass(frozen=True, slots=True)
class Encoded:
    """A body to be sent in a content coding (RFC 9110 8.4).

    The server creates these itself; see ``Response.compress``.

    Args:
        body: the content before it is coded.
        coding: ``gzip``, or ``br`` and ``zstd`` if the extra ``codings`` is installed.
    """

    body: Body
    coding: str


@dataclass(frozen=True, slots=True)
class Chain:
    """A body made of several bodies, sent one after the other.

    Args:
        parts: the bodies. The length of the chain is known if that of each part is.
    """

    parts: tuple[Body, ...]


Body: TypeAlias = bytes | FileSlice | Stream | Encoded | Chain


def length_of(body: Body) -> int | None:
    """Return the length of a body in bytes, or None if unknown until it is sent."""
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
