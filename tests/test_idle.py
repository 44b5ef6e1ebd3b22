"""Waiting for a next request, and being told to stop."""

import gc
from collections.abc import Awaitable, Callable
from functools import partial
from math import inf

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_http.http1.idle import Idle


async def waits(idle: Idle, begins: Callable[[], Awaitable[bool]], seconds: float) -> bool:
    """Wait as a connection does that has nothing else to wait for."""
    with trio.CancelScope() as scope:
        return await idle.wait(begins, scope, seconds)
    return False


async def begins_at_once() -> bool:
    await trio.lowlevel.checkpoint()
    return True


async def ends_at_once() -> bool:
    await trio.lowlevel.checkpoint()
    return False


async def begins_after(seconds: float) -> bool:
    await trio.sleep(seconds)
    return True


async def test_a_request_that_begins_is_worth_the_wait(autojump_clock: MockClock) -> None:
    assert await waits(Idle(), begins_at_once, 10)
    assert await waits(Idle(), partial(begins_after, 9), 10)


async def test_input_that_ends_is_no_request(autojump_clock: MockClock) -> None:
    assert not await waits(Idle(), ends_at_once, 10)
    assert trio.current_time() == 0


async def test_nobody_waits_longer_than_they_have_time(autojump_clock: MockClock) -> None:
    assert not await waits(Idle(), partial(begins_after, 11), 10)
    assert trio.current_time() == 10


async def test_ending_wakes_all_who_wait(autojump_clock: MockClock) -> None:
    idle = Idle()
    answers = []

    async def connection() -> None:
        answers.append(await waits(idle, partial(begins_after, 1000), 2000))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(connection)
        await wait_all_tasks_blocked()
        idle.end()
    assert answers == [False, False, False]
    assert trio.current_time() == 0


async def test_after_the_end_nobody_waits(autojump_clock: MockClock) -> None:
    idle = Idle()
    before = idle.ending
    idle.end()
    assert (before, idle.ending) == (False, True)
    assert not await waits(idle, partial(begins_after, 1), 10)
    # Nor is a request taken up that has arrived already.
    assert not await waits(idle, begins_at_once, 10)
    assert trio.current_time() == 0


async def test_who_no_longer_waits_is_not_disturbed_by_the_end() -> None:
    idle = Idle()
    await waits(idle, begins_at_once, 10)
    idle.end()
    await trio.lowlevel.checkpoint()  # would raise, had the wait left its scope behind


def scopes() -> int:
    return sum(isinstance(thing, trio.CancelScope) for thing in gc.get_objects())


async def test_who_no_longer_waits_is_forgotten() -> None:
    idle = Idle()

    async def fails() -> bool:
        await trio.lowlevel.checkpoint()
        raise OSError("broken")

    before = scopes()
    for _ in range(100):  # without a deadline, which Trio remembers for a while
        assert await waits(idle, begins_at_once, inf)
        with pytest.raises(OSError, match="broken"):
            await waits(idle, fails, inf)
    gc.collect()
    assert scopes() < before + 10


async def test_one_scope_serves_many_waits(autojump_clock: MockClock) -> None:
    idle = Idle()
    with trio.CancelScope() as scope:
        for _ in range(3):
            assert await idle.wait(partial(begins_after, 9), scope, 10)
            await trio.sleep(100)  # a handler has all the time that it needs
    assert not scope.cancelled_caught


async def test_a_request_that_comes_as_the_time_runs_out_comes_too_late() -> None:
    idle = Idle()
    with trio.CancelScope() as scope:

        async def begins() -> bool:
            scope.cancel()  # as the clock does, when the first bytes are there already
            return True

        assert not await idle.wait(begins, scope, 10)
