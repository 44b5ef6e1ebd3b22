"""The connections of one server: a nursery with a limited number of slots."""

from __future__ import annotations

import math

import trio

from trio_http.http1.connection import Service, serve_connection
from trio_http.http1.server_events import Crowded, Failure, NotAccepting, report_failures
from trio_http.serving.idle_connections import KeepAliveQueue
from trio_http.transport.readiness import Readiness
from trio_http.transport.stream import Transport

# Seconds for which the same shortage is not reported again: while it lasts, every new client
# runs into it.
TOLD = 60


class ConnectionSlots:
    """The connections of one server, at most ``limits.connections``.

    A listener waits for a slot before it accepts a client, so clients without a slot stay in
    the accept queue. The listener begins to wait only when such a client has connected, because
    idle connections are closed to make room for it.
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
        """Return when a slot is free; a checkpoint only if none was."""
        if self.free >= 1:
            return
        self.tell(Crowded(self.service.limits.connections))
        since = trio.current_time()
        while self.free < 1:
            await self.keep_alive.make_room(since)

    def take(self, transport: Transport, client: str) -> None:
        """Start serving a connection."""
        self.free -= 1
        self._nursery.start_soon(self._serve, transport, client)

    async def _serve(self, transport: Transport, client: str) -> None:
        # This extra frame per connection is the cost of knowing when it ends. Counting with
        # ``len(nursery.child_tasks)`` would copy the whole set each time.
        try:
            await serve_connection(self.service, transport, client)
        finally:
            self.free += 1
            self.keep_alive.room_made()

    def tell(self, event: Crowded | NotAccepting) -> None:
        """Report a shortage, at most every ``TOLD`` seconds."""
        now = trio.current_time()
        if now < self._told.get(type(event), -math.inf):
            return
        self._told[type(event)] = now + TOLD
        try:
            self.service.report(event)
        except Exception as error:  # noqa: BLE001 - its failure must not stop the server
            report_failures(Failure("", b"", error))
