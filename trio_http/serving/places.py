"""Where connections are served: a nursery with so many places, and no more."""

from __future__ import annotations

import trio

from trio_http.http1.connection import Service, serve_connection
from trio_http.http1.readiness import Readiness
from trio_http.http1.stream import Transport


class Places:
    """The connections of one server, of which there are never more than ``limits.connections``.

    Whoever accepts connections waits for a place first, so that those for whom
    there is none stay where they are, in the queue of the listening socket.
    """

    def __init__(self, service: Service, readiness: Readiness, nursery: trio.Nursery) -> None:
        self.service = service
        self.readiness = readiness
        self.free = service.limits.connections
        self._nursery = nursery
        self._waiting = trio.lowlevel.ParkingLot()

    async def wait(self) -> None:
        """Return when there is a place; a checkpoint only where there was none."""
        while self.free < 1:
            await self._waiting.park()

    def take(self, transport: Transport, client: str) -> None:
        """Begin to serve a connection."""
        self.free -= 1
        self._nursery.start_soon(self._serve, transport, client)

    async def _serve(self, transport: Transport, client: str) -> None:
        # A frame more per connection is what knowing of its end costs, where
        # ``len(nursery.child_tasks)`` would copy all of them to count them.
        try:
            await serve_connection(self.service, transport, client)
        finally:
            self.free += 1
            if self._waiting:
                self._waiting.unpark_all()
