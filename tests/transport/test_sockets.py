"""Tests of receiving and sending bytes and files over a socket."""

import errno
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Event as ThreadEvent

import pytest
import trio
from support import PATIENCE
from trio.testing import (
    MockClock,
    assert_checkpoints,
    assert_no_checkpoints,
    wait_all_tasks_blocked,
)

from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.errors import ClientDisconnected
from trio_http.transport import page_cache, sockets, splice
from trio_http.transport.page_cache import PIECE
from trio_http.transport.readiness import Levels
from trio_http.transport.sockets import JOINED, NEAR_UNSENT, SENDFILE_PIECE, SocketTransport

# More than both sockets buffer.
MUCH = os.urandom(1024) * 2048

Pair = tuple[SocketTransport, socket.socket]


@pytest.fixture
def pair(socket_pair: tuple[socket.socket, socket.socket]) -> Pair:
    """The server's end and the client's, with the smallest possible buffers between them."""
    ours, theirs = socket_pair
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    return SocketTransport(ours, Levels(ours)), theirs


@pytest.fixture
def tcp(tcp_pair: tuple[socket.socket, socket.socket]) -> Pair:
    ours, theirs = tcp_pair
    return SocketTransport(ours, Levels(ours)), theirs


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


async def read_all(theirs: socket.socket) -> bytes:
    """Return what the client receives until the other end closes."""
    pieces: list[bytes] = []
    while True:
        await trio.lowlevel.wait_readable(theirs)
        piece = theirs.recv(PIECE)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


async def received_by(
    theirs: socket.socket, transport: SocketTransport, send: Callable[[], Awaitable[None]]
) -> bytes:
    """Return what a client receives while the server sends and then closes."""
    received = b""

    async def read() -> None:
        nonlocal received
        received = await read_all(theirs)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await send()
        await transport.aclose()
    return received


def read_now(theirs: socket.socket) -> bytes:
    """Return the bytes that have arrived at the client."""
    pieces: list[bytes] = []
    with suppress(BlockingIOError):
        while True:
            pieces.append(theirs.recv(PIECE))
    return b"".join(pieces)


def reset(end: socket.socket) -> None:
    """Close a socket with a reset, as the system does when an application crashes."""
    SocketTransport(end, Levels(end)).abort()
    end.close()


# Receiving from a socket


async def test_receive_waits_for_bytes_and_ends_with_the_input(
    pair: Pair,
) -> None:
    transport, theirs = pair
    theirs.send(b"hello")
    with assert_checkpoints():
        assert await transport.receive(3) == b"hel"
    assert await transport.receive(3) == b"lo"

    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send_later() -> None:
            await wait_all_tasks_blocked()
            theirs.send(b"later")
            theirs.close()

        assert await transport.receive(10) == b"later"
        assert await transport.receive(10) == b""
        assert await transport.receive(10) == b""


async def test_receive_waits_again_after_a_false_alarm(
    socket_pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = socket_pair
    received = []

    async def receive(transport: SocketTransport) -> None:
        received.append(await transport.receive(10))

    # Both are woken for one byte, and one of them finds nothing to read.
    rival = ours.dup()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive, SocketTransport(ours, Levels(ours)))
        nursery.start_soon(receive, SocketTransport(rival, Levels(rival)))
        await wait_all_tasks_blocked()
        theirs.send(b"1")
        await wait_all_tasks_blocked()
        assert received == [b"1"]
        theirs.send(b"2")
    assert received == [b"1", b"2"]
    rival.close()


async def test_reset_raises_client_disconnected(
    tcp: Pair,
) -> None:
    transport, theirs = tcp
    reset(theirs)
    with pytest.raises(ClientDisconnected) as gone:
        await transport.receive(10)
    assert isinstance(gone.value.__cause__, ConnectionResetError)
    # All later calls fail, too.
    with pytest.raises(ClientDisconnected):
        await transport.send(b"hello", PATIENCE)
    with pytest.raises(ClientDisconnected):
        await transport.send_eof()


