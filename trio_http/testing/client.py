"""The client that sends requests in tests."""

from __future__ import annotations

import json as json_format
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
import trio.testing

from trio_http.http1.app_lifetime import Servable, entered
from trio_http.http1.connection import Service
from trio_http.http1.server_events import Report, report_failures
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.headers import Fields, Headers, bytes_of
from trio_http.semantics.limits import Limits
from trio_http.semantics.timeouts import Timeouts
from trio_http.serving.idle_connections import KeepAliveQueue
from trio_http.serving.single_stream import serve_alone
from trio_http.testing.received import MessageReader, OpenResponse, ReceivedResponse

_METHODS_WITH_CONTENT = {"PATCH", "POST", "PUT"}
_NOTHING: Any = object()  # unlike None, which is a JSON value


class Client:
    """The client's end of a connection, which sends valid and invalid requests alike.

    It handles one response at a time. ``open_client`` makes one for an app; for any other
    server, ``Client(stream)`` takes a ``trio.abc.HalfCloseableStream``, which its caller
    closes.
    """

    def __init__(self, stream: trio.abc.HalfCloseableStream) -> None:
        self.stream: trio.abc.HalfCloseableStream = stream
        self._reader = MessageReader(stream)

    async def send(self, data: bytes) -> None:
        """Send bytes unchanged."""
        await self.stream.send_all(data)

    async def send_eof(self) -> None:
        """Close the sending direction; responses can still be received."""
        await self.stream.send_eof()

    async def request(
        self,
        method: str,
        target: str,
        headers: Fields = (),
        body: bytes = b"",
        *,
        json: Any = _NOTHING,
    ) -> ReceivedResponse:
        """Send a request and receive its whole response.

        For an endless response, such as server-sent events, use ``open``.

        Args:
            method: the method, such as ``"GET"``; sent unchanged.
            target: the request target, percent-encoded by the caller (RFC 9112 3.2).
            headers: header fields, sent unchanged. ``Host`` is added unless given. So is
                ``Content-Length`` for a body and for the methods that have content
                (RFC 9110 8.6), unless ``Transfer-Encoding`` is given.
            body: the content, framed by the caller if ``Transfer-Encoding`` is given.
            json: a value to send as JSON in place of ``body``. ``Content-Type`` is
                ``application/json`` unless given. None is sent as ``null``.

        Raises:
            EOFError: the server closed the connection before the end of the response.
            ValueError: a header field is malformed, or both ``body`` and ``json`` are given.
        """
        await self._send_request(method, target, Headers(headers), body, json)
        return await self.response(method)

    async def get(self, target: str, headers: Fields = ()) -> ReceivedResponse:
        """Send a GET request and receive its response; see ``request``."""
        return await self.request("GET", target, headers)

    async def post(
        self, target: str, headers: Fields = (), body: bytes = b"", *, json: Any = _NOTHING
    ) -> ReceivedResponse:
        """Send a POST request and receive its response; see ``request``."""
        return await self.request("POST", target, headers, body, json=json)

    async def put(
        self, target: str, headers: Fields = (), body: bytes = b"", *, json: Any = _NOTHING
    ) -> ReceivedResponse:
        """Send a PUT request and receive its response; see ``request``."""
        return await self.request("PUT", target, headers, body, json=json)

    async def patch(
        self, target: str, headers: Fields = (), body: bytes = b"", *, json: Any = _NOTHING
    ) -> ReceivedResponse:
        """Send a PATCH request and receive its response; see ``request``."""
        return await self.request("PATCH", target, headers, body, json=json)

    async def delete(self, target: str, headers: Fields = ()) -> ReceivedResponse:
        """Send a DELETE request and receive its response; see ``request``."""
        return await self.request("DELETE", target, headers)

    async def open(
        self,
        method: str,
        target: str,
        headers: Fields = (),
        body: bytes = b"",
        *,
        json: Any = _NOTHING,
    ) -> OpenResponse:
        """Send a request and return its response as soon as the head has been received.

        Use this for server-sent events and other long responses:

            clock = await client.open("GET", "/clock")
            assert (await clock.event()).data == "0"

        Read the response to its end before sending another request on the connection. For
        arguments and errors, see ``request``.
        """
        await self._send_request(method, target, Headers(headers), body, json)
        return await self._next_response(method)

    async def response(self, method: str = "GET") -> ReceivedResponse:
        """Receive the next response, such as one to bytes sent by ``send``, or one after a 103.

        Args:
            method: the method of the request, because a response to HEAD has no body.

        Raises:
            EOFError: the server closed the connection before the end of the response.
        """
        response = await self._next_response(method)
        body = await response.read()
        return ReceivedResponse(
            response.status, response.reason, response.headers, body, response.trailers
        )

    async def rest(self) -> bytes:
        """Receive everything until the server closes the connection."""
        return await self._reader.rest()

    async def _send_request(
        self, method: str, target: str, fields: Headers, body: bytes, value: Any
    ) -> None:
        if value is not _NOTHING:
            if body:
                raise ValueError("pass either a body or JSON, not both")
            body = json_format.dumps(value).encode()
            fields = fields.defaulting("Content-Type", "application/json")
        fields = fields.defaulting("Host", "test")
        if (body or method in _METHODS_WITH_CONTENT) and "Transfer-Encoding" not in fields:
            fields = fields.defaulting("Content-Length", str(len(body)))
        lines = b"".join(b"%b: %b\r\n" % pair for pair in fields.raw)
        await self.send(bytes_of(f"{method} {target} HTTP/1.1\r\n") + lines + b"\r\n" + body)

    async def _next_response(self, method: str) -> OpenResponse:
        line, headers = await self._reader.head()
        _, code, reason = line.split(b" ", 2)
        return OpenResponse(self._reader, int(code), reason.decode(), headers, method)


