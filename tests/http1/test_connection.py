"""Connections from first to last byte, with misbehaving clients and failing apps."""

import http.client
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support import stream_of, tls_contexts
from trio.testing import (
    MemoryReceiveStream,
    MemorySendStream,
    MockClock,
    memory_stream_pair,
    wait_all_tasks_blocked,
)

from trio_http.http1.app_lifetime import answering
from trio_http.http1.connection import Service, serve_connection
from trio_http.http1.exchange import App, Exchange
from trio_http.http1.server_events import (
    Connected,
    Disconnected,
    Ending,
    Failure,
    Record,
    Report,
    ServerEvent,
    report_failures,
)
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.bodies import Body, Chain, Encoded, FileSlice, Send, Stream
from trio_http.semantics.errors import ClientDisconnected, HTTPError
from trio_http.semantics.limits import Limits
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response
from trio_http.semantics.timeouts import Timeouts
from trio_http.serving.idle_connections import KeepAliveQueue
from trio_http.serving.single_stream import serve_stream
from trio_http.testing import Client, open_client
from trio_http.transport.stream import transport_of

MemoryStream = trio.StapledStream[MemorySendStream, MemoryReceiveStream]

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
LEAF = ValueError("a leaf")


class Events(list[ServerEvent]):
    """The events that a connection reported, in order."""

    def records(self) -> list[Record]:
        return [event for event in self if isinstance(event, Record)]

    def statuses(self) -> list[int]:
        return [record.status for record in self.records()]

    def endings(self) -> list[Ending]:
        return [record.ending for record in self.records()]

    def errors(self) -> list[BaseException]:
        return [event.error for event in self if isinstance(event, Failure)]


@answering
async def hello(request: Request) -> Response:
    return Response(200, body=b"hello")


@answering
async def echo(request: Request) -> Response:
    body = await request.read()
    return Response(200, body=f"{request.method} {request.target} ".encode() + body)


def raising(error: BaseException) -> App:
    """Return an app that raises ``error`` for every path except ``/well``."""

    @answering
    async def app(request: Request) -> Response:
        if request.path == "/well":
            return Response(200)
        raise error

    return app


