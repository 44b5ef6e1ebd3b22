"""Bodies are turned into bytes in order, as fast as the client takes them."""

import gzip
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from support import stream_of
from trio.testing import (
    MockClock,
    assert_checkpoints,
    assert_no_checkpoints,
    wait_all_tasks_blocked,
)

from trio_http.http1.response_body import fair, run
from trio_http.semantics.bodies import Body, Chain, Encoded, FileSlice, Pulse, Send, Stream
from trio_http.semantics.content_coding import QUICK
from trio_http.semantics.errors import ClientDisconnected
from trio_http.transport.page_cache import PIECE

AT_ONCE = QUICK["br"]  # larger pieces are encoded in a thread
CONTENT = bytes(range(256)) * 1024  # several pieces long


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


async def passed_on(body: Body) -> list[bytes | FileSlice]:
    """Return the pieces that a body passes on."""
    pieces: list[bytes | FileSlice] = []

    async def pass_on(piece: bytes | FileSlice) -> None:
        await trio.lowlevel.checkpoint()
        pieces.append(piece)

    await run(body, pass_on)
    return pieces


async def coded(body: Body, coding: str = "gzip") -> bytes:
    pieces = await passed_on(Encoded(body, coding))
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


async def test_bytes_and_files_are_passed_on_unchanged(file: int) -> None:
    assert await passed_on(b"hello") == [b"hello"]
    assert await passed_on(b"") == [b""]
    assert await passed_on(FileSlice(file, 1, 2)) == [FileSlice(file, 1, 2)]


async def test_chain_keeps_its_order(file: int) -> None:
    inner = Chain((stream_of(b"2", b"3"), FileSlice(file, 0, 5)))
    assert await passed_on(Chain((b"1", inner, b"4"))) == [
        b"1",
        b"2",
        b"3",
        FileSlice(file, 0, 5),
        b"4",
    ]
    assert await passed_on(Chain(())) == []


async def test_stream_piece_is_passed_on_at_once() -> None:
    async def produce(send: Send) -> None:
        await send(b"1")
        assert taken == [b"1"]
        await send(b"2")
        assert taken == [b"1", b"2"]

    taken: list[bytes | FileSlice] = []

    async def pass_on(piece: bytes | FileSlice) -> None:
        await trio.lowlevel.checkpoint()
        taken.append(piece)

    await run(Stream(produce), pass_on)
    assert taken == [b"1", b"2"]


async def test_send_returns_after_the_piece_was_taken() -> None:
    room, steps = trio.Event(), []

    async def produce(send: Send) -> None:
        await send(b"1")
        steps.append("sent")

    async def pass_on(piece: bytes | FileSlice) -> None:
        await room.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run, Stream(produce), pass_on)
        await wait_all_tasks_blocked()
        assert steps == []
        room.set()
    assert steps == ["sent"]


async def has_room(piece: bytes | FileSlice) -> None:
    pass


async def test_fast_stream_yields_to_other_tasks() -> None:
    send = fair(has_room)
    for _ in range(3):
        with assert_checkpoints():
            for _ in range(16):
                await send(b"1")


@pytest.mark.parametrize(
    "body",
    [
        stream_of(*[b"1"] * 1600),
        replace(stream_of(*[b"1"] * 1600), pulse=Pulse(15, b"!")),
        Chain((b"1",) * 1600),
        Chain((stream_of(b"1"),) * 1600),
        Encoded(stream_of(*[b"1"] * 1600), "gzip"),
        Encoded(Chain((b"1",) * 1600), "gzip"),
    ],
)
async def test_small_pieces_of_every_body_yield_to_other_tasks(body: Body) -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_turns)
        await run(body, has_room)
        nursery.cancel_scope.cancel()
    assert turns >= 95  # about one per 16 pieces


PULSES = [None, Pulse(15, b"!")]


@pytest.mark.parametrize("pulse", PULSES)
async def test_error_of_stream_is_raised_by_run(pulse: Pulse | None) -> None:
    reason = LookupError("the reason")

    async def produce(send: Send) -> None:
        await send(b"1")
        raise ValueError("the stream has failed") from reason

    with pytest.raises(ValueError, match="the stream has failed") as error:
        await passed_on(Stream(produce, pulse=pulse))
    assert error.value.__cause__ is reason


async def test_concurrent_send_raises_busy_resource_error() -> None:
    room = trio.Event()

    async def produce(send: Send) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, b"1")
            await wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await send(b"2")
            room.set()
        await send(b"3")

    taken: list[bytes | FileSlice] = []

    async def pass_on(piece: bytes | FileSlice) -> None:
        if piece == b"1":
            await room.wait()
        taken.append(piece)

    await run(Stream(produce), pass_on)
    assert taken == [b"1", b"3"]


# Pulses


def ticking(*seconds: float, pulse: float = 15) -> Stream:
    """Return a stream that sends ``tick`` after each pause and ``!`` as its pulse."""

    async def produce(send: Send) -> None:
        for pause in seconds:
            await trio.sleep(pause)
            await send(b"tick")

    return Stream(produce, pulse=Pulse(pulse, b"!"))


