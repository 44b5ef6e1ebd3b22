"""The connections that wait for a next request: each for a time, and none at a shutdown."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice, takewhile
from typing import Protocol

import trio

# Seconds of silence after which no request is believed to be on its way. A client that
# has just connected, or had its answer, mostly sends its next request within a round
# trip; to close the connection meanwhile would lose that request.
SETTLED = 0.25


class Interruptible(Protocol):
    """A connection that can be told to wait no longer."""

    def interrupt(self) -> None:
        """Make the wait end as if there were no more to come."""
        ...

    def has_unread(self) -> bool:
        """Return whether bytes have come that nobody has received, as far as can be told."""
        ...


class KeepAliveQueue:
    """Tracks when each connection of one server became idle, and closes those idle for too long.

    All have the same patience, so the connection that became idle first is due first. The
    connections stand in a queue, and one task looks after its head: a deadline for each wait
    would cost many times as much as joining a queue and leaving it.

    Args:
        patience: seconds that a connection may be idle.
    """

    def __init__(self, patience: float) -> None:
        self.persists: bool = True
        """Whether a connection may persist after its response (RFC 9112 9.3)."""
        self._is_over = False  # for ever, where ``persists`` may be false for a moment
        self._patience = patience
        self._since: dict[Interruptible, float] = {}  # in the order in which they came
        self._watching = trio.CancelScope()
        self._newcomers = trio.lowlevel.ParkingLot()
        self._asking = 0  # newcomers for whom there is nobody to interrupt

    def join(self, connection: Interruptible, now: float) -> bool:
        """Begin to wait; false where nobody should."""
        self._since[connection] = now
        return self.persists or self._join_while_closing()

    def _join_while_closing(self) -> bool:
        self._newcomers.unpark_all()
        return not self._is_over

    def leave(self, connection: Interruptible) -> None:
        """Wait no longer, if at all; until then the connection may be interrupted."""
        self._since.pop(connection, None)

    async def watch(self) -> None:
        """Interrupt whoever waits for longer than ``patience``; return when all shall end."""
        with self._watching:
            while True:
                due = self._interrupt_due(trio.current_time())
                await trio.sleep_until(due)

    def _interrupt_due(self, now: float) -> float:
        """Interrupt those whose time is up, and return when the next one's is."""
        # What is compared here is the very sum that is returned: rounded in two ways, a
        # time could be up for the clock and not for us, and the watch would never sleep.
        is_due = partial(self._is_due, now)
        for connection in list(takewhile(is_due, self._since)):
            self._interrupt(connection)
        return min(islice(self._since.values(), 1), default=now) + self._patience

    def _is_due(self, now: float, connection: Interruptible) -> bool:
        return self._since[connection] + self._patience <= now

    def _interrupt(self, connection: Interruptible) -> None:
        self.leave(connection)
        connection.interrupt()

    # Room for newcomers. nginx closes the connection that has been idle for longest
    # whenever it needs one, however short that was. Of clients that are all busy, this
    # cuts off those whose next request is on its way. So only a connection that has been
    # silent for a while is closed. A newcomer who has waited as long in vain gets room
    # by responses that say that they are the last, which loses no request: clients that
    # are busy take turns then, a few times a second, and none has to wait for ever.

    async def make_room(self, since: float) -> None:
        """End the longest wait for a newcomer that waits ``since`` then.

        Returns when a connection has ended, and so there may be room, or when
        another call may find another wait to end.
        """
        now = trio.current_time()
        match self._interrupt_longest(now):
            case None:  # Its end takes a moment, or longer if a request came after all.
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
        """Interrupt the connection that has waited longest, or return when that can be done.

        Whatever has been received for one is a request that is about to be read.
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
        """Make every response from here on the last, and let nobody begin to wait."""
        self._is_over = True
        self.persists = False

    def end(self) -> None:
        """Let nobody wait any longer."""
        self.retire()
        self._watching.cancel()
        while self._since:
            self._since.popitem()[0].interrupt()
