"""The short way past h11: never another way than h11's."""

import re
from collections.abc import Sequence

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_http.http1.plain import head_of, is_last, recognise
from trio_http.http1.strict import check_head
from trio_http.semantics.headers import Headers
from trio_http.semantics.limits import Limits

LIMITS = Limits()
BROWSER = (
    b"GET /a%20b/c?d=e&f HTTP/1.1\r\n"
    b"Host: localhost:4221\r\n"
    b"Connection: keep-alive\r\n"
    b'sec-ch-ua: "Chromium";v="156"\r\n'
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
    b"Accept: text/html,*/*;q=0.8\r\n"
    b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
    b"Upgrade-Insecure-Requests: 1\r\n"
    b"Cookie: a=b; c=d\r\n"
    b'If-None-Match: "x"\r\n'
    b"\r\n"
)


def head(line: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join((line, *fields, b"", b""))


GET = b"GET / HTTP/1.1"
HOST = b"Host: x"


def test_a_plain_request_is_taken_apart() -> None:
    request = recognise(BROWSER, LIMITS)
    assert request is not None
    assert (request.method, request.target) == (b"GET", b"/a%20b/c?d=e&f")
    assert request.http_version == b"1.1"
    assert not request.closes
    assert Headers.parse(request.fields)["accept-encoding"] == "gzip, deflate, br, zstd"


@pytest.mark.parametrize(
    ("sent", "closes"),
    [
        (head(GET, HOST), False),
        (head(b"HEAD /x HTTP/1.1", b"Host: [::1]:80"), False),
        (head(b"DELETE /x HTTP/1.1", b"Host: a.example:4221"), False),
        (head(GET, b"Host: 127.0.0.1:54321"), False),  # as the tests of others have it
        (head(GET, b"Host: 127.0.0.1:65000"), False),
        (head(b"OPTIONS /x HTTP/1.1", HOST, b"Connection: close"), True),
        (head(GET, HOST, b"connection: keep-alive"), False),
        (head(GET, b"host:x", b"CONNECTION:close"), True),
        (head(GET, b"Connection: close", b"X: y", HOST, b"Z: 1"), True),
        (head(GET, HOST, b"X:"), False),
        (head(GET, HOST, b"X:\t \xe9 "), False),
    ],
)
def test_what_is_plain(sent: bytes, closes: bool) -> None:  # noqa: FBT001 - an expected value
    request = recognise(sent, LIMITS)
    assert request is not None
    assert request.closes == closes


@pytest.mark.parametrize(
    "sent",
    [
        # Without a body only: RFC 9112 6.
        head(b"POST / HTTP/1.1", HOST),
        head(GET, HOST, b"Content-Length: 0"),
        head(GET, HOST, b"CONTENT-LENGTH: 3"),
        head(GET, HOST, b"Transfer-Encoding: chunked"),
        head(GET, HOST, b"transfer-encoding: gzip"),
        head(GET, HOST, b"Expect: 100-continue"),
        head(GET, HOST, b"Trailer: x"),
        head(GET, HOST, b"TE: trailers"),
        # The connection's matters: RFC 9110 7.6 and 7.8.
        head(GET, HOST, b"Upgrade: websocket"),
        head(GET, HOST, b"Connection: upgrade"),
        head(GET, HOST, b"Connection: close, x"),
        head(GET, HOST, b"Connection: CLOSE"),
        head(GET, HOST, b"HTTP2-Settings: x"),
        head(GET, HOST, b"Proxy-Connection: keep-alive"),
        # Other forms and versions: RFC 9112 2.3 and 3.2.
        head(b"GET / HTTP/1.0", HOST),
        head(b"GET / HTTP/2.0", HOST),
        head(b"get / HTTP/1.1", HOST),
        head(b"OPTIONS * HTTP/1.1", HOST),
        head(b"GET http://x/ HTTP/1.1", HOST),
        head(b"CONNECT x:1 HTTP/1.1", HOST),
        head(b"GET /# HTTP/1.1", HOST),
        head(b"GET /% HTTP/1.1", HOST),
        head(b"GET /%4 HTTP/1.1", HOST),
        head(b"GET  / HTTP/1.1", HOST),
        head(b"GET /\xe9 HTTP/1.1", HOST),
        # Exactly one Host, and that well-formed: RFC 9112 3.2.
        head(GET),
        head(GET, HOST, HOST),
        head(GET, HOST, b"host: y"),
        head(GET, HOST, b"X: y", HOST),
        head(GET, b"Host:"),
        head(GET, b"Host: a, b"),
        head(GET, b"Host: a@b"),
        head(GET, b"Host: a:99999"),
        head(GET, b"Host : a"),
        # Lines that are none: RFC 9112 2.2, 5.1, 5.2.
        head(GET, HOST, b"X : y"),
        head(GET, HOST, b" folded"),
        head(GET, HOST, b"X: a\nY: b"),
        head(GET, HOST, b"X: a\rb"),
        head(GET, HOST, b"X: \x00"),
        head(GET, HOST, b"X: \x7f"),
        head(GET, HOST, b"no colon"),
        head(GET, HOST)[:-2],
        head(GET, HOST) + b"x",
        # Sizes: 414 and 431 are said elsewhere.
        head(b"GET /" + b"x" * LIMITS.target + b" HTTP/1.1", HOST),
        head(GET, HOST, *[b"X: y"] * LIMITS.fields),
    ],
)
def test_what_is_left_to_h11(sent: bytes) -> None:
    assert recognise(sent, LIMITS) is None


# Fields near the edges of the grammar, and anything else in between.
_LINES = st.one_of(
    st.sampled_from(
        [
            HOST,
            b"Host: y:80",
            b"Connection: close",
            b"connection: keep-alive",
            b"Connection: keep-alive, close",
            b"Content-Length: 3",
            b"Transfer-Encoding: chunked",
            b"Expect: 100-continue",
            b"Upgrade: h2c",
            b"X:  a  ",
            b"X:a\tb",
            b"X: \xff",
            b"X : a",
            b" X: a",
            b"X: a\r",
            b"X: a\nY: b",
            b"te: trailers",
        ]
    ),
    st.binary(max_size=12),
    st.from_regex(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,6}:[\t -~\x80-\xff]{0,8}", fullmatch=True),
)
_REQUEST_LINES = st.one_of(
    st.sampled_from([GET, b"HEAD /?%41 HTTP/1.1", b"OPTIONS /x HTTP/1.1", b"PUT / HTTP/1.1"]),
    st.from_regex(rb"(GET|HEAD|DELETE|OPTIONS|get) /[!-~]{0,8} HTTP/1\.[0-9]", fullmatch=True),
    st.binary(max_size=20),
)


@settings(max_examples=2000, deadline=None)
@given(_REQUEST_LINES, st.just(HOST) | _LINES, st.lists(st.just(HOST) | _LINES, max_size=4))
def test_whatever_is_plain_h11_and_the_stricter_rules_read_alike(
    line: bytes, first: bytes, lines: Sequence[bytes]
) -> None:
    sent = head(line, first, *lines)
    plain = recognise(sent, LIMITS)
    if plain is None:
        return
    check_head(sent, LIMITS)
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(sent)
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method, request.target) == (plain.method, plain.target)
    assert request.http_version == plain.http_version
    assert tuple(request.headers.raw_items()) == Headers.parse(plain.fields).raw
    assert isinstance(connection.next_event(), h11.EndOfMessage)
    connection.send(h11.Response(status_code=204, headers=[]))
    connection.send(h11.EndOfMessage())
    assert (connection.our_state is h11.MUST_CLOSE) == plain.closes


