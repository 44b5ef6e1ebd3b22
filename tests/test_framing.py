"""Where bodies end, followed ahead of h11."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_http.http1.framing import Chunked, Counted, Framing
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.limits import Limits

LIMITS = Limits(head=1000, fields=2)
REST = b"GET / HTTP/1.1"


def taken(framing: Framing, sent: bytes, piece: int) -> bytes:
    """What goes on to h11 of bytes that arrive in pieces of this size."""
    unread = bytearray()
    passed = b""
    for start in range(0, len(sent), piece):
        unread += sent[start : start + piece]
        while size := framing.take(unread):
            passed += framing.as_h11_reads(bytes(unread[:size]))
            del unread[:size]
    return passed


@pytest.mark.parametrize("piece", [1, 2, 100])
@pytest.mark.parametrize("length", [0, 1, 5, 100])
def test_a_counted_body_ends_where_it_says(length: int, piece: int) -> None:
    body = b"x" * length
    assert taken(Counted(length), body + REST, piece) == body


@pytest.mark.parametrize("piece", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    "body",
    [
        b"0\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\r\n",
        b"A\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n",
        b"2\r\n\r\n\r\n0\r\n\r\n",  # line endings are data like any other
        b'1;a;b=c;d="e\\"; \xe9"\r\nx\r\n0;z\r\n\r\n',  # RFC 9112 7.1.1
        b"0\r\nA: b\r\nC:\r\n\r\n",  # RFC 9112 7.1.2
    ],
)
def test_a_chunked_body_ends_behind_its_trailers(body: bytes, piece: int) -> None:
    assert taken(Chunked(LIMITS), body + REST, piece) == body


@pytest.mark.parametrize("piece", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("sent", "passed"),
    [
        # RFC 9112 7.1.1, RFC 9110 5.6.3: bad white space, which a recipient removes.
        (b"5 ;a\r\nhello\r\n0\r\n\r\n", b"5;a\r\nhello\r\n0\r\n\r\n"),
        (b"5\t \t; a\r\nhello\r\n0 ;b\r\n\r\n", b"5; a\r\nhello\r\n0;b\r\n\r\n"),
        (b"1 ;a\r\nx\r\n" * 9 + b"0\r\n\r\n", b"1;a\r\nx\r\n" * 9 + b"0\r\n\r\n"),
        # Those before a later semicolon h11 skips by itself.
        (b'4 ;a = "b" ;c\r\n ;\r\n\r\n0\r\n\r\n', b'4;a = "b" ;c\r\n ;\r\n\r\n0\r\n\r\n'),
        (b"1 ;a\r\n;\r\n0\r\nA: b ;c\r\n\r\n", b"1;a\r\n;\r\n0\r\nA: b ;c\r\n\r\n"),
    ],
)
def test_blanks_before_an_extension_go_no_further(sent: bytes, passed: bytes, piece: int) -> None:
    assert taken(Chunked(LIMITS), sent + REST, piece) == passed


@pytest.mark.parametrize("piece", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"\r\n", 400),  # no size
        (b"+5\r\nhello\r\n", 400),
        (b"-1\r\n", 400),
        (b"0x5\r\nhello\r\n", 400),
        (b" 5\r\nhello\r\n", 400),
        (b"5 \r\nhello\r\n", 400),
        (b"5_0\r\n", 400),
        (b"g\r\n", 400),
        (b"1000000000000000\r\n", 400),  # sixteen digits
        (b"5;\r\nhello\r\n", 400),
        (b"5;a=\r\nhello\r\n", 400),
        (b'5;a="b\r\nhello\r\n', 400),
        (b"5;a b\r\nhello\r\n", 400),
        (b"5;a\x00\r\nhello\r\n", 400),
        (b"5 ;\r\nhello\r\n", 400),
        (b"5;a \r\nhello\r\n", 400),
        (b"5 ;a \r\nhello\r\n", 400),
        (b"5 a\r\nhello\r\n", 400),
        (b"5 5;a\r\nhello\r\n", 400),
        (b"5\x0b;a\r\nhello\r\n", 400),
        (b"5" + b" " * 255 + b";a\r\n", 400),  # too long
        (b"5;" + b"a" * 300, 400),  # too long, and no end in sight
        (b"5;" + b"a" * 300 + b"\r\n", 400),
        (b"5\nhello\r\n", 400),  # RFC 9112 2.2: a bare LF
        (b"5\rhello\r\n", 400),
        (b"5\r\nhello\n0\r\n\r\n", 400),
        (b"5\r\nhelloo\r\n", 400),
        (b"5\r\nhello\rx", 400),
        (b"0\r\nA : b\r\n\r\n", 400),
        (b"0\r\n b\r\n\r\n", 400),
        (b"0\r\nA: b\nC: d\r\n\r\n", 400),
        (b"0\r\nA: 1\r\nA: 2\r\nA: 3\r\n\r\n", 431),
    ],
)
def test_a_chunked_body_that_is_not_well_formed_is_refused(
    body: bytes, status: int, piece: int
) -> None:
    with pytest.raises(HTTPError) as refusal:
        taken(Chunked(LIMITS), body, piece)
    assert refusal.value.status == status


def test_what_is_well_formed_goes_on_before_the_rest_is_refused() -> None:
    chunked, received = Chunked(LIMITS), bytearray(b"1\r\nx\r\n+1\r\n")
    assert chunked.take(received) == 6
    del received[:6]
    for _ in range(2):
        with pytest.raises(HTTPError):
            chunked.take(received)


@given(
    st.lists(st.binary(min_size=1, max_size=20), max_size=5),
    st.binary(max_size=20),
    st.integers(1, 30),
)
def test_h11_reads_what_is_passed_on_and_nothing_else(
    chunks: list[bytes], behind: bytes, piece: int
) -> None:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    passed = taken(Chunked(LIMITS), body + behind, piece)
    assert passed == body
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    reader.next_event()
    reader.receive_data(passed)
    data = b""
    while isinstance(event := reader.next_event(), h11.Data):
        data += event.data
    assert data == b"".join(chunks)
    assert isinstance(event, h11.EndOfMessage)
    assert reader.trailing_data == (b"", False)


_PARTS = [b"1", b"0", b"a", b" ", b"\t", b";", b"=", b'"']
_PARTS += [b"\r\n", b"1 ;a\r\n", b"x\r\n", b"0\r\n\r\n"]


@given(
    st.binary(max_size=60) | st.lists(st.sampled_from(_PARTS), max_size=15).map(b"".join),
    st.integers(1, 60),
)
def test_whatever_passes_h11_can_read(sent: bytes, piece: int) -> None:
    try:
        passed = taken(Chunked(LIMITS), sent, piece)
    except HTTPError:
        return
    if not passed:
        return  # h11 would take it for the end of the input
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    reader.next_event()
    reader.receive_data(passed)
    while isinstance(reader.next_event(), h11.Data):
        pass
