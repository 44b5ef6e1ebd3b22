"""How bytes get to a client and from it, over sockets, TLS and whatever else there is."""

import errno
import os
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import trio
import trustme
from trio.testing import (
    MemoryReceiveStream,
    MemorySendStream,
    MockClock,
    assert_checkpoints,
    assert_no_checkpoints,
    memory_stream_pair,
    wait_all_tasks_blocked,
)

from trio_http.http1 import pages, pipes, stream
from trio_http.http1.pages import PIECE
from trio_http.http1.readiness import Levels
from trio_http.http1.stream import (
    JOINED,
    SENDFILE_PIECE,
    SocketTransport,
    StreamTransport,
    Transport,
    transport_of,
)
from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.errors import ClientDisconnected

MemoryStream = trio.StapledStream[MemorySendStream, MemoryReceiveStream]

PATIENCE = 30
# More than a socket and its peer hold between them.
MUCH = os.urandom(1024) * 2048


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Our end and the client's, with as little room between them as there can be."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        ours.settimeout(0)
        theirs.settimeout(0)
        yield ours, theirs


@pytest.fixture
def pair(sockets: tuple[socket.socket, socket.socket]) -> tuple[SocketTransport, socket.socket]:
    ours, theirs = sockets
    return SocketTransport(ours, Levels(ours)), theirs


@pytest.fixture
def tcp_pair() -> Iterator[tuple[SocketTransport, socket.socket]]:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as theirs,
    ):
        ours, _ = listening.accept()
        with ours:
            ours.settimeout(0)
            theirs.settimeout(0)
            yield SocketTransport(ours, Levels(ours)), theirs


@pytest.fixture
def memory_pair() -> tuple[StreamTransport, MemoryStream]:
    ours, theirs = memory_stream_pair()
    return StreamTransport(ours, 2), theirs


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


async def read_all(theirs: socket.socket) -> bytes:
    """What the client receives until the other end closes."""
    pieces: list[bytes] = []
    while True:
        await trio.lowlevel.wait_readable(theirs)
        piece = theirs.recv(PIECE)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)


async def received_by(
    theirs: socket.socket, transport: Transport, send: Callable[[], Awaitable[None]]
) -> bytes:
    """What a client receives that reads while we send, and then close."""
    received = b""

    async def read() -> None:
        nonlocal received
        received = await read_all(theirs)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await send()
        await transport.aclose()
    return received


def reset(end: socket.socket) -> None:
    """Close a socket as an application does that crashes."""
    SocketTransport(end, Levels(end)).abort()
    end.close()


# Receiving from a socket


