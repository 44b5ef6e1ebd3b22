"""Tests of threads that hang: tasks do not wait for them, and their descriptors stay open."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event as ThreadEvent

import pytest
import trio
from support import open_descriptors
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_http.semantics.errors import HTTPError
from trio_http.transport import threads
from trio_http.transport.threads import PATIENCE, Custody, Threads, close_in_thread

# An autojump clock jumps even while a thread is working, so ``MOMENT`` takes no time.


class Hanging:
    """A call that returns once it is let go."""

    def __init__(self) -> None:
        self.begun = trio.Event()
        self.ended = trio.Event()
        self._go = ThreadEvent()
        self._token = trio.lowlevel.current_trio_token()

    def __call__(self, *_: object) -> str:
        self._token.run_sync_soon(self.begun.set)
        self._go.wait()
        return "done"

    def let_go(self) -> None:
        self._go.set()


@contextmanager
def hanging() -> Iterator[Hanging]:
    call = Hanging()
    try:
        yield call
    finally:
        call.let_go()


async def until_free(used: Threads) -> None:
    """Wait until abandoned threads have ended as well."""
    while used.limiter.borrowed_tokens:
        await wait_all_tasks_blocked(0.001)


def is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "file").write_bytes(b"content")
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        yield descriptor
    finally:
        if is_open(descriptor):
            os.close(descriptor)


async def test_run_returns_the_result_of_the_thread() -> None:
    used = Threads("test", 1)
    assert await used.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await used.run(divmod, 7, 0)
    assert used.limiter.borrowed_tokens == 0


async def test_cancelled_task_waits_for_a_thread_that_ends_soon() -> None:
    used = Threads("test", 1)
    with hanging() as call:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(used.run, call)
            await call.begun.wait()
            nursery.cancel_scope.cancel()
            call.let_go()
        assert used.limiter.borrowed_tokens == 0


async def test_cancelled_task_abandons_a_thread_that_hangs(autojump_clock: MockClock) -> None:
    used = Threads("test", 1)
    with hanging() as call:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(used.run, call)
            await call.begun.wait()
            nursery.cancel_scope.cancel()
        assert used.limiter.borrowed_tokens == 1  # the thread is still running
        call.let_go()
        await until_free(used)


async def test_waiting_for_a_thread_too_long_gives_503(
    autojump_clock: MockClock,
) -> None:
    used = Threads("test", 1)
    with hanging() as call:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(used.run, call)
            await call.begun.wait()
            with pytest.raises(HTTPError) as refusal:
                await used.run(divmod, 7, 2)
            assert refusal.value.status == 503
            assert "Retry-After" in refusal.value.headers
            assert trio.current_time() == PATIENCE
            # Threads for other purposes are free.
            assert await Threads("test", 1).run(divmod, 7, 2) == (3, 1)
            call.let_go()
        assert await used.run(divmod, 7, 2) == (3, 1)


async def test_waiting_for_a_thread_can_be_cancelled(autojump_clock: MockClock) -> None:
    used = Threads("test", 1, patience=1000)
    with hanging() as call:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(used.run, call)
            await call.begun.wait()
            with trio.move_on_after(999) as scope:
                await used.run(divmod, 7, 2)
            assert scope.cancelled_caught
            assert trio.current_time() == 999
            call.let_go()


def test_each_run_has_its_own_threads() -> None:
    used = Threads("test", 1)

    async def abandon() -> None:
        call = Hanging()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(used.run, call)
            await call.begun.wait()
            nursery.cancel_scope.cancel()
        calls.append(call)

    calls: list[Hanging] = []
    for _ in range(2):
        trio.run(abandon, clock=MockClock(autojump_threshold=0))
    for call in calls:
        call.let_go()


# Descriptors


async def test_thread_gets_duplicates_and_closes_them(file: int) -> None:
    seen = []

    def read(own: int) -> bytes:
        seen.append(own)
        return os.pread(own, 100, 0)

    used = Threads("test", 1)
    assert await used.run_with((file,), read) == b"content"
    assert seen != [file]
    assert not is_open(seen[0])
    assert is_open(file)


async def test_duplicate_is_open_until_the_thread_ends(
    file: int, autojump_clock: MockClock
) -> None:
    seen: list[tuple[int, bytes]] = []

    def read(own: int) -> None:
        call()
        seen.append((own, os.pread(own, 100, 0)))

    used = Threads("test", 1)
    with hanging() as call:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(used.run_with, (file,), read)
            await call.begun.wait()
            nursery.cancel_scope.cancel()
        os.close(file)
        call.let_go()
        await until_free(used)
    ((own, data),) = seen
    assert data == b"content"
    assert not is_open(own)


async def test_duplicate_that_no_thread_uses_is_closed(
    file: int, autojump_clock: MockClock
) -> None:
    before = open_descriptors()
    used = Threads("test", 1)
    with hanging() as call:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(used.run, call)
            await call.begun.wait()
            with pytest.raises(HTTPError):
                await used.run_with((file,), os.fstat)
            call.let_go()
    assert open_descriptors() == before


async def test_cancelled_task_waits_for_the_thread_without_duplicates(
    file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> int:
        raise OSError

    monkeypatch.setattr(os, "dup", fail)
    used = Threads("test", 1)
    ended: list[int] = []

    def read(own: int) -> None:
        call()
        ended.append(own)

    with hanging() as call:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(used.run_with, (file,), read)
            await call.begun.wait()
            nursery.cancel_scope.cancel()
            trio.lowlevel.current_trio_token().run_sync_soon(call.let_go)
    assert ended == [file]
    assert is_open(file)


# Custody


async def test_held_descriptor_is_closed_at_the_end_of_the_block(file: int) -> None:
    with Custody() as custody:
        own = custody.duplicate(file)
        assert await custody.run(Threads("test", 1), os.pread, own, 100, 0) == b"content"
        assert is_open(own)
    assert not is_open(own)


async def test_descriptor_in_use_is_closed_by_its_thread(
    file: int, autojump_clock: MockClock
) -> None:
    used = Threads("test", 1)

    async def task() -> None:
        with Custody() as custody:
            held.append(custody.duplicate(file))
            await custody.run(used, call)

    held: list[int] = []
    with hanging() as call:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(task)
            await call.begun.wait()
            nursery.cancel_scope.cancel()
        assert is_open(held[0])
        call.let_go()
        await until_free(used)
        assert not is_open(held[0])


async def test_descriptor_duplicated_too_late_is_closed(
    file: int, autojump_clock: MockClock
) -> None:
    used = Threads("test", 1)
    held: list[int] = []

    async def task() -> None:
        with Custody() as custody:

            def open_late() -> None:
                call()
                held.append(custody.duplicate(file))

            await custody.run(used, open_late)

    with hanging() as call:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(task)
            await call.begun.wait()
            nursery.cancel_scope.cancel()
        call.let_go()
        await until_free(used)
    assert not is_open(held[0])


async def test_aclose_does_not_wait_for_slow_closing(file: int, autojump_clock: MockClock) -> None:
    with hanging() as call:
        custody = Custody()
        own = custody.duplicate(file)
        custody.held.callback(call)
        with trio.CancelScope() as scope:
            scope.cancel()
            await custody.aclose()  # tries even while cancelled
        await call.begun.wait()
        assert is_open(own)  # closing is not waited for
        call.let_go()
        await trio.to_thread.run_sync(lambda: None)
    custody = Custody()
    own = custody.duplicate(file)
    await custody.aclose()


async def test_close_in_thread_closes_the_descriptor(file: int) -> None:
    reading, writing = os.pipe()
    try:
        close_in_thread(writing)
        await trio.lowlevel.wait_readable(reading)
        assert os.read(reading, 1) == b""
    finally:
        os.close(reading)


async def test_moment_is_positive_and_shorter_than_patience() -> None:
    assert 0 < threads.MOMENT < PATIENCE
