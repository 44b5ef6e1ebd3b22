"""The body of a request, as far as it is asked for."""

import os
import socket
from contextlib import closing
from pathlib import Path

import h11
import pytest
import trio
from trio.testing import MockClock

from trio_http.http1.receive_buffer import Input
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
    """A request with as much of its body as has come, and how often we said to go on."""

    def __init__(self, head: bytes, body: bytes, limits: Limits = Limits()) -> None:  # noqa: B008
        near, far = trio.testing.memory_stream_pair()
        self.client = near
        self.input = Input(StreamTransport(far, 2), limits)
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


async def test_a_request_without_a_body_has_an_empty_one() -> None:
    sent = Sent(COUNTED, b"hello")
    sent.body.begin_counted(0)
    assert await all_of(sent.body) == []
    assert sent.body.is_worth_reading
    assert sent.input.unread == b"hello"  # which is somebody else's


async def test_a_body_is_read_to_its_end_and_no_further() -> None:
    sent = Sent(COUNTED, b"helloGET /")
    assert await all_of(sent.body) == [b"hello"]
    assert await all_of(sent.body) == []
    assert sent.input.unread == b"GET /"
    assert sent.body.is_sound


async def test_trailers_are_those_of_the_last_body() -> None:
    sent = Sent(CHUNKED, b"2\r\nhi\r\n0\r\nA: b\r\nHost: y\r\n\r\n")
    assert await all_of(sent.body) == [b"hi"]
    assert sent.body.trailers == Headers({"A": "b"})
    sent.body.begin_counted(0)
    assert sent.body.trailers is NO_FIELDS


async def test_blanks_before_the_extension_of_a_chunk_are_no_part_of_the_body() -> None:
    # RFC 9112 7.1.1: bad white space, but not an error.
    sent = Sent(CHUNKED, b'2 ;a\r\nhi\r\n3\t;b = "c" ;d\r\n ;!\r\n0 ;e\r\nA: b\r\n\r\nGET /')
    assert b"".join(await all_of(sent.body)) == b"hi ;!"
    assert sent.body.trailers == Headers({"A": "b"})
    assert sent.input.unread == b"GET /"


async def test_trailers_may_come_bit_by_bit() -> None:
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


async def test_the_client_is_told_to_go_on_once_and_only_when_asked_for_more() -> None:
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
        (CHUNKED, Limits(skip=0), True),  # nobody knows yet
        (EXPECTING, Limits(), False),  # RFC 9110 10.1.1: it may come, or may not
        (CHUNKED_EXPECTING, Limits(), False),
    ],
)
async def test_what_is_read_only_to_reach_its_end(
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
        (COUNTED, b"hell", Limits(), 400),  # it breaks off
        (CHUNKED, b"5\r\nhel", Limits(), 400),
    ],
)
async def test_a_body_that_is_not_taken_is_of_no_use_any_more(
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


async def test_the_chunks_at_hand_are_joined() -> None:
    sent = Sent(CHUNKED, chunked(1, 3) + b"2;a=b\r\nyz\r\n5\r\nhel")
    assert await sent.body.receive() == b"xxxyzhel"
    await sent.client.send_all(b"lo\r\n0\r\n\r\nGET /")
    assert await all_of(sent.body) == [b"lo"]
    assert sent.input.unread == b"GET /"


class Turns:
    """Counts the turns of others."""

    def __init__(self) -> None:
        self.count = 0

    async def take(self) -> None:
        while True:
            await trio.lowlevel.checkpoint()
            self.count += 1


async def test_others_have_their_turn_between_many_chunks() -> None:
    sent = Sent(CHUNKED, chunked(1, 20 * CHUNKS_AT_ONCE) + b"0\r\n\r\n")
    turns = Turns()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turns.take)
        pieces = await all_of(sent.body)
        nursery.cancel_scope.cancel()
    assert [len(piece) for piece in pieces] == [CHUNKS_AT_ONCE] * 20
    # One between each two, of which the last may come too late: Trio draws lots within a turn.
    assert turns.count >= 18


