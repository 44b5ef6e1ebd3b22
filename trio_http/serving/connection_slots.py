"""Where connections are served: a nursery with a number of slots, and no more."""

from __future__ import annotations

import math

import trio

from trio_http.http1.connection import Service, serve_connection
from trio_http.http1.server_events import Crowded, Failure, NotAccepting, report_failures
from trio_http.serving.idle_connections import KeepAliveQueue
from trio_http.transport.readiness import Readiness
from trio_http.transport.stream import Transport

# Seconds for which what was told of a lack is not told again: while it lasts, each
# client that connects meets it anew.
TOLD = 60


class ConnectionSlots:
    """The connections of one server, of which there are never more than ``limits.connections``.

    A listener waits for a slot before it accepts a client, so that clients
    without one stay in the queue of the listening socket. It waits once there is
    such a client, because idle connections make room for it.
    """

    def __init__(
        self,
        service: Service,
        keep_alive: KeepAliveQueue,
        readiness: Readiness,
        nursery: trio.Nursery,
    ) -> None:
        self.service: Service = service
        self.keep_alive: KeepAliveQueue = keep_alive
        self.readiness: Readiness = readiness
        self.free: float = service.limits.connections
        self._nursery = nursery
        self._told: dict[type[Crowded | NotAccepting], float] = {}

    async def wait(self) -> None:
        """Return when there is a slot for a client; a checkpoint only where there was none."""
        if self.free >= 1:
            return
        self.tell(Crowded(self.service.limits.connections))
        since = trio.current_time()
        while self.free < 1:
            await self.keep_alive.make_room(since)

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
            self.keep_alive.room_made()

    def tell(self, event: Crowded | NotAccepting) -> None:
        """Report a lack, unless the same was reported a moment ago."""
        now = trio.current_time()
        if now < self._told.get(type(event), -math.inf):
            return
        self._told[type(event)] = now + TOLD
        try:
            self.service.report(event)
        except Exception as error:  # noqa: BLE001 - a mistake in it must not stop the server
            report_failures(Failure("", b"", error))
