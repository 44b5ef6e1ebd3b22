"""Tests of parsing byte ranges and of cutting bodies."""

from email import message_from_bytes
from email.message import Message
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_http.semantics.bodies import Body, Chain, Encoded, FileSlice, Send, Stream, length_of
from trio_http.semantics.field_values import MOST_SEPARATORS
from trio_http.semantics.headers import text_of
from trio_http.semantics.ranges import (
    MOST_PARTS,
    ByteRange,
    can_be_cut,
    cut,
    joined,
    multipart,
    parse_ranges,
)

# The content of the file of every FileSlice; neighbouring bytes differ.
FILE = bytes(range(256)) * 2


async def produce(send: Send) -> None:
    raise AssertionError("a body must not be produced before it is sent")


def content(body: Body) -> bytes:
    """Return the bytes that would be sent."""
    match body:
        case bytes():
            return body
        case FileSlice():
            assert body.offset + body.length <= len(FILE)
            return FILE[body.offset : body.offset + body.length]
        case Chain():
            return b"".join(map(content, body.parts))
        case _:
            raise AssertionError(f"a produced body must not be cut: {body!r}")


def pairs(ranges: list[ByteRange] | None) -> list[tuple[int, int]] | None:
    return None if ranges is None else [(part.start, part.stop) for part in ranges]


CUTTABLE = st.recursive(
    st.one_of(
        st.binary(),
        st.builds(FileSlice, st.just(3), st.integers(0, 256), st.integers(0, 256)),
    ),
    lambda bodies: st.lists(bodies, max_size=4).map(lambda parts: Chain(tuple(parts))),
    max_leaves=8,
)


@st.composite
def parts_of(draw: st.DrawFn, length: int) -> ByteRange:
    start = draw(st.integers(0, length))
    return ByteRange(start, draw(st.integers(start, length)))


# Parsing


