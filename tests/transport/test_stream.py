"""Tests of receiving and sending over TLS, memory and other streams."""

import os
import socket
import ssl
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from support import PATIENCE, tls_contexts
from trio.testing import (
    MemoryReceiveStream,
    MemorySendStream,
    MockClock,
    memory_stream_pair,
    wait_all_tasks_blocked,
)

from trio_http.semantics.bodies import FileSlice
from trio_http.semantics.errors import ClientDisconnected
from trio_http.semantics.timeouts import Timeouts
from trio_http.transport.page_cache import PIECE
from trio_http.transport.sockets import SocketTransport
from trio_http.transport.stream import StreamTransport, transport_of

MemoryStream = trio.StapledStream[MemorySendStream, MemoryReceiveStream]

# It is sent in many pieces.
MUCH = os.urandom(1024) * 2048


@pytest.fixture
def memory_pair() -> tuple[StreamTransport, MemoryStream]:
    ours, theirs = memory_stream_pair()
    return StreamTransport(ours, 2), theirs


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(MUCH)
    with path.open("rb") as opened:
        yield opened.fileno()


# Trio's streams


async def test_receive_returns_bytes_until_the_end(
    memory_pair: tuple[StreamTransport, MemoryStream],
) -> None:
    transport, theirs = memory_pair
    await theirs.send_all(b"hello")
    received = await transport.receive(3)
    assert (received, type(received)) == (b"hel", bytes)
    assert await transport.receive(3) == b"lo"
    await theirs.send_eof()
    assert await transport.receive(3) == b""


async def test_sent_bytes_arrive(
    memory_pair: tuple[StreamTransport, MemoryStream],
) -> None:
    transport, theirs = memory_pair
    await transport.send(MUCH, PATIENCE)
    await transport.send(b"", PATIENCE)
    assert transport.passed == len(MUCH)
    assert await theirs.receive_some() == MUCH


async def test_file_arrives(file: int, memory_pair: tuple[StreamTransport, MemoryStream]) -> None:
    transport, theirs = memory_pair
    await transport.send_file(FileSlice(file, 1, len(MUCH) - 2), PATIENCE)
    assert await theirs.receive_some() == MUCH[1:-1]


async def test_client_that_stops_reading_is_disconnected(autojump_clock: MockClock) -> None:
    ours, _ = memory_stream_pair()
    transport = StreamTransport(ours, 2)
    ours.send_stream.send_all_hook = trio.sleep_forever
    with pytest.raises(ClientDisconnected, match="stopped reading"):
        await transport.send(b"hello", PATIENCE)
    assert trio.current_time() == PATIENCE
    assert transport.passed == 0


async def test_nothing_is_sent_after_a_piece_of_unknown_progress(
    autojump_clock: MockClock,
) -> None:
    ours, _ = memory_stream_pair()
    transport = StreamTransport(ours, 2)

    async def stop_after_the_first() -> None:
        ours.send_stream.send_all_hook = trio.sleep_forever

    ours.send_stream.send_all_hook = stop_after_the_first
    with trio.move_on_after(1):
        await transport.send(bytes(3 * PIECE), PATIENCE)
    assert transport.passed == PIECE
    ours.send_stream.send_all_hook = None
    with pytest.raises(ClientDisconnected, match="broken off"):
        await transport.send(b"hello", PATIENCE)
    assert len(ours.send_stream.get_data_nowait()) == 2 * PIECE


async def test_each_piece_has_the_whole_timeout(autojump_clock: MockClock) -> None:
    ours, _ = memory_stream_pair()
    transport = StreamTransport(ours, 2)

    async def read_slowly() -> None:
        await trio.sleep(PATIENCE - 1)

    ours.send_stream.send_all_hook = read_slowly
    await transport.send(bytes(3 * PIECE), PATIENCE)
    assert trio.current_time() == 3 * (PATIENCE - 1)


@pytest.mark.parametrize(
    ("rate", "size", "pause", "given_up"),
    [
        (0, 1, PATIENCE - 1, False),  # any byte is progress
        (100, 3000, PATIENCE - 1, False),  # slow, but above the rate
        (100, 100, PATIENCE - 1, True),
        (100, 1, 1, False),  # small pieces in short waits, such as events
    ],
)
async def test_client_below_the_minimum_rate_is_disconnected(
    rate: float,
    size: int,
    pause: float,
    given_up: bool,  # noqa: FBT001 - an expected value
    autojump_clock: MockClock,
) -> None:
    ours, _ = memory_stream_pair()
    transport = StreamTransport(ours, 2)

    async def read_slowly() -> None:
        await trio.sleep(pause)

    ours.send_stream.send_all_hook = read_slowly
    is_gone = False
    try:
        for _ in range(100):
            await transport.send(bytes(size), PATIENCE, rate)
            await trio.sleep(100)  # with nothing to send
    except ClientDisconnected:
        is_gone = True
    assert is_gone == given_up


