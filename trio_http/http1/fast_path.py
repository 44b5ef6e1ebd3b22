"""The codec for plain exchanges, which almost all are: reads and writes them without h11.

A plain request has one ``Host``, at most a plain ``Content-Length`` and ``Expect``, and no
other field that touches the framing or the connection. One expression recognises its whole
head, in a hundredth of the time that h11 takes. This is no second authority: every head
that is recognised is one that ``head_validation`` and h11 accept and read alike, and what
is sent is what h11 would send. The tests prove that;
``Behavior.fast_path`` turns it off.
"""

from __future__ import annotations

import re

from trio_http.http1.codec import RequestHead
from trio_http.http1.field_lines import lines_of
from trio_http.http1.head_validation import check_sizes
from trio_http.http1.response_framing import CHUNK_END, FramedResponse, Streamed
from trio_http.semantics.authority import PORT
from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.field_values import LENGTH
from trio_http.semantics.headers import RawFields
from trio_http.semantics.limits import Limits
from trio_http.semantics.tokens import TCHAR

# Fields that h11 has to judge. Every name that begins like one of these is left
# to it: a head that is not plain costs time, and nothing else.
_SPECIAL = (
    rb"content-length|transfer-encoding:|connection:|expect:|upgrade:|host:|te:|"
    rb"trailer|proxy-|http2-|keep-alive:"
)

# A name that begins with none of these letters needs no comparison with the list.
_FIRST = rb"(?=[CcEeHhKkPpTtUu])"

# Of IPv6 addresses only the loopback's: h11 gets the others, as not every sequence
# of groups is one, and an expression that can tell costs half a millisecond to load.
# A longer name than any that there can be is left to ``head_validation``, which refuses it.
# The letter of its own is compared before the engine tries the branch.
_HOST = rb"[Hh](?i:ost): ?(?:[A-Za-z0-9\-._]{1,255}|\[::1\])(?::(?:%b)\r\n|\r\n)" % PORT.encode()

_TCHAR = f"[{TCHAR}]".encode()

# Only the two usual values of Connection are plain, only the spelling of a length
# that every reader takes for the same number, and the one expectation that there
# is (RFC 9110 10.1.1).
_OTHERS = (
    rb"(?:(?!%b(?i:%b))%b++:[\t -~\x80-\xff]*+\r\n"
    rb"|(?i:connection): ?(?:keep-alive|(close))\r\n"
    rb"|(?i:content-length): ?(%b)\r\n"
    rb"|(?i:expect): ?((?i:100-continue))\r\n)+" % (_FIRST, _SPECIAL, _TCHAR, LENGTH.encode())
)

_ESCAPE = rb"%[0-9A-Fa-f][0-9A-Fa-f]"
_PATH = rb"/P*+(?:EP*+(?:EP*+)*|)".replace(b"E", _ESCAPE).replace(b"P", rb"[!-\"$&-~]")

# CPython matches possessive and atomic *groups* wrongly: up to 3.11.4 where they
# contain another repetition (gh-106052), and up to 3.13.0 and later where they contain
# captures (gh-101955). Such groups made this expression take heads that ``head_validation``
# refuses. What is possessive in it now is always a single class of bytes, for which
# every version has a plain loop; groups are repeated greedily. There is one way only
# to read each byte, so backtracking never finds another match: it drops one line
# after the other, in a time that is linear in the length of the head. The usual
# head repeats nothing before Host and nothing after it: these are branches of their
# own, because setting up a repetition costs more than the branch.
_HEAD = re.compile(
    rb"((GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (%b) HTTP/1\.1)\r\n"
    rb"(?:%b|%b%b)(?:\r\n|%b\r\n)" % (_PATH, _HOST, _OTHERS, _HOST, _OTHERS)
)

_LENGTH_LINE = re.compile(rb"\r\ncontent-length:", re.IGNORECASE)


class FastPath:
    """Reads plain requests of one connection and writes the responses to them."""

    __slots__ = ("_is_chunked", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._is_chunked = False  # whether the response at hand is

    def read(self, received: bytes | bytearray) -> RequestHead | None:
        """Return the head that ``received`` begins with, if it is complete and a plain one."""
        return recognise(received, self._limits)

    def interim(self, status: int, head: bytes) -> None:
        """Take note of an interim response: there is nothing to note."""

    def begin(self, message: FramedResponse, head: bytes) -> None:  # noqa: ARG002 - h11 needs it
        """Take note of a final response."""
        body = message.body
        self._is_chunked = isinstance(body, Streamed) and body.is_chunked

    def data(self, piece: bytes | FileSlice) -> tuple[bytes | FileSlice, ...]:
        """Return a piece of the body, as a chunk where the length is unknown (RFC 9112 7.1)."""
        return (b"%x\r\n" % len(piece), piece, CHUNK_END) if self._is_chunked else (piece,)

    def end(self, trailers: RawFields) -> bytes:
        """Return the last chunk with the trailers, where there are chunks."""
        return b"0\r\n%b\r\n" % lines_of(trailers) if self._is_chunked else b""


def recognise(received: bytes | bytearray, limits: Limits) -> RequestHead | None:
    """Return the head that these bytes begin with, if it is complete and a plain one."""
    match = _HEAD.match(received)
    if match is None:
        return None
    head, line, method, target = match.group(0, 1, 2, 3)
    size = len(head)
    # A short head need not be measured in all ways: a line has four bytes at least.
    if size > limits.target or size > 4 * limits.fields or size > limits.head:
        try:
            check_sizes(size, len(target), head.count(b"\n") - 2, limits)
        except HTTPError:
            return None  # it is refused with the whole head
    fields = head[len(line) + 2 : -2]
    if match.lastindex == 1:  # the request line: no field has said anything
        return RequestHead(size, line, method, target, "1.1", fields, 0, False, False)  # noqa: FBT003 - values
    # Fields after Host have groups of their own.
    close, length, expect, close_2, length_2, expect_2 = match.groups()[3:]
    closes = close is not None or close_2 is not None
    expects = expect is not None or expect_2 is not None
    length = int(length or length_2 or 0)
    if len(_LENGTH_LINE.findall(head)) > 1 or (expects and not length):
        return None  # h11 takes it if they say the same, or nothing can be expected
    return RequestHead(size, line, method, target, "1.1", fields, length, closes, expects)