_FIELDS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                (b"Content-Length", b"5"),
                (b"content-length", b"0"),
                (b"Content-Length", b"05"),
                (b"Connection", b"close"),
                (b"Connection", b"keep-alive"),
                (b"Transfer-Encoding", b"chunked"),
                (b"Host", b"x"),
                (b"Date", b"Fri, 20 Nov 2026 15:00:00 GMT"),
            ]
        ),
        st.tuples(
            st.from_regex(rb"[A-Za-z-]{1,8}", fullmatch=True),
            st.from_regex(rb"([!-~\x80-\xff]([\t -~]{0,5}[!-~])?)?", fullmatch=True),
        ),
    ),
    max_size=4,
)


@settings(max_examples=2000, deadline=None)
@given(
    st.sampled_from([b"GET", b"HEAD"]),
    st.integers(100, 1100) | st.sampled_from([200, 201, 204, 206, 304, 404]),
    _FIELDS,
)
def test_heads_are_byte_for_byte_those_of_h11(
    method: bytes, status: int, fields: list[tuple[bytes, bytes]]
) -> None:
    written = head_of(status, tuple(fields))
    if written is None:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(method + b" / HTTP/1.1\r\nHost: x\r\n\r\n")
    connection.next_event()
    connection.next_event()
    found = re.match(rb"HTTP/1.1 [0-9]+ ([^\r]*)\r\n", written)
    assert found is not None
    theirs = connection.send(h11.Response(status_code=status, headers=fields, reason=found[1]))
    assert written == theirs
    lengths = [int(value) for name, value in fields if name.lower() == b"content-length"]
    if method == b"GET" and status not in {204, 304}:
        connection.send(h11.Data(data=b"x" * lengths[0]))
    assert connection.send(h11.EndOfMessage()) == b""
    assert (connection.our_state is h11.MUST_CLOSE) == is_last(written)


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (101, [(b"Content-Length", b"0")]),  # no final response
        (1000, [(b"Content-Length", b"0")]),  # no status
        (200, []),  # a length that only the end tells
        (200, [(b"Content-Length", b"1"), (b"Content-Length", b"1")]),
        (200, [(b"Content-Length", b"01")]),
        (204, [(b"Content-Length", b"0")]),
        (200, [(b"Content-Length", b"1"), (b"Transfer-Encoding", b"chunked")]),
        (200, [(b"Content-Length", b"1"), (b"Host", b"x")]),  # h11 would put it first
        (200, [(b"Connection", b"close"), (b"Content-Length", b"1")]),  # and this last
        (200, [(b"Content-Length", b"1"), (b"Connection", b"keep-alive")]),
        (200, [(b"Content-Length", b"1"), (b"Connection", b"x"), (b"Connection", b"close")]),
    ],
)
def test_heads_that_are_left_to_h11(status: int, fields: list[tuple[bytes, bytes]]) -> None:
    assert head_of(status, tuple(fields)) is None


def test_a_head_says_what_it_was_told() -> None:
    fields = ((b"Content-Type", b"text/plain"), (b"Content-Length", b"3"))
    assert head_of(200, fields) == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\n"
    )
    assert head_of(304, ((b"ETag", b'"x"'),)) == b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n'
