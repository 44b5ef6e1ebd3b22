"""Tests of the pool: lending connections, and refreshing in the background."""

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_http.examples.pool import Database, Pool, shop
from trio_http.testing import open_client


async def test_prices_are_refreshed_once_a_minute(autojump_clock: MockClock) -> None:
    async with open_client(shop()) as client:
        first = (await client.get("/prices/tea")).json()["cents"]
        await trio.sleep(59)
        assert (await client.get("/prices/tea")).json()["cents"] == first
        await trio.sleep(2)
        assert (await client.get("/prices/tea")).json() == {"article": "tea", "cents": first + 1}
        response = await client.get("/prices/milk")
        assert (response.status, response.text()) == (
            404,
            "404 Not Found: the shop has no such article\n",
        )


async def test_connection_is_returned_after_use_or_cancellation(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    pool = Pool([Database()])

    async def look() -> None:
        async with pool.connection() as database:
            await database.prices()

    with trio.move_on_after(0.005) as scope:
        await look()
    assert scope.cancelled_caught
    async with pool.connection():
        nursery.start_soon(look)  # has to wait
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
    await trio.sleep(1)
    assert not nursery.child_tasks


async def test_error_of_the_background_task_stops_the_server(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(database: Database) -> dict[str, int]:
        raise OSError("the database is gone")

    async def serve_for_ever() -> None:
        async with open_client(shop()):
            monkeypatch.setattr(Database, "prices", fail)
            await trio.sleep_forever()

    with pytest.raises(OSError, match="the database is gone"):
        await serve_for_ever()
