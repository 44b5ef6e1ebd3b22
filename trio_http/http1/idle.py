"""The connections that wait for a next request: some for too long, and none at a shutdown."""

from __future__ import annotations

from functools import partial
from itertools import islice, takewhile
from typing import Protocol

import trio


class Interruptible(Protocol):
    """What can be told to wait no longer."""

    def interrupt(self) -> None:
        """Have the wait end as if there were no more to come."""
        ...


class Idle:
    """Knows who is waiting since when, for all connections of one server.

    All have the same patience, so whoever began first is due first: the
    connections stand in a queue, and one task looks after its head. A deadline
    for each wait costs many times as much as joining a queue and leaving it.
    """

    def __init__(self, patience: float) -> None:
        self.ending = False
        """Whether a shutdown has begun: then nobody should wait any more."""
        self._patience = patience
        self._since: dict[Interruptible, float] = {}  # in the order in which they came
        self._watching = trio.CancelScope()

    def join(self, connection: Interruptible, now: float) -> bool:
        """Begin to wait; false where nobody should."""
        self._since[connection] = now
        return not self.ending

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
            self.leave(connection)
            connection.interrupt()
        return min(islice(self._since.values(), 1), default=now) + self._patience

    def _is_due(self, now: float, connection: Interruptible) -> bool:
        return self._since[connection] + self._patience <= now

    def end(self) -> None:
        """Let nobody wait any longer."""
        self.ending = True
        self._watching.cancel()
        while self._since:
            self._since.popitem()[0].interrupt()
