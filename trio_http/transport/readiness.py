"""Which connections have something to read: told to the tasks that wait for it.

Trio's ``wait_readable`` registers a socket with the kernel for every wait. On
Linux one registration can last for a connection's life: ``Edges`` has a poll
set of its own, edge-triggered, in which one task waits for all and wakes those
whose bytes have come. Per request that saves a system call and some objects,
a fifth of what Trio and the kernel cost together.
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

# For one connection or two, waking a task that wakes theirs costs more than it saves.
FEW = 2

# So many connections are woken before any of them runs.
_AT_ONCE = 256


class Arrivals(Protocol):
    """One socket's side of the matter: waits until it may have something to read."""

    def wait(self) -> Awaitable[object]:
        """What to await before reading: always a checkpoint, and may be a false alarm."""
        ...

    def leave_some(self) -> None:
        """Say that the last reading may not have taken all that there was."""
        ...

    def interrupt(self) -> None:
        """Have a wait that is under way, and all others, end as at the end of input."""
        ...

    def close(self) -> None:
        """Say that nobody will wait any more; the socket is about to be closed."""
        ...


class Levels:
    """Arrivals as Trio tells them, on every system and for any single connection."""

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
        """Nothing to do: a next wait asks the kernel anew."""

    def interrupt(self) -> None:
        _end_input(self._socket)
        trio.lowlevel.notify_closing(self._socket)

    def close(self) -> None:
        if self._closed is not None:
            self._closed(self._socket)


class _Woken(Outcome[None]):
    """What Trio hands to a task that is woken: nothing, and so one will do for all."""

    def unwrap(self) -> None:
        """Nothing, as often as it is asked for."""

    def send(self, gen: Generator[ResultT, None, object]) -> ResultT:
        """Have a generator go on."""
        return gen.send(None)

    async def asend(self, agen: AsyncGenerator[ResultT, None]) -> ResultT:
        """Have an async generator go on."""
        return await agen.asend(None)


WOKEN = _Woken()


class _Edge:
    """Arrivals on one socket of ``Edges``: at most one task waits for them."""

    __slots__ = ("_edges", "_is_known", "_over", "_ready", "_socket", "_task")

    def __init__(self, edges: Edges, connected: socket.socket) -> None:
        self._edges = edges
        self._socket = connected
        self._is_known = False  # to the kernel
        self._task: trio.lowlevel.Task | None = None
        # Something has come that nobody has waited for yet. Who connects mostly says
        # something at once, and may be gone before the kernel would have to watch.
        self._ready = True
        self._over = False  # nothing more will come: that is told for ever

    def wait(self) -> Awaitable[object]:
        if self._ready:
            self._ready = self._over
            return trio.lowlevel.checkpoint()  # noqa: ASYNC105 - our caller awaits it
        if not self._is_known:
            self._is_known = True
            self._edges.watch(self._socket)
        self._task = trio.lowlevel.current_task()
        # A frame of our own around this would cost as much as it does.
        return trio.lowlevel.wait_task_rescheduled(self._give_up)  # noqa: ASYNC105

    def _give_up(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED

    def wake(self) -> None:
        """Let whoever waits, or will wait next, go on."""
        if self._task is None:
            self._ready = True
        else:
            trio.lowlevel.reschedule(self._task, WOKEN)
            self._task = None

    def end(self) -> None:
        """Let whoever waits go on, now and always: the end may come together with data."""
        self._over = self._ready = True
        if self._task is not None:
            self.wake()

    def leave_some(self) -> None:
        # What has been told once is not told again.
        self._ready = True

    def interrupt(self) -> None:
        _end_input(self._socket)  # which is an arrival, too

    def close(self) -> None:
        self._edges.forget(self._socket)


def _end_input(connected: socket.socket) -> None:
    """Have the kernel tell of an end of input, behind what is there to be read."""
    with suppress(OSError):  # the connection is broken, which is told as well
        connected.shutdown(socket.SHUT_RD)


class Edges:
    """Wakes the tasks that wait for their sockets, as long as ``run`` runs."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._known: dict[int, _Edge] = {}
        self._lone: set[int] = set()

    def arrivals(self, connected: socket.socket) -> Arrivals:
        """What tells of the bytes that come on a socket, from now until it is closed."""
        if len(self._known) + len(self._lone) < FEW:
            self._lone.add(connected.fileno())
            return Levels(connected, self.forget)
        edge = _Edge(self, connected)
        self._known[connected.fileno()] = edge
        return edge

    def watch(self, connected: socket.socket) -> None:
        """Begin to tell of what comes, and of what is there already."""
        self._poll.register(connected, select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET)

    def forget(self, connected: socket.socket) -> None:
        """Tell nothing more of a socket; closing it takes it out of the poll set."""
        self._known.pop(connected.fileno(), None)
        self._lone.discard(connected.fileno())

    async def run(self) -> NoReturn:
        """Wait for all sockets at once, and wake those who wait for one of them."""
        while True:
            await trio.lowlevel.wait_readable(self._poll.fileno())
            for descriptor, events in self._poll.poll(0, _AT_ONCE):
                # A connection may have ended since, in another task's turn.
                if (edge := self._known.get(descriptor)) is not None:
                    if events == select.EPOLLIN:
                        edge.wake()
                    else:
                        edge.end()

    def close(self) -> None:
        """Give the poll set back."""
        self._poll.close()


class TrioLevels:
    """The same where there are no edges: everyone waits for themselves."""

    def arrivals(self, connected: socket.socket) -> Arrivals:
        """What tells of the bytes that come on a socket."""
        return Levels(connected)

    async def run(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


Readiness: TypeAlias = Edges | TrioLevels


def readiness() -> Readiness:
    """The quickest there is on this system; whoever has it closes it."""
    return Edges() if CAN_WATCH_EDGES else TrioLevels()