# Moving bytes into a pipe


@pytest.mark.skipif(not splice.CAN_SPLICE, reason="this system has no splice")
async def test_open_pipe_is_filled_from_the_socket(
    pair: Pair,
) -> None:
    transport, theirs = pair
    theirs.send(b"hello")
    pipe = transport.open_pipe()
    assert pipe is not None
    with closing(pipe):
        assert pipe.fill(3) == 3
    assert await transport.receive(10) == b"lo"


# Sending to a socket


async def test_send_with_room_has_no_checkpoint(
    tcp: Pair,
) -> None:
    transport, theirs = tcp
    with assert_no_checkpoints():
        await transport.send(b"hello", PATIENCE)
    await trio.lowlevel.wait_readable(theirs)
    assert theirs.recv(10) == b"hello"


@pytest.mark.parametrize("length", [0, 1, JOINED - 1, JOINED, 10 * JOINED])
@pytest.mark.parametrize("joined", [JOINED, sys.maxsize])
async def test_head_and_body_are_sent_in_order(
    pair: Pair,
    length: int,
    joined: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sockets, "JOINED", joined)
    transport, theirs = pair
    behind = MUCH[:length]

    async def send() -> None:
        sent = transport.send_at_once(b"head", behind)
        await transport.send((b"head" + behind)[sent:], PATIENCE)

    received = await received_by(theirs, transport, send)
    assert received == b"head" + behind


async def test_send_beyond_the_buffer_continues_as_the_client_reads(
    pair: Pair,
) -> None:
    transport, theirs = pair
    received = await received_by(theirs, transport, lambda: transport.send(MUCH, PATIENCE))
    assert received == MUCH


async def test_send_with_a_full_buffer_waits_for_room(
    socket_pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = socket_pair
    filled = 0
    with suppress(BlockingIOError):
        while True:
            filled += ours.send(MUCH)
    transport = SocketTransport(ours, Levels(ours))
    received = await received_by(theirs, transport, lambda: transport.send(b"hello", PATIENCE))
    assert len(received) == filled + len(b"hello")
    assert received.endswith(b"hello")


async def test_client_that_stops_reading_is_disconnected(
    pair: Pair, autojump_clock: MockClock
) -> None:
    transport, theirs = pair
    with pytest.raises(ClientDisconnected, match="stopped reading"):
        await transport.send(MUCH, PATIENCE)
    assert trio.current_time() == PATIENCE
    assert 0 < transport.passed == len(read_now(theirs)) < len(MUCH)


async def test_client_that_reads_slowly_is_not_disconnected(
    pair: Pair, autojump_clock: MockClock
) -> None:
    transport, theirs = pair
    received = bytearray()

    async def read_slowly() -> None:
        while len(received) < len(MUCH):
            await trio.sleep(PATIENCE - 1)
            received.extend(theirs.recv(PIECE))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_slowly)
        await transport.send(MUCH, PATIENCE)
    assert received == MUCH
    assert trio.current_time() > 2 * PATIENCE


async def test_send_to_a_client_that_has_left_raises_client_disconnected(
    pair: Pair,
) -> None:
    transport, theirs = pair
    theirs.close()
    with pytest.raises(ClientDisconnected):
        await transport.send(b"hello", PATIENCE)


# Sending files


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    """A file that is too large for one call of sendfile."""
    assert len(MUCH) > SENDFILE_PIECE
    path = tmp_path / "file"
    path.write_bytes(MUCH)
    with opened(path) as descriptor:
        yield descriptor


