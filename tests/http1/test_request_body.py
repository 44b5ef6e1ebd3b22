"""The body of a request, which is received on demand."""

import os
import socket
from contextlib import closing
from pathlib import Path

import h11
import pytest
import trio
from trio.testing import MockClock

from trio_http.http1.receive_buffer import ReceiveBuffer
from trio_http.http1.request_body import LARGE_PIECE, RequestBody
from trio_http.http1.request_framing import CHUNKS_AT_ONCE
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import NO_FIELDS, Headers
from trio_http.semantics.incoming_body import BodyPipe, give_way_of
from trio_http.semantics.limits import Limits
from trio_http.semantics.timeouts import Timeouts
from trio_http.transport import splice
from trio_http.transport.readiness import Levels
from trio_http.transport.sockets import SocketTransport
from trio_http.transport.splice import ROOM
from trio_http.transport.stream import StreamTransport

COUNTED = b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED_EXPECTING = CHUNKED.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
EXPECTING = COUNTED.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")


class Sent:
    """A request with the received part of its body; counts the calls of ``go_on``."""

    def __init__(self, head: bytes, body: bytes, limits: Limits = Limits()) -> None:  # noqa: B008
        near, far = trio.testing.memory_stream_pair()
        self.client = near
        self.input = ReceiveBuffer(StreamTransport(far, 2), limits)
        self.input.unread += body
        self.body = RequestBody(self.input, Timeouts(receive=30), limits)
        self.continued = 0
        state = h11.Connection(h11.SERVER)
        state.receive_data(head)
        request = state.next_event()
        assert isinstance(request, h11.Request)
        state.next_event()
        self.body.begin(state, request, self.go_on)

    async def go_on(self) -> None:
        await trio.lowlevel.checkpoint()
        self.continued += 1
        self.body.was_continued()


async def all_of(body: RequestBody) -> list[bytes]:
    return [piece async for piece in body]


async def test_request_without_body_reads_as_empty() -> None:
    sent = Sent(COUNTED, b"hello")
    sent.body.begin_counted(0)
    assert await all_of(sent.body) == []
    assert sent.body.is_worth_reading
    assert sent.input.unread == b"hello"  # belongs to the next request


async def test_body_is_read_up_to_its_end() -> None:
    sent = Sent(COUNTED, b"helloGET /")
    assert await all_of(sent.body) == [b"hello"]
    assert await all_of(sent.body) == []
    assert sent.input.unread == b"GET /"
    assert sent.body.is_sound


async def test_trailers_are_reset_for_the_next_body() -> None:
    sent = Sent(CHUNKED, b"2\r\nhi\r\n0\r\nA: b\r\nHost: y\r\n\r\n")
    assert await all_of(sent.body) == [b"hi"]
    assert sent.body.trailers == Headers({"A": "b"})
    sent.body.begin_counted(0)
    assert sent.body.trailers is NO_FIELDS


async def test_white_space_before_chunk_extension_is_ignored() -> None:
    # RFC 9112 7.1.1: bad white space, but not an error.
    sent = Sent(CHUNKED, b'2 ;a\r\nhi\r\n3\t;b = "c" ;d\r\n ;!\r\n0 ;e\r\nA: b\r\n\r\nGET /')
    assert b"".join(await all_of(sent.body)) == b"hi ;!"
    assert sent.body.trailers == Headers({"A": "b"})
    assert sent.input.unread == b"GET /"


async def test_trailers_in_pieces_are_read() -> None:
    sent = Sent(CHUNKED, b"2\r\nhi\r\n0\r\n")
    assert await sent.body.receive() == b"hi"
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def send() -> None:
            for data in (b"A:", b" b\r\n", b"\r", b"\nGET /"):
                await trio.testing.wait_all_tasks_blocked()
                await sent.client.send_all(data)

        assert await sent.body.receive() == b""
    assert sent.body.trailers == Headers({"A": "b"})
    assert sent.input.unread == b"GET /"


async def test_first_read_tells_the_client_to_continue_once() -> None:
    sent = Sent(EXPECTING, b"hello")
    assert sent.continued == 0
    assert not sent.body.is_worth_reading
    await all_of(sent.body)
    assert sent.continued == 1
    assert sent.body.is_worth_reading


