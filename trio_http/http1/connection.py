"""One connection, from its first byte to its last: one request after the other.

This is the trunk. A task runs ``serve_connection``; everything that happens on
the connection happens in that task, in the order in which it is written here.
"""

from __future__ import annotations

import time

import trio

from trio_http.http1.codec import RequestHead
from trio_http.http1.exchange import App, Exchange, KeepAlive, request_of
from trio_http.http1.message_io import Wire
from trio_http.http1.response_framing import date_line, frame
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

# To look a member of an enumeration up costs as much as ten comparisons, up to Python 3.11.
_COMPLETE = Ending.COMPLETE


class Service:
    """What all connections of one server have in common."""

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
    """Serve one connection, close it and tell of both its ends."""
    connection = _Connection(service, transport, client)
    # The firewall: whatever goes wrong in there is told, and goes no further. Of a group
    # with cancellations in it only the rest is ours; ``except*`` lets those go on to the
    # scope that they belong to.
    try:
        try:
            await connection.exchanges()
        except* Exception as group:  # noqa: BLE001 - everything, as it says
            connection.note(_leaf_of(group))
            transport.abort()
        finally:
            await connection.close()
    except* Exception as group:  # noqa: BLE001 - what ``report`` itself raises
        # That can be told to nobody: it is for the log.
        report_failures(Failure(client, b"", _leaf_of(group)))


def _leaf_of(error: Exception) -> Exception:
    """The one exception in a nest of groups, or the group where there are several."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


class _Connection:
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
        self._began: float | None = None  # when the exchange at hand did, if there is one

    async def exchanges(self) -> None:
        """Answer one request after the other, until either side wants no more."""
        service, wire, transport = self._service, self._wire, self._transport
        service.report(Connected(self._client))
        now = self._clock.current_time()
        # At a shutdown nobody waits for a client that has had its answers.
        while service.keep_alive.join(transport, now):
            begins = await wire.input.wait_for_request()
            service.keep_alive.leave(transport)
            if not begins:
                return await wire.hang_up()
            error = self._exchange = None
            self._began = self._clock.current_time()
            try:
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
        self._began = self._clock.current_time()  # however long the head took to arrive
        return head

    async def _mend(self, error: Exception | None) -> Ending:
        """Make the best of what went wrong: if no response has been begun, one can tell of it."""
        if not self._wire.head_has_left:
            if error is None:
                self.note(error := RuntimeError("the app has returned without a response"))
            try:
                await self._refuse(error)
            except* Exception as group:  # noqa: BLE001 - as above
                self.note(error := _leaf_of(group))
        if isinstance(error, ClientDisconnected):
            return Ending.DISCONNECTED
        # What an app does wrong after its response is no fault of the response.
        return _COMPLETE if self._wire.response_has_left else Ending.ABORTED

    async def _refuse(self, error: Exception) -> None:
        """Tell the client as much of an error as it should hear."""
        if isinstance(error, ClientDisconnected):
            raise error  # nobody is left to tell
        told = error if isinstance(error, HTTPError) else HTTPError(500)
        if self._exchange is not None:
            await self._exchange.refuse(told)
            return
        # Nobody knows what this client would like to read.
        date = date_line(int(time.time())) if self._service.behavior.date else b""
        await self._wire.respond(frame(error_response(told), date=date))

    def note(self, error: Exception) -> None:
        """Tell us of an error if it is one of ours."""
        if not isinstance(error, HTTPError | ClientDisconnected):
            self._service.report(Failure(self._client, self._wire.input.line, error))

    async def close(self) -> None:
        """Let go of the connection, in whatever state it is."""
        try:
            if self._began is not None:
                self._end(Ending.CANCELLED)
        finally:
            self._service.keep_alive.leave(self._transport)
            await self._transport.aclose()
            self._service.report(Disconnected(self._client))

    def _end(self, ending: Ending) -> float:
        """Tell of the exchange that has ended, and return when that was."""
        now, began = self._clock.current_time(), self._began
        self._began = None
        if ending is not _COMPLETE:
            # There is no way to take a response back. Cutting the connection
            # off lets the client see that this one is not whole.
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
