"""The nurseries: one listens, one runs the connections, and how they end says the rest."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import NoReturn

import trio

from trio_http.http1.connection import Service
from trio_http.http1.lifetime import Servable, entered
from trio_http.http1.reports import Report, report_failures
from trio_http.semantics.limits import Limits
from trio_http.semantics.timeouts import Timeouts
from trio_http.serving.accept_errors import Recovery, Spare
from trio_http.serving.listeners import address_text
from trio_http.serving.shutdown import Shutdown
from trio_http.serving.slots import ConnectionSlots
from trio_http.transport.readiness import Readiness, readiness
from trio_http.transport.sockets import SocketTransport
from trio_http.transport.stream import transport_of

# So many connections are accepted before anybody else has a turn.
ACCEPT_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is listening: its addresses, and the way to end it."""

    addresses: tuple[str, ...]
    _shutdown: Shutdown

    def retire(self) -> None:
        """Make room for a successor: let nobody new in, and give each client one more answer.

        No request is lost by it, also none of those that are on their way on
        connections that are kept. ``serve`` returns when all clients have gone;
        ``shutdown`` ends those who have nothing more to ask.
        """
        self._shutdown.retire()

    def shutdown(self) -> None:
        """Drain: take no more requests, let running ones finish within ``timeouts.grace``.

        ``serve`` returns when the last has ended or was cancelled.
        """
        self._shutdown.begin()


