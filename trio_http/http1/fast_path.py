"""The plain exchange: what almost every request is, read and answered without h11.

The head of a request with one ``Host``, at most a plain ``Content-Length`` and
``Expect``, and no other field that touches the framing or the connection, is
recognised whole by one expression, in a hundredth of the time that h11 takes; its
body is so many bytes. An answer of known length has a head that one join writes. This is no
second authority: what is recognised here is a subset of what ``strict`` and h11
accept, they read it alike, and the heads written here are theirs byte for byte.
The tests prove that; ``Limits.plain`` turns it off.
"""

from __future__ import annotations

import re
from functools import lru_cache

from trio_http.semantics.bodies import FileSlice, length_of
from trio_http.semantics.errors import reason_of
from trio_http.semantics.headers import RawFields
from trio_http.semantics.limits import Limits
from trio_http.semantics.messages import Response
from trio_http.semantics.selection import WITHOUT_CONTENT, WITHOUT_LENGTH

# Fields that h11 has to judge. Every name that begins like one of these is left
# to it: a head that is not plain costs time, and nothing else.
_SPECIAL = (
    rb"content-length|transfer-encoding:|connection:|expect:|upgrade:|host:|te:|"
    rb"trailer|proxy-|http2-|keep-alive:"
)

# A name that begins with none of these letters needs no comparison with the list.
_FIRST = rb"(?=[CcEeHhKkPpTtUu])"

# Up to 65499; the few ports above are left to h11, too.
_PORT = rb"(?:[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|[0-9]{1,4})"

# Of IPv6 addresses only the loopback's: h11 gets the others, as not every sequence
# of groups is one, and an expression that can tell costs half a millisecond to load.
# A longer name than any that there can be is left to ``strict``, which refuses it.
# The letter of its own is compared before the engine tries the branch.
_HOST = rb"[Hh](?i:ost): ?(?:[A-Za-z0-9\-._]{1,255}|\[::1\])(?::%b\r\n|\r\n)" % _PORT

# Only the two usual values of Connection are plain, only the spelling of a length
# that every reader takes for the same number, and the one expectation that there
# is (RFC 9110 10.1.1).
_OTHERS = (
    rb"(?:(?!%b(?i:%b))[!#$%%&'*+\-.^_`|~0-9A-Za-z]++:[\t -~\x80-\xff]*+\r\n"
    rb"|(?i:connection): ?(?:keep-alive|(close))\r\n"
    rb"|(?i:content-length): ?(0|[1-9][0-9]{0,17})\r\n"
    rb"|(?i:expect): ?((?i:100-continue))\r\n)+" % (_FIRST, _SPECIAL)
)

_ESCAPE = rb"%[0-9A-Fa-f][0-9A-Fa-f]"
_PATH = rb"/P*+(?:EP*+(?:EP*+)*|)".replace(b"E", _ESCAPE).replace(b"P", rb"[!-\"$&-~]")

# CPython matches possessive and atomic *groups* wrongly: up to 3.11.4 where they
# contain another repetition (gh-106052), and up to 3.13.0 and later where they contain
# captures (gh-101955). Such groups made this expression take heads that ``strict``
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

_LENGTH_LINE = re.compile(rb"\r\ncontent-length:[^\r\n]*", re.IGNORECASE)

# Fields that frame the response, and those for which h11 has a place of its own.
_SPECIAL_IN_RESPONSES = {b"content-length", b"transfer-encoding", b"connection", b"date", b"host"}

CLOSING = b"Connection: close\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNK_END = b"\r\n"
LAST_CHUNK = b"0\r\n\r\n"


class PlainRequest:
    """What was recognised: a head, and of that what there is to know."""

    # Made for each request, so no dataclass, whose ``__init__`` would cost twice as much.
    __slots__ = ("closes", "expects", "fields", "head", "length", "line", "method", "target")

    def __init__(  # noqa: PLR0913, PLR0917 - that is what there is to know
        self,
        head: bytes,
        line: bytes,
        method: bytes,
        target: bytes,
        length: int,
        closes: bool,  # noqa: FBT001 - a value, not a way to do it
        expects: bool,  # noqa: FBT001 - the same
    ) -> None:
        self.head = head
        self.line = line  # the request line, which the head begins with
        self.method = method
        self.target = target
        self.fields = head[len(line) + 2 : -2]  # the lines of its fields
        self.length = length  # of its body, in bytes
        self.closes = closes  # whether it says ``close``
        self.expects = expects  # whether its body waits for ``100 Continue``


