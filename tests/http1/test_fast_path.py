"""The codec for plain exchanges, which reads and writes exactly as h11 does."""

from collections.abc import Sequence

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_http.http1.codec import RequestHead
from trio_http.http1.fast_path import FastPath
from trio_http.http1.head_validation import check_head
from trio_http.http1.response_framing import frame
from trio_http.semantics.bodies import FileSlice, Stream
from trio_http.semantics.headers import Headers
from trio_http.semantics.limits import Limits
from trio_http.semantics.response import Response

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


def recognised(sent: bytes | bytearray) -> RequestHead:
    request = FastPath(LIMITS).read(sent)
    assert request is not None
    return request


def fields_of(request: RequestHead) -> Headers:
    assert isinstance(request.fields, bytes)
    return Headers.parse(request.fields)


def test_plain_request_is_parsed() -> None:
    request = recognised(BROWSER)
    assert (request.size, request.version) == (len(BROWSER), "1.1")
    assert request.line == b"GET /a%20b/c?d=e&f HTTP/1.1"
    assert (request.method, request.target) == (b"GET", b"/a%20b/c?d=e&f")
    assert fields_of(request)["accept-encoding"] == "gzip, deflate, br, zstd"
    assert (request.length, request.closes, request.expects) == (0, False, False)


@pytest.mark.parametrize("behind", [b"", b"G", BROWSER, b"\x00", b"\r\n"])
def test_bytes_after_the_head_do_not_change_it(behind: bytes) -> None:
    request, alone = recognised(bytearray(BROWSER + behind)), recognised(BROWSER)
    for name in RequestHead.__slots__:
        assert getattr(request, name) == getattr(alone, name)


@pytest.mark.parametrize(
    ("sent", "closes"),
    [
        (head(GET, HOST), False),
        (head(b"HEAD /x HTTP/1.1", b"Host: [::1]:80"), False),
        (head(b"DELETE /x HTTP/1.1", b"Host: a.example:4221"), False),
        (head(GET, b"Host: 127.0.0.1:54321"), False),  # a port as test clients use it
        (head(GET, b"Host: 127.0.0.1:65000"), False),
        (head(GET, b"Host: " + b"x" * 255), False),
        (head(b"OPTIONS /x HTTP/1.1", HOST, b"Connection: close"), True),
        (head(GET, HOST, b"connection: keep-alive"), False),
        (head(GET, b"host:x", b"CONNECTION:close"), True),
        (head(GET, b"Connection: close", b"X: y", HOST, b"Z: 1"), True),
        (head(GET, HOST, b"X:"), False),
        (head(GET, HOST, b"X:\t \xe9 "), False),
    ],
)
def test_plain_head_is_recognised_with_connection_option(sent: bytes, closes: bool) -> None:  # noqa: FBT001 - an expected value
    assert recognised(sent).closes == closes


@pytest.mark.parametrize(
    ("sent", "length"),
    [
        (head(b"POST / HTTP/1.1", HOST), 0),
        (head(b"POST / HTTP/1.1", HOST, b"Content-Length: 0"), 0),
        (head(b"PUT /x HTTP/1.1", HOST, b"content-length:5", b"Content-Type: text/plain"), 5),
        (head(b"PATCH / HTTP/1.1", b"CONTENT-LENGTH: 12345678901234567", HOST), 12345678901234567),
        (head(GET, HOST, b"Content-Length: 3"), 3),  # has no meaning, but a length (RFC 9110 9.3.1)
    ],
)
def test_plain_head_is_recognised_with_length(sent: bytes, length: int) -> None:
    assert recognised(sent).length == length


@pytest.mark.parametrize(
    ("sent", "expects"),
    [
        (head(b"PUT / HTTP/1.1", HOST, b"Content-Length: 5"), False),
        (head(b"PUT / HTTP/1.1", HOST, b"Content-Length: 5", b"Expect: 100-continue"), True),
        (head(b"PUT / HTTP/1.1", b"expect:100-CONTINUE", b"Content-Length: 5", HOST), True),
        (head(b"PUT / HTTP/1.1", b"Expect: 100-continue", HOST, b"Content-Length: 5"), True),
    ],
)
def test_plain_head_is_recognised_with_expectation(sent: bytes, expects: bool) -> None:  # noqa: FBT001 - an expected value
    request = recognised(sent)
    assert (request.length, request.expects) == (5, expects)


