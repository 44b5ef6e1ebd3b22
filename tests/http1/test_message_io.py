"""Reading requests, sending responses, and the state of the connection between them."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest
import trio
from support import stream_of
from trio.testing import (
    MemoryReceiveStream,
    MemorySendStream,
    MockClock,
    assert_checkpoints,
    memory_stream_pair,
    wait_all_tasks_blocked,
)

from trio_http.http1.codec import RequestHead
from trio_http.http1.message_io import Wire
from trio_http.http1.receive_buffer import PORTION
from trio_http.http1.response_framing import FramedResponse, Streamed, frame
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.bodies import Body, Chain, Encoded, FileSlice, Send, Stream
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Fields, Headers
from trio_http.semantics.limits import Limits
from trio_http.semantics.response import Response
from trio_http.semantics.timeouts import Timeouts
from trio_http.testing import Client
from trio_http.transport.page_cache import PIECE
from trio_http.transport.stream import Transport, transport_of

MemoryStream = trio.StapledStream[MemorySendStream, MemoryReceiveStream]

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
PUT = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
CHUNKED = b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
EXPECTING = PUT.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Peer(Client):
    """A client with access to the server's transport, to close it."""

    def __init__(self, near: MemoryStream, transport: Transport) -> None:
        super().__init__(near)
        self.transport = transport


class Connected(Protocol):
    """Connects a client to a wire that uses the codec of the test."""

    def __call__(self, timeouts: Timeouts = ..., limits: Limits = ...) -> tuple[Wire, Peer]: ...


@pytest.fixture(params=["fast path", "h11"])
def connect(request: pytest.FixtureRequest) -> Connected:
    """Run a test with each codec."""
    is_plain = request.param == "fast path"

    def connected(
        timeouts: Timeouts = Timeouts(),  # noqa: B008 - a frozen value
        limits: Limits = Limits(),  # noqa: B008 - a frozen value
    ) -> tuple[Wire, Peer]:
        return wired(timeouts, limits, Behavior(fast_path=is_plain))

    return connected


def wired(
    timeouts: Timeouts,
    limits: Limits,
    behavior: Behavior = Behavior(),  # noqa: B008 - a frozen value
) -> tuple[Wire, Peer]:
    near, far = memory_stream_pair()
    transport = transport_of(far, Timeouts())
    return Wire(transport, timeouts, limits, behavior), Peer(near, transport)


async def read_head(wire: Wire) -> RequestHead:
    """Read a head as a connection does; its first byte has arrived."""
    return wire.read_plain() or await wire.read_any()


async def begin(wire: Wire) -> RequestHead:
    """Wait for a request and read its head, as a connection does."""
    assert await wire.input.wait_for_request()
    return await read_head(wire)


async def respond(wire: Wire, response: Response) -> None:
    """Frame and send a response to the request that was read last."""
    method, _, rest = wire.input.line.decode("latin-1").partition(" ")
    await send(wire, frame(response, method, rest[-3:] if rest else "1.1"))


async def send(wire: Wire, message: FramedResponse, *, is_last: bool = False) -> None:
    rest = wire.respond(message, is_last=is_last)
    if rest is not None:
        await rest


async def read_body(wire: Wire) -> bytes:
    pieces = []
    while piece := await wire.body.receive():
        pieces.append(piece)
    return b"".join(pieces)


async def answered(wire: Wire) -> bool:
    """Respond to the next request; return whether another can follow."""
    await begin(wire)
    await respond(wire, Response())
    return await wire.next_cycle()


async def refusal_of(wire: Wire) -> HTTPError:
    """Return the error with which the next request is refused."""
    with pytest.raises(HTTPError) as refusal:
        await read_head(wire)
    return refusal.value


async def all_sent(wire: Wire, client: Peer) -> bytes:
    """Return all bytes that the client receives until the connection ends."""
    await client.send_eof()
    await wire.hang_up()
    await client.transport.aclose()
    return await client.rest()


# The beginning of a request


async def test_request_begins_with_its_first_byte(connect: Connected) -> None:
    wire, client = connect()
    await client.send(GET[:1])
    assert await wire.input.wait_for_request()
    await client.send(GET[1:])
    assert (await read_head(wire)).method == b"GET"


@pytest.mark.parametrize("pieces", [[b"\r\n"], [b"\r", b"\n"]])
async def test_empty_line_before_request_is_skipped(
    pieces: list[bytes], connect: Connected
) -> None:
    # RFC 9112 2.2: some clients send an extra line ending after a body.
    wire, client = connect()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send() -> None:
            for piece in (*pieces, GET):
                await wait_all_tasks_blocked()
                await client.send(piece)

        assert await wire.input.wait_for_request()
    assert (await read_head(wire)).method == b"GET"


async def test_second_empty_line_gets_400(connect: Connected) -> None:
    wire, client = connect()
    await client.send(b"\r\n\r\n" + GET)
    assert await wire.input.wait_for_request()
    assert (await refusal_of(wire)).status == 400


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"\r"])
async def test_end_of_input_is_no_request(sent: bytes, connect: Connected) -> None:
    wire, client = connect()
    await client.send(sent)
    await client.send_eof()
    assert not await wire.input.wait_for_request()
    assert not await wire.input.wait_for_request()


