"""How a server ends: nobody new, nobody idle, and a deadline for the rest."""

from __future__ import annotations

import trio

from trio_http.serving.idle_connections import KeepAliveQueue


class Shutdown:
    """Lets a server drain; made of the three things that a drain acts on."""

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
        """Close the listeners; who is connected has one more answer.

        Nobody who has sent a request, or is about to, is cut off by this.
        """
        self._listening.cancel()

    def listeners_are_closed(self) -> None:
        """Have every response from here on say that it is the last on its connection."""
        self._keep_alive.retire()

    def begin(self) -> None:
        """Close the listeners and idle connections, and give the others their grace.

        Beginning again changes nothing.
        """
        if self._begun:
            return
        self._begun = True
        self._listening.cancel()
        self._keep_alive.end()
        self._connections.deadline = trio.current_time() + self._grace
