"""Tests of serving in one process: the log, signals and the lifetime of the app."""

import io
import math
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.testing
from support import PATIENCE, Lifetime, connected

from trio_http.command.single_process import Conditions, serve_until_signal
from trio_http.http1.app_lifetime import Servable
from trio_http.http1.exchange import Exchange
from trio_http.observe.access_log import Level, Log
from trio_http.semantics.limits import Limits
from trio_http.semantics.response import Response
from trio_http.semantics.timeouts import Timeouts
from trio_http.serving.descriptors import descriptor_limit

CONDITIONS = Conditions(Timeouts(), Limits())

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}"


async def hello(exchange: Exchange) -> None:
    await exchange.respond(Response.text("hello\n"))


class Output(io.StringIO):
    """A log that sets an event when the server has started."""

    def __init__(self) -> None:
        super().__init__()
        self.started = trio.Event()
        self.status: int | None = None

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
    app: Servable,
    bind: str = "127.0.0.1:0",
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
) -> AsyncIterator[Output]:
    """Serve until a signal; leaving the block waits for the end."""
    output = Output()
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:

            async def run_to_its_end() -> None:
                output.status = await serve_until_signal(
                    app, bind.split(), Conditions(Timeouts(), limits), Log(output, Level.INFO)
                )

            nursery.start_soon(run_to_its_end)
            yield output


async def test_log_has_one_line_per_event() -> None:
    async with running(hello) as output:
        async with connected(await output.port()) as client:
            assert isinstance(client.stream, trio.SocketStream)
            host, port = client.stream.socket.getsockname()
            await client.get("/some/path")
        await trio.testing.wait_all_tasks_blocked()
        signal.raise_signal(signal.SIGTERM)
    who = re.escape(f"{host}:{port}")
    patterns = [
        r"\[SERVER STARTED\] Listening on 127\.0\.0\.1:\d+, reachable at http://127\.0\.0\.1:\d+",
        rf"\[CONNECTED\] {who}",
        rf"\[RECEIVED from {who}\] GET /some/path HTTP/1\.1 -> 200, 6 bytes, [\d.]+ ms",
        rf"\[DISCONNECTED\] {who}",
        r"\[SERVER STOPPING\] SIGTERM; a second signal stops at once",
        r"\[SERVER STOPPED\]",
    ]
    for line, pattern in zip(output.lines, patterns, strict=True):
        assert re.fullmatch(f"{TIME} INFO    {pattern}", line)


async def test_failing_app_is_logged_with_traceback() -> None:
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


async def test_start_is_logged_with_the_given_host_name() -> None:
    async with running(hello, "localhost:0") as output:
        port = await output.port()
        signal.raise_signal(signal.SIGTERM)
    line = f"[SERVER STARTED] Listening on localhost:{port}, reachable at http://localhost:{port}"
    assert output.lines[0].endswith(line)


async def test_lack_of_descriptors_logs_a_warning() -> None:
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
            answer = await first.response()
            assert (answer.status, answer.headers["Connection"]) == (200, "close")
            signal.raise_signal(number)
            with trio.fail_after(Timeouts().grace / 2), suppress(trio.BrokenResourceError):
                assert await second.rest() == b""  # or a reset
    assert output.lines[-1].endswith("[SERVER STOPPED]")


# The app's lifetime


async def test_lifetime_begins_before_and_ends_after_the_server() -> None:
    lifetime = Lifetime(hello)
    async with running(lifetime()) as output:
        await lifetime.entered.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert not output.started.is_set()
        lifetime.may_begin.set()
        async with connected(await output.port()) as client:
            assert (await client.get("/", {"Connection": "close"})).status == 200
        signal.raise_signal(signal.SIGTERM)
    assert output.status == 0
    assert lifetime.is_over


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_during_start_stops_at_once(number: signal.Signals) -> None:
    lifetime = Lifetime(hello)
    async with running(lifetime()) as output:
        await lifetime.entered.wait()
        await trio.testing.wait_all_tasks_blocked()
        signal.raise_signal(number)
    assert output.status == 0
    assert lifetime.is_over
    said = [line.partition("[")[2] for line in output.lines]
    assert said == [f"SERVER STOPPING] {number.name}", "SERVER STOPPED]"]


async def test_failing_lifetime_is_logged_and_ends_the_server() -> None:
    lifetime = Lifetime(hello)
    lifetime.may_begin.set()
    async with running(lifetime()) as output:
        await output.started.wait()
        lifetime.fails.set()
    assert output.status == 1
    assert lifetime.is_over
    (failed,) = [number for number, line in enumerate(output.lines) if " ERROR " in line]
    assert output.lines[failed].endswith("[SERVER FAILED] RuntimeError: the pool is \\x1b[31mempty")
    trace = output.lines[failed + 1 :]
    assert trace[0] == "  Traceback (most recent call last):"  # of the error itself, not of a group
    assert trace[-1] == "  RuntimeError: the pool is \\x1b[31mempty"


async def test_slow_start_is_logged_and_ends_the_server(
    autojump_clock: trio.testing.MockClock,
) -> None:
    output, lifetime = Output(), Lifetime(hello)
    assert (
        await serve_until_signal(lifetime(), ["127.0.0.1:0"], CONDITIONS, Log(output, Level.INFO))
        == 1
    )
    assert trio.current_time() == Timeouts().start
    assert "[SERVER FAILED] TooSlowError: the app did not start within 60 s" in output.lines[0]
    assert "SERVER STARTED" not in output.getvalue()