async def times_of(body: Body, each: float = 0) -> list[tuple[bytes, float]]:
    """Return the pieces and their times for a client that needs ``each`` seconds per piece."""
    times = []

    async def pass_on(piece: bytes | FileSlice) -> None:
        assert isinstance(piece, bytes)
        times.append((piece, trio.current_time()))
        await trio.sleep(each)

    await run(body, pass_on)
    return times


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (ticking(), []),
        (ticking(1), [(b"tick", 1)]),
        (ticking(40), [(b"!", 15), (b"!", 30), (b"tick", 40)]),
        # The silence is counted from the last piece, not from the last pulse.
        (ticking(10, 10, 20), [(b"tick", 10), (b"tick", 20), (b"!", 35), (b"tick", 40)]),
        (ticking(1000, pulse=float("inf")), [(b"tick", 1000)]),
    ],
)
async def test_pulse_is_sent_after_silence(
    stream: Stream, expected: list[tuple[bytes, float]], autojump_clock: MockClock
) -> None:
    assert await times_of(stream) == expected
    assert await times_of(Chain((b"<", stream, b">")))


async def test_pulse_is_sent_in_any_order_of_task_starts(autojump_clock: MockClock) -> None:
    # Trio starts tasks in any order, so some of these streams send a piece before the pulse
    # task has started and some after.
    times: list[tuple[bytes | FileSlice, float]] = []

    async def pass_on(piece: bytes | FileSlice) -> None:
        await trio.lowlevel.checkpoint()
        times.append((piece, trio.current_time()))

    async def produce(send: Send) -> None:
        await send(b"tick")
        await trio.sleep(20)

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(run, Stream(produce, pulse=Pulse(15, b"!")), pass_on)
    assert times == [(b"tick", 0)] * 20 + [(b"!", 15)] * 20


async def test_pulse_waits_for_the_piece_being_sent(autojump_clock: MockClock) -> None:
    # Each piece takes 20 seconds, so the pulse is due while a piece is being sent. It has to
    # wait for the piece, and then there was no silence after all.
    assert await times_of(ticking(0, 0, 16), each=20) == [
        (b"tick", 0),
        (b"tick", 20),
        (b"!", 55),
        (b"tick", 75),
    ]


async def test_started_pulse_is_finished_before_the_stream_ends(
    autojump_clock: MockClock,
) -> None:
    taken: list[bytes | FileSlice] = []

    async def pass_on(piece: bytes | FileSlice) -> None:
        await trio.sleep(10)
        taken.append(piece)

    async def produce(send: Send) -> None:
        await trio.sleep(16)

    await run(Stream(produce, pulse=Pulse(15, b"!")), pass_on)
    assert taken == [b"!"]
    assert trio.current_time() == 25


async def test_failed_pulse_ends_the_stream(autojump_clock: MockClock) -> None:
    ended = []

    async def produce(send: Send) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    async def pass_on(piece: bytes | FileSlice) -> None:
        raise ClientDisconnected

    with pytest.raises(ClientDisconnected):
        await run(Stream(produce, pulse=Pulse(15, b"!")), pass_on)
    assert ended == [15]


@pytest.mark.parametrize("pause", [0, 16])
async def test_disconnect_of_client_is_raised_once(pause: float, autojump_clock: MockClock) -> None:
    # With a pause of 16, the stream waits for the pulse of second 15, which then fails.
    tried = []

    async def pass_on(piece: bytes | FileSlice) -> None:
        tried.append(piece)
        if len(tried) == 1:
            await trio.sleep(20)
        raise ClientDisconnected

    async def produce(send: Send) -> None:
        await trio.sleep(pause)
        try:
            await send(b"tick")
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)

    with pytest.raises(ClientDisconnected):
        await run(Stream(produce, pulse=Pulse(15, b"!")), pass_on)
    assert len(tried) == 1


async def test_errors_of_stream_and_pulse_are_raised_as_group(autojump_clock: MockClock) -> None:
    async def produce(send: Send) -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("the stream has failed")

    async def pass_on(piece: bytes | FileSlice) -> None:
        raise ClientDisconnected

    with pytest.raises(ExceptionGroup) as group:
        await run(Stream(produce, pulse=Pulse(15, b"!")), pass_on)
    assert {type(error) for error in group.value.exceptions} == {ValueError, ClientDisconnected}


@pytest.mark.parametrize("pulse", PULSES)
async def test_cancellation_of_run_cancels_the_stream(
    pulse: Pulse | None, autojump_clock: MockClock
) -> None:
    async def produce(send: Send) -> None:
        await trio.sleep_forever()

    with trio.move_on_after(20) as scope:
        await passed_on(Stream(produce, pulse=pulse))
    assert scope.cancelled_caught


async def test_send_with_pulse_is_a_checkpoint() -> None:
    async def has_room(piece: bytes | FileSlice) -> None:
        pass

    async def produce(send: Send) -> None:
        with assert_checkpoints():
            await send(b"1")

    await run(Stream(produce, pulse=Pulse(15, b"!")), has_room)