async def test_receiving_waits_for_bytes_and_ends_with_the_input(
    pair: tuple[SocketTransport, socket.socket],
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


async def test_readiness_may_be_a_false_alarm(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = sockets
    received = []

    async def receive(transport: SocketTransport) -> None:
        received.append(await transport.receive(10))

    # Both are told of the one byte, and one of them comes too late for it.
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


async def test_a_client_that_resets_is_gone(
    tcp_pair: tuple[SocketTransport, socket.socket],
) -> None:
    transport, theirs = tcp_pair
    reset(theirs)
    with pytest.raises(ClientDisconnected) as gone:
        await transport.receive(10)
    assert isinstance(gone.value.__cause__, ConnectionResetError)
    # It stays gone, whatever else is tried.
    with pytest.raises(ClientDisconnected):
        await transport.send(b"hello", PATIENCE)
    with pytest.raises(ClientDisconnected):
        await transport.send_eof()


# What can be moved without being received


@pytest.mark.skipif(not pipes.CAN_SPLICE, reason="this system moves nothing past us")
async def test_a_socket_can_be_moved_into_a_pipe(
    pair: tuple[SocketTransport, socket.socket],
) -> None:
    transport, theirs = pair
    theirs.send(b"hello")
    pipe = transport.open_pipe()
    assert pipe is not None
    with closing(pipe):
        assert pipe.fill(3) == 3
    assert await transport.receive(10) == b"lo"


async def test_other_streams_cannot(memory_pair: tuple[StreamTransport, MemoryStream]) -> None:
    transport, _ = memory_pair
    assert transport.open_pipe() is None


# Sending to a socket


async def test_what_there_is_room_for_leaves_without_a_checkpoint(
    tcp_pair: tuple[SocketTransport, socket.socket],
) -> None:
    transport, theirs = tcp_pair
    with assert_no_checkpoints():
        await transport.send(b"hello", PATIENCE)
    await trio.lowlevel.wait_readable(theirs)
    assert theirs.recv(10) == b"hello"


@pytest.mark.parametrize("length", [0, 1, JOINED - 1, JOINED, 10 * JOINED])
@pytest.mark.parametrize("joined", [JOINED, sys.maxsize])
async def test_a_head_and_what_is_behind_it_leave_in_this_order(
    pair: tuple[SocketTransport, socket.socket],
    length: int,
    joined: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stream, "JOINED", joined)
    transport, theirs = pair
    behind = MUCH[:length]

    async def send() -> None:
        sent = transport.send_at_once(b"head", behind)
        await transport.send((b"head" + behind)[sent:], PATIENCE)

    received = await received_by(theirs, transport, send)
    assert received == b"head" + behind


async def test_what_there_is_no_room_for_leaves_as_the_client_reads(
    pair: tuple[SocketTransport, socket.socket],
) -> None:
    transport, theirs = pair
    received = await received_by(theirs, transport, lambda: transport.send(MUCH, PATIENCE))
    assert received == MUCH


async def test_what_there_is_no_room_for_at_all_waits_for_it(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = sockets
    filled = 0
    with suppress(BlockingIOError):
        while True:
            filled += ours.send(MUCH)
    transport = SocketTransport(ours, Levels(ours))
    received = await received_by(theirs, transport, lambda: transport.send(b"hello", PATIENCE))
    assert len(received) == filled + len(b"hello")
    assert received.endswith(b"hello")


async def test_a_client_that_does_not_read_is_given_up(
    pair: tuple[SocketTransport, socket.socket], autojump_clock: MockClock
) -> None:
    transport, _ = pair
    with pytest.raises(ClientDisconnected, match="stopped reading"):
        await transport.send(MUCH, PATIENCE)
    assert trio.current_time() == PATIENCE


async def test_a_client_that_reads_slowly_is_not_given_up(
    pair: tuple[SocketTransport, socket.socket], autojump_clock: MockClock
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


async def test_sending_to_a_client_that_has_left(
    pair: tuple[SocketTransport, socket.socket],
) -> None:
    transport, theirs = pair
    theirs.close()
    with pytest.raises(ClientDisconnected):
        await transport.send(b"hello", PATIENCE)


# Files to a socket


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    """A file of which one sendfile cannot take all."""
    assert len(MUCH) > SENDFILE_PIECE
    path = tmp_path / "file"
    path.write_bytes(MUCH)
    with opened(path) as descriptor:
        yield descriptor


@pytest.fixture
def sendfile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel's way to send files, which not every system has."""
    if request.param == "missing":
        monkeypatch.delattr(os, "sendfile")


both_ways = pytest.mark.parametrize("sendfile", ["here", "missing"], indirect=True)


@both_ways
@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, len(MUCH)), (1000, len(MUCH) - 2000), (5, 1), (5, 0)],
)
async def test_a_part_of_a_file_arrives(
    offset: int,
    length: int,
    file: int,
    sendfile: None,
    pair: tuple[SocketTransport, socket.socket],
) -> None:
    transport, theirs = pair
    piece = FileSlice(file, offset, length)
    received = await received_by(theirs, transport, lambda: transport.send_file(piece, PATIENCE))
    assert received == MUCH[offset : offset + length]


@both_ways
async def test_a_file_for_a_client_that_does_not_read(
    file: int,
    sendfile: None,
    pair: tuple[SocketTransport, socket.socket],
    autojump_clock: MockClock,
) -> None:
    # While a file is read, no deadline is set that the clock could jump to.
    transport, _ = pair
    with pytest.raises(ClientDisconnected, match="stopped reading"):
        await transport.send_file(FileSlice(file, 0, len(MUCH)), PATIENCE)
    assert trio.current_time() == PATIENCE


@both_ways
async def test_a_file_for_a_client_that_has_left(
    file: int, sendfile: None, pair: tuple[SocketTransport, socket.socket]
) -> None:
    transport, theirs = pair
    theirs.close()
    with pytest.raises(ClientDisconnected):
        await transport.send_file(FileSlice(file, 0, len(MUCH)), PATIENCE)


@both_ways
async def test_a_file_that_becomes_shorter_is_an_error(
    sendfile: None, tmp_path: Path, tcp_pair: tuple[SocketTransport, socket.socket]
) -> None:
    transport, theirs = tcp_pair
    path = tmp_path / "file"
    path.write_bytes(b"hello")
    with opened(path) as descriptor, pytest.raises(EOFError, match="shorter"):
        await transport.send_file(FileSlice(descriptor, 0, 6), PATIENCE)
    assert theirs.recv(10) == b"hello"


@both_ways
async def test_a_file_that_cannot_be_read_is_no_fault_of_the_client(
    sendfile: None, tmp_path: Path, pair: tuple[SocketTransport, socket.socket]
) -> None:
    transport, _ = pair
    write_only = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            await transport.send_file(FileSlice(write_only, 0, 10), PATIENCE)
    finally:
        os.close(write_only)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="a file of Linux's own")