# RFC 9110 14.1.2, of a representation of ten bytes
@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-4", [(0, 5)]),
        ("bytes=9-9", [(9, 10)]),
        ("bytes=0-9", [(0, 10)]),
        ("bytes=4-", [(4, 10)]),
        ("bytes=0-", [(0, 10)]),
        ("bytes=-3", [(7, 10)]),
        ("bytes=-10", [(0, 10)]),
        ("bytes=-99", [(0, 10)]),  # a suffix longer than the body: the whole body
        ("bytes=5-10", [(5, 10)]),  # last-pos past the end: the remainder
        ("bytes=0-99", [(0, 10)]),
        # Valid, but not satisfiable
        ("bytes=10-", []),
        ("bytes=10-10", []),
        ("bytes=99-100", []),
        ("bytes=-0", []),  # a suffix of length 0
        ("bytes=10-,-0,20-30", []),
        # One satisfiable range is enough.
        ("bytes=0-,10-", [(0, 10)]),
        ("bytes=10-,-0,3-4", [(3, 5)]),
        # Several ranges
        ("bytes=0-1,4-5", [(0, 2), (4, 6)]),
        ("bytes=0-0,-1", [(0, 1), (9, 10)]),
        ("bytes=-1,0-0", [(9, 10), (0, 1)]),  # 15.3.7.2: in the order of the request
        ("bytes=8-8,0-0,4-4", [(8, 9), (0, 1), (4, 5)]),
        # 15.3.7.2: ranges that overlap or touch are joined,
        ("bytes=0-4,3-6", [(0, 7)]),
        ("bytes=3-6,0-4", [(0, 7)]),
        ("bytes=0-4,5-6", [(0, 7)]),
        ("bytes=0-4,6-7", [(0, 5), (6, 8)]),  # one byte between them
        ("bytes=0-9,3-4", [(0, 10)]),
        ("bytes=3-4,0-9", [(0, 10)]),
        ("bytes=2-3,2-3", [(2, 4)]),
        ("bytes=0-,-1", [(0, 10)]),
        ("bytes=0-1,8-9,1-8", [(0, 10)]),
        # and take the position of their first member.
        ("bytes=9-9,0-2,1-4", [(9, 10), (0, 5)]),
        ("bytes=3-4,9-9,0-2", [(0, 5), (9, 10)]),
        ("bytes=0-2,9-9,3-4", [(0, 5), (9, 10)]),
        ("bytes=9-9,3-4,7-7,0-2", [(9, 10), (0, 5), (7, 8)]),
        # 14.1: units in any case
        ("BYTES=0-1", [(0, 2)]),
        ("Bytes=0-1", [(0, 2)]),
        # 5.6.1.2: lists with white space and empty members
        ("bytes=0-1,", [(0, 2)]),
        ("bytes=,0-1", [(0, 2)]),
        ("bytes=, ,0-1\t,,\t8-9 ,", [(0, 2), (8, 10)]),
        ("bytes= 0-1", [(0, 2)]),  # as in 14.1.2; erratum 7306 has put it into the grammar
        # 2.4: the meaning is clear, so extra spaces are tolerated.
        ("bytes = 0-1", [(0, 2)]),
        (" bytes=0-1 ", [(0, 2)]),
        # 14.1.2: numbers may be long and begin with zeros.
        ("bytes=00-01", [(0, 2)]),
        ("bytes=" + "0" * 30 + "1-" + "0" * 40 + "2", [(1, 3)]),
        ("bytes=-" + "0" * 30 + "2", [(8, 10)]),
        ("bytes=-" + "0" * 30, []),
        ("bytes=1-" + "9" * 19, [(1, 10)]),
        ("bytes=1-18446744073709551616", [(1, 10)]),  # 2 to the 64th
        ("bytes=1-" + "9" * 30_000, [(1, 10)]),
        ("bytes=-" + "9" * 30_000, [(0, 10)]),
        ("bytes=" + "9" * 30_000 + "-", []),
        ("bytes=" + "9" * 30_000 + "-" + "9" * 30_000, []),
        ("bytes=" + "9" * 30_000 + "-1" + "0" * 30_000, []),
        ("bytes=0-1," + "9" * 30_000 + "-", [(0, 2)]),
        # 14.2: malformed sets are ignored as a whole.
        ("bytes=4-2", None),
        ("bytes=0-1,4-2", None),
        ("bytes=99-98", None),
        ("bytes=1" + "0" * 30_000 + "-" + "9" * 30_000, None),
        ("bytes=0-1," + "9" * 30_000 + "-" + "9" * 29_999, None),
        ("bytes=", None),  # 14.1.1: at least one range-spec
        ("bytes=,", None),
        ("bytes= , ,\t", None),
        ("bytes=-", None),
        ("bytes=0-1,-", None),
        ("bytes=--1", None),
        ("bytes=0--1", None),
        ("bytes=1", None),
        ("bytes=0-1-2", None),
        ("bytes=0 -1", None),
        ("bytes=0- 1", None),
        ("bytes=0-1 2-3", None),
        ("bytes=0-1;2-3", None),
        ("bytes=0-1\n", None),
        ("bytes=a-b", None),
        ("bytes=0x0-0x1", None),
        ("bytes=+0-1", None),
        ("bytes=0-1_0", None),
        ("bytes=0.0-1", None),
        ("bytes=\u0660-", None),  # a digit, but not in ASCII
        ("bytes=-\u0661", None),
        ("bytes=*", None),
        ("bytes=0-1,bytes=2-3", None),  # 5.3: two fields, of which one is allowed
        ("bytes 0-1/10", None),  # 14.4: this is Content-Range
        ("bytes", None),
        ("0-1", None),
        ("=0-1", None),
        ("", None),
        # 14.2: an unknown unit
        ("items=0-1", None),
        ("byte=0-1", None),
        ("bytess=0-1", None),
        ("none=0-1", None),
    ],
)
def test_ranges_of_ten_bytes_are_parsed(field: str, expected: list[tuple[int, int]] | None) -> None:
    assert pairs(parse_ranges(field, 10)) == expected


# RFC 9110 14.2: Range may be ignored for an empty body. 14.1.2 calls "-1" satisfiable then, but
# 14.4 cannot express an empty range.
@pytest.mark.parametrize(
    "field", ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0", "bytes=5-6", "bytes=0-,-1", "bytes="]
)
def test_ranges_of_an_empty_body_are_ignored(field: str) -> None:
    assert parse_ranges(field, 0) is None


