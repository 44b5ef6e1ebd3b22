"""Tests of received responses with any framing and in any pieces."""

from typing import Any

import pytest
from trio.testing import memory_stream_pair

from trio_http.semantics.errors import HTTPError
from trio_http.semantics.headers import Headers
from trio_http.semantics.server_sent_events import ServerSentEvent
from trio_http.testing import Client, OpenResponse, ReceivedResponse
from trio_http.testing.received import MessageReader


async def client_that_reads(*pieces: bytes) -> Client:
    """Return a client whose server has sent these bytes and closed the connection."""
    near, far = memory_stream_pair()
    for piece in pieces:
        await far.send_all(piece)
    await far.aclose()
    return Client(near)


async def test_response_with_a_length_is_read_to_its_end() -> None:
    client = await client_that_reads(
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: 1\r\nX-A:  2 \r\n\r\nhelloHTTP/1.1 404 Not",
        b" Found\r\nContent-Length: 0\r\n\r\n",
    )
    answer = await client.response()
    assert (answer.status, answer.reason, answer.body) == (200, "OK", b"hello")
    assert answer.headers == Headers([("content-length", "5"), ("x-a", "1"), ("x-a", "2")])
    assert answer.trailers == Headers()
    assert (await client.response()).reason == "Not Found"


async def test_chunks_are_joined_and_trailers_are_read() -> None:
    client = await client_that_reads(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"5;extension=x\r\nhello\r\n1",
        b"\r\n!\r\n0\r\nX-Sum: 6\r\nX-More: y\r\n\r\nrest",
    )
    answer = await client.response()
    assert answer.body == b"hello!"
    assert answer.trailers == Headers([("X-Sum", "6"), ("X-More", "y")])
    assert await client.rest() == b"rest"


async def test_response_without_a_length_ends_with_the_connection() -> None:
    body = b"hello" * 100_000  # more than is received at once
    client = await client_that_reads(b"HTTP/1.1 200 OK\r\n\r\n", body)
    assert (await client.response()).body == body
    assert await client.rest() == b""


@pytest.mark.parametrize(
    ("method", "status"),
    [
        # RFC 9112 6.3: these have no body, regardless of their fields.
        ("HEAD", b"200 OK"),
        ("GET", b"204 No Content"),
        ("GET", b"304 Not Modified"),
        ("GET", b"103 Early Hints"),
    ],
)
@pytest.mark.parametrize("framing", [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"A: b"])
async def test_responses_without_content_have_no_body(
    method: str, status: bytes, framing: bytes
) -> None:
    client = await client_that_reads(b"HTTP/1.1 " + status + b"\r\n" + framing + b"\r\n\r\nrest")
    assert (await client.response(method)).body == b""
    assert await client.rest() == b"rest"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    ],
)
async def test_incomplete_response_raises_eof_error(sent: bytes) -> None:
    client = await client_that_reads(sent)
    with pytest.raises(EOFError, match="closed in a response"):
        await client.response()


def response_with(body: bytes, media_type: str = "") -> ReceivedResponse:
    fields = Headers({"Content-Type": media_type} if media_type else {})
    return ReceivedResponse(200, "OK", fields, body, Headers())


@pytest.mark.parametrize(
    ("media_type", "body", "text"),
    [
        ("", "café".encode(), "café"),
        ("text/plain", "café".encode(), "café"),
        ("text/plain; charset=iso-8859-1", b"caf\xe9", "café"),
    ],
)
def test_text_is_decoded_in_the_named_charset(media_type: str, body: bytes, text: str) -> None:
    assert response_with(body, media_type).text() == text


def test_undecodable_text_raises_http_error() -> None:
    with pytest.raises(HTTPError, match="the body is not valid utf-8"):
        response_with(b"\xe9").text()


@pytest.mark.parametrize("value", [None, 1.5, {"é": ["a"]}])
def test_json_is_parsed_for_any_media_type(value: Any) -> None:
    body = str(value).replace("'", '"').replace("None", "null").encode()
    assert response_with(body).json() == value
    with pytest.raises(ValueError, match="Expecting value"):
        response_with(b"<p>").json()


# Open responses


async def opened(*pieces: bytes, fields: bytes = b"") -> OpenResponse:
    near, far = memory_stream_pair()
    for piece in pieces:
        await far.send_all(piece)
    await far.aclose()
    return OpenResponse(
        MessageReader(near), 200, "OK", Headers.received([(b"Transfer-Encoding", fields)]), "GET"
    )


async def test_each_chunk_is_one_piece() -> None:
    response = await opened(b"3\r\nab", b"c\r\n1\r\nd\r\n0\r\nA: b\r\n\r\n", fields=b"chunked")
    assert response.trailers == Headers()
    assert [piece async for piece in response] == [b"abc", b"d"]
    assert response.trailers == Headers({"A": "b"})
    assert await response.receive_some() == b""


async def test_long_chunk_is_one_piece() -> None:
    long = b"long" * 50_000  # more than is received at once
    response = await opened(b"30d40\r\n" + long + b"\r\n0\r\n\r\n", fields=b"chunked")
    assert await response.receive_some() == long


async def test_rest_returns_everything_until_the_end() -> None:
    long = b"long" * 50_000
    client = await client_that_reads(b"begin", long)
    assert await client.rest() == b"begin" + long


async def test_body_without_framing_is_received_as_it_arrives() -> None:
    response = await opened(b"abc", b"d")
    assert await response.receive_some() == b"abcd"
    assert await response.read() == b""


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
async def test_events_are_received_one_by_one(line_end: bytes) -> None:
    stream = b": comment\n\nevent: a\ndata: 1\nid: 7\n\nretry: 5\n\ndata: 2\ndata: 3\n\ndata: 4\n"
    response = await opened(stream.replace(b"\n", line_end), b"x")
    assert await response.event() == ServerSentEvent("1", "a", "7")
    assert await response.event() == ServerSentEvent("2\n3")
    with pytest.raises(EOFError, match="no more events"):  # the last event is incomplete
        await response.event()


async def test_events_may_be_cut_anywhere() -> None:
    response = await opened(
        b"5\r\ndata:\r\n2\r\n 1\r\n1\r\n\n\r\n1\r\n\n\r\n0\r\n\r\n", fields=b"chunked"
    )
    assert await response.event() == ServerSentEvent("1")
