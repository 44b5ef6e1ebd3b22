"""Tests of digests of files: their values, their cache, and the threads that make them."""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
import trio.testing

from trio_http.file_server import versions
from trio_http.file_server.cache.file_digests import AT_ONCE, FileDigests, digest_of
from trio_http.file_server.shared_work import SharedWork
from trio_http.semantics.digests import Digest
from trio_http.semantics.errors import HTTPError

# Worker threads make the digests, so these tests do not use an autojump clock.


@dataclass(frozen=True)
class OpenFile:
    """An open file, and its status when it was opened."""

    descriptor: int
    status: os.stat_result


@contextmanager
def opened(path: Path) -> Iterator[OpenFile]:
    with path.open("rb") as file:
        yield OpenFile(file.fileno(), os.fstat(file.fileno()))


@pytest.fixture
def endless(tmp_path: Path) -> Path:
    """Make a sparse file of four terabytes, which takes an hour to read."""
    path = tmp_path / "endless"
    with path.open("wb") as file:
        file.truncate(2**42)
    return path


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
@pytest.mark.parametrize("size", [0, 1, 1024 * 1024, 3_000_000])
async def test_digest_covers_every_byte(tmp_path: Path, algorithm: str, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    with opened(tmp_path / "file") as file:
        digest = await FileDigests().of(file.descriptor, file.status, algorithm)
        assert os.lseek(file.descriptor, 0, os.SEEK_CUR) == 0
    assert digest == Digest(algorithm, hashlib.new(algorithm.replace("-", ""), data).digest())


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat every file as changed long ago."""
    monkeypatch.setattr(versions, "SETTLED", -1)


@pytest.mark.usefixtures("settled")
async def test_digest_is_remembered_while_the_file_does_not_change(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    os.utime(path, ns=(0, 0))
    digests = FileDigests()
    with opened(path) as file:
        first = await digests.of(file.descriptor, file.status, "sha-256")
        # It is not read again: by its status when it was opened, it has not changed.
        path.write_bytes(b"two")
        os.utime(path, ns=(0, 0))
        assert await digests.of(file.descriptor, file.status, "sha-256") is first
        assert await digests.of(file.descriptor, file.status, "sha-512") is not first
    with opened(path) as file:
        second = await digests.of(file.descriptor, file.status, "sha-256")
    assert second == Digest("sha-256", hashlib.sha256(b"two").digest())


async def test_digest_of_a_newly_changed_file_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It could change again without looking any newer.
    monkeypatch.setattr(versions, "SETTLED", 3600 * 10**9)
    (tmp_path / "file").write_bytes(b"data")
    digests = FileDigests()
    with opened(tmp_path / "file") as file:
        first = await digests.of(file.descriptor, file.status, "sha-256")
        second = await digests.of(file.descriptor, file.status, "sha-256")
    assert first == second
    assert first is not second


async def test_file_changed_since_it_was_opened_has_no_digest(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    digests = FileDigests()
    with opened(path) as file:
        with path.open("ab") as writing:
            writing.write(b"er")
        assert await digests.of(file.descriptor, file.status, "sha-256") is None
    with opened(path) as file:
        assert await digests.of(file.descriptor, file.status, "sha-256") is not None


async def test_digests_use_few_threads_of_their_own(
    endless: Path,
) -> None:
    digests = FileDigests()
    with opened(endless) as file:
        async with trio.open_nursery() as nursery:
            for _ in range(3 * AT_ONCE):
                nursery.start_soon(digests.of, file.descriptor, file.status, "sha-256")
            await trio.testing.wait_all_tasks_blocked()
            assert digests._threads.limiter.borrowed_tokens == AT_ONCE
            assert trio.to_thread.current_default_thread_limiter().borrowed_tokens == 0
            nursery.cancel_scope.cancel()


async def test_digest_is_abandoned_when_its_client_leaves(endless: Path) -> None:
    digests = FileDigests()
    with opened(endless) as file:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(digests.of, file.descriptor, file.status, "sha-512")
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        # The thread has ended: nothing uses the descriptor that is closed now.
        assert digests._threads.limiter.borrowed_tokens == 0


async def test_digest_is_made_once_for_all_clients_that_wait(endless: Path) -> None:
    digests = FileDigests()
    scopes = [trio.CancelScope() for _ in range(3 * AT_ONCE)]
    async with trio.open_nursery() as nursery:
        shared = SharedWork[Digest | None](nursery)

        async def wait(scope: trio.CancelScope) -> None:
            with scope, opened(endless) as file:
                await digests.of(file.descriptor, file.status, "sha-256", shared)

        async with trio.open_nursery() as clients:
            for scope in scopes:
                clients.start_soon(wait, scope)
            await trio.testing.wait_all_tasks_blocked()
            for scope in scopes:
                assert digests._threads.limiter.borrowed_tokens == 1
                scope.cancel()
                await trio.testing.wait_all_tasks_blocked()
    # The last client has cancelled the work: otherwise, it would take an hour.
    assert digests._threads.limiter.borrowed_tokens == 0


async def test_digest_survives_the_client_that_asked_first(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    data = bytes(50_000_000)
    (tmp_path / "file").write_bytes(data)
    digests, shared = FileDigests(), SharedWork[Digest | None](nursery)
    made: list[Digest | None] = []
    first = trio.CancelScope()

    async def wait(scope: trio.CancelScope) -> None:
        with scope, opened(tmp_path / "file") as file:
            made.append(await digests.of(file.descriptor, file.status, "sha-256", shared))

    async with trio.open_nursery() as clients:
        for scope in (first, trio.CancelScope(), trio.CancelScope()):
            clients.start_soon(wait, scope)
        await trio.testing.wait_all_tasks_blocked()
        first.cancel()
    assert made == [Digest("sha-256", hashlib.sha256(data).digest())] * 2


async def test_digest_is_made_without_a_descriptor_to_spare(
    tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"data")
    shared = SharedWork[Digest | None](nursery)

    def fail(_: int) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    with opened(tmp_path / "file") as file:
        monkeypatch.setattr(os, "dup", fail)
        digest = await FileDigests().of(file.descriptor, file.status, "sha-256", shared)
    assert digest == Digest("sha-256", hashlib.sha256(b"data").digest())


UNREADABLE = Path("/proc/self/mem")  # its first page cannot be read


@pytest.mark.skipif(not UNREADABLE.exists(), reason="a file of Linux's own")
async def test_unreadable_file_gets_503() -> None:
    with opened(UNREADABLE) as file, pytest.raises(HTTPError) as refusal:
        await FileDigests().of(file.descriptor, file.status, "sha-256")
    assert refusal.value.status == 503


async def test_digest_of_runs_in_a_thread_of_trio(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    with opened(tmp_path / "file") as file:
        digest = await trio.to_thread.run_sync(digest_of, file.descriptor, file.status, "sha-256")
    assert digest == Digest("sha-256", hashlib.sha256(b"data").digest())
