"""Heads that are refused before they reach h11."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_http.http1.head_validation import (
    MOST_OPTIONS,
    authority_of,
    check_head,
    check_host,
    effective_version,
    find_head,
    parse_request_line,
)
from trio_http.semantics.authority import LONGEST
from trio_http.semantics.errors import HTTPError
from trio_http.semantics.limits import Limits

LIMITS = Limits(head=100, target=40, fields=3)
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def outcome_of(received: bytes, pieces: list[int]) -> int | tuple[int, str] | None:
    """Return the outcome for bytes that arrive in pieces with these end positions."""
    looked_at = 0
    for end in (*pieces, len(received)):
        try:
            found = find_head(bytearray(received[:end]), looked_at, LIMITS)
            if found is not None:
                check_head(received[:found], LIMITS)
                return found
        except HTTPError as error:
            return error.status, error.detail
        looked_at = end
    return None


@pytest.mark.parametrize(
    ("received", "expected"),
    [
        (b"", None),
        (b"GET / HT", None),
        (HEAD[:-1], None),
        (HEAD, len(HEAD)),
        (HEAD + b"what follows", len(HEAD)),
        (HEAD + HEAD, len(HEAD)),
        # Control characters after a head belong to the body.
        (HEAD + b"\x00\n", len(HEAD)),
        # The LF after the CR may still arrive.
        (b"GET / HTTP/1.1\r", None),
    ],
)
def test_complete_head_is_measured(received: bytes, expected: int | None) -> None:
    assert find_head(bytearray(received), 0, LIMITS) == expected


@pytest.mark.parametrize(
    "received",
    [
        b"\x16\x03\x01\x02",  # a TLS client
        b"GET / HTTP/1.1\nHost: x\n\n",  # RFC 9112 2.2: a server may refuse a bare LF
        b"GET / HTTP/1.1\rHost: x\r\r",  # and must refuse a bare CR
        b"GET / HTTP/1.1\r\nA: b\x00c",
        b"GET / HTTP/1.1\r\nA: b\x7fc",
    ],
)
def test_malformed_bytes_get_400_before_the_head_is_complete(received: bytes) -> None:
    with pytest.raises(HTTPError) as refusal:
        find_head(bytearray(received), 0, LIMITS)
    assert refusal.value.status == 400


@pytest.mark.parametrize(
    ("received", "status"),
    [
        (b"x" * 100, 414),
        # The request line is complete, but longer than the limit of a target.
        (b"GET /" + b"x" * 60 + b" HTTP/1.1\r\nA: " + b"b" * 100, 414),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 100, 431),
        # Complete but too large: the number of pieces must not matter.
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 100 + b"\r\n\r\n", 431),
        # Bytes beyond the limit are ignored, no matter in which piece they arrive.
        (b"GET / HTTP/1.1\r\nA: " + b"b" * 100 + b"\x00", 431),
        (b"GET / HTTP/1.1\r\nA: \x00" + b"b" * 100, 400),
    ],
)
def test_oversized_head_gets_the_status_of_its_oversized_part(received: bytes, status: int) -> None:
    with pytest.raises(HTTPError) as refusal:
        find_head(bytearray(received), 0, LIMITS)
    assert refusal.value.status == status


def test_head_of_exactly_the_limit_passes() -> None:
    fill = LIMITS.head - len(HEAD)
    largest = HEAD[:-4] + b"x" * fill + b"\r\n\r\n"
    assert find_head(bytearray(largest), 0, LIMITS) == LIMITS.head
    with pytest.raises(HTTPError):
        find_head(bytearray(largest[:-4] + b"x\r\n\r\n"), 0, LIMITS)


@given(
    st.lists(
        st.sampled_from([b"GET / HTTP/1.1", b"\r", b"\n", b"\r\n", b"\x00", b"x" * 25, b"\xe9"])
    )
    .map(b"".join)
    .flatmap(
        lambda received: st.tuples(
            st.just(received), st.lists(st.integers(0, len(received))).map(sorted)
        )
    )
)
def test_outcome_does_not_depend_on_input_boundaries(cut: tuple[bytes, list[int]]) -> None:
    received, pieces = cut
    whole = outcome_of(received, [])
    assert outcome_of(received, pieces) == whole
    assert outcome_of(received, list(range(len(received)))) == whole


def test_plain_head_passes() -> None:
    check_head(HEAD, LIMITS)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", 400),  # a bare LF: RFC 9112 2.2
        (b"GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n", 400),  # a bare CR
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n", 400),  # RFC 9110 5.5
        (b"GET /\r\nHost: x\r\n\r\n", 400),  # HTTP/0.9
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nA: 2\r\nA: 3\r\n\r\n", 431),
    ],
)
def test_malformed_complete_head_is_refused(head: bytes, status: int) -> None:
    with pytest.raises(HTTPError) as refusal:
        check_head(head, LIMITS)
    assert refusal.value.status == status


def test_number_of_fields_at_the_limit_passes() -> None:
    check_head(b"GET / HTTP/1.1\r\nHost: x\r\nA: 1\r\nA: 2\r\n\r\n", LIMITS)


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.0",
        b"GET / HTTP/1.2",  # RFC 9110 2.5: read as the highest minor version
        b"GET / HTTP/1.9",
        b"M-SEARCH /a?b HTTP/1.1",  # any token is a method (RFC 9110 9.1)
        b"GET http://example.org/ HTTP/1.1",
        b"GET /" + b"x" * 39 + b" HTTP/1.1",
    ],
)
def test_well_formed_request_line_passes(line: bytes) -> None:
    parse_request_line(line, LIMITS)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"", 400),
        (b"GET  / HTTP/1.1", 400),  # one space, not two (RFC 9112 3)
        (b"GET\t/ HTTP/1.1", 400),
        (b" GET / HTTP/1.1", 400),
        (b"GET / HTTP/1.1 ", 400),
        (b"GET / http/1.1", 400),  # the name is case-sensitive (RFC 9112 2.3)
        (b"GET / HTTP/1.10", 400),
        (b"G(T / HTTP/1.1", 400),  # not a token
        (b"GET /caf\xc3\xa9 HTTP/1.1", 400),  # a target is ASCII (RFC 3986 2)
        (b"GET / HTTP/2.0", 505),
        (b"GET / HTTP/3.1", 505),
        (b"GET / HTTP/0.9", 505),
        (b"GET / HTTP/0.1", 505),
        (b"GET /" + b"x" * 40 + b" HTTP/1.1", 414),
        # A target that is too long gets 414 in any version.
        (b"GET /" + b"x" * 40 + b" HTTP/3.0", 414),
    ],
)
def test_malformed_request_line_is_refused(line: bytes, status: int) -> None:
    with pytest.raises(HTTPError) as refusal:
        parse_request_line(line, LIMITS)
    assert refusal.value.status == status


@pytest.mark.parametrize(
    ("sent", "read_as"),
    [(b"1.0", b"1.0"), (b"1.1", b"1.1"), (b"1.2", b"1.1"), (b"1.9", b"1.1")],
)
def test_higher_minor_versions_are_read_as_1_1(sent: bytes, read_as: bytes) -> None:
    assert effective_version(sent) == read_as
    assert parse_request_line(b"GET / HTTP/" + sent, LIMITS)[2] == read_as


# Contents of the brackets: RFC 3986 3.2.2
@pytest.mark.parametrize(
    "address",
    [
        b"::",
        b"::1",
        b"1::",
        b"1:2:3:4:5:6:7:8",
        b"2001:DB8::aBcD",
        b"1:2:3:4:5:6:7::",  # :: replaces one group
        b"::2:3:4:5:6:7:8",
        b"1::3:4:5:6:7:8",
        b"::ffff:1.2.3.4",
        b"1:2:3:4:5:6:255.255.255.255",
        b"1111:2222:3333:4444:5555:6666:111.111.111.111",  # the longest possible
    ],
)
def test_ipv6_address_in_brackets_passes(address: bytes) -> None:
    check_host([b"[%b]" % address], b"1.1")
    check_host([b"[%b]:" % address], b"1.1")
    check_host([b"[%b]:65535" % address], b"1.1")
    check_head(head_of(b"GET http://[%b]:1/ HTTP/1.1" % address, b"Host:"), FIELD_LIMITS)


@pytest.mark.parametrize(
    "address",
    [
        b"",
        b":",
        b"1",
        b":1",
        b"1:",
        b":::",
        b"::1:",
        b"1::2::3",
        b"1:2:3:4:5:6:7",
        b"1:2:3:4:5:6:7:8:9",
        b"1:2:3:4:5:6:7:8::",  # :: replaces no group
        b"::1:2:3:4:5:6:7:8",
        b"1:2:3:4::5:6:7:8",
        b"12345::",
        b"::g",
        b"::ffff:1.2.3.4.5",
        b"::ffff:1.2.3",
        b"::ffff:1.2.3.256",
        b"::ffff:1.2.3.04",  # octal for some recipients
        b"::1.2.3.4:5",
        b"1:2:3:4:5:6:7:1.2.3.4",
        b"1.2.3.4",
        b"fe80::1%eth0",  # has a meaning on one machine only
        b"fe80::1%25eth0",  # RFC 6874
        b"v1.a",  # RFC 3986 3.2.2: a future version
        b"localhost",
        b" ::1",
        b"::" + b"0" * 5000 + b"1",
    ],
)
def test_malformed_address_in_brackets_gets_400(address: bytes) -> None:
    for host in (b"[%b]" % address, b"[%b]:80" % address):
        with pytest.raises(HTTPError) as refusal:
            check_host([host], b"1.1")
        assert refusal.value.status == 400
        with pytest.raises(HTTPError):
            check_head(head_of(b"GET http://%b/ HTTP/1.1" % host, HOST), FIELD_LIMITS)


@pytest.mark.parametrize(
    ("target", "authority"),
    [
        (b"http://b/", b"b"),  # RFC 9112 3.2.2
        (b"HTTPS://b:80", b"b:80"),
        (b"http://[::1]?q", b"[::1]"),
        (b"/http://b/", b""),
        (b"*", b""),
    ],
)
def test_authority_is_found_in_absolute_target_only(target: bytes, authority: bytes) -> None:
    assert authority_of(target) == authority


FIELD_LIMITS = Limits()


def head_of(*lines: bytes) -> bytes:
    return b"\r\n".join((*lines, b"", b""))


GET = b"GET / HTTP/1.1"
POST = b"POST / HTTP/1.1"
HOST = b"Host: example.org"


@pytest.mark.parametrize(
    "lines",
    [
        (GET, HOST),
        (GET, b"HOST:example.org:80"),
        (GET, b"host: \t [::1]:4221 \t"),
        (GET, b"Host:"),  # RFC 9112 3.2: empty if the target has no authority
        (GET, b"Host: a%20b"),
        (GET, b"Host: " + b"a" * LONGEST),
        (b"GET http://example.org HTTP/1.1", HOST),  # RFC 9112 3.2.2
        (b"GET HTTPS://example.org:8080/a?b HTTP/1.1", b"Host: other"),
        (b"GET http://example.org?q HTTP/1.1", HOST),
        (b"GET http://example.org/ HTTP/1.1", b"Host:"),  # RFC 9112 3.2.2: ignored
        (b"GET http://example.org/ HTTP/1.0",),
        (b"GET / HTTP/1.2", HOST),
        (b"POST / HTTP/1.2", HOST, b"Transfer-Encoding: chunked"),
        (b"OPTIONS * HTTP/1.1", HOST),  # RFC 9112 3.2.4
        (b"GET /%41%zz HTTP/1.1".replace(b"%zz", b""), HOST),
        (b"GET /?100% HTTP/1.1", HOST),  # a query is decoded leniently
        (b"GET / HTTP/1.0",),  # RFC 9112 3.2: Host is required since 1.1
        (b"GET / HTTP/1.0", b"Expect: something"),  # RFC 9110 10.1.1: ignored
        (POST, HOST, b"Content-Length: 0"),
        (POST, HOST, b"Content-Length: 123456789012345678"),
        (POST, HOST, b"Transfer-Encoding: chunked"),
        (POST, HOST, b"Transfer-Encoding: CHUNKED "),
        (POST, HOST, b"Expect: 100-Continue"),
        (POST, HOST, b"Expect:"),  # RFC 9110 5.6.1.2: an empty list
        (POST, HOST, b"Expect: ,100-continue,"),
        (GET, HOST, b"Connection: " + b"a," * MOST_OPTIONS),
        (GET, HOST, b"Upgrade: " + b"a," * MOST_OPTIONS),
        (GET, HOST, b"X: " + b"a," * 2 * MOST_OPTIONS),
        (GET, HOST, b"X:"),
        (GET, HOST, b"X: a b\tc \xe9"),
    ],
)
def test_valid_head_passes(lines: tuple[bytes, ...]) -> None:
    check_head(head_of(*lines), FIELD_LIMITS)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        # RFC 9112 5.1: white space between the name and the colon
        ((GET, b"Host : x"), 400),
        ((GET, b"Host\t: x"), 400),
        # RFC 9112 2.2: white space before the first field
        ((GET, b" Host: x"), 400),
        # RFC 9112 5.2: obs-fold
        ((GET, HOST, b"X: a", b" b"), 400),
        ((GET, HOST, b"X: a", b"\tb"), 400),
        ((GET, HOST, b"no colon"), 400),
        # Lists that h11 would split
        ((GET, HOST, b"Connection: " + b"a," * MOST_OPTIONS + b","), 400),
        ((GET, HOST, b"Connection: " + b"a," * 60, b"Connection: " + b"a," * 60), 400),
        ((GET, HOST, b"Upgrade: " + b"a," * MOST_OPTIONS + b","), 400),
        ((POST, HOST, b"Transfer-Encoding: " + b"," * MOST_OPTIONS + b",chunked"), 400),
        ((GET, HOST, b": no name"), 400),
        ((GET, HOST, b"X(y): z"), 400),
        ((GET, HOST, b"X\xe9: z"), 400),
        # RFC 9112 3.2: missing, repeated or malformed Host
        ((GET,), 400),
        ((GET, HOST, HOST), 400),
        ((b"GET / HTTP/1.0", HOST, HOST), 400),
        ((GET, b"Host: a, b"), 400),
        ((GET, b"Host: a,b"), 400),
        ((GET, b"Host: user@example.org"), 400),
        ((GET, b"Host: example.org/path"), 400),
        ((GET, b"Host: example.org:port"), 400),
        ((GET, b"Host: example.org:65536"), 400),
        ((GET, b"Host: example.org:123456"), 400),
        ((GET, b"Host: a b"), 400),
        ((GET, b"Host: " + b"a" * (LONGEST + 1)), 400),
        ((b"GET http://" + b"a" * (LONGEST + 1) + b"/ HTTP/1.1", HOST), 400),
        ((GET, b"Host: [::1"), 400),
        ((GET, b"Host: \xe9"), 400),
        ((GET, b"Host: %zz"), 400),
        # RFC 9112 3.2: targets without a valid form
        ((b"GET foo HTTP/1.1", HOST), 400),
        ((b"GET * HTTP/1.1", HOST), 400),
        ((b"OPTIONS *a HTTP/1.1", HOST), 400),
        ((b"GET example.org:80 HTTP/1.1", HOST), 400),
        ((b"GET ftp://example.org/ HTTP/1.1", HOST), 400),
        ((b"GET http:///path HTTP/1.1", HOST), 400),
        ((b"GET http://user@example.org/ HTTP/1.1", HOST), 400),
        # With an authority in the target, Host is still required, once and well-formed.
        ((b"GET http://example.org/ HTTP/1.1",), 400),
        ((b"GET http://example.org/ HTTP/1.1", b"Host:", b"Host:"), 400),
        ((b"GET http://example.org/ HTTP/1.1", b"Host: a/b"), 400),
        ((b"GET http:// HTTP/1.1", b"Host:"), 400),
        ((b"GET http://:80/ HTTP/1.1", b"Host:"), 400),
        # RFC 9110 2.5: the rules of 1.1 hold for higher minor versions.
        ((b"GET / HTTP/1.2",), 400),
        ((b"POST / HTTP/1.5", HOST, b"Expect: x"), 417),
        ((b"POST / HTTP/1.9", HOST, b"Content-Length: 1", b"Transfer-Encoding: chunked"), 400),
        ((b"GET /#fragment HTTP/1.1", HOST), 400),
        ((b"GET http://example.org#f HTTP/1.1", HOST), 400),
        ((b"GET /?a#f HTTP/1.1", HOST), 400),
        ((b"GET /%zz HTTP/1.1", HOST), 400),
        ((b"GET /% HTTP/1.1", HOST), 400),
        ((b"GET /\xe9 HTTP/1.1", HOST), 400),
        # RFC 9110 9.3.6: CONNECT
        ((b"CONNECT example.org:443 HTTP/1.1", HOST), 501),
        # RFC 9112 6.1 and 6.3: contradictory or malformed framing
        ((POST, HOST, b"Content-Length: 3", b"Transfer-Encoding: chunked"), 400),
        ((POST, HOST, b"Content-Length: 3", b"Content-Length: 3"), 400),
        ((POST, HOST, b"Content-Length: 3, 3"), 400),
        ((b"POST / HTTP/1.0", b"Transfer-Encoding: chunked"), 400),
        ((POST, HOST, b"Transfer-Encoding: \x0bchunked"), 400),
        ((POST, HOST, b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"), 501),
        # RFC 9110 10.1.1
        ((POST, HOST, b"Expect: 200-ok"), 417),
        ((POST, HOST, b"Expect: 100-continue, x"), 417),
        ((POST, HOST, b"Expect:", b"Expect: x"), 417),
        # RFC 9110 2.5 and RFC 9113 3.4: the preface of HTTP/2
        ((b"PRI * HTTP/2.0",), 505),
    ],
)
def test_ambiguous_head_is_refused(lines: tuple[bytes, ...], status: int) -> None:
    with pytest.raises(HTTPError) as refusal:
        check_head(head_of(*lines), FIELD_LIMITS)
    assert refusal.value.status == status


@given(
    st.sampled_from([b"GET", b"OPTIONS", b"PUT", b"!#$"]),
    st.one_of(
        st.sampled_from([b"/", b"*", b"http://x/", b"http://x", b"/a?b", b"/%41", b"x:80"]),
        st.binary(min_size=1, max_size=5),
    ),
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.0"]),
    st.lists(
        st.builds(
            lambda name, blanks, value: name + b":" + blanks + value,
            st.sampled_from([b"HOST", b"Content-Length", b"Transfer-Encoding", b"Expect", b"A"]),
            st.sampled_from([b"", b" ", b"\t  "]),
            st.one_of(
                st.sampled_from([b"5", b"5,5", b"9" * 18, b"chunked", b" Chunked\t", b",chunked"]),
                st.sampled_from([b"", b"x", b"[::1]:80", b"100-continue"]),
                st.binary(max_size=6),
            ),
        ),
        max_size=3,
    ),
)
def test_every_head_that_passes_is_accepted_by_h11(
    method: bytes, target: bytes, version: bytes, fields: list[bytes]
) -> None:
    head = head_of(b"%b %b %b" % (method, target, version), HOST, *fields)
    try:
        check_head(head, FIELD_LIMITS)
    except HTTPError:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(head)
    request = connection.next_event()
    assert isinstance(request, h11.Request)
    assert (request.method, request.target) == (method, target)
    connection.next_event()
