"""Bodies become bytes, in order, and no sooner than they are taken."""

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import assert_checkpoints, assert_no_checkpoints, wait_all_tasks_blocked

from trio_http.http1.interpreter import AT_ONCE, fair, run
from trio_http.http1.stream import PIECE
from trio_http.semantics.bodies import Body, Chain, Encoded, FileSlice, Send, Stream

CONTENT = bytes(range(256)) * 1024  # several pieces of a file


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def stream_of(*pieces: bytes) -> Stream:
    async def produce(send: Send) -> None:
        for piece in pieces:
            await send(piece)

    return Stream(produce)


async def passed_on(body: Body) -> list[bytes | FileSlice]:
    """What a body asks to be sent, piece by piece."""
    pieces: list[bytes | FileSlice] = []

    async def pass_on(piece: bytes | FileSlice) -> None:
        await trio.lowlevel.checkpoint()
        pieces.append(piece)

    await run(body, pass_on)
    return pieces


async def coded(body: Body, coding: str = "gzip") -> bytes:
    pieces = await passed_on(Encoded(body, coding))
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


async def test_bytes_and_files_are_passed_on_as_they_are(file: int) -> None:
    assert await passed_on(b"hello") == [b"hello"]
    assert await passed_on(b"") == [b""]
    assert await passed_on(FileSlice(file, 1, 2)) == [FileSlice(file, 1, 2)]


async def test_a_chain_keeps_its_order(file: int) -> None:
    inner = Chain((stream_of(b"2", b"3"), FileSlice(file, 0, 5)))
    assert await passed_on(Chain((b"1", inner, b"4"))) == [
        b"1",
        b"2",
        b"3",
        FileSlice(file, 0, 5),
        b"4",
    ]
    assert await passed_on(Chain(())) == []


async def test_what_a_stream_sends_is_passed_on_at_once() -> None:
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


async def test_a_stream_waits_until_its_piece_is_taken() -> None:
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


async def test_a_stream_lets_others_run_though_there_is_always_room() -> None:
    async def has_room(piece: bytes | FileSlice) -> None:
        pass

    send = fair(has_room)
    with assert_checkpoints():
        await send(b"1")


async def test_what_a_stream_raises_goes_on_to_whoever_runs_it() -> None:
    async def produce(send: Send) -> None:
        await send(b"1")
        raise ValueError("out of ideas")

    with pytest.raises(ValueError, match="out of ideas"):
        await passed_on(Stream(produce))


async def test_what_takes_long_to_encode_lets_others_run() -> None:
    async def has_room(piece: bytes | FileSlice) -> None:
        pass

    with assert_no_checkpoints():
        await run(Encoded(bytes(AT_ONCE), "gzip"), has_room)
    with assert_checkpoints():
        await run(Encoded(bytes(AT_ONCE + 1), "gzip"), has_room)


@pytest.mark.parametrize("size", [0, 1, AT_ONCE, AT_ONCE + 1, PIECE, 3 * PIECE + 1])
async def test_bytes_of_any_size_are_encoded(size: int) -> None:
    content = os.urandom(size)
    assert gzip.decompress(await coded(content)) == content
    assert zlib.decompress(await coded(content, "deflate")) == content


async def test_a_file_is_encoded(file: int) -> None:
    body = FileSlice(file, 1, len(CONTENT) - 2)
    assert gzip.decompress(await coded(body)) == CONTENT[1:-1]


async def test_a_file_that_becomes_shorter_is_an_error_also_encoded(file: int) -> None:
    with pytest.raises(EOFError, match="shorter"):
        await coded(FileSlice(file, 0, len(CONTENT) + 1))


async def test_a_chain_is_encoded_as_one(file: int) -> None:
    body = Chain((b"begin", FileSlice(file, 0, 5), stream_of(b"a", b"b"), b"end"))
    assert gzip.decompress(await coded(body)) == b"begin" + CONTENT[:5] + b"abend"


async def test_each_piece_of_an_encoded_stream_can_be_decoded_when_it_arrives() -> None:
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

    await run(Encoded(Stream(produce), "gzip"), pass_on)
    assert decoder.eof


async def test_what_is_whole_is_not_flushed_in_between() -> None:
    # A flush costs compression: five bytes each time, and all that could be shared.
    content = b"hello, hello, hello, " * 100
    assert len(await coded(Chain((content,) * 20))) < len(await coded(stream_of(*(content,) * 20)))


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
async def test_whatever_is_nested_arrives_whole(case: tuple[Body, bytes]) -> None:
    body, content = case
    assert b"".join(piece for piece in await passed_on(body) if isinstance(piece, bytes)) == content
    assert gzip.decompress(await coded(body)) == content