async def tcp_pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    """Return the server's and the client's end of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = await trio.open_tcp_stream(*listening.getsockname())
        ours, _ = listening.accept()
    return trio.SocketStream(trio.socket.from_stdlib_socket(ours)), theirs


@asynccontextmanager
async def tcp_client(
    app: App,
    report: Report = report_failures,
    timeouts: Timeouts = Timeouts(),  # noqa: B008 - a frozen value
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
    behavior: Behavior = Behavior(),  # noqa: B008 - a frozen value
) -> AsyncIterator[Client]:
    ours, theirs = await tcp_pair()
    # The server's end of the connection runs concurrently with the test.
    async with theirs, trio.open_nursery() as nursery:
        serve = partial(
            serve_stream, app, ours, report=report, timeouts=timeouts, behavior=behavior
        )
        nursery.start_soon(serve)
        yield Client(theirs)
        nursery.cancel_scope.cancel()


# Sequences of requests


async def test_connection_serves_many_requests() -> None:
    events = Events()
    async with open_client(echo, report=events.append) as client:
        for target in ("/1", "/2", "/3"):
            answer = await client.get(target)
            assert answer.body == f"GET {target} ".encode()
            assert "Connection" not in answer.headers
    assert isinstance(events[0], Connected)
    assert [record.line for record in events.records()] == [
        b"GET /1 HTTP/1.1",
        b"GET /2 HTTP/1.1",
        b"GET /3 HTTP/1.1",
    ]
    assert isinstance(events[-1], Disconnected)
    assert len(events) == 5


async def test_pipelined_requests_get_responses_in_order() -> None:
    async with open_client(echo) as client:
        await client.send(
            b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"
            b"PUT /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
            b"PUT /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
            b"GET /4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            b"GET /5 HTTP/1.1\r\nHost: x\r\n\r\n"  # after the last request
        )
        answers = [await client.response() for _ in range(4)]
        assert [answer.body for answer in answers] == [
            b"GET /1 ",
            b"PUT /2 hi",
            b"PUT /3 hi",
            b"GET /4 ",
        ]
        assert await client.rest() == b""


async def test_request_in_single_bytes_is_served() -> None:
    async with open_client(echo, behavior=Behavior(date=False)) as client:
        for byte in b"\r\nPUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello":
            await client.send(bytes([byte]))
            await wait_all_tasks_blocked()
        assert (await client.response()).body == b"PUT / hello"


async def test_connection_close_ends_the_connection() -> None:
    async with open_client(hello) as client:
        await client.send(LAST)
        assert (await client.response()).headers["Connection"] == "close"
        assert await client.rest() == b""


async def test_http_1_0_connection_ends_after_one_request() -> None:
    async with open_client(hello, behavior=Behavior(date=False)) as client:
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert await client.rest() == HELLO.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


@pytest.mark.parametrize("version", [b"1.2", b"1.9"])
async def test_higher_minor_version_is_served_as_1_1(version: bytes) -> None:
    # RFC 9110 2.5. Only the request line in the record shows the original version.
    @answering
    async def app(request: Request) -> Response:
        return Response(200, body=request.version.encode() + b" " + await request.read())

    events = Events()
    async with open_client(app, report=events.append) as client:
        head = b"PUT / HTTP/" + version + b"\r\nHost: x\r\n"
        await client.send(head + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert (await client.response()).status == 100
        await client.send(b"hello")
        assert (await client.response()).body == b"1.1 hello"
        await client.send(head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        answer = await client.response()  # the connection has stayed open
        assert (answer.body, "Connection" in answer.headers) == (b"1.1 hello", False)
        await client.send(head + b"Connection: close\r\n\r\n")
        assert (await client.response()).headers["Connection"] == "close"
    assert events.records()[0].line == b"PUT / HTTP/" + version


@pytest.mark.parametrize(
    ("target", "host", "expected"),
    [
        (b"http://b/", b"Host:\r\n", "b"),  # RFC 9112 3.2.2: the target's authority counts
        (b"http://b/", b"Host: c\r\n", "b"),
        (b"http://b:80", b"Host: b\r\n", "b:80"),
        (b"http://[::1]:80/", b"Host:\r\n", "[::1]:80"),
        (b"/", b"Host: c\r\n", "c"),
        (b"/", b"Host:\r\n", ""),
    ],
)
async def test_authority_in_target_replaces_host(target: bytes, host: bytes, expected: str) -> None:
    @answering
    async def app(request: Request) -> Response:
        return Response.text(f"{request.headers['Host']} {request.path}")

    async with open_client(app) as client:
        await client.send(b"GET " + target + b" HTTP/1.1\r\n" + host + b"\r\n")
        assert (await client.response()).body == f"{expected} /".encode()


async def test_half_closed_client_gets_its_responses() -> None:
    # ``printf ... | nc`` half-closes like this and still waits for the responses.
    events = Events()
    async with open_client(hello, behavior=Behavior(date=False), report=events.append) as client:
        await client.send(GET * 2)
        await client.send_eof()
        assert await client.rest() == HELLO * 2
    assert events.endings() == [Ending.COMPLETE] * 2


async def test_connection_without_requests_has_no_record() -> None:
    events = Events()
    async with open_client(hello, report=events.append) as client:
        await client.send_eof()
        assert await client.rest() == b""
    assert events == [Connected("local"), Disconnected("local")]


async def test_head_request_gets_the_fields_of_get_without_body() -> None:
    async with open_client(hello) as client:
        answer = await client.request("HEAD", "/")
        assert (answer.headers["Content-Length"], answer.body) == ("5", b"")
        assert (await client.get("/")).body == b"hello"


async def test_record_describes_the_exchange() -> None:
    events = Events()

    @answering
    async def app(request: Request) -> Response:
        async def produce(send: Send) -> None:
            await send(b"hello")
            await send(b"!")

        return Response(203, body=Stream(produce))

    near, far = memory_stream_pair()
    await near.send_all(LAST)
    await near.send_eof()
    await serve_stream(app, far, report=events.append, client="203.0.113.1:1234")
    (record,) = events.records()
    assert record.client == "203.0.113.1:1234"
    assert record.line == b"GET / HTTP/1.1"
    assert record.request is not None
    assert record.request.client == "203.0.113.1:1234"
    assert (record.status, record.sent, record.ending) == (203, 6, Ending.COMPLETE)
    assert events[0] == Connected("203.0.113.1:1234")
    assert events[-1] == Disconnected("203.0.113.1:1234")


async def test_exchange_is_timed_from_its_complete_head(autojump_clock: MockClock) -> None:
    events = Events()

    @answering
    async def app(request: Request) -> Response:
        await trio.sleep(3)
        return Response(200)

    async with open_client(app, report=events.append) as client:
        await client.send(GET[:5])
        await trio.sleep(4)
        await client.send(GET[5:])
        await client.response()
    assert [record.seconds for record in events.records()] == [3]


# Refused requests


async def test_idle_connection_is_closed_after_the_timeout(autojump_clock: MockClock) -> None:
    async with open_client(hello, timeouts=Timeouts(idle=75)) as client:
        assert await client.rest() == b""
        assert trio.current_time() == 75
    async with open_client(hello, timeouts=Timeouts(idle=75)) as client:
        await client.get("/")
        start = trio.current_time()
        assert await client.rest() == b""
        assert trio.current_time() == start + 75


async def test_slow_head_gets_408(autojump_clock: MockClock) -> None:
    events = Events()
    async with open_client(hello, timeouts=Timeouts(head=10), report=events.append) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost:")
        answer = await client.response()
        assert (answer.status, answer.headers["Connection"]) == (408, "close")
        assert trio.current_time() == 10
        assert await client.rest() == b""
    (record,) = events.records()
    assert (record.line, record.request, record.status) == (b"GET / HTTP/1.1", None, 408)
    assert record.ending is Ending.COMPLETE


async def test_stalled_body_gets_408(autojump_clock: MockClock) -> None:
    async with open_client(echo, timeouts=Timeouts(receive=30)) as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell")
        answer = await client.response()
        assert (answer.status, answer.headers["Connection"]) == (408, "close")
        assert trio.current_time() == 30


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"\x16\x03\x01\x00\xa5\x01\x00", 400),  # a TLS client
        (b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n", 413),
        (b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (b"GET /" + b"x" * 10000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 40000 + b"\r\n\r\n", 431),
        (b"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"GET / HTTP/1.2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: [1::2::3]\r\n\r\n", 400),
        (b"GET http://[:]/ HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET http://b/ HTTP/1.1\r\n\r\n", 400),
    ],
)
async def test_refused_request_ends_the_connection(
    sent: bytes, status: int, autojump_clock: MockClock
) -> None:
    events = Events()
    async with open_client(echo, limits=Limits(body=100), report=events.append) as client:
        await client.send(sent + GET)
        answer = await client.response()
        assert (answer.status, answer.headers["Connection"]) == (status, "close")
        assert "Date" in answer.headers
        assert answer.headers["Content-Length"] == str(len(answer.body))
        assert answer.body.startswith(str(status).encode())
        assert await client.rest() == b""  # the bytes after it are not read as a request
    assert events.statuses() == [status]
    assert events.endings() == [Ending.COMPLETE]
    assert not events.errors()  # the client's mistake is not a failure of the app


@pytest.mark.parametrize(
    "head",
    [
        b"GET /% HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /a%4x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n C: d\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: b\r\n\tHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA\r\n: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n-upload\r\n\r\n",
    ],
)
async def test_malformed_plain_head_gets_400_on_every_interpreter(head: bytes) -> None:
    # The regular expressions of CPython 3.11.0 to 3.11.4 matched such heads as plain.
    async with open_client(echo) as client:
        await client.send(head + GET)
        assert (await client.response()).status == 400
        assert await client.rest() == b""


# Read and unread bodies


@pytest.mark.parametrize(
    "fields",
    [
        # `curl -H 'Expect;'` sends an empty field.
        b"Host: x\r\nContent-Length: 7\r\nExpect:\r\n",
        b"Host: x\r\nExpect:\r\nContent-Length: 7\r\n",
        b"Expect: \r\nHost: x\r\nContent-Length: 7\r\n",
        b"Content-Length: 7\r\nExpect:\r\nHost: x\r\nA: b\r\n",
        b"Content-Length: 7\r\nHost: x\r\nConnection:\r\n",
        b"Content-Length: 7\r\nHost: x\r\nTe:\r\nTrailer:\r\nA:\r\n",
    ],
)
async def test_empty_field_does_not_end_the_head(fields: bytes) -> None:
    async with open_client(echo) as client:
        await client.send(b"POST / HTTP/1.1\r\n" + fields + b"\r\nhelloXY" + GET)
        assert (await client.response()).body == b"POST / helloXY"
        assert (await client.response()).body == b"GET / "


async def test_unread_body_gets_no_100_and_connection_close() -> None:
    async with open_client(hello) as client:
        await client.send(
            b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
        answer = await client.response()
        assert (answer.status, answer.headers["Connection"]) == (200, "close")
        assert await client.rest() == b""


async def test_reading_the_body_sends_100_continue() -> None:
    async with open_client(echo) as client:
        await client.send(
            b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        )
        assert (await client.response()).status == 100
        await client.send(b"hello")
        assert (await client.response()).body == b"PUT / hello"
        assert (await client.get("/")).status == 200


async def test_small_unread_body_is_skipped() -> None:
    async with open_client(hello) as client:
        answer = await client.request("PUT", "/", body=bytes(256 * 1024))
        assert "Connection" not in answer.headers
        assert (await client.get("/")).body == b"hello"


async def test_response_to_large_unread_body_arrives() -> None:
    # Closing at once would send a reset, which erases the response from the client's buffer.
    events = Events()
    async with tcp_client(hello, events.append) as client:
        answer = await client.request("PUT", "/", body=bytes(4 * 1024 * 1024))
        assert (answer.body, answer.headers["Connection"]) == (b"hello", "close")
        assert await client.rest() == b""
    assert events.endings() == [Ending.COMPLETE]


LARGE = 6 * 1024 * 1024  # more than the socket buffers of both ends hold


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"Content-Length: %d" % LARGE, bytes(64 * 1024)),
        (b"Transfer-Encoding: chunked", b"10000\r\n" + bytes(64 * 1024) + b"\r\n"),
    ],
)
@pytest.mark.parametrize(
    ("app", "limits", "status"),
    [
        (echo, Limits(body=100_000), 413),  # at once, or when the limit has been received
        (echo, Limits(), 413),  # raised by ``read``, which has its own limit
        (raising(HTTPError(409)), Limits(), 409),
        (raising(HTTPError(412)), Limits(), 412),
        (raising(LEAF), Limits(), 500),
    ],
)
async def test_refused_upload_gets_its_response_while_still_sending(
    head: bytes, piece: bytes, app: App, limits: Limits, status: int
) -> None:
    events = Events()
    async with tcp_client(app, events.append, limits=limits) as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: x\r\n%b\r\n\r\n" % head)
        for _ in range(LARGE // (64 * 1024)):
            await client.send(piece)
        # A client that only now begins to read finds the response and no reset.
        assert (await client.response()).status == status
        assert await client.rest() == b""
    assert events.endings() == [Ending.COMPLETE]


async def test_malformed_head_gets_400_over_a_socket() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with (
        listener,
        await trio.testing.open_stream_to_socket_listener(listener) as client,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(serve_stream, hello, await listener.accept())
        await client.send_all(b"nonsense\r\n\r\n")
        received = b"".join([piece async for piece in client])
        await client.aclose()
    assert received.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\nConnection: close\r\n" in received


UPLOAD = bytes(60_000_000)


@pytest.mark.parametrize("status", [412, 413])
@pytest.mark.parametrize(
    "body", [UPLOAD, [UPLOAD[:500_000]] * 120], ids=["of known length", "in chunks"]
)
async def test_client_that_sends_its_whole_body_first_gets_the_response(
    body: bytes | list[bytes], status: int
) -> None:
    events = Events()
    refuse = raising(HTTPError(status, "not this"))

    def upload(port: int) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", port)) as client:
            client.request("PUT", "/", body)
            response = client.getresponse()
            return response.status, response.read()

    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def serve() -> None:
            await serve_stream(refuse, await listener.accept(), report=events.append)

        port = listener.socket.getsockname()[1]
        heard, text = await trio.to_thread.run_sync(upload, port)
    assert (heard, b"not this" in text) == (status, True)
    assert events.endings() == [Ending.COMPLETE]


async def test_client_that_never_stops_sending_is_disconnected() -> None:
    async with tcp_client(hello, timeouts=Timeouts(linger=0)) as client:
        await client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n")

        async def send_on() -> None:
            while True:
                await client.send(bytes(1024))

        with pytest.raises(trio.BrokenResourceError):
            await send_on()


# Failing handlers


async def test_handler_error_gets_500_without_details_and_is_reported() -> None:
    events, error = Events(), ValueError("a secret")
    async with open_client(raising(error), report=events.append) as client:
        answer = await client.get("/ill")
        assert (answer.status, answer.reason) == (500, "Internal Server Error")
        assert answer.body == b"500 Internal Server Error\n"
        assert "Connection" not in answer.headers
        assert (await client.get("/well")).status == 200
    assert events[1] == Failure("local", b"GET /ill HTTP/1.1", error)
    assert events.statuses() == [500, 200]
    assert events.endings() == [Ending.COMPLETE] * 2


async def test_failures_are_logged_by_default(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_client(raising(ValueError("a secret"))) as client:
        assert (await client.get("/")).status == 500
    assert "a secret" in caplog.text


async def test_http_error_is_sent_to_the_client_and_not_reported() -> None:
    events = Events()
    error = HTTPError(405, "try GET", {"Allow": "GET"})
    async with open_client(raising(error), report=events.append) as client:
        answer = await client.request("PUT", "/", body=b"hello")
        assert (answer.status, answer.headers["Allow"]) == (405, "GET")
        assert b"try GET" in answer.body
        assert (await client.get("/well")).status == 200
    assert not events.errors()


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("*/*", "text/plain; charset=utf-8"),
        ("text/html,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"),
        ("application/json", "application/problem+json"),  # RFC 9457
    ],
)
@pytest.mark.parametrize("error", [HTTPError(404), LEAF])
async def test_error_page_has_the_format_that_the_client_accepts(
    error: Exception, accept: str, content_type: str
) -> None:
    async with open_client(raising(error), report=Events().append) as client:
        answer = await client.get("/", {"Accept": accept})
        assert answer.headers["Content-Type"] == content_type
        assert b"404" in answer.body or b"500" in answer.body
        assert (await client.get("/")).headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_refused_head_gets_a_plain_text_error() -> None:
    async with open_client(hello) as client:
        answer = await client.request("G@T", "/", {"Accept": "text/html"})
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


async def test_error_response_to_head_has_no_body() -> None:
    async with open_client(raising(HTTPError(404))) as client:
        answer = await client.request("HEAD", "/")
        assert (answer.status, answer.body) == (404, b"")
        assert (await client.get("/well")).status == 200
        # An error response has a Content-Length like any other response.
        answer = await client.get("/")
        assert answer.headers["Content-Length"] == str(len(answer.body))


TWO = ExceptionGroup("", [ValueError("one"), ValueError("two")])


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (LEAF, LEAF),
        (ExceptionGroup("", [LEAF]), LEAF),
        (ExceptionGroup("", [ExceptionGroup("", [LEAF])]), LEAF),
        (ExceptionGroup("", [TWO]), TWO),
    ],
)
async def test_exception_group_of_one_is_reported_as_its_exception(
    raised: Exception, told: Exception
) -> None:
    events = Events()
    async with open_client(raising(raised), report=events.append) as client:
        assert (await client.get("/")).status == 500
        assert (await client.get("/well")).status == 200
    (error,) = events.errors()
    if isinstance(told, ExceptionGroup):  # ``except*`` creates a new group
        assert isinstance(error, ExceptionGroup)
        assert error.exceptions == told.exceptions
    else:
        assert error is told


async def test_error_in_nursery_gets_its_status_and_connection_persists() -> None:
    events = Events()

    @answering
    async def app(request: Request) -> Response:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            raise HTTPError(418) if request.path == "/tea" else LEAF

    async with open_client(app, report=events.append) as client:
        assert (await client.get("/")).status == 500
        assert (await client.get("/tea")).status == 418
    assert events.errors() == [LEAF]


async def test_error_during_cancellation_is_reported() -> None:
    events = Events()

    async def app(exchange: Exchange) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise LEAF

    near, far = memory_stream_pair()
    await near.send_all(GET)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(serve_stream, app, far, report=events.append))
            await wait_all_tasks_blocked()
            scope.cancel()
    assert scope.cancelled_caught
    assert events.errors() == [LEAF]
    assert events.endings() == [Ending.CANCELLED]
    assert isinstance(events[-1], Disconnected)


async def test_failing_connection_does_not_affect_others() -> None:
    clients = []
    # Both connections run in one nursery, as in a server.
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            near, far = memory_stream_pair()
            serve = partial(serve_stream, raising(LEAF), far, report=Events().append)
            nursery.start_soon(serve)
            clients.append(Client(near))
        ill, well = clients
        assert (await well.get("/well")).status == 200
        assert (await ill.get("/")).status == 500
        assert (await well.get("/well")).status == 200
        await ill.send_eof()
        await well.send_eof()


async def test_app_that_returns_without_response_gets_500() -> None:
    events = Events()

    async def app(exchange: Exchange) -> None:
        await exchange.inform(103)

    async with open_client(app, report=events.append) as client:
        assert (await client.get("/")).status == 103
        assert (await client.response()).status == 500
    (error,) = events.errors()
    assert isinstance(error, RuntimeError)
    assert "without a response" in str(error)


@pytest.mark.parametrize(
    "response",
    [
        Response(200, {"Content-Length": "6"}, b"hello"),
        Response(99),
        Response(1000),
        Response(101),
    ],
)
async def test_response_that_cannot_be_sent_gets_500(response: Response) -> None:
    events = Events()

    @answering
    async def app(request: Request) -> Response:
        return response

    async with open_client(app, report=events.append) as client:
        for _ in range(2):
            assert (await client.get("/")).status == 500
    assert len(events.errors()) == 2


async def test_error_response_that_cannot_be_sent_ends_the_connection() -> None:
    events = Events()
    async with open_client(raising(HTTPError(99)), report=events.append) as client:
        await client.send(GET)
        assert await client.rest() == b""
    assert len(events.errors()) == 1
    assert events.endings() == [Ending.ABORTED]
    assert events.statuses() == [0]


# Responses that fail after their head was sent


def breaking(error: Exception) -> App:
    @answering
    async def app(request: Request) -> Response:
        async def produce(send: Send) -> None:
            await send(b"hello")
            raise error

        return Response(200, body=Stream(produce))

    return app


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (LEAF, [LEAF]),
        (HTTPError(404), []),  # too late to be sent, but not a failure of the app
    ],
)
async def test_failed_stream_is_never_complete_for_the_client(
    error: Exception, told: list[Exception]
) -> None:
    events = Events()
    async with open_client(breaking(error), report=events.append) as client:
        await client.send(GET * 2)
        with pytest.raises(EOFError):
            await client.response()
    assert events.errors() == told
    (record,) = events.records()
    assert (record.status, record.sent, record.ending) == (200, 5, Ending.ABORTED)


async def test_failed_http_1_0_stream_ends_with_reset() -> None:
    # For a client of HTTP/1.0, closing the connection ends the body. Only a reset shows
    # that the body is incomplete.
    async with tcp_client(breaking(LEAF), Events().append) as client:
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(trio.BrokenResourceError) as broken:
            await client.rest()
        assert isinstance(broken.value.__cause__, ConnectionResetError)


@pytest.mark.parametrize("pieces", [[b"hell"], [b"hello", b"!"]])
async def test_wrong_length_ends_the_connection(pieces: Sequence[bytes]) -> None:
    events = Events()

    @answering
    async def app(request: Request) -> Response:
        async def produce(send: Send) -> None:
            for piece in pieces:
                await send(piece)

        return Response(200, body=Stream(produce, length=5))

    async with open_client(app, behavior=Behavior(date=False), report=events.append) as client:
        await client.send(GET * 2)
        # The client gets at most one whole response, and never the beginning of a second one.
        assert await client.rest() == HELLO[: -len(b"hello")] + pieces[0]
    assert len(events.errors()) == 1
    assert events.endings() == [Ending.ABORTED]


def content_in(received: bytes) -> bytes:
    """Return the received bytes of a body without framing."""
    head, _, rest = received.partition(b"\r\n\r\n")
    if b"chunked" not in head:
        return rest
    pieces = []
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        pieces.append(rest[: int(size, 16)])
        rest = rest[int(size, 16) + 2 :]
    return b"".join(pieces)


# More than a socket buffer holds, even when compressed.
MUCH = os.urandom(1024 * 1024)


def in_pieces(size: int) -> Stream:
    async def produce(send: Send) -> None:
        for start in range(0, len(MUCH), size):
            await send(MUCH[start : start + size])

    return Stream(produce)


@pytest.mark.parametrize("end", ["cancelled", "given up"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize(
    "body",
    [
        MUCH,
        FileSlice(-1, 5, len(MUCH) - 5),
        Chain((b"a head", FileSlice(-1, 5, 5), MUCH, b"a tail")),
        in_pieces(len(MUCH)),
        in_pieces(1000),
        Encoded(MUCH, "gzip"),
        Encoded(in_pieces(1000), "gzip"),
    ],
    ids=["bytes", "file", "chain", "piece", "pieces", "coded", "coded pieces"],
)
async def test_record_of_aborted_download_counts_the_received_bytes(  # noqa: PLR0917
    body: Body,
    plain: bool,  # noqa: FBT001
    version: str,
    end: str,
    tmp_path: Path,
    socket_pair: tuple[socket.socket, socket.socket],
    autojump_clock: MockClock,
) -> None:
    events, (ours, theirs) = Events(), socket_pair
    path = tmp_path / "file"
    path.write_bytes(MUCH)

    async def app(exchange: Exchange) -> None:
        with path.open("rb") as file:
            await exchange.respond(Response(200, body=with_file(body, file.fileno())))

    stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours.dup()))
    theirs.send(f"GET / HTTP/{version}\r\nHost: x\r\n\r\n".encode())
    timeouts = Timeouts(send=60 if end == "cancelled" else 3)
    with trio.move_on_after(30):
        await serve_stream(
            app, stream, report=events.append, timeouts=timeouts, behavior=Behavior(fast_path=plain)
        )
    ours.close()
    received = b"".join(iter(lambda: theirs.recv(65536), b""))
    (record,) = events.records()
    assert record.ending in {Ending.CANCELLED, Ending.DISCONNECTED}
    assert 0 < record.sent == len(content_in(received)) < len(MUCH)


def with_file(body: Body, descriptor: int) -> Body:
    """Return the body with its parts of files taken from ``descriptor``."""
    match body:
        case FileSlice():
            return FileSlice(descriptor, body.offset, body.length)
        case Chain():
            return Chain(tuple([with_file(part, descriptor) for part in body.parts]))
        case _:
            return body


async def test_record_for_departed_client_counts_no_bytes() -> None:
    events = Events()
    ours, theirs = await tcp_pair()

    @answering
    async def app(request: Request) -> Response:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await theirs.aclose()
        return Response(200, body=MUCH)

    await theirs.send_all(GET)
    await serve_stream(app, ours, report=events.append)
    (record,) = events.records()
    assert (record.sent, record.ending) == (0, Ending.DISCONNECTED)


@pytest.mark.parametrize("plain", [True, False])
async def test_cancelled_send_leaves_no_gap_in_the_body(
    plain: bool,  # noqa: FBT001
    autojump_clock: MockClock,
) -> None:
    events = Events()

    @answering
    async def app(request: Request) -> Response:
        async def produce(send: Send) -> None:
            with trio.move_on_after(1) as impatience:
                await send(MUCH)
            assert impatience.cancelled_caught
            await send(b"end")

        return Response(200, body=Stream(produce))

    async with tcp_client(app, events.append, behavior=Behavior(fast_path=plain)) as client:
        await client.send(GET)
        await trio.sleep(2)
        assert (await client.response()).body == MUCH + b"end"
    assert events.records()[0].sent == len(MUCH) + 3


async def test_swallowed_stream_error_still_aborts() -> None:
    events = Events()

    async def app(exchange: Exchange) -> None:
        async def produce(send: Send) -> None:
            await send(b"hello")
            raise LEAF

        with pytest.raises(ValueError, match="a leaf"):
            await exchange.respond(Response(200, body=Stream(produce)))

    async with open_client(app, report=events.append) as client:
        await client.send(GET)
        with pytest.raises(EOFError):
            await client.response()
    assert events.endings() == [Ending.ABORTED]


async def test_error_after_whole_response_keeps_the_connection() -> None:
    events = Events()

    async def app(exchange: Exchange) -> None:
        await exchange.respond(Response(200, body=b"hello"))
        raise LEAF

    async with open_client(app, report=events.append) as client:
        for _ in range(2):
            assert (await client.get("/")).body == b"hello"
    assert events.errors() == [LEAF] * 2
    assert events.endings() == [Ending.COMPLETE] * 2


async def test_malformed_body_read_after_response_ends_the_connection() -> None:
    async def app(exchange: Exchange) -> None:
        await exchange.respond(Response(200, body=b"hello"))
        await exchange.request.read()

    events = Events()
    async with open_client(app, report=events.append) as client:
        chunked = {"Transfer-Encoding": "chunked"}
        assert (await client.request("PUT", "/", chunked, b"x\r\n" + GET)).body == b"hello"
        await client.send_eof()
        assert await client.rest() == b""
    assert events.statuses() == [200]
    assert not events.errors()


# Clients that disconnect


async def streaming(exchange: Exchange) -> None:
    async def produce(send: Send) -> None:
        while True:
            await send(bytes(1024))

    await exchange.respond(Response(200, body=Stream(produce)))


async def test_disconnect_during_response_raises_client_disconnected() -> None:
    events, seen = Events(), []

    async def app(exchange: Exchange) -> None:
        try:
            await streaming(exchange)
        except ClientDisconnected as error:
            seen.append(error)
            raise

    async def leave() -> None:
        await theirs.send_all(GET)
        await theirs.receive_some()
        await theirs.aclose()

    ours, theirs = await tcp_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leave)
        await serve_stream(app, ours, report=events.append)
    assert len(seen) == 1
    assert events.endings() == [Ending.DISCONNECTED]
    assert not events.errors()


async def test_reset_during_request_body_ends_as_disconnected() -> None:
    events = Events()

    async def leave() -> None:
        await theirs.send_all(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell")
        await wait_all_tasks_blocked()
        # The kernel sends a reset for an application that crashes.
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await theirs.aclose()

    ours, theirs = await tcp_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(leave)
        await serve_stream(echo, ours, report=events.append)
    assert events.endings() == [Ending.DISCONNECTED]
    assert events.statuses() == [0]
    assert not events.errors()


async def test_reset_of_idle_connection_is_not_reported() -> None:
    async def reset() -> None:
        await trio.lowlevel.checkpoint()
        raise trio.BrokenResourceError

    events = Events()
    _, far = memory_stream_pair()
    far.receive_stream.receive_some_hook = reset
    await serve_stream(hello, far, report=events.append)
    assert events == [Connected("local"), Disconnected("local")]


async def test_broken_stream_is_closed_without_waiting(autojump_clock: MockClock) -> None:
    class Polite(Script):
        """A broken stream whose ``aclose`` never returns."""

        async def receive_some(self, max_bytes: int | None = None) -> bytes:
            await super().receive_some(max_bytes)
            raise trio.BrokenResourceError

        async def aclose(self) -> None:
            await trio.sleep_forever()

    await serve_stream(hello, Polite([]), report=Events().append)
    assert trio.current_time() == 0


async def test_incomplete_head_or_body_gets_400() -> None:
    events = Events()
    for sent in (GET[:-2], b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell"):
        async with open_client(echo, report=events.append) as client:
            await client.send(sent)
            await client.send_eof()
            assert (await client.response()).status == 400
    assert events.endings() == [Ending.COMPLETE] * 2


async def test_app_error_after_disconnect_ends_as_disconnected() -> None:
    events = Events()
    near, far = memory_stream_pair()

    async def app(exchange: Exchange) -> None:
        await near.aclose()
        raise LEAF

    await near.send_all(GET)
    await serve_stream(app, far, report=events.append)
    assert events.errors() == [LEAF]
    assert events.endings() == [Ending.DISCONNECTED]


async def test_client_disconnected_error_sends_nothing() -> None:
    async with open_client(raising(ClientDisconnected("gone")), report=Events().append) as client:
        await client.send(GET)
        assert await client.rest() == b""


async def test_client_that_never_reads_is_disconnected(autojump_clock: MockClock) -> None:
    events = Events()
    near, far = memory_stream_pair()
    far.send_stream.send_all_hook = trio.sleep_forever
    await near.send_all(GET)
    await serve_stream(hello, far, report=events.append, timeouts=Timeouts(send=30))
    assert trio.current_time() == 30
    assert events.endings() == [Ending.DISCONNECTED]
    assert not events.errors()


@pytest.mark.parametrize(("rate", "ending"), [(0, Ending.COMPLETE), (500, Ending.DISCONNECTED)])
async def test_client_that_reads_below_the_minimum_rate_is_disconnected(
    rate: int, ending: Ending, autojump_clock: MockClock
) -> None:
    events = Events()
    near, far = memory_stream_pair()

    async def read_slowly() -> None:
        await trio.sleep(29)

    async def app(exchange: Exchange) -> None:
        await exchange.respond(Response(200, {}, stream_of(*[b"tick"] * 9)))

    far.send_stream.send_all_hook = read_slowly
    await near.send_all(GET)
    await near.send_eof()
    limits = Limits(send_rate=rate)
    timeouts = Timeouts(send=30)
    await serve_stream(app, far, report=events.append, timeouts=timeouts, limits=limits)
    assert events.endings() == [ending]
    assert not events.errors()


async def test_silent_event_stream_is_not_disconnected(autojump_clock: MockClock) -> None:
    async def tick(send: Send) -> None:
        for _ in range(3):
            await trio.sleep(50_000)
            await send(b"tick")

    async def app(exchange: Exchange) -> None:
        await exchange.respond(Response(200, {}, Stream(tick)))

    async with open_client(app) as client:
        await client.send(GET)
        assert (await client.response()).body == b"tick" * 3


# Shutdown


async def waits(exchange: Exchange) -> None:
    await trio.sleep_forever()


async def test_cancelled_exchange_is_recorded_as_cancelled() -> None:
    events = Events()
    async with open_client(waits, report=events.append) as client:
        await client.send(GET)
        await wait_all_tasks_blocked()
    (record,) = events.records()
    assert (record.status, record.ending) == (0, Ending.CANCELLED)
    assert not events.errors()
    assert isinstance(events[-1], Disconnected)


async def test_cancelled_response_ends_with_reset() -> None:
    async def app(exchange: Exchange) -> None:
        async def produce(send: Send) -> None:
            await send(b"hello")
            await trio.sleep_forever()

        await exchange.respond(Response(200, body=Stream(produce)))

    ours, theirs = await tcp_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_stream, app, ours)
        await theirs.send_all(b"GET / HTTP/1.0\r\n\r\n")
        while not (await theirs.receive_some()).endswith(b"hello"):
            pass
        nursery.cancel_scope.cancel()
    with pytest.raises(trio.BrokenResourceError):
        await theirs.receive_some()
    await theirs.aclose()


@asynccontextmanager
async def client_of(service: Service) -> AsyncIterator[Client]:
    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, service, transport_of(far, Timeouts()), "local")
        yield Client(near)
        await near.aclose()


async def test_shutdown_closes_idle_connections() -> None:
    queue = KeepAliveQueue(75)
    service = Service(hello, queue)
    async with client_of(service) as fresh, client_of(service) as used:
        assert (await used.get("/")).body == b"hello"
        queue.end()
        assert await fresh.rest() == b""
        assert await used.rest() == b""


async def test_shutdown_does_not_wait_for_idle_client(autojump_clock: MockClock) -> None:
    queue = KeepAliveQueue(75)
    service = Service(hello, queue)
    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, service, transport_of(far, Timeouts()), "local")
        assert (await Client(near).get("/")).body == b"hello"
        await wait_all_tasks_blocked()
        queue.end()
    assert trio.current_time() == 0


async def test_running_exchange_is_the_last_at_shutdown() -> None:
    release = trio.Event()

    @answering
    async def app(request: Request) -> Response:
        await release.wait()
        return Response(200, body=b"hello")

    queue = KeepAliveQueue(75)
    service = Service(app, queue)
    async with client_of(service) as client:
        await client.send(GET * 2)
        await wait_all_tasks_blocked()
        queue.end()
        release.set()
        answer = await client.response()
        assert (answer.body, answer.headers["Connection"]) == (b"hello", "close")
        assert await client.rest() == b""


async def test_error_response_at_shutdown_has_connection_close() -> None:
    queue = KeepAliveQueue(75)

    async def app(exchange: Exchange) -> None:
        queue.end()
        raise HTTPError(404)

    service = Service(app, queue)
    async with client_of(service) as client:
        answer = await client.get("/")
        assert (answer.status, answer.headers["Connection"]) == (404, "close")
        assert await client.rest() == b""


async def test_response_begun_before_shutdown_is_finished() -> None:
    queue = KeepAliveQueue(75)

    async def app(exchange: Exchange) -> None:
        async def produce(send: Send) -> None:
            await send(b"hel")
            queue.end()
            await send(b"lo")

        await exchange.respond(Response(200, body=Stream(produce)))

    service = Service(app, queue)
    async with client_of(service) as client:
        await client.send(GET * 2)
        assert (await client.response()).body == b"hello"
        assert await client.rest() == b""


# Internal errors


def failing_on(kind: type, told: Events) -> Report:
    def report(event: ServerEvent) -> None:
        if isinstance(event, kind):
            raise ZeroDivisionError("report has failed")
        told.append(event)

    return report


@pytest.mark.parametrize(
    ("kind", "app"),
    [
        (Connected, hello),
        (Record, hello),
        (Record, raising(LEAF)),
        (Failure, raising(LEAF)),
        (Disconnected, hello),
        (object, hello),
        (object, raising(LEAF)),
    ],
)
async def test_error_in_report_is_reported_or_logged(
    kind: type, app: App, caplog: pytest.LogCaptureFixture
) -> None:
    told = Events()
    near, far = memory_stream_pair()
    await near.send_all(GET)
    await near.send_eof()
    await serve_stream(app, far, report=failing_on(kind, told))
    await Client(near).rest()  # the stream was closed, with or without a response
    # The error goes to ``report`` if that still works, or else to the log.
    errors = [error for error in told.errors() if isinstance(error, ZeroDivisionError)]
    assert errors or "report has failed" in caplog.text


async def test_error_in_report_does_not_stop_cancellation() -> None:
    near, far = memory_stream_pair()
    await near.send_all(GET)
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                partial(serve_stream, waits, far, report=failing_on(Record, Events()))
            )
            await wait_all_tasks_blocked()
            scope.cancel()
            nursery.start_soon(trio.sleep_forever)
    assert scope.cancelled_caught
    assert await near.receive_some() == b""


@pytest.mark.parametrize(
    "breaks",
    [
        lambda far, hook: setattr(far.receive_stream, "receive_some_hook", hook),
        lambda far, hook: setattr(far.send_stream, "send_all_hook", hook),
    ],
)
async def test_internal_error_is_reported_and_ends_the_connection(
    breaks: Callable[[MemoryStream, Callable[[], Awaitable[None]]], None],
) -> None:
    events = Events()

    async def break_down() -> None:
        await trio.lowlevel.checkpoint()
        raise ZeroDivisionError

    near, far = memory_stream_pair()
    breaks(far, break_down)
    await near.send_all(GET)
    await serve_stream(hello, far, report=events.append)
    assert [type(error) for error in events.errors()] == [ZeroDivisionError]
    assert events[-1] == Disconnected("local")
    with pytest.raises(trio.ClosedResourceError):
        await far.receive_some()


async def test_error_on_closing_the_stream_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def break_down() -> None:
        raise ZeroDivisionError

    near, far = memory_stream_pair()
    far.receive_stream.close_hook = break_down
    await near.send_eof()
    caplog.set_level(logging.ERROR)
    await serve_stream(hello, far)
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_keyboard_interrupt_and_system_exit_propagate(error: type[BaseException]) -> None:
    near, far = memory_stream_pair()
    await near.send_all(GET)
    with pytest.raises(BaseExceptionGroup) as caught:
        await serve_stream(raising(error()), far)
    assert caught.value.subgroup(error) is not None
    assert await near.receive_some() == b""


# TLS


TLSStream: TypeAlias = "trio.SSLStream[MemoryStream]"


def tls_pair() -> tuple[TLSStream, TLSStream]:
    """Return the server's and the client's end of a TLS connection."""
    ours, theirs = tls_contexts("localhost")
    near, far = memory_stream_pair()
    return (
        trio.SSLStream(far, ours, server_side=True),
        trio.SSLStream(near, theirs, server_hostname="localhost"),
    )


@pytest.mark.parametrize(
    "head", [b"GET / HTTP/1.1\r\nHost: test\r\n", b"GET / HTTP/1.0\r\nX: not plain\r\n"]
)
async def test_request_scheme_is_https_over_tls(head: bytes) -> None:
    @answering
    async def app(request: Request) -> Response:
        return Response.text(f"scheme {request.scheme}")

    async with trio.open_nursery() as nursery:
        near, far = memory_stream_pair()
        ours, theirs = tls_pair()
        for stream, client, scheme in ((far, near, b"http"), (ours, theirs, b"https")):
            nursery.start_soon(serve_stream, app, stream)
            await client.send_all(head + b"Connection: close\r\n\r\n")
            received = bytearray()
            while piece := await client.receive_some():
                received += piece
            assert received.endswith(b"\r\n\r\nscheme " + scheme)
            await client.aclose()


@pytest.mark.parametrize(
    "sent",
    [
        LAST,
        # For this client, only closing the connection ends the body.
        b"GET / HTTP/1.0\r\n\r\n",
    ],
)
async def test_tls_connection_ends_at_once_with_close_notify(
    sent: bytes, autojump_clock: MockClock
) -> None:
    @answering
    async def app(request: Request) -> Response:
        async def produce(send: Send) -> None:
            await send(b"hello")

        return Response(200, body=Stream(produce))

    ours, stream = tls_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_stream, app, ours)
        await stream.send_all(sent)
        received = bytearray()
        while piece := await stream.receive_some():
            received += piece
        assert b"hello" in received
        assert trio.current_time() == 0
        await stream.aclose()


@pytest.mark.parametrize("requests", [0, 1, 2])
async def test_shutdown_closes_idle_tls_connection_at_once(
    requests: int, autojump_clock: MockClock
) -> None:
    # TLS has no half-close, so the server cannot tell this client that it is done
    # and waits for it.
    queue = KeepAliveQueue(75)
    service = Service(hello, queue, behavior=Behavior(date=False))
    ours, stream = tls_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_connection, service, transport_of(ours, Timeouts()), "local")
        await stream.do_handshake()
        for _ in range(requests):
            await stream.send_all(GET)
            assert await stream.receive_some() == HELLO
        await wait_all_tasks_blocked()
        queue.end()
        assert await stream.receive_some() == b""
    assert trio.current_time() == 0


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01"])
async def test_slow_tls_handshake_ends_after_the_head_timeout(
    said: bytes, autojump_clock: MockClock
) -> None:
    events = Events()
    ours, stream = tls_pair()
    await stream.transport_stream.send_all(said)
    await serve_stream(hello, ours, report=events.append, timeouts=Timeouts(head=7))
    assert trio.current_time() == 7  # not 75, the timeout between requests
    assert events == [Connected("local"), Disconnected("local")]


async def test_truncated_tls_body_ends_as_disconnected() -> None:
    events = Events()
    ours, stream = tls_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(serve_stream, echo, ours, report=events.append))
        await stream.send_all(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell")
        await wait_all_tasks_blocked()
        await stream.transport_stream.aclose()
    assert events.endings() == [Ending.DISCONNECTED]


async def test_refused_tls_upload_gets_its_response(autojump_clock: MockClock) -> None:
    ours, stream = tls_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_stream, raising(HTTPError(409)), ours)
        await stream.send_all(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        received = bytearray()
        while not received.endswith(b"409 Conflict\n"):
            await stream.send_all(bytes(1000))
            received += await stream.receive_some()
        await stream.aclose()


# Arbitrary input


class Script(trio.abc.HalfCloseableStream):
    """A client that sends pieces one at a time and ignores the responses."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = [piece for piece in pieces if piece]
        self.sent = b""

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        assert max_bytes is not None
        if not self._pieces:
            return b""
        piece = self._pieces.pop(0)
        if rest := piece[max_bytes:]:
            self._pieces.insert(0, rest)
        return piece[:max_bytes]

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self.sent += data

    async def wait_send_all_might_not_block(self) -> None:
        raise NotImplementedError

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