@pytest.fixture
def sendfile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Select sending with sendfile, which not every system has, or without it."""
    if request.param == "missing":
        monkeypatch.delattr(os, "sendfile")


both_ways = pytest.mark.parametrize("sendfile", ["here", "missing"], indirect=True)


@both_ways
@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, len(MUCH)), (1000, len(MUCH) - 2000), (5, 1), (5, 0)],
)
async def test_part_of_a_file_arrives(
    offset: int,
    length: int,
    file: int,
    sendfile: None,
    pair: Pair,
) -> None:
    transport, theirs = pair
    piece = FileSlice(file, offset, length)
    received = await received_by(theirs, transport, lambda: transport.send_file(piece, PATIENCE))
    assert received == MUCH[offset : offset + length]


@both_ways
async def test_file_for_a_client_that_stops_reading_raises_client_disconnected(
    file: int,
    sendfile: None,
    pair: Pair,
    autojump_clock: MockClock,
) -> None:
    # While a file is read, no deadline is set to which the clock could jump.
    transport, theirs = pair
    with pytest.raises(ClientDisconnected, match="stopped reading"):
        await transport.send_file(FileSlice(file, 0, len(MUCH)), PATIENCE)
    assert trio.current_time() == PATIENCE
    assert 0 < transport.passed == len(read_now(theirs)) < len(MUCH)


@both_ways
async def test_file_for_a_client_that_has_left_raises_client_disconnected(
    file: int, sendfile: None, pair: Pair
) -> None:
    transport, theirs = pair
    theirs.close()
    with pytest.raises(ClientDisconnected):
        await transport.send_file(FileSlice(file, 0, len(MUCH)), PATIENCE)


@both_ways
async def test_file_for_a_client_that_has_reset_raises_client_disconnected(
    file: int, sendfile: None, tcp: Pair
) -> None:
    transport, theirs = tcp
    reset(theirs)
    with pytest.raises(ClientDisconnected):
        await transport.send_file(FileSlice(file, 0, len(MUCH)), PATIENCE)


@both_ways
async def test_file_that_becomes_shorter_raises_eof_error(
    sendfile: None, tmp_path: Path, tcp: Pair
) -> None:
    transport, theirs = tcp
    path = tmp_path / "file"
    path.write_bytes(b"hello")
    with opened(path) as descriptor, pytest.raises(EOFError, match="shorter"):
        await transport.send_file(FileSlice(descriptor, 0, 6), PATIENCE)
    assert theirs.recv(10) == b"hello"


@both_ways
async def test_unreadable_file_raises_os_error(sendfile: None, tmp_path: Path, pair: Pair) -> None:
    transport, _ = pair
    write_only = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            await transport.send_file(FileSlice(write_only, 0, 10), PATIENCE)
    finally:
        os.close(write_only)


UNREADABLE = Path("/proc/self/mem")  # its first page cannot be read


@both_ways
@pytest.mark.skipif(not UNREADABLE.exists(), reason="a file of Linux's own")
async def test_broken_disk_raises_os_error(sendfile: None, pair: Pair) -> None:
    transport, _ = pair
    with opened(UNREADABLE) as descriptor, pytest.raises(OSError, match=os.strerror(errno.EIO)):
        await transport.send_file(FileSlice(descriptor, 0, 10), PATIENCE)


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="this system has no such call")
async def test_hanging_thread_does_not_keep_the_connection_open(
    tcp: Pair, file: int, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport, theirs = tcp
    begun, go_on = trio.Event(), ThreadEvent()
    token = trio.lowlevel.current_trio_token()

    def hang(ours: int, descriptor: int, offset: int, count: int) -> int:
        token.run_sync_soon(begun.set)
        go_on.wait()
        return really_send(ours, descriptor, offset, count)

    really_send: Callable[[int, int, int, int], int] = os.sendfile
    monkeypatch.setattr(os, "sendfile", hang)
    monkeypatch.setattr(page_cache, "CAN_TELL_CACHED", False)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(transport.send_file, FileSlice(file, 0, 10), PATIENCE)
            await begun.wait()
            nursery.cancel_scope.cancel()
        await transport.aclose()
        assert await read_all(theirs) == b""
    finally:
        go_on.set()
    while page_cache.READS.limiter.borrowed_tokens:
        await wait_all_tasks_blocked(0.001)
    assert await read_all(theirs) == b""  # the thread can send nothing any more


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="a file of Linux's own")
async def test_file_that_sendfile_cannot_send_is_read(
    tcp: Pair,
) -> None:
    # The contents are generated when they are read, so sendfile fails with EINVAL.
    transport, theirs = tcp
    with opened(Path("/proc/self/status")) as descriptor:
        piece = FileSlice(descriptor, 0, 5)
        received = await received_by(
            theirs, transport, lambda: transport.send_file(piece, PATIENCE)
        )
    assert received == b"Name:"


@pytest.mark.skipif(
    not hasattr(socket, "TCP_NOTSENT_LOWAT") or sys.platform != "linux",
    reason="this system has no such option, or fewer addresses",
)
@pytest.mark.parametrize(("client", "unsent"), [("127.0.0.1", NEAR_UNSENT), ("127.0.0.2", None)])
async def test_unsent_bytes_are_limited_only_for_a_client_on_this_machine(
    client: str, unsent: int | None, file: int
) -> None:
    def limit_of(connected: socket.socket) -> int:
        return connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE)  # less than the whole file
        address = listening.getsockname()
        with socket.create_connection(address, source_address=(client, 0)) as theirs:
            ours, _ = listening.accept()
            ours.settimeout(0)
            theirs.settimeout(0)
            before = limit_of(ours)
            assert before != NEAR_UNSENT
            transport = SocketTransport(ours, Levels(ours))
            limits = []

            async def read() -> None:
                await wait_all_tasks_blocked()  # the file is being sent now
                limits.append(limit_of(ours))
                assert await read_all(theirs) == MUCH

            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                await transport.send_file(FileSlice(file, 0, len(MUCH)), PATIENCE)
                limits.append(limit_of(ours))
                await transport.aclose()
    assert limits == [before if unsent is None else unsent, before]


async def test_file_arrives_without_the_option_to_limit_unsent_bytes(
    tcp: Pair, file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(socket, "TCP_NOTSENT_LOWAT", raising=False)
    transport, theirs = tcp
    piece = FileSlice(file, 0, len(MUCH))
    assert (
        await received_by(theirs, transport, lambda: transport.send_file(piece, PATIENCE)) == MUCH
    )


# Clients that read slowly


@pytest.fixture
def slow_transfer(
    slow_pair: tuple[socket.socket, socket.socket], file: int
) -> tuple[SocketTransport, FileSlice, socket.socket]:
    """A transport, a file for it and the client's end, which makes room late."""
    ours, theirs = slow_pair
    return SocketTransport(ours, Levels(ours)), FileSlice(file, 0, len(MUCH)), theirs