async def test_pipelined_request_yields_to_other_tasks(connect: Connected) -> None:
    wire, client = connect()
    await client.send(GET * 2)
    assert await answered(wire)
    with assert_checkpoints():
        assert await wire.input.wait_for_request()
    assert (await read_head(wire)).method == b"GET"


# Heads


async def test_head_in_single_bytes_is_read(connect: Connected) -> None:
    wire, client = wired(Timeouts(), Limits(), Behavior(fast_path=False))
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send() -> None:
            for byte in GET:
                await wait_all_tasks_blocked()
                await client.send(bytes([byte]))

        assert await wire.input.wait_for_request()
        request = await read_head(wire)
    assert (request.method, request.target, request.version) == (b"GET", b"/", "1.1")
    assert wire.input.line == b"GET / HTTP/1.1"


async def test_slow_head_gets_408(autojump_clock: MockClock, connect: Connected) -> None:
    wire, client = connect(Timeouts(head=10))
    await client.send(b"GET / HTTP/1.1\r\nHost")
    assert await wire.input.wait_for_request()
    assert (await refusal_of(wire)).status == 408
    assert trio.current_time() == 10
    assert wire.input.line == b"GET / HTTP/1.1"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n", 400),  # ends before its blank line
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host (RFC 9112 3.2)
        (b"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n", 400),  # RFC 9112 5.1
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", 505),
        (b"GET /" + b"x" * 8192 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 32768 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 100 + b"\r\n", 431),
        # RFC 9112 6.3: the end of this body is unknown.
        (b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        # RFC 9110 9.3.6: any 2xx response would begin a tunnel.
        (b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", 501),
    ],
)
async def test_refused_head_ends_the_connection(
    sent: bytes, status: int, connect: Connected
) -> None:
    wire, client = connect()
    await client.send(sent)
    await client.send_eof()
    assert await wire.input.wait_for_request()
    assert (await refusal_of(wire)).status == status
    assert wire.must_close
    # A response can still be sent, although there was no valid request.
    await respond(wire, Response(status))
    assert not await wire.next_cycle()
    assert (await client.response()).status == status


@pytest.mark.parametrize(
    ("sent", "line"),
    [
        (b"GET", b"GET"),
        (b"GET / HTTP/1.1\r\nHost", b"GET / HTTP/1.1"),
        (b"\n", b""),
        (b"\x16\x03\x01", b"\x16\x03\x01"),
        (b"x" * 40000, b"x" * Limits().target),  # cut at the limit of a target
    ],
)
async def test_line_is_the_received_part_of_the_request_line(
    sent: bytes, line: bytes, connect: Connected
) -> None:
    wire, client = connect()
    await client.send(sent)
    await client.send_eof()
    await wire.input.wait_for_request()
    await refusal_of(wire)
    assert wire.input.line == line


async def test_state_of_one_request_is_reset_for_the_next(connect: Connected) -> None:
    wire, client = connect()
    await client.send(CHUNKED + b"2\r\nhi\r\n0\r\nA: b\r\n\r\n" + b"?")
    await client.send_eof()
    await begin(wire)
    await read_body(wire)
    await respond(wire, Response(200, {"Content-Length": "5"}, b"hello"))
    assert (wire.status, wire.sent, wire.body.trailers) == (200, 5, Headers({"A": "b"}))
    assert await wire.next_cycle()
    await wire.input.wait_for_request()
    await refusal_of(wire)
    assert (wire.input.line, wire.status, wire.sent, wire.body.trailers) == (b"?", 0, 0, Headers())


# Request bodies


@pytest.mark.parametrize("head", [GET, PUT % 0])
async def test_request_without_body_reads_as_empty(head: bytes, connect: Connected) -> None:
    wire, client = connect()
    await client.send(head + GET)
    await begin(wire)
    assert await wire.body.receive() == b""
    assert await wire.body.receive() == b""