async def test_a_file_that_the_kernel_cannot_send_is_read(
    tcp_pair: tuple[SocketTransport, socket.socket],
) -> None:
    # Its contents are made when they are read, so sendfile says EINVAL.
    transport, theirs = tcp_pair
    with opened(Path("/proc/self/status")) as descriptor:
        piece = FileSlice(descriptor, 0, 5)
        received = await received_by(
            theirs, transport, lambda: transport.send_file(piece, PATIENCE)
        )
    assert received == b"Name:"


# The end of a socket


async def test_after_our_end_the_client_may_go_on(
    pair: tuple[SocketTransport, socket.socket],
) -> None:
    transport, theirs = pair
    assert await transport.send_eof()
    assert theirs.recv(10) == b""
    theirs.send(b"still here")
    assert await transport.receive(10) == b"still here"


async def test_closing_is_no_reset(tcp_pair: tuple[SocketTransport, socket.socket]) -> None:
    transport, theirs = tcp_pair
    await transport.send(b"hello", PATIENCE)
    await transport.aclose()
    assert await read_all(theirs) == b"hello"


async def test_aborting_is_a_reset(tcp_pair: tuple[SocketTransport, socket.socket]) -> None:
    transport, theirs = tcp_pair
    transport.abort()
    await transport.aclose()
    with pytest.raises(ConnectionResetError):
        await read_all(theirs)


async def test_aborting_what_is_closed_changes_nothing(
    tcp_pair: tuple[SocketTransport, socket.socket],
) -> None:
    transport, theirs = tcp_pair
    await transport.aclose()
    transport.abort()
    await transport.aclose()
    assert await read_all(theirs) == b""


# Trio's streams


async def test_a_stream_is_read_until_its_end(
    memory_pair: tuple[StreamTransport, MemoryStream],
) -> None:
    transport, theirs = memory_pair
    await theirs.send_all(b"hello")
    received = await transport.receive(3)
    assert (received, type(received)) == (b"hel", bytes)
    assert await transport.receive(3) == b"lo"
    await theirs.send_eof()
    assert await transport.receive(3) == b""


async def test_what_is_sent_over_a_stream_arrives(
    memory_pair: tuple[StreamTransport, MemoryStream],
) -> None:
    transport, theirs = memory_pair
    await transport.send(MUCH, PATIENCE)
    await transport.send(b"", PATIENCE)
    assert await theirs.receive_some() == MUCH


async def test_a_file_over_a_stream_arrives(
    file: int, memory_pair: tuple[StreamTransport, MemoryStream]
) -> None:
    transport, theirs = memory_pair
    await transport.send_file(FileSlice(file, 1, len(MUCH) - 2), PATIENCE)
    assert await theirs.receive_some() == MUCH[1:-1]


async def test_a_stream_whose_client_does_not_read_is_given_up(autojump_clock: MockClock) -> None:
    ours, _ = memory_stream_pair()
    transport = StreamTransport(ours, 2)
    ours.send_stream.send_all_hook = trio.sleep_forever
    with pytest.raises(ClientDisconnected, match="stopped reading"):
        await transport.send(b"hello", PATIENCE)
    assert trio.current_time() == PATIENCE


async def test_each_piece_over_a_stream_has_its_own_time(autojump_clock: MockClock) -> None:
    ours, _ = memory_stream_pair()
    transport = StreamTransport(ours, 2)

    async def read_slowly() -> None:
        await trio.sleep(PATIENCE - 1)

    ours.send_stream.send_all_hook = read_slowly
    await transport.send(bytes(3 * PIECE), PATIENCE)
    assert trio.current_time() == 3 * (PATIENCE - 1)


