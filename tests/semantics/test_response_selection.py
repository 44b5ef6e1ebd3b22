"""Tests of selecting the representation of a response."""

import gzip
import zlib
from email import message_from_bytes
from email.message import Message

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import NO_BODY

from trio_http.semantics.behavior import Behavior
from trio_http.semantics.bodies import Body, Chain, Encoded, FileSlice, Send, Stream, length_of
from trio_http.semantics.content_coding import ENCODERS, QUICK, encoded
from trio_http.semantics.headers import Fields, Headers
from trio_http.semantics.request import Request
from trio_http.semantics.response import Compress, Response
from trio_http.semantics.response_selection import (
    SETTLED,
    condition,
    may_be_coded,
    offer,
    partition,
    represent,
    select,
    settle,
    worth_coding,
)
from trio_http.semantics.server_sent_events import SendEvent

BEHAVIOR = Behavior(compress_min_size=100)
NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT
TEXT = {"Content-Type": "text/plain"}
LONG = b"again and " * 10
CODINGS = pytest.mark.parametrize("coding", ENCODERS)


async def produce(send: Send) -> None:
    raise AssertionError("a body must not be produced before it is sent")


def asking(fields: Fields = (), method: str = "GET") -> Request:
    return Request(method, "/", "1.1", Headers(fields), NO_BODY)


def asked(accepted: str | None = None, method: str = "GET") -> Request:
    return asking({} if accepted is None else {"Accept-Encoding": accepted}, method)


def sent(body: Body) -> bytes:
    """Return the bytes of a body in memory."""
    if isinstance(body, Chain):
        return b"".join(map(sent, body.parts))
    assert isinstance(body, bytes)
    return body


def decoded(response: Response) -> bytes:
    """Return the content that a client decodes from a settled body."""
    match response.headers.get("Content-Encoding"):
        case "gzip":
            return gzip.decompress(sent(response.body))
        case "deflate":
            return zlib.decompress(sent(response.body))
        case coding:
            assert coding is None
            return sent(response.body)


# Which responses may be coded


@pytest.mark.parametrize(
    ("media_type", "expected"),
    [
        ("text/plain", True),
        ("text/anything", True),
        ("application/json", True),
        ("application/javascript", True),
        ("application/problem+json", True),  # RFC 6839: structured syntax suffixes
        ("application/atom+xml", True),
        ("image/svg+xml", True),
        ("application/manifest+json", True),
        ("application/wasm", True),
        ("application/x-ndjson", True),
        ("application/xml", True),
        ("font/otf", True),
        ("font/ttf", True),
        ("image/bmp", True),
        ("image/x-icon", True),
        ("image/png", False),
        ("video/mp4", False),
        ("font/woff2", False),  # already compressed
        ("application/zip", False),
        ("application/octet-stream", False),  # it could be anything
        ("application/x-json", False),
        ("", False),
        ("text", False),
    ],
)
def test_compressible_types_are_worth_coding(media_type: str, expected: bool) -> None:  # noqa: FBT001 - the outcome
    assert worth_coding(media_type) is expected


@pytest.mark.parametrize(
    "response",
    [
        Response(200, TEXT, LONG),
        Response(404, TEXT, LONG),
        Response(200, {"Content-Type": "Text/HTML; charset=utf-8"}, LONG),
        Response(200, TEXT, FileSlice(3, 0, 100)),
        Response(200, TEXT, Stream(produce)),  # its length is unknown
        Response(200, TEXT, Stream(produce, 100)),
        Response(200, TEXT, Chain((LONG[:50], LONG[50:]))),
        Response(200, [*TEXT.items(), ("Cache-Control", "max-age=0, private")], LONG),
        # ALWAYS overrides media type and size.
        Response(200, {}, b"abc", Compress.ALWAYS),
        Response(200, {"Content-Type": "image/png"}, b"abc", Compress.ALWAYS),
    ],
)
def test_compressible_responses_may_be_coded(response: Response) -> None:
    assert may_be_coded(response, BEHAVIOR)


