"""One connection, from its first byte to its last: one request after the other.

This is the trunk. A task runs ``serve_connection``; everything that happens on
the connection happens in that task, in the order in which it is written here.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import trio

from trio_http.http1.exchange import App, Exchange, closing, dress, request_of
from trio_http.http1.idle import Idle
from trio_http.http1.record import (
    Connected,
    Disconnected,
    Ending,
    Failure,
    Record,
    Report,
    report_failures,
)
from trio_http.http1.stream import Transport, transport_of
from trio_http.http1.wire import Wire
from trio_http.semantics.errors import ClientDisconnected, HTTPError
from trio_http.semantics.finish import finish, frame
from trio_http.semantics.limits import Limits, Timeouts
from trio_http.semantics.messages import Response
from trio_http.semantics.refusals import error_response


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections of one server have in common."""

    app: App
    timeouts: Timeouts = field(default_factory=Timeouts)
    limits: Limits = field(default_factory=Limits)
    report: Report = report_failures
    idle: Idle = field(default_factory=Idle)


async def serve_stream(  # noqa: PLR0913 - the same choices as ``serve``
    app: App,
    stream: trio.abc.Stream,
    *,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - a frozen value
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
    report: Report = report_failures,
    client: str = "local",
) -> None:
    """Serve one connection over any stream, and close it.

    Returns when the connection has ended; whatever the client does and
    whatever ``app`` raises, only cancellation leaves it as an exception.
    """
    service = Service(app, timeouts, limits, report)
    await serve_connection(service, transport_of(stream, timeouts.linger), client)


async def serve_connection(service: Service, transport: Transport, client: str) -> None:
    """Serve one connection, close it and tell of both its ends."""
    connection = _Connection(service, transport, client)
    # What ``report`` itself raises can be told to nobody: that is for the log.
    await caught(connection.run, lambda error: report_failures(Failure(client, b"", error)))


async def caught(
    do: Callable[[], Awaitable[None]], tell: Callable[[Exception], None]
) -> Exception | None:
    """The firewall: whatever goes wrong in there is told and returned, and goes no further."""
    error = None
    try:
        await do()
    except* Exception as group:  # noqa: BLE001 - the one place where everything is caught
        # Of a group with cancellations in it only the rest is ours; ``except*``
        # lets those go on to the scope that they belong to. Then nothing is
        # returned, so what there is to tell has to be told here.
        error = _leaf_of(group)
        tell(error)
    return error


def _leaf_of(error: Exception) -> Exception:
    """The one exception in a nest of groups, or the group where there are several."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


class _Connection:
    def __init__(self, service: Service, transport: Transport, client: str) -> None:
        self._service = service
        self._transport = transport
        self._client = client
        self._wire = Wire(transport, service.timeouts, service.limits)
        self._exchange: Exchange | None = None
        self._began = 0.0

    async def run(self) -> None:
        """Serve the connection and close it, whatever happens."""
        try:
            self._service.report(Connected(self._client))
            if await caught(self._exchanges, self._note) is not None:
                self._transport.abort()
        finally:
            await self._transport.aclose()
            self._service.report(Disconnected(self._client))

    async def _exchanges(self) -> None:
        """Answer one request after the other, until either side wants no more."""
        idle, patience = self._service.idle, self._service.timeouts.idle
        with trio.CancelScope() as waiting:
            while await idle.wait(self._wire.input.wait_for_request, waiting, patience):
                if await self._one_exchange() is not Ending.COMPLETE:
                    return
                if not await self._wire.next_cycle():
                    break
        if not waiting.cancelled_caught:
            await self._wire.hang_up()
        # Else the client has had its answers and sends nothing: it is not waited for.

    async def _one_exchange(self) -> Ending:
        """Read a request, see that it is answered, and tell how that went."""
        self._exchange = None
        self._began = trio.current_time()
        ending = Ending.CANCELLED  # unless we come further than the next lines
        try:
            error = await caught(self._answer, self._note)
            if error is not None and not self._wire.head_has_left:
                error = await caught(partial(self._refuse, error), self._note)
            ending = self._ending(error)
        finally:
            if ending is not Ending.COMPLETE:
                # There is no way to take a response back. Cutting the connection
                # off lets the client see that this one is not whole.
                self._transport.abort()
            self._tell(ending)
        return ending

    async def _answer(self) -> None:
        event = await self._wire.next_request()
        self._began = trio.current_time()
        request = request_of(event, self._wire, self._client)
        self._exchange = Exchange(request, self._wire, self._service.limits, self._must_close)
        await self._service.app(self._exchange)
        if not self._wire.head_has_left:
            raise RuntimeError("the app has returned without a response")

    def _must_close(self) -> bool:
        return self._service.idle.ending or self._wire.must_close

    async def _refuse(self, error: Exception) -> None:
        """Tell the client as much of an error as it should hear."""
        match error:
            case ClientDisconnected():
                raise error  # nobody is left to tell
            case HTTPError():
                await self._wire.respond(self._refusal(error))
            case _:
                await self._wire.respond(self._refusal(HTTPError(500)))

    def _refusal(self, error: HTTPError) -> Response:
        limits, now = self._service.limits, time.time()
        if self._exchange is None:  # nobody knows what this client would like to read
            response = frame(error_response(error))
        else:
            request = self._exchange.request
            response = error_response(error, request.headers.get("Accept"))
            response = finish(request, response, limits, now)
        response = dress(response, limits, now)
        return closing(response) if self._must_close() else response

    def _ending(self, error: Exception | None) -> Ending:
        if isinstance(error, ClientDisconnected):
            return Ending.DISCONNECTED
        # What an app does wrong after its response is no fault of the response.
        return Ending.COMPLETE if self._wire.response_has_left else Ending.ABORTED

    def _note(self, error: Exception) -> None:
        """Tell us of an error if it is one of ours."""
        if not isinstance(error, HTTPError | ClientDisconnected):
            self._service.report(Failure(self._client, self._wire.input.line, error))

    def _tell(self, ending: Ending) -> None:
        wire = self._wire
        self._service.report(
            Record(
                self._client,
                self._wire.input.line,
                self._exchange.request if self._exchange else None,
                wire.status,
                wire.sent,
                trio.current_time() - self._began,
                ending,
            )
        )
