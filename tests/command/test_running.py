"""How a command serves, what it says meanwhile, and how it is told to end."""

import io
import math
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.testing

from trio_http.command.running import run, work
from trio_http.http1.exchange import App, Exchange
from trio_http.observe.access_log import Level, Log
from trio_http.semantics.limits import Limits, Timeouts
from trio_http.semantics.messages import Response
from trio_http.serving.channel import DRAIN, READY, RETIRE, STOP, Channel
from trio_http.serving.descriptors import descriptor_limit
from trio_http.serving.listeners import open_listeners
from trio_http.serving.workers import REMAIN
from trio_http.testing import Client

# Seconds within which everything here happens, however slow the machine.
PATIENCE = 30

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"


async def hello(exchange: Exchange) -> None:
    await exchange.respond(Response.text("hello\n"))


class Output(io.StringIO):
    """What is logged, and an event for when the server has said that it listens."""

    def __init__(self) -> None:
        super().__init__()
        self.started = trio.Event()

    def write(self, text: str) -> int:
        if "[SERVER STARTED]" in text:
            self.started.set()
        return super().write(text)

    @property
    def lines(self) -> list[str]:
        return self.getvalue().splitlines()

    async def port(self) -> int:
        await self.started.wait()
        return int(self.lines[0].rpartition(":")[2])


@asynccontextmanager
async def running(
    app: App,
    bind: str = "127.0.0.1:0",
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
) -> AsyncIterator[Output]:
    """Run what the command runs; leaving waits until it has ended."""
    output = Output()
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, app, bind.split(), limits, Log(output, Level.INFO))
            yield output


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        yield Client(stream)


async def test_log_tells_what_happens_in_one_line_each() -> None:
    async with running(hello) as output:
        async with connected(await output.port()) as client:
            assert isinstance(client.stream, trio.SocketStream)
            host, port = client.stream.socket.getsockname()
            await client.get("/some/path")
        await trio.testing.wait_all_tasks_blocked()
        signal.raise_signal(signal.SIGTERM)
    who = re.escape(f"{host}:{port}")
    patterns = [
        r"\[SERVER STARTED\] Listening on 127\.0\.0\.1:\d+",
        rf"\[CONNECTED\] {who}",
        rf"\[RECEIVED from {who}\] GET /some/path HTTP/1\.1 -> 200, 6 bytes, [\d.]+ ms",
        rf"\[DISCONNECTED\] {who}",
        r"\[SERVER STOPPING\] SIGTERM; once more stops at once",
        r"\[SERVER STOPPED\]",
    ]
    for line, pattern in zip(output.lines, patterns, strict=True):
        assert re.fullmatch(f"{TIME} INFO    {pattern}", line)


async def test_log_has_errors_with_their_traceback() -> None:
    async def fail(exchange: Exchange) -> None:
        raise RuntimeError("a mistake")

    async with running(fail) as output:
        async with connected(await output.port()) as client:
            answer = await client.get("/")
        signal.raise_signal(signal.SIGTERM)
    assert answer.status == 500
    assert b"mistake" not in answer.body
    assert any(" ERROR   [ERROR for 127.0.0.1:" in line for line in output.lines)
    assert "  RuntimeError: a mistake" in output.lines
    assert f'"{__file__}"' in output.getvalue()


@pytest.mark.parametrize(
    ("bind", "expected"),
    [
        ("localhost:0", r"localhost:\d+"),  # not twice, for IPv4 and IPv6
        ("127.0.0.1:0", r"127\.0\.0\.1:\d+"),
        ("127.0.0.1:0 127.0.0.1:0", r"127\.0\.0\.1:\d+, 127\.0\.0\.1:\d+"),
        ("localhost:0 localhost:0", r"localhost:\d+, localhost:\d+"),
        ("0.0.0.0:0 localhost:0", r"0\.0\.0\.0:\d+, 127\.0\.0\.1:\d+.*"),
    ],
)
async def test_start_is_announced_by_the_name_that_was_given(bind: str, expected: str) -> None:
    async with running(hello, bind) as output:
        await output.started.wait()
        signal.raise_signal(signal.SIGTERM)
    announced = output.lines[0].partition("Listening on ")[2]
    assert re.fullmatch(expected, announced)


