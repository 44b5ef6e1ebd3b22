"""Tests of the client that sends requests in tests, and of serving its app."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count

import pytest
import trio
from trio.testing import MockClock

from trio_http.http1.app_lifetime import Servable, answering
from trio_http.http1.exchange import App, Exchange
from trio_http.http1.server_events import Disconnected, Ending, Record, ServerEvent
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response
from trio_http.semantics.server_sent_events import SendEvent, ServerSentEvent
from trio_http.semantics.timeouts import Timeouts
from trio_http.testing import open_client


@answering
async def echoing(request: Request) -> Response:
    """Return the request as text."""
    body = await request.read()
    fields = "".join(f"{name}: {value}\n" for name, value in request.headers)
    return Response.text(f"{request.method} {request.target}\n{fields}\n{body.decode()}")


async def test_request_has_host_and_content_length() -> None:
    async with open_client(echoing) as client:
        answer = await client.get("/a?b")
        assert answer.body == b"GET /a?b\nHost: test\n\n"
        answer = await client.request("POST", "/a", {"X-A": "b"}, b"hello")
        assert answer.body == b"POST /a\nX-A: b\nHost: test\nContent-Length: 5\n\nhello"
        answer = await client.request("PUT", "/a")
        assert answer.body == b"PUT /a\nHost: test\nContent-Length: 0\n\n"
        answer = await client.request("DELETE", "/a")
        assert answer.body == b"DELETE /a\nHost: test\n\n"


@pytest.mark.parametrize("method", ["post", "put", "patch"])
async def test_json_is_sent_with_its_content_type(method: str) -> None:
    async with open_client(echoing) as client:
        send = getattr(client, method)
        answer = await send("/a", json={"é": [None]})
        assert answer.text() == (
            f"{method.upper()} /a\nContent-Type: application/json\nHost: test\n"
            'Content-Length: 18\n\n{"\\u00e9": [null]}'
        )
        media_type = {"content-type": "application/merge-patch+json"}
        answer = await send("/a", media_type, json=None)
        assert answer.text().startswith(f"{method.upper()} /a\ncontent-type: application/merge-")
        assert answer.text().endswith("\n\nnull")
        answer = await send("/a", {"A": "b"}, b"hello")
        assert answer.text().startswith(f"{method.upper()} /a\nA: b\n")
        assert answer.text().endswith("\n\nhello")


async def test_json_with_a_body_raises_value_error_and_sends_nothing() -> None:
    async with open_client(echoing) as client:
        with pytest.raises(ValueError, match="a body or JSON, not both"):
            await client.post("/", body=b"1", json=1)
        assert (await client.delete("/a")).text() == "DELETE /a\nHost: test\n\n"


async def test_given_fields_are_sent_unchanged() -> None:
    async with open_client(echoing) as client:
        answer = await client.get("/", {"host": "example.org", "Content-Length": "0"})
        assert answer.body == b"GET /\nhost: example.org\nContent-Length: 0\n\n"
        chunked = {"Transfer-Encoding": "chunked"}
        answer = await client.request("PUT", "/", chunked, b"2\r\nhi\r\n0\r\n\r\n")
        assert answer.body == b"PUT /\nTransfer-Encoding: chunked\nHost: test\n\nhi"


async def test_response_to_head_is_read_without_a_body() -> None:
    async with open_client(echoing) as client:
        answer = await client.request("HEAD", "/")
        assert answer.headers["Content-Length"] == str(len("HEAD /\nHost: test\n\n"))
        assert answer.body == b""
        assert (await client.get("/")).status == 200  # nothing was left over


async def test_malformed_bytes_are_sent_unchanged() -> None:
    async with open_client(echoing) as client:
        await client.send(b"nonsense\r\n\r\n")
        await client.send_eof()
        assert (await client.response()).status == 400
        assert await client.rest() == b""


async def test_interim_response_is_received_separately() -> None:
    async def app(exchange: Exchange) -> None:
        await exchange.inform(103, {"Link": "</style.css>"})
        await exchange.respond(Response(200))

    async with open_client(app) as client:
        assert (await client.get("/")).headers["Link"] == "</style.css>"
        assert (await client.response()).status == 200


async def test_settings_apply_to_the_served_app(autojump_clock: MockClock) -> None:
    events: list[ServerEvent] = []
    async with open_client(
        echoing, timeouts=Timeouts(idle=5), behavior=Behavior(date=False), report=events.append
    ) as client:
        assert "Date" not in (await client.get("/")).headers
        assert await client.rest() == b""
        assert trio.current_time() == 5
    assert isinstance(events[-1], Disconnected)


async def test_leaving_the_block_cancels_the_exchange() -> None:
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


async def test_leaving_the_block_closes_the_connection() -> None:
    async with open_client(echoing) as client:
        await client.get("/")
    with pytest.raises(trio.ClosedResourceError):
        await client.get("/")


async def test_lifetime_of_the_app_encloses_the_block() -> None:
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


async def test_error_of_the_lifetime_is_raised_by_the_block() -> None:
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


async def test_response_can_be_read_while_it_is_sent(autojump_clock: MockClock) -> None:
    @answering
    async def ticking(request: Request) -> Response:
        async def produce(send: SendEvent) -> None:
            for number in count():
                await send(ServerSentEvent(str(number), event="tick"))
                await trio.sleep(1)

        return Response.events(produce)

    async with open_client(ticking) as client:
        ticks = await client.open("GET", "/")
        assert ticks.headers["Content-Type"] == "text/event-stream"
        assert [(await ticks.event()).data for _ in range(3)] == ["0", "1", "2"]
        assert trio.current_time() == 2


async def test_open_sends_the_body_before_the_response_is_read() -> None:
    async with open_client(echoing) as client:
        response = await client.open("POST", "/a", json=[])
        assert response.status == 200
        assert (await response.read()).endswith(b"Content-Length: 2\n\n[]")
        assert await response.receive_some() == b""
        assert (await client.get("/")).status == 200  # nothing was left over


# Failures in the block


async def background() -> None:
    await trio.sleep_forever()


@asynccontextmanager
async def busy() -> AsyncIterator[App]:
    """Open a nursery around the app, which wraps exceptions in a group."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(background)
        yield echoing
        nursery.cancel_scope.cancel()


