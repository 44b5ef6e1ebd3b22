"""Idle connections: each is closed after its time-out, and all at a shutdown."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice, takewhile
from typing import Protocol

import trio

# Seconds of silence after which no request is expected to be on its way. A client that has just
# connected or received a response usually sends its next request within a round trip. Closing
# the connection during that time would lose the request.
SETTLED = 0.25


class Interruptible(Protocol):
    """A connection whose wait for a request can be interrupted."""

    def interrupt(self) -> None:
        """End the wait as if the client had closed the connection."""
        ...

    def has_unread(self) -> bool:
        """Return whether received bytes are still unread, as far as this can be known."""
        ...


class KeepAliveQueue:
    """Tracks when each connection of one server became idle, and closes those idle for too long.

    The time-out is the same for all, so the connection that became idle first expires first.
    One task watches the head of the queue: a deadline for each wait would cost many times as
    much as joining and leaving the queue.

    Args:
        patience: seconds that a connection may be idle.
    """

    def __init__(self, patience: float) -> None:
        self.persists: bool = True
        """Whether a connection may persist after its response (RFC 9112 9.3)."""
        self._is_over = False  # permanently, while ``persists`` may also be false for a moment
        self._patience = patience
        self._since: dict[Interruptible, float] = {}  # in the order in which they joined
        self._watching = trio.CancelScope()
        self._newcomers = trio.lowlevel.ParkingLot()
        self._asking = 0  # newcomers for which no connection can be closed

    def join(self, connection: Interruptible, now: float) -> bool:
        """Begin to wait; return False if the connection must not wait."""
        self._since[connection] = now
        return self.persists or self._join_while_closing()

    def _join_while_closing(self) -> bool:
        self._newcomers.unpark_all()
        return not self._is_over

    def leave(self, connection: Interruptible) -> None:
        """Remove a connection, if it is in the queue; from now on it is not interrupted."""
        self._since.pop(connection, None)

    async def watch(self) -> None:
        """Interrupt connections idle for longer than ``patience``, until ``end`` is called."""
        with self._watching:
            while True:
                due = self._interrupt_due(trio.current_time())
                await trio.sleep_until(due)

    def _interrupt_due(self, now: float) -> float:
        """Interrupt all connections that are due; return when the next one is."""
        # This compares the same sum that is returned. If the two were rounded differently, a
        # connection could be due by the clock but not by this test, and ``watch`` would never
        # sleep.
        is_due = partial(self._is_due, now)
        for connection in list(takewhile(is_due, self._since)):
            self._interrupt(connection)
        return min(islice(self._since.values(), 1), default=now) + self._patience

    def _is_due(self, now: float, connection: Interruptible) -> bool:
        return self._since[connection] + self._patience <= now

    def _interrupt(self, connection: Interruptible) -> None:
        self.leave(connection)
        connection.interrupt()

    # Room for newcomers. nginx closes the connection that has been idle longest whenever it
    # needs one, however short that was. If all clients are busy, that cuts off clients whose
    # next request is on its way. So only a connection that has been silent for a while is
    # closed. If a newcomer has waited that long in vain, responses announce that they are the
    # last on their connection, which loses no request: busy clients then take turns, a few
    # times a second, and none waits for ever.

    async def make_room(self, since: float) -> None:
        """Close the connection idle longest, for a newcomer that came at ``since``.

        Returns when there may be room, because a connection has ended, or when another call may
        find another idle connection.
        """
        now = trio.current_time()
        match self._interrupt_longest(now):
            case None:  # the end takes a moment, or longer if a request came after all
                await self._park_until(now + SETTLED)
            case due if now < since + SETTLED:
                await self._park_until(min(due, since + SETTLED))
            case due:
                with self._last_responses():
                    await self._park_until(due)

    async def _park_until(self, deadline: float) -> None:
        with trio.move_on_at(deadline):
            await self.wait_for_room()

    @contextmanager
    def _last_responses(self) -> Iterator[None]:
        self._asking += 1
        self.persists = False
        try:
            yield
        finally:
            self._asking -= 1
            self.persists = not self._is_over and not self._asking

    def _interrupt_longest(self, now: float) -> float | None:
        """Interrupt the connection idle longest, or return when one may be interrupted.

        A connection with unread bytes is skipped: a request is about to be read.
        """
        for connection, since in self._since.items():
            if since + SETTLED > now:
                return since + SETTLED
            if not connection.has_unread():
                self._interrupt(connection)
                return None
        return math.inf

    async def wait_for_room(self) -> None:
        """Return when a connection has ended."""
        await self._newcomers.park()

    def room_made(self) -> None:
        """Wake newcomers: a connection has ended."""
        if self._newcomers:
            self._newcomers.unpark_all()

    # Shutdown

    def retire(self) -> None:
        """Make every further response the last on its connection, so that none becomes idle."""
        self._is_over = True
        self.persists = False

    def end(self) -> None:
        """Interrupt all idle connections for good."""
        self.retire()
        self._watching.cancel()
        while self._since:
            self._since.popitem()[0].interrupt()