@pytest.mark.parametrize(
    "sent",
    [PUT % 11 + b"hello world", CHUNKED + b"6;a=b\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_body_in_pieces_of_any_size_is_read(
    sent: bytes, size: int, connect: Connected
) -> None:
    wire, client = connect()
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send() -> None:
            for start in range(0, len(sent), size):
                await wait_all_tasks_blocked()
                await client.send(sent[start : start + size])

        await begin(wire)
        assert await read_body(wire) == b"hello world"
        assert await wire.body.receive() == b""


async def test_trailers_are_kept_except_fields_not_allowed_in_them(connect: Connected) -> None:
    # RFC 9110 6.5.1: fields that affect framing or routing are ignored in trailers.
    wire, client = connect()
    await client.send(CHUNKED + b"2\r\nhi\r\n0\r\nX-Sum: 1\r\nHOST: y\r\nX-Sum: 2\r\n\r\n")
    await begin(wire)
    assert await read_body(wire) == b"hi"
    assert wire.body.trailers.raw == ((b"X-Sum", b"1"), (b"X-Sum", b"2"))


@pytest.mark.parametrize(
    "sent",
    [
        PUT % 11 + b"hello",  # breaks off
        CHUNKED + b"5\r\nhello",
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
        CHUNKED + b"5\r\nhelloo\r\n0\r\n\r\n",  # longer than its size
        CHUNKED + b"5\r\nhello\r\nx\r\n\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\nA b\r\n\r\n",
        CHUNKED + b"5\r\nhello\r\n5;" + b"x" * 40000,  # endless extensions
    ],
)
async def test_malformed_or_incomplete_body_gets_400(sent: bytes, connect: Connected) -> None:
    wire, client = connect()
    await client.send(sent)
    await client.send_eof()
    await begin(wire)
    assert await wire.body.receive() == b"hello"
    for _ in range(2):  # a second read fails again
        with pytest.raises(HTTPError) as refusal:
            await wire.body.receive()
        assert refusal.value.status == 400
    assert wire.must_close
    await respond(wire, Response(400))
    assert not await wire.next_cycle()


async def test_stalled_body_gets_408(autojump_clock: MockClock, connect: Connected) -> None:
    wire, client = connect(Timeouts(receive=30), Limits(receive_rate=0))
    await client.send(PUT % 11 + b"he")
    await begin(wire)
    assert await wire.body.receive() == b"he"
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send() -> None:
            await trio.sleep(29)
            await client.send(b"llo")

        assert await wire.body.receive() == b"llo"
    with pytest.raises(HTTPError) as refusal:
        await wire.body.receive()
    assert refusal.value.status == 408
    assert wire.must_close
    assert trio.current_time() == 59
    # After the timeout, skipping does not wait again.
    await respond(wire, Response(408))
    assert not await wire.next_cycle()
    assert trio.current_time() == 59


async def test_too_large_content_length_gets_413_without_100(connect: Connected) -> None:
    wire, client = connect(limits=Limits(body=10))
    await client.send(EXPECTING % 11)
    await begin(wire)
    for _ in range(2):
        with pytest.raises(HTTPError) as refusal:
            await wire.body.receive()
        assert refusal.value.status == 413
        assert refusal.value.detail == "the request body is larger than 10 bytes"
    await respond(wire, Response(413))
    assert (await client.response()).status == 413  # no 100 before it


async def test_body_of_exactly_the_limit_is_read(connect: Connected) -> None:
    wire, client = connect(limits=Limits(body=10))
    await client.send((PUT % 10 + b"0123456789") * 2)
    for _ in range(2):
        await begin(wire)
        assert await read_body(wire) == b"0123456789"
        await respond(wire, Response())
        assert await wire.next_cycle()


async def test_chunked_body_beyond_the_limit_gets_413(connect: Connected) -> None:
    wire, client = connect(limits=Limits(body=10))
    await client.send(CHUNKED + b"a\r\n0123456789\r\n")
    await begin(wire)
    assert await wire.body.receive() == b"0123456789"
    await client.send(b"1\r\n0\r\n0\r\n\r\n")
    with pytest.raises(HTTPError) as refusal:
        await wire.body.receive()
    assert refusal.value.status == 413
    assert wire.must_close
    await respond(wire, Response(413))
    assert not await wire.next_cycle()


# 100 Continue


async def test_first_read_sends_100_continue(connect: Connected) -> None:
    wire, client = connect()
    await client.send(EXPECTING % 5)
    await begin(wire)
    last = [wire.must_close]  # before the client was told
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send() -> None:
            answer = await client.response()
            assert (answer.status, answer.reason) == (100, "Continue")
            await client.send(b"hel")
            await wait_all_tasks_blocked()
            await client.send(b"lo")

        assert await read_body(wire) == b"hello"
    last.append(wire.must_close)
    assert last == [True, False]
    await respond(wire, Response())
    assert (await client.response()).status == 200
    assert await wire.next_cycle()


@pytest.mark.parametrize(
    "sent",
    [
        PUT % 5 + b"hello",  # does not expect it
        b"GET / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",  # has no body
        # RFC 9110 10.1.1: ignored in a request of HTTP/1.0
        (EXPECTING % 5).replace(b"HTTP/1.1", b"HTTP/1.0") + b"hello",
    ],
)
async def test_100_continue_is_not_sent_unless_expected(sent: bytes, connect: Connected) -> None:
    wire, client = connect()
    await client.send(sent)
    head = await begin(wire)
    assert wire.must_close == (head.version == "1.0")
    await read_body(wire)
    await respond(wire, Response())
    assert (await client.response()).status == 200


async def test_103_does_not_replace_100_continue(connect: Connected) -> None:
    wire, client = connect()
    await client.send(EXPECTING % 5 + b"hello")
    await begin(wire)
    await wire.inform(103, ((b"Link", b"</a.css>"),))
    assert wire.must_close
    await read_body(wire)
    assert [(await client.response()).status for _ in range(2)] == [103, 100]


async def test_100_continue_is_sent_once(connect: Connected) -> None:
    wire, client = connect()
    await client.send(EXPECTING % 5 + b"hello")
    await begin(wire)
    await wire.inform(100, ())
    assert not wire.must_close
    await read_body(wire)
    await respond(wire, Response())
    assert [(await client.response()).status for _ in range(2)] == [100, 200]


async def test_100_continue_is_not_sent_after_the_response(connect: Connected) -> None:
    wire, client = connect()
    await client.send(EXPECTING % 5 + b"hello")
    await begin(wire)

    async def produce(send: Send) -> None:
        await send(await wire.body.receive())

    await respond(wire, Response(200, {"Connection": "close"}, Stream(produce)))
    answer = await client.response()
    assert (answer.status, answer.body) == (200, b"hello")


# Responses


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


async def sent_for(
    connect: Connected, response: Response, request: bytes = GET
) -> tuple[bytes, int]:
    """Return the bytes of a response to a request, and the recorded length of its body."""
    wire, client = connect()
    await client.send(request)
    await begin(wire)
    await respond(wire, response)
    assert wire.head_has_left
    assert wire.response_has_left
    assert wire.status == response.status
    return await all_sent(wire, client), wire.sent


@pytest.mark.parametrize(
    ("response", "sent"),
    [
        (Response(), EMPTY),
        (Response(204), b"HTTP/1.1 204 No Content\r\n\r\n"),
        (Response(304, {"ETag": '"a"'}), b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'),
        (
            Response(200, {"Content-Length": "5"}, b"hello"),
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        ),
        # RFC 9112 4: the reason phrase is optional, the space before it is not.
        (Response(299, {"Content-Length": "0"}), b"HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n"),
        (
            Response(200, {"Content-Length": "10"}, stream_of(b"hello", b"", b"world")),
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhelloworld",
        ),
        (
            # An empty piece would end the body (RFC 9112 7.1), so it is not sent.
            Response(200, body=stream_of(b"hello", b"", b"world!")),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"5\r\nhello\r\n6\r\nworld!\r\n0\r\n\r\n"
            ),
        ),
        (
            Response(200, body=stream_of()),
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
    ],
)
async def test_response_is_sent_as_framed(
    response: Response, sent: bytes, connect: Connected
) -> None:
    assert (await sent_for(connect, response))[0] == sent


async def respond_with_trailers(wire: Wire, trailers: Fields) -> None:
    message = frame(Response(200, body=stream_of(b"hi"), trailers=lambda: trailers))
    assert isinstance(message.body, Streamed)
    message.body = replace(message.body, has_trailers=True)
    await send(wire, message)


async def test_trailers_are_sent_after_the_last_chunk(connect: Connected) -> None:
    wire, client = connect()
    await client.send(GET)
    await begin(wire)
    await respond_with_trailers(wire, [("A", "1"), ("A", "2")])
    assert wire.sent == 2
    assert await all_sent(wire, client) == (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nA: 1\r\nA: 2\r\n\r\n"
    )


async def test_malformed_trailers_leave_the_response_incomplete(connect: Connected) -> None:
    wire, client = connect()
    await client.send(GET)
    await begin(wire)
    with pytest.raises(ValueError, match="not a field value"):
        await respond_with_trailers(wire, {"A": "\r\n"})
    assert not wire.response_has_left
    assert not await wire.next_cycle()
    assert (await all_sent(wire, client)).endswith(b"\r\n2\r\nhi\r\n")


async def test_sent_bytes_are_counted_without_framing(connect: Connected) -> None:
    assert (await sent_for(connect, Response(200, body=stream_of(b"hello", b"", b"world!"))))[
        1
    ] == 11
    assert (await sent_for(connect, Response(200, {"Content-Length": "5"}, b"hello")))[1] == 5
    assert (await sent_for(connect, Response()))[1] == 0


async def test_http_1_0_body_of_unknown_length_ends_with_the_connection(
    connect: Connected,
) -> None:
    response = Response(200, body=stream_of(b"hello", b"world"))
    sent, _ = await sent_for(connect, response, b"GET / HTTP/1.0\r\n\r\n")
    assert sent == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhelloworld"


async def test_parts_of_files_are_sent_in_order_with_bytes(file: int, connect: Connected) -> None:
    body = Chain((b"<", FileSlice(file, 1, 3), b"|", FileSlice(file, 7, 3), b">"))
    response = Response(200, {"Content-Length": "9"}, body)
    assert await sent_for(connect, response) == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<123|789>",
        9,
    )
    # In a chunked body, each part of a file is a chunk.
    sent, size = await sent_for(connect, Response(200, body=Chain((*body.parts, stream_of(b"!")))))
    assert sent == (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\n<\r\n3\r\n123\r\n1\r\n|\r\n3\r\n789\r\n1\r\n>\r\n1\r\n!\r\n0\r\n\r\n"
    )
    assert size == 10


async def test_head_is_sent_before_the_first_piece(connect: Connected) -> None:
    wire, client = connect()
    await client.send(GET)
    await begin(wire)
    head_seen = trio.Event()

    async def produce(send: Send) -> None:
        await head_seen.wait()
        await send(b"hello")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(respond, wire, Response(200, body=Stream(produce)))
        assert (await client.stream.receive_some()).endswith(b"\r\n\r\n")
        assert wire.head_has_left
        head_seen.set()
        assert await client.stream.receive_some() == b"5\r\nhello\r\n"


async def test_head_and_existing_body_are_sent_in_one_call() -> None:
    near, far = memory_stream_pair()
    sends = 0

    async def count() -> None:
        nonlocal sends
        await trio.lowlevel.checkpoint()
        sends += 1

    far.send_stream.send_all_hook = count
    wire, client = Wire(transport_of(far, Timeouts()), Timeouts(), Limits()), Client(near)
    await client.send(GET)
    await begin(wire)
    await respond(wire, Response(200, {"Content-Length": "5"}, b"hello"))
    assert sends == 1


@pytest.mark.parametrize(
    ("body", "arrived"),
    [
        (stream_of(b"hell", length=5), b"hell"),  # too short
        (stream_of(b"hello", b"!", length=5), b"hello"),  # too long
        (stream_of(b"hello!", length=5), b""),
        (Chain((b"hello", stream_of(b"!", length=0))), b"hello"),
    ],
)
async def test_wrong_length_ends_the_connection(
    body: Body, arrived: bytes, connect: Connected
) -> None:
    wire, client = connect()
    await client.send(GET * 2)
    await begin(wire)
    with pytest.raises(ValueError, match="a body"):
        await respond(wire, Response(200, {"Content-Length": "5"}, body))
    assert wire.head_has_left
    assert not wire.response_has_left
    assert not await wire.next_cycle()
    # No bytes are sent that could be read as the next response.
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert await all_sent(wire, client) == head + arrived
    assert wire.sent == len(arrived)


async def test_unsendable_response_can_be_replaced(
    connect: Connected,
) -> None:
    wire, client = connect()
    await client.send(GET)
    await begin(wire)
    with pytest.raises(ValueError, match="99 is not the status of a final response"):
        await respond(wire, Response(99))
    assert not wire.head_has_left
    assert wire.status == 0
    await respond(wire, Response(500))
    assert (await client.response()).status == 500
    assert await wire.next_cycle()


async def test_cancelled_response_is_incomplete() -> None:
    near, far = memory_stream_pair()
    wire, client = Wire(transport_of(far, Timeouts()), Timeouts(), Limits()), Client(near)
    await client.send(GET)
    await begin(wire)
    far.send_stream.send_all_hook = trio.sleep_forever
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(respond, wire, Response())
            await wait_all_tasks_blocked()
            scope.cancel()
    assert wire.head_has_left
    assert not wire.response_has_left
    assert not await wire.next_cycle()


# Between requests


async def test_requests_are_read_one_after_the_other(connect: Connected) -> None:
    wire, client = connect()
    for _ in range(3):
        await client.send(GET)
        assert await answered(wire)
    await client.send_eof()
    assert not await wire.input.wait_for_request()
    assert await client.stream.receive_some() == EMPTY * 3


@pytest.mark.parametrize(
    "first",
    [
        PUT % 5 + b"hello",
        CHUNKED + b"5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\nA: b\r\n\r\n",
    ],
)
@pytest.mark.parametrize("read", ["read", "unread"])
async def test_next_request_begins_after_the_body(
    first: bytes, read: str, connect: Connected
) -> None:
    wire, client = connect()
    await client.send(first + GET + first + GET)
    await client.send_eof()
    for method in (b"PUT", b"GET", b"PUT", b"GET"):
        assert await wire.input.wait_for_request()
        assert (await read_head(wire)).method == method
        if read == "read":
            assert await read_body(wire) == (b"hello" if method == b"PUT" else b"")
        await respond(wire, Response())
        assert await wire.next_cycle()
    assert not await wire.input.wait_for_request()


async def test_unread_body_is_skipped_as_it_arrives(connect: Connected) -> None:
    wire, client = connect(limits=Limits(skip=10))
    await client.send(PUT % 10)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send() -> None:
            await client.response()
            await client.send(b"hello" * 2 + GET)

        assert await answered(wire)
    assert await answered(wire)


@pytest.mark.parametrize(
    "limits",
    [
        Limits(skip=10),
        Limits(skip=20, body=10),  # reading it would raise 413
    ],
)
async def test_large_unread_body_ends_the_connection(limits: Limits, connect: Connected) -> None:
    last = []
    for size in (10, 11):
        wire, client = connect(limits=limits)
        await client.send(PUT % size)
        await begin(wire)
        last.append(wire.must_close)
    assert last == [False, True]


@pytest.mark.parametrize("size", [10, 11])
async def test_unread_chunked_body_is_skipped_up_to_the_limit(
    size: int, connect: Connected
) -> None:
    wire, client = connect(limits=Limits(skip=10))
    await client.send(CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size) + GET)
    await begin(wire)
    assert not wire.must_close
    await respond(wire, Response())
    assert await wire.next_cycle() is (size == 10)


