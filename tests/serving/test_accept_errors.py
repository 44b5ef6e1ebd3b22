"""Tests of recovery after accept() fails, and of the clients that wait meanwhile."""

import errno
import os
import socket
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import TypeAlias

import pytest
import trio
import trio.testing

from trio_http.http1.connection import Service
from trio_http.http1.exchange import Exchange
from trio_http.http1.server_events import NotAccepting, ServerEvent
from trio_http.semantics.response import Response
from trio_http.serving.accept_errors import GIVE_UP, MANY, RETRY, Recovery, Spare
from trio_http.serving.connection_slots import TOLD, ConnectionSlots
from trio_http.serving.idle_connections import SETTLED, KeepAliveQueue
from trio_http.transport.readiness import TrioLevels

LACKS = [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS]
LACK = OSError(errno.EMFILE, "Too many open files")

NoDescriptorsLeft: TypeAlias = Callable[[], AbstractContextManager[None]]


class Waiting:
    """A connection that waits, and that may end when it is interrupted."""

    def __init__(self, end: Callable[[], None] = lambda: None) -> None:
        self.interrupted: list[float] = []
        self._end = end

    def interrupt(self) -> None:
        self.interrupted.append(trio.current_time())
        self._end()

    def has_unread(self) -> bool:
        return False


async def hello(exchange: Exchange) -> None:
    await exchange.respond(Response.text("hello\n"))


@pytest.fixture
def events() -> list[ServerEvent]:
    return []


@pytest.fixture
def slots(nursery: trio.Nursery, events: list[ServerEvent]) -> ConnectionSlots:
    keep_alive = KeepAliveQueue(75)
    service = Service(hello, keep_alive, report=events.append)
    return ConnectionSlots(service, keep_alive, TrioLevels(), nursery)


@pytest.fixture
def recovery(slots: ConnectionSlots) -> Recovery:
    return Recovery(slots, Spare(), None)


async def passed_until(recovery: Recovery, error: Exception = LACK, number: int = 1) -> float:
    """Return the seconds until ``number`` failures in a row are handled."""
    start = trio.current_time()
    for _ in range(number):
        assert isinstance(error, OSError | trio.BrokenResourceError)
        await recovery.failed(error)
    return trio.current_time() - start


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ECONNABORTED, "it has gone again"),
        OSError(errno.EPERM, "a firewall"),
        OSError("without a number"),
        trio.BrokenResourceError("a listener of another kind has failed"),
    ],
)
async def test_error_of_one_client_causes_no_delay(
    recovery: Recovery,
    events: list[ServerEvent],
    error: OSError | trio.BrokenResourceError,
    autojump_clock: trio.testing.MockClock,
) -> None:
    for _ in range(3):
        assert await passed_until(recovery, error, MANY - 1) == 0
        recovery.accepted()
    with trio.testing.assert_checkpoints():  # the listener may have failed without a checkpoint
        await recovery.failed(error)
    assert events == []
    # This many failures in a row are not the fault of single clients.
    assert await passed_until(recovery, error, MANY + 1) == 3 * RETRY
    assert events == [NotAccepting(error)]


@pytest.mark.parametrize("number", [errno.EBADF, errno.EINVAL, errno.ENOTSOCK, errno.EOPNOTSUPP])
async def test_socket_that_never_accepts_raises_its_error(recovery: Recovery, number: int) -> None:
    with pytest.raises(OSError, match="never") as caught:
        await recovery.failed(OSError(number, "never"))
    assert caught.value.errno == number


@pytest.mark.parametrize("number", LACKS)
async def test_shortage_is_waited_out_and_reported_once_a_minute(
    recovery: Recovery,
    events: list[ServerEvent],
    number: int,
    autojump_clock: trio.testing.MockClock,
) -> None:
    error = OSError(number, "not now")
    # The first failure ends sooner, with another look for idle connections.
    assert await passed_until(recovery, error, TOLD) == (TOLD - 1) * RETRY + SETTLED
    assert events == [NotAccepting(error)]
    await passed_until(recovery, error, 2)
    assert events == [NotAccepting(error)] * 2


