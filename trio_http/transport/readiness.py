"""Wakes tasks when there is something to read on their connections.

Trio's ``wait_readable`` registers a socket with the kernel for every wait. On Linux, one
registration can last for the life of a connection: ``Edges`` has its own edge-triggered poll
set, on which one task waits for all connections and wakes the tasks of those that have received
bytes. Per request that saves a system call and some objects, a fifth of the cost of Trio and
the kernel together.
"""

from __future__ import annotations

import select
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import suppress
from typing import NoReturn, Protocol, TypeAlias, TypeVar

import trio
from outcome import Outcome

CAN_WATCH_EDGES = hasattr(select, "epoll")

ResultT = TypeVar("ResultT")

# For one or two connections, waking a task that wakes another costs more than it saves.
FEW = 2

# Connections that are woken before any of them runs.
_AT_ONCE = 256


class Arrivals(Protocol):
    """Waits until one socket may have something to read."""

    def wait(self) -> Awaitable[object]:
        """Return what to await before reading: always a checkpoint, and maybe a false alarm."""
        ...

    def leave_some(self) -> None:
        """Note that the last read may not have taken all that had arrived."""
        ...

    def interrupt(self) -> None:
        """End the current wait, and all later ones, as at the end of input."""
        ...

    def close(self) -> None:
        """Stop waiting for good: the socket is about to be closed."""
        ...


class Levels:
    """Arrivals as Trio reports them, on every system and for any single connection."""

    __slots__ = ("_closed", "_socket")

    def __init__(
        self, connected: socket.socket, closed: Callable[[socket.socket], None] | None = None
    ) -> None:
        self._socket = connected
        self._closed = closed

    async def wait(self) -> None:
        with suppress(trio.ClosedResourceError):
            await trio.lowlevel.wait_readable(self._socket)

    def leave_some(self) -> None:
        """Do nothing: the next wait asks the kernel anew."""

    def interrupt(self) -> None:
        _end_input(self._socket)
        trio.lowlevel.notify_closing(self._socket)

    def close(self) -> None:
        if self._closed is not None:
            self._closed(self._socket)


class _Woken(Outcome[None]):
    """The result that Trio passes to a woken task: always None, so all tasks can share it."""

    def unwrap(self) -> None:
        """Return None, any number of times."""

    def send(self, gen: Generator[ResultT, None, object]) -> ResultT:
        """Resume a generator."""
        return gen.send(None)

    async def asend(self, agen: AsyncGenerator[ResultT, None]) -> ResultT:
        """Resume an async generator."""
        return await agen.asend(None)


WOKEN = _Woken()


class _Edge:
    """Arrivals on one socket of ``Edges``, for at most one task at a time."""

    __slots__ = ("_edges", "_is_known", "_over", "_ready", "_socket", "_task")

    def __init__(self, edges: Edges, connected: socket.socket) -> None:
        self._edges = edges
        self._socket = connected
        self._is_known = False  # whether the kernel watches the socket
        self._task: trio.lowlevel.Task | None = None
        # Something has arrived that no task has waited for. A new client usually sends
        # something at once, and may have left before the kernel would have to watch its socket.
        self._ready = True
        self._over = False  # the input has ended, which every further wait reports

    def wait(self) -> Awaitable[object]:
        if self._ready:
            self._ready = self._over
            return trio.lowlevel.checkpoint()  # noqa: ASYNC105 - the caller awaits it
        if not self._is_known:
            self._is_known = True
            self._edges.watch(self._socket)
        self._task = trio.lowlevel.current_task()
        # Another frame around this call would cost as much as the call itself.
        return trio.lowlevel.wait_task_rescheduled(self._give_up)  # noqa: ASYNC105

    def _give_up(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def wake(self) -> None:
        """Wake the task that waits now or next."""
        if self._task is None:
            self._ready = True
        else:
            trio.lowlevel.reschedule(self._task, WOKEN)
            self._task = None

    def end(self) -> None:
        """Wake the task now and in every wait: the end may arrive together with data."""
        self._over = self._ready = True
        if self._task is not None:
            self.wake()

    def leave_some(self) -> None:
        # An edge that was reported is not reported again.
        self._ready = True

    def interrupt(self) -> None:
        _end_input(self._socket)  # this counts as an arrival, too

    def close(self) -> None:
        self._edges.forget(self._socket)


def _end_input(connected: socket.socket) -> None:
    """Make the kernel report an end of input after the bytes that have arrived."""
    with suppress(OSError):  # the connection is broken, which is reported as well
        connected.shutdown(socket.SHUT_RD)


class Edges:
    """Wakes the tasks that wait for their sockets, while ``run`` is running."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._known: dict[int, _Edge] = {}
        self._lone: set[int] = set()

    def arrivals(self, connected: socket.socket) -> Arrivals:
        """Return the arrivals on a socket, which last until it is closed."""
        if len(self._known) + len(self._lone) < FEW:
            self._lone.add(connected.fileno())
            return Levels(connected, self.forget)
        edge = _Edge(self, connected)
        self._known[connected.fileno()] = edge
        return edge

    def watch(self, connected: socket.socket) -> None:
        """Watch a socket; bytes that have arrived already are reported, too."""
        self._poll.register(connected, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)

    def forget(self, connected: socket.socket) -> None:
        """Stop waking the task of a socket; closing the socket takes it out of the poll set."""
        self._known.pop(connected.fileno(), None)
        self._lone.discard(connected.fileno())

    async def run(self) -> NoReturn:
        """Wait for all sockets at once, and wake the tasks of those that are ready."""
        while True:
            await trio.lowlevel.wait_readable(self._poll.fileno())
            for descriptor, events in self._poll.poll(0, _AT_ONCE):
                # The connection may have ended since, during another task's turn.
                if (edge := self._known.get(descriptor)) is not None:
                    if events == select.EPOLLIN:
                        edge.wake()
                    else:
                        edge.end()

    def close(self) -> None:
        """Close the poll set."""
        self._poll.close()


class TrioLevels:
    """``Edges`` for other systems: each task waits for its own socket."""

    def arrivals(self, connected: socket.socket) -> Arrivals:
        """Return the arrivals on a socket."""
        return Levels(connected)

    async def run(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


Readiness: TypeAlias = Edges | TrioLevels


def readiness() -> Readiness:
    """Return the fastest kind on this system; the caller closes it."""
    return Edges() if CAN_WATCH_EDGES else TrioLevels()