async def test_skip_limit_counts_only_the_unread_rest(connect: Connected) -> None:
    wire, client = connect(limits=Limits(skip=10))
    await client.send(PUT % 25 + b"x" * 15)
    await begin(wire)
    last = [wire.must_close]
    await wire.body.receive()
    last.append(wire.must_close)
    assert last == [True, False]
    await client.send(b"x" * 10)
    await respond(wire, Response())
    assert await wire.next_cycle()


async def test_stalled_skipped_body_ends_the_connection(
    autojump_clock: MockClock, connect: Connected
) -> None:
    wire, client = connect(Timeouts(receive=30))
    await client.send(PUT % 11 + b"hello")
    assert not await answered(wire)
    assert trio.current_time() == 30


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: TE, Close\r\n\r\n",
    ],
)
async def test_last_request_of_client_gets_connection_close(
    sent: bytes, connect: Connected
) -> None:
    wire, client = connect()
    await client.send(sent)
    assert not await answered(wire)
    assert (await client.response()).headers["Connection"] == "close"


async def test_ignored_upgrade_keeps_the_connection(connect: Connected) -> None:
    wire, client = connect()
    upgrade = GET.replace(b"\r\n\r\n", b"\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n")
    await client.send(upgrade + GET)
    assert await answered(wire)
    assert await answered(wire)