@asynccontextmanager
async def open_client(
    app: Servable,
    *,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - a frozen value
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
    behavior: Behavior = Behavior(),  # noqa: B008 - a frozen value
    report: Report = report_failures,
) -> AsyncIterator[Client]:
    """Serve an app to one client, on a connection in memory.

    A handler is not an app: pass ``answering(handler)``. An exception in a handler becomes a
    500, and its traceback goes to the log (the fixture ``caplog``) or to ``report``.

    Args:
        app: an App, a Router, or an async context manager of one, which is entered before the
            block and left after it.
        timeouts: time-outs of the server, in seconds.
        limits: limits of the server.
        behavior: behavior of the server.
        report: called with each event of the server.

    Yields:
        The client. Leaving the block closes the connection and cancels all that still runs on
        it.

    Raises:
        Exception: that of the block, not wrapped in a group, even if the app fails as well;
            otherwise that of the app's lifetime.
        trio.TooSlowError: the lifetime has not begun within ``timeouts.start`` seconds.
    """
    near, far = trio.testing.memory_stream_pair()
    block = _Block()
    try:
        # The nursery runs the server's end of the connection next to the test.
        async with entered(app, timeouts) as within, trio.open_nursery() as nursery:
            keep_alive = KeepAliveQueue(timeouts.idle)
            service = Service(within, keep_alive, timeouts, limits, behavior, report)
            nursery.start_soon(serve_alone, service, keep_alive, far, "local")
            with block:
                yield Client(near)
            await near.aclose()
            nursery.cancel_scope.cancel()
    finally:
        if block.error is not None:
            raise block.error


class _Block:
    """Keeps the exception of a block from the nurseries around it, which would wrap it.

    Cancellations are not kept, because they may belong to one of these nurseries.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if error is None or _is_cancelled(error):
            return False
        self.error = error
        return True


def _is_cancelled(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(trio.Cancelled) is not None
    return isinstance(error, trio.Cancelled)
