"""The codec that uses h11 to parse requests and to track the state of a connection."""

import h11
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import memory_stream_pair

from trio_http.http1.codec import Codec
from trio_http.http1.fast_path import FastPath
from trio_http.http1.h11_codec import H11Codec
from trio_http.http1.receive_buffer import ReceiveBuffer
from trio_http.http1.request_body import RequestBody
from trio_http.http1.response_framing import frame, interim_head
from trio_http.semantics.bodies import FileSlice, Send, Stream
from trio_http.semantics.headers import Headers
from trio_http.semantics.limits import Limits
from trio_http.semantics.response import Response
from trio_http.semantics.timeouts import Timeouts
from trio_http.transport.stream import transport_of

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


def head(line: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join((line, *fields, b"", b""))


async def produce(send: Send) -> None:
    raise NotImplementedError


def begun(codec: Codec, response: Response, method: str = "GET") -> None:
    """Begin a response as a wire does."""
    message = frame(response, method)
    codec.begin(message, message.head)


# Requests


def test_head_is_parsed() -> None:
    sent = head(b"PUT /a?b HTTP/1.1", b"Host: x", b"X-A: 1", b"Content-Length: 5")
    read = H11Codec(Limits()).read(sent)
    assert (read.size, read.line) == (len(sent), b"PUT /a?b HTTP/1.1")
    assert (read.method, read.target, read.version) == (b"PUT", b"/a?b", "1.1")
    assert isinstance(read.fields, Headers)
    assert read.fields.raw == ((b"Host", b"x"), (b"X-A", b"1"), (b"Content-Length", b"5"))
    assert (read.length, read.closes, read.expects) == (5, False, False)


@pytest.mark.parametrize(
    ("version", "read"), [(b"1.0", "1.0"), (b"1.1", "1.1"), (b"1.2", "1.1"), (b"1.9", "1.1")]
)
def test_higher_minor_version_is_read_as_1_1(version: bytes, read: str) -> None:
    sent = head(b"GET / HTTP/" + version, b"Host: x")
    assert H11Codec(Limits()).read(sent).version == read


# RFC 9112 3.2.2
def test_authority_in_target_replaces_host() -> None:
    read = H11Codec(Limits()).read(head(b"GET http://y:81/a HTTP/1.1", b"Host: x"))
    assert isinstance(read.fields, Headers)
    assert read.fields.values("Host") == ["y:81"]


@pytest.mark.parametrize(
    ("fields", "closes"),
    [
        ([], False),
        ([b"Connection: close"], True),
        ([b"connection: TE, Close"], True),
        ([b"Connection: keep-alive", b"Connection:\tclose\t,x"], True),
        ([b"Connection: closed"], False),
        ([b"X: close"], False),
    ],
)
def test_close_is_found_among_connection_options(
    fields: list[bytes],
    closes: bool,  # noqa: FBT001 - an expected value
) -> None:
    assert H11Codec(Limits()).read(head(b"GET / HTTP/1.1", b"Host: x", *fields)).closes == closes


@pytest.mark.parametrize(("version", "expects"), [(b"1.1", True), (b"1.0", False)])
def test_expectation_counts_in_http_1_1_only(version: bytes, expects: bool) -> None:  # noqa: FBT001
    fields = b"Host: x", b"Content-Length: 5", b"Expect: 100-continue"
    assert H11Codec(Limits()).read(head(b"PUT / HTTP/" + version, *fields)).expects == expects


@pytest.mark.parametrize("expects", [True, False])
async def test_body_of_the_last_request_is_read(
    expects: bool,  # noqa: FBT001
) -> None:
    continued = 0

    async def go_on() -> None:
        nonlocal continued
        continued += 1
        body.was_continued()
        await trio.lowlevel.checkpoint()

    near, far = memory_stream_pair()
    body = RequestBody(ReceiveBuffer(transport_of(far, Timeouts()), Limits()), Timeouts(), Limits())
    fields = [b"Host: x", b"Transfer-Encoding: chunked", *[b"Expect: 100-continue"] * expects]
    codec = H11Codec(Limits())
    codec.read(head(b"PUT / HTTP/1.1", *fields))
    codec.begin_body(body, go_on)
    await near.send_all(b"5\r\nhello\r\n0\r\n\r\n")
    assert [piece async for piece in body] == [b"hello"]
    assert continued == expects


def test_next_request_is_read_after_each_response() -> None:
    codec = H11Codec(Limits())
    for response in (Response(), Response(200, (), b"hello"), Response(204, (), b"dropped")):
        assert codec.read(GET).target == b"/a"
        begun(codec, response)
    codec.read(GET)
    codec.interim(103, interim_head(103, ()))
    begun(codec, Response(200, (), Stream(produce)))
    assert codec.end(()) == b"0\r\n\r\n"
    assert codec.read(GET).target == b"/a"


# Responses: h11 keeps the states


def test_second_response_raises_protocol_error() -> None:
    codec = H11Codec(Limits())
    codec.read(GET)
    begun(codec, Response())
    with pytest.raises(h11.LocalProtocolError):
        begun(codec, Response())


def test_body_shorter_than_its_length_raises_protocol_error() -> None:
    codec = H11Codec(Limits())
    codec.read(GET)
    begun(codec, Response(200, (), Stream(produce, 5)))
    codec.data(b"hell")
    with pytest.raises(h11.LocalProtocolError):
        codec.end(())


_PIECES = st.lists(
    st.binary(min_size=1, max_size=300)
    | st.builds(FileSlice, st.just(3), st.integers(0, 9), st.integers(1, 2**40)),
    max_size=4,
)


@settings(max_examples=100, deadline=None)
@given(_PIECES, st.booleans(), st.sampled_from([(), ((b"A", b"b"), (b"C", b"d"))]))
def test_both_codecs_frame_a_body_alike(
    pieces: list[bytes | FileSlice],
    is_promised: bool,  # noqa: FBT001
    trailers: tuple[tuple[bytes, bytes], ...],
) -> None:
    length = sum(map(len, pieces)) if is_promised else None
    sent = []
    for codec in (H11Codec(Limits()), FastPath(Limits())):
        assert codec.read(GET) is not None
        begun(codec, Response(200, (), Stream(produce, length)))
        framed: list[bytes | FileSlice] = []
        for piece in pieces:
            framed += codec.data(piece)
        framed.append(codec.end(() if is_promised else trailers))
        sent.append(joined(framed))
    assert sent[0] == sent[1]


def joined(pieces: list[bytes | FileSlice]) -> list[bytes | FileSlice]:
    """Return the pieces with adjacent bytes joined."""
    found: list[bytes | FileSlice] = [b""]
    for piece in pieces:
        last = found[-1]
        if isinstance(piece, bytes) and isinstance(last, bytes):
            found[-1] = last + piece
        else:
            found.append(piece)
    return found
