"""The head of a response and the framing of its body."""

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import NO_BODY

from trio_http.http1.response_framing import (
    FramedResponse,
    Streamed,
    date_line,
    finish,
    frame,
    interim_head,
)
from trio_http.semantics.behavior import Behavior
from trio_http.semantics.bodies import Body, Chain, Encoded, FileSlice, Send, Stream
from trio_http.semantics.errors import reason_of
from trio_http.semantics.headers import Fields, Headers
from trio_http.semantics.request import Request
from trio_http.semantics.response import Compress, Response

NOW = 784111777.9
DATE = b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def asked(method: str = "GET", version: str = "1.1", fields: Fields = ()) -> Request:
    return Request(method, "/", version, Headers(fields), NO_BODY)


async def produce(send: Send) -> None:
    raise NotImplementedError


STREAM = Stream(produce)


# Content-Length and chunks


@pytest.mark.parametrize(
    ("response", "line", "sent"),
    [
        (Response(200), b"Content-Length: 0\r\n", b""),
        (Response(200, (), b"abc"), b"Content-Length: 3\r\n", b"abc"),
        (Response(200, (), FileSlice(3, 5, 7)), b"Content-Length: 7\r\n", FileSlice(3, 5, 7)),
        (Response(200, {"Content-Length": "3"}, b"abc"), b"Content-Length: 3\r\n", b"abc"),
        # RFC 9112 6.1: the connection decides about the framing, not the handler.
        (Response(200, {"Transfer-Encoding": "chunked"}, b"abc"), b"Content-Length: 3\r\n", b"abc"),
    ],
)
def test_existing_body_is_sent_unchanged(
    response: Response, line: bytes, sent: bytes | FileSlice
) -> None:
    framed = frame(response)
    assert framed.head == OK + line + b"\r\n"
    assert framed.body == sent
    assert framed.response is response


@pytest.mark.parametrize(
    ("body", "length"),
    [
        (Stream(produce, 7), 7),
        (Chain((b"abc", FileSlice(3, 5, 7))), 10),
        (STREAM, None),
        (Encoded(b"abc", "gzip"), None),
        (Chain((b"abc", STREAM)), None),
    ],
)
def test_streamed_body_has_length_or_chunks(body: Body, length: int | None) -> None:
    framed = frame(Response(200, {"Transfer-Encoding": "chunked"}, body))
    line = CHUNKED if length is None else b"Content-Length: %d\r\n" % length
    assert framed.head == OK + line + b"\r\n"
    assert framed.body == Streamed(body, length, is_chunked=length is None)


def test_http_1_0_gets_no_chunks() -> None:
    framed = frame(Response(200, (), STREAM), version="1.0")
    assert framed.head == OK + b"\r\n"
    assert framed.body == Streamed(STREAM, None, is_chunked=False)
    # Content-Length does not depend on the version.
    assert (
        frame(Response(200, (), b"abc"), version="1.0").head
        == frame(Response(200, (), b"abc")).head
    )


def test_handler_can_set_the_length_of_a_stream() -> None:
    framed = frame(Response(200, {"Content-Length": "5"}, STREAM))
    assert framed.head == OK + b"Content-Length: 5\r\n\r\n"
    assert framed.body == Streamed(STREAM, 5, is_chunked=False)


# RFC 9110 8.6, 15.3.5, 15.4.5
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("body", [b"abc", STREAM])
def test_204_and_304_have_no_body_and_no_length(method: str, status: int, body: Body) -> None:
    framed = frame(Response(status, {"Content-Length": "3", "Allow": "GET"}, body), method)
    assert framed.head.endswith(b"\r\nAllow: GET\r\n\r\n")
    assert framed.body == b""


# RFC 9110 15.3.6: Content-Length: 0 is sent, because clients would wait for a body.
@pytest.mark.parametrize("body", [b"", b"abc", STREAM])
@pytest.mark.parametrize("fields", [{}, {"Content-Length": "3"}])
def test_205_has_content_length_0(body: Body, fields: Fields) -> None:
    framed = frame(Response(205, fields, body))
    assert framed.head == b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"
    assert framed.body == b""


