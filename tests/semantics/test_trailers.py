"""Tests of trailers: which are accepted, which may be sent, and to which clients."""

from typing import Any

import pytest

from trio_http.semantics.field_values import MOST_SEPARATORS
from trio_http.semantics.headers import Headers
from trio_http.semantics.request import Request
from trio_http.semantics.response import Response
from trio_http.semantics.trailers import asked_for, believed, keeps_trailers

NO_BODY: Any = None  # never read

# RFC 9110 6.5.1: fields for framing, routing, authentication and content.
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
def test_fields_that_come_too_late_are_dropped(name: str) -> None:
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
def test_te_trailers_keeps_trailers(request_: Request) -> None:
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
def test_other_te_values_do_not_keep_trailers(request_: Request) -> None:
    assert not keeps_trailers(request_)


def test_response_without_trailers_has_none() -> None:
    assert asked_for(Response(200)) == Headers()


def test_trailers_are_computed_after_the_body() -> None:
    sums: list[int] = []
    response = Response(200, trailers=lambda: [("X-Sum", str(sum(sums))), ("X-Sum", "b")])
    sums += [1, 2]
    assert asked_for(response) == Headers([("X-Sum", "3"), ("X-Sum", "b")])


@pytest.mark.parametrize("name", [*TOO_LATE, "transfer-encoding", "HOST"])
def test_sending_fields_too_late_raises_value_error(name: str) -> None:
    with pytest.raises(ValueError, match=f"not a valid trailer field: {name}"):
        asked_for(Response(200, trailers=lambda: {"X-Sum": "1", name: "x"}))


@pytest.mark.parametrize("trailers", [{"X-Sum": "1\r\nHost: x"}, {"X-Sum:": "1"}, {"": ""}])
def test_malformed_trailers_raise_value_error(trailers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="not a field"):
        asked_for(Response(200, trailers=lambda: trailers))
