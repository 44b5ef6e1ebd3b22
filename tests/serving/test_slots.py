"""How many connections there are at once, who gives way to whom, and what is told of it."""

import logging
import math

import pytest
import trio
import trio.testing

from trio_http.http1.connection import Service
from trio_http.http1.exchange import Exchange
from trio_http.http1.keep_alive import SETTLED
from trio_http.http1.reports import Crowded, Event, NotAccepting, Report, report_failures
from trio_http.semantics.limits import Limits, Timeouts
from trio_http.semantics.messages import Response
from trio_http.serving.slots import TOLD, Places
from trio_http.testing import Client
from trio_http.transport.readiness import TrioLevels
from trio_http.transport.stream import transport_of

PUT = b"PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n"


async def hello(exchange: Exchange) -> None:
    """Answer at once, or to those with a body as soon as it is there."""
    await exchange.request.read()
    await exchange.respond(Response.text("hello\n"))


def places_for(
    connections: float, nursery: trio.Nursery, report: Report = report_failures
) -> Places:
    timeouts, limits = Timeouts(receive=math.inf), Limits(connections=connections)
    service = Service(hello, timeouts, limits, report)
    return Places(service, TrioLevels(), nursery)


def enter(places: Places) -> Client:
    """Take a place; the client who sits there."""
    near, far = trio.testing.memory_stream_pair()
    places.take(transport_of(far, Timeouts(linger=0)), "test")
    return Client(near)


async def busy(places: Places) -> Client:
    """Take a place for a request that takes as long as its client wants."""
    client = enter(places)
    await client.send(PUT)
    await trio.testing.wait_all_tasks_blocked()
    return client


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
    events: list[Event] = []
    with trio.testing.assert_no_checkpoints():
        await places_for(1, nursery, events.append).wait()
        await places_for(math.inf, nursery, events.append).wait()
    assert events == []


async def test_all_who_wait_for_a_place_look_again_when_there_is_one(
    nursery: trio.Nursery,
) -> None:
    places, woken = places_for(1, nursery), []

    async def wait(name: str) -> None:
        await places.wait()
        woken.append(name)

    client = await busy(places)
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
        await clients[-1].send(PUT)

    clients.append(await busy(places))
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


# Those who give way


async def test_who_has_been_idle_for_longest_gives_way_at_once(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    places = places_for(3, nursery)
    # One has been answered since it came, and one has never said anything.
    answered, silent, working = enter(places), enter(places), await busy(places)
    await trio.sleep(10)
    await answered.get("/")
    await trio.sleep(10)
    for client in (silent, answered):
        await places.wait()
        assert await client.rest() == b""
        assert places.free == 1
        enter(places)
    assert trio.current_time() == 20
    await working.send(b"hello")
    assert (await working.answer()).status == 200


async def test_who_was_answered_a_moment_ago_gives_way_a_moment_later(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    places = places_for(1, nursery)
    client = enter(places)
    await client.get("/")
    await places.wait()
    assert trio.current_time() == SETTLED
    assert await client.rest() == b""


async def test_where_all_are_busy_the_next_to_be_answered_gives_way(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    places, entered = places_for(2, nursery), trio.Event()
    client, _ = await busy(places), await busy(places)

    async def wait_and_enter() -> None:
        await places.wait()
        entered.set()

    nursery.start_soon(wait_and_enter)
    await trio.sleep(1)
    await client.send(b"hello")
    answer = await client.answer()
    assert (answer.status, answer.headers["Connection"]) == (200, "close")
    assert await client.rest() == b""
    await client.stream.aclose()  # or that is waited for
    await entered.wait()
    assert trio.current_time() == 1


# What is told


async def test_that_there_are_too_few_is_told_once_a_minute(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    told: list[float] = []

    def report(event: Event) -> None:
        if event == Crowded(1):
            told.append(trio.current_time())

    places = places_for(1, nursery, report)
    for _ in range(13):
        await places.wait()
        enter(places)
        await trio.sleep(10)
    assert told == [10, 10 + TOLD]


async def test_each_lack_is_told_by_itself(nursery: trio.Nursery) -> None:
    events: list[Event] = []
    places = places_for(1, nursery, events.append)
    error = OSError(24, "Too many open files")
    for _ in range(2):
        places.tell(Crowded(1))
        places.tell(NotAccepting(error))
    assert events == [Crowded(1), NotAccepting(error)]


async def test_a_report_that_fails_stops_nobody(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: Event) -> None:
        raise ValueError(event)

    places_for(1, nursery, fail).tell(Crowded(1))
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("trio_http", logging.ERROR)
    assert "ValueError: Crowded" in caplog.text
