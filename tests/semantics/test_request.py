"""Tests of requests as values."""

import sys
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import ReceivedBody

from trio_http.semantics.errors import ClientDisconnected, HTTPError
from trio_http.semantics.headers import NO_FIELDS, Headers
from trio_http.semantics.incoming_body import READ_LIMIT
from trio_http.semantics.query_parameters import MOST, Parameters
from trio_http.semantics.request import Request, decoded
from trio_http.semantics.response import Response


def asked(target: str = "/", *pieces: bytes | Exception) -> Request:
    return Request("GET", target, "1.1", NO_FIELDS, ReceivedBody(*pieces), "127.0.0.1:47920")


def posted(media_type: str | None, *pieces: bytes | Exception) -> Request:
    fields = {} if media_type is None else {"Content-Type": media_type}
    return Request("POST", "/", "1.1", Headers(fields), ReceivedBody(*pieces))


def test_headers_given_as_bytes_are_parsed_once() -> None:
    request = Request("GET", "/", "1.1", b"Host: here\r\nx: 1\r\nX:\t2 \r\n", ReceivedBody())
    assert request.headers == Headers([("Host", "here"), ("X", "1"), ("X", "2")])
    assert request.headers is request.headers  # parsed once


def test_request_keeps_its_arguments() -> None:
    headers = Headers({"Host": "here"})
    body: Any = ReceivedBody()
    request = Request("POST", "/a?b", "1.0", headers, body, "127.0.0.1:47920")
    assert (request.method, request.target, request.version) == ("POST", "/a?b", "1.0")
    assert request.headers is headers
    assert request.body is body
    assert request.client == "127.0.0.1:47920"
    assert (request.scheme, request.mount) == ("http", "")


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/a/b", "/a/b", ""),
        ("/a%2Fb", "/a%2Fb", ""),  # an escaped slash does not separate segments
        # The path in its normal form, and the query as it was sent.
        ("/%7Ebob/%c3%a9?%7E=%c3&./", "/~bob/%C3%A9", "%7E=%c3&./"),
        ("/deb/./pkg.deb?.", "/deb/pkg.deb", "."),
        ("/a/%2E%2e/b/..?", "/", ""),
        ("/a%3Fb", "/a%3Fb", ""),
        ("/a?b=c", "/a", "b=c"),
        ("/a?", "/a", ""),
        ("/a?b?c", "/a", "b?c"),  # RFC 3986 3.4: the first question mark counts
        ("//a/b", "//a/b", ""),  # an empty segment, not an authority
        ("/http://a/b", "/http://a/b", ""),
        ("/a?b=http://c/d", "/a", "b=http://c/d"),
        # absolute-form, RFC 9112 3.2.2: sent to servers as well as to proxies
        ("http://here/a/b?c", "/a/b", "c"),
        ("HTTP://here:4221/", "/", ""),
        ("http://here//a", "//a", ""),
        ("http://here/%61/../../b/./?./c", "/b/", "./c"),
        ("coap+tcp://here/a", "/a", ""),
        # RFC 9110 4.2.3: an empty path is equivalent to a slash
        ("http://here", "/", ""),
        ("http://here?a", "/", "a"),
        ("http://here?next=/a/b", "/", "next=/a/b"),
        ("http://here/a?next=http://there/b", "/a", "next=http://there/b"),
        ("*", "*", ""),  # asterisk-form: not a path
        ("here:443", "here:443", ""),  # authority-form
    ],
)
def test_target_is_split_into_path_and_query(target: str, path: str, query: str) -> None:
    request = asked(target)
    assert (request.path, request.query_string) == (path, query)
    assert request.target == target


