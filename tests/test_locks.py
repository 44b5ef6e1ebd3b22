"""Locks: between threads, between processes, and where a system has none."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event as ThreadEvent

import pytest
import trio

from trio_http.apps import directory, locks
from trio_http.apps.directory import NOTHING_MORE, Directory, Folder
from trio_http.apps.locks import alone_in, lock

# Threads wait for locks here, so none of these tests has a clock that jumps.


@pytest.fixture(params=["flock", "no fcntl", "no descriptors", "no locks of folders"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """All ways to be alone in a folder, whatever this system offers."""
    if request.param == "no fcntl":
        monkeypatch.setattr(locks, "fcntl", None)
    if request.param == "no descriptors":
        monkeypatch.setattr(directory, "RELATIVE", False)
    return str(request.param)


@contextmanager
def opened(path: Path, way: str) -> Iterator[Folder]:
    if way == "no locks of folders":
        # What is opened only as a place cannot be locked, as nothing can on some file systems.
        descriptor = os.open(path, os.O_PATH)
        yield Folder(path, NOTHING_MORE, descriptor)
        os.close(descriptor)
    else:
        with Directory(path).folder() as folder:
            yield folder


async def test_threads_change_a_folder_one_after_the_other(tmp_path: Path, way: str) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")

    def count() -> None:
        with opened(tmp_path, way) as folder, alone_in(folder):
            number = int(counter.read_text())
            counter.write_text(str(number + 1))

    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(trio.to_thread.run_sync, count)
    assert counter.read_text() == "50"


async def test_who_comes_second_waits(tmp_path: Path, way: str) -> None:
    order = []
    second_comes = ThreadEvent()

    def be_first(has_it: trio.Event) -> None:
        with opened(tmp_path, way) as folder, alone_in(folder):
            trio.from_thread.run_sync(has_it.set)
            second_comes.wait()
            order.append("first")

    def be_second() -> None:
        with opened(tmp_path, way) as folder:
            second_comes.set()
            with alone_in(folder):
                order.append("second")

    async with trio.open_nursery() as nursery:
        first_has_it = trio.Event()
        nursery.start_soon(trio.to_thread.run_sync, be_first, first_has_it)
        await first_has_it.wait()
        await trio.to_thread.run_sync(be_second)
    assert order == ["first", "second"]


def test_a_folder_is_free_again_whatever_happens(tmp_path: Path, way: str) -> None:
    with opened(tmp_path, way) as folder, opened(tmp_path, way) as again:
        with pytest.raises(ZeroDivisionError), alone_in(folder):
            raise ZeroDivisionError
        with alone_in(again):
            pass


def test_a_lock_is_for_one_folder(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    with (
        Directory(tmp_path).folder(["one"]) as one,
        Directory(tmp_path).folder(["other"]) as other,
        alone_in(one),
        alone_in(other),
    ):
        pass


LOCK = """
import fcntl, os, sys
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
os.write(1, b"locked")
sys.stdin.read()
"""


async def test_another_process_is_waited_for(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOCK, str(tmp_path)]
    order = []
    coming = trio.Event()

    def change() -> None:
        with Directory(tmp_path).folder() as folder:
            trio.from_thread.run_sync(coming.set)
            with alone_in(folder):
                order.append("we")

    async with trio.open_nursery() as nursery:
        start = partial(trio.run_process, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process = await nursery.start(start)
        assert await process.stdout.receive_some() == b"locked"
        nursery.start_soon(trio.to_thread.run_sync, change)
        await coming.wait()
        order.append("they")
        await process.stdin.aclose()
    assert order == ["they", "we"]


def test_a_lock_is_held_until_the_file_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with path.open("rb") as one, path.open("rb") as other:
        assert lock(one.fileno())
        assert not lock(other.fileno())
        one.close()
        assert lock(other.fileno())


def test_a_lock_of_ours_is_one_for_others(tmp_path: Path) -> None:
    with Directory(tmp_path).folder() as folder, Directory(tmp_path).folder() as again:
        assert again.descriptor is not None
        with alone_in(folder), pytest.raises(BlockingIOError):
            fcntl.flock(again.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(again.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_where_there_are_no_locks_every_file_can_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "fcntl", None)
    path = tmp_path / "file"
    path.touch()
    with path.open("rb") as one, path.open("rb") as other:
        assert lock(one.fileno())
        assert lock(other.fileno())
