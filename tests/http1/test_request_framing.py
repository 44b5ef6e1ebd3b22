"""The framing of request bodies, checked before h11 reads them."""

import re

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_http.http1.request_framing import CHUNKS_AT_ONCE, Chunked, Counted, check_framing
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.limits import Limits

LIMITS = Limits(head=1000, fields=2)
REST = b"GET / HTTP/1.1"


@pytest.mark.parametrize(
    ("lengths", "codings"),
    [
        ([], []),
        ([b"0"], []),
        ([b"123456789012345678"], []),
        ([], [b"chunked"]),
        ([], [b" CHUNKED\t"]),
    ],
)
def test_single_framing_field_passes(lengths: list[bytes], codings: list[bytes]) -> None:
    check_framing(lengths, codings, b"1.1")


def test_content_length_passes_in_http_1_0() -> None:
    check_framing([b"3"], [], b"1.0")


@pytest.mark.parametrize(
    ("lengths", "codings"),
    [
        ([b"3"], [b"chunked"]),
        ([b"3", b"3"], []),
        ([b"3", b"4"], []),
        ([b"3, 3"], []),
        ([b"003"], []),
        ([b"+3"], []),
        ([b"-3"], []),
        ([b"3 3"], []),
        ([b"0x3"], []),
        ([b"1234567890123456789"], []),
        ([b""], []),
        ([], [b"gzip"]),
        ([], [b"chunked, gzip"]),
        ([], [b"chunked, chunked"]),
        ([], [b"chunked", b"chunked"]),
        ([], [b"identity"]),
        ([], [b"xchunked"]),
        ([], [b"chunked;q=1"]),
        ([], [b"\x0bchunked"]),
        ([], [b""]),
    ],
)
def test_contradictory_or_malformed_framing_gets_400(
    lengths: list[bytes], codings: list[bytes]
) -> None:
    with pytest.raises(HTTPError) as refusal:
        check_framing(lengths, codings, b"1.1")
    assert refusal.value.status == 400


def test_transfer_encoding_in_http_1_0_gets_400() -> None:
    with pytest.raises(HTTPError) as refusal:
        check_framing([], [b"chunked"], b"1.0")
    assert refusal.value.status == 400


@pytest.mark.parametrize("codings", [[b"gzip, chunked"], [b"gzip", b"chunked"]])
def test_unknown_transfer_coding_before_chunked_gets_501(codings: list[bytes]) -> None:
    with pytest.raises(HTTPError) as refusal:
        check_framing([], codings, b"1.1")
    assert refusal.value.status == 501


def taken(counted: Counted, sent: bytes, piece: int) -> bytes:
    """Return the bytes that go to h11 if ``sent`` arrives in pieces of this size."""
    passed = b""
    for start in range(0, len(sent), piece):
        part = sent[start : start + piece]
        passed += part[: counted.take(part)]
    return passed


def read(sent: bytes, piece: int) -> tuple[bytes, bytes, bytes]:
    """Return the data, the trailers and the rest of ``sent``, read in pieces of this size."""
    chunked = Chunked(LIMITS)
    unread = bytearray()
    data = trailers = b""
    for start in range(0, len(sent), piece):
        unread += sent[start : start + piece]
        size = -1
        while size and not chunked.is_at_trailers:
            size, pieces = chunked.read(unread)
            data += b"".join(pieces)
            del unread[:size]
        if chunked.is_at_trailers:
            while size := chunked.take(unread):
                trailers += unread[:size]
                del unread[:size]
    return data, trailers, bytes(unread)


@pytest.mark.parametrize("piece", [1, 2, 100])
@pytest.mark.parametrize("length", [0, 1, 5, 100])
def test_counted_body_ends_after_its_length(length: int, piece: int) -> None:
    body = b"x" * length
    assert taken(Counted(length), body + REST, piece) == body