@pytest.mark.parametrize(
    ("head", "limits", "worth"),
    [
        (COUNTED, Limits(), True),
        (COUNTED, Limits(skip=5), True),
        (COUNTED, Limits(skip=4), False),
        (COUNTED, Limits(body=4), False),
        (CHUNKED, Limits(skip=0), True),  # its length is not known yet
        (EXPECTING, Limits(), False),  # RFC 9110 10.1.1: the client may not send it
        (CHUNKED_EXPECTING, Limits(), False),
    ],
)
async def test_small_expected_body_is_worth_reading(
    head: bytes,
    limits: Limits,
    worth: bool,  # noqa: FBT001 - an expected value
) -> None:
    assert Sent(head, b"", limits).body.is_worth_reading == worth


@pytest.mark.parametrize(
    ("head", "body", "limits", "status"),
    [
        (COUNTED, b"hello", Limits(body=4), 413),
        (CHUNKED, b"5\r\nhello\r\n0\r\n\r\n", Limits(body=4), 413),
        (CHUNKED, b"x\r\n", Limits(), 400),
        (CHUNKED, b"5;\x00", Limits(), 400),
        (COUNTED, b"hell", Limits(), 400),  # incomplete
        (CHUNKED, b"5\r\nhel", Limits(), 400),
    ],
)
async def test_refused_body_is_not_sound(
    head: bytes, body: bytes, limits: Limits, status: int
) -> None:
    sent = Sent(head, body, limits)
    await sent.client.send_eof()
    with pytest.raises(HTTPError) as refusal:
        await all_of(sent.body)
    assert refusal.value.status == status
    assert not sent.body.is_sound


# Small chunks


def chunked(size: int, count: int, data: bytes = b"x") -> bytes:
    return b"%x\r\n%b\r\n" % (size, data * size) * count


async def test_received_chunks_are_joined() -> None:
    sent = Sent(CHUNKED, chunked(1, 3) + b"2;a=b\r\nyz\r\n5\r\nhel")
    assert await sent.body.receive() == b"xxxyzhel"
    await sent.client.send_all(b"lo\r\n0\r\n\r\nGET /")
    assert await all_of(sent.body) == [b"lo"]
    assert sent.input.unread == b"GET /"


class Turns:
    """Counts the turns of another task."""

    def __init__(self) -> None:
        self.count = 0

    async def take(self) -> None:
        while True:
            await trio.lowlevel.checkpoint()
            self.count += 1


async def test_many_chunks_yield_to_other_tasks() -> None:
    sent = Sent(CHUNKED, chunked(1, 20 * CHUNKS_AT_ONCE) + b"0\r\n\r\n")
    turns = Turns()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.take)
        pieces = await all_of(sent.body)
        nursery.cancel_scope.cancel()
    assert [len(piece) for piece in pieces] == [CHUNKS_AT_ONCE] * 20
    # One between each two pieces. The last may be too late: Trio shuffles the tasks of a turn.
    assert turns.count >= 18


async def test_give_way_is_a_checkpoint() -> None:
    body = Sent(COUNTED, b"hello").body
    with trio.testing.assert_checkpoints():
        await give_way_of(body)()


LITTLE = Limits(framing=500, receive_rate=0)


@pytest.mark.parametrize(
    ("body", "taken"),
    [
        (chunked(1, 165), True),  # five bytes of framing, two of them allowed by the byte of data
        (chunked(1, 167), False),
        (chunked(2, 497), True),
        (chunked(2, 501), False),
        (chunked(3, 10_000), True),  # in proportion for any number of chunks
        (b"1;a=%b\r\nx\r\n" % (b"b" * 200) * 2, True),
        (b"1;a=%b\r\nx\r\n" % (b"b" * 200) * 3, False),
        (b"800\r\n%b\r\n" % bytes(2048) + chunked(1, 1500), True),
    ],
)
async def test_framing_out_of_proportion_to_data_gets_400(
    body: bytes,
    taken: bool,  # noqa: FBT001 - an expected value
    autojump_clock: MockClock,
) -> None:
    sent = Sent(CHUNKED, body + b"0\r\n\r\n", LITTLE)
    if taken:
        await all_of(sent.body)
    else:
        with pytest.raises(HTTPError, match="too small") as refusal:
            await all_of(sent.body)
        assert refusal.value.status == 400
    assert sent.body.is_sound == taken


async def test_slow_single_byte_chunks_are_accepted(
    autojump_clock: MockClock,
) -> None:
    sent = Sent(CHUNKED, b"", LITTLE)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def press_keys() -> None:
            for _ in range(2000):
                await sent.client.send_all(chunked(1, 1))
                await trio.sleep(0.1)
            await sent.client.send_all(b"0\r\n\r\n")

        assert len(b"".join(await all_of(sent.body))) == 2000


