"""The connections that wait for a next request: a shutdown ends them at once."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable

import trio


class Idle:
    """Knows who is waiting, for all connections of one server.

    ``ending`` is true once no connection should wait for a request any more.
    """

    def __init__(self) -> None:
        self.ending = False
        self._waiting: set[trio.CancelScope] = set()

    async def wait(
        self, begins: Callable[[], Awaitable[bool]], scope: trio.CancelScope, seconds: float
    ) -> bool:
        """Whether a request begins.

        Where none does within so many seconds, or a shutdown begins, ``scope``
        is cancelled. It is the connection's for all its waits: to move one
        deadline takes half as long as to open a scope each time.
        """
        scope.deadline = trio.current_time() + seconds
        if self.ending:
            scope.cancel()
        self._waiting.add(scope)
        try:
            began = await begins()
        finally:
            self._waiting.discard(scope)
        scope.deadline = math.inf
        # The time may have run out while the first bytes were on their way to
        # us. Then it has run out: a handler must not meet that cancellation.
        return began and not scope.cancel_called

    def end(self) -> None:
        """Let nobody wait any longer."""
        self.ending = True
        for scope in self._waiting:
            scope.cancel()
