"""Tests of work that several tasks wait for: done once, and cancelled with the last task."""

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_http.file_server.shared_work import SharedWork


class Steps:
    """Counts how often work is begun, ended and cancelled; the work takes ten seconds."""

    def __init__(self, error: Exception | None = None) -> None:
        self.begun = 0
        self.ended = 0
        self.cancelled = 0
        self.error = error

    def prepare(self) -> Callable[[], Awaitable[int]]:
        self.begun += 1
        return self.run

    async def run(self) -> int:
        try:
            await trio.sleep(10)
        except trio.Cancelled:
            self.cancelled += 1
            raise
        self.ended += 1
        if self.error is not None:
            raise self.error
        return self.ended


async def test_work_is_done_once_for_all_that_wait(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    steps, shared = Steps(), SharedWork[int](nursery)
    results = []

    async def wait(seconds: float) -> None:
        await trio.sleep(seconds)
        results.append(await shared.of("key", steps.prepare))

    async with trio.open_nursery() as waiting:
        for seconds in (0, 1, 9):
            waiting.start_soon(wait, seconds)
    assert results == [1, 1, 1]
    assert trio.current_time() == 10
    # Finished work is not remembered: caches do that.
    assert await shared.of("key", steps.prepare) == 2
    assert (steps.begun, steps.cancelled) == (2, 0)


async def test_different_work_is_done_for_each_key(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    steps, shared = Steps(), SharedWork[int](nursery)
    async with trio.open_nursery() as waiting:
        for key in ("one", "other"):
            waiting.start_soon(shared.of, key, steps.prepare)
    assert (steps.begun, steps.ended) == (2, 2)


async def test_work_is_cancelled_with_the_last_that_waits(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    steps, shared = Steps(), SharedWork[int](nursery)
    scopes = [trio.CancelScope(), trio.CancelScope()]
    counts = []

    async def wait(scope: trio.CancelScope) -> None:
        with scope:
            await shared.of("key", steps.prepare)

    async with trio.open_nursery() as waiting:
        for scope in scopes:
            waiting.start_soon(wait, scope)
        for scope in scopes:
            await wait_all_tasks_blocked()
            scope.cancel()
            await wait_all_tasks_blocked()
            counts.append(steps.cancelled)
    assert counts == [0, 1]
    # The next task gets work that is not being cancelled.
    assert await shared.of("key", steps.prepare) == 1


async def test_new_work_begins_at_once_while_cancelled_work_ends(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    steps, shared = Steps(), SharedWork[int](nursery)
    with trio.move_on_after(1):
        await shared.of("key", steps.prepare)
    assert await shared.of("key", steps.prepare) == 1
    assert (steps.begun, steps.ended, steps.cancelled) == (2, 1, 1)


async def test_error_is_raised_in_every_task_that_waits(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    steps, shared = Steps(ValueError("no")), SharedWork[int](nursery)
    errors = []

    async def wait() -> None:
        with pytest.raises(ValueError, match="no") as error:
            await shared.of("key", steps.prepare)
        errors.append(error.value)

    async with trio.open_nursery() as waiting:
        waiting.start_soon(wait)
        waiting.start_soon(wait)
    assert errors == [steps.error] * 2


async def test_error_of_prepare_leaves_nothing_behind(nursery: trio.Nursery) -> None:
    def fail() -> Callable[[], Awaitable[int]]:
        raise OSError("out of descriptors")

    shared = SharedWork[int](nursery)
    for _ in range(2):
        with pytest.raises(OSError, match="out of descriptors"):
            await shared.of("key", fail)


async def test_end_of_the_nursery_ends_every_wait() -> None:
    steps = Steps()
    ended = trio.Event()

    async def wait(shared: SharedWork[int]) -> None:
        with pytest.raises(RuntimeError, match="has ended"):
            await shared.of("key", steps.prepare)
        ended.set()

    async with trio.open_nursery() as waiting:
        async with trio.open_nursery() as nursery:
            waiting.start_soon(wait, SharedWork[int](nursery))
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        await ended.wait()
    assert steps.cancelled == 1