@pytest.mark.parametrize("promised", [["4"], ["2"], ["three"], ["3", "3"], ["3, 3"], ["03"], [""]])
def test_wrong_content_length_raises_value_error(promised: list[str]) -> None:
    fields = [("Content-Length", length) for length in promised]
    for method in ("GET", "HEAD"):
        with pytest.raises(ValueError, match="on a body of 3 bytes"):
            frame(Response(200, fields, b"abc"), method)


@pytest.mark.parametrize("promised", [["three"], ["3", "3"], ["3, 3"], ["03"], [""], ["9" * 19]])
def test_malformed_content_length_raises_value_error(promised: list[str]) -> None:
    fields = [("Content-Length", length) for length in promised]
    with pytest.raises(ValueError, match="on a body of unknown length"):
        frame(Response(200, fields, STREAM))


# RFC 9110 9.3.2: the length of the response to GET
@pytest.mark.parametrize("body", [b"", FileSlice(3, 0, 0)])
def test_head_response_can_have_length_without_body(body: Body) -> None:
    response = Response(200, {"Content-Length": "12345", "Transfer-Encoding": "chunked"}, body)
    framed = frame(response, "HEAD")
    assert (framed.head, framed.body) == (OK + b"Content-Length: 12345\r\n\r\n", b"")
    with pytest.raises(ValueError, match="on a body of 0 bytes"):
        frame(response, "GET")


@pytest.mark.parametrize("status", [-1, 99, 100, 101, 103, 199, 1000])
def test_status_that_is_not_final_raises_value_error(status: int) -> None:
    with pytest.raises(ValueError, match=f"{status} is not the status of a final response"):
        frame(Response(status))


# RFC 9112 4: the reason phrase is optional, the space before it is not.
def test_unknown_status_has_no_reason_phrase() -> None:
    assert frame(Response(299)).head == b"HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n"


# Other fields


def test_fields_of_the_handler_come_first() -> None:
    framed = frame(Response(200, [("B", "1"), ("A", "2"), ("b", "3")], b"abc"), date=DATE)
    assert framed.head == OK + b"B: 1\r\nA: 2\r\nb: 3\r\n" + DATE + b"Content-Length: 3\r\n\r\n"


def test_date_of_the_handler_is_kept() -> None:
    framed = frame(Response(200, {"date": "Thu, 01 Jan 1970 00:00:00 GMT"}), date=DATE)
    assert framed.head == OK + b"date: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n"


def test_date_line_is_written_as_imf_fixdate() -> None:
    assert date_line(784111777) == DATE  # RFC 9110 5.6.7
    assert date_line(784111778) == DATE.replace(b":37", b":38")


@pytest.mark.parametrize(
    ("fields", "closes", "line"),
    [
        ([], True, b"close"),
        ([("connection", "close")], False, b"close"),
        ([("Connection", "Close")], True, b"close"),
        ([("Connection", "keep-alive")], True, b"close"),
        ([("Connection", "upgrade, x"), ("Connection", "close")], False, b"close, upgrade, x"),
        ([("Connection", "Upgrade"), ("Upgrade", "h2c")], True, b"close, upgrade"),
    ],
)
def test_connection_options_are_written_in_one_line(
    fields: list[tuple[str, str]],
    closes: bool,  # noqa: FBT001
    line: bytes,
) -> None:
    framed = frame(Response(200, [*fields, ("A", "b")]))
    head = framed.head_with_connection(closes=closes)
    assert head.endswith(b"Content-Length: 0\r\nConnection: %b\r\n\r\n" % line)
    assert head.lower().count(b"connection:") == 1
    assert b"connection" not in framed.head.lower()
    assert ("close" in framed.options) == (b"close" in line and not closes) or closes


def test_keep_alive_is_removed_from_the_options() -> None:
    assert frame(Response(200, {"Connection": "keep-alive"})).options == frozenset()


def test_interim_response_is_only_a_head() -> None:
    head = interim_head(103, Headers([("Link", "</a>"), ("Link", "</b>")]).raw)
    assert head == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n"