@pytest.mark.parametrize(
    "sent",
    [
        # RFC 9112 6: bodies of unclear length
        head(GET, HOST, b"Content-Length:"),
        head(GET, HOST, b"Content-Length: 03"),
        head(GET, HOST, b"Content-Length: +3"),
        head(GET, HOST, b"Content-Length: 3 "),
        head(GET, HOST, b"Content-Length: 3, 3"),
        head(GET, HOST, b"Content-Length: 1234567890123456789"),
        head(GET, HOST, b"Content-Length: 3", b"Content-Length: 3"),
        head(GET, b"content-length: 3", HOST, b"Content-Length: 3"),
        head(GET, HOST, b"Content-Length: 5", b"Content-Length: 0"),
        head(GET, b"Content-Length: 5", b"content-length:0", HOST),
        head(GET, b"Content-Length: 0", HOST, b"Content-Length: 5"),
        head(GET, b"Content-Length: 5", b"Connection: close", HOST, b"Content-Length: 0"),
        head(GET, HOST, b"Content-Length : 3"),
        head(GET, HOST, b"Transfer-Encoding: chunked"),
        head(GET, HOST, b"transfer-encoding: gzip"),
        head(GET, HOST, b"Expect: 100-continue"),  # without a body
        head(GET, HOST, b"Content-Length: 0", b"Expect: 100-continue"),
        head(GET, HOST, b"Content-Length: 5", b"Expect: 100-continue, x"),
        head(GET, HOST, b"Content-Length: 5", b"Expect: 100-continue "),
        head(GET, HOST, b"Content-Length: 5", b"Expect: 200-ok"),
        # RFC 9110 10.1.1: an empty Expect, as sent by curl -H 'Expect;'. The blank line after
        # it ends the head, and the body follows.
        head(b"PUT / HTTP/1.1", HOST, b"Content-Length: 5", b"Expect:"),
        head(b"PUT / HTTP/1.1", HOST, b"Expect:", b"Content-Length: 5"),
        head(b"PUT / HTTP/1.1", b"Content-Length: 7", b"Expect:", HOST),
        head(b"POST / HTTP/1.1", HOST, b"Content-Length: 7", b"Expect:") + b"helloXY",
        head(GET, HOST, b"Connection:"),
        head(GET, HOST, b"Connection:", b"X: y"),
        head(GET, HOST, b"Trailer: x"),
        head(GET, HOST, b"TE: trailers"),
        # RFC 9110 7.6 and 7.8: fields about the connection
        head(GET, HOST, b"Upgrade: websocket"),
        head(GET, HOST, b"Connection: upgrade"),
        head(GET, HOST, b"Connection: close, x"),
        head(GET, HOST, b"Connection: CLOSE"),
        head(GET, HOST, b"HTTP2-Settings: x"),
        head(GET, HOST, b"Proxy-Connection: keep-alive"),
        # RFC 9112 2.3 and 3.2: other forms and versions
        head(b"GET / HTTP/1.0", HOST),
        head(b"GET / HTTP/2.0", HOST),
        head(b"get / HTTP/1.1", HOST),
        head(b"OPTIONS * HTTP/1.1", HOST),
        head(b"GET http://x/ HTTP/1.1", HOST),
        head(b"CONNECT x:1 HTTP/1.1", HOST),
        head(b"GET /# HTTP/1.1", HOST),
        head(b"GET /% HTTP/1.1", HOST),
        head(b"GET /%4 HTTP/1.1", HOST),
        head(b"GET /a%41b%4x HTTP/1.1", HOST),
        head(b"GET /a%41%% HTTP/1.1", HOST),
        head(b"GET  / HTTP/1.1", HOST),
        head(b"GET /\xe9 HTTP/1.1", HOST),
        # RFC 9112 3.2: missing, repeated or malformed Host
        head(GET),
        head(GET, HOST, HOST),
        head(GET, HOST, b"host: y"),
        head(GET, HOST, b"X: y", HOST),
        head(GET, b"Host:"),
        head(GET, b"Host: a, b"),
        head(GET, b"Host: a@b"),
        head(GET, b"Host: a:99999"),
        head(GET, b"Host : a"),
        head(GET, b"Host: [::2]"),  # valid, but the expression cannot check IPv6 addresses
        head(GET, b"Host: [1::2::3]"),
        head(GET, b"Host: [:]"),
        head(GET, b"Host: []"),
        head(GET, b"Host: [::1"),
        head(GET, b"Host: [::1]x"),
        head(GET, b"Host: [::1]:"),
        # RFC 9112 2.2, 5.1, 5.2: malformed lines
        head(GET, HOST, b"X : y"),
        head(GET, HOST, b" folded"),
        head(GET, HOST, b" folded: as a field"),
        head(GET, b" X: y", HOST),
        head(GET, HOST, b"X: y", b" X: y", b"Z: 1"),
        head(GET, HOST, b"Connection: keep-alive", b"\tX: y"),
        head(GET, HOST, b"X: a\nY: b"),
        head(GET, HOST, b"X: a\rb"),
        head(GET, HOST, b"X: \x00"),
        head(GET, HOST, b"X: \x7f"),
        head(GET, HOST, b"no colon"),
        head(GET, HOST)[:-2],
        # Oversized heads: ``head_validation`` refuses them with 414 and 431.
        head(b"GET /" + b"x" * LIMITS.target + b" HTTP/1.1", HOST),
        head(GET, HOST, *[b"X: y"] * LIMITS.fields),
        head(GET, HOST, b"X: " + b"y" * LIMITS.head),
        head(GET, b"Host: " + b"x" * 256),
    ],
)
def test_other_heads_are_left_to_h11(sent: bytes) -> None:
    assert FastPath(LIMITS).read(sent) is None