async def test_whoever_understands_a_body_can_give_way() -> None:
    body = Sent(COUNTED, b"hello").body
    with trio.testing.assert_checkpoints():
        await give_way_of(body)()


LITTLE = Limits(framing=500)


@pytest.mark.parametrize(
    ("body", "taken"),
    [
        (chunked(1, 165), True),  # five bytes of framing, less two for the byte of data
        (chunked(1, 167), False),
        (chunked(2, 497), True),
        (chunked(2, 501), False),
        (chunked(3, 10_000), True),  # in proportion, however many there are
        (b"1;a=%b\r\nx\r\n" % (b"b" * 200) * 2, True),
        (b"1;a=%b\r\nx\r\n" % (b"b" * 200) * 3, False),
        (b"800\r\n%b\r\n" % bytes(2048) + chunked(1, 1500), True),
    ],
)
async def test_more_framing_than_is_in_proportion_is_refused(
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


async def test_a_client_that_sends_byte_by_byte_may_do_so_for_ever(
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


async def test_a_program_may_send_line_by_line_at_any_rate() -> None:
    # None of the usual limits is met by lines of JSON, whose framing is the lesser part.
    lines = b'd\r\n{"value": 1}\n\r\n' * 100_000
    sent = Sent(CHUNKED, lines + b"0\r\n\r\n")
    assert len(b"".join(await all_of(sent.body))) == 1_300_000


async def test_100_000_chunks_of_a_byte_are_refused_by_default() -> None:
    sent = Sent(CHUNKED, chunked(1, 100_000) + b"0\r\n\r\n")
    with pytest.raises(HTTPError, match="too small"):
        await all_of(sent.body)


async def test_a_body_that_stops_coming_has_its_time(autojump_clock: MockClock) -> None:
    sent = Sent(COUNTED, b"hel")
    assert await sent.body.receive() == b"hel"
    with pytest.raises(HTTPError) as refusal:
        await sent.body.receive()
    assert refusal.value.status == 408
    assert trio.current_time() == 30


@pytest.mark.parametrize(
    ("head", "body", "limits", "reached"),
    [
        (COUNTED, b"hello", Limits(), True),
        (CHUNKED, b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", Limits(skip=5), True),
        (CHUNKED, b"3\r\nhel\r\n3\r\nlo!\r\n0\r\n\r\n", Limits(skip=5), False),
        (CHUNKED, b"3\r\nhel\r\nx\r\n", Limits(), False),
    ],
)
async def test_what_nobody_wanted_is_skipped_up_to_a_limit(
    head: bytes,
    body: bytes,
    limits: Limits,
    reached: bool,  # noqa: FBT001 - an expected value
) -> None:
    assert await Sent(head, body, limits).body.skip() == reached


# So many bytes


def counted(length: int, unread: bytes = b"", limits: Limits = Limits()) -> Sent:  # noqa: B008
    sent = Sent(CHUNKED, unread, limits)
    sent.body.begin_counted(length)
    return sent


async def test_so_many_bytes_are_the_body_and_what_follows_is_not() -> None:
    sent = counted(5, b"hel")
    known = [sent.body.is_read]
    await sent.client.send_all(b"loGET /")
    assert await all_of(sent.body) == [b"hel", b"lo"]
    known.append(sent.body.is_read)
    assert known == [False, True]
    assert await sent.body.receive() == b""
    assert await sent.input.receive_more()
    assert sent.input.unread == b"GET /"


async def test_large_bodies_come_in_large_pieces() -> None:
    sent = counted(3 * LARGE_PIECE, bytes(2 * LARGE_PIECE + 1))
    await sent.client.send_all(bytes(LARGE_PIECE))
    sizes = [len(piece) for piece in await all_of(sent.body)]
    assert sizes == [LARGE_PIECE, LARGE_PIECE, 1, LARGE_PIECE - 1]


@pytest.mark.parametrize(
    ("length", "limits", "status"), [(5, Limits(body=4), 413), (6, Limits(), 400)]
)
async def test_so_many_bytes_are_refused_where_they_are_too_many_or_do_not_come(
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


async def test_so_many_bytes_that_stop_coming_have_their_time(autojump_clock: MockClock) -> None:
    with pytest.raises(HTTPError) as refusal:
        await all_of(counted(6, b"hello").body)
    assert refusal.value.status == 408
    assert trio.current_time() == 30


@pytest.mark.parametrize(("skip", "worth"), [(5, True), (4, False)])
async def test_so_many_bytes_that_nobody_wanted_are_skipped(
    skip: int,
    worth: bool,  # noqa: FBT001 - an expected value
) -> None:
    sent = counted(5, b"helloGET /", Limits(skip=skip))
    assert sent.body.is_worth_reading == worth
    if worth:
        assert await sent.body.skip()
        assert sent.input.unread == b"GET /"


async def test_there_is_none_or_there_is_something_to_know() -> None:
    sent = Sent(CHUNKED, b"0\r\n\r\n")
    known = [sent.body.is_none]
    sent.body.begin_counted(0)
    known.append(sent.body.is_none)
    sent.body.begin_counted(3)
    known.append(sent.body.is_none)
    assert known == [False, True, False]


# Into a pipe

only_with_pipes = pytest.mark.skipif(
    not splice.CAN_SPLICE, reason="this system moves nothing past us"
)


@pytest.fixture
def pair(socket_pair: tuple[socket.socket, socket.socket]) -> tuple[socket.socket, socket.socket]:
    """Our end and the client's, which has room for all that a test sends."""
    _, theirs = socket_pair
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1024 * 1024)
    return socket_pair


def counted_from(
    connected: socket.socket,
    length: int,
    unread: bytes = b"",
    limits: Limits = Limits(),  # noqa: B008 - a frozen value
) -> tuple[RequestBody, Input]:
    source = Input(SocketTransport(connected, Levels(connected)), limits)
    source.unread += unread
    body = RequestBody(source, Timeouts(receive=30), limits)
    body.begin_counted(length)
    return body, source


def pipe_for(body: RequestBody) -> BodyPipe:
    pipe = body.open_pipe()
    assert pipe is not None
    return pipe


def emptied(pipe: BodyPipe, folder: Path) -> bytes:
    """What was in a pipe."""
    target = os.open(folder / "emptied", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        pipe.empty_into(target)
    finally:
        os.close(target)
    return (folder / "emptied").read_bytes()


@only_with_pipes
async def test_a_pipe_gets_the_body_and_not_what_follows(
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
async def test_a_pipe_is_filled_as_far_as_it_goes(
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
async def test_a_client_that_waits_is_told_before_its_bytes_are_moved(
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
async def test_a_pipe_may_be_full_before_it_holds_much(
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
async def test_a_pipe_is_given_no_more_than_bytes_would_be(
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
async def test_what_stops_coming_into_a_pipe_has_its_time(
    pair: tuple[socket.socket, socket.socket], autojump_clock: MockClock
) -> None:
    ours, theirs = pair
    body, _ = counted_from(ours, 6)
    with closing(pipe_for(body)) as pipe:
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def send() -> None:
                for byte in b"hel":
                    await trio.sleep(29)
                    theirs.send(bytes([byte]))

            with pytest.raises(HTTPError) as refusal:
                await pipe.fill()
    assert refusal.value.status == 408
    assert trio.current_time() == 3 * 29 + 30


@only_with_pipes
async def test_what_is_skipped_begins_behind_what_is_in_a_pipe(
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
async def test_no_pipe_is_opened_for_what_does_not_come_that_way(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Sent(COUNTED, b"").body.open_pipe() is None  # h11 reads that one
    assert counted(5).body.open_pipe() is None  # and this one comes over a stream
    assert counted_from(pair[0], 0)[0].open_pipe() is None
    monkeypatch.setattr(splice, "CAN_SPLICE", False)
    assert counted_from(pair[0], 5)[0].open_pipe() is None