@pytest.mark.parametrize(
    "response",
    [
        Response(200, TEXT, LONG[:99]),  # too short to gain anything
        Response(200, TEXT, FileSlice(3, 0, 99)),
        Response(200, {}, LONG),
        Response(200, {"Content-Type": "image/png"}, LONG),
        Response(200, {"Content-Type": "image/png"}, Stream(produce)),
        Response(200, TEXT, LONG, Compress.NEVER),
        Response(200, [*TEXT.items(), ("Content-Encoding", "br")], LONG),
        Response(200, [*TEXT.items(), ("Content-Encoding", "br")], LONG, Compress.ALWAYS),
        # A range belongs to a representation that was already chosen (RFC 9110 14.4).
        Response(206, TEXT, LONG, Compress.ALWAYS),
        Response(200, [*TEXT.items(), ("Content-Range", "bytes 0-99/200")], LONG),
        # RFC 9111 5.2.2.6 is addressed to intermediaries, but an app that sends it wants the
        # bytes unchanged.
        Response(200, [*TEXT.items(), ("Cache-Control", "no-transform")], LONG),
        Response(200, [*TEXT.items(), ("Cache-Control", "private, No-Transform")], LONG),
        Response(
            200,
            [*TEXT.items(), ("Cache-Control", "private"), ("Cache-Control", "no-transform")],
            LONG,
            Compress.ALWAYS,
        ),
        # An empty body is not worth a gzip header.
        Response(200, TEXT, b"", Compress.ALWAYS),
        Response(200, TEXT, FileSlice(3, 0, 0), Compress.ALWAYS),
        Response(200, TEXT, Chain((b"",)), Compress.ALWAYS),
        Response(204, {}, b"", Compress.ALWAYS),
        Response(205, TEXT, LONG, Compress.ALWAYS),
        Response(304, TEXT, LONG, Compress.ALWAYS),
    ],
)
def test_other_responses_are_left_uncoded(response: Response) -> None:
    assert not may_be_coded(response, BEHAVIOR)
    assert represent(asked("gzip"), response, BEHAVIOR, NOW) == response


def test_shorter_bodies_than_the_minimum_are_not_coded() -> None:
    response = Response(200, TEXT, b"abc")
    assert may_be_coded(response, Behavior(compress_min_size=3))
    assert not may_be_coded(response, Behavior(compress_min_size=4))


# Coding them

MOST = SETTLED * max(QUICK.values())


@CODINGS
@pytest.mark.parametrize(
    "body",
    [LONG, bytes(MOST + 1), FileSlice(3, 0, 100), Stream(produce), Chain((LONG,))],
    ids=["short", "long", "file", "stream", "chain"],
)
def test_accepted_coding_is_applied(coding: str, body: Body) -> None:
    response = represent(asked(coding), Response(200, TEXT, body), BEHAVIOR, NOW)
    assert response.body == Encoded(body, coding)
    assert response.headers == Headers(
        {**TEXT, "Vary": "Accept-Encoding", "Content-Encoding": coding}
    )


@CODINGS
def test_short_body_is_coded_at_once(coding: str) -> None:
    response = settle(Response(200, TEXT, Encoded(LONG, coding)))
    assert response == Response(200, TEXT, encoded(LONG, coding))
    longest = bytes(SETTLED * QUICK[coding])
    assert settle(Response(200, TEXT, Encoded(longest, coding))).body == encoded(longest, coding)


@pytest.mark.parametrize(
    "body",
    [
        Encoded(bytes(SETTLED * QUICK["gzip"] + 1), "gzip"),
        Encoded(FileSlice(3, 0, 100), "gzip"),
        Encoded(Stream(produce), "gzip"),
        Encoded(Chain((LONG,)), "gzip"),
        LONG,
        FileSlice(3, 0, 100),
    ],
    ids=["long", "file", "stream", "chain", "plain", "plain file"],
)
def test_other_bodies_are_coded_while_they_are_sent(body: Body) -> None:
    assert settle(Response(200, TEXT, body)) == Response(200, TEXT, body)


def test_content_length_of_the_uncoded_body_is_removed() -> None:
    fields = {**TEXT, "Content-Length": str(len(LONG))}
    response = represent(asked("gzip"), Response(200, fields, LONG), BEHAVIOR, NOW)
    assert "Content-Length" not in response.headers


@pytest.mark.parametrize("accepted", [None, "", "identity", "compress", "gzip;q=0", "gzip;q=2"])
def test_clients_that_accept_no_coding_get_identity(accepted: str | None) -> None:
    response = represent(asked(accepted), Response(200, TEXT, LONG), BEHAVIOR, NOW)
    assert response == Response(200, {**TEXT, "Vary": "Accept-Encoding"}, LONG)


@pytest.mark.parametrize("accepted", [None, "identity", "gzip", "identity;q=0"])
def test_every_response_that_may_be_coded_has_vary(accepted: str | None) -> None:
    response = represent(asked(accepted), Response(200, TEXT, LONG), BEHAVIOR, NOW)
    assert "Accept-Encoding" in response.headers["Vary"].split(", ")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([("Vary", "Cookie")], ["Cookie", "Accept-Encoding"]),
        ([("Vary", "accept-encoding")], ["accept-encoding"]),  # already present
        ([("Vary", "Cookie, Accept-Encoding")], ["Cookie, Accept-Encoding"]),
        ([("Vary", "Cookie"), ("Vary", "Accept-Encoding")], ["Cookie", "Accept-Encoding"]),
        ([("Vary", "X-Accept-Encoding")], ["X-Accept-Encoding", "Accept-Encoding"]),
        ([("Vary", "*")], ["*"]),  # RFC 9110 12.5.5: a star covers every field
    ],
)
def test_vary_names_accept_encoding_once(
    fields: list[tuple[str, str]], expected: list[str]
) -> None:
    response = represent(asked(), Response(200, [*TEXT.items(), *fields], LONG), BEHAVIOR, NOW)
    assert response.headers.values("Vary") == expected


