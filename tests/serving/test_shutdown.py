"""What the beginning of a shutdown does, to whom, and until when."""

import trio
import trio.testing

from trio_http.serving.idle_connections import KeepAliveQueue
from trio_http.serving.shutdown import Shutdown


class Waiting:
    """A connection that notes how often it was told to wait no longer."""

    interrupted = 0

    def interrupt(self) -> None:
        self.interrupted += 1

    def has_unread(self) -> bool:
        raise AssertionError


async def test_nobody_new_is_let_in_at_once(autojump_clock: trio.testing.MockClock) -> None:
    with trio.CancelScope() as listening:
        Shutdown(listening, KeepAliveQueue(75), trio.CancelScope(), 10).begin()
        await trio.sleep(1000)
    assert listening.cancelled_caught
    assert trio.current_time() == 0


async def test_who_waits_for_a_request_waits_no_longer() -> None:
    idle, waiting = KeepAliveQueue(75), Waiting()
    assert idle.join(waiting, 0)
    Shutdown(trio.CancelScope(), idle, trio.CancelScope(), 10).begin()
    assert waiting.interrupted == 1
    assert not idle.join(waiting, 0)  # nor does anybody begin to


async def test_what_is_running_has_its_grace_and_not_more(
    autojump_clock: trio.testing.MockClock,
) -> None:
    await trio.sleep(100)
    with trio.CancelScope() as connections:
        Shutdown(trio.CancelScope(), KeepAliveQueue(75), connections, 10).begin()
        await trio.sleep(1000)
    assert connections.cancelled_caught
    assert trio.current_time() == 110


async def test_beginning_again_prolongs_nothing(autojump_clock: trio.testing.MockClock) -> None:
    with trio.CancelScope() as connections:
        shutdown = Shutdown(trio.CancelScope(), KeepAliveQueue(75), connections, 10)
        shutdown.begin()
        await trio.sleep(6)
        shutdown.begin()
        await trio.sleep(1000)
    assert trio.current_time() == 10


async def test_to_retire_lets_nobody_new_in_and_ends_no_wait(
    autojump_clock: trio.testing.MockClock,
) -> None:
    idle, waiting = KeepAliveQueue(75), Waiting()
    idle.join(waiting, 0)
    with trio.CancelScope() as listening, trio.CancelScope() as connections:
        shutdown = Shutdown(listening, idle, connections, 10)
        shutdown.retire()
        await trio.sleep(1000)
    assert listening.cancelled_caught
    before = idle.persists  # who was accepted a moment ago begins to wait now
    shutdown.listeners_are_closed()
    assert (before, idle.persists) == (True, False)
    assert waiting.interrupted == 0


async def test_who_has_retired_can_be_shut_down(autojump_clock: trio.testing.MockClock) -> None:
    with trio.CancelScope() as connections:
        shutdown = Shutdown(trio.CancelScope(), KeepAliveQueue(75), connections, 10)
        shutdown.retire()
        shutdown.listeners_are_closed()
        shutdown.begin()
        await trio.sleep(1000)
    assert trio.current_time() == 10
