"""Where the body of a request ends, followed byte by byte ahead of h11.

h11 reads a chunked body, but more than RFC 9112 7.1 lets it, and takes 25 us for
each chunk. So chunks are read here. h11 is told of the last one and given what
belongs to the trailers, well-formed and in whole lines: it has the say on these,
and on what may follow. What comes after the body stays for the next request.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from trio_http.http1.field_lines import parse_field
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.field_values import LENGTH
from trio_http.semantics.limits import Limits
from trio_http.semantics.tokens import TOKEN

_LENGTH = re.compile(LENGTH.encode())

# A chunk's size and its extensions, which nobody uses; many small chunks with
# long extensions would be work for nothing.
_CHUNK_LINE = 256

_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
# RFC 9112 7.1 and 7.1.1, with blanks around ``;`` and ``=`` and nowhere else.
# Fifteen digits are more than any disk holds.
_EXTENSION = rb"[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?" % (TOKEN, TOKEN, _QUOTED)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})(?:%b)*" % _EXTENSION)

# The first line of almost every chunk.
_PLAIN_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")

# The framing of a chunk is five bytes or more. So chunks of three bytes and more, such as
# lines and records, are always in proportion to their data. A client that sends single
# bytes, such as pressed keys or measured values, may do so for ever at 200 a second.
_FRAMING_PER_BYTE = 2  # bytes of framing for each byte of data
_FRAMING_PER_SECOND = 1024  # bytes of framing

# A chunk takes about two microseconds, so other tasks wait for a millisecond at most.
CHUNKS_AT_ONCE = 500


def check_framing(lengths: list[bytes], codings: list[bytes], version: bytes) -> None:
    """One way to tell where the body ends, and no other (RFC 9112 6)."""
    if codings and lengths:
        raise HTTPError(400, "both Transfer-Encoding and Content-Length")
    if len(lengths) > 1 or any(not _LENGTH.fullmatch(length) for length in lengths):
        raise HTTPError(400, "malformed Content-Length")
    if codings:
        if version == b"1.0":
            raise HTTPError(400, "Transfer-Encoding is unknown to HTTP/1.0")
        *others, last = [coding.strip(b" \t").lower() for coding in b",".join(codings).split(b",")]
        if last != b"chunked" or b"chunked" in others:
            raise HTTPError(400, "the last transfer coding, and only that, has to be chunked")
        if others:
            raise HTTPError(501, "no transfer coding but chunked is known")


class Counted:
    """A body of so many bytes."""

    def __init__(self, length: int) -> None:
        self._rest = length

    def take(self, received: bytes | bytearray) -> int:
        """How many of the bytes at hand belong to the body and may go on to h11."""
        size = min(self._rest, len(received))
        self._rest -= size
        return size


class Chunked:
    """A chunked body; raises ``HTTPError`` where its framing is not as it should be.

    ``read`` returns its data until the last chunk has been read, and ``take`` then counts
    the trailers for h11. ``framing`` is the number of bytes so far that were not data.
    """

    def __init__(self, limits: Limits) -> None:
        self.framing: int = 0
        self.is_at_trailers: bool = False
        """Whether the last chunk has been read."""
        self._limits = limits
        self._rest = 0  # bytes of the current chunk
        self._is_within = False  # whether the line ending of the current chunk has not come yet
        self._trailers = 0  # lines of trailers so far
        self._is_over = False

    def read(self, received: bytes | bytearray) -> tuple[int, list[bytes | bytearray]]:
        """Return the number of bytes that are read, and the pieces of data among them.

        At most ``CHUNKS_AT_ONCE`` chunks are read. An incomplete line stays until it is
        complete, and what is well-formed is read before what follows is refused.
        """
        position = 0
        pieces: list[bytes | bytearray] = []
        try:
            while len(pieces) < CHUNKS_AT_ONCE and not self.is_at_trailers:
                if self._rest:
                    data = received[position : position + self._rest]
                    if not data:
                        break
                    pieces.append(data)
                    position += len(data)
                    self._rest -= len(data)
                elif self._is_within:
                    if not _ends_line(received, position):
                        break
                    position += 2
                    self._is_within = False
                else:
                    end = self._read_size(received, position)
                    if end is None:
                        break
                    position = end
        except HTTPError:
            if position == 0:
                raise
        self.framing += position - sum(map(len, pieces))
        return position, pieces

    def check_proportion(self, data: int, seconds: float) -> None:
        """Refuse a body with too much framing for its ``data``, in bytes, and its duration."""
        due = _FRAMING_PER_BYTE * data + _FRAMING_PER_SECOND * seconds
        if self.framing > self._limits.framing + due:
            raise HTTPError(400, "the request body is cut into chunks that are too small")

    def _read_size(self, received: bytes | bytearray, position: int) -> int | None:
        """Read a chunk's first line and return where it ends; None while it is incomplete."""
        match = _PLAIN_CHUNK.match(received, position)
        if match is not None:
            end = match.end()
        else:
            line = _line(received, position, _CHUNK_LINE)
            if line is None:
                return None
            match = _CHUNK.fullmatch(line)
            if match is None:
                raise _malformed()
            end = position + len(line) + 2
        self._rest = int(match[1], 16)
        self._is_within = self._rest > 0
        self.is_at_trailers = not self._is_within
        return end

    def take(self, received: bytes | bytearray) -> int:
        """Return the number of bytes that are trailers, in whole lines, for h11 to read."""
        position = 0
        while not self._is_over:
            try:
                line = _line(received, position, self._limits.head)
                if line:
                    self._check_trailer(line)
            except HTTPError:
                if position == 0:
                    raise
                break
            if line is None:
                break
            self._is_over = not line
            position += len(line) + 2
        return position

    def _check_trailer(self, line: bytes) -> None:
        parse_field(line)
        self._trailers += 1
        if self._trailers > self._limits.fields:
            raise HTTPError(431, f"at most {self._limits.fields} trailers are read")


Framing: TypeAlias = Counted | Chunked


def _ends_line(received: bytes | bytearray, position: int) -> bool:
    """Return whether there is a line ending; false while it is incomplete."""
    ending = received[position : position + 2]
    if not b"\r\n".startswith(ending):
        raise _malformed()
    return len(ending) == 2


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