async def test_a_broken_stream_has_no_client() -> None:
    def break_down() -> None:
        raise trio.BrokenResourceError

    async def break_down_soon() -> None:
        await trio.lowlevel.checkpoint()
        break_down()

    ours, _ = memory_stream_pair()
    transport = StreamTransport(ours, 2)
    ours.receive_stream.receive_some_hook = break_down_soon
    ours.send_stream.send_all_hook = break_down_soon
    ours.send_stream.close_hook = break_down
    with pytest.raises(ClientDisconnected):
        await transport.receive(10)
    with pytest.raises(ClientDisconnected):
        await transport.send(b"hello", PATIENCE)
    with pytest.raises(ClientDisconnected):
        await transport.send_eof()
    await transport.aclose()


async def test_the_end_of_a_stream_is_told_where_there_is_a_way(
    memory_pair: tuple[StreamTransport, MemoryStream],
) -> None:
    transport, theirs = memory_pair
    assert await transport.send_eof()
    assert await theirs.receive_some() == b""


class Polite(trio.abc.Stream):
    """A stream that waits for its peer's goodbye, as TLS may, and notes how it ended."""

    def __init__(self) -> None:
        self.ended = ""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        raise NotImplementedError

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        raise NotImplementedError

    async def wait_send_all_might_not_block(self) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        try:
            await trio.sleep(1.5)
            self.ended = "politely"
            await trio.sleep_forever()
        except trio.Cancelled:
            self.ended = self.ended or "abruptly"
            raise


async def test_not_every_stream_can_tell_its_end() -> None:
    assert not await StreamTransport(Polite(), 2).send_eof()


async def test_a_goodbye_has_its_time_and_no_more(autojump_clock: MockClock) -> None:
    stream = Polite()
    await StreamTransport(stream, 2).aclose()
    assert stream.ended == "politely"
    assert trio.current_time() == 2


async def test_a_goodbye_is_said_also_while_cancelled(autojump_clock: MockClock) -> None:
    stream = Polite()
    with trio.CancelScope() as scope:
        scope.cancel()
        await StreamTransport(stream, 2).aclose()
    assert stream.ended == "politely"
    assert trio.current_time() == 2


async def test_an_aborted_stream_says_no_goodbye(autojump_clock: MockClock) -> None:
    stream = Polite()
    transport = StreamTransport(stream, 2)
    transport.abort()
    with trio.CancelScope() as scope:
        scope.cancel()
        await transport.aclose()  # and lets its caller finish
    assert not scope.cancelled_caught
    assert stream.ended == "abruptly"
    assert trio.current_time() == 0


# TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls_pair(
    authority: trustme.CA,
) -> tuple[StreamTransport, "trio.SSLStream[MemoryStream]"]:
    ours, theirs = memory_stream_pair()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return (
        StreamTransport(trio.SSLStream(ours, server, server_side=True), 2),
        trio.SSLStream(theirs, client, server_hostname="localhost"),
    )


