"""One connection, from its first byte to its last.

This is the trunk of the server: read it first. Everything on a connection happens in the task
that runs ``serve_connection``, in this order: wait for a request, read its head, call the app,
report the exchange, and start again.
"""

from __future__ import annotations

import time

import trio

from trio_http.http1.codec import RequestHead
from trio_http.http1.exchange import App, Exchange, KeepAlive, request_of
from trio_http.http1.message_io import Wire
from trio_http.http1.response_framing import finish
from trio_http.http1.server_events import (
    Connected,
    Disconnected,
    Ending,
    Failure,
    Record,
    Report,
    report_failures,
)
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.error_pages import error_response
from trio_http.semantics.errors import ClientDisconnected, HTTPError
from trio_http.semantics.limits import Limits
from trio_http.semantics.timeouts import Timeouts
from trio_http.transport.stream import Transport

# Up to Python 3.11, looking up a member of an enumeration costs as much as ten comparisons.
_COMPLETE = Ending.COMPLETE


class Service:
    """The app and settings shared by all connections of a server."""

    __slots__ = ("app", "behavior", "keep_alive", "limits", "report", "timeouts")

    def __init__(  # noqa: PLR0913, PLR0917 - the choices of ``serve``
        self,
        app: App,
        keep_alive: KeepAlive,
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - a frozen value
        limits: Limits = Limits(),  # noqa: B008 - a frozen value
        behavior: Behavior = Behavior(),  # noqa: B008 - a frozen value
        report: Report = report_failures,
    ) -> None:
        self.app: App = app
        self.timeouts: Timeouts = timeouts
        self.limits: Limits = limits
        self.behavior: Behavior = behavior
        self.report: Report = report
        self.keep_alive: KeepAlive = keep_alive


async def serve_connection(service: Service, transport: Transport, client: str) -> None:
    """Serve one connection, close it, and report its beginning and its end."""
    connection = _Connection(service, transport, client)
    # The firewall: every error is reported and goes no further. A group can contain
    # cancellations as well; ``except*`` lets these go on to their cancel scope.
    try:
        try:
            await connection.exchanges()
        except* Exception as group:  # noqa: BLE001 - the firewall stops every error
            connection.note(_leaf_of(group))
            transport.abort()
        finally:
            await connection.close()
    except* Exception as group:  # noqa: BLE001 - as above
        # ``service.report`` or closing the connection has failed, so only the log is left.
        report_failures(Failure(client, b"", _leaf_of(group)))


def _leaf_of(error: Exception) -> Exception:
    """Return the only exception in nested groups, or the group that has several."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


class _Connection:
    """One connection and its current exchange."""

    __slots__ = (
        "_began",
        "_client",
        "_clock",
        "_exchange",
        "_scheme",
        "_service",
        "_transport",
        "_wire",
    )

    def __init__(self, service: Service, transport: Transport, client: str) -> None:
        self._service = service
        self._transport = transport
        self._client = client
        self._scheme = transport.scheme
        self._clock = trio.lowlevel.current_clock()
        self._wire = Wire(transport, service.timeouts, service.limits, service.behavior)
        self._exchange: Exchange | None = None
        self._began: float | None = None  # the time the current exchange began, if there is one

    async def exchanges(self) -> None:
        """Serve one request after the other until either side ends the connection."""
        service, wire, transport = self._service, self._wire, self._transport
        service.report(Connected(self._client))
        now = self._clock.current_time()
        # During a shutdown ``join`` returns False, so the connection does not become idle again.
        while service.keep_alive.join(transport, now):
            begins = await wire.input.wait_for_request()
            service.keep_alive.leave(transport)
            if not begins:
                return await wire.hang_up()
            error = self._exchange = None
            self._began = self._clock.current_time()
            try:
                # The fast path reads most heads; h11 reads all others, and those still arriving.
                head = wire.read_plain() or await self._read_any()
                request = request_of(head, wire.body, self._client, self._scheme)
                exchange = Exchange(request, wire, service.behavior, service.keep_alive)
                self._exchange = exchange
                await service.app(exchange)
            except* Exception as group:  # noqa: BLE001 - as above
                self.note(error := _leaf_of(group))
            if error is None and wire.response_has_left:
                ending = _COMPLETE
            else:
                ending = await self._mend(error)
            now = self._end(ending)
            if ending is not _COMPLETE:
                return None
            if not (wire.is_ready or await wire.next_cycle()):
                return await wire.hang_up()
        return None

    async def _read_any(self) -> RequestHead:
        head = await self._wire.read_any()
        self._began = self._clock.current_time()  # the time that the head took is not counted
        return head

    async def _mend(self, error: Exception | None) -> Ending:
        """Send an error response if none has been begun; return how the exchange ended."""
        if not self._wire.head_has_left:
            if error is None:
                error = RuntimeError("the app returned without a response: it must await respond()")
                self.note(error)
            try:
                await self._refuse(error)
            except* Exception as group:  # noqa: BLE001 - as above
                self.note(error := _leaf_of(group))
        if isinstance(error, ClientDisconnected):
            return Ending.DISCONNECTED
        # An error of the app after its whole response does not spoil the response.
        return _COMPLETE if self._wire.response_has_left else Ending.ABORTED

    async def _refuse(self, error: Exception) -> None:
        """Send an error response: an ``HTTPError`` as it is, or a 500 without details."""
        if isinstance(error, ClientDisconnected):
            raise error  # no response can reach the client
        told = error if isinstance(error, HTTPError) else HTTPError(500)
        if self._exchange is not None:
            await self._exchange.refuse(told)
            return
        # The head was refused, so the format that the client prefers is unknown.
        response = error_response(told)
        rest = self._wire.respond(finish(None, response, self._service.behavior, time.time()))
        if rest is not None:
            await rest

    def note(self, error: Exception) -> None:
        """Report an error, unless it is for the client or the client has left."""
        if not isinstance(error, HTTPError | ClientDisconnected):
            self._service.report(Failure(self._client, self._wire.input.line, error))

    async def close(self) -> None:
        """Close the connection, and report an exchange that was cancelled."""
        try:
            if self._began is not None:
                self._end(Ending.CANCELLED)
        finally:
            self._service.keep_alive.leave(self._transport)
            await self._transport.aclose()
            self._service.report(Disconnected(self._client))

    def _end(self, ending: Ending) -> float:
        """Report the exchange that has ended, and return the current time."""
        now, began = self._clock.current_time(), self._began
        self._began = None
        if ending is not _COMPLETE:
            # A response cannot be taken back. Aborting the connection lets the client see
            # that this one is incomplete.
            self._transport.abort()
            self._wire.settle()
        wire, exchange = self._wire, self._exchange
        self._service.report(
            Record(
                self._client,
                wire.input.line,
                None if exchange is None else exchange.request,
                wire.status,
                wire.sent,
                0.0 if began is None else now - began,
                ending,
            )
        )
        return now