# Small enough for hypothesis to exceed them.
SMALL = Limits(head=120, target=40, fields=4, body=30, skip=12)
WITHOUT_DATE = Behavior(date=False)

lines = st.sampled_from(
    [
        b"GET /a HTTP/1.1\r\nHost: x\r\n",
        b"GET /a HTTP/1.0\r\n",
        b"HEAD /b HTTP/1.1\r\nHost: x\r\n",
        b"PUT /c HTTP/1.1\r\nHost: x\r\n",
        b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n",
    ]
)
fields = st.sampled_from(
    [
        b"Content-Length: 5\r\n",
        b"Content-Length: 20\r\n",
        b"Content-Length: 31\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"Connection: close\r\n",
        b"Upgrade: h2c\r\n",
        b"A: b\r\n",
    ]
)
bodies = st.sampled_from(
    [
        b"",
        b"hello",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"1f\r\n" + b"x" * 31 + b"\r\n0\r\n\r\n",
        b"5;a\r\nhello\r\n1\r\n!\r\n0\r\nA: b\r\n\r\n",
        b"x" * 20,
    ]
)
heads = st.builds(
    lambda line, some: line + b"".join(some) + b"\r\n", lines, st.lists(fields, max_size=3)
)
fragments = st.sampled_from([b"\r\n", b"\r", b"\n", b"\x00", b" ", b"x" * 50, b"0\r\n\r\n"])
conversations = st.lists(
    st.one_of(st.builds(bytes.__add__, heads, bodies), fragments, st.binary(max_size=5)), max_size=6
).map(b"".join)