async def handshake(transport: StreamTransport, theirs: "trio.SSLStream[MemoryStream]") -> None:
    """Let both ends say something, after which they know each other."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.send_all, b"hello")
        assert await transport.receive(10) == b"hello"


async def test_bytes_arrive_over_tls(
    tls_pair: tuple[StreamTransport, "trio.SSLStream[MemoryStream]"], file: int
) -> None:
    transport, theirs = tls_pair
    await handshake(transport, theirs)
    received = bytearray()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def read() -> None:
            while data := await theirs.receive_some():
                received.extend(data)

        await transport.send(b"a file: ", PATIENCE)
        await transport.send_file(FileSlice(file, 0, len(MUCH)), PATIENCE)
        assert not await transport.send_eof()  # only closing says that
        await transport.aclose()
    assert received == b"a file: " + MUCH


async def test_what_was_cut_off_is_seen_to_be_over_tls(
    tls_pair: tuple[StreamTransport, "trio.SSLStream[MemoryStream]"],
) -> None:
    transport, theirs = tls_pair
    await handshake(transport, theirs)
    transport.abort()
    await transport.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await theirs.receive_some()


async def test_a_client_that_does_not_speak_tls_is_none(
    tls_pair: tuple[StreamTransport, "trio.SSLStream[MemoryStream]"],
) -> None:
    transport, theirs = tls_pair
    await theirs.transport_stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ClientDisconnected):
        await transport.receive(10)
    await transport.aclose()


async def test_a_goodbye_to_nobody_is_no_error(
    tls_pair: tuple[StreamTransport, "trio.SSLStream[MemoryStream]"],
) -> None:
    # Saying it takes a handshake here, and that fails.
    transport, theirs = tls_pair
    await theirs.transport_stream.aclose()
    await transport.aclose()


# Which way it goes


async def test_a_socket_is_driven_directly() -> None:
    ours, theirs = trio.socket.socketpair()
    stream = trio.SocketStream(ours)
    descriptor = stream.socket.fileno()
    transport = transport_of(stream, 2)
    assert isinstance(transport, SocketTransport)
    assert stream.socket.fileno() == -1  # it has changed hands
    assert not os.get_blocking(descriptor)
    with theirs:
        await theirs.send(b"hello")
        assert await transport.receive(10) == b"hello"
        await transport.aclose()
        assert await theirs.recv(10) == b""


async def test_every_other_stream_goes_through_its_own_methods() -> None:
    ours, theirs = memory_stream_pair()
    transport = transport_of(ours, 2)
    assert isinstance(transport, StreamTransport)
    await transport.aclose()
    assert await theirs.receive_some() == b""


# A head and a file, without waiting


async def test_a_head_and_a_file_leave_together(
    tcp_pair: tuple[SocketTransport, socket.socket], file: int
) -> None:
    transport, theirs = tcp_pair
    piece = FileSlice(file, 10, 100_000)

    async def send() -> None:
        sent = transport.send_file_at_once(b"head", piece)
        if not pages.CAN_TELL_CACHED:
            assert sent == 0
            await transport.send(b"head", PATIENCE)
            sent = 4
        rest = FileSlice(file, 10 + sent - 4, 100_000 - sent + 4)
        await transport.send_file(rest, PATIENCE)

    received = await received_by(theirs, transport, send)
    assert received == b"head" + MUCH[10:100_010]


async def test_a_file_goes_as_far_as_there_is_room(
    pair: tuple[SocketTransport, socket.socket], file: int
) -> None:
    transport, _ = pair
    piece = FileSlice(file, 0, len(MUCH))
    sent = transport.send_file_at_once(b"head", piece)
    assert sent < len(MUCH)
    assert transport.send_file_at_once(MUCH, piece) < len(MUCH)  # not even the head


async def test_what_is_not_in_memory_does_not_leave_at_once(
    pair: tuple[SocketTransport, socket.socket], file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport, _ = pair
    piece = FileSlice(file, 0, 10)
    monkeypatch.setattr(pages, "CAN_TELL_CACHED", False)
    assert transport.send_file_at_once(b"head", piece) == 0
    monkeypatch.undo()
    monkeypatch.delattr(os, "sendfile", raising=False)
    assert transport.send_file_at_once(b"head", piece) == 0


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="this system has no such call")
async def test_what_is_said_to_be_in_memory_leaves_at_once(
    pair: tuple[SocketTransport, socket.socket], file: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport, theirs = pair
    monkeypatch.setattr(pages, "CAN_TELL_CACHED", False)
    assert transport.send_file_at_once(b"head", FileSlice(file, 5, 10, at_hand=True)) == 14
    await trio.lowlevel.wait_readable(theirs)
    assert theirs.recv(20) == b"head" + MUCH[5:15]


async def test_streams_have_no_way_to_send_a_file_at_once(
    memory_pair: tuple[StreamTransport, MemoryStream], file: int
) -> None:
    transport, _ = memory_pair
    assert transport.send_file_at_once(b"head", FileSlice(file, 0, 10)) == 0


# Waiting no longer


async def test_an_interrupted_stream_seems_to_end(
    memory_pair: tuple[StreamTransport, MemoryStream],
) -> None:
    transport, theirs = memory_pair
    transport.interrupt()  # nobody waits, so nobody is told
    await theirs.send_all(b"hello")
    await transport.readable()
    assert transport.receive_now(3) == b"hel"
    assert transport.receive_now(3) == b"lo"
    received = []

    async def receive() -> None:
        received.append(await transport.receive(10))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await wait_all_tasks_blocked()
        transport.interrupt()
    assert received == [b""]
    assert transport.send_at_once(b"hello") == 0  # streams have no way to
    await transport.send(b"hello", PATIENCE)  # what we say is another matter
    assert await theirs.receive_some() == b"hello"


async def test_an_interrupted_socket_seems_to_end(
    tcp_pair: tuple[SocketTransport, socket.socket],
) -> None:
    transport, theirs = tcp_pair
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
