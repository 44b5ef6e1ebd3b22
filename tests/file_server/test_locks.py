"""Tests of locks: between threads, between processes, and on systems without locks."""

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from threading import Event as ThreadEvent

import pytest
import trio
from support import as_unprivileged_user
from trio.testing import wait_all_tasks_blocked

from trio_http.file_server import beneath_root as served_root
from trio_http.file_server import locks
from trio_http.file_server.beneath_root import OpenDirectory, Root
from trio_http.file_server.locks import exclusive_access, lock
from trio_http.file_server.retries import patiently
from trio_http.semantics.errors import HTTPError

# Threads make the changes, so these tests do not use an autojump clock.


@pytest.fixture(params=["flock", "no fcntl", "no descriptors", "no locks of folders"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """All ways to get exclusive access to a directory, whatever this system supports."""
    if request.param == "no fcntl":
        monkeypatch.setattr(locks, "fcntl", None)
    if request.param == "no descriptors":
        monkeypatch.setattr(served_root, "RELATIVE", False)
    if request.param == "no locks of folders":  # as on some file systems
        monkeypatch.setattr(locks, "fcntl", Unable)
    return str(request.param)


class Unable:
    LOCK_EX = LOCK_NB = 0

    @staticmethod
    def flock(_: int, __: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))


def opened(path: Path) -> AbstractContextManager[OpenDirectory]:
    return Root(path).directory()


async def in_turn(change: Callable[[], None]) -> None:
    """Make a change in a thread as soon as its lock is free."""
    await patiently(lambda: trio.to_thread.run_sync(change))


async def test_threads_change_a_directory_one_after_the_other(tmp_path: Path, way: str) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")

    def count() -> None:
        with opened(tmp_path) as directory, exclusive_access(directory):
            number = int(counter.read_text())
            counter.write_text(str(number + 1))

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(in_turn, count)
    assert counter.read_text() == "50"


async def test_second_thread_waits(tmp_path: Path, way: str) -> None:
    order = []
    second_comes = ThreadEvent()

    def be_first(has_it: trio.Event) -> None:
        with opened(tmp_path) as directory, exclusive_access(directory):
            trio.from_thread.run_sync(has_it.set)
            second_comes.wait()
            order.append("first")

    def be_second() -> None:
        with opened(tmp_path) as directory:
            second_comes.set()
            with exclusive_access(directory):
                order.append("second")

    async with trio.open_nursery() as nursery:
        first_has_it = trio.Event()
        nursery.start_soon(trio.to_thread.run_sync, be_first, first_has_it)
        await first_has_it.wait()
        await in_turn(be_second)
    assert order == ["first", "second"]


async def test_thread_waits_for_others_for_a_limited_time(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "TURN", 0.001)

    def be_second() -> None:
        with opened(tmp_path) as again, pytest.raises(BlockingIOError), exclusive_access(again):
            pytest.fail("two are at work")

    with opened(tmp_path) as directory, exclusive_access(directory):
        await trio.to_thread.run_sync(be_second)


def test_directory_is_unlocked_after_an_error(tmp_path: Path, way: str) -> None:
    with opened(tmp_path) as directory, opened(tmp_path) as again:
        with pytest.raises(ZeroDivisionError), exclusive_access(directory):
            raise ZeroDivisionError
        with exclusive_access(again):
            pass


def test_lock_applies_to_one_directory(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    with (
        Root(tmp_path).directory(["one"]) as one,
        Root(tmp_path).directory(["other"]) as other,
        exclusive_access(one),
        exclusive_access(other),
    ):
        pass


LOCK = """
import fcntl, os, sys
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
os.write(1, b"locked")
sys.stdin.read()
"""


async def test_lock_of_another_process_raises_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOCK, str(tmp_path)]
    done = []

    def change() -> None:
        with opened(tmp_path) as directory, exclusive_access(directory):
            done.append("we")

    async with trio.open_nursery() as nursery:
        start = partial(trio.run_process, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process = await nursery.start(start)
        assert await process.stdout.receive_some() == b"locked"
        with pytest.raises(BlockingIOError):
            change()
        nursery.start_soon(in_turn, change)
        await wait_all_tasks_blocked()
        assert done == []
        await process.stdin.aclose()
    assert done == ["we"]


def test_unreadable_directory_is_locked_by_its_parent(public: Path) -> None:
    (public / "drop").mkdir()
    (public / "drop").chmod(0o333)
    with as_unprivileged_user(), opened(public / "drop") as directory:
        with exclusive_access(directory), pytest.raises(BlockingIOError):
            flock(public, fcntl.LOCK_EX | fcntl.LOCK_NB)
        flock(public, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_threads_take_turns_if_no_parent_is_readable(
    public: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "TURN", 0.001)
    monkeypatch.setattr(locks, "_LEVELS", 1)
    public.chmod(0o333)
    with (
        as_unprivileged_user(),
        opened(public) as directory,
        exclusive_access(directory),
        pytest.raises(BlockingIOError),
        exclusive_access(directory),
    ):
        pytest.fail("two are at work")


def test_lock_is_held_until_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with path.open("rb") as one, path.open("rb") as other:
        assert lock(one.fileno())
        assert not lock(other.fileno())
        one.close()
        assert lock(other.fileno())


def flock(path: Path, operation: int) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, operation)
    finally:
        os.close(descriptor)


def test_exclusive_access_locks_out_other_programs(tmp_path: Path) -> None:
    with opened(tmp_path) as directory:
        with exclusive_access(directory), pytest.raises(BlockingIOError):
            flock(tmp_path, fcntl.LOCK_EX | fcntl.LOCK_NB)
        flock(tmp_path, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_removed_directory_cannot_be_locked(tmp_path: Path, way: str) -> None:
    (tmp_path / "folder").mkdir()
    with opened(tmp_path / "folder") as directory:
        (tmp_path / "folder").rmdir()
        if way == "no descriptors":
            with pytest.raises(HTTPError) as refusal, exclusive_access(directory):
                pytest.fail("it is gone")
            assert refusal.value.status == 404
        else:
            with exclusive_access(directory):  # nothing can be stored in it, as the next step finds
                pass


def test_every_file_can_be_locked_on_a_system_without_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "fcntl", None)
    path = tmp_path / "file"
    path.touch()
    with path.open("rb") as one, path.open("rb") as other:
        assert lock(one.fileno())
        assert lock(other.fileno())


def test_file_system_without_locks_is_told_from_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "fcntl", Unable)
    with (tmp_path / "file").open("wb") as file:
        assert lock(file.fileno()) is None
