"""Tests of responses as values."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_http.semantics.bodies import Pulse, Stream
from trio_http.semantics.cookies import Cookie
from trio_http.semantics.headers import Fields, Headers
from trio_http.semantics.request import decoded
from trio_http.semantics.response import Compress, Response
from trio_http.semantics.server_sent_events import (
    KEEP_ALIVE,
    KEEP_ALIVE_AFTER,
    SendEvent,
    ServerSentEvent,
)


def test_default_response_is_an_empty_200() -> None:
    response = Response()
    assert (response.status, response.headers, response.body) == (200, Headers(), b"")
    assert response.compress is Compress.WORTHWHILE


def test_headers_accept_pairs_mappings_and_headers() -> None:
    headers = Headers({"A": "1"})
    assert Response(200, headers).headers is headers
    assert Response(200, {"A": "1"}).headers == headers
    assert Response(200, [("A", "1")]).headers == headers


def test_responses_are_compared_by_value() -> None:
    response = Response(201, {"A": "1"}, b"body", Compress.NEVER)
    assert response == Response(201, {"a": "1"}, b"body", Compress.NEVER)
    assert response != Response(200, {"A": "1"}, b"body", Compress.NEVER)
    assert response != Response(201, {"A": "2"}, b"body", Compress.NEVER)
    assert response != Response(201, {"A": "1"}, b"Body", Compress.NEVER)
    assert response != Response(201, {"A": "1"}, b"body", Compress.ALWAYS)


def test_replacing_headers_returns_a_copy() -> None:
    response = Response(201, {"A": "1"}, b"body", Compress.NEVER)
    other = response.replacing_headers(Headers({"B": "2"}))
    assert other == Response(201, {"B": "2"}, b"body", Compress.NEVER)
    assert response.headers == Headers({"A": "1"})


@pytest.mark.parametrize("name", ["A", "a"])
def test_with_header_adds_or_replaces_a_field(name: str) -> None:
    response = Response(201, [("A", "1"), ("B", "2"), ("A", "3")], b"body", Compress.NEVER)
    other = response.with_header(name, "4")
    assert other == Response(201, [("B", "2"), ("A", "4")], b"body", Compress.NEVER)
    assert other.with_header("C", "5").headers == Headers([("B", "2"), ("A", "4"), ("C", "5")])
    assert len(response.headers) == 3


async def do_nothing(send: SendEvent) -> None:
    pass


@pytest.mark.parametrize(
    ("response", "media_type"),
    [
        (Response.text("a", headers={"X": "1"}), "text/plain; charset=utf-8"),
        (Response.text("a", headers={"X": "1"}, media_type="text/csv"), "text/csv"),
        (Response.html("a", headers=[("X", "1")]), "text/html; charset=utf-8"),
        (Response.json("a", headers=Headers({"X": "1"})), "application/json"),
        (Response.redirect("/a", headers={"X": "1", "location": "/b"}), None),
        (Response.events(do_nothing, headers={"X": "1"}), "text/event-stream"),
    ],
)
def test_every_constructor_accepts_headers(response: Response, media_type: str | None) -> None:
    assert response.headers["X"] == "1"
    assert response.headers.get("Content-Type") == media_type
    assert response.headers.get("Location") in {None, "/a"}


def test_content_type_among_headers_is_kept() -> None:
    headers = {"content-type": "application/problem+json"}
    assert Response.json({}, headers=headers).headers == Headers(headers)
    assert Response.text("{}", headers=headers).headers == Headers(headers)
    # Browsers accept only this type for events, but caching is the app's choice.
    headers = {"Content-Type": "text/plain", "Cache-Control": "no-store"}
    fields = Response.events(do_nothing, headers=headers).headers
    assert fields["Content-Type"] == "text/event-stream"
    assert fields["Cache-Control"] == "no-store"


def test_text_is_utf_8_text_plain() -> None:
    response = Response.text("café\n")
    assert response.body == "café\n".encode()
    assert response.headers == Headers({"Content-Type": "text/plain; charset=utf-8"})
    assert (response.status, response.compress) == (200, Compress.WORTHWHILE)


def test_text_accepts_media_type_and_compress() -> None:
    response = Response.text("a,b", 201, media_type="text/csv", compress=Compress.NEVER)
    assert response == Response(201, {"Content-Type": "text/csv"}, b"a,b", Compress.NEVER)


def test_text_with_surrogates_is_sent_as_its_bytes() -> None:
    assert Response.text(decoded("%FF")).body == b"\xff"


def test_html_is_utf_8_text_html() -> None:
    response = Response.html("<p>é", 404)
    assert response == Response(404, {"Content-Type": "text/html; charset=utf-8"}, "<p>é".encode())


def test_json_is_compact_utf_8() -> None:
    response = Response.json({"é": [1, None, True]}, 201)
    expected = '{"é":[1,null,true]}'.encode()
    assert response == Response(201, {"Content-Type": "application/json"}, expected)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),  # including surrogates, which JSON can escape
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=10,
)


@settings(deadline=None)
@given(JSON)
def test_arbitrary_json_values_are_parsed_back(value: object) -> None:
    body = Response.json(value).body
    assert isinstance(body, bytes)
    assert json.loads(body.decode("utf-8")) == json.loads(json.dumps(value))


# RFC 8259 8.1 requires UTF-8, which has no surrogates, but escapes in paths and foreign JSON
# contain them.
@pytest.mark.parametrize("text", ["\ud800", "a\udcff", "\udc80é\U0001f600"])
def test_json_with_surrogates_is_valid_utf_8(text: str) -> None:
    body = Response.json([text]).body
    assert isinstance(body, bytes)
    assert json.loads(body.decode("utf-8")) == [text]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf")], b"bytes", {1}])
def test_value_that_is_not_json_raises(value: object) -> None:
    with pytest.raises((ValueError, TypeError), match="JSON"):
        Response.json(value)


def test_redirect_has_location_and_status() -> None:
    assert Response.redirect("/there?a=b") == Response(303, {"Location": "/there?a=b"})
    assert Response.redirect("/there", 308).status == 308


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("https://example.org/a?b=c&d#e", "https://example.org/a?b=c&d#e"),
        ("http://[::1]:4221/", "http://[::1]:4221/"),
        ("/a%20b", "/a%20b"),  # already escaped
        ("/a b", "/a%20b"),
        ("/café?q=é", "/caf%C3%A9?q=%C3%A9"),
        ("/a'b(c)*;,~", "/a'b(c)*;,~"),
        ('/<">', "/%3C%22%3E"),
        # Browsers would take the backslash for a slash, and the rest for a host.
        ("/\\example.org", "/%5Cexample.org"),
        ("/there\r\nSet-Cookie: a=b", "/there%0D%0ASet-Cookie:%20a=b"),
        (" /", "%20/"),
        ("/\udcff", "/%FF"),  # the original byte
        ("", ""),  # RFC 3986 4.4: the same document
    ],
)
def test_invalid_characters_of_a_location_are_escaped(location: str, expected: str) -> None:
    assert list(Response.redirect(location).headers) == [("Location", expected)]


@settings(deadline=None)
@given(st.text())
def test_arbitrary_locations_become_visible_ascii(location: str) -> None:
    (value,) = Response.redirect(location).headers.raw_values("Location")
    assert all(0x21 <= byte <= 0x7E for byte in value)


# Events


async def ticks(send: SendEvent) -> None:
    await send(ServerSentEvent("1", "tick"))
    await send(ServerSentEvent("2", "tick"))


def test_events_are_an_uncached_stream() -> None:
    response = Response.events(ticks)
    assert (response.status, response.compress) == (200, Compress.WORTHWHILE)
    assert response.headers == Headers(
        [("Content-Type", "text/event-stream"), ("Cache-Control", "no-cache")]
    )


async def test_each_event_is_sent_immediately() -> None:
    body = Response.events(ticks).body
    assert isinstance(body, Stream)
    sent = []

    async def send(data: bytes) -> None:
        sent.append(data)

    await body.produce(send)
    assert sent == [b"event: tick\ndata: 1\n\n", b"event: tick\ndata: 2\n\n"]


@pytest.mark.parametrize(
    ("response", "seconds"),
    [(Response.events(ticks), KEEP_ALIVE_AFTER), (Response.events(ticks, 2.5), 2.5)],
)
def test_events_have_a_keep_alive_pulse(response: Response, seconds: float) -> None:
    assert isinstance(response.body, Stream)
    assert response.body.length is None
    assert response.body.pulse == Pulse(seconds, KEEP_ALIVE)


@pytest.mark.parametrize("seconds", [0, -1, math.nan])
def test_keep_alive_without_positive_seconds_raises_value_error(seconds: float) -> None:
    with pytest.raises(ValueError, match="more than 0 seconds"):
        Response.events(ticks, keep_alive=seconds)


# Cookies


def test_each_cookie_is_a_separate_field() -> None:
    response = Response.text("a").with_cookie(Cookie("a", "1")).with_cookie(Cookie("b", "2"))
    assert response.headers.values("Set-Cookie") == [str(Cookie("a", "1")), str(Cookie("b", "2"))]
    assert response.body == b"a"


def test_line_break_in_a_header_raises_value_error() -> None:
    fields: Fields = {"Retry-After": "1\r\nSet-Cookie: a=b"}
    with pytest.raises(ValueError, match="not a field value"):
        Response(503, fields)