# Hanging up


class WithoutHalves(trio.abc.Stream):
    """A stream without half-close, such as TLS."""

    def __init__(self, inner: MemoryStream) -> None:
        self._inner = inner

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._inner.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._inner.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._inner.aclose()


async def test_hang_up_half_closes_and_waits_for_the_client(connect: Connected) -> None:
    wire, client = connect()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wire.hang_up)
        assert await client.rest() == b""
        await client.send(b"not read any more")
        await wait_all_tasks_blocked()
        assert len(nursery.child_tasks) == 1
        await client.send_eof()


async def test_hang_up_after_end_of_input_does_nothing() -> None:
    near, far = memory_stream_pair()
    wire = Wire(transport_of(far, Timeouts()), Timeouts(), Limits())
    await near.send_eof()
    assert not await wire.input.wait_for_request()
    await wire.hang_up()
    await far.send_all(b"still open")


async def test_hang_up_ends_after_the_linger_timeout(
    autojump_clock: MockClock, connect: Connected
) -> None:
    wire, _client = connect(Timeouts(linger=2))
    await wire.hang_up()
    assert trio.current_time() == 2


async def test_hang_up_drops_bytes_up_to_its_limit(
    autojump_clock: MockClock, connect: Connected
) -> None:
    wire, client = connect(limits=Limits(linger=2 * PIECE))
    await client.send(bytes(10 * PIECE))
    await wire.hang_up()
    assert trio.current_time() == 0


