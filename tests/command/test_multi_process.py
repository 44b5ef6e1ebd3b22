"""Tests of a worker: it serves on inherited sockets until its parent or a signal stops it."""

import io
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
import trio.testing
from support import PATIENCE, Lifetime, connected

from trio_http.command.multi_process import work
from trio_http.command.single_process import Conditions
from trio_http.http1.app_lifetime import Servable
from trio_http.http1.exchange import Exchange
from trio_http.observe.access_log import Level, Log
from trio_http.semantics.limits import Limits
from trio_http.semantics.response import Response
from trio_http.semantics.timeouts import Timeouts
from trio_http.serving.listeners import open_listeners
from trio_http.serving.worker_channel import DRAIN, READY, RETIRE, STOP, Channel
from trio_http.serving.workers import REMAIN


async def hello(exchange: Exchange) -> None:
    await exchange.respond(Response.text("hello\n"))


@asynccontextmanager
async def working(app: Servable) -> AsyncIterator[tuple[Channel, int]]:
    """Run a worker and wait until it listens; leaving the block waits for its end."""
    async with starting_to_work(app, []) as (parent, port):
        assert await parent.hear() == READY
        yield parent, port


@asynccontextmanager
async def starting_to_work(
    app: Servable, statuses: list[int]
) -> AsyncIterator[tuple[Channel, int]]:
    """Run a worker; leaving the block waits for its end and appends its exit status."""
    (listener,) = await open_listeners("127.0.0.1:0")
    port = listener.socket.getsockname()[1]
    ours, theirs = Channel.pair()
    descriptors = f"{os.dup(theirs.descriptor)},{os.dup(listener.socket.fileno())}"
    await listener.aclose()
    with theirs:
        pass
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:

            async def work_to_its_end() -> None:
                log = Log(io.StringIO(), Level.INFO)
                statuses.append(await work(app, Conditions(Timeouts(), Limits()), log, descriptors))

            nursery.start_soon(work_to_its_end)
            with ours:
                yield ours, port


async def test_worker_stops_when_its_parent_ends() -> None:
    async with working(hello) as (parent, port), connected(port) as client:
        assert (await client.get("/")).status == 200
        with parent:
            pass
        assert await client.rest() == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signals_do_not_stop_a_draining_worker(
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
        answer = await client.response()
        assert (answer.status, answer.headers["Connection"]) == (200, "close")


async def test_stop_message_stops_the_worker_at_once() -> None:
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


async def test_worker_ignores_sighup() -> None:
    async with working(hello) as (_, port), connected(port) as client:
        signal.raise_signal(signal.SIGHUP)
        await trio.testing.wait_all_tasks_blocked()
        answer = await client.get("/")
        assert (answer.status, "Connection" in answer.headers) == (200, False)


async def test_retiring_worker_serves_idle_connections_for_a_while(
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


@pytest.mark.parametrize("word", [DRAIN, STOP, None])
async def test_message_from_parent_ends_a_starting_worker(
    word: bytes | None,
) -> None:
    lifetime, statuses = Lifetime(hello), list[int]()
    async with starting_to_work(lifetime(), statuses) as (parent, _):
        await lifetime.entered.wait()
        if word is not None:
            parent.tell(word)
            assert await parent.hear() == b""
    assert statuses == [0]
    assert lifetime.is_over


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_ends_a_starting_worker(number: signal.Signals) -> None:
    lifetime, statuses = Lifetime(hello), list[int]()
    async with starting_to_work(lifetime(), statuses) as (parent, _):
        await lifetime.entered.wait()
        signal.raise_signal(signal.SIGHUP)
        await trio.testing.wait_all_tasks_blocked()
        assert not lifetime.is_over
        signal.raise_signal(number)
        assert await parent.hear() == b""
    assert statuses == [0]


async def test_failing_lifetime_ends_the_worker_with_status_1() -> None:
    lifetime, statuses = Lifetime(hello), list[int]()
    async with starting_to_work(lifetime(), statuses) as (parent, _):
        lifetime.may_begin.set()
        assert await parent.hear() == READY
        lifetime.fails.set()
        assert await parent.hear() == b""
    assert statuses == [1]