SERVABLES = pytest.mark.parametrize("servable", [lambda: echoing, busy], ids=["app", "lifetime"])


@SERVABLES
@pytest.mark.parametrize(
    "error",
    [
        AssertionError("a failed test"),
        ExceptionGroup("the block's own", [ValueError()]),
        KeyboardInterrupt(),
        GeneratorExit(),
    ],
    ids=["assert", "group", "interrupt", "exit"],
)
async def test_exception_of_the_block_is_raised_unwrapped(
    servable: Callable[[], Servable], error: BaseException
) -> None:
    async def fail() -> None:
        async with open_client(servable()) as client:
            await client.get("/")
            raise error

    with pytest.raises(type(error)) as caught:
        await fail()
    assert caught.value is error


@SERVABLES
async def test_time_out_around_the_block_cancels_it(
    servable: Callable[[], Servable], autojump_clock: MockClock
) -> None:
    with trio.move_on_after(5) as scope:
        # The cancellation comes in a group.
        async with open_client(servable()), trio.open_nursery() as nursery:
            nursery.start_soon(background)
            nursery.start_soon(background)
    assert scope.cancelled_caught
    with trio.move_on_after(5) as scope:
        async with open_client(servable()):
            await trio.sleep_forever()
    assert scope.cancelled_caught


async def test_exception_of_the_block_wins_over_that_of_the_lifetime() -> None:
    @asynccontextmanager
    async def failing() -> AsyncIterator[App]:
        yield echoing
        raise KeyError("at the end")

    with pytest.raises(ZeroDivisionError) as caught:
        async with open_client(failing()):
            raise ZeroDivisionError
    assert isinstance(caught.value.__context__, KeyError)  # neither is lost
