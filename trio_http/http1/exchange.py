"""One request and its response, as an app sees them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from trio_http.http1.codec import RequestHead
from trio_http.http1.message_io import Wire
from trio_http.http1.request_body import RequestBody
from trio_http.http1.response_framing import finish
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.error_pages import error_response
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Fields, Headers
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response
from trio_http.transport.stream import Transport


class KeepAlive(Protocol):
    """Tracks the connections of a server that wait for their next requests."""

    persists: bool
    """True if connections may persist after a response (RFC 9112 9.3)."""

    def join(self, connection: Transport, now: float) -> bool:
        """Add a connection that is idle since ``now``; return False if it should close instead."""
        ...

    def leave(self, connection: Transport) -> None:
        """Remove a connection, if it is idle."""
        ...


class Exchange:
    """A request and the gate through which its response is sent.

    An ``App`` calls ``respond`` once and returns after the response has been sent, so files,
    nurseries and cancel scopes can surround it in ``with`` blocks. If an App returns without
    a response, the client gets a 500.

    Attributes:
        request: the request, with its path below the mount of the app.
    """

    __slots__ = ("_behavior", "_gate", "_keep_alive", "_response", "_wire", "request")

    def __init__(
        self, request: Request, wire: Wire, behavior: Behavior, keep_alive: KeepAlive
    ) -> None:
        self.request: Request = request
        self._response: Response | None = None
        self._wire = wire
        self._behavior = behavior
        self._keep_alive = keep_alive
        self._gate: Exchange | None = None  # the exchange that sends the response, if not this

    def below(self, mount: str) -> Exchange:
        """Return a view of this exchange for a mounted app; both share one response.

        Args:
            mount: the path of the mount, which is removed from the request's path.
        """
        exchange = Exchange(self.request.below(mount), self._wire, self._behavior, self._keep_alive)
        exchange._gate = self._gate or self
        return exchange

    @property
    def response(self) -> Response | None:
        """The response that has been sent or is being sent, or None before.

        It is the response selected for the client, without ``Date`` and framing.
        """
        return self._response if self._gate is None else self._gate.response

    async def respond(self, response: Response) -> None:
        """Send the response; return when the client's stream has taken all of it.

        Args:
            response: the response. Resources of its body, such as an open file, can be closed
                after this has returned.

        Raises:
            RuntimeError: the exchange already has a response.
            ValueError: the status is not final, or ``Content-Length`` is not the length of
                the body.
            ClientDisconnected: the client has left or has stopped reading.
        """
        if self._gate is not None:
            await self._gate.respond(response)
            return
        if self._response is not None:
            raise RuntimeError("this exchange already has a response: call respond() only once")
        message = finish(self.request, response, self._behavior, time.time())
        self._response = message.response
        rest = self._wire.respond(message, is_last=not self._keep_alive.persists)
        if rest is not None:
            await rest

    async def refuse(self, error: HTTPError) -> None:
        """Send an error response, even if ``respond`` has failed before it sent a byte."""
        if self._gate is not None:
            await self._gate.refuse(error)
            return
        self._response = None
        await self.respond(error_response(error, self.request.headers.get("Accept")))

    async def inform(self, status: int, headers: Fields = ()) -> None:
        """Send an interim response, such as 103 with ``Link`` fields (RFC 8297).

        HTTP/1.0 does not know interim responses, so its clients get none (RFC 9110 15.2).

        Args:
            status: 100, or 102 to 199.
            headers: the header fields.

        Raises:
            RuntimeError: the exchange already has a response.
            ValueError: ``status`` is not between 100 and 199, or is 101, which would change
                the protocol.
            ClientDisconnected: the client has left or has stopped reading.
        """
        if self.response is not None:
            raise RuntimeError("this exchange already has a response: call inform() before it")
        if not 100 <= status <= 199 or status == 101:
            raise ValueError(f"{status} is not the status of an interim response")
        # An interim response has no body to frame (RFC 9110 8.6, RFC 9112 6.1).
        fields = Headers(headers).without("Content-Length").without("Transfer-Encoding")
        if self.request.version != "1.0":
            await self._wire.inform(status, fields.raw)


App: TypeAlias = Callable[[Exchange], Awaitable[None]]
"""An async function that takes an ``Exchange`` and calls its ``respond``."""

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
"""An async function that takes a ``Request`` and returns a ``Response``; see ``answering``."""


def request_of(head: RequestHead, body: RequestBody, client: str, scheme: str) -> Request:
    """Return the request for the app, made of a parsed head and a body."""
    method, target = head.method.decode("ascii"), head.target.decode("ascii")
    return Request(method, target, head.version, head.fields, body, client, scheme)