@pytest.mark.parametrize("piece", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("body", "data", "trailers"),
    [
        (b"0\r\n\r\n", b"", b"\r\n"),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello", b"\r\n"),
        (
            b"A\r\n0123456789\r\na\r\n0123456789\r\n000\r\n\r\n",
            b"01234567890123456789",
            b"\r\n",
        ),
        # Line endings are data like any other.
        (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n", b"\r\n"),
        # RFC 9112 7.1.1
        (b'1;a;b=c;d="e\\"; \xe9"\r\nx\r\n0;z\r\n\r\n', b"x", b"\r\n"),
        # RFC 9112 7.1.1, RFC 9110 5.6.3: bad white space, which a recipient removes
        (b"5\t \t; a\r\nhello\r\n0 ;b\r\n\r\n", b"hello", b"\r\n"),
        (b"1 ;a\r\nx\r\n" * 9 + b"0\r\n\r\n", b"x" * 9, b"\r\n"),
        (b'4 ;a = "b" ;c\r\n ;\r\n\r\n0\r\n\r\n', b" ;\r\n", b"\r\n"),
        # RFC 9112 7.1.2
        (b"0\r\nA: b\r\nC:\r\n\r\n", b"", b"A: b\r\nC:\r\n\r\n"),
    ],
)
def test_chunked_body_ends_after_its_trailers(
    body: bytes, data: bytes, trailers: bytes, piece: int
) -> None:
    assert read(body + REST, piece) == (data, trailers, REST)


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
        (b"1000000000000000\r\n", 400),  # sixteen digits are too many
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
        (b"5;" + b"a" * 300, 400),  # too long and incomplete
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
def test_malformed_chunked_body_is_refused(body: bytes, status: int, piece: int) -> None:
    with pytest.raises(HTTPError) as refusal:
        read(body, piece)
    assert refusal.value.status == status


def test_chunks_before_a_malformed_one_are_returned() -> None:
    chunked, received = Chunked(LIMITS), bytearray(b"1\r\nx\r\n+1\r\n")
    assert chunked.read(received) == (6, [b"x"])
    del received[:6]
    for _ in range(2):
        with pytest.raises(HTTPError):
            chunked.read(received)


def test_trailers_before_a_malformed_one_are_taken() -> None:
    chunked, received = Chunked(LIMITS), bytearray(b"A: b\r\n c\r\n")
    assert chunked.read(b"0\r\n") == (3, [])
    assert chunked.take(received) == 6
    del received[:6]
    for _ in range(2):
        with pytest.raises(HTTPError):
            chunked.take(received)


@pytest.mark.parametrize("chunk", [b"1\r\nx\r\n", b"1;a=b\r\nx\r\n"])
def test_number_of_chunks_per_read_is_limited(chunk: bytes) -> None:
    chunked, received = Chunked(LIMITS), bytearray(chunk * (2 * CHUNKS_AT_ONCE + 1))
    counts = []
    while received:
        size, pieces = chunked.read(received)
        counts.append(len(pieces))
        del received[:size]
    assert counts == [CHUNKS_AT_ONCE, CHUNKS_AT_ONCE, 1]


@pytest.mark.parametrize("piece", [1, 3, 100])
def test_framing_counts_all_bytes_except_data(piece: int) -> None:
    chunked, received = Chunked(LIMITS), bytearray()
    sent = b"1\r\nx\r\n5;a=b\r\nhello\r\n0\r\n"
    for start in range(0, len(sent), piece):
        received += sent[start : start + piece]
        del received[: chunked.read(received)[0]]
    assert chunked.framing == len(sent) - len(b"xhello")


@given(
    st.lists(st.binary(min_size=1, max_size=20), max_size=5),
    st.binary(max_size=20),
    st.integers(1, 30),
)
def test_h11_reads_well_formed_chunks_alike(chunks: list[bytes], behind: bytes, piece: int) -> None:
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    assert read(body + behind, piece) == (b"".join(chunks), b"\r\n", behind)
    assert read_by_h11(body) == b"".join(chunks)


# Well-formed and malformed parts of chunks and arbitrary bytes, then a valid end.
_PIECES = st.sampled_from(
    [b"\r\n", b"\r", b"\n", b"1", b"0", b"a", b";a", b"\t", b' "', b"=", b"1 ;a\r\n", b"x\r\n"]
) | st.binary(max_size=5)
_FRAMING = st.lists(_PIECES, max_size=8).map(lambda pieces: b"".join(pieces) + b"0\r\n\r\n")


@settings(deadline=None)
@given(_FRAMING, st.integers(1, 60))
def test_h11_reads_every_accepted_body_alike(sent: bytes, piece: int) -> None:
    try:
        data, trailers, behind = read(sent, piece)
    except HTTPError:
        return
    if trailers == b"\r\n" or trailers.endswith(b"\r\n\r\n"):
        body = sent[: len(sent) - len(behind)]
        try:
            assert read_by_h11(body) == data
        except h11.RemoteProtocolError:
            assert re.search(rb"[0-9A-Fa-f][ \t]+;", body)  # which h11 refuses


def read_by_h11(body: bytes) -> bytes:
    """Return the data of a complete body; assert that no bytes follow it."""
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(b"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    reader.next_event()
    reader.receive_data(body)
    data = b""
    while isinstance(event := reader.next_event(), h11.Data):
        data += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert reader.trailing_data == (b"", False)
    return data


@pytest.mark.parametrize(
    ("data", "seconds", "is_refused"),
    [
        (0, 0, True),
        (1, 0, False),  # two bytes of framing per byte of data are allowed
        (0, 0.001, True),
        (0, 0.002, False),  # and 1024 per second
    ],
)
def test_framing_out_of_proportion_gets_400(data: int, seconds: float, is_refused: object) -> None:
    chunked = Chunked(Limits(framing=8))
    chunked.read(b"1\r\nx\r\n" + b"2\r\nyz\r\n")
    assert chunked.framing == 10
    if is_refused:
        with pytest.raises(HTTPError) as refusal:
            chunked.check_proportion(data, seconds)
        assert refusal.value.status == 400
    else:
        chunked.check_proportion(data, seconds)
