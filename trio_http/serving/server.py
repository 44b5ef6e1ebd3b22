"""The server: one nursery for the listeners, one for the connections, and their shutdown."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import NoReturn

import trio

from trio_http.http1.app_lifetime import Servable, entered
from trio_http.http1.connection import Service
from trio_http.http1.server_events import Report, report_failures
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.limits import Limits
from trio_http.semantics.timeouts import Timeouts
from trio_http.serving.accept_errors import Recovery, Spare
from trio_http.serving.connection_slots import ConnectionSlots
from trio_http.serving.idle_connections import KeepAliveQueue
from trio_http.serving.listeners import address_text
from trio_http.serving.shutdown import Shutdown
from trio_http.transport.readiness import Readiness, readiness
from trio_http.transport.sockets import SocketTransport
from trio_http.transport.stream import transport_of

# Connections that are accepted before other tasks run.
ACCEPT_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is listening, as ``nursery.start(serve, app, listeners)`` returns it.

    Attributes:
        addresses: where it listens, such as ``127.0.0.1:8000`` or ``[::1]:8000``, with the
            actual port if port 0 was requested; a path for a Unix socket.
    """

    addresses: tuple[str, ...]
    _shutdown: Shutdown

    def retire(self) -> None:
        """Stop accepting, and give each client one last response, with ``Connection: close``.

        Use this when a successor is already listening: no request is lost, not even on
        connections that are kept alive. ``serve`` returns when all clients have left, which may
        take until ``Timeouts.idle``; ``shutdown`` closes idle connections sooner.
        """
        self._shutdown.retire()

    def shutdown(self) -> None:
        """Drain: stop accepting, close idle connections, and let running requests finish.

        Requests that have not finished after ``Timeouts.grace`` seconds are cancelled, for
        example streams of events. This method does not wait: ``serve`` returns when all have
        ended.
        """
        self._shutdown.begin()


async def serve(  # noqa: PLR0913 - all but two have defaults
    app: Servable,
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
    *,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - a frozen value
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
    behavior: Behavior = Behavior(),  # noqa: B008 - a frozen value
    report: Report = report_failures,
    task_status: trio.TaskStatus[Server] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve an app to all clients that connect to these listeners.

    Start it with ``server = await nursery.start(serve, app, listeners)``, which returns when
    the server is listening; ``nursery.start_soon`` returns no ``Server``. It runs until
    ``server.shutdown()`` has drained it. Cancelling it stops it at once.

    A failing request is reported and does not end the server.

    Args:
        app: an App, a Router, or an async context manager of one. Wrap a handler, which takes a
            ``Request``, in ``answering``. A context manager is entered before the first
            connection is accepted and left after the last has ended.
        listeners: for example from ``open_listeners``, or ``trio.SSLListener`` around them.
            They are closed before ``serve`` returns or raises.
        timeouts: the seconds that the server waits.
        limits: the sizes and numbers that it accepts.
        behavior: choices that are not limits, such as sending a Date header.
        report: called with each event of the server. The default logs failures to the logger
            ``trio_http``.
        task_status: passed by ``nursery.start``.

    Raises:
        trio.TooSlowError: the lifetime of the app has not begun within ``timeouts.start`` seconds.
        Exception: raised in the frame of the app's lifetime, also while the app is served. A
            group of one exception is raised as that exception.
    """
    try:
        async with entered(app, timeouts) as within:
            keep_alive = KeepAliveQueue(timeouts.idle)
            service = Service(within, keep_alive, timeouts, limits, behavior, report)
            await _serve_connections(service, keep_alive, listeners, task_status)
    finally:
        await _close(listeners)


async def _serve_connections(
    service: Service,
    keep_alive: KeepAliveQueue,
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
    task_status: trio.TaskStatus[Server],
) -> None:
    # The outer nursery outlives the inner one: leaving the inner stops the listeners, leaving
    # the outer waits for the connections that they accepted.
    async with _looked_after(keep_alive) as arrivals, trio.open_nursery() as connections:
        slots = ConnectionSlots(service, keep_alive, arrivals, connections)
        async with trio.open_nursery() as listening:
            shutdown = Shutdown(
                listening.cancel_scope,
                keep_alive,
                connections.cancel_scope,
                service.timeouts.grace,
            )
            for listener in listeners:
                listening.start_soon(_accept, listener, slots)
            task_status.started(Server(tuple(map(address_of, listeners)), shutdown))
        # Only now: a client accepted a moment ago must begin its wait first.
        shutdown.listeners_are_closed()
        await _close(listeners)  # before the wait: new clients should try elsewhere


@asynccontextmanager
async def _looked_after(keep_alive: KeepAliveQueue) -> AsyncIterator[Readiness]:
    """Run the tasks that all connections share for waiting, while the block lasts."""
    with closing(readiness()) as arrivals:
        # The two tasks never end by themselves.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_alive.watch)
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
    """Yield the socket in whose accept queue clients wait, or None if it is unknown."""
    while isinstance(listener, trio.SSLListener):
        listener = listener.transport_listener
    if isinstance(listener, trio.SocketListener):
        listening = socket.socket(fileno=listener.socket.fileno())
        listening.setblocking(False)  # noqa: FBT003 - with setdefaulttimeout(), accept() would wait
        try:
            yield listening
        finally:
            listening.detach()  # the listener owns the descriptor
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
        # For a listener without a socket, only ``accept`` can tell whether a client is waiting.
        # So each such listener may hold one client beyond the limit. Taking a slot first would
        # be worse: a listener without clients would hold a slot that a client elsewhere waits
        # for.
        await slots.wait()
    finally:
        # At a shutdown the client takes a slot even if none is free, because no other task
        # would serve it. It must begin its wait before ``listeners_are_closed``.
        client = client_of(stream)  # first: the transport may take the socket out of the stream
        slots.take(transport_of(stream, slots.service.timeouts), client)
        await trio.lowlevel.cancel_shielded_checkpoint()
    return None


async def _accept_sockets(
    listening: socket.socket, slots: ConnectionSlots, recovery: Recovery
) -> NoReturn:
    """Accept all waiting clients in one turn of the scheduler.

    It uses the operating system's sockets without Trio's wrapper. Both together take half the
    time of ``trio.serve_listeners``.
    """
    if listening.family in {socket.AF_INET, socket.AF_INET6}:
        # Responses are sent whole, so waiting for more data gains nothing (RFC 896). The
        # accepted sockets inherit the option.
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
            connected.setblocking(False)  # noqa: FBT003 - the library's own signature
            transport = SocketTransport(connected, slots.readiness.arrivals(connected))
            slots.take(transport, address_text(address))
            has_accepted = True
    except BlockingIOError:
        pass  # no more clients are waiting
    except OSError as error:
        failure = error
    if has_accepted:
        recovery.accepted()
    if failure is not None:
        await recovery.failed(failure)


def address_of(listener: trio.abc.Listener[trio.abc.Stream]) -> str:
    """Return the address of a listener as text."""
    match listener:
        case trio.SocketListener():
            return address_text(listener.socket.getsockname())
        case trio.SSLListener():
            return address_of(listener.transport_listener)
        case _:
            return "local"


def client_of(stream: trio.abc.Stream) -> str:
    """Return the address of the other end of a stream as text."""
    match stream:
        case trio.SocketStream():
            with suppress(OSError):  # a client that has left has no address
                return address_text(stream.socket.getpeername())
            return "unknown"
        case trio.SSLStream():
            return client_of(stream.transport_stream)
        case _:
            return "local"