@pytest.mark.skipif(sys.platform != "linux", reason="this system does not tell who reads")
@pytest.mark.parametrize("how", ["bytes", "file"])
@pytest.mark.parametrize(
    ("rate", "given_up"),
    [
        (0, 160 + PATIENCE),  # the timeout after it stops reading
        (1000, 160 + PATIENCE),  # it reads 3 KiB per second
        (20_000, 1.5 * PATIENCE),
    ],
)
async def test_slow_client_is_disconnected_once_it_stops_or_is_below_the_rate(
    how: str,
    rate: float,
    given_up: float,
    slow_transfer: tuple[SocketTransport, FileSlice, socket.socket],
    autojump_clock: MockClock,
) -> None:
    transport, piece, theirs = slow_transfer
    send = partial(transport.send_file, piece) if how == "file" else partial(transport.send, MUCH)

    async def read_slowly() -> None:
        for _ in range(8):
            await trio.sleep(20)
            with suppress(BlockingIOError):
                theirs.recv(PIECE)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_slowly)
        with pytest.raises(ClientDisconnected, match="stopped reading"):
            await send(PATIENCE, rate)
        nursery.cancel_scope.cancel()
    assert trio.current_time() == pytest.approx(given_up, abs=PATIENCE / 2)


# A head and a file at once