# RFC 9110 8.8.3.3: other bytes need another tag.
@CODINGS
@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ('"v1"', '"v1-{coding}"'),
        ('W/"v1"', 'W/"v1-{coding}"'),
        ("v1", "v1"),  # not a tag by 8.8.3, so left unchanged
        ('"v1", "v2"', '"v1", "v2"'),
    ],
)
def test_each_coding_has_its_own_tag(coding: str, tag: str, expected: str) -> None:
    tagged = Response(200, {**TEXT, "ETag": tag}, LONG)
    response = represent(asked(coding), tagged, BEHAVIOR, NOW)
    assert response.headers.values("ETag") == [expected.format(coding=coding)]
    assert represent(asked(), tagged, BEHAVIOR, NOW).headers.values("ETag") == [tag]


# Refusing them

NOTHING = "identity;q=0, compress"  # accepts only a coding that the server does not have


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("accepted", [NOTHING, "*;q=0", "identity;q=0"])
def test_client_without_an_acceptable_coding_gets_406(method: str, accepted: str) -> None:
    response = select(asked(accepted, method), Response(200, TEXT, LONG), BEHAVIOR, NOW)
    text = b"406 Not Acceptable: no acceptable content coding\n"
    assert response.status == 406
    assert response.body == text
    assert response.headers["Vary"] == "Accept, Accept-Encoding"


def test_406_has_the_accepted_format() -> None:
    request = asking({"Accept-Encoding": NOTHING, "Accept": "text/html"})
    response = select(request, Response(200, TEXT, LONG), BEHAVIOR, NOW)
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("method", "status"),
    [("POST", 200), ("DELETE", 200), ("PUT", 201), ("GET", 300), ("HEAD", 404), ("GET", 500)],
)
def test_other_methods_and_errors_never_get_406(method: str, status: int) -> None:
    response = select(asked(NOTHING, method), Response(status, TEXT, LONG), BEHAVIOR, NOW)
    assert response.status == status
    assert response.body == LONG
    assert "Content-Encoding" not in response.headers


def test_response_without_codings_never_gets_406() -> None:
    image = Response(200, {"Content-Type": "image/png"}, LONG)
    assert select(asked(NOTHING), image, BEHAVIOR, NOW).body == LONG


# Preconditions

DIGITS = b"0123456789" * 10
BEFORE = "Mon, 13 Nov 2023 00:00:00 GMT"
MODIFIED = "Tue, 14 Nov 2023 00:00:00 GMT"
AFTER = "Tue, 14 Nov 2023 12:00:00 GMT"
VALIDATORS = {"ETag": '"v1"', "Last-Modified": MODIFIED}
TAGGED = Response(200, {**TEXT, **VALIDATORS}, DIGITS)


def got(fields: Fields, method: str = "GET", response: Response = TAGGED) -> Response:
    return select(asking(fields, method), response, BEHAVIOR, NOW)


GZIP = ("Accept-Encoding", "gzip")

