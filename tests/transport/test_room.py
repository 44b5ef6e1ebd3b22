"""How the server waits for room in a socket, and for which clients it gives up."""

import math
import os
import socket
import sys
from contextlib import suppress

import pytest
import trio
from trio.testing import MockClock

from trio_http.transport import room
from trio_http.transport.room import LOOKS, Room, unacknowledged

PATIENCE = 80
STEP = PATIENCE / LOOKS

Pair = tuple[socket.socket, socket.socket]

only_where_told = pytest.mark.skipif(
    sys.platform != "linux", reason="this system does not tell what is unacknowledged"
)


@pytest.fixture
def full_pair(socket_pair: Pair) -> Pair:
    """Two ends with little room between them, and none left in our own."""
    ours, theirs = socket_pair
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
    fill(ours)
    return ours, theirs


@pytest.fixture
def large_full_pair(slow_pair: Pair) -> Pair:
    """Two ends of which ours is full, and has no room until the client has read much."""
    fill(slow_pair[0])
    return slow_pair


def fill(ours: socket.socket) -> None:
    with suppress(BlockingIOError):
        while True:
            ours.send(bytes(1000))


async def seconds_of(waiting: Room) -> tuple[float, bool]:
    """Return how long a wait lasts, and whether there is room after it."""
    began = trio.current_time()
    try:
        await waiting.wait(PATIENCE)
    except trio.TooSlowError:
        return trio.current_time() - began, False
    return trio.current_time() - began, True


@only_where_told
async def test_unacknowledged_bytes_become_fewer_as_the_client_reads(
    tcp_pair: Pair,
) -> None:
    ours, theirs = tcp_pair
    fill(ours)
    last = before = unacknowledged(ours)
    assert before
    while last == before:
        await trio.lowlevel.wait_readable(theirs)
        theirs.recv(64 * 1024)
        last = unacknowledged(ours)
    assert last is not None
    assert last < before


async def test_descriptor_that_is_no_socket_tells_nothing() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with os.fdopen(reading) as file:
        assert unacknowledged(file) is None


async def test_bytes_that_leave_at_once_make_up_for_a_slow_wait(
    full_pair: Pair, autojump_clock: MockClock
) -> None:
    ours, theirs = full_pair
    waiting = Room(ours, 1000)
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_after, theirs, 0.9 * PATIENCE)
            assert (await seconds_of(waiting))[1]
        fill(ours)
        waiting.take(PATIENCE * 1000)


async def test_room_that_is_there_is_not_waited_for(
    socket_pair: Pair, autojump_clock: MockClock
) -> None:
    assert await seconds_of(Room(socket_pair[0], 0)) == (0, True)


async def test_wait_without_a_timeout_lasts_until_there_is_room(
    full_pair: Pair, autojump_clock: MockClock
) -> None:
    ours, theirs = full_pair
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Room(ours, 1000).wait, math.inf)
        await trio.sleep(50_000)
        theirs.recv(1024 * 1024)
    assert trio.current_time() == 50_000


@pytest.mark.parametrize("rate", [0, 1000])
async def test_client_that_does_not_read_is_given_up_after_the_timeout(
    large_full_pair: Pair, rate: int, autojump_clock: MockClock
) -> None:
    assert await seconds_of(Room(large_full_pair[0], rate)) == (PATIENCE, False)


@only_where_told
@pytest.mark.parametrize(
    ("rate", "interval", "is_quick"),
    [
        (0, PATIENCE - STEP, True),  # any byte is progress
        (100, 20, True),  # about 200 bytes per second
        (1000, 20, False),
    ],
)
async def test_client_that_reads_at_the_minimum_rate_is_not_given_up(
    large_full_pair: Pair,
    rate: int,
    interval: float,
    is_quick: bool,  # noqa: FBT001 - an expected value
    autojump_clock: MockClock,
) -> None:
    ours, theirs = large_full_pair
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read() -> None:
            while True:
                await trio.sleep(interval)
                theirs.recv(4096)

        seconds, is_quick_enough = await seconds_of(Room(ours, rate))
        nursery.cancel_scope.cancel()
    assert is_quick_enough == is_quick
    assert (seconds > 3 * PATIENCE) == is_quick  # there was no room for so long


@only_where_told
async def test_client_that_stops_reading_has_the_timeout_from_then_on(
    large_full_pair: Pair, autojump_clock: MockClock
) -> None:
    ours, theirs = large_full_pair
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read() -> None:
            for _ in range(20):
                await trio.sleep(STEP / 2)
                theirs.recv(4096)

        seconds, has_room = await seconds_of(Room(ours, 1))
    assert not has_room
    assert seconds == pytest.approx(10 * STEP + PATIENCE, abs=STEP)


async def read_after(theirs: socket.socket, seconds: float) -> None:
    await trio.sleep(seconds)
    theirs.recv(1024 * 1024)


@pytest.mark.parametrize("told", [True, False])
async def test_lag_of_slow_waits_adds_up_where_progress_is_told(
    full_pair: Pair,
    told: bool,  # noqa: FBT001 - a table
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not told:
        monkeypatch.setattr(room, "fcntl", None)
    ours, theirs = full_pair
    told = unacknowledged(ours) is not None
    waiting = Room(ours, 1_000_000)
    outcomes = []
    for _ in range(2):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_after, theirs, 0.7 * PATIENCE)
            outcomes.append((await seconds_of(waiting))[1])
            nursery.cancel_scope.cancel()
        fill(ours)
    assert outcomes == [True, not told]


async def test_quick_wait_makes_up_for_a_slow_one(
    full_pair: Pair, autojump_clock: MockClock
) -> None:
    ours, theirs = full_pair
    waiting = Room(ours, 1_000_000)
    for seconds in (0.7 * PATIENCE, 1, 0.7 * PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_after, theirs, seconds)
            assert (await seconds_of(waiting))[1]
        fill(ours)
