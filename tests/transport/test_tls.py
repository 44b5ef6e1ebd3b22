"""What is added to Trio's TLS: a deadline for the handshake, and cuts that are seen as such."""

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

# With it, a context says nothing of a cut. Python 3.11.2 sets it by itself.
IGNORE = getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)


@pytest.fixture(params=[0, IGNORE], ids=["strict", "lenient"])
def pair(request: pytest.FixtureRequest) -> tuple[Encrypted, Client]:
    """Our end and the client's of a connection that is not encrypted yet."""
    ours, theirs = memory_stream_pair()
    server, client = tls_contexts("localhost")
    server.options = server.options & ~IGNORE | request.param
    return (
        Encrypted(trio.SSLStream(ours, server, server_side=True), PATIENCE),
        trio.SSLStream(theirs, client, server_hostname="localhost"),
    )


async def test_bytes_go_both_ways_until_the_client_signs_the_end(
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


async def test_a_client_that_is_cut_off_is_no_end(pair: tuple[Encrypted, Client]) -> None:
    ours, theirs = pair
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.send_all, b"half a messa")
        assert await ours.receive_some() == b"half a messa"
    await theirs.transport_stream.aclose()
    for _ in range(2):
        with pytest.raises(trio.BrokenResourceError):
            await ours.receive_some()
    await ours.aclose()


async def test_a_cut_in_the_middle_of_a_record_is_no_end(pair: tuple[Encrypted, Client]) -> None:
    ours, theirs = pair
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.send_all, b"hello")
        assert await ours.receive_some() == b"hello"
    await theirs.transport_stream.send_all(b"\x17\x03\x03\x00")  # what a record begins with
    await theirs.transport_stream.send_eof()
    with pytest.raises(trio.BrokenResourceError):
        await ours.receive_some()


def greeting() -> bytes:
    """What a TLS client says first."""
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
async def test_a_handshake_has_its_time_and_no_more(
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
    await ours.aclose()  # to which nobody has to agree
    assert trio.current_time() == PATIENCE


@pytest.mark.parametrize("share", [0.5, 1])
async def test_a_handshake_begins_with_the_first_bytes_from_the_client(
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


async def test_who_has_shaken_hands_may_be_silent_for_longer(
    pair: tuple[Encrypted, Client], autojump_clock: MockClock
) -> None:
    ours, theirs = pair
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.do_handshake)
        nursery.start_soon(receive, ours)
        await wait_all_tasks_blocked()
        await trio.sleep(10 * PATIENCE)
        await theirs.send_all(b"hello")


async def test_who_does_not_speak_tls_is_no_client(pair: tuple[Encrypted, Client]) -> None:
    ours, theirs = pair
    await theirs.transport_stream.send_all(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(trio.BrokenResourceError):
        await ours.receive_some()
    await ours.aclose()