@pytest.mark.parametrize(
    ("size", "seconds"),
    [
        (PORTION, 15),  # slow, but fast enough
        (PORTION // 2, 15),
        (PORTION // 3, 2.75),  # less than a portion in two seconds after the first bytes
        (1, 2.75),
    ],
)
async def test_hang_up_continues_while_enough_bytes_arrive(
    size: int, seconds: float, autojump_clock: MockClock, connect: Connected
) -> None:
    wire, client = connect(Timeouts(linger=2))

    async def send_on() -> None:
        for _ in range(20):
            await trio.sleep(0.75)
            await client.send(bytes(size))
        await client.send_eof()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_on)
        await wire.hang_up()
        assert trio.current_time() == seconds
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        (GET, 2),
        (CLOSE, 0),
        (CLOSE + b"!", 2),  # not allowed after ``close``
    ],
)
async def test_hang_up_does_not_wait_after_connection_close(
    sent: bytes, seconds: float, autojump_clock: MockClock, connect: Connected
) -> None:
    wire, client = connect(Timeouts(linger=2), Limits())
    await client.send(sent)
    await begin(wire)
    await respond(wire, Response())
    assert await wire.next_cycle() == (sent == GET)
    await wire.hang_up()
    assert trio.current_time() == seconds


@pytest.mark.parametrize(
    ("sent", "reads", "seconds"),
    [
        (GET, 0, 0),
        (PUT % 5 + b"hello", 2, 0),  # reads the bytes and the end
        (GET + b"GET /", 0, 2),  # an unread request
        (PUT % 5 + b"hell", 0, 2),  # an unread body
        (PUT % 5 + b"hell", 1, 2),  # an unread rest of a body
        (b"?\r\n\r\n", 0, 2),  # a malformed request
    ],
)
async def test_hang_up_without_half_close_waits_for_unread_input_only(
    sent: bytes, reads: int, seconds: float, autojump_clock: MockClock
) -> None:
    near, far = memory_stream_pair()
    wire = Wire(transport_of(WithoutHalves(far), Timeouts()), Timeouts(linger=2), Limits())
    client = Client(near)
    await client.send(sent)
    await wire.input.wait_for_request()
    with suppress(HTTPError):
        await read_head(wire)
        for _ in range(reads):
            await wire.body.receive()
    await wire.hang_up()
    assert trio.current_time() == seconds


