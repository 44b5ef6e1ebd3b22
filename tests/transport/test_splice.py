"""Bytes on their way through a pipe, from a socket to a file."""

import errno
import os
import resource
import select
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import pytest
import trio
from support import open_descriptors
from trio.testing import MockClock

from trio_http.semantics.errors import ClientDisconnected
from trio_http.transport import readiness, splice
from trio_http.transport.readiness import Levels
from trio_http.transport.sockets import SocketTransport
from trio_http.transport.splice import ROOM, Pipe, open_pipe

only_with_pipes = pytest.mark.skipif(
    not splice.CAN_SPLICE, reason="this system moves nothing past us"
)

DATA = os.urandom(1000)


@contextmanager
def opened(source: socket.socket | int) -> Iterator[Pipe]:
    """A pipe from a socket, or from any other descriptor."""
    connected = source if isinstance(source, socket.socket) else socket.socket()
    descriptor = source if isinstance(source, int) else source.fileno()
    pipe = open_pipe(descriptor, Levels(connected))
    assert pipe is not None
    with closing(pipe):
        yield pipe
    if isinstance(source, int):
        connected.close()


@contextmanager
def written(path: Path, flags: int = 0) -> Iterator[int]:
    """A file that is being written."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


# In


@only_with_pipes
def test_what_has_come_is_moved_in_and_no_more(
    socket_pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = socket_pair
    with opened(ours) as pipe:
        theirs.send(DATA)
        assert (pipe.fill(400), pipe.held) == (400, 400)
        assert (pipe.fill(ROOM), pipe.held) == (600, 1000)
        assert (pipe.fill(ROOM), pipe.held) == (None, 1000)
        assert pipe.has_room


@only_with_pipes
def test_the_end_is_told_as_often_as_it_is_asked_for(
    tcp_pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = tcp_pair
    with opened(ours) as pipe:
        theirs.send(b"end")
        theirs.close()
        select.select([ours], [], [])
        assert [pipe.fill(10), pipe.fill(10), pipe.fill(10)] == [3, 0, 0]


@only_with_pipes
def test_a_client_that_resets_is_gone(tcp_pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = tcp_pair
    SocketTransport(theirs, Levels(theirs)).abort()
    theirs.close()
    with opened(ours) as pipe, pytest.raises(ClientDisconnected) as gone:
        pipe.fill(10)
    assert isinstance(gone.value.__cause__, ConnectionResetError)


@only_with_pipes
def test_small_packets_fill_a_pipe_early(
    socket_pair: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    ours, theirs = socket_pair
    places = ROOM // os.sysconf("SC_PAGESIZE")
    # Each is sent once the one before has been taken, or the kernel might join them.
    with opened(ours) as pipe, written(tmp_path / "file") as file:
        for number in range(places):
            theirs.send(bytes([number % 256]))
            assert pipe.fill(ROOM) == 1
        theirs.send(b"one too many")
        assert (pipe.fill(ROOM), pipe.held, pipe.has_room) == (None, places, False)
        pipe.empty_into(file)
        assert pipe.has_room
        assert pipe.fill(ROOM) == len(b"one too many")
        pipe.empty_into(file)
    sent = bytes([number % 256 for number in range(places)])
    assert (tmp_path / "file").read_bytes() == sent + b"one too many"


@only_with_pipes
def test_what_cannot_be_moved_is_left_where_it_is() -> None:
    with closing(select.epoll()) as unable, opened(unable.fileno()) as pipe:
        assert (pipe.fill(10), pipe.held, pipe.has_room) == (None, 0, False)


@only_with_pipes
def test_what_has_been_received_is_put_in_as_far_as_there_is_room(
    socket_pair: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    ours, theirs = socket_pair
    with opened(ours) as pipe, written(tmp_path / "file") as file:
        theirs.send(b" behind")
        assert (pipe.put(b"before"), pipe.fill(ROOM), pipe.held) == (6, 7, 13)
        pipe.empty_into(file)
        assert pipe.put(bytes(ROOM + 1)) == ROOM
        assert pipe.has_room  # as far as is known
        assert (pipe.put(b"more"), pipe.has_room, pipe.held) == (None, False, ROOM)
        pipe.empty_into(file)
    assert (tmp_path / "file").read_bytes() == b"before behind" + bytes(ROOM)


# Who waits for more


@asynccontextmanager
async def watched(connected: socket.socket) -> AsyncIterator[readiness.Arrivals]:
    """Arrivals on a socket of which each is told once."""
    with closing(readiness.Edges()) as edges:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(edges.run)
            yield edges.arrivals(connected)
            nursery.cancel_scope.cancel()


@only_with_pipes
@pytest.mark.parametrize("reason", ["not asked for", "no room"])
async def test_what_may_be_left_is_told_once_more(
    tcp_pair: tuple[socket.socket, socket.socket],
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    monkeypatch.setattr(readiness, "FEW", 0)
    ours, theirs = tcp_pair
    async with watched(ours) as arrivals:
        pipe = open_pipe(ours.fileno(), arrivals)
        assert pipe is not None
        with closing(pipe):
            if reason == "no room":
                pipe.put(bytes(ROOM))
            theirs.send(DATA)
            await arrivals.wait()
            assert pipe.fill(400) == (400 if reason == "not asked for" else None)
            with trio.fail_after(1):
                await arrivals.wait()


@only_with_pipes
async def test_what_is_all_is_not_told_again(
    tcp_pair: tuple[socket.socket, socket.socket],
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: MockClock,
) -> None:
    monkeypatch.setattr(readiness, "FEW", 0)
    ours, theirs = tcp_pair
    async with watched(ours) as arrivals:
        pipe = open_pipe(ours.fileno(), arrivals)
        assert pipe is not None
        with closing(pipe):
            theirs.send(DATA)
            await arrivals.wait()
            assert [pipe.fill(ROOM), pipe.fill(ROOM)] == [1000, None]
            with trio.move_on_after(1) as waiting:
                await arrivals.wait()
            assert waiting.cancelled_caught


# Out


@only_with_pipes
@pytest.mark.parametrize("flags", [0, os.O_APPEND], ids=["moved", "bytes only"])
def test_a_file_gets_all_that_is_held_behind_what_it_has(
    socket_pair: tuple[socket.socket, socket.socket], tmp_path: Path, flags: int
) -> None:
    ours, theirs = socket_pair
    with opened(ours) as pipe, written(tmp_path / "file", flags) as file:
        os.write(file, b"before ")
        theirs.send(DATA)
        assert pipe.fill(ROOM) == 1000
        pipe.empty_into(file)
        assert pipe.held == 0
        pipe.empty_into(file)  # of nothing
        os.write(file, b" behind")
    assert (tmp_path / "file").read_bytes() == b"before " + DATA + b" behind"


@only_with_pipes
def test_nobody_waits_for_what_is_not_in_a_pipe(
    socket_pair: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    with opened(socket_pair[0]) as pipe, written(tmp_path / "file") as file:
        pipe.held = 1  # which is not so
        with pytest.raises(BlockingIOError):
            pipe.empty_into(file)


@only_with_pipes
@pytest.mark.parametrize(
    ("path", "flags", "error"),
    [(os.devnull, os.O_RDONLY, errno.EBADF), ("/dev/full", os.O_WRONLY, errno.ENOSPC)],
)
def test_a_file_that_takes_nothing_is_an_error(
    socket_pair: tuple[socket.socket, socket.socket], path: str, flags: int, error: int
) -> None:
    ours, theirs = socket_pair
    target = os.open(path, flags)
    theirs.send(DATA)
    try:
        with opened(ours) as pipe:
            pipe.fill(ROOM)
            with pytest.raises(OSError, match=os.strerror(error)):
                pipe.empty_into(target)
    finally:
        os.close(target)


# Where there is none


@only_with_pipes
def test_nothing_stays_open(socket_pair: tuple[socket.socket, socket.socket]) -> None:
    before = open_descriptors()
    with opened(socket_pair[0]) as pipe:
        pipe.put(b"never to be read")
        assert open_descriptors() == before + 2
    assert open_descriptors() == before


def test_a_system_may_have_no_way_to(
    socket_pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splice, "CAN_SPLICE", False)
    assert open_pipe(socket_pair[0].fileno(), Levels(socket_pair[0])) is None


@only_with_pipes
def test_a_pipe_may_be_refused_its_room(
    socket_pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_descriptors()
    monkeypatch.setattr(splice, "ROOM", 2**32 - 1)  # more than any may have
    assert open_pipe(socket_pair[0].fileno(), Levels(socket_pair[0])) is None
    assert open_descriptors() == before


@only_with_pipes
def test_there_may_be_too_many_descriptors(
    socket_pair: tuple[socket.socket, socket.socket],
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, hard))
    try:
        assert open_pipe(socket_pair[0].fileno(), Levels(socket_pair[0])) is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