CONDITIONS = [
    ([], 200),
    ([("If-None-Match", '"v1"')], 304),
    ([("If-None-Match", 'W/"v1"')], 304),  # RFC 9110 13.1.2: compared weakly
    ([("If-None-Match", '"v0"')], 200),
    ([("If-None-Match", '"v0", "v1"')], 304),
    ([("If-None-Match", '"v0"'), ("If-None-Match", '"v1"')], 304),
    ([("If-None-Match", "*")], 304),
    ([("If-None-Match", "v1")], 200),
    ([("If-Modified-Since", MODIFIED)], 304),
    ([("If-Modified-Since", AFTER)], 304),
    ([("If-Modified-Since", BEFORE)], 200),
    ([("If-Modified-Since", "yesterday")], 200),
    ([("If-None-Match", '"v0"'), ("If-Modified-Since", AFTER)], 200),  # 13.1.3: the tag counts
    ([("If-None-Match", '"v1"'), ("If-Modified-Since", BEFORE)], 304),
    ([("If-Match", '"v1"')], 200),
    ([("If-Match", '"v0", "v1"')], 200),
    ([("If-Match", "*")], 200),
    ([("If-Match", '"v0"')], 412),
    ([("If-Match", 'W/"v1"')], 412),  # 13.1.1: compared strongly
    ([("If-Unmodified-Since", MODIFIED)], 200),
    ([("If-Unmodified-Since", BEFORE)], 412),
    ([("If-Match", '"v1"'), ("If-Unmodified-Since", BEFORE)], 200),  # 13.1.4: the tag counts
    ([("If-Match", '"v0"'), ("If-None-Match", '"v1"')], 412),  # 13.2.2: in this order
    ([("If-Match", '"v1"'), ("If-None-Match", '"v1"')], 304),
    ([("If-Unmodified-Since", BEFORE), ("If-Modified-Since", AFTER)], 412),
    # They apply to the representation that this client would get: another coding has another
    # tag, and the same date.
    ([("If-None-Match", '"v1-gzip"')], 200),
    ([GZIP, ("If-None-Match", '"v1"')], 200),
    ([GZIP, ("If-None-Match", '"v1-gzip"')], 304),
    ([GZIP, ("If-None-Match", '"v1-deflate", "v1-gzip"')], 304),
    ([GZIP, ("If-None-Match", '"v1-deflate"')], 200),
    ([GZIP, ("If-Modified-Since", MODIFIED)], 304),
    ([GZIP, ("If-Match", '"v1"')], 412),
    ([GZIP, ("If-Match", '"v1-gzip"')], 200),
    ([GZIP, ("If-Match", '"v1", "v1-gzip"')], 200),
    ([GZIP, ("If-Unmodified-Since", MODIFIED)], 200),
    # Without an acceptable coding there is nothing to compare.
    ([("Accept-Encoding", NOTHING), ("If-None-Match", '"v1"')], 406),
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("fields", "status"), CONDITIONS)
def test_preconditions_give_200_304_or_412(
    method: str, fields: list[tuple[str, str]], status: int
) -> None:
    assert got(fields, method).status == status


@CODINGS
def test_304_needs_the_tag_of_the_same_coding(coding: str) -> None:
    first = got({"Accept-Encoding": coding})
    assert (first.status, first.body) == (200, encoded(DIGITS, coding))
    assert first.headers["ETag"] == f'"v1-{coding}"'
    again = {"Accept-Encoding": coding, "If-None-Match": first.headers["ETag"]}
    assert got(again).status == 304
    assert got(again).headers["ETag"] == f'"v1-{coding}"'
    # A cache that asks for a client without codings must not reuse it.
    assert got({"If-None-Match": first.headers["ETag"]}).status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
@pytest.mark.parametrize(("fields", "status"), CONDITIONS)
def test_other_methods_ignore_preconditions_and_ranges(
    method: str, fields: list[tuple[str, str]], status: int
) -> None:
    response = got([*fields, ("Range", "bytes=0-9")], method)
    assert (response.status, decoded(response)) == (200, DIGITS)
    assert "Accept-Ranges" not in response.headers


@pytest.mark.parametrize("status", [201, 203, 301, 404, 412, 500])
@pytest.mark.parametrize(("fields", "_"), CONDITIONS[:-1])
def test_other_statuses_ignore_preconditions_and_ranges(
    status: int, fields: list[tuple[str, str]], _: int
) -> None:
    failed = Response(status, {**TEXT, **VALIDATORS}, DIGITS)
    response = got([*fields, ("Range", "bytes=0-9")], "GET", failed)
    assert (response.status, decoded(response)) == (status, DIGITS)


@pytest.mark.parametrize("field", ["If-None-Match", "If-Match", "If-Range"])
def test_responses_without_validators_ignore_preconditions(field: str) -> None:
    plain = Response(200, TEXT, DIGITS)
    response = got({field: '"v1"', "Range": "bytes=0-9"}, "GET", plain)
    assert response == Response(200, {**TEXT, "Vary": "Accept-Encoding"}, DIGITS)


# RFC 9110 15.4.5
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("accepted", ["identity", "gzip"])
def test_304_has_only_the_fields_that_caches_need(method: str, accepted: str) -> None:
    kept = {
        "Cache-Control": "max-age=60",
        "Content-Location": "/en",
        "Content-Security-Policy": "default-src 'self'",
        "Date": AFTER,
        "Expires": AFTER,
        "Last-Modified": MODIFIED,
        "Set-Cookie": "a=1",
    }
    dropped = {
        "Content-Disposition": "inline",
        "Content-Language": "en",
        "Content-Type": "text/plain",
        "Accept-Ranges": "bytes",
    }
    response = Response(200, {**kept, **dropped, "ETag": '"v1"', "Vary": "Cookie"}, DIGITS)
    fields = {"Accept-Encoding": accepted, "If-None-Match": '"v1", "v1-gzip"'}
    known = got(fields, method, response)
    assert (known.status, known.body) == (304, b"")
    tag = '"v1-gzip"' if accepted == "gzip" else '"v1"'
    expected = {*kept.items(), ("Vary", "Cookie"), ("Vary", "Accept-Encoding"), ("ETag", tag)}
    assert set(known.headers) == expected