# Heads of the maximum length with a mistake at the end. If the expression could match them
# in several ways, the test would not finish.
@pytest.mark.parametrize(
    ("start", "repeated", "end"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"a:\r\n", b"\x00\r\n\r\n"),
        (b"GET / HTTP/1.1\r\n", b"a: b\r\n", b"Host: /\r\n\r\n"),
        (b"GET / HTTP/1.1\r\n", b"Connection: close\r\n", b"Host: x\r\nTE: x\r\n\r\n"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA:", b" ", b"\x00\r\n\r\n"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", b"a", b"\r\n\r\n"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: ", b"1", b"\r\n\r\n"),
        (b"GET / HTTP/1.1\r\nHost: ", b"a.", b"/\r\n\r\n"),
        (b"GET /", b"%41", b"% HTTP/1.1\r\nHost: x\r\n\r\n"),
        (b"GET /", b"a%41", b" HTTP/1.2\r\nHost: x\r\n\r\n"),
        (b"GET /", b"a", b"\x00 HTTP/1.1\r\nHost: x\r\n\r\n"),
    ],
)
def test_long_malformed_head_fails_in_linear_time(
    start: bytes, repeated: bytes, end: bytes
) -> None:
    times = LIMITS.head // len(repeated)
    assert FastPath(LIMITS).read(start + repeated * times + end) is None


# Fields at the edges of the grammar, and arbitrary ones.
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
    st.sampled_from([GET, b"HEAD /?%41 HTTP/1.1", b"OPTIONS /x HTTP/1.1", b"TRACE / HTTP/1.1"]),
    st.from_regex(rb"(GET|HEAD|DELETE|OPTIONS|get) /[!-~]{0,8} HTTP/1\.[0-9]", fullmatch=True),
    st.binary(max_size=20),
)


def compare(sent: bytes, plain: RequestHead) -> None:
    """Check that ``head_validation`` accepts the head and that h11 reads it alike."""
    whole, length = sent[: plain.size], plain.length
    assert whole.startswith(plain.line + b"\r\n")
    check_head(whole, LIMITS)
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(whole)
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method, request.target) == (plain.method, plain.target)
    assert request.http_version == b"1.1"
    assert tuple(request.headers.raw_items()) == fields_of(plain).raw
    assert connection.they_are_waiting_for_100_continue == plain.expects
    if 0 < length < 1000:  # h11 finds a body of ``length`` bytes before the next request
        connection.receive_data(b"x" * length + b"GET")
        data = connection.next_event()
        assert isinstance(data, h11.Data)
        assert data.data == b"x" * length
        assert isinstance(connection.next_event(), h11.EndOfMessage)
        assert connection.trailing_data == (b"GET", False)
    elif length:
        assert connection.next_event() is h11.NEED_DATA
        return
    else:
        assert isinstance(connection.next_event(), h11.EndOfMessage)
    connection.send(h11.Response(status_code=204, headers=[]))
    connection.send(h11.EndOfMessage())
    assert (connection.our_state is h11.MUST_CLOSE) == plain.closes


# CI runs this many on every Python version, so each change is checked by thousands.
EXAMPLES = 300