# Comparison with h11

_FIELDS = st.lists(
    st.one_of(
        st.sampled_from([(b"Connection", b"close"), (b"Connection", b"keep-alive"), (b"X", b"")]),
        st.tuples(
            st.from_regex(rb"X-[A-Za-z-]{1,8}", fullmatch=True),
            st.from_regex(rb"([!-~\x80-\xff]([\t -~]{0,5}[!-~])?)?", fullmatch=True),
        ),
    ),
    max_size=4,
)
_LEAVES: st.SearchStrategy[Body] = st.one_of(
    st.binary(max_size=300),
    st.builds(FileSlice, st.just(3), st.integers(0, 9), st.integers(0, 2**50)),
    st.builds(Stream, st.just(produce), st.none() | st.integers(0, 200)),
)


def h11_says(method: str, version: str, says_close: bytes, framed: FramedResponse) -> bytes:
    """Return the head that h11 writes if the handler sets no Connection field."""
    connection = h11.Connection(h11.SERVER)
    head = f"{method} / HTTP/{version}\r\nHost: x\r\n".encode()
    connection.receive_data(head + says_close + b"\r\n")
    connection.next_event()
    response = framed.response
    fields = [pair for pair in response.headers.raw if pair[0] != b"Connection"]
    fields.append((b"Date", b"now"))
    if b"Content-Length: " in framed.head:
        length = framed.head.split(b"Content-Length: ")[1].split(b"\r\n")[0]
        fields.append((b"Content-Length", length))
    if framed.options:
        fields.append((b"Connection", b", ".join(sorted(o.encode() for o in framed.options))))
    reason = reason_of(response.status).encode()
    event = h11.Response(status_code=response.status, headers=fields, reason=reason)
    return connection.send(event) or b""


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["GET", "HEAD", "POST"]),
    st.sampled_from(["1.1", "1.0"]),
    st.sampled_from([b"", b"Connection: close\r\n"]),
    st.sampled_from([200, 201, 204, 205, 206, 304, 404]) | st.integers(200, 999),
    _FIELDS,
    _LEAVES,
)
def test_every_head_equals_that_of_h11(  # noqa: PLR0917
    method: str,
    version: str,
    says_close: bytes,
    status: int,
    fields: list[tuple[bytes, bytes]],
    body: Body,
) -> None:
    response = Response(status, Headers.received(fields), body)
    framed = frame(response, method, version, b"Date: now\r\n")
    closes = bool(says_close) or version == "1.0" or "close" in framed.options
    head = framed.head_with_connection(closes=closes) if closes else framed.head
    # h11 writes Transfer-Encoding after all other fields.
    expected = sorted(h11_says(method, version, says_close, framed).split(b"\r\n"))
    assert sorted(head.split(b"\r\n")) == expected


# Selection and framing together


def test_response_is_selected_and_then_framed() -> None:
    request = asked(fields={"Accept-Encoding": "gzip"})
    framed = finish(request, Response.text("hello " * 1000), Behavior(), NOW)
    assert isinstance(framed.body, bytes)
    assert framed.response.headers["Content-Encoding"] == "gzip"
    assert b"\r\nContent-Length: %d\r\n" % len(framed.body) in framed.head
    assert DATE in framed.head


def test_disabled_date_is_not_sent() -> None:
    assert b"Date" not in finish(asked(), Response(200), Behavior(date=False), NOW).head


@pytest.mark.parametrize(
    ("request_", "response", "has_trailers"),
    [
        (asked(fields={"TE": "trailers"}), Response(200, (), STREAM, trailers=dict), True),
        (asked(), Response(200, (), STREAM, trailers=dict), False),
        (asked(fields={"TE": "trailers"}), Response(200, (), STREAM), False),
        # Trailers follow the last chunk, so they need a chunked body (RFC 9112 7.1.2).
        (
            asked(fields={"TE": "trailers"}),
            Response(200, (), Stream(produce, 5), trailers=dict),
            False,
        ),
        (
            asked(version="1.0", fields={"TE": "trailers"}),
            Response(200, (), STREAM, trailers=dict),
            False,
        ),
    ],
)
def test_trailers_need_chunks_and_te_trailers(
    request_: Request,
    response: Response,
    has_trailers: bool,  # noqa: FBT001
) -> None:
    body = finish(request_, response, Behavior(), NOW).body
    assert isinstance(body, Streamed)
    assert body.has_trailers == has_trailers