async def test_broken_stream_raises_client_disconnected() -> None:
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


async def test_send_eof_ends_the_input_of_the_client(
    memory_pair: tuple[StreamTransport, MemoryStream],
) -> None:
    transport, theirs = memory_pair
    assert await transport.send_eof()
    assert await theirs.receive_some() == b""


class Polite(trio.abc.Stream):
    """A stream that waits for its peer when it closes, as TLS may, and records how it ended."""

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


async def test_send_eof_on_a_stream_without_it_returns_false() -> None:
    assert not await StreamTransport(Polite(), 2).send_eof()


async def test_close_has_a_time_limit(autojump_clock: MockClock) -> None:
    stream = Polite()
    await StreamTransport(stream, 2).aclose()
    assert stream.ended == "politely"
    assert trio.current_time() == 2


async def test_close_while_cancelled_has_the_same_time(autojump_clock: MockClock) -> None:
    stream = Polite()
    with trio.CancelScope() as scope:
        scope.cancel()
        await StreamTransport(stream, 2).aclose()
    assert stream.ended == "politely"
    assert trio.current_time() == 2


async def test_aborted_stream_closes_at_once(autojump_clock: MockClock) -> None:
    stream = Polite()
    transport = StreamTransport(stream, 2)
    transport.abort()
    with trio.CancelScope() as scope:
        scope.cancel()
        await transport.aclose()  # the caller is not cancelled
    assert not scope.cancelled_caught
    assert stream.ended == "abruptly"
    assert trio.current_time() == 0


async def test_stream_has_no_pipe(
    memory_pair: tuple[StreamTransport, MemoryStream],
) -> None:
    transport, _ = memory_pair
    assert transport.open_pipe() is None


async def test_stream_sends_no_file_at_once(
    memory_pair: tuple[StreamTransport, MemoryStream], file: int
) -> None:
    transport, _ = memory_pair
    assert transport.send_file_at_once(b"head", FileSlice(file, 0, 10)) == 0


async def test_interrupted_receive_returns_the_end_of_input(
    memory_pair: tuple[StreamTransport, MemoryStream],
) -> None:
    transport, theirs = memory_pair
    transport.interrupt()  # has no effect, because no task is waiting
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
    assert transport.send_at_once(b"hello") == 0  # streams cannot do that
    await transport.send(b"hello", PATIENCE)  # sending is not affected
    assert await theirs.receive_some() == b"hello"


async def test_has_unread_is_false_for_a_memory_stream(
    memory_pair: tuple[StreamTransport, MemoryStream],
) -> None:
    transport, theirs = memory_pair
    await theirs.send_all(b"hello")
    assert not transport.has_unread()


# TLS


@pytest.fixture
def tls_pair() -> tuple[StreamTransport, "trio.SSLStream[MemoryStream]"]:
    ours, theirs = memory_stream_pair()
    server, client = tls_contexts("localhost")
    # Python 3.11.2 treats truncation as a clean end unless the option is cleared.
    client.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    return (
        StreamTransport(trio.SSLStream(ours, server, server_side=True), 2),
        trio.SSLStream(theirs, client, server_hostname="localhost"),
    )


