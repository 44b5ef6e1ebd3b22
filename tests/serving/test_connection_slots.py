"""Tests of the limit on connections: which of them are closed for others, and the reports."""

import logging
import math

import pytest
import trio
import trio.testing

from trio_http.http1.connection import Service
from trio_http.http1.exchange import Exchange
from trio_http.http1.server_events import (
    Crowded,
    NotAccepting,
    Report,
    ServerEvent,
    report_failures,
)
from trio_http.semantics.limits import Limits
from trio_http.semantics.response import Response
from trio_http.semantics.timeouts import Timeouts
from trio_http.serving.connection_slots import TOLD, ConnectionSlots
from trio_http.serving.idle_connections import SETTLED, KeepAliveQueue
from trio_http.testing import Client
from trio_http.transport.readiness import TrioLevels
from trio_http.transport.stream import transport_of

PUT = b"PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n"


async def hello(exchange: Exchange) -> None:
    """Respond as soon as the request's body, if any, has arrived."""
    await exchange.request.read()
    await exchange.respond(Response.text("hello\n"))


def places_for(
    connections: float, nursery: trio.Nursery, report: Report = report_failures
) -> ConnectionSlots:
    timeouts, limits = Timeouts(receive=math.inf), Limits(connections=connections)
    keep_alive = KeepAliveQueue(timeouts.idle)
    service = Service(hello, keep_alive, timeouts, limits, report=report)
    return ConnectionSlots(service, keep_alive, TrioLevels(), nursery)


def enter(slots: ConnectionSlots) -> Client:
    """Take a slot, and return its client."""
    near, far = trio.testing.memory_stream_pair()
    slots.take(transport_of(far, Timeouts(linger=0)), "test")
    return Client(near)


async def busy(slots: ConnectionSlots) -> Client:
    """Take a slot for a request that lasts until the client sends its body."""
    client = enter(slots)
    await client.send(PUT)
    await trio.testing.wait_all_tasks_blocked()
    return client


async def test_connection_takes_a_slot_and_frees_it_at_its_end(nursery: trio.Nursery) -> None:
    slots = places_for(3, nursery)
    first, second = enter(slots), enter(slots)
    assert slots.free == 1
    assert (await first.get("/")).status == (await second.get("/")).status == 200
    assert slots.free == 1
    await second.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert slots.free == 2


async def test_cancelled_connection_frees_its_slot() -> None:
    async with trio.open_nursery() as nursery:
        slots = places_for(1, nursery)
        enter(slots)  # its task has not even begun
        nursery.cancel_scope.cancel()
    assert slots.free == 1


async def test_wait_with_a_free_slot_returns_without_a_checkpoint(nursery: trio.Nursery) -> None:
    events: list[ServerEvent] = []
    with trio.testing.assert_no_checkpoints():
        await places_for(1, nursery, events.append).wait()
        await places_for(math.inf, nursery, events.append).wait()
    assert events == []


async def test_free_slot_wakes_all_that_wait(
    nursery: trio.Nursery,
) -> None:
    slots, woken = places_for(1, nursery), []

    async def wait(name: str) -> None:
        await slots.wait()
        woken.append(name)

    client = await busy(slots)
    nursery.start_soon(wait, "one")
    nursery.start_soon(wait, "other")
    await trio.testing.wait_all_tasks_blocked()
    assert woken == []
    await client.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert sorted(woken) == ["one", "other"]


async def test_waiter_that_finds_the_slot_taken_waits_on(nursery: trio.Nursery) -> None:
    slots, clients = places_for(1, nursery), []

    async def wait_and_enter() -> None:
        await slots.wait()
        clients.append(enter(slots))
        await clients[-1].send(PUT)

    clients.append(await busy(slots))
    nursery.start_soon(wait_and_enter)
    nursery.start_soon(wait_and_enter)
    for number in (1, 2, 3):
        await trio.testing.wait_all_tasks_blocked()
        assert len(clients) == number
        await clients[-1].stream.aclose()


@pytest.mark.parametrize("connections", [math.inf, 1000.0])
async def test_number_of_slots_may_be_a_float(nursery: trio.Nursery, connections: float) -> None:
    slots = places_for(connections, nursery)
    assert (await enter(slots).get("/")).status == 200


# Idle connections are closed


async def test_connection_idle_longest_is_closed_at_once(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    slots = places_for(3, nursery)
    # One has had a response since it connected, and one has sent nothing yet.
    answered, silent, working = enter(slots), enter(slots), await busy(slots)
    await trio.sleep(10)
    await answered.get("/")
    await trio.sleep(10)
    for client in (silent, answered):
        await slots.wait()
        assert await client.rest() == b""
        assert slots.free == 1
        enter(slots)
    assert trio.current_time() == 20
    await working.send(b"hello")
    assert (await working.response()).status == 200


async def test_connection_after_a_recent_response_is_closed_a_moment_later(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    slots = places_for(1, nursery)
    client = enter(slots)
    await client.get("/")
    await slots.wait()
    assert trio.current_time() == SETTLED
    assert await client.rest() == b""


async def test_next_response_closes_its_connection_if_all_are_busy(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    slots, entered = places_for(2, nursery), trio.Event()
    client, _ = await busy(slots), await busy(slots)

    async def wait_and_enter() -> None:
        await slots.wait()
        entered.set()

    nursery.start_soon(wait_and_enter)
    await trio.sleep(1)
    await client.send(b"hello")
    answer = await client.response()
    assert (answer.status, answer.headers["Connection"]) == (200, "close")
    assert await client.rest() == b""
    await client.stream.aclose()  # otherwise the server waits for it
    await entered.wait()
    assert trio.current_time() == 1


# Reports


async def test_full_server_is_reported_once_a_minute(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    told: list[float] = []

    def report(event: ServerEvent) -> None:
        if event == Crowded(1):
            told.append(trio.current_time())

    slots = places_for(1, nursery, report)
    for _ in range(13):
        await slots.wait()
        enter(slots)
        await trio.sleep(10)
    assert told == [10, 10 + TOLD]


async def test_each_kind_of_shortage_is_reported(nursery: trio.Nursery) -> None:
    events: list[ServerEvent] = []
    slots = places_for(1, nursery, events.append)
    error = OSError(24, "Too many open files")
    for _ in range(2):
        slots.tell(Crowded(1))
        slots.tell(NotAccepting(error))
    assert events == [Crowded(1), NotAccepting(error)]


async def test_failing_report_is_logged(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: ServerEvent) -> None:
        raise ValueError(event)

    places_for(1, nursery, fail).tell(Crowded(1))
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("trio_http", logging.ERROR)
    assert "ValueError: Crowded" in caplog.text