def recognise(received: bytes | bytearray, limits: Limits) -> PlainRequest | None:
    """The request that these bytes begin with, if its head is complete and a plain one."""
    match = _HEAD.match(received)
    if match is None:
        return None
    head, line, method, target = match.group(0, 1, 2, 3)
    # A short head need not be measured in all ways: a line has four bytes at least.
    size = len(head)
    if (
        size > limits.head
        or (size > limits.target and len(target) > limits.target)
        or (size > 4 * limits.fields and head.count(b"\n") - 2 > limits.fields)
    ):
        return None
    if match.lastindex == 1:  # the request line: no field has said anything, as mostly
        return PlainRequest(head, line, method, target, 0, False, False)  # noqa: FBT003 - a value
    # What is said behind Host has groups of its own.
    close, length, expect, close_2, length_2, expect_2 = match.groups()[3:]
    closes = close is not None or close_2 is not None
    expects = expect is not None or expect_2 is not None
    length = int(length or length_2 or 0)
    if len(_LENGTH_LINE.findall(head)) > 1 or (expects and not length):
        return None  # h11 takes it if they say the same, or nothing can be expected
    return PlainRequest(head, line, method, target, length, closes, expects)


def without_length(head: bytes) -> bytes:
    """A plain head as it would be without a body."""
    return _LENGTH_LINE.sub(b"", head)


def answer_to(
    request: PlainRequest, response: Response, lines: bytes
) -> tuple[bytes, bytes | FileSlice] | None:
    """The head and the body that a response is sent as, or None where h11 has a say in it.

    ``lines`` are those fields that every response gets, with their line endings.
    """
    body, status = response.body, response.status
    if not isinstance(body, (bytes, FileSlice)):
        return None
    if status in WITHOUT_CONTENT:
        body = b""
    head = head_of(status, response.headers.raw, len(body), lines)
    if head is None:
        return None
    return head, b"" if request.method == b"HEAD" else body


def head_of(status: int, fields: RawFields, length: int | None, lines: bytes) -> bytes | None:
    """The head of a response, or None where it is not plain; ``length`` is None for chunks."""
    start = _start_of(status, fields)
    if start is None:
        return None
    if status in WITHOUT_LENGTH or length is None:
        return b"%b%b\r\n" % (start, lines)
    return b"%bContent-Length: %d\r\n%b\r\n" % (start, length, lines)


def streamed_head(request: PlainRequest, response: Response, lines: bytes) -> bytes | None:
    """The head of a response whose length only sending it can tell, or None as above.

    Behind it, each piece is a chunk (RFC 9112 7.1), and ``LAST_CHUNK`` the end.
    """
    if (
        request.method == b"HEAD"
        or response.status in WITHOUT_CONTENT
        or response.trailers is not None
        or length_of(response.body) is not None
    ):
        return None
    return head_of(response.status, response.headers.raw, None, lines)


def chunk_of(data: bytes | FileSlice) -> tuple[bytes | FileSlice, ...]:
    """A piece of a body as a chunk; an empty one would be the end."""
    return (b"%x\r\n" % len(data), data, CHUNK_END) if len(data) else ()


@lru_cache(maxsize=1024)
def _start_of(status: int, fields: RawFields) -> bytes | None:
    """What most responses of a server have in common is written once and kept."""
    names = {name.lower() for name, _ in fields}
    if not 200 <= status <= 999 or names & _SPECIAL_IN_RESPONSES:
        return None
    lines = b"".join([b"%b: %b\r\n" % field for field in fields])
    return b"HTTP/1.1 %d %b\r\n%b" % (status, reason_of(status).encode(), lines)