async def test_100_000_chunks_of_a_line_are_accepted() -> None:
    # Lines of JSON, with less framing than data, are within the default limits.
    lines = b'd\r\n{"value": 1}\n\r\n' * 100_000
    sent = Sent(CHUNKED, lines + b"0\r\n\r\n")
    assert len(b"".join(await all_of(sent.body))) == 1_300_000


async def test_100_000_chunks_of_a_byte_are_refused() -> None:
    sent = Sent(CHUNKED, chunked(1, 100_000) + b"0\r\n\r\n")
    with pytest.raises(HTTPError, match="too small"):
        await all_of(sent.body)


async def test_stalled_body_gets_408(autojump_clock: MockClock) -> None:
    sent = Sent(COUNTED, b"hel")
    assert await sent.body.receive() == b"hel"
    with pytest.raises(HTTPError) as refusal:
        await sent.body.receive()
    assert refusal.value.status == 408
    assert trio.current_time() == 30


@pytest.mark.parametrize("head", [COUNTED, CHUNKED])
@pytest.mark.parametrize(
    ("rate", "pieces", "ending"),
    [
        (100, [(29, 1)] * 2, (30.01, 408)),  # a byte per 29 s
        (100, [(29, 2900)] * 9, (9 * 29, 0)),  # slow, but at the minimum rate
        (100, [(1, 90)] * 400, (291, 408)),  # steadily a tenth below it
        (100, [(1, 10_000), (40, 1)], (31, 408)),  # a fast second pays for no pause
        (0, [(29, 1)] * 9, (9 * 29, 0)),  # any byte is progress
    ],
)
async def test_body_below_the_minimum_rate_gets_408(
    head: bytes,
    rate: int,
    pieces: list[tuple[float, int]],
    ending: tuple[float, int],
    autojump_clock: MockClock,
) -> None:
    total = sum(size for _, size in pieces)
    head = head.replace(b"Length: 5", b"Length: %d" % total)
    sent = Sent(head, b"", Limits(receive_rate=rate))
    status = 0

    async def send() -> None:
        for pause, size in pieces:
            await trio.sleep(pause)
            await sent.client.send_all(bytes(size) if b"Length" in head else chunked(size, 1))
        await sent.client.send_all(b"" if b"Length" in head else b"0\r\n\r\n")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        try:
            await all_of(sent.body)
        except HTTPError as refusal:
            status = refusal.status
        ended = trio.current_time()
        nursery.cancel_scope.cancel()
    assert (ended, status) == pytest.approx(ending, rel=0.01)


async def test_each_body_has_the_whole_time(autojump_clock: MockClock) -> None:
    body = (sent := counted(1, b"", Limits(receive_rate=1))).body
    for _ in range(2):
        body.begin_counted(1)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def send() -> None:
                await trio.sleep(29)
                await sent.client.send_all(b"x")

            assert await body.receive() == b"x"


async def test_time_of_the_app_is_not_that_of_the_client(autojump_clock: MockClock) -> None:
    sent = counted(2, b"x", Limits(receive_rate=1))
    await sent.body.receive()
    await trio.sleep(100)
    await sent.client.send_all(b"y")
    assert await sent.body.receive() == b"y"


