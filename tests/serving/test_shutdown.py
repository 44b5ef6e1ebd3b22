"""Tests of the beginning of a shutdown: its effect on each connection, and its deadline."""

import trio
import trio.testing

from trio_http.serving.idle_connections import KeepAliveQueue
from trio_http.serving.shutdown import Shutdown


class Waiting:
    """A connection that counts how often it was interrupted."""

    interrupted = 0

    def interrupt(self) -> None:
        self.interrupted += 1

    def has_unread(self) -> bool:
        raise AssertionError


async def test_listeners_are_cancelled_at_once(autojump_clock: trio.testing.MockClock) -> None:
    with trio.CancelScope() as listening:
        Shutdown(listening, KeepAliveQueue(75), trio.CancelScope(), 10).begin()
        await trio.sleep(1000)
    assert listening.cancelled_caught
    assert trio.current_time() == 0


async def test_idle_connections_are_interrupted() -> None:
    idle, waiting = KeepAliveQueue(75), Waiting()
    assert idle.join(waiting, 0)
    Shutdown(trio.CancelScope(), idle, trio.CancelScope(), 10).begin()
    assert waiting.interrupted == 1
    assert not idle.join(waiting, 0)  # no connection can become idle


async def test_running_connections_are_cancelled_after_the_grace(
    autojump_clock: trio.testing.MockClock,
) -> None:
    await trio.sleep(100)
    with trio.CancelScope() as connections:
        Shutdown(trio.CancelScope(), KeepAliveQueue(75), connections, 10).begin()
        await trio.sleep(1000)
    assert connections.cancelled_caught
    assert trio.current_time() == 110


async def test_second_shutdown_does_not_extend_the_grace(
    autojump_clock: trio.testing.MockClock,
) -> None:
    with trio.CancelScope() as connections:
        shutdown = Shutdown(trio.CancelScope(), KeepAliveQueue(75), connections, 10)
        shutdown.begin()
        await trio.sleep(6)
        shutdown.begin()
        await trio.sleep(1000)
    assert trio.current_time() == 10


async def test_retire_cancels_listeners_and_interrupts_no_connection(
    autojump_clock: trio.testing.MockClock,
) -> None:
    idle, waiting = KeepAliveQueue(75), Waiting()
    idle.join(waiting, 0)
    with trio.CancelScope() as listening, trio.CancelScope() as connections:
        shutdown = Shutdown(listening, idle, connections, 10)
        shutdown.retire()
        await trio.sleep(1000)
    assert listening.cancelled_caught
    before = idle.persists  # a client accepted a moment ago begins its wait now
    shutdown.listeners_are_closed()
    assert (before, idle.persists) == (True, False)
    assert waiting.interrupted == 0


async def test_shutdown_after_retire_cancels_connections_after_the_grace(
    autojump_clock: trio.testing.MockClock,
) -> None:
    with trio.CancelScope() as connections:
        shutdown = Shutdown(trio.CancelScope(), KeepAliveQueue(75), connections, 10)
        shutdown.retire()
        shutdown.listeners_are_closed()
        shutdown.begin()
        await trio.sleep(1000)
    assert trio.current_time() == 10
