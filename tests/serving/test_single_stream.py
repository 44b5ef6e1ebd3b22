"""Tests of a server for one connection: the app's lifetime, its parameters, and its end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock, memory_stream_pair

from trio_http.http1.exchange import App, Exchange
from trio_http.http1.server_events import Connected, Disconnected, ServerEvent
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.response import Response
from trio_http.semantics.timeouts import Timeouts
from trio_http.serving.single_stream import serve_stream

LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def hello(exchange: Exchange) -> None:
    await exchange.respond(Response(200, (), b"hello"))


async def test_lifetime_encloses_the_connection() -> None:
    steps = []

    @asynccontextmanager
    async def lifetime() -> AsyncIterator[App]:
        steps.append("begun")
        yield hello
        steps.append("over")

    near, far = memory_stream_pair()
    await near.send_all(LAST)
    await serve_stream(lifetime(), far)
    assert (await near.receive_some()).startswith(b"HTTP/1.1 200 OK")
    assert steps == ["begun", "over"]


async def test_lifetime_that_fails_to_begin_closes_the_stream(
    autojump_clock: MockClock,
) -> None:
    @asynccontextmanager
    async def lifetime() -> AsyncIterator[App]:
        await trio.sleep(3)
        yield hello

    near, far = memory_stream_pair()
    with pytest.raises(trio.TooSlowError):
        await serve_stream(lifetime(), far, timeouts=Timeouts(start=2))
    assert trio.current_time() == 2
    assert await near.receive_some() == b""


async def test_stream_is_closed_when_the_connection_has_ended() -> None:
    near, far = memory_stream_pair()
    await near.send_all(LAST)
    await serve_stream(hello, far, behavior=Behavior(date=False))
    assert await near.receive_some() == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
    )
    assert await near.receive_some() == b""


async def test_idle_connection_is_closed_after_its_timeout(autojump_clock: MockClock) -> None:
    near, far = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_alone_for_5_seconds, far)
        assert await near.receive_some() == b""
        await near.aclose()
    assert trio.current_time() == 5


async def serve_alone_for_5_seconds(stream: trio.abc.Stream) -> None:
    await serve_stream(hello, stream, timeouts=Timeouts(idle=5))


async def test_events_contain_the_given_client() -> None:
    events: list[ServerEvent] = []
    near, far = memory_stream_pair()
    await near.send_eof()
    await serve_stream(hello, far, report=events.append, client="203.0.113.1:1234")
    assert events == [Connected("203.0.113.1:1234"), Disconnected("203.0.113.1:1234")]
