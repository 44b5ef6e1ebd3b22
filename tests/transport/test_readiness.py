"""Tests of waking tasks when there is something to read."""

import socket
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, closing, suppress

import pytest
import trio
from outcome import Outcome, Value
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from trio_http.transport import readiness
from trio_http.transport.readiness import Arrivals, Levels, TrioLevels

only_with_edges = pytest.mark.skipif(
    not readiness.CAN_WATCH_EDGES, reason="this system tells of levels only"
)


@pytest.fixture(
    params=[
        pytest.param("edges", marks=only_with_edges),
        pytest.param("few", marks=only_with_edges),
        "levels",
    ]
)
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "FEW", 1000 if request.param == "few" else 0)
    if request.param == "levels":
        monkeypatch.setattr(readiness, "CAN_WATCH_EDGES", False)


@asynccontextmanager
async def watching(*sockets: socket.socket) -> AsyncIterator[list[Arrivals]]:
    with closing(readiness.readiness()) as ready:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ready.run)
            all_arrivals = [ready.arrivals(connected) for connected in sockets]
            for arrivals in all_arrivals:
                with trio.move_on_after(0):
                    await arrivals.wait()  # the first arrival may be a false alarm
            yield all_arrivals
            nursery.cancel_scope.cancel()


def rest_of(connected: socket.socket) -> bytes:
    received = b""
    with suppress(BlockingIOError):
        while data := connected.recv(100):
            received += data
    return received


