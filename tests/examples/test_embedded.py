"""Tests of the example that serves within a larger program."""

import signal
import sys

import pytest
import trio
from support import connected, started
from trio.testing import MockClock

from trio_http.examples.embedded import Counter, app_for
from trio_http.testing import open_client


async def test_counting_continues_between_requests(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    counter = Counter()
    nursery.start_soon(counter.run)
    async with open_client(app_for(counter)) as client:
        await trio.sleep(2.5)
        assert (await client.get("/")).json() == {"count": 2}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_signal_stops_server_and_program(number: signal.Signals) -> None:
    program_to_stderr = 'exec "$0" -m trio_http.examples.embedded 127.0.0.1:0 >&2'
    async with started(["sh", "-c", program_to_stderr, sys.executable]) as program:
        (port,) = await program.says(r"listening on 127.0.0.1:(\d+)\n")
        async with connected(int(port)) as client:
            assert "count" in (await client.get("/")).json()
            program.signal(number)
            assert await program.process.wait() == 0
        assert "Traceback" not in program.errors