@settings(deadline=None)
@given(st.text("a:/?%", min_size=1), st.sampled_from("/?"))
def test_absolute_target_has_the_path_of_its_origin_form(rest: str, end: str) -> None:
    absolute = asked(f"http://here{end}{rest}")
    origin = asked(f"/{rest}" if end == "/" else f"/?{rest}")
    assert (absolute.path, absolute.query_string) == (origin.path, origin.query_string)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", ("",)),
        ("/a", ("a",)),
        ("/a/b", ("a", "b")),
        ("/a/", ("a", "")),
        ("//a", ("", "a")),
        ("/a%2Fb/c", ("a/b", "c")),  # an escaped slash is text
        ("/%2e%2E/a", ("a",)),  # never above the root
        ("/a/%2E/b/..", ("a", "")),
        ("/..%2F/a", ("../", "a")),  # the app decides what such a name means
        ("/a%00b", ("a\0b",)),
        ("/caf%C3%A9", ("café",)),
        ("/%zz%4", ("%zz%4",)),  # malformed escapes are text
        ("/a?b/c", ("a",)),
    ],
)
def test_segments_are_split_and_then_decoded(path: str, expected: tuple[str, ...]) -> None:
    assert asked(path).segments == expected


@settings(deadline=None)
@given(st.lists(st.binary().filter(lambda raw: raw not in {b".", b".."}), min_size=1))
def test_arbitrary_bytes_survive_in_segments(raw: list[bytes]) -> None:
    request = asked("/" + "/".join(quote(segment, safe="") for segment in raw))
    assert [segment.encode("utf-8", "surrogateescape") for segment in request.segments] == raw


@pytest.mark.parametrize(
    ("segment", "expected"),
    [
        ("", ""),
        ("a+b", "a+b"),  # a plus is a space in forms, not in paths
        ("a%20b", "a b"),
        ("%25%32%30", "%20"),  # decoded only once
        ("é%C3%A9", "éé"),
        ("%FF", "\udcff"),
        ("%ED%A0%80", "\udced\udca0\udc80"),  # an encoded surrogate is not valid UTF-8
    ],
)
def test_decoded_returns_text_with_surrogates(segment: str, expected: str) -> None:
    assert decoded(segment) == expected


def test_mounted_app_sees_the_path_below_its_mount() -> None:
    request = asked("/api/v1/users?page=2")
    api = request.below("/api")
    v1 = api.below("/v1")
    assert (api.mount, api.path) == ("/api", "/v1/users")
    assert (v1.mount, v1.path, v1.segments) == ("/api/v1", "/users", ("users",))
    assert (v1.query_string, v1.target, v1.body) == ("page=2", request.target, request.body)
    assert (request.mount, request.path) == ("", "/api/v1/users")


def test_below_keeps_everything_but_the_path() -> None:
    headers, body = Headers({"Host": "here"}), ReceivedBody()
    request = Request("POST", "/api/a?b", "1.0", headers, body, "127.0.0.1:47920", "https")
    below = request.below("/api")
    assert (below.method, below.version, below.scheme) == ("POST", "1.0", "https")
    assert (below.headers, below.body, below.client) == (headers, body, "127.0.0.1:47920")


def test_mount_is_removed_from_the_normal_path() -> None:
    request = asked("/x/../%61pi/./a%2fb")
    assert request.below("/api").path == "/a%2Fb"
    assert request.below("/api").target == request.target


def test_path_of_the_mount_itself_is_a_slash() -> None:
    assert asked("/api").below("/api").path == "/"


async def test_read_joins_the_pieces() -> None:
    assert await asked("/", b"first ", b"line").read() == b"first line"
    assert await asked("/").read() == b""


async def test_read_accepts_a_body_of_exactly_the_limit() -> None:
    assert await asked("/", b"12", b"34").read(limit=4) == b"1234"


async def test_read_raises_413_above_the_limit_and_reads_no_further() -> None:
    unread = AssertionError("read further")
    with pytest.raises(HTTPError, match="more than 3 bytes") as caught:
        await asked("/", b"12", b"34", unread).read(limit=3)
    assert caught.value.status == 413


async def test_read_has_a_default_limit() -> None:
    assert len(await asked("/", bytes(READ_LIMIT)).read()) == READ_LIMIT
    with pytest.raises(HTTPError):
        await asked("/", bytes(READ_LIMIT), b"1").read()


async def test_incomplete_body_raises_client_disconnected() -> None:
    with pytest.raises(ClientDisconnected):
        await asked("/", b"half", ClientDisconnected()).read()


def test_repr_names_method_and_target() -> None:
    assert repr(asked("/a?b")) == "<Request GET /a?b>"


