"""The connections that wait for a next request: a shutdown ends them at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio


class Idle:
    """Knows who is waiting, for all connections of one server.

    ``ending`` is true once no connection should wait for a request any more.
    """

    def __init__(self) -> None:
        self.ending = False
        self._waiting: set[trio.CancelScope] = set()

    async def wait(self, begins: Callable[[], Awaitable[bool]], seconds: float) -> bool:
        """Whether a request begins, within so many seconds and before a shutdown."""
        with trio.move_on_after(seconds) as scope:
            if self.ending:
                scope.cancel()
            self._waiting.add(scope)
            try:
                return await begins()
            finally:
                self._waiting.discard(scope)
        return False

    def end(self) -> None:
        """Let nobody wait any longer."""
        self.ending = True
        for scope in self._waiting:
            scope.cancel()