@pytest.mark.usefixtures("either_way")
async def test_wait_ends_when_bytes_arrive(
    socket_pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = socket_pair
    received = []

    async def read(arrivals: Arrivals) -> None:
        for _ in range(3):
            await arrivals.wait()
            received.append(rest_of(ours))

    async with watching(ours) as (arrivals,), trio.open_nursery() as nursery:
        nursery.start_soon(read, arrivals)
        for data in (b"1", b"2", b"3"):
            await wait_all_tasks_blocked()
            theirs.send(data)
    assert received == [b"1", b"2", b"3"]


@pytest.mark.usefixtures("either_way")
async def test_bytes_that_arrived_before_the_wait_end_it(
    socket_pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = socket_pair
    theirs.send(b"early")
    async with watching(ours) as (arrivals,):
        theirs.send(b", and more")
        await wait_all_tasks_blocked()
        with assert_checkpoints(), trio.fail_after(10):
            await arrivals.wait()
        assert rest_of(ours) == b"early, and more"


@pytest.mark.usefixtures("either_way")
async def test_leave_some_makes_the_next_wait_return(
    socket_pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = socket_pair
    async with watching(ours) as (arrivals,):
        theirs.send(b"hello")
        await arrivals.wait()
        assert ours.recv(2) == b"he"
        arrivals.leave_some()
        with assert_checkpoints(), trio.fail_after(10):
            await arrivals.wait()
        assert rest_of(ours) == b"llo"


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("is_waited_for", [True, False])
async def test_end_that_arrives_with_the_last_bytes_is_read_after_them(
    is_waited_for: bool,  # noqa: FBT001 - one of two cases
    socket_pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = socket_pair
    received = []

    async def read(arrivals: Arrivals) -> None:
        for _ in range(3):  # the end is reported again and again
            await arrivals.wait()
            received.append(ours.recv(10))

    async with watching(ours) as (arrivals,), trio.open_nursery() as nursery:
        if is_waited_for:
            nursery.start_soon(read, arrivals)
            await wait_all_tasks_blocked()
        theirs.send(b"bye")
        theirs.shutdown(socket.SHUT_WR)
        await wait_all_tasks_blocked()
        if not is_waited_for:
            nursery.start_soon(read, arrivals)
    assert received == [b"bye", b"", b""]


@pytest.mark.usefixtures("either_way")
async def test_interrupted_wait_reads_the_end_of_input(
    tcp_pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = tcp_pair
    ended = []

    async def read(arrivals: Arrivals) -> None:
        await arrivals.wait()
        ended.append(ours.recv(10))

    async with watching(ours) as (arrivals,):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read, arrivals)
            await wait_all_tasks_blocked()
            arrivals.interrupt()
        assert ended == [b""]
        ours.send(b"still said")  # the other direction is not affected
        assert theirs.recv(10) == b"still said"


@pytest.mark.usefixtures("either_way")
async def test_interrupting_a_broken_connection_does_nothing(
    socket_pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, _ = socket_pair
    async with watching(ours) as (arrivals,):
        arrivals.close()
        ours.close()
        arrivals.interrupt()


@pytest.mark.usefixtures("either_way")
async def test_cancelled_wait_can_begin_anew(
    socket_pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = socket_pair
    async with watching(ours) as (arrivals,):
        with trio.move_on_after(0) as impatient:
            await arrivals.wait()
        assert impatient.cancelled_caught
        theirs.send(b"hello")
        with trio.fail_after(10):
            await arrivals.wait()
        assert rest_of(ours) == b"hello"


@pytest.mark.usefixtures("either_way")
async def test_each_socket_has_its_own_arrivals() -> None:
    pairs = [socket.socketpair() for _ in range(300)]
    told = []
    async with watching(*[ours for ours, _ in pairs]) as all_arrivals:
        async with trio.open_nursery() as nursery:

            async def read(number: int, arrivals: Arrivals) -> None:
                await arrivals.wait()
                told.append((number, pairs[number][0].recv(10)))

            for number, arrivals in enumerate(all_arrivals):
                nursery.start_soon(read, number, arrivals)
            await wait_all_tasks_blocked()
            for number, (_, theirs) in enumerate(pairs):
                theirs.send(b"%d" % number)
        assert sorted(told) == [(number, b"%d" % number) for number in range(300)]
        for arrivals, (ours, theirs) in zip(all_arrivals, pairs, strict=True):
            arrivals.close()
            ours.close()
            theirs.close()


@only_with_edges
async def test_first_wait_returns_before_the_kernel_watches_the_socket(
    socket_pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "FEW", 0)
    ours, theirs = socket_pair
    async with trio.open_nursery() as nursery:
        with closing(readiness.readiness()) as ready:
            nursery.start_soon(ready.run)
            arrivals = ready.arrivals(ours)
            with assert_checkpoints(), trio.fail_after(10):
                await arrivals.wait()
            assert rest_of(ours) == b""
            theirs.send(b"hello")
            with trio.fail_after(10):
                await arrivals.wait()
            assert rest_of(ours) == b"hello"
            nursery.cancel_scope.cancel()


@only_with_edges
async def test_closed_arrivals_are_not_woken(
    socket_pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "FEW", 0)
    ours, theirs = socket_pair
    async with watching(ours) as (arrivals,):
        with trio.move_on_after(0):
            await arrivals.wait()
        arrivals.close()  # the socket is still open, and so in the poll set
        arrivals.close()
        theirs.send(b"too late")
        await wait_all_tasks_blocked()
    assert rest_of(ours) == b"too late"


def test_system_without_edges_uses_trio_levels(
    monkeypatch: pytest.MonkeyPatch, socket_pair: tuple[socket.socket, socket.socket]
) -> None:
    monkeypatch.setattr(readiness, "CAN_WATCH_EDGES", False)
    ready = readiness.readiness()
    assert isinstance(ready, TrioLevels)
    assert isinstance(ready.arrivals(socket_pair[0]), Levels)


@only_with_edges
async def test_woken_result_can_be_shared_by_all_tasks(
    socket_pair: tuple[socket.socket, socket.socket],
) -> None:
    def generator() -> Iterator[int]:
        yield 1

    async def asynchronous() -> AsyncGenerator[int, None]:
        yield 2

    handed = readiness.WOKEN
    for kind in (handed, Value(None)):  # it behaves like Trio's own
        assert isinstance(kind, Outcome)
        assert kind.send(generator()) == 1  # type: ignore[arg-type]
    for _ in range(2):
        handed.unwrap()
    async with aclosing(asynchronous()) as numbers:
        assert await handed.asend(numbers) == 2


@only_with_edges
async def test_first_few_connections_use_levels() -> None:
    pairs = [socket.socketpair() for _ in range(4)]
    async with watching(*[ours for ours, _ in pairs]) as all_arrivals:
        kinds = [isinstance(arrivals, Levels) for arrivals in all_arrivals]
        all_arrivals[0].close()
        all_arrivals[3].close()
    with closing(readiness.readiness()) as ready:
        first, second = ready.arrivals(pairs[0][0]), ready.arrivals(pairs[1][0])
        first.close()
        again = ready.arrivals(pairs[0][0])
        kinds += [isinstance(second, Levels), isinstance(again, Levels)]
    assert kinds == [True, True, False, False, True, True]
    for ours, theirs in pairs:
        ours.close()
        theirs.close()
