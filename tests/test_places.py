"""How many connections there are at once, and who learns that one has ended."""

import math

import pytest
import trio
import trio.testing

from trio_http.http1.connection import Service
from trio_http.http1.exchange import Exchange
from trio_http.http1.readiness import TrioLevels
from trio_http.http1.stream import transport_of
from trio_http.semantics.limits import Limits, Timeouts
from trio_http.semantics.messages import Response
from trio_http.serving.places import Places
from trio_http.testing import Client


async def hello(exchange: Exchange) -> None:
    await exchange.respond(Response.text("hello\n"))


def places_for(connections: float, nursery: trio.Nursery) -> Places:
    service = Service(hello, limits=Limits(connections=connections))
    return Places(service, TrioLevels(), nursery)


def enter(places: Places) -> Client:
    """Take a place; the client who sits there."""
    near, far = trio.testing.memory_stream_pair()
    places.take(transport_of(far, Timeouts(linger=0)), "test")
    return Client(near)


async def test_who_takes_a_place_is_served_and_gives_it_back(nursery: trio.Nursery) -> None:
    places = places_for(3, nursery)
    first, second = enter(places), enter(places)
    assert places.free == 1
    assert (await first.get("/")).status == (await second.get("/")).status == 200
    assert places.free == 1
    await second.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert places.free == 2


async def test_connection_that_is_cancelled_gives_its_place_back() -> None:
    async with trio.open_nursery() as nursery:
        places = places_for(1, nursery)
        enter(places)  # and has not even begun
        nursery.cancel_scope.cancel()
    assert places.free == 1


async def test_with_a_place_free_there_is_nothing_to_wait_for(nursery: trio.Nursery) -> None:
    with trio.testing.assert_no_checkpoints():
        await places_for(1, nursery).wait()
        await places_for(math.inf, nursery).wait()


async def test_all_who_wait_for_a_place_look_again_when_there_is_one(
    nursery: trio.Nursery,
) -> None:
    places, woken = places_for(1, nursery), []

    async def wait(name: str) -> None:
        await places.wait()
        woken.append(name)

    client = enter(places)
    nursery.start_soon(wait, "one")
    nursery.start_soon(wait, "other")
    await trio.testing.wait_all_tasks_blocked()
    assert woken == []
    await client.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert sorted(woken) == ["one", "other"]


async def test_who_comes_too_late_waits_on(nursery: trio.Nursery) -> None:
    places, clients = places_for(1, nursery), []

    async def wait_and_enter() -> None:
        await places.wait()
        clients.append(enter(places))

    clients.append(enter(places))
    nursery.start_soon(wait_and_enter)
    nursery.start_soon(wait_and_enter)
    for number in (1, 2, 3):
        await trio.testing.wait_all_tasks_blocked()
        assert len(clients) == number
        await clients[-1].stream.aclose()


@pytest.mark.parametrize("connections", [math.inf, 1000.0])
async def test_number_of_places_need_not_be_whole(
    nursery: trio.Nursery, connections: float
) -> None:
    places = places_for(connections, nursery)
    assert (await enter(places).get("/")).status == 200
