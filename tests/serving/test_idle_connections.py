"""Tests of idle connections: their time-out, their end at a shutdown, and room for newcomers."""

from collections.abc import Iterable

import pytest
import trio
from support import PATIENCE
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_http.serving.idle_connections import SETTLED, KeepAliveQueue


class Waiting:
    """A connection that records when it was interrupted."""

    def __init__(self) -> None:
        self.unread = False
        self.interrupted: list[float] = []

    def interrupt(self) -> None:
        self.interrupted.append(trio.current_time())

    def has_unread(self) -> bool:
        return self.unread


def waiting(number: int) -> list[Waiting]:
    return [Waiting() for _ in range(number)]


def times(connections: Iterable[Waiting]) -> list[list[float]]:
    return [connection.interrupted for connection in connections]


async def test_connection_idle_for_too_long_is_interrupted(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    idle = KeepAliveQueue(10)
    nursery.start_soon(idle.watch)
    first, second, third = connections = waiting(3)
    assert idle.join(first, trio.current_time())
    await trio.sleep(3)
    assert idle.join(second, trio.current_time())
    assert idle.join(third, trio.current_time())
    await trio.sleep(100)
    assert times(connections) == [[10], [13], [13]]


class StandingClock(trio.abc.Clock):
    """A clock that shows exactly the time that it is set to."""

    now = 0.0

    def start_clock(self) -> None:
        """Do nothing."""

    def current_time(self) -> float:
        return self.now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        return 0 if deadline <= self.now else PATIENCE


@pytest.fixture
def standing_clock() -> StandingClock:
    return StandingClock()


@pytest.mark.parametrize("patience", [75, 0.1, 1 / 3])
async def test_connection_is_interrupted_at_exactly_its_deadline(
    standing_clock: StandingClock, patience: float
) -> None:
    # Sums of binary fractions are rounded: with half of these starts, subtracting gives another
    # deadline than adding.
    for hundredths in range(1, 1000):
        idle, (connection,) = KeepAliveQueue(patience), waiting(1)
        async with trio.open_nursery() as nursery:
            standing_clock.now = hundredths / 100
            idle.join(connection, standing_clock.now)
            nursery.start_soon(idle.watch)
            await trio.lowlevel.checkpoint()
            standing_clock.now = due = hundredths / 100 + patience
            for _ in range(3):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert connection.interrupted == [due]


async def test_connection_that_has_left_is_not_interrupted(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    idle = KeepAliveQueue(10)
    nursery.start_soon(idle.watch)
    connections = waiting(2)
    for connection in connections:
        idle.join(connection, trio.current_time())
    await trio.sleep(9)
    idle.leave(connections[0])
    idle.leave(connections[0])  # called at the end of each connection, whether it is idle or not
    await trio.sleep(100)
    assert times(connections) == [[], [10]]


async def test_each_wait_has_the_whole_timeout(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    idle = KeepAliveQueue(10)
    nursery.start_soon(idle.watch)
    busy, other = connections = waiting(2)
    idle.join(busy, trio.current_time())
    idle.join(other, trio.current_time())
    for _ in range(5):
        await trio.sleep(9)
        idle.leave(busy)
        await trio.sleep(100)  # an exchange is not limited
        idle.join(busy, trio.current_time())
    await trio.sleep(100)
    assert times(connections) == [[5 * 109 + 10], [10]]


async def test_connection_that_joins_an_empty_queue_is_interrupted_in_time(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    idle = KeepAliveQueue(10)
    nursery.start_soon(idle.watch)
    await trio.sleep(25)
    (late,) = waiting(1)
    idle.join(late, trio.current_time())
    await trio.sleep(100)
    assert late.interrupted == [35]


async def test_infinite_timeout_interrupts_no_connection(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    idle = KeepAliveQueue(float("inf"))
    nursery.start_soon(idle.watch)
    (patient,) = waiting(1)
    idle.join(patient, trio.current_time())
    await trio.sleep(10**6)
    assert patient.interrupted == []


async def test_end_interrupts_all_idle_connections(autojump_clock: MockClock) -> None:
    idle = KeepAliveQueue(10)
    first, second, gone = connections = waiting(3)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(idle.watch)
        await wait_all_tasks_blocked()
        for connection in connections:
            idle.join(connection, trio.current_time())
        idle.leave(gone)
        idle.end()
    # The nursery has ended, so ``watch`` no longer runs.
    assert times([first, second, gone]) == [[0], [0], []]


@pytest.mark.parametrize("is_watched", [True, False])
async def test_connection_cannot_join_after_the_end(
    is_watched: bool,  # noqa: FBT001 - one of two cases
    autojump_clock: MockClock,
) -> None:
    idle = KeepAliveQueue(10)
    before = idle.persists
    idle.end()
    if is_watched:
        await idle.watch()  # returns at once
    assert (before, idle.persists) == (True, False)
    assert not idle.join(Waiting(), trio.current_time())
    assert trio.current_time() == 0


# Newcomers


def joined(idle: KeepAliveQueue, number: int) -> list[Waiting]:
    """Return connections that join now, one after the other."""
    connections = waiting(number)
    for connection in connections:
        idle.join(connection, trio.current_time())
    return connections


async def test_newcomers_replace_the_connections_idle_longest(
    autojump_clock: MockClock,
) -> None:
    idle = KeepAliveQueue(75)
    connections = joined(idle, 1)
    await trio.sleep(3)
    connections += joined(idle, 2)
    await trio.sleep(SETTLED)
    now = trio.current_time()
    for number in (1, 2):
        with trio.move_on_after(0):
            await idle.make_room(now)
        assert times(connections) == [[now]] * number + [[]] * (3 - number)


async def test_connection_after_a_recent_response_is_spared_for_a_moment(
    autojump_clock: MockClock,
) -> None:
    idle = KeepAliveQueue(75)
    (connection,) = joined(idle, 1)
    await trio.sleep(SETTLED / 4)
    start = trio.current_time()
    await idle.make_room(start)  # returns when it should be called again
    assert trio.current_time() == SETTLED
    assert connection.interrupted == []
    await idle.make_room(start)
    assert connection.interrupted == [SETTLED]


async def test_connection_with_unread_bytes_is_not_interrupted(autojump_clock: MockClock) -> None:
    idle = KeepAliveQueue(75)
    connections = joined(idle, 3)
    connections[0].unread = connections[2].unread = True
    await trio.sleep(SETTLED)
    with trio.move_on_after(1):
        while True:
            await idle.make_room(SETTLED)
    assert times(connections) == [[], [SETTLED], []]


async def test_newcomer_is_woken_when_a_connection_has_ended(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    idle = KeepAliveQueue(75)
    (connection,) = joined(idle, 1)
    await trio.sleep(10)
    told = []

    async def make_room() -> None:
        await idle.make_room(10)
        told.append(trio.current_time())

    idle.room_made()  # no newcomer is waiting yet
    nursery.start_soon(make_room)
    await wait_all_tasks_blocked()
    assert (connection.interrupted, told) == ([10], [])
    idle.room_made()
    await wait_all_tasks_blocked()
    assert told == [10]


async def test_newcomer_gets_another_connection_if_the_first_does_not_end(
    autojump_clock: MockClock,
) -> None:
    idle = KeepAliveQueue(75)
    connections = joined(idle, 2)
    await trio.sleep(10)
    await idle.make_room(10)  # no connection ends
    await idle.make_room(10)
    assert times(connections) == [[10], [10 + SETTLED]]


async def test_responses_are_the_last_after_a_while_if_none_is_idle(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    idle, persists = KeepAliveQueue(75), []

    async def wait_for_room() -> None:
        for _ in range(2):
            await idle.make_room(0)
        persists.append(idle.persists)

    nursery.start_soon(wait_for_room)
    for seconds in (SETTLED * 0.9, SETTLED, 1000):
        await trio.sleep(seconds)
        persists.append(idle.persists)
    idle.room_made()
    await wait_all_tasks_blocked()
    assert persists == [True, False, False, True]


async def test_connection_that_becomes_idle_is_interrupted_for_a_waiting_newcomer(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    idle, (connection,) = KeepAliveQueue(75), waiting(1)

    async def wait_for_room() -> None:
        while True:
            await idle.make_room(0)

    nursery.start_soon(wait_for_room)
    await trio.sleep(100)
    # The connection's last response had been sent before it could say that it was the last.
    assert idle.join(connection, trio.current_time())
    await trio.sleep(100)
    assert connection.interrupted == [100 + SETTLED]


async def test_responses_are_the_last_until_no_newcomer_waits(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    idle = KeepAliveQueue(75)
    await trio.sleep(SETTLED)

    async def make_room(scope: trio.CancelScope) -> None:
        with scope:
            await idle.make_room(0)

    scopes = [trio.CancelScope(), trio.CancelScope()]
    for scope in scopes:
        nursery.start_soon(make_room, scope)
    await wait_all_tasks_blocked()
    persists = [idle.persists]
    for scope in scopes:
        scope.cancel()
        await wait_all_tasks_blocked()
        persists.append(idle.persists)
    assert persists == [False, False, True]


async def test_responses_stay_the_last_after_a_shutdown(autojump_clock: MockClock) -> None:
    idle = KeepAliveQueue(75)
    await trio.sleep(SETTLED)
    idle.retire()
    with trio.move_on_after(1):
        await idle.make_room(0)
    assert not idle.persists
    assert not idle.join(Waiting(), trio.current_time())


async def test_wait_for_room_interrupts_no_connection(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    idle, made = KeepAliveQueue(75), trio.Event()
    (connection,) = joined(idle, 1)
    await trio.sleep(10)

    async def wait_for_room() -> None:
        await idle.wait_for_room()
        made.set()

    nursery.start_soon(wait_for_room)
    await wait_all_tasks_blocked()
    assert not made.is_set()
    idle.room_made()
    await made.wait()
    assert connection.interrupted == []