# Queries, cookies and trailers


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", []),
        ("/?", []),
        ("/?a=1&b=%C3%A9&a=+", [("a", "1"), ("b", "é"), ("a", " ")]),
        ("/?next=/a?b=c", [("next", "/a?b=c")]),
        ("http://here?a=1", [("a", "1")]),
        ("/?a=%FF", [("a", "\udcff")]),
        ("/?%", [("%", "")]),
    ],
)
def test_query_is_parsed(target: str, expected: list[tuple[str, str]]) -> None:
    assert asked(target).query == Parameters(expected)


def test_query_of_more_than_1000_parameters_raises_400() -> None:
    assert len(asked("/?" + "&".join(["a"] * MOST)).query) == MOST
    with pytest.raises(HTTPError) as caught:
        asked("/?" + "&".join(["a"] * (MOST + 1))).query  # noqa: B018 - it raises
    assert caught.value.status == 400


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)))
def test_arbitrary_queries_are_parsed(query: str) -> None:
    assert len(asked(f"/?{query}").query) <= query.count("&") + 1


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], {}),
        ([("Cookie", "a=1; b=2")], {"a": "1", "b": "2"}),
        # RFC 6265 5.4 sends one field, but a gateway may split it (RFC 9113 8.2.3)
        ([("Cookie", "a=1"), ("cookie", "b=2; a=3")], {"a": "1", "b": "2"}),
        ([("Cookie", "a=1, b=2")], {"a": "1, b=2"}),
        ([("Set-Cookie", "a=1")], {}),
    ],
)
def test_cookies_of_all_fields_are_parsed(
    lines: list[tuple[str, str]], expected: dict[str, str]
) -> None:
    assert Request("GET", "/", "1.1", Headers(lines), ReceivedBody()).cookies == expected


def test_more_than_500_cookies_raise_400() -> None:
    headers = Headers([("Cookie", "; ".join(["a=b"] * 300))] * 2)
    with pytest.raises(HTTPError, match="more than 500 cookies") as caught:
        _ = Request("GET", "/", "1.1", headers, ReceivedBody()).cookies
    assert caught.value.status == 400


def test_trailers_come_from_the_body() -> None:
    body = ReceivedBody()
    request = Request("POST", "/", "1.1", NO_FIELDS, body)
    assert request.trailers == NO_FIELDS
    body.trailers = Headers({"Digest": "abc"})
    assert request.trailers == Headers({"Digest": "abc"})


# Texts


@pytest.mark.parametrize(
    ("media_type", "raw", "expected"),
    [
        (None, "café".encode(), "café"),
        ("text/plain", "café".encode(), "café"),
        ("text/plain; charset=ISO-8859-1", b"caf\xe9", "café"),
        ('text/plain; format=flowed; Charset="iso-8859-1"', b"caf\xe9", "café"),
        ("text/plain; charset=", b"abc", "abc"),
        ("text/plain; charset=utf-8", b"", ""),
    ],
)
async def test_text_is_decoded_in_the_charset_of_content_type(
    media_type: str | None, raw: bytes, expected: str
) -> None:
    assert await posted(media_type, raw[:4], raw[4:]).text() == expected


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        (None, 400),
        ("text/plain; charset=utf-8", 400),
        ("text/plain; charset=klingon", 415),
        ("text/plain; charset=rot13", 415),
        ("text/plain; charset=punycode", 415),
        ("text/plain; charset=utf-8, text/html", 415),
    ],
)
async def test_undecodable_text_raises_400_or_415(media_type: str | None, status: int) -> None:
    with pytest.raises(HTTPError) as caught:
        await posted(media_type, b"caf\xe9").text()
    assert caught.value.status == status


async def test_text_above_the_limit_raises_413() -> None:
    assert await posted(None, b"1234").text(4) == "1234"
    with pytest.raises(HTTPError) as caught:
        await posted(None, b"1234").text(3)
    assert caught.value.status == 413


