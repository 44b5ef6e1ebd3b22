"""Share a pool of connections, and refresh cached data in the background.

    trio-http app trio_http.examples.pool:shop
    curl localhost:4221/prices/tea

prints a price that rises once a minute. The pool is opened before the first request and closed
after the last, in the frame of ``shop``. An error in that frame, such as one in ``refresh``,
ends the server with that error, so that its service manager can restart it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from trio_http import HTTPError, Request, Response, Router


class Database:
    """A stand-in for a driver's connection, which runs one query at a time."""

    queries: int = 0

    async def prices(self) -> dict[str, int]:
        """Return all prices, which rise with each query."""
        await trio.sleep(0.01)
        Database.queries += 1
        return {"tea": 200 + Database.queries, "coffee": 300 + Database.queries}


class Pool:
    """Connections, each lent to one task at a time, while other tasks wait."""

    def __init__(self, connections: list[Database]) -> None:
        self._send, self._receive = trio.open_memory_channel[Database](len(connections))
        for connection in connections:
            self._send.send_nowait(connection)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Database]:
        """Lend a connection for the duration of the block."""
        connection = await self._receive.receive()
        try:
            yield connection
        finally:
            self._send.send_nowait(connection)  # never waits, so it cannot be cancelled


@asynccontextmanager
async def shop() -> AsyncIterator[Router]:
    """Serve with a pool and a background task around the app."""
    pool = Pool([Database() for _ in range(4)])  # with a driver: async with open_pool(…) as pool
    async with pool.connection() as database:
        prices = await database.prices()

    async def refresh() -> None:
        while True:
            await trio.sleep(60)
            async with pool.connection() as database:
                prices.update(await database.prices())

    router = Router()

    @router.get("/prices/{article}")
    async def price(request: Request, article: str) -> Response:
        if article not in prices:
            raise HTTPError(404, "the shop has no such article")
        return Response.json({"article": article, "cents": prices[article]})

    async with trio.open_nursery() as nursery:
        nursery.start_soon(refresh)
        yield router  # returns when all connections have ended
        nursery.cancel_scope.cancel()