async def conversation_with(app: App, pieces: Sequence[bytes]) -> tuple[bytes, Events]:
    events = Events()
    script = Script(pieces)
    await serve_stream(app, script, limits=SMALL, behavior=WITHOUT_DATE, report=events.append)
    return script.sent, events


@given(
    received=conversations, cuts=st.lists(st.integers(0, 300)), app=st.sampled_from([echo, hello])
)
@example(received=GET * 3, cuts=[], app=hello)
@example(
    received=b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n0\r\nA: b\r\n\r\n" + GET,
    cuts=[70],
    app=echo,
)
@example(
    received=b"GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n" + GET,
    cuts=[47],  # the last piece of the body also contains the next request
    app=echo,
)
@settings(max_examples=150, deadline=None)
async def test_responses_do_not_depend_on_input_boundaries(
    received: bytes, cuts: list[int], app: App
) -> None:
    places = [0, *sorted(cuts), len(received)]
    pieces = [received[start:end] for start, end in pairwise(places)]
    whole, events = await conversation_with(app, [received])
    assert not events.errors()
    assert {record.ending for record in events.records()} <= {Ending.COMPLETE}
    assert whole.count(b"HTTP/1.1 ") >= len(events.records())
    assert (await conversation_with(app, pieces))[0] == whole
    singly = [received[at : at + 1] for at in range(len(received))]
    assert (await conversation_with(app, singly))[0] == whole
