"""The framing of a response: its head, and how the client knows where the body ends.

All rules of RFC 9112 6 for responses are in this module. The result is a value that both
codecs write in the same way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from trio_http.http1.field_lines import lines_of
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.bodies import Body, FileSlice, length_of
from trio_http.semantics.errors import reason_of
from trio_http.semantics.field_values import LENGTH, http_date, list_of
from trio_http.semantics.headers import Headers, RawFields, bytes_of
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response
from trio_http.semantics.response_selection import select
from trio_http.semantics.statuses import WITHOUT_CONTENT, WITHOUT_LENGTH
from trio_http.semantics.trailers import keeps_trailers

CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNK_END = b"\r\n"

# Fields of a handler that affect the framing, the connection, or the date.
_FRAMING = {b"content-length", b"transfer-encoding", b"connection", b"date"}

_LENGTH = re.compile(LENGTH)


# One is made per streamed response. It is not frozen, because freezing slows ``__init__``.
@dataclass(slots=True)
class Streamed:
    """A body that is sent piece by piece while it is produced.

    Attributes:
        body: the source of the pieces.
        length: the value of ``Content-Length``, or None if the length is unknown.
        is_chunked: whether each piece is sent as a chunk (RFC 9112 7.1).
        has_trailers: whether the trailers of the response are sent.
    """

    body: Body
    length: int | None
    is_chunked: bool
    has_trailers: bool = False


class FramedResponse:
    """A finished response, ready for the wire to send.

    Attributes:
        response: the selected response, with the fields of its handler.
        head: the bytes of the head, including the blank line but no ``Connection`` field.
        body: the body, which is sent after the head as it is or, if streamed, in pieces.
        options: the handler's connection options in lower case (RFC 9110 7.6.1).
    """

    # One is made per exchange. The ``__init__`` of a frozen dataclass would cost twice as much.
    __slots__ = ("body", "head", "options", "response")

    def __init__(
        self,
        response: Response,
        head: bytes,
        body: bytes | FileSlice | Streamed,
        options: frozenset[str],
    ) -> None:
        self.response: Response = response
        self.head: bytes = head
        self.body: bytes | FileSlice | Streamed = body
        self.options: frozenset[str] = options

    def head_with_connection(self, *, closes: bool) -> bytes:
        """Return the head with a ``Connection`` field; ``closes`` adds ``close`` (RFC 9112 9.6)."""
        options = sorted(self.options | {"close"} if closes else self.options)
        return b"%bConnection: %b\r\n\r\n" % (self.head[:-2], bytes_of(", ".join(options)))


_NO_OPTIONS: frozenset[str] = frozenset()


def finish(
    request: Request | None, response: Response, behavior: Behavior, now: float
) -> FramedResponse:
    """Return the framed response to a request at ``now``, in seconds since 1970.

    Every response goes through this function: ``select`` decides what the client gets of it
    (RFC 9110), and ``frame`` how it is sent (RFC 9112). If the head of the request was refused,
    there is no ``request``, and the response is sent as it is.

    Raises:
        ValueError: the handler's status or ``Content-Length`` is not valid for the response.
    """
    date = date_line(int(now)) if behavior.date else b""
    if request is None:
        return frame(response, date=date)
    selected = select(request, response, behavior, now)
    framed = frame(selected, request.method, request.version, date)
    if selected.trailers is not None and isinstance(framed.body, Streamed):
        has_trailers = framed.body.is_chunked and keeps_trailers(request)
        framed.body = replace(framed.body, has_trailers=has_trailers)
    return framed


def frame(
    response: Response, method: str = "GET", version: str = "1.1", date: bytes = b""
) -> FramedResponse:
    """Return the response with its framing, for a request with this method and version.

    ``date`` is a ``Date`` line, which is added unless the handler has set the field.

    Raises:
        ValueError: the status is not that of a final response, or the handler's
            ``Content-Length`` is not the length of its body. A response to HEAD without a
            body may have the length of the response to GET (RFC 9110 8.6).
    """
    status, fields, body = response.status, response.headers.raw, response.body
    start = _start_of(status, fields)
    if start is not None and isinstance(body, (bytes, FileSlice)) and status not in WITHOUT_CONTENT:
        # Almost every response. The other cases, below, would give the same in more steps.
        head = b"%b%bContent-Length: %d\r\n\r\n" % (start, date, len(body))
        return FramedResponse(response, head, body if method != "HEAD" else b"", _NO_OPTIONS)
    promised: list[str] | None = None
    options = _NO_OPTIONS
    if start is None:
        start, promised, options, has_date = _start_without_framing(status, fields)
        date = b"" if has_date else date
    if status in WITHOUT_CONTENT:
        length = b"" if status in WITHOUT_LENGTH else b"Content-Length: 0\r\n"
        return FramedResponse(response, b"%b%b%b\r\n" % (start, date, length), b"", options)
    size = length_of(body)
    if promised:
        size = _promised_length(promised, size, method)
    is_chunked = False
    if size is not None:
        head = b"%b%bContent-Length: %d\r\n\r\n" % (start, date, size)
    elif version == "1.0":  # closing the connection ends the body
        head = b"%b%b\r\n" % (start, date)
    else:
        is_chunked = True
        head = b"%b%b%b\r\n" % (start, date, CHUNKED)
    if method == "HEAD":
        body = b""
    if isinstance(body, (bytes, FileSlice)):
        return FramedResponse(response, head, body, options)
    return FramedResponse(response, head, Streamed(body, size, is_chunked), options)


# Most responses of a server have the same status and fields, so the bytes of these are cached.
@lru_cache(maxsize=1024)
def _start_of(status: int, fields: RawFields) -> bytes | None:
    """Return the status line and fields, or None if a field affects the framing."""
    if not 200 <= status <= 999:
        raise ValueError(f"{status} is not the status of a final response")
    if not {name.lower() for name, _ in fields}.isdisjoint(_FRAMING):
        return None
    return _status_line(status) + lines_of(fields)


@lru_cache(maxsize=256)
def _start_without_framing(
    status: int, fields: RawFields
) -> tuple[bytes, list[str], frozenset[str], bool]:
    """Return the status line and the fields without framing, and the facts in the others.

    These are the values of ``Content-Length``, the connection options, and whether there is a
    ``Date``.
    """
    headers = Headers.received(fields)
    options = frozenset(member.lower() for member in list_of(headers.get("Connection") or ""))
    rest = headers.without("Content-Length").without("Transfer-Encoding").without("Connection")
    start = _status_line(status) + lines_of(rest.raw)
    promised = headers.values("Content-Length")
    return start, promised, options - {"keep-alive"}, "Date" in headers


def _promised_length(promised: list[str], length: int | None, method: str) -> int:
    """Return the handler's ``Content-Length``; raise if it is not the length of the body."""
    is_any = length is None or (method == "HEAD" and not length)
    if is_any and len(promised) == 1 and _LENGTH.fullmatch(promised[0]):
        return int(promised[0])
    if length is None or promised != [str(length)]:
        of = "unknown length" if length is None else f"{length} bytes"
        raise ValueError(f"Content-Length {promised} on a body of {of}")
    return length


def interim_head(status: int, fields: RawFields) -> bytes:
    """Return an interim response, which is a head only (RFC 9110 15.2)."""
    return b"%b%b\r\n" % (_status_line(status), lines_of(fields))


def _status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, reason_of(status).encode())


@lru_cache(maxsize=2)
def date_line(second: int) -> bytes:
    """Return the ``Date`` line for a time in seconds since 1970 (RFC 9110 6.6.1)."""
    return b"Date: %b\r\n" % http_date(second).encode()