@settings(max_examples=EXAMPLES, deadline=None)
@given(_REQUEST_LINES, st.just(HOST) | _LINES, st.lists(st.just(HOST) | _LINES, max_size=4))
def test_h11_reads_every_plain_head_alike(
    line: bytes, first: bytes, lines: Sequence[bytes]
) -> None:
    sent = head(line, first, *lines)
    if (plain := FastPath(LIMITS).read(sent)) is not None:
        compare(sent, plain)


_PLAIN_LINES = st.one_of(
    st.from_regex(
        rb"(X-[A-Za-z]{0,4}|accept|Cookie|Hos|Tea):[ \t]{0,2}[!-~\x80-\xff]{0,8}[ \t]?",
        fullmatch=True,
    ),
    st.sampled_from(
        [
            b"Connection: keep-alive",
            b"connection: close",
            b"CONNECTION:close",
            b"Content-Type: text/plain",
        ]
    ),
)
_PLAIN_LENGTHS = st.builds(
    b"%b%d".__mod__,
    st.tuples(st.sampled_from([b"Content-Length: ", b"content-length:"]), st.integers(0, 10**17)),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.from_regex(
        rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) /([!-\"$&-~]|%[0-9A-Fa-f]{2}){0,8} HTTP/1\.1",
        fullmatch=True,
    ),
    st.lists(_PLAIN_LINES, max_size=3),
    st.from_regex(rb"(?i:host): ?([a-z.]{1,9}|\[::1\])(:[0-9]{1,4})?", fullmatch=True),
    st.one_of(
        st.lists(_PLAIN_LENGTHS, max_size=1),
        st.permutations([b"Content-Length: 9", b"Expect: 100-continue"]),
    ),
    st.lists(_PLAIN_LINES, max_size=3),
    st.binary(max_size=20),
)
def test_usual_requests_are_plain_and_h11_reads_them_alike(  # noqa: PLR0917 - parts of a request
    line: bytes,
    before: list[bytes],
    host: bytes,
    length: list[bytes],
    after: list[bytes],
    behind: bytes,
) -> None:
    sent = head(line, *before, host, *length, *after) + behind
    compare(sent, recognised(sent))


UPLOAD = head(
    b"PUT /files/%C3%A4?x HTTP/1.1",
    b"Host: [::1]:4221",
    b"Content-Length: 12",
    b"Expect: 100-continue",
    b"Connection: close",
    b"If-Match: *",
)


SLIPS = (
    *(b"", b"\r", b"\n", b"\r\n", b"\r\n ", b" ", b"\t", b":", b"%", b"a", b"0"),
    *(b"\x00", b"\x7f", b"\xe9"),
    *(b"Host: y\r\n", b"Connection: close\r\n", b"Content-Length: 12\r\n", b"Te: x\r\n"),
)


@pytest.mark.parametrize("sent", [BROWSER, UPLOAD], ids=["browser", "upload"])
@pytest.mark.parametrize("slip", SLIPS)
def test_corrupted_plain_head_is_left_to_h11_or_read_alike(sent: bytes, slip: bytes) -> None:
    for position in range(len(sent)):
        for left_out in (0, 1, 2):
            slipped = sent[:position] + slip + sent[position + left_out :]
            if (plain := FastPath(LIMITS).read(slipped)) is not None:
                compare(slipped, plain)


# Responses


def test_body_of_known_length_is_sent_unchanged() -> None:
    codec = FastPath(LIMITS)
    codec.begin(message := frame(Response(200, (), Stream(_nothing, 5))), message.head)
    assert codec.data(b"hello") == (b"hello",)
    assert codec.end(()) == b""


def test_body_of_unknown_length_is_sent_in_chunks() -> None:
    codec = FastPath(LIMITS)
    codec.begin(message := frame(Response(200, (), Stream(_nothing))), message.head)
    assert codec.data(b"x" * 26) == (b"1a\r\n", b"x" * 26, b"\r\n")
    assert codec.data(FileSlice(3, 0, 16)) == (b"10\r\n", FileSlice(3, 0, 16), b"\r\n")
    assert codec.end(()) == b"0\r\n\r\n"
    assert codec.end(((b"A", b"b"),)) == b"0\r\nA: b\r\n\r\n"


def test_framing_does_not_carry_over_to_the_next_response() -> None:
    codec = FastPath(LIMITS)
    for body, end in ((Stream(_nothing), b"0\r\n\r\n"), (Stream(_nothing, 5), b""), (b"", b"")):
        codec.begin(message := frame(Response(200, (), body)), message.head)
        codec.interim(100, b"HTTP/1.1 100 Continue\r\n\r\n")
        assert codec.end(()) == end


async def _nothing(_send: object) -> None: ...