async def test_hang_up_without_half_close_is_immediate_when_idle(autojump_clock: MockClock) -> None:
    near, far = memory_stream_pair()
    wire = Wire(transport_of(WithoutHalves(far), Timeouts()), Timeouts(linger=2), Limits())
    client = Client(near)
    await client.send(GET)
    assert await answered(wire)
    await wire.hang_up()
    assert trio.current_time() == 0


# Both codecs on one connection

WITH_TE = GET.replace(b"\r\n\r\n", b"\r\nTE: trailers\r\n\r\n")  # not plain


async def test_codec_is_chosen_per_exchange() -> None:
    wire, client = wired(Timeouts(), Limits())
    await client.send((GET + WITH_TE + WITH_TE + PUT % 5 + b"hello") * 2)
    for _ in range(2):
        for is_plain, body in ((True, b"a"), (False, b"b"), (False, stream_of(b"c")), (True, b"d")):
            assert await wire.input.wait_for_request()
            head = wire.read_plain()
            assert (head is not None) == is_plain
            if head is None:
                await wire.read_any()
            await respond(wire, Response(200, (), body))
            assert wire.is_ready or await wire.next_cycle()
    assert [(await client.response()).body for _ in range(8)] == [b"a", b"b", b"c", b"d"] * 2


@pytest.mark.parametrize("request_line", [b"GET / ", b"HEAD / ", b"POST / "])
@pytest.mark.parametrize("said", [b"", b"Connection: close\r\n"])
@pytest.mark.parametrize(
    "response",
    [
        Response(200, {"A": "b"}, stream_of(b"hello", b"", b"world" * 1000)),
        Response(200, (), stream_of()),
        Response(200, (), b"hello"),
        Response(404, (), stream_of(b"hello")),
        Response(204, (), stream_of(b"hello")),
        Response(200, (), Chain((b"hello", stream_of(b"world")))),
        Response(200, (), Encoded(b"hello" * 100, "gzip")),
        Response(200, (), stream_of(b"hello", length=5)),
        Response(200, {"Connection": "close"}, stream_of(b"hello")),
        Response(200, {"Connection": "upgrade", "Upgrade": "h2c"}, stream_of(b"hello")),
        Response(200, {"Date": "now"}, stream_of(b"hello")),
        Response(200, {"Content-Length": "5"}, stream_of(b"hello")),
    ],
)
async def test_both_codecs_send_the_same_bytes(
    response: Response, said: bytes, request_line: bytes
) -> None:
    conversations = []
    for is_plain in (True, False):
        wire, client = wired(Timeouts(), Limits(), Behavior(fast_path=is_plain))
        await client.send(request_line + b"HTTP/1.1\r\nHost: x\r\n" + said + b"\r\n")
        await begin(wire)
        await respond(wire, response)
        goes_on = await wire.next_cycle()
        conversations.append((wire.status, wire.sent, goes_on, await all_sent(wire, client)))
    assert conversations[0] == conversations[1]


async def test_refused_second_request_ends_the_connection(connect: Connected) -> None:
    wire, client = connect()
    await client.send(GET + b"nonsense\r\n\r\n" + GET)
    assert await answered(wire)
    await wire.input.wait_for_request()
    assert (await refusal_of(wire)).status == 400
    assert wire.must_close
    await respond(wire, Response(400))
    assert not await wire.next_cycle()
    assert [(await client.response()).status for _ in range(2)] == [200, 400]


# Sending


async def test_existing_bodies_are_sent_whole(tmp_path: Path, connect: Connected) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"from a file")
    wire, client = connect()
    await client.send(GET * 5)
    with path.open("rb") as file:
        bodies: list[bytes | FileSlice] = [b"hello", FileSlice(file.fileno(), 5, 6), b""]
        for body in bodies:
            await begin(wire)
            assert await wire.body.receive() == b""
            assert not wire.must_close
            await respond(wire, Response(200, (), body))
            assert wire.response_has_left
            assert wire.sent == len(body)
            assert await wire.next_cycle()
    for status in (204, 205):
        await begin(wire)
        await respond(wire, Response(status, (), b"dropped"))
        assert wire.sent == 0
        assert await wire.next_cycle()
    assert [(await client.response()).body for _ in range(5)] == [
        b"hello",
        b"a file",
        b"",
        b"",
        b"",
    ]


async def test_failed_stream_leaves_the_response_incomplete(connect: Connected) -> None:
    async def produce(send: Send) -> None:
        await send(b"hello")
        raise ValueError("the stream has failed")

    wire, client = connect()
    await client.send(GET)
    await begin(wire)
    with pytest.raises(ValueError, match="the stream has failed"):
        await respond(wire, Response(200, (), Stream(produce)))
    assert (wire.status, wire.sent, wire.response_has_left) == (200, 5, False)
    assert not await wire.next_cycle()
    assert await all_sent(wire, client) == (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    )


