"""Shutdown of a server: no new and no idle connections, and a deadline for the others."""

from __future__ import annotations

import trio

from trio_http.serving.idle_connections import KeepAliveQueue


class Shutdown:
    """Drains the listeners, the idle and the other connections of a server."""

    def __init__(
        self,
        listening: trio.CancelScope,
        keep_alive: KeepAliveQueue,
        connections: trio.CancelScope,
        grace: float,
    ) -> None:
        self._listening = listening
        self._keep_alive = keep_alive
        self._connections = connections
        self._grace = grace
        self._begun = False

    def retire(self) -> None:
        """Close the listeners, and give each connected client one more response.

        No client that has sent a request, or is about to, is cut off.
        """
        self._listening.cancel()

    def listeners_are_closed(self) -> None:
        """Announce in every further response that it is the last on its connection."""
        self._keep_alive.retire()

    def begin(self) -> None:
        """Close the listeners and idle connections, and set the deadline for the others.

        Further calls change nothing.
        """
        if self._begun:
            return
        self._begun = True
        self._listening.cancel()
        self._keep_alive.end()
        self._connections.deadline = trio.current_time() + self._grace
