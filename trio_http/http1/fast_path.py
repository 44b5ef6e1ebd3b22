"""The codec for plain exchanges, the great majority: it does not use h11.

A plain request has one ``Host``, at most a plain ``Content-Length`` and ``Expect``, and no
other field that affects the framing or the connection. One regular expression matches its
whole head, in a hundredth of h11's time. It adds no rules: ``head_validation`` and h11 accept
every head that it matches and read it alike, and h11 would send the same bytes, as the tests
prove. ``Behavior.fast_path`` turns it off.
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

# Fields that only h11 handles, and all names that begin with one of these. A head that is
# needlessly left to h11 only takes more time.
_SPECIAL = (
    rb"content-length|transfer-encoding:|connection:|expect:|upgrade:|host:|te:|"
    rb"trailer|proxy-|http2-|keep-alive:"
)

# A name that begins with another letter need not be compared with the list.
_FIRST = rb"(?=[CcEeHhKkPpTtUu])"

# The only IPv6 address that matches is ``[::1]``; others are left to h11. Not every sequence of
# groups is an address, and an expression that checks this takes half a millisecond to load.
# ``head_validation`` refuses names longer than 255 bytes. The letter H stands apart so that
# the engine compares it before it tries the branch.
_HOST = rb"[Hh](?i:ost): ?(?:[A-Za-z0-9\-._]{1,255}|\[::1\])(?::(?:%b)\r\n|\r\n)" % PORT.encode()

_TCHAR = f"[{TCHAR}]".encode()

# These fields are plain with the two usual values of Connection, with a length that every
# recipient reads as the same number, and with the only defined expectation (RFC 9110 10.1.1).
_OTHERS = (
    rb"(?:(?!%b(?i:%b))%b++:[\t -~\x80-\xff]*+\r\n"
    rb"|(?i:connection): ?(?:keep-alive|(close))\r\n"
    rb"|(?i:content-length): ?(%b)\r\n"
    rb"|(?i:expect): ?((?i:100-continue))\r\n)+" % (_FIRST, _SPECIAL, _TCHAR, LENGTH.encode())
)

_ESCAPE = rb"%[0-9A-Fa-f][0-9A-Fa-f]"
_PATH = rb"/P*+(?:EP*+(?:EP*+)*|)".replace(b"E", _ESCAPE).replace(b"P", rb"[!-\"$&-~]")

# CPython matches possessive and atomic *groups* wrongly: up to 3.11.4 if they contain
# another repetition (gh-106052), and up to 3.13.0 and later if they contain captures
# (gh-101955). Such groups made this expression match heads that ``head_validation`` refuses.
# Now only single classes of bytes are possessive, for which every version has a plain loop;
# groups are repeated greedily. Each byte can be matched in one way only, so backtracking never
# finds another match: it drops one line after the other, in time linear in the length of the
# head. The usual head has either nothing before Host or nothing after it. These cases are
# separate branches, because setting up a repetition costs more than a branch.
_HEAD = re.compile(
    rb"((GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (%b) HTTP/1\.1)\r\n"
    rb"(?:%b|%b%b)(?:\r\n|%b\r\n)" % (_PATH, _HOST, _OTHERS, _HOST, _OTHERS)
)

_LENGTH_LINE = re.compile(rb"\r\ncontent-length:", re.IGNORECASE)


class FastPath:
    """Parses the plain requests of one connection and frames the responses to them."""

    __slots__ = ("_is_chunked", "_limits")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._is_chunked = False  # whether the current response is

    def read(self, received: bytes | bytearray) -> RequestHead | None:
        """Return the head at the start of ``received`` if it is complete and plain."""
        match = _HEAD.match(received)
        if match is None:
            return None
        head, line, method, target = match.group(0, 1, 2, 3)
        size = len(head)
        # A line has at least four bytes, so a short head cannot exceed any of the self._limits.
        if size > self._limits.target or size > 4 * self._limits.fields or size > self._limits.head:
            try:
                check_sizes(size, len(target), head.count(b"\n") - 2, self._limits)
            except HTTPError:
                return None  # ``head_validation`` refuses it
        fields = head[len(line) + 2 : -2]
        if match.lastindex == 1:  # the request line: no special field has matched
            return RequestHead(size, line, method, target, "1.1", fields, 0, False, False)  # noqa: FBT003 - values
        # Fields after Host have groups of their own.
        close, length, expect, close_2, length_2, expect_2 = match.groups()[3:]
        closes = close is not None or close_2 is not None
        expects = expect is not None or expect_2 is not None
        length = int(length or length_2 or 0)
        if len(_LENGTH_LINE.findall(head)) > 1 or (expects and not length):
            return None  # left to h11: several lengths, or an expectation without a body
        return RequestHead(size, line, method, target, "1.1", fields, length, closes, expects)

    def interim(self, status: int, head: bytes) -> None:
        """Do nothing: interim responses do not affect this codec."""

    def begin(self, message: FramedResponse, head: bytes) -> None:  # noqa: ARG002 - h11 needs it
        """Record whether a final response is chunked."""
        body = message.body
        self._is_chunked = isinstance(body, Streamed) and body.is_chunked

    def data(self, piece: bytes | FileSlice) -> tuple[bytes | FileSlice, ...]:
        """Return a piece of the body, as a chunk if the length is unknown (RFC 9112 7.1)."""
        return (b"%x\r\n" % len(piece), piece, CHUNK_END) if self._is_chunked else (piece,)

    def end(self, trailers: RawFields) -> bytes:
        """Return the last chunk and the trailers if the body is chunked, else no bytes."""
        return b"0\r\n%b\r\n" % lines_of(trailers) if self._is_chunked else b""