def test_body_is_not_encoded_for_a_304() -> None:
    # Encoding it would fail, because the coding does not exist.
    coded = Response(200, {**VALIDATORS, "Content-Encoding": "x"}, Encoded(DIGITS, "x"))
    assert got({"If-None-Match": '"v1"'}, "GET", coded).status == 304


def test_412_has_the_accepted_format() -> None:
    response = got({"If-Match": '"v0"', "Accept": "application/json"})
    assert response.headers == Headers(
        {
            "Content-Type": "application/problem+json",
            "Vary": "Accept",
        }
    )
    assert got({"If-Match": '"v0"'}).body == b"412 Precondition Failed\n"


# Ranges


def ranged(value: str, *more: tuple[str, str]) -> list[tuple[str, str]]:
    return [("Range", value), *more]


FIRST = ranged("bytes=0-9")


@pytest.mark.parametrize(
    ("value", "part", "content_range"),
    [
        ("bytes=0-9", DIGITS[:10], "bytes 0-9/100"),
        ("bytes=5-", DIGITS[5:], "bytes 5-99/100"),
        ("bytes=-5", DIGITS[-5:], "bytes 95-99/100"),
        ("bytes=90-1000", DIGITS[90:], "bytes 90-99/100"),
        ("bytes=0-", DIGITS, "bytes 0-99/100"),
        ("bytes=0-4, 5-9", DIGITS[:10], "bytes 0-9/100"),  # adjacent
        ("bytes=0-4, 200-", DIGITS[:5], "bytes 0-4/100"),  # one of them is satisfiable
    ],
)
@pytest.mark.parametrize("accepted", [None, "gzip", "*", "gzip;q=0.1, identity;q=0.05"])
def test_range_is_cut_from_the_uncoded_bytes(
    value: str, part: bytes, content_range: str, accepted: str | None
) -> None:
    more = [] if accepted is None else [("Accept-Encoding", accepted)]
    assert got(ranged(value, *more)) == Response(
        206,
        [
            *TEXT.items(),
            *VALIDATORS.items(),  # those of the identity representation
            ("Vary", "Accept-Encoding"),
            ("Accept-Ranges", "bytes"),
            ("Content-Range", content_range),
        ],
        part,
    )


@pytest.mark.parametrize(
    ("value", "accepted"),
    [("bytes=100-", "identity"), ("bytes=100-", "gzip"), ("bytes=-0", "gzip")],
)
def test_unsatisfiable_range_gets_416_with_the_length(value: str, accepted: str) -> None:
    response = got(ranged(value, ("Accept-Encoding", accepted), ("Accept", "text/html")))
    assert response.status == 416
    assert response.headers.values("Content-Range") == ["bytes */100"]  # RFC 9110 15.5.17
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "ETag" not in response.headers
    assert b"416 Range Not Satisfiable" in sent(response.body)


@pytest.mark.parametrize(
    "value", ["bytes=9-5", "bytes=", "bytes", "items=0-9", "bytes=a-b", "", "bytes=0-1,x"]
)
def test_malformed_or_unknown_range_is_ignored(value: str) -> None:
    assert got(ranged(value)) == got([])
    assert got(ranged(value, GZIP)) == got([GZIP])


def test_whole_response_has_accept_ranges() -> None:
    assert got([]).headers["Accept-Ranges"] == "bytes"
    assert got([], "HEAD").headers["Accept-Ranges"] == "bytes"


def test_coded_response_has_no_accept_ranges() -> None:
    assert "Accept-Ranges" not in got([GZIP]).headers
    assert "Accept-Ranges" not in got([GZIP], "HEAD").headers


# RFC 9110 14.2: Range is for GET.
@pytest.mark.parametrize("more", [[], [GZIP]])
def test_head_ignores_range(more: list[tuple[str, str]]) -> None:
    assert got([*FIRST, *more], "HEAD") == got(more, "HEAD")
    assert got(FIRST, "HEAD").body == DIGITS


