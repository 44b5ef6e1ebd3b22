"""Where the body of a request ends, followed byte by byte ahead of h11.

h11 reads a chunked body, but more than RFC 9112 7.1 lets it. So bytes pass
through here first: only those that belong to the body, and are well-formed,
go on to h11. What comes after them stays where it is, for the next request.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TypeAlias

from trio_http.http1.strict import parse_field
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.limits import Limits

# A chunk's size and its extensions, which nobody uses; many small chunks with
# long extensions would be work for nothing.
_CHUNK_LINE = 256

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
# RFC 9112 7.1 and 7.1.1, with blanks around ``;`` and ``=`` and nowhere else.
# Fifteen digits are more than any disk holds.
_EXTENSION = rb";[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?" % (_TOKEN, _TOKEN, _QUOTED)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})(?:([ \t]*)%b(?:[ \t]*%b)*)?" % (_EXTENSION, _EXTENSION))


class Counted:
    """A body of so many bytes."""

    def __init__(self, length: int) -> None:
        self._rest = length

    def take(self, received: bytes | bytearray) -> int:
        """How many of the bytes at hand belong to the body and may go on to h11."""
        size = min(self._rest, len(received))
        self._rest -= size
        return size

    def as_h11_reads(self, taken: bytes) -> bytes:
        """Return these bytes as they are: h11 counts them, too."""
        return taken


class _At(Enum):
    CHUNK = "a chunk's size"
    DATA = "its data"
    DATA_END = "the line ending after that"
    TRAILERS = "the fields behind the last chunk"
    END = "what comes after the body"


class Chunked:
    """A chunked body; raises ``HTTPError`` where its framing is not as it should be."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._at = _At.CHUNK
        self._rest = 0  # bytes of the current chunk
        self._trailers = 0  # lines of trailers so far
        self._blanks: list[int] = []  # where those begin and end that h11 does not take

    def take(self, received: bytes | bytearray) -> int:
        """How many of the bytes at hand belong to the body and may go on to h11.

        Lines go on whole. What is no complete line yet stays until it is one,
        and what is well-formed is read before what comes behind it is refused.
        """
        position = 0
        self._blanks.clear()
        while True:
            try:
                size = self._step(received, position)
            except HTTPError:
                if position == 0:
                    raise
                return position
            if size is None:
                return position
            position += size

    def as_h11_reads(self, taken: bytes) -> bytes:
        """Return what the last ``take`` has counted, less the blanks that h11 does not take.

        RFC 9112 7.1.1 lets blanks precede the semicolon of an extension, and RFC 9110
        5.6.3 has a recipient remove them.
        """
        if not self._blanks:
            return taken
        ends, starts = [0, *self._blanks[1::2]], [*self._blanks[::2], len(taken)]
        return b"".join([taken[end:start] for end, start in zip(ends, starts, strict=True)])

    def _step(self, received: bytes | bytearray, position: int) -> int | None:
        """Pass one part of the framing; None where more bytes are needed, or none belong to it."""
        match self._at:
            case _At.CHUNK:
                return self._chunk_line(received, position)
            case _At.DATA:
                size = min(self._rest, len(received) - position)
                self._rest -= size
                if self._rest == 0:
                    self._at = _At.DATA_END
                return size or None
            case _At.DATA_END:
                ending = received[position : position + 2]
                if not b"\r\n".startswith(ending):
                    raise _malformed()
                if len(ending) < 2:
                    return None
                self._at = _At.CHUNK
                return 2
            case _At.TRAILERS:
                return self._trailer_line(received, position)
            case _:
                return None

    def _chunk_line(self, received: bytes | bytearray, position: int) -> int | None:
        line = _line(received, position, _CHUNK_LINE)
        if line is None:
            return None
        match = _CHUNK.fullmatch(line)
        if match is None:
            raise _malformed()
        self._rest = int(match[1], 16)
        if match[2]:  # blanks before the first extension; what follows, h11 skips
            self._blanks += [position + match.start(2), position + match.end(2)]
        self._at = _At.DATA if self._rest else _At.TRAILERS
        return len(line) + 2

    def _trailer_line(self, received: bytes | bytearray, position: int) -> int | None:
        line = _line(received, position, self._limits.head)
        if line is None:
            return None
        if not line:
            self._at = _At.END
            return 2
        parse_field(line)
        self._trailers += 1
        if self._trailers > self._limits.fields:
            raise HTTPError(431, f"at most {self._limits.fields} trailers are read")
        return len(line) + 2


Framing: TypeAlias = Counted | Chunked


def _line(received: bytes | bytearray, position: int, most: int) -> bytes | None:
    """The line that begins there, without its ending, or None while it has none."""
    end = received.find(b"\r\n", position, position + most + 2)
    if end >= 0:
        return bytes(received[position:end])
    rest = received[position : position + most + 2]
    if len(rest) > most or b"\n" in rest or b"\r" in rest[:-1]:
        raise _malformed()
    return None


def _malformed() -> HTTPError:
    return HTTPError(400, "the request body is malformed")