# RFC 9110 14.1.2: its examples, of a representation of 10000 bytes
@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("bytes=0-499", [(0, 500)]),
        ("bytes=500-999", [(500, 1000)]),
        ("bytes=-500", [(9500, 10000)]),
        ("bytes=9500-", [(9500, 10000)]),
        ("bytes=0-0,-1", [(0, 1), (9999, 10000)]),
        ("bytes= 0-999, 4500-5499, -1000", [(0, 1000), (4500, 5500), (9000, 10000)]),
        ("bytes=500-600,601-999", [(500, 1000)]),
        ("bytes=500-700,601-999", [(500, 1000)]),
    ],
)
def test_examples_of_the_rfc_are_parsed(field: str, expected: list[tuple[int, int]]) -> None:
    assert pairs(parse_ranges(field, 10_000)) == expected


def test_positions_are_exact_in_the_largest_files() -> None:
    length = 2**63 - 1
    assert pairs(parse_ranges(f"bytes={length - 2}-{length - 2},-1", length)) == [
        (length - 2, length)
    ]
    assert pairs(parse_ranges(f"bytes={length - 1}-", length)) == [(length - 1, length)]
    assert pairs(parse_ranges(f"bytes={length}-", length)) == []
    assert pairs(parse_ranges(f"bytes=-{length}", length)) == [(0, length)]


def test_too_many_parts_are_ignored() -> None:
    # RFC 9110 17.15
    members = [f"{place}-{place}" for place in range(0, 200, 2)]
    most = parse_ranges("bytes=" + ",".join(members[:MOST_PARTS]), 200)
    assert most is not None
    assert len(most) == MOST_PARTS
    assert parse_ranges("bytes=" + ",".join(members[: MOST_PARTS + 1]), 200) is None
    # They are counted before joining: ranges that are joined or unsatisfiable also take time.
    assert parse_ranges("bytes=" + "0-," * (MOST_PARTS + 1), 200) is None
    assert parse_ranges("bytes=" + "200-," * (MOST_PARTS + 1), 200) is None


def test_too_many_empty_members_are_ignored() -> None:
    # RFC 9110 5.6.1.2: "a reasonable number of empty list elements"
    assert pairs(parse_ranges("bytes=0-9" + "," * MOST_SEPARATORS, 200)) == [(0, 10)]
    assert parse_ranges("bytes=0-9" + "," * (MOST_SEPARATORS + 1), 200) is None


NUMBERS = st.one_of(st.integers(0, 40), st.just(10**19), st.just(10**4000))
LENGTHS = st.integers(1, 40)
SPECS = st.one_of(
    st.tuples(NUMBERS, NUMBERS).map(sorted),
    st.tuples(NUMBERS, st.none()),
    st.tuples(st.none(), NUMBERS),
)


def numeral(number: int | None) -> str:
    return "" if number is None else str(number)


def asked_for(first: int | None, last: int | None, length: int) -> set[int]:
    """Return the positions that a range-spec selects (RFC 9110 14.1.2)."""
    match first, last:
        case None, int(suffix):
            return {place for place in range(length) if place >= length - suffix}
        case int(), None:
            return {place for place in range(length) if place >= first}
        case int(), int():
            return {place for place in range(length) if first <= place <= last}
        case _:
            raise AssertionError


@settings(deadline=None)
@given(st.lists(SPECS, min_size=1, max_size=MOST_PARTS), LENGTHS)
def test_requested_bytes_are_selected_once_and_in_order(
    specs: list[tuple[int | None, int | None]], length: int
) -> None:
    field = ",".join(f"{numeral(first)}-{numeral(last)}" for first, last in specs)
    ranges = parse_ranges(f"bytes={field}", length)
    assert ranges is not None
    places = [set(range(part.start, part.stop)) for part in ranges]
    wanted = [asked_for(first, last, length) for first, last in specs]
    # All requested bytes, and no others,
    assert set().union(*places) == set().union(*wanted)
    # in parts that are not empty, do not overlap and do not touch,
    assert all(places)
    assert all(one.stop < other.start for one, other in pairwise(sorted(ranges)))
    # each in the position of its first requested member.
    turns = [min(turn for turn, some in enumerate(wanted) if some & part) for part in places]
    assert turns == sorted(turns)


@settings(deadline=None)
@given(
    st.one_of(
        st.binary().map(text_of),
        st.text(st.characters()),
        st.text(st.sampled_from("0123456789-, =\t")).map("bytes={}".format),
        st.from_regex(r"bytes=([0-9]{0,22}-[0-9]{0,3},?){1,5}"),
    ),
    st.integers(0, 2**63 - 1),
)
def test_arbitrary_values_never_raise(text: str, length: int) -> None:
    for part in parse_ranges(text, length) or ():
        assert 0 <= part.start < part.stop <= length


