"""The receive buffer: bytes in order, and heads taken from them."""

import socket
from contextlib import closing

import pytest
import trio
from trio.testing import (
    MemoryReceiveStream,
    memory_stream_one_way_pair,
    wait_all_tasks_blocked,
)

from trio_http.http1.receive_buffer import ReceiveBuffer
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.limits import Limits
from trio_http.semantics.timeouts import Timeouts
from trio_http.transport import splice
from trio_http.transport.readiness import Levels
from trio_http.transport.sockets import SocketTransport
from trio_http.transport.splice import ROOM
from trio_http.transport.stream import Transport, transport_of

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Nowhere(trio.abc.SendStream):
    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        raise AssertionError(data)

    async def wait_send_all_might_not_block(self) -> None:
        raise AssertionError

    async def aclose(self) -> None:
        raise AssertionError


def reading(stream: MemoryReceiveStream) -> Transport:
    return transport_of(trio.StapledStream(Nowhere(), stream), Timeouts())


def connect(limits: Limits = Limits()) -> tuple[ReceiveBuffer, trio.testing.MemorySendStream]:  # noqa: B008
    near, far = memory_stream_one_way_pair()
    return ReceiveBuffer(reading(far), limits), near


@pytest.mark.parametrize("before", [b"", b"\r\n"])  # RFC 9112 2.2: one empty line is skipped
async def test_request_begins_with_its_first_byte(before: bytes) -> None:
    received, client = connect()
    await client.send_all(before + b"G")
    assert await received.wait_for_request()
    assert received.unread == b"G"


async def test_head_in_single_bytes_is_read() -> None:
    received, client = connect()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send() -> None:
            for byte in b"\r\n" + GET:
                await client.send_all(bytes([byte]))
                await trio.testing.wait_all_tasks_blocked()

        assert await received.wait_for_request()
        assert await received.next_head() == GET
    assert received.line == b"GET / HTTP/1.1"
    assert received.unread == b""


async def test_second_empty_line_is_kept() -> None:
    received, client = connect()
    await client.send_all(b"\r\n\r\n" + GET)
    assert await received.wait_for_request()
    assert received.unread.startswith(b"\r\nGET")


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"\r"])
async def test_end_of_input_is_no_request(sent: bytes) -> None:
    received, client = connect()
    await client.send_all(sent)
    await client.aclose()
    assert not await received.wait_for_request()
    assert received.ended
    assert not await received.receive_more()


async def test_pipelined_request_yields_to_other_tasks() -> None:
    received, client = connect()
    await client.send_all(GET + GET)
    assert await received.wait_for_request()
    assert await received.next_head() == GET
    with trio.testing.assert_checkpoints():
        assert await received.wait_for_request()
    assert await received.next_head() == GET


async def test_incomplete_head_gets_400() -> None:
    received, client = connect()
    await client.send_all(GET[:-2])
    await client.aclose()
    assert await received.wait_for_request()
    with pytest.raises(HTTPError) as refusal:
        await received.next_head()
    assert refusal.value.status == 400
    assert received.line == b"GET / HTTP/1.1"


async def test_line_of_refused_head_is_kept() -> None:
    received, client = connect(Limits(target=10))
    await client.send_all(b"nonsense\x00and more of it")
    assert await received.wait_for_request()
    with pytest.raises(HTTPError):
        await received.next_head()
    assert received.line == b"nonsense\x00a"


async def test_false_wakeup_is_no_request(
    socket_pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = socket_pair
    rival = ours.dup()
    begun = []

    async def wait(connected: socket.socket) -> None:
        connected.settimeout(0)
        received = ReceiveBuffer(SocketTransport(connected, Levels(connected)), Limits())
        begun.append((await received.wait_for_request(), bytes(received.unread)))

    with rival:
        # Both are woken for one byte, which only one of them can receive.
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, ours)
            nursery.start_soon(wait, rival)
            await wait_all_tasks_blocked()
            theirs.send(b"1")
            await wait_all_tasks_blocked()
            assert begun == [(True, b"1")]
            theirs.send(b"2")
        assert begun == [(True, b"1"), (True, b"2")]


@pytest.mark.skipif(not splice.CAN_SPLICE, reason="this system has no splice")
async def test_buffered_bytes_are_moved_before_new_ones(
    socket_pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = socket_pair
    received = ReceiveBuffer(SocketTransport(ours, Levels(ours)), Limits())
    pipe = received.open_pipe()
    assert pipe is not None
    with closing(pipe):
        received.unread += b"hello"
        theirs.send(b" world")
        assert [received.move(pipe, size) for size in (3, ROOM, ROOM)] == [3, 2, 6]
        assert received.move(pipe, ROOM) is None
        theirs.send(b"!")
        await received.readable()
        assert received.move(pipe, ROOM) == 1
        assert pipe.held == len(b"hello world!")
        # Each piece takes a whole slot of the pipe, so the small pieces take more than their bytes.
        received.unread += bytes(ROOM)
        moved = received.move(pipe, ROOM)
        assert moved is not None
        assert len(received.unread) == ROOM - moved > 0
        assert received.move(pipe, ROOM) is None
        assert len(received.unread) == ROOM - moved


async def test_memory_stream_opens_no_pipe() -> None:
    received, _ = connect()
    assert received.open_pipe() is None