@pytest.mark.parametrize("said", [{}, {"Connection": "close"}])
@pytest.mark.parametrize("request_", [GET, CLOSE])
async def test_connection_close_is_sent_once(
    said: dict[str, str], request_: bytes, connect: Connected
) -> None:
    wire, client = connect()
    await client.send(request_)
    await begin(wire)
    await respond(wire, Response(200, said))
    closes = bool(said) or request_ == CLOSE
    assert await wire.next_cycle() is not closes
    values = (await client.response()).headers.values("Connection")
    assert values == (["close"] if closes else [])


async def test_last_response_has_connection_close(connect: Connected) -> None:
    wire, client = connect()
    await client.send(GET)
    await begin(wire)
    await send(wire, frame(Response()), is_last=True)
    assert not await wire.next_cycle()
    assert (await client.response()).headers["Connection"] == "close"


@pytest.mark.parametrize(
    ("body", "skip", "goes_on"),
    [(b"hello", 5, True), (b"hello", 4, False), (b"hell", 5, False)],
)
async def test_unread_body_is_skipped_up_to_the_limit(
    body: bytes,
    skip: int,
    goes_on: bool,  # noqa: FBT001 - an expected value
    connect: Connected,
) -> None:
    wire, client = connect(limits=Limits(skip=skip))
    await client.send(PUT % 5 + body)
    await client.send_eof()
    await begin(wire)
    await respond(wire, Response())
    assert not wire.is_ready
    assert await wire.next_cycle() == goes_on
    said = (await client.response()).headers.get("Connection")
    assert said == (None if skip == 5 else "close")


@pytest.mark.parametrize("read", [0, 1, 2])
async def test_body_can_be_read_while_the_response_is_streamed(
    read: int, connect: Connected
) -> None:
    async def produce(send: Send) -> None:
        await send(b"hello")
        await send(await wire.body.receive() or b"!")  # a second read may have to wait

    wire, client = connect()
    await client.send(PUT % 5 + b"hello")
    await client.send(GET)
    await begin(wire)
    for _ in range(read):
        await wire.body.receive()
    await respond(wire, Response(200, (), Stream(produce)))
    assert wire.is_ready or await wire.next_cycle()
    assert (await client.response()).body == (b"hello!" if read else b"hellohello")
    await begin(wire)
    await respond(wire, Response(200, (), b"next"))
    assert (await client.response()).body == b"next"


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("kind", ["bytes", "file"])
@pytest.mark.parametrize("size", [2**17, 2**21])  # fits into the socket buffer; does not fit
async def test_response_larger_than_the_socket_buffer_is_sent_whole(
    size: int,
    kind: str,
    plain: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    much = os.urandom(size)
    path = tmp_path / "file"
    path.write_bytes(much)
    received = bytearray()
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    with path.open("rb") as file:
        async with listener, await trio.testing.open_stream_to_socket_listener(listener) as client:
            transport = transport_of(await listener.accept(), Timeouts())
            wire = Wire(transport, Timeouts(), Limits(), Behavior(fast_path=plain))
            await client.send_all(GET)
            await begin(wire)
            body = much if kind == "bytes" else FileSlice(file.fileno(), 0, size)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(respond, wire, Response(200, (), body))
                while len(received) < size or not received.endswith(much[-1024:]):
                    received += await client.receive_some()
            assert wire.response_has_left
            assert wire.sent == size
            await transport.aclose()
    head, _, sent = bytes(received).partition(b"\r\n\r\n")
    assert head == b"HTTP/1.1 200 OK\r\nContent-Length: %d" % size
    assert sent == much


@pytest.mark.parametrize("plain", [True, False])
async def test_rest_of_interim_response_precedes_the_response(
    plain: bool,  # noqa: FBT001
) -> None:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    async with listener, await trio.testing.open_stream_to_socket_listener(listener) as client:
        transport = transport_of(await listener.accept(), Timeouts())
        wire = Wire(transport, Timeouts(), Limits(), Behavior(fast_path=plain))
        await client.send_all(GET)
        await begin(wire)
        interim = 0
        given_up = trio.CancelScope()
        while not given_up.cancelled_caught:  # until the socket buffer is full
            given_up = trio.CancelScope()
            given_up.cancel()
            interim += 1
            with given_up:
                await wire.inform(103, ((b"Link", b"x" * 30_000),))
        received = bytearray()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(respond, wire, Response(200, (), b"hello"))
            while not received.endswith(b"hello"):
                received += await client.receive_some()
        await transport.aclose()
    assert received == (
        b"HTTP/1.1 103 Early Hints\r\nLink: %b\r\n\r\n" % (b"x" * 30_000) * interim
        + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    )


async def test_unsent_bytes_are_not_counted(connect: Connected) -> None:
    wire, client = connect()
    await client.send(GET)
    await begin(wire)
    with trio.CancelScope() as given_up:

        async def produce(send: Send) -> None:
            await send(b"hello")
            given_up.cancel()
            await send(b"world")

        await respond(wire, Response(200, (), Stream(produce, 10)))
    assert given_up.cancelled_caught
    wire.settle()
    assert wire.sent == 5
