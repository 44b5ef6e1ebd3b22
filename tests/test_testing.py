"""The client that tests talk through: it sends what it is told to and reads what arrives."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from trio_http.http1.exchange import App, Exchange
from trio_http.http1.lifetime import answering
from trio_http.http1.reports import Disconnected, Ending, Record, ServerEvent
from trio_http.semantics.bodies import Send, Stream
from trio_http.semantics.headers import Headers
from trio_http.semantics.limits import Limits
from trio_http.semantics.messages import Request, Response
from trio_http.semantics.timeouts import Timeouts
from trio_http.testing import Client, open_client


async def client_that_reads(*pieces: bytes) -> Client:
    """A client whose server has sent these bytes and closed the connection."""
    near, far = memory_stream_pair()
    for piece in pieces:
        await far.send_all(piece)
    await far.aclose()
    return Client(near)


@answering
async def echoing(request: Request) -> Response:
    """What the request was, as a client reads it."""
    body = await request.read()
    fields = "".join(f"{name}: {value}\n" for name, value in request.headers)
    return Response.text(f"{request.method} {request.target}\n{fields}\n{body.decode()}")


async def test_a_response_with_a_length_is_read_to_its_end() -> None:
    client = await client_that_reads(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nX-A:  2 \r\n\r\nhelloHTTP/1.1 404 Not",
        b" Found\r\nContent-Length: 0\r\n\r\n",
    )
    answer = await client.answer()
    assert (answer.status, answer.reason, answer.body) == (200, "OK", b"hello")
    assert answer.headers == Headers([("content-length", "5"), ("x-a", "1"), ("x-a", "2")])
    assert answer.trailers == Headers()
    assert (await client.answer()).reason == "Not Found"


async def test_chunks_are_joined_and_followed_by_trailers() -> None:
    client = await client_that_reads(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"5;extension=x\r\nhello\r\n1",
        b"\r\n!\r\n0\r\nX-Sum: 6\r\nX-More: y\r\n\r\nrest",
    )
    answer = await client.answer()
    assert answer.body == b"hello!"
    assert answer.trailers == Headers([("X-Sum", "6"), ("X-More", "y")])
    assert await client.rest() == b"rest"


async def test_a_response_without_a_length_ends_with_the_connection() -> None:
    body = b"hello" * 100_000  # more than is received at once
    client = await client_that_reads(b"HTTP/1.1 200 OK\r\n\r\n", body)
    assert (await client.answer()).body == body
    assert await client.rest() == b""


@pytest.mark.parametrize(
    ("method", "status"),
    [
        # RFC 9112 6.3: none of these has a body, whatever its fields say.
        ("HEAD", b"200 OK"),
        ("GET", b"204 No Content"),
        ("GET", b"304 Not Modified"),
        ("GET", b"103 Early Hints"),
    ],
)
@pytest.mark.parametrize("framing", [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"A: b"])
async def test_some_responses_have_no_body(method: str, status: bytes, framing: bytes) -> None:
    client = await client_that_reads(b"HTTP/1.1 " + status + b"\r\n" + framing + b"\r\n\r\nrest")
    assert (await client.answer(method)).body == b""
    assert await client.rest() == b"rest"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    ],
)
async def test_a_response_that_breaks_off_is_an_error(sent: bytes) -> None:
    client = await client_that_reads(sent)
    with pytest.raises(EOFError, match="ended within a response"):
        await client.answer()


async def test_a_request_names_a_host_and_its_length() -> None:
    async with open_client(echoing) as client:
        answer = await client.get("/a?b")
        assert answer.body == b"GET /a?b\nHost: test\n\n"
        answer = await client.request("POST", "/a", {"X-A": "b"}, b"hello")
        assert answer.body == b"POST /a\nX-A: b\nHost: test\nContent-Length: 5\n\nhello"
        answer = await client.request("PUT", "/a")
        assert answer.body == b"PUT /a\nHost: test\nContent-Length: 0\n\n"
        answer = await client.request("DELETE", "/a")
        assert answer.body == b"DELETE /a\nHost: test\n\n"


async def test_fields_that_are_given_are_left_as_they_are() -> None:
    async with open_client(echoing) as client:
        answer = await client.get("/", {"host": "example.org", "Content-Length": "0"})
        assert answer.body == b"GET /\nhost: example.org\nContent-Length: 0\n\n"
        chunked = {"Transfer-Encoding": "chunked"}
        answer = await client.request("PUT", "/", chunked, b"2\r\nhi\r\n0\r\n\r\n")
        assert answer.body == b"PUT /\nTransfer-Encoding: chunked\nHost: test\n\nhi"


async def test_an_answer_to_head_is_read_without_a_body() -> None:
    async with open_client(echoing) as client:
        answer = await client.request("HEAD", "/")
        assert answer.headers["Content-Length"] == str(len("HEAD /\nHost: test\n\n"))
        assert answer.body == b""
        assert (await client.get("/")).status == 200  # nothing was left over


async def test_right_or_wrong_is_sent_as_it_is() -> None:
    async with open_client(echoing) as client:
        await client.send(b"nonsense\r\n\r\n")
        await client.send_eof()
        assert (await client.answer()).status == 400
        assert await client.rest() == b""


async def test_interim_responses_are_answers_of_their_own() -> None:
    async def app(exchange: Exchange) -> None:
        await exchange.inform(103, {"Link": "</style.css>"})
        await exchange.respond(Response(200))

    async with open_client(app) as client:
        assert (await client.get("/")).headers["Link"] == "</style.css>"
        assert (await client.answer()).status == 200


async def test_a_client_is_served_as_it_is_asked_for(autojump_clock: MockClock) -> None:
    events: list[ServerEvent] = []
    async with open_client(
        echoing, timeouts=Timeouts(idle=5), limits=Limits(date=False), report=events.append
    ) as client:
        assert "Date" not in (await client.get("/")).headers
        assert await client.rest() == b""
        assert trio.current_time() == 5
    assert isinstance(events[-1], Disconnected)


async def test_leaving_the_block_ends_the_exchange() -> None:
    events: list[ServerEvent] = []
    arrived = trio.Event()

    async def app(exchange: Exchange) -> None:
        arrived.set()
        await trio.sleep_forever()

    async with open_client(app, report=events.append) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await arrived.wait()
    (record,) = [event for event in events if isinstance(event, Record)]
    assert record.ending is Ending.CANCELLED
    assert isinstance(events[-1], Disconnected)


async def test_leaving_the_block_ends_the_connection() -> None:
    async with open_client(echoing) as client:
        await client.get("/")
    with pytest.raises(trio.ClosedResourceError):
        await client.get("/")


async def test_a_stream_can_be_read_as_it_comes() -> None:
    @answering
    async def ticking(request: Request) -> Response:
        async def produce(send: Send) -> None:
            await send(b"tick")
            await trio.sleep_forever()

        return Response(200, body=Stream(produce))

    async with open_client(ticking) as client:
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        received = b""
        while not received.endswith(b"\r\n\r\ntick"):
            received += await client.stream.receive_some()


async def test_lifetime_of_the_app_is_around_the_block() -> None:
    steps = []

    @asynccontextmanager
    async def lifetime() -> AsyncIterator[App]:
        steps.append("begun")
        yield echoing
        steps.append("over")

    async with open_client(lifetime()) as client:
        assert steps == ["begun"]
        assert (await client.get("/")).status == 200
    assert steps == ["begun", "over"]


async def test_error_of_the_lifetime_ends_the_block() -> None:
    @asynccontextmanager
    async def lifetime() -> AsyncIterator[App]:
        async def fail() -> None:
            await trio.testing.wait_all_tasks_blocked()
            raise ZeroDivisionError

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail)
            yield echoing

    with pytest.raises(ZeroDivisionError):
        async with open_client(lifetime()):
            await trio.sleep_forever()