async def handshake(transport: StreamTransport, theirs: "trio.SSLStream[MemoryStream]") -> None:
    """Send a few bytes from the client, which completes the handshake."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.send_all, b"hello")
        assert await transport.receive(10) == b"hello"


@pytest.mark.skipif(sys.platform != "linux", reason="this system does not tell who reads")
@pytest.mark.parametrize(
    ("rate", "given_up"),
    [
        (0, 160 + PATIENCE),  # the timeout after it stops reading
        (1000, 160 + PATIENCE),  # it reads 3 KiB per second
        (20_000, 1.5 * PATIENCE),
    ],
)
async def test_slow_tls_client_is_disconnected_once_it_stops_or_is_below_the_rate(
    rate: float,
    given_up: float,
    slow_pair: tuple[socket.socket, socket.socket],
    autojump_clock: MockClock,
) -> None:
    ours, theirs = (trio.SocketStream(trio.socket.from_stdlib_socket(end)) for end in slow_pair)
    server, client = tls_contexts("localhost")
    transport = transport_of(trio.SSLStream(ours, server, server_side=True), Timeouts())
    tls = trio.SSLStream(theirs, client, server_hostname="localhost")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tls.send_all, b"hello")
        assert await transport.receive(10) == b"hello"
    began = trio.current_time()

    async def read_slowly() -> None:
        for _ in range(8):
            await trio.sleep(20)
            await theirs.receive_some(PIECE)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_slowly)
        with pytest.raises(ClientDisconnected) as gone:
            await transport.send(MUCH, PATIENCE, rate)
        nursery.cancel_scope.cancel()
    assert "stopped reading" in str(gone.value.__cause__)
    assert trio.current_time() - began == pytest.approx(given_up, abs=PATIENCE / 2)


async def test_tls_client_that_resets_while_it_is_sent_to_is_disconnected(
    tcp_pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = (trio.SocketStream(trio.socket.from_stdlib_socket(end)) for end in tcp_pair)
    server, client = tls_contexts("localhost")
    transport = transport_of(trio.SSLStream(ours, server, server_side=True), Timeouts())
    tls = trio.SSLStream(theirs, client, server_hostname="localhost")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(tls.send_all, b"hello")
        assert await transport.receive(10) == b"hello"
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await theirs.aclose()
    with pytest.raises(ClientDisconnected):
        await transport.send(MUCH, PATIENCE)


async def test_bytes_and_a_file_arrive_over_tls(
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
        assert not await transport.send_eof()  # TLS ends only with closing
        await transport.aclose()
    assert received == b"a file: " + MUCH


async def test_aborted_tls_stream_is_seen_as_truncated(
    tls_pair: tuple[StreamTransport, "trio.SSLStream[MemoryStream]"],
) -> None:
    transport, theirs = tls_pair
    await handshake(transport, theirs)
    transport.abort()
    await transport.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await theirs.receive_some()


async def test_client_without_tls_is_disconnected(
    tls_pair: tuple[StreamTransport, "trio.SSLStream[MemoryStream]"],
) -> None:
    transport, theirs = tls_pair
    await theirs.transport_stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(ClientDisconnected):
        await transport.receive(10)
    await transport.aclose()


async def test_close_after_the_client_has_left_raises_nothing(
    tls_pair: tuple[StreamTransport, "trio.SSLStream[MemoryStream]"],
) -> None:
    # ``close_notify`` needs a handshake in this case, which fails.
    transport, theirs = tls_pair
    await theirs.transport_stream.aclose()
    await transport.aclose()


async def test_has_unread_tells_arrived_bytes_over_tls() -> None:
    server, _ = tls_contexts("localhost")
    ours, theirs = map(trio.SocketStream, trio.socket.socketpair())
    stream = trio.SSLStream(ours, server, server_side=True)
    transport = transport_of(stream, Timeouts())
    async with theirs:
        told = [transport.has_unread()]
        await theirs.send_all(b"a record, or the beginning of one")
        told.append(transport.has_unread())
        await ours.aclose()  # the caller that made the stream may close it
        assert [*told, transport.has_unread()] == [False, True, False]


async def test_handshake_that_the_client_has_begun_counts_as_unread() -> None:
    server, _ = tls_contexts("localhost")
    words = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(
        ssl.MemoryBIO(), words, server_side=False, server_hostname="localhost"
    )
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    ours, theirs = map(trio.SocketStream, trio.socket.socketpair())
    transport = transport_of(trio.SSLStream(ours, server, server_side=True), Timeouts())
    # The server waits for the client's next message.
    async with theirs, trio.open_nursery() as nursery:
        nursery.start_soon(transport.readable)
        await theirs.send_all(words.read())
        await wait_all_tasks_blocked()
        assert transport.has_unread()
        nursery.cancel_scope.cancel()
    await transport.aclose()


# Choosing the transport


async def test_socket_stream_gets_a_socket_transport() -> None:
    ours, theirs = trio.socket.socketpair()
    stream = trio.SocketStream(ours)
    descriptor = stream.socket.fileno()
    transport = transport_of(stream, Timeouts())
    assert isinstance(transport, SocketTransport)
    assert transport.scheme == "http"
    assert stream.socket.fileno() == -1  # the transport has taken the socket over
    assert not os.get_blocking(descriptor)
    with theirs:
        await theirs.send(b"hello")
        assert await transport.receive(10) == b"hello"
        await transport.aclose()
        assert await theirs.recv(10) == b""


async def test_other_stream_gets_a_stream_transport() -> None:
    ours, theirs = memory_stream_pair()
    transport = transport_of(ours, Timeouts())
    assert isinstance(transport, StreamTransport)
    assert transport.scheme == "http"
    await transport.aclose()
    assert await theirs.receive_some() == b""


async def test_scheme_over_tls_is_https() -> None:
    ours, theirs = memory_stream_pair()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    transport = transport_of(trio.SSLStream(ours, context, server_side=True), Timeouts())
    assert transport.scheme == "https"
    await theirs.aclose()
    await transport.aclose()
