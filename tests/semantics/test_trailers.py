"""Fields behind a body: which are believed, which may be sent, and to whom."""

from typing import Any

import pytest

from trio_http.semantics.field_values import MOST_SEPARATORS
from trio_http.semantics.headers import Headers
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response
from trio_http.semantics.trailers import asked_for, believed, keeps_trailers

NO_BODY: Any = None  # nobody reads it here

# RFC 9110 6.5.1: framing, routing, authentication, and what content is.
TOO_LATE = [
    "Authorization",
    "Connection",
    "Content-Encoding",
    "Content-Length",
    "Content-Range",
    "Content-Type",
    "Cookie",
    "Expect",
    "Host",
    "Set-Cookie",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
]


def asked(*te: str) -> Request:
    return Request("GET", "/", "1.1", Headers([("TE", value) for value in te]), NO_BODY)


@pytest.mark.parametrize("name", TOO_LATE)
def test_what_comes_too_late_is_not_believed(name: str) -> None:
    received = [(b"A", b"1"), (name.swapcase().encode(), b"x"), (b"a", b"2")]
    assert believed(received).raw == ((b"A", b"1"), (b"a", b"2"))


@pytest.mark.parametrize(
    "request_",
    [
        asked("trailers"),
        asked("Trailers"),
        asked("gzip;q=0.5, trailers"),
        asked("gzip", "trailers"),
    ],
)
def test_a_client_that_says_so_keeps_trailers(request_: Request) -> None:
    assert keeps_trailers(request_)


@pytest.mark.parametrize(
    "request_",
    [
        asked(),
        asked("gzip"),
        asked("x-trailers"),
        asked("trailers" + ",a" * (MOST_SEPARATORS + 1)),  # an overlong list
    ],
)
def test_no_other_client_keeps_trailers(request_: Request) -> None:
    assert not keeps_trailers(request_)


def test_a_response_without_trailers_has_no_fields_after_its_body() -> None:
    assert asked_for(Response(200)) == Headers()


def test_trailers_are_made_when_they_are_asked_for() -> None:
    sums: list[int] = []
    response = Response(200, trailers=lambda: [("X-Sum", str(sum(sums))), ("X-Sum", "b")])
    sums += [1, 2]
    assert asked_for(response) == Headers([("X-Sum", "3"), ("X-Sum", "b")])


@pytest.mark.parametrize("name", [*TOO_LATE, "transfer-encoding", "HOST"])
def test_what_would_come_too_late_is_a_mistake(name: str) -> None:
    with pytest.raises(ValueError, match=f"not a valid trailer field: {name}"):
        asked_for(Response(200, trailers=lambda: {"X-Sum": "1", name: "x"}))


@pytest.mark.parametrize("trailers", [{"X-Sum": "1\r\nHost: x"}, {"X-Sum:": "1"}, {"": ""}])
def test_what_is_no_field_is_no_trailer(trailers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="not a field"):
        asked_for(Response(200, trailers=lambda: trailers))