@pytest.mark.parametrize(
    ("head", "body", "limits", "reached"),
    [
        (COUNTED, b"hello", Limits(), True),
        (CHUNKED, b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", Limits(skip=5), True),
        (CHUNKED, b"3\r\nhel\r\n3\r\nlo!\r\n0\r\n\r\n", Limits(skip=5), False),
        (CHUNKED, b"3\r\nhel\r\nx\r\n", Limits(), False),
    ],
)
async def test_unread_body_is_skipped_up_to_the_limit(
    head: bytes,
    body: bytes,
    limits: Limits,
    reached: bool,  # noqa: FBT001 - an expected value
) -> None:
    assert await Sent(head, body, limits).body.skip() == reached


# Bodies of known length


def counted(length: int, unread: bytes = b"", limits: Limits = Limits()) -> Sent:  # noqa: B008
    sent = Sent(CHUNKED, unread, limits)
    sent.body.begin_counted(length)
    return sent


async def test_counted_body_ends_after_its_length() -> None:
    sent = counted(5, b"hel")
    known = [sent.body.is_read]
    await sent.client.send_all(b"loGET /")
    assert await all_of(sent.body) == [b"hel", b"lo"]
    known.append(sent.body.is_read)
    assert known == [False, True]
    assert await sent.body.receive() == b""
    assert await sent.input.receive_more()
    assert sent.input.unread == b"GET /"


async def test_large_body_arrives_in_large_pieces() -> None:
    sent = counted(3 * LARGE_PIECE, bytes(2 * LARGE_PIECE + 1))
    await sent.client.send_all(bytes(LARGE_PIECE))
    sizes = [len(piece) for piece in await all_of(sent.body)]
    assert sizes == [LARGE_PIECE, LARGE_PIECE, 1, LARGE_PIECE - 1]


@pytest.mark.parametrize(
    ("length", "limits", "status"), [(5, Limits(body=4), 413), (6, Limits(), 400)]
)
async def test_too_large_or_incomplete_counted_body_is_refused(
    length: int, limits: Limits, status: int
) -> None:
    sent = counted(length, b"hello", limits)
    await sent.client.send_eof()
    with pytest.raises(HTTPError) as refusal:
        await all_of(sent.body)
    assert refusal.value.status == status
    known = [sent.body.is_sound]
    sent.body.begin_counted(0)
    known.append(sent.body.is_sound)
    assert known == [False, True]


async def test_stalled_counted_body_gets_408(autojump_clock: MockClock) -> None:
    with pytest.raises(HTTPError) as refusal:
        await all_of(counted(6, b"hello").body)
    assert refusal.value.status == 408
    assert trio.current_time() == 30


@pytest.mark.parametrize(("skip", "worth"), [(5, True), (4, False)])
async def test_unread_counted_body_is_skipped_within_the_limit(
    skip: int,
    worth: bool,  # noqa: FBT001 - an expected value
) -> None:
    sent = counted(5, b"helloGET /", Limits(skip=skip))
    assert sent.body.is_worth_reading == worth
    if worth:
        assert await sent.body.skip()
        assert sent.input.unread == b"GET /"


async def test_only_empty_counted_body_is_none() -> None:
    sent = Sent(CHUNKED, b"0\r\n\r\n")
    known = [sent.body.is_none]
    sent.body.begin_counted(0)
    known.append(sent.body.is_none)
    sent.body.begin_counted(3)
    known.append(sent.body.is_none)
    assert known == [False, True, False]


# Pipes

only_with_pipes = pytest.mark.skipif(not splice.CAN_SPLICE, reason="this system has no splice")


@pytest.fixture
def pair(socket_pair: tuple[socket.socket, socket.socket]) -> tuple[socket.socket, socket.socket]:
    """Return both ends; the client's has buffer space for all bytes of a test."""
    _, theirs = socket_pair
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)
    return socket_pair


def counted_from(
    connected: socket.socket,
    length: int,
    unread: bytes = b"",
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
) -> tuple[RequestBody, ReceiveBuffer]:
    source = ReceiveBuffer(SocketTransport(connected, Levels(connected)), limits)
    source.unread += unread
    body = RequestBody(source, Timeouts(receive=30), limits)
    body.begin_counted(length)
    return body, source


def pipe_for(body: RequestBody) -> BodyPipe:
    pipe = body.open_pipe()
    assert pipe is not None
    return pipe


