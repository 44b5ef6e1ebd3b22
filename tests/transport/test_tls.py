"""Tests of additions to Trio's TLS: a deadline for the handshake, and detected truncation."""

import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import pytest
import trio
from support import tls_contexts
from trio.testing import (
    MemoryReceiveStream,
    MemorySendStream,
    MockClock,
    memory_stream_pair,
    wait_all_tasks_blocked,
)

from trio_http.transport.tls import Encrypted

MemoryStream: TypeAlias = trio.StapledStream[MemorySendStream, MemoryReceiveStream]
Client: TypeAlias = "trio.SSLStream[MemoryStream]"

PATIENCE = 10

# With this option, a context does not report truncation. Python 3.11.2 sets it by default.
IGNORE = getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)


@pytest.fixture(params=[0, IGNORE], ids=["strict", "lenient"])
def pair(request: pytest.FixtureRequest) -> tuple[Encrypted, Client]:
    """The server's end and the client's of a connection before its handshake."""
    ours, theirs = memory_stream_pair()
    server, client = tls_contexts("localhost")
    server.options = server.options & ~IGNORE | request.param
    return (
        Encrypted(trio.SSLStream(ours, server, server_side=True), PATIENCE),
        trio.SSLStream(theirs, client, server_hostname="localhost"),
    )


async def test_bytes_arrive_both_ways_until_the_client_closes(
    pair: tuple[Encrypted, Client],
) -> None:
    ours, theirs = pair
    told = [ours.is_shaking_hands]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.send_all, b"hello")
        assert await ours.receive_some(3) == b"hel"
    assert [*told, ours.is_shaking_hands] == [False, False]
    assert await ours.receive_some() == b"lo"
    await ours.wait_send_all_might_not_block()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.send_all, b"and you")
        assert await theirs.receive_some() == b"and you"
    await theirs.send_all(b"bye")
    await theirs.aclose()
    assert await ours.receive_some() == b"bye"
    assert await ours.receive_some() == b""
    assert await ours.receive_some() == b""
    await ours.aclose()


async def test_connection_cut_off_raises_broken_resource_error(
    pair: tuple[Encrypted, Client],
) -> None:
    ours, theirs = pair
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.send_all, b"half a messa")
        assert await ours.receive_some() == b"half a messa"
    await theirs.transport_stream.aclose()
    for _ in range(2):
        with pytest.raises(trio.BrokenResourceError):
            await ours.receive_some()
    await ours.aclose()


async def test_record_cut_off_raises_broken_resource_error(pair: tuple[Encrypted, Client]) -> None:
    ours, theirs = pair
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.send_all, b"hello")
        assert await ours.receive_some() == b"hello"
    await theirs.transport_stream.send_all(b"\x17\x03\x03\x00")  # the beginning of a record
    await theirs.transport_stream.send_eof()
    with pytest.raises(trio.BrokenResourceError):
        await ours.receive_some()


def greeting() -> bytes:
    """Return the first message of a TLS client."""
    outgoing = ssl.MemoryBIO()
    context = ssl.create_default_context()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


async def receive(stream: Encrypted) -> object:
    return await stream.receive_some()


async def send(stream: Encrypted) -> None:
    await stream.send_all(b"hello")


@pytest.mark.parametrize("attempt", [receive, send])
@pytest.mark.parametrize("share", [0, 0.5, 1])
async def test_handshake_that_takes_too_long_raises_broken_resource_error(
    attempt: Callable[[Encrypted], Awaitable[object]],
    share: float,
    pair: tuple[Encrypted, Client],
    autojump_clock: MockClock,
) -> None:
    ours, theirs = pair
    said = greeting()
    if share:
        await theirs.transport_stream.send_all(said[: int(share * len(said))])
    with pytest.raises(trio.BrokenResourceError, match="took too long"):
        await attempt(ours)
    assert trio.current_time() == PATIENCE
    await ours.aclose()  # does not wait for the client
    assert trio.current_time() == PATIENCE