# A parser of more than linear time would take hours for these.
@pytest.mark.parametrize(
    ("start", "repeated", "end"),
    [
        ("", "=", ""),
        ("", " ", "=0-1"),
        ("bytes=", "-", ""),
        ("bytes=", "1", ""),
        ("bytes=-", "1", "-"),
        ("bytes=", "0", "-x"),
        ("bytes=9", "0", "-8"),
        ("bytes=", ",", ""),
        ("bytes=", " ", "x"),
        ("bytes=", "0-,", ""),
        ("bytes=", "-1, ", ""),
    ],
)
def test_long_malformed_fields_take_linear_time(start: str, repeated: str, end: str) -> None:
    assert parse_ranges(start + repeated * 300_000 + end, 10) is None


@pytest.mark.parametrize(
    "field",
    [
        "bytes=0-" + "9" * 1_000_000,
        "bytes=" + "0" * 1_000_000 + "-" + "9" * 1_000_000,
        "bytes=-" + "9" * 1_000_000,
    ],
)
def test_long_numbers_take_linear_time(field: str) -> None:
    assert pairs(parse_ranges(field, 10)) == [(0, 10)]


# Ranges themselves


def test_content_range_names_the_last_byte() -> None:
    # RFC 9110 14.4: its examples
    assert ByteRange(42, 1234).content_range(1234) == "bytes 42-1233/1234"
    assert ByteRange(0, 500).content_range(1234) == "bytes 0-499/1234"
    assert ByteRange(734, 1234).content_range(1234) == "bytes 734-1233/1234"


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ([], []),
        ([(0, 1)], [(0, 1)]),
        ([(5, 6), (0, 1)], [(5, 6), (0, 1)]),
        ([(5, 6), (0, 5)], [(0, 6)]),
        ([(0, 9), (2, 3), (4, 5)], [(0, 9)]),  # an inner range does not shorten the outer one
        ([(7, 8), (4, 6), (0, 4), (9, 9)], [(7, 8), (0, 6), (9, 9)]),
    ],
)
def test_joined_merges_overlapping_and_adjacent_ranges(
    ranges: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    assert pairs(joined([ByteRange(*pair) for pair in ranges])) == expected


# Cutting


@pytest.mark.parametrize(
    ("body", "part", "expected"),
    [
        (b"0123456789", (2, 5), b"234"),
        (b"0123456789", (0, 10), b"0123456789"),
        (FileSlice(3, 100, 50), (0, 50), FileSlice(3, 100, 50)),
        (FileSlice(3, 100, 50), (20, 30), FileSlice(3, 120, 10)),
        (FileSlice(3, 0, 2**62), (2**61, 2**61 + 1), FileSlice(3, 2**61, 1)),
        (Chain((b"012", b"345", b"678")), (1, 8), Chain((b"12", b"345", b"67"))),
        (Chain((b"012", b"345", b"678")), (3, 6), Chain((b"345",))),  # without empty neighbours
        (Chain((b"012", b"", b"345")), (2, 4), Chain((b"2", b"3"))),
        (Chain((b"01", FileSlice(3, 7, 9), b"23")), (1, 4), Chain((b"1", FileSlice(3, 7, 2)))),
        (Chain((b"0", Chain((b"12", b"34")), b"5")), (2, 6), Chain((Chain((b"2", b"34")), b"5"))),
        (Chain(()), (0, 0), Chain(())),
    ],
)
def test_cut_returns_the_part(body: Body, part: tuple[int, int], expected: Body) -> None:
    assert can_be_cut(body)
    assert cut(body, ByteRange(*part)) == expected


@pytest.mark.parametrize(
    "body",
    [
        Stream(produce),
        Stream(produce, 10),  # the length is known, but not the position of the bytes
        Encoded(b"0123456789", "gzip"),
        Encoded(FileSlice(3, 0, 10), "gzip"),
        Chain((b"01234", Stream(produce, 5))),
        Chain((Stream(produce), b"0123456789")),
        Chain((b"01234", Chain((Encoded(b"56789", "gzip"),)))),
    ],
)
def test_produced_bodies_cannot_be_cut(body: Body) -> None:
    assert not can_be_cut(body)
    with pytest.raises(TypeError, match="cannot be cut"):
        cut(body, ByteRange(0, 5))


@settings(deadline=None)
@given(st.data(), CUTTABLE)
def test_part_has_the_same_bytes_and_can_be_cut_again(data: st.DataObject, body: Body) -> None:
    whole = content(body)
    assert can_be_cut(body)
    outer = data.draw(parts_of(len(whole)))
    piece = cut(body, outer)
    assert content(piece) == whole[outer.start : outer.stop]
    assert length_of(piece) == outer.stop - outer.start
    assert can_be_cut(piece)
    inner = data.draw(parts_of(outer.stop - outer.start))
    at_once = ByteRange(outer.start + inner.start, outer.start + inner.stop)
    assert cut(piece, inner) == cut(body, at_once)


# Several parts at once


def test_multipart_has_the_format_of_the_rfc() -> None:
    # RFC 9110 14.6, RFC 2046 5.1.1
    body = multipart(
        b"0123456789", [ByteRange(8, 10), ByteRange(0, 1)], 10, "text/plain", "THE_END"
    )
    assert content(body) == (
        b"--THE_END\r\n"
        b"Content-Type: text/plain\r\n"
        b"Content-Range: bytes 8-9/10\r\n"
        b"\r\n"
        b"89\r\n"
        b"--THE_END\r\n"
        b"Content-Type: text/plain\r\n"
        b"Content-Range: bytes 0-0/10\r\n"
        b"\r\n"
        b"0\r\n"
        b"--THE_END--\r\n"
    )


def test_parts_without_media_type_have_no_content_type() -> None:
    # RFC 9110 15.3.7.2: a Content-Type only if a 200 would have had one
    body = multipart(b"0123456789", [ByteRange(0, 1)], 10, "", "X")
    assert content(body) == b"--X\r\nContent-Range: bytes 0-0/10\r\n\r\n0\r\n--X--\r\n"


def test_media_type_is_written_unchanged() -> None:
    body = multipart(b"01", [ByteRange(0, 1)], 2, "text/plain; x=é\udcff", "X")
    assert b"Content-Type: text/plain; x=\xc3\xa9\xff\r\n" in content(body)


def test_parts_of_a_file_are_file_slices() -> None:
    body = multipart(
        FileSlice(3, 100, 50), [ByteRange(0, 5), ByteRange(40, 50)], 50, "image/png", "X"
    )
    assert isinstance(body, Chain)
    slices = [part for part in body.parts if isinstance(part, FileSlice)]
    assert slices == [FileSlice(3, 100, 5), FileSlice(3, 140, 10)]
    assert length_of(body) == len(content(body))


def test_multipart_of_a_produced_body_raises_type_error() -> None:
    with pytest.raises(TypeError, match="cannot be cut"):
        multipart(Stream(produce, 10), [ByteRange(0, 1)], 10, "text/plain", "X")


@settings(deadline=None)
@given(st.data(), CUTTABLE.filter(length_of))
def test_multipart_is_parsed_by_the_standard_library(data: st.DataObject, body: Body) -> None:
    whole = content(body)
    parts = data.draw(
        st.lists(
            parts_of(len(whole)).filter(lambda part: part.start < part.stop),
            min_size=1,
            max_size=5,
        )
    )
    # Long enough never to occur in the parts.
    boundary = "0dec3b1bd6e0a2ac7ebd6fcf0e1ffdbc"
    answer = multipart(body, parts, len(whole), "application/octet-stream", boundary)
    assert length_of(answer) == len(content(answer))
    head = f"Content-Type: multipart/byteranges; boundary={boundary}\r\n\r\n".encode()
    message = message_from_bytes(head + content(answer))
    assert message.defects == []
    assert not message.preamble
    assert not message.epilogue
    found = message.get_payload()
    assert isinstance(found, list)
    assert [content_of(part) for part in found] == [
        (part.content_range(len(whole)), whole[part.start : part.stop]) for part in parts
    ]


def content_of(part: object) -> tuple[str, bytes]:
    assert isinstance(part, Message)
    assert part.keys() == ["Content-Type", "Content-Range"]
    assert part["Content-Type"] == "application/octet-stream"
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return part["Content-Range"], payload
