"""One request and its response, as an app sees them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import TypeAlias

import h11

from trio_http.http1.fast_path import PlainRequest
from trio_http.http1.keep_alive import KeepAliveQueue
from trio_http.http1.request_body import RequestBody
from trio_http.http1.strict import authority_of, effective_version
from trio_http.http1.wire import Wire
from trio_http.semantics.error_pages import error_response
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.fields import http_date
from trio_http.semantics.headers import Fields, Headers
from trio_http.semantics.limits import Limits
from trio_http.semantics.messages import Request, Response
from trio_http.semantics.selection import frame, select
from trio_http.semantics.trailers import addressed

date_of = lru_cache(maxsize=2)(http_date)


@lru_cache(maxsize=2)
def date_line(second: int) -> bytes:
    """The field Date as a line (RFC 9110 6.6.1)."""
    return b"Date: %b\r\n" % date_of(second).encode()


class Exchange:
    """A request, and the one gate through which its response leaves.

    An ``App`` returns after its response has left, so whatever it needs for
    that (open files, nurseries, cancel scopes) lives in its own frames.
    """

    __slots__ = ("_idle", "_limits", "_wire", "request", "response")

    def __init__(self, request: Request, wire: Wire, limits: Limits, idle: KeepAliveQueue) -> None:
        self.request = request
        self.response: Response | None = None
        """What has been sent or is being sent, less what every response gets on its way out."""
        self._wire = wire
        self._limits = limits
        self._idle = idle

    async def respond(self, response: Response) -> None:
        """Send the response; return when the client's side has taken all of it.

        A second response to one request raises ``RuntimeError``.
        """
        if self.response is not None:
            raise RuntimeError("this exchange has its response already")
        now, wire = time.time(), self._wire
        self.response = response = select(self.request, response, self._limits, now)
        if self._idle.ending:
            wire.end_with_this()
        lines = date_line(int(now)) if self._limits.date else b""
        if wire.respond_plain(response, lines):
            if not wire.response_has_left:
                await wire.flush()
        elif not await wire.stream_plain(response, lines):
            response = dress(frame(response, self.request.method), self._limits, now)
            response = addressed(self.request, response)
            await wire.respond(closing(response) if wire.must_close else response)

    async def refuse(self, error: HTTPError) -> None:
        """Tell the client of an error, in place of a response that has not left."""
        self.response = None
        await self.respond(error_response(error, self.request.headers.get("Accept")))

    async def inform(self, status: int, headers: Fields = ()) -> None:
        """Send an interim response, such as 103 with ``Link`` fields (RFC 8297).

        Clients of HTTP/1.0 do not know these, so they are sent none (RFC 9110 15.2).
        After the response it is too late for one: ``RuntimeError``.
        """
        if self.response is not None:
            raise RuntimeError("this exchange has its response already")
        if status == 101:
            raise ValueError("101 changes the protocol, it does not only inform")
        # RFC 9110 8.6, RFC 9112 6.1: there is no body whose end they could tell.
        fields = Headers(headers).without("Content-Length").without("Transfer-Encoding")
        if self.request.version != "1.0":
            await self._wire.inform(status, fields.raw)


App: TypeAlias = Callable[[Exchange], Awaitable[None]]
Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


def plain_request_of(plain: PlainRequest, body: RequestBody, client: str, scheme: str) -> Request:
    """What was recognised, as a value of ours."""
    method, target = plain.method.decode("ascii"), plain.target.decode("ascii")
    return Request(method, target, "1.1", plain.fields, body, client, scheme)


def request_of(event: h11.Request, body: RequestBody, client: str, scheme: str) -> Request:
    """What was read, as a value of ours.

    Where the target names an authority, that is the host, whatever ``Host``
    says (RFC 9112 3.2.2). h11 keeps a version like 1.2 and treats it as 1.1.
    """
    headers = Headers.received(event.headers.raw_items())
    if authority := authority_of(event.target):
        headers = headers.replacing("Host", authority.decode("ascii"))
    method, target = event.method.decode("ascii"), event.target.decode("ascii")
    version = effective_version(event.http_version).decode("ascii")
    return Request(method, target, version, headers, body, client, scheme)


def dress(response: Response, limits: Limits, now: float) -> Response:
    """The response with the time at which it was made (RFC 9110 6.6.1)."""
    if not limits.date:
        return response
    date = date_of(int(now))
    return response.replacing_headers(response.headers.defaulting("Date", date))


def closing(response: Response) -> Response:
    """The response, saying that it is the last on its connection (RFC 9112 9.6)."""
    return response.replacing_headers(response.headers.replacing("Connection", "close"))