@pytest.mark.parametrize("share", [0.5, 1])
async def test_handshake_begins_with_the_first_bytes_from_the_client(
    share: float, pair: tuple[Encrypted, Client]
) -> None:
    ours, theirs = pair
    said, told = greeting(), []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive, ours)
        await wait_all_tasks_blocked()
        told.append(ours.is_shaking_hands)
        await theirs.transport_stream.send_all(said[: int(share * len(said))])
        await wait_all_tasks_blocked()
        told.append(ours.is_shaking_hands)
        nursery.cancel_scope.cancel()
    assert told == [False, True]


async def test_client_may_be_silent_for_longer_after_the_handshake(
    pair: tuple[Encrypted, Client], autojump_clock: MockClock
) -> None:
    ours, theirs = pair
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.do_handshake)
        nursery.start_soon(receive, ours)
        await wait_all_tasks_blocked()
        await trio.sleep(10 * PATIENCE)
        await theirs.send_all(b"hello")


async def test_client_without_tls_raises_broken_resource_error(
    pair: tuple[Encrypted, Client],
) -> None:
    ours, theirs = pair
    await theirs.transport_stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(trio.BrokenResourceError):
        await ours.receive_some()
    await ours.aclose()


# Clients that read slowly


SocketPair: TypeAlias = tuple[socket.socket, socket.socket]


async def introduced(pair: SocketPair) -> tuple[Encrypted, trio.SocketStream]:
    """Return the server's end after the handshake, and the socket of its client."""
    near, far = (trio.SocketStream(trio.socket.from_stdlib_socket(end)) for end in pair)
    server, client = tls_contexts("localhost")
    ours = Encrypted(trio.SSLStream(near, server, server_side=True), PATIENCE)
    theirs = trio.SSLStream(far, client, server_hostname="localhost")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.send_all, b"hello")
        assert await ours.receive_some() == b"hello"
    return ours, far


def test_progress_is_seen_only_of_a_socket(pair: tuple[Encrypted, Client]) -> None:
    assert not pair[0].sees_progress(PATIENCE, 0)


async def test_client_that_reads_slowly_is_sent_everything(
    slow_pair: SocketPair, autojump_clock: MockClock
) -> None:
    ours, theirs = await introduced(slow_pair)
    assert ours.sees_progress(PATIENCE, 1000)
    received = 0

    async def read_slowly() -> None:
        nonlocal received
        while data := await theirs.receive_some(64 * 1024):
            received += len(data)
            await trio.sleep(PATIENCE / 2)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_slowly)
        await ours.send_all(bytes(2 * 1024 * 1024))
        await ours.aclose()
    assert received > 2 * 1024 * 1024


async def test_client_may_pause_again_after_much_that_it_read_at_once(
    slow_pair: SocketPair, autojump_clock: MockClock
) -> None:
    ours, theirs = await introduced(slow_pair)
    assert ours.sees_progress(PATIENCE, 1_000_000)

    async def read_with_pauses() -> None:
        for _ in range(2):
            await trio.sleep(0.7 * PATIENCE)
            received = 0
            while received < 10_000_000 and (data := await theirs.receive_some(256 * 1024)):
                received += len(data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read_with_pauses)
        await ours.send_all(bytes(15_000_000))
        await ours.aclose()


async def test_client_that_does_not_read_is_given_up(
    slow_pair: SocketPair, autojump_clock: MockClock
) -> None:
    ours, _ = await introduced(slow_pair)
    assert ours.sees_progress(PATIENCE, 0)
    began = trio.current_time()
    with pytest.raises(trio.BrokenResourceError, match="stopped reading"):
        await ours.send_all(bytes(2 * 1024 * 1024))
    assert trio.current_time() - began == pytest.approx(PATIENCE)


async def test_sending_to_a_client_that_has_left_raises_broken_resource_error(
    slow_pair: SocketPair,
) -> None:
    ours, theirs = await introduced(slow_pair)
    assert ours.sees_progress(PATIENCE, 0)
    await theirs.aclose()
    with pytest.raises(trio.BrokenResourceError, match="is broken"):
        await ours.send_all(b"hello")
