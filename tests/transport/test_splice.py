"""Tests of moving bytes through a pipe from a socket to a file."""

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

only_with_pipes = pytest.mark.skipif(not splice.CAN_SPLICE, reason="this system has no splice")

DATA = os.urandom(1000)


@contextmanager
def opened(source: socket.socket | int) -> Iterator[Pipe]:
    """Open a pipe from a socket, or from any other descriptor."""
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
    """Open a file for writing."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


# Into the pipe


@only_with_pipes
def test_fill_moves_the_bytes_that_have_arrived(
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
def test_fill_returns_zero_at_the_end_of_input(
    tcp_pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = tcp_pair
    with opened(ours) as pipe:
        theirs.send(b"end")
        theirs.close()
        select.select([ours], [], [])
        assert [pipe.fill(10), pipe.fill(10), pipe.fill(10)] == [3, 0, 0]


@only_with_pipes
def test_reset_raises_client_disconnected(tcp_pair: tuple[socket.socket, socket.socket]) -> None:
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
    # Each packet is sent once the previous one has been taken: otherwise the kernel might join
    # them.
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
def test_fill_from_an_unsupported_descriptor_returns_none() -> None:
    with closing(select.epoll()) as unable, opened(unable.fileno()) as pipe:
        assert (pipe.fill(10), pipe.held, pipe.has_room) == (None, 0, False)


@only_with_pipes
def test_put_copies_as_much_as_there_is_room_for(
    socket_pair: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    ours, theirs = socket_pair
    with opened(ours) as pipe, written(tmp_path / "file") as file:
        theirs.send(b" behind")
        assert (pipe.put(b"before"), pipe.fill(ROOM), pipe.held) == (6, 7, 13)
        pipe.empty_into(file)
        assert pipe.put(bytes(ROOM + 1)) == ROOM
        assert pipe.has_room  # as far as the pipe knows
        assert (pipe.put(b"more"), pipe.has_room, pipe.held) == (None, False, ROOM)
        pipe.empty_into(file)
    assert (tmp_path / "file").read_bytes() == b"before behind" + bytes(ROOM)


# Arrivals


@asynccontextmanager
async def watched(connected: socket.socket) -> AsyncIterator[readiness.Arrivals]:
    """Yield arrivals on a socket, each of which wakes once."""
    with closing(readiness.Edges()) as edges:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(edges.run)
            yield edges.arrivals(connected)
            nursery.cancel_scope.cancel()


@only_with_pipes
@pytest.mark.parametrize("reason", ["not asked for", "no room"])
async def test_fill_that_may_have_left_bytes_makes_the_next_wait_return(
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
async def test_fill_that_took_everything_leaves_the_next_wait_waiting(
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


# Out of the pipe


@only_with_pipes
@pytest.mark.parametrize("flags", [0, os.O_APPEND], ids=["moved", "bytes only"])
def test_pipe_is_appended_to_the_file(
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
def test_emptying_more_than_the_pipe_holds_raises_instead_of_blocking(
    socket_pair: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    with opened(socket_pair[0]) as pipe, written(tmp_path / "file") as file:
        pipe.held = 1  # wrong: it is empty
        with pytest.raises(BlockingIOError):
            pipe.empty_into(file)


@only_with_pipes
@pytest.mark.parametrize(
    ("path", "flags", "error"),
    [(os.devnull, os.O_RDONLY, errno.EBADF), ("/dev/full", os.O_WRONLY, errno.ENOSPC)],
)
def test_file_that_cannot_be_written_raises_os_error(
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


# Closing, and pipes that cannot be opened


@only_with_pipes
def test_close_closes_both_ends(socket_pair: tuple[socket.socket, socket.socket]) -> None:
    before = open_descriptors()
    with opened(socket_pair[0]) as pipe:
        pipe.put(b"never to be read")
        assert open_descriptors() == before + 2
    assert open_descriptors() == before


def test_system_without_splice_has_no_pipe(
    socket_pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splice, "CAN_SPLICE", False)
    assert open_pipe(socket_pair[0].fileno(), Levels(socket_pair[0])) is None


@only_with_pipes
def test_pipe_that_cannot_be_enlarged_is_closed(
    socket_pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_descriptors()
    monkeypatch.setattr(splice, "ROOM", 2**32 - 1)  # more than any process may have
    assert open_pipe(socket_pair[0].fileno(), Levels(socket_pair[0])) is None
    assert open_descriptors() == before


@only_with_pipes
def test_pipe_without_free_descriptors_is_none(
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
