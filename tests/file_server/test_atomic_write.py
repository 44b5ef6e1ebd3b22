"""Tests of uploads: stored completely or not at all, and without remains."""

import fcntl
import hashlib
import os
import resource
import signal
import socket
import stat
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event as ThreadEvent
from typing import ClassVar

import pytest
import trio
import trio.testing
from support import CHECKOUT, as_unprivileged_user, open_descriptors

from trio_http.apps.routing import Router
from trio_http.file_server import beneath_root as served_root
from trio_http.file_server import retries
from trio_http.file_server import unfinished_upload as part_files
from trio_http.file_server.atomic_write import GATHERED, SHORT, UNCONDITIONAL, remove, store
from trio_http.file_server.beneath_root import Root
from trio_http.file_server.durability import Durability
from trio_http.file_server.locks import exclusive_access
from trio_http.file_server.permissions import PART_PREFIX, PART_SUFFIX, Permissions, is_part
from trio_http.file_server.unfinished_upload import StoredFile
from trio_http.file_server.versions import tag_of
from trio_http.file_server.write_preconditions import WritePreconditions
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.digests import Digest
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Headers
from trio_http.semantics.limits import Limits
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response
from trio_http.semantics.timeouts import Timeouts
from trio_http.serving.server import serve
from trio_http.serving.single_stream import serve_stream
from trio_http.testing import Client, open_client
from trio_http.transport import readiness, splice
from trio_http.transport.splice import ROOM

# Worker threads do the writing, so these tests do not use an autojump clock.

EVERY_BYTE = bytes(range(256))
LARGE = b"".join([number.to_bytes(4, "big") for number in range(GATHERED)])  # four times as long


