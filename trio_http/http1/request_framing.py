"""The framing of a request body: which fields and which bytes tell where it ends.

h11 accepts more than RFC 9112 7.1 allows and takes 25 us per chunk, so this module parses the
chunks. h11 gets the last chunk and the trailers, in well-formed whole lines: it parses these
and knows what may follow. Bytes after the body are left for the next request.
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

# Bytes of a chunk's size and extensions. No client uses extensions; many small chunks with
# long ones would only cost time.
_CHUNK_LINE = 256

_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
# RFC 9112 7.1 and 7.1.1: white space is allowed around ``;`` and ``=`` only. Fifteen digits
# can say more bytes than any disk holds.
_EXTENSION = rb"[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?" % (TOKEN, TOKEN, _QUOTED)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})(?:%b)*" % _EXTENSION)

# Almost every chunk begins like this.
_PLAIN_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})\r\n")

# A chunk has at least five bytes of framing. So chunks of three or more bytes, such as lines
# and records, are never refused. A client that sends single bytes, such as key presses or
# measured values, may send 200 per second for ever.
_FRAMING_PER_BYTE = 2  # bytes of framing allowed per byte of data
_FRAMING_PER_SECOND = 1024  # bytes of framing allowed per second

# A chunk takes about two microseconds, so other tasks wait for at most a millisecond.
CHUNKS_AT_ONCE = 500


def check_framing(lengths: list[bytes], codings: list[bytes], version: bytes) -> None:
    """Refuse contradictory or malformed framing fields (RFC 9112 6)."""
    if codings and lengths:
        raise HTTPError(400, "Transfer-Encoding and Content-Length exclude each other")
    if len(lengths) > 1 or any(not _LENGTH.fullmatch(length) for length in lengths):
        raise HTTPError(400, "malformed Content-Length")
    if codings:
        if version == b"1.0":
            raise HTTPError(400, "HTTP/1.0 does not allow Transfer-Encoding")
        *others, last = [coding.strip(b" \t").lower() for coding in b",".join(codings).split(b",")]
        if last != b"chunked" or b"chunked" in others:
            raise HTTPError(400, "chunked must be the last transfer coding, and occur once")
        if others:
            raise HTTPError(501, "chunked is the only supported transfer coding")


class Counted:
    """A body of ``length`` bytes."""

    def __init__(self, length: int) -> None:
        self._rest = length

    def take(self, received: bytes | bytearray) -> int:
        """Return the number of received bytes that belong to the body, for h11 to read."""
        size = min(self._rest, len(received))
        self._rest -= size
        return size


class Chunked:
    """The parser of a chunked body; raises ``HTTPError`` if the framing is malformed.

    ``read`` returns data until the last chunk has been read; after that, ``take`` counts the
    trailers for h11.
    """

    def __init__(self, limits: Limits) -> None:
        self.framing: int = 0
        """The number of bytes read so far that were not data."""
        self.is_at_trailers: bool = False
        """True once the last chunk has been read."""
        self._limits = limits
        self._rest = 0  # unread bytes of the current chunk
        self._is_within = False  # whether the line ending of the current chunk is still unread
        self._trailers = 0  # trailer lines read so far
        self._is_over = False

    def read(self, received: bytes | bytearray) -> tuple[int, list[bytes | bytearray]]:
        """Return the number of bytes read, and the pieces of data among them.

        Reads at most ``CHUNKS_AT_ONCE`` chunks, and an incomplete line only once it is
        complete. Well-formed chunks before a malformed one are returned; the next call raises.
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
        """Refuse a body with too much framing for ``data`` bytes of data in ``seconds``."""
        due = _FRAMING_PER_BYTE * data + _FRAMING_PER_SECOND * seconds
        if self.framing > self._limits.framing + due:
            raise HTTPError(400, "the request body is cut into chunks that are too small")

    def _read_size(self, received: bytes | bytearray, position: int) -> int | None:
        """Read the first line of a chunk and return the end position; None if incomplete."""
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
        """Return the number of received bytes in whole lines of trailers, for h11 to read."""
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
            raise HTTPError(431, f"the request has more than {self._limits.fields} trailers")


Framing: TypeAlias = Counted | Chunked


def _ends_line(received: bytes | bytearray, position: int) -> bool:
    """Return whether a line ending at ``position`` is complete; raise for other bytes."""
    ending = received[position : position + 2]
    if not b"\r\n".startswith(ending):
        raise _malformed()
    return len(ending) == 2


def _line(received: bytes | bytearray, position: int, most: int) -> bytes | None:
    """Return the line of up to ``most`` bytes at ``position``; None if it is incomplete."""
    end = received.find(b"\r\n", position, position + most + 2)
    if end >= 0:
        return bytes(received[position:end])
    rest = received[position : position + most + 2]
    if len(rest) > most or b"\n" in rest or b"\r" in rest[:-1]:
        raise _malformed()
    return None


def _malformed() -> HTTPError:
    return HTTPError(400, "the request body is malformed")
