"""One request and its response, as an app sees them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import lru_cache
from typing import TypeAlias

import h11

from trio_http.http1.plain import PlainRequest
from trio_http.http1.strict import authority_of
from trio_http.http1.wire import Wire
from trio_http.semantics.fields import http_date
from trio_http.semantics.finish import finish
from trio_http.semantics.headers import Fields, Headers
from trio_http.semantics.limits import Limits
from trio_http.semantics.messages import Request, Response
from trio_http.semantics.trailers import addressed

date_of = lru_cache(maxsize=2)(http_date)


class RequestBody:
    """The body of the request at hand, pulled from the wire."""

    __slots__ = ("_wire",)

    @property
    def trailers(self) -> Headers:
        """What came behind the last chunk, once that has been read."""
        return self._wire.trailers

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        data = await self._wire.receive_body()
        if not data:
            raise StopAsyncIteration
        return data


class Exchange:
    """A request, and the one gate through which its response leaves.

    An ``App`` returns after its response has left, so whatever it needs for
    that (open files, nurseries, cancel scopes) lives in its own frames.
    """

    __slots__ = ("_limits", "_must_close", "_wire", "request", "response")

    def __init__(
        self, request: Request, wire: Wire, limits: Limits, must_close: Callable[[], bool]
    ) -> None:
        self.request = request
        self.response: Response | None = None
        """What has been sent or is being sent."""
        self._wire = wire
        self._limits = limits
        self._must_close = must_close

    async def respond(self, response: Response) -> None:
        """Send the response; return when the client's side has taken all of it.

        A second response to one request raises ``RuntimeError``.
        """
        if self.response is not None:
            raise RuntimeError("this exchange has its response already")
        now = time.time()
        response = dress(finish(self.request, response, self._limits, now), self._limits, now)
        response = addressed(self.request, response)
        if self._must_close():
            response = closing(response)
        self.response = response
        await self._wire.respond(response)

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


def answering(handler: Handler) -> App:
    """An App that answers with whatever the handler returns."""

    async def app(exchange: Exchange) -> None:
        await exchange.respond(await handler(exchange.request))

    return app


def request_of(event: h11.Request | PlainRequest, wire: Wire, client: str) -> Request:
    """What was read, as a value of ours.

    Where the target names an authority, that is the host, whatever ``Host``
    says (RFC 9112 3.2.2).
    """
    method, target = event.method.decode("ascii"), event.target.decode("ascii")
    body = RequestBody(wire)
    if isinstance(event, PlainRequest):
        return Request(method, target, "1.1", event.fields, body, client)
    headers = Headers.received(event.headers.raw_items())
    if authority := authority_of(event.target):
        headers = headers.replacing("Host", authority.decode("ascii"))
    return Request(method, target, event.http_version.decode("ascii"), headers, body, client)


def dress(response: Response, limits: Limits, now: float) -> Response:
    """The response with the time at which it was made (RFC 9110 6.6.1)."""
    if not limits.date:
        return response
    date = date_of(int(now))
    return response.with_headers(response.headers.defaulting("Date", date))


def closing(response: Response) -> Response:
    """The response, saying that it is the last on its connection (RFC 9112 9.6)."""
    return response.with_headers(response.headers.replacing("Connection", "close"))
