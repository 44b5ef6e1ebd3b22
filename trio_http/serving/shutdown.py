"""How a server ends: nobody new, nobody idle, and a deadline for the rest."""

from __future__ import annotations

import trio

from trio_http.http1.idle import Idle


class Shutdown:
    """Lets a server drain; made of the three things that a drain acts on."""

    def __init__(
        self, listening: trio.CancelScope, idle: Idle, connections: trio.CancelScope, grace: float
    ) -> None:
        self._listening = listening
        self._idle = idle
        self._connections = connections
        self._grace = grace

    def begin(self) -> None:
        """Close the listeners and idle connections, and give the others their grace.

        From here on every response says that it is the last on its connection.
        Beginning again changes nothing.
        """
        if self._idle.ending:
            return
        self._listening.cancel()
        self._idle.end()
        self._connections.deadline = trio.current_time() + self._grace