@pytest.mark.parametrize(
    ("if_range", "more", "status"),
    [
        ('"v1"', [], 206),
        ('"v1"', [GZIP], 206),
        ('"v0"', [], 200),
        ('W/"v1"', [], 200),  # RFC 9110 13.1.5: compared strongly
        ('"v1-gzip"', [], 200),
        ('"v1-gzip"', [GZIP], 200),  # a body that is encoded on the fly cannot be cut
        (MODIFIED, [], 206),
        (MODIFIED, [GZIP], 206),
        (BEFORE, [], 200),
        (AFTER, [], 200),  # not equal, so it does not match
        ("v1", [], 200),
        ("*", [], 200),
    ],
)
def test_if_range_gets_206_if_unchanged_and_else_200(
    if_range: str, more: list[tuple[str, str]], status: int
) -> None:
    response = got([*FIRST, *more, ("If-Range", if_range)])
    assert response == (got([*FIRST, *more]) if status == 206 else got(more))


def test_if_range_date_of_the_current_second_gets_200() -> None:
    now = "Tue, 14 Nov 2023 22:13:20 GMT"  # it may have changed again since (8.8.2.2)
    fresh = Response(200, {**TEXT, "Last-Modified": now}, DIGITS)
    assert got([*FIRST, ("If-Range", now)], "GET", fresh).status == 200
    assert got(FIRST, "GET", fresh).status == 206


def test_if_range_without_range_is_ignored() -> None:
    assert got({"If-Range": '"v0"'}) == got([])


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ([("If-None-Match", '"v1"')], 304),
        ([("If-None-Match", '"v0"')], 206),
        ([("If-Match", '"v1"')], 206),
        ([("If-Match", '"v0"')], 412),
        ([("If-Modified-Since", MODIFIED)], 304),
        ([("If-Unmodified-Since", BEFORE)], 412),
        ([("If-Match", '"v1"'), ("If-Range", '"v0"')], 200),
        # 13.2.2: Range comes last, so an unsatisfiable one is not evaluated
        ([("If-None-Match", '"v1"'), ("Range", "bytes=100-")], 304),
    ],
)
def test_preconditions_are_evaluated_before_ranges(
    conditions: list[tuple[str, str]], status: int
) -> None:
    fields = conditions if "Range" in dict(conditions) else [*FIRST, *conditions]
    assert got(fields).status == status
    if status != 200:  # a 200 would be the whole coded body, which has another tag
        assert got([*fields, GZIP]).status == status


def test_range_is_ignored_if_identity_is_not_acceptable() -> None:
    fields = {"Accept-Encoding": "gzip, identity;q=0"}
    response = got({**fields, "Range": "bytes=0-9"})
    assert response == got(fields)
    assert (response.status, response.headers["Content-Encoding"]) == (200, "gzip")
    nothing = got({"Accept-Encoding": NOTHING, "Range": "bytes=0-9"})
    assert nothing.status == 406


@pytest.mark.parametrize(
    "compress", [Compress.ALWAYS, Compress.NEVER, Compress.WORTHWHILE], ids=lambda c: c.name
)
def test_range_is_served_for_every_compress_mode(compress: Compress) -> None:
    response = Response(200, {**TEXT, **VALIDATORS}, DIGITS, compress)
    assert got([*FIRST, GZIP], "GET", response).body == DIGITS[:10]


def test_range_of_a_no_transform_response_is_served() -> None:
    fixed = TAGGED.replacing_headers(TAGGED.headers.adding("Cache-Control", "no-transform"))
    response = got([*FIRST, GZIP], "GET", fixed)
    assert (response.status, response.body) == (206, DIGITS[:10])
    assert "Vary" not in response.headers


def test_range_of_a_precompressed_response_is_served() -> None:
    data = encoded(DIGITS, "gzip")
    coded = Response(200, {**TEXT, **VALIDATORS, "Content-Encoding": "gzip"}, data)
    response = got([*FIRST, GZIP], "GET", coded)
    assert (response.status, response.body) == (206, data[:10])
    assert response.headers["Content-Encoding"] == "gzip"
    assert response.headers["ETag"] == '"v1"'


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (FileSlice(3, 7, 100), FileSlice(3, 12, 10)),
        (Chain((DIGITS[:9], FileSlice(3, 7, 91))), Chain((DIGITS[5:9], FileSlice(3, 7, 6)))),
    ],
)
def test_range_of_a_file_is_a_file_slice(body: Body, part: Body) -> None:
    response = got(ranged("bytes=5-14"), "GET", Response(200, VALIDATORS, body))
    assert (response.status, response.body) == (206, part)