async def test_encoded_pulse_can_be_decoded_on_arrival(autojump_clock: MockClock) -> None:
    decoder = zlib.decompressobj(31)
    times = await times_of(Encoded(ticking(20), "gzip"))
    assert [(decoder.decompress(piece), time) for piece, time in times] == [
        (b"!", 15),
        (b"tick", 20),
        (b"", 20),
    ]
    assert decoder.eof


async def test_slow_encoding_yields_to_other_tasks() -> None:
    async def has_room(piece: bytes | FileSlice) -> None:
        pass

    assert AT_ONCE < PIECE
    with assert_no_checkpoints():
        await run(Encoded(bytes(AT_ONCE), "br"), has_room)
    with assert_checkpoints():
        await run(Encoded(bytes(AT_ONCE + 1), "br"), has_room)
    with assert_checkpoints():  # encoded quickly, but large
        await run(Encoded(bytes(2 * PIECE), "zstd"), has_room)


@pytest.mark.parametrize("size", [0, 1, AT_ONCE, AT_ONCE + 1, PIECE, 3 * PIECE + 1])
async def test_bytes_of_any_size_are_encoded(size: int) -> None:
    content = os.urandom(size)
    assert gzip.decompress(await coded(content)) == content
    assert zlib.decompress(await coded(content, "deflate")) == content


async def test_file_is_encoded(file: int) -> None:
    body = FileSlice(file, 1, len(CONTENT) - 2)
    assert gzip.decompress(await coded(body)) == CONTENT[1:-1]


async def test_truncated_encoded_file_raises_eof_error(file: int) -> None:
    with pytest.raises(EOFError, match="shorter"):
        await coded(FileSlice(file, 0, len(CONTENT) + 1))


async def test_chain_is_encoded_as_one(file: int) -> None:
    body = Chain((b"begin", FileSlice(file, 0, 5), stream_of(b"a", b"b"), b"end"))
    assert gzip.decompress(await coded(body)) == b"begin" + CONTENT[:5] + b"abend"


@pytest.mark.parametrize(
    "around",
    [
        lambda stream: stream,
        lambda stream: Chain((b"", stream)),
        lambda stream: Chain((Chain((stream,)), b"")),
    ],
)
async def test_encoded_stream_piece_can_be_decoded_on_arrival(
    around: Callable[[Stream], Body],
) -> None:
    decoder = zlib.decompressobj(31)
    decoded: list[bytes] = []

    async def pass_on(piece: bytes | FileSlice) -> None:
        await trio.lowlevel.checkpoint()
        assert isinstance(piece, bytes)
        decoded.append(decoder.decompress(piece))

    async def produce(send: Send) -> None:
        for event in (b"tick", b"", b"tock", os.urandom(2 * AT_ONCE)):
            await send(event)
            assert b"".join(decoded).endswith(event)

    await run(Encoded(around(Stream(produce)), "gzip"), pass_on)
    assert decoder.eof


async def test_twice_encoded_stream_can_be_decoded_on_arrival() -> None:
    outer, inner = zlib.decompressobj(31), zlib.decompressobj()
    decoded: list[bytes] = []

    async def pass_on(piece: bytes | FileSlice) -> None:
        await trio.lowlevel.checkpoint()
        assert isinstance(piece, bytes)
        decoded.append(inner.decompress(outer.decompress(piece)))

    async def produce(send: Send) -> None:
        await send(b"tick")
        assert b"".join(decoded) == b"tick"

    await run(Encoded(Encoded(Stream(produce), "deflate"), "gzip"), pass_on)


async def test_encoded_bytes_are_not_flushed_in_between() -> None:
    # Each flush costs five bytes and prevents references to earlier bytes.
    content = b"hello, hello, hello, " * 100
    whole = await coded(Chain((content,) * 20))
    assert len(whole) < len(await coded(stream_of(*(content,) * 20)))
    # The output of an inner encoder is not flushed either.
    twice = await passed_on(Encoded(Encoded(Chain((content,) * 20), "gzip"), "gzip"))
    assert sum(map(len, twice)) < len(whole) + 40


bodies = st.recursive(
    st.binary(max_size=50).map(lambda content: (content, content)),
    lambda inner: st.lists(inner, max_size=4).flatmap(
        lambda parts: st.sampled_from(
            [
                (
                    Chain(tuple([body for body, _ in parts])),
                    b"".join(content for _, content in parts),
                ),
                (
                    stream_of(*(content for _, content in parts)),
                    b"".join(content for _, content in parts),
                ),
            ]
        )
    ),
    max_leaves=12,
)


@given(bodies)
@settings(max_examples=50)
async def test_nested_bodies_arrive_whole(case: tuple[Body, bytes]) -> None:
    body, content = case
    assert b"".join(piece for piece in await passed_on(body) if isinstance(piece, bytes)) == content
    assert gzip.decompress(await coded(body)) == content