async def test_that_there_are_descriptors_for_fewer_connections_is_told() -> None:
    limit = descriptor_limit()
    if limit == math.inf:
        pytest.skip("this system has no limit on descriptors")
    async with running(hello, limits=Limits(connections=math.inf)) as output:
        await output.started.wait()
        signal.raise_signal(signal.SIGTERM)
    pattern = (
        rf"{TIME} WARNING \[CONNECTIONS LIMITED\] to \d+ of inf, because a process "
        rf"may open no more than \d+ files \(ulimit -Hn\)"
    )
    assert [bool(re.fullmatch(pattern, line)) for line in output.lines[:2]] == [False, True]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_first_signal_drains_and_second_stops_at_once(number: signal.Signals) -> None:
    begun = {"/first": trio.Event(), "/second": trio.Event()}
    may_end = {"/first": trio.Event(), "/second": trio.Event()}

    async def app(exchange: Exchange) -> None:
        begun[exchange.request.target].set()
        await may_end[exchange.request.target].wait()
        await hello(exchange)

    async with running(app) as output:
        port = await output.port()
        async with connected(port) as first, connected(port) as second:
            await first.send(b"GET /first HTTP/1.1\r\nHost: test\r\n\r\n")
            await second.send(b"GET /second HTTP/1.1\r\nHost: test\r\n\r\n")
            for event in begun.values():
                await event.wait()
            signal.raise_signal(number)
            await trio.testing.wait_all_tasks_blocked()
            may_end["/first"].set()
            answer = await first.answer()
            assert (answer.status, answer.headers["Connection"]) == (200, "close")
            signal.raise_signal(number)
            with trio.fail_after(Timeouts().grace / 2), suppress(trio.BrokenResourceError):
                assert await second.rest() == b""  # or a reset
    assert output.lines[-1].endswith("[SERVER STOPPED]")


# As a worker


@asynccontextmanager
async def working(app: App) -> AsyncIterator[tuple[Channel, int]]:
    """Be a worker; leaving waits until it has ended."""
    (listener,) = await open_listeners("127.0.0.1:0")
    port = listener.socket.getsockname()[1]
    ours, theirs = Channel.pair()
    descriptors = f"{os.dup(theirs.descriptor)},{os.dup(listener.socket.fileno())}"
    await listener.aclose()
    with theirs:
        pass
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work, app, Limits(), Log(io.StringIO(), Level.INFO), descriptors)
            with ours:
                assert await ours.hear() == READY
                yield ours, port


async def test_worker_serves_until_its_parent_ends() -> None:
    async with working(hello) as (parent, port), connected(port) as client:
        assert (await client.get("/")).status == 200
        with parent:
            pass
        assert await client.rest() == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_worker_that_is_told_to_drain_is_told_by_signals_in_vain(
    number: signal.Signals,
) -> None:
    begun, may_end = trio.Event(), trio.Event()

    async def slow(exchange: Exchange) -> None:
        begun.set()
        await may_end.wait()
        await hello(exchange)

    async with working(slow) as (parent, port), connected(port) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        await begun.wait()
        parent.tell(DRAIN)
        for _ in range(3):
            signal.raise_signal(number)
            await trio.testing.wait_all_tasks_blocked()
        may_end.set()
        answer = await client.answer()
        assert (answer.status, answer.headers["Connection"]) == (200, "close")


async def test_worker_stops_at_once_when_told_so() -> None:
    begun = trio.Event()

    async def endless(exchange: Exchange) -> None:
        begun.set()
        await trio.sleep_forever()

    async with working(endless) as (parent, port), connected(port) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        await begun.wait()
        parent.tell(DRAIN)
        await trio.testing.wait_all_tasks_blocked()
        parent.tell(STOP)
        with trio.fail_after(Timeouts().grace / 2), suppress(trio.BrokenResourceError):
            assert await client.rest() == b""  # or a reset


async def test_signal_to_replace_workers_is_nothing_to_one() -> None:
    async with working(hello) as (_, port), connected(port) as client:
        signal.raise_signal(signal.SIGHUP)
        await trio.testing.wait_all_tasks_blocked()
        answer = await client.get("/")
        assert (answer.status, "Connection" in answer.headers) == (200, False)


async def test_worker_that_retires_waits_for_requests_for_a_while(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with (
        working(hello) as (parent, port),
        connected(port) as client,
        connected(port) as idle,
    ):
        parent.tell(RETIRE)
        await trio.sleep(REMAIN - 1)
        assert (await client.get("/")).headers["Connection"] == "close"
        assert await idle.rest() == b""
        assert trio.current_time() == REMAIN