@pytest.mark.parametrize(
    ("fields", "body"),
    [
        (VALIDATORS, Stream(produce, 100)),
        (VALIDATORS, Stream(produce)),
        (VALIDATORS, Encoded(FileSlice(3, 0, 100), "gzip")),
        (VALIDATORS, Chain((b"abc", Stream(produce, 97)))),
        # Without validators, parts cannot be matched.
        ({}, DIGITS),
        ({}, FileSlice(3, 0, 100)),
        # RFC 9110 14.3: the handler says that parts are not available.
        ({**VALIDATORS, "Accept-Ranges": "none"}, DIGITS),
        ({**VALIDATORS, "Accept-Ranges": "None"}, FileSlice(3, 0, 100)),
    ],
)
@pytest.mark.parametrize("value", ["bytes=0-9", "bytes=100-", "bytes=0-1,5-6"])
def test_range_of_an_uncuttable_response_is_ignored(fields: Fields, body: Body, value: str) -> None:
    response = Response(200, fields, body)
    finished = got(ranged(value), "GET", response)
    assert (finished.status, finished.body) == (200, body)
    assert finished.headers.get("Accept-Ranges") == response.headers.get("Accept-Ranges")


def test_one_validator_suffices_for_ranges() -> None:
    for name, value in VALIDATORS.items():
        assert got(FIRST, "GET", Response(200, {name: value}, DIGITS)).status == 206


def test_range_of_an_empty_body_gets_200() -> None:
    response = got(ranged("bytes=0-"), "GET", Response(200, VALIDATORS, b""))
    assert (response.status, response.body) == (200, b"")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_206_of_a_handler_is_sent_unchanged(method: str) -> None:
    fields = {**TEXT, **VALIDATORS, "Content-Range": "bytes 0-49/100"}
    response = got([*FIRST, GZIP, ("If-None-Match", '"v1"')], method, Response(206, fields, LONG))
    assert response.headers == Headers(fields)
    assert response.status == 206


# Several ranges (RFC 9110 14.6)


def parts_of(response: Response) -> list[Message]:
    head = f"Content-Type: {response.headers['Content-Type']}\r\n\r\n".encode()
    message = message_from_bytes(head + sent(response.body))
    assert message.get_content_type() == "multipart/byteranges"
    assert not message.defects
    payload = message.get_payload()
    assert isinstance(payload, list)
    return [part for part in payload if isinstance(part, Message)]


@pytest.mark.parametrize("more", [[], [GZIP]])
def test_several_ranges_become_multipart(more: list[tuple[str, str]]) -> None:
    response = got(ranged("bytes=0-1, 50-54, -3", *more))
    assert response.status == 206
    assert "Content-Range" not in response.headers  # RFC 9110 15.3.7.2
    assert length_of(response.body) == len(sent(response.body))
    assert response.headers["ETag"] == '"v1"'
    assert [
        (part["Content-Type"], part["Content-Range"], part.get_payload(decode=True))
        for part in parts_of(response)
    ] == [
        ("text/plain", "bytes 0-1/100", b"01"),
        ("text/plain", "bytes 50-54/100", b"01234"),
        ("text/plain", "bytes 97-99/100", b"789"),
    ]


def test_parts_without_media_type_have_no_content_type() -> None:
    response = got(ranged("bytes=0-1,5-6"), "GET", Response(200, VALIDATORS, DIGITS))
    assert [part["Content-Type"] for part in parts_of(response)] == [None, None]


def test_boundary_differs_per_response() -> None:
    one, other = (got(ranged("bytes=0-1,5-6")).headers["Content-Type"] for _ in range(2))
    assert one != other


# Events


async def nothing_happens(send: SendEvent) -> None:
    raise AssertionError("a body must not be produced before it is sent")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_events_are_coded_but_never_cut(method: str) -> None:
    events = Response.events(nothing_happens)
    plain = got(FIRST, method, events)
    assert plain.headers == events.headers.adding("Vary", "Accept-Encoding")
    coded = got([*FIRST, GZIP], method, events)
    assert coded.headers == plain.headers.adding("Content-Encoding", "gzip")
    if method == "GET":
        assert plain.body == events.body
        assert coded.body == Encoded(events.body, "gzip")


# All steps together


def test_long_text_is_coded_if_accepted() -> None:
    response = select(asked("gzip"), Response(200, TEXT, LONG), BEHAVIOR, NOW)
    assert decoded(response) == LONG
    assert response.headers["Content-Encoding"] == "gzip"


def test_compress_always_codes_three_bytes() -> None:
    response = select(asked("gzip"), Response(200, TEXT, b"abc", Compress.ALWAYS), Behavior(), NOW)
    assert decoded(response) == b"abc"


ACCEPTED = st.none() | st.sampled_from(
    ["gzip", "deflate", "identity", "*;q=0", "compress", "", "gzip, identity;q=0"]
)


@settings(deadline=None)
@given(st.binary(max_size=300), ACCEPTED, st.sampled_from(Compress))
def test_decoded_body_is_that_of_the_handler(
    body: bytes, accepted: str | None, compress: Compress
) -> None:
    response = select(asked(accepted), Response(200, TEXT, body, compress), BEHAVIOR, NOW)
    if response.status != 406:
        assert decoded(response) == body
        assert response.headers.get("Content-Encoding") in {None, *(accepted or "").split(", ")}