def emptied(pipe: BodyPipe, folder: Path) -> bytes:
    """Empty a pipe and return its contents."""
    target = os.open(folder / "emptied", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        pipe.empty_into(target)
    finally:
        os.close(target)
    return (folder / "emptied").read_bytes()


@only_with_pipes
async def test_pipe_gets_the_body_up_to_its_end(
    pair: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    ours, theirs = pair
    body, source = counted_from(ours, 11, b"hel")
    with closing(pipe_for(body)) as pipe:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def send() -> None:
                for data in (b"lo", b" ", b"worldGET /"):
                    await trio.testing.wait_all_tasks_blocked()
                    theirs.send(data)

            with trio.testing.assert_checkpoints():
                assert not await pipe.fill()
        assert body.is_read
        assert body.is_sound
        with trio.testing.assert_checkpoints():
            assert not await pipe.fill()
        assert emptied(pipe, tmp_path) == b"hello world"
        assert not await pipe.fill()
        assert emptied(pipe, tmp_path) == b""
    assert await body.receive() == b""
    assert await source.receive_more()
    assert source.unread == b"GET /"


@only_with_pipes
async def test_pipe_is_filled_to_its_capacity(
    pair: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    ours, theirs = pair
    sent = os.urandom(2 * ROOM + 10)
    body, _ = counted_from(ours, len(sent), sent[: ROOM + 5])
    taken = []
    with closing(pipe_for(body)) as pipe:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def send() -> None:
                rest = memoryview(sent)[ROOM + 5 :]
                while rest:
                    await trio.lowlevel.wait_writable(theirs)
                    rest = rest[theirs.send(rest) :]

            while await pipe.fill():
                taken.append(emptied(pipe, tmp_path))
        taken.append(emptied(pipe, tmp_path))
    assert b"".join(taken) == sent
    assert len(taken[0]) == ROOM
    assert all(0 < len(data) <= ROOM for data in taken)


@only_with_pipes
async def test_filling_a_pipe_sends_100_continue_first(
    pair: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    ours, theirs = pair
    body, _ = counted_from(ours, 5)

    async def go_on() -> None:
        await trio.lowlevel.checkpoint()
        theirs.send(b"hello")
        body.was_continued()

    body.begin_counted(5, go_on)
    with closing(pipe_for(body)) as pipe:
        assert not await pipe.fill()
        assert emptied(pipe, tmp_path) == b"hello"


@only_with_pipes
async def test_pipe_full_of_small_pieces_is_emptied_and_refilled(
    pair: tuple[socket.socket, socket.socket], tmp_path: Path
) -> None:
    ours, theirs = pair
    body, _ = counted_from(ours, 1000)
    taken = []
    with closing(pipe_for(body)) as pipe:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def send() -> None:
                for number in range(1000):
                    await trio.testing.wait_all_tasks_blocked()
                    theirs.send(bytes([number % 256]))

            while await pipe.fill():
                taken.append(emptied(pipe, tmp_path))
        taken.append(emptied(pipe, tmp_path))
    assert b"".join(taken) == bytes([number % 256 for number in range(1000)])
    assert len(taken) > 1


@only_with_pipes
@pytest.mark.parametrize(
    ("length", "limits", "status"), [(5, Limits(body=4), 413), (6, Limits(), 400)]
)
async def test_pipe_refuses_too_large_or_incomplete_body(
    pair: tuple[socket.socket, socket.socket], length: int, limits: Limits, status: int
) -> None:
    ours, theirs = pair
    body, _ = counted_from(ours, length, b"hel", limits)
    theirs.send(b"lo")
    theirs.close()
    with closing(pipe_for(body)) as pipe, pytest.raises(HTTPError) as refusal:
        await pipe.fill()
    assert refusal.value.status == status
    assert not body.is_sound


@only_with_pipes
@pytest.mark.parametrize(("rate", "seconds"), [(0, 3 * 29 + 30), (100, 30)])
async def test_stalled_body_in_pipe_gets_408(
    pair: tuple[socket.socket, socket.socket],
    rate: int,
    seconds: float,
    autojump_clock: MockClock,
) -> None:
    ours, theirs = pair
    body, _ = counted_from(ours, 6, b"", Limits(receive_rate=rate))
    with closing(pipe_for(body)) as pipe:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def send() -> None:
                for byte in b"hel":
                    await trio.sleep(29)
                    theirs.send(bytes([byte]))

            with pytest.raises(HTTPError) as refusal:
                await pipe.fill()
            nursery.cancel_scope.cancel()
    assert refusal.value.status == 408
    assert trio.current_time() == pytest.approx(seconds, abs=0.1)


@only_with_pipes
async def test_bytes_in_pipe_do_not_count_as_skipped(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    body, source = counted_from(ours, ROOM + 10, bytes(ROOM), Limits(skip=10))
    theirs.send(bytes(10) + b"GET /")
    known = [body.is_worth_reading]
    with closing(pipe_for(body)) as pipe:
        assert await pipe.fill()
    known.append(body.is_worth_reading)
    assert known == [False, True]
    assert await body.skip()
    assert await source.receive_more()
    assert source.unread == b"GET /"


@only_with_pipes
async def test_unsuitable_body_opens_no_pipe(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Sent(COUNTED, b"").body.open_pipe() is None  # h11 reads this body
    assert counted(5).body.open_pipe() is None  # this body arrives over a stream, not a socket
    assert counted_from(pair[0], 0)[0].open_pipe() is None
    monkeypatch.setattr(splice, "CAN_SPLICE", False)
    assert counted_from(pair[0], 5)[0].open_pipe() is None