@pytest.mark.parametrize(
    ("method", "response"),
    [
        ("HEAD", Response(200, (), STREAM, trailers=dict)),
        ("GET", Response(204, (), STREAM, trailers=dict)),
        ("GET", Response(200, (), b"abc", trailers=dict)),
    ],
)
def test_body_that_is_not_streamed_has_no_trailers(method: str, response: Response) -> None:
    framed = finish(asked(method, fields={"TE": "trailers"}), response, Behavior(), NOW)
    assert isinstance(framed.body, bytes)


BODIES = st.recursive(
    st.one_of(
        st.binary(max_size=200),
        st.builds(FileSlice, st.just(3), st.integers(0), st.integers(0, 200)),
        st.builds(Stream, st.just(produce), st.none() | st.integers(0, 200)),
    ),
    lambda bodies: st.one_of(
        st.builds(Encoded, bodies, st.just("gzip")),
        st.lists(bodies, max_size=3).map(lambda parts: Chain(tuple(parts))),
    ),
    max_leaves=4,
)
RESPONSES = st.builds(
    Response,
    st.sampled_from([200, 201, 204, 206, 304, 404, 500]),
    st.lists(
        st.sampled_from(
            [
                ("Content-Type", "text/html"),
                ("Content-Encoding", "br"),
                ("Cache-Control", "no-transform"),
                ("Transfer-Encoding", "chunked"),
                ("Vary", "Cookie"),
            ]
        ),
        unique=True,
    ),
    BODIES,
    st.sampled_from(Compress),
)
ACCEPTED = st.none() | st.sampled_from(
    ["gzip", "deflate", "identity", "*;q=0", "compress", "", "gzip, identity;q=0"]
)


def accepting(accepted: str | None, method: str = "GET") -> Request:
    return asked(method, fields=() if accepted is None else {"Accept-Encoding": accepted})


@settings(deadline=None)
@given(RESPONSES, ACCEPTED)
def test_every_response_has_exactly_one_framing(response: Response, accepted: str | None) -> None:
    framed = finish(accepting(accepted), response, Behavior(compress_min_size=0), NOW)
    expected = b""
    if isinstance(framed.body, Streamed):
        length = framed.body.length
        expected = CHUNKED if length is None else b"Content-Length: %d\r\n" % length
        assert framed.body.is_chunked == (length is None)
    elif framed.response.status not in {204, 304}:
        expected = b"Content-Length: %d\r\n" % len(framed.body)
    else:
        assert framed.body == b""
    said = [line + b"\r\n" for line in framed.head.split(b"\r\n")]
    framing = [line for line in said if line.startswith((b"Content-Length", b"Transfer-Encoding"))]
    assert framing == ([expected] if expected else [])


@settings(deadline=None)
@given(RESPONSES, ACCEPTED)
def test_head_request_gets_the_fields_of_get_without_body(
    response: Response, accepted: str | None
) -> None:
    got = finish(accepting(accepted, "GET"), response, Behavior(compress_min_size=0), NOW)
    headed = finish(accepting(accepted, "HEAD"), response, Behavior(compress_min_size=0), NOW)
    assert headed.body == b""
    assert headed.head == got.head


def test_response_to_a_refused_head_is_sent_as_it_is() -> None:
    response = Response(400, {"Content-Type": "text/plain"}, b"bad\n")
    framed = finish(None, response, Behavior(), NOW)
    type_line = b"Content-Type: text/plain\r\n"
    length_line = b"Content-Length: 4\r\n"
    assert framed.head == b"HTTP/1.1 400 Bad Request\r\n%b%b%b\r\n" % (type_line, DATE, length_line)
    assert framed.body == b"bad\n"