async def serve(  # noqa: PLR0913 - six choices, each with a default but two
    app: Servable,
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
    *,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - a frozen value
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
    report: Report = report_failures,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer whoever connects to these listeners, which are closed in the end.

    ``server = await nursery.start(serve, app, listeners)`` gives a ``Server``;
    ``server.shutdown()`` drains it, cancelling ``serve`` stops it at once.
    What goes wrong on a connection is told to ``report`` and ends there.

    An ``app`` that is an async context manager is entered before the first connection is
    accepted, within ``timeouts.start`` seconds or ``trio.TooSlowError`` is raised, and left
    after the last has ended. What its frame raises, at any time, ends ``serve`` with that
    error, out of the groups in which nurseries have raised it alone.
    """
    try:
        async with entered(app, timeouts) as within:
            service = Service(within, timeouts, limits, report)
            await _serve_connections(service, listeners, task_status)
    finally:
        await _close(listeners)


async def _serve_connections(
    service: Service,
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
    task_status: trio.TaskStatus[Server],
) -> None:
    # The outer nursery outlives the inner one: leaving the inner stops the
    # listeners, leaving the outer waits for the connections they accepted.
    async with _looked_after(service) as arrivals, trio.open_nursery() as connections:
        slots = ConnectionSlots(service, arrivals, connections)
        async with trio.open_nursery() as listening:
            shutdown = Shutdown(
                listening.cancel_scope,
                service.idle,
                connections.cancel_scope,
                service.timeouts.grace,
            )
            for listener in listeners:
                listening.start_soon(_accept, listener, slots)
            task_status.started(Server(tuple(map(address_of, listeners)), shutdown))
        # Not before: who was accepted a moment ago has to begin its wait first.
        shutdown.listeners_are_closed()
        await _close(listeners)  # before the wait: who connects now should try elsewhere


@asynccontextmanager
async def _looked_after(service: Service) -> AsyncIterator[Readiness]:
    """What the waits of all connections have in common, as long as there are any."""
    with closing(readiness()) as arrivals:
        # Two tasks look after them, and nobody waits for these in the end.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(service.idle.watch)
            nursery.start_soon(arrivals.run)
            yield arrivals
            nursery.cancel_scope.cancel()


async def _close(listeners: Sequence[trio.abc.Listener[trio.abc.Stream]]) -> None:
    with trio.CancelScope(shield=True):  # closing a socket takes no time
        for listener in listeners:
            await listener.aclose()


async def _accept(listener: trio.abc.Listener[trio.abc.Stream], slots: ConnectionSlots) -> NoReturn:
    with _queue_of(listener) as queue, Spare() as spare:
        recovery = Recovery(slots, spare, queue)
        if queue is not None and isinstance(listener, trio.SocketListener):
            await _accept_sockets(queue, slots, recovery)
        while True:
            if queue is not None:
                await trio.lowlevel.wait_readable(queue)
                await slots.wait()
            await _accept_stream(listener, slots, recovery)


@contextmanager
def _queue_of(listener: trio.abc.Listener[trio.abc.Stream]) -> Iterator[socket.socket | None]:
    """Give the operating system's socket in whose queue clients wait, where it is known."""
    while isinstance(listener, trio.SSLListener):
        listener = listener.transport_listener
    if isinstance(listener, trio.SocketListener):
        listening = socket.socket(fileno=listener.socket.fileno())
        listening.setblocking(False)  # noqa: FBT003 - setdefaulttimeout() would have accept() wait
        try:
            yield listening
        finally:
            listening.detach()  # the descriptor is the listener's
    else:
        yield None


async def _accept_stream(
    listener: trio.abc.Listener[trio.abc.Stream], slots: ConnectionSlots, recovery: Recovery
) -> None:
    try:
        stream = await listener.accept()
    except (OSError, trio.BrokenResourceError) as error:
        return await recovery.failed(error)
    recovery.accepted()
    try:
        # Whether a client waits at a listener that has no socket, only accepting can
        # tell. One client more at each is better than one with no client holding the
        # place that another's client waits for.
        await slots.wait()
    finally:
        # At a shutdown it takes a place even if there is none: nobody else will. It is to
        # begin its wait before the end of the listeners is told.
        client = client_of(stream)  # first: the transport may take the socket out of it
        slots.take(transport_of(stream, slots.service.timeouts), client)
        await trio.lowlevel.cancel_shielded_checkpoint()
    return None


async def _accept_sockets(
    listening: socket.socket, slots: ConnectionSlots, recovery: Recovery
) -> NoReturn:
    """Accept all that are waiting whenever some are: one turn of the scheduler for many.

    The sockets are the operating system's, without Trio's wrapper: together
    that takes half as long as ``trio.serve_listeners``.
    """
    if listening.family in {socket.AF_INET, socket.AF_INET6}:
        # Answers leave whole, so there is nothing to wait for (RFC 896).
        # What is set here, the accepted sockets inherit.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        await trio.lowlevel.wait_readable(listening)
        await slots.wait()
        await _accept_waiting(listening, slots, recovery)


async def _accept_waiting(
    listening: socket.socket, slots: ConnectionSlots, recovery: Recovery
) -> None:
    has_accepted, failure = False, None
    try:
        for _ in range(int(min(ACCEPT_AT_ONCE, slots.free))):
            connected, address = listening.accept()
            connected.setblocking(False)  # noqa: FBT003 - the library's own way to say it
            transport = SocketTransport(connected, slots.readiness.arrivals(connected))
            slots.take(transport, address_text(address))
            has_accepted = True
    except BlockingIOError:
        pass  # those were all
    except OSError as error:
        failure = error
    if has_accepted:
        recovery.accepted()
    if failure is not None:
        await recovery.failed(failure)


def address_of(listener: trio.abc.Listener[trio.abc.Stream]) -> str:
    """Where clients can reach a listener, as people write it."""
    match listener:
        case trio.SocketListener():
            return address_text(listener.socket.getsockname())
        case trio.SSLListener():
            return address_of(listener.transport_listener)
        case _:
            return "local"


def client_of(stream: trio.abc.Stream) -> str:
    """Who is at the other end of a stream."""
    match stream:
        case trio.SocketStream():
            with suppress(OSError):  # who has gone already has no name any more
                return address_text(stream.socket.getpeername())
            return "unknown"
        case trio.SSLStream():
            return client_of(stream.transport_stream)
        case _:
            return "local"