@pytest.fixture(params=["unnamed", "named", "paths"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """All ways to write a new file, whatever this system supports."""
    if request.param != "unnamed":
        monkeypatch.setattr(part_files, "UNNAMED", 0)
    if request.param == "paths":
        monkeypatch.setattr(served_root, "RELATIVE", False)
    return str(request.param)


@pytest.fixture
def unnamed(tmp_path: Path) -> None:
    """Skip tests of unnamed files if this system or file system does not support them."""
    try:
        os.close(os.open(tmp_path, os.O_TMPFILE | os.O_WRONLY))
    except OSError as error:
        pytest.skip(f"no files without names here: {error}")


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def all_below(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*"))


def parts(directory: Path) -> list[Path]:
    return [path for path in directory.iterdir() if is_part(path.name)]


def without_parts(directory: Path) -> dict[str, bytes]:
    return {name: data for name, data in contents(directory).items() if not is_part(name)}


async def stored(
    data: bytes, root: Path, names: Sequence[str], preconditions: WritePreconditions = UNCONDITIONAL
) -> StoredFile:
    send, receive = trio.open_memory_channel[bytes](inf)
    with send, receive:
        if data:
            send.send_nowait(data)
        send.close()
        return await store(receive, Root(root), names, preconditions)


async def refusal_of(
    root: Path, names: Sequence[str], preconditions: WritePreconditions = UNCONDITIONAL
) -> int:
    """Return the status of an upload that is refused before its first byte is requested."""
    send, receive = trio.open_memory_channel[bytes](1)
    with send, receive:
        send.send_nowait(b"never read")
        send.close()  # otherwise the reader would wait for more
        with pytest.raises(HTTPError) as refusal:
            await store(receive, Root(root), names, preconditions)
        assert receive.statistics().current_buffer_used == 1
    return refusal.value.status


@asynccontextmanager
async def uploading(
    root: Path, names: Sequence[str], preconditions: WritePreconditions = UNCONDITIONAL
) -> AsyncIterator[trio.MemorySendChannel[bytes]]:
    """Begin an upload; sending a piece returns when the upload has taken it.

    Leaving the block ends the body, and waits until the upload has ended.
    """
    send, receive = trio.open_memory_channel[bytes](0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store, receive, Root(root), names, preconditions)
        async with send:
            yield send


async def late_refusal_of(upload: Callable[[], Awaitable[None]]) -> int:
    """Return the status of an upload that is refused after it has begun."""
    with pytest.raises(ExceptionGroup) as failure:
        await upload()
    (error,) = failure.value.exceptions
    assert isinstance(error, HTTPError)
    return error.status


class Breaking:
    """A body that breaks off."""

    def __init__(self, pieces: Sequence[bytes], error: Exception) -> None:
        self._pieces = list(pieces)
        self._error = error

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self._pieces:
            raise self._error
        return self._pieces.pop(0)


def storing(root: Path) -> Router:
    app = Router()

    @app.put("/{name}")
    async def put(request: Request, name: str) -> Response:
        preconditions, body = WritePreconditions.of(request), request.body
        stored = await store(body, Root(root), [name], preconditions, body.open_pipe)
        return Response(201 if stored.is_new else 204)

    return app


# Stored files


@pytest.mark.parametrize(
    "data", [b"", b"\0", EVERY_BYTE, LARGE], ids=["empty", "NUL", "every byte", "large"]
)
@pytest.mark.parametrize("framing", ["length", "chunks"])
async def test_body_is_stored_byte_for_byte(
    tmp_path: Path, way: str, data: bytes, framing: str
) -> None:
    if framing == "length":
        fields = [("Content-Length", str(len(data)))]
        sent = data
    else:
        fields = [("Transfer-Encoding", "chunked")]
        pieces = [data[start : start + 70_000] for start in range(0, len(data), 70_000)]
        sent = b"".join([b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""]])
    async with open_client(storing(tmp_path)) as client:
        answer = await client.request("PUT", "/name", fields, sent)
        assert (answer.status, answer.reason) == (201, "Created")
    assert contents(tmp_path) == {"name": data}


async def test_body_replaces_the_old_file(tmp_path: Path, way: str) -> None:
    (tmp_path / "name").write_bytes(b"old and longer")
    (tmp_path / "other").write_bytes(b"other")
    async with open_client(storing(tmp_path)) as client:
        assert (await client.request("PUT", "/name", body=b"new")).status == 204
    assert contents(tmp_path) == {"name": b"new", "other": b"other"}


async def test_kernel_without_unnamed_files_gets_a_named_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A kernel without O_TMPFILE takes it for a request to write to the directory.
    monkeypatch.setattr(part_files, "UNNAMED", os.O_WRONLY)
    async with uploading(tmp_path, ["name"]) as body:
        await body.send(bytes(GATHERED))
        await body.send(b"data")
        assert len(parts(tmp_path)) == 1
    assert contents(tmp_path) == {"name": bytes(GATHERED) + b"data"}


async def test_result_tells_whether_the_file_is_new(tmp_path: Path, way: str) -> None:
    assert (await stored(b"1", tmp_path, ["name"])).is_new is True
    assert (await stored(b"2", tmp_path, ["name"])).is_new is False


async def test_file_can_be_stored_in_a_subdirectory(tmp_path: Path, way: str) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert (await stored(b"deep", tmp_path, ["a", "b", "name"])).is_new
    assert contents(tmp_path / "a" / "b") == {"name": b"deep"}


@pytest.mark.parametrize("name", ["a b", "é", "caf\udce9", "back\\slash", "%2e", "x" * 255])
async def test_unusual_name_is_stored(tmp_path: Path, way: str, name: str) -> None:
    assert (await stored(b"odd", tmp_path, [name])).is_new
    assert not (await stored(b"again", tmp_path, [name])).is_new
    assert contents(tmp_path) == {name: b"again"}


async def test_umask_applies_to_a_new_file(tmp_path: Path, way: str) -> None:
    (tmp_path / "plain").touch()
    await stored(b"1", tmp_path, ["name"])
    assert (tmp_path / "name").stat().st_mode == (tmp_path / "plain").stat().st_mode
    await stored(b"2", tmp_path, ["name"])
    assert (tmp_path / "name").stat().st_mode == (tmp_path / "plain").stat().st_mode


async def test_replacement_keeps_the_mode(tmp_path: Path, way: str) -> None:
    for mode in (0o600, 0o755, 0o444):
        (tmp_path / "name").touch()
        (tmp_path / "name").chmod(mode)
        tag = (await stored(b"new", tmp_path, ["name"])).etag
        assert stat.S_IMODE((tmp_path / "name").stat().st_mode) == mode
        assert tag == tag_in(tmp_path)
        (tmp_path / "name").unlink()


async def test_no_descriptor_stays_open(tmp_path: Path, way: str) -> None:
    (tmp_path / "folder").mkdir()
    before = open_descriptors()
    await stored(b"1", tmp_path, ["name"])
    await stored(b"2", tmp_path, ["name"])
    await refusal_of(tmp_path, ["folder"])
    await refusal_of(tmp_path, ["nothing", "name"])
    assert open_descriptors() == before


# Checks before the body is read


def with_length(length: int, *others: tuple[str, str]) -> WritePreconditions:
    return WritePreconditions("PUT", Headers([("Content-Length", str(length)), *others]))


@pytest.mark.parametrize(
    "preconditions",
    [
        UNCONDITIONAL,  # unknown length
        with_length(SHORT + 1),
        with_length(10, ("Expect", "100-continue")),
    ],
    ids=["unknown", "long", "waiting"],
)
async def test_impossible_upload_is_refused_before_its_body(
    tmp_path: Path, preconditions: WritePreconditions
) -> None:
    assert await refusal_of(tmp_path, ["nothing", "name"], preconditions) == 404


@pytest.mark.parametrize("length", [0, 10, SHORT])
async def test_short_body_is_read_before_it_is_refused(tmp_path: Path, length: int) -> None:
    preconditions, data = with_length(length), bytes(length)
    assert (await stored(data, tmp_path, ["name"], preconditions)).is_new
    assert contents(tmp_path) == {"name": data}
    error = ConnectionError("asked for")
    with pytest.raises(ConnectionError):
        await store(Breaking([], error), Root(tmp_path), ["nothing", "name"], preconditions)
    with pytest.raises(HTTPError) as refusal:
        await stored(data, tmp_path, ["nothing", "name"], preconditions)
    assert refusal.value.status == 404
    only_new = with_length(length, ("If-None-Match", "*"))
    with pytest.raises(HTTPError) as refusal:
        await stored(b"another", tmp_path, ["name"], only_new)
    assert refusal.value.status == 412
    assert contents(tmp_path) == {"name": data}


@pytest.mark.parametrize("way", ["named"], indirect=True)
async def test_many_small_pieces_are_written_early(tmp_path: Path, way: str) -> None:
    # In memory, each piece takes many times its length.
    async with uploading(tmp_path, ["name"]) as body:
        for _ in range(GATHERED // 30):
            await body.send(b"x")
        (part,) = parts(tmp_path)
        assert part.stat().st_size > 0
    assert contents(tmp_path) == {"name": b"x" * (GATHERED // 30)}


# Views of other readers and writers


async def test_file_appears_when_it_is_complete(tmp_path: Path, way: str) -> None:
    async with uploading(tmp_path, ["name"]) as body:
        for piece in (b"first", bytes(GATHERED), b"last"):
            await body.send(piece)
            assert without_parts(tmp_path) == {}
    assert contents(tmp_path) == {"name": b"first" + bytes(GATHERED) + b"last"}


async def test_old_file_is_readable_until_the_new_one_is_complete(tmp_path: Path, way: str) -> None:
    path = tmp_path / "name"
    path.write_bytes(b"old")
    with path.open("rb") as opened_before:
        async with uploading(tmp_path, ["name"]) as body:
            await body.send(bytes(GATHERED))
            await body.send(b"rest")
            assert without_parts(tmp_path) == {"name": b"old"}
        # A reader that opened the old file can continue to read it.
        assert opened_before.read() == b"old"
    assert contents(tmp_path) == {"name": bytes(GATHERED) + b"rest"}


@pytest.mark.parametrize("name", ["old", "new"])
async def test_unnamed_part_is_invisible(tmp_path: Path, unnamed: None, name: str) -> None:
    (tmp_path / "old").write_bytes(b"old")
    async with uploading(tmp_path, [name]) as body:
        await body.send(bytes(GATHERED))
        await body.send(b"rest")
        assert contents(tmp_path) == {"old": b"old"}
    assert contents(tmp_path) == {"old": b"old", name: bytes(GATHERED) + b"rest"}


@pytest.mark.parametrize("way", ["named", "paths"], indirect=True)
async def test_named_part_is_single_and_locked(tmp_path: Path, way: str) -> None:
    async with uploading(tmp_path, ["name"]) as body:
        await body.send(bytes(GATHERED))
        await body.send(b"rest")
        (part,) = parts(tmp_path)
        with part.open("rb") as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # It cannot be read over HTTP, nor written by another upload.
        assert await refusal_of(tmp_path, [part.name]) == 404
    assert contents(tmp_path) == {"name": bytes(GATHERED) + b"rest"}


async def test_reader_never_sees_a_mixture_of_two_files(tmp_path: Path, way: str) -> None:
    path = tmp_path / "name"
    versions = [bytes([number]) * 10_000 for number in range(30)]
    path.write_bytes(versions[0])
    done = ThreadEvent()
    seen = set()

    def read_on() -> None:
        while not done.is_set():
            seen.add(path.read_bytes())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, read_on)
        try:
            for version in versions:
                await stored(version, tmp_path, ["name"])
        finally:
            done.set()
    assert seen <= set(versions)


async def test_last_of_two_uploads_to_one_name_is_stored_completely(
    tmp_path: Path, way: str
) -> None:
    async with uploading(tmp_path, ["name"]) as first:
        await first.send(b"first, ")
        async with uploading(tmp_path, ["name"]) as second:
            await second.send(b"second, ")
            await first.send(bytes(GATHERED))
            await second.send(b"whole")
        assert without_parts(tmp_path) == {"name": b"second, whole"}
        await first.send(b"whole")
    assert contents(tmp_path) == {"name": b"first, " + bytes(GATHERED) + b"whole"}


async def test_many_uploads_to_one_name_leave_one_file(tmp_path: Path, way: str) -> None:
    versions = [bytes([number]) * 10_000 for number in range(20)]
    async with trio.open_nursery() as nursery:
        for version in versions:
            nursery.start_soon(stored, version, tmp_path, ["name"])
    ((name, data),) = contents(tmp_path).items()
    assert name == "name"
    assert data in versions


async def test_only_one_of_many_uploads_is_told_that_its_file_is_new(
    tmp_path: Path, way: str
) -> None:
    told: list[bool] = []

    async def upload(number: int) -> None:
        told.append((await stored(bytes([number]), tmp_path, ["name"])).is_new)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(upload, number)
    assert sorted(told) == [False] * 19 + [True]


@pytest.mark.parametrize("way", ["unnamed", "named"], indirect=True)
async def test_directory_that_becomes_a_link_does_not_lead_outside(
    tmp_path: Path, way: str
) -> None:
    inside, outside = tmp_path / "root" / "folder", tmp_path / "outside"
    inside.mkdir(parents=True)
    outside.mkdir()
    async with uploading(tmp_path / "root", ["folder", "name"]) as body:
        await body.send(b"data")
        inside.rename(tmp_path / "root" / "moved")
        inside.symlink_to(outside)
    assert contents(outside) == {}
    assert contents(tmp_path / "root" / "moved") == {"name": b"data"}


# Refusals


@pytest.mark.parametrize(
    "names",
    [
        ["nothing", "name"],
        ["file", "name"],
        ["link-up", "name"],
        ["link-up"],
        ["."],
        [".."],
        ["..", "name"],
        ["", "name"],
        [""],
        ["folder", ""],
        ["folder", "..", "name"],
        ["../name"],
        ["folder/name"],
        ["/tmp/name"],  # noqa: S108 - a client might try it
        ["na\0me"],
        ["\ud800"],
        ["x" * 256],
        ["x" * 256, "name"],
        [f"{PART_PREFIX}0{PART_SUFFIX}"],
        [".hidden"],
    ],
    ids=lambda names: "/".join(names).encode("unicode_escape").decode()[:40],
)
async def test_impossible_target_is_refused_and_nothing_is_stored(
    tmp_path: Path, way: str, names: Sequence[str]
) -> None:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "file").touch()
    (root / "link-up").symlink_to("..")
    before = all_below(tmp_path)
    # The link itself occupies the name.
    assert await refusal_of(root, names) == (409 if names == ["link-up"] else 404)
    assert all_below(tmp_path) == before


async def test_other_things_than_regular_files_are_not_replaced(tmp_path: Path, way: str) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    before = all_below(tmp_path)
    assert await refusal_of(tmp_path, ["folder"]) == 409
    assert await refusal_of(tmp_path, ["fifo"]) == 409
    assert all_below(tmp_path) == before
    assert stat.S_ISFIFO((tmp_path / "fifo").stat().st_mode)


@pytest.mark.parametrize("target", ["file", "nowhere", "link"])
async def test_link_and_its_target_are_not_replaced(tmp_path: Path, way: str, target: str) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to(target)
    assert await refusal_of(tmp_path, ["link"]) == 409
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"old"
    assert all_below(tmp_path) == [tmp_path / "file", tmp_path / "link"]


async def test_directory_that_appears_during_an_upload_is_not_replaced(
    tmp_path: Path, way: str
) -> None:
    async def upload() -> None:
        async with uploading(tmp_path, ["name"]) as body:
            await body.send(b"data")
            (tmp_path / "name").mkdir()

    assert await late_refusal_of(upload) == 409
    assert all_below(tmp_path) == [tmp_path / "name"]


async def test_directory_that_disappears_during_an_upload_gets_404(
    tmp_path: Path, way: str
) -> None:
    directory = tmp_path / "folder"
    directory.mkdir()

    async def upload() -> None:
        async with uploading(tmp_path, ["folder", "name"]) as body:
            await body.send(b"data")
            for part in parts(directory):
                part.unlink()
            directory.rmdir()

    assert await late_refusal_of(upload) == 404
    assert all_below(tmp_path) == []


async def test_directory_without_write_permission_gets_403(public: Path, way: str) -> None:
    (public / "folder").mkdir(mode=0o555)
    with as_unprivileged_user():
        assert await refusal_of(public, ["folder", "name"]) == 403
    assert contents(public / "folder") == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="takes a file of another user")
async def test_file_that_may_not_be_replaced_gets_403_and_stays(public: Path, way: str) -> None:
    directory = public / "folder"
    directory.mkdir()
    directory.chmod(0o1777)  # like /tmp, where users cannot replace files of others
    (directory / "name").write_bytes(b"old")
    with as_unprivileged_user(), pytest.raises(HTTPError) as refusal:
        await stored(b"new", directory, ["name"])
    assert refusal.value.status == 403
    assert contents(directory) == {"name": b"old"}


async def test_refusal_is_sent_before_100_continue(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    fields = [("Expect", "100-continue"), ("Content-Length", "1000000000")]
    async with open_client(storing(tmp_path)) as client:
        assert (await client.request("PUT", "/folder", fields)).status == 409


# Preconditions


def on(*fields: tuple[str, str]) -> WritePreconditions:
    return WritePreconditions("PUT", Headers(fields))


def tag_in(directory: Path) -> str:
    return str(tag_of((directory / "name").stat()))


@pytest.fixture(params=["/dev/shm", "/var/tmp"])  # noqa: S108 - directories that Linux has
def file_system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A directory on a file system in memory, and one on a disk, if both exist."""
    parent = request.param if Path(request.param).exists() else tmp_path
    with TemporaryDirectory(dir=parent) as name:
        yield Path(name)


@pytest.mark.parametrize("length", [3, SHORT + 1])
async def test_upload_returns_the_tag_of_the_stored_file(
    file_system: Path, way: str, length: int
) -> None:
    # Linking and renaming change the status, which is part of the tag.
    for data in (b"a" * length, b"b" * length, b"c" * length):
        tag = (await stored(data, file_system, ["name"])).etag
        assert tag == tag_in(file_system)
        assert await refusal_of(file_system, ["name"], on(("If-None-Match", tag))) == 412
    assert without_parts(file_system) == {"name": b"c" * length}


async def test_failed_precondition_is_refused_before_the_body(tmp_path: Path, way: str) -> None:
    (tmp_path / "name").write_bytes(b"old")
    assert await refusal_of(tmp_path, ["name"], on(("If-None-Match", "*"))) == 412
    assert await refusal_of(tmp_path, ["name"], on(("If-Match", '"another"'))) == 412
    assert await refusal_of(tmp_path, ["nothing"], on(("If-Match", "*"))) == 412
    assert contents(tmp_path) == {"name": b"old"}


async def test_upload_with_true_preconditions_is_stored(tmp_path: Path, way: str) -> None:
    assert (await stored(b"1", tmp_path, ["name"], on(("If-None-Match", "*")))).is_new
    assert not (await stored(b"2", tmp_path, ["name"], on(("If-Match", tag_in(tmp_path))))).is_new
    assert not (await stored(b"3", tmp_path, ["name"], on(("If-Match", "*")))).is_new
    assert contents(tmp_path) == {"name": b"3"}


async def test_other_refusals_precede_failed_preconditions(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()  # RFC 9110 13.2.1
    assert await refusal_of(tmp_path, ["folder"], on(("If-None-Match", "*"))) == 409
    assert await refusal_of(tmp_path, ["nothing", "name"], on(("If-Match", "*"))) == 404


async def test_file_changed_during_an_upload_is_not_replaced(tmp_path: Path, way: str) -> None:
    async def upload() -> None:
        async with uploading(tmp_path, ["name"], on(("If-Match", tag_in(tmp_path)))) as body:
            await body.send(b"mine")
            await stored(b"theirs", tmp_path, ["name"])

    (tmp_path / "name").write_bytes(b"old")
    assert await late_refusal_of(upload) == 412
    assert contents(tmp_path) == {"name": b"theirs"}


async def test_file_created_during_an_upload_is_not_replaced(tmp_path: Path, way: str) -> None:
    async def upload() -> None:
        async with uploading(tmp_path, ["name"], on(("If-None-Match", "*"))) as body:
            await body.send(b"mine")
            await stored(b"theirs", tmp_path, ["name"])

    assert await late_refusal_of(upload) == 412
    assert contents(tmp_path) == {"name": b"theirs"}


async def test_only_one_of_many_uploads_creates_the_file(tmp_path: Path, way: str) -> None:
    created: list[bytes] = []

    async def create(number: int) -> None:
        data = bytes([number])
        with suppress(HTTPError):
            await stored(data, tmp_path, ["name"], on(("If-None-Match", "*")))
            created.append(data)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(create, number)
    assert contents(tmp_path) == {"name": created[0]}
    assert len(created) == 1


async def test_no_update_is_lost(tmp_path: Path, way: str) -> None:
    # All versions have the same length, so only the time and the inode distinguish them.
    path = tmp_path / "name"
    path.write_bytes(b"000")

    async def count() -> None:
        for _ in range(10):
            while True:
                tag = tag_in(tmp_path)
                data = b"%03d" % (int(path.read_bytes()) + 1)
                with suppress(HTTPError):  # another task was first
                    await stored(data, tmp_path, ["name"], on(("If-Match", tag)))
                    break

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(count)
    assert path.read_bytes() == b"050"


async def test_quick_versions_have_different_tags(tmp_path: Path, way: str) -> None:
    tags = [(await stored(b"same", tmp_path, ["name"])).etag for _ in range(100)]
    assert len(set(tags)) == len(tags)


async def test_time_of_an_upload_is_from_a_precise_clock(tmp_path: Path, way: str) -> None:
    # The kernel's clock stands still for some milliseconds, in which an inode may be reused.
    for _ in range(20):
        before = time.time_ns()
        await stored(b"same", tmp_path, ["name"])
        assert before <= (tmp_path / "name").stat().st_mtime_ns <= time.time_ns()


async def test_change_waits_for_others_in_the_same_directory(tmp_path: Path, way: str) -> None:
    (tmp_path / "name").write_bytes(b"old")
    about_to_end = trio.Event()
    order = []

    class Body:
        pieces: ClassVar = [b"mine"]

        def __aiter__(self) -> AsyncIterator[bytes]:
            return self

        async def __anext__(self) -> bytes:
            if self.pieces:
                return self.pieces.pop()
            about_to_end.set()
            raise StopAsyncIteration

    async def upload() -> None:
        preconditions = on(("If-Match", tag_in(tmp_path)))
        with pytest.raises(HTTPError) as refusal:
            await store(Body(), Root(tmp_path), ["name"], preconditions)
        order.append(refusal.value.status)

    def change(event: trio.Event) -> None:
        with Root(tmp_path).directory() as directory, exclusive_access(directory):
            trio.from_thread.run_sync(event.set)
            trio.from_thread.run(about_to_end.wait)
            trio.from_thread.run(trio.testing.wait_all_tasks_blocked)
            (tmp_path / "name").write_bytes(b"theirs")
            order.append(0)

    async with trio.open_nursery() as nursery:
        locked = trio.Event()
        nursery.start_soon(trio.to_thread.run_sync, change, locked)
        await locked.wait()
        nursery.start_soon(upload)
    assert order == [0, 412]
    assert contents(tmp_path) == {"name": b"theirs"}


async def test_file_created_just_before_the_link_is_not_replaced(
    tmp_path: Path, unnamed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another program without the lock creates the file between the last check and the link.
    async def upload() -> None:
        async with uploading(tmp_path, ["name"], on(("If-None-Match", "*"))) as body:
            await body.send(b"mine")
            monkeypatch.setattr(os, "link", create_then_link)

    def create_then_link(source: str, name: str, *, dst_dir_fd: int) -> None:
        (tmp_path / name).write_bytes(b"theirs")
        link(source, name, dst_dir_fd=dst_dir_fd)

    link = os.link
    assert await late_refusal_of(upload) == 412
    assert contents(tmp_path) == {"name": b"theirs"}


# Locks of other programs


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock of a directory, as another program does."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("way", ["unnamed", "named"], indirect=True)
@pytest.mark.parametrize("preconditions", [UNCONDITIONAL, with_length(3)], ids=["unknown", "short"])
async def test_directory_that_stays_locked_gets_503(
    tmp_path: Path, way: str, preconditions: WritePreconditions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "PATIENCE", 0.01)
    before = open_descriptors()
    with locked(tmp_path):
        with pytest.raises(HTTPError) as refusal:
            await stored(b"new", tmp_path, ["name"], preconditions)
        assert refusal.value.status == 503
        assert int(refusal.value.headers["Retry-After"]) > 0
        assert contents(tmp_path) == {}
    assert open_descriptors() == before
    assert (await stored(b"new", tmp_path, ["name"], preconditions)).is_new


@pytest.mark.parametrize("way", ["unnamed", "named"], indirect=True)
@pytest.mark.parametrize("preconditions", [UNCONDITIONAL, with_length(3)], ids=["unknown", "short"])
async def test_waiting_for_a_locked_directory_takes_no_thread(
    tmp_path: Path, way: str, preconditions: WritePreconditions
) -> None:
    root = Root(tmp_path)

    async def upload(number: int) -> None:
        body, end = trio.open_memory_channel[bytes](1)
        await body.send(b"new")
        await body.aclose()
        await store(end, root, [str(number)], preconditions)

    number = 2 * int(root.changes.limiter.total_tokens)
    async with trio.open_nursery() as nursery:
        with locked(tmp_path):
            for name in range(number):
                nursery.start_soon(upload, name)
            # Threads are free for lookups, and for other changes.
            for _ in range(10):
                await trio.to_thread.run_sync(without_parts, tmp_path)
                assert await root.lookups.run(os.path.exists, tmp_path)
                assert await root.changes.run(os.path.exists, tmp_path)
            assert without_parts(tmp_path) == {}
    assert contents(tmp_path) == {str(name): b"new" for name in range(number)}


# Digests of the content


def promised(data: bytes, *algorithms: str) -> WritePreconditions:
    digests = [
        Digest(name, hashlib.new(name.replace("-", ""), data).digest()) for name in algorithms
    ]
    return WritePreconditions("PUT", digests=tuple(digests))


@pytest.mark.parametrize("data", [b"", b"data", LARGE], ids=len)
async def test_content_that_matches_its_digest_is_stored(tmp_path: Path, data: bytes) -> None:
    assert (await stored(data, tmp_path, ["name"], promised(data, "sha-256", "sha-512"))).is_new
    assert contents(tmp_path) == {"name": data}


@pytest.mark.parametrize("data", [b"", b"date", LARGE + b"\0"], ids=len)
async def test_content_that_does_not_match_its_digest_is_not_stored(
    tmp_path: Path, way: str, data: bytes
) -> None:
    (tmp_path / "name").write_bytes(b"old")
    for name in ("name", "another"):
        for algorithm in ("sha-256", "sha-512"):
            with pytest.raises(HTTPError) as refusal:
                await stored(data, tmp_path, [name], promised(b"data", algorithm))
            assert refusal.value.status == 400
            assert contents(tmp_path) == {"name": b"old"}


# Deleting


def removal(root: Path, names: Sequence[str], *fields: tuple[str, str]) -> int | None:
    """Delete a file; return the status of a refusal, or None."""
    try:
        remove(Root(root), names, WritePreconditions("DELETE", Headers(fields)))
    except HTTPError as error:
        return error.status
    return None


def test_only_the_named_file_is_deleted(tmp_path: Path, way: str) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "name", tmp_path / "other", tmp_path / "folder" / "name"):
        path.touch()
    assert removal(tmp_path, ["name"]) is None
    assert all_below(tmp_path) == [
        tmp_path / "folder",
        tmp_path / "folder" / "name",
        tmp_path / "other",
    ]
    assert removal(tmp_path, ["folder", "name"]) is None
    assert all_below(tmp_path) == [tmp_path / "folder", tmp_path / "other"]


@pytest.mark.parametrize(
    ("names", "status"),
    [
        (["nothing"], 404),
        (["nothing", "name"], 404),
        (["file", "name"], 404),
        (["folder"], 409),
        (["fifo"], 409),
        (["link"], 409),  # neither the link nor its target
        (["link-nowhere"], 409),
        (["."], 404),
        ([".."], 404),
        (["..", "outside"], 404),
        ([""], 404),
        (["folder", ""], 404),
        (["folder/file"], 404),
        ([".hidden"], 404),
        ([f"{PART_PREFIX}0{PART_SUFFIX}"], 404),
        (["link-up", "outside"], 404),
    ],
    ids=str,
)
def test_other_things_than_visible_files_cannot_be_deleted(
    tmp_path: Path, way: str, names: Sequence[str], status: int
) -> None:
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    for path in ("file", "folder/file", ".hidden", f"{PART_PREFIX}0{PART_SUFFIX}", "../outside"):
        (root / path).touch()
    os.mkfifo(root / "fifo")
    for name, target in {"link": "file", "link-nowhere": "nowhere", "link-up": ".."}.items():
        (root / name).symlink_to(target)
    before = all_below(tmp_path)
    assert removal(root, names) == status
    assert all_below(tmp_path) == before


def test_link_is_not_deleted_even_if_links_are_followed(tmp_path: Path, way: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    with pytest.raises(HTTPError) as refusal:
        remove(Root(tmp_path, Permissions.LINKS), ["link"], WritePreconditions("DELETE"))
    assert refusal.value.status == 409
    assert all_below(tmp_path) == [tmp_path / "file", tmp_path / "link"]


def test_preconditions_of_a_deletion_are_checked(tmp_path: Path, way: str) -> None:
    path = tmp_path / "name"
    path.touch()
    tag = tag_in(tmp_path)
    os.utime(path, ns=(1, 1))
    assert removal(tmp_path, ["name"], ("If-Match", tag)) == 412
    assert removal(tmp_path, ["name"], ("If-None-Match", "*")) == 412
    assert path.exists()
    assert removal(tmp_path, ["name"], ("If-Match", tag_in(tmp_path))) is None
    assert not path.exists()
    # RFC 9110 13.2.1: without preconditions, it would not be found either.
    assert removal(tmp_path, ["name"], ("If-Match", "*")) == 404


async def test_deletion_waits_for_others_in_the_same_directory(tmp_path: Path, way: str) -> None:
    (tmp_path / "name").touch()
    comes = ThreadEvent()

    def delete() -> int | None:
        comes.set()
        return removal(tmp_path, ["name"], ("If-Match", tag))

    def change(event: trio.Event) -> None:
        with Root(tmp_path).directory() as directory, exclusive_access(directory):
            trio.from_thread.run_sync(event.set)
            comes.wait()
            os.utime(tmp_path / "name", ns=(1, 1))

    tag = tag_in(tmp_path)
    async with trio.open_nursery() as nursery:
        locked = trio.Event()
        nursery.start_soon(trio.to_thread.run_sync, change, locked)
        await locked.wait()
        assert await trio.to_thread.run_sync(delete) == 412
    assert (tmp_path / "name").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="takes a file of another user")
def test_file_that_may_not_be_deleted_gets_403_and_stays(public: Path, way: str) -> None:
    directory = public / "folder"
    directory.mkdir()
    directory.chmod(0o1777)
    (directory / "name").touch()
    with as_unprivileged_user():
        assert removal(directory, ["name"]) == 403
    assert (directory / "name").exists()


# Uploads that fail


async def test_cancelled_upload_leaves_only_the_old_file(tmp_path: Path, way: str) -> None:
    (tmp_path / "name").write_bytes(b"old")
    for name in ("name", "another"):
        with trio.CancelScope() as scope:
            async with uploading(tmp_path, [name]) as body:
                await body.send(bytes(GATHERED))
                await body.send(b"rest")
                scope.cancel()
        assert scope.cancelled_caught
        assert contents(tmp_path) == {"name": b"old"}


async def test_body_that_breaks_off_leaves_only_the_old_file(tmp_path: Path, way: str) -> None:
    (tmp_path / "name").write_bytes(b"old")
    for name in ("name", "another"):
        for pieces in ([], [b"half"], [bytes(GATHERED), b"half"]):
            with pytest.raises(ZeroDivisionError):
                await store(Breaking(pieces, ZeroDivisionError()), Root(tmp_path), [name])
            assert contents(tmp_path) == {"name": b"old"}


@pytest.mark.parametrize(
    ("status", "framing", "body"),
    [
        (400, "Content-Length: 10", b"half"),  # then the input ends
        (400, "Transfer-Encoding: chunked", b"4\r\nhalf\r\n"),
        (400, "Transfer-Encoding: chunked", b"4\r\nhalf\r\nno chunk\r\n"),
        (413, "Transfer-Encoding: chunked", b"4\r\nhalf\r\n100\r\n" + bytes(256)),
        (413, "Content-Length: 300", bytes(300)),
    ],
)
async def test_malformed_request_leaves_only_the_old_file(
    tmp_path: Path, way: str, status: int, framing: str, body: bytes
) -> None:
    (tmp_path / "name").write_bytes(b"old")
    async with open_client(storing(tmp_path), limits=Limits(body=100)) as client:
        head = f"PUT /name HTTP/1.1\r\nHost: test\r\n{framing}\r\n\r\n"
        await client.send(head.encode() + body)
        await client.send_eof()
        assert (await client.response()).status == status
        assert contents(tmp_path) == {"name": b"old"}


async def test_client_that_disconnects_leaves_only_the_old_file(tmp_path: Path, way: str) -> None:
    (tmp_path / "name").write_bytes(b"old")
    near, far = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_stream, storing(tmp_path), far)
        await near.send_all(b"PUT /name HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nhalf")
        await near.aclose()
    assert contents(tmp_path) == {"name": b"old"}


# From the client's socket to the file, bypassing Python

RANDOM = os.urandom(3 * ROOM)  # all parts of it differ
HEAD = "PUT /name HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n{}\r\n"


@pytest.fixture(params=["moved", "no pipes", "bytes only"])
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """All ways from a socket to a file, whatever this system supports."""
    if request.param == "no pipes":
        monkeypatch.setattr(splice, "CAN_SPLICE", False)
    elif request.param == "bytes only":
        # splice cannot append to a file that is open for appending.
        monkeypatch.setattr(
            part_files, "UNNAMED", part_files.UNNAMED and part_files.UNNAMED | os.O_APPEND
        )
    return str(request.param)


@asynccontextmanager
async def connected(
    root: Path,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - a frozen value
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
) -> AsyncIterator[tuple[Client, trio.SocketStream]]:
    """Connect a client to a server that stores uploads; leaving the block stops the server."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    host, port = listeners[0].socket.getsockname()
    serving = partial(serve, timeouts=timeouts, limits=limits)
    async with trio.open_nursery() as nursery:
        await nursery.start(serving, storing(root), listeners)
        async with await trio.open_tcp_stream(host, port) as stream:
            yield Client(stream), stream
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("told", ["levels", "edges"])
@pytest.mark.parametrize(
    "length",
    [SHORT + 1, ROOM - 1, ROOM, ROOM + 1, 2 * ROOM, 3 * ROOM - 77],
    ids=lambda length: f"{length - ROOM:+}",
)
async def test_upload_over_a_socket_is_stored_and_the_next_request_served(
    tmp_path: Path, by: str, told: str, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "FEW", 1000 if told == "levels" else 0)
    first, second = RANDOM[:length], RANDOM[-length:]
    async with connected(tmp_path) as (client, _):
        # All at once, then in single pieces, without a pause between the requests.
        whole = HEAD.format(length, "").encode() + first + HEAD.format(length, "").encode()
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def send() -> None:
                await client.send(whole)
                for start in range(0, length, 70_001):
                    await trio.testing.wait_all_tasks_blocked()
                    await client.send(second[start : min(length, start + 70_001)])
                await client.send(b"DELETE / HTTP/1.1\r\nHost: test\r\n\r\n")

            assert (await client.response()).status == 201
            assert contents(tmp_path) == {"name": first}
            assert (await client.response()).status == 204
            assert contents(tmp_path) == {"name": second}
            assert (await client.response()).status == 404


async def test_upload_of_single_bytes_is_stored(tmp_path: Path, by: str) -> None:
    data = RANDOM[: SHORT + 1]
    async with connected(tmp_path) as (client, stream):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await client.send(HEAD.format(len(data), "").encode())
        for number in range(1000):
            await client.send(data[number : number + 1])
            await trio.lowlevel.checkpoint()
        await client.send(data[1000:])
        assert (await client.response()).status == 201
    assert contents(tmp_path) == {"name": data}


@pytest.mark.skipif(not splice.CAN_SPLICE, reason="this system has no splice")
async def test_pipe_is_open_only_while_there_are_bytes_to_move(tmp_path: Path, by: str) -> None:
    def count() -> int:
        links = []
        for path in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # the descriptor of the listing itself
                links.append(path.readlink())
        return sum(str(link).startswith("pipe:") for link in links)

    async with connected(tmp_path) as (client, _):
        before = count()
        await client.send(HEAD.format(len(RANDOM), "").encode() + RANDOM[:ROOM])
        await trio.testing.wait_all_tasks_blocked()
        assert count() == before + (2 if Behavior().fast_path and by != "no pipes" else 0)
        await client.send(RANDOM[ROOM:])
        assert (await client.response()).status == 201
        assert count() == before


def opened_beside(before: set[str]) -> list[str]:
    """Return descriptors that were not open before, except that of the listing."""
    return sorted([link for link in links() if link not in before])


def links() -> set[str]:
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the descriptor of the listing itself
            found.add(f"{path.name} {path.readlink()}")
    return found


@pytest.mark.parametrize("sent", [0, 1, SHORT // 2])
async def test_slow_upload_holds_only_its_directory_open(
    tmp_path: Path, by: str, sent: int
) -> None:
    async with connected(tmp_path) as (client, _):
        await client.request("PUT", "/other", body=b"")  # opens the connection
        before = links()
        await client.send(HEAD.format(len(RANDOM), "Expect: 100-continue\r\n").encode())
        assert (await client.response()).status == 100
        for _ in range(sent and 2):
            await client.send(RANDOM[: sent // 2 or 1])
            await trio.testing.wait_all_tasks_blocked(0.01)
        (directory,) = opened_beside(before)
        assert directory.endswith(f" {tmp_path}")
    assert contents(tmp_path) == {"other": b""}


async def test_uploads_over_many_sockets_are_stored_separately(tmp_path: Path, by: str) -> None:
    async def upload(client: Client, data: bytes, target: str) -> None:
        assert (await client.request("PUT", target, body=data)).status == 201

    sent = {f"{number}": RANDOM[number * 1000 :][: 2 * ROOM] for number in range(5)}
    async with AsyncExitStack() as servers:
        clients = [await servers.enter_async_context(connected(tmp_path)) for _ in sent]
        async with trio.open_nursery() as nursery:
            for (client, _), (name, data) in zip(clients, sent.items(), strict=True):
                nursery.start_soon(upload, client, data, f"/{name}")
    assert contents(tmp_path) == sent


@pytest.mark.parametrize(("promise", "status"), [(RANDOM, 201), (b"something else", 400)])
async def test_content_of_a_socket_is_compared_with_its_digest(
    tmp_path: Path, by: str, promise: bytes, status: int
) -> None:
    digest = Digest("sha-256", hashlib.sha256(promise).digest())
    async with connected(tmp_path) as (client, _):
        answer = await client.request("PUT", "/name", [("Repr-Digest", str(digest))], RANDOM)
        assert answer.status == status
    assert contents(tmp_path) == ({"name": RANDOM} if status == 201 else {})


@pytest.mark.parametrize("sent", [0, 1000, ROOM + 1000])
@pytest.mark.parametrize("ending", ["half", "all", "reset", "slow", "large", "stop"])
async def test_upload_over_a_socket_that_fails_leaves_only_the_old_file(
    tmp_path: Path, by: str, sent: int, ending: str
) -> None:
    (tmp_path / "name").write_bytes(b"old")
    statuses = {"half": 400, "slow": 408, "large": 413}
    timeouts = Timeouts(receive=0.01 if ending == "slow" else 30)
    limits = Limits(body=3 * ROOM - 1 if ending == "large" else inf)
    before = open_descriptors()
    async with connected(tmp_path, timeouts, limits) as (client, stream):
        # The last two are ended by the end of this block.
        await client.send(HEAD.format(3 * ROOM, "").encode() + RANDOM[:sent])
        match ending:
            case "half":
                await client.send_eof()
            case "all":
                await stream.aclose()
            case "reset":
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                await stream.aclose()
        if ending in statuses:
            assert (await client.response()).status == statuses[ending]
        else:
            await trio.testing.wait_all_tasks_blocked()
    assert contents(tmp_path) == {"name": b"old"}
    assert open_descriptors() <= before


async def test_full_disk_during_an_upload_over_a_socket_is_reported(
    tmp_path: Path, by: str
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    (tmp_path / "name").write_bytes(b"old")
    before = open_descriptors()
    async with connected(tmp_path) as (client, _):
        # A limit on file sizes acts like a small disk, except for the status.
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM + 1, hard))
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.send, HEAD.format(len(RANDOM), "").encode() + RANDOM)
                assert (await client.response()).status == 413
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert contents(tmp_path) == {"name": b"old"}
    assert open_descriptors() <= before


@pytest.mark.parametrize(
    "fields", ["", "Expect: 100-continue\r\n", "Connection: close\r\n"], ids=repr
)
async def test_upload_over_a_socket_with_any_head_is_stored(
    tmp_path: Path, by: str, fields: str
) -> None:
    async with connected(tmp_path) as (client, _):
        await client.send(HEAD.format(len(RANDOM), fields).encode())
        if "Expect" in fields:
            assert (await client.response()).status == 100
        await client.send(RANDOM)
        assert (await client.response()).status == 201
    assert contents(tmp_path) == {"name": RANDOM}


# Whole processes: limits for one process, and killing it.

STORE = """
import os, resource, signal, sys
from pathlib import Path

import trio

from trio_http.file_server import unfinished_upload
from trio_http.file_server import atomic_write
from trio_http.file_server.beneath_root import Root
from trio_http.semantics.errors import HTTPError

root, way, ending = Path(sys.argv[1]), sys.argv[2], sys.argv[3]


class Body:
    pieces = 8

    def __aiter__(self):
        return self

    async def __anext__(self):
        if not self.pieces:
            if ending == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise StopAsyncIteration
        self.pieces -= 1
        return bytes(atomic_write.GATHERED)


if way == "named":
    unfinished_upload.UNNAMED = 0
if ending == "limit":
    too_small = 8 * atomic_write.GATHERED - 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (too_small, too_small))
(root / "name").write_bytes(b"old")
try:
    trio.run(atomic_write.store, Body(), Root(root), ["name"])
except HTTPError as error:
    print(error.status, {path.name: path.read_bytes() for path in root.iterdir()})
"""


def run_store(
    root: Path, way: str, ending: str, prefix: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, "-c", STORE, str(root), way, ending]
    return subprocess.run(
        command, cwd=CHECKOUT, check=False, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("way", ["unnamed", "named"])
def test_file_over_the_size_limit_is_refused_and_the_old_one_stays(
    tmp_path: Path, way: str
) -> None:
    ended = run_store(tmp_path, way, "limit")
    assert (ended.stdout, ended.stderr) == ("413 {'name': b'old'}\n", "")


@pytest.mark.parametrize("way", ["unnamed", "named"])
def test_full_disk_gets_507_and_the_old_file_stays(tmp_path: Path, way: str) -> None:
    # A file system of one megabyte, which only the program under test sees.
    mount = 'mount -t tmpfs -o size=1m tmpfs "$0"'
    in_private = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    try:
        subprocess.run([*in_private, mount, str(tmp_path)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system can be mounted here")
    ended = run_store(tmp_path, way, "disk", [*in_private, f'{mount} && exec "$@"', str(tmp_path)])
    assert (ended.stdout, ended.stderr) == ("507 {'name': b'old'}\n", "")


def test_killed_server_leaves_only_the_old_file(tmp_path: Path, unnamed: None) -> None:
    ended = run_store(tmp_path, "unnamed", "kill")
    assert (ended.returncode, ended.stderr) == (-signal.SIGKILL, "")
    assert contents(tmp_path) == {"name": b"old"}


def test_deletion_is_forced_to_the_disk_where_changes_are_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forced: list[bool] = []
    monkeypatch.setattr(os, "fsync", lambda _: forced.append((tmp_path / "name").exists()))
    for durability, expected in ((Durability.SYSTEM, []), (Durability.DISK, [False])):
        (tmp_path / "name").touch()
        remove(Root(tmp_path, durability=durability), ["name"], WritePreconditions("DELETE"))
        assert forced == expected