# JSON


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"a": [1, 2.5, true, null, "\\u00e9"]}', {"a": [1, 2.5, True, None, "é"]}),
        (b" null\r\n\t", None),
        ('"é"'.encode(), "é"),
        (b"\xef\xbb\xbf1", 1),  # RFC 8259 8.1: parsers may skip a byte order mark
        (b'{"a": 1, "a": 2}', {"a": 2}),  # 4: unpredictable, but not an error
        (b'"\\ud800"', "\ud800"),  # 8.2: likewise, lone surrogates
        (b"1" * 4000, int("1" * 4000)),
        (b"-0", 0),
        (b"1.7976931348623157e308", sys.float_info.max),
        (b"1e-400", 0),  # rounded to zero
        (b"[" * 100 + b"]" * 100, ...),
    ],
)
async def test_json_is_parsed(raw: bytes, expected: object) -> None:
    value = await posted("application/json", raw[:3], raw[3:]).json()
    assert expected is ... or value == expected


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b"{'a': 1}",
        b'{"a": 1,}',
        b"1 2",
        b"NaN",  # RFC 8259 6
        b"[Infinity]",
        b'{"a": -Infinity}',
        b"01",
        b'"a\nb"',  # 7: controls are escaped
        b'"\xff"',
        b'"\xed\xa0\x80"',  # 8.1: UTF-8 has no surrogates
        '"a"'.encode("utf-16"),
        '"a"'.encode("utf-16le"),
        b'\xef\xbb\xbf\xef\xbb\xbf"a"',
        b"1" * 5000,  # Python rejects such long numbers, which take quadratic time
        b"[" * 200_000,
        b"[" * 200_000 + b"]" * 200_000,
        b'{"a":' * 200_000,
    ],
    ids=lambda raw: repr(raw[:20]),
)
async def test_malformed_json_raises_400(raw: bytes) -> None:
    with pytest.raises(HTTPError, match="not valid JSON") as caught:
        await posted("application/json", raw).json()
    assert caught.value.status == 400


@settings(deadline=None)
@given(
    st.binary() | st.text(st.sampled_from('[]{}":,.0123456789eE+-truefalsn\\u \n')).map(str.encode)
)
async def test_arbitrary_bytes_are_serializable_json_or_raise_400(raw: bytes) -> None:
    status = 200
    try:
        value = await posted("application/json", raw).json()
    except HTTPError as error:
        status = error.status
    else:
        Response.json(value)
    assert status in {200, 400}


@pytest.mark.parametrize(
    "number",
    [b"1e309", b"1e999", b"-1E+999", b"1" * 310 + b".0", b"1e" + b"9" * 5000, b'{"a": [1e999]}'],
)
async def test_infinite_json_number_raises_400(number: bytes) -> None:
    # RFC 8259 6 allows limits, and an infinite number could not be sent back.
    with pytest.raises(HTTPError, match="too large") as caught:
        await posted("application/json", number).json()
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "Application/JSON; charset=utf-16", "application/merge-patch+json"],
)
async def test_json_media_types_are_accepted(media_type: str) -> None:
    assert await posted(media_type, b"[1]").json() == [1]


@pytest.mark.parametrize(
    "media_type",
    [
        # Types that a page of another site can send without the server's permission.
        None,
        "",
        "text/plain",
        "text/plain; charset=application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=application/json",
        # Types that are not JSON.
        "text/json",
        "application/jsonp",
        "json",
    ],
)
async def test_other_media_types_raise_415_unread(media_type: str | None) -> None:
    with pytest.raises(HTTPError, match="JSON is expected") as caught:
        await posted(media_type, AssertionError("read")).json()
    assert caught.value.status == 415
    # RFC 9110 15.5.16: the media type that is accepted.
    assert caught.value.headers == Headers({"Accept": "application/json"})


async def test_json_above_the_limit_raises_413() -> None:
    assert await posted("application/json", b"1234").json(4) == 1234
    with pytest.raises(HTTPError) as caught:
        await posted("application/json", b"1234").json(3)
    assert caught.value.status == 413


# Forms


async def test_form_is_read_field_by_field() -> None:
    form = posted("application/x-www-form-urlencoded", b"a=1&", b"b=2").form()
    assert [(field.name, await field.text()) async for field in form] == [("a", "1"), ("b", "2")]


@pytest.mark.parametrize("media_type", [None, "application/json"])
def test_form_of_another_media_type_raises_415(media_type: str | None) -> None:
    with pytest.raises(HTTPError) as caught:
        posted(media_type).form()
    assert caught.value.status == 415