async def test_head_and_file_are_sent_together(tcp: Pair, file: int) -> None:
    transport, theirs = tcp
    piece = FileSlice(file, 10, 100_000)

    async def send() -> None:
        sent = transport.send_file_at_once(b"head", piece)
        if not page_cache.CAN_TELL_CACHED:
            assert sent == 0
            await transport.send(b"head", PATIENCE)
            sent = 4
        rest = FileSlice(file, 10 + sent - 4, 100_000 - sent + 4)
        await transport.send_file(rest, PATIENCE)

    received = await received_by(theirs, transport, send)
    assert received == b"head" + MUCH[10:100_010]


async def test_file_is_sent_as_far_as_there_is_room(pair: Pair, file: int) -> None:
    transport, _ = pair
    piece = FileSlice(file, 0, len(MUCH))
    sent = transport.send_file_at_once(b"head", piece)
    assert sent < len(MUCH)
    assert transport.send_file_at_once(MUCH, piece) < len(MUCH)  # not even the whole head


async def test_file_not_known_to_be_cached_is_not_sent_at_once(
    pair: Pair, file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport, _ = pair
    piece = FileSlice(file, 0, 10)
    monkeypatch.setattr(page_cache, "CAN_TELL_CACHED", False)
    assert transport.send_file_at_once(b"head", piece) == 0
    monkeypatch.undo()
    monkeypatch.delattr(os, "sendfile", raising=False)
    assert transport.send_file_at_once(b"head", piece) == 0


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="this system has no such call")
async def test_file_said_to_be_cached_is_sent_at_once(
    pair: Pair, file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport, theirs = pair
    monkeypatch.setattr(page_cache, "CAN_TELL_CACHED", False)
    assert transport.send_file_at_once(b"head", FileSlice(file, 5, 10, at_hand=True)) == 14
    await trio.lowlevel.wait_readable(theirs)
    assert theirs.recv(20) == b"head" + MUCH[5:15]


# Interrupting


async def test_interrupted_receive_returns_the_end_of_input(
    tcp: Pair,
) -> None:
    transport, theirs = tcp
    received = []

    async def receive() -> None:
        received.append(await transport.receive(10))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        transport.interrupt()
    assert received == [b""]
    assert transport.send_at_once(b"hello") == 5
    assert await received_by(theirs, transport, transport.aclose) == b"hello"


async def test_has_unread_until_the_bytes_are_received(tcp: Pair) -> None:
    transport, theirs = tcp
    told = [transport.has_unread()]
    theirs.send(b"hello")
    await transport.readable()
    told.append(transport.has_unread())
    assert transport.receive_now(10) == b"hello"
    told.append(transport.has_unread())
    theirs.shutdown(socket.SHUT_WR)
    await transport.readable()
    assert [*told, transport.has_unread()] == [False, True, False, False]


async def test_broken_connection_has_nothing_unread(tcp: Pair) -> None:
    transport, theirs = tcp
    reset(theirs)
    await transport.readable()
    assert not transport.has_unread()


# Closing


async def test_client_can_send_after_send_eof(
    pair: Pair,
) -> None:
    transport, theirs = pair
    assert await transport.send_eof()
    assert theirs.recv(10) == b""
    theirs.send(b"still here")
    assert await transport.receive(10) == b"still here"


async def test_close_sends_all_bytes_without_a_reset(tcp: Pair) -> None:
    transport, theirs = tcp
    await transport.send(b"hello", PATIENCE)
    await transport.aclose()
    assert await read_all(theirs) == b"hello"


async def test_abort_sends_a_reset(tcp: Pair) -> None:
    transport, theirs = tcp
    transport.abort()
    await transport.aclose()
    with pytest.raises(ConnectionResetError):
        await read_all(theirs)


async def test_abort_after_close_changes_nothing(
    tcp: Pair,
) -> None:
    transport, theirs = tcp
    await transport.aclose()
    transport.abort()
    await transport.aclose()
    assert await read_all(theirs) == b""