REQUESTS = st.lists(
    st.one_of(
        st.tuples(st.just("Accept-Encoding"), ACCEPTED.map(lambda value: value or "identity")),
        st.tuples(
            st.sampled_from(["If-Match", "If-None-Match", "If-Range"]),
            st.sampled_from(['"v1"', '"v1-gzip"', 'W/"v1"', '"v0"', "*", "x"]),
        ),
        st.tuples(
            st.sampled_from(["If-Modified-Since", "If-Unmodified-Since", "If-Range"]),
            st.sampled_from([BEFORE, MODIFIED, AFTER]),
        ),
        st.tuples(
            st.just("Range"),
            st.sampled_from(["bytes=0-9", "bytes=7-", "bytes=-3", "bytes=100-", "bytes=0-1,9-"]),
        ),
    ),
    unique_by=lambda field: field[0],
)


@settings(deadline=None)
@given(REQUESTS, st.booleans(), st.sampled_from(Compress))
def test_every_combination_of_fields_gets_a_valid_response(
    fields: list[tuple[str, str]],
    dated: bool,  # noqa: FBT001 - one of two cases
    compress: Compress,
) -> None:
    validators = {"Last-Modified": MODIFIED} if dated else VALIDATORS
    response = got(fields, "GET", Response(200, {**TEXT, **validators}, DIGITS, compress))
    headers = response.headers
    asked_for = dict(fields)
    match response.status:
        case 200:
            assert decoded(response) == DIGITS
            if "ETag" in headers:
                coding = headers.get("Content-Encoding")
                assert headers["ETag"] == (f'"v1-{coding}"' if coding else '"v1"')
        case 206:
            assert "Range" in asked_for
            assert "Content-Encoding" not in headers
            ranges = (
                [(headers["Content-Range"], sent(response.body))]
                if "Content-Range" in headers
                else [
                    (part["Content-Range"], part.get_payload(decode=True))
                    for part in parts_of(response)
                ]
            )
            for content_range, data in ranges:
                first, last = content_range.removeprefix("bytes ").split("/")[0].split("-")
                assert data == DIGITS[int(first) : int(last) + 1]
        case 304:
            assert {"If-None-Match", "If-Modified-Since"} & set(asked_for)
        case 412:
            assert {"If-Match", "If-Unmodified-Since"} & set(asked_for)
        case 416:
            assert asked_for["Range"] == "bytes=100-"
        case _:
            assert response.status == 406
            assert asked_for["Accept-Encoding"] == "*;q=0"
    if compress is not Compress.NEVER and response.status in {200, 206, 304}:
        assert "Accept-Encoding" in headers["Vary"]
    if "Range" not in asked_for:
        headed = got(fields, "HEAD", Response(200, {**TEXT, **validators}, DIGITS, compress))
        assert (headed.status, headed.headers) == (response.status, headers)


# Requests without selecting fields

_STATUSES = st.sampled_from([200, 201, 204, 206, 304, 404])
_BODIES = st.sampled_from(
    [b"", LONG, FileSlice(3, 0, 1000), Stream(produce), Stream(produce, 1000), Chain((LONG, LONG))]
)
_SAID = st.lists(
    st.sampled_from(
        [
            ("Content-Type", "text/html"),
            ("Content-Type", "image/png"),
            ("ETag", '"a"'),
            ("Last-Modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
            ("Accept-Ranges", "none"),
            ("Accept-Ranges", "bytes"),
            ("Vary", "Accept-Encoding"),
            ("Vary", "Cookie"),
            ("Cache-Control", "no-transform"),
            ("Content-Encoding", "gzip"),
            ("Content-Range", "bytes 0-1/2"),
        ]
    ),
    unique=True,
    max_size=5,
)


@settings(max_examples=500, deadline=None)
@given(
    st.sampled_from(["GET", "HEAD", "POST"]),
    st.builds(Response, _STATUSES, _SAID, _BODIES, st.sampled_from(Compress)),
)
def test_shortcut_equals_the_full_selection(method: str, response: Response) -> None:
    request = asking({"Accept": "text/html"}, method)
    expected = represent(request, response, BEHAVIOR, NOW)
    if method != "POST":
        expected = partition(request, condition(request, expected, NOW), NOW)
    found = offer(request, response, BEHAVIOR)
    assert found == expected
    assert select(request, response, BEHAVIOR, NOW) == select(
        asking({"Accept-Encoding": "identity"}, method), response, BEHAVIOR, NOW
    )