async def test_next_attempt_follows_the_end_of_a_connection(
    recovery: Recovery,
    slots: ConnectionSlots,
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def end_later() -> None:
        await trio.sleep(RETRY / 8)
        slots.keep_alive.room_made()

    for _ in range(3):
        nursery.start_soon(end_later)
        assert await passed_until(recovery) == RETRY / 8


async def test_connection_idle_longest_is_closed_at_once(
    recovery: Recovery, slots: ConnectionSlots, autojump_clock: trio.testing.MockClock
) -> None:
    idle = slots.keep_alive
    connections = [Waiting(), Waiting(), Waiting()]
    for connection in connections:
        idle.join(connection, trio.current_time())
    await trio.sleep(10)
    # The connection takes a while to end, but another attempt does no harm.
    assert await passed_until(recovery) == SETTLED
    recovery.accepted()
    assert [each.interrupted for each in connections] == [[10], [], []]
    assert await passed_until(recovery) == SETTLED
    assert [each.interrupted for each in connections] == [[10], [10 + SETTLED], []]


async def test_idle_connections_are_closed_once_a_second_if_that_does_not_help(
    recovery: Recovery,
    slots: ConnectionSlots,
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
) -> None:
    idle = slots.keep_alive

    async def end() -> None:
        idle.room_made()

    connections = [Waiting(lambda: nursery.start_soon(end)) for _ in range(100)]
    for connection in connections:
        idle.join(connection, trio.current_time())
    await trio.sleep(10)
    while trio.current_time() < 15:
        await recovery.failed(LACK)
    times = [time for each in connections for time in each.interrupted]
    assert times == [10, 11, 12, 13, 14]


# Clients that wait too long


@pytest.fixture
def queue() -> socket.socket:
    listening = socket.create_server(("127.0.0.1", 0), backlog=2 * MANY)
    listening.settimeout(0)
    return listening


def is_closed(client: socket.socket) -> bool:
    client.settimeout(0)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False


async def test_client_that_waits_too_long_is_turned_away(
    slots: ConnectionSlots, queue: socket.socket, autojump_clock: trio.testing.MockClock
) -> None:
    recovery = Recovery(slots, Spare(), queue)
    with queue, socket.create_connection(queue.getsockname()) as client:
        while trio.current_time() < GIVE_UP:
            assert not is_closed(client)
            await recovery.failed(LACK)
        assert is_closed(client)


async def test_clients_are_not_turned_away_while_some_are_accepted(
    slots: ConnectionSlots, queue: socket.socket, autojump_clock: trio.testing.MockClock
) -> None:
    recovery = Recovery(slots, Spare(), queue)
    with queue, socket.create_connection(queue.getsockname()) as client:
        for _ in range(5):
            while trio.current_time() % GIVE_UP < GIVE_UP - RETRY:
                await recovery.failed(LACK)
            recovery.accepted()
            await trio.sleep(RETRY)
        assert not is_closed(client)


def test_spare_descriptor_turns_clients_away_when_no_other_is_free(
    queue: socket.socket, no_descriptors_left: NoDescriptorsLeft
) -> None:
    with ExitStack() as stack:
        stack.enter_context(queue)
        spare = stack.enter_context(Spare())
        clients = [
            stack.enter_context(socket.create_connection(queue.getsockname()))
            for _ in range(MANY + 1)
        ]
        with no_descriptors_left():
            with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
                queue.accept()
            for closed in (MANY, MANY + 1, MANY + 1):  # in the end, no client is left
                spare.turn_away(queue)
                assert sum(map(is_closed, clients)) == closed
            with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
                os.open(os.devnull, os.O_RDONLY)  # the spare descriptor is open again


def test_spare_without_a_free_descriptor_raises_nothing(
    no_descriptors_left: NoDescriptorsLeft,
) -> None:
    with no_descriptors_left(), Spare():
        pass
